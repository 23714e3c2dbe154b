"""Which orders there are: the open ones, those that ended lately, and those that are not ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from actors.order_watcher.attempt import Life
from actors.order_watcher.ledger import Ledger
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
    ExecutionClosed,
    ExecutionCorrected,
    Fact,
    ForeignOrderSeen,
    SignalAccepted,
    TradeBooked,
    TradesSummed,
)
from messages.ids import parse_child_id
from messages.order import OrderSnapshot

DAY_MS = 86_400_000
"""How long an order that is believed absent is looked out for."""

K = TypeVar("K")
V = TypeVar("V")

REGISTER_FACTS: tuple[type[Fact], ...] = (
    SignalAccepted,
    ChildIntended,
    ChildNotSent,
    ChildCancelRequested,
    ChildAcknowledged,
    ChildRefused,
    ChildUnknown,
    ChildAbsent,
    TradeBooked,
    ChildClosed,
    AttemptReappeared,
    ForeignOrderSeen,
    ExecutionClosed,
    ExecutionCorrected,
    TradesSummed,
)
"""The kinds of facts that the register is made of."""


@dataclass(frozen=True, slots=True)
class _Total:
    filled: Decimal
    quote: Decimal
    asked: Decimal


class Register:
    """A fold of all facts about child orders. The last `remembered` that ended stay at hand.

    What is believed absent stays for a day besides, however many end meanwhile.
    """

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._open: dict[str, Ledger] = {}
        self._past: dict[str, Ledger] = {}
        self._absent: dict[str, Ledger] = {}
        self._open_by_symbol: dict[str, dict[str, Ledger]] = {}
        self._by_order: dict[tuple[str, int], str] = {}
        self._foreign: dict[tuple[str, int], None] = {}
        self._reported: dict[str, _Total] = {}
        self._last_trade: dict[str, int] = {}
        self._executions: dict[str, tuple[str, datetime]] = {}

    def get(self, client_order_id: str) -> Ledger | None:
        """Return the account of a child order that is open or ended lately."""
        known = self._open.get(client_order_id) or self._past.get(client_order_id)
        return known or self._absent.get(client_order_id)

    def open(self, client_order_id: str) -> Ledger | None:
        """Return the account of a child order of which nothing final is proven."""
        return self._open.get(client_order_id)

    def of_order(self, symbol: str, order_id: int) -> Ledger | None:
        """Return the account of the order that the venue knows by this number."""
        child = self._by_order.get((symbol, order_id))
        return None if child is None else self.get(child)

    def knows_order(self, symbol: str, order_id: int) -> bool:
        """Whether it is known whose the order is that the venue knows by this number."""
        return (symbol, order_id) in self._by_order or (symbol, order_id) in self._foreign

    def absent(self, now: float) -> list[ChildIntended]:
        """Return the intents of a day before `now` (ms since 1970) that are believed absent."""
        intents = [ledger.intent for ledger in self._absent.values()]
        return [intent for intent in intents if intent.request_timestamp + DAY_MS > now]

    @property
    def open_count(self) -> int:
        """How many child orders are open or unknown."""
        return len(self._open)

    def all_open(self) -> Iterator[Ledger]:
        """Return the open and unknown ones in the order of their intents."""
        yield from self._open.values()

    def open_of(self, symbol: str) -> tuple[Ledger, ...]:
        """Return the open and unknown ones of a symbol in the order of their intents."""
        return tuple(self._open_by_symbol.get(symbol, {}).values())

    @property
    def last_trades(self) -> dict[str, int]:
        """The highest trade id booked, by symbol."""
        return dict(self._last_trade)

    def last_trade(self, symbol: str) -> int | None:
        """Return the highest trade id booked on a symbol."""
        return self._last_trade.get(symbol)

    def accepted(self) -> dict[str, datetime]:
        """When the oldest execution without an end was accepted, of each symbol that has one."""
        oldest: dict[str, datetime] = {}
        for symbol, at in self._executions.values():
            oldest[symbol] = min(at, oldest.get(symbol, at))
        return oldest

    def foreign(self, order: OrderSnapshot) -> ForeignOrderSeen | None:
        """Return the fact that an order is not in this journal, None if that was told before."""
        if (order.symbol, order.order_id) in self._foreign:
            return None
        name = parse_child_id(order.client_order_id)
        return ForeignOrderSeen(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            order_id=order.order_id,
            side=order.side,
            quantity=order.quantity,
            status=order.status.value,
            ours=name is not None,
        )

    def with_corrections(self, facts: Iterable[Fact]) -> list[Fact]:
        """Put a correction behind each trade that comes after its execution's report."""
        result: list[Fact] = []
        totals: dict[str, _Total] = {}
        for fact in facts:
            result.append(fact)
            if not isinstance(fact, TradeBooked):
                continue
            before = totals.get(fact.execution_id) or self._reported.get(fact.execution_id)
            if before is None:
                continue
            total = _Total(before.filled + fact.quantity, before.quote + fact.quantity * fact.price, before.asked)
            totals[fact.execution_id] = total
            result.append(
                ExecutionCorrected(
                    execution_id=fact.execution_id,
                    client_order_id=fact.client_order_id,
                    total_filled=total.filled,
                    filled_quote=total.quote,
                    detail=f"trade {fact.trade_id} of order {fact.order_id} came to light after the report",
                )
            )
        return result

    def missed_by(self, closed: ExecutionClosed) -> ExecutionCorrected | None:
        """Return the correction of a report that was written while another trade of its children was being booked."""
        filled, quote, late = closed.report.total_filled, closed.report.filled_quote, ""
        for order in closed.report.orders:
            ledger = self.get(order.client_order_id)
            if ledger is not None and ledger.booked > order.executed_quantity:
                filled += ledger.booked - order.executed_quantity
                quote += ledger.booked_quote - order.executed_quote
                late = order.client_order_id
        if not late:
            return None
        return ExecutionCorrected(
            execution_id=closed.execution_id,
            client_order_id=late,
            total_filled=filled,
            filled_quote=quote,
            detail="trades came to light while the report was written",
        )

    def overfilled(self, execution_id: str) -> bool:
        """Whether an execution that has its report was filled above what was asked."""
        total = self._reported.get(execution_id)
        return total is not None and total.filled > total.asked

    def fold(self, fact: Fact) -> None:
        """Take in a fact."""
        match fact:
            case ChildIntended():
                self._enter(Ledger(fact))
            case SignalAccepted(symbol=symbol, accepted_at=at):
                self._executions[fact.execution_id] = symbol, at
            case ExecutionClosed(report=report):
                self._executions.pop(fact.execution_id, None)
                total = _Total(report.total_filled, report.filled_quote, report.quantity)
                self._keep(self._reported, fact.execution_id, total)
            case ExecutionCorrected(total_filled=filled, filled_quote=quote):
                before = self._reported.get(fact.execution_id)
                asked = filled if before is None else before.asked
                self._keep(self._reported, fact.execution_id, _Total(filled, quote, asked))
            case TradesSummed(last_trades=last_trades):
                for symbol, trade_id in last_trades:
                    self._last_trade[symbol] = max(self._last_trade.get(symbol, 0), trade_id)
            case ForeignOrderSeen(symbol=symbol, order_id=order_id):
                self._keep(self._foreign, (symbol, order_id), None)
            case (
                ChildNotSent()
                | ChildCancelRequested()
                | ChildAcknowledged()
                | ChildRefused()
                | ChildUnknown()
                | ChildAbsent()
                | TradeBooked()
                | ChildClosed()
                | AttemptReappeared()
            ):
                self._fold_child(fact, fact.client_order_id)
            case _:
                pass

    def _fold_child(self, fact: Fact, child: str) -> None:
        if isinstance(fact, TradeBooked):
            self._last_trade[fact.symbol] = max(self._last_trade.get(fact.symbol, 0), fact.trade_id)
        ledger = self.get(child)
        if ledger is None:
            return
        ledger.fold(fact)
        if isinstance(fact, ChildAcknowledged | AttemptReappeared):
            self._by_order[fact.symbol, fact.order_id] = child
        is_open = child in self._open
        if ledger.attempt.life.open and not is_open:
            self._past.pop(child, None)
            self._absent.pop(child, None)
            self._enter(ledger)
        elif is_open and not ledger.attempt.life.open:
            self._leave(ledger)

    def _enter(self, ledger: Ledger) -> None:
        child = ledger.intent.client_order_id
        self._open[child] = ledger
        self._open_by_symbol.setdefault(ledger.intent.symbol, {})[child] = ledger

    def _leave(self, ledger: Ledger) -> None:
        child = ledger.intent.client_order_id
        del self._open[child]
        del self._open_by_symbol[ledger.intent.symbol][child]
        self._past[child] = ledger
        if ledger.attempt.life is Life.ABSENT:
            self._look_out_for(ledger)
        while len(self._past) > self._remembered:
            forgotten = self._past.pop(next(iter(self._past)))
            order_id = forgotten.attempt.order_id
            if order_id is not None:
                self._by_order.pop((forgotten.intent.symbol, order_id), None)

    def _look_out_for(self, ledger: Ledger) -> None:
        self._absent[ledger.intent.client_order_id] = ledger
        old = ledger.intent.request_timestamp - DAY_MS
        for child in [child for child, other in self._absent.items() if other.intent.request_timestamp < old]:
            del self._absent[child]

    def _keep(self, table: dict[K, V], key: K, value: V) -> None:
        table[key] = value
        while len(table) > self._remembered:
            del table[next(iter(table))]
