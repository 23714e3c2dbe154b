"""What holds on both runtimes: time, timers, failures, dead letters, and who waits for whom."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pykka
import pytest

from actors.runtime import Actor, NoRuntime, Pool, Runtime, Simulation, stop_soon
from tests.probe import Probe


class Echo(Actor):
    """Answers with what it is asked, and fails of what it is told."""

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        return message


class Forwarder(Actor):
    """Hands on what it gets, and says so when it begins and ends."""

    def __init__(self, to: Probe, name: str = "") -> None:
        super().__init__()
        self.name, self._to = name, to

    def on_start(self) -> None:
        self._to.ref.tell("began")

    def on_stop(self) -> None:
        self._to.ref.tell("ended")

    def on_receive(self, message: Any) -> None:
        self._to.ref.tell(message)


def test_an_actor_begins_then_handles_its_mail_in_order_then_ends(runtime: Runtime, probe: Probe) -> None:
    ref = Forwarder.start(probe)
    for number in range(100):
        ref.tell(number)
    ref.stop(block=False)
    for expected in ["began", *range(100), "ended"]:
        probe.expect(expected)
    probe.expect_none()


def test_an_actor_that_is_told_to_stop_soon_handles_what_it_has_and_may_be_told_again(
    runtime: Runtime, probe: Probe
) -> None:
    ref = Forwarder.start(probe)
    ref.tell("first")
    stop_soon(ref)
    probe.expect_stopped(ref)
    stop_soon(ref)
    for expected in ("began", "first", "ended"):
        probe.expect(expected)
    probe.expect_none()


def test_what_was_told_and_what_was_asked_is_handled_in_the_order_of_its_coming(runtime: Runtime, probe: Probe) -> None:
    ref = Forwarder.start(probe)
    ref.tell(1)
    answer = ref.ask(2, block=False)
    ref.tell(3)
    assert answer.get(timeout=1) is None
    for expected in ("began", 1, 2, 3):
        probe.expect(expected)


def test_an_ask_from_outside_is_answered(runtime: Runtime) -> None:
    assert Echo.start().ask("hello", timeout=1) == "hello"


def test_an_asked_failure_goes_to_the_asker_and_the_actor_lives_on(runtime: Runtime) -> None:
    echo = Echo.start()
    with pytest.raises(ValueError, match="no"):
        echo.ask(ValueError("no"), timeout=1)
    assert echo.ask(1, timeout=1) == 1
    assert runtime.failures == []


def test_a_told_failure_ends_the_actor_and_is_collected_with_its_message(runtime: Runtime, probe: Probe) -> None:
    echo = Echo.start()
    error = ValueError("no")
    echo.tell(error)
    probe.expect_stopped(echo)
    (failure,) = probe.expect_failures()
    assert failure.actor.startswith("Echo#")
    assert failure.message is error
    assert failure.error is error
    assert "on_receive" in failure.traceback
    assert "handling ValueError('no')" in str(failure)
    assert runtime.claim_failures() == []


def test_a_failure_while_starting_is_collected(runtime: Runtime, probe: Probe) -> None:
    class Stillborn(Actor):
        def on_start(self) -> None:
            raise ValueError("never began")

    ref = Stillborn.start()
    probe.expect_stopped(ref)
    (failure,) = probe.expect_failures()
    assert failure.message is None
    assert "Stillborn" in str(failure)
    assert "starting" in str(failure)


def test_a_failure_while_ending_is_collected(runtime: Runtime, probe: Probe) -> None:
    class Sore(Actor):
        def on_stop(self) -> None:
            raise ValueError("not yet")

    Sore.start().stop()
    assert [str(failure.error) for failure in probe.expect_failures()] == ["not yet"]


def test_timers_fire_in_order_of_their_due_times_and_can_be_cancelled(runtime: Runtime, probe: Probe) -> None:
    start = runtime.now()
    runtime.tell_at(start + 0.06, probe.ref, "third")
    runtime.tell_after(0.02, probe.ref, "first")
    cancelled = runtime.tell_after(0.03, probe.ref, "never")
    second = runtime.tell_after(0.04, probe.ref, "second")
    before = cancelled.pending
    cancelled.cancel()
    assert (before, cancelled.pending) == (True, False)
    for expected in ("first", "second", "third"):
        probe.expect(expected)
    assert runtime.now() >= start + 0.06
    assert not second.pending
    second.cancel()
    probe.expect_none()


def test_a_timer_in_the_past_fires_at_once(runtime: Runtime, probe: Probe) -> None:
    runtime.tell_at(runtime.now() - 3600, probe.ref, "late")
    probe.expect("late")


def test_timers_due_at_the_same_time_fire_in_the_order_in_which_they_were_set(runtime: Runtime, probe: Probe) -> None:
    due = runtime.now() + 0.01
    for number in range(10):
        runtime.tell_at(due, probe.ref, number)
    for number in range(10):
        probe.expect(number)


def test_wall_time_is_aware_and_utc(runtime: Runtime) -> None:
    assert runtime.wall_time().tzinfo is UTC


def test_send_to_a_dead_actor_is_a_dead_letter_and_no_error(runtime: Runtime, probe: Probe) -> None:
    letters: list[object] = []
    runtime.on_dead_letter = letters.append
    echo = Echo.start()
    echo.stop()
    runtime.send(echo, "too late")
    runtime.tell_after(0.0, echo, "later still")
    with pytest.raises(pykka.ActorDeadError):
        echo.tell("tell says it")
    probe.expect_none(within=0.05)
    assert letters == ["too late", "later still"]


def test_mail_behind_a_stop_becomes_dead_letters_and_asks_are_refused(runtime: Runtime, probe: Probe) -> None:
    letters: list[object] = []
    runtime.on_dead_letter = letters.append
    gate = threading.Event()

    class Slow(Actor):
        def on_receive(self, message: object) -> None:
            gate.wait(5)

    slow = Slow.start()
    slow.tell("busy")
    first, second = slow.stop(block=False), slow.stop(block=False)
    slow.tell("lost")
    asked = slow.ask("refused", block=False)
    gate.set()
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=1)
    assert first.get(timeout=1)
    assert second.get(timeout=1)
    assert slow.stop() is False
    assert letters == ["lost"]


def test_stopping_oneself_twice_leaves_no_dead_letter(runtime: Runtime, probe: Probe) -> None:
    letters: list[object] = []
    runtime.on_dead_letter = letters.append

    class Eager(Actor):
        def on_receive(self, message: object) -> None:
            self.stop()
            self.stop()

    eager = Eager.start()
    eager.tell("stop")
    probe.expect_stopped(eager)
    probe.expect_none(within=0.02)
    assert letters == []


def test_children_inherit_the_runtime(runtime: Runtime, probe: Probe) -> None:
    class Starter(Actor):
        def on_receive(self, message: object) -> None:
            Forwarder.start(probe).tell("from a child")

    Starter.start().tell("go")
    probe.expect("began")
    probe.expect("from a child")


def test_an_actor_needs_a_runtime() -> None:
    with pytest.raises(NoRuntime, match="Echo"):
        Echo.start()


def test_leaving_a_runtime_stops_its_actors_last_started_first_and_no_others() -> None:
    ended = []

    class Last(Actor):
        def on_stop(self) -> None:
            ended.append(self.name)

        def on_receive(self, message: str) -> None:
            self.name = message

    with Simulation() as outer:
        stays = Echo.start()
        for runtime in (Pool(2), Simulation()):
            with runtime:
                for name in ("a", "b", "c"):
                    Last.start().tell(name)
        assert ended == ["c", "b", "a"] * 2
        assert stays.is_alive()
        assert [name for name, _ in outer.mailboxes()] == ["Echo#1"]


def test_mailboxes_and_dump_tell_who_has_how_much_mail() -> None:
    with Simulation() as simulation:
        probe = Probe(simulation, "ear")
        busy = Forwarder.start(probe, "k3f")
        for _ in range(3):
            busy.tell(datetime.now(UTC))
        assert simulation.mailboxes() == [("_ProbeActor#1 ear", 0), ("Forwarder#2 k3f", 3)]
        dump = simulation.dump()
        assert f"3 in mail  Forwarder#2 k3f ({busy.actor_urn}) waiting" in dump
        assert "1 idle     _ProbeActor" in dump
        simulation.run()


def test_dump_tells_what_an_actor_is_at(runtime: Runtime, probe: Probe) -> None:
    class Introspective(Actor):
        def on_receive(self, message: int) -> None:
            probe.ref.tell(self.runtime.dump())

    Introspective.start().tell(1)
    assert "handling int" in probe.expect(str)
