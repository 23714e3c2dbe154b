from __future__ import annotations

from pathlib import Path

import pytest

from adapters.journal_note import FILE, JournalNote
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
