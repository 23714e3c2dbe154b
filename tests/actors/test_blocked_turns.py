"""An actor that waits inside its turn in virtual time, as the journal's does for a slow disk."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime import Actor, BlockedTurn, Node, Simulation
from messages.refs import Tells
from tests.probe import Probe


class Writer(Actor):
    """Waits for as long as it is told, and then says when it is."""

    def __init__(self, to: Tells[Any]) -> None:
        super().__init__()
        self._to = to

    def on_stop(self) -> None:
        self._wait(60.0)

    def on_receive(self, message: Any) -> None:
        match message:
            case float(seconds):
                self._wait(seconds)
            case Node():
                message.crash()
        self._to.tell((message, self.runtime.now()))

    def _wait(self, seconds: float) -> None:
        assert isinstance(self.runtime, Simulation)
        self.runtime.block(seconds)


def test_while_one_waits_the_others_go_on_and_its_own_mail_stays(simulation: Simulation, probe: Probe) -> None:
    slow, other = Writer.start(probe.ref), Writer.start(probe.ref)
    slow.tell(3.0)
    slow.tell("behind it")
    simulation.tell_after(1.0, other, "beside it")
    simulation.run()
    assert probe.messages() == [("beside it", 1.0), (3.0, 3.0), ("behind it", 3.0)]


def test_two_may_wait_at_the_same_time_and_time_never_goes_back(simulation: Simulation, probe: Probe) -> None:
    first, second = Writer.start(probe.ref), Writer.start(probe.ref)
    first.tell(3.0)
    simulation.tell_after(1.0, second, 12.0)
    simulation.run(5.0)
    assert simulation.now() == 13.0
    assert probe.messages() == [(12.0, 13.0), (3.0, 13.0)]


def test_a_run_ends_after_the_turn_that_was_blocked_beyond_its_deadline(simulation: Simulation, probe: Probe) -> None:
    slow = Writer.start(probe.ref)
    for _ in range(3):
        slow.tell(2.0)
    assert not simulation.run_until(lambda: False, 3.0)
    assert simulation.now() == 4.0
    simulation.run()
    assert simulation.now() == 6.0


def test_a_crash_of_its_node_is_the_end_of_its_wait_and_of_its_turn(simulation: Simulation, probe: Probe) -> None:
    node = simulation.node("daemon")
    with node:
        slow, other = Writer.start(probe.ref), Writer.start(probe.ref)
    slow.tell(30.0)
    simulation.tell_after(1.0, other, node)
    simulation.run()
    assert (simulation.now(), node.crashes) == (1.0, 1)
    assert probe.messages() == []
    assert simulation.failures == []
    with node:
        Writer.start(probe.ref).tell(2.0)
    simulation.run()
    assert probe.messages() == [(2.0, 3.0)]


def test_a_crash_at_a_message_ends_a_wait_too(simulation: Simulation, probe: Probe) -> None:
    node = simulation.node("daemon")
    with node:
        slow, other = Writer.start(probe.ref), Writer.start(probe.ref)
    slow.tell(30.0)
    simulation.tell_after(1.0, other, "its last")
    node.crash_at(3)  # Two starts, for a turn that is not over is not counted, and this.
    simulation.run()
    assert (simulation.now(), probe.messages()) == (1.0, [("its last", 1.0)])


def test_who_is_not_at_work_cannot_be_made_to_wait(simulation: Simulation) -> None:
    with pytest.raises(BlockedTurn):
        simulation.block(1.0)


class Nobody:
    """Takes no notice."""

    def tell(self, message: Any, /) -> None: ...


def test_what_is_being_closed_waits_for_nothing() -> None:
    with Simulation() as simulation:
        Writer.start(Nobody())
        simulation.run()
    assert simulation.now() == 0.0
