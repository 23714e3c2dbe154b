"""Public data about what was: candles, statistics, trades by number.

All of it is made of the trades of a symbol that somebody followed, or took part in: single ones of the last thousand,
candles and statistics of two days.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from adapters.paper.errors import both_missing, missing, refuse
from adapters.paper.records import PublicTrade
from adapters.paper.requests import known_symbol, whole
from adapters.paper.rules import text
from adapters.paper.server.call import Call
from adapters.paper.server.candles import (
    INTERVALS,
    MOST_CANDLES,
    candle_row,
    candles,
    mini_statistics,
    next_after,
    opened_at,
    statistics,
    zone_of,
)
from adapters.paper.server.feed import Feed, aggregates, ticker_sides
from adapters.paper.server.market_desk import limit_of, wanted_symbols
from adapters.paper.server.replies import public_trade_reply
from adapters.paper.shapes import Shape

BAD_INTERVAL = (-1120, "Invalid interval.")
BAD_ZONE = (-1130, "Data sent for parameter 'timeZone' is not valid.")
BAD_WINDOW = (-1130, "Data sent for parameter 'windowSize' is not valid.")
BAD_KIND = (-1139, "Invalid ticker type.")
_WINDOWS = {"m": (60_000_000, 59), "h": (3_600_000_000, 23), "d": (86_400_000_000, 7)}
"""Unit of a rolling window: its length in microseconds, and the most of them."""


def klines(call: Call) -> list[list[object]]:
    """Answer `klines` and `uiKlines`."""
    call.charge(2)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    interval = call.params.get("interval")
    if not interval:
        raise missing("interval")
    if interval not in INTERVALS:
        refuse(BAD_INTERVAL)
    zone = _zone(call)
    start, end, limit = _time(call, "startTime"), _time(call, "endTime"), limit_of(call, 500, 1000)
    feed = call.followed(symbol)
    most = limit if start is None and end is None else MOST_CANDLES
    found = [
        (opened, span)
        for opened, span in candles(feed.pieces(interval), interval, call.at, _price(feed), most, zone)
        if (start is None or opened >= start) and (end is None or opened <= end)
    ]
    chosen = found[-limit:] if start is None else found[:limit]
    return [candle_row(interval, opened, span, call.unit, zone) for opened, span in chosen]


def day_ticker(call: Call) -> object:
    """Answer `ticker/24hr`."""
    names, single = wanted_symbols(call)
    call.charge(2 if single or ("symbols" in call.params and len(names) <= 20) else 80)
    rows = [_day(call, name) for name in names]
    return rows[0] if single else rows


def _day(call: Call, symbol: str) -> Shape:
    feed, opened = call.followed(symbol), call.at - 86_400_000_000
    span = feed.minutes.since(opened, _price(feed))
    if _is_mini(call):
        return mini_statistics(symbol, span, opened, call.at, call.unit)
    bid, ask = feed.touch()
    return {
        **statistics(symbol, span, opened, call.at, call.unit),
        "prevClosePrice": statistics(symbol, span, opened, call.at)["openPrice"],
        "lastQty": text(span.last_quantity),
        **ticker_sides(bid, ask, "bidPrice", "bidQty", "askPrice", "askQty"),
    }


def rolling_ticker(call: Call) -> object:
    """Answer `ticker`, the statistics of a window of the caller's choice."""
    if "symbol" not in call.params and "symbols" not in call.params:
        raise both_missing("symbol", "symbols")
    names, single = wanted_symbols(call)
    call.charge(min(4 * len(names), 200))
    opened = (call.at - _window(call.params.get("windowSize", "1d"))) // 60_000_000 * 60_000_000
    rows = [_statistics(call, name, opened, call.at) for name in names]
    return rows[0] if single else rows


def trading_day(call: Call) -> object:
    """Answer `ticker/tradingDay`, the statistics of the day so far in a time zone of the caller's choice."""
    if "symbol" not in call.params and "symbols" not in call.params:
        raise both_missing("symbol", "symbols")
    names, single = wanted_symbols(call)
    call.charge(min(4 * len(names), 200))
    zone = _zone(call)
    opened = opened_at("1d", call.at, zone)
    closed = next_after("1d", opened, zone) - call.unit
    rows = [_statistics(call, name, opened, closed) for name in names]
    return rows[0] if single else rows


def _statistics(call: Call, symbol: str, opened: int, closed: int) -> Shape:
    feed = call.followed(symbol)
    span = feed.minutes.since(opened, _price(feed))
    write = mini_statistics if _is_mini(call) else statistics
    return write(symbol, span, opened, closed, call.unit)


def aggregate_trades(call: Call) -> list[Shape]:
    """Answer `aggTrades`: `fromId` or a span of time, else the newest."""
    call.charge(4)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    first, limit = whole(call.params, "fromId"), limit_of(call, 500, 1000)
    start, end = _time(call, "startTime"), _time(call, "endTime")
    found = [
        {name: value for name, value in shape.items() if name not in {"e", "E", "s"}}
        for shape in aggregates(list(call.followed(symbol).book.recent), call.at, 1)
    ]
    found = [
        {**shape, "T": int(str(shape["T"])) // call.unit}
        for shape in found
        if (first is None or int(str(shape["a"])) >= first)
        and (start is None or int(str(shape["T"])) >= start)
        and (end is None or int(str(shape["T"])) <= end)
    ]
    return found[-limit:] if first is None and start is None else found[:limit]


def old_trades(call: Call) -> list[Shape]:
    """Answer `historicalTrades`: the trades from a number on, else the newest."""
    call.charge(25)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    first, limit = whole(call.params, "fromId"), limit_of(call, 500, 1000)
    found: Sequence[PublicTrade] = list(call.followed(symbol).book.recent)
    chosen = found[-limit:] if first is None else [trade for trade in found if trade.trade_id >= first][:limit]
    return [public_trade_reply(trade, call.unit) for trade in chosen]


def _is_mini(call: Call) -> bool:
    kind = call.params.get("type", "FULL")
    if kind not in {"FULL", "MINI"}:
        refuse(BAD_KIND)
    return kind == "MINI"


def _window(size: str) -> int:
    length, most = _WINDOWS.get(size[-1:], (0, 0))
    number = size[:-1]
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= most):
        refuse(BAD_WINDOW)
    return int(number) * length


def _zone(call: Call) -> int:
    zone = zone_of(call.params.get("timeZone", "0"))
    if zone is None:
        refuse(BAD_ZONE)
    return zone


def _time(call: Call, name: str) -> int | None:
    """Read a moment in ms or µs, in microseconds."""
    moment = whole(call.params, name)
    return moment if moment is None or moment >= 10**14 else moment * 1000


def _price(feed: Feed) -> Decimal:
    return feed.book.last_price or feed.average()
