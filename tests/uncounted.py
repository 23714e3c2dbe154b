"""What coverage looks at: each test for as long as it shows something new. The rest only takes longer.

Coverage makes all that Python does two to three times as slow. What the tests prove they prove all the same.
"""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[1]
FOLDERS = ("messages", "actors", "adapters")
TICK_SECONDS = 0.01
TICKS, TICKS_ALIKE = 4, 1
"""For how many ticks of processor time coverage looks on without seeing anything new: at the first test of a function,
and at others that have only other parameters."""

_looked_away: list[list[Coverage]] = []
"""What measured before, in each `uncounted` that was entered and not left."""
_known: set[str] = set()
"""The functions that were looked at."""


class _Look:
    """One look at a test."""

    def __init__(self, coverage: Coverage, patience: int) -> None:
        self._coverage, self._patience = coverage, patience
        self._seen, self._idle = 0, 0
        self._before = signal.signal(signal.SIGVTALRM, self._tick)
        coverage.start()
        self._tracer = sys.gettrace()
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK_SECONDS, TICK_SECONDS)

    def _tick(self, _number: int, _frame: object) -> None:
        seen = sum(map(len, self._coverage._collector.data.values())) if self._coverage._collector else 0
        self._idle = 0 if seen > self._seen else self._idle + 1
        self._seen = seen
        if self._idle >= self._patience:
            self._stop()

    def _stop(self) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self._tracer = None
        _stop()

    def end(self) -> None:
        self._stop()
        signal.signal(signal.SIGVTALRM, self._before)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Look at this thread."""
        if sys.gettrace() is not None:
            yield
            return
        sys.settrace(self._tracer)
        try:
            yield
        finally:
            if self._tracer is not None:
                sys.settrace(None)


_looks: list[_Look] = []
"""The one that is under way."""


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


def count_at_first(name: str) -> None:
    """Measure coverage as long as there is something new to see, or till `count_no_more`.

    `name` is the function's. This thread is looked at only within `at_work`, others from now on. For the main thread,
    within `uncounted`. Does nothing where no coverage is measured.
    """
    if _looked_away and _looked_away[-1]:
        _looks.append(_Look(_looked_away[-1][0], TICKS_ALIKE if name in _known else TICKS))
        _known.add(name)


@contextmanager
def at_work() -> Iterator[None]:
    """Look at what is done within, and not at what pytest does around it."""
    if not _looks:
        yield
        return
    with _looks[-1].at_work():
        yield


def count_no_more() -> None:
    """Measure no coverage any more."""
    if _looks:
        _looks.pop().end()


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
