"""What is under way: the executions let in and not yet closed, and what they hold. A pure fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from messages.facts import ExecutionAmended, ExecutionClosed, SignalAccepted, TradeBooked
from messages.market import SymbolRules
from messages.money import ZERO
from messages.signal import Side

REMEMBERED_ENDS = 10_000

_Lane = tuple[str, str, Side]
"""Account, symbol and side: what goes the same way."""


@dataclass(slots=True, eq=False)
class _Running:
    """One execution: its value when let in, what it has traded, and what it may still trade."""

    accepted: SignalAccepted
    notional: Decimal
    worst: Decimal
    day: date
    traded: Decimal = ZERO
    left: Decimal = ZERO


class Load:
    """Counts and adds up running executions. `max_deviation` (a fraction) gives their worst price."""

    def __init__(self, max_deviation: Decimal) -> None:
        self._max_deviation = max_deviation
        self._running: dict[str, _Running] = {}
        self._per_symbol: Counter[str] = Counter()
        self._per_lane: Counter[_Lane] = Counter()
        self._notional: dict[str, Decimal] = {}
        self._held: dict[tuple[str, Side], Decimal] = {}
        self._ended: dict[_Lane, datetime] = {}
        self._day = date.min
        self._of_day = ZERO

    # What happened ----------------------------------------------------------------------------

    def accept(self, accepted: SignalAccepted) -> None:
        """Add an execution."""
        worst = accepted.ask * (1 + self._max_deviation)
        day = accepted.accepted_at.astimezone(UTC).date()
        notional = accepted.quantity * accepted.arrival_price
        running = _Running(accepted, notional, worst, day)
        symbol = accepted.symbol
        self._running[accepted.execution_id] = running
        self._per_symbol[symbol] += 1
        self._per_lane[_lane(accepted)] += 1
        self._notional[symbol] = self._notional.get(symbol, ZERO) + notional
        self._hold(running, accepted.quantity)
        self._turn_to(day)
        if day == self._day:
            self._of_day += notional

    def book(self, trade: TradeBooked) -> None:
        """Release what a trade has used: the balances tell of it from now on."""
        running = self._running.get(trade.execution_id)
        if running is not None:
            running.traded += trade.quantity
            self._hold(running, max(running.left - trade.quantity, ZERO))

    def amend(self, amended: ExecutionAmended) -> None:
        """Hold more or less after an execution's quantity was changed."""
        running = self._running.get(amended.execution_id)
        if running is not None and amended.quantity is not None:
            self._hold(running, max(amended.quantity - running.traded, ZERO))

    def close(self, closed: ExecutionClosed, at: datetime) -> None:
        """Take an execution away; the day counts only what it filled from now on."""
        running = self._running.pop(closed.execution_id, None)
        if running is None:
            return
        accepted = running.accepted
        symbol, lane = accepted.symbol, _lane(accepted)
        self._hold(running, ZERO)
        self._per_symbol[symbol] -= 1
        self._notional[symbol] -= running.notional
        self._per_lane[lane] -= 1
        if not self._per_lane[lane]:
            del self._per_lane[lane]
        self._note_end(lane, at)
        if running.day == self._day:
            self._of_day += min(closed.report.filled_quote - running.notional, ZERO)

    # Questions --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Count the running executions."""
        return len(self._running)

    def __contains__(self, execution_id: object) -> bool:
        """Tell whether an execution is running."""
        return execution_id in self._running

    def accepted(self) -> Iterator[SignalAccepted]:
        """Go through the running executions in the order in which they were let in."""
        return (running.accepted for running in self._running.values())

    def of(self, execution_id: str) -> SignalAccepted | None:
        """Return what a running execution was accepted with."""
        running = self._running.get(execution_id)
        return None if running is None else running.accepted

    def progress(self, execution_id: str) -> tuple[Decimal, Decimal]:
        """Say how much of a running execution is filled, and of how much, in base units."""
        running = self._running[execution_id]
        return running.traded, running.traded + running.left

    def of_symbol(self, symbol: str) -> int:
        """Count the running executions of a symbol."""
        return self._per_symbol[symbol]

    def of_lane(self, account: str, symbol: str, side: Side) -> int:
        """Count the running executions of an account, symbol and side."""
        return self._per_lane[account, symbol, side]

    def notional(self, symbol: str) -> Decimal:
        """Add up the value at arrival of a symbol's running executions, in quote units."""
        return self._notional.get(symbol, ZERO)

    def of_day(self, now: datetime) -> Decimal:
        """Add up the value let in during the UTC day of `now`, in quote units."""
        self._turn_to(now.astimezone(UTC).date())
        return self._of_day

    def ended(self, account: str, symbol: str, side: Side) -> datetime | None:
        """Say when the last execution of an account, symbol and side closed."""
        return self._ended.get((account, symbol, side))

    def held(self, asset: str, rules: dict[str, SymbolRules]) -> Decimal:
        """Add up how much of an asset running executions may still spend, at their worst prices."""
        total = ZERO
        for (symbol, side), amount in self._held.items():
            of_symbol = rules.get(symbol)
            if of_symbol is not None and asset == (of_symbol.quote if side is Side.BUY else of_symbol.base):
                total += amount
        return total

    # Within -----------------------------------------------------------------------------------

    def _hold(self, running: _Running, left: Decimal) -> None:
        """Hold as much as `left` base units, in place of what was held before, may still spend."""
        accepted, more = running.accepted, left - running.left
        running.left = left
        key = accepted.symbol, accepted.side
        amount = more * running.worst if accepted.side is Side.BUY else more
        self._held[key] = self._held.get(key, ZERO) + amount

    def _note_end(self, lane: _Lane, at: datetime) -> None:
        self._ended.pop(lane, None)
        self._ended[lane] = at
        if len(self._ended) > REMEMBERED_ENDS:  # Account names are the senders' own.
            del self._ended[next(iter(self._ended))]

    def _turn_to(self, day: date) -> None:
        if day > self._day:
            self._day, self._of_day = day, ZERO


def _lane(accepted: SignalAccepted) -> _Lane:
    return accepted.signal.account, accepted.symbol, accepted.side
