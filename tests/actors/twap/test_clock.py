"""Wall time without its steps; how far a schedule had come before a restart, by two clocks of which each may be set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from actors.runtime import EPOCH, Simulation
from actors.twap.clock import Clock, moment_reached
from messages.facts import ChildIntended, ExecutionStarted, Fact
from tests.factories import an_intent as intent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OF = "k3fq7zr2m9dcx"


def wall(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_intent(venue_seconds: float, wall_seconds: float) -> tuple[Fact, datetime]:
    """An intent with the venue's time in its request, and the moment at which it was appended."""
    return intent(request_timestamp=1_767_268_800_000 + round(1000 * venue_seconds)), wall(wall_seconds)


def a_start(wall_seconds: float) -> tuple[Fact, datetime]:
    return ExecutionStarted(execution_id=OF, incarnation=2), wall(wall_seconds)


def test_without_an_intent_nothing_but_the_acceptance_is_known() -> None:
    assert moment_reached(NOON, []) == NOON
    assert moment_reached(NOON, [a_start(-5.0)]) == NOON


def test_a_clock_that_was_set_back_has_been_where_it_was() -> None:
    assert moment_reached(NOON, [an_intent(0, 1), an_intent(60, 61), a_start(-3600)]) == wall(61)


def test_set_back_and_started_again_and_again_time_still_adds_up() -> None:
    facts = [an_intent(0, 0), an_intent(60, 60), an_intent(70, -3600), an_intent(130, -3540)]
    assert moment_reached(NOON, facts) == wall(120)


def test_a_clock_that_was_ahead_for_a_while_says_nothing() -> None:
    assert moment_reached(NOON, [an_intent(0, 0), an_intent(10, 86_400), an_intent(20, 20)]) == wall(20)


def test_the_clock_of_the_venue_that_was_measured_anew_says_nothing_either() -> None:
    facts = [an_intent(0, 0), an_intent(3.5, 1.0), a_start(1.2)]
    assert isinstance(facts[0][0], ChildIntended)
    assert moment_reached(NOON, facts) == wall(1.2)


def test_a_slewed_clock_is_followed_and_a_stepped_one_is_not_whoever_reads_it(simulation: Simulation) -> None:
    clock = Clock(simulation)
    for step, counts in ((0.9, 0.9), (0.9, 1.8), (1.2, 1.8), (-3600.0, 1.8), (3599.7, 2.7)):
        simulation.step_clock(step)
        simulation.run(10.0)
        expected = EPOCH + timedelta(seconds=simulation.now() + counts)
        assert clock.now() == clock.now(simulation.wall_time()) == expected
