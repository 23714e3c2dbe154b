"""Market streams: which there are, who listens to them, and the pace at which they tell (protocol §8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import orjson

from adapters.paper.records import PublicTrade
from adapters.paper.server.candles import INTERVALS, candles, kline_event, ticker_event, window_event
from adapters.paper.server.desk import Desk
from adapters.paper.server.feed import Feed, aggregates, average_event, reference_event, ticker_sides, trade_event
from adapters.paper.server.replies import MICROSECOND, MILLISECOND
from adapters.paper.shapes import Shape

FAST, SLOW = 0.1, 1.0
"""Seconds between the events of a paced stream."""

_NAME = re.compile(
    r"(?P<symbol>[^@]+)@(?P<kind>bookTicker|depth(?P<levels>5|10|20)?|trade|aggTrade|avgPrice|referencePrice|miniTicker|ticker"
    r"|kline_(?P<interval>\w+)|ticker_(?P<window>1h|4h|1d))(?P<fast>@100ms|@1000ms)?(?P<zone>@\+08:00)?"
)
_ALL = re.compile(r"!(?P<kind>miniTicker|ticker_(?P<window>1h|4h|1d))@arr(?P<pace>@1000ms|@3000ms)?")
_OF_TRADES = frozenset({"trade", "aggTrade", "kline", "miniTicker", "ticker", "window"})
"""Streams that tell what others trade, so that it must be known."""
_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
_PATIENCE = 10 * _MINUTE
"""How long trades are followed for one who has asked for them."""
_WINDOWS = {"1h": _HOUR, "4h": 4 * _HOUR, "1d": _DAY}

Send = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream by its name; `pace` is 0 for what is told as it happens. Without a symbol it tells of all, in a list.

    `interval` is that of candles, in a time `zone` (microseconds ahead of UTC), or the window of statistics.
    """

    name: str
    symbol: str
    kind: str
    levels: int
    pace: float
    interval: str = ""
    zone: int = 0


def parse(name: str) -> Stream | None:
    """Read a stream's name; None for one that does not exist here, which stays silent as at the real exchange."""
    every = _ALL.fullmatch(name)
    if every is not None:
        pace = 3 * SLOW if every["pace"] == "@3000ms" else SLOW
        return Stream(name, "", "window" if every["window"] else every["kind"], 0, pace, every["window"] or "")
    match = _NAME.fullmatch(name)
    if match is None or match["symbol"] != match["symbol"].lower():
        return None
    kind = match["kind"]
    paced = kind.startswith("depth")
    if match["fast"] is not None and not paced:
        return None
    interval = match["interval"] or ""
    if (interval and interval not in INTERVALS) or (match["zone"] and not interval):
        return None
    window = match["window"]
    if kind in {"avgPrice", "referencePrice", "miniTicker", "ticker"} or interval or window:
        pace = SLOW
    elif paced:
        pace = FAST if match["fast"] == "@100ms" else SLOW
    else:
        pace = 0.0
    levels = int(match["levels"] or 0)
    kind = "partial" if levels else "kline" if interval else "window" if window else kind
    zone = 8 * _HOUR if match["zone"] else 0
    return Stream(name, match["symbol"].upper(), kind, levels, pace, interval or window or "", zone)


@dataclass(slots=True)
class _Topic:
    """A stream that somebody listens to, by unit of time."""

    stream: Stream
    listeners: dict[Listener, None] = field(default_factory=dict)
    due: float = 0.0
    last: Shape | None = None
    told: dict[str, Shape] = field(default_factory=dict)


class Listener:
    """Someone who listens; `unit` is that of times, `tell` gets stream name and JSON payload."""

    def __init__(self, tell: Send, unit: int = MILLISECOND) -> None:
        self.tell, self.unit = tell, unit


