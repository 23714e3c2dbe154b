"""The part of OrderWatcher that looks out for orders which are believed absent: one may appear after all."""

from __future__ import annotations

from collections.abc import Callable

from actors.order_watcher.proof import BEFORE_TIMESTAMP_MS
from actors.order_watcher.register import Register
from actors.order_watcher.timers import Sweep
from actors.runtime import Runtime, Timer
from messages.order import Query, QueryAllOrders, QueryAnswer, QueryOpenOrders
from messages.refs import Tells

FIRST_SWEEP_SECONDS, LONGEST_SWEEP_SECONDS = 10.0, 600.0


class Absentees:
    """Asks for them through `relay`, at growing intervals, for as long as the register keeps them in mind."""

    def __init__(
        self,
        register: Register,
        *,
        runtime: Runtime,
        me: Tells[Sweep | QueryAnswer],
        relay: Callable[[Query], None],
        venue_now: Callable[[], float],
    ) -> None:
        self._register, self._runtime, self._me = register, runtime, me
        self._relay, self._venue_now = relay, venue_now
        self._timer: Timer | None = None

    def look_out(self, wait: float = FIRST_SWEEP_SECONDS, delay: float | None = None) -> None:
        """Sweep after `delay` seconds, else after `wait`, from which the intervals grow."""
        if self._register.absent(self._venue_now()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._runtime.tell_after(wait if delay is None else delay, self._me, Sweep(wait))

    def sweep(self, wait: float) -> None:
        """Ask for the open and for all orders of each symbol that has an absent one."""
        since: dict[str, int] = {}
        for intent in self._register.absent(self._venue_now()):
            since[intent.symbol] = min(intent.request_timestamp, since.get(intent.symbol, intent.request_timestamp))
        for symbol, oldest in since.items():
            self._relay(QueryOpenOrders(symbol=symbol, reply_to=self._me))
            self._relay(QueryAllOrders(symbol=symbol, since=oldest - BEFORE_TIMESTAMP_MS, reply_to=self._me))
        self.look_out(min(2 * wait, LONGEST_SWEEP_SECONDS))
