"""Market data: the touch at every change, the book near it, and no word that is older than it looks.

Per symbol only the latest counts: there is a slot, not a queue, so a slow listener gets fewer quotes
and never an old one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from actors.runtime import Runtime
from adapters.binance.book import LocalBook
from adapters.binance.codec import decode, quote_of
from adapters.binance.limits import Limits
from adapters.binance.links import Keeper
from adapters.binance.outcomes import RequestNotSent, RequestUnknown, Unreadable
from adapters.binance.settings import BinanceSettings
from adapters.binance.shapes import AggTradeEvent, BookTicker, DepthEvent, DepthSnapshot, Kind, StreamFrame, TouchEvent
from adapters.binance.ws_api import note_handshake
from messages.market import Level, MarketEvent, MarketGap, QuoteSeen, WatchMarket
from messages.money import ZERO
from messages.refs import Tells
from messages.signal import Side

logger = logging.getLogger("tidegate.binance")

E = TypeVar("E", TouchEvent, DepthEvent, AggTradeEvent)

FRESH_SECONDS = 1.0
"""A touch that is younger may be told again as the present one."""

CONTROL_SECONDS = 0.35
"""Control messages are at least so far apart: five a second are allowed, a ping and a pong included."""

ASK_RETRY_SECONDS = 0.5
SNAPSHOT_FIRST_SECONDS, SNAPSHOT_MOST_SECONDS, SNAPSHOT_CALM_SECONDS = 0.5, 30.0, 60.0
"""A snapshot weighs 50 of the 6,000 a minute that orders' proofs and all else must do with."""
BOOK_BELIEVED_SECONDS = 2.0
"""A book that was silent for longer is believed only if its touch is the present one."""

AskTouch = Callable[[tuple[str, ...]], Awaitable[list[BookTicker]]]
AskDepth = Callable[[str], Awaitable[DepthSnapshot]]


@dataclass(slots=True)
class _Pace:
    """Bounds how often something costly is asked for: at once, but ever more seldom as long as it does not help."""

    gap: float = SNAPSHOT_FIRST_SECONDS
    asked_at: float = -float("inf")

    def wait(self, now: float) -> float:
        """Return for how long to wait before asking."""
        return max(0.0, self.asked_at + self.gap - now)

    def ask(self, now: float) -> None:
        """Note that it is asked now."""
        calm = now - self.asked_at > SNAPSHOT_CALM_SECONDS
        first = self.asked_at == -float("inf")
        self.gap = SNAPSHOT_FIRST_SECONDS if calm or first else min(2 * self.gap, SNAPSHOT_MOST_SECONDS)
        self.asked_at = now


@dataclass(slots=True, eq=False)
class _Slot:
    """What one symbol's listener is owed."""

    symbol: str
    listener: Tells[MarketEvent]
    hot: bool
    touch: QuoteSeen | None = None
    update_id: int = -1
    seen_at: float = -float("inf")
    told_at: float = -float("inf")
    timer: asyncio.TimerHandle | None = None
    trades: bool = False
    traded: Decimal = ZERO
    trade_number: int = -1
    snapshots: _Pace = field(default_factory=_Pace)


@dataclass(slots=True, eq=False)
class _Books:
    """The books of one connection, and the snapshots under way for them."""

    by_symbol: dict[str, LocalBook] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)


