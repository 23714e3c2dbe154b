"""A WebSocket as the exchange keeps it: what waits to be sent, pings, its end after a day, and misbehaviour."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from enum import StrEnum

from aiohttp import WSMsgType, web

from adapters.paper.latency import Delays
from adapters.paper.server.settings import ServerSettings

logger = logging.getLogger("tidegate.paper")

GOING_AWAY = 1001
POLICY = 1008
_COUNTED = frozenset({WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG})


class Stall(StrEnum):
    """What a stalled connection keeps to itself: its events, or all that it has to say, pongs too."""

    EVENTS = "events"
    EVERYTHING = "everything"


class Connection:
    """One client's WebSocket. Subclasses say what to do with its text."""

    def __init__(
        self, request: web.BaseRequest, socket: web.WebSocketResponse, settings: ServerSettings, delays: Delays
    ) -> None:
        """Speak over `socket`, which was prepared for `request`; `delays` are those of the network."""
        self._socket, self._settings, self._transport = socket, settings, request.transport
        self._delays = delays
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._coming: deque[tuple[float, str]] = deque()
        self._bringer: asyncio.Task[None] | None = None
        self._last_in = self._last_out = 0.0
        self._more = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._loop = asyncio.get_running_loop()
        self._ponged = self._loop.time()
        self.stalled: Stall | None = None
        self.ended = asyncio.Event()

    async def on_text(self, text: str) -> None:
        """Do what a client asks."""
        raise NotImplementedError

    def admit(self) -> bool:
        """Tell whether one more frame of the client's, of whatever kind, is taken."""
        return True

    def on_closed(self) -> None:
        """Tidy up after the connection's end."""

    # Sending --------------------------------------------------------------------------------------

    def send_event(self, payload: bytes) -> None:
        """Send what nobody asked for just now."""
        self.send(payload, event=True)

    def send(self, payload: bytes, *, event: bool = False) -> None:
        """Send a text frame, in order; what a stalled connection should have sent is lost."""
        if self.stalled is Stall.EVERYTHING or (event and self.stalled is Stall.EVENTS):
            return
        if self._closing is not None:
            return
        if len(self._waiting) >= self._settings.most_waiting:
            self.close(POLICY, "the client is too slow")
            return
        if self._delays:  # Nothing overtakes what was sent before it on the same connection.
            self._last_out = max(self._last_out, self._loop.time() + self._delays.draw())
        self._waiting.append((self._last_out, payload))
        self._more.set()

    def close(self, code: int = GOING_AWAY, reason: str = "") -> None:
        """Close once everything that waits is sent."""
        if self._closing is None:
            self._closing = (code, reason)
            self._more.set()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    # Running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        reader, writer = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        pinger = asyncio.create_task(self._ping())
        expiry = self._loop.call_later(self._settings.connection_seconds, self.close)
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if self._bringer is not None and self._closing is None:
                await self._bringer  # What a client sent before it went arrives.
        finally:
            expiry.cancel()
            self.on_closed()
            tasks = [reader, writer, pinger, *([self._bringer] if self._bringer is not None else [])]
            for task in tasks:
                task.cancel()
            for failure in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(failure, Exception):
                    logger.error("a connection ended badly", exc_info=failure)
        if self._closing is not None:
            code, reason = self._closing
            await self._socket.close(code=code, message=reason.encode())
        self.ended.set()

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type in _COUNTED and not self.admit():
                continue
            if message.type is WSMsgType.TEXT:
                if self._delays:
                    self._bring(message.data)
                else:
                    await self.on_text(message.data)
            elif message.type is WSMsgType.PING:
                if self.stalled is not Stall.EVERYTHING:
                    with contextlib.suppress(ConnectionError):
                        await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._ponged = self._loop.time()
            elif message.type is WSMsgType.BINARY:
                self.close(1003, "text frames only")
            else:
                return

    def _bring(self, text: str) -> None:
        """Let what a client sent be under way for a while."""
        self._last_in = max(self._last_in, self._loop.time() + self._delays.draw())
        self._coming.append((self._last_in, text))
        if self._bringer is None or self._bringer.done():
            self._bringer = asyncio.create_task(self._bring_all())

    async def _bring_all(self) -> None:
        while self._coming:
            due, text = self._coming.popleft()
            await asyncio.sleep(due - self._loop.time())
            await self.on_text(text)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._more.wait()
                self._more.clear()
                while self._waiting:
                    due, payload = self._waiting.popleft()
                    if due:
                        await asyncio.sleep(due - self._loop.time())
                    await self._socket.send_frame(payload, WSMsgType.TEXT)
                if self._closing is not None:
                    return

    async def _ping(self) -> None:
        """Ping at the set pace; a client that has not answered for too long is cut off."""
        settings = self._settings
        pinged: float | None = None
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(min(settings.ping_seconds, settings.pong_seconds))
                now = self._loop.time()
                if pinged is not None and self._ponged < pinged and now - pinged >= settings.pong_seconds:
                    logger.info("a client did not answer a ping in time")
                    self.abort()
                    return
                if pinged is None or (self._ponged >= pinged and now - pinged >= settings.ping_seconds):
                    pinged = now
                if self.stalled is not Stall.EVERYTHING:
                    await self._socket.ping(b"%d" % int(now * 1000))
