"""The log's account of what happens: one record a fact, with signal, execution and client order id bound."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Final, Self

import structlog

from adapters.views import as_json
from messages.control import CaughtUp, Committed, FactNews
from messages.facts import (
    AlertCleared,
    AlertRaised,
    ChildAcknowledged,
    ChildClosed,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionStarted,
    Fact,
    NonceUsed,
    SignalAccepted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    SlotSkipped,
)

ROUTINE: Final[tuple[type[Fact], ...]] = (
    ChildAcknowledged,
    ChildClosed,
    ExecutionPlanned,
    ExecutionStarted,
    SlotSkipped,
    NonceUsed,
)
"""Facts that are told at level debug."""

SHOWN: Final = (
    "client_order_id",
    "symbol",
    "side",
    "quantity",
    "price",
    "limit_price",
    "order_id",
    "trade_id",
    "status",
    "source",
    "reason",
    "detail",
    "by",
    "differing",
    "proof",
    "code",
    "message",
    "epoch",
    "version",
)
"""Fields that a record shows where the fact has them."""


BOUND: Final = 100_000
"""News that may wait to be written; what comes on top is counted and left out."""


class FactLog:
    """Follows the journal and logs what is new; what was there at the start is only looked at for signal ids.

    Used as `with FactLog() as log:`; it writes in a thread of its own, so that the journal never waits.
    """

    def __init__(self, bound: int = BOUND) -> None:
        self._log = structlog.get_logger("tidegate.facts")
        self._news: queue.Queue[FactNews | None] = queue.Queue(bound)
        self._signals: dict[str, str] = {}
        self._caught_up = False
        self.left_out = 0
        self._thread = threading.Thread(target=self._run, name="fact-log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._news.put(None)
        self._thread.join(2.0)

    def tell(self, news: FactNews, /) -> None:
        """Take a piece of the journal's news, at once."""
        try:
            self._news.put_nowait(news)
        except queue.Full:
            self.left_out += 1

    def _run(self) -> None:
        while (news := self._news.get()) is not None:
            self._take(news)

    def _take(self, news: FactNews) -> None:
        match news:
            case CaughtUp():
                self._caught_up = True
            case Committed(seq=seq, fact=fact):
                if isinstance(fact, SignalAccepted) and fact.signal.id is not None:
                    self._signals[fact.execution_id] = fact.signal.id
                if self._caught_up and not isinstance(fact, AlertRaised | AlertCleared):  # The notifier logs those.
                    self._write(seq, fact)
                if isinstance(fact, ExecutionClosed):
                    self._signals.pop(fact.execution_id, None)

    def _write(self, seq: int, fact: Fact) -> None:
        bound: dict[str, object] = {"seq": seq}
        signal_id = self._signals.get(fact.execution_id)
        if isinstance(fact, SignalAccepted | SignalDuplicate | SignalConflict | SignalRejected):
            signal_id = fact.signal.id
            bound["label"] = fact.label
        if signal_id is not None:
            bound["signal_id"] = signal_id
        if fact.execution_id:
            bound["execution_id"] = fact.execution_id
        for name in SHOWN:
            value = getattr(fact, name, None)
            if value not in {None, ""}:
                bound[name] = as_json(value)
        write = self._log.debug if isinstance(fact, ROUTINE) else self._log.info
        write(type(fact).__name__, **bound)
