"""docs/fault-catalogue.md names every fault, and only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.simulation.mutants import MUTANTS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "fault-catalogue.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:[a-z_]+/)*test_[a-z_]+\.py)?(?:::(test_\w+))?`")


def named_tests() -> list[tuple[str, str]]:
    """File and test of every mention; one without a file means the file before it."""
    mentions, file = [], ""
    for match in NAMED.finditer(PAGE):
        if match[1] or match[2]:
            file = match[1] or file
            mentions.append((file, match[2] or ""))
    return mentions


def test_the_catalogue_has_every_row_once_and_in_order() -> None:
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == list(range(1, 133))


def test_every_test_that_the_catalogue_names_is_there() -> None:
    missing = []
    for file, test in named_tests():
        path = TESTS / file
        if not path.is_file() or (test and f"def {test}(" not in path.read_text(encoding="utf-8")):
            missing.append(f"{file}::{test}")
    assert missing == []
    assert len(named_tests()) > 150


def test_every_planted_bug_that_the_catalogue_names_is_there() -> None:
    named = set(re.findall(r"mutant `(\w+)`", PAGE))
    assert named <= {one.name for one in MUTANTS}
    assert len(named) > 10
