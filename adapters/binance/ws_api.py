"""Requests over the WebSocket API: each gets its reply, or is known at once to have none to expect.

A request is queued, sent, or answered. When a socket drops, what was sent on it is unknown and
what was queued is not sent. A reply that comes after its request was given up is still news.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from adapters.binance.clock import Clock
from adapters.binance.codec import decode, frame_of
from adapters.binance.limits import Limits
from adapters.binance.links import Keeper
from adapters.binance.outcomes import Answer, Care, RequestNotSent, RequestUnknown, Unreadable, row_of
from adapters.binance.settings import BinanceSettings
from adapters.binance.shapes import Frame, Kind
from adapters.binance.signing import Signer, signed_ws
from messages.order import BAD_CERTIFICATE

logger = logging.getLogger("tidegate.binance")

REMEMBERED_LATE = 1000
"""How many requests that were given up are remembered for their late replies."""


@dataclass(slots=True)
class Trace:
    """How far a request has come: whether any of it was handed to a socket."""

    sent: bool = False


class _State(Enum):
    QUEUED = auto()
    SENT = auto()
    ANSWERED = auto()


@dataclass(slots=True, eq=False)
class _Request:
    future: asyncio.Future[Answer]
    trace: Trace
    on_late: Callable[[Answer], None] | None
    state: _State = _State.QUEUED
    came: Answer | None = None
    """An answer that came when the waiting was just being given up."""


class RequestTable:
    """The requests of one connection and what becomes of them; knows no socket."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Request] = {}
        self._late: OrderedDict[int, Callable[[Answer], None]] = OrderedDict()

    @property
    def owed(self) -> bool:
        """Whether a reply is still to come, in time or late."""
        return bool(self._waiting or self._late)

    def enter(self, number: int, request: _Request) -> None:
        """Take in a request that is about to be sent."""
        self._waiting[number] = request

    def mark_sent(self, number: int) -> bool:
        """Note that a request is now handed to the socket; False if nobody waits for it any more."""
        request = self._waiting.get(number)
        if request is None:
            return False
        request.state, request.trace.sent = _State.SENT, True
        return True

    def give_up(self, number: int) -> Exception:
        """Stop waiting for a reply, and return what that means. A late one will still be told."""
        request = self._waiting.pop(number, None)
        if request is None:
            return RequestUnknown("no answer in time")
        if request.state is _State.QUEUED:
            return RequestNotSent("it could not be sent in time")
        if request.on_late is not None:
            self._late[number] = request.on_late
            while len(self._late) > REMEMBERED_LATE:
                self._late.popitem(last=False)
        return RequestUnknown("no answer in time")

    def withdraw(self, number: int) -> None:
        """Forget a request whose asker is gone; a late reply will still be told."""
        if number in self._waiting:
            self.give_up(number)

    def answer(self, number: object, answer: Answer) -> bool:
        """Hand a reply to who waits for it, or waited; False if nobody ever did."""
        request = self._waiting.pop(number, None) if isinstance(number, int) else None
        if request is not None:
            request.state = _State.ANSWERED
            if request.future.done():
                request.came = answer  # Who waited has been woken, but has not yet looked.
            else:
                request.future.set_result(answer)
            return True
        on_late = self._late.pop(number, None) if isinstance(number, int) else None
        if on_late is not None:
            on_late(answer)
        return on_late is not None

    def fail_all(self, detail: str) -> None:
        """Fail everything at once: the socket is gone."""
        waiting, self._waiting = self._waiting, {}
        for request in waiting.values():
            if not request.future.done():
                sent = request.state is _State.SENT
                error = RequestUnknown(detail) if sent else RequestNotSent(detail)
                request.future.set_exception(error)
        self._late.clear()


