"""The probe, on both runtimes: what passes, and what fails with a message that helps."""

from __future__ import annotations

import pytest

from actors.runtime import Actor, Runtime, Simulation
from tests.probe import Probe


def test_expect_takes_a_value_or_a_type_and_returns_the_message(runtime: Runtime, probe: Probe) -> None:
    for message in (1, "two", 3):
        probe.ref.tell(message)
    assert probe.expect(1) == 1
    assert probe.expect(str).upper() == "TWO"
    with pytest.raises(AssertionError, match=r"expected 4, got 3"):
        probe.expect(4)


def test_expect_says_what_it_got_instead_of_a_type(runtime: Runtime, probe: Probe) -> None:
    probe.ref.tell(1)
    with pytest.raises(AssertionError, match=r"expected str, got 1"):
        probe.expect(str)


def test_expect_fails_when_nothing_comes_in_time(runtime: Runtime, probe: Probe) -> None:
    runtime.tell_after(60, probe.ref, "late")
    with pytest.raises(AssertionError, match=r"expected 'late' within 0.01 s, got nothing"):
        probe.expect("late", within=0.01)


def test_expect_waits_for_what_comes_in_time(runtime: Runtime, probe: Probe) -> None:
    runtime.tell_after(0.02, probe.ref, "soon")
    probe.expect("soon")


def test_expect_none_fails_of_a_message(runtime: Runtime, probe: Probe) -> None:
    probe.expect_none(within=0.01)
    probe.ref.tell("hello")
    with pytest.raises(AssertionError, match=r"expected nothing for 0.1 s, got 'hello'"):
        probe.expect_none()


def test_an_hour_of_silence_is_proved_in_virtual_time(simulation: Simulation, probe: Probe) -> None:
    simulation.tell_after(3600.5, probe.ref, "after an hour")
    probe.expect_none(within=3600)
    assert simulation.now() == 3600
    probe.expect("after an hour")


def test_fish_for_drops_what_does_not_fit(runtime: Runtime, probe: Probe) -> None:
    for number in range(10):
        probe.ref.tell(number)
    assert probe.fish_for(lambda number: number > 6) == 7
    probe.expect(8)
    with pytest.raises(AssertionError, match=r"no such message within 0.02 s, only \[9\]"):
        probe.fish_for(lambda number: number > 100, within=0.02)


def test_fish_for_has_one_deadline_for_all_it_drops(simulation: Simulation, probe: Probe) -> None:
    for second in range(1, 10):
        simulation.tell_at(second, probe.ref, second)
    with pytest.raises(AssertionError, match=r"only \[1, 2, 3\]"):
        probe.fish_for(lambda _: False, within=3.5)
    assert simulation.now() == 3.5


def test_expect_stopped_waits_for_the_end_of_an_actor(runtime: Runtime, probe: Probe) -> None:
    class Idle(Actor):
        pass

    idle = Idle.start()
    with pytest.raises(AssertionError, match="lives on"):
        probe.expect_stopped(idle, within=0.01)
    idle.stop(block=False)
    probe.expect_stopped(idle)


def test_messages_drains_in_order(simulation: Simulation, probe: Probe) -> None:
    for number in range(3):
        probe.ref.tell(number)
    assert probe.messages() == [0, 1, 2]
    assert probe.messages() == []


def test_messages_takes_what_has_come_on_a_pool(runtime: Runtime, probe: Probe) -> None:
    probe.ref.tell(1)
    probe.ref.tell(2)
    probe.expect(1)
    runtime.tell_after(60, probe.ref, "not yet")
    assert probe.ref.ask("a question", timeout=1) is None
    assert probe.messages() == [2, "a question"]
