from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.halts import subject_of
from adapters.config import Config
from adapters.house import House
from adapters.journal_note import BROKEN_FILE, FILE, BrokenNote, JournalNote
from messages.control import DaemonEnded
from messages.facts import AlertCleared, AlertRaised

FAILED = AlertRaised(kind="journal", subject="journal", level="critical", text="the disk is full")
OVER = AlertCleared(kind="journal", subject="journal", text="facts are durable again")
OTHER = AlertRaised(kind="halt", subject="trading", level="critical", text="x")


class Ears:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def tell(self, alert: object, /) -> None:
        self.heard.append(alert)


def test_a_failure_is_noted_until_it_is_over_and_every_alert_is_handed_on(tmp_path: Path) -> None:
    ears = Ears()
    note = JournalNote(tmp_path, ears)
    assert note.left is None
    note.tell(OTHER)
    assert not (tmp_path / FILE).exists()
    note.tell(FAILED)
    assert JournalNote(tmp_path).left == "the disk is full"
    note.tell(OVER)
    assert JournalNote(tmp_path).left is None
    assert ears.heard == [OTHER, FAILED, OVER]


def test_a_file_that_the_full_disk_left_empty_still_says_that_it_failed(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    assert JournalNote(tmp_path).left == "facts could not be made durable"


def test_a_note_that_cannot_be_written_keeps_no_alert_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ears = Ears()
    JournalNote(tmp_path / "nowhere", ears).tell(FAILED)
    assert ears.heard == [FAILED]
    assert "cannot be written" in caplog.text


# A broken promise ---------------------------------------------------------------------------------


def test_a_house_keeps_what_its_journal_could_not_take(tmp_path: Path) -> None:
    nobody: Any = None
    house = House(Config(), lambda _: nobody)
    house.broken = BrokenNote(tmp_path)
    house.tell(DaemonEnded(exit_code=70, detail="said", said=True))
    assert BrokenNote(tmp_path).left is None
    house.tell(DaemonEnded(exit_code=70, detail="a trade was booked twice", said=False))
    assert BrokenNote(tmp_path).left == "a trade was booked twice"


def test_a_broken_promise_is_forgotten_with_the_alert_of_its_own_halt_alone(tmp_path: Path) -> None:
    BrokenNote(tmp_path).keep("a trade was booked twice")
    note = BrokenNote(tmp_path)
    note.tell(AlertRaised(kind="halt", subject=subject_of("MANUAL"), level="critical", text="by hand"))
    assert BrokenNote(tmp_path).left is not None
    note.tell(AlertRaised(kind="halt", subject=subject_of("INVARIANT"), level="critical", text="broken"))
    assert BrokenNote(tmp_path).left is None


def test_a_note_of_which_only_the_file_could_be_made_halts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / BROKEN_FILE).touch()
    assert BrokenNote(tmp_path).left


def test_that_not_even_the_note_can_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    BrokenNote(tmp_path / "gone").keep("a trade was booked twice")
    assert "halt by hand" in caplog.text
