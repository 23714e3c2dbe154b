"""Bounds in real time that hold on a quiet machine, and stretch on one that has other work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

BUSY = 1.3
"""From here on others have the machine as well, and a thing that goes through several processes waits for each."""


def slowness(spin_seconds: float = 0.02) -> float:
    """Return how many times longer than its processor time a thread takes here and now, 1 where it is alone."""
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < spin_seconds:
        pass
    return max(1.0, (time.monotonic() - began) / spin_seconds)


def stretched(seconds: float, busy: float) -> float:
    """Return the bound that holds instead of so many seconds on a machine that is so many times slower."""
    return seconds * busy * (2 if busy > BUSY else 1)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Assert that what is inside takes less than so many seconds, more only as the machine is busy before or after."""
    before, began = slowness(), time.monotonic()
    yield
    took = time.monotonic() - began
    if took < seconds:
        return
    busy = max(before, slowness(0.1))
    assert took < stretched(seconds, busy), (
        f"{took:.2f} s, not {seconds:g}, on a machine {busy:.1f} times as slow as by itself"
    )
