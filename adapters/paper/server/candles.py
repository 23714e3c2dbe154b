"""What is made of public trades: candles and the statistics of a span of time. Pure; times are microseconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from adapters.paper.records import PublicTrade
from adapters.paper.rules import text
from adapters.paper.server.replies import MILLISECOND
from adapters.paper.shapes import Shape
from messages.money import ZERO

_SECOND, _MINUTE = 1_000_000, 60_000_000
_HOUR, _DAY = 60 * _MINUTE, 24 * 60 * _MINUTE
_MONDAY = 4 * _DAY
"""The first Monday of 1970: weeks begin on Mondays."""

_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::([0-5]\d))?", re.ASCII)

MOST_CANDLES = 5000
"""Candles that are looked back at."""

INTERVALS: dict[str, int | None] = {
    "1s": _SECOND,
    **{f"{n}m": n * _MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * _HOUR for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": n * _DAY for n in (1, 3)},
    "1w": 7 * _DAY,
    "1M": None,
}
"""Binance's names of intervals, and how long they are; months differ."""


def opened_at(interval: str, at: int, zone: int = 0) -> int:
    """Say when the candle began that `at` falls into, by clocks that are `zone` microseconds ahead of UTC."""
    length, local = INTERVALS[interval], at + zone
    if length is None:
        month = _moment(local).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return _microseconds(month) - zone
    offset = _MONDAY if interval == "1w" else 0
    return at - (local - offset) % length


def next_after(interval: str, opened: int, zone: int = 0) -> int:
    """Say when the candle that began at `opened` ends, which is when the next one begins."""
    length = INTERVALS[interval]
    if length is not None:
        return opened + length
    return opened_at(interval, opened + 32 * _DAY, zone)


