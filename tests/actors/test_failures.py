from __future__ import annotations

from datetime import timedelta

import pytest

from actors.failures import APART_SECONDS, TO_HALT, TO_REFUSE, Failures
from messages.facts import EpochStarted
from tests.factories import NOW


def after(failures: int, apart: float = 60.0) -> Failures:
    """So many failures, so many seconds apart, the last one at NOW."""
    found = Failures()
    for number in range(failures):
        at = NOW - timedelta(seconds=apart * (failures - 1 - number))
        fact = found.next("order_watcher", "of a test", at)
        found.fold(fact, at)
        found.fold(EpochStarted(epoch=number, journal_id="j", mode="paper", version="1"), at)
    return found


@pytest.mark.parametrize("failures", range(TO_REFUSE + 2))
def test_three_in_a_row_halt_and_six_refuse(failures: int) -> None:
    found = after(failures)
    assert (found.halts(NOW) is not None) == (failures >= TO_HALT)
    refused = found.refuses(NOW)
    assert (refused is not None) == (failures >= TO_REFUSE)
    if refused is not None:
        assert f"{failures} starts in a row ended because a part failed, the last time order_watcher" in refused.detail


def test_failures_that_are_far_apart_are_none_in_a_row() -> None:
    found = after(20, APART_SECONDS + 1)
    assert found.next("journal", "", NOW).in_a_row == 2
    assert found.halts(NOW) is None
    assert after(TO_HALT, APART_SECONDS).halts(NOW) is not None


@pytest.mark.parametrize("later", [timedelta(seconds=APART_SECONDS + 1), timedelta(seconds=-APART_SECONDS - 1)])
def test_what_is_long_ago_by_the_wall_clock_counts_no_more(later: timedelta) -> None:
    found = after(TO_REFUSE)
    assert found.halts(NOW + later) is None
    assert found.refuses(NOW + later) is None
    assert found.next("journal", "", NOW + later).in_a_row == 1


def test_after_a_refusal_it_is_counted_anew() -> None:
    found = after(TO_REFUSE)
    refused = found.refuses(NOW)
    assert refused is not None
    found.fold(refused, NOW)
    assert found.refuses(NOW) is None
    assert found.next("journal", "", NOW).in_a_row == 1


def test_only_failures_in_a_row_that_are_all_about_one_execution_poison_it() -> None:
    def found(*executions: str) -> str | None:
        failures = Failures()
        for number, of in enumerate(executions):
            at = NOW + timedelta(seconds=number)
            failures.fold(failures.next("exchange_actor", "", at, of=of), at)
        poisoned = failures.poisoned(NOW)
        return None if poisoned is None else poisoned.execution_id

    assert found("a", "a") == "a"
    assert found("b", "a", "a") == "a"
    assert [found("a"), found("a", "b"), found("a", "b", "a"), found("", ""), found("a", "", "a")] == [None] * 5
