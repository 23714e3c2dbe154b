"""Stretches of tests that coverage does not look at: the first seeds have shown it all, the rest only takes longer.

Coverage makes a simulated run two to three times as slow. What the runs prove they prove all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from coverage import Coverage

COUNTED = 5
"""Seeds of each run over many that coverage looks at."""


@contextmanager
def uncounted() -> Iterator[None]:
    """Measure no coverage in this thread until it is left; does nothing where none is measured."""
    current = Coverage.current()
    if current is None:
        yield
        return
    current.stop()
    try:
        yield
    finally:
        current.start()


def mostly_uncounted(seeds: Iterable[int], counted: int = COUNTED) -> Iterator[int]:
    """Yield seeds one by one, for a loop over them that coverage looks at `counted` times."""
    for number, seed in enumerate(seeds):
        if number < counted:
            yield seed
        else:
            with uncounted():
                yield seed
