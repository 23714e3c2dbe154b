"""The schedule: direct or sliced, how many slices of what size, when, and what an overdue one may carry.

Everything is exact: quantities are whole steps, times whole microseconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import assert_never

from actors.exchange.rules import common_multiple, quantity_step
from actors.twap.jitter import delays, uneven
from actors.twap.manner import fee_gap_of, timed_of
from actors.twap.settings import TwapSettings
from messages.execution import Plan
from messages.facts import SignalAccepted
from messages.frozen import dataclass, replace
from messages.market import SymbolRules
from messages.money import ONE, ZERO, ceil_to, floor_to
from messages.signal import ChildKind, Side, TwapOptions

MIN_NOTIONAL_MARGIN = Decimal("1.05")
"""A slice is worth this many minimum notionals at least, so that a falling price does not void it."""

MIN_INTERVAL = timedelta(milliseconds=100)
"""Slots are never closer than this, whatever a signal asks for."""

SMALLEST_STEP = Decimal("0.00000001")
"""Stands in where a venue names no step: no asset is divided further on Binance."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The venue's bounds on one child's quantity: base units, except `min_notional` (quote units)."""

    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal | None
    min_notional: Decimal


def least_of(rules: SymbolRules, child: ChildKind) -> tuple[Decimal, Decimal]:
    """Read the step of a kind of child, and the smallest quantity of one.

    A market order must fit LOT_SIZE and MARKET_LOT_SIZE at once (protocol §9.1).
    """
    if child != "market":
        return rules.step or SMALLEST_STEP, rules.min_quantity
    step = quantity_step(rules, "MARKET") or SMALLEST_STEP
    return step, max(rules.min_quantity, rules.market_min_quantity)


def limits_of(rules: SymbolRules, child: ChildKind, price: Decimal) -> Limits:
    """Read the bounds that hold for a kind of child; `price` turns a maximum notional into a quantity."""
    step, min_quantity = least_of(rules, child)
    most = rules.max_quantity
    if child == "market" and rules.market_max_quantity:
        most = min(most or rules.market_max_quantity, rules.market_max_quantity)
    if rules.max_notional:
        worth = rules.max_notional / (price * MIN_NOTIONAL_MARGIN)
        most = min(most or worth, worth)
    return Limits(
        step=step,
        min_quantity=min_quantity,
        max_quantity=floor_to(most, step) if most else None,
        min_notional=rules.min_notional,
    )


def adapted(plan: Plan, limits: Limits) -> Plan:
    """Return a plan by the bounds that the venue has now, the plan itself if they are its own; its slices stay.

    A step that is finer than the plan's changes nothing: what is left is whole steps of the plan's.
    """
    step = common_multiple(plan.step, limits.step)
    if (step, limits.min_quantity, limits.min_notional) == (plan.step, plan.min_quantity, plan.min_notional):
        return plan
    return replace(plan, step=step, min_quantity=limits.min_quantity, min_notional=limits.min_notional)


def should_use_twap(
    quantity: Decimal,
    price: Decimal,
    depth: Decimal | None,
    options: TwapOptions,
    settings: TwapSettings,
) -> bool:
    """Decide whether an order is sliced (True) or goes directly.

    It is sliced if it is worth more than `slice_above_notional`, or takes more than
    `slice_above_depth_share` of `depth` (base units near the touch on the side it takes; None =
    unknown, and then only the value counts). A signal that names chunks or a duration decides itself.
    """
    if options.num_chunks is not None:
        return options.num_chunks > 1
    if options.duration_seconds is not None or quantity * price > settings.slice_above_notional:
        return True
    return depth is not None and quantity > settings.slice_above_depth_share * depth


