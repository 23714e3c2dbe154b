"""One log line for a flood, not one for each of its packets."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

QUIET_SECONDS: Final = 60.0


class Floods:
    """Says the first event of a kind at once, and of those that follow how many there were, once in a while.

    Kinds are ours, never a sender's words, so there are only a few. Not safe for several threads.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._logger, self._clock, self._quiet = logger, clock, quiet_seconds
        self._silent_until: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def note(self, kind: str, detail: str = "") -> bool:
        """Take note of one event; True if a line was written about it."""
        now = self._clock()
        if now < self._silent_until.get(kind, now):
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return False
        self._silent_until[kind] = now + self._quiet
        unsaid = self._unsaid.pop(kind, 0)
        before = f", and {unsaid} more before it" if unsaid else ""
        self._logger.warning("%s%s%s; of any more the number is said in %g s", kind, detail, before, self._quiet)
        return True


class FloodFilter(logging.Filter):
    """Lets through one record of each kind in a while, for loggers whose records senders can cause.

    Of an exception of one of the `quoting` types only the type is kept: its text quotes what was sent.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        quiet_seconds: float = QUIET_SECONDS,
        quoting: tuple[type[BaseException], ...] = (),
    ) -> None:
        super().__init__()
        self._quoting = quoting
        self._clock, self._quiet = clock, quiet_seconds
        self._silent_until: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is the first of its kind for a while."""
        now, kind = self._clock(), str(record.msg)
        if now < self._silent_until.get(kind, now):
            return False
        self._silent_until[kind] = now + self._quiet
        if record.exc_info and isinstance(record.exc_info[1], self._quoting):
            record.msg = f"{record.msg}: {type(record.exc_info[1]).__name__}"
            record.exc_info = record.exc_text = None
        return True
