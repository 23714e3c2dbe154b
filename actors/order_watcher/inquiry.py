"""What is asked about the unknown orders of one symbol, and when: one set of questions serves all.

While nothing can be proven only positive evidence counts, and it is searched for as cheaply as it can
be found in time: single orders, and the list of all. What a proof counts is asked on every path.

Answers must be told apart by when they were asked for: one that was on its way before the fence says
nothing about what happened after it. So each question is asked through an `Asker`, which knows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from actors.order_watcher.proof import Moment, Proof
from actors.runtime import Timer
from messages.frozen import dataclass
from messages.order import QueryAnswer
from messages.refs import Tells

T = TypeVar("T")

_ROUNDING = 1e-6

FIRST_GAPS_SECONDS = (0.25, 0.5, 1.0)
GAP_SECONDS = 1.75
"""What the venue shows is to be found within 2 s, the way there and back included."""

DEAF_GAPS_SECONDS: tuple[tuple[float, float], ...] = ((600.0, 30.0), (180.0, 10.0))
"""After so many seconds in which every question failed: the gap between two rounds, until one is answered."""

ANSWER_SECONDS = 10.0
"""How long an answer is waited for before the question is put again."""

LIST_FROM_ROUND = 1
"""The first round asks for the order alone: most unknown orders are found at once."""

MOST_SINGLE = 5
"""Orders of a symbol that one round of a search asks for one by one; the list of all orders shows the others."""

SEARCH_WEIGHT_PER_SECOND = 60.0
"""What searches may use together of the venue's request weight: 6,000 a minute, for everything."""

ORDER_WEIGHT, LIST_WEIGHT = 4, 20


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


def search_gaps(counts: Sequence[int]) -> tuple[float, float]:
    """Return the seconds between two rounds of a search, and between two lists, that all of them can afford.

    `counts` are the unknown orders of each symbol that is searched. Single orders come first: what they
    leave of the weight is for the lists.
    """
    singles = ORDER_WEIGHT * sum(min(count, MOST_SINGLE) for count in counts)
    gap = max(GAP_SECONDS, singles / (SEARCH_WEIGHT_PER_SECOND * 2 / 3))
    left = SEARCH_WEIGHT_PER_SECOND - singles / gap
    return gap, max(gap, LIST_WEIGHT * len(counts) / left)


class Inquiry:
    """The rounds of questions about a symbol. Moments are monotonic seconds."""

    __slots__ = ("_asked", "_deaf_since", "_listed_at", "_next", "due", "round", "timer")

    def __init__(self) -> None:
        self.round = self._next = 0
        self._listed_at: float | None = None
        self.timer: Timer | None = None
        self.due = 0.0
        self._asked: dict[Hashable, float] = {}
        self._deaf_since: float | None = None

    def comes_by(self, moment: float) -> bool:
        """Whether the next round comes by then."""
        return self.timer is not None and self.timer.pending and self.due <= moment

    def turn_of(self, watches: Sequence[T]) -> list[T]:
        """Return those that this round of a search asks for one by one: all of few, of many each in its turn."""
        begin = self._next % max(1, len(watches))
        self._next = begin + MOST_SINGLE
        return [*watches[begin:], *watches[:begin]][:MOST_SINGLE]

    def wants_list(self, now: float, gap: float) -> bool:
        """Whether this round of a search asks for the list of all orders; no sooner than a gap after the last."""
        due = self._listed_at is None or now >= self._listed_at + gap - _ROUNDING
        if self.round < LIST_FROM_ROUND or not due:
            return False
        self._listed_at = now
        return True

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

    def answered(self, question: Hashable, asked: float, now: float, *, failed: bool) -> bool:
        """Note that the answer to a question put at `asked` has come; True if it ends a time in which few were put."""
        if self._asked.get(question) == asked:
            del self._asked[question]
        if failed:
            self._deaf_since = now if self._deaf_since is None else self._deaf_since
            return False
        slow = self._deaf_gap(now) is not None
        self._deaf_since = None
        return slow

    def _deaf_gap(self, now: float) -> float | None:
        if self._deaf_since is None:
            return None
        deaf = now - self._deaf_since
        return next((gap for from_, gap in DEAF_GAPS_SECONDS if deaf > from_), None)

    def gap(
        self,
        proofs: Sequence[Proof],
        moment: Moment | None,
        now: float,
        counting_gap: float,
        search_gap: float = GAP_SECONDS,
    ) -> float:
        """Return the seconds to the next round."""
        if (slow := self._deaf_gap(now)) is not None:
            return slow
        early = self.round < len(FIRST_GAPS_SECONDS)
        gap = FIRST_GAPS_SECONDS[self.round] if early else search_gap
        if moment is None:
            return gap
        if any(proof.counting and not proof.counted for proof in proofs):
            gap = min(gap, counting_gap)
        turns = [turn for proof in proofs if (turn := proof.next_turn(moment)) is not None]
        return min([gap, *turns])
