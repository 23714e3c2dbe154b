"""In which turn tests come, and which of them stay together, where several workers share them.

Tests with processes, sockets and browsers mostly wait, those in virtual time mostly work: one of each by turns keeps
all cores busy. What takes long comes first, so that no worker ends long after the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from pathlib import PurePath

import pytest

WAITING = ("browser", "process", "wire")
APART = ("process", "simulation")
"""Folders whose tests take long enough to be shared one by one; elsewhere the tests of a file stay together."""
TOGETHER = ("test_commands.py", "test_physics.py", "test_tour.py")
"""Files there whose tests share what takes long to make, and so stay together, too."""

Unit = list[pytest.Item]


def unit_of(nodeid: str) -> str:
    """Name the unit that a test belongs to: its file, or itself."""
    file = PurePath(nodeid.partition("::")[0])
    return nodeid if file.parent.name in APART and file.name not in TOGETHER else str(file)


def in_turn(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Put tests in the order in which they are to be handed out."""
    units: dict[str, Unit] = {}
    for item in items:
        units.setdefault(unit_of(item.nodeid), []).append(item)
    ordered = sorted(units.values(), key=_long_first)
    waiting = [unit for unit in ordered if _waits(unit[0])]
    working = [unit for unit in ordered if not _waits(unit[0])]
    nothing: Unit = []
    return [one for pair in zip_longest(waiting, working, fillvalue=nothing) for unit in pair for one in unit]


def _waits(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in WAITING)


def _long_first(unit: Unit) -> tuple[bool, float, int]:
    """Order by how long a test may take, where that is more than usual, and then by number."""
    patience = max((float(mark.args[0]) for one in unit if (mark := one.get_closest_marker("timeout"))), default=0.0)
    return not any(one.get_closest_marker("browser") for one in unit), -patience, -len(unit)
