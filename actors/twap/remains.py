"""What is left of an execution that is worked no more: what it filled, and what of it may still trade.

A fold that trusts nothing but the facts themselves: no plan, no order of events, no state of
`Execution`, for that may be the very thing on which the execution's actor failed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.child import Child, Fees, add_fee
from actors.twap.measures import child_report
from messages.execution import ExecutionReport, StopReason
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionAmended,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionQuarantined,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    SlotSkipped,
    TradeBooked,
)
from messages.money import ZERO, in_bps

_MICROSECOND = timedelta(microseconds=1)


class Remains:
    """Folds the facts of one execution; `quantity` is what was asked for, in base units."""

    def __init__(self, accepted: SignalAccepted) -> None:
        self.accepted = accepted
        self.quantity = accepted.quantity
        self.detail = ""
        self.quarantined = self.closed = False
        self._children: dict[str, Child] = {}
        self._slices = 0
        self._waited = ZERO
        self._started_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of it can trade any more as far as is proven."""
        return self.quarantined and not any(child.open for child in self._children.values())

    @property
    def children(self) -> int:
        """How many child orders were ever intended."""
        return len(self._children)

    def fold(self, fact: Fact, at: datetime) -> None:
        """Take in a fact of this execution that was appended at `at`."""
        match fact:
            case ExecutionPlanned(plan=plan):
                self.quantity, self._slices = plan.quantity, len(plan.slices)
            case ExecutionStarted():
                self._started_at = self._started_at or at
            case ExecutionAmended(quantity=Decimal() as quantity):
                self.quantity = quantity
            case SlotSkipped(waited_seconds=waited):
                self._waited += waited
            case ExecutionQuarantined(detail=detail, unreported=False):
                self.quarantined, self.detail = True, detail
            case ExecutionClosed():
                self.closed = True
            case ChildIntended(client_order_id=name):
                self._children[name] = Child.of(fact, at)
                self._waited += fact.waited_seconds
            case (
                ChildNotSent(client_order_id=name)
                | ChildRefused(client_order_id=name)
                | ChildAbsent(client_order_id=name)
                | TradeBooked(client_order_id=name)
                | ChildClosed(client_order_id=name)
                | AttemptReappeared(client_order_id=name)
            ):
                if (child := self._children.get(name)) is not None:
                    _fold_child(child, fact, at)
            case _:
                pass

    def report(self, ended_at: datetime) -> ExecutionReport:
        """Say what it came to; what only its own actor measured is left out."""
        accepted, children = self.accepted, tuple(self._children.values())
        side, arrival = accepted.side, accepted.arrival_price
        filled = sum((child.executed for child in children), ZERO)
        quote = sum((child.executed_quote for child in children), ZERO)
        average = quote / filled if filled else None
        price, started_at = accepted.signal.price, self._started_at or accepted.accepted_at
        fees: Fees = ()
        for child in children:
            for asset, amount in child.fees:
                fees = add_fee(fees, asset, amount)
        reason = StopReason.QUARANTINED
        return ExecutionReport(
            symbol=accepted.symbol,
            side=side,
            quantity=self.quantity,
            total_filled=filled,
            filled_quote=quote,
            average_price=average,
            arrival_price=arrival,
            total_fees=fees,
            fees_bps=None,
            slippage_percent=None if average is None or price is None else side.sign * (average - price) / price * 100,
            arrival_slippage_bps=None if average is None else in_bps(side.sign * (average - arrival), arrival),
            interval_twap_price=None,
            interval_twap_bps=None,
            started_at=started_at,
            ended_at=ended_at,
            execution_time_seconds=Decimal((ended_at - started_at) // _MICROSECOND) / 1_000_000,
            stopped_early=True,
            stop_reason=f"{reason}: {self.detail}" if self.detail else str(reason),
            chunks_executed=len({child.slice for child in children if child.executed}),
            total_chunks=self._slices + len({child.slice for child in children if child.slice >= self._slices}),
            children_sent=sum(child.sent for child in children),
            guard_wait_seconds=self._waited,
            orders=tuple(child_report(child, side, arrival) for child in children),
            fees_quote=None,
        )


def _fold_child(
    child: Child,
    fact: ChildNotSent | ChildRefused | ChildAbsent | TradeBooked | ChildClosed | AttemptReappeared,
    at: datetime,
) -> None:
    match fact:
        case ChildNotSent():
            child.not_sent(f"{fact.reason}: {fact.detail}" if fact.detail else fact.reason)
        case ChildRefused():
            child.refused(f"{fact.code}: {fact.message}")
        case ChildAbsent():
            child.refused(f"never executed: {fact.proof}")
        case TradeBooked():
            child.traded(fact, at)
        case ChildClosed():
            child.ended(fact)
        case AttemptReappeared():
            child.reappeared(fact)
            child.open = True  # Its end, with all its trades, is still to come.
