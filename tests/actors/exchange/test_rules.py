from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.exchange.rules import Violation, check, quantity_step
from messages.market import SymbolRules
from messages.money import floor_to, plain
from messages.order import Decline, OrderType
from messages.signal import Side
from tests.factories import D, rules

FULL = rules(
    min_price=D("1"),
    max_price=D("100000"),
    market_step=D("0.0001"),
    market_min_quantity=D("0.0002"),
    market_max_quantity=D("50"),
    max_notional=D("9000000"),
    bid_multiplier_up=D("1.2"),
    bid_multiplier_down=D("0.2"),
    ask_multiplier_up=D("5"),
    ask_multiplier_down=D("0.8"),
)


def violation(side: Side = Side.BUY, order_type: str = "LIMIT", **changes: Any) -> tuple[str, Decline] | None:
    order = {"quantity": D("0.1"), "price": D(42_000), "touch": D(42_000), **changes}
    of = order.pop("rules", FULL)
    found = check(of, side, order_type, order["quantity"], price=order["price"], touch=order["touch"])  # type: ignore[arg-type] # a literal, as text
    return None if found is None else (found.filter, found.reason)


def round_quantity(of: SymbolRules, quantity: D, order_type: OrderType) -> D:
    """As a plan does it."""
    return floor_to(quantity, quantity_step(of, order_type))


def test_a_quantity_is_rounded_down_never_to_even() -> None:
    assert round_quantity(rules(), D("0.123459"), "LIMIT") == D("0.12345")
    assert round_quantity(rules(step=D("0.1")), D("0.25"), "LIMIT") == D("0.2")
    assert round_quantity(rules(step=D("0.1")), D("0.35"), "LIMIT") == D("0.3")


def test_a_quantity_below_one_step_becomes_zero() -> None:
    assert round_quantity(rules(), D("0.000009"), "LIMIT") == 0


def test_only_a_market_order_is_rounded_to_the_market_step_too() -> None:
    assert round_quantity(FULL, D("0.12345"), "LIMIT") == D("0.12345")
    assert round_quantity(FULL, D("0.12345"), "MARKET") == D("0.1234")


def test_steps_of_zero_are_no_steps() -> None:
    free = rules(step=D(0), market_step=D(0))
    assert round_quantity(free, D("0.123456789"), "MARKET") == D("0.123456789")
    assert round_quantity(rules(step=D(0), market_step=D("0.01")), D("0.129"), "MARKET") == D("0.12")


def test_steps_that_do_not_divide_each_other_are_both_kept() -> None:
    odd = rules(step=D("0.04"), market_step=D("0.1"))
    assert round_quantity(odd, D("0.55"), "MARKET") == D("0.4")


@given(quantity=st.decimals(0, 1000, places=9), step=st.integers(0, 500), market_step=st.integers(0, 500))
def test_a_rounded_quantity_fits_both_steps_and_is_never_more(quantity: D, step: int, market_step: int) -> None:
    of = rules(step=D(step).scaleb(-5), market_step=D(market_step).scaleb(-6))
    rounded = round_quantity(of, quantity, "MARKET")
    assert 0 <= rounded <= quantity
    assert rounded == floor_to(rounded, of.step) == floor_to(rounded, of.market_step)


def test_what_is_rounded_is_written_without_an_exponent() -> None:
    assert plain(round_quantity(rules(step=D("1E-8")), D("1.00000001E-7"), "LIMIT")) == "0.0000001"


