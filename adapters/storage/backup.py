"""Copies of the journal: taken beside a running daemon, and put back where there is none."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw

from adapters.storage.directory import DataDirectory, make_directory
from adapters.storage.sqlite import JOURNAL_FILE, SqliteStore


class CopyUnusable(Exception):
    """A copy cannot be written where it was asked for, or is not there."""


def back_up(data_dir: Path, target: Path) -> int:
    """Copy the journal as it is at this moment into a new file, check the copy, and count its facts.

    Raises `FileExistsError`, `CopyUnusable`, and what reading a journal raises.
    """
    with closing(SqliteStore(data_dir, read_only=True)) as store:
        journal = store.path
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise FileExistsError(f"{target} is there already") from None
    except OSError as error:
        raise CopyUnusable(f"{target} cannot be written: {error.strerror}") from error
    try:
        source = apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)
        with closing(source), closing(apsw.Connection(str(target))) as copy:
            with copy.backup("main", source, "main") as backup:
                backup.step()
            copy.execute("PRAGMA journal_mode = DELETE")  # One file, nothing beside it.
        return check(target)
    except BaseException:
        target.unlink()
        raise


def check(file: Path) -> int:
    """Check a copy as a journal, every fact of it, and count them. Raises `JournalDamaged`."""
    with TemporaryDirectory(prefix="tidegate-check-") as directory:
        (Path(directory) / JOURNAL_FILE).write_bytes(file.read_bytes())
        with closing(SqliteStore(Path(directory))) as store:
            return store.verify()


def restore(file: Path, data_dir: Path) -> int:
    """Put a copy into a data directory that has no journal, and count its facts.

    Raises `FileExistsError` where there is a journal, `CopyUnusable`, `DirectoryLocked`, and what reading a
    journal raises.
    """
    if not file.is_file():
        raise CopyUnusable(f"there is no file {file}")
    count = check(file)
    make_directory(data_dir)
    directory = DataDirectory(data_dir)
    try:
        target = data_dir / JOURNAL_FILE
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as journal:
            journal.write(file.read_bytes())
            journal.flush()
            os.fsync(journal.fileno())
    except FileExistsError:
        raise FileExistsError(f"{data_dir} has a journal already") from None
    finally:
        directory.release()
    return count
