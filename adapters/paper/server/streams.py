"""Market streams: which there are, who listens to them, and the pace at which they tell (protocol §8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import orjson

from adapters.paper.records import PublicTrade
from adapters.paper.server.desk import Desk
from adapters.paper.server.feed import Feed, aggregates, average_event, trade_event
from adapters.paper.server.replies import MICROSECOND, MILLISECOND
from adapters.paper.shapes import Shape

FAST, SLOW = 0.1, 1.0
"""Seconds between the events of a paced stream."""

_NAME = re.compile(
    r"(?P<symbol>[^@]+)@(?P<kind>bookTicker|depth(?P<levels>5|10|20)?|trade|aggTrade|avgPrice)(?P<fast>@100ms|@1000ms)?"
)

Send = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream by its name; `pace` is 0 for what is told as it happens."""

    name: str
    symbol: str
    kind: str
    levels: int
    pace: float


def parse(name: str) -> Stream | None:
    """Read a stream's name; None for one that does not exist here, which stays silent as at the real exchange."""
    match = _NAME.fullmatch(name)
    if match is None or match["symbol"] != match["symbol"].lower():
        return None
    kind = match["kind"]
    paced = kind.startswith("depth")
    if match["fast"] is not None and not paced:
        return None
    if kind == "avgPrice":
        pace = SLOW
    elif paced:
        pace = FAST if match["fast"] == "@100ms" else SLOW
    else:
        pace = 0.0
    levels = int(match["levels"] or 0)
    return Stream(name, match["symbol"].upper(), "partial" if levels else kind, levels, pace)


@dataclass(slots=True)
class _Topic:
    """A stream that somebody listens to, by unit of time."""

    stream: Stream
    listeners: dict[Listener, None] = field(default_factory=dict)
    due: float = 0.0
    last: Shape | None = None


class Listener:
    """Someone who listens; `unit` is that of times, `tell` gets stream name and JSON payload."""

    def __init__(self, tell: Send, unit: int = MILLISECOND) -> None:
        self.tell, self.unit = tell, unit


class Board:
    """All topics. A tick tells what is new to those who listen; without listeners there is nothing to do."""

    def __init__(self, desk: Desk, wake: Callable[[], None] = lambda: None) -> None:
        """Tell of `desk`'s markets; `wake` is called when somebody begins to listen."""
        self._desk, self._wake = desk, wake
        self._topics: dict[str, _Topic] = {}

    def __bool__(self) -> bool:
        return bool(self._topics)

    def subscribe(self, name: str, listener: Listener, at: float) -> None:
        """Listen to a stream from now on; books are told at once. `at` is the loop's time in seconds."""
        stream = parse(name)
        if stream is None or stream.symbol not in self._desk.exchange.engine.books:
            return
        now = self._desk.now()
        feed = self._desk.feed(stream.symbol, now)
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = _Topic(stream, due=at + stream.pace)
            if stream.kind in {"trade", "aggTrade"}:
                self._follow_trades(stream.symbol, feed)
            elif stream.kind == "depth":
                feed.begin(name)
        topic.listeners[listener] = None
        self._wake()
        if stream.kind == "bookTicker":
            topic.last = feed.book_ticker()
            listener.tell(name, orjson.dumps(topic.last))
        elif stream.kind == "partial":
            listener.tell(name, orjson.dumps(feed.snapshot(stream.levels)))

    def unsubscribe(self, name: str, listener: Listener) -> None:
        """Listen no more."""
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.listeners.pop(listener, None)
        if not topic.listeners:
            del self._topics[name]
            feed = self._desk.feed(topic.stream.symbol, self._desk.now())
            feed.end(name)
            self._desk.exchange.engine.books[topic.stream.symbol].followed = self._followed(topic.stream.symbol)

    def symbols(self) -> list[str]:
        """List the symbols that somebody listens to."""
        return list(dict.fromkeys(topic.stream.symbol for topic in self._topics.values()))

    def tick(self, at: float) -> None:
        """Tell what is new; `at` is the loop's time in seconds. The markets are at the present already."""
        now = self._desk.now()
        stamp = self._desk.exchange.time(now)
        feeds = {symbol: self._desk.feed(symbol, now) for symbol in self.symbols()}
        trades = {symbol: feed.new_trades() for symbol, feed in feeds.items() if self._followed(symbol)}
        for topic in list(self._topics.values()):
            feed = feeds[topic.stream.symbol]
            if topic.stream.pace:
                if at < topic.due:
                    continue
                topic.due = max(topic.due + topic.stream.pace, at)
            for shape in self._news(topic, feed, trades.get(topic.stream.symbol, []), stamp):
                self._tell(topic, shape)

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
            case _:
                minutes = feed.book.spec.avg_price_mins
                return [average_event(stream.symbol, feed.average(), stamp, minutes, MICROSECOND)]

    @staticmethod
    def _tell(topic: _Topic, shape: Shape) -> None:
        encoded: dict[int, bytes] = {}
        for listener in list(topic.listeners):
            payload = encoded.get(listener.unit)
            if payload is None:
                times = {name: cast("int", shape[name]) // listener.unit for name in ("E", "T") if name in shape}
                payload = encoded[listener.unit] = orjson.dumps({**shape, **times})
            listener.tell(topic.stream.name, payload)

    # Trades of others -----------------------------------------------------------------------------

    def _followed(self, symbol: str) -> bool:
        return any(
            topic.stream.symbol == symbol and topic.stream.kind in {"trade", "aggTrade"}
            for topic in self._topics.values()
        )

    def _follow_trades(self, symbol: str, feed: Feed) -> None:
        book = self._desk.exchange.engine.books[symbol]
        if not book.followed:
            book.followed = True
            feed.skip_trades()
