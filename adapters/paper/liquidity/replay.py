"""A market replayed from recordings of Binance's own streams.

A recording has lines `<recv_ns> <json>`: combined-stream frames (`@depth@100ms`, `@bookTicker`,
`@trade`) as the exchange sent them, and REST depth snapshots, ordered by the recorder's clock. Own
orders meet the first book recorded at or after their arrival, never an older one; they deplete what
they take, and rest behind all that is displayed at their price.
"""

from __future__ import annotations

import gzip
import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from adapters.paper.liquidity.base import Happening, Moved, Print, Taken
from messages.market import Level
from messages.signal import Side


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a recording: `at` in microseconds on the recorder's clock, `symbol` upper case."""

    at: int
    symbol: str
    kind: str
    data: dict[str, Any]


class BadRecording(ValueError):
    """A recording cannot be read; the text names file and line."""


def read_frames(path: Path, symbol: str = "") -> Iterator[Frame]:
    """Read a recording (`.gz` or plain), line by line; `BadRecording` for a line that is none.

    `symbol` is whose the snapshots are, which do not say so themselves; if empty it is that of the
    first stream frame of the file, which must then come before the first snapshot.
    """
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            stamp, _, body = line.partition(b" ")
            try:
                at, message = int(stamp) // 1000, orjson.loads(body)
                if "stream" in message:
                    name, _, kind = message["stream"].partition("@")
                    symbol = symbol or name.upper()
                    frame = Frame(at, name.upper(), kind.partition("@")[0], message["data"])
                else:
                    frame = Frame(at, symbol, "snapshot", {**message, "lastUpdateId": int(message["lastUpdateId"])})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadRecording(f"{path}, line {number}: {error!r}") from error
            yield frame


def merge(paths: Sequence[Path], symbol: str) -> Iterator[Frame]:
    """Read several recordings as one, in the order of the recorder's clock, for one symbol."""
    streams = [read_frames(path) for path in paths]
    return (frame for frame in heapq.merge(*streams, key=lambda frame: frame.at) if frame.symbol == symbol)


class _Side:
    """One side of the recorded book: absolute quantities by price, and the prices in order."""

    __slots__ = ("_buy", "keys", "levels")

    def __init__(self, side: Side) -> None:
        self._buy = side is Side.BUY
        self.levels: dict[float, Level] = {}
        self.keys: list[float] = []

    def clear(self) -> None:
        self.levels.clear()
        self.keys.clear()

    def put(self, price: str, quantity: str) -> None:
        """Set a level. The keys only sort; what is told and traded are the decimals."""
        key = -float(price) if self._buy else float(price)
        amount = Decimal(quantity)
        known = self.levels.get(key)
        if amount:
            if known is None:
                insort(self.keys, key)
                self.levels[key] = (Decimal(price), amount)
            else:
                self.levels[key] = (known[0], amount)
        elif known is not None:
            del self.levels[key]
            del self.keys[bisect_left(self.keys, key)]

    def behind(self, price: Decimal) -> Iterator[Level]:
        """List the levels that are worse than `price`, best first."""
        key = -float(price) if self._buy else float(price)
        for index in range(bisect_left(self.keys, key), len(self.keys)):
            level = self.levels[self.keys[index]]
            if level[0] != price:
                yield level


