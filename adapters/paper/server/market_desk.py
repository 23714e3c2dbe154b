"""Public data: time, rules, books, prices (protocol §4, security NONE)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import orjson

from adapters.paper.errors import BAD_COMBINATION, ExchangeError, illegal, refuse
from adapters.paper.requests import known_symbol, whole
from adapters.paper.rules import SymbolSpec, SymbolStatus, text
from adapters.paper.server.call import Call, flag
from adapters.paper.server.feed import DEEPEST, ticker_sides
from adapters.paper.server.replies import execution_rules_reply, public_trade_reply
from adapters.paper.shapes import Shape

STATUS_MISMATCH = (-1220, "The symbol's status does not match the requested symbolStatus.")
NO_REFERENCE = (-2043, "This symbol doesn't have a reference price.")
SYMBOL_TWICE = (-1151, "Symbol is present multiple times in the list.")
BAD_LIMIT = (-1130, "Data sent for parameter 'limit' is not valid.")
BAD_STATUS = (-1122, "Invalid symbolStatus.")
NO_SYMBOLS_PATTERN = '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$'


def ping(call: Call) -> Shape:
    """Answer `ping`."""
    call.charge(1)
    return {}


def time(call: Call) -> Shape:
    """Answer `time`."""
    call.exchange.server_time(call.now)
    return {"serverTime": call.at // call.unit}


def exchange_info(call: Call) -> Shape:
    """Answer `exchangeInfo`."""
    names, _ = wanted_symbols(call, alternatives=("permissions",))
    wanted = [name for name in names if "SPOT" in _permissions(call)]
    info = call.exchange.exchange_info(wanted or names, call.now, connections=call.via == "ws")
    symbols = cast("list[Shape]", info["symbols"]) if wanted else []
    if not flag(call.params, "showPermissionSets", default=True):
        symbols = [{**symbol, "permissionSets": []} for symbol in symbols]
    return {**info, "serverTime": call.at // call.unit, "symbols": symbols}


def _permissions(call: Call) -> list[str]:
    value = call.params.get("permissions")
    if value is None:
        return ["SPOT"]
    return _list_of_names("permissions", value) if value.startswith("[") else [value]


def execution_rules(call: Call) -> Shape:
    """Answer `executionRules`."""
    names, single = wanted_symbols(call)
    asked = single or "symbols" in call.params
    call.charge(min(40, 2 * len(names)) if asked else 40)
    return execution_rules_reply(_specs(call, names))


def reference_price(call: Call) -> Shape:
    """Answer `referencePrice`: here the mid, which the filters go by; -2043 before there is any."""
    call.charge(2)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    feed = call.feed(symbol)
    price = feed.book.middle()
    if price is None:
        refuse(NO_REFERENCE)
    return {
        "symbol": symbol,
        "referencePrice": text(price),
        "timestamp": call.at // call.unit,
    }


def reference_calculation(call: Call) -> Shape:
    """Answer `referencePrice.calculation`."""
    call.charge(2)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    return {"symbol": symbol, "calculationType": "ARITHMETIC_MEAN", "bucketCount": 1, "bucketWidthMs": 1}


def depth(call: Call) -> Shape:
    """Answer `depth`."""
    limit = limit_of(call, 100, DEEPEST)
    call.charge(5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    _check_status(call, [symbol], single=True)
    return call.feed(symbol).snapshot(limit)


def trades(call: Call) -> list[Shape]:
    """Answer `trades`: the public ones that happened while somebody looked, own ones among them."""
    call.charge(25)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    limit = limit_of(call, 500, 1000)
    recent = list(call.followed(symbol).book.recent)[-limit:]
    return [public_trade_reply(trade, call.unit) for trade in recent]


def book_ticker(call: Call) -> object:
    """Answer `ticker/bookTicker`."""

    def one(symbol: str) -> Shape:
        bid, ask = call.feed(symbol).touch()
        return {"symbol": symbol, **ticker_sides(bid, ask, "bidPrice", "bidQty", "askPrice", "askQty")}

    return _each(call, one)


def price_ticker(call: Call) -> object:
    """Answer `ticker/price`: the last trade's, or the mid before there was any."""

    def one(symbol: str) -> Shape:
        feed = call.feed(symbol)
        return {"symbol": symbol, "price": text(feed.book.last_price or feed.average())}

    return _each(call, one)


def average_price(call: Call) -> Shape:
    """Answer `avgPrice`."""
    call.charge(2)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    feed = call.feed(symbol)
    return {
        "mins": feed.book.spec.avg_price_mins,
        "price": text(feed.average()),
        "closeTime": call.at // call.unit,
    }


def _each(call: Call, one: Callable[[str], Shape]) -> object:
    names, single = wanted_symbols(call)
    call.charge(2 if single else 4)
    return one(names[0]) if single else [one(name) for name in names]


def wanted_symbols(call: Call, alternatives: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    """Read which symbols are asked for, and whether it is a single one by name."""
    params, books = call.params, call.exchange.engine.books
    if sum(name in params for name in ("symbol", "symbols", *alternatives)) > 1:
        refuse(BAD_COMBINATION)
    if "symbol" in params:
        names, single = [known_symbol(params, books)], True
    elif "symbols" in params:
        names, single = _list_of_names("symbols", params["symbols"]), False
        for name in names:
            known_symbol({"symbol": name}, books)
        if len(set(names)) < len(names):
            refuse(SYMBOL_TWICE)
    else:
        names, single = list(books), False
    return _check_status(call, names, single=single), single


def _check_status(call: Call, names: list[str], *, single: bool) -> list[str]:
    status = call.params.get("symbolStatus")
    if status is None:
        return names
    if status not in {"TRADING", "HALT", "BREAK"}:
        refuse(BAD_STATUS)
    matching = [spec.symbol for spec in _specs(call, names) if spec.status is SymbolStatus(status)]
    if single and not matching:
        refuse(STATUS_MISMATCH)
    return matching


def _specs(call: Call, names: list[str]) -> list[SymbolSpec]:
    return [call.exchange.engine.books[name].spec for name in names]


def _list_of_names(name: str, value: str) -> list[str]:
    try:
        names = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise illegal(name, NO_SYMBOLS_PATTERN) from error
    if not isinstance(names, list) or not names or not all(isinstance(entry, str) for entry in names):
        raise illegal(name, NO_SYMBOLS_PATTERN)
    return names


def limit_of(call: Call, usual: int, most: int) -> int:
    """Read how many are asked for; `usual` if nothing is said, never above `most`."""
    limit = whole(call.params, "limit")
    if limit == 0:
        raise ExchangeError(*BAD_LIMIT)
    return usual if limit is None else min(limit, most)