class _MarketSession:
    """One connection to the combined stream."""

    def __init__(self, stream: MarketStream, connection: ClientConnection, streams: tuple[str, ...]) -> None:
        self._stream, self._connection = stream, connection
        self._subscribed = dict.fromkeys(streams)
        self._numbers = 0
        self._control: asyncio.Task[None] | None = None
        self.opened = False
        self.books = _Books()

    async def open(self) -> None:
        """The streams are in the address; what was asked for since is subscribed to."""
        self.opened = True
        self._stream.session_opened(self)

    def take(self, frame: bytes) -> None:
        """Handle a frame of the combined stream; one that cannot be read is left out."""
        try:
            self._take(frame)
        except Unreadable as error:
            logger.warning("a frame of the market stream is unreadable: %s", error)

    def _take(self, frame: bytes) -> None:
        told = decode(StreamFrame, frame)
        if told.stream.endswith("@bookTicker"):
            self._stream.take_touch(_of_its_stream(told.stream, decode(TouchEvent, told.data)))
        elif "@depth" in told.stream:
            self._stream.take_depth(self, _of_its_stream(told.stream, decode(DepthEvent, told.data)))
        elif told.stream.endswith("@aggTrade"):
            self._stream.take_trade(_of_its_stream(told.stream, decode(AggTradeEvent, told.data)))
        elif _is_shutdown(told, frame):
            self._stream.leave(self)

    def end(self, detail: str | None) -> None:
        """The socket is gone."""
        for task in (*self.books.tasks.values(), *([self._control] if self._control else [])):
            task.cancel()
        if self.opened and detail is not None:
            self._stream.session_ended(self, detail)

    @property
    def busy(self) -> bool:
        """Nothing is asked here."""
        return False

    def subscribe(self) -> None:
        """See to it that every watched symbol is streamed, and nobody's trades that are not counted."""
        if self._control is None or self._control.done():
            self._control = asyncio.create_task(self._subscribe())

    async def _subscribe(self) -> None:
        try:
            while (change := self._change()) is not None:
                method, streams = change
                self._numbers += 1
                request = {"method": method, "params": streams, "id": self._numbers}
                await self._connection.send(orjson.dumps(request).decode())
                await asyncio.sleep(CONTROL_SECONDS)
        except ConnectionClosed:
            return  # The next connection has them in its address.

    def _change(self) -> tuple[str, list[str]] | None:
        """Say what to ask for next, and count on it; None if all is as it should be."""
        wanted = self._stream.streams
        if missing := [name for name in wanted if name not in self._subscribed]:
            self._subscribed.update(dict.fromkeys(missing))
            return "SUBSCRIBE", missing
        if spare := [name for name in self._subscribed if name not in wanted]:
            for name in spare:
                del self._subscribed[name]
            return "UNSUBSCRIBE", spare
        return None


