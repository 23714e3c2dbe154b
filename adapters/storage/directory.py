"""The data directory: made for its owner alone, and locked, so that one daemon at a time uses it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

LOCK_FILE = "lock"


class DirectoryUnusable(Exception):
    """The data directory cannot be made, or nothing can be written there."""


class NoJournal(DirectoryUnusable):
    """There is no journal in the directory to be read."""


class DirectoryLocked(Exception):
    """Another process uses the data directory."""


def make_directory(path: Path) -> None:
    """Make a directory for its owner alone, unless it is there. Raises `DirectoryUnusable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            _sync(path.parent)
        usable = path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        raise DirectoryUnusable(f"the data directory {path} cannot be used: {error.strerror}") from error
    if not usable:
        why = "not writable" if path.is_dir() else "not a directory"
        raise DirectoryUnusable(f"the data directory {path} cannot be used: it is {why}")


class DataDirectory:
    """A directory that this process alone uses, from `DataDirectory(path)` to `release()`.

    It is made with mode 0700 if it does not exist; one that exists keeps its mode. The lock is
    a `flock` on a file in it, which the system lifts when the process ends, however it ends.

    Raises:
        DirectoryUnusable: it cannot be made or written to.
        DirectoryLocked: another process, or another `DataDirectory` of this one, has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_directory(path)
        try:
            self._lock = open_private(path / LOCK_FILE)
        except OSError as error:
            raise DirectoryUnusable(f"the data directory {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._lock, 20, 0).decode(errors="replace").strip()
            os.close(self._lock)
            by = f" (process {owner})" if owner.isdigit() else ""
            raise DirectoryLocked(f"the data directory {path} is in use by another daemon{by}") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others use the directory; the lock file stays, for its removal would be a race."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _sync(directory: Path) -> None:
    """Make a new entry of a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file that nobody else may read, made if need be; return its descriptor.

    A file that others may read is closed to them (mode 0600). Raises OSError.
    """
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
