"""What coverage looks at: the first moments of each test, in which it has seen it all. The rest only takes longer.

Coverage makes a simulated run two to three times as slow. What the runs prove they prove all the same.
"""

from __future__ import annotations

import importlib
import pkgutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from coverage import Coverage

ROOT = Path(__file__).parents[1]
FOLDERS = ("messages", "actors", "adapters")
COUNTED_SECONDS = 0.1
"""Processor time of each test, all its parameters and seeds together, that coverage looks at."""

_left: dict[str, float] = {}


def import_all() -> None:
    """Import everything that coverage counts, for what stands in a module's body is done when it is imported."""
    for folder in FOLDERS:
        for module in pkgutil.walk_packages([str(ROOT / folder)], f"{folder}."):
            importlib.import_module(module.name)


@contextmanager
def uncounted() -> Iterator[None]:
    """Measure no coverage until it is left."""
    stopped = _stop()
    try:
        yield
    finally:
        _go_on(stopped)


@contextmanager
def counted_at_first(name: str) -> Iterator[None]:
    """Measure coverage until those that were given this name have had their processor time, and then none.

    For the main thread. Does nothing where no coverage is measured.
    """
    if Coverage.current() is None:
        yield
        return
    stopped: list[Coverage] = []

    def look_away(_number: int, _frame: FrameType | None) -> None:
        stopped.extend(_stop())

    left = _left.get(name, COUNTED_SECONDS)
    before = signal.signal(signal.SIGVTALRM, look_away)
    if left:
        signal.setitimer(signal.ITIMER_VIRTUAL, left)
    else:
        look_away(signal.SIGVTALRM, None)
    try:
        yield
    finally:
        _left[name], _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        _go_on(stopped)


def _stop() -> list[Coverage]:
    """Stop all that measure: in a worker of xdist there are two, and the second goes on when the first is stopped."""
    stopped: list[Coverage] = []
    while (current := Coverage.current()) is not None:
        current.stop()
        stopped.append(current)
    return stopped


def _go_on(stopped: list[Coverage]) -> None:
    for one in reversed(stopped):
        one.start()
