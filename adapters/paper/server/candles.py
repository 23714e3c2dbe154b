"""What is made of public trades: candles and the statistics of a span of time. Pure; times are microseconds."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice, takewhile
from operator import itemgetter

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

_MOST_MINUTES = 2 * 24 * 60
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
    """What was traded in a span of time; without a trade all four prices are the last one before.

    Volumes are in base units, `quote` and `taken_quote` in quote units; `taken` is what buyers took.
    """

    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: Decimal = ZERO
    quote: Decimal = ZERO
    taken: Decimal = ZERO
    taken_quote: Decimal = ZERO
    count: int = 0
    first_id: int = -1
    last_id: int = -1
    last_quantity: Decimal = ZERO


Piece = tuple[int, Span]
"""When something was traded, and what: one trade, or all of a minute."""


def piece_of(trade: PublicTrade) -> Piece:
    """Take a trade for itself."""
    price, quantity, quote = trade.price, trade.quantity, trade.price * trade.quantity
    taken, taken_quote = (ZERO, ZERO) if trade.buyer_is_maker else (quantity, quote)
    return trade.time, Span(
        first=price,
        high=price,
        low=price,
        last=price,
        volume=quantity,
        quote=quote,
        taken=taken,
        taken_quote=taken_quote,
        count=1,
        first_id=trade.trade_id,
        last_id=trade.trade_id,
        last_quantity=quantity,
    )


def joined(spans: Sequence[Span], before: Decimal) -> Span:
    """Sum spans up, one after the other; `before` is the price that held before them."""
    if not spans:
        return Span(first=before, high=before, low=before, last=before)
    if len(spans) == 1:
        return spans[0]
    first, last = spans[0], spans[-1]
    return Span(
        first=first.first,
        high=max(span.high for span in spans),
        low=min(span.low for span in spans),
        last=last.last,
        volume=sum((span.volume for span in spans), ZERO),
        quote=sum((span.quote for span in spans), ZERO),
        taken=sum((span.taken for span in spans), ZERO),
        taken_quote=sum((span.taken_quote for span in spans), ZERO),
        count=sum(span.count for span in spans),
        first_id=first.first_id,
        last_id=last.last_id,
        last_quantity=last.last_quantity,
    )


class Minutes:
    """A symbol's trades by the minute, of the last two days in which there were any."""

    def __init__(self) -> None:
        """Begin without any."""
        self._pieces: deque[Piece] = deque(maxlen=_MOST_MINUTES)
        self._hours: dict[int, Span] = {}
        self._last_id = -1

    def take(self, recent: Sequence[PublicTrade]) -> None:
        """Add what is new among the last trades, oldest first."""
        if not recent or recent[-1].trade_id == self._last_id:
            return
        new = list(takewhile(lambda trade: trade.trade_id > self._last_id, reversed(recent)))
        self._last_id = recent[-1].trade_id
        for minute, trades in groupby(reversed(new), lambda trade: trade.time // _MINUTE * _MINUTE):
            spans = [span for _, span in map(piece_of, trades)]
            if self._pieces and self._pieces[-1][0] > minute:
                self._hours.clear()
            while self._pieces and self._pieces[-1][0] >= minute:  # A later one is of a clock that was ahead.
                spans.insert(0, self._pieces.pop()[1])
            self._pieces.append((minute, joined(spans, ZERO)))

    def pieces(self) -> list[Piece]:
        """List what was traded, a minute a piece."""
        return list(self._pieces)

    def since(self, opened: int, before: Decimal) -> Span:
        """Sum up what was traded since the beginning of the minute of `opened`."""
        pieces = list(self._pieces)
        at = bisect_left(pieces, opened - opened % _MINUTE, key=itemgetter(0))
        hours = groupby(islice(pieces, at, None), lambda piece: piece[0] - piece[0] % _HOUR)
        return joined([self._hour(hour, group, opened) for hour, group in hours], before)

    def _hour(self, hour: int, pieces: Iterable[Piece], opened: int) -> Span:
        """Sum an hour up, once for ever if it is over and asked for as a whole: a day has many minutes."""
        known = self._hours.get(hour) if hour >= opened else None
        if known is not None:
            return known
        span = joined([span for _, span in pieces], ZERO)
        if hour >= opened and self._pieces[-1][0] >= hour + _HOUR:
            self._hours[hour] = span
            if len(self._hours) > _MOST_MINUTES // 60:
                del self._hours[min(self._hours)]
        return span


def candles(
    pieces: Sequence[Piece], interval: str, now: int, price: Decimal, most: int = MOST_CANDLES, zone: int = 0
) -> list[tuple[int, Span]]:
    """Make candles without a gap, from the first piece's on to the present one: (opened, what was traded).

    Only the last `most` or a few more are made; `price` is what holds where nothing was traded at all.
    """
    if not pieces:
        return [(opened_at(interval, now, zone), joined((), price))]
    present = opened_at(interval, now, zone)
    earliest = opened_at(interval, present - (most - 1) * (INTERVALS[interval] or 31 * _DAY), zone)
    opened = min(max(opened_at(interval, pieces[0][0], zone), earliest), present)  # A clock may have gone back.
    at = bisect_left(pieces, opened, key=itemgetter(0))
    before = pieces[at - 1][1].last if at else pieces[0][1].first
    found: list[tuple[int, Span]] = []
    while opened <= now:
        end, began = next_after(interval, opened, zone), at
        while at < len(pieces) and pieces[at][0] < end:
            at += 1
        span = joined([span for _, span in pieces[began:at]], before)
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
        span.count,
        text(span.taken),
        text(span.taken_quote),
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
        "firstId": span.first_id,
        "lastId": span.last_id,
        "count": span.count,
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
            "f": span.first_id,
            "L": span.last_id,
            "o": text(span.first),
            "c": text(span.last),
            "h": text(span.high),
            "l": text(span.low),
            "v": text(span.volume),
            "n": span.count,
            "x": now >= end,
            "q": text(span.quote),
            "V": text(span.taken),
            "Q": text(span.taken_quote),
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
        "Q": text(span.last_quantity),
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
