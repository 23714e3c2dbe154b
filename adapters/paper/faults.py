"""What may go wrong between the exchange and its client, as data: kinds, how often, how long."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from messages.frozen import dataclass


class FaultKind(StrEnum):
    """A way of going wrong.

    Of order requests: `LOST_REPLY` executes and never answers, `GARBLED_REPLY` executes and its answer
    can't be read, `ERROR_AFTER` executes and answers with an error, `REFUSE` answers with one instead;
    `DROPPED_REQUEST` neither executes nor answers, `NOT_SENT` finds no connection; `LATE_REQUEST`
    arrives late and `SLOW_ENGINE` is let in at once but executed late, neither with an answer. Of
    cancels: `DROPPED_CANCEL`, `LOST_CANCEL_REPLY`. Of user-stream events: `LATE_EVENT`,
    `DUPLICATE_EVENT`, `LOST_EVENT`, `STREAM_CUT`, which loses all of them for its time and says so, and
    `STREAM_STALL`, which holds all of them up and says nothing. Of queries: `FAILED_QUERY` and
    `FAILED_TIME` have no answer; `QUERY_LAG` does not show an order that is younger than its time,
    `STALE_ANSWER` shows such a one as it was when it came in, and `LIST_LAG` leaves orders and trades
    out of lists in the same way. Of market data: `MARKET_CUT` says so and is silent for its time.
    """

    LOST_REPLY = "lost_reply"
    GARBLED_REPLY = "garbled_reply"
    ERROR_AFTER = "error_after"
    NOT_SENT = "not_sent"
    DROPPED_REQUEST = "dropped_request"
    REFUSE = "refuse"
    LATE_EVENT = "late_event"
    DUPLICATE_EVENT = "duplicate_event"
    LOST_EVENT = "lost_event"
    QUERY_LAG = "query_lag"
    LIST_LAG = "list_lag"
    FAILED_QUERY = "failed_query"
    LATE_REQUEST = "late_request"
    SLOW_ENGINE = "slow_engine"
    DROPPED_CANCEL = "dropped_cancel"
    LOST_CANCEL_REPLY = "lost_cancel_reply"
    STREAM_CUT = "stream_cut"
    STREAM_STALL = "stream_stall"
    STALE_ANSWER = "stale_answer"
    FAILED_TIME = "failed_time"
    MARKET_CUT = "market_cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: it strikes each time with `probability`, and certainly the `nth` times (from 1).

    `milliseconds` is how late an event or order comes, how young a hidden order is, how long a stream
    is cut, or the Retry-After of a refusal that has one; `code` and `message` are what `REFUSE` and
    `ERROR_AFTER` say.
    """

    kind: FaultKind
    probability: float = 0.0
    nth: tuple[int, ...] = ()
    milliseconds: float = 0.0
    code: int = -1013
    message: str = "Filter failure: LOT_SIZE"


@dataclass(slots=True)
class _Occasions:
    """A fault, and how often it could have struck."""

    fault: Fault
    count: int = 0


class FaultPlan:
    """Decides when faults strike; each fault counts its own occasions."""

    def __init__(self, faults: Iterable[Fault] = (), chance: random.Random | None = None) -> None:
        """`chance` is needed as soon as a fault has a probability."""
        faults = tuple(faults)
        if chance is None and any(fault.probability for fault in faults):
            raise ValueError("a fault with a probability needs a source of chance")
        self._chance = chance
        self._of_kind: dict[FaultKind, list[_Occasions]] = {}
        for fault in faults:
            self._of_kind.setdefault(fault.kind, []).append(_Occasions(fault))
        self.struck: Counter[FaultKind] = Counter()
        """How often each kind has struck."""
        self._over = False

    def end(self) -> None:
        """Let no fault strike any more."""
        self._over = True

    def strike(self, kind: FaultKind) -> Fault | None:
        """Count an occasion for faults of a kind, and return the first that strikes."""
        if self._over or kind not in self._of_kind:
            return None
        struck: Fault | None = None
        for occasions in self._of_kind[kind]:
            fault = occasions.fault
            occasions.count += 1
            hit = occasions.count in fault.nth
            if fault.probability and self._chance is not None:
                hit = self._chance.random() < fault.probability or hit
            if hit and struck is None:
                struck = fault
        if struck is not None:
            self.struck[kind] += 1
        return struck
