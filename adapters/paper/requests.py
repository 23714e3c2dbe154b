"""Reading a request's parameters as the exchange does: names, texts, combinations (protocol §4, §9.4, §10.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from decimal import Decimal

from adapters.paper.errors import (
    BAD_COMBINATION,
    BAD_STRATEGY_TYPE,
    INVALID_SIDE,
    INVALID_SYMBOL,
    INVALID_TIME_IN_FORCE,
    INVALID_TYPE,
    TOO_EARLY,
    TOO_OLD,
    UNSUPPORTED_COMBINATION,
    WINDOW_TOO_LARGE,
    ExchangeError,
    both_missing,
    illegal,
    missing,
    not_required,
    not_supported,
    refuse,
)
from adapters.paper.records import NewOrder
from adapters.paper.rules import SymbolSpec
from messages.signal import Side

Params = Mapping[str, str]
"""A request's parameters by Binance's names; every value is text, as it came over the wire."""

ID_PATTERN = "^[a-zA-Z0-9-_]{1,36}$"
SYMBOL_PATTERN = r"^[\w\-._&&[^a-z]]{1,50}$"
NUMBER_PATTERN = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_ID = re.compile(r"[a-zA-Z0-9\-_]{1,36}")
_NUMBER = re.compile(r"([0-9]{1,20})(\.[0-9]{1,20})?")
_SYMBOL = re.compile(r"[^\Wa-z]|[\-._]")
_INTEGER = re.compile(r"[0-9]{1,19}")
_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")
_STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_AT_MARKET_STOPS = ("STOP_LOSS", "TAKE_PROFIT")
_PEGS = ("pegPriceType", "pegOffsetValue", "pegOffsetType")
LEAST_STRATEGY_TYPE = 1_000_000
MOST_OF_SYMBOL = 50
_TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
DEFAULT_WINDOW_MS = Decimal(5000)
MAX_WINDOW_MS = Decimal(60_000)


def needed(params: Params, name: str) -> str:
    """Read a mandatory parameter."""
    value = params.get(name, "")
    if not value:
        raise missing(name)
    return value


def amount(params: Params, name: str) -> Decimal | None:
    """Read an amount that may be missing; only plain digits and one point are numbers (no exponent)."""
    value = params.get(name)
    if value is None:
        return None
    if not value:
        raise missing(name)
    if not _NUMBER.fullmatch(value):
        raise illegal(name, NUMBER_PATTERN)
    return Decimal(value)


def whole(params: Params, name: str) -> int | None:
    """Read a whole number >= 0 that may be missing."""
    value = params.get(name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise illegal(name, "^[0-9]{1,20}$")
    return int(value)


def client_id(params: Params, name: str, draw: Callable[[], str]) -> str:
    """Read a client order id, or draw one where there is none (protocol §10.1)."""
    value = params.get(name)
    if value is None:
        return draw()
    if not _ID.fullmatch(value):
        raise illegal(name, ID_PATTERN)
    return value


def known_symbol(params: Params, symbols: Container[str]) -> str:
    """Read the mandatory symbol."""
    symbol = needed(params, "symbol")
    if symbol not in symbols:
        if len(symbol) > MOST_OF_SYMBOL or not all(map(_SYMBOL.fullmatch, symbol)):
            raise illegal("symbol", SYMBOL_PATTERN)
        refuse(INVALID_SYMBOL)
    return symbol


def check_time(params: Params, now: int) -> None:
    """Check `timestamp` and `recvWindow` against the exchange's clock (microseconds), if they are there (§2).

    A timestamp may be in milliseconds or in microseconds; the window is milliseconds.
    """
    text = params.get("timestamp")
    if text is None:
        return
    if not _INTEGER.fullmatch(text):
        raise illegal("timestamp", "^[0-9]{1,20}$")
    window = amount(params, "recvWindow")
    if window is None:
        window = DEFAULT_WINDOW_MS
    elif window > MAX_WINDOW_MS:
        refuse(WINDOW_TOO_LARGE)
    stamp = int(text)
    stamp = stamp * 1000 if stamp < 10**14 else stamp
    if stamp >= now + 1_000_000:
        refuse(TOO_EARLY)
    if now - stamp > window * 1000:
        refuse(TOO_OLD)


def new_order(params: Params, specs: Mapping[str, SymbolSpec], draw: Callable[[], str]) -> NewOrder:
    """Read an order request; `ExchangeError` with the exchange's own code for whatever is wrong with it."""
    symbol = known_symbol(params, specs)
    side = needed(params, "side")
    if side not in {"BUY", "SELL"}:
        refuse(INVALID_SIDE)
    order_type = needed(params, "type")
    if order_type not in {*_TYPES, *_STOPS}:
        refuse(INVALID_TYPE)
    time_in_force = params.get("timeInForce")
    if time_in_force is not None and time_in_force not in _TIMES_IN_FORCE:
        refuse(INVALID_TIME_IN_FORCE)
    quantity, quote_quantity = amount(params, "quantity"), amount(params, "quoteOrderQty")
    price = amount(params, "price")
    if order_type == "MARKET":
        _market(time_in_force, quantity, quote_quantity, price)
    elif order_type in _AT_MARKET_STOPS:
        _stop_at_market(time_in_force, quantity, quote_quantity, price)
    else:
        _limit(order_type, time_in_force, quantity, quote_quantity, price)
    stop_price = _stop_price(params, order_type)
    strategy_id, strategy_type = _strategy(params)
    _refuse_what_there_is_not(params, order_type, time_in_force)
    prevention = params.get("selfTradePreventionMode", specs[symbol].stp_default)
    if prevention not in specs[symbol].stp_allowed:
        raise ExchangeError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    return NewOrder(
        symbol=symbol,
        side=Side(side),
        order_type=order_type,
        time_in_force=time_in_force or "GTC",
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=price,
        client_order_id=client_id(params, "newClientOrderId", draw),
        self_trade_prevention=prevention,
        strategy_id=strategy_id,
        strategy_type=strategy_type,
        stop_price=stop_price,
    )


