"""What an execution cost and how well it kept to its plan, measured from its children (Perold 1988).

Costs are positive when they hurt, for both sides alike. With s = +1 for a buy and -1 for a sale, m0
the mid at arrival, m and t the mid and the touch when a child was sent, and p a trade's price:
drift s (m - m0), spread s (t - m), walk s (p - t); for what was made, spread s (p - m) and no walk.
They add up to s (p - m0), trade by trade. `timing` is the part of the drift in which the mid moved while
the child waited for the pressure at the touch, its guards holding: s (m - mid when they first held).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.child import Child
from actors.twap.schedule import due_at
from messages.execution import ChildOutcome, ChildReport, Plan
from messages.frozen import dataclass
from messages.money import ZERO, in_bps
from messages.signal import Side

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a child's trades cost, in quote units; `effective` is twice the distance from the mid at send."""

    drift: Decimal = ZERO
    spread: Decimal = ZERO
    walk: Decimal = ZERO
    effective: Decimal = ZERO
    timing: Decimal = ZERO

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.drift + other.drift,
            self.spread + other.spread,
            self.walk + other.walk,
            self.effective + other.effective,
            self.timing + other.timing,
        )


def costs_of(child: Child, side: Side, arrival: Decimal) -> Costs:
    """Take apart what a child's trades cost against the arrival price."""
    sign, mid, touch = side.sign, child.mid, child.touch(side)
    taken, taken_quote = child.executed - child.made, child.executed_quote - child.made_quote
    made = child.made_quote - child.made * mid
    return Costs(
        drift=sign * child.executed * (mid - arrival),
        spread=sign * (taken * (touch - mid) + made),
        walk=sign * (taken_quote - taken * touch),
        effective=2 * sign * (taken_quote - taken * mid - made),
        timing=ZERO if child.fit_mid is None else sign * child.executed * (mid - child.fit_mid),
    )


def child_report(child: Child, side: Side, arrival: Decimal) -> ChildReport:
    """Say what became of a child; one that has no end yet counts as timed out."""
    executed, mid = child.executed, child.mid
    costs = costs_of(child, side, arrival)
    return ChildReport(
        client_order_id=child.client_order_id,
        slice=child.slice,
        attempt=child.attempt,
        outcome=child.outcome or ChildOutcome.TIMEOUT,
        quantity=child.quantity,
        executed_quantity=executed,
        executed_quote=child.executed_quote,
        average_price=child.executed_quote / executed if executed else None,
        fees=child.fees,
        polls=child.polls,
        failure_reason=child.failure_reason,
        sent_at=child.intended_at,
        filled_at=child.steps[-1][0] if child.steps else None,
        waited_seconds=child.waited,
        mid_at_send=mid,
        touch_at_send=child.touch(side),
        maker_quantity=child.made,
        spread_bps=in_bps(costs.spread, mid * executed) if executed else None,
        walk_bps=in_bps(costs.walk, mid * executed) if executed else None,
        drift_bps=in_bps(costs.drift, arrival * executed) if executed else None,
        order_type=child.order_type,
        adverse_bps=child.adverse_bps,
        gain_bps=child.gain_bps,
        timed_seconds=child.timed,
        timing_bps=in_bps(costs.timing, arrival * executed) if executed and child.timed else None,
    )


@dataclass(frozen=True, slots=True)
class Tracking:
    """How far what was executed was from what was planned, in percent of the quantity."""

    error: Decimal
    max_lag: Decimal


def tracking(plan: Plan, children: Iterable[Child], until: datetime) -> Tracking | None:
    """Compare the executed quantity with the planned one from the schedule's start to `until`.

    Both are step functions, so this is exact: the root of the time mean of the squared distance, and
    the largest distance. None where no time has passed or nothing was planned.
    """
    begin = plan.start_at
    if until <= begin or not plan.quantity:
        return None
    moves: dict[datetime, Decimal] = {}
    for index, quantity in enumerate(plan.slices):
        due = due_at(plan, index)
        moves[due] = moves.get(due, ZERO) - quantity
    for child in children:
        for moment, quantity in child.steps:
            at = max(moment, begin)
            moves[at] = moves.get(at, ZERO) + quantity
    distance = squares = largest = ZERO
    last = begin
    for at in sorted(moves):
        if at > until:
            break
        squares += distance * distance * _micros(at - last)
        distance, last = distance + moves[at], at
        largest = max(largest, abs(distance))
    squares += distance * distance * _micros(until - last)
    mean = squares / _micros(until - begin)
    return Tracking(mean.sqrt() / plan.quantity * 100, largest / plan.quantity * 100)


def lateness_ms(plan: Plan, children: Iterable[Child]) -> list[Decimal]:
    """List how late each child was intended after its slot was due, in ms, least first.

    What guards waited and what was waited for the pressure does not count, nor do children that cross
    after one that rested in their slot.

    One that was adopted had been sent long before anybody here knew.
    """
    rested: dict[int, None] = {}
    counted: list[Child] = []
    for child in children:
        if not child.adopted and child.slice not in rested:
            counted.append(child)
        if child.makes:
            rested[child.slice] = None
    return sorted(
        max(
            ZERO,
            Decimal(_micros(child.intended_at - due_at(plan, child.slice))) / 1000
            - (child.waited + child.timed) * 1000,
        )
        for child in counted
    )


def percentile(ordered: Sequence[Decimal], percent: int) -> Decimal | None:
    """Return the smallest figure that `percent` % of them do not exceed (nearest rank); None of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def _micros(span: timedelta) -> int:
    return span // _MICROSECOND
