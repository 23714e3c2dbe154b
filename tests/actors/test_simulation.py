"""Virtual time, seeds, and what a simulation tells about a failed test."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.runtime import EPOCH, Actor, BlockedTurn, Deadlock, Future, Simulation, UnclaimedFailures
from tests.probe import Probe


@dataclass(frozen=True, slots=True)
class Hop:
    left: int


class Hopper(Actor):
    """Passes a token around, sometimes with a pause of random length."""

    def __init__(self, log: list[tuple[float, int, int]], peers: list[pykka.ActorRef[Hopper]]) -> None:
        super().__init__()
        self._log, self._peers = log, peers

    def on_receive(self, message: Hop) -> None:
        assert isinstance(self.runtime, Simulation)
        self._log.append((self.runtime.now(), self._peers.index(self.actor_ref), message.left))
        if message.left:
            peer, hop = self._peers[message.left * 7 % len(self._peers)], Hop(message.left - 1)
            if message.left % 3:
                peer.tell(hop)
            else:
                self.runtime.tell_after(self.runtime.stream("latency").random(), peer, hop)


def course(seed: int, *, disturb: Callable[[Simulation], None] = lambda _: None, **stalls: float) -> list[Any]:
    with Simulation(seed, **stalls) as simulation:
        disturb(simulation)
        log: list[tuple[float, int, int]] = []
        peers: list[pykka.ActorRef[Hopper]] = []
        peers.extend(Hopper.start(log, peers) for _ in range(10))
        for peer in peers:
            peer.tell(Hop(40))
        simulation.run()
        return log


def test_the_same_seed_takes_the_same_course_and_another_seed_another() -> None:
    assert course(1) == course(1)
    assert course(1) != course(2)
    assert len(course(1)) == 410


def test_drawing_more_from_one_stream_shifts_no_other() -> None:
    def draw_faults(simulation: Simulation) -> None:
        simulation.stream("faults").random()

    assert course(1, disturb=draw_faults) == course(1)


def test_streams_differ_by_name_and_by_seed_and_go_on_where_they_were() -> None:
    first, second = Simulation(1), Simulation(2)
    assert first.stream("market") is first.stream("market")
    draws = {simulation.stream(name).random() for simulation in (first, second) for name in ("market", "latency")}
    assert len(draws) == 4
    assert Simulation(1).stream("market").random() in draws


def test_a_day_passes_in_two_steps(simulation: Simulation, probe: Probe) -> None:
    simulation.tell_after(86_400, probe.ref, "tomorrow")
    probe.expect("tomorrow", within=90_000)
    assert simulation.now() == 86_400


def test_wall_time_begins_at_the_epoch_goes_with_virtual_time_and_can_step(simulation: Simulation) -> None:
    assert simulation.wall_time() == EPOCH
    simulation.run(90)
    simulation.step_clock(-30)
    assert simulation.wall_time() == EPOCH + timedelta(seconds=60)
    assert simulation.now() == 90


def test_run_goes_on_until_nothing_is_left_and_run_for_seconds_ends_on_time(
    simulation: Simulation, probe: Probe
) -> None:
    for due in (1, 2, 3):
        simulation.tell_at(due, probe.ref, due)
    simulation.run(2)
    assert probe.messages() == [1, 2]
    simulation.run()
    assert simulation.now() == 3
    assert probe.messages() == [3]


def test_run_until_says_whether_it_happened(simulation: Simulation, probe: Probe) -> None:
    simulation.tell_at(5, probe.ref, "now")
    assert not simulation.run_until(lambda: simulation.now() >= 5, 4)
    assert simulation.now() == 4
    assert simulation.run_until(lambda: simulation.now() >= 5)
    assert not simulation.run_until(lambda: False)


def test_an_ask_times_out_in_virtual_time(simulation: Simulation) -> None:
    future = Future()
    with pytest.raises(pykka.Timeout, match="10"):
        future.get(timeout=10)
    assert simulation.now() == 10
    future.set("late")
    assert future.get(timeout=0) == "late"


def test_a_wait_that_can_never_end_is_an_error(simulation: Simulation) -> None:
    with pytest.raises(Deadlock):
        Future().get()


class Asker(Actor):
    def on_receive(self, message: pykka.ActorRef[Any]) -> Any:
        return message.ask("well?")


def test_an_actor_that_waits_for_another_is_an_error(simulation: Simulation, probe: Probe) -> None:
    asker = Asker.start()
    with pytest.raises(BlockedTurn):
        asker.ask(probe.ref)
    asker.tell(probe.ref)
    simulation.run()
    (failure,) = simulation.claim_failures()
    assert isinstance(failure.error, BlockedTurn)


def test_an_actor_cannot_run_its_simulation(simulation: Simulation) -> None:
    class Meddler(Actor):
        def on_receive(self, message: object) -> None:
            simulation.run()

    with pytest.raises(BlockedTurn):
        Meddler.start().ask("go")


class Victim(Actor):
    def on_receive(self, message: BaseException) -> None:
        raise message


def test_a_failure_that_nobody_claims_fails_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        with Simulation(7) as simulation:
            Victim.start().tell(ValueError("unseen"))
            simulation.run()

    with pytest.raises(UnclaimedFailures, match="unseen") as caught:
        body()
    assert caught.value.seed == 7
    assert [str(failure.error) for failure in caught.value.failures] == ["unseen"]
    assert "Simulation(seed=7)" in capsys.readouterr().err


@dataclass(frozen=True, slots=True)
class Fill:
    quantity: str


def test_dead_letters_are_kept_and_critical_ones_fail_the_test() -> None:
    def body(critical: tuple[type, ...]) -> None:
        with Simulation() as simulation:
            simulation.critical_letters = critical
            gone = Victim.start()
            gone.stop()
            simulation.send(gone, Fill("1"))
            assert simulation.dead_letters == [Fill("1")]

    body(critical=())
    with pytest.raises(UnclaimedFailures, match="Fill"):
        body(critical=(Fill,))


def test_what_is_critical_only_later_was_not_when_it_was_lost() -> None:
    with Simulation() as simulation:
        gone = Victim.start()
        gone.stop()
        simulation.send(gone, Fill("1"))
        simulation.critical_letters = (Fill,)
    assert simulation.dead_letters == [Fill("1")]


def test_mail_that_is_lost_in_closing_is_no_dead_letter() -> None:
    with Simulation() as simulation:
        simulation.critical_letters = (Fill,)
        victim = Victim.start()
        victim.stop(block=False)
        victim.tell(Fill("1"))
    assert simulation.dead_letters == []


def test_ctrl_c_is_no_failure_of_which_the_story_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        with Simulation(7) as simulation:
            simulation.run(1.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        body()
    assert capsys.readouterr().err == ""


def test_a_failed_test_prints_the_seed_and_the_last_messages(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        with Simulation(99) as simulation:
            probe = Probe(simulation, "ear")
            for number in range(250):
                probe.ref.tell(Hop(number))
            simulation.run(1.5)
            raise LookupError("the test failed")

    with pytest.raises(LookupError):
        body()
    lines = capsys.readouterr().err.splitlines()
    assert "Simulation(seed=99) at 1.500000 s" in lines[0]
    assert len(lines) == 201
    assert "Hop(left=50)" in lines[1]
    assert "_ProbeActor#1 ear" in lines[200]
    assert "Hop(left=249)" in lines[200]


def test_after_a_failed_test_no_hook_runs_and_no_actor_is_left() -> None:
    ended = []

    class Talker(Actor):
        def on_stop(self) -> None:
            ended.append(self)

    def body() -> None:
        with Simulation() as simulation:
            Talker.start()
            simulation.run()
            Talker.start().tell("unread")
            raise LookupError

    before = pykka.ActorRegistry.get_all()
    with pytest.raises(LookupError):
        body()
    assert ended == []
    assert pykka.ActorRegistry.get_all() == before


def test_the_story_tells_of_starts_deaths_and_dead_letters(simulation: Simulation) -> None:
    victim = Victim.start()
    victim.tell(ValueError("here"))
    victim.tell("behind")
    simulation.run()
    story = simulation.story()
    assert "'(start)'" in story
    assert "ValueError('here')" in story
    assert "dead letter: 'behind'" in story
    assert "failed: Victim#1" in story
    simulation.claim_failures()


def test_a_story_is_as_long_as_is_wished(simulation: Simulation) -> None:
    probe = Probe(simulation)
    simulation.remember(3)
    for number in range(9):
        probe.ref.tell(number)
    simulation.run(0.0)
    assert [line.split()[-1] for line in simulation.story().splitlines()[1:4]] == ["6", "7", "8"]


def test_stalls_may_begin_and_end_at_any_time(simulation: Simulation) -> None:
    probe = Probe(simulation)
    simulation.run(0.0)
    simulation.stall(1.0, 5.0)
    probe.ref.tell("late")
    simulation.run(0.0)
    assert probe.messages() == []
    simulation.stall(0.0)
    simulation.run(5.0)
    assert probe.messages() == ["late"]


def test_what_is_cancelled_when_it_is_nearly_due_may_come_but_only_once_and_not_before(simulation: Simulation) -> None:
    probe = Probe(simulation)
    simulation.run(0.0)
    simulation.cancel_late(1.0, 0.025)
    timers = [simulation.tell_after(delay, probe.ref, delay) for delay in (0.01, 0.02, 0.03)]
    for timer in timers:
        timer.cancel()
    assert not any(timer.pending for timer in timers)
    for timer in timers:
        timer.cancel()
    simulation.run(0.015)
    assert probe.messages() == [0.01]
    simulation.run()
    assert probe.messages() == [0.02]
    simulation.cancel_late(0.0)
    simulation.tell_after(0.01, probe.ref, "never").cancel()
    simulation.run()
    assert probe.messages() == []


def test_stalls_put_actors_off_but_lose_nothing() -> None:
    with Simulation(3, stall_probability=0.3, stall_seconds=2.0) as simulation:
        probe = Probe(simulation)
        for number in range(100):
            probe.ref.tell(number)
        simulation.run()
        assert probe.messages() == list(range(100))
        assert 5 < simulation.now() < 200
    assert course(1, stall_probability=0.1) == course(1, stall_probability=0.1)
    assert len(course(1, stall_probability=0.1)) == 410


def test_what_no_handler_should_raise_comes_up_to_the_test_and_ends_only_its_actor(simulation: Simulation) -> None:
    bystander, victim = Probe(simulation), Victim.start()
    victim.tell(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        simulation.run()
    assert not victim.is_alive()
    assert [failure.error.__class__ for failure in simulation.claim_failures()] == [KeyboardInterrupt]
    bystander.ref.tell("still there")
    bystander.expect("still there")


def test_who_asked_for_what_ends_an_actor_is_refused(simulation: Simulation) -> None:
    future = Victim.start().ask(SystemExit(), block=False)
    with pytest.raises(SystemExit):
        simulation.run()
    with pytest.raises(pykka.ActorDeadError):
        future.get()
    simulation.claim_failures()


def test_a_stop_during_another_exception_is_a_plain_stop(simulation: Simulation) -> None:
    victim = Victim.start()
    try:
        raise SystemExit
    except SystemExit:
        assert victim.stop()
    assert simulation.failures == []


def test_money_never_mixes_with_floats_inside_a_simulation_and_may_outside() -> None:
    before = decimal.getcontext().traps.copy()
    with Simulation() as simulation:

        class Mixer(Actor):
            def on_receive(self, message: float) -> bool:
                return Decimal(1) < message

        with pytest.raises(decimal.FloatOperation):
            Mixer.start().ask(0.5)
        simulation.run()
    assert decimal.getcontext().traps == before


def test_the_pick_is_fair(simulation: Simulation) -> None:
    order: list[int] = []

    class Marker(Actor):
        def on_receive(self, message: int) -> None:
            order.append(message)

    for number in range(50):
        Marker.start().tell(number)
    simulation.run()
    assert sorted(order) == list(range(50))
    assert order != sorted(order)
