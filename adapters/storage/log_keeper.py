"""The journal's write-ahead log kept short and ready, so that no commit has to see to it.

A commit that makes the log's file longer waits for the file system too, and one that writes the log
back into the journal waits for all that was gathered there: some of a thousand orders would be late by
tens of milliseconds. Here the file has its full length from the start, and the writing back is done
beside the commits, on a connection of its own. What is durable when, stays as it is.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

import apsw

from adapters.storage.sqlite import SqliteStore

LOOK_SECONDS = 0.25
KEPT_FACTS = 500
"""New facts after which the log is written back: about a thousand pages, a few milliseconds of the disk."""

ROOM_PAGES = 2_000
"""The log's length in pages of 4 kB from the start: what gathers between two looks of a busy day."""

logger = logging.getLogger("tidegate.journal")


class LogKeeper:
    """While it is entered, the log of `store` is written back from a thread of its own.

    Should that fail, it is left to the commits, as it is without a keeper: a longer wait, nothing else.
    """

    def __init__(self, store: SqliteStore, *, look_seconds: float = LOOK_SECONDS, facts: int = KEPT_FACTS) -> None:
        """Keep the log of `store`, looking every `look_seconds` whether it has `facts` new ones."""
        self._store, self._look_seconds, self._facts = store, look_seconds, facts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="log-keeper", daemon=True)

    def __enter__(self) -> Self:
        """Make room in the log; nothing may be appended meanwhile."""
        self._store.make_room(ROOM_PAGES)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread; to be called before the store is closed."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            connection = apsw.Connection(str(self._store.path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                self._look_until_over(connection)
            finally:
                connection.close()
        except apsw.Error as error:
            logger.warning("the journal's log is written back by its commits from now on: %s", error)

    def _look_until_over(self, connection: apsw.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        kept = self._store.last_seq()
        while not self._over.wait(self._look_seconds):
            last = self._store.last_seq()
            if last - kept < self._facts:
                continue
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.BusyError:  # A commit is at it.
                continue
            kept = last
