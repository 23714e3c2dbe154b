"""JSON lines: a signal or an array of them a line in, its verdict or verdicts a line out, as they are decided."""

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
from adapters.intake.signals import Body, decode_body, rejected, verdict_object
from messages.refs import Tells
from messages.signal import Reason, SignalReceived, Verdict

MAX_WAITING: Final = 1_000
"""Signals that may wait for their verdict; then no more lines are read."""

logger = logging.getLogger("tidegate.jsonl")


class Lines(Protocol):
    """Where lines come from: a binary stream, or a file that is followed."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, or as much of it as the limit allows; nothing at the end."""


class JsonLines:
    """Reads signals from a stream in one thread, writes each verdict as it comes in another.

    A verdict has the `line` (from 1) that it answers, and the signal's `id` if it had one; an array of
    signals gets an array of verdicts, once the last of them is there. Empty lines say nothing. The end
    of the input is a clean end: `finished` is set when every verdict is written, or can't be written
    any more. No actor ever waits for the streams. `decode` reads a line.
    """

    def __init__(
        self,
        source: Lines,
        sink: BinaryIO,
        *,
        max_waiting: int = MAX_WAITING,
        decode: Callable[[bytes], Body | Verdict] = decode_body,
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
                    self._take(gate, number, line.strip() if whole else None)
        except (OSError, ValueError) as error:  # ValueError: somebody closed the stream.
            logger.warning("the input broke off after line %d: %s", number, error)
        finally:
            self._said.put(_End(taken))

    def _skip_line(self) -> None:
        while (rest := self._source.readline(MAX_BODY)) and not rest.endswith(b"\n"):
            pass

    def _take(self, gate: Tells[SignalReceived], number: int, line: bytes | None) -> None:
        body = rejected(malformed(f"the line is above {MAX_BODY} bytes")) if line is None else self._decode(line)
        if isinstance(body, Verdict):
            body = Body((body,), many=False)
        self._said.put(_Begin(number, len(body.items), body.many))
        for place, item in enumerate(body.items):
            reply = _Reply(self._said, number, place)
            if isinstance(item, Verdict):
                reply.tell(item)
                continue
            try:
                gate.tell(SignalReceived(item, reply))
            except pykka.ActorDeadError:
                reply.tell(rejected(Refused(Reason.NOT_READY, "the daemon is stopping"), item.id))

    def _write(self) -> None:
        begun: dict[int, _Begin] = {}
        verdicts: dict[int, dict[int, Verdict]] = {}
        written, taken = 0, None
        while taken is None or written < taken:
            said = self._said.get()
            if isinstance(said, _End):
                taken = said.taken
                continue
            number = said.line
            if isinstance(said, _Begin):
                begun[number], verdicts[number] = said, {}
            else:
                verdicts[number][said.place] = said.verdict
            if len(verdicts[number]) == begun[number].signals:
                self._say(begun.pop(number), verdicts.pop(number))
                written += 1
                self._slots.release()
        self.finished.set()

    def _say(self, line: _Begin, verdicts: dict[int, Verdict]) -> None:
        said = [
            {"line": line.line, **({} if verdict.id is None else {"id": verdict.id}), **verdict_object(verdict)}
            for _, verdict in sorted(verdicts.items())
        ]
        try:
            self._sink.write(orjson.dumps(said if line.many else said[0], option=orjson.OPT_APPEND_NEWLINE))
            self._sink.flush()
        except (OSError, ValueError) as error:
            logger.warning("the verdict on line %d could not be written: %s", line.line, error)


def apart(stream: BinaryIO, mode: Literal["rb", "wb"]) -> BinaryIO:
    """Open a standard stream's file once more, for a thread of its own.

    At its end the interpreter takes the locks of the standard streams themselves; a thread that still
    waits in one of them would make it abort.
    """
    return os.fdopen(os.dup(stream.fileno()), mode)


class _End(NamedTuple):
    """The input is over; so many lines were taken from it."""

    taken: int


class _Begin(NamedTuple):
    """A line was read that has so many signals; `many` if they are an array."""

    line: int
    signals: int
    many: bool


class _Told(NamedTuple):
    """The verdict on one signal of a line."""

    line: int
    place: int
    verdict: Verdict


_Said = _Begin | _Told | _End


class _Reply:
    """Whom the gate answers on one signal of a line; a second answer is none."""

    def __init__(self, said: queue.SimpleQueue[_Said], line: int, place: int) -> None:
        self._said, self._line, self._place = said, line, place
        self._answered = False

    def tell(self, verdict: Verdict, /) -> None:
        if not self._answered:
            self._answered = True
            self._said.put(_Told(self._line, self._place, verdict))
