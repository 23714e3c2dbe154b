"""JSON lines: one signal a line in, one verdict a line out, in the order in which they are decided."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import BinaryIO, Final, Literal, NamedTuple, Protocol

import orjson
import pykka

from adapters.intake.fields import MAX_BODY, Refused, malformed
from adapters.intake.signals import decode_signal, rejected, verdict_object
from messages.refs import Tells
from messages.signal import Reason, Signal, SignalReceived, Verdict

MAX_WAITING: Final = 1_000
"""Signals that may wait for their verdict; then no more lines are read."""

logger = logging.getLogger("tidegate.jsonl")


class Lines(Protocol):
    """Where lines come from: a binary stream, or a file that is followed."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or as much of it as the limit allows; nothing at the end."""


class JsonLines:
    """Reads signals from a stream in one thread, writes each verdict as it comes in another.

    A verdict has the `line` (from 1) that it answers, and the signal's `id` if it had one. Empty
    lines say nothing. The end of the input is a clean end: `finished` is set when every verdict is
    written, or can't be written any more. No actor ever waits for the streams. `decode` reads a line.
    """

    def __init__(
        self,
        source: Lines,
        sink: BinaryIO,
        *,
        max_waiting: int = MAX_WAITING,
        decode: Callable[[bytes], Signal | Verdict] = decode_signal,
    ) -> None:
        self._source, self._sink, self._decode = source, sink, decode
        self._slots = threading.Semaphore(max_waiting)
        self._said: queue.SimpleQueue[_Said] = queue.SimpleQueue()
        self.finished = threading.Event()

    def start(self, gate: Tells[SignalReceived]) -> None:
        """Begin to read; signals go to `gate`."""
        threading.Thread(target=self._read, args=(gate,), name="jsonl-in", daemon=True).start()
        threading.Thread(target=self._write, name="jsonl-out", daemon=True).start()

    def _read(self, gate: Tells[SignalReceived]) -> None:
        number = taken = 0
        try:
            while line := self._source.readline(MAX_BODY + 2):
                number += 1
                whole = line.endswith(b"\n") or len(line) <= MAX_BODY
                if not whole:
                    self._skip_line()
                if line.strip():
                    self._slots.acquire()
                    taken += 1
                    self._take(gate, _Reply(self._said, number), line.strip() if whole else None)
        except (OSError, ValueError) as error:  # ValueError: somebody closed the stream.
            logger.warning("the input broke off after line %d: %s", number, error)
        finally:
            self._said.put(_End(taken))

    def _skip_line(self) -> None:
        while (rest := self._source.readline(MAX_BODY)) and not rest.endswith(b"\n"):
            pass

    def _take(self, gate: Tells[SignalReceived], reply: _Reply, line: bytes | None) -> None:
        if line is None:
            reply.tell(rejected(malformed(f"the line is above {MAX_BODY} bytes")))
            return
        signal = self._decode(line)
        if isinstance(signal, Verdict):
            reply.tell(signal)
            return
        try:
            gate.tell(SignalReceived(signal, reply))
        except pykka.ActorDeadError:
            stopping = Refused(Reason.NOT_READY, "the daemon is stopping")
            reply.tell(rejected(stopping, signal.id))

    def _write(self) -> None:
        written, taken = 0, None
        while taken is None or written < taken:
            said = self._said.get()
            if isinstance(said, _End):
                taken = said.taken
                continue
            number, verdict = said
            line = {"line": number, **({} if verdict.id is None else {"id": verdict.id}), **verdict_object(verdict)}
            try:
                self._sink.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                self._sink.flush()
            except (OSError, ValueError) as error:
                logger.warning("the verdict on line %d could not be written: %s", number, error)
            written += 1
            self._slots.release()
        self.finished.set()


def apart(stream: BinaryIO, mode: Literal["rb", "wb"]) -> BinaryIO:
    """Open a standard stream's file once more, for a thread of its own.

    At its end the interpreter takes the locks of the standard streams themselves; a thread that still
    waits in one of them would make it abort.
    """
    return os.fdopen(os.dup(stream.fileno()), mode)


class _End(NamedTuple):
    """The input is over; so many signals were taken from it."""

    taken: int


_Said = tuple[int, Verdict] | _End


class _Reply:
    """Whom the gate answers on one line; a second answer is none."""

    def __init__(self, said: queue.SimpleQueue[_Said], number: int) -> None:
        self._said, self._number = said, number
        self._answered = False

    def tell(self, verdict: Verdict, /) -> None:
        if not self._answered:
            self._answered = True
            self._said.put((self._number, verdict))