def _strategy(params: Params) -> tuple[int | None, int | None]:
    """Read the numbers that a client gives its strategy and the kind of it; a kind is at least a million."""
    number, kind = whole(params, "strategyId"), whole(params, "strategyType")
    if kind is not None and kind < LEAST_STRATEGY_TYPE:
        refuse(BAD_STRATEGY_TYPE)
    return number, kind


def _stop_price(params: Params, order_type: str) -> Decimal | None:
    """Read the price that sets a stop order off, which it must have and no other may (protocol §4.1)."""
    if order_type not in _STOPS:
        for name in ("stopPrice", "trailingDelta"):
            if name in params:
                raise not_required(name)
        return None
    if "trailingDelta" in params:
        raise not_supported("Trailing stop")
    stop_price = amount(params, "stopPrice")
    if stop_price is None:
        raise both_missing("stopPrice", "trailingDelta")
    return stop_price


def _refuse_what_there_is_not(params: Params, order_type: str, time_in_force: str | None) -> None:
    """Refuse icebergs and pegs as the exchange does for a symbol that has none of them (protocol §11)."""
    if "icebergQty" in params:
        if order_type in {"MARKET", *_AT_MARKET_STOPS}:
            raise not_required("icebergQty")
        if time_in_force not in {None, "GTC"}:
            refuse(UNSUPPORTED_COMBINATION)
        amount(params, "icebergQty")
        raise not_supported("Iceberg")
    if any(name in params for name in _PEGS):
        raise not_supported("Pegged")


def _stop_at_market(
    time_in_force: str | None, quantity: Decimal | None, quote_quantity: Decimal | None, price: Decimal | None
) -> None:
    for name, value in (("timeInForce", time_in_force), ("price", price), ("quoteOrderQty", quote_quantity)):
        if value is not None:
            raise not_required(name)
    if quantity is None:
        raise missing("quantity")


def _market(
    time_in_force: str | None, quantity: Decimal | None, quote_quantity: Decimal | None, price: Decimal | None
) -> None:
    if time_in_force is not None:
        raise not_required("timeInForce")
    if price is not None:
        raise not_required("price")
    if quantity is None and quote_quantity is None:
        raise both_missing("quantity", "quoteOrderQty")
    if quantity is not None and quote_quantity is not None:
        refuse(BAD_COMBINATION)


def _limit(
    order_type: str,
    time_in_force: str | None,
    quantity: Decimal | None,
    quote_quantity: Decimal | None,
    price: Decimal | None,
) -> None:
    if order_type != "LIMIT_MAKER" and time_in_force is None:
        raise missing("timeInForce")
    if order_type == "LIMIT_MAKER" and time_in_force is not None:
        raise not_required("timeInForce")
    if quantity is None:
        raise missing("quantity")
    if price is None:
        raise missing("price")
    if quote_quantity is not None:
        raise not_required("quoteOrderQty")
