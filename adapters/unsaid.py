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

    `broken` is what an earlier life has left of a promise, None if there was nothing; `failed` has a line for each life
    since the others were last up, too. On a disk that is full a file may be empty, and then says less; where none can
    be written nothing is counted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.broken = next(reversed(self._read(exits.INVARIANT)), None)
        self.failed = self._read(exits.ERROR)

    def _read(self, code: int) -> tuple[str, ...]:
        with suppress(OSError):
            text = (self._directory / FILES[code]).read_text(encoding="utf-8", errors="replace")
            return tuple(text.splitlines()) or ("see the log of that time",)
        return ()

    def keep(self, ended: DaemonEnded) -> None:
        """Note how a life ended, if nobody else has; after one that gave up the next, a person's, counts anew."""
        if ended.exit_code == exits.GAVE_UP:
            self._remove(exits.ERROR)
        if ended.said or ended.exit_code not in FILES:
            return
        path = self._directory / FILES[ended.exit_code]
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{' '.join(ended.detail.split())}\n")
        except OSError as error:
            halt = ": halt by hand before anything else" if ended.exit_code == exits.INVARIANT else ""
            logger.critical("%s cannot be written (%s)%s", path, error.strerror, halt)

    def forget(self) -> None:
        """Take the notes away: the journal has it all now."""
        for code in FILES:
            self._remove(code)

    def _remove(self, code: int) -> None:
        path = self._directory / FILES[code]
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed: %s", path, error.strerror)
