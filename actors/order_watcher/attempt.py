"""The life of a child order, from its intent to an end that is proven.

    INTENDED -> ACKED      the venue has it: a reply, a report, any answer that shows it
             -> REFUSED    the venue certainly did not take it
             -> NOT_SENT   not a byte of it left the house
             -> UNKNOWN    nobody knows: timeout, cut, 5xx, or a restart in between
    UNKNOWN  -> ACKED      any positive evidence, on any path
             -> ABSENT     only by proof
    ACKED    -> CLOSED     final at the venue, and its trades add up
    REFUSED, NOT_SENT, ABSENT -> ACKED   it was there after all

The cheapest mistake is to wait too long; the dearest is to believe too early that nothing happened.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from messages.control import InvariantBroken
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    Fact,
)

TIMEOUT_CANCEL = "timeout"
"""The reason of a cancel that the time-out caused; it makes the outcome TIMEOUT."""

FENCE_CANCEL = "fence"
"""The reason of a cancel that asks the engine whether an order is open that nobody has seen."""


class Life(StrEnum):
    """Where a child order stands, as far as is proven."""

    INTENDED = "INTENDED"
    UNKNOWN = "UNKNOWN"
    ACKED = "ACKED"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    ABSENT = "ABSENT"
    CLOSED = "CLOSED"

    @property
    def open(self) -> bool:
        """Whether the order may still trade as far as is proven."""
        return self in _OPEN

    @property
    def gone(self) -> bool:
        """Whether the order is believed never to have been at the venue."""
        return self in _GONE


_OPEN = frozenset({Life.INTENDED, Life.UNKNOWN, Life.ACKED})
_GONE = frozenset({Life.REFUSED, Life.NOT_SENT, Life.ABSENT})

STEPS: dict[type[Fact], tuple[frozenset[Life], Life]] = {
    ChildAcknowledged: (frozenset({Life.INTENDED, Life.UNKNOWN}), Life.ACKED),
    ChildRefused: (frozenset({Life.INTENDED, Life.UNKNOWN}), Life.REFUSED),
    ChildNotSent: (frozenset({Life.INTENDED, Life.UNKNOWN}), Life.NOT_SENT),
    ChildUnknown: (frozenset({Life.INTENDED}), Life.UNKNOWN),
    ChildAbsent: (frozenset({Life.UNKNOWN}), Life.ABSENT),
    ChildClosed: (frozenset({Life.ACKED}), Life.CLOSED),
    AttemptReappeared: (_GONE, Life.ACKED),
}
"""From where to where each kind of fact leads."""


class Attempt:
    """One child order's life: a fold of the facts about it."""

    __slots__ = ("cancelled_for_time", "cancels", "intent", "life", "order_id")

    def __init__(self, intent: ChildIntended) -> None:
        self.intent = intent
        self.life = Life.INTENDED
        self.order_id: int | None = None
        self.cancels = 0
        self.cancelled_for_time = False

    @property
    def rests(self) -> bool:
        """Whether an order of this kind stays in the book until it is filled or cancelled."""
        return self.intent.order_type == "LIMIT_MAKER" or self.intent.time_in_force == "GTC"

    def allows(self, kind: type[Fact]) -> bool:
        """Whether a fact of this kind may follow now."""
        return self.life in STEPS[kind][0]

    def unknown(self, detail: str) -> ChildUnknown | None:
        """Return the fact that nobody knows what became of it; None if something is known."""
        if not self.allows(ChildUnknown):
            return None
        return ChildUnknown(
            execution_id=self.intent.execution_id,
            client_order_id=self.intent.client_order_id,
            symbol=self.intent.symbol,
            detail=detail,
        )

    def absent(self, proof: str) -> ChildAbsent | None:
        """Return the fact that it was never executed; None if it is not unknown any more."""
        if not self.allows(ChildAbsent):
            return None
        return ChildAbsent(
            execution_id=self.intent.execution_id,
            client_order_id=self.intent.client_order_id,
            symbol=self.intent.symbol,
            proof=proof,
        )

    def refused(self, code: int, message: str, until: datetime | None = None) -> ChildRefused | None:
        """Return the fact that the venue did not take it; None if the venue is known to have it."""
        if not self.allows(ChildRefused):
            return None
        return ChildRefused(
            execution_id=self.intent.execution_id,
            client_order_id=self.intent.client_order_id,
            symbol=self.intent.symbol,
            code=code,
            message=message,
            until=until,
        )

    def not_sent(self, detail: str) -> ChildNotSent | None:
        """Return the fact that it never left the house; None if the venue is known to have it."""
        if not self.allows(ChildNotSent):
            return None
        return ChildNotSent(
            execution_id=self.intent.execution_id,
            client_order_id=self.intent.client_order_id,
            reason="NOT_SENT",
            detail=detail,
            source="venue",
        )

    def fold(self, fact: Fact) -> None:
        """Take in a fact about this child.

        Raises `InvariantBroken` if it must not follow what has happened before.
        """
        if isinstance(fact, ChildUnknown) and self.life is Life.NOT_SENT:
            return  # Another one wrote that it was kept back, and who wrote this had not heard of it yet.
        step = STEPS.get(type(fact))
        if step is not None:
            allowed, life = step
            if self.life not in allowed:
                raise InvariantBroken(f"{type(fact).__name__} of a child that is {self.life}: {fact!r}")
            self.life = life
        match fact:
            case ChildAcknowledged(order_id=order_id) | AttemptReappeared(order_id=order_id):
                self.order_id = order_id
            case ChildCancelRequested(reason=reason):
                self.cancels += 1
                self.cancelled_for_time |= reason == TIMEOUT_CANCEL
            case _:
                pass
