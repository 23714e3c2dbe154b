"""What an operator should know: a table of facts that raise or end alerts, and the fold of it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, TypeVar

from actors.halts import SUBJECTS, subject_of
from messages.control import TroubleOver, TroubleSeen
from messages.execution import ChildOutcome, StopReason
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    BalanceMismatch,
    ChildAbsent,
    ChildAcknowledged,
    ChildClosed,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionClosed,
    ExecutionQuarantined,
    Fact,
    ForeignOrderSeen,
    JournalRebuilt,
    PartFailed,
    RateLimited,
    SignalConflict,
    StartRefused,
    TradingHalted,
    TradingResumed,
)
from messages.money import plain

Level = Literal["info", "warning", "error", "critical"]
Episode = tuple[str, str]
"""Kind and subject of an alert: it is raised once until it has ended."""

F = TypeVar("F", bound=Fact)

AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
"""How long a thing that happened, and does not go on, is shown as an alert: for a glance, or for a working day."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a fact of one class begins or ends, if `when` holds for it.

    `level` is None where it ends an alert. `until` names a moment from which the alert is over by
    itself, `lasts` how long after the fact; one without either stands until another rule ends it.
    """

    of: type[Fact]
    kind: str
    level: Level | None
    subject: Callable[[Any], str]
    text: Callable[[Any], str]
    when: Callable[[Any], bool] | None = None
    until: Callable[[Any], datetime] | None = None
    lasts: timedelta | None = None


def begins(
    of: type[F],
    kind: str,
    level: Level,
    subject: Callable[[F], str],
    text: Callable[[F], str],
    *,
    when: Callable[[F], bool] | None = None,
    until: Callable[[F], datetime] | None = None,
    lasts: timedelta | None = None,
) -> Rule:
    """Make a rule by which a fact raises an alert."""
    return Rule(of, kind, level, subject, text, when, until, lasts)


def ends(of: type[F], kind: str, subject: Callable[[F], str], text: Callable[[F], str]) -> Rule:
    """Make a rule by which a fact ends an alert."""
    return Rule(of, kind, None, subject, text)


def _wants(limited: RateLimited) -> str:
    if limited.banned:
        return "banned us"
    return "takes no more orders" if limited.orders_only else "wants silence"


def _named(subject: str, _: Fact) -> str:
    return subject


BY_THE_EXCHANGE = "EXCHANGE_CANCELED"
"""The exchange's word for an order that it ended by itself, in maintenance for instance (protocol §7.3)."""

