"""One execution as people and JSON see it: a fold of the facts that concern it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from adapters.views import Json, iso, optional, view_of
from messages.execution import ExecutionReport, Plan
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionCorrected,
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
from messages.money import BPS, ZERO, plain

MAX_CHILDREN_OF_CLOSED: Final = 100
"""A closed execution with more children shows them in its report only."""

MAX_FILLS: Final = 1_000
"""Trades of one execution that are shown one by one, the newest."""
MAX_SKIPS: Final = 200
MAX_HISTORY: Final = 50
"""Facts of one child that are listed, the first."""
OVER: Final = frozenset({"FILLED", "PARTIAL", "FAILED", "TIMEOUT", "NOT_SENT", "REFUSED", "ABSENT"})
"""States in which nothing of a child is at stake any more."""

_NOT_AT_THE_VENUE: Final = frozenset({"INTENDED", "UNKNOWN", "ABSENT"})


@dataclass(slots=True)
class Traded:
    """What was traded: base quantity, quote amount, and fees by asset."""

    quantity: Decimal = ZERO
    quote: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)

    def book(self, trade: TradeBooked) -> None:
        """Add a trade."""
        self.quantity += trade.quantity
        self.quote += trade.price * trade.quantity
        self.fees[trade.commission_asset] = self.fees.get(trade.commission_asset, ZERO) + trade.commission

    @property
    def average(self) -> Decimal | None:
        """The average price, None before the first trade."""
        return self.quote / self.quantity if self.quantity else None

    def fees_view(self) -> list[list[str]]:
        """List the fees as pairs of asset and amount."""
        return [[asset, plain(amount)] for asset, amount in self.fees.items()]


@dataclass(slots=True)
class ChildView:
    """One child order. `sources` names the ways on which the venue told of it, `history` what, and when."""

    intent: ChildIntended
    intended_at: datetime
    state: str = "INTENDED"
    closed: bool = False
    order_id: int | None = None
    traded: Traded = field(default_factory=Traded)
    sources: dict[str, None] = field(default_factory=dict)
    polls: int = 0
    failure: str | None = None
    history: list[tuple[datetime, str, str]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """True once nothing of it is open or unknown."""
        return self.closed or self.state in OVER - {"FILLED"}

    def apply(self, fact: Fact, at: datetime) -> None:
        """Fold a fact about this child."""
        if len(self.history) < MAX_HISTORY:
            self.history.append((at, type(fact).__name__, getattr(fact, "source", "")))
        match fact:
            case ChildAcknowledged():
                self.order_id = fact.order_id
                self.sources[fact.source] = None
                if self.state in _NOT_AT_THE_VENUE:
                    self.state, self.failure = fact.status, None
            case TradeBooked():
                self.traded.book(fact)
                self.sources[fact.source] = None
            case ChildClosed():
                self.state, self.order_id, self.closed = fact.outcome.value, fact.order_id, True
                self.polls, self.failure = fact.polls, fact.failure_reason
            case ChildCancelRequested():
                self.state = "CANCELLING"
            case ChildNotSent():
                self.state, self.failure = "NOT_SENT", f"{fact.reason}: {fact.detail}"
            case ChildRefused():
                self.state, self.failure = "REFUSED", f"{fact.code}: {fact.message}"
            case ChildUnknown() if self.state != "NOT_SENT":  # There it came too late: another one knew.
                self.state, self.failure = "UNKNOWN", fact.detail
            case ChildAbsent():
                self.state, self.failure = "ABSENT", fact.proof
            case AttemptReappeared():
                self.state, self.order_id = "REAPPEARED", fact.order_id
            case _:
                pass

    def view(self) -> Json:
        """All that is known of the child."""
        intent, traded = self.intent, self.traded
        return {
            "client_order_id": intent.client_order_id,
            "slice": intent.slice,
            "attempt": intent.attempt,
            "order_type": intent.order_type,
            "quantity": plain(intent.quantity),
            "limit_price": optional(intent.limit_price),
            "time_in_force": intent.time_in_force,
            "intended_at": iso(self.intended_at),
            "bid": plain(intent.bid),
            "ask": plain(intent.ask),
            "waited_seconds": plain(intent.waited_seconds),
            "state": self.state,
            "order_id": self.order_id,
            "executed_quantity": plain(traded.quantity),
            "average_price": optional(traded.average),
            "fees": traded.fees_view(),
            "sources": list(self.sources),
            "polls": self.polls,
            "failure_reason": self.failure,
            "history": [[iso(at), name, source] for at, name, source in self.history],
        }


@dataclass(slots=True)
class ExecutionView:
    """One execution. `state` is one of ACCEPTED RUNNING PAUSED CANCELLING QUARANTINED CLOSED."""

    accepted: SignalAccepted
    quantity: Decimal
    limit_price: Decimal | None
    end_at: datetime | None
    state: str = "ACCEPTED"
    detail: str = ""
    plan: Plan | None = None
    incarnation: int = 0
    traded: Traded = field(default_factory=Traded)
    children: dict[str, ChildView] = field(default_factory=dict)
    skipped: int = 0
    last_skip: str | None = None
    skips: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_SKIPS))
    fills: deque[TradeBooked] = field(default_factory=lambda: deque(maxlen=MAX_FILLS))
    last_slot: int = -1
    working_since: datetime | None = None
    closed_at: datetime | None = None
    report: ExecutionReport | None = None

    @classmethod
    def of(cls, accepted: SignalAccepted) -> ExecutionView:
        """Begin with the signal that was let in."""
        signal = accepted.signal
        return cls(accepted, accepted.quantity, signal.limit_price, signal.twap.end_at)

    @property
    def abridged(self) -> bool:
        """Whether only its beginning and its end were folded: the rest may be in the archive."""
        return self.report is not None and self.plan is None

    def apply(self, fact: Fact, at: datetime) -> None:
        """Fold a fact of this execution."""
        match fact:
            case TradeBooked():
                self.traded.book(fact)
                self.fills.append(fact)
                self._of_child(fact.client_order_id, fact, at)
            case ChildIntended():
                self.children[fact.client_order_id] = ChildView(fact, at)
                self.last_slot = max(self.last_slot, fact.slice)
            case (
                ChildAcknowledged()
                | ChildClosed()
                | ChildNotSent()
                | ChildRefused()
                | ChildUnknown()
                | ChildAbsent()
                | ChildCancelRequested()
                | AttemptReappeared()
            ):
                self._of_child(fact.client_order_id, fact, at)
            case SlotSkipped():
                self.skipped += 1
                self.last_slot = max(self.last_slot, fact.slice)
                self.skips.append({"at": iso(at), "slice": fact.slice, "reason": fact.reason, "detail": fact.detail})
                self.last_skip = f"{fact.reason}: {fact.detail}" if fact.detail else fact.reason
            case ExecutionPlanned():
                self.plan, self.quantity, self.state = fact.plan, fact.plan.quantity, "RUNNING"
            case ExecutionStarted():
                self.incarnation, self.working_since = fact.incarnation, at
            case ExecutionPaused():
                self.state, self.detail = "PAUSED", fact.detail
            case ExecutionResumed():
                self.state, self.detail, self.working_since = "RUNNING", fact.detail, at
            case ExecutionCancelRequested():
                self.state, self.detail = "CANCELLING", fact.detail
            case ExecutionQuarantined():
                self.state, self.detail = "QUARANTINED", fact.detail
            case ExecutionAmended():
                self._amend(fact)
            case ExecutionClosed():
                self._close(fact, at)
            case ExecutionCorrected():
                self.traded.quantity, self.traded.quote = fact.total_filled, fact.filled_quote
                self.detail = f"corrected: {fact.detail}"
            case _:
                pass

    def summary(self) -> Json:
        """What a list of executions shows."""
        accepted, report, traded = self.accepted, self.report, self.traded
        signal = accepted.signal
        return {
            "execution_id": accepted.execution_id,
            "label": accepted.label,
            "signal_id": signal.id,
            "source": signal.source,
            "account": signal.account,
            "tag": signal.tag,
            "symbol": accepted.symbol,
            "side": accepted.side.value,
            "state": self.state,
            "quantity": plain(self.quantity),
            "total_filled": plain(traded.quantity),
            "filled_quote": plain(traded.quote),
            "progress": plain(round(traded.quantity / self.quantity, 4)) if self.quantity else "0",
            "average_price": optional(traded.average),
            "arrival_price": plain(accepted.arrival_price),
            "arrival_slippage_bps": optional(self._slippage()),
            "total_fees": traded.fees_view(),
            "total_chunks": None if self.plan is None else len(self.plan.slices),
            "children_sent": len(self.children) if report is None else report.children_sent,
            "slots_skipped": self.skipped,
            "stop_reason": None if report is None else report.stop_reason,
            "detail": self.detail or None,
            "accepted_at": iso(accepted.accepted_at),
            "closed_at": None if self.closed_at is None else iso(self.closed_at),
        }

    def view(self) -> Json:
        """All that is known: the summary, the plan, each child, and in the end the report."""
        return {
            **self.summary(),
            "limit_price": optional(self.limit_price),
            "end_at": None if self.end_at is None else iso(self.end_at),
            "incarnation": self.incarnation,
            "last_skip": self.last_skip,
            "plan": None if self.plan is None else view_of(self.plan),
            "skips": list(self.skips),
            "fills": [
                {
                    "at": iso(fill.trade_time),
                    "price": plain(fill.price),
                    "quantity": plain(fill.quantity),
                    "client_order_id": fill.client_order_id,
                    "maker": fill.maker,
                    "source": fill.source,
                }
                for fill in self.fills
            ],
            "children": [child.view() for child in self.children.values()],
            "report": None if self.report is None else view_of(self.report),
        }

    def _of_child(self, client_order_id: str, fact: Fact, at: datetime) -> None:
        child = self.children.get(client_order_id)
        if child is not None:
            child.apply(fact, at)

    def _amend(self, fact: ExecutionAmended) -> None:
        self.quantity = self.quantity if fact.quantity is None else fact.quantity
        self.limit_price = self.limit_price if fact.limit_price is None else fact.limit_price
        self.end_at = self.end_at if fact.end_at is None else fact.end_at

    def _close(self, fact: ExecutionClosed, at: datetime) -> None:
        self.state, self.detail = "CLOSED", fact.detail
        self.report, self.closed_at = fact.report, at
        if self.plan is None:  # What came before is archived, or never was.
            self.quantity = fact.report.quantity
            self.traded.quantity, self.traded.quote = fact.report.total_filled, fact.report.filled_quote
            self.traded.fees = dict(fact.report.total_fees)
        if len(self.children) > MAX_CHILDREN_OF_CLOSED:
            self.children.clear()

    def _slippage(self) -> Decimal | None:
        """The cost against arrival in bps so far, and in the end as the report has it."""
        average, arrival = self.traded.average, self.accepted.arrival_price
        if self.report is not None:
            return self.report.arrival_slippage_bps
        return None if average is None else round(self.accepted.side.sign * (average - arrival) / arrival * BPS, 4)
