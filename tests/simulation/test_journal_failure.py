"""When the journal fails: nothing more is sent, resting orders are cancelled, the process ends soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.order_watcher.actor import OrderWatcher
from actors.runtime import Simulation
from adapters.storage.memory import MemoryStore
from adapters.unsaid import Unsaid
from messages.control import (
    ClaimBroken,
    Committed,
    DaemonEnded,
    InvariantBroken,
    Readiness,
    ResumeTrading,
    ShutDown,
    StoreFailed,
)
from messages.order import StreamCut
from run import start_daemon
from tests.simulation.test_halts import actor_ref, halted
from tests.simulation.whole import Stage

THREE = {"num_chunks": 3, "interval_seconds": 10}


def ended(stage: Stage, seconds: float) -> DaemonEnded:
    """The daemon's end, which must come within so long."""
    news = stage.world.news
    assert stage.sim.run_until(lambda: news.ended is not None, seconds), "it went on"
    assert news.ended is not None
    return news.ended


@pytest.mark.parametrize("nth", range(1, 8))
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


def break_a_claim(stage: Stage) -> None:
    """Book a trade a second time, as a bug would."""
    booked = next(one.fact for one in stage.world.store.committed if type(one.fact).__name__ == "TradeBooked")
    watcher: Any = actor_ref(OrderWatcher)._actor_weakref()
    watcher.append(booked)


def lifted(stage: Stage) -> None:
    """A person has looked, and trading goes on."""
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading())
    stage.run(5.0)
    assert stage.world.news.readiness is Readiness.READY
    assert stage.accepted("0.3", id="after", price="43000")


def test_after_a_broken_claim_every_start_is_halted_until_a_person_lifts_it(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap=THREE)
    stage.until("ChildClosed")
    break_a_claim(stage)
    end = ended(stage, 5.0)
    assert (end.exit_code, end.said) == (70, True)
    for _ in range(2):
        stage.world.crash()
        stage.start()
        assert stage.world.news.readiness is Readiness.HALTED
        halted(stage, "INVARIANT")
    stage.check_safety()
    lifted(stage)


def test_after_a_broken_claim_the_journal_takes_the_halt_and_nothing_else(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap=THREE)
    stage.until("ChildClosed")
    before = stage.world.store.last_seq()
    break_a_claim(stage)
    ended(stage, 5.0)
    stage.run(30.0)
    assert stage.kinds()[before:] == ["TradingHalted", "PartFailed"]


@pytest.mark.parametrize("by_claim", [True, False], ids=["claim", "actor"])
def test_a_broken_promise_that_the_journal_cannot_take_is_kept_beside_it(
    simulation: Simulation, tmp_path: Path, by_claim: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def daemon(*places: Any, **fields: Any) -> Any:
        return start_daemon(*places, **fields, broken_before=Unsaid(tmp_path).broken)

    def broken(_: OrderWatcher, message: Any) -> None:
        raise InvariantBroken(f"of a test: {message}")

    stage = Stage(simulation)
    stage.world.start_daemon = daemon
    stage.start()
    stage.accepted("0.5", twap=THREE)
    stage.until("ChildClosed")
    stage.run(1.0)
    stage.world.store.fail_at(2 if by_claim else 1, StoreFailed("the disk is full"))
    if by_claim:
        break_a_claim(stage)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(OrderWatcher, "_take_stream", broken)
            actor_ref(OrderWatcher).tell(StreamCut(since=0.0, detail="of a test"))
            simulation.run_until(lambda: stage.world.news.ended is not None, 5.0)
        simulation.claim_failures()
    end = ended(stage, 5.0)
    assert (end.exit_code, end.said) == (70, False)
    Unsaid(tmp_path).keep(end)
    for _ in range(2):
        stage.world.crash()
        stage.start()
        Unsaid(tmp_path).forget()  # As a house does when the daemon is up.
        assert stage.world.news.readiness is Readiness.HALTED
        halted(stage, "INVARIANT")
    lifted(stage)
    stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.READY


class Twice(MemoryStore):
    """A store that is asked twice for the n-th append."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.nth = nth

    def append(self, records: Sequence[Committed]) -> None:
        super().append(records)
        if self.appends == self.nth:
            super().append(records)


@pytest.mark.parametrize("nth", range(2, 10))
def test_facts_that_are_appended_a_second_time_are_not_kept_twice_and_end_it_with_70(
    simulation: Simulation, nth: int
) -> None:
    stage = Stage(simulation)
    stage.world.store = Twice(nth)
    stage.start()
    stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5", "twap": THREE})
    end = ended(stage, 60.0)
    assert end.exit_code == 70
    assert "does not follow" in end.detail
    stage.world.crash()
    stage.start()
    halted(stage, "INVARIANT")
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading())
    stage.run(1.0)
    if not stage.count("SignalAccepted"):
        stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5", "twap": THREE})
    stage.until("ExecutionClosed")
    assert [line["seq"] for line in stage.lines()] == list(range(1, len(stage.kinds()) + 1))
    stage.world.stop()
    stage.check_safety()


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
