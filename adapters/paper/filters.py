"""The check of an order against its symbol's filters, with the exchange's own words (protocol §9)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.paper.errors import (
    INVALID_PRICE,
    INVALID_QUANTITY,
    MARKET_CLOSED,
    filter_failure,
    refuse,
    too_precise,
)
from adapters.paper.rules import SymbolSpec, SymbolStatus
from messages.money import ZERO
from messages.signal import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the filters look at. `reference` is the average price that NOTIONAL and PERCENT_PRICE go by.

    `open_orders` are those of the symbol, `stops` those of them that wait for their price, `position` is the base
    balance with all open buys added. `market` says that it takes at any price, once it does.
    """

    side: Side
    market: bool
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    reference: Decimal | None
    open_orders: int
    position: Decimal
    stop_price: Decimal | None = None
    stops: int = 0


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _off_grid(amount: Decimal, low: Decimal, high: Decimal, step: Decimal) -> bool:
    return bool((low and amount < low) or (high and amount > high) or (step and amount % step))


def check(spec: SymbolSpec, order: Candidate) -> None:
    """Raise `ExchangeError` for the first rule that an order breaks, in the order in which the exchange looks."""
    for name, amount in (
        ("quantity", order.quantity),
        ("quoteOrderQty", order.quote_quantity),
        ("price", order.price),
        ("stopPrice", order.stop_price),
    ):
        if amount is not None and _decimals(amount) > spec.precision:
            raise too_precise(name)
    for amount in (order.quantity, order.quote_quantity):
        if amount is not None and amount <= 0:
            refuse(INVALID_QUANTITY)
    for price in (order.price, order.stop_price):
        if price is not None and price <= 0:
            refuse(INVALID_PRICE)
    if spec.status is not SymbolStatus.TRADING:
        refuse(MARKET_CLOSED)
    if order.stop_price is not None and _off_grid(order.stop_price, spec.min_price, spec.max_price, spec.tick):
        raise filter_failure("PRICE_FILTER")
    if order.price is not None:
        _check_price(spec, order, order.price)
    if order.quantity is not None:
        _check_quantity(spec, order, order.quantity)
    _check_notional(spec, order)
    if order.open_orders >= spec.max_orders and not order.market:
        raise filter_failure("MAX_NUM_ORDERS")
    if order.stop_price is not None and order.stops >= spec.max_algo_orders:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")
    if spec.max_position and order.side is Side.BUY and order.position + (order.quantity or ZERO) > spec.max_position:
        raise filter_failure("MAX_POSITION")


def _check_price(spec: SymbolSpec, order: Candidate, price: Decimal) -> None:
    if _off_grid(price, spec.min_price, spec.max_price, spec.tick):
        raise filter_failure("PRICE_FILTER")
    if _outside(price, order.reference, spec.multiplier_down, spec.multiplier_up):
        raise filter_failure("PERCENT_PRICE")
    buy = order.side is Side.BUY
    up = spec.bid_multiplier_up if buy else spec.ask_multiplier_up
    down = spec.bid_multiplier_down if buy else spec.ask_multiplier_down
    if _outside(price, order.reference, down, up):
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def _outside(price: Decimal, reference: Decimal | None, down: Decimal, up: Decimal) -> bool:
    if reference is None:
        return False
    return bool((up and price > reference * up) or (down and price < reference * down))


def _check_quantity(spec: SymbolSpec, order: Candidate, quantity: Decimal) -> None:
    if _off_grid(quantity, spec.min_quantity, spec.max_quantity, spec.step):
        raise filter_failure("LOT_SIZE")
    if order.market and _off_grid(quantity, spec.market_min_quantity, spec.market_max_quantity, spec.market_step):
        raise filter_failure("MARKET_LOT_SIZE")


def _check_notional(spec: SymbolSpec, order: Candidate) -> None:
    price = order.reference if order.price is None else order.price
    if order.quote_quantity is not None:
        notional = order.quote_quantity
    elif order.quantity is not None and price is not None:
        notional = order.quantity * price
    else:
        return  # A market order before there is any price: nothing to judge it by.
    if spec.old_min_notional > notional and (spec.old_min_to_market or not order.market):
        raise filter_failure("MIN_NOTIONAL")
    low = bool(spec.min_notional) and (spec.apply_min_to_market or not order.market)
    high = bool(spec.max_notional) and (spec.apply_max_to_market or not order.market)
    if (low and notional < spec.min_notional) or (high and notional > spec.max_notional):
        raise filter_failure("NOTIONAL")


def range_limits(spec: SymbolSpec, side: Side, reference: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """Name the lowest and highest price at which `side` may take under the price range rule; None where none binds."""
    if spec.price_range is None or reference is None:
        return None, None
    bounds = spec.price_range
    down, up = (bounds.bid_down, bounds.bid_up) if side is Side.BUY else (bounds.ask_down, bounds.ask_up)
    return None if down is None else reference * down, None if up is None else reference * up