def plan(accepted: SignalAccepted, rules: SymbolRules, settings: TwapSettings, now: datetime) -> Plan:
    """Fix how an accepted signal is worked; the signal's options come before the settings.

    The schedule begins at `now`, or at the signal's `start_at` if that is later. It has no slices
    if the whole quantity is less than one step. The number of slices shrinks until each is large
    enough, and grows only if one would be above the venue's maximum. Equal slices differ by one step
    at most, the larger ones first; `ow` ones are those of `ow_slices`, where there are three or more.
    Jitter changes the sizes and delays the slots, but not of an order that goes directly.
    """
    options, price = accepted.signal.twap, accepted.arrival_price
    kind = options.child or settings.child
    limits = limits_of(rules, kind, price)
    quantity = floor_to(accepted.quantity, limits.step)
    start = now if options.start_at is None else max(now, options.start_at)
    sliced = should_use_twap(quantity, price, accepted.depth, options, settings)
    wanted, duration = (1, None) if not sliced else _wanted(options, settings, start)
    bounds = _bounds(quantity, limits, price, settings.min_chunk_value)
    count = _count(bounds, wanted)
    interval = _interval(options, settings, start, count, duration)
    shape = options.schedule or settings.schedule
    rho = (options.rho or settings.rho) if shape == "ow" and count > 1 else None
    steps = _equal(bounds.total, count) if rho is None else ow_slices(bounds, count, (-rho * interval).exp())
    direct = count <= 1
    jitter = ZERO if direct else settings.jitter if options.jitter is None else options.jitter
    if jitter:
        steps = uneven(steps, jitter, accepted.execution_id, least=bounds.least, most=bounds.most)
    return Plan(
        quantity=quantity,
        slices=tuple(size * limits.step for size in steps),
        step=limits.step,
        min_quantity=limits.min_quantity,
        min_notional=limits.min_notional,
        direct=direct,
        start_at=start,
        interval_seconds=interval,
        extra_slots=settings.extra_slots,
        end_at=options.end_at,
        child=kind,
        cap_bps=settings.cap_bps if options.cap_bps is None else options.cap_bps,
        catch_up=options.catch_up or settings.catch_up,
        catch_up_cap=settings.catch_up_cap,
        limit_price=_worst_price(accepted, quantity, rules.tick),
        check_spread=settings.check_spread,
        max_spread=settings.max_spread,
        max_deviation=settings.max_price_deviation,
        both_sides=settings.deviation_side == "both",
        max_quote_age=settings.max_quote_age_seconds,
        guard_wait_seconds=settings.guard_wait_seconds,
        on_partial=settings.partial_direct if direct else settings.partial_slice,
        remainder=options.remainder or settings.remainder,
        schedule="equal" if rho is None else shape,
        rho=rho,
        timing=timed_of(options, settings, kind),
        slot_deadline=settings.slot_deadline,
        fee_gap_bps=fee_gap_of(rules, settings),
        max_spread_multiple=settings.max_spread_multiple,
        max_depth_share=settings.max_depth_share,
        max_participation=(
            settings.max_participation if options.max_participation is None else options.max_participation
        ),
        jitter=jitter,
        delays=delays(count + settings.extra_slots, interval, jitter, accepted.execution_id) if jitter else (),
    )


def _worst_price(accepted: SignalAccepted, quantity: Decimal, tick: Decimal) -> Decimal | None:
    """Say the worst price of any child: the signal's own, and for a buy of a quote amount what that can pay.

    The quantity was made of the amount at the worst price that the deviation bound allows, but a child goes
    up to its cap beyond the touch, and a market order to any price.
    """
    signal = accepted.signal
    if signal.quote_quantity is None or signal.side is Side.SELL or not quantity:
        return signal.limit_price
    payable = floor_to(signal.quote_quantity / quantity, tick)
    return payable if signal.limit_price is None else min(payable, signal.limit_price)


