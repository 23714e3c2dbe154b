"""A WebSocket connection that is kept for ever: made again when it drops, replaced before it must.

What is said on a connection is a `Session`'s business; here is only when there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from adapters.binance.settings import BinanceSettings, is_loopback
from messages.order import BAD_CERTIFICATE

logger = logging.getLogger("tidegate.binance")

frames = logging.getLogger("tidegate.binance.frames")
frames.setLevel(logging.INFO)  # At DEBUG, whole frames with keys and signatures would be written.

LARGEST_FRAME = 8 * 2**20
_WHOLE = (Opcode.TEXT, Opcode.BINARY)
_CLOSE_SECONDS = 0.5
_SWAP_SPREAD = 0.05
_DRAIN_SECONDS = 0.05
_DRAIN_LOOKS = 300


class SessionFailed(Exception):
    """A new connection does not do what it was made for: try another one later."""


class Session(Protocol):
    """What lives on one connection, from its opening to its end."""

    async def open(self) -> None:
        """Make the connection useful; `take` is called meanwhile. Raises `SessionFailed` if it isn't."""

    def take(self, frame: bytes) -> None:
        """Handle a frame."""

    def end(self, detail: str | None) -> None:
        """The connection is gone; called once. None: we close for good, and nothing went wrong."""

    @property
    def busy(self) -> bool:
        """Whether somebody still waits for an answer on it."""


S = TypeVar("S", bound=Session)


class _Connection(ClientConnection):
    """A connection that hands whole frames to `sink` as they come in, as long as none waits to be received.

    `recv` would put each into a queue and wake a task for it, which is most of what a frame costs. What is
    in fragments goes that way, and so does everything else behind it until it is taken.
    """

    sink: Callable[[bytes], None] | None = None

    def process_event(self, event: Event) -> None:
        """Take a frame."""
        sink = self.sink
        if sink is not None and type(event) is Frame and event.fin and event.opcode in _WHOLE and not self._behind:
            sink(bytes(event.data))
        else:
            super().process_event(event)

    @property
    def _behind(self) -> int:
        """How many frames wait to be received."""
        return len(self.recv_messages.frames)


class _Connect(connect):
    """Connects to where it is told to and to nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Follow no redirect: a key must not go to a host that nobody chose."""
        return exc


@dataclass(slots=True, eq=False)
class _Line(Generic[S]):
    """A connection in use."""

    connection: ClientConnection
    session: S
    reader: asyncio.Task[None]
    since: float

    async def close(self) -> None:
        await close_or_drop(self.connection)
        with contextlib.suppress(asyncio.CancelledError):
            await self.reader


async def close_or_drop(connection: ClientConnection) -> None:
    """Close a connection; if that is cancelled while the other end says nothing, drop it, or its socket stays open."""
    try:
        await connection.close()
    except asyncio.CancelledError:
        connection.transport.abort()
        raise


def _drop(connection: ClientConnection, _: asyncio.Task[None]) -> None:
    """Drop a connection whose reader is over: one that is cancelled before its first step has run none of its code."""
    connection.transport.abort()