class MarketStream:
    """Streams watched symbols to one listener each; lives on the loop's thread."""

    def __init__(
        self,
        settings: BinanceSettings,
        *,
        runtime: Runtime,
        limits: Limits,
        ask_touch: AskTouch,
        ask_depth: AskDepth,
    ) -> None:
        """Make it; `run` connects. The two `ask_...` go over REST and raise what requests raise."""
        self._settings, self._runtime = settings, runtime
        self._ask_touch, self._ask_depth = ask_touch, ask_depth
        self._limits = limits
        self._slots: dict[str, _Slot] = {}
        self._relied: _MarketSession | None = None
        self._snapshots = asyncio.Semaphore(2)
        self._wanted = asyncio.Event()
        self._asked: dict[str, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._keeper: Keeper[_MarketSession] = Keeper(
            "market stream",
            url=self._url,
            build=lambda connection: _MarketSession(self, connection, self._in_url),
            settings=settings,
            hold_seconds=limits.hold_seconds,
            on_refused=lambda status, headers: note_handshake(limits, status, headers),
        )
        self._in_url: tuple[str, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is watched."""
        return tuple(self._slots)

    @property
    def streams(self) -> dict[str, None]:
        """The names of the streams that are wanted."""
        names = (_streams(slot.symbol, trades=slot.trades) for slot in self._slots.values())
        return dict.fromkeys(name for some in names for name in some)

    def book(self, symbol: str) -> LocalBook | None:
        """Return the local book of a symbol, None without a connection or before its first change."""
        return None if self._relied is None else self._relied.books.by_symbol.get(symbol)

    async def run(self) -> None:
        """Stay connected once a symbol is watched, until cancelled."""
        await self._wanted.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            if self._settings.quiet_seconds is not None:
                group.create_task(self._ask_when_quiet(self._settings.quiet_seconds))

    def watch(self, wish: WatchMarket) -> None:
        """Stream a symbol to a listener, beginning with the present touch."""
        old = self._slots.get(wish.symbol)
        if old is not None and old.timer is not None:
            old.timer.cancel()
            old.timer = None
        if old is not None and old.listener is wish.listener:
            slot = old
            slot.hot = wish.hot
        else:
            slot = self._slots[wish.symbol] = _Slot(wish.symbol, wish.listener, wish.hot)
        slot.trades = wish.trades
        if old is not None:
            slot.touch, slot.update_id, slot.seen_at = old.touch, old.update_id, old.seen_at
            slot.snapshots = old.snapshots
        if self._relied is not None and self._runtime.now() - slot.seen_at <= FRESH_SECONDS:
            self._tell(slot)
        else:
            self._ask((wish.symbol,))
        self._wanted.set()
        if self._relied is not None:
            self._relied.subscribe()

    # What sessions tell ---------------------------------------------------------------------------

    def session_opened(self, session: _MarketSession) -> None:
        """A connection delivers; what has not changed since is asked for."""
        if self._relied is None:
            for slot in self._slots.values():
                slot.update_id = slot.trade_number = -1
        self._relied = session
        session.subscribe()
        self._ask(self.symbols)

    def session_ended(self, session: _MarketSession, detail: str) -> None:
        """A connection is gone; what was seen on it is not to be trusted."""
        if session is not self._relied:
            return
        self._relied = None
        logger.warning("the market stream was cut: %s", detail)
        gaps: dict[int, tuple[Tells[MarketEvent], list[str]]] = {}
        for slot in self._slots.values():
            slot.touch, slot.seen_at = None, -float("inf")
            if slot.timer is not None:
                slot.timer.cancel()
                slot.timer = None
            gaps.setdefault(id(slot.listener), (slot.listener, []))[1].append(slot.symbol)
        for listener, symbols in gaps.values():
            self._runtime.send(listener, MarketGap(symbols=tuple(symbols)))

    def leave(self, session: _MarketSession) -> None:
        """Open another connection in place of this one."""
        self._keeper.renew(session, "the server is about to stop")

    def take_touch(self, event: TouchEvent) -> None:
        """Take a touch, unless it is older than what is known."""
        slot = self._slots.get(event.symbol)
        if slot is None or event.update_id < slot.update_id:
            return
        slot.update_id = event.update_id
        self._see(
            slot,
            QuoteSeen(
                symbol=event.symbol,
                bid=event.bid,
                bid_quantity=event.bid_qty,
                ask=event.ask,
                ask_quantity=event.ask_qty,
            ),
        )

    def take_trade(self, event: AggTradeEvent) -> None:
        """Count a trade, once: while a connection is renewed two of them tell it."""
        slot = self._slots.get(event.symbol)
        if slot is None or not slot.trades or event.number <= slot.trade_number:
            return
        slot.trade_number = event.number
        slot.traded += event.quantity
        self._mark(slot)

    def take_depth(self, session: _MarketSession, event: DepthEvent) -> None:
        """Take changes of a book, and see to a snapshot where one is needed."""
        books, symbol = session.books, event.symbol
        if symbol not in self._slots:
            return
        book = books.by_symbol.setdefault(symbol, LocalBook())
        needs = book.take_event(event, self._runtime.now())
        if not needs and (book.crossed or book.thin(self._settings.book_levels)):
            book.reset()
            needs = book.take_event(event, self._runtime.now())
        task = books.tasks.get(symbol)
        if needs and (task is None or task.done()):
            books.tasks[symbol] = asyncio.create_task(self._fill(symbol, book))
        slot = self._slots[symbol]
        if slot.touch is not None and book.synced:
            self._mark(slot)

    # Telling --------------------------------------------------------------------------------------

    def _see(self, slot: _Slot, touch: QuoteSeen) -> None:
        slot.touch, slot.seen_at = touch, self._runtime.now()
        self._mark(slot)

    def _mark(self, slot: _Slot) -> None:
        """Tell the slot's latest now, or as soon as it may be told again."""
        if slot.timer is not None:
            return
        wait = slot.told_at + (self._settings.hot_seconds if slot.hot else self._settings.cold_seconds)
        wait -= self._runtime.now()
        if wait <= 0:
            self._tell(slot)
        else:
            slot.timer = asyncio.get_running_loop().call_later(wait, self._tell, slot)

    def _tell(self, slot: _Slot) -> None:
        slot.timer = None
        if slot.touch is None:
            return
        slot.told_at = self._runtime.now()
        bids, asks = self._near(slot.symbol, slot.touch)
        touch = slot.touch
        seen = QuoteSeen(
            symbol=touch.symbol,
            bid=touch.bid,
            bid_quantity=touch.bid_quantity,
            ask=touch.ask,
            ask_quantity=touch.ask_quantity,
            bids=bids,
            asks=asks,
            traded=slot.traded if slot.trades else None,
        )
        self._runtime.send(slot.listener, seen)

    def _near(self, symbol: str, touch: QuoteSeen) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return the book near the touch, if there is one that can be believed."""
        book = self.book(symbol)
        if book is None or not book.synced:
            return (), ()
        bids, asks = (book.top(side, self._settings.book_levels) for side in (Side.BUY, Side.SELL))
        agrees = bool(bids and asks) and bids[0][0] == touch.bid and asks[0][0] == touch.ask
        if not agrees and book.age(self._runtime.now()) > BOOK_BELIEVED_SECONDS:
            return (), ()
        return bids, asks

    # Asking over REST -----------------------------------------------------------------------------

    async def _fill(self, symbol: str, book: LocalBook) -> None:
        """Fetch snapshots until one fits."""
        while (slot := self._slots.get(symbol)) is not None:
            await asyncio.sleep(slot.snapshots.wait(self._runtime.now()))
            async with self._snapshots:
                await asyncio.sleep(self._limits.hold_seconds())
                slot.snapshots.ask(self._runtime.now())
                try:
                    snapshot = await self._ask_depth(symbol)
                except (RequestNotSent, RequestUnknown, Unreadable):
                    snapshot = None
            if snapshot is not None:
                now = self._runtime.now()
                if book.take_snapshot(snapshot, now, levels=self._settings.snapshot_levels):
                    if (slot := self._slots.get(symbol)) is not None:
                        self._mark(slot)
                    return

    def _ask(self, symbols: tuple[str, ...]) -> None:
        """Ask for the touch of symbols soon, all that come together at once."""
        self._asked.update(dict.fromkeys(symbols))
        if self._asked and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        while self._asked:
            await asyncio.sleep(self._limits.hold_seconds())
            asked, self._asked = tuple(self._asked), {}
            began = self._runtime.now()
            try:
                found = await self._ask_touch(asked)
            except (RequestNotSent, RequestUnknown, Unreadable) as error:
                logger.info("the touch could not be asked for: %s", error)
                self._asked.update((name, None) for name in asked if self._slots[name].seen_at <= began)
                await asyncio.sleep(ASK_RETRY_SECONDS)
                continue
            for one in found:
                slot = self._slots.get(one.symbol)
                if slot is not None and slot.seen_at <= began:
                    self._see(slot, quote_of(one))

    async def _ask_when_quiet(self, quiet: float) -> None:
        while True:
            await asyncio.sleep(min(1.0, quiet))
            now = self._runtime.now()
            self._ask(tuple(slot.symbol for slot in self._slots.values() if now - slot.seen_at >= quiet))

    def _url(self) -> str:
        self._in_url = tuple(self.streams)
        return f"{self._settings.stream_base}/stream?streams={'/'.join(self._in_url)}"


def _of_its_stream(stream: str, event: E) -> E:
    """Believe no event that tells of another symbol than the stream on which it comes. Raises `Unreadable`."""
    if stream[: stream.index("@")] != event.symbol.lower():
        raise Unreadable("an event tells of another symbol than its stream")
    return event


def _streams(symbol: str, *, trades: bool) -> list[str]:
    kinds = ("bookTicker", "depth@100ms", *(("aggTrade",) if trades else ()))
    return [f"{symbol.lower()}@{kind}" for kind in kinds]


def _is_shutdown(told: StreamFrame, frame: bytes) -> bool:
    if told.stream:
        return told.stream == "!serverShutdown"
    return decode(Kind, frame).kind == "serverShutdown"