def _wanted(options: TwapOptions, settings: TwapSettings, start: datetime) -> tuple[int, Decimal | None]:
    """How many slices are asked for, and over how many seconds (None = as many as the intervals take).

    An end without a duration is one, unless chunks and interval already say how long it takes. With
    a duration the interval only chooses the number of slices; they are spread evenly over it.
    """
    duration = options.duration_seconds
    if (
        duration is None
        and options.end_at is not None
        and (options.num_chunks is None or options.interval_seconds is None)
    ):
        duration = max(ZERO, _seconds(options.end_at - start))
    if options.num_chunks is not None:
        return options.num_chunks, duration
    if duration is not None and options.interval_seconds is not None:
        return max(1, int(duration / options.interval_seconds)), duration
    return settings.num_chunks, duration


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBounds:
    """How much there is to share out, and the least and most that a slice may carry, all in whole steps."""

    total: int
    least: int
    most: int


def _bounds(quantity: Decimal, limits: Limits, price: Decimal, min_chunk_value: Decimal) -> StepBounds:
    total = int(quantity / limits.step)
    least = max(limits.min_quantity, MIN_NOTIONAL_MARGIN * limits.min_notional / price, min_chunk_value / price)
    most = total if limits.max_quantity is None else int(limits.max_quantity / limits.step)
    return StepBounds(total=total, least=max(1, _up(least / limits.step)), most=max(1, most))


