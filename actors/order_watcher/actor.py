"""The one who knows what happened to each order: replies, user stream and polls come together here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from actors.follower import Follower
from actors.order_watcher.attempt import TIMEOUT_CANCEL, Life
from actors.order_watcher.ledger import Ledger
from actors.order_watcher.outcomes import Effect, effect_of
from actors.order_watcher.proof import Proof, gap_before
from actors.order_watcher.register import REGISTER_FACTS, Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.watch import Watch, Watches, order_question, trades_question
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from messages.control import (
    ActorReady,
    CaughtUp,
    Committed,
    FactNews,
    JournalCommand,
    Ping,
    Pong,
    ReportSettled,
    Settled,
)
from messages.facts import ChildIntended, ChildNotSent, Fact, StreamGap
from messages.ids import milliseconds, parse_child_id
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    CancelChild,
    CancelFailed,
    CancelReply,
    NotSent,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OrderReply,
    OrderReport,
    OrderSnapshot,
    OutcomeUnknown,
    Query,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    QueryTrades,
    Refused,
    Relay,
    RulesFound,
    Source,
    StreamCut,
    StreamOpened,
    TimeFound,
    Trade,
    TradesFound,
    UserEvent,
)
from messages.refs import Tells

NOT_OPEN = -2011
MOST_EARLY = 1_000


@dataclass(frozen=True, slots=True)
class _Poll:
    """Time to see which orders of a symbol are silent."""

    symbol: str


@dataclass(frozen=True, slots=True)
class _Chase:
    """Time to ask again about an order that something is missing of."""

    child: str


@dataclass(frozen=True, slots=True)
class _TimedOut:
    """The time allowed for an order is over."""

    child: str


@dataclass(frozen=True, slots=True)
class _EarlyOver:
    """The journal had time enough to tell of this order."""

    child: str


@dataclass(frozen=True, slots=True)
class _SettleOver:
    """The time allowed for settling is over."""

    report: ReportSettled


__all__ = ["OrderWatcher", "WatcherMessage", "WatcherSettings"]

WatcherMessage = (
    OrderReply
    | CancelReply
    | QueryAnswer
    | UserEvent
    | ReportSettled
    | Ping
    | FactNews
    | _Poll
    | _Chase
    | _TimedOut
    | _EarlyOver
    | _SettleOver
)


@dataclass(slots=True)
class _Early:
    """What was said of an own order before the journal told of it."""

    timer: Timer
    said: list[OrderReply | CancelReply | OrderReport] = field(default_factory=list)


class OrderWatcher(Follower, Child):
    """Merges all that the venue says of orders into facts, and asks where it says nothing."""

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady],
        name: Hashable,
        *,
        journal: Tells[JournalCommand],
        exchange: Tells[Relay | CancelChild | BalancesSeen],
        settings: WatcherSettings,
    ) -> None:
        super().__init__(parent, name)
        self.use_journal(journal)
        self._told, self._exchange, self._settings = parent, exchange, settings
        self._register = Register(settings.remembered)
        self._watches = Watches()
        self._polls: dict[str, Timer] = {}
        self._early: dict[str, _Early] = {}
        self._before_start: list[OrderReply | CancelReply | QueryAnswer | OrderReport] = []
        self._cut: StreamCut | None = None
        self._streaming = self._ready_told = False
        self._settling: list[ReportSettled] = []

    def begin(self) -> None:
        """Fold everything that was ever known of orders."""
        self.follow(*REGISTER_FACTS)

    def on_receive(self, message: WatcherMessage) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case BalancesSeen():
                self.runtime.send(self._exchange, message)
            case StreamOpened() | StreamCut():
                self._take_stream(message)
            case ReportSettled():
                self._settling.append(message)
                self.runtime.tell_at(message.deadline, self.actor_ref, _SettleOver(message))
                self._tell_if_settled()
            case Ping(reply_to=reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case _Poll() | _Chase() | _TimedOut() | _EarlyOver() | _SettleOver():
                self._take_timer(message)
            case _ if not self.caught_up:
                self._before_start.append(message)
            case _:
                self._take_word(message)

    # Facts ----------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold what bears on orders."""
        self._register.fold(fact)

    def on_news_of(self, fact: Fact) -> None:
        """Watch a new child; stop watching one that was not sent."""
        if not self.caught_up:
            return
        match fact:
            case ChildIntended(client_order_id=child):
                self._begin_watch(child)
                early = self._early.pop(child, None)
                if early is not None:
                    early.timer.cancel()
                    for word in early.said:
                        self._take_word(word)
            case ChildNotSent(client_order_id=child):
                self._look_after(child)
            case _:
                pass

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Reconcile every order that is not known to be over, then take what came meanwhile."""
        for ledger in tuple(self._register.all_open()):
            child = ledger.intent.client_order_id
            self._settle(ledger, ledger.attempt.unknown("the daemon stopped before the outcome was known"))
            watch = self._begin_watch(child, recovered=True)
            watch.ask_order = True
            self._start_chase(watch, at_once=True)
        waiting, self._before_start = self._before_start, []
        for word in waiting:
            self._take_word(word)
        self._tell_if_ready()

    # What is said of orders -----------------------------------------------------------------------

    def _take_word(self, word: OrderReply | CancelReply | QueryAnswer | OrderReport) -> None:
        match word:
            case OrderReport() | Acknowledged() | Refused() | NotSent() | OutcomeUnknown():
                self._take_order_word(word)
            case CancelAcknowledged() | CancelFailed():
                self._take_cancel_word(word)
            case OrderFound(order=order):
                self._take_snapshot(order)
            case OpenOrdersFound():
                self._take_open_orders(word)
            case AllOrdersFound(orders=orders):
                for order in orders:
                    self._take_snapshot(order)
            case TradesFound():
                self._take_trades(word)
            case OrderNotFound() | QueryFailed():
                pass  # Proves nothing; the next round asks again.
            case BalancesFound() | RulesFound() | TimeFound():
                pass  # Never asked for by this actor.
            case _:
                assert_never(word)

    def _take_order_word(self, word: OrderReply | OrderReport) -> None:
        child = word.order.client_order_id if isinstance(word, OrderReport) else word.client_order_id
        ledger = self._register.get(child)
        if ledger is None:
            if not self._keep_early(child, word):
                self._take_stranger(word)
            return
        match word:
            case OrderReport(order=order, trade=trade):
                reason = None if word.reason == "NONE" else word.reason
                self._hear(ledger, order, () if trade is None else (trade,), "stream", reason)
            case Acknowledged(order=order, trades=trades):
                self._hear(ledger, order, trades, "reply")
            case Refused():
                self._take_refusal(ledger, word)
            case NotSent(detail=detail):
                self._settle(ledger, ledger.attempt.not_sent(detail))
            case OutcomeUnknown(detail=detail):
                self._take_unknown(ledger, detail)
            case _:
                assert_never(word)

    def _take_refusal(self, ledger: Ledger, refused: Refused) -> None:
        if effect_of(refused.code, refused.message) is Effect.REFUSED:
            self._settle(ledger, ledger.attempt.refused(refused.code, refused.message))
        else:
            self._take_unknown(ledger, f"{refused.code}: {refused.message}")

    def _take_unknown(self, ledger: Ledger, detail: str) -> None:
        self._settle(ledger, ledger.attempt.unknown(detail))
        watch = self._watches.get(ledger.intent.client_order_id)
        if watch is not None:
            watch.ask_order = True
            self._start_chase(watch)

    def _settle(self, ledger: Ledger, fact: Fact | None) -> None:
        """Append what became of an order, if that is news."""
        if fact is not None:
            self.append(fact)
            self._look_after(ledger.intent.client_order_id)

    def _take_cancel_word(self, word: CancelReply) -> None:
        ledger = self._register.get(word.client_order_id)
        if ledger is None:
            return
        match word:
            case CancelAcknowledged(order=order):
                self._hear(ledger, order, (), "reply")
            case CancelFailed(code=code):
                watch = self._watches.get(word.client_order_id)
                if watch is None:
                    return  # It ended meanwhile.
                watch.ask_order = True
                if code != NOT_OPEN and watch.cancel_reason is None:
                    watch.cancel_reason, watch.cancelled_at = "repeated", self.runtime.now()
                self._start_chase(watch)
            case _:
                assert_never(word)

    def _take_snapshot(self, order: OrderSnapshot) -> None:
        ledger = self._register.get(order.client_order_id)
        if ledger is None:
            self._tell_foreign(order)
            return
        watch = self._watches.get(order.client_order_id)
        if watch is not None:
            watch.ask_order = False
        self._hear(ledger, order, (), self._poll_source(watch))

    def _take_open_orders(self, found: OpenOrdersFound) -> None:
        for order in found.orders:
            self._take_snapshot(order)
        unlisted, lacking = self._watches.after_poll(found)
        for watch in unlisted:
            self._relay(order_question(watch.ledger, self.actor_ref))
        if unlisted or lacking:
            last = self._register.last_trade(found.symbol)
            self._relay(trades_question(found.symbol, last, (*unlisted, *lacking), self.actor_ref))

    def _take_trades(self, found: TradesFound) -> None:
        by_order: dict[int, list[Trade]] = {}
        for trade in found.trades:
            by_order.setdefault(trade.order_id, []).append(trade)
        for order_id, trades in by_order.items():
            ledger = self._register.of_order(found.symbol, order_id)
            if ledger is not None:
                source = self._poll_source(self._watches.get(ledger.intent.client_order_id))
                self._hear(ledger, None, trades, source)
        for ledger in self._register.open_of(found.symbol):
            proof = Proof(ledger.intent)
            if ledger.attempt.life is Life.UNKNOWN and proof.suspects(found, self._register.claimed):
                self._relay(proof.names(self.actor_ref), urgent=True)
        if not found.complete and found.trades:
            after = found.trades[-1].trade_id + 1
            self._relay(
                QueryTrades(symbol=found.symbol, from_id=after, order_id=found.order_id, reply_to=self.actor_ref)
            )

    def _hear(
        self,
        ledger: Ledger,
        order: OrderSnapshot | None,
        trades: Iterable[Trade],
        source: Source,
        reason: str | None = None,
    ) -> None:
        """Merge a word into an order's account and do what follows from it."""
        known_id = ledger.attempt.order_id
        if order is not None and known_id not in {None, order.order_id}:
            self._tell_foreign(order)  # Two orders under one id: this one is not the one we know.
            return
        believed_gone = ledger.attempt.life.gone
        facts = self._register.with_corrections(ledger.hear(order, trades, source, reason))
        if facts:
            self.append(*facts)
        child = ledger.intent.client_order_id
        if believed_gone and ledger.attempt.life.open:
            watch = self._begin_watch(child)
            if not ledger.final:
                self._cancel(watch, "reappeared")
        self._look_after(child)

    def _look_after(self, child: str) -> None:
        """Do what an order needs after news of it: nothing more if it is over."""
        watch = self._watches.get(child)
        if watch is None:
            return
        ledger = watch.ledger
        if not ledger.attempt.life.open:
            self._watches.end(child)
            self._tell_if_settled()
        elif ledger.final and ledger.missing:
            self._start_chase(watch)

    # Orders that the journal does not know --------------------------------------------------------

    def _keep_early(self, child: str, word: OrderReply | OrderReport) -> bool:
        """Keep what is said of an own order until the journal tells of it; False if it is not ours."""
        early = self._early.get(child)
        if early is None:
            if parse_child_id(child) is None or len(self._early) >= MOST_EARLY:
                return False
            wait = self._settings.early_seconds
            early = _Early(self.runtime.tell_after(wait, self.actor_ref, _EarlyOver(child)))
            self._early[child] = early
        early.said.append(word)
        return True

    def _take_stranger(self, word: OrderReply | CancelReply | OrderReport) -> None:
        match word:
            case OrderReport(order=order) | Acknowledged(order=order):
                self._tell_foreign(order)
            case _:
                pass  # No order came of it.

    def _tell_foreign(self, order: OrderSnapshot) -> None:
        fact = self._register.foreign(order)
        if fact is not None:
            self.append(fact)

    # Asking ---------------------------------------------------------------------------------------

    def _begin_watch(self, child: str, *, recovered: bool = False) -> Watch:
        ledger = self._register.open(child)
        assert ledger is not None, f"{child} is not open"
        now = self.runtime.now()
        age = 0.0
        if recovered:
            wall = milliseconds(self.runtime.wall_time())
            age = max(0.0, (wall - ledger.intent.request_timestamp) / 1000)
        watch = Watch(ledger, now, recovered)
        due = now + max(0.0, self._settings.timeout_seconds - age)
        watch.deadline = self.runtime.tell_at(due, self.actor_ref, _TimedOut(child))
        self._watches.add(watch)
        self._schedule_poll(ledger.intent.symbol, now + self._settings.poll_interval_seconds)
        return watch

    def _schedule_poll(self, symbol: str, due: float) -> None:
        timer = self._polls.get(symbol)
        if timer is None or not timer.pending:
            self._polls[symbol] = self.runtime.tell_at(due, self.actor_ref, _Poll(symbol))

    def _poll(self, symbol: str, *, silent_for: float) -> None:
        """Ask for the open orders of a symbol if any that should be final by now is not."""
        now = self.runtime.now()
        silent = self._watches.silent(symbol, now, silent_for)
        for watch in silent:
            watch.polled = True
            watch.ledger.polls += 1
        if silent:
            self._relay(QueryOpenOrders(symbol=symbol, reply_to=self.actor_ref))
        due = self._watches.next_poll(symbol, now, self._settings.poll_interval_seconds)
        if due is not None:
            self._schedule_poll(symbol, due)

    def _start_chase(self, watch: Watch, *, at_once: bool = False) -> None:
        """Ask about one order, at growing intervals, until nothing is missing of it."""
        if watch.chase is not None:
            return
        watch.round = 0
        delay = 0.0 if at_once else gap_before(0)
        message = _Chase(watch.ledger.intent.client_order_id)
        watch.chase = self.runtime.tell_after(delay, self.actor_ref, message)

    def _chase(self, child: str) -> None:
        watch = self._watches.get(child)
        if watch is None:
            return
        watch.chase = None
        questions = watch.questions(self.actor_ref)
        for question in questions:
            self._relay(question, urgent=True)
        if watch.wants_cancel and watch.cancelled_at + self._settings.cancel_repeat_seconds <= self.runtime.now():
            self._tell_cancel(watch)
        if questions or watch.wants_cancel:
            watch.ledger.polls += bool(questions)
            watch.round += 1
            delay = gap_before(watch.round)
            watch.chase = self.runtime.tell_after(delay, self.actor_ref, _Chase(child))

    def _relay(self, query: Query, *, urgent: bool = False) -> None:
        self.runtime.send(self._exchange, Relay(query=query, urgent=urgent))

    def _poll_source(self, watch: Watch | None) -> Source:
        return "recovery" if watch is not None and watch.recovered else "poll"

    # Ending ---------------------------------------------------------------------------------------

    def _cancel(self, watch: Watch, reason: str) -> None:
        """Cancel an order, again and again until its final state is read."""
        watch.cancel_reason = reason
        if reason == TIMEOUT_CANCEL:  # The answer may come before the journal tells of the cancel.
            watch.ledger.attempt.cancelled_for_time = True
        self._tell_cancel(watch)
        self._start_chase(watch)

    def _tell_cancel(self, watch: Watch) -> None:
        assert watch.cancel_reason is not None
        intent = watch.ledger.intent
        watch.cancelled_at = self.runtime.now()
        self.runtime.send(
            self._exchange,
            CancelChild(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                order_id=watch.ledger.attempt.order_id,
                reason=watch.cancel_reason,
            ),
        )

    def _time_out(self, child: str) -> None:
        watch = self._watches.get(child)
        if watch is None or watch.ledger.final:
            return  # Trades that are still missing are being asked for.
        ledger = watch.ledger
        self._settle(ledger, ledger.attempt.unknown(f"no word of it within {self._settings.timeout_seconds:g} s"))
        if ledger.attempt.rests and watch.cancel_reason is None:
            self._cancel(watch, TIMEOUT_CANCEL)
        watch.ask_order = True
        self._start_chase(watch)

    def _take_timer(self, timer: _Poll | _Chase | _TimedOut | _EarlyOver | _SettleOver) -> None:
        match timer:
            case _Poll(symbol=symbol):
                self._poll(symbol, silent_for=self._settings.poll_interval_seconds)
            case _Chase(child=child):
                self._chase(child)
            case _TimedOut(child=child):
                self._time_out(child)
            case _EarlyOver(child=child):
                early = self._early.pop(child, None)
                for word in [] if early is None else early.said:
                    self._take_stranger(word)
            case _SettleOver(report=report):
                if report in self._settling:
                    self._settling.remove(report)
                    self.runtime.send(report.reply_to, Settled(self.name, self._register.open_count))
            case _:
                assert_never(timer)

    # The stream, readiness ------------------------------------------------------------------------

    def _take_stream(self, event: StreamOpened | StreamCut) -> None:
        match event:
            case StreamCut():
                self._cut = self._cut or event
            case StreamOpened():
                self._streaming = True
                if self._cut is not None:
                    self._append_gap(self._cut)
                    self._cut = None
                self._tell_if_ready()
            case _:
                assert_never(event)
        for symbol in self._watches.symbols():
            self._poll(symbol, silent_for=0.0)

    def _append_gap(self, cut: StreamCut) -> None:
        until = self.runtime.wall_time()
        lasted = timedelta(seconds=max(0.0, self.runtime.now() - cut.since))
        self.append(StreamGap(since=until - lasted, until=until, detail=cut.detail))

    def _tell_if_ready(self) -> None:
        if self._streaming and self.caught_up and not self._ready_told:
            self._ready_told = True
            self._told.tell(ActorReady(self.name))

    def _tell_if_settled(self) -> None:
        if self._settling and not self._register.open_count:
            settling, self._settling = self._settling, []
            for report in settling:
                self.runtime.send(report.reply_to, Settled(self.name, 0))
