"""Five slices with an unknown outcome and a cancel, disturbed at each message and each step to the world in turn.

A step is an append to the journal, whatever the venue is told, its answer, or what comes on a stream: each is where a
crash, a failure, a delay or a repetition strikes, once or for half a minute. A sample of them is tried at every test
run, all of them with `TIDEGATE_STEPS=all` (`make soak`).
"""

from __future__ import annotations

import os
from functools import cache
from itertools import count
from typing import get_args

import pytest

from actors.runtime import Simulation
from adapters import exits
from adapters.simulation import parse_export
from messages.market import WatchMarket
from messages.order import VenueCommand
from tests.simulation.steps import EXCLUDED, KINDS, Do, Kind, Steps, play
from tests.simulation.test_crashes import everything_known
from tests.simulation.whole import Stage, by_hand

ALL = bool(os.environ.get("TIDEGATE_STEPS"))
FEWEST_STEPS, FEWEST_MESSAGES = 230, 650
LASTING = (Do.FAIL, Do.DELAY, Do.LONG_DELAY, Do.DUPLICATE)


def ends(steps: Steps) -> set[int]:
    """With which codes a daemon may end by itself: its journal failed or fell silent, or a start waited in vain."""
    struck = steps.taken[steps.at - 1] if 0 < steps.at <= len(steps.taken) else None
    failing = steps.do in {Do.FAIL, Do.FAIL_STORED}
    match struck:
        case Kind.APPEND:
            return {exits.JOURNAL} if failing else {exits.INVARIANT} if steps.do is Do.DUPLICATE else set()
        case Kind.READ:
            silent = (
                steps.lasting and steps.do is Do.LONG_DELAY
            )  # Two of these, and the journal has not answered for 20 s.
            return {exits.JOURNAL} if failing else {exits.ERROR} if silent else set()
        case Kind.EVENT:
            return {exits.UNAVAILABLE} if failing else set()
        case _:
            return {exits.UNAVAILABLE} if failing and steps.lasting else set()


def judge(stage: Stage, steps: Steps) -> None:
    """Check that all came to its end, that nothing is unknown, and that journal and exchange agree."""
    assert everything_known(stage), "something is still unknown"
    assert stage.world.stop().exit_code == 0
    stage.check_safety()
    by_hand(parse_export(stage.world.export()), stage.world.exchange.truth(), ())
    assert stage.sim.failures == []
    assert steps.ends() - {0} <= ends(steps)


def test_undisturbed_it_has_an_unknown_outcome_a_fence_a_cancel_and_every_kind_of_step() -> None:
    with Simulation(1) as simulation:
        steps = Steps(simulation)
        stage = play(simulation, steps)
        judge(stage, steps)
    for kind in ("ChildUnknown", "ChildAbsent", "ChildCancelRequested", "ExecutionCancelRequested"):
        assert stage.count(kind) == 1
    assert set(steps.taken) == set(Kind)
    assert len(steps.taken) >= FEWEST_STEPS
    assert stage.world.daemon_node.handled >= FEWEST_MESSAGES


def test_whatever_the_venue_can_be_told_is_a_step() -> None:
    assert set(KINDS) == {*get_args(VenueCommand), WatchMarket}


def test_an_order_that_is_repeated_on_its_way_is_executed_twice_so_that_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = [at for at, kind in enumerate(undisturbed(), 1) if kind is Kind.ORDER][-1]
    monkeypatch.delitem(EXCLUDED, (Do.DUPLICATE, Kind.ORDER))
    assert set(EXCLUDED) == {(Do.DUPLICATE, Kind.READ)}, "nothing else is left out"
    with Simulation(1) as simulation:
        stage = play(simulation, Steps(simulation, last, Do.DUPLICATE))
        with pytest.raises(AssertionError, match="S4"):
            stage.check_safety()


@cache
def undisturbed() -> tuple[Kind, ...]:
    """The steps of a run to which nothing happens."""
    with Simulation(1) as simulation:
        steps = Steps(simulation)
        play(simulation, steps).world.stop()
    return tuple(steps.taken)


def sample(do: Do) -> list[int]:
    """Choose steps: some by number, and of every fourth kind of step the one in the middle; for each `do` others."""
    order, taken = list(Do).index(do), undisturbed()
    kinds = list(Kind)[order % 4 :: 4]
    places = [[at for at, kind in enumerate(taken, 1) if kind is wanted] for wanted in kinds]
    return sorted({*range(5 + 3 * order, len(taken), 111), *(at[len(at) // 2] for at in places)})


@pytest.mark.timeout(3600 if ALL else 60)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for half a minute"])
@pytest.mark.parametrize("do", list(Do))
def test_whatever_happens_at_a_step_all_ends_known_and_agreed(do: Do, *, lasting: bool) -> None:
    if lasting and do not in LASTING:
        pytest.skip("the daemon would never come up")
    for at in count(1) if ALL else sample(do):
        with Simulation(at) as simulation:
            steps = Steps(simulation, at, do, lasting)
            judge(play(simulation, steps), steps)
        if len(steps.taken) < at:
            break
    assert at >= (FEWEST_STEPS if ALL else FEWEST_STEPS // 2)


@pytest.mark.timeout(3600 if ALL else 60)
def test_after_a_crash_at_any_message_all_ends_known_and_agreed() -> None:
    at = 1 if ALL else 17
    while True:
        with Simulation(at) as simulation:
            steps = Steps(simulation)
            stage = play(simulation, steps, crash_at=at)
            judge(stage, steps)
        if not stage.world.daemon_node.crashes or at > stage.world.daemon_node.handled:
            break
        at += 1 if ALL else 211
    assert at > FEWEST_MESSAGES