class Board:
    """All topics. A tick tells what is new to those who listen; without listeners there is nothing to do."""

    def __init__(self, desk: Desk, wake: Callable[[], None] = lambda: None) -> None:
        """Tell of `desk`'s markets; `wake` is called when somebody begins to listen."""
        self._desk, self._wake = desk, wake
        self.delays = desk.delays
        self._topics: dict[str, _Topic] = {}
        self._asked: dict[str, int] = {}
        desk.on_asked = self.ask

    def __bool__(self) -> bool:
        return bool(self._topics or self._asked)

    def ask(self, symbol: str) -> None:
        """Follow a symbol's trades for a while, for one who asks for them again and again in place of a stream."""
        now = self._desk.now()
        self._asked[symbol] = now
        self._follow_trades(self._desk.feed(symbol, now))
        self._wake()

    def _forget(self) -> None:
        now = self._desk.now()
        for symbol in [symbol for symbol, at in self._asked.items() if now - at > _PATIENCE]:
            del self._asked[symbol]
            self._desk.exchange.engine.books[symbol].followed = self._followed(symbol)

    def subscribe(self, name: str, listener: Listener, at: float) -> None:
        """Listen to a stream from now on; books are told at once. `at` is the loop's time in seconds."""
        stream = parse(name)
        if stream is None or (stream.symbol and stream.symbol not in self._desk.exchange.engine.books):
            return
        now = self._desk.now()
        feeds = [self._desk.feed(symbol, now) for symbol in self._symbols_of(stream)]
        feed = feeds[0]
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = _Topic(stream, due=at + stream.pace * (1 + self._phase(stream.symbol)))
            if stream.kind in _OF_TRADES:
                for one in feeds:
                    self._follow_trades(one)
            elif stream.kind == "depth":
                feed.begin(name)
        topic.listeners[listener] = None
        self._wake()
        if stream.kind == "bookTicker":
            topic.last = feed.book_ticker()
            listener.tell(name, orjson.dumps(topic.last))
        elif stream.kind == "partial":
            listener.tell(name, orjson.dumps(feed.snapshot(stream.levels)))

    def _symbols_of(self, stream: Stream) -> list[str]:
        return [stream.symbol] if stream.symbol else list(self._desk.exchange.engine.books)

    def _phase(self, symbol: str) -> float:
        """Say in which part of its pace, [0, 1), a symbol is told: not all have their turn in one moment."""
        symbols = list(self._desk.exchange.engine.books)
        return symbols.index(symbol) / len(symbols) if symbol else 0

    def unsubscribe(self, name: str, listener: Listener) -> None:
        """Listen no more."""
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.listeners.pop(listener, None)
        if not topic.listeners:
            del self._topics[name]
            for symbol in self._symbols_of(topic.stream):
                self._desk.feed(symbol, self._desk.now()).end(name)
                self._desk.exchange.engine.books[symbol].followed = self._followed(symbol)

    def symbols(self) -> list[str]:
        """List the symbols that somebody listens to, or asks for."""
        listened_to = (name for topic in self._topics.values() for name in self._symbols_of(topic.stream))
        return list(dict.fromkeys([*listened_to, *self._asked]))

    def turns(self, at: float) -> Iterator[None]:
        """Tell what is new, a symbol between two yields; `at` is the loop's time in seconds.

        In between others may have their turn: whole books of many symbols take milliseconds.
        """
        self._forget()
        for symbol in self.symbols():
            now = self._desk.now()
            feed, stamp = self._desk.feed(symbol, now), self._desk.exchange.time(now)
            trades = feed.new_trades() if self._followed(symbol) else []
            for topic in [topic for topic in self._topics.values() if topic.stream.symbol == symbol]:
                if topic.stream.pace:
                    if at < topic.due:
                        continue
                    topic.due = max(topic.due + topic.stream.pace, at)
                for shape in self._news(topic, feed, trades, stamp):
                    self._tell(topic, shape)
            yield
        for topic in [topic for topic in self._topics.values() if not topic.stream.symbol and at >= topic.due]:
            topic.due = max(topic.due + topic.stream.pace, at)
            changed = self._changed(topic)
            if changed:
                self._tell(topic, changed)
            yield

    def _changed(self, topic: _Topic) -> list[Shape]:
        """Write the statistics of the symbols of which they have changed."""
        now = self._desk.now()
        stamp, changed = self._desk.exchange.time(now), []
        for symbol in self._symbols_of(topic.stream):
            shape = _statistics(topic.stream, self._desk.feed(symbol, now), stamp)
            what = {name: value for name, value in shape.items() if name not in {"E", "O", "C"}}
            if what != topic.told.get(symbol):
                topic.told[symbol] = what
                changed.append(shape)
        return changed

    def _news(self, topic: _Topic, feed: Feed, trades: list[PublicTrade], stamp: int) -> list[Shape]:
        """Write a topic's news; times are in microseconds."""
        stream = topic.stream
        match stream.kind:
            case "bookTicker":
                shape = feed.book_ticker()
                if topic.last is not None and {**shape, "u": 0} == {**topic.last, "u": 0}:
                    return []
                topic.last = shape
                return [shape]
            case "partial":
                return [feed.snapshot(stream.levels)]
            case "depth":
                difference = feed.difference(stream.name, stamp, MICROSECOND)
                return [] if difference is None else [difference]
            case "trade":
                return [trade_event(trade, stamp, MICROSECOND) for trade in trades]
            case "aggTrade":
                return aggregates(trades, stamp, MICROSECOND)
            case "kline":
                return _candle(stream, feed, stamp)
            case "miniTicker" | "ticker" | "window":
                return [_statistics(stream, feed, stamp)]
            case "referencePrice":
                return [reference_event(stream.symbol, feed.book.middle(), stamp)]
            case _:
                minutes = feed.book.spec.avg_price_mins
                return [average_event(stream.symbol, feed.average(), stamp, minutes, MICROSECOND)]

    @staticmethod
    def _tell(topic: _Topic, news: Shape | list[Shape]) -> None:
        encoded: dict[int, bytes] = {}
        for listener in list(topic.listeners):
            payload = encoded.get(listener.unit)
            if payload is None:
                unit = listener.unit
                timed = _timed(news, unit) if isinstance(news, dict) else [_timed(shape, unit) for shape in news]
                payload = encoded[unit] = orjson.dumps(timed)
            listener.tell(topic.stream.name, payload)

    # Trades of others -----------------------------------------------------------------------------

    def _followed(self, symbol: str) -> bool:
        streams = (topic.stream for topic in self._topics.values())
        return symbol in self._asked or any(
            stream.symbol in {symbol, ""} and stream.kind in _OF_TRADES for stream in streams
        )

    @staticmethod
    def _follow_trades(feed: Feed) -> None:
        if not feed.book.followed:
            feed.book.followed = True
            feed.skip_trades()


