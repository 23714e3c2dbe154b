from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters import exits
from adapters.config import Config
from adapters.house import House
from adapters.storage.memory import MemoryStore
from adapters.unsaid import FILES, Unsaid
from messages.control import DaemonEnded, DaemonUp

BROKEN = DaemonEnded(exit_code=exits.INVARIANT, detail="a trade was booked twice", said=False)
FAILED = DaemonEnded(exit_code=exits.ERROR, detail="journal failed", said=False)


def test_a_house_keeps_what_its_journal_could_not_take_until_another_daemon_is_up(tmp_path: Path) -> None:
    nobody: Any = None
    house = House(Config(), lambda _: nobody)
    house.unsaid = Unsaid(tmp_path)
    house.tell(FAILED)
    assert house.gravest(exits.ERROR) == exits.ERROR
    house.tell(BROKEN)
    left = Unsaid(tmp_path)
    assert left.broken == "a trade was booked twice"
    assert left.failed == ("journal failed",)
    assert house.gravest(exits.ERROR) == exits.INVARIANT
    house.tell(DaemonUp(gate=nobody, exchange=nobody, journal=nobody))
    left = Unsaid(tmp_path)
    assert left.broken is None
    assert left.failed == ()


@pytest.mark.parametrize(
    "ended",
    [
        DaemonEnded(exit_code=exits.INVARIANT, detail="", said=True),
        DaemonEnded(exit_code=exits.ERROR, detail="", said=True),
        DaemonEnded(exit_code=exits.JOURNAL, detail="", said=False),
        DaemonEnded(exit_code=exits.OK, detail="SIGTERM"),
    ],
    ids=lambda ended: f"{ended.exit_code} {ended.said}",
)
def test_what_the_journal_has_been_told_or_need_not_know_is_not_kept(tmp_path: Path, ended: DaemonEnded) -> None:
    Unsaid(tmp_path).keep(ended)
    assert list(tmp_path.iterdir()) == []


def test_a_note_of_which_only_the_file_could_be_made_counts_all_the_same(tmp_path: Path) -> None:
    for name in FILES.values():
        (tmp_path / name).touch()
    assert Unsaid(tmp_path).broken
    assert Unsaid(tmp_path).failed


def test_a_text_that_is_no_unicode_is_kept_all_the_same(tmp_path: Path) -> None:
    Unsaid(tmp_path).keep(replace(BROKEN, detail="a file named \udcff"))
    assert Unsaid(tmp_path).broken == "a file named \\udcff"


def test_failures_are_counted_until_one_start_has_given_up(tmp_path: Path) -> None:
    for number in range(3):
        Unsaid(tmp_path).keep(DaemonEnded(exit_code=exits.ERROR, detail=f"of {number}:\n  a bug", said=False))
    Unsaid(tmp_path).keep(BROKEN)
    assert Unsaid(tmp_path).failed == ("of 0: a bug", "of 1: a bug", "of 2: a bug")
    Unsaid(tmp_path).keep(DaemonEnded(exit_code=exits.GAVE_UP, detail="six in a row"))
    assert Unsaid(tmp_path).failed == ()
    assert Unsaid(tmp_path).broken == BROKEN.detail, "which is to halt the next start nevertheless"


def test_a_journal_that_cannot_be_read_keeps_no_start_from_giving_up(tmp_path: Path) -> None:
    class Unreadable(MemoryStore):
        def read(self, *_: Any, **__: Any) -> Any:
            raise ValueError("of a test")

    nobody: Any = None
    house: Any = House(Config(), lambda _: nobody)
    house.store, house.pool, house.venue = Unreadable(), None, None
    cancelled, [left] = house.cancel_what_is_open()
    assert cancelled == []
    assert "ValueError: of a test" in left


def test_that_not_even_the_note_can_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Unsaid(tmp_path / "gone").keep(BROKEN)
    assert "halt by hand" in caplog.text
