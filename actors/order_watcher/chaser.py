"""The part of OrderWatcher that goes after open orders: it polls the silent ones, asks for what is missing of each,
and cancels until an end is read.

Which orders are silent and what to ask about them say the `Watches`; here are the messages and the timers.
"""

from __future__ import annotations

import math

from actors.order_watcher.attempt import TIMEOUT_CANCEL
from actors.order_watcher.ledger import Ledger
from actors.order_watcher.proof import BEFORE_TIMESTAMP_MS
from actors.order_watcher.register import Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.timers import Chase, Poll, TimedOut
from actors.order_watcher.watch import Watch, Watches, gap_before, order_question, trades_question
from actors.runtime import Runtime, Timer
from messages.ids import milliseconds
from messages.order import CancelChild, OpenOrdersFound, Query, QueryAllOrders, QueryAnswer, QueryOpenOrders, Relay
from messages.refs import Tells

SPARING_SECONDS = 60.0
"""For so long after a Retry-After questions that can wait are half as frequent: something had asked too much."""


class Chaser:
    """Watches open orders, in `watches`, and asks and cancels through `exchange`."""

    def __init__(
        self,
        settings: WatcherSettings,
        watches: Watches,
        register: Register,
        *,
        runtime: Runtime,
        me: Tells[Poll | Chase | TimedOut | QueryAnswer],
        exchange: Tells[Relay | CancelChild],
    ) -> None:
        self._settings, self._watches, self._register = settings, watches, register
        self._runtime, self._me, self._exchange = runtime, me, exchange
        self._polls: dict[str, Timer] = {}
        self._listed: dict[str, float] = {}
        self._sparing_until = -math.inf

    def spare_the_venue(self, seconds: float) -> None:
        """Ask half as often for a while: it will answer nobody for so many seconds."""
        self._sparing_until = max(self._sparing_until, self._runtime.now() + seconds + SPARING_SECONDS)

    def watch(self, ledger: Ledger, *, recovered: bool = False) -> Watch:
        """Begin to watch an open order; a `recovered` one was there before this run."""
        now = self._runtime.now()
        age = 0.0
        if recovered:
            wall = milliseconds(self._runtime.wall_time())
            age = max(0.0, (wall - ledger.intent.request_timestamp) / 1000)
        watch = Watch(ledger, now, recovered)
        # One that may rest is given its time on top: whoever placed it cancels it then.
        allowed = self._settings.timeout_seconds + float(ledger.intent.rest_seconds or 0)
        due = now + max(0.0, allowed - age)
        watch.deadline = self._runtime.tell_at(due, self._me, TimedOut(watch.child))
        self._watches.add(watch)
        self._schedule_poll(ledger.intent.symbol, now + self._poll_seconds)
        return watch

    # Polls ----------------------------------------------------------------------------------------

    @property
    def _poll_seconds(self) -> float:
        """How long silence is borne before it is asked about: twice as long after a limit was hit (protocol §11)."""
        seconds = self._settings.poll_interval_seconds
        return 2 * seconds if self._runtime.now() < self._sparing_until else seconds

    def _schedule_poll(self, symbol: str, due: float) -> None:
        timer = self._polls.get(symbol)
        if timer is None or not timer.pending:
            self._polls[symbol] = self._runtime.tell_at(due, self._me, Poll(symbol))

    def poll(self, symbol: str) -> None:
        """Ask for the open orders of a symbol if any has been silent for too long."""
        self._poll(symbol, silent_for=self._poll_seconds)

    def poll_all_at_once(self) -> None:
        """Ask for all that should be final by now: what the stream would have told may be lost."""
        for symbol in self._watches.symbols():
            self._poll(symbol, silent_for=0.0)

    def _poll(self, symbol: str, *, silent_for: float) -> None:
        now = self._runtime.now()
        silent = self._watches.silent(symbol, now, silent_for)
        for watch in silent:
            watch.polled = True
            watch.ledger.polls += 1
        if silent:
            self.ask_open_orders(symbol)
        due = self._watches.next_poll(symbol, now, self._poll_seconds)
        if due is not None:
            self._schedule_poll(symbol, due)

    def ask_open_orders(self, symbol: str) -> None:
        """Ask which orders of a symbol are open."""
        self._relay(QueryOpenOrders(symbol=symbol, reply_to=self._me))

    def polled(self, found: OpenOrdersFound) -> None:
        """Ask about those that should be listed and are not, and for the trades that are missing."""
        unlisted, lacking = self._watches.after_poll(found)
        for watch in unlisted:
            self._relay(order_question(watch.ledger, self._me))
        if unlisted or lacking:
            last = self._register.last_trade(found.symbol)
            self._relay(trades_question(found.symbol, last, (*unlisted, *lacking), self._me))

    def look_in_the_list(self, symbol: str) -> None:
        """Ask once a poll for all orders, as an order of which nobody has heard has not been shown by its own query."""
        now = self._runtime.now()
        if now < self._listed.get(symbol, -math.inf) + self._settings.poll_interval_seconds / 2:
            return
        self._listed[symbol] = now
        unheard = [watch.ledger.intent for watch in self._watches.of(symbol) if watch.ledger.attempt.order_id is None]
        since = min(intent.request_timestamp for intent in unheard) - BEFORE_TIMESTAMP_MS
        self._relay(QueryAllOrders(symbol=symbol, since=since, reply_to=self._me))

    # One order ------------------------------------------------------------------------------------

    def chase(self, watch: Watch, *, at_once: bool = False) -> None:
        """Ask about one order, at growing intervals, until nothing is missing of it."""
        if watch.chase is not None:
            return
        watch.round = 0
        watch.chase = self._runtime.tell_after(0.0 if at_once else gap_before(0), self._me, Chase(watch.child))

    def turn(self, child: str) -> None:
        """Put the questions of one round, and repeat a cancel of which no end was read."""
        watch = self._watches.get(child)
        if watch is None:
            return
        watch.chase = None
        questions = watch.questions(self._me)
        for question in questions:
            self._relay(question, urgent=True)
        wants_cancel = watch.wants_cancel and not watch.unknown  # Of an unknown one, the proof cancels.
        if wants_cancel and watch.cancelled_at + self._settings.cancel_repeat_seconds <= self._runtime.now():
            self._tell_cancel(watch)
        if questions or wants_cancel:
            watch.ledger.polls += bool(questions)
            watch.round += 1
            watch.chase = self._runtime.tell_after(gap_before(watch.round), self._me, Chase(child))

    def cancel(self, watch: Watch, reason: str) -> None:
        """Cancel an order, again and again until its final state is read."""
        watch.cancel_reason = reason
        if reason == TIMEOUT_CANCEL:  # The answer may come before the journal tells of the cancel.
            watch.ledger.attempt.cancelled_for_time = True
        self._tell_cancel(watch)
        self.chase(watch)

    def _tell_cancel(self, watch: Watch) -> None:
        assert watch.cancel_reason is not None
        intent = watch.ledger.intent
        watch.cancelled_at = self._runtime.now()
        self._runtime.send(
            self._exchange,
            CancelChild(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                order_id=watch.ledger.attempt.order_id,
                reason=watch.cancel_reason,
            ),
        )

    def cancel_failed(self, watch: Watch) -> None:
        """Read its end, whatever was said of the cancel, and cancel again what is still open."""
        if watch.cancel_reason is None and not watch.unknown:
            watch.cancel_reason, watch.cancelled_at = "repeated", self._runtime.now()
        self.chase(watch)

    def _relay(self, query: Query, *, urgent: bool = False) -> None:
        self._runtime.send(self._exchange, Relay(query=query, urgent=urgent))
