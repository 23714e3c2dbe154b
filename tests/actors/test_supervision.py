"""Parents and children on both runtimes: who is told, who is started again, and who gives up."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pykka
import pytest

from actors.runtime import Runtime, Simulation
from actors.supervision import Child, ChildEnded, ChildFailed, ChildStopped, Parent
from messages.refs import Tells
from tests.probe import Probe


class Worker(Child):
    """Fails of exceptions, and tells a listener of its life."""

    def __init__(
        self, parent: Tells[ChildEnded], name: Hashable, to: pykka.ActorRef[Any], *, fail_in: str = ""
    ) -> None:
        super().__init__(parent, name)
        self._to, self._fail_in = to, fail_in

    def begin(self) -> None:
        self._to.tell(("began", self.name))
        if self._fail_in == "begin":
            raise ValueError("cannot begin")

    def end(self) -> None:
        self._to.tell(("ended", self.name))
        if self._fail_in == "end":
            raise ValueError("cannot end")

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message
        self._to.tell((self.name, message))


class Boss(Parent):
    """Does what it is told, which a test may be: a name to hire, or something to tell a child."""

    def __init__(self, to: pykka.ActorRef[Any], *, max_restarts: int = 3, window: float = 60.0) -> None:
        super().__init__()
        self.max_restarts, self.window = max_restarts, window
        self._to = to

    def on_receive(self, message: Any) -> Any:
        match message:
            case ("hire", name, fail_in):
                self.spawn(name, Worker, self._to, fail_in=fail_in)
            case ("tell", name, what):
                self.children[name].tell(what)
            case ("dismiss", name):
                self.dismiss(name)
            case Exception():
                raise message
            case "children":
                return list(self.children)
            case _:
                return super().on_receive(message)
        return None

    def child_stopped(self, name: Hashable) -> None:
        self._to.tell(("left", name))

    def give_up(self, name: Hashable, cause: BaseException) -> None:
        self._to.tell(("gave up", name, str(cause)))


def hire(boss: pykka.ActorRef[Any], probe: Probe, name: str = "w", fail_in: str = "") -> None:
    boss.tell(("hire", name, fail_in))
    probe.expect(("began", name))


def test_a_child_tells_its_parent_once_that_it_stopped(runtime: Runtime, probe: Probe) -> None:
    parent = Probe(runtime)
    child = Worker.start(parent.ref, "w", probe.ref)
    probe.expect(("began", "w"))
    child.stop()
    parent.expect(ChildStopped("w"))
    probe.expect(("ended", "w"))
    parent.expect_none(within=0.02)


@pytest.mark.parametrize("fail_in", ["begin", "handler"])
def test_a_child_tells_its_parent_once_that_it_failed(runtime: Runtime, probe: Probe, fail_in: str) -> None:
    parent = Probe(runtime)
    child = Worker.start(parent.ref, "w", probe.ref, fail_in=fail_in)
    runtime.send(child, ValueError("boom"))
    failed = parent.expect(ChildFailed)
    assert (failed.name, type(failed.cause)) == ("w", ValueError)
    parent.expect_none(within=0.02)
    probe.expect_failures()


def test_a_child_that_fails_while_ending_has_stopped_all_the_same(runtime: Runtime, probe: Probe) -> None:
    parent = Probe(runtime)
    Worker.start(parent.ref, "w", probe.ref, fail_in="end").stop()
    parent.expect(ChildStopped("w"))
    parent.expect_none(within=0.02)
    assert [str(failure.error) for failure in probe.expect_failures()] == ["cannot end"]


def test_a_failed_child_is_started_again_until_it_has_failed_too_often(runtime: Runtime, probe: Probe) -> None:
    boss = Boss.start(probe.ref)
    hire(boss, probe)
    for _ in range(3):
        boss.tell(("tell", "w", ValueError("boom")))
        probe.expect(("began", "w"))
    boss.tell(("tell", "w", ValueError("boom")))
    probe.expect(("gave up", "w", "boom"))
    probe.expect_none(within=0.02)
    assert boss.ask("children") == []
    probe.expect_failures(4)


def test_a_child_that_cannot_begin_is_started_again_and_then_given_up(runtime: Runtime, probe: Probe) -> None:
    boss = Boss.start(probe.ref, max_restarts=2)
    hire(boss, probe, fail_in="begin")
    probe.expect(("began", "w"))
    probe.expect(("began", "w"))
    probe.expect(("gave up", "w", "cannot begin"))
    probe.expect_failures(3)


def fail_every(simulation: Simulation, probe: Probe, seconds: float, times: int, **limits: Any) -> Any:
    boss = Boss.start(probe.ref, **limits)
    hire(boss, probe)
    for _ in range(times):
        simulation.run(seconds)
        boss.tell(("tell", "w", ValueError("boom")))
        simulation.run(0)
    simulation.claim_failures()
    return probe.messages()


def test_failures_outside_the_window_are_forgiven(simulation: Simulation, probe: Probe) -> None:
    assert fail_every(simulation, probe, 21.0, 10) == [("began", "w")] * 10


def test_a_failure_at_the_windows_edge_counts(simulation: Simulation, probe: Probe) -> None:
    assert fail_every(simulation, probe, 20.0, 4) == [("began", "w")] * 3 + [("gave up", "w", "boom")]


def test_an_infinite_window_forgives_nothing(simulation: Simulation, probe: Probe) -> None:
    messages = fail_every(simulation, probe, 86_400.0, 4, window=math.inf)
    assert messages == [("began", "w")] * 3 + [("gave up", "w", "boom")]


def test_no_restarts_means_that_the_first_failure_is_the_last(simulation: Simulation, probe: Probe) -> None:
    assert fail_every(simulation, probe, 1.0, 1, max_restarts=0) == [("gave up", "w", "boom")]


def test_one_childs_failures_do_not_count_for_another(simulation: Simulation, probe: Probe) -> None:
    boss = Boss.start(probe.ref, max_restarts=1)
    hire(boss, probe, "a")
    hire(boss, probe, "b")
    for name in ("a", "b"):
        boss.tell(("tell", name, ValueError("boom")))
        probe.expect(("began", name))
    simulation.claim_failures()


def test_a_stopped_child_is_forgotten_and_its_name_free(runtime: Runtime, probe: Probe) -> None:
    boss = Boss.start(probe.ref)
    hire(boss, probe)
    boss.tell(("dismiss", "w"))
    boss.tell(("dismiss", "nobody"))
    probe.expect(("ended", "w"))
    probe.expect(("left", "w"))
    assert boss.ask("children") == []
    hire(boss, probe)


def test_a_name_is_given_once(runtime: Runtime, probe: Probe) -> None:
    boss = Boss.start(probe.ref)
    hire(boss, probe)
    with pytest.raises(ValueError, match="'w' exists already"):
        boss.ask(("hire", "w", ""))


def test_a_dismissed_child_that_fails_on_the_way_is_not_started_again(simulation: Simulation, probe: Probe) -> None:
    boss = Boss.start(probe.ref)
    hire(boss, probe)
    boss.tell(("tell", "w", ValueError("boom")))
    boss.tell(("dismiss", "w"))
    simulation.run()
    assert probe.messages() == [("left", "w")]
    simulation.claim_failures()


@pytest.mark.parametrize("how", ["stop", "fail"])
def test_a_parent_takes_its_children_along(runtime: Runtime, probe: Probe, how: str) -> None:
    boss = Boss.start(probe.ref)
    hire(boss, probe, "a")
    hire(boss, probe, "b")
    if how == "stop":
        boss.stop()
    else:
        boss.tell(ValueError("boom"))
    assert {probe.expect(tuple), probe.expect(tuple)} == {("ended", "a"), ("ended", "b")}
    probe.expect_none(within=0.02)
    runtime.claim_failures()


def test_a_childs_late_end_is_no_dead_letter_but_a_late_failure_is(simulation: Simulation, probe: Probe) -> None:
    parent = Probe(simulation)
    good, bad = (Worker.start(parent.ref, name, probe.ref) for name in ("good", "bad"))
    parent.ref.stop()
    good.stop()
    bad.tell(ValueError("boom"))
    simulation.run()
    assert [type(letter) for letter in simulation.dead_letters] == [ChildFailed]
    simulation.claim_failures()


class Manager(Parent, Child):
    """Both at once, as SignalGate is: has a parent, and children."""

    def __init__(
        self, parent: Tells[ChildEnded], name: Hashable, to: pykka.ActorRef[Any], *, fail_in: str = ""
    ) -> None:
        super().__init__(parent, name)
        self._to, self._fail_in = to, fail_in

    def begin(self) -> None:
        self.spawn("hand", Worker, self._to)
        if self._fail_in == "begin":
            raise ValueError("cannot begin")

    def end(self) -> None:
        self._to.tell("manager ended")

    def on_receive(self, message: Any) -> Any:
        if message == "hurt":
            self.children["hand"].tell(ValueError("boom"))
            return None
        return super().on_receive(message)


class Root(Boss):
    def begin(self) -> None:
        self.spawn("manager", Manager, self._to)


def test_a_class_may_be_parent_and_child(simulation: Simulation, probe: Probe) -> None:
    parent = Probe(simulation)
    manager = Manager.start(parent.ref, "manager", probe.ref)
    probe.expect(("began", "hand"))
    manager.stop()
    parent.expect(ChildStopped("manager"))
    assert sorted(map(str, probe.messages())) == ["('ended', 'hand')", "manager ended"]


def test_a_parent_that_cannot_begin_takes_its_children_along(simulation: Simulation, probe: Probe) -> None:
    parent = Probe(simulation)
    Manager.start(parent.ref, "manager", probe.ref, fail_in="begin")
    parent.expect(ChildFailed)
    simulation.run()
    assert probe.messages() == [("began", "hand"), ("ended", "hand")]
    simulation.claim_failures()


def test_giving_up_fails_the_parent_of_the_same_cause_by_default(simulation: Simulation, probe: Probe) -> None:
    parent = Probe(simulation)
    manager = Manager.start(parent.ref, "manager", probe.ref)
    for _ in range(4):
        probe.fish_for(lambda message: message == ("began", "hand"))
        manager.tell("hurt")
    failed = parent.expect(ChildFailed)
    assert (failed.name, str(failed.cause)) == ("manager", "boom")
    probe.expect_failures(5)


def test_a_restarted_parent_starts_its_own_children_again(simulation: Simulation, probe: Probe) -> None:
    root = Root.start(probe.ref)
    probe.expect(("began", "hand"))
    root.tell(("tell", "manager", ChildFailed("nobody", ValueError())))
    simulation.run()
    assert ("began", "hand") in probe.messages()
    probe.expect_failures()


def test_what_a_parent_does_not_know_goes_to_pykka(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    Parent.start().tell("what?")
    simulation.run()
    assert "Unexpected message" in caplog.text
