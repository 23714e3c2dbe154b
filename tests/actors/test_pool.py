"""The pool in real time: order and exclusion under load, slow turns, pinned actors, and its end.

These tests are about threads, so they wait in real time, at most for moments.
"""

from __future__ import annotations

import decimal
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from actors.runtime import Actor, Pool
from tests.probe import Probe
from tests.slowness import at_most


class Counter(Actor):
    """Notices if it ever runs twice at once, or gets a sender's messages out of order."""

    def __init__(self) -> None:
        super().__init__()
        self._busy = threading.Lock()
        self._last: dict[int, int] = {}
        self._count = 0

    def on_receive(self, message: tuple[int, int] | None) -> int:
        assert self._busy.acquire(blocking=False), "ran on two threads at once"
        if message is not None:
            sender, number = message
            assert self._last.get(sender, -1) == number - 1, "out of order"
            self._last[sender] = number
            self._count += 1
            if number % 1000 == 7:
                time.sleep(0.0001)  # Lets another worker try.
        self._busy.release()
        return self._count


def test_messages_run_one_at_a_time_and_in_the_order_of_each_sender() -> None:
    with Pool(4, throughput=3) as pool:
        counters = [Counter.start() for _ in range(5)]

        def send(sender: int) -> None:
            for number in range(1000):
                for counter in counters:
                    counter.tell((sender, number))

        _all_at_once([lambda sender=sender: send(sender) for sender in range(4)])  # type: ignore[misc] # default binds
        assert [counter.ask(None, timeout=20) for counter in counters] == [4000] * 5
        assert pool.failures == []


def test_every_ask_is_answered_or_refused_while_actors_stop_at_random() -> None:
    chance = random.Random(1)
    answered = refused = 0
    with Pool(4) as pool:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            ref, futures = Counter.start(), list[pykka.Future[Any]]()

            def ask(ref: pykka.ActorRef[Counter] = ref, futures: list[pykka.Future[Any]] = futures) -> None:
                while ref.is_alive():  # So that the last ask races with the end.
                    futures.append(ref.ask(None, block=False))
                futures.append(ref.ask(None, block=False))

            asker = threading.Thread(target=ask)
            asker.start()
            time.sleep(chance.random() * 0.0005)
            ref.stop(block=False)
            asker.join()
            for future in futures:
                try:
                    future.get(timeout=5)
                    answered += 1
                except pykka.ActorDeadError:
                    refused += 1
        assert pool.failures == []
    assert answered > 0
    assert refused > 0


def _all_at_once(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Sleeper(Actor):
    name = "bear"

    def on_receive(self, message: float) -> None:
        time.sleep(message)


def test_a_turn_over_the_limit_is_logged_with_the_actors_name(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidegate.runtime"), Pool(1):
        sleeper = Sleeper.start()
        sleeper.ask(0.0)
        sleeper.ask(0.06)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"slow turn: Sleeper#1 bear ({sleeper.actor_urn}) took" in record.getMessage()


class Pinned(Actor):
    pinned = True

    def on_receive(self, message: float) -> str:
        time.sleep(message)
        return threading.current_thread().name


def test_a_pinned_actor_has_a_thread_of_its_own_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidegate.runtime"), Pool(1) as pool:
        pinned, probe = Pinned.start(), Probe(pool)
        first = pinned.ask(0.2, block=False)
        probe.ref.tell("meanwhile")
        probe.expect("meanwhile", within=0.15)
        assert first.get(timeout=1) == "Pinned#1"
        assert pinned.ask(0.0) == "Pinned#1"
        pinned.stop()
        with pytest.raises(pykka.ActorDeadError):
            pinned.ask(0.0)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_worker_threads_are_set_up_with_the_money_context_and_the_callers_own() -> None:
    names = []

    class Mixer(Actor):
        def on_receive(self, message: float) -> bool:
            return decimal.Decimal(1) < message

    with Pool(2, thread_setup=lambda: names.append(threading.current_thread().name)):
        with pytest.raises(decimal.FloatOperation):
            Mixer.start().ask(0.5)
        Pinned.start().ask(0.0)
    assert sorted(names) == ["Pinned#2", "worker", "worker"]


class Asker(Actor):
    def on_receive(self, message: tuple[pykka.ActorRef[Any], Any, float | None]) -> Any:
        ref, question, timeout = message
        return ref.ask(question, timeout=timeout)


def test_a_worker_that_waits_has_another_in_its_place() -> None:
    with Pool(1):
        echo, asker = Counter.start(), Asker.start()
        assert asker.ask((echo, None, 5), timeout=5) == 0
        with pytest.raises(pykka.Timeout):
            asker.ask((Sleeper.start(), 0.2, 0.01), timeout=5)
        assert asker.ask((echo, None, None), timeout=5) == 0


def test_a_raised_exit_ends_its_actor_and_neither_worker_nor_process(caplog: pytest.LogCaptureFixture) -> None:
    class Leaver(Actor):
        def on_receive(self, message: BaseException) -> None:
            raise message

    with Pool(1) as pool:
        leaver, probe = Leaver.start(), Probe(pool)
        leaver.tell(SystemExit(3))
        probe.expect_stopped(leaver)
        probe.ref.tell("still working")
        probe.expect("still working")
        assert [type(failure.error) for failure in pool.claim_failures()] == [SystemExit]
    assert "what no handler should" in caplog.text


def test_a_timers_receiver_that_fails_does_not_stop_the_timers() -> None:
    class Broken:
        def tell(self, message: str, /) -> None:
            raise ValueError(message)

    with Pool(1) as pool:
        probe = Probe(pool)
        pool.tell_after(0.0, Broken(), "ouch")
        pool.tell_after(0.01, probe.ref, "next")
        probe.expect("next")
        assert [str(failure.error) for failure in pool.claim_failures()] == ["ouch"]


def test_critical_dead_letters_are_logged_as_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="tidegate.runtime")
    with Pool(1) as pool:
        pool.critical_letters = (int,)
        pool.dead_letter("whatever")
        pool.dead_letter(42)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "dead letter: 'whatever'"),
        ("ERROR", "critical dead letter: 42"),
    ]


