"""What the due children of executions wait for, said to whoever shows it; nobody needs it to trade."""

from __future__ import annotations

from actors.bounds import Breach
from messages.execution import AtTheDoor, Hindrance, Holds, WaitsFor
from messages.order import Decline
from messages.refs import Tells

HINDRANCES: dict[Decline, AtTheDoor] = {
    Decline.SYMBOL_STATUS: "symbol status",
    Decline.BALANCE: "balance",
    Decline.BUDGET: "request budget",
    Decline.RATE_LIMITED: "rate limit",
    Decline.CLOCK: "clock",
    Decline.HALTED: "halt",
    Decline.DRAINING: "start or stop",
    Decline.NOT_READY: "start or stop",
}
"""What a child waits for that ExchangeActor has declined; any other decline is over in a moment, or for good."""


class Lookout:
    """Says when what an execution waits for changes, and when it waits for nothing more; without a listener, nothing.

    `by` is the actor that looks: what one says takes back nothing that another has said.
    """

    def __init__(self, listener: Tells[WaitsFor] | None, by: Holds) -> None:
        self._listener, self._by = listener, by
        self._said: dict[str, tuple[Hindrance, str]] = {}

    def held(self, execution_id: str, hindrance: Hindrance, detail: str = "") -> None:
        """It waits for this."""
        if self._listener is None or self._said.get(execution_id) == (hindrance, detail):
            return
        self._said[execution_id] = hindrance, detail
        self._listener.tell(WaitsFor(execution_id=execution_id, by=self._by, hindrance=hindrance, detail=detail))

    def judged(self, execution_id: str, breach: Breach | None, *, early: bool) -> None:
        """Its bounds do not hold; or they do, and a quote that is new or the pressure is still waited for."""
        if breach is not None:
            self.held(execution_id, breach.guard, breach.detail)
        else:
            self.held(execution_id, "fresh quote" if early else "timing")

    def free(self, execution_id: str) -> None:
        """It waits for nothing more here."""
        if self._said.pop(execution_id, None) is not None and self._listener is not None:
            self._listener.tell(WaitsFor(execution_id=execution_id, by=self._by, hindrance=None))
