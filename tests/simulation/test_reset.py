"""A test exchange that is wiped: balances, orders and trades are gone, and nothing of it is repaired."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from adapters.paper.exchange import PaperExchange
from adapters.paper.faults import Fault, FaultKind
from messages.ids import microseconds
from tests.simulation.whole import TOUCHES, Stage


def wipe(stage: Stage) -> None:
    """Put an exchange in the other's place that knows of nothing."""
    wiped = PaperExchange(stage.world.paper, now=microseconds(stage.sim.wall_time()))
    stage.world.exchange = stage.world.venue.proxy().exchange = wiped
    for symbol in stage.world.symbols:
        stage.touch(*TOUCHES[symbol], symbol=symbol)


def said(stage: Stage) -> list[str]:
    return [line["type"] for line in stage.lines() if line.get("kind") == "order_vanished"]


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started again"])
def test_an_order_that_vanished_with_a_reset_is_said_once_and_nothing_is_sent_in_its_place(
    simulation: Simulation, *, restart: bool
) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": 20, "child": "passive"})
    stage.until("ChildAcknowledged")
    wipe(stage)
    stage.run(200.0)
    assert said(stage) == ["AlertRaised"]
    if restart:
        stage.world.crash()
        stage.start()
        stage.run(200.0)
    assert said(stage) == ["AlertRaised"]
    assert stage.requests() == []
    assert of not in stage.world.news.closed
    assert stage.world.stop().exit_code == 0


def test_an_order_that_is_only_slow_to_be_shown_has_not_vanished(simulation: Simulation) -> None:
    blind = Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=100_000)
    stage = Stage(simulation, blind).start()
    stage.report(stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": 20, "child": "passive"}))
    assert said(stage) == []


def test_an_order_of_which_trades_alone_come_to_light_has_not_vanished_any_more(simulation: Simulation) -> None:
    unseen = (
        Fault(kind=FaultKind.LOST_EVENT, probability=1.0),
        Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=600_000),
        Fault(kind=FaultKind.LIST_LAG, probability=1.0, milliseconds=100_000),
    )
    stage = Stage(simulation, *unseen).start()
    of = stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": 200, "child": "passive"})
    stage.until("ChildAcknowledged")
    stage.run(80.0)
    assert said(stage) == ["AlertRaised"]
    stage.touch("41999.90", "41999.95")
    stage.until("ChildClosed")
    stage.run(1.0)
    assert said(stage) == ["AlertRaised", "AlertCleared"]
    assert of not in stage.world.news.closed


def test_after_a_reset_of_the_exchange_the_next_start_says_so_and_sends_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    stage.world.crash()
    wipe(stage)
    stage.run(1.0)
    before = stage.kinds()
    stage.start()
    stage.run(60.0)
    assert stage.requests() == []
    assert {line["asset"] for line in stage.lines("BalanceMismatch")} == {"BTC", "USDT"}
    added = set(stage.kinds()[len(before) :])
    assert added == {"EpochStarted", "BalancesNoted", "BalanceMismatch", "AlertRaised"}