def zone_of(text: str) -> int | None:
    """Read a time zone, `8`, `-1:30` or `+05:45`, in microseconds; None unless it is from -12:00 to +14:00."""
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    minutes = (int(match[2]) * 60 + int(match[3] or 0)) * (-1 if match[1] == "-" else 1)
    return minutes * _MINUTE if -720 <= minutes <= 840 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What was traded in a span of time; without a trade all four prices are the last one before."""

    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    trades: Sequence[PublicTrade]

    @property
    def volume(self) -> Decimal:
        """Traded quantity, in base units."""
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def quote(self) -> Decimal:
        """Traded quantity, in quote units."""
        return sum((trade.price * trade.quantity for trade in self.trades), ZERO)

    @property
    def taken(self) -> Span:
        """Only what buyers took."""
        bought = [trade for trade in self.trades if not trade.buyer_is_maker]
        return Span(first=self.first, high=self.high, low=self.low, last=self.last, trades=bought)


def span_of(trades: Sequence[PublicTrade], before: Decimal) -> Span:
    """Sum trades up; `before` is the price that held before them."""
    if not trades:
        return Span(first=before, high=before, low=before, last=before, trades=())
    prices = [trade.price for trade in trades]
    return Span(first=prices[0], high=max(prices), low=min(prices), last=prices[-1], trades=trades)


def candles(
    trades: Sequence[PublicTrade], interval: str, now: int, price: Decimal, most: int = MOST_CANDLES, zone: int = 0
) -> list[tuple[int, Span]]:
    """Make candles without a gap, from the first trade's on to the present one: (opened, what was traded).

    Only the last `most` or a few more are made; `price` is what holds where nothing was traded at all.
    """
    if not trades:
        return [(opened_at(interval, now, zone), span_of((), price))]
    earliest = opened_at(interval, now - (most - 1) * (INTERVALS[interval] or 28 * _DAY), zone)
    opened, before, at = max(opened_at(interval, trades[0].time, zone), earliest), trades[0].price, 0
    while at < len(trades) and trades[at].time < opened:
        before, at = trades[at].price, at + 1
    found: list[tuple[int, Span]] = []
    while opened <= now:
        end, began = next_after(interval, opened, zone), at
        while at < len(trades) and trades[at].time < end:
            at += 1
        span = span_of(trades[began:at], before)
        found.append((opened, span))
        opened, before = end, span.last
    return found


def candle_row(interval: str, opened: int, span: Span, unit: int = MILLISECOND, zone: int = 0) -> list[object]:
    """Write a row of `GET /klines`."""
    return [
        opened // unit,
        *(text(price) for price in (span.first, span.high, span.low, span.last)),
        text(span.volume),
        next_after(interval, opened, zone) // unit - 1,
        text(span.quote),
        len(span.trades),
        text(span.taken.volume),
        text(span.taken.quote),
        "0",
    ]


def mini_statistics(symbol: str, span: Span, opened: int, now: int, unit: int = MILLISECOND) -> Shape:
    """Write the short form of `GET /ticker/24hr`."""
    return {
        "symbol": symbol,
        "openPrice": text(span.first),
        "highPrice": text(span.high),
        "lowPrice": text(span.low),
        "lastPrice": text(span.last),
        "volume": text(span.volume),
        "quoteVolume": text(span.quote),
        "openTime": opened // unit,
        "closeTime": now // unit,
        "firstId": span.trades[0].trade_id if span.trades else -1,
        "lastId": span.trades[-1].trade_id if span.trades else -1,
        "count": len(span.trades),
    }


def statistics(symbol: str, span: Span, opened: int, now: int, unit: int = MILLISECOND) -> Shape:
    """Write the long form of `GET /ticker`; `GET /ticker/24hr` has the touch besides."""
    change = span.last - span.first
    percent = change / span.first * 100 if span.first else ZERO
    volume = span.volume
    return {
        "symbol": symbol,
        "priceChange": text(change),
        "priceChangePercent": format(percent, ".3f"),
        "weightedAvgPrice": text(round(span.quote / volume, 8) if volume else span.last),
        **mini_statistics(symbol, span, opened, now, unit),
    }


def kline_event(symbol: str, interval: str, opened: int, span: Span, now: int, zone: int = 0) -> Shape:
    """Write `<symbol>@kline_<interval>`."""
    end = next_after(interval, opened, zone)
    return {
        "e": "kline",
        "E": now,
        "s": symbol,
        "k": {
            "t": opened,
            "T": end - MILLISECOND,
            "s": symbol,
            "i": interval,
            "f": span.trades[0].trade_id if span.trades else -1,
            "L": span.trades[-1].trade_id if span.trades else -1,
            "o": text(span.first),
            "c": text(span.last),
            "h": text(span.high),
            "l": text(span.low),
            "v": text(span.volume),
            "n": len(span.trades),
            "x": now >= end,
            "q": text(span.quote),
            "V": text(span.taken.volume),
            "Q": text(span.taken.quote),
            "B": "0",
        },
    }


_MINI = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume"}
_WHOLE = {"p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "openPrice", **_MINI}


def ticker_event(symbol: str, span: Span, opened: int, now: int, touch: Shape | None) -> Shape:
    """Write `<symbol>@miniTicker`, or with a touch under its stream's names `<symbol>@ticker`."""
    told = statistics(symbol, span, opened, now, 1)
    if touch is None:
        return {"e": "24hrMiniTicker", "E": now, "s": symbol, **{name: told[theirs] for name, theirs in _MINI.items()}}
    return {
        "e": "24hrTicker",
        "E": now,
        "s": symbol,
        **{name: told[theirs] for name, theirs in _WHOLE.items()},
        "Q": text(span.trades[-1].quantity) if span.trades else "0.00000000",
        **touch,
        "O": opened,
        "C": now,
        "F": told["firstId"],
        "L": told["lastId"],
        "n": told["count"],
    }


def window_event(symbol: str, window: str, span: Span, opened: int, now: int) -> Shape:
    """Write `<symbol>@ticker_<window>`."""
    told = statistics(symbol, span, opened, now, 1)
    named = {name: told[theirs] for name, theirs in _WHOLE.items() if name != "x"}
    numbers = {"O": opened, "C": now, "F": told["firstId"], "L": told["lastId"], "n": told["count"]}
    return {"e": f"{window}Ticker", "E": now, "s": symbol, **named, **numbers}


def _moment(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
