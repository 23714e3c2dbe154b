"""Whom a fact concerns, and what is at hand for those who are about to ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pykka

from messages.control import Committed, Follow
from messages.facts import ExecutionClosed, Fact, SignalAccepted
from messages.refs import Tells

REMEMBERED_NEWBORN = 1024
"""Executions whose facts are at hand until their actors ask for them."""

Follower = Tells[Committed]


class Newborn:
    """All facts of the executions that were accepted last, until somebody asks for them.

    That is the actor that was started for the execution a moment ago: the file need not be read.
    """

    def __init__(self) -> None:
        self._facts: dict[str, list[Committed]] = {}

    def note(self, committed: Committed) -> None:
        """Keep a fact if its execution was born with it, or is kept already."""
        of = committed.fact.execution_id
        if isinstance(committed.fact, SignalAccepted):
            self._facts[of] = [committed]
            if len(self._facts) > REMEMBERED_NEWBORN:
                del self._facts[next(iter(self._facts))]
        elif (facts := self._facts.get(of)) is not None:
            facts.append(committed)

    def take(self, follow: Follow) -> Iterator[Committed] | None:
        """Hand over what a follower asks for, once; None if it is not at hand."""
        facts = None if follow.execution_id is None else self._facts.pop(follow.execution_id, None)
        if facts is None:
            return None
        kinds = follow.kinds
        return (fact for fact in facts if fact.seq > follow.after and (kinds is None or type(fact.fact) in kinds))


class Routes:
    """Who follows what, found by one look at a fact's execution and one at its kind."""

    def __init__(self) -> None:
        self._follows: dict[Follower, Follow] = {}
        self._by_execution: dict[str, dict[Follower, tuple[type[Fact], ...] | None]] = {}
        self._by_kind: dict[type[Fact] | None, dict[Follower, None]] = {}
        self._closed: deque[str] = deque()
        self._newly_closed = 0

    def add(self, follow: Follow) -> None:
        """Note who follows what."""
        self._follows[follow.follower] = follow
        if follow.execution_id is not None:
            self._by_execution.setdefault(follow.execution_id, {})[follow.follower] = follow.kinds
            return
        for kind in (None,) if follow.kinds is None else follow.kinds:
            self._by_kind.setdefault(kind, {})[follow.follower] = None

    def remove(self, follower: Follower) -> None:
        """Forget a follower, if it is one."""
        follow = self._follows.pop(follower, None)
        if follow is None:
            return
        if follow.execution_id is not None:
            followers = self._by_execution[follow.execution_id]
            del followers[follower]
            if not followers:
                del self._by_execution[follow.execution_id]
            return
        for kind in (None,) if follow.kinds is None else follow.kinds:
            self._by_kind[kind].pop(follower, None)

    def of(self, fact: Fact) -> list[Follower]:
        """Return the followers of a fact, each once, those of its execution first."""
        kind = type(fact)
        found = []
        concerned = self._by_execution.get(fact.execution_id)
        if concerned:
            found += [follower for follower, kinds in concerned.items() if kinds is None or kind in kinds]
        found += self._by_kind.get(kind, ())
        found += self._by_kind.get(None, ())
        return found

    def attended(self, execution_id: str) -> bool:
        """Whether an execution has a follower of its own."""
        return execution_id in self._by_execution

    def note(self, fact: Fact) -> None:
        """Remember executions that are over: their followers will stop, and no fact will show it."""
        if isinstance(fact, ExecutionClosed) and fact.execution_id in self._by_execution:
            self._closed.append(fact.execution_id)
            self._newly_closed += 1

    def sweep(self) -> list[Follower]:
        """Return followers of closed executions that have stopped; a few are looked at each time."""
        gone: list[Follower] = []
        for _ in range(min(len(self._closed), 2 * self._newly_closed + 1)):
            execution = self._closed.popleft()
            followers = self._by_execution.get(execution, {})
            stopped = [follower for follower in followers if _has_stopped(follower)]
            gone += stopped
            if len(stopped) < len(followers):
                self._closed.append(execution)
        self._newly_closed = 0
        return gone


def _has_stopped(follower: Follower) -> bool:
    return isinstance(follower, pykka.ActorRef) and not follower.is_alive()
