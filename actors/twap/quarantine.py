"""QuarantinedActor: waits for the end of what a quarantined execution has at the venue, then closes it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from actors.follower import Follower
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from actors.twap.remains import Remains
from messages.control import CaughtUp, Committed, FactNews, JournalCommand, Ping, Pong
from messages.execution import StopReason
from messages.facts import ExecutionClosed, Fact, SignalAccepted
from messages.refs import Tells

QUIET_SECONDS = 1.0
"""A wish of the failed actor may still become an intent, which is not sent: it belongs into the report."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Time to see whether nothing is open any more."""


class QuarantinedActor(Follower, Child):
    """Sends nothing and decides nothing: an execution that nobody works still ends in one report.

    Until then what it may still fill counts against the limits, from then on no more.
    """

    def __init__(
        self,
        parent: Tells[ChildEnded],
        name: Hashable,
        *,
        accepted: SignalAccepted,
        journal: Tells[JournalCommand],
    ) -> None:
        super().__init__(parent, name)
        self.use_journal(journal)
        self._remains = Remains(accepted)
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Fold what the journal has of this execution."""
        self.follow(execution_id=self._remains.accepted.execution_id)

    def end(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def on_receive(self, message: FactNews | Ping | _Look) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case _Look():
                self._timer = None
                self._close_if_over()
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case _:
                assert_never(message)

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold."""
        self._remains.fold(fact, at)

    def on_news_of(self, fact: Fact) -> None:
        """See whether that was the end of the last child."""
        self._look_soon()

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """See whether anything is left to wait for."""
        self._look_soon()

    def on_durable(self, fact: Fact) -> None:
        """The report is out: nothing is left to do."""
        self.stop()

    def _look_soon(self) -> None:
        if not self.caught_up:
            return
        if self._remains.closed:
            self.stop()
        elif self._remains.over and self._timer is None:
            self._timer = self.runtime.tell_after(QUIET_SECONDS, self.actor_ref, _Look())

    def _close_if_over(self) -> None:
        remains = self._remains
        if not remains.over or remains.closed:
            return
        self.append(
            ExecutionClosed(
                execution_id=remains.accepted.execution_id,
                reason=str(StopReason.QUARANTINED),
                detail=remains.detail,
                key=remains.accepted.key,
                children=remains.children,
                report=remains.report(self.runtime.wall_time()),
            )
        )
