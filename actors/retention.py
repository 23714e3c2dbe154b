"""Which facts a start still needs: those that the state of any actor depends on, or may come to depend on.

Everything of an execution that is not over is needed, and so is everything that happened after an open
one began. Of one that closed long ago its acceptance and its report are needed as long as its signal may
come again, or its end may hold up the next one; the rest is not. Of facts of no execution each kind has
a rule. What is not needed may be archived: the state that is folded without it is the same.

The order of facts is trusted, their clock is not: a fact is as old as the latest moment before it says,
so that a wall clock that was ahead for a while keeps facts for longer and never for less long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from actors.alerts import RULES
from messages.control import TAIL, Committed
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    BalanceMismatch,
    BalancesNoted,
    ChildAbsent,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    EpochStarted,
    ExecutionClosed,
    Fact,
    ForeignOrderSeen,
    NonceUsed,
    PartFailed,
    RateLimited,
    SignalAccepted,
    SignalConflict,
    SignalRejected,
    StartRefused,
    StreamGap,
    TradeBooked,
    TradesSummed,
    TradingHalted,
    TradingResumed,
)
from messages.ids import from_milliseconds

A_DAY, AN_HOUR = timedelta(days=1), timedelta(hours=1)
REMEMBERED_FOREIGN = 10_000
"""OrderWatcher remembers so many."""

LEAST_AFTER_DAYS = 2.0
"""An order that is believed absent is looked out for a day; the other day is for clocks and time zones."""

BATCH = 100
_ALERTS_OF_FACTS = frozenset(rule.kind for rule in RULES)
_AGE_STEP = timedelta(minutes=1)
_THE_BEGINNING = datetime.min.replace(tzinfo=UTC)

LATEST_ONLY: tuple[type[Fact], ...] = (EpochStarted, BalancesNoted, TradesSummed)
"""Kinds of which the latest says all."""

SAY_NOTHING: tuple[type[Fact], ...] = (
    SignalRejected,
    SignalConflict,
    StreamGap,
    BalanceMismatch,
    PartFailed,
    StartRefused,
)
"""Kinds, of no execution, that no start needs once they are old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Executions that closed `after_days` ago (2 at least) may go; but not before a signal like theirs
    may come, `cache_ttl_seconds` or `cooldown_seconds` after their end.
    """

    after_days: float = LEAST_AFTER_DAYS
    cache_ttl_seconds: float = 600.0
    cooldown_seconds: float = 0.0


@dataclass(slots=True)
class _Of:
    """The facts of one execution."""

    seqs: list[int] = field(default_factory=list)
    last: int = 0
    accepted: int | None = None
    closed: int | None = None
    signal_until: datetime = _THE_BEGINNING
    open: dict[str, int] = field(default_factory=dict)
    last_trade: int = 0


class Retention:
    """One look through the facts at hand, in order and to the last; then `batches` says what may go.

    What is appended after the look, while batches are taken, is to be told by `touch`.
    """

    def __init__(self, settings: RetentionSettings, now: datetime) -> None:
        self._settings, self._now = settings, now
        self._executions: dict[str, _Of] = {}
        self._latest: dict[type[Fact], int] = {}
        self._halts: list[int] = []
        self._timed: list[tuple[int, datetime]] = []
        self._foreign: deque[int] = deque()
        self._loose: list[int] = []
        self._alerts: dict[tuple[str, str], tuple[int, str]] = {}
        self._over_alerts: list[int] = []
        self._last_accepted: str | None = None
        self._clock = _THE_BEGINNING
        self._ages: list[tuple[datetime, int]] = []
        self._touched: dict[str, None] = {}
        self._seq = 0

    def take(self, committed: Committed) -> None:
        """Look at one fact."""
        fact, seq = committed.fact, committed.seq
        self._seq = seq
        if committed.at > self._clock + _AGE_STEP or not self._ages:
            self._ages.append((committed.at, seq))
            self._clock = committed.at
        if isinstance(fact, AlertRaised | AlertCleared):
            self._take_alert(fact, seq)
        elif fact.execution_id:
            self._take_of_execution(fact, seq, committed.at)
        else:
            self._take_loose(fact, seq)

    def touch(self, fact: Fact) -> None:
        """Note a fact that was appended since: its execution is left as it is."""
        if fact.execution_id:
            self._touched[fact.execution_id] = None

    def batches(self) -> Iterator[list[int]]:
        """Yield the numbers of the facts that may be archived; those of an execution come together.

        What was touched before a batch is fetched is left out of it.
        """
        old = self._last_old()
        for execution_id, of in self._executions.items():
            if execution_id not in self._touched and self._over(of, old):
                seqs = self._not_needed(execution_id, of)
                if seqs:
                    yield seqs
        loose = list(self._over_alerts)
        if not any(kind in _ALERTS_OF_FACTS and not of for (kind, _), (_, of) in self._alerts.items()):
            # An alert that stands needs the fact that began it, or nothing would ever end it.
            loose += [*self._loose, *(seq for seq, until in self._timed if until + A_DAY < self._now)]
        loose = sorted(seq for seq in loose if seq <= old)
        for first in range(0, len(loose), BATCH):
            yield loose[first : first + BATCH]

    # Looking --------------------------------------------------------------------------------------

    def _take_of_execution(self, fact: Fact, seq: int, at: datetime) -> None:
        of = self._executions.setdefault(fact.execution_id, _Of())
        of.last = seq
        match fact:
            case SignalAccepted():
                of.accepted, of.signal_until = seq, max(of.signal_until, fact.key_until)
                self._last_accepted = fact.execution_id
                return
            case ExecutionClosed():
                ttl, cooldown = self._settings.cache_ttl_seconds, self._settings.cooldown_seconds
                of.closed = seq
                of.signal_until = max(of.signal_until, at + timedelta(seconds=max(ttl, cooldown)))
                return
            case ChildIntended(client_order_id=child, request_timestamp=timestamp):
                of.open[child] = timestamp
            case AttemptReappeared(client_order_id=child):
                of.open[child] = 0
            case ChildNotSent() | ChildRefused() | ChildAbsent() | ChildClosed():
                of.open.pop(fact.client_order_id, None)
            case TradeBooked():
                of.last_trade = seq
            case _:
                pass
        of.seqs.append(seq)

    def _take_alert(self, alert: AlertRaised | AlertCleared, seq: int) -> None:
        episode = alert.kind, alert.subject
        raised = self._alerts.pop(episode, None)
        if isinstance(alert, AlertRaised):
            self._alerts[episode] = seq, alert.execution_id
        if alert.execution_id:
            of = self._executions.setdefault(alert.execution_id, _Of())
            of.last = seq
            of.seqs.append(seq)
            return
        if raised is not None:
            self._over_alerts.append(raised[0])
        if isinstance(alert, AlertCleared):
            self._over_alerts.append(seq)

    def _take_loose(self, fact: Fact, seq: int) -> None:
        kind = type(fact)
        match fact:
            case NonceUsed(until=until) | RateLimited(until=until):
                self._timed.append((seq, until))
            case ForeignOrderSeen():
                self._foreign.append(seq)
                if len(self._foreign) > REMEMBERED_FOREIGN:
                    self._loose.append(self._foreign.popleft())
            case TradingHalted() | TradingResumed():
                if isinstance(fact, TradingResumed):
                    self._loose += self._halts
                    self._halts = []
                self._halts.append(seq)
            case _ if kind in LATEST_ONLY:
                if (before := self._latest.get(kind)) is not None:
                    self._loose.append(before)
                self._latest[kind] = seq
            case _ if kind in SAY_NOTHING:
                self._loose.append(seq)
            case _:
                pass  # Of a kind that nobody has thought of here: it stays.

    # Deciding -------------------------------------------------------------------------------------

    def _last_old(self) -> int:
        """Return the last of the facts that are old: all before it are as well."""
        begun = [ts for of in self._executions.values() for ts in of.open.values() if ts]
        bound = self._now - timedelta(days=max(LEAST_AFTER_DAYS, self._settings.after_days))
        if begun:
            bound = min(bound, from_milliseconds(min(begun)) - AN_HOUR)
        young = next((seq for at, seq in self._ages if at + _AGE_STEP >= bound), self._seq + 1)
        return min(young - 1, self._seq - TAIL)

    def _over(self, of: _Of, old: int) -> bool:
        """Whether nothing of an execution is needed any more but what tells it from another signal."""
        summed = self._latest.get(TradesSummed, 0)
        ended = of.closed is not None or of.accepted is None
        return ended and not of.open and of.last <= old and of.last_trade < max(1, summed)

    def _not_needed(self, execution_id: str, of: _Of) -> list[int]:
        if any(name == execution_id for _, name in self._alerts.values()):
            return []
        seqs = list(of.seqs)
        if of.signal_until + A_DAY < self._now and execution_id != self._last_accepted:
            seqs += [seq for seq in (of.accepted, of.closed) if seq is not None]
        return sorted(seqs)