def _count(bounds: StepBounds, wanted: int) -> int:
    """How many slices there are: as many as are wanted and large enough, more if one would be too large."""
    if not bounds.total:
        return 0
    return max(1, min(wanted, bounds.total // bounds.least), -(-bounds.total // bounds.most))


def _equal(total: int, count: int) -> list[int]:
    """Cut steps into slices that differ by one at most, the larger ones first."""
    size, larger = divmod(total, count) if count else (0, 0)
    return [size + (index < larger) for index in range(count)]


def ow_slices(bounds: StepBounds, count: int, decay: Decimal) -> list[int]:
    """Cut steps into `count` slices as is cheapest in a block book (Alfonsi, Fruth and Schied 2010).

    `decay` is the share a of an impact that is left after one interval. Of X in N + 1 slices the
    first and the last are X / (2 + (N - 1)(1 - a)) each, those between (1 - a) times that. Inner
    slices that would be too small are raised to the least and outer ones that would be too large
    lowered to the most, at the others' expense; the total is exact.
    """
    inner = count - 2
    if inner < 1 or count * bounds.least > bounds.total:
        return _equal(bounds.total, count)
    share = inner * (ONE - decay)
    ideal = int((bounds.total * share / (2 + share)).to_integral_value())
    between = max(ideal, inner * bounds.least, bounds.total - 2 * bounds.most)
    first, last = _equal(bounds.total - between, 2)
    return [first, *_equal(between, inner), last]


def _interval(
    options: TwapOptions, settings: TwapSettings, start: datetime, count: int, duration: Decimal | None
) -> Decimal:
    interval = settings.interval_seconds if options.interval_seconds is None else options.interval_seconds
    if duration is not None and count > 1:
        interval = duration / count
    if options.end_at is not None and count > 1:
        interval = min(interval, max(ZERO, _seconds(options.end_at - start)) / count)
    micros = max((interval * 1_000_000).to_integral_value(ROUND_FLOOR), Decimal(MIN_INTERVAL // _MICROSECOND))
    return micros / 1_000_000


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // _MICROSECOND) / 1_000_000


# The clock of slots -------------------------------------------------------------------------------


def slot_at(plan: Plan, number: int) -> datetime:
    """Say when the `number`-th interval of the schedule's clock begins."""
    return plan.start_at + number * _interval_of(plan)


def due_at(plan: Plan, number: int) -> datetime:
    """Say when the turn in the `number`-th interval is: at its beginning, or a delay later."""
    begin = slot_at(plan, number)
    return begin + int(plan.delay_of(number) * 1_000_000) * _MICROSECOND if plan.delays else begin


def slot_number(plan: Plan, moment: datetime) -> int:
    """Say in which interval of the schedule's clock a moment lies; -1 and less are before the start."""
    return (moment - plan.start_at) // _interval_of(plan)


def _interval_of(plan: Plan) -> timedelta:
    return _span(plan.interval_seconds)


@lru_cache(maxsize=256)
def _span(seconds: Decimal) -> timedelta:
    """Turn seconds into a span of time: nearly all executions have one of a few intervals."""
    return int(seconds * 1_000_000) * _MICROSECOND


# The slots ----------------------------------------------------------------------------------------


def slots_of(plan: Plan) -> int:
    """Count the slots that an execution has at most: planned ones, extra ones, and one to sweep up."""
    return len(plan.slices) + plan.extra_slots + (plan.remainder == "sweep")


def sweep_slot(plan: Plan) -> int | None:
    """Number the slot that takes what all others have left; None if that is only reported."""
    return len(plan.slices) + plan.extra_slots if plan.remainder == "sweep" else None


# Catching up --------------------------------------------------------------------------------------


def minimum_at(plan: Plan, price: Decimal) -> Decimal:
    """The smallest quantity that may be sent at `price`, a multiple of the step."""
    least = max(plan.min_quantity, MIN_NOTIONAL_MARGIN * plan.min_notional / price)
    return max(plan.step, ceil_to(least, plan.step))


def most_of(plan: Plan, slot: int) -> Decimal:
    """The largest quantity that a slot may carry: its planned slice, of a sweep the largest one, times the cap."""
    planned = max(plan.slices) if slot == sweep_slot(plan) else _planned(plan, slot)
    return floor_to(planned * plan.catch_up_cap, plan.step)


def due_quantity(plan: Plan, slot: int, rest: Decimal, minimum: Decimal, maximum: Decimal | None = None) -> Decimal:
    """Say how much the child of a slot is, when `rest` is neither executed, open nor unknown.

    What earlier slots left behind is taken up by the plan's rule: `none` leaves it to the extra
    slots, `spread` shares it among the planned slots that are left, in proportion to what they carry
    anyway, `cap` takes it at once; a sweep takes whatever there is; never more than `most_of` the
    slot, than `rest`, or than `maximum`.
    No tail below `minimum` is left behind: it is taken along if the cap allows it, else the child
    leaves a whole minimum. Zero means that nothing can be sent.
    """
    most = min(rest, most_of(plan, slot))
    if maximum is not None:
        most = min(most, maximum)
    quantity = min(most, max(ZERO, _wish(plan, slot, rest)))
    if quantity < minimum:
        if most < minimum:
            return ZERO
        quantity = minimum
    left = rest - quantity
    if ZERO < left < minimum:
        if rest <= most:
            quantity = rest
        elif rest - minimum >= minimum:
            quantity = floor_to(rest - minimum, plan.step)
    return floor_to(quantity, plan.step)


def slots_needed(plan: Plan, rest: Decimal) -> int:
    """Count the last planned slots that `rest` takes when each carries as much as the catch-up rule allows.

    If all of them cannot carry it, more are counted, each like the last one.
    """

    def carries(slot: int) -> Decimal:
        return max(plan.step, _planned(plan, slot) if plan.catch_up == "none" else most_of(plan, slot))

    slot = len(plan.slices) - 1
    if plan.schedule == "equal" and not plan.jitter:
        return _up(rest / carries(slot))
    needed = 0
    while rest > 0 and needed <= slot:
        rest -= carries(slot - needed)
        needed += 1
    return needed + max(0, _up(rest / carries(slot)))


def _wish(plan: Plan, slot: int, rest: Decimal) -> Decimal:
    planned = _planned(plan, slot)
    count = len(plan.slices)
    if slot >= count:
        return planned if plan.catch_up == "none" and slot != sweep_slot(plan) else rest
    to_come = sum(plan.slices[slot:], ZERO)
    behind = rest - to_come
    match plan.catch_up:
        case "none":
            return planned
        case "cap":
            return planned + behind
        case "spread":
            share = behind * planned / to_come
            return planned + (ceil_to(share, plan.step) if behind > 0 else floor_to(share, plan.step))
        case _:
            assert_never(plan.catch_up)


def _planned(plan: Plan, slot: int) -> Decimal:
    return plan.slices[min(slot, len(plan.slices) - 1)]
