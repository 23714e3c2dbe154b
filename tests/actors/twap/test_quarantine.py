from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from actors.runtime import EPOCH, Simulation
from actors.supervision import ChildStopped
from actors.twap.execution import Close
from actors.twap.quarantine import QuarantinedActor
from actors.twap.remains import Remains
from actors.twap.report import MidIntegral, report_of
from messages.execution import ChildOutcome, StopReason
from messages.facts import (
    AttemptReappeared,
    ChildNotSent,
    ExecutionAmended,
    ExecutionClosed,
    ExecutionQuarantined,
    ExecutionStarted,
    Fact,
)
from messages.signal import Side
from tests.actors.twap.world import World, absent, after, refused
from tests.factories import CHILD, EXECUTION, NOW, a_child_closed, a_signal, a_trade_booked, an_accepted, an_intent
from tests.journal_stub import JournalStub
from tests.probe import Probe

D = Decimal
QUARANTINED = ExecutionQuarantined(execution_id=EXECUTION, detail="failed once too often")
NOT_SENT = ChildNotSent(
    execution_id=EXECUTION, client_order_id=CHILD, reason="CANCELLED", detail="", source="exchange_actor"
)


class Ward:
    """A quarantined execution with a journal and a parent."""

    def __init__(self, simulation: Simulation, *old: Fact) -> None:
        self.journal, self.parent = JournalStub.begun(*old), Probe(simulation)
        accepted = an_accepted()
        QuarantinedActor.start(self.parent.ref, "remains", accepted=accepted, journal=self.journal.actor_ref)
        self.simulation = simulation

    def reports(self) -> list[ExecutionClosed]:
        self.simulation.run(10.0)
        return self.journal.of(ExecutionClosed)


def test_one_that_has_nothing_open_is_closed_with_a_report_and_its_key_is_free_again(simulation: Simulation) -> None:
    ward = Ward(simulation, an_accepted(), QUARANTINED)
    (closed,) = ward.reports()
    assert (closed.reason, closed.children, closed.key) == ("QUARANTINED", 0, an_accepted().key)
    assert closed.report.stop_reason == "QUARANTINED: failed once too often"
    assert closed.report.stopped_early
    assert Remains(an_accepted()).report(EPOCH).stop_reason == "QUARANTINED"
    assert closed.report.total_filled == 0
    assert closed.report.average_price is None
    assert closed.report.total_chunks == 0
    ward.parent.expect(ChildStopped("remains"))


def test_it_waits_for_the_end_of_an_open_child_and_counts_what_that_fills(simulation: Simulation) -> None:
    ward = Ward(simulation, an_accepted(), an_intent(), QUARANTINED)
    assert ward.reports() == []
    trade = a_trade_booked()
    ward.journal.commit(trade)
    assert ward.reports() == []
    ward.journal.commit(a_child_closed(executed_quantity=trade.quantity))
    (closed,) = ward.reports()
    assert closed.children == 1
    assert closed.report.total_filled == trade.quantity
    assert closed.report.filled_quote == trade.quantity * trade.price
    assert closed.report.total_fees == ((trade.commission_asset, trade.commission),)
    assert [order.client_order_id for order in closed.report.orders] == [CHILD]


def test_an_intent_that_still_comes_and_is_not_sent_is_waited_for(simulation: Simulation) -> None:
    ward = Ward(simulation, an_accepted(), QUARANTINED)
    ward.simulation.run(0.5)
    ward.journal.commit(an_intent())
    assert ward.reports() == []
    ward.journal.commit(NOT_SENT)
    (closed,) = ward.reports()
    assert (closed.children, closed.report.children_sent) == (1, 0)


def test_one_that_is_closed_already_gets_no_second_report(simulation: Simulation) -> None:
    first = Ward(simulation, an_accepted(), QUARANTINED)
    (closed,) = first.reports()
    second = Ward(simulation, an_accepted(), QUARANTINED, closed)
    assert second.reports() == [closed]
    second.parent.expect(ChildStopped("remains"))


def still_over(remains: Remains) -> bool:
    return remains.over


@pytest.mark.parametrize("status", ["NEW", "FILLED"])
def test_a_child_that_shows_up_again_is_open_until_its_trades_are_in(status: str) -> None:
    remains = Remains(an_accepted())
    facts: list[Fact] = [an_intent(), NOT_SENT, QUARANTINED]
    for fact in facts:
        remains.fold(fact, EPOCH)
    assert still_over(remains)
    again = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1,
        status=status,
        executed_quantity=D("0.1"),
    )
    remains.fold(again, EPOCH + timedelta(seconds=1))
    assert not still_over(remains)
    remains.fold(a_trade_booked(), EPOCH + timedelta(seconds=1))
    remains.fold(a_child_closed(), EPOCH + timedelta(seconds=1))
    assert still_over(remains)
    assert remains.report(EPOCH + timedelta(seconds=1)).children_sent == 1


TOLD_BY_BOTH = (
    *("symbol", "side", "quantity", "total_filled", "filled_quote", "average_price", "arrival_price", "total_fees"),
    *("slippage_percent", "arrival_slippage_bps", "started_at", "ended_at", "execution_time_seconds"),
    *("chunks_executed", "total_chunks", "children_sent", "guard_wait_seconds", "orders"),
)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("price", [None, D(41_900)])
def test_what_remains_is_told_as_the_execution_itself_would_have_told_it(side: Side, price: Decimal | None) -> None:
    world = World(
        an_accepted(side=side, signal=a_signal(side=side, price=price), accepted_at=NOW - timedelta(seconds=5))
    )
    world.fill(0, "0.1", 0)
    part = world.intend(1, "0.1", 31, waited_seconds=D("1.5"))
    world.trade(part, "0.03", 32, price=D(42_010), commission=D("0.7"), commission_asset="USDT", maker=True)
    world.trade(part, "0.01", 33, price=D(42_020), commission=D("0.00001"), commission_asset="BTC")
    world.close(part, ChildOutcome.PARTIAL, 34)
    world.add(ExecutionStarted(execution_id=EXECUTION, incarnation=2), after(50))
    world.skip(2, 65, waited="5")
    world.add(refused(world.intend(3, "0.1", 90)), after(91))
    world.add(replace(NOT_SENT, client_order_id=world.intend(4, "0.1", 120)), after(120))
    by_hand = replace(NOT_SENT, reason="HALTED", detail="by hand")
    world.add(replace(by_hand, client_order_id=world.intend(5, "0.1", 150)), after(150))
    world.add(absent(world.intend(6, "0.1", 180)), after(190))
    world.add(ExecutionAmended(execution_id=EXECUTION, quantity=D("0.4")), after(195))
    world.add(ExecutionAmended(execution_id=EXECUTION, limit_price=D(43_000)), after(196))
    remains = Remains(world.accepted)
    for fact, at in world.facts:
        remains.fold(fact, at)
    assert not still_over(remains)
    remains.fold(QUARANTINED, after(200))
    assert still_over(remains)
    theirs = report_of(world.execution, Close(StopReason.ERROR), after(200.5), MidIntegral())
    ours = remains.report(after(200.5))
    for name in TOLD_BY_BOTH:
        assert getattr(ours, name) == getattr(theirs, name), name
