"""Precision and symbol filters: what a quantity and a price must look like to be taken by the venue.

Everything here is exact: `Decimal` in, `Decimal` out, always rounded towards the harmless side.
`messages.money.plain` writes the results down, without an exponent.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import gcd, lcm

from messages.market import SymbolRules
from messages.money import ZERO, floor_to, plain
from messages.order import Decline, OrderType
from messages.signal import Side


@dataclass(frozen=True, slots=True)
class Violation:
    """Which filter an order would break, and how, in figures for people."""

    filter: str
    reason: Decline
    detail: str


def quantity_step(rules: SymbolRules, order_type: OrderType) -> Decimal:
    """The smallest difference between two quantities of this order type; zero if there is none."""
    if order_type != "MARKET" or not rules.market_step:
        return rules.step
    if not rules.step:
        return rules.market_step
    return common_multiple(rules.step, rules.market_step)


def check(
    rules: SymbolRules,
    side: Side,
    order_type: OrderType,
    quantity: Decimal,
    *,
    price: Decimal | None,
    touch: Decimal,
) -> Violation | None:
    """Name the first filter that an order would break, None if it breaks none.

    `price` is the limit (None for a market order) and `touch` the price at which `side` takes now:
    it stands for the venue's own reference price, which is not known here (filters, protocol §9).
    """
    return (
        _check_lot("LOT_SIZE", rules.min_quantity, rules.max_quantity, rules.step, quantity)
        or (
            _check_lot(
                "MARKET_LOT_SIZE",
                rules.market_min_quantity,
                rules.market_max_quantity,
                rules.market_step,
                quantity,
            )
            if order_type == "MARKET"
            else None
        )
        or (None if price is None else _check_price(rules, price))
        or _check_notional(rules, quantity * (touch if price is None else price))
        or (None if price is None else _check_percent(rules, side, price, touch))
    )


def _check_lot(name: str, minimum: Decimal, maximum: Decimal, step: Decimal, quantity: Decimal) -> Violation | None:
    if quantity <= ZERO or quantity < minimum:
        detail = f"{plain(quantity)} is below {plain(minimum)}"
        return Violation(name, Decline.BELOW_MINIMUM, detail)
    if maximum and quantity > maximum:
        detail = f"{plain(quantity)} is above {plain(maximum)}"
        return Violation(name, Decline.ABOVE_MAXIMUM, detail)
    if quantity != floor_to(quantity, step):
        detail = f"{plain(quantity)} is no multiple of {plain(step)}"
        return Violation(name, Decline.FILTER, detail)
    return None


def _check_price(rules: SymbolRules, price: Decimal) -> Violation | None:
    if price <= ZERO or price < rules.min_price:
        detail = f"{plain(price)} is below {plain(rules.min_price)}"
    elif rules.max_price and price > rules.max_price:
        detail = f"{plain(price)} is above {plain(rules.max_price)}"
    elif price != floor_to(price, rules.tick):
        detail = f"{plain(price)} is no multiple of {plain(rules.tick)}"
    else:
        return None
    return Violation("PRICE_FILTER", Decline.FILTER, detail)


def _check_notional(rules: SymbolRules, notional: Decimal) -> Violation | None:
    if notional < rules.min_notional:
        detail = f"{plain(notional)} is below {plain(rules.min_notional)}"
        return Violation("NOTIONAL", Decline.BELOW_MINIMUM, detail)
    if rules.max_notional and notional > rules.max_notional:
        detail = f"{plain(notional)} is above {plain(rules.max_notional)}"
        return Violation("NOTIONAL", Decline.ABOVE_MAXIMUM, detail)
    return None


def _check_percent(rules: SymbolRules, side: Side, price: Decimal, touch: Decimal) -> Violation | None:
    if side is Side.BUY:
        up, down = rules.bid_multiplier_up, rules.bid_multiplier_down
    else:
        up, down = rules.ask_multiplier_up, rules.ask_multiplier_down
    if up and price > touch * up:
        detail = f"{plain(price)} is above {plain(touch * up)}"
    elif down and price < touch * down:
        detail = f"{plain(price)} is below {plain(touch * down)}"
    else:
        return None
    return Violation("PERCENT_PRICE_BY_SIDE", Decline.FILTER, detail)


def common_multiple(one: Decimal, other: Decimal) -> Decimal:
    """The least common multiple of two steps, as fractions in lowest terms have it."""
    if not one % other:  # Which is how steps are, and much cheaper.
        return one
    (top, bottom), (other_top, other_bottom) = one.as_integer_ratio(), other.as_integer_ratio()
    return Decimal(lcm(top, other_top)) / gcd(bottom, other_bottom)
