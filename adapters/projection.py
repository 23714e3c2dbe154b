"""What the journal says, as views for people and for JSON: a fold of facts that knows no clock.

Views are made when asked for; folding a fact only notes it. Memory is bounded: the oldest closed
executions, signals and alerts leave.
"""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime
from itertools import islice
from typing import Final

from adapters.execution_views import ExecutionView
from adapters.lateness import Lateness
from adapters.views import Json, iso, optional
from messages.control import Committed
from messages.facts import (
    BANNED,
    AlertCleared,
    AlertRaised,
    ChildIntended,
    EpochStarted,
    ExecutionClosed,
    SignalAccepted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    TradingHalted,
    TradingResumed,
)
from messages.signal import Signal

MAX_CLOSED: Final = 1_000
MAX_SIGNALS: Final = 1_000
MAX_ALERTS: Final = 200


class Projection:
    """Folds committed facts, in order and each once, into views.

    `seq` is the last fact folded, `counts` how many facts of each kind there were, `epoch` and `mode`
    the daemon's latest start, `halted` why no order goes out (None while they do) and `banned` whether
    that ends by itself, `lateness` how long after their time child orders were intended.
    """

    def __init__(
        self, *, max_closed: int = MAX_CLOSED, max_signals: int = MAX_SIGNALS, max_alerts: int = MAX_ALERTS
    ) -> None:
        self.seq = 0
        self.counts: Counter[str] = Counter()
        self.epoch = 0
        self.mode = self.version = self.journal_id = ""
        self.started_at: datetime | None = None
        self.lateness = Lateness()
        self.halted: str | None = None
        self.banned = False
        self._max_closed, self._max_alerts = max_closed, max_alerts
        self._executions: dict[str, ExecutionView] = {}
        self._closed: deque[str] = deque()
        self._signals: deque[Json] = deque(maxlen=max_signals)
        self._alerts: dict[tuple[str, str], Json] = {}

    # Views ------------------------------------------------------------------------------------

    def __contains__(self, execution_id: object) -> bool:
        """Tell whether an execution is known."""
        return execution_id in self._executions

    @property
    def running(self) -> int:
        """How many executions are not closed."""
        return len(self._executions) - len(self._closed)

    def executions(self, newest: int | None = None) -> list[Json]:
        """List the newest ones, or all, oldest first: state, progress, average price, fees."""
        skipped = 0 if newest is None else max(len(self._executions) - newest, 0)
        return [execution.summary() for execution in islice(self._executions.values(), skipped, None)]

    def open_views(self) -> list[ExecutionView]:
        """Return those that are not closed, oldest first."""
        return [execution for execution in self._executions.values() if execution.report is None]

    def closed_views(self, newest: int) -> list[ExecutionView]:
        """Return so many of those that closed last, the latest first."""
        return [self._executions[name] for name in islice(reversed(self._closed), newest)]

    def execution_view(self, execution_id: str) -> ExecutionView | None:
        """Return one as it is folded."""
        return self._executions.get(execution_id)

    def execution(self, execution_id: str) -> Json | None:
        """Tell all about one: besides the summary its plan, each child, and its report once closed."""
        execution = self._executions.get(execution_id)
        return None if execution is None else execution.view()

    def signals(self) -> list[Json]:
        """List signals with their verdicts, oldest first; malformed ones were never journalled."""
        return list(self._signals)

    def alerts(self) -> list[Json]:
        """List alerts, oldest first; `cleared_at` is None while one stands."""
        return [dict(alert) for alert in self._alerts.values()]

    # Folding ----------------------------------------------------------------------------------

    def apply(self, committed: Committed) -> None:
        """Fold one fact; one that was folded before changes nothing."""
        if committed.seq <= self.seq:
            return
        fact, at = committed.fact, committed.at
        self.seq = committed.seq
        self.counts[type(fact).__name__] += 1
        if fact.execution_id and (execution := self._executions.get(fact.execution_id)) is not None:
            was_open = execution.report is None
            if isinstance(fact, ChildIntended):
                self.lateness.note(execution, fact, at)
            execution.apply(fact, at)
            if was_open and isinstance(fact, ExecutionClosed):
                self._let_go(fact.execution_id)
        match fact:
            case SignalAccepted():
                self._executions[fact.execution_id] = ExecutionView.of(fact)
                self._note(fact.signal, fact.label, at, status="accepted", execution_id=fact.execution_id)
            case SignalDuplicate() | SignalConflict() | SignalRejected():
                self._note(fact.signal, fact.label, at, **_refusal(fact))
            case TradingHalted():
                self.halted = f"{fact.reason}: {fact.detail}" if fact.detail else fact.reason
                self.banned = fact.reason == BANNED
            case TradingResumed():
                self.halted, self.banned = None, False
            case EpochStarted():
                self.epoch, self.mode, self.started_at = fact.epoch, fact.mode, at
                self.version, self.journal_id = fact.version, fact.journal_id
            case AlertRaised():
                self._raise(fact, at)
            case AlertCleared():
                if (alert := self._alerts.get((fact.kind, fact.subject))) is not None:
                    alert["cleared_at"] = iso(at)
            case _:
                pass

    def _let_go(self, execution_id: str) -> None:
        self._closed.append(execution_id)
        if len(self._closed) > self._max_closed:
            del self._executions[self._closed.popleft()]

    def _note(self, signal: Signal, label: str, at: datetime, **verdict: object) -> None:
        self._signals.append(
            {
                "at": iso(at),
                "label": label,
                "id": signal.id,
                "source": signal.source,
                "account": signal.account,
                "symbol": signal.symbol,
                "side": signal.side.value,
                "quantity": optional(signal.quantity),
                "quote_quantity": optional(signal.quote_quantity),
                "price": optional(signal.price),
                "tag": signal.tag,
                **verdict,
            }
        )

    def _raise(self, fact: AlertRaised, at: datetime) -> None:
        key = fact.kind, fact.subject
        self._alerts.pop(key, None)
        self._alerts[key] = {
            "kind": fact.kind,
            "subject": fact.subject,
            "execution_id": fact.execution_id or None,
            "level": fact.level,
            "text": fact.text,
            "raised_at": iso(at),
            "cleared_at": None,
        }
        if len(self._alerts) > self._max_alerts:
            del self._alerts[next(iter(self._alerts))]


def _refusal(fact: SignalDuplicate | SignalConflict | SignalRejected) -> Json:
    match fact:
        case SignalDuplicate():
            return {
                "status": "duplicate",
                "reason": "DUPLICATE",
                "detail": f"by {fact.by}",
                "duplicate_of": fact.execution_id,
                "count": fact.count,
            }
        case SignalConflict():
            return {
                "status": "conflict",
                "reason": "CONFLICT",
                "detail": f"differs in {', '.join(fact.differing)}",
                "duplicate_of": fact.execution_id,
            }
        case SignalRejected():
            return {"status": "rejected", "reason": fact.reason, "detail": fact.detail}
