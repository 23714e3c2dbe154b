"""Notifier: raises an alert once for each thing that an operator should know, and says when it is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from actors.alerts import KINDS, Alerts, Level
from actors.follower import Follower
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from messages.control import (
    ActorReady,
    CaughtUp,
    Committed,
    FactNews,
    JournalCommand,
    JournalFailed,
    Ping,
    Pong,
    TroubleOver,
    TroubleSeen,
)
from messages.facts import AlertCleared, AlertRaised, Fact
from messages.refs import Tells

LEVELS: dict[Level, int] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

JOURNAL = "journal"

logger = logging.getLogger("tidegate.alerts")


@dataclass(frozen=True, slots=True)
class _TimePassed:
    """An alert may be over by itself."""


class Notifier(Follower, Child):
    """Folds the facts of `actors.alerts.RULES`, and appends AlertRaised and AlertCleared.

    An alert is logged, and handed to `sink`, once it is durable; but that the journal failed at once,
    for nothing will be durable any more. That it did in an earlier life is told in `failed_before`: it
    becomes a fact then, together with its end, which is all that the sink still has to hear of it.
    """

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady],
        name: str,
        *,
        journal: Tells[JournalCommand],
        sink: Tells[AlertRaised | AlertCleared] | None = None,
        failed_before: str | None = None,
    ) -> None:
        super().__init__(parent, name)
        self._failed_before = failed_before
        self.use_journal(journal)
        self._told, self._sink = parent, sink
        self._alerts = Alerts()
        self._troubles: list[TroubleSeen | TroubleOver] = []  # Wait for what earlier lives have said.
        self._timer: Timer | None = None
        self._looks_at: datetime | None = None

    @property
    def raised(self) -> list[tuple[str, str]]:
        """Kind and subject of every alert that stands, oldest first."""
        return self._alerts.raised

    def begin(self) -> None:
        """Ask for the facts that matter, and for what was said of them."""
        self.follow(*KINDS, AlertRaised, AlertCleared)

    def end(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def on_receive(self, message: FactNews | TroubleSeen | TroubleOver | JournalFailed | Ping | _TimePassed) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case TroubleSeen() | TroubleOver():
                self._troubles.append(message)
                self._say()
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case JournalFailed(detail=detail):
                self._hand_on(_journal_failed(f"{detail}, at {self.runtime.wall_time():%Y-%m-%d %H:%M:%S} UTC"))
            case _TimePassed():
                self._say()
            case _:
                assert_never(message)

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold."""
        self._alerts.fold(fact, at)
        if self._failed_before is not None and fact == _journal_failed(self._failed_before):
            self._failed_before = None  # A life between that one and this has said so.

    def on_news_of(self, fact: Fact) -> None:
        """Say what there is to say of it."""
        self._say()

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Say what was left unsaid by an earlier life."""
        if self._failed_before is not None:
            raised = _journal_failed(self._failed_before)
            self.append(raised, AlertCleared(kind=raised.kind, subject=raised.subject, text="facts are durable again"))
        self._say()
        self.runtime.send(self._told, ActorReady(self.name))

    def on_durable(self, fact: Fact) -> None:
        """Log an alert and hand it on, unless that was done when it could not be durable."""
        if isinstance(fact, AlertCleared) or (isinstance(fact, AlertRaised) and fact.kind != JOURNAL):
            self._hand_on(fact)

    def _hand_on(self, alert: AlertRaised | AlertCleared) -> None:
        match alert:
            case AlertRaised(kind=kind, subject=subject, level=level, text=text):
                logger.log(LEVELS[level], "%s (%s): %s", kind, subject, text)
            case AlertCleared(kind=kind, subject=subject, text=text):
                logger.info("%s (%s) is over: %s", kind, subject, text)
        if self._sink is not None:
            self._sink.tell(alert)

    def _say(self) -> None:
        if not self.caught_up:
            return
        now = self.runtime.wall_time()
        for trouble in self._troubles:
            self._alerts.take(trouble, now)
        self._troubles.clear()
        look_again = self._alerts.expire(now)
        due = self._alerts.due()
        if due:
            self.append(*due)
        if self._timer is not None and self._timer.pending:
            if look_again == self._looks_at:
                return
            self._timer.cancel()
        self._timer, self._looks_at = None, look_again
        if look_again is not None:
            delay = max(0.0, (look_again - now).total_seconds())
            self._timer = self.runtime.tell_after(delay, self.actor_ref, _TimePassed())


def _journal_failed(text: str) -> AlertRaised:
    return AlertRaised(kind="journal", subject=JOURNAL, level="critical", text=text)
