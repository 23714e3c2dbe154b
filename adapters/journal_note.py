"""What the journal could not say, noted beside it for the next life: that it failed, or that a promise was broken."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from messages.facts import AlertCleared, AlertRaised
from messages.refs import Tells

FILE: Final = "journal.failed"
KIND: Final = "journal"
BROKEN_FILE: Final = "promise.broken"
HALT_KIND, HALT_SUBJECT = "halt", "trading: a broken promise"

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


class BrokenNote:
    """Hands alerts on to `inner`, and keeps a file in `directory` from a broken promise to the alert of its halt.

    It is kept only where the journal could not be given the halt itself. `left` is what an earlier life has noted: the
    next one halts by it.
    """

    def __init__(self, directory: Path, inner: Tells[AlertRaised | AlertCleared] | None = None) -> None:
        self._path, self._inner = directory / BROKEN_FILE, inner
        self.left: str | None = None
        with suppress(OSError):
            self.left = self._path.read_text(encoding="utf-8") or "a promise was broken: see the log"

    def keep(self, detail: str) -> None:
        """Note which promise was broken."""
        try:
            self._path.write_text(detail, encoding="utf-8")
        except OSError as error:
            logger.critical("%s cannot be written (%s): halt by hand before anything else", self._path, error.strerror)

    def tell(self, alert: AlertRaised | AlertCleared, /) -> None:
        """Forget it once the journal has the halt, and hand every alert on."""
        if (alert.kind, alert.subject) == (HALT_KIND, HALT_SUBJECT):
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s cannot be removed: %s", self._path, error.strerror)
        if self._inner is not None:
            self._inner.tell(alert)
