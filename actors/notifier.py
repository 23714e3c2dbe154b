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
from messages.control import ActorReady, CaughtUp, Committed, FactNews, JournalCommand, Ping, Pong
from messages.facts import AlertCleared, AlertRaised, Fact
from messages.refs import Tells

LEVELS: dict[Level, int] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

logger = logging.getLogger("tidegate.alerts")


@dataclass(frozen=True, slots=True)
class _TimePassed:
    """An alert may be over by itself."""


class Notifier(Follower, Child):
    """Folds the facts of `actors.alerts.RULES`, and appends AlertRaised and AlertCleared.

    An alert is logged once it is durable.
    """

    def __init__(self, parent: Tells[ChildEnded | ActorReady], name: str, *, journal: Tells[JournalCommand]) -> None:
        super().__init__(parent, name)
        self.use_journal(journal)
        self._told = parent
        self._alerts = Alerts()
        self._timer: Timer | None = None

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

    def on_receive(self, message: FactNews | Ping | _TimePassed) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case _TimePassed():
                self._say()
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case _:
                assert_never(message)

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold."""
        self._alerts.fold(fact)

    def on_news_of(self, fact: Fact) -> None:
        """Say what there is to say of it."""
        if self.caught_up:
            self._say()

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Say what was left unsaid by an earlier life."""
        self._say()
        self.runtime.send(self._told, ActorReady(self.name))

    def on_durable(self, fact: Fact) -> None:
        """Log an alert."""
        match fact:
            case AlertRaised(kind=kind, subject=subject, level=level, text=text):
                logger.log(LEVELS[level], "%s (%s): %s", kind, subject, text)
            case AlertCleared(kind=kind, subject=subject, text=text):
                logger.info("%s (%s) is over: %s", kind, subject, text)

    def _say(self) -> None:
        now = self.runtime.wall_time()
        next_end = self._alerts.expire(now)
        due = self._alerts.due()
        if due:
            self.append(*due)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if next_end is not None:
            delay = max(0.0, (next_end - now).total_seconds())
            self._timer = self.runtime.tell_after(delay, self.actor_ref, _TimePassed())
