"""A test exchange that is wiped: balances, orders and trades are gone, and nothing of it is repaired."""

from __future__ import annotations

from actors.runtime import Simulation
from adapters.paper.exchange import PaperExchange
from messages.ids import microseconds
from tests.simulation.whole import SCRIPTED, Stage


def test_after_a_reset_of_the_exchange_the_next_start_says_so_and_sends_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    stage.world.crash()
    wiped = PaperExchange(SCRIPTED, now=microseconds(simulation.wall_time()))
    stage.world.exchange = stage.world.venue.proxy().exchange = wiped
    stage.run(1.0)
    before = stage.kinds()
    stage.start()
    stage.run(60.0)
    assert stage.requests() == []
    assert {line["asset"] for line in stage.lines("BalanceMismatch")} == {"BTC", "USDT"}
    added = set(stage.kinds()[len(before) :])
    assert added == {"EpochStarted", "BalancesNoted", "BalanceMismatch", "AlertRaised"}
