"""Crashes of one node: what is lost, what is not, and that the others never notice by an error."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pykka
import pytest

from actors.runtime import EPOCH, Actor, Node, NodeCrashed, Simulation
from tests.probe import Probe


class Clerk(Actor):
    """Tells a listener of everything that happens to it; does what it is told."""

    def __init__(self, to: pykka.ActorRef[Any], name: str = "") -> None:
        super().__init__()
        self.name, self._to = name, to

    def on_start(self) -> None:
        self._to.tell("began")

    def on_stop(self) -> None:
        self._to.tell("ended")

    def on_failure(self, *_: object) -> None:
        self._to.tell("failed")

    def on_receive(self, message: Any) -> None:
        match message:
            case Node():
                self._to.tell("crashing")
                try:
                    message.crash()
                finally:
                    self.runtime.send(self.actor_ref, "into the void")
                self._to.tell("crashed")
            case (float(delay), ref, later):
                self.runtime.tell_after(delay, ref, later)
            case "hire":
                Clerk.start(self._to, "hired")
            case _:
                self._to.tell((self.name, message))


@pytest.fixture
def daemon(simulation: Simulation) -> Node:
    return simulation.node("daemon")


def test_a_crash_takes_the_nodes_actors_without_a_hook_and_leaves_the_others(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    with simulation.node("venue"):
        other = Clerk.start(probe.ref, "venue")
    simulation.run()
    assert probe.messages() == ["began", "began"]
    clerk.tell("unread")
    daemon.crash()
    assert not clerk.is_alive()
    assert clerk not in pykka.ActorRegistry.get_all()
    other.tell("hello")
    simulation.run()
    assert probe.messages() == [("venue", "hello")]
    assert daemon.crashes == 1


def test_children_belong_to_the_node_of_their_parent(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    clerk.tell("hire")
    simulation.run()
    assert [label for label, _ in simulation.mailboxes()] == ["_ProbeActor#1 probe", "Clerk#2", "Clerk#3 hired"]
    daemon.crash()
    assert [label for label, _ in simulation.mailboxes()] == ["_ProbeActor#1 probe"]


def test_what_is_told_to_a_crashed_node_vanishes_and_asks_are_refused(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        clerk, stopped = Clerk.start(probe.ref), Clerk.start(probe.ref)
    stopped.stop()
    waiting = clerk.ask("unread", block=False)
    daemon.crash()
    for ref in (clerk, stopped):
        ref.tell("anyone?")
        simulation.send(ref, "anyone?")
        simulation.tell_after(1, ref, "anyone?")
        assert ref.stop() is False
    simulation.run()
    assert simulation.dead_letters == []
    with pytest.raises(pykka.ActorDeadError):
        waiting.get()
    with pytest.raises(pykka.ActorDeadError):
        clerk.ask("anyone?")


def test_timers_aimed_at_a_crashed_node_are_gone_and_those_of_others_stay(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    clerk.tell((5.0, clerk, "to myself"))
    simulation.tell_after(5, clerk, "from outside")
    simulation.tell_after(6, probe.ref, "not concerned")
    simulation.tell_after(7, probe.ref, "cancelled").cancel()
    simulation.run(1)
    probe.messages()
    daemon.crash()
    simulation.run()
    assert probe.messages() == ["not concerned"]
    assert simulation.now() == 6


def transit(seed: int) -> float | None:
    """Return when a message arrives that a node had under way, due at 5, as it crashed at 1."""
    with Simulation(seed) as simulation:
        probe, daemon = Probe(simulation), simulation.node("daemon")
        with daemon:
            clerk = Clerk.start(probe.ref)
        clerk.tell((5.0, probe.ref, "order"))
        simulation.run(1)
        probe.messages()
        daemon.crash()
        simulation.run()
        return simulation.now() if probe.messages() == ["order"] else None


def test_what_a_crashed_node_had_under_way_is_lost_kept_or_late_by_seed() -> None:
    fates = Counter("lost" if at is None else "kept" if at == 5 else "late" for at in map(transit, range(60)))
    assert min(fates["lost"], fates["kept"], fates["late"]) >= 10
    arrivals = [at for at in map(transit, range(60)) if at is not None]
    assert min(arrivals) == 5
    assert 5 < max(arrivals) <= 15
    assert [transit(seed) for seed in range(20)] == [transit(seed) for seed in range(20)]


def test_a_node_can_be_used_again_after_a_crash(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    with daemon:
        Clerk.start(probe.ref)
        daemon.crash()
        again = Clerk.start(probe.ref, "again")
    again.tell("hello")
    simulation.run()
    assert probe.messages() == ["began", ("again", "hello")]
    daemon.crash()
    assert not again.is_alive()
    with daemon:
        Clerk.start(probe.ref)
    simulation.run()
    assert probe.messages() == ["began"]


def test_callbacks_run_at_every_crash(simulation: Simulation, daemon: Node) -> None:
    tails = []
    daemon.on_crash(lambda: tails.append("lost"))
    daemon.crash()
    daemon.crash()
    assert tails == ["lost", "lost"]


def test_a_node_crashes_after_the_message_it_was_told_to_crash_at(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    for number in range(5):
        clerk.tell(number)
    simulation.crash_at(daemon, 3)
    simulation.run()
    assert probe.messages() == ["began", ("", 0), ("", 1)]
    assert (daemon.handled, daemon.crashes) == (3, 1)
    with daemon:
        Clerk.start(probe.ref)
    daemon.crash_at(4)
    simulation.run()
    assert (daemon.handled, daemon.crashes) == (4, 2)


def test_a_crash_from_within_a_handler_ends_it_there(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    clerk.tell(daemon)
    simulation.run()
    assert probe.messages() == ["began", "crashing"]
    assert simulation.failures == []
    assert simulation.dead_letters == []
    assert daemon.handled == 1


def test_who_asks_for_the_crash_of_the_asked_is_refused(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    with pytest.raises(pykka.ActorDeadError):
        clerk.ask(daemon)


def test_a_crash_caused_by_another_nodes_handler_lets_that_go_on(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        victim = Clerk.start(probe.ref)
    Clerk.start(probe.ref).tell(daemon)
    simulation.run()
    assert [message for message in probe.messages() if isinstance(message, str)][-2:] == ["crashing", "crashed"]
    assert not victim.is_alive()


def test_a_handler_that_survives_its_own_crash_can_still_do_nothing(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    tried = []

    class Ghost(Actor):
        def on_receive(self, message: str) -> None:
            with pytest.raises(NodeCrashed):
                daemon.crash()
            tried.append(message)
            if message == "timer":
                self.runtime.tell_after(1, probe.ref, "haunting")
            else:
                Clerk.start(probe.ref)
            tried.append("never")

    for message in ("timer", "child"):
        with daemon:
            Ghost.start().tell(message)
        simulation.run()
    assert tried == ["timer", "child"]
    assert probe.messages() == []


def test_a_crash_while_ending_or_starting_is_a_crash(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    class Fragile(Actor):
        def __init__(self, when: str) -> None:
            super().__init__()
            self._when = when

        def on_start(self) -> None:
            if self._when == "start":
                daemon.crash()

        def on_stop(self) -> None:
            if self._when == "stop":
                daemon.crash()

    for when in ("start", "stop"):
        with daemon:
            fragile = Fragile.start(when)
        fragile.stop()
        probe.expect_stopped(fragile)
    assert daemon.crashes == 2
    assert simulation.failures == []


def test_stalled_actors_of_a_crashed_node_do_not_come_back() -> None:
    with Simulation(1, stall_probability=0.99, stall_seconds=5.0) as simulation:
        probe, daemon = Probe(simulation), simulation.node("daemon")
        with daemon:
            for _ in range(10):
                Clerk.start(probe.ref)
        simulation.run(0.0)
        daemon.crash()
        simulation.run()
        assert daemon.handled + len(probe.messages()) <= 2


def test_mail_to_the_dead_waiting_to_be_refused_is_gone_with_the_crash(
    simulation: Simulation, daemon: Node, probe: Probe
) -> None:
    with daemon:
        clerk = Clerk.start(probe.ref)
    clerk.stop(block=False)
    clerk.tell("behind the stop")
    clerk.tell("and another")
    daemon.crash_at(1)
    simulation.run()
    assert simulation.dead_letters == []


def test_each_node_has_a_clock_that_can_be_wrong(simulation: Simulation, daemon: Node, probe: Probe) -> None:
    class Watch(Actor):
        def on_receive(self, message: object) -> None:
            probe.ref.tell(self.runtime.wall_time() - EPOCH)

    with daemon:
        wrong = Watch.start()
    right = Watch.start()
    daemon.step_clock(2.5)
    wrong.tell("time?")
    probe.expect(timedelta(seconds=2.5))
    right.tell("time?")
    probe.expect(timedelta(0))


def test_a_node_is_known_by_its_name(simulation: Simulation) -> None:
    assert simulation.node("daemon") is simulation.node("daemon")
    assert simulation.node("daemon") is not simulation.node("venue")


def count_handled(seed: int, crash_at: int | None) -> tuple[int, int]:
    with Simulation(seed) as simulation:
        probe, daemon = Probe(simulation), simulation.node("daemon")
        with daemon:
            for _ in range(3):
                Clerk.start(probe.ref).tell("work")
        if crash_at is not None:
            simulation.crash_at(daemon, crash_at)
        simulation.run()
        return daemon.handled, daemon.crashes


@pytest.mark.seeds(default=5)
def test_every_message_can_be_a_crash_point(seed: int) -> None:
    total, _ = count_handled(seed, None)
    assert total == 6
    for point in range(1, total + 1):
        assert count_handled(seed, point) == (point, 1)
    assert count_handled(seed, total + 1) == (total, 0)
