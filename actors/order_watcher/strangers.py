"""The part of OrderWatcher that deals with orders the journal does not know: of somebody else, too early, or lost.

What is said of an order of ours may come before the journal tells of its intent: it is kept for a while. If nothing
comes then, the journal has lost it, and ExchangeActor is asked to adopt it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.order_watcher.rebuild import Rebuild
from actors.order_watcher.register import Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.timers import EarlyOver, Recheck
from actors.runtime import Runtime, Timer
from messages.facts import Fact
from messages.ids import parse_child_id
from messages.order import Acknowledged, AdoptChild, CancelReply, OrderReply, OrderReport, OrderSnapshot
from messages.refs import Tells

MOST_EARLY = 1_000
STRANGER_SECONDS = 5.0

Word = OrderReply | CancelReply | OrderReport


@dataclass(slots=True)
class _Early:
    """What was said of an own order before the journal told of it."""

    timer: Timer
    said: list[OrderReply | OrderReport] = field(default_factory=list)


class Strangers:
    """Keeps early words, has lost orders adopted through `exchange`, and tells of foreign ones by `append`."""

    def __init__(
        self,
        settings: WatcherSettings,
        register: Register,
        rebuild: Rebuild,
        *,
        runtime: Runtime,
        me: Tells[EarlyOver | Recheck],
        exchange: Tells[AdoptChild],
        append: Callable[[Fact], None],
    ) -> None:
        self._settings, self._register, self._rebuild = settings, register, rebuild
        self._runtime, self._me, self._exchange, self._append = runtime, me, exchange, append
        self._early: dict[str, _Early] = {}
        self._rechecks: dict[str, Timer] = {}

    def take(self, child: str, word: OrderReply | OrderReport) -> None:
        """Take what is said of an order that the journal has not told of."""
        if not self._keep_early(child, word):
            self._take_stranger(word)

    def _keep_early(self, child: str, word: OrderReply | OrderReport) -> bool:
        """Keep what is said of an own order until the journal tells of it; False if it is not ours."""
        early = self._early.get(child)
        if early is None:
            if parse_child_id(child) is None or len(self._early) >= MOST_EARLY:
                return False
            wait = self._settings.early_seconds
            early = _Early(self._runtime.tell_after(wait, self._me, EarlyOver(child)))
            self._early[child] = early
        early.said.append(word)
        return True

    def known_now(self, child: str) -> list[OrderReply | OrderReport]:
        """Return what was said of an order before its intent, now that the journal has told of it."""
        early = self._early.pop(child, None)
        if early is None:
            return []
        early.timer.cancel()
        return early.said

    def unknown_still(self, child: str) -> None:
        """Take an order for a stranger: the journal had time enough to tell of it."""
        early = self._early.pop(child, None)
        for word in [] if early is None else early.said:
            self._take_stranger(word)

    def _take_stranger(self, word: OrderReply | OrderReport) -> None:
        match word:
            case OrderReport(order=order) | Acknowledged(order=order):
                self.tell_of(order)
            case _:
                pass  # No order came of it.

    def tell_of(self, order: OrderSnapshot) -> None:
        """Journal an order that is not known, once, and have it adopted if it is one of ours."""
        if self._rebuild.take(order):
            self._exchange.tell(AdoptChild(order=order, rebuilding=True))
        if self._rebuild.going_on and parse_child_id(order.client_order_id) is not None:
            return
        fact = self._register.foreign(order)
        if fact is not None:
            self._append(fact)
        ours = parse_child_id(order.client_order_id)
        if ours is None or self._register.get(order.client_order_id) is not None:
            return
        if fact is None and order.status.final:
            return  # All that could be done about it was done.
        self._exchange.tell(AdoptChild(order=order))
        timer = self._rechecks.get(order.symbol)
        if not order.status.final and (timer is None or not timer.pending):
            message = Recheck(order.symbol)
            self._rechecks[order.symbol] = self._runtime.tell_after(STRANGER_SECONDS, self._me, message)
