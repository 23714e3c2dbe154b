"""The market runs away while a child rests: the stop comes once, and what rests is taken back."""

from __future__ import annotations

from actors.runtime import Simulation
from tests.simulation.whole import D, Stage

RESTING = {"num_chunks": 4, "interval_seconds": 30, "child": "passive"}


def test_a_crash_of_the_market_stops_a_sell_once_and_takes_back_what_rests(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.4", side="sell", twap=RESTING)
    stage.until("ChildAcknowledged")
    stage.levels([("42000.01", "0.03"), ("41999.99", "100")], [("42000.02", "100")])
    stage.run(1.0)
    for price in (41_000, 38_000, 35_000):
        stage.touch(f"{price - 1}", f"{price}")
        stage.run(2.0)
    report = stage.report(execution, 120.0)
    assert report.stop_reason.startswith("PRICE_DEVIATION")
    assert 0 < report.total_filled < D("0.1")
    (order,) = stage.orders()
    assert order["status"] == "CANCELED"
    stage.run(60.0)
    assert len(stage.requests()) == 1
    assert [line["kind"] for line in stage.lines("AlertRaised")].count("early_stop") == 1
    stage.check()
