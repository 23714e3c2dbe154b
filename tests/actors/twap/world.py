"""An execution and the facts that happen to it, for tests without actors."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from actors.twap.execution import Execution, Serve, Skip, Step
from actors.twap.measures import child_report
from messages.execution import ChildOutcome, ChildReport, Plan
from messages.facts import (
    ChildAbsent,
    ChildClosed,
    ChildIntended,
    ChildRefused,
    ChildUnknown,
    ExecutionPlanned,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    SlotSkipped,
    TradeBooked,
)
from messages.ids import child_id
from tests.factories import EXECUTION, NOW, D, a_plan, an_accepted, an_intent

PRICE = D(42_000)


def after(seconds: float | Decimal) -> datetime:
    """A moment so many seconds after the schedule's start."""
    return NOW + timedelta(seconds=float(seconds))


class World:
    """Folds facts into an execution, keeps them, and plays ExchangeActor and OrderWatcher."""

    def __init__(self, accepted: SignalAccepted | None = None, **plan: Any) -> None:
        self.accepted = accepted or an_accepted()
        self.execution = Execution(self.accepted, "BTC", "USDT")
        self.facts: list[tuple[Fact, datetime]] = []
        self.trades = 0
        planned = ExecutionPlanned(
            execution_id=EXECUTION, symbol="BTCUSDT", side=self.accepted.side, plan=a_plan(**plan)
        )
        self.add(planned, NOW)
        self.add(ExecutionStarted(execution_id=EXECUTION, incarnation=1), NOW)

    @property
    def plan(self) -> Plan:
        assert self.execution.plan is not None
        return self.execution.plan

    def add(self, fact: Fact, at: datetime) -> None:
        self.facts.append((fact, at))
        self.execution.fold(fact, at)

    def next(self, seconds: float | Decimal) -> Step:
        return self.execution.next(after(seconds))

    def serve(self, seconds: float | Decimal) -> Serve:
        """What is to be served, overdue slots being skipped as the actor would."""
        while isinstance(step := self.next(seconds), Skip):
            self.add(
                SlotSkipped(
                    execution_id=EXECUTION,
                    slice=step.slot,
                    quantity=step.quantity,
                    reason=step.reason,
                    detail=step.detail,
                ),
                after(seconds),
            )
        assert isinstance(step, Serve), step
        return step

    def skip(self, slot: int, seconds: float, reason: str = "STALE_MARKET", *, waited: str = "0") -> None:
        self.add(
            SlotSkipped(
                execution_id=EXECUTION,
                slice=slot,
                quantity=D(0),
                reason=reason,
                detail="of a test",
                waited_seconds=D(waited),
            ),
            after(seconds),
        )

    def intend(self, slot: int, quantity: str | Decimal, seconds: float | Decimal, **changes: Any) -> str:
        attempt = self.execution.next_attempt(slot)
        name = child_id("p", EXECUTION, slot, attempt)
        intent: ChildIntended = an_intent(client_order_id=name, slice=slot, attempt=attempt, quantity=D(quantity))
        self.add(replace(intent, **changes), after(seconds))
        return name

    def trade(self, name: str, quantity: str | Decimal, seconds: float | Decimal = 0, **changes: Any) -> None:
        self.trades += 1
        trade = TradeBooked(
            execution_id=EXECUTION,
            client_order_id=name,
            symbol="BTCUSDT",
            side=self.accepted.side,
            order_id=1001,
            trade_id=self.trades,
            price=PRICE,
            quantity=D(quantity),
            commission=D(0),
            commission_asset="USDT",
            maker=False,
            trade_time=after(seconds),
            source="stream",
        )
        self.add(replace(trade, **changes), after(seconds))

    def close(
        self, name: str, outcome: ChildOutcome = ChildOutcome.FILLED, seconds: float | Decimal = 0, **changes: Any
    ) -> None:
        child = self.execution.children[name]
        closed = ChildClosed(
            execution_id=EXECUTION,
            client_order_id=name,
            symbol="BTCUSDT",
            order_id=1001,
            status="FILLED" if outcome is ChildOutcome.FILLED else "EXPIRED",
            outcome=outcome,
            executed_quantity=child.executed,
            executed_quote=child.executed_quote,
            polls=0,
            failure_reason=None,
        )
        self.add(replace(closed, **changes), after(seconds))

    def fill(
        self, slot: int, quantity: str | Decimal, seconds: float | Decimal, *, filled: str | Decimal | None = None
    ) -> str:
        """A whole child: intended, traded (wholly unless `filled` says how much), closed."""
        name = self.intend(slot, quantity, seconds)
        executed = D(quantity) if filled is None else D(filled)
        if executed:
            self.trade(name, executed, seconds)
        outcome = ChildOutcome.FILLED if executed == D(quantity) else ChildOutcome.PARTIAL
        self.close(name, outcome if executed else ChildOutcome.FAILED, seconds)
        return name

    def told(self, name: str) -> ChildReport:
        """A child's line in the report."""
        return child_report(self.execution.children[name], self.accepted.side, self.accepted.arrival_price)

    def refolded(self) -> Execution:
        """Another execution that folds the same facts."""
        again = Execution(self.accepted, "BTC", "USDT")
        for fact, at in self.facts:
            again.fold(fact, at)
        return again


def quantity(world: World, slot: int) -> Decimal:
    return world.execution.child_quantity(slot, PRICE, None)


def refused(name: str, code: int = -1021, message: str = "Timestamp outside of recvWindow") -> ChildRefused:
    return ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=code, message=message)


def unknown(name: str) -> ChildUnknown:
    return ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="timeout")


def absent(name: str) -> ChildAbsent:
    return ChildAbsent(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", proof="seen nowhere")
