"""How a slot's child goes: at once, when the touch presses against it, or into the book, to rest until the deadline.

A slot of kind `passive` has one child that rests at the touch. What is left of it at the slot's
deadline crosses the spread, once the end of the first is proven. A post that would have taken is
repeated at another price, but not for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.child import Child
from actors.twap.settings import TwapSettings
from messages.execution import Plan
from messages.market import Quote, SymbolRules
from messages.money import BPS, ceil_to, floor_to
from messages.signal import ChildKind, Side, TwapOptions

MOST_REPRICES = 2
"""How often a slot's post is repeated that would have taken; then it crosses."""

_MICROSECOND = timedelta(microseconds=1)


def timed_of(options: TwapOptions, settings: TwapSettings, kind: ChildKind) -> bool:
    """Say whether children wait for the pressure: the signal's word, else the setting's; `auto` ones do."""
    if options.timing is not None:
        return options.timing
    return settings.timing or kind == "auto"


def fee_gap_of(rules: SymbolRules, settings: TwapSettings) -> Decimal:
    """Say how much less a maker pays than a taker, in bps: the account's fees where they are known."""
    if rules.maker_fee is None or rules.taker_fee is None:
        return settings.fee_gap_bps
    return (rules.taker_fee - rules.maker_fee) * BPS


def deadline_of(plan: Plan, begin: datetime, slot_end: datetime) -> datetime:
    """Say when a slot's child must not wait any longer, for the interval that begins at `begin`."""
    return begin + int((slot_end - begin) // _MICROSECOND * plan.slot_deadline) * _MICROSECOND


def posts_until(plan: Plan, earlier: Sequence[Child], deadline: datetime, now: datetime) -> datetime | None:
    """Say until when a child may rest, None if it is to take; `earlier` are those that the slot has had."""
    if plan.child not in {"passive", "auto"} or now >= deadline or len(earlier) > MOST_REPRICES:
        return None
    return deadline if all(child.makes and child.would_take for child in earlier) else None


def timed_until(
    plan: Plan, earlier: Sequence[Child], deadline: datetime, guards_until: datetime, now: datetime
) -> datetime | None:
    """Say until when the child of a slot may wait for the pressure, None if it does not.

    It waits no longer than its guards may. An order that goes directly does not wait at all, nor does
    what crosses after a child that rested.
    """
    if not plan.timing or plan.direct or plan.child == "passive" or any(child.makes for child in earlier):
        return None
    until = min(deadline, guards_until)
    return until if until > now else None


def left_of_turn(earlier: Sequence[Child]) -> Decimal | None:
    """Say how much of a slot's resting child is left to cross; None if none rested."""
    made = [index for index, child in enumerate(earlier) if child.makes and not child.would_take]
    if not made:
        return None
    last = earlier[made[-1]]
    return last.quantity - sum(child.committed for child in earlier[made[-1] :])


def post_price(side: Side, quote: Quote, tick: Decimal, worst: Decimal | None, earlier: Sequence[Child]) -> Decimal:
    """Say where a child rests: at its own side's touch, never beyond the worst price.

    After one that would have taken, at least a tick further off, whatever the quote says.
    """
    refused = [child.price for child in earlier if child.would_take and child.price is not None]
    if side is Side.BUY:
        prices = [floor_to(quote.bid, tick), *(price - tick for price in refused)]
        return min(prices if worst is None else [*prices, floor_to(worst, tick)])
    prices = [ceil_to(quote.ask, tick), *(price + tick for price in refused)]
    return max(prices if worst is None else [*prices, ceil_to(worst, tick)])
