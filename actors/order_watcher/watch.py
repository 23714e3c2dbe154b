"""Which open orders are silent, and what to ask about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actors.order_watcher.attempt import Life
from actors.order_watcher.ledger import Ledger
from actors.order_watcher.proof import BEFORE_TIMESTAMP_MS, Proof
from actors.order_watcher.settings import WatcherSettings
from actors.runtime import Timer
from messages.order import (
    OpenOrdersFound,
    Query,
    QueryAnswer,
    QueryOrder,
    QueryTrades,
)
from messages.refs import Tells

ROUNDING_SECONDS = 1e-6
GAPS_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
LAST_GAP_SECONDS = 30.0


def gap_before(round_: int) -> float:
    """Return the seconds to wait before the `round_`-th round of questions, the first being 0."""
    return GAPS_SECONDS[round_] if round_ < len(GAPS_SECONDS) else LAST_GAP_SECONDS


@dataclass(slots=True)
class Watch:
    """What only this run knows of an open order; moments are monotonic seconds.

    `polled`: it was open when the open orders were asked for. `ask_order`: its state is in doubt.
    `cancel_reason`: it is to be cancelled until its final state is read. `round`: how often it was
    asked for on its own, which the timer `chase` repeats. `proof` is what its absence takes, once
    its outcome is unknown. Since `missing_since` the venue says that it knows nothing of an order that it
    had acknowledged; `vanished`: that was told.
    """

    ledger: Ledger
    sent_at: float
    recovered: bool = False
    polled: bool = False
    ask_order: bool = False
    cancel_reason: str | None = None
    cancelled_at: float = 0.0
    round: int = 0
    chase: Timer | None = None
    deadline: Timer | None = None
    proof: Proof | None = None
    missing_since: float | None = None
    vanished: bool = False

    def proven_by(self, settings: WatcherSettings) -> Proof:
        """Return the proof of this order, begun when it is first asked for."""
        if self.proof is None:
            self.proof = Proof(self.ledger.intent, settings, None if self.recovered else self.sent_at)
        return self.proof

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what became of it."""
        return self.ledger.attempt.life is Life.UNKNOWN

    @property
    def child(self) -> str:
        """The client order id."""
        return self.ledger.intent.client_order_id

    @property
    def unsettled(self) -> bool:
        """Whether polls are to tell its state: not final, and not in the hands of the proof."""
        return not self.ledger.final and not self.unknown

    @property
    def wants_cancel(self) -> bool:
        """Whether it is to be cancelled and no final state of it was read yet."""
        return self.cancel_reason is not None and not self.ledger.final

    def questions(self, reply_to: Tells[QueryAnswer]) -> list[Query]:
        """Return what to ask about this order on its own, nothing if nothing is in doubt.

        About an order that may not be there at all, the inquiry of its symbol asks.
        """
        ledger, intent = self.ledger, self.ledger.intent
        asked: list[Query] = []
        if self.unknown:
            return asked
        if self.ask_order and not ledger.final:
            asked.append(order_question(ledger, reply_to))
        order_id = ledger.attempt.order_id
        if order_id is not None and (ledger.missing or (self.recovered and self.round == 0)):
            asked.append(QueryTrades(symbol=intent.symbol, order_id=order_id, reply_to=reply_to))
        return asked

    def cancel_timers(self) -> None:
        """Let nothing more come due for this order."""
        for timer in (self.chase, self.deadline):
            if timer is not None:
                timer.cancel()


class Watches:
    """The watches of all open orders, in the order in which they began."""

    def __init__(self) -> None:
        self._all: dict[str, Watch] = {}
        self._by_symbol: dict[str, dict[str, Watch]] = {}

    def get(self, child: str) -> Watch | None:
        """Return the watch of an open order."""
        return self._all.get(child)

    def of(self, symbol: str) -> tuple[Watch, ...]:
        """Return the watches of a symbol's orders."""
        return tuple(self._by_symbol.get(symbol, {}).values())

    def unknown_of(self, symbol: str) -> list[Watch]:
        """Return the watches of a symbol's orders whose outcome is unknown."""
        return [watch for watch in self.of(symbol) if watch.unknown]

    def symbols(self) -> Iterator[str]:
        """Return the symbols that have an open order."""
        return iter([symbol for symbol, watches in self._by_symbol.items() if watches])

    def add(self, watch: Watch) -> None:
        """Begin a watch."""
        self._all[watch.child] = watch
        self._by_symbol.setdefault(watch.ledger.intent.symbol, {})[watch.child] = watch

    def end(self, child: str) -> None:
        """End a watch and its timers."""
        watch = self._all.pop(child)
        del self._by_symbol[watch.ledger.intent.symbol][child]
        watch.cancel_timers()

    def silent(self, symbol: str, now: float, seconds: float) -> list[Watch]:
        """Return the orders of which a final state should be known after so many seconds, but isn't."""
        return [
            watch for watch in self.of(symbol) if watch.unsettled and watch.sent_at + seconds <= now + ROUNDING_SECONDS
        ]

    def next_poll(self, symbol: str, now: float, interval: float) -> float | None:
        """Return when to look for silent orders of a symbol again; None when none is open."""
        watches = self.of(symbol)
        if not watches:
            return None
        young = (watch.sent_at + interval for watch in watches if watch.unsettled)
        return min([now + interval, *(due for due in young if due > now + ROUNDING_SECONDS)])

    def after_poll(self, found: OpenOrdersFound) -> tuple[list[Watch], list[Watch]]:
        """Return the polled orders that are not listed as open, and those that lack trades."""
        listed = {order.client_order_id for order in found.orders}
        unlisted, lacking = [], []
        for watch in self.of(found.symbol):
            if not watch.polled:
                continue
            watch.polled = False
            if watch.child not in listed and not watch.ledger.final:
                unlisted.append(watch)
            elif watch.ledger.missing:
                lacking.append(watch)
        return unlisted, lacking


def order_question(ledger: Ledger, reply_to: Tells[QueryAnswer]) -> QueryOrder:
    """Return the question for one order's state."""
    intent = ledger.intent
    return QueryOrder(
        symbol=intent.symbol,
        client_order_id=intent.client_order_id,
        order_id=ledger.attempt.order_id,
        reply_to=reply_to,
    )


def trades_question(
    symbol: str, last_trade: int | None, watches: Iterable[Watch], reply_to: Tells[QueryAnswer]
) -> QueryTrades:
    """Return the one question for the trades of several orders: all after the last one booked."""
    if last_trade is not None:
        return QueryTrades(symbol=symbol, from_id=last_trade + 1, reply_to=reply_to)
    since = min(watch.ledger.intent.request_timestamp for watch in watches) - BEFORE_TIMESTAMP_MS
    return QueryTrades(symbol=symbol, since=since, reply_to=reply_to)
