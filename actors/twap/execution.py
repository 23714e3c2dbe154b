"""An execution as a fold of its facts, and what is to be done next: no actor, no clock, no I/O.

Two copies that folded the same facts are equal and give the same answers, so a start after a crash
goes on where the journal ends.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from actors.twap.child import Child
from actors.twap.guards import waits_until
from actors.twap.manner import deadline_of, left_of_turn, posts_until, timed_until
from actors.twap.reactions import is_of_old_rules, stop_after_refusal, would_take
from actors.twap.schedule import (
    Limits,
    adapted,
    due_at,
    due_quantity,
    minimum_at,
    slot_at,
    slot_number,
    slots_needed,
    slots_of,
    sweep_slot,
)
from messages.execution import Plan, StopReason
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionPaused,
    ExecutionPlanned,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    SlotSkipped,
    TradeBooked,
)
from messages.frozen import dataclass
from messages.money import ZERO, floor_to, plain

TIMESTAMP_REFUSED = -1021
MOST_ATTEMPTS, MOST_ABSENT_ATTEMPTS = 3, 2
"""How many children a slot may have in all, and how many of them may be proven absent."""

DEADLINE = "timeout"
"""The reason of a cancel at the deadline of a child that rests: its outcome is TIMEOUT then."""

OVERDUE = "OVERDUE"
"""The reason of slots that passed unseen and are merged into a later one."""

FEE_ASSET = "BNB"
"""What Binance takes fees in, at a discount, from accounts that hold it and wish so."""

BELOW_MINIMUM = "BELOW_MINIMUM"
"""The reason of a slot whose quantity the venue would not take at the present price."""

_Certain = ChildNotSent | ChildRefused | ChildAcknowledged | ChildAbsent | ChildClosed
"""What ends not knowing."""

_HUNDREDTH = Decimal("0.01")
_MICROSECOND = timedelta(microseconds=1)

# What is to be done -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None = before something happens."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class AwaitChild:
    """A child is open or unknown: its fate comes first."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A child rests in the book, until then at most."""

    client_order_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class CancelResting:
    """A child that rests is to be cancelled; its end comes first then."""

    client_order_id: str
    order_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Serve:
    """A slot is due: await its guards until `guards_until`, then place a child, not after `slot_end`.

    With `timed_until` the child waits for the pressure at the touch, at most until then; with
    `posts_until` it rests at the touch.
    """

    slot: int
    guards_until: datetime
    slot_end: datetime
    timed_until: datetime | None = None
    posts_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Slots up to `slot`, planned for `quantity` together, have passed unseen and are merged."""

    slot: int
    quantity: Decimal
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing is left to do: the execution ends for this reason, with figures for people."""

    reason: StopReason
    detail: str = ""

    @property
    def text(self) -> str:
        """The reason as people read it: `SPREAD_TOO_WIDE: 0.61%`."""
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


@dataclass(frozen=True, slots=True)
class Done:
    """The execution is over."""


Step = Wait | AwaitChild | Rest | CancelResting | Serve | Skip | Close | Done


