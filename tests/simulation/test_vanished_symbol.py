"""A symbol that the venue lists no more: what runs on it ends with a report, and no start waits for it."""

from __future__ import annotations

from actors.runtime import Simulation
from messages.control import Readiness
from tests.simulation.whole import D, Stage

TWAP = {"num_chunks": 5, "interval_seconds": 30}


def without_bitcoin(simulation: Simulation) -> tuple[Stage, str]:
    """A stage with an execution of a symbol that vanishes over a crash; the daemon is not started again."""
    stage = Stage(simulation, symbols=("BTCUSDT", "ETHUSDT")).start()
    of = stage.accepted("0.5", twap=TWAP)
    return stage, of


def delist(stage: Stage) -> None:
    stage.world.crash()
    stage.run(1.0)
    del stage.world.exchange.engine.books["BTCUSDT"], stage._books["BTCUSDT"]


def others_go_on(stage: Stage) -> None:
    assert stage.world.news.readiness is Readiness.READY
    other = stage.world.send({"symbol": "ETHUSDT", "side": "buy", "quantity": "0.3"})
    stage.run(30.0)
    assert other.verdict is not None
    assert other.verdict.execution_id in stage.world.news.closed


def test_a_start_after_a_symbol_has_vanished_ends_its_execution_and_works_the_others(simulation: Simulation) -> None:
    stage, of = without_bitcoin(simulation)
    stage.run(40.0)
    delist(stage)
    stage.start()
    others_go_on(stage)
    report = stage.report(of, 600.0)
    assert report.stop_reason == "STALE_MARKET: no quote"
    assert report.total_filled == D("0.2")


def test_an_unknown_outcome_on_a_symbol_that_vanished_stays_reserved_and_holds_up_no_start(
    simulation: Simulation,
) -> None:
    stage, of = without_bitcoin(simulation)
    stage.until("ChildIntended", 2)
    delist(stage)
    stage.start()
    others_go_on(stage)
    stage.run(600.0)
    assert of not in stage.world.news.closed
    assert stage.count("ChildAbsent") == 0, "that nobody can be asked proves nothing"
    assert [line["kind"] for line in stage.lines("AlertRaised")].count("unknown_outcome") == 1
