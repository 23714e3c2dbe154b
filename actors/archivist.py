"""The journal's housekeeping: one look at the facts at hand, then what no start needs goes to the archive.

In slices so small that no append waits for one longer than for another commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from actors.retention import Retention
from messages.control import Committed
from messages.facts import Fact

LOOK_SLICE = 100
"""Facts that are looked at in one turn: 2 ms."""

MOVE_SLICE = 100
"""Facts that are moved in one turn, but for an execution that has more: some ms."""


class Round:
    """One look and one move. `facts` are those at hand, up to and including `until` and maybe more."""

    def __init__(self, retention: Retention, facts: Iterator[Committed], until: int) -> None:
        self._retention, self._facts, self._until = retention, facts, until
        self._batches: Iterator[list[int]] | None = None
        self.moved = 0

    def touch(self, fact: Fact) -> None:
        """Note a fact that is appended meanwhile."""
        self._retention.touch(fact)

    def look(self) -> bool:
        """Look at a few more facts; return whether there are more. Raises what reading raises."""
        if self._batches is not None:
            return False
        for committed in islice(self._facts, LOOK_SLICE):
            if committed.seq <= self._until:
                self._retention.take(committed)
            if committed.seq >= self._until:
                break
        else:
            return True
        self._batches = self._retention.batches()
        return False

    def next_move(self) -> list[int]:
        """Return the numbers of what may be moved next, nothing when the round is over."""
        assert self._batches is not None, "everything must be looked at first"
        seqs: list[int] = []
        for batch in self._batches:
            seqs += batch
            if len(seqs) >= MOVE_SLICE:
                break
        self.moved += len(seqs)
        return seqs
