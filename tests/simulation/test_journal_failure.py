"""When the journal fails: nothing more is sent, resting orders are cancelled, the process ends soon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.runtime import Simulation
from messages.control import ClaimBroken, DaemonEnded, Readiness, ShutDown
from tests.simulation.whole import Stage

THREE = {"num_chunks": 3, "interval_seconds": 10}


def ended(stage: Stage, seconds: float) -> DaemonEnded:
    """The daemon's end, which must come within so long."""
    news = stage.world.news
    assert stage.sim.run_until(lambda: news.ended is not None, seconds), "it went on"
    assert news.ended is not None
    return news.ended


@pytest.mark.parametrize("nth", range(1, 10))
def test_after_a_failed_commit_nothing_is_sent_and_it_ends_with_74_within_five_seconds(
    simulation: Simulation, nth: int
) -> None:
    stage = Stage(simulation).start()
    store = stage.world.store
    first = store.appends
    store.fail_at(nth)
    stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5", "twap": THREE})
    assert simulation.run_until(lambda: store.appends == first + nth, 60.0), "fewer commits than that"
    durable, sent = store.last_seq(), set(stage.requests())
    end = ended(stage, 5.0)
    assert end.exit_code == 74
    assert "an error that a test asked for" in end.detail
    stage.run(60.0)
    intended = {line["client_order_id"] for line in stage.lines("ChildIntended")}
    assert store.last_seq() == durable
    assert set(stage.requests()) - sent <= intended
    stage.check_safety()


def test_a_broken_claim_ends_it_with_70(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.world.store.fail_next(ClaimBroken("a key was claimed twice"))
    stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"})
    assert ended(stage, 5.0).exit_code == 70
    assert stage.requests() == []


def test_who_asks_after_the_failure_is_told_not_ready_or_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.world.store.fail_next()
    first = stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"})
    assert simulation.run_until(lambda: stage.world.news.readiness is Readiness.FAILED, 5.0)
    second = stage.buy(id="y").verdict
    assert second is not None
    assert (second.status, second.reason) == ("rejected", "NOT_READY")
    ended(stage, 5.0)
    assert first.verdict is None


def repeats_to_be_journalled(stage: Stage) -> None:
    for _ in range(3):
        stage.buy(id="x", twap=THREE)
    stage.run(2.0)


def a_child_under_way(stage: Stage) -> None:
    stage.accepted(twap=THREE)
    stage.until("ChildIntended")


@pytest.mark.seeds(default=10)
@pytest.mark.parametrize("before", [repeats_to_be_journalled, a_child_under_way])
def test_a_journal_that_fails_while_the_daemon_stops_is_no_clean_end(
    seed: int, before: Callable[[Stage], None]
) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation).start()
        before(stage)
        store = stage.world.store
        store.fail_next()
        appends = store.appends
        stage.world.daemon.tell(ShutDown("asked to"))
        end = ended(stage, 30.0)
        assert end.exit_code == (74 if store.appends > appends else 0)
        assert before is not repeats_to_be_journalled or end.exit_code == 74
        stage.check_safety()


def test_a_stop_that_is_asked_for_after_the_failure_changes_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.world.store.fail_next()
    stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"})
    assert simulation.run_until(lambda: stage.world.news.readiness is Readiness.FAILED, 5.0)
    stage.world.daemon.tell(ShutDown("asked to"))
    assert ended(stage, 5.0).exit_code == 74


def test_after_a_failure_the_next_start_goes_on(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted(id="x", twap=THREE)
    stage.until("ChildClosed")
    stage.run(5.0)
    stage.world.store.fail_next()
    end = ended(stage, 20.0)
    assert end.exit_code == 74
    stage.world.store.reopen()
    stage.start()
    again = stage.buy(id="x", twap=THREE).verdict
    assert again is not None
    assert (again.status, again.duplicate_of) == ("duplicate", execution)
    stage.check_safety()
