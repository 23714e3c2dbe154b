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
from typing import Any

from coverage import Coverage

ROOT = Path(__file__).parents[1]
FOLDERS = ("messages", "actors", "adapters")
COUNTED_SECONDS = 0.04
"""Processor time of each test, fixtures included, that coverage looks at."""

_looked_away: list[list[Coverage]] = []
"""What measured before, in each `uncounted` that was entered and not left."""
_before: list[Any] = []
"""What SIGVTALRM did before, while something is counted."""


def import_all() -> None:
    """Import everything that coverage counts, for what stands in a module's body is done when it is imported."""
    for folder in FOLDERS:
        for module in pkgutil.walk_packages([str(ROOT / folder)], f"{folder}."):
            importlib.import_module(module.name)


@contextmanager
def uncounted() -> Iterator[None]:
    """Measure no coverage until it is left, but between `count_at_first` and `count_no_more`."""
    _looked_away.append(_stop())
    try:
        yield
    finally:
        _go_on(_looked_away.pop())


def count_at_first() -> None:
    """Measure coverage for so much processor time, or till `count_no_more`.

    For the main thread, within `uncounted`. Does nothing where no coverage is measured.
    """
    if _looked_away and _looked_away[-1]:
        _before.append(signal.signal(signal.SIGVTALRM, lambda _number, _frame: _stop()))
        _looked_away[-1][0].start()
        signal.setitimer(signal.ITIMER_VIRTUAL, COUNTED_SECONDS)


def count_no_more() -> None:
    """Measure no coverage any more."""
    if _before:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        _stop()
        signal.signal(signal.SIGVTALRM, _before.pop())


def save_counts() -> None:
    """Write what was counted into a file of this process, as a fork does before its end."""
    for one in _looked_away[-1] if _looked_away else ():
        one.save()


def _stop() -> list[Coverage]:
    """Stop all that measure: where there are two, the second goes on when the first is stopped."""
    stopped: list[Coverage] = []
    while (current := Coverage.current()) is not None:
        current.stop()
        stopped.append(current)
    return stopped


def _go_on(stopped: list[Coverage]) -> None:
    for one in reversed(stopped):
        one.start()