def test_leaving_a_pool_ends_its_threads() -> None:
    before = threading.active_count()
    with Pool(3):
        Pinned.start()
        assert threading.active_count() == before + 5
    assert threading.active_count() == before


def test_an_actor_that_hangs_delays_the_end_by_a_bounded_time_only(caplog: pytest.LogCaptureFixture) -> None:
    release, ended = threading.Event(), []

    class Hung(Actor):
        def on_receive(self, message: object) -> None:
            release.wait(10)

    class Good(Actor):
        def on_stop(self) -> None:
            ended.append("good")

    with at_most(2.0), Pool(2, close_seconds=0.1):
        Good.start()
        hung = Hung.start()
        hung.tell("hang")
    left = [thread for thread in threading.enumerate() if thread.name == "worker"]
    release.set()
    for thread in left:
        thread.join(5)
        assert not thread.is_alive()
    assert all(thread.daemon for thread in left)
    assert "Hung#2 did not stop in time" in caplog.text
    assert "thread worker did not end in time" in caplog.text
    assert ended == ["good"]


def test_mail_that_no_worker_came_to_is_refused_at_the_end() -> None:
    release = threading.Event()

    class Hung(Actor):
        def on_receive(self, message: object) -> None:
            release.wait(10)

    with Pool(1, close_seconds=0.05):
        idle, hung = Counter.start(), Hung.start()
        hung.tell("hang")
        asked = idle.ask(None, block=False)
    with pytest.raises(pykka.Timeout):
        hung.ask("anyone?", timeout=0)
    assert asked.get(timeout=0) == 0  # Its turn came, on the thread that closed the pool.
    release.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "worker"]:
        thread.join(5)
        assert not thread.is_alive()


def test_a_worker_that_comes_back_late_and_takes_the_last_mail_does_not_hold_up_the_end() -> None:
    release, emptied = threading.Event(), threading.Event()
    answers: list[pykka.Future[object]] = []

    class Hung(Actor):
        def on_receive(self, message: object) -> None:
            release.wait(10)

    class Releasing(Actor):
        """Its turn comes when the pool closes: it lets the worker go on and take all that is left."""

        def on_receive(self, message: object) -> None:
            release.set()
            emptied.wait(10)

    class Last(Actor):
        def on_receive(self, message: object) -> None:
            emptied.set()

    def live() -> None:
        with Pool(1, close_seconds=0.05):
            hung, releasing, last = Hung.start(), Releasing.start(), Last.start()
            hung.tell("hang")
            answers.extend((releasing.ask("release", block=False), last.ask("empty", block=False)))

    life = threading.Thread(target=live, daemon=True)
    life.start()
    life.join(10)

    assert not life.is_alive()
    assert [answer.get(timeout=5) for answer in answers] == [None, None]
