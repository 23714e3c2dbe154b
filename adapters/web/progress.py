"""How an execution does against its schedule at a moment, and what it waits for: sums over its view."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from adapters.execution_views import ExecutionView
from adapters.lateness import due_at
from adapters.views import Json, iso, optional
from messages.execution import Plan, WaitsFor
from messages.facts import ChildIntended
from messages.money import BPS, ZERO, plain
from messages.signal import Side

_SHOWN: Final = Context(prec=12, rounding=ROUND_HALF_EVEN)
"""Digits of a price that nobody pays, such as an average."""

SENDS_NOTHING: Final = frozenset({"PAUSED", "CANCELLING", "QUARANTINED"})
SILENT_AFTER_SECONDS: Final = 2.0
SILENT: Final = "its turn has come, and nothing was said of it yet"
"""What is said of a due child of which nobody says why it does not come, as for a moment after a start."""


def progress(view: ExecutionView, now: datetime, wait: WaitsFor | None, *, halted: bool = False) -> Json:
    """Say what a running execution should have filled by now, what it costs so far, and what comes next.

    `behind` is the scheduled less the filled quantity (negative: ahead of it); `waiting` says in words why
    no child goes out right now, None while one is simply not due. `wait` is what those say who hold a due one up.
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
    following = None if halted else next_due(view, view.plan, now)
    return {
        **figures,
        "scheduled": plain(scheduled),
        "behind": plain(scheduled - view.traded.quantity),
        "next_child_at": None if following is None else iso(following),
        "ends_at": iso(view.end_at or due_at(view.plan, len(view.plan.slices))),
        "waiting": waits_for(view, view.plan, now, wait, halted=halted),
    }


def scheduled_by(plan: Plan, now: datetime) -> Decimal:
    """Add up the slices that are due by now."""
    return sum((quantity for slot, quantity in enumerate(plan.slices) if due_at(plan, slot) <= now), ZERO)


def next_due(view: ExecutionView, plan: Plan, now: datetime) -> datetime | None:
    """Say when the next slot is due; None when nothing is left to do, no slot comes any more, or none is served."""
    if view.report is not None or view.state in SENDS_NOTHING or view.traded.quantity >= view.quantity:
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
    view: ExecutionView, plan: Plan, now: datetime, wait: WaitsFor | None, *, halted: bool = False
) -> str | None:
    """Say why no child goes out right now."""
    if view.report is not None:
        return None
    if view.state in SENDS_NOTHING:
        return f"{view.state.lower()}: {view.detail}" if view.detail else view.state.lower()
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
    if wait is not None:
        return words_of(wait, plan)
    return SILENT if (now - due_at(plan, slot)).total_seconds() > SILENT_AFTER_SECONDS else None


def _at_work(intent: ChildIntended) -> str:
    if intent.order_type != "LIMIT_MAKER" or intent.limit_price is None:
        return "a child order is working"
    return f"a child order rests at {plain(intent.limit_price)}"


def words_of(wait: WaitsFor, plan: Plan) -> str:
    """Say in words what a due child waits for: the name of the guard, its figures, and what is allowed."""
    hindrance, detail = wait.hindrance, wait.detail
    match hindrance:
        case "spread":
            return f"spread: {detail}, {_percent(plan.max_spread)} allowed"
        case "usual spread":
            return f"usual spread, at most {plain(plan.max_spread_multiple or ZERO)} times that: {detail}"
        case "deviation":
            return f"deviation: {detail} from arrival, {_percent(plan.max_deviation)} allowed"
        case "age":
            return f"age: {detail} when last judged"
        case "timing":
            return "timing: the queues at the touch do not press yet"
        case "fresh quote":
            return "a quote that is new"
        case _:
            return f"{hindrance}: {detail}"


def _percent(fraction: Decimal) -> str:
    return f"{plain(fraction * 100)}%"


def _cost_bps(side: Side, price: Decimal | None, against: Decimal | None) -> Decimal | None:
    if price is None or against is None or not against:
        return None
    return round(side.sign * (price - against) / against * BPS, 4)
