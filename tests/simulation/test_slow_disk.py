"""A disk on which a commit takes seconds: nothing leaves the house before it, all others go on, and silence ends it."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from messages.control import Readiness
from tests.simulation.whole import D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def slow_from_now(stage: Stage, seconds: float, until: str) -> None:
    """Let commits take so long, until there is a fact of a kind."""
    stage.world.store.append_seconds = seconds
    stage.until(until, stage.count(until) + 1)
    stage.world.store.append_seconds = 0.0


def test_no_verdict_is_told_before_its_commit_however_long_that_takes(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.world.store.append_seconds = 5.0
    answer = stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"})
    began = simulation.now()
    assert simulation.run_until(lambda: stage.count("SignalAccepted") == 1, 10.0)
    assert simulation.now() - began >= 5.0
    assert answer.verdict is None
    assert simulation.run_until(lambda: answer.verdict is not None, 1.0)


@pytest.mark.parametrize("seconds", [0.5, 3.0, 12.0])
def test_an_order_whose_commit_took_too_long_is_not_sent_and_its_quantity_goes_to_later_slots(
    simulation: Simulation, seconds: float
) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.run(5.0)
    slow_from_now(stage, seconds, "ChildIntended")
    late = stage.lines("ChildIntended")[-1]
    assert late["client_order_id"] not in stage.requests()
    stage.run(1.0)
    in_time = seconds < 2.0  # So long a request is good for.
    assert (late["client_order_id"] in stage.requests()) is in_time
    assert stage.count("ChildNotSent") == (0 if in_time else 1)
    report = stage.report(execution, 120.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert stage.world.news.readiness is Readiness.READY
    assert stage.world.news.ended is None
    stage.check()


def test_an_order_that_was_kept_back_is_not_in_doubt_while_that_is_being_committed(simulation: Simulation) -> None:
    stage = Stage(simulation, watcher={"timeout_seconds": 3}).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.run(5.0)
    slow_from_now(stage, 5.0, "ChildNotSent")
    assert simulation.now() > 18.0
    report = stage.report(execution, 200.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert stage.count("ChildUnknown") == 0
    stage.check()


def test_a_commit_that_takes_longer_than_an_actor_may_be_silent_ends_the_process(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.world.store.append_seconds = 60.0
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 60.0)
    ended = stage.world.news.ended
    assert ended is not None
    assert ended.exit_code == 1
    assert "journal has not answered" in ended.detail
    stage.world.crash()
    stage.world.store.append_seconds = 0.0
    stage.start()
    assert stage.report(execution, 300.0).total_filled == D("0.5")
    stage.world.stop()
    stage.check_safety()
