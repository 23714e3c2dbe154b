"""A Journal on a memory store, with a parent and a writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from actors.journal import Journal
from actors.retention import RetentionSettings
from adapters.storage.memory import MemoryStore
from messages.control import ActorReady, Append, Committed, Follow
from messages.facts import EpochStarted, ExecutionPaused, Fact
from tests.factories import EXECUTION, NOW
from tests.probe import Probe

OTHER = "zyxwvutsrq765"
ID = "journal-in-memory"
Probes = Callable[[str], Probe]


def epoch(number: int) -> EpochStarted:
    return EpochStarted(epoch=number, journal_id=ID, mode="paper", version="1")


def paused(number: int, execution: str = EXECUTION) -> ExecutionPaused:
    return ExecutionPaused(execution_id=execution, detail=str(number))


class House:
    """A journal on a memory store, with a parent and a writer."""

    def __init__(
        self,
        a_probe: Probes,
        *old: Fact,
        store: MemoryStore | None = None,
        retention: RetentionSettings | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        if old:
            self.store.append([Committed(seq, NOW, fact) for seq, fact in enumerate(old, 1)])
            self.store.appends = 0
        self.parent = a_probe("parent")
        self.writer = a_probe("writer")
        self.ref: pykka.ActorRef[Journal] = Journal.start(
            self.parent.ref, "journal", store=self.store, retention=retention
        )
        self.parent.expect(ActorReady("journal"))

    def append(self, *facts: Fact, writer: Probe | None = None) -> None:
        self.ref.tell(Append(facts, NOW, (writer or self.writer).ref))

    def follow(self, follower: Probe, *kinds: type[Fact], execution: str | None = None, after: int = 0) -> None:
        follow = Follow(follower=follower.ref, kinds=kinds or None, execution_id=execution, after=after)
        self.ref.tell(follow)


def news(probe: Probe) -> list[Any]:
    """What the probe was told, facts by their numbers."""
    return [message.seq if isinstance(message, Committed) else message for message in probe.messages()]


def read_of(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Of which executions the store is read from now on, in order."""
    asked: list[str | None] = []
    read = store.read

    def noted(
        after: int = 0, kinds: Any = None, execution_id: str | None = None, *, archived: bool = True
    ) -> Iterator[Committed]:
        asked.append(execution_id)
        return read(after, kinds, execution_id, archived=archived)

    monkeypatch.setattr(store, "read", noted)
    return asked
