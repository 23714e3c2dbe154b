"""That the journal has failed, noted beside it: no fact can tell of that, and the next life has to end the alert."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from messages.facts import AlertCleared, AlertRaised
from messages.refs import Tells

FILE: Final = "journal.failed"
KIND: Final = "journal"

logger = logging.getLogger("tidegate.alerts")


class JournalNote:
    """Hands alerts on to `inner`, and keeps a file in `directory` from the journal's failure to the end of its alert.

    `left` is what an earlier life has noted. On a disk that is full the file may be empty, and then says less.
    """

    def __init__(self, directory: Path, inner: Tells[AlertRaised | AlertCleared] | None = None) -> None:
        self._path, self._inner = directory / FILE, inner
        self.left: str | None = None
        with suppress(OSError):
            self.left = self._path.read_text(encoding="utf-8") or "facts could not be made durable"

    def tell(self, alert: AlertRaised | AlertCleared, /) -> None:
        """Take note of an alert about the journal, and hand every one on."""
        if alert.kind == KIND:
            try:
                if isinstance(alert, AlertRaised):
                    self._path.write_text(alert.text, encoding="utf-8")
                else:
                    self._path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s cannot be written: %s", self._path, error.strerror)
        if self._inner is not None:
            self._inner.tell(alert)