def test_an_order_that_fits_breaks_nothing() -> None:
    assert violation() is None
    assert violation(order_type="MARKET", price=None) is None
    assert violation(side=Side.SELL) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quantity": D(0)}, ("LOT_SIZE", Decline.BELOW_MINIMUM)),
        ({"quantity": D("-0.1")}, ("LOT_SIZE", Decline.BELOW_MINIMUM)),
        ({"quantity": D("0.000001")}, ("LOT_SIZE", Decline.BELOW_MINIMUM)),
        ({"quantity": D(9001)}, ("LOT_SIZE", Decline.ABOVE_MAXIMUM)),
        ({"quantity": D("0.100001")}, ("LOT_SIZE", Decline.FILTER)),
        ({"price": D("0.5")}, ("PRICE_FILTER", Decline.FILTER)),
        ({"price": D(0)}, ("PRICE_FILTER", Decline.FILTER)),
        ({"price": D(100_001)}, ("PRICE_FILTER", Decline.FILTER)),
        ({"price": D("42000.001")}, ("PRICE_FILTER", Decline.FILTER)),
        ({"quantity": D("0.10001")}, None),
        ({"quantity": D("0.0001")}, ("NOTIONAL", Decline.BELOW_MINIMUM)),
        ({"quantity": D("0.0002"), "price": D(24_000)}, ("NOTIONAL", Decline.BELOW_MINIMUM)),
        ({"quantity": D(300)}, ("NOTIONAL", Decline.ABOVE_MAXIMUM)),
        ({"price": D(50_401)}, ("PERCENT_PRICE_BY_SIDE", Decline.FILTER)),
        ({"price": D(8_399)}, ("PERCENT_PRICE_BY_SIDE", Decline.FILTER)),
        ({"side": Side.SELL, "price": D(33_599)}, ("PERCENT_PRICE_BY_SIDE", Decline.FILTER)),
        ({"side": Side.SELL, "price": D(50_401)}, None),
        (
            {"order_type": "MARKET", "price": None, "quantity": D("0.00019")},
            ("MARKET_LOT_SIZE", Decline.BELOW_MINIMUM),
        ),
        ({"order_type": "MARKET", "price": None, "quantity": D(51)}, ("MARKET_LOT_SIZE", Decline.ABOVE_MAXIMUM)),
        ({"order_type": "MARKET", "price": None, "quantity": D("0.10001")}, ("MARKET_LOT_SIZE", Decline.FILTER)),
        (
            {"order_type": "MARKET", "price": None, "quantity": D("0.0002"), "touch": D(20_000)},
            ("NOTIONAL", Decline.BELOW_MINIMUM),
        ),
    ],
)
def test_each_filter_is_checked(changes: dict[str, Any], expected: tuple[str, Decline] | None) -> None:
    assert violation(**changes) == expected


@pytest.mark.parametrize(
    ("bound", "changes"),
    [
        ({"min_quantity": D("0.1")}, {}),
        ({"max_quantity": D("0.1")}, {}),
        ({"min_price": D(42_000)}, {}),
        ({"max_price": D(42_000)}, {}),
        ({"min_notional": D(4_200)}, {}),
        ({"max_notional": D(4_200)}, {}),
        ({}, {"price": D(50_400)}),
        ({}, {"price": D(8_400)}),
        ({}, {"side": Side.SELL, "price": D(33_600)}),
    ],
)
def test_a_figure_equal_to_its_bound_holds(bound: dict[str, Any], changes: dict[str, Any]) -> None:
    assert violation(rules=replace(FULL, **bound), **changes) is None


@pytest.mark.parametrize(("price", "detail"), [(50_401, "50401 is above 50400"), (8_399, "8399 is below 8400")])
def test_a_price_too_far_from_the_touch_is_told_with_its_bound(price: int, detail: str) -> None:
    found = check(FULL, Side.BUY, "LIMIT", D("0.1"), price=D(price), touch=D(42_000))
    assert found == Violation("PERCENT_PRICE_BY_SIDE", Decline.FILTER, detail)


FREE = replace(
    FULL,
    min_quantity=D(0),
    min_price=D(0),
    max_price=D(0),
    max_quantity=D(0),
    max_notional=D(0),
    bid_multiplier_up=D(0),
    bid_multiplier_down=D(0),
    tick=D(0),
    step=D(0),
)


def test_bounds_of_zero_are_no_bounds() -> None:
    assert violation(rules=FREE, quantity=D("99999.123456789"), price=D("999999.123456789")) is None


def test_no_order_is_for_nothing_or_at_no_price_whatever_the_bounds() -> None:
    assert violation(rules=FREE, quantity=D(0)) == ("LOT_SIZE", Decline.BELOW_MINIMUM)
    assert violation(rules=FREE, price=D(0)) == ("PRICE_FILTER", Decline.FILTER)
