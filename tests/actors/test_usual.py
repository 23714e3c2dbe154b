"""What is usual in a market."""

from __future__ import annotations

from actors.bounds import Breach, judge
from actors.usual import LEAST_SAMPLES, SAMPLES, UsualSpread
from messages.execution import StopReason
from messages.market import Bounds, Quote
from messages.signal import Side
from tests.factories import D, a_quote


def wide(bps: int) -> Quote:
    return a_quote(D(10_000) - D(bps) / 2, D(10_000) + D(bps) / 2)


def test_too_few_looks_say_nothing() -> None:
    usual = UsualSpread()
    for second in range(LEAST_SAMPLES - 1):
        usual.see(wide(1), float(second))
    assert usual.median is None
    usual.see(wide(1), 100.0)
    assert usual.median == D("0.0001")


def test_one_look_a_second_counts_however_many_ticks_there_are() -> None:
    usual = UsualSpread()
    for tick in range(1000):
        usual.see(wide(9), tick / 1000)
    assert usual.median is None


def test_a_spread_becomes_usual_when_half_of_the_last_looks_had_it() -> None:
    usual = UsualSpread()
    for second in range(SAMPLES):
        usual.see(wide(1), float(second))
    for second in range(SAMPLES // 2 - 1):
        usual.see(wide(50), float(SAMPLES + second))
    assert usual.median == D("0.0001")
    for second in range(2):
        usual.see(wide(50), float(2 * SAMPLES + second))
    assert usual.median == D("0.005")


MULTIPLE = Bounds(side=Side.BUY, arrival_price=D(10_000), max_spread_multiple=D(4))


def test_a_spread_at_its_multiple_holds_and_one_beyond_it_fails() -> None:
    assert judge(wide(4), 0.0, MULTIPLE, D("0.0001")) is None
    assert judge(wide(5), 0.0, MULTIPLE, D("0.0001")) == Breach(
        StopReason.SPREAD_TOO_WIDE, "0.05%, usually 0.01%", "usual spread"
    )


def test_what_is_usual_must_be_known() -> None:
    assert judge(wide(1), 0.0, MULTIPLE) == Breach(
        StopReason.STALE_MARKET, "the usual spread is not known yet", "usual spread"
    )


def test_both_bounds_of_the_spread_count() -> None:
    both = Bounds(side=Side.BUY, arrival_price=D(10_000), max_spread=D("0.0002"), max_spread_multiple=D(4))
    assert judge(wide(3), 0.0, both, D("0.0001")) == Breach(StopReason.SPREAD_TOO_WIDE, "0.03%", "spread")


def test_depth_that_is_not_known_is_never_enough() -> None:
    bounds = Bounds(side=Side.SELL, arrival_price=D(10_000), min_depth=D(2))
    assert judge(wide(1), 0.0, bounds) == Breach(StopReason.LIQUIDITY, "the book is not known", "depth")
    thin, deep = (a_quote(9_999, 10_001, depth_bid=depth, depth_ask=D(0)) for depth in (D("1.9"), D(2)))
    assert judge(thin, 0.0, bounds) == Breach(StopReason.LIQUIDITY, "1.9 near the touch, 2 needed", "depth")
    assert judge(deep, 0.0, bounds) is None
