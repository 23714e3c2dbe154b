"""What the journal could not be told when a life ended, kept beside it for the next one."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from adapters import exits
from messages.control import DaemonEnded

FILES: Final = {exits.INVARIANT: "promise.broken", exits.ERROR: "part.failed"}
"""By exit code: the next start halts by the first, and counts the second among failures in a row."""

logger = logging.getLogger("tidegate")


class Unsaid:
    """Keeps files in `directory` from an end that the journal could not be told of until a life has told it.

    `broken` and `failed` are what an earlier life has left: the text of its end, None if there was nothing. On a disk
    that is full a file may be empty, and then says less.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.broken = self._read(exits.INVARIANT)
        self.failed = self._read(exits.ERROR)

    def _read(self, code: int) -> str | None:
        with suppress(OSError):
            return (self._directory / FILES[code]).read_text(encoding="utf-8") or "see the log of that time"
        return None

    def keep(self, ended: DaemonEnded) -> None:
        """Note how a life ended, if nobody else has."""
        if ended.said or ended.exit_code not in FILES:
            return
        path = self._directory / FILES[ended.exit_code]
        try:
            path.write_text(ended.detail, encoding="utf-8")
        except OSError as error:
            halt = ": halt by hand before anything else" if ended.exit_code == exits.INVARIANT else ""
            logger.critical("%s cannot be written (%s)%s", path, error.strerror, halt)

    def forget(self) -> None:
        """Take the notes away: the journal has it all now."""
        for name in FILES.values():
            try:
                (self._directory / name).unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s cannot be removed: %s", self._directory / name, error.strerror)