RULES: tuple[Rule, ...] = (
    begins(
        SignalConflict,
        "conflict",
        "warning",
        lambda fact: f"{fact.signal.source}/{fact.signal.id}",
        lambda fact: f"signal {fact.signal.id} came again with other content: {', '.join(fact.differing)}",
        lasts=AN_HOUR,
    ),
    begins(
        ChildClosed,
        "partial_fill",
        "warning",
        lambda fact: fact.client_order_id,
        lambda fact: f"child order filled in part: {plain(fact.executed_quantity)} {fact.symbol}, then {fact.status}",
        when=lambda fact: (
            fact.outcome is ChildOutcome.PARTIAL or (fact.executed_quantity > 0 and fact.status != "FILLED")
        ),
        lasts=AN_HOUR,
    ),
    begins(
        ChildClosed,
        "exchange_cancelled",
        "error",
        lambda fact: fact.symbol,
        lambda fact: f"the exchange itself ended an order of {fact.symbol}: maintenance, or a halt of the symbol",
        when=lambda fact: BY_THE_EXCHANGE in (fact.failure_reason or ""),
        lasts=AN_HOUR,
    ),
    begins(
        ExecutionClosed,
        "early_stop",
        "warning",
        lambda fact: fact.execution_id,
        lambda fact: (
            f"execution stopped early with {plain(fact.report.total_filled)} of {plain(fact.report.quantity)} "
            f"{fact.report.symbol}: {fact.reason}" + (f": {fact.detail}" if fact.detail else "")
        ),
        when=lambda fact: fact.reason not in {StopReason.COMPLETED, StopReason.CANCELLED},  # Who cancels knows it.
        lasts=A_DAY,
    ),
    begins(
        ExecutionQuarantined,
        "quarantine",
        "error",
        lambda fact: fact.execution_id,
        lambda fact: f"execution left alone after repeated failures: {fact.detail}",
        when=lambda fact: not fact.unreported,
        lasts=A_DAY,
    ),
    begins(
        ExecutionQuarantined,
        "unreported",
        "error",
        lambda fact: fact.execution_id,
        lambda fact: f"quarantined execution cannot be closed with a report either: {fact.detail}",
        when=lambda fact: fact.unreported,
    ),
    ends(ExecutionClosed, "unreported", lambda fact: fact.execution_id, lambda _: "it is closed with a report"),
    begins(
        PartFailed,
        "part_failed",
        "error",
        lambda fact: fact.part,
        lambda fact: f"the process ended and has to be started again ({fact.in_a_row} in a row): {fact.detail}",
        when=lambda fact: not fact.told,
        lasts=A_DAY,
    ),
    begins(StartRefused, "start_refused", "critical", lambda _: "daemon", lambda fact: fact.detail, lasts=A_DAY),
    begins(
        ChildUnknown,
        "unknown_outcome",
        "error",
        lambda fact: fact.client_order_id,
        lambda fact: f"nobody knows whether the child order was executed: {fact.detail}",
    ),
    ends(ChildAcknowledged, "unknown_outcome", lambda fact: fact.client_order_id, lambda fact: f"it is {fact.status}"),
    ends(ChildClosed, "unknown_outcome", lambda fact: fact.client_order_id, lambda fact: f"it ended {fact.status}"),
    ends(ChildAbsent, "unknown_outcome", lambda fact: fact.client_order_id, lambda fact: f"absent: {fact.proof}"),
    ends(ChildNotSent, "unknown_outcome", lambda fact: fact.client_order_id, lambda fact: f"never sent: {fact.reason}"),
    ends(ChildRefused, "unknown_outcome", lambda fact: fact.client_order_id, lambda fact: f"refused: {fact.message}"),
    begins(
        AttemptReappeared,
        "reappeared",
        "critical",
        lambda fact: fact.client_order_id,
        lambda fact: f"an order believed to be over is {fact.status}, {plain(fact.executed_quantity)} executed",
        lasts=A_DAY,
    ),
    begins(
        TradingHalted,
        "halt",
        "critical",
        lambda fact: subject_of(fact.reason),
        lambda fact: f"no new orders: {fact.reason}" + (f": {fact.detail}" if fact.detail else ""),
    ),
    *(
        ends(
            TradingResumed, "halt", partial(_named, subject), lambda fact: fact.detail or "new orders may go out again"
        )
        for subject in dict.fromkeys(SUBJECTS)
    ),
    begins(
        RateLimited,
        "rate_limited",
        "warning",
        lambda fact: "orders" if fact.orders_only else "venue",
        lambda fact: f"the venue {_wants(fact)} until {fact.until:%H:%M:%S} UTC",
        until=lambda fact: fact.until,
    ),
    begins(
        ForeignOrderSeen,
        "foreign_order",
        "warning",
        lambda fact: f"{fact.symbol}/{fact.order_id}",
        lambda fact: f"an order that this journal does not know: {fact.side} {plain(fact.quantity)} {fact.symbol}",
        lasts=A_DAY,
    ),
    begins(
        JournalRebuilt,
        "rebuilt",
        "warning",
        lambda _: "journal",
        lambda fact: (
            f"the journal was rebuilt from the exchange: {fact.orders} own orders of {fact.executions} executions "
            f"since {fact.since:%Y-%m-%d %H:%M} UTC are booked, {fact.cancelled} were open and are cancelled"
        ),
        lasts=A_DAY,
    ),
    begins(
        BalanceMismatch,
        "balance_mismatch",
        "error",
        lambda fact: f"{fact.asset} {plain(fact.found - fact.expected)}",
        lambda fact: f"{fact.asset}: {plain(fact.found)} found, {plain(fact.expected)} expected",
        lasts=A_DAY,
    ),
)
"""Every alert that there is."""

KINDS: tuple[type[Fact], ...] = tuple(dict.fromkeys(rule.of for rule in RULES))
"""The facts that raise or end an alert."""


def _by_fact(rules: tuple[Rule, ...]) -> dict[type[Fact], list[Rule]]:
    """Find rules by the fact that they are of."""
    by_fact: dict[type[Fact], list[Rule]] = {}
    for rule in rules:
        by_fact.setdefault(rule.of, []).append(rule)
    return by_fact


_BY_FACT = _by_fact(RULES)


