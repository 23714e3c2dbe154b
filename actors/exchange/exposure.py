"""How much of each execution is filled, open or in doubt: the guard against filling too much.

A child's whole quantity counts from its intent on, until something final is known of it. At every
intent, what is executed, open, unknown and asked for must fit into the execution's quantity.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionQuarantined,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    TradeBooked,
)
from messages.money import ZERO
from messages.order import Decline, PlaceChild

T = TypeVar("T")

REMEMBERED_ENDS = 10_000

EXPOSURE_FACTS: tuple[type[Fact], ...] = (
    SignalAccepted,
    ExecutionPlanned,
    ExecutionStarted,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionQuarantined,
    ExecutionClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ChildAbsent,
    TradeBooked,
    ChildClosed,
    AttemptReappeared,
)
"""The kinds of facts that exposure is made of."""


class Exposure:
    """What one execution may still send: a fold of its facts. Quantities in base units."""

    __slots__ = (
        "_counted",
        "_open",
        "_reported",
        "cancelled",
        "closed",
        "end_at",
        "incarnation",
        "quantity",
        "quarantined",
        "symbol",
    )

    def __init__(self, quantity: Decimal, symbol: str = "") -> None:
        self.quantity, self.symbol = quantity, symbol
        self.incarnation = 0
        self.end_at: datetime | None = None
        self.cancelled = self.closed = self.quarantined = False
        self._counted: dict[str, Decimal] = {}
        self._open: dict[str, ChildIntended] = {}
        self._reported: frozenset[str] = frozenset()

    @property
    def seen(self) -> frozenset[str]:
        """Every child that was intended, or that the report names."""
        return self._reported | frozenset(self._counted)

    @property
    def committed(self) -> Decimal:
        """What is executed, and what still may be: open and unknown children in full."""
        return sum(self._counted.values(), ZERO)

    @property
    def open_children(self) -> tuple[ChildIntended, ...]:
        """The children of which nothing final is known, in the order of their intents."""
        return tuple(self._open.values())

    @property
    def overfilled(self) -> bool:
        """Whether more is executed than was ever to be."""
        ended = (quantity for child, quantity in self._counted.items() if child not in self._open)
        return sum(ended, ZERO) > self.quantity

    def has_seen(self, client_order_id: str) -> bool:
        """Whether this child was ever intended."""
        return client_order_id in self._counted

    def intent_of(self, client_order_id: str) -> ChildIntended | None:
        """Return the intent of a child that may still trade as far as is known."""
        return self._open.get(client_order_id)

    def admits(self, place: PlaceChild, client_order_id: str) -> Decline | None:
        """Say why a child must not be intended; None if it may."""
        if place.incarnation < self.incarnation:
            return Decline.OLD_INCARNATION
        if self.has_seen(client_order_id):
            return Decline.SEEN
        if (ended := self._ended()) is not None:
            return ended
        if self.committed + place.quantity > self.quantity:
            return Decline.OVER_QUANTITY
        return None

    def still_admits(self, intent: ChildIntended) -> Decline | None:
        """Say why a child that is intended and counted must not be sent after all.

        Between the decision and its commit the execution may have been closed, cancelled, amended,
        or taken up by another incarnation.
        """
        if intent.incarnation < self.incarnation:
            return Decline.OLD_INCARNATION
        if (ended := self._ended()) is not None:
            return ended
        return Decline.OVER_QUANTITY if self.committed > self.quantity else None

    def fold(self, fact: Fact) -> None:
        """Take in a fact of this execution."""
        match fact:
            case ExecutionPlanned(plan=plan):
                self.quantity, self.end_at = min(self.quantity, plan.quantity), plan.end_at
            case ExecutionStarted(incarnation=incarnation):
                self.incarnation = max(self.incarnation, incarnation)
            case ExecutionAmended(quantity=quantity, end_at=end_at):
                self.quantity = self.quantity if quantity is None else quantity
                self.end_at = end_at or self.end_at
            case ExecutionCancelRequested() | ExecutionQuarantined():
                self.cancelled = True
                self.quarantined |= isinstance(fact, ExecutionQuarantined)
            case ExecutionClosed(report=report):
                self.closed = True
                self._reported = frozenset(order.client_order_id for order in report.orders)
            case ChildIntended(client_order_id=child):
                self._counted[child] = fact.quantity
                self._open[child] = fact
            case ChildNotSent() | ChildRefused() | ChildAbsent():
                self._end(fact.client_order_id, ZERO)
            case ChildClosed(client_order_id=child, executed_quantity=executed):
                self._end(child, executed)
            case TradeBooked(client_order_id=child, quantity=quantity) if child not in self._open:
                # A trade that comes to light after the child's end counts on top of what it had.
                self._counted[child] = self._counted.get(child, ZERO) + quantity
            case _:
                pass

    def reopen(self, intent: ChildIntended) -> None:
        """Count a child in full again: it was believed gone and has shown up."""
        self._counted[intent.client_order_id] = intent.quantity
        self._open[intent.client_order_id] = intent

    def _ended(self) -> Decline | None:
        if self.closed:
            return Decline.CLOSED
        return Decline.CANCELLED if self.cancelled else None

    def _end(self, child: str, executed: Decimal) -> None:
        self._open.pop(child, None)
        self._counted[child] = executed


class Exposures:
    """The exposure of every execution that is not over.

    An execution leaves memory when it is closed and none of its children is open; the last 10,000
    that left are remembered by name, and so are the intents that ended without being executed, in
    case one of them shows up.
    """

    def __init__(self, remembered: int = REMEMBERED_ENDS) -> None:
        self._remembered = remembered
        self._executions: dict[str, Exposure] = {}
        self._over: dict[str, frozenset[str]] = {}
        self._gone: dict[str, ChildIntended] = {}

    def __len__(self) -> int:
        return len(self._executions)

    def __getitem__(self, execution_id: str) -> Exposure:
        return self._executions[execution_id]

    def get(self, execution_id: str) -> Exposure | None:
        """Return the exposure of an execution that is not over."""
        return self._executions.get(execution_id)

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that are worked on, each once."""
        return tuple(dict.fromkeys(exposure.symbol for exposure in self._executions.values()))

    def admits(self, place: PlaceChild, client_order_id: str) -> Decline | None:
        """Say why a child must not be intended; None if it may."""
        if (exposure := self._executions.get(place.execution_id)) is not None:
            return exposure.admits(place, client_order_id)
        return Decline.CLOSED if place.execution_id in self._over else Decline.UNKNOWN_EXECUTION

    def knows(self, execution_id: str) -> bool:
        """Whether such an execution runs, or ended lately."""
        return execution_id in self._executions or execution_id in self._over

    def has_seen(self, execution_id: str, client_order_id: str) -> bool:
        """Whether this child was ever intended, as far as is remembered."""
        exposure = self._executions.get(execution_id)
        if exposure is not None and exposure.has_seen(client_order_id):
            return True
        return client_order_id in self._over.get(execution_id, ())

    def open_children(self) -> Iterator[ChildIntended]:
        """Return every child of which nothing final is known."""
        for exposure in self._executions.values():
            yield from exposure.open_children

    def fold(self, fact: Fact) -> None:
        """Take in a fact; kinds that say nothing of exposure are left aside."""
        execution_id = fact.execution_id
        if isinstance(fact, SignalAccepted):
            # Its first child may have been decided on, and counted here, while this was on its way to the disk.
            self._executions.setdefault(execution_id, Exposure(fact.quantity, fact.symbol))
            return
        exposure = self._executions.get(execution_id)
        if isinstance(fact, AttemptReappeared):
            intent = self._gone.pop(fact.client_order_id, None)
            if intent is not None:
                if exposure is None:
                    exposure = self._executions[execution_id] = Exposure(ZERO, intent.symbol)
                    exposure.closed = True
                exposure.reopen(intent)
            return
        if exposure is None:
            return
        if isinstance(fact, ChildNotSent | ChildRefused | ChildAbsent):
            self._remember(exposure, fact.client_order_id)
        exposure.fold(fact)
        if exposure.closed and not exposure.open_children:
            del self._executions[execution_id]
            seen = exposure.seen | self._over.get(execution_id, frozenset())
            _keep(self._over, execution_id, seen, self._remembered)

    def _remember(self, exposure: Exposure, client_order_id: str) -> None:
        if (intent := exposure.intent_of(client_order_id)) is not None:
            _keep(self._gone, client_order_id, intent, self._remembered)


def _keep(table: dict[str, T], key: str, value: T, most: int) -> None:
    table[key] = value
    while len(table) > most:
        del table[next(iter(table))]
