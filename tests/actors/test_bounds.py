from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.bounds import Breach, judge, percent, sound
from messages.execution import StopReason
from messages.market import Bounds
from messages.signal import Side
from tests.factories import a_quote

D = Decimal


def bounds(side: Side = Side.BUY, arrival: str = "42000", **changes: Any) -> Bounds:
    return Bounds(side=side, arrival_price=D(arrival), **changes)


def around(mid: str, width: str = "2") -> Any:
    return a_quote(D(mid) - D(width) / 2, D(mid) + D(width) / 2)


ALL = bounds(max_spread=D("0.005"), max_deviation=D("0.01"), limit_price=D(43_000), max_age=5.0)


def test_a_market_within_all_bounds_is_fit() -> None:
    assert judge(around("42000"), 0.0, ALL) is None


def test_without_bounds_every_true_quote_is_fit() -> None:
    assert judge(around("90000", "5000"), 1e9, bounds()) is None


def test_a_rise_from_42000_to_42500_stops_a_buy() -> None:
    assert judge(around("42500"), 0.0, ALL) == Breach(StopReason.PRICE_DEVIATION, "1.19%", "deviation")


def test_a_spread_of_0_6_percent_stops() -> None:
    assert judge(around("42000", "252"), 0.0, ALL) == Breach(StopReason.SPREAD_TOO_WIDE, "0.60%", "spread")


def test_the_spread_comes_before_the_deviation_and_that_before_the_limit() -> None:
    wide = judge(around("44000", "440"), 0.0, ALL)
    narrow = judge(around("44000"), 0.0, ALL)
    assert wide is not None
    assert narrow is not None
    assert (wide.reason, narrow.reason) == (StopReason.SPREAD_TOO_WIDE, StopReason.PRICE_DEVIATION)


@pytest.mark.parametrize(
    ("side", "mid", "fit"),
    [
        (Side.BUY, "42420", True),
        (Side.BUY, "42420.01", False),
        (Side.BUY, "30000", True),
        (Side.SELL, "41580", True),
        (Side.SELL, "41579.99", False),
        (Side.SELL, "60000", True),
    ],
)
def test_a_deviation_counts_on_the_adverse_side_only_and_its_bound_holds(side: Side, mid: str, *, fit: bool) -> None:
    breach = judge(around(mid), 0.0, bounds(side, max_deviation=D("0.01")))
    assert (breach is None) is fit
    if breach is not None:
        assert breach.reason is StopReason.PRICE_DEVIATION


@pytest.mark.parametrize(("mid", "fit"), [("41580", True), ("41579.99", False), ("42420.01", False)])
def test_a_deviation_counts_on_both_sides_where_that_is_asked_for(mid: str, *, fit: bool) -> None:
    breach = judge(around(mid), 0.0, bounds(max_deviation=D("0.01"), both_sides=True))
    assert (breach is None) is fit


@pytest.mark.parametrize(("width", "fit"), [("210", True), ("210.01", False)])
def test_a_spread_equal_to_its_bound_holds(width: str, *, fit: bool) -> None:
    assert (judge(around("42000", width), 0.0, bounds(max_spread=D("0.005"))) is None) is fit


@pytest.mark.parametrize(
    ("width", "usual", "breach"),
    [
        ("210", None, Breach(StopReason.STALE_MARKET, "the usual spread is not known yet", "usual spread")),
        ("210", "0.00125", None),
        ("210.0042", "0.00125", Breach(StopReason.SPREAD_TOO_WIDE, "0.50001%, usually 0.13%", "usual spread")),
    ],
)
def test_a_spread_is_judged_by_the_usual_one_where_that_is_asked_for(
    width: str, usual: str | None, breach: Breach | None
) -> None:
    known = None if usual is None else D(usual)
    assert judge(around("42000", width), 0.0, bounds(max_spread_multiple=D(4)), known) == breach
    assert judge(around("42000", width), 0.0, bounds(max_spread_multiple=D(4), max_spread=D("0.01")), known) == breach


