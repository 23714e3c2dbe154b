"""A machine that sleeps: for the daemon no time passes, while the exchange and every wall clock go on."""

from __future__ import annotations

import itertools
from datetime import datetime

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
    assert len(stage.lines("TradeBooked")) == len(trades)  # type: ignore[arg-type]
