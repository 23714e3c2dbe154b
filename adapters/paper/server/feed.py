"""One symbol's market as streams and `GET /depth` show it: update ids, differences, trades (protocol §8)."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

from adapters.paper.book import Book
from adapters.paper.records import PublicTrade
from adapters.paper.rules import text
from adapters.paper.server.candles import Minutes, Piece, piece_of
from adapters.paper.server.replies import MICROSECOND, MILLISECOND
from adapters.paper.shapes import Shape
from messages.market import Level
from messages.signal import Side

DEEPEST = 5000
"""Levels a side that anyone gets to see."""

_Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
_Prices = tuple[dict[Decimal, None], dict[Decimal, None]]


class Feed:
    """The book of one symbol, numbered.

    Whoever looks at the book first lets the market come to the present; each look that finds
    something changed takes a new update id, so equal ids mean equal books. Ids start at the
    time in ms, which no earlier life can have reached.
    """

    def __init__(self, book: Book, start: int) -> None:
        """Show `book`; `start` is microseconds on the exchange's clock."""
        self.book = book
        self.update_id = start // 1000
        self._touch: tuple[Level | None, Level | None] | None = None
        self._levels: tuple[tuple[Level, ...], tuple[Level, ...]] = ((), ())
        self._by_price: _Sides = ({}, {})
        self._bases: dict[str, tuple[int, _Sides, _Prices]] = {}
        self._last_trade = book.last_trade_id
        self.minutes = Minutes()

    # Books ----------------------------------------------------------------------------------------

    def touch(self) -> tuple[Level | None, Level | None]:
        """Look at the touch: (bid, ask), None where a side is empty."""
        touch = self.book.best(Side.BUY), self.book.best(Side.SELL)
        if touch != self._touch:
            self._touch = touch
            self.update_id += 1
        return touch

    def levels(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Look at the whole book: (bids, asks), best first."""
        bids = tuple(islice(self.book.levels(Side.BUY), DEEPEST))
        asks = tuple(islice(self.book.levels(Side.SELL), DEEPEST))
        touch = (bids[0] if bids else None), (asks[0] if asks else None)
        if (bids, asks) != self._levels or touch != self._touch:
            self._by_price = dict(bids), dict(asks)
            for _, sides, changed in self._bases.values():
                for old, new, prices in zip(sides, self._by_price, changed, strict=True):
                    prices.update(_changes(old, new))
            self._levels, self._touch = (bids, asks), touch
            self.update_id += 1
        return self._levels

    def book_ticker(self) -> Shape:
        """Write `<symbol>@bookTicker`."""
        bid, ask = self.touch()
        return {"u": self.update_id, "s": self.book.spec.symbol, **ticker_sides(bid, ask, "b", "B", "a", "A")}

    def snapshot(self, limit: int) -> Shape:
        """Write `GET /depth` or a partial book."""
        bids, asks = self.levels()
        return {"lastUpdateId": self.update_id, "bids": _rows(bids[:limit]), "asks": _rows(asks[:limit])}

    def begin(self, name: str) -> None:
        """Begin a series of differences, at the book as it is now."""
        if name not in self._bases:
            self.levels()
            self._bases[name] = self.update_id, self._by_price, ({}, {})

    def end(self, name: str) -> None:
        """End a series of differences."""
        self._bases.pop(name, None)

    def difference(self, name: str, now: int, unit: int = MILLISECOND) -> Shape | None:
        """Write what has changed since this series' last one, None if nothing has."""
        last, _, changed = self._bases[name]
        self.levels()
        if self.update_id == last or not any(changed):
            return None
        bids, asks = self._by_price
        self._bases[name] = self.update_id, self._by_price, ({}, {})
        return {
            "e": "depthUpdate",
            "E": now // unit,
            "s": self.book.spec.symbol,
            "U": last + 1,
            "u": self.update_id,
            "b": _present(changed[0], bids, reverse=True),
            "a": _present(changed[1], asks, reverse=False),
        }

    # Trades ---------------------------------------------------------------------------------------

    def skip_trades(self) -> None:
        """Let what was traded so far be old."""
        self._last_trade = self.book.last_trade_id

    def new_trades(self) -> list[PublicTrade]:
        """Take the trades since the last call, oldest first; of too many only the newest."""
        new = []
        for trade in reversed(self.book.recent):
            if trade.trade_id <= self._last_trade:
                break
            new.append(trade)
        self._last_trade = self.book.last_trade_id
        return new[::-1]

    def pieces(self, interval: str) -> list[Piece]:
        """List what candles of an interval are made of: single trades where a minute is too long."""
        return [piece_of(trade) for trade in self.book.recent] if interval == "1s" else self.minutes.pieces()

    def average(self) -> Decimal:
        """Say the average price that the filters go by, 0 before there is any."""
        return self.book.middle() or Decimal(0)


def ticker_sides(bid: Level | None, ask: Level | None, *names: str) -> Shape:
    """Write a touch under four names, zeros where a side is empty."""
    nothing = (Decimal(0), Decimal(0))
    amounts = (*(bid or nothing), *(ask or nothing))
    return {name: text(amount) for name, amount in zip(names, amounts, strict=True)}


def _rows(levels: tuple[Level, ...]) -> list[list[str]]:
    return [[text(price), text(quantity)] for price, quantity in levels]


def _changes(old: dict[Decimal, Decimal], new: dict[Decimal, Decimal]) -> dict[Decimal, None]:
    """Name the prices at which two books differ."""
    stood = old.get
    gone = [price for price in old if price not in new]
    come = [price for price, quantity in new.items() if stood(price) is not quantity]  # Nearly all is as it was.
    return dict.fromkeys([*gone, *(price for price in come if stood(price) != new[price])])


def _present(prices: dict[Decimal, None], book: dict[Decimal, Decimal], *, reverse: bool) -> list[list[str]]:
    """Write what stands at these prices now, also where it is as before: a snapshot may have shown it otherwise."""
    return _rows(tuple((price, book.get(price, Decimal(0))) for price in sorted(prices, reverse=reverse)))


def trade_event(trade: PublicTrade, now: int, unit: int = MILLISECOND) -> Shape:
    """Write `<symbol>@trade`."""
    return {
        "e": "trade",
        "E": now // unit,
        "s": trade.symbol,
        "t": trade.trade_id,
        "p": text(trade.price),
        "q": text(trade.quantity),
        "T": trade.time // unit,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def aggregates(trades: list[PublicTrade], now: int, unit: int = MILLISECOND) -> list[Shape]:
    """Write `<symbol>@aggTrade`: what one taker took at one price is one, numbered by its first trade."""
    groups: list[list[PublicTrade]] = []
    for trade in trades:
        last = groups[-1][-1] if groups else None
        if last is not None and _same_taker(last, trade):
            groups[-1].append(trade)
        else:
            groups.append([trade])
    return [
        {
            "e": "aggTrade",
            "E": now // unit,
            "s": group[0].symbol,
            "a": group[0].trade_id,
            "p": text(group[0].price),
            "q": text(sum((trade.quantity for trade in group), Decimal(0))),
            "f": group[0].trade_id,
            "l": group[-1].trade_id,
            "T": group[0].time // unit,
            "m": group[0].buyer_is_maker,
            "M": True,
        }
        for group in groups
    ]


def _same_taker(one: PublicTrade, other: PublicTrade) -> bool:
    return (one.time, one.price, one.buyer_is_maker) == (other.time, other.price, other.buyer_is_maker)


def average_event(symbol: str, price: Decimal, now: int, minutes: int, unit: int = MILLISECOND) -> Shape:
    """Write `<symbol>@avgPrice`."""
    return {"e": "avgPrice", "E": now // unit, "s": symbol, "i": f"{minutes}m", "w": text(price), "T": now // unit}


def reference_event(symbol: str, price: Decimal | None, now: int, unit: int = MICROSECOND) -> Shape:
    """Write `<symbol>@referencePrice`; without a price there is a null."""
    return {"e": "referencePrice", "s": symbol, "r": None if price is None else text(price), "t": now // unit}
