from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pykka
import pytest

from actors.runtime import Actor, Pool, Simulation
from adapters.storage.memory import MemoryStore
from bench.__main__ import QUESTIONS, main
from bench.tools.daemon import Kind, Observer, a_signal, house, open_settings
from bench.tools.figures import Row, Spread, disk_alone, print_table, processor_alone, spread, tell_of_disk
from bench.tools.threads import PlainInbox, PlainThreads
from bench.tools.venue import RULES, InstantVenue
from messages.control import CaughtUp, Committed, FactNews, Follow
from messages.facts import ChildClosed, ExecutionClosed, TradeBooked
from messages.order import SendOrder
from messages.signal import SignalReceived, Status, Verdict
from run import start_daemon


class Facts:
    """Hears all facts."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def tell(self, news: FactNews, /) -> None:
        if isinstance(news, Committed):
            self.heard.append(news.fact)
        else:
            assert isinstance(news, CaughtUp)


class Answers:
    """Takes verdicts; `enough` is set with the `count`-th."""

    def __init__(self, count: int = 1) -> None:
        self.given: list[Verdict] = []
        self.count, self.enough = count, threading.Event()

    def tell(self, verdict: Verdict, /) -> None:
        self.given.append(verdict)
        if len(self.given) == self.count:
            self.enough.set()


def test_a_spread_says_what_half_99_percent_and_all_do_not_exceed() -> None:
    sample = spread(range(1, 201))
    assert (sample.count, sample.p50, sample.p99, sample.most) == (200, 101, 199, 200)
    assert math.isnan(spread([]).p99)


def test_a_row_tells_target_and_ratio_whichever_way_is_better() -> None:
    assert Row("ms", 4.0, plain=8.0, target=5.0).verdict == "<= 5: met"
    assert Row("ms", 6.0, target=5.0).verdict == "<= 5: MISSED"
    assert Row("per s", 6_000.0, target=5_000.0, more_is_better=True).verdict == ">= 5,000: met"
    assert Row("ms", 4.0, plain=8.0).ratio == "2.0x"
    assert Row("per s", 4.0, plain=8.0, more_is_better=True).ratio == "0.5x"
    assert Row("ms", 4.0).ratio == ""


def test_a_table_has_a_column_for_plain_threads_only_where_they_were_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table([Row("what", 1.0)])
    assert "ratio" not in capsys.readouterr().out
    print_table([Row("what", 1.0, plain=2.0), Row("other", 3.0)], plain="thread")
    assert "2.0x" in capsys.readouterr().out


def test_the_disk_is_measured_by_synced_writes(tmp_path: Path) -> None:
    disk = disk_alone(tmp_path, writes=5)
    assert disk.count == 5
    assert 0 < disk.p50 <= disk.most


def test_of_several_samples_of_the_disk_medians_are_told_and_the_longest_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_of_disk([Spread(9, 0.25, 1.0, 2.0), Spread(9, 0.5, 3.0, 90.0), Spread(9, 0.75, 2.0, 3.0)])
    assert "p50 0.50 ms, p99 2.00 ms, the longest 90.0 ms" in capsys.readouterr().out


def test_the_processor_is_measured_by_the_turns_of_a_loop() -> None:
    assert 1 < processor_alone(turns=300_000) < 100_000


def test_each_question_has_a_file_that_answers_it_and_a_wrong_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for name in QUESTIONS:
        module = importlib.import_module(f"bench.{name}")
        assert callable(module.main)
        assert module.__doc__
    assert main(["latency", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_daemon_before_the_instant_venue_fills_every_signal_completely() -> None:
    with Simulation(7) as simulation:
        observer, answers, facts = Observer(), Answers(), Facts()
        venue = InstantVenue.start()
        start_daemon(observer, store=MemoryStore(), venue=venue, market=venue, settings=open_settings())
        assert simulation.run_until(observer.ready.is_set, 60)
        assert observer.up is not None
        observer.up.journal.tell(Follow(follower=facts))
        count = 2 * len(RULES)
        for number in range(count):
            observer.up.gate.tell(SignalReceived(a_signal(number, "test"), answers))
        simulation.run(60)
        assert [verdict.status for verdict in answers.given] == [Status.ACCEPTED] * count
        closed = [fact for fact in facts.heard if isinstance(fact, ExecutionClosed)]
        assert [fact.reason for fact in closed] == ["COMPLETED"] * count
        assert all(fact.report.total_filled == fact.report.quantity for fact in closed)
        assert sum(isinstance(fact, TradeBooked) for fact in facts.heard) == count
        assert {fact.polls for fact in facts.heard if isinstance(fact, ChildClosed)} == {0}
        venue.stop()


@pytest.mark.parametrize("kind", ["pool", "thread"])
def test_the_measured_daemon_hands_an_order_to_the_venue_and_keeps_its_facts(kind: Kind) -> None:
    sent = threading.Event()
    traded: list[str] = []

    def on_order(order: SendOrder) -> None:
        assert order.symbol in RULES
        sent.set()

    with house(kind, on_order=on_order, on_trade=traded.append) as daemon:
        answers = Answers()
        daemon.send(a_signal(0, datetime.now(UTC).isoformat()), answers)
        assert answers.enough.wait(20)
        assert sent.wait(20)
        daemon.stop()
        assert [verdict.status for verdict in answers.given] == [Status.ACCEPTED]
        assert len(list(daemon.facts("ChildClosed"))) == len(traded) == 1
        assert daemon.store.commits
    assert pykka.ActorRegistry.get_all() == []


class Named(Actor):
    """Tells in which thread it runs, and in what inbox its mail is."""

    def on_receive(self, message: Callable[[str, object], None]) -> None:
        message(threading.current_thread().name, self.actor_inbox)


def test_plain_threads_give_each_actor_a_thread_and_pykkas_queue_and_the_pool_has_its_own_again_after() -> None:
    for runtime, name in ((PlainThreads(), "Named"), (Pool(1), "worker")):
        told: list[tuple[str, object]] = []
        heard = threading.Event()

        def hear(
            thread: str, inbox: object, told: list[tuple[str, object]] = told, heard: threading.Event = heard
        ) -> None:
            told.append((thread, inbox))
            heard.set()

        with runtime:
            Named.start().tell(hear)
            assert heard.wait(20)
        assert told[0][0] == name
        assert isinstance(told[0][1], PlainInbox) is (name == "Named")
