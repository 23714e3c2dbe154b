"""A disk that loses its power, or writes short: whatever was said to be durable is there afterwards.

Every write, truncation and sync of the journal's files is recorded. What a disk may hold after a loss of power is all
that was synced, and of what was written later any part, in any order, the last of it torn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from adapters.storage.sqlite import SqliteStore
from messages.control import Committed, StoreFailed
from messages.facts import EpochStarted
from tests.factories import NOW

NAME = "recording-disk"
APPENDS = 12


@dataclass(frozen=True, slots=True)
class Op:
    """Something done to a file: `data` written at `at`, cut off at `at` (data None), or synced (at None)."""

    file: str
    at: int | None
    data: bytes | None = None


@dataclass
class Recorder(apsw.VFS):
    """The system's disk, which remembers; the `fails_at`-th write (from 1) writes half and fails."""

    ops: list[Op] = field(default_factory=list)
    writes: int = 0
    fails_at: int = 0
    syncs_fail: bool = False

    def __post_init__(self) -> None:
        self.system = apsw.vfs_names()[0]
        super().__init__(NAME, self.system)

    __hash__ = object.__hash__

    def xDelete(self, filename: str, syncdir: bool) -> None:
        gone = Path(filename).name
        self.ops = [op for op in self.ops if op.file != gone]
        super().xDelete(filename, syncdir)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Recorder, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name
        super().__init__(disk.system, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        disk = self._disk
        disk.writes += 1
        if disk.writes == disk.fails_at:
            super().xWrite(bytes(data)[: len(data) // 2], offset)
            raise apsw.IOError("a short write")
        disk.ops.append(Op(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.ops.append(Op(self._name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.ops.append(Op(self._name, None))
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[Recorder]:
    disk = Recorder()
    apsw.set_default_vfs(NAME)
    yield disk
    apsw.set_default_vfs(disk.system)
    disk.unregister()


def fill(store: SqliteStore, count: int) -> None:
    first = store.last_seq() + 1
    store.append(
        [
            Committed(number, NOW, EpochStarted(epoch=number, journal_id="j", mode="paper", version="1" * 900))
            for number in range(first, first + count)
        ]
    )


def after_a_loss(ops: list[Op], chance: random.Random) -> dict[str, bytes]:
    """Say what the files hold: all that was synced, and some of the rest."""
    held: dict[str, bytearray] = {}
    for name in {op.file for op in ops}:
        mine = [op for op in ops if op.file == name]
        safe = max((place for place, op in enumerate(mine) if op.at is None), default=-1)
        content = held.setdefault(name, bytearray())
        for place, op in enumerate(mine):
            if op.at is None or (place > safe and chance.random() < 0.5):
                continue
            _do(content, op, torn=place > safe and chance.random() < 0.3)
    return {name: bytes(content) for name, content in held.items()}


def _do(content: bytearray, op: Op, *, torn: bool) -> None:
    assert op.at is not None
    if op.data is None:
        del content[op.at :]
        return
    data = op.data[: len(op.data) // 2] if torn else op.data
    content.extend(bytes(max(0, op.at + len(data) - len(content))))
    content[op.at : op.at + len(data)] = data


def reopened(directory: Path, files: dict[str, bytes]) -> list[int]:
    """Put the files into a new directory, open the journal, and return the numbers of its facts."""
    directory.mkdir(mode=0o700)
    for name, content in files.items():
        if not name.endswith("-shm"):
            (directory / name).write_bytes(content)
    store = SqliteStore(directory)
    try:
        store.verify()
        numbers = [committed.seq for committed in store.read()]
        fill(store, 1)
        return numbers
    finally:
        store.close()


def test_after_a_loss_of_power_everything_that_was_acknowledged_is_there(tmp_path: Path, disk: Recorder) -> None:
    store = SqliteStore(tmp_path / "before")
    said: list[tuple[int, int]] = []  # From so many operations on, so many facts were said to be durable.
    for number in range(APPENDS):
        fill(store, 1 + number % 3)
        said.append((len(disk.ops), store.last_seq()))
        if number == APPENDS // 2:
            store._connection.execute("PRAGMA wal_checkpoint(RESTART)")
    apsw.set_default_vfs(disk.system)
    ops, begin = list(disk.ops), said[0][0]
    chance = random.Random(1)
    for lost_at in range(begin, len(ops) + 1, max(1, (len(ops) - begin) // 40)):
        durable = max(seq for done, seq in said if done <= lost_at)
        numbers = reopened(tmp_path / f"after-{lost_at}", after_a_loss(ops[:lost_at], chance))
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= durable, f"lost: said {durable}, found {len(numbers)} (power lost at {lost_at})"
    store.close()


def test_a_short_write_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path, disk: Recorder) -> None:
    for failing in range(1, 400):
        directory = tmp_path / str(failing)
        disk.writes, disk.fails_at = 0, 0
        store = SqliteStore(directory)
        disk.writes, disk.fails_at, said = 0, failing, 0
        try:
            for _ in range(4):
                fill(store, 2)
                said = store.last_seq()
        except StoreFailed:
            with pytest.raises(StoreFailed, match="has failed before"):
                fill(store, 1)
        disk.fails_at = 0
        store.close()
        again = SqliteStore(directory)
        numbers = [committed.seq for committed in again.read()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= said
        again.verify()
        again.close()
        if said == 8:
            break
    assert failing > 5, "no write was ever short"