@pytest.mark.parametrize(
    ("side", "bid", "ask", "detail"),
    [
        (Side.BUY, D(9), None, "the book is not known"),
        (Side.BUY, D(9), D("1.49"), "1.49 near the touch, 1.5 needed"),
        (Side.BUY, None, D("1.5"), None),
        (Side.SELL, None, D(9), "the book is not known"),
        (Side.SELL, D(0), D(9), "0 near the touch, 1.5 needed"),
        (Side.SELL, D("1.5"), None, None),
    ],
)
def test_enough_must_stand_near_the_touch_on_the_side_that_is_taken(
    side: Side, bid: Decimal | None, ask: Decimal | None, detail: str | None
) -> None:
    expected = None if detail is None else Breach(StopReason.LIQUIDITY, detail, "depth")
    assert judge(a_quote(depth_bid=bid, depth_ask=ask), 0.0, bounds(side, min_depth=D("1.5"))) == expected


@pytest.mark.parametrize(
    ("traded", "detail"),
    [
        (None, "what the market trades is not known"),
        (D("1.4"), "the market has yet to trade 0.1"),
        (D("1.5"), None),
    ],
)
def test_the_market_must_have_traded_enough_for_its_share(traded: Decimal | None, detail: str | None) -> None:
    expected = None if detail is None else Breach(StopReason.LIQUIDITY, detail, "participation")
    assert judge(a_quote(traded=traded), 0.0, bounds(min_traded=D("1.5"))) == expected
    assert judge(a_quote(traded=traded, depth_ask=D(2)), 0.0, bounds(min_traded=D("1.5"), min_depth=D(1))) == expected


@pytest.mark.parametrize(
    ("side", "limit", "detail"),
    [
        (Side.BUY, "42001", None),
        (Side.BUY, "42000.99", "ask 42001 above 42000.99"),
        (Side.SELL, "41999", None),
        (Side.SELL, "41999.01", "bid 41999 below 41999.01"),
    ],
)
def test_the_touch_must_not_be_worse_than_the_limit_price(side: Side, limit: str, detail: str | None) -> None:
    expected = None if detail is None else Breach(StopReason.LIMIT_PRICE, detail, "limit price")
    assert judge(around("42000"), 0.0, bounds(side, limit_price=D(limit))) == expected


def test_what_is_not_known_is_never_fine() -> None:
    assert judge(None, 0.0, bounds()) == Breach(StopReason.STALE_MARKET, "no quote", "age")
    assert judge(around("42000"), 5.0, ALL) is None
    assert judge(around("42000"), 5.01, ALL) == Breach(StopReason.STALE_MARKET, "quote 5.0 s old", "age")


@pytest.mark.parametrize(
    "quote",
    [
        a_quote(42_001, 41_999),
        a_quote(42_000, 42_000),
        a_quote(0, 42_000),
        a_quote(-1, 1),
        a_quote(bid_quantity=D(0)),
        a_quote(ask_quantity=D(0)),
    ],
    ids=["crossed", "locked", "no bid", "negative", "empty bid", "empty ask"],
)
def test_a_quote_that_cannot_be_true_is_never_fine(quote: Any) -> None:
    assert not sound(quote)
    breach = judge(quote, 0.0, bounds())
    assert breach is not None
    assert breach.reason is StopReason.STALE_MARKET


@pytest.mark.parametrize(
    ("fraction", "bound", "text"),
    [
        ("0.0061", "0.005", "0.61%"),
        ("0.011904", "0.01", "1.19%"),
        ("0.00615", "0.005", "0.62%"),
        ("0.0050001", "0.005", "0.50001%"),
        ("0.005000000001", "0.005", "0.500000%"),
        ("1.5", "0.01", "150.00%"),
    ],
)
def test_figures_show_that_they_are_above_their_bound(fraction: str, bound: str, text: str) -> None:
    assert percent(D(fraction), D(bound)) == text
