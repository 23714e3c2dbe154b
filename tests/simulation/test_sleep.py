"""A machine that sleeps: for the daemon no time passes, while the exchange and every wall clock go on."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest

from actors.runtime import Simulation
from tests.simulation.whole import D, Stage

TWAP = {"num_chunks": 5, "interval_seconds": 30}


@pytest.mark.parametrize("asleep", [45.0, 600.0, 40_000.0])
@pytest.mark.parametrize("at", [31.0, 30.004], ids=["between two slots", "while an order is under way"])
def test_after_a_sleep_of_the_machine_it_goes_on_without_a_burst_and_nothing_is_doubled(
    simulation: Simulation, asleep: float, at: float
) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=TWAP)
    stage.run(at)
    stage.world.daemon_node.step_clock(asleep)
    stage.world.exchange.set_skew(round(asleep * 1_000_000))
    report = stage.report(of)
    assert report.total_filled == D("0.5")
    sent = [datetime.fromisoformat(line["at"]).timestamp() for line in stage.lines("ChildIntended")]
    assert len(set(stage.requests())) == len(stage.requests())
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(sent)), sent
    in_a_slot = [line["quantity"] for line in stage.lines("ChildIntended")]
    assert all(D(quantity) <= D("0.2") for quantity in in_a_slot), in_a_slot
    assert stage.count("TradingHalted") == 0
    trades = stage.world.exchange.truth()["trades"]
    assert len(stage.lines("TradeBooked")) == len(trades)


@pytest.mark.parametrize("at", [31.0, 30.004], ids=["between two slots", "while an order is under way"])
def test_no_child_goes_after_the_end_though_the_machine_slept_over_it(simulation: Simulation, at: float) -> None:
    stage = Stage(simulation).start()
    end = simulation.wall_time() + timedelta(seconds=140)
    of = stage.accepted("0.5", twap={**TWAP, "end_at": end.isoformat()})
    stage.run(at)
    sent = len(stage.requests())
    stage.world.daemon_node.step_clock(600.0)
    stage.world.exchange.set_skew(600_000_000)
    report = stage.report(of)
    taken = [entry for entry in stage.world.exchange.truth()["received"] if entry.get("code") is None]
    assert len(taken) == sent, "the end was ten minutes ago"
    assert report.stop_reason.startswith("END_OF_TIME")
