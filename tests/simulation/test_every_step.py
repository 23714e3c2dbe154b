"""Five slices with an unknown outcome and a cancel, disturbed at each message and each step to the world in turn.

A step is an append to the journal, a request, its answer, or an event: each is where a crash, a failure, a delay or a
repetition strikes, once or for half a minute. A sample of them is tried at every test run, all of them with
`TIDEGATE_STEPS=all` (`make soak`).
"""

from __future__ import annotations

import os

import pytest

from actors.runtime import Simulation
from adapters.simulation import parse_export
from tests.simulation.steps import Do, Kind, Steps, play
from tests.simulation.test_crashes import everything_known
from tests.simulation.whole import Stage, by_hand

ALL = bool(os.environ.get("TIDEGATE_STEPS"))
FEWEST_STEPS, FEWEST_MESSAGES = 100, 650
LASTING = (Do.FAIL, Do.DELAY, Do.LONG_DELAY, Do.DUPLICATE)


def judge(stage: Stage, simulation: Simulation) -> None:
    """Check that all came to its end, that nothing is unknown, and that journal and exchange agree."""
    assert everything_known(stage), "something is still unknown"
    assert stage.world.stop().exit_code == 0
    stage.check_safety()
    by_hand(parse_export(stage.world.export()), stage.world.exchange.truth(), ())
    simulation.failures.clear()  # Those of daemons whose journal failed are what was asked for.


def test_undisturbed_it_has_an_unknown_outcome_a_fence_a_cancel_and_every_kind_of_step() -> None:
    with Simulation(1) as simulation:
        steps = Steps(simulation)
        stage = play(simulation, steps)
        judge(stage, simulation)
    for kind in ("ChildUnknown", "ChildAbsent", "ChildCancelRequested", "ExecutionCancelRequested"):
        assert stage.count(kind) == 1
    assert set(steps.taken) == set(Kind)
    assert len(steps.taken) >= FEWEST_STEPS
    assert stage.world.daemon_node.handled >= FEWEST_MESSAGES


@pytest.mark.timeout(3600 if ALL else 60)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for half a minute"])
@pytest.mark.parametrize("do", list(Do))
def test_whatever_happens_at_a_step_all_ends_known_and_agreed(do: Do, *, lasting: bool) -> None:
    if lasting and do not in LASTING:
        pytest.skip("the daemon would never come up")
    at = first = 1 if ALL else 5 + 3 * list(Do).index(do)
    while True:
        with Simulation(at) as simulation:
            steps = Steps(simulation, at, do, lasting)
            judge(play(simulation, steps), simulation)
        if len(steps.taken) < at:
            break
        at += 1 if ALL else 67
    assert at > first + FEWEST_STEPS // 2


@pytest.mark.timeout(3600 if ALL else 60)
def test_after_a_crash_at_any_message_all_ends_known_and_agreed() -> None:
    at = 1 if ALL else 17
    while True:
        with Simulation(at) as simulation:
            stage = play(simulation, Steps(simulation), crash_at=at)
            judge(stage, simulation)
        if not stage.world.daemon_node.crashes or at > stage.world.daemon_node.handled:
            break
        at += 1 if ALL else 211
    assert at > FEWEST_MESSAGES
