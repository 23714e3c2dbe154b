"""A journal without a store: keeps facts in a list and answers at once, for tests of one actor."""

from __future__ import annotations

from contextlib import suppress
from typing import Self, TypeVar, assert_never

import pykka

from actors.runtime import Actor
from messages.control import (
    Append,
    CaughtUp,
    Committed,
    FactNews,
    Follow,
    JournalCommand,
    Unfollow,
)
from messages.facts import Fact
from messages.refs import Tells
from tests.factories import NOW

F = TypeVar("F", bound=Fact)
N = TypeVar("N", bound=FactNews)

JOURNAL_ID = "journal-of-a-test"


class JournalStub(Actor):
    """Keeps what it is told to append in `facts`, and delivers as the real journal does.

    `journal = JournalStub.begun(old, older)` starts one that already holds facts and returns the
    actor itself; others are given `journal.actor_ref`. While `held` is True nothing is committed;
    `release()` commits what waited.
    """

    def __init__(self, *old: Fact) -> None:
        super().__init__()
        self.committed = [Committed(seq, NOW, fact) for seq, fact in enumerate(old, 1)]
        self.held = False
        self.archived: tuple[int, ...] = ()
        """Numbers of facts that are told only to those who look back."""
        self._waiting: list[Append] = []
        self._followers: dict[Tells[FactNews], Follow] = {}

    @classmethod
    def begun(cls, *old: Fact) -> Self:
        """Start a journal that holds `old` on the current runtime; return the actor."""
        actor = cls.start(*old)._actor_weakref()
        assert actor is not None
        return actor

    @property
    def facts(self) -> list[Fact]:
        """Everything that is durable, in order."""
        return [committed.fact for committed in self.committed]

    def of(self, kind: type[F]) -> list[F]:
        """Return the durable facts of one kind, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def last(self, kind: type[F]) -> F:
        """Return the latest durable fact of a kind, which must exist."""
        facts = self.of(kind)
        assert facts, f"no {kind.__name__} among {[type(fact).__name__ for fact in self.facts]}"
        return facts[-1]

    def commit(self, *facts: Fact) -> None:
        """Make another's facts durable and tell the followers, as if some actor had written them."""
        for fact in facts:
            self._commit(fact, None)

    def release(self) -> None:
        """Commit what was held back, and hold nothing any more."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for append in waiting:
            self._append(append)

    def on_receive(self, message: JournalCommand) -> None:
        """Take a command."""
        match message:
            case Append():
                if self.held:
                    self._waiting.append(message)
                else:
                    self._append(message)
            case Follow(follower=follower, after=after, archived=archived):
                self._followers[follower] = message
                for committed in self.committed:
                    if not archived and committed.seq in self.archived:
                        continue
                    if committed.seq > after and _concerns(committed.fact, message):
                        self._tell(follower, committed)
                self._tell(follower, CaughtUp(len(self.committed), JOURNAL_ID))
            case Unfollow(follower):
                self._followers.pop(follower, None)
            case _:
                assert_never(message)

    def _append(self, append: Append) -> None:
        for fact in append.facts:
            self._commit(fact, append)

    def _commit(self, fact: Fact, append: Append | None) -> None:
        at = self.runtime.wall_time() if append is None else append.at
        committed = Committed(len(self.committed) + 1, at, fact)
        self.committed.append(committed)
        writer = None if append is None else append.writer
        if writer is not None:
            self._tell(writer, committed)
        for follower, follow in tuple(self._followers.items()):
            if follower is not writer and _concerns(fact, follow):
                self._tell(follower, committed)

    def _tell(self, whom: Tells[N], news: N) -> None:
        with suppress(pykka.ActorDeadError):
            whom.tell(news)


def _concerns(fact: Fact, follow: Follow) -> bool:
    if follow.kinds is not None and type(fact) not in follow.kinds:
        return False
    return follow.execution_id is None or fact.execution_id == follow.execution_id