class ApiSession:
    """Requests on one connection of the WebSocket API."""

    def __init__(self, connection: ClientConnection, *, limits: Limits, clock: Clock) -> None:
        self._connection, self._limits, self._clock = connection, limits, clock
        self._table = RequestTable()
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()
        self._on_event: Callable[[Frame], None] | None = None
        self._on_unreadable: Callable[[], None] | None = None

    def take_events(self, taker: Callable[[Frame], None], unreadable: Callable[[], None] | None = None) -> None:
        """Hand every frame that is an event to `taker` from now on; one that nobody can read may have been one."""
        self._on_event, self._on_unreadable = taker, unreadable

    async def open(self) -> None:
        """Nothing has to be said first."""

    def take(self, frame: bytes) -> None:
        """Handle a reply or an event; nothing that comes in ends the reading."""
        try:
            told = frame_of(frame)
        except Unreadable as error:
            logger.warning("a frame of the WebSocket API is unreadable: %s", error)
            if self._on_unreadable is not None:
                self._on_unreadable()
            return
        if told.status is None:
            if self._on_event is not None:
                self._on_event(told)
            return
        self._limits.learn_limits(told.rate_limits)
        answer = self._limits.learn_answer(_answer(told, self._local_time))
        if row_of(answer).care is Care.SET_CLOCK:
            self._clock.hurry()
        if not self._table.answer(told.id, answer):
            logger.error("an answer of the WebSocket API belongs to no request: %s", answer)

    def end(self, detail: str | None) -> None:
        """The socket is gone: what was sent on it is unknown."""
        self._table.fail_all(detail or "the connection was given up")

    @property
    def said_goodbye(self) -> bool:
        """Whether the other side has closed in order."""
        return self._connection.protocol.close_rcvd is not None

    @property
    def busy(self) -> bool:
        """Whether a reply may still come, be it late."""
        return self._table.owed

    async def request(
        self,
        method: str,
        params: Mapping[str, str | int],
        *,
        seconds: float,
        trace: Trace,
        on_late: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """Ask, and return the answer. Raises `RequestNotSent` or `RequestUnknown`.

        A reply that comes later than `seconds` is told to `on_late`, as long as the socket lives.
        """
        number = next(self._numbers)
        text = orjson.dumps({"id": number, "method": method, "params": params}).decode()
        request = _Request(asyncio.get_running_loop().create_future(), trace, on_late)
        self._table.enter(number, request)
        try:
            async with asyncio.timeout(seconds):
                await self._send(number, text)
                return await request.future
        except TimeoutError:
            if request.future.done() and not request.future.cancelled():  # It came in the same moment.
                return request.future.result()
            if (came := request.came) is not None:
                request.came = None
                return came
            raise self._table.give_up(number) from None
        finally:
            self._table.withdraw(number)
            if request.came is not None and on_late is not None:
                on_late(request.came)
            if request.future.done() and not request.future.cancelled():
                request.future.exception()

    async def _send(self, number: int, text: str) -> None:
        async with self._turn:
            if self._connection.state is not State.OPEN:
                raise RequestNotSent("the socket is closed")
            if not self._table.mark_sent(number):
                return
            try:
                await self._connection.send(text)
            except ConnectionClosed:
                raise RequestUnknown("the socket closed while it was being sent") from None

    def _local_time(self, milliseconds: int) -> datetime:
        """Say a moment of the venue's clock on ours."""
        offset = self._clock.offset_milliseconds() if self._clock.known else 0
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds - offset)


def _answer(frame: Frame, local_time: Callable[[int], datetime]) -> Answer:
    assert frame.status is not None
    if frame.error is None:
        return Answer(status=frame.status, body=bytes(frame.result))
    data = frame.error.data
    until = None if data is None or data.retry_after is None else local_time(data.retry_after)
    return Answer(status=frame.status, code=frame.error.code, message=frame.error.msg, until=until)


class WsApi:
    """The WebSocket API over whatever connection there is."""

    def __init__(self, settings: BinanceSettings, *, signer: Signer, clock: Clock, limits: Limits) -> None:
        """Make the link; `run` connects it."""
        self._settings, self._signer, self._limits, self._clock = settings, signer, limits, clock
        self._doubted_at = -float("inf")
        self._keeper: Keeper[ApiSession] = Keeper(
            "WebSocket API",
            url=lambda: settings.ws_api_url,
            build=self._build,
            settings=settings,
            hold_seconds=limits.hold_seconds,
            on_refused=lambda status, headers: note_handshake(limits, status, headers),
        )

    @property
    def connected(self) -> bool:
        """Whether a request could be sent now."""
        return self._keeper.current is not None

    async def run(self) -> None:
        """Stay connected, until cancelled."""
        await self._keeper.run()

    async def ask(
        self,
        method: str,
        params: Mapping[str, str],
        *,
        seconds: float,
        trace: Trace,
        on_late: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """Send a signed request, whose parameters have their timestamp, and return the answer.

        Raises `RequestNotSent`, also when there is no connection, or `RequestUnknown`.
        """
        session = self._keeper.current
        if session is None:
            raise RequestNotSent("not connected")
        signed = signed_ws(whole_numbers(params), self._settings.api_key, self._signer)
        try:
            return await session.request(method, signed, seconds=seconds, trace=trace, on_late=on_late)
        except RequestUnknown:
            self._doubt(session)
            raise

    def _doubt(self, session: ApiSession) -> None:
        """An answer did not come: the socket may be dead, so another one is opened, but not for each."""
        now = asyncio.get_running_loop().time()
        if now - self._doubted_at >= self._settings.settled_seconds:
            self._doubted_at = now
            self._keeper.renew(session, "an answer did not come")

    def _build(self, connection: ClientConnection) -> ApiSession:
        session = ApiSession(connection, limits=self._limits, clock=self._clock)
        session.take_events(lambda frame: self._take_event(session, frame))
        return session

    def _take_event(self, session: ApiSession, frame: Frame) -> None:
        if frame.event and decode(Kind, frame.event).kind == "serverShutdown":
            self._keeper.renew(session, "the server is about to stop")


def whole_numbers(params: Mapping[str, str]) -> dict[str, str | int]:
    """Write the parameters that are whole numbers by their nature as such: JSON tells them apart."""
    integers = {"timestamp", "recvWindow", "orderId"}
    return {name: int(value) if name in integers else value for name, value in params.items()}


def note_handshake(limits: Limits, status: int, headers: Mapping[str, str]) -> None:
    """Heed a limit that a handshake was refused for, or a certificate for which we refused it."""
    if status == BAD_CERTIFICATE:
        limits.distrust()
    elif status in {403, 418, 429}:
        limits.learn_answer(Answer(status=status, message="handshake refused", until=limits.retry_after(headers)))
