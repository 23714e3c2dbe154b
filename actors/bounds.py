"""Whether a market is fit to trade in: a quote judged against the bounds of one child order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from messages.execution import Guard, StopReason
from messages.market import Bounds, Quote, QuoteSeen
from messages.money import ZERO, plain
from messages.signal import Side

MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Breach:
    """The bound that a market breaks: why an execution would end for it, its figures for people, and its name."""

    reason: StopReason
    detail: str
    guard: Guard


def sound(quote: Quote | QuoteSeen) -> bool:
    """Tell whether a touch can be true: both sides there, prices positive, bid below ask."""
    return bool(0 < quote.bid < quote.ask and quote.bid_quantity > 0 and quote.ask_quantity > 0)


def judge(quote: Quote | None, age: float, bounds: Bounds, usual_spread: Decimal | None = None) -> Breach | None:
    """Name the first bound that the market breaks, None if all hold.

    `quote` is None if there is none that can be trusted, `age` is its age in seconds, `usual_spread` a
    fraction of the mid, None as long as too few spreads were seen to know it. What is not
    known is never fine: no quote, a crossed or an old one break every set of bounds. The spread is
    judged as a fraction of the mid; the deviation is how far the mid moved from arrival against
    the side, and a move in favour breaks it only where `both_sides` count; a figure equal to its bound holds.
    """
    if quote is None:
        return Breach(StopReason.STALE_MARKET, "no quote", "age")
    if not sound(quote):
        return Breach(StopReason.STALE_MARKET, f"{plain(quote.bid)} / {plain(quote.ask)} is no market", "age")
    if bounds.max_age is not None and age > bounds.max_age:
        return Breach(StopReason.STALE_MARKET, f"quote {age:.1f} s old", "age")
    mid = quote.mid
    if (breach := _wide(quote, bounds, usual_spread)) is not None:
        return breach
    if bounds.max_deviation is not None:
        deviation = bounds.side.sign * (mid - bounds.arrival_price) / bounds.arrival_price
        if bounds.both_sides:
            deviation = abs(deviation)
        if deviation > bounds.max_deviation:
            return Breach(StopReason.PRICE_DEVIATION, percent(deviation, bounds.max_deviation), "deviation")
    if bounds.limit_price is not None:
        touch = quote.touch(bounds.side)
        if bounds.side.sign * (touch - bounds.limit_price) > 0:
            words = "ask {} above {}" if bounds.side is Side.BUY else "bid {} below {}"
            return Breach(StopReason.LIMIT_PRICE, words.format(plain(touch), plain(bounds.limit_price)), "limit price")
    return _thin(quote, bounds) or _quiet(quote, bounds)


def _wide(quote: Quote, bounds: Bounds, usual: Decimal | None) -> Breach | None:
    if bounds.max_spread is None and bounds.max_spread_multiple is None:
        return None
    spread = (quote.ask - quote.bid) / quote.mid
    if bounds.max_spread is not None and spread > bounds.max_spread:
        return Breach(StopReason.SPREAD_TOO_WIDE, percent(spread, bounds.max_spread), "spread")
    if bounds.max_spread_multiple is None:
        return None
    if usual is None:
        return Breach(StopReason.STALE_MARKET, "the usual spread is not known yet", "usual spread")
    if spread > usual * bounds.max_spread_multiple:
        text = percent(spread, usual * bounds.max_spread_multiple)
        return Breach(StopReason.SPREAD_TOO_WIDE, f"{text}, usually {percent(usual, ZERO)}", "usual spread")
    return None


def _thin(quote: Quote, bounds: Bounds) -> Breach | None:
    if bounds.min_depth is None:
        return None
    depth = quote.depth(bounds.side)
    if depth is None:
        return Breach(StopReason.LIQUIDITY, "the book is not known", "depth")
    if depth < bounds.min_depth:
        text = f"{plain(depth)} near the touch, {plain(bounds.min_depth)} needed"
        return Breach(StopReason.LIQUIDITY, text, "depth")
    return None


def _quiet(quote: Quote, bounds: Bounds) -> Breach | None:
    if bounds.min_traded is None:
        return None
    if quote.traded is None:
        return Breach(StopReason.LIQUIDITY, "what the market trades is not known", "participation")
    if quote.traded < bounds.min_traded:
        missing = bounds.min_traded - quote.traded
        return Breach(StopReason.LIQUIDITY, f"the market has yet to trade {plain(missing)}", "participation")
    return None


def percent(fraction: Decimal, bound: Decimal) -> str:
    """Write a fraction that is above its bound as `0.61%`, with more decimals if two hide that."""
    decimals = 2
    while (figure := _rounded(fraction, decimals)) <= bound * 100 and decimals < MOST_DECIMALS:
        decimals += 1
    return f"{figure:f}%"


def _rounded(fraction: Decimal, decimals: int) -> Decimal:
    return (fraction * 100).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