# The state ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Execution:
    """Where an execution stands. Quantities in base units; `base` and `quote` are its assets.

    `target` is what shall be executed, `abandoned` what a partial fill gave up of it. `next_slot` is
    the first slot that has not had its turn; `last_interval` the interval of the schedule's clock
    in which the last turn was taken: there is at most one an interval. `retry` is the slot that may
    try once more within its interval, for its last attempt was never executed. `fees_in_quote` is
    None once a fee was paid in an asset of unknown price. `mid_integral` over `mid_seconds` is as
    last journalled. `terms` are the venue's bounds on a child today, None if they are the plan's; a
    child that it refused `of_old_rules` is forgiven once. Guards made it wait `waits` times,
    `waited_seconds` together, and it waited for the pressure `timings` times, `timed_seconds` together;
    for `unknown_seconds` nobody knew what had become of a child.
    """

    accepted: SignalAccepted
    base: str
    quote: str
    forgives: tuple[StopReason, ...] = ()
    plan: Plan | None = None
    incarnation: int = 0
    started_at: datetime | None = None
    target: Decimal = ZERO
    limit_price: Decimal | None = None
    end_at: datetime | None = None
    children: dict[str, Child] = field(default_factory=dict)
    next_slot: int = 0
    last_interval: int = -1
    retry: int | None = None
    abandoned: Decimal = ZERO
    waited_seconds: Decimal = ZERO
    waits: int = 0
    waits_by: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    timed_seconds: Decimal = ZERO
    timings: int = 0
    unknown_seconds: Decimal = ZERO
    market_volume: Decimal = ZERO
    mid_integral: Decimal = ZERO
    mid_seconds: Decimal = ZERO
    fees_in_quote: Decimal | None = ZERO
    last_skip: tuple[str, str] | None = None
    stop: Close | None = None
    of_old_rules: bool = False
    terms: Limits | None = field(default=None, compare=False)
    paused: bool = False
    cancelled: bool = False
    closed: bool = False
    _least: tuple[Plan | None, Limits | None, Decimal] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def executed(self) -> Decimal:
        """What trades have executed."""
        return sum((child.executed for child in self.children.values()), ZERO)

    @property
    def executed_quote(self) -> Decimal:
        """What that cost or brought, in quote units and without fees."""
        return sum((child.executed_quote for child in self.children.values()), ZERO)

    @property
    def committed(self) -> Decimal:
        """What is executed, or may still be: open and unknown children count in full."""
        return sum((child.committed for child in self.children.values()), ZERO)

    @property
    def rest(self) -> Decimal:
        """What is neither executed, open, unknown nor given up."""
        return max(ZERO, self.target - self.abandoned - self.committed)

    @property
    def open_child(self) -> Child | None:
        """The child of which nothing final is known; there is one at most at a time."""
        return next((child for child in self.children.values() if child.open), None)

    def fold(self, fact: Fact, at: datetime) -> None:
        """Take in a fact of this execution that was appended at `at`."""
        match fact:
            case ExecutionPlanned(plan=plan):
                self.plan, self.target = plan, plan.quantity
                self.limit_price, self.end_at = plan.limit_price, plan.end_at
            case ExecutionStarted(incarnation=incarnation):
                self.incarnation, self.started_at = incarnation, self.started_at or at
            case SlotSkipped():
                self._fold_skip(fact, at)
            case ExecutionPaused():
                self.paused = True
            case ExecutionResumed():
                self.paused = False
            case ExecutionAmended():
                self._fold_amendment(fact)
            case ExecutionCancelRequested():
                self.cancelled = True
            case ExecutionClosed() | ExecutionQuarantined():
                self.closed = True
            case _:
                self._fold_of_child(fact, at)

    def next(self, now: datetime) -> Step:
        """Say what is to be done at `now`; the execution must be planned."""
        plan = self._planned()
        if self.closed:
            return Done()
        if (child := self.open_child) is not None:
            return self._await_child(child, now)
        if (close := self._over()) is not None:
            return close
        if self.end_at is not None and now >= self.end_at:
            return self._unfilled(StopReason.END_OF_TIME)
        if self.paused:
            return Wait(self.end_at)
        if self.retry is not None and now < slot_at(plan, self.last_interval + 1):
            return self._serve(plan, self.retry, self.last_interval, now)
        if self.next_slot >= slots_of(plan):
            return self._out_of_slots()
        due = due_at(plan, max(self.next_slot, self.last_interval + 1, slot_number(plan, now)))
        if self.end_at is not None and due >= self.end_at:
            return self._before_the_end(plan, self.end_at, now)
        return Wait(due) if now < due else self._due(plan, now)

    def child_quantity(self, slot: int, price: Decimal, maximum: Decimal | None) -> Decimal:
        """Say how much the child of a slot is at `price`, zero if nothing can be sent.

        After a child that rested it is what that one left, for the slot has had its turn.
        """
        plan, minimum = self._planned(), minimum_at(self._planned(), price)
        left = left_of_turn(self.children_of(slot))
        if left is None:
            return due_quantity(plan, slot, self.rest, minimum, maximum)
        quantity = min(left, self.rest) if maximum is None else min(left, self.rest, maximum)
        return floor_to(quantity, plan.step) if quantity >= minimum else ZERO

    def children_of(self, slot: int) -> tuple[Child, ...]:
        """Return the children that a slot has had, oldest first."""
        return tuple(child for child in self.children.values() if child.slice == slot)

    def next_attempt(self, slot: int) -> int:
        """Number the next child of a slot."""
        return max((child.attempt + 1 for child in self.children.values() if child.slice == slot), default=0)

    def slice_quantity(self, slot: int) -> Decimal:
        """What the plan has for a slot, zero for an extra one."""
        slices = self._planned().slices
        return slices[slot] if slot < len(slices) else ZERO

    def _planned(self) -> Plan:
        """The plan, by the bounds that the venue has today."""
        assert self.plan is not None, "an execution without a plan"
        return self.plan if self.terms is None else adapted(self.plan, self.terms)

    # Folding --------------------------------------------------------------------------------------

    def _fold_skip(self, skipped: SlotSkipped, at: datetime) -> None:
        self.next_slot, self.retry = max(self.next_slot, skipped.slice + 1), None
        self._fold_wait(skipped.waited_seconds, skipped.timed_seconds, skipped.waited_for or skipped.reason)
        if skipped.reason == OVERDUE:
            return
        self.last_skip = skipped.reason, skipped.detail
        # The guards may have waited to the very end of the interval in which the slot's turn began.
        began = at - int((skipped.waited_seconds + skipped.timed_seconds) * 1_000_000) * _MICROSECOND
        self.last_interval = max(self.last_interval, slot_number(self._planned(), began))

    def add_wait(self, reason: str, seconds: Decimal) -> None:
        """Count how long a guard made it wait."""
        if seconds > 0:
            self.waited_seconds += seconds
            self.waits += 1
            times, before = self.waits_by.get(reason, (0, ZERO))
            self.waits_by[reason] = (times + 1, before + seconds)

    def _fold_wait(self, seconds: Decimal, timed: Decimal, reason: str) -> None:
        self.add_wait(reason, seconds)
        self.timed_seconds += timed
        self.timings += timed > 0

    def _fold_amendment(self, amended: ExecutionAmended) -> None:
        self.target = self.target if amended.quantity is None else amended.quantity
        self.limit_price = amended.limit_price or self.limit_price
        self.end_at = amended.end_at or self.end_at

    def _fold_of_child(self, fact: Fact, at: datetime) -> None:
        match fact:
            case ChildIntended():
                self._fold_intent(fact, at)
            case ChildNotSent(client_order_id=name):
                self.children[name].not_sent(f"{fact.reason}: {fact.detail}" if fact.detail else fact.reason)
            case ChildRefused(client_order_id=name):
                child = self.children[name]
                child.refused(f"{fact.code}: {fact.message}")
                child.would_take = child.makes and would_take(fact.code, fact.message)
                if fact.code == TIMESTAMP_REFUSED or child.would_take:
                    self._may_retry(child)
                reason = stop_after_refusal(fact.code, fact.message)
                changed = is_of_old_rules(fact.code, fact.message) and not self.of_old_rules
                self.of_old_rules |= changed
                if reason in self.forgives or changed:
                    self.last_skip = str(reason), fact.message
                elif reason is not None and self.stop is None:
                    self.stop = Close(reason, fact.message)
            case ChildUnknown(client_order_id=name):
                self.children[name].unknown = True
                self.children[name].unknown_since = self.children[name].unknown_since or at
            case ChildAcknowledged(client_order_id=name):
                self.children[name].acknowledged(fact)
            case ChildAbsent(client_order_id=name):
                child = self.children[name]
                child.refused(f"never executed: {fact.proof}")
                child.absent = True
                self._may_retry(child)
            case TradeBooked(client_order_id=name):
                self.children[name].traded(fact, at)
                self._fold_fee(fact, self.children[name].fee_mid)
            case ChildClosed(client_order_id=name):
                self._fold_end(self.children[name], fact)
            case AttemptReappeared(client_order_id=name):
                self.children[name].reappeared(fact)
                self.retry = None
            case _:
                pass
        if isinstance(fact, _Certain):
            self._fold_certainty(self.children[fact.client_order_id], at)

    def _fold_intent(self, intent: ChildIntended, at: datetime) -> None:
        self.children[intent.client_order_id] = Child.of(intent, at)
        self.next_slot, self.retry = max(self.next_slot, intent.slice + 1), None
        self.last_interval = max(self.last_interval, slot_number(self._planned(), at))
        self.mid_integral, self.mid_seconds = intent.mid_integral, intent.mid_seconds
        self.market_volume = self.market_volume if intent.market_volume is None else intent.market_volume
        self._fold_wait(intent.waited_seconds, intent.timed_seconds, intent.waited_for or "")
        self.last_skip = None

    def _may_retry(self, child: Child) -> None:
        """Let the slot try again if this was its last attempt, and not one too many."""
        attempts = [other for other in self.children_of(child.slice) if not other.would_take]
        absent = sum(other.absent for other in attempts)
        latest = next(reversed(self.children)) == child.client_order_id
        if latest and len(attempts) < MOST_ATTEMPTS and absent < MOST_ABSENT_ATTEMPTS:
            self.retry = child.slice

    def _fold_certainty(self, child: Child, at: datetime) -> None:
        """Count the time for which nobody knew, once somebody does."""
        if child.unknown_since is not None:
            self.unknown_seconds += Decimal((at - child.unknown_since) // _MICROSECOND) / 1_000_000
            child.unknown_since = None

    def _fold_fee(self, trade: TradeBooked, fee_mid: Decimal | None) -> None:
        if self.fees_in_quote is None or not trade.commission:
            return
        if trade.commission_asset == self.quote:
            self.fees_in_quote += trade.commission
        elif trade.commission_asset == self.base:
            self.fees_in_quote += trade.commission * trade.price
        elif trade.commission_asset == FEE_ASSET and fee_mid is not None:
            self.fees_in_quote += trade.commission * fee_mid
        else:
            self.fees_in_quote = None

    def _fold_end(self, child: Child, closed: ChildClosed) -> None:
        child.ended(closed)
        if child.makes:
            if child.committed < child.quantity and next(reversed(self.children)) == child.client_order_id:
                self.retry = child.slice
        elif self._planned().on_partial == "accept" and ZERO < child.committed < child.quantity:
            self.abandoned += child.quantity - child.committed

    # Deciding -------------------------------------------------------------------------------------

    def _await_child(self, child: Child, now: datetime) -> Step:
        """Wait for a child's end. One that rests must be known to the venue before it can be cancelled."""
        until = child.rests_until
        if until is None or child.order_id is None or child.unknown:
            return AwaitChild(child.client_order_id)
        if self.end_at is not None:
            until = min(until, self.end_at)
        if self.cancelled or self.paused:
            reason = "cancelled" if self.cancelled else "paused"
            return CancelResting(child.client_order_id, child.order_id, reason)
        if now >= until or self.stop is not None:
            return CancelResting(child.client_order_id, child.order_id, DEADLINE)
        return Rest(child.client_order_id, until)

    def _over(self) -> Close | None:
        nothing_left = self.rest < self._minimum()
        if nothing_left and (finished := self._finished()) is not None:
            return finished
        if self.cancelled:
            return self._unfilled(StopReason.CANCELLED)
        return self._unfilled(StopReason.LIQUIDITY) if nothing_left else self.stop

    def _due(self, plan: Plan, now: datetime) -> Step:
        number = slot_number(plan, now)
        slot = self.next_slot
        if slot < len(plan.slices):
            # Slots are merged only as far as later ones can make up for them under the cap.
            latest = len(plan.slices) - max(1, slots_needed(plan, self.rest))
            slot = max(slot, min(number, latest))
        if slot > self.next_slot:
            quantity = sum(plan.slices[self.next_slot : slot], ZERO)
            first, last = self.next_slot, slot - 1
            passed = f"slot {first}" if first == last else f"slots {first} to {last}"
            return Skip(last, quantity, OVERDUE, f"{passed} had passed")
        return self._serve(plan, slot, number, now)

    def _before_the_end(self, plan: Plan, end: datetime, now: datetime) -> Step:
        """No turn comes before the end any more: sweep up what is left, half way to it, or end."""
        sweep = sweep_slot(plan)
        if sweep is None:
            return self._unfilled(StopReason.END_OF_TIME)
        begin = due_at(plan, self.last_interval) if self.last_interval >= 0 else plan.start_at
        at = begin + max(end - begin, timedelta(0)) / 2
        if now < at:
            return Wait(at)
        if self.next_slot < sweep:
            quantity = sum(plan.slices[self.next_slot :], ZERO)
            return Skip(sweep - 1, quantity, OVERDUE, f"slots up to {sweep - 1} do not come before the end")
        return self._serve(plan, sweep, slot_number(plan, now), now)

    def _serve(self, plan: Plan, slot: int, interval: int, now: datetime) -> Serve:
        """Serve a slot within an interval of the schedule's clock, and before the end."""
        slot_end = slot_at(plan, interval + 1)
        if self.end_at is not None:
            slot_end = min(slot_end, self.end_at)
        guards_until = waits_until(plan, now, slot_end)
        deadline = deadline_of(plan, due_at(plan, interval), slot_end)
        earlier = self.children_of(slot)
        return Serve(
            slot,
            guards_until,
            slot_end,
            timed_until(plan, earlier, deadline, guards_until, now),
            posts_until(plan, earlier, deadline, now),
        )

    def _minimum(self) -> Decimal:
        """The least that a child may be at the arrival price, worked out once for a plan and the venue's bounds."""
        plan, terms, known = self.plan, self.terms, self._least
        if known is None or known[0] is not plan or known[1] is not terms:
            known = self._least = (plan, terms, minimum_at(self._planned(), self._arrival_price))
        return known[2]

    @property
    def _arrival_price(self) -> Decimal:
        return self.accepted.arrival_price

    def _finished(self) -> Close | None:
        if not self._planned().slices:
            asked, step = plain(self.accepted.quantity), plain(self._planned().step)
            return Close(StopReason.REFUSED, f"{asked} is less than one step of {step}")
        left = self.target - self.executed
        if left >= self._minimum():
            return None
        if self.terms is not None and self.plan is not None and left >= minimum_at(self.plan, self._arrival_price):
            return Close(StopReason.REFUSED, f"{plain(left)} left, below what the venue takes now")
        return Close(StopReason.COMPLETED, f"{plain(left)} left, below the minimum" if left > 0 else "")

    def _out_of_slots(self) -> Close:
        reason, detail = self.last_skip or ("", "")
        if reason == BELOW_MINIMUM:
            return Close(StopReason.COMPLETED, f"{plain(self.rest)} left, below the minimum")
        if reason in StopReason.__members__:
            return Close(StopReason(reason), detail)
        return self._unfilled(StopReason.LIQUIDITY, reason)

    def _unfilled(self, reason: StopReason, because: str = "") -> Close:
        share = (self.executed / self.target * 100).quantize(_HUNDREDTH, ROUND_FLOOR) if self.target else ZERO
        return Close(reason, f"filled {plain(share)}%" + (f", {because}" if because else ""))