class Keeper(Generic[S]):
    """Sees to it that there is a session: `current` is it, None while there is none."""

    def __init__(
        self,
        name: str,
        *,
        url: Callable[[], str],
        build: Callable[[ClientConnection], S],
        settings: BinanceSettings,
        hold_seconds: Callable[[], float],
        on_refused: Callable[[int, Mapping[str, str]], None],
    ) -> None:
        """Connect to `url()`, each time anew; `build` makes the session of a connection.

        No connection is tried while `hold_seconds()` is above 0; `on_refused` hears of handshakes
        that were answered with an HTTP error, or with a false certificate (`BAD_CERTIFICATE`).
        """
        self._name, self._url, self._build, self._settings = name, url, build, settings
        self._hold_seconds, self._on_refused = hold_seconds, on_refused
        self._line: _Line[S] | None = None
        self._renewal = asyncio.Event()
        self._failures = 0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> S | None:
        """The session in use."""
        return None if self._line is None or self._line.reader.done() else self._line.session

    def renew(self, session: S, detail: str) -> None:
        """Replace a session, if it is the one in use: the new one is opened first."""
        if self._line is not None and self._line.session is session and not self._renewal.is_set():
            logger.info("%s: a new connection is opened (%s)", self._name, detail)
            self._renewal.set()

    async def run(self) -> None:
        """Keep a session, until cancelled."""
        while True:
            before, line = self._line, await self._connected()
            self._line = line
            self._renewal.clear()
            if before is not None and not before.reader.done():
                self._close_behind(before)
            await self._until_over(line)
            if asyncio.get_running_loop().time() - line.since >= self._settings.settled_seconds:
                self._failures = 0
            elif (
                line.reader.done() or self._renewal.is_set()
            ):  # Or what finds it useless each time would connect for ever.
                self._failures += 1

    async def _until_over(self, line: _Line[S]) -> None:
        """Wait until a connection has dropped, is to be renewed, or is old enough to be replaced."""
        renewal = asyncio.ensure_future(self._renewal.wait())
        lasting = self._settings.swap_seconds * (1 - _SWAP_SPREAD * random.random())  # noqa: S311 - no secret
        try:
            await asyncio.wait({line.reader, renewal}, timeout=lasting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            renewal.cancel()

    async def _connected(self) -> _Line[S]:
        """Connect and open a session, however often it takes."""
        while True:
            await asyncio.sleep(self._backoff())
            while (held := self._hold_seconds()) > 0:  # noqa: ASYNC110 - a timer may be early, or another limit hit
                await asyncio.sleep(held)
            try:
                connection = await self._connect()
            except (OSError, TimeoutError, WebSocketException) as error:
                self._note_failure(_words(error))
                continue
            session = self._build(connection)
            reader = asyncio.create_task(self._read(connection, session))
            reader.add_done_callback(partial(_drop, connection))
            line = _Line(connection, session, reader, asyncio.get_running_loop().time())
            try:
                async with asyncio.timeout(self._settings.connect_seconds):
                    await session.open()
            except (SessionFailed, TimeoutError, ConnectionClosed) as error:
                self._note_failure(_words(error))
                await line.close()
                continue
            if reader.done():
                self._note_failure("it dropped at once")
                continue
            logger.debug("%s: connected", self._name)
            return line

    async def _connect(self) -> _Connection:
        url = self._url()
        try:
            connection = await _Connect(
                url,
                create_connection=_Connection,
                open_timeout=self._settings.connect_seconds,
                close_timeout=_CLOSE_SECONDS,
                ping_interval=self._settings.ping_seconds,
                ping_timeout=self._settings.ping_seconds,
                max_size=LARGEST_FRAME,
                compression=None,
                proxy=None if is_loopback(url) else True,
                logger=frames,
                user_agent_header="tidegate",
            )
        except ssl.SSLCertVerificationError:
            self._on_refused(BAD_CERTIFICATE, {})
            raise
        except InvalidStatus as refused:
            self._on_refused(refused.response.status_code, dict(refused.response.headers.raw_items()))
            raise
        assert isinstance(connection, _Connection)
        return connection

    async def _read(self, connection: _Connection, session: S) -> None:
        def take(frame: bytes) -> None:
            try:
                session.take(frame)
            except Exception:
                logger.exception("%s: a frame could not be handled", self._name)

        detail: str | None = None
        connection.sink = take
        try:
            while True:
                take(await connection.recv(decode=False))
        except ConnectionClosed as closed:
            detail = _words(closed)
        finally:
            connection.sink = None
            session.end(detail)
            await close_or_drop(connection)

    def _close_behind(self, line: _Line[S]) -> None:
        task = asyncio.create_task(self._drain(line))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _drain(self, line: _Line[S]) -> None:
        """Close a connection that was replaced, once it owes nothing."""
        for _ in range(_DRAIN_LOOKS):
            if line.reader.done() or not line.session.busy:
                break
            await asyncio.sleep(_DRAIN_SECONDS)
        await line.close()

    def _note_failure(self, detail: str) -> None:
        self._failures += 1
        logger.warning("%s: no connection, try %d (%s)", self._name, self._failures, detail)

    def _backoff(self) -> float:
        """Return a wait that doubles with each failure up to a bound, jittered so that not all come at once."""
        if not self._failures:
            return 0.0
        settings = self._settings
        doubled = settings.retry_first_seconds * 2.0 ** min(self._failures - 1, 20)
        most = min(settings.retry_most_seconds, doubled)
        return most * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _words(error: Exception) -> str:
    """Say what went wrong; texts of ours and closing codes may be told, others might quote an address."""
    if isinstance(error, SessionFailed):
        return str(error)
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd or error.sent
        return "closed without a word" if frame is None else f"closed with {int(frame.code)}"
    if isinstance(error, InvalidStatus):
        return f"handshake refused with {error.response.status_code}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
