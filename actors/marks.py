"""The mid at moments to come: what a market did after a trade.

Nothing is watched more closely for it, and no timer runs: a moment's mid is the first that is seen at
or after it, within `LATE_SECONDS`, a little more than it takes for a symbol to be told that nobody waits
for. One that is seen later counts only if it is the one of before; else nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from heapq import heappop, heappush

from messages.market import MarkMids, MidsMarked

LATE_SECONDS = 1.25


@dataclass(slots=True, eq=False)
class _Asked:
    request: MarkMids
    mids: list[Decimal | None]
    left: int

    def answer(self) -> MidsMarked:
        return MidsMarked(number=self.request.number, mids=tuple(self.mids))


Answers = list[tuple[MarkMids, MidsMarked]]
"""What was asked, and the answer to it."""


class Marks:
    """Who asked for which moments. A quote costs nothing where none of its symbol is asked for."""

    def __init__(self) -> None:
        self._due: dict[str, list[tuple[float, int, int, _Asked]]] = {}
        self._of: dict[str, dict[int, _Asked]] = {}
        self._count = 0

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def ask(self, request: MarkMids) -> None:
        """Take a question; it is answered once."""
        asked = _Asked(request, [None] * len(request.moments), len(request.moments))
        self._of.setdefault(request.execution_id, {})[request.number] = asked
        heap = self._due.setdefault(request.symbol, [])
        for index, moment in enumerate(request.moments):
            self._count += 1
            heappush(heap, (moment, self._count, index, asked))

    def awaits(self, symbol: str) -> bool:
        """Tell whether anybody asks for moments of this symbol."""
        return symbol in self._due

    def see(self, symbol: str, mid: Decimal, standing: Decimal | None, now: float) -> Answers:
        """Take the mid seen at `now` (monotonic s), `standing` the one until then; return what is known whole."""
        heap, answers = self._due[symbol], []
        while heap and heap[0][0] <= now:
            moment, _, index, asked = heappop(heap)
            if not asked.left:
                continue  # Taken back.
            if now - moment <= LATE_SECONDS or mid == standing:
                asked.mids[index] = mid
            asked.left -= 1
            if not asked.left:
                self._forget(asked)
                answers.append((asked.request, asked.answer()))
        if not heap:
            del self._due[symbol]
        return answers

    def take_back(self, execution_id: str) -> Answers:
        """Let go of an execution's questions; return what is known of each."""
        taken = self._of.pop(execution_id, {}).values()
        for asked in taken:
            asked.left = 0  # What is left in the heap is passed over in its turn.
        return [(asked.request, asked.answer()) for asked in taken]

    def _forget(self, asked: _Asked) -> None:
        execution_id, number = asked.request.execution_id, asked.request.number
        del self._of[execution_id][number]
        if not self._of[execution_id]:
            del self._of[execution_id]
