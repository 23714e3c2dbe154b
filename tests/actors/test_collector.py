from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Iterator

import pytest

from actors.runtime import Pool
from actors.runtime._collector import FULL_PASS_SECONDS, CalmCollector


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Knot:
    """Garbage that only the collector can find."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What others have left lying about is no matter of these tests.
        gc.collect()
    before = list(gc.callbacks)
    yield
    assert gc.callbacks == before
    assert gc.get_freeze_count() == 0


def test_what_is_there_at_first_is_not_looked_at(clock: Clock) -> None:
    with CalmCollector(clock):
        assert gc.get_freeze_count() > 10_000


def test_garbage_that_is_young_is_found_at_once(clock: Clock) -> None:
    with CalmCollector(clock):
        gone = weakref.ref(Knot())
        gc.collect()
        assert gone() is None


def test_what_has_survived_a_full_pass_is_looked_at_again_after_an_hour(clock: Clock) -> None:
    with CalmCollector(clock):
        knot = Knot()
        gc.collect()
        gone = weakref.ref(knot)
        del knot
        clock.now += FULL_PASS_SECONDS - 1
        gc.collect()
        assert gone() is not None
        clock.now += 1
        gc.collect()
        assert gone() is None
        assert gc.get_freeze_count() > 10_000


def test_small_passes_change_nothing(clock: Clock) -> None:
    with CalmCollector(clock):
        frozen = gc.get_freeze_count()
        clock.now += FULL_PASS_SECONDS
        gc.collect(0)
        gc.collect(1)
        assert gc.get_freeze_count() <= frozen  # What was frozen may still go by itself.


def test_in_the_end_all_is_looked_at_again(clock: Clock) -> None:
    with CalmCollector(clock):
        knot = Knot()
        gc.collect()
        gone = weakref.ref(knot)
        del knot
    gc.collect()
    assert gone() is None


def test_a_pool_keeps_the_collector_calm_while_it_is_open() -> None:
    with Pool(1):
        assert gc.get_freeze_count() > 0
    with Pool(1):
        assert gc.get_freeze_count() > 0
