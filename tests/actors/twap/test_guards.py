"""Guards: their bounds, their waiting, what a failure means, and the order that a child is."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from actors.bounds import judge
from actors.twap.guards import (
    ChildOrder,
    bounds_of,
    child_order,
    deviation_of,
    policy_of,
    reason_of,
    unbounded,
    waits_until,
)
from actors.twap.settings import Policy, TwapSettings
from messages.execution import StopReason
from messages.market import Bounds
from messages.signal import Side
from tests.factories import NOW, D, a_plan, a_quote

TICK = D("0.01")


def test_the_bounds_of_a_child_are_those_of_its_plan() -> None:
    assert bounds_of(a_plan(), Side.BUY, D(42_000), D(43_000)) == Bounds(
        side=Side.BUY,
        arrival_price=D(42_000),
        max_spread=D("0.005"),
        max_deviation=D("0.01"),
        limit_price=D(43_000),
        max_age=5.0,
    )


def test_an_unchecked_spread_has_no_bound() -> None:
    assert bounds_of(a_plan(check_spread=False), Side.SELL, D(42_000), None).max_spread is None


def test_a_look_without_bounds_is_satisfied_by_any_market() -> None:
    assert judge(a_quote(1, 99_999, seen_at=0.0), 1e9, unbounded(Side.BUY, D(42_000))) is None


def test_a_rise_from_42000_to_42500_fails_a_buy_and_not_a_sell() -> None:
    quote = a_quote("42499.99", "42500.01")
    breach = judge(quote, 0.0, bounds_of(a_plan(), Side.BUY, D(42_000), None))
    assert breach is not None
    assert (breach.reason, breach.detail) == (StopReason.PRICE_DEVIATION, "1.19%")
    assert judge(quote, 0.0, bounds_of(a_plan(), Side.SELL, D(42_000), None)) is None


def test_a_spread_of_six_tenths_of_a_percent_fails() -> None:
    breach = judge(a_quote(41_874, 42_126), 0.0, bounds_of(a_plan(), Side.BUY, D(42_000), None))
    assert breach is not None
    assert (breach.reason, breach.detail) == (StopReason.SPREAD_TOO_WIDE, "0.60%")


def test_guards_wait_to_the_end_of_their_slot_or_as_long_as_the_plan_says() -> None:
    end = NOW + timedelta(seconds=30)
    assert waits_until(a_plan(), NOW, end) == end
    assert waits_until(a_plan(guard_wait_seconds=D("2.5")), NOW, end) == NOW + timedelta(seconds=2.5)
    assert waits_until(a_plan(guard_wait_seconds=D(60)), NOW, end) == end


@pytest.mark.parametrize(
    ("failed", "reason", "policy"),
    [
        ("SPREAD_TOO_WIDE", StopReason.SPREAD_TOO_WIDE, "stop"),
        ("PRICE_DEVIATION", StopReason.PRICE_DEVIATION, "stop"),
        ("STALE_MARKET", StopReason.STALE_MARKET, "skip"),
        ("LIMIT_PRICE", StopReason.LIMIT_PRICE, "skip"),
    ],
)
def test_each_guard_has_its_policy(failed: str, reason: StopReason, policy: Policy) -> None:
    assert reason_of(failed) is reason
    assert policy_of(reason, TwapSettings()) == policy


def test_each_policy_can_be_set() -> None:
    settings = TwapSettings(on_spread="skip", on_deviation="skip", on_stale="stop", on_limit_price="stop")
    assert policy_of(StopReason.SPREAD_TOO_WIDE, settings) == "skip"
    assert policy_of(StopReason.PRICE_DEVIATION, settings) == "skip"
    assert policy_of(StopReason.STALE_MARKET, settings) == "stop"
    assert policy_of(StopReason.LIMIT_PRICE, settings) == "stop"


@pytest.mark.parametrize("failed", [None, "", "NONSENSE", "COMPLETED"])
def test_a_failure_that_cannot_be_read_is_never_fine(failed: str | None) -> None:
    assert reason_of(failed) is StopReason.STALE_MARKET


def test_deviation_is_positive_against_us() -> None:
    assert deviation_of(Side.BUY, D(42_000), a_quote(42_419, 42_421)) == D("0.01")
    assert deviation_of(Side.SELL, D(42_000), a_quote(42_419, 42_421)) == D("-0.01")


def ioc(price: str) -> ChildOrder:
    return ChildOrder(order_type="LIMIT", time_in_force="IOC", limit_price=D(price))


@pytest.mark.parametrize(
    ("side", "limit", "order"),
    [
        (Side.BUY, None, ioc("42085.01")),  # 42001 + 20 bps = 42085.002, up to the tick
        (Side.SELL, None, ioc("41915.00")),  # 41999 - 20 bps = 41915.002, down to the tick
        (Side.BUY, D("42010.017"), ioc("42010.01")),
        (Side.SELL, D("41990.011"), ioc("41990.02")),
        (Side.BUY, D(50_000), ioc("42085.01")),
        (Side.SELL, D(30_000), ioc("41915.00")),
    ],
)
def test_an_ioc_reaches_just_beyond_the_touch_and_never_beyond_the_worst_price(
    side: Side, limit: Decimal | None, order: ChildOrder
) -> None:
    assert child_order(a_plan(), side, a_quote(), TICK, limit) == order


def test_a_market_child_is_a_market_order() -> None:
    order = child_order(a_plan(child="market"), Side.BUY, a_quote(), TICK, None)
    assert order == ChildOrder(order_type="MARKET", time_in_force=None, limit_price=None)


def test_a_market_child_with_a_worst_price_is_an_ioc_at_that_price() -> None:
    assert child_order(a_plan(child="market"), Side.BUY, a_quote(), TICK, D("42500.005")) == ioc("42500.00")
    assert child_order(a_plan(child="market"), Side.SELL, a_quote(), TICK, D("41500.005")) == ioc("41500.01")
