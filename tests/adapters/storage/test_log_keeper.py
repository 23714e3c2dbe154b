from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from adapters.storage import log_keeper
from adapters.storage.log_keeper import log_keeper_of
from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.facts import ExecutionPaused
from tests.factories import EXECUTION, NOW

ROOM = 32 + log_keeper.ROOM_PAGES * 4120


def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread does in its own time."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "data")) as store:
        yield store


def fill(store: SqliteStore, count: int) -> None:
    for _ in range(count):
        store.append([Committed(store.last_seq() + 1, NOW, ExecutionPaused(execution_id=EXECUTION, detail="x" * 500))])


def log_of(store: SqliteStore) -> Path:
    return Path(f"{store.path}-wal")


def test_the_log_has_room_before_the_first_commit_and_no_commit_makes_it_longer(store: SqliteStore) -> None:
    with log_keeper_of(store):
        assert log_of(store).stat().st_size == ROOM
        fill(store, 50)
        assert log_of(store).stat().st_size == ROOM
    assert store.verify() == 50


def test_room_is_made_behind_what_the_log_holds(store: SqliteStore) -> None:
    fill(store, 20)
    before = log_of(store).read_bytes()
    store.make_room(log_keeper.ROOM_PAGES)
    after = log_of(store).read_bytes()
    assert after[: len(before)] == before
    assert not after[len(before) :].strip(b"\0")
    assert store.verify() == 20


def test_what_was_committed_into_the_room_is_there_after_a_crash(tmp_path: Path, store: SqliteStore) -> None:
    with log_keeper_of(store):
        fill(store, 30)
        shutil.copytree(tmp_path / "data", tmp_path / "crashed")  # The files as a killed process leaves them.
    (tmp_path / "crashed" / f"{store.path.name}-shm").unlink()
    with closing(SqliteStore(tmp_path / "crashed")) as again:
        assert again.verify() == again.last_seq() == 30
        fill(again, 5)
    with closing(SqliteStore(tmp_path / "crashed")) as again:
        assert again.verify() == 35


def test_a_crash_before_the_first_commit_leaves_a_journal_that_can_be_used(tmp_path: Path, store: SqliteStore) -> None:
    with log_keeper_of(store):
        shutil.copytree(tmp_path / "data", tmp_path / "crashed")
    with closing(SqliteStore(tmp_path / "crashed")) as again:
        fill(again, 1)
        assert again.verify() == 1


def test_the_log_is_written_back_beside_the_commits(store: SqliteStore) -> None:
    with log_keeper_of(store, look_seconds=0.01, step=100):
        began = store.path.stat().st_size
        fill(store, 150)
        until(lambda: store.path.stat().st_size > began + 50_000)
        fill(store, 150)
    assert store.verify() == 300


def test_the_log_starts_over_once_it_is_written_back(store: SqliteStore) -> None:
    def salt() -> bytes:
        return log_of(store).read_bytes()[16:24]

    with log_keeper_of(store, look_seconds=0.01, step=10):
        fill(store, 20)
        first = salt()

        def starts_over() -> bool:
            fill(store, 1)
            return salt() != first

        until(starts_over)
    assert store.verify() == store.last_seq()


def test_room_that_cannot_be_had_is_no_failure(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = log_of(store).stat().st_size
    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        store.make_room(log_keeper.ROOM_PAGES)
    assert "No space left on device" in caplog.text
    assert log_of(store).stat().st_size == before
    fill(store, 3)
    assert store.verify() == 3


def test_a_log_that_cannot_be_written_back_beside_the_commits_is_left_to_them(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> apsw.Connection:
        raise apsw.IOError("the disk is gone")

    with caplog.at_level(logging.WARNING):
        monkeypatch.setattr(apsw, "Connection", broken)
        with log_keeper_of(store, look_seconds=0.01, step=1):
            fill(store, 3)
            until(lambda: "the disk is gone" in caplog.text)
    assert store.verify() == 3
