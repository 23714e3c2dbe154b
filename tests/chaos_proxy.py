"""A proxy on loopback that stands between a client and the paper exchange, and does to requests what networks do.

It knows just enough of HTTP/1.1 and WebSocket to see where a request or a frame begins and ends: so it can cut
before, in the middle of, or after one, answer it with something else, or hand its answer on slowly, late or twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from tests.loops import LoopInThread

T = TypeVar("T")

PORTAL = b"<html><body>Please log in to the hotel's network</body></html>"
ELSEWHERE = "http://127.0.0.1:1/api/v3/order"
_TEXT, _CLOSE = 1, 8


class Trouble(StrEnum):
    """What is done to a request, or to the events of a stream."""

    CUT_BEFORE = "cut before any of it is handed on"
    CUT_DURING = "cut in the middle of the request"
    CUT_AFTER = "cut when it is handed on, before its answer"
    RESET_AFTER = "reset when it is handed on"
    CUT_IN_ANSWER = "cut in the middle of the answer"
    BLACK_HOLE = "taken and never handed on"
    HALF_OPEN = "handed on, but no answer ever comes back"
    DRIP = "its answer comes a byte at a time, for longer than anyone waits"
    TWICE = "its answer comes twice"
    TWICE_LATER = "its answer comes again a while later"
    LATE = "its answer comes after everybody has given up"
    SLOW = "half a second in each direction"
    PORTAL = "a portal answers 200 with HTML and hands nothing on"
    HTML_ANSWER = "it is handed on, and its answer replaced by HTML"
    TRUNCATED = "its answer is JSON cut short, in a frame that is whole"
    REDIRECT = "answered with a redirect and not handed on"


HANDED_ON = {
    Trouble.CUT_AFTER,
    Trouble.RESET_AFTER,
    Trouble.CUT_IN_ANSWER,
    Trouble.HALF_OPEN,
    Trouble.DRIP,
    Trouble.TWICE,
    Trouble.TWICE_LATER,
    Trouble.LATE,
    Trouble.SLOW,
    Trouble.HTML_ANSWER,
    Trouble.TRUNCATED,
}
"""After these the exchange has the request."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """Do `trouble` to what carries `mark` in its bytes, from the `first` such on, so many `times`.

    `mark` is sought in requests, and with `events` in frames of the server that answer nothing.
    """

    trouble: Trouble
    mark: bytes
    first: int = 1
    times: int = 1
    events: bool = False
    seen: int = 0

    def strikes(self, data: bytes) -> bool:
        """Count what carries the mark; True if it is its turn."""
        if self.mark not in data:
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


class ChaosProxy:
    """Forwards connections on `port` to `upstream`; `plans` may be changed at any time."""

    def __init__(self, upstream: int, *plans: Plan, late_seconds: float = 3.0) -> None:
        self.upstream, self.plans, self.late_seconds = upstream, list(plans), late_seconds
        self.struck: Counter[Trouble] = Counter()
        self.port = 0
        self.down = False
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop everything."""
        assert self._server is not None
        self._server.close()
        self.cut_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_all(self) -> None:
        """Cut every connection there is."""
        for line in tuple(self._lines):
            line.drop(reset=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.down:
                return
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
                line = _Line(self, reader, writer, *await asyncio.open_connection("127.0.0.1", self.upstream))
                self._lines.add(line)
                try:
                    await line.run()
                finally:
                    self._lines.discard(line)
                    line.drop()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def trouble_of(self, data: bytes, *, events: bool = False) -> Trouble | None:
        """Say what is to be done to a request or an event."""
        for plan in self.plans:
            if plan.events is events and plan.strikes(data):
                self.struck[plan.trouble] += 1
                return plan.trouble
        return None


class _Cut(ValueError):
    """This connection has been cut."""


class _Line:
    """One connection of a client and the one behind it."""

    def __init__(
        self,
        proxy: ChaosProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client, self._to_client = reader, writer
        self._server, self._to_server = up_reader, up_writer
        self._answer_with: Trouble | None = None
        self._deaf = False

    def drop(self, *, reset: bool = False) -> None:
        """Drop both halves."""
        for writer in (self._to_client, self._to_server):
            if reset:
                taken = writer.get_extra_info("socket")
                if taken is not None:
                    with contextlib.suppress(OSError):
                        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def run(self) -> None:
        """Forward requests until it is over."""
        while True:
            request = await _message(self._client)
            upgrade = b"upgrade: websocket" in request.lower()
            trouble = self._proxy.trouble_of(request)
            await self._hand_on(request, trouble)
            if trouble is Trouble.PORTAL:
                self._to_client.write(_http(200, PORTAL, b"text/html"))
                continue
            if trouble is Trouble.REDIRECT:
                self._to_client.write(_http(302, b"", b"text/html", f"Location: {ELSEWHERE}\r\n".encode()))
                continue
            answer = await _message(self._server, no_body=upgrade)
            await self._answer_http(answer, trouble)
            if upgrade and answer.startswith(b"HTTP/1.1 101"):
                await asyncio.gather(self._frames_up(), self._frames_down())
                return

    async def _hand_on(self, request: bytes, trouble: Trouble | None) -> None:
        """Hand a request on, or do to it what is planned. Raises `_Cut` when nothing follows."""
        match trouble:
            case Trouble.CUT_BEFORE:
                raise _Cut
            case Trouble.CUT_DURING:
                self._to_server.write(request[: len(request) // 2])
                await self._to_server.drain()
                raise _Cut
            case Trouble.BLACK_HOLE:
                await asyncio.sleep(3600)
            case Trouble.PORTAL | Trouble.REDIRECT:
                return
            case Trouble.SLOW:
                await asyncio.sleep(0.5)
            case _:
                pass
        self._to_server.write(request)
        await self._to_server.drain()

    async def _answer_http(self, answer: bytes, trouble: Trouble | None) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        match trouble:
            case Trouble.CUT_AFTER:
                raise _Cut
            case Trouble.RESET_AFTER:
                self.drop(reset=True)
                raise _Cut
            case Trouble.CUT_IN_ANSWER:
                self._to_client.write(answer[: len(head) + 4 + len(body) // 2])
                await self._to_client.drain()
                await asyncio.sleep(0.05)  # So that it arrives before the end does.
                raise _Cut
            case Trouble.HALF_OPEN:
                await asyncio.sleep(3600)
            case Trouble.DRIP:
                await self._drip(answer)
            case Trouble.TWICE:
                self._to_client.write(answer + answer)
            case Trouble.TWICE_LATER:
                self._to_client.write(answer)
                await asyncio.sleep(0.1)
                self._to_client.write(answer)
            case Trouble.LATE:
                await asyncio.sleep(self._proxy.late_seconds)
                self._to_client.write(answer)
            case Trouble.SLOW:
                await asyncio.sleep(0.5)
                self._to_client.write(answer)
            case Trouble.HTML_ANSWER:
                self._to_client.write(_http(200, PORTAL, b"text/html"))
            case Trouble.TRUNCATED:
                self._to_client.write(_http(200, body[: len(body) // 2], b"application/json"))
            case _:
                self._to_client.write(answer)
        await self._to_client.drain()

    async def _drip(self, data: bytes) -> None:
        for byte in data:
            self._to_client.write(bytes((byte,)))
            await self._to_client.drain()
            await asyncio.sleep(self._proxy.late_seconds / 60)

    # Frames ---------------------------------------------------------------------------------------

    async def _frames_up(self) -> None:
        try:
            while True:
                frame, opcode, payload = await _frame(self._client)
                trouble = self._proxy.trouble_of(payload) if opcode == _TEXT else None
                if trouble in {Trouble.PORTAL, Trouble.REDIRECT}:
                    self._to_client.write(_text_frame(PORTAL))
                    continue
                self._answer_with = trouble if trouble in HANDED_ON else self._answer_with
                await self._hand_on(frame, trouble)
        finally:
            self.drop()

    async def _frames_down(self) -> None:
        try:
            while True:
                frame, opcode, payload = await _frame(self._server)
                if opcode != _TEXT:
                    self._to_client.write(frame)
                    continue
                if not _answers(payload):
                    trouble = self._proxy.trouble_of(payload, events=True)
                else:
                    trouble, self._answer_with = self._answer_with, None
                if not self._deaf:
                    await self._answer_frame(frame, payload, trouble)
        finally:
            self.drop()

    async def _answer_frame(self, frame: bytes, payload: bytes, trouble: Trouble | None) -> None:
        match trouble:
            case Trouble.CUT_BEFORE | Trouble.CUT_AFTER:
                raise _Cut
            case Trouble.RESET_AFTER:
                self.drop(reset=True)
                raise _Cut
            case Trouble.CUT_IN_ANSWER | Trouble.CUT_DURING:
                self._to_client.write(frame[: len(frame) // 2])
                await self._to_client.drain()
                await asyncio.sleep(0.05)
                raise _Cut
            case Trouble.HALF_OPEN | Trouble.BLACK_HOLE:
                self._deaf = True
            case Trouble.DRIP:
                await self._drip(frame)
            case Trouble.TWICE:
                self._to_client.write(frame + frame)
            case Trouble.TWICE_LATER:
                self._later(0.1, frame)
                self._to_client.write(frame)
            case Trouble.LATE:
                self._later(self._proxy.late_seconds, frame)
            case Trouble.SLOW:
                self._later(0.5, frame)
            case Trouble.HTML_ANSWER | Trouble.PORTAL:
                self._to_client.write(_text_frame(PORTAL))
            case Trouble.TRUNCATED:
                self._to_client.write(_text_frame(payload[: len(payload) // 2]))
            case _:
                self._to_client.write(frame)
        await self._to_client.drain()

    def _later(self, seconds: float, frame: bytes) -> None:
        def write() -> None:
            if not self._to_client.is_closing():
                self._to_client.write(frame)

        asyncio.get_running_loop().call_later(seconds, write)


async def _message(reader: asyncio.StreamReader, *, no_body: bool = False) -> bytes:
    """Read one request or answer of HTTP, as it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    if no_body and head.startswith(b"HTTP/1.1 101"):
        return head
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return head + await reader.readexactly(int(value))
        if name == b"transfer-encoding":
            return head + await _chunks(reader)
    return head


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        body += size + await reader.readexactly(int(size, 16) + 2)
        if int(size, 16) == 0:
            return body


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, int, bytes]:
    """Read one frame: its bytes, its kind, and what it says."""
    head = await reader.readexactly(2)
    masked, length = head[1] & 0x80, head[1] & 0x7F
    if length == 126:
        head += await reader.readexactly(2)
        length = int.from_bytes(head[2:])
    elif length == 127:
        head += await reader.readexactly(8)
        length = int.from_bytes(head[2:])
    mask = await reader.readexactly(4) if masked else b""
    said = await reader.readexactly(length)
    plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(said)) if masked else said
    return head + mask + said, head[0] & 0x0F, plain


def _answers(payload: bytes) -> bool:
    """Whether a frame answers a request; any other tells an event."""
    return payload.startswith((b'{"id"', b'{"result"', b'{"status"'))


def _text_frame(said: bytes) -> bytes:
    head = bytes((0x80 | _TEXT,))
    length = bytes((len(said),)) if len(said) < 126 else bytes((126,)) + len(said).to_bytes(2)
    return head + length + said


def _http(status: int, body: bytes, kind: bytes, more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 %d Whatever\r\nContent-Type: %b\r\nContent-Length: %d\r\n" % (status, kind, len(body))
        + more
        + b"\r\n"
        + body
    )


class ProxyThread:
    """A proxy on a loop of its own; used by those who do not live on a loop."""

    def __init__(self, proxy: ChaosProxy, home: LoopInThread) -> None:
        self.proxy, self._home = proxy, home

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run something where the proxy lives."""
        return self._home.do(what, 10)

    def call(self, what: Callable[[], T]) -> T:
        """Call something where the proxy lives."""
        return self._home.call(what)


@contextmanager
def proxied(upstream: int, *plans: Plan, late_seconds: float = 3.0) -> Iterator[ProxyThread]:
    """Run a proxy on a loop in a thread of its own."""
    with LoopInThread() as home:
        running = ProxyThread(ChaosProxy(upstream, *plans, late_seconds=late_seconds), home)
        running.do(running.proxy.start())
        try:
            yield running
        finally:
            running.do(running.proxy.stop())
