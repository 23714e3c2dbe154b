"""How an execution does against its schedule at a moment, and what it waits for: sums over its view."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from adapters.execution_views import ExecutionView
from adapters.lateness import due_at
from adapters.views import Json, iso, optional
from messages.execution import Plan
from messages.facts import ChildIntended
from messages.money import BPS, ZERO, plain
from messages.signal import Side

_SHOWN: Final = Context(prec=12, rounding=ROUND_HALF_EVEN)
"""Digits of a price that nobody pays, such as an average."""

UNSEEN_AFTER_SECONDS: Final = 2.0
UNSEEN: Final = "depth, the usual spread, symbol status, balance or the request budget"
"""What may hold a due child up though spread and price are good: the page has no eyes for these."""


@dataclass(frozen=True, slots=True)
class Market:
    """The touch of a symbol and its age in seconds."""

    bid: Decimal
    ask: Decimal
    age: float


def progress(view: ExecutionView, now: datetime, market: Market | None, *, halted: bool = False) -> Json:
    """Say what a running execution should have filled by now, what it costs so far, and what comes next.

    `behind` is the scheduled less the filled quantity (negative: ahead of it); `waiting` says in words why
    no child goes out right now, None while one is simply not due.
    """
    average, interval = view.traded.average, interval_twap(view)
    figures: Json = {
        "interval_twap_price": None if interval is None else plain(_SHOWN.plus(interval)),
        "interval_twap_bps": optional(_cost_bps(view.accepted.side, average, interval)),
        "open_children": sum(not child.over for child in view.children.values()),
        "unknown_children": sum(child.state == "UNKNOWN" for child in view.children.values()),
    }
    if view.plan is None:
        return {**figures, "scheduled": None, "behind": None, "next_child_at": None, "waiting": "not planned yet"}
    scheduled = min(scheduled_by(view.plan, now), view.quantity)
    following = next_due(view, view.plan, now)
    return {
        **figures,
        "scheduled": plain(scheduled),
        "behind": plain(scheduled - view.traded.quantity),
        "next_child_at": None if following is None else iso(following),
        "ends_at": iso(view.end_at or due_at(view.plan, len(view.plan.slices))),
        "waiting": waits_for(view, view.plan, now, market, halted=halted),
    }


def scheduled_by(plan: Plan, now: datetime) -> Decimal:
    """Add up the slices that are due by now."""
    return sum((quantity for slot, quantity in enumerate(plan.slices) if due_at(plan, slot) <= now), ZERO)


def next_due(view: ExecutionView, plan: Plan, now: datetime) -> datetime | None:
    """Say when the next slot is due; None when nothing is left to buy or sell, or no slot comes any more."""
    if view.report is not None or view.state == "CANCELLING" or view.traded.quantity >= view.quantity:
        return None
    slots = len(plan.slices) + plan.extra_slots + (plan.remainder == "sweep")
    return next((due for slot in range(slots) if (due := due_at(plan, slot)) > now), None)


def interval_twap(view: ExecutionView) -> Decimal | None:
    """Say the time-weighted mid since the arrival, as of the last child, or of the report."""
    if view.report is not None:
        return view.report.interval_twap_price
    for child in reversed(view.children.values()):
        if child.intent.mid_seconds:
            return child.intent.mid_integral / child.intent.mid_seconds
    return None


def waits_for(
    view: ExecutionView, plan: Plan, now: datetime, market: Market | None, *, halted: bool = False
) -> str | None:
    """Say why no child goes out right now."""
    if view.report is not None:
        return None
    if view.state in {"PAUSED", "CANCELLING", "QUARANTINED"}:
        return view.state.lower()
    if any(child.state == "UNKNOWN" for child in view.children.values()):
        return "the outcome of a child order is being proven"
    if halted:
        return "trading is halted"
    working = next((child for child in view.children.values() if not child.over), None)
    if working is not None:
        return _at_work(working.intent)
    slot = -1 if now < plan.start_at else int((now - plan.start_at).total_seconds() / float(plan.interval_seconds))
    if slot >= 0 and now < due_at(plan, slot):
        slot -= 1
    if slot <= view.last_slot or view.traded.quantity >= view.quantity:
        return None
    failing = failing_guard(view, plan, market)
    if failing is None and (now - due_at(plan, slot)).total_seconds() > UNSEEN_AFTER_SECONDS:
        return UNSEEN
    return failing


def _at_work(intent: ChildIntended) -> str:
    if intent.order_type != "LIMIT_MAKER" or intent.limit_price is None:
        return "a child order is working"
    return f"a child order rests at {plain(intent.limit_price)}"


def failing_guard(view: ExecutionView, plan: Plan, market: Market | None) -> str | None:
    """Name the guard that does not hold on this market, with figures; None if all hold."""
    if market is None or market.age > float(plan.max_quote_age):
        return "no quote" if market is None else f"the quote is {market.age:.0f} s old"
    side, arrival = view.accepted.side, view.accepted.arrival_price
    mid, spread = (market.bid + market.ask) / 2, market.ask - market.bid
    if plan.check_spread and spread > plan.max_spread * mid:
        return f"spread {_percent(spread / mid)} above {_percent(plan.max_spread)}"
    moved = side.sign * (mid - arrival) / arrival
    if (abs(moved) if plan.both_sides else moved) > plan.max_deviation:
        return f"price {_percent(abs(moved))} from arrival, {_percent(plan.max_deviation)} allowed"
    touch = market.ask if side is Side.BUY else market.bid
    if view.limit_price is not None and side.sign * (touch - view.limit_price) > 0:
        return f"{'ask' if side is Side.BUY else 'bid'} {plain(touch)} beyond the limit {plain(view.limit_price)}"
    return None


def _percent(fraction: Decimal) -> str:
    return f"{fraction * 100:.2f} %"


def _cost_bps(side: Side, price: Decimal | None, against: Decimal | None) -> Decimal | None:
    if price is None or against is None or not against:
        return None
    return round(side.sign * (price - against) / against * BPS, 4)
