"""docs/promises.md keeps its own promise: each row names tests, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROWS = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]


def named_in(row: str) -> list[tuple[str, str]]:
    """List (file, test) of a row; a test without a file is in the file named before it."""
    found, file = [], ""
    for named, test in re.findall(r"`([\w/.]*)::(\w+)`", row):
        file = named or file
        found.append((file, test))
    return found


def test_every_promise_names_a_test() -> None:
    rows = [row for row in ROWS if not row.startswith(("| promise", "| what holds"))]
    assert len(rows) > 20
    assert [row for row in rows if not named_in(row)] == []


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{file}::{test}"
        for row in ROWS
        for file, test in named_in(row)
        if not (ROOT / file).is_file() or f"def {test}(" not in (ROOT / file).read_text()
    ]
    assert missing == []
