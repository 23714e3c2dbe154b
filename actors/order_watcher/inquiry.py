"""What is asked about the unknown orders of one symbol, and when: one set of questions serves all.

Answers must be told apart by when they were asked for: one that was on its way before the fence says
nothing about what happened after it. So each question is asked through an `Asker`, which knows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from actors.order_watcher.proof import Moment, Proof
from actors.runtime import Timer
from messages.order import QueryAnswer
from messages.refs import Tells

FIRST_GAPS_SECONDS = (0.25, 0.5, 1.0)
GAP_SECONDS = 2.0
LATE_GAPS_SECONDS: tuple[tuple[float, float], ...] = ((600.0, 30.0), (180.0, 10.0))
"""From an age in seconds on: the gap between two rounds. What could be proven was proven before."""

ANSWER_SECONDS = 10.0
"""How long an answer is waited for before the question is put again."""

FULL_FROM_ROUND = 2
"""The first rounds ask for the order alone: most unknown orders are found at once."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a question of the proof: asked at `asked`, looking back to `since` (ms since 1970)."""

    asked: Moment
    since: int | None
    answer: QueryAnswer


@dataclass(frozen=True, slots=True)
class Asker:
    """Stands for an actor in a question, and tells it with the answer when that was asked for."""

    whom: Tells[Answered]
    asked: Moment
    since: int | None = None

    def tell(self, message: QueryAnswer, /) -> None:
        """Hand the answer on."""
        self.whom.tell(Answered(self.asked, self.since, message))


class Inquiry:
    """The rounds of questions about a symbol. Moments are monotonic seconds."""

    __slots__ = ("_asked", "round", "timer")

    def __init__(self) -> None:
        self.round = 0
        self.timer: Timer | None = None
        self._asked: dict[Hashable, float] = {}

    @property
    def full(self) -> bool:
        """Whether this round asks on every path."""
        return self.round >= FULL_FROM_ROUND

    def may_ask(self, question: Hashable, now: float, not_before: float | None = None) -> bool:
        """Whether to ask, and note that it is asked: unless an answer is under way that will do.

        An answer to a question put before `not_before` will not do.
        """
        asked = self._asked.get(question)
        outdated = asked is not None and not_before is not None and asked < not_before
        if asked is not None and not outdated and now < asked + ANSWER_SECONDS:
            return False
        self._asked[question] = now
        return True

    def answered(self, question: Hashable, asked: float) -> None:
        """Note that the answer to a question put at `asked` has come."""
        if self._asked.get(question) == asked:
            del self._asked[question]

    def gap(self, proofs: Sequence[Proof], moment: Moment | None, counting_gap: float) -> float:
        """Return the seconds to the next round."""
        early = self.round < len(FIRST_GAPS_SECONDS)
        gap = FIRST_GAPS_SECONDS[self.round] if early else GAP_SECONDS
        if moment is None:
            return gap
        age = min((moment.venue - proof.intent.request_timestamp) / 1000 for proof in proofs)
        if any(proof.counting and not proof.counted for proof in proofs):
            gap = min(gap, counting_gap)
        elif age > LATE_GAPS_SECONDS[-1][0]:
            gap = next(late for from_age, late in LATE_GAPS_SECONDS if age > from_age)
        turns = [turn for proof in proofs if (turn := proof.next_turn(moment)) is not None]
        return min([gap, *turns])
