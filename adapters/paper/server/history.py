"""What the server remembers of past events, for stale answers and lists of amendments."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from adapters.paper.records import AccountPosition, Event, Execution, OrderRecord
from adapters.paper.rules import text
from adapters.paper.server.replies import open_order_reply
from adapters.paper.shapes import Shape

REMEMBERED = 50_000
"""Events; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class _Amendment:
    execution: Execution
    quantity_before: str


class History:
    """Events of this life of the server, each with its time."""

    def __init__(self, open_at_start: list[OrderRecord], now: int) -> None:
        """Begin with the orders that were open already."""
        self.account_updated = now
        self._states: deque[tuple[int, OrderRecord]] = deque(((0, order) for order in open_at_start), REMEMBERED)
        self._amended: dict[tuple[str, int], list[_Amendment]] = {}
        self._quantities: dict[tuple[str, int], str] = {}

    def add(self, event: Event) -> None:
        """Remember an event."""
        match event:
            case AccountPosition():
                self.account_updated = event.at
            case Execution():
                order, key = event.order, (event.order.symbol, event.order.order_id)
                self._states.append((event.at, order))
                if event.execution_type == "REPLACED":
                    before = self._quantities.get(key, text(order.quantity))
                    self._amended.setdefault(key, []).append(_Amendment(event, before))
                if event.execution_type in {"NEW", "REPLACED"}:
                    self._quantities[key] = text(order.quantity)
                if order.status.final:
                    self._quantities.pop(key, None)

    def open_orders(self, symbol: str | None, until: int, unit: int) -> list[Shape]:
        """List the orders that were open at `until` (microseconds, exchange clock)."""
        latest: dict[tuple[str, int], OrderRecord] = {}
        for at, state in self._states:
            if at <= until and symbol in {None, state.symbol}:
                latest[state.symbol, state.order_id] = state
        return [open_order_reply(state, unit) for state in latest.values() if not state.status.final]

    def amendments(self, symbol: str, order_id: int, first: int, unit: int) -> list[Shape]:
        """List the amendments of an order from an execution id on, oldest first."""
        return [
            {
                "symbol": symbol,
                "orderId": order_id,
                "executionId": entry.execution.execution_id,
                "origClientOrderId": entry.execution.original_client_order_id,
                "newClientOrderId": entry.execution.client_order_id,
                "origQty": entry.quantity_before,
                "newQty": text(entry.execution.order.quantity),
                "time": entry.execution.at // unit,
            }
            for entry in self._amended.get((symbol, order_id), [])
            if entry.execution.execution_id >= first
        ]
