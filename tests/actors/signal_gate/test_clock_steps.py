"""A wall clock that steps while the gate runs: no window is shorter or longer for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.runtime import Simulation
from messages.signal import Reason, Signal, Status
from tests.actors.signal_gate.house import ROOMY, D, House, fresh
from tests.factories import a_closed

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
TTL, COOLDOWN = 600.0, 300.0
COOL = replace(ROOMY, cooldown_seconds=D(int(COOLDOWN)))

no_id = fresh(id=None)
other = fresh(id=None, price=D(43_000))
"""Of the same lane, at a price that makes it no repeat."""


def done(house: House, signal: Signal = no_id) -> None:
    """Have a signal accepted and its execution closed."""
    verdict = house.verdict(signal)
    assert verdict.status is Status.ACCEPTED, verdict
    house.journal.commit(a_closed(execution_id=verdict.execution_id))


def wait(house: House, simulation: Simulation, seconds: float) -> None:
    simulation.run(seconds)
    house.quote()


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started again"])
@pytest.mark.parametrize("step", [-WEEK, -DAY, -HOUR])
def test_a_clock_that_is_set_back_makes_no_repeat_of_a_new_signal(
    simulation: Simulation, step: float, *, restart: bool
) -> None:
    house = House(simulation)
    done(house)
    simulation.step_clock(step)
    if restart:
        house.restart()
    wait(house, simulation, TTL - 1)
    assert house.verdict(no_id).status is Status.DUPLICATE
    wait(house, simulation, 2)
    assert house.verdict(no_id).status is Status.ACCEPTED


@pytest.mark.parametrize("step", [HOUR, DAY, WEEK])
def test_a_clock_that_is_set_forward_lets_no_repeat_through(simulation: Simulation, step: float) -> None:
    house = House(simulation)
    done(house)
    wait(house, simulation, 1.0)
    simulation.step_clock(step)
    assert house.verdict(no_id).status is Status.DUPLICATE
    done(house, other)  # What is written meanwhile has the new time on it.
    wait(house, simulation, TTL - 2)
    assert house.verdict(no_id).status is Status.DUPLICATE
    wait(house, simulation, 2)
    assert house.verdict(no_id).status is Status.ACCEPTED


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started again"])
@pytest.mark.parametrize("step", [-DAY, -HOUR])
def test_a_clock_that_is_set_back_prolongs_no_cooldown(simulation: Simulation, step: float, *, restart: bool) -> None:
    house = House(simulation, settings=COOL)
    done(house)
    simulation.step_clock(step)
    if restart:
        house.restart()
    wait(house, simulation, COOLDOWN - 1)
    assert house.verdict(other).reason is Reason.COOLDOWN
    wait(house, simulation, 2)
    assert house.verdict(other).status is Status.ACCEPTED


@pytest.mark.parametrize("step", [-DAY, HOUR, DAY])
def test_a_cooldown_that_begins_after_a_step_is_as_long_as_any(simulation: Simulation, step: float) -> None:
    house = House(simulation, settings=COOL)
    simulation.step_clock(step)
    done(house)
    wait(house, simulation, COOLDOWN - 1)
    assert house.verdict(other).reason is Reason.COOLDOWN
    wait(house, simulation, 2)
    assert house.verdict(other).status is Status.ACCEPTED


def test_a_clock_that_is_set_forward_and_back_forgets_no_id(simulation: Simulation) -> None:
    house = House(simulation)
    done(house, fresh(id="an id"))
    simulation.step_clock(2 * WEEK)
    assert house.verdict(fresh(id="an id")).status is Status.DUPLICATE
    simulation.step_clock(-2 * WEEK)
    assert house.verdict(fresh(id="an id")).status is Status.DUPLICATE


def test_an_id_is_kept_for_as_long_as_the_store_holds_its_key(simulation: Simulation) -> None:
    house = House(simulation)
    done(house, fresh(id="an id"))
    simulation.step_clock(-DAY)
    wait(house, simulation, WEEK + 1)
    assert house.verdict(fresh(id="an id")).status is Status.DUPLICATE, "the store would refuse its key"
    wait(house, simulation, DAY)
    assert house.verdict(fresh(id="an id")).status is Status.ACCEPTED
