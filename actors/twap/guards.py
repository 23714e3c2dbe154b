"""The guards of a child order: what the market must satisfy, for how long it is waited for, and what then.

Also what order a child is once they hold. MarketWatcher judges the market, by `actors.bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.schedule import minimum_at
from actors.twap.settings import Policy, TwapSettings
from messages.execution import Plan, StopReason
from messages.market import Bounds, Quote
from messages.money import BPS, ONE, ZERO, ceil_to, floor_to
from messages.order import OrderType, TimeInForce
from messages.signal import Side

PRICE_MARGIN = Decimal("0.1")
"""How far the price may have fallen before a child that is just large enough for the depth guard is too small."""


def bounds_of(plan: Plan, side: Side, arrival_price: Decimal, limit_price: Decimal | None) -> Bounds:
    """Say what the market must satisfy before a child of this plan may go."""
    return Bounds(
        side=side,
        arrival_price=arrival_price,
        max_spread=plan.max_spread if plan.check_spread else None,
        max_deviation=plan.max_deviation,
        both_sides=plan.both_sides,
        limit_price=limit_price,
        max_age=float(plan.max_quote_age),
        max_spread_multiple=plan.max_spread_multiple,
        min_depth=_least_depth(plan, arrival_price),
    )


def _least_depth(plan: Plan, arrival_price: Decimal) -> Decimal | None:
    """How much must stand near the touch for the smallest child to be a small enough share of it.

    The price may have fallen since the arrival, and then the smallest child is a larger one.
    """
    if plan.max_depth_share is None:
        return None
    return ceil_to(minimum_at(plan, arrival_price * (ONE - PRICE_MARGIN)) / plan.max_depth_share, plan.step)


def largest_child(plan: Plan, side: Side, quote: Quote, maximum: Decimal | None) -> Decimal | None:
    """Say the largest quantity of a child on this quote: what the venue allows, and the share of the depth."""
    if plan.max_depth_share is None:
        return maximum
    share = floor_to((quote.depth(side) or ZERO) * plan.max_depth_share, plan.step)
    return share if maximum is None else min(maximum, share)


def unbounded(side: Side, arrival_price: Decimal) -> Bounds:
    """Bounds that every market satisfies: whoever awaits them wants to look, not to judge."""
    return Bounds(side=side, arrival_price=arrival_price)


def waits_until(plan: Plan, since: datetime, slot_end: datetime) -> datetime:
    """Say until when guards may wait that began to wait at `since`: never beyond their slot."""
    if plan.guard_wait_seconds is None:
        return slot_end
    return min(slot_end, since + timedelta(seconds=float(plan.guard_wait_seconds)))


def reason_of(failed: str | None) -> StopReason:
    """Read which guard failed; an answer that does not say so means that the market is not known."""
    if failed in _POLICIES:
        return StopReason(failed)
    return StopReason.STALE_MARKET


def forgiven(settings: TwapSettings) -> tuple[StopReason, ...]:
    """Name what a refusal by the venue may be for without ending the execution."""
    return tuple(reason for reason, name in _FORGIVABLE if getattr(settings, name) != "stop")


def policy_of(reason: StopReason, settings: TwapSettings) -> Policy:
    """Say what follows when a guard still fails at its deadline."""
    name = _POLICIES[reason]
    policy: Policy = getattr(settings, name)
    return policy


_POLICIES: dict[str, str] = {
    StopReason.SPREAD_TOO_WIDE: "on_spread",
    StopReason.PRICE_DEVIATION: "on_deviation",
    StopReason.STALE_MARKET: "on_stale",
    StopReason.LIMIT_PRICE: "on_limit_price",
    StopReason.LIQUIDITY: "on_depth",
    StopReason.SYMBOL_STATUS: "on_symbol_status",
    StopReason.BALANCE: "on_balance",
}
"""Which setting decides for which guard."""

_FORGIVABLE = tuple((reason, _POLICIES[reason]) for reason in (StopReason.SYMBOL_STATUS, StopReason.BALANCE))


def deviation_of(side: Side, arrival_price: Decimal, quote: Quote) -> Decimal:
    """How far the mid has moved against `side` since arrival, as a fraction; negative = in our favour."""
    return side.sign * (quote.mid - arrival_price) / arrival_price


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOrder:
    """What kind of order a child is, and the worst price that it may trade at (None = any)."""

    order_type: OrderType
    time_in_force: TimeInForce | None
    limit_price: Decimal | None


def child_order(plan: Plan, side: Side, quote: Quote, tick: Decimal, limit_price: Decimal | None) -> ChildOrder:
    """Say how a child is sent on this quote.

    A `market` child is a MARKET order, unless a worst price is given: then it is a LIMIT IOC at that
    price, which a MARKET order could pass. Every other kind is a LIMIT IOC at the touch plus
    `cap_bps`, rounded outwards to the tick, but never beyond the worst price.
    """
    worst = None
    if limit_price is not None:
        worst = floor_to(limit_price, tick) if side is Side.BUY else ceil_to(limit_price, tick)
    if plan.child == "market":
        if worst is None:
            return ChildOrder(order_type="MARKET", time_in_force=None, limit_price=None)
        return ChildOrder(order_type="LIMIT", time_in_force="IOC", limit_price=worst)
    return ChildOrder(order_type="LIMIT", time_in_force="IOC", limit_price=_capped(plan, side, quote, tick, worst))


def _capped(plan: Plan, side: Side, quote: Quote, tick: Decimal, worst: Decimal | None) -> Decimal:
    cap = quote.touch(side) * (ONE + side.sign * plan.cap_bps / BPS)
    if side is Side.BUY:
        price = ceil_to(cap, tick)
        return price if worst is None else min(price, worst)
    price = max(ZERO, floor_to(cap, tick))
    return price if worst is None else max(price, worst)