class Alerts:
    """Folds facts into what is the matter, and alerts into what was said; `due` is the difference.

    So an alert whose fact was durable when the process died is raised at the next start, and one
    that was raised is not raised again.
    """

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self._rules = _BY_FACT if rules is RULES else _by_fact(rules)
        self._true: dict[Episode, AlertRaised | None] = {}
        self._said: dict[Episode, str] = {}
        self._over: dict[Episode, str] = {}
        self._until: dict[Episode, datetime] = {}
        self._brewing: dict[Episode, tuple[datetime, AlertRaised]] = {}
        self._touched: dict[Episode, None] = {}
        self._deadlines: list[tuple[datetime, int, Episode]] = []
        self._numbers = itertools.count()

    @property
    def raised(self) -> list[Episode]:
        """The alerts that were raised and not cleared, oldest first."""
        return list(self._said)

    def fold(self, fact: Fact, at: datetime) -> None:
        """Take a fact of that moment, or an alert."""
        match fact:
            case AlertRaised():
                episode = fact.kind, fact.subject
                self._said[episode] = fact.execution_id
                if episode in self._true:
                    self._true[episode] = None  # Its words are no longer needed.
            case AlertCleared():
                self._said.pop((fact.kind, fact.subject), None)
            case _:
                for rule in self._rules.get(type(fact), ()):
                    if rule.when is None or rule.when(fact):
                        self._apply(rule, fact, at)

    def take(self, trouble: TroubleSeen | TroubleOver, now: datetime) -> None:
        """Take what no fact tells: an alert once it has lasted, or its end, also of what an earlier life raised."""
        episode = trouble.kind, trouble.subject
        if isinstance(trouble, TroubleOver):
            self._brewing.pop(episode, None)
            if episode in self._true or episode in self._said:
                self._true.pop(episode, None)
                self._over[episode] = trouble.text
                self._touched[episode] = None
            return
        if episode not in self._true and episode not in self._brewing:
            alert = AlertRaised(kind=trouble.kind, subject=trouble.subject, level=trouble.level, text=trouble.text)
            due = now + timedelta(seconds=trouble.after_seconds)
            self._brewing[episode] = due, alert
            self._look_at(due, episode)

    def expire(self, now: datetime) -> datetime | None:
        """End what is over by itself by `now`, begin what has lasted; return when to look again, if at all."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, episode = heapq.heappop(self._deadlines)
            self._reach(episode, now)
        return self._deadlines[0][0] if self._deadlines else None

    def _reach(self, episode: Episode, now: datetime) -> None:
        """See whether a deadline still holds: one that was put off since comes again, one that was lifted does not."""
        brewing, until = self._brewing.get(episode), self._until.get(episode)
        if brewing is not None and brewing[0] <= now:
            self._true[episode] = self._brewing.pop(episode)[1]
            self._touched[episode] = None
        if until is not None and until <= now:
            del self._until[episode]
            self._end(episode, "the time has passed")
        elif until is not None:
            self._look_at(until, episode)

    def _look_at(self, moment: datetime, episode: Episode) -> None:
        heapq.heappush(self._deadlines, (moment, next(self._numbers), episode))

    def due(self) -> list[AlertRaised | AlertCleared]:
        """Return what has to be said since it was last asked for, in order."""
        touched, self._touched = self._touched, {}
        due: list[AlertRaised | AlertCleared] = []
        for episode in touched:
            alert, said = self._true.get(episode), self._said.get(episode)
            over = self._over.pop(episode, "")
            if alert is not None and said is None:
                due.append(alert)
            elif episode not in self._true and said is not None:
                kind, subject = episode
                due.append(AlertCleared(execution_id=said, kind=kind, subject=subject, text=over))
        return due

    def _apply(self, rule: Rule, fact: Fact, at: datetime) -> None:
        subject = rule.subject(fact)
        episode = rule.kind, subject
        if rule.level is None:
            self._end(episode, rule.text(fact))
            return
        if rule.until is not None or rule.lasts is not None:
            until = rule.until(fact) if rule.until is not None else at + (rule.lasts or timedelta())
            if episode not in self._until:
                self._look_at(until, episode)
            self._until[episode] = max(until, self._until.get(episode, until))
        if episode not in self._true:
            self._touched[episode] = None
            self._true[episode] = AlertRaised(
                execution_id=fact.execution_id,
                kind=rule.kind,
                subject=subject,
                level=rule.level,
                text=rule.text(fact),
            )

    def _end(self, episode: Episode, text: str) -> None:
        if episode in self._true:
            del self._true[episode]
            self._over[episode] = text
            self._touched[episode] = None
