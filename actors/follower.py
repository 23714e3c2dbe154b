"""Actors whose state is a fold of the journal's facts: one way for the start and for ever after."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from actors.runtime import Actor
from messages.control import Append, CaughtUp, Committed, FactNews, Follow, JournalCommand

if TYPE_CHECKING:
    from datetime import datetime

    from messages.facts import Fact
    from messages.refs import Tells


class Follower(Actor):
    """Folds committed facts by `on_fact`, and its own ones already when it appends them.

    So it can't append the same fact twice while a commit is under way; what may leave the house
    because of a fact belongs in `on_durable`, which runs after the commit. When the journal has
    stopped, as the last of all, nothing becomes durable and so nothing leaves any more.
    """

    _journal: Tells[JournalCommand]
    _pending: deque[Fact]
    caught_up: bool

    def use_journal(self, journal: Tells[JournalCommand]) -> None:
        """Set up; to be called from `__init__`."""
        self._journal, self._pending, self.caught_up = journal, deque(), False

    def follow(self, *kinds: type[Fact], execution_id: str | None = None, after: int = 0) -> None:
        """Ask for the facts of these kinds (none = all); to be called when the actor begins."""
        follow = Follow(
            follower=self.actor_ref, kinds=kinds or None, execution_id=execution_id, after=after, archived=False
        )
        self.runtime.send(self._journal, follow)

    def append(self, *facts: Fact) -> None:
        """Fold these facts and have them made durable, all or none."""
        at = self.runtime.wall_time()
        for fact in facts:
            self.on_fact(fact, at)
        self._pending.extend(facts)
        self.runtime.send(self._journal, Append(facts, at, self.actor_ref))

    def on_news(self, news: FactNews) -> None:
        """Take what the journal says; to be called from `on_receive`."""
        match news:
            case Committed(fact=fact, at=at):
                if self._pending and self._pending[0] is fact:
                    self._pending.popleft()
                    self.on_durable(fact)
                else:
                    self.on_fact(fact, at)
                    self.on_news_of(fact)
            case CaughtUp():
                self.caught_up = True
                self.on_caught_up(news)

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold a fact appended at `at`: change state, and do nothing else."""

    def on_durable(self, fact: Fact) -> None:
        """Act on an own fact that is now durable."""

    def on_news_of(self, fact: Fact) -> None:
        """Act on another's fact, after it is folded; check `caught_up`: old ones come here too."""

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Act on having folded everything that was in the journal."""