class ReplayMarket:
    """A `Liquidity` that follows a recording; one symbol.

    The recording's first moment with a whole book is mapped to `origin` (microseconds since 1970);
    after its end the last book stands still. `ended` tells.
    """

    def __init__(self, frames: Iterator[Frame], *, step: Decimal, origin: int, refill_rate: float = 1.0) -> None:
        """Read up to the first whole book; `BadRecording` if there is none."""
        self._frames = frames
        self._sides = {side: _Side(side) for side in Side}
        self._touch: dict[Side, Level] = {}
        self._book_id = -1
        self._early: list[dict[str, Any]] = []
        self._ticker_id = -1
        self._taken = Taken(step, refill_rate)
        self.ended = False
        self._next: Frame | None = next(frames, None)
        self._shift = 0
        self._now = origin
        last = 0
        while self._next is not None and not (self._book_id >= 0 and self._touch):
            last = self._next.at
            for _ in self._step():
                pass
        if not self._touch or self._book_id < 0:
            raise BadRecording("there is no whole book in it: a depth snapshot and a bookTicker are needed")
        self._shift = origin - last
        self.ended = self._next is None

    # Liquidity ------------------------------------------------------------------------------------

    def skip(self, now: int) -> None:
        """Come to `now`."""
        for _ in self.follow(now):
            pass

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now`, telling each trade and each new book."""
        while self._next is not None and self._next.at + self._shift <= now:
            yield from self._step()
        self._now = max(self._now, now)

    def settle(self) -> Iterator[Happening]:
        """Go on to the next recorded book, for the present one is older than an order that comes now."""
        before = self._ticker_id, self._book_id
        while self._next is not None and (self._ticker_id, self._book_id) == before:
            yield from self._step()

    def levels(self, side: Side) -> Iterator[Level]:
        """List what stands on a side, less what own orders took.

        The touch is the book ticker's, which is ahead of the depth stream by up to 100 ms: levels
        that the depth stream still shows before it are gone.
        """
        return self._taken.thin(side, self._displayed(side), self._now)

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note what an own order took."""
        self._taken.add(side, price, quantity, self._now)

    def halted(self) -> bool:
        """Say no: a recording has no word for it."""
        return False

    # Reading --------------------------------------------------------------------------------------

    def _displayed(self, side: Side) -> Iterator[Level]:
        touch = self._touch[side]
        if touch[1]:
            yield touch
        yield from self._sides[side].behind(touch[0])

    def _step(self) -> Iterator[Happening]:
        frame = self._next
        assert frame is not None
        self._next = next(self._frames, None)
        self.ended = self._next is None
        self._now = max(self._now, at := frame.at + self._shift)
        data = frame.data
        match frame.kind:
            case "trade":
                taker = Side.SELL if data["m"] else Side.BUY
                yield Print(at, taker, Decimal(data["p"]), Decimal(data["q"]))
            case "bookTicker":
                self._ticker_id = data["u"]
                self._touch[Side.BUY] = (Decimal(data["b"]), Decimal(data["B"]))
                self._touch[Side.SELL] = (Decimal(data["a"]), Decimal(data["A"]))
                yield Moved(at)
            case "snapshot":
                self._load(data)
                yield Moved(at)
            case "depth":
                if self._book_id < 0:
                    self._early.append(data)
                elif self._apply(data):
                    yield Moved(at)
            case _:
                pass

    def _load(self, data: dict[str, Any]) -> None:
        if data["lastUpdateId"] < self._book_id:
            return
        self._book_id = data["lastUpdateId"]
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            self._sides[side].clear()
            for price, quantity in data[name]:
                self._sides[side].put(price, quantity)
        early, self._early = self._early, []
        for diff in early:
            if self._book_id >= 0:
                self._apply(diff)
            else:
                self._early.append(diff)

    def _apply(self, data: dict[str, Any]) -> bool:
        """Apply a diff. After a gap the book behind the touch is unknown until the next snapshot."""
        if data["u"] <= self._book_id:
            return False
        if data["U"] > self._book_id + 1:
            self._book_id, self._early = -1, [data]
            for side in Side:
                self._sides[side].clear()
            return True
        for side, name in ((Side.BUY, "b"), (Side.SELL, "a")):
            for price, quantity in data[name]:
                self._sides[side].put(price, quantity)
        self._book_id = data["u"]
        if self._book_id > self._ticker_id:
            self._touch_from_book()
        return True

    def _touch_from_book(self) -> None:
        """Take the touch from a depth event that is newer than the last book ticker."""
        for side in Side:
            keys = self._sides[side].keys
            if keys:
                self._touch[side] = self._sides[side].levels[keys[0]]