def _candle(stream: Stream, feed: Feed, stamp: int) -> list[Shape]:
    """Write the candle that is open, and before its first time the one that has just closed."""
    price = feed.book.last_price or feed.average()
    found = candles(feed.pieces(stream.interval), stream.interval, stamp, price, most=2, zone=stream.zone)
    opened, span = found[-1]
    told = [kline_event(stream.symbol, stream.interval, opened, span, stamp, stream.zone)]
    if len(found) > 1 and stamp - opened < SLOW * 1_000_000:
        told.insert(0, kline_event(stream.symbol, stream.interval, *found[-2], stamp, stream.zone))
    return told


def _statistics(stream: Stream, feed: Feed, stamp: int) -> Shape:
    """Write the statistics of a day or of another window; the latter opens on a full minute."""
    symbol, opened = feed.book.spec.symbol, stamp - _DAY
    if stream.kind == "window":
        opened = (stamp - _WINDOWS[stream.interval]) // _MINUTE * _MINUTE
    span = feed.minutes.since(opened, feed.book.last_price or feed.average())
    if stream.kind == "window":
        return window_event(symbol, stream.interval, span, opened, stamp)
    touch = None if stream.kind == "miniTicker" else ticker_sides(*feed.touch(), "b", "B", "a", "A")
    return ticker_event(symbol, span, opened, stamp, touch)


def _timed(shape: Shape, unit: int) -> Shape:
    """Write an event's times, which are in microseconds, in another unit."""
    timed: Shape = {
        **shape,
        **{name: cast("int", shape[name]) // unit for name in ("E", "T", "O", "C") if name in shape},
    }
    if shape.get("e") == "referencePrice":
        timed["t"] = cast("int", shape["t"]) // unit  # Elsewhere it is a number of a trade.
    candle = shape.get("k")
    if isinstance(candle, dict):
        inner = cast("dict[str, int]", candle)
        timed["k"] = {**inner, "t": inner["t"] // unit, "T": inner["T"] // unit}
    return timed
