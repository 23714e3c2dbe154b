"""Children that rest in the book while nothing may be sent: ExchangeActor cancels them."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime import Simulation
from messages.control import HaltTrading, Readiness, ReadinessChanged
from messages.facts import ChildCancelRequested, ExecutionCancelRequested, ExecutionQuarantined, Fact, TradingHalted
from messages.ids import cancel_id
from messages.order import CancelChild, ConnectExchange, SendCancel
from tests.actors.exchange.stage import EXECUTION_FACTS, World, connected, started
from tests.factories import CHILD, EXECUTION, a_child_closed, an_acknowledged, an_intent

POSTED = an_intent(order_type="LIMIT_MAKER", time_in_force=None)
RESTING: tuple[Fact, ...] = (*EXECUTION_FACTS, POSTED, an_acknowledged(status="NEW"))


def cancels(world: World) -> list[str]:
    return [message.client_order_id for message in world.sent() if isinstance(message, SendCancel)]


def requested(world: World) -> list[str]:
    return [fact.reason for fact in world.journal.of(ChildCancelRequested)]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (HaltTrading(reason="operator", detail=""), "halted"),
        (ReadinessChanged(Readiness.DRAINING), "stopping"),
        (ReadinessChanged(Readiness.FAILED), "halted"),
    ],
)
def test_what_rests_is_cancelled_when_nothing_new_may_be_sent(
    simulation: Simulation, message: Any, reason: str
) -> None:
    world = connected(simulation, *RESTING)
    world.tell(message)
    assert (cancels(world), requested(world)) == ([CHILD], [reason])


def test_what_takes_is_left_to_end_by_itself(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, an_intent(), an_acknowledged())
    world.tell(ReadinessChanged(Readiness.DRAINING))
    assert cancels(world) == []


def test_a_post_that_the_venue_takes_up_after_the_halt_is_cancelled_then(simulation: Simulation) -> None:
    """A cancel before it could overtake the order."""
    world = connected(simulation, *EXECUTION_FACTS, POSTED)
    world.tell(HaltTrading(reason="operator", detail=""))
    world.sent()
    world.journal.commit(an_acknowledged(status="NEW"))
    simulation.run(0.0)
    assert cancels(world) == [CHILD]


def test_what_ended_is_not_cancelled(simulation: Simulation) -> None:
    world = connected(simulation, *RESTING, a_child_closed())
    world.tell(ReadinessChanged(Readiness.DRAINING))
    assert cancels(world) == []


def test_what_a_quarantined_execution_has_in_the_book_is_cancelled(simulation: Simulation) -> None:
    world = connected(simulation, *RESTING)
    world.journal.commit(ExecutionQuarantined(execution_id=EXECUTION, detail="it failed three times"))
    simulation.run(0.0)
    assert (cancels(world), requested(world)) == ([CHILD], ["quarantined"])


@pytest.mark.parametrize(("end", "sent"), [(ExecutionQuarantined, [CHILD]), (ExecutionCancelRequested, [])])
def test_a_post_that_the_venue_takes_up_after_the_quarantine_is_cancelled_then(
    simulation: Simulation, end: Any, sent: list[str]
) -> None:
    """Nobody works the execution any more; one that is cancelled has its actor, who cancels its own child."""
    world = connected(simulation, *EXECUTION_FACTS, POSTED, end(execution_id=EXECUTION, detail=""))
    world.sent()
    world.journal.commit(an_acknowledged(status="NEW"))
    simulation.run(0.0)
    assert cancels(world) == sent


def test_a_start_into_a_halt_cancels_what_rests_once_the_venue_may_be_talked_to(simulation: Simulation) -> None:
    world = connected(simulation, *RESTING, TradingHalted(reason="operator", detail=""))
    assert requested(world) == ["halted"]


def test_a_cancel_that_is_wished_before_the_venue_may_be_talked_to_goes_out_after_that(simulation: Simulation) -> None:
    world = started(simulation, *RESTING)
    wish = CancelChild(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, reason="timeout")
    world.tell(wish)
    assert requested(world) == []
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    simulation.run(0.0)
    (sent,) = [message for message in world.sent() if isinstance(message, SendCancel)]
    assert (sent.order_id, sent.cancel_id) == (1001, cancel_id(CHILD, 0))


def test_a_cancel_that_is_wished_before_the_journal_is_folded_takes_no_number_that_was_given(
    simulation: Simulation,
) -> None:
    """Seed 117 of the campaign under heavy faults: two cancels had one name."""
    earlier = ChildCancelRequested(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        cancel_id=cancel_id(CHILD, 0),
        symbol="BTCUSDT",
        order_id=1001,
        reason="fence",
    )
    world = started(simulation, *RESTING, earlier)
    wish = CancelChild(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, reason="timeout")
    world.exchange.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.exchange.tell(wish)
    simulation.run(0.0)
    names = [fact.cancel_id for fact in world.journal.of(ChildCancelRequested)]
    assert names[-1] == cancel_id(CHILD, 1)
    assert len(set(names)) == len(names)
