"""A write-ahead log kept short and ready, so that no commit has to see to it.

A commit that makes the log's file longer waits for the file system too, and one that writes the log
back into the database waits for all that was gathered there: some of a thousand orders would be late by
tens of milliseconds. Here the journal's has its full length from the start, and the writing back is done
beside the commits, on a connection of its own. What is durable when, stays as it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import apsw

if TYPE_CHECKING:
    from adapters.storage.sqlite import SqliteStore

LOOK_SECONDS = 0.25
KEPT_FACTS = 500
"""New facts after which a journal's log is written back: about a thousand pages, a few milliseconds of the disk."""

ROOM_PAGES = 2_000
"""A journal's log in pages of 4 kB from the start: what gathers between two looks of a busy day."""

logger = logging.getLogger("tidegate.storage")


class LogKeeper:
    """While it is entered, the log of a SQLite file is written back from a thread of its own.

    Should that fail, it is left to the commits, as it is without a keeper: a longer wait, nothing else.
    """

    def __init__(
        self, path: Path, written: Callable[[], int], *, step: int, look_seconds: float = LOOK_SECONDS
    ) -> None:
        """Keep the log of the file at `path`, looking every `look_seconds` whether `written` has grown by `step`."""
        self._path, self._written, self._step, self._look_seconds = path, written, step, look_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="log-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread; to be called before the file is closed."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                self._look_until_over(connection)
            finally:
                connection.close()
        except apsw.Error as error:
            logger.warning("%s: its log is written back by its commits from now on: %s", self._path.name, error)

    def _look_until_over(self, connection: apsw.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        kept = self._written()
        while not self._over.wait(self._look_seconds):
            written = self._written()
            if written - kept < self._step:
                continue
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.BusyError:  # A commit is at it.
                continue
            kept = written


def log_keeper_of(store: SqliteStore, *, step: int = KEPT_FACTS, look_seconds: float = LOOK_SECONDS) -> LogKeeper:
    """Make room in the log of a journal, of which nothing may be written meanwhile, and a keeper of it."""
    store.make_room(ROOM_PAGES)
    return LogKeeper(store.path, store.last_seq, step=step, look_seconds=look_seconds)
