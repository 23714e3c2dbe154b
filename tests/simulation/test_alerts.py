"""Alerts on the whole daemon: said once, over when it is over, over crash and restart too."""

from __future__ import annotations

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from messages.ids import microseconds
from tests.simulation.whole import Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def said(stage: Stage, kind: str) -> list[str]:
    return [line["type"] for line in stage.lines() if line["type"].startswith("Alert") and line["kind"] == kind]


def test_an_execution_that_stops_early_is_said_once_and_forgotten_after_a_day(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap=FIVE, limit_price="42100")
    stage.until("ChildClosed", 1)
    stage.touch("42200", "42200.1")
    stage.until("ExecutionClosed")
    stage.run(1.0)
    assert said(stage, "early_stop") == ["AlertRaised"]
    stage.world.crash()
    stage.start()
    stage.run(60.0)
    assert said(stage, "early_stop") == ["AlertRaised"]


def test_that_the_exchange_ended_an_order_is_said_where_no_event_tells_of_it(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.LOST_EVENT, probability=1.0)).start()
    stage.accepted("0.4", twap={"num_chunks": 2, "interval_seconds": 10, "child": "passive"})
    stage.until("ChildAcknowledged")
    (resting,) = stage.world.exchange.engine.open.values()
    stage.world.exchange.engine.expire(resting, microseconds(simulation.wall_time()))
    stage.until("ChildClosed")
    assert stage.lines("ChildClosed")[0]["failure_reason"] == "EXPIRED EXCHANGE_CANCELED"
    stage.run(1.0)
    assert said(stage, "exchange_cancelled") == ["AlertRaised"]


def test_a_partial_fill_is_said_once(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.levels([("41999.99", "100")], [("42000.01", "0.004"), ("43000", "100")])
    stage.accepted("0.01")
    stage.until("ExecutionClosed")
    stage.run(1.0)
    stage.world.crash()
    stage.start()
    stage.run(5.0)
    assert said(stage, "partial_fill") == ["AlertRaised"]


def test_a_slice_that_fills_in_part_is_said_too(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.touch("41999.99", "42000.01", "0.04")
    stage.run(2.0)
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.touch("41999.99", "42000.01")
    assert stage.report(execution).total_filled == 0.5
    assert said(stage, "partial_fill") == ["AlertRaised"]


def test_an_unknown_outcome_is_said_and_is_over_when_it_is_proven(simulation: Simulation) -> None:
    lost = (Fault(kind=FaultKind.LOST_REPLY, nth=(1,)), Fault(kind=FaultKind.LOST_EVENT, probability=1.0))
    stage = Stage(simulation, *lost).start()
    stage.accepted("0.5", twap=FIVE)
    stage.until("ChildUnknown")
    stage.until("AlertRaised")
    stage.world.crash()
    stage.start()
    stage.run(120.0)
    assert said(stage, "unknown_outcome") == ["AlertRaised", "AlertCleared"]


def test_a_stream_that_stays_away_is_said_and_is_over_when_it_is_back(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=30_000)).start()
    stage.accepted("0.5", twap=FIVE)
    stage.run(20.0)
    assert said(stage, "stream_down") == ["AlertRaised"]
    stage.run(30.0)
    assert said(stage, "stream_down") == ["AlertRaised", "AlertCleared"]
    stage.run(100.0)
    stage.check()


def test_a_stream_that_is_back_at_once_is_no_alert(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=3_000)).start()
    stage.accepted("0.5", twap=FIVE)
    stage.run(150.0)
    assert stage.count("StreamGap") >= 1
    assert said(stage, "stream_down") == []
    stage.check()
