"""A file that grows, read line by line as it does: over rotation, truncation, and its not being there yet."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from adapters.intake.fields import malformed
from adapters.intake.signals import Body, decode_body, rejected
from messages.signal import Signal, Verdict

POLL_SECONDS: Final = 0.2


class FollowedFile:
    """Reads whole lines of `path` as they are written; `readline` waits for the next one, until `stop`.

    A file that is moved away is read to its end, then the new one of its name from the start; a file
    that became shorter is read from the start. Where reading has come to is nowhere written down: a
    daemon that starts reads the whole file, and relies on the signals to tell what was done before.
    """

    def __init__(self, path: Path, *, pause: Callable[[float], object] | None = None) -> None:
        """Follow `path`; `pause` waits so many seconds, for tests."""
        self._path = path
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._file: BinaryIO | None = None
        self._old_until: int | None = None
        self._first = True
        self.is_old = False

    def readline(self, limit: int) -> bytes:
        """Wait for a whole line, or the next `limit` bytes of a longer one; nothing once stopped."""
        part = b""
        while not self._stopped.is_set():
            file = self._open()
            if file is not None:
                begun = file.tell() - len(part)
                part += file.readline(limit - len(part))
                if part.endswith(b"\n") or len(part) >= limit:
                    self.is_old = self._old_until is not None and begun < self._old_until
                    return part
                if self._is_over(file):
                    self._close()
                    if part:
                        return part + b"\n"  # Nobody will write its end any more.
                    continue
            self._pause(POLL_SECONDS)
        self._close()
        return b""

    def decode(self, line: bytes) -> Body | Verdict:
        """Read a line's signals; one that stood there when the daemon started must say when it was made.

        Without a timestamp nothing would tell an order of last month from one of now, once the
        retention of ids is over.
        """
        body = decode_body(line)
        if isinstance(body, Verdict) or not self.is_old:
            return body
        return Body(tuple(_dated(item) for item in body.items), body.many)

    def stop(self) -> None:
        """Let `readline` come to its end."""
        self._stopped.set()

    def _open(self) -> BinaryIO | None:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                self._first = False  # Whatever comes is written from now on.
                return None
            self._old_until = os.fstat(self._file.fileno()).st_size if self._first else None
            self._first = False
        return self._file

    def _is_over(self, file: BinaryIO) -> bool:
        """Tell whether nothing more will come: the name is another file's, or this one was cut."""
        mine = os.fstat(file.fileno())
        if mine.st_size < file.tell():
            return True
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False  # Moved away, and perhaps still written to, until there is a new one.
        moved = (named.st_dev, named.st_ino) != (mine.st_dev, mine.st_ino)
        return moved and os.fstat(file.fileno()).st_size == file.tell()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _dated(item: Signal | Verdict) -> Signal | Verdict:
    if isinstance(item, Signal) and item.timestamp is None:
        return rejected(malformed("it was in the file before the daemon started and has no timestamp"), item.id)
    return item
