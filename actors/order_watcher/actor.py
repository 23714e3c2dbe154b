"""The one who knows what happened to each order: replies, user stream and polls come together here."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from actors.follower import Follower
from actors.halts import HALTS, INVARIANT, REBUILT
from actors.order_watcher.attempt import FENCE_CANCEL, TIMEOUT_CANCEL, Life
from actors.order_watcher.balance_check import BalanceCheck, Balances
from actors.order_watcher.inquiry import Answered, Asker
from actors.order_watcher.ledger import Ledger, contradiction
from actors.order_watcher.outcomes import Effect, effect_of
from actors.order_watcher.proof import BEFORE_TIMESTAMP_MS, Moment
from actors.order_watcher.prover import Inquire, Prover
from actors.order_watcher.rebuild import Rebuild
from actors.order_watcher.recovery import Recovery
from actors.order_watcher.register import REGISTER_FACTS, Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.timers import (
    AskAgain,
    AskBalances,
    Chase,
    EarlyOver,
    Poll,
    Recheck,
    SettleOver,
    Sweep,
    Timed,
    TimedOut,
)
from actors.order_watcher.watch import Watch, Watches, gap_before, order_question, trades_question
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from messages.control import (
    ActorReady,
    CaughtUp,
    Committed,
    FactNews,
    HaltTrading,
    JournalCommand,
    Ping,
    Pong,
    ReportSettled,
    Settled,
    TroubleOver,
    TroubleSeen,
)
from messages.facts import (
    BalanceMismatch,
    BalancesNoted,
    ChildCancelRequested,
    ChildIntended,
    ChildNotSent,
    ExecutionClosed,
    Fact,
    RateLimited,
    StreamGap,
)
from messages.ids import milliseconds, parse_child_id
from messages.order import (
    LATE_REPLY,
    Acknowledged,
    AdoptChild,
    AllOrdersFound,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    CancelChild,
    CancelFailed,
    CancelReply,
    LateRefusal,
    NotSent,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OrderReply,
    OrderReport,
    OrderSnapshot,
    OutcomeUnknown,
    ProbeStream,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    Refused,
    Relay,
    RulesFound,
    Source,
    StreamCut,
    StreamOpened,
    StreamProbed,
    TimeFound,
    Trade,
    TradesFound,
    UserEvent,
    VenueTime,
)
from messages.refs import Tells

NOT_OPEN, ARCHIVED = -2011, -2026
ARCHIVED_AFTER_MS = 80 * 86_400_000
"""The venue says 90 days (protocol §10.2); so much earlier its word for it is not believed."""

MOST_EARLY = 1_000
ASK_AGAIN_SECONDS = 1.0
STRANGER_SECONDS = 5.0
QUIET_SECONDS = 2.0
FIRST_SWEEP_SECONDS, LONGEST_SWEEP_SECONDS = 10.0, 600.0
SUM_EVERY = 500
"""So many trades are added up by a start at most, besides those of what is open."""

SPARING_SECONDS = 60.0
"""For so long after a Retry-After questions that can wait are half as frequent: something had asked too much."""

STREAM_DOWN_SECONDS = 10.0
"""A stream that is back sooner was no trouble: each is cut once a day."""


__all__ = ["OrderWatcher", "WatcherMessage", "WatcherSettings"]

WatcherMessage = (
    OrderReply | CancelReply | QueryAnswer | UserEvent | ReportSettled | Ping | FactNews | VenueTime | Answered | Timed
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
        exchange: Tells[Relay | CancelChild | BalancesSeen | ProbeStream | AdoptChild | HaltTrading],
        settings: WatcherSettings,
        troubles: Tells[TroubleSeen | TroubleOver] | None = None,
    ) -> None:
        super().__init__(parent, name)
        self._troubles = troubles
        self.use_journal(journal)
        self._told, self._exchange, self._settings = parent, exchange, settings
        self._register = Register(settings.remembered)
        self._watches = Watches()
        self._prover = Prover(
            settings,
            self._watches,
            self._register,
            runtime=self.runtime,
            me=self.actor_ref,
            exchange=exchange,
            absent=self._conclude_absent,
        )
        self._recovery, self._balances = Recovery(), BalanceCheck()
        self._rebuild = Rebuild(settings.rebuild_since)
        self._sweep: Timer | None = None
        self._rechecks: dict[str, Timer] = {}
        self._polls: dict[str, Timer] = {}
        self._listed: dict[str, float] = {}
        self._early: dict[str, _Early] = {}
        self._before_start: list[OrderReply | CancelReply | QueryAnswer | OrderReport] = []
        self._cut: StreamCut | None = None
        self._streaming = self._ready_told = False
        self._sparing_until = -math.inf
        self._settling: list[ReportSettled] = []

    def begin(self) -> None:
        """Fold everything that was ever known of orders."""
        self.follow(*REGISTER_FACTS, BalancesNoted, BalanceMismatch, RateLimited)

    def on_receive(self, message: WatcherMessage) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case BalancesSeen():
                self.runtime.send(self._exchange, message)
            case StreamOpened() | StreamCut():
                self._take_stream(message)
            case LateRefusal():
                self._take_late_refusal(message)
            case StreamProbed(probe=probe):
                self._prover.stream_alive(probe)
            case VenueTime(zero=zero):
                first = self._prover.moment() is None
                self._prover.learn_time(zero)
                if first and self.caught_up:
                    self._begin_sweeps()  # Now it is known which of them are a day old.
            case ReportSettled():
                self._settling.append(message)
                self.runtime.tell_at(message.deadline, self.actor_ref, SettleOver(message))
                self._tell_if_settled()
            case Ping(reply_to=reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case Poll() | Chase() | TimedOut() | EarlyOver() | SettleOver() | Inquire():
                self._take_timer(message)
            case AskAgain() | Recheck() | Sweep() | AskBalances():
                self._take_timer(message)
            case RulesFound(rules=rules):
                self._balances.learn(rules)
                self._compare_balances()
            case Answered():
                self._take_answered(message)
            case _ if not self.caught_up:
                self._before_start.append(message)
            case _:
                self._take_word(message)

    # Facts ----------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold what bears on orders."""
        self._register.fold(fact)
        self._balances.fold(fact)
        if isinstance(fact, RateLimited) and not fact.orders_only:
            left = fact.left(at, self.runtime.wall_time()).total_seconds()
            if left > 0:
                self._sparing_until = max(self._sparing_until, self.runtime.now() + left + SPARING_SECONDS)

    def on_news_of(self, fact: Fact) -> None:
        """Watch a new child; stop watching one that was not sent."""
        if not self.caught_up:
            return
        match fact:
            case ChildIntended(client_order_id=child, adopted=True):
                self._take_in(child)
            case ChildIntended(client_order_id=child):
                self._begin_watch(child)
                early = self._early.pop(child, None)
                if early is not None:
                    early.timer.cancel()
                    for word in early.said:
                        self._take_word(word)
            case ChildNotSent(client_order_id=child):
                self._look_after(child)
            case ExecutionClosed():
                if (corrected := self._register.missed_by(fact)) is not None:
                    self.append(corrected)
                    self._halt_if_overfilled(fact.execution_id)
            case ChildCancelRequested(client_order_id=child, reason=reason, cancel_id=name) if reason == FENCE_CANCEL:
                watch = self._watches.get(child)
                if watch is not None:
                    self._prover.fence_named(watch, name)
            case _:
                pass

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Reconcile every order that is not known to be over, then take what came meanwhile."""
        for ledger in tuple(self._register.all_open()):
            child = ledger.intent.client_order_id
            self._settle(ledger, ledger.attempt.unknown("the daemon stopped before the outcome was known"))
            self._resume_watch(child)
        waiting, self._before_start = self._before_start, []
        for word in waiting:
            self._take_word(word)
        self._begin_sweeps()
        if self._rebuild.going_on:
            detail = "the journal is rebuilt from the exchange: see what was found, then lift this by hand"
            self._exchange.tell(HaltTrading(reason=REBUILT, detail=detail))
        self._go_on()

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
            case QueryFailed():
                self._take_failure(word)
            case BalancesFound(balances=balances):
                self._take_balances(balances)
            case OrderNotFound(client_order_id=child):
                self._take_not_found(child)  # Proves nothing; the next round asks again.
            case RulesFound() | TimeFound():
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
                if word.execution_type != LATE_REPLY:  # That did not come over the stream.
                    self._prover.stream_alive(order.update_time)
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

    def _take_late_refusal(self, late: LateRefusal) -> None:
        """Take the venue's own word that an unknown order was never taken; it goes for nothing if it was seen since."""
        ledger = self._register.open(late.client_order_id) if self.caught_up else None
        if ledger is not None and effect_of(late.code, late.message) is Effect.REFUSED:
            self._settle(ledger, ledger.attempt.refused(late.code, late.message))

    def _take_unknown(self, ledger: Ledger, detail: str) -> None:
        self._settle(ledger, ledger.attempt.unknown(detail))
        watch = self._watches.get(ledger.intent.client_order_id)
        if watch is not None and ledger.attempt.life.open:
            polled = self.runtime.now() - watch.sent_at >= self._settings.poll_interval_seconds
            self._prover.begin(ledger.intent.symbol, at_once=polled, searched=polled)

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
            case CancelFailed():
                self._take_failed_cancel(word)
            case _:
                assert_never(word)

    def _take_failed_cancel(self, failed: CancelFailed) -> None:
        self._halt_after(failed.code, failed.detail)
        watch = self._watches.get(failed.client_order_id)
        if watch is None:
            return  # It ended meanwhile.
        watch.ask_order = True
        if failed.code == NOT_OPEN:
            self._prover.not_open(watch, failed.cancel_id)
        else:
            self._prover.fence_failed(watch)
        if watch.cancel_reason is None and not watch.unknown:  # Until its end is read, whatever was said of the cancel.
            watch.cancel_reason, watch.cancelled_at = "repeated", self.runtime.now()
        self._start_chase(watch)

    def _take_failure(self, failed: QueryFailed) -> None:
        """A query that failed proves nothing; it may say that none can succeed."""
        self._halt_after(failed.code, failed.detail)
        if isinstance(failed.query, QueryOrder) and failed.code == ARCHIVED:
            self._take_archived(failed.query.client_order_id)
        if isinstance(failed.query, QueryBalances) and self._balances.failed():
            self.runtime.tell_after(ASK_AGAIN_SECONDS, self.actor_ref, AskBalances())

    def _halt_after(self, code: int | None, detail: str) -> None:
        reason = None if code is None else HALTS.get(code)
        if reason is not None:
            self._exchange.tell(HaltTrading(reason=reason, detail=f"{code}: {detail}"))

    def _take_archived(self, child: str) -> None:
        """The venue shows an order no more that ended without a fill long ago: of a young one that cannot be."""
        ledger = self._register.open(child)
        if ledger is None or self._venue_now() - ledger.intent.request_timestamp < ARCHIVED_AFTER_MS:
            return
        facts = ledger.archived()
        if facts:
            self.append(*facts)
            self._look_after(child)

    def _take_not_found(self, child: str) -> None:
        """Say so if the venue has long known nothing of an order that it had acknowledged: it may have been reset."""
        watch = self._watches.get(child)
        if watch is None or watch.ledger.final:
            return
        if watch.ledger.attempt.life is Life.INTENDED:
            self._look_in_the_list(watch.ledger.intent.symbol)
        if watch.ledger.attempt.life is not Life.ACKED:
            return
        now = self.runtime.now()
        watch.missing_since = now if watch.missing_since is None else watch.missing_since
        if now - watch.missing_since >= self._settings.absent_after_seconds and not watch.vanished:
            watch.vanished = True
            text = f"the exchange knows nothing any more of {child}, which it had acknowledged; its execution waits"
            self._tell_trouble(TroubleSeen(kind="order_vanished", subject=child, level="error", text=text))

    def _look_in_the_list(self, symbol: str) -> None:
        """Ask once a poll for all orders, as an order of which nobody has heard has not been shown by its own query."""
        now = self.runtime.now()
        if now < self._listed.get(symbol, -math.inf) + self._settings.poll_interval_seconds / 2:
            return
        self._listed[symbol] = now
        unheard = [watch.ledger.intent for watch in self._watches.of(symbol) if watch.ledger.attempt.order_id is None]
        since = min(intent.request_timestamp for intent in unheard) - BEFORE_TIMESTAMP_MS
        self._relay(QueryAllOrders(symbol=symbol, since=since, reply_to=self.actor_ref))

    def _is_there(self, watch: Watch) -> None:
        """End that trouble, also one that an earlier life told of."""
        if watch.vanished or watch.recovered:
            child = watch.ledger.intent.client_order_id
            self._tell_trouble(TroubleOver(kind="order_vanished", subject=child, text="the exchange knows it again"))
        watch.vanished, watch.missing_since = False, None

    def _take_snapshot(self, order: OrderSnapshot) -> None:
        ledger = self._register.get(order.client_order_id)
        if ledger is None:
            self._tell_foreign(order)
            return
        self._prover.saw(order)
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

    def _take_answered(self, answered: Answered) -> None:
        """Take an answer to a question of the start or of a proof."""
        answer = answered.answer
        if isinstance(answer, TradesFound):
            self._take_trades(answer, Asker(self.actor_ref, answered.asked, answered.since))
        else:
            self._take_word(answer)
        self._prover.take(answered)
        if self._recovery.done:
            return
        again = self._recovery.take(answered)
        if again is not None:
            self.runtime.tell_after(ASK_AGAIN_SECONDS, self.actor_ref, AskAgain(again))
        if isinstance(answer, TradesFound):
            self._look_for_owners(answer)
        self._go_on()

    def _take_trades(self, found: TradesFound, asker: Tells[QueryAnswer] | None = None) -> None:
        by_order: dict[int, list[Trade]] = {}
        for trade in found.trades:
            by_order.setdefault(trade.order_id, []).append(trade)
        for order_id, trades in by_order.items():
            ledger = self._register.of_order(found.symbol, order_id)
            if ledger is not None:
                source = self._poll_source(self._watches.get(ledger.intent.client_order_id))
                self._hear(ledger, None, trades, source)
        if not found.complete and found.trades:
            after = found.trades[-1].trade_id + 1
            me = asker or self.actor_ref
            self._relay(QueryTrades(symbol=found.symbol, from_id=after, order_id=found.order_id, reply_to=me))

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
        strange = None if order is None else contradiction(ledger.intent, order)
        if strange is not None:  # Merged, it could never be taken back; what is true will be said again.
            self._exchange.tell(HaltTrading(reason=INVARIANT, detail=strange))
            return
        if order is not None and (known := self._watches.get(ledger.intent.client_order_id)) is not None:
            self._is_there(known)
        believed_gone = ledger.attempt.life.gone
        facts = self._register.with_corrections(ledger.hear(order, trades, source, reason))
        if facts:
            self.append(*facts)
            if self._balances.holdings.unsummed >= SUM_EVERY:
                self.append(self._balances.holdings.summary(self._register.last_trades))
            self._halt_if_overfilled(ledger.intent.execution_id)
        child = ledger.intent.client_order_id
        if believed_gone and ledger.attempt.life.open:
            watch = self._begin_watch(child)
            if not ledger.final:
                self._cancel(watch, "reappeared")
        self._look_after(child)

    def _halt_if_overfilled(self, execution_id: str) -> None:
        if self._register.overfilled(execution_id):
            detail = f"{execution_id} is filled above what was asked"
            self._exchange.tell(HaltTrading(reason=INVARIANT, detail=detail))

    def _look_after(self, child: str) -> None:
        """Do what an order needs after news of it: nothing more if it is over."""
        watch = self._watches.get(child)
        if watch is None:
            return
        ledger = watch.ledger
        if not ledger.attempt.life.open:
            self._watches.end(child)
            self._tell_if_settled()
        elif (ledger.final and ledger.missing) or (watch.wants_cancel and not watch.unknown):
            self._start_chase(watch)

    # Orders that the journal does not know --------------------------------------------------------

    def _keep_early(self, child: str, word: OrderReply | OrderReport) -> bool:
        """Keep what is said of an own order until the journal tells of it; False if it is not ours."""
        early = self._early.get(child)
        if early is None:
            if parse_child_id(child) is None or len(self._early) >= MOST_EARLY:
                return False
            wait = self._settings.early_seconds
            early = _Early(self.runtime.tell_after(wait, self.actor_ref, EarlyOver(child)))
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
        if self._rebuild.take(order):
            self._exchange.tell(AdoptChild(order=order, rebuilding=True))
        if self._rebuild.going_on and parse_child_id(order.client_order_id) is not None:
            return
        fact = self._register.foreign(order)
        if fact is not None:
            self.append(fact)
        ours = parse_child_id(order.client_order_id)
        if ours is None or self._register.get(order.client_order_id) is not None:
            return
        if fact is None and order.status.final:
            return  # All that could be done about it was done.
        self._exchange.tell(AdoptChild(order=order))
        timer = self._rechecks.get(order.symbol)
        if not order.status.final and (timer is None or not timer.pending):
            message = Recheck(order.symbol)
            self._rechecks[order.symbol] = self.runtime.tell_after(STRANGER_SECONDS, self.actor_ref, message)

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
        # One that may rest is given its time on top: whoever placed it cancels it then.
        allowed = self._settings.timeout_seconds + float(ledger.intent.rest_seconds or 0)
        due = now + max(0.0, allowed - age)
        watch.deadline = self.runtime.tell_at(due, self.actor_ref, TimedOut(child))
        self._watches.add(watch)
        self._schedule_poll(ledger.intent.symbol, now + self._poll_seconds)
        return watch

    def _resume_watch(self, child: str) -> None:
        """Watch an order that was there before: its state is in doubt."""
        watch = self._begin_watch(child, recovered=True)
        watch.ask_order = True
        if watch.unknown:
            self._prover.begin(watch.ledger.intent.symbol, at_once=True)
        else:
            self._start_chase(watch, at_once=True)

    def _take_in(self, child: str) -> None:
        """Watch an order that the journal did not know; one of a journal that was lost is cancelled if open."""
        found = self._rebuild.taken_in(child)
        if found is None:
            self._resume_watch(child)
            return
        watch = self._begin_watch(child, recovered=True)
        self._hear(watch.ledger, found, (), "recovery")
        if not found.status.final:
            self._cancel(watch, "of a journal that was lost")
        self._tell_if_settled()

    @property
    def _poll_seconds(self) -> float:
        """How long silence is borne before it is asked about: twice as long after a limit was hit (protocol §11)."""
        seconds = self._settings.poll_interval_seconds
        return 2 * seconds if self.runtime.now() < self._sparing_until else seconds

    def _schedule_poll(self, symbol: str, due: float) -> None:
        timer = self._polls.get(symbol)
        if timer is None or not timer.pending:
            self._polls[symbol] = self.runtime.tell_at(due, self.actor_ref, Poll(symbol))

    def _poll(self, symbol: str, *, silent_for: float) -> None:
        """Ask for the open orders of a symbol if any that should be final by now is not."""
        now = self.runtime.now()
        silent = self._watches.silent(symbol, now, silent_for)
        for watch in silent:
            watch.polled = True
            watch.ledger.polls += 1
        if silent:
            self._relay(QueryOpenOrders(symbol=symbol, reply_to=self.actor_ref))
        due = self._watches.next_poll(symbol, now, self._poll_seconds)
        if due is not None:
            self._schedule_poll(symbol, due)

    def _start_chase(self, watch: Watch, *, at_once: bool = False) -> None:
        """Ask about one order, at growing intervals, until nothing is missing of it."""
        if watch.chase is not None:
            return
        watch.round = 0
        delay = 0.0 if at_once else gap_before(0)
        message = Chase(watch.ledger.intent.client_order_id)
        watch.chase = self.runtime.tell_after(delay, self.actor_ref, message)

    def _chase(self, child: str) -> None:
        watch = self._watches.get(child)
        if watch is None:
            return
        watch.chase = None
        questions = watch.questions(self.actor_ref)
        for question in questions:
            self._relay(question, urgent=True)
        wants_cancel = watch.wants_cancel and not watch.unknown  # Of an unknown one, the proof cancels.
        if wants_cancel and watch.cancelled_at + self._settings.cancel_repeat_seconds <= self.runtime.now():
            self._tell_cancel(watch)
        if questions or wants_cancel:
            watch.ledger.polls += bool(questions)
            watch.round += 1
            delay = gap_before(watch.round)
            watch.chase = self.runtime.tell_after(delay, self.actor_ref, Chase(child))

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
        if watch.unknown:
            self._prover.begin(ledger.intent.symbol)
        else:
            self._start_chase(watch)

    def _conclude_absent(self, watch: Watch, proof: str) -> None:
        ledger = watch.ledger
        self._settle(ledger, ledger.attempt.absent(proof))
        self._begin_sweeps()

    def _take_timer(self, timer: Timed) -> None:
        match timer:
            case Inquire(symbol=symbol):
                self._prover.turn(symbol)
            case AskAgain(query=query):
                if query in self._recovery.missing:
                    self._relay(query, urgent=True)
            case Recheck(symbol=symbol):
                self._relay(QueryOpenOrders(symbol=symbol, reply_to=self.actor_ref))
            case Sweep(wait=wait):
                self._sweep_for_absent(wait)
            case AskBalances():
                self._ask_balances()
            case Poll(symbol=symbol):
                self._poll(symbol, silent_for=self._poll_seconds)
            case Chase(child=child):
                self._chase(child)
            case TimedOut(child=child):
                self._time_out(child)
            case EarlyOver(child=child):
                early = self._early.pop(child, None)
                for word in [] if early is None else early.said:
                    self._take_stranger(word)
            case SettleOver(report=report):
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
                self._prover.stream_cut()
                self._tell_trouble(
                    TroubleSeen(
                        kind="stream_down",
                        subject="user_stream",
                        level="warning",
                        text=f"no news of orders but by asking: {event.detail}",
                        after_seconds=STREAM_DOWN_SECONDS,
                    )
                )
            case StreamOpened():
                self._streaming = True
                self._tell_trouble(TroubleOver(kind="stream_down", subject="user_stream", text="it tells again"))
                if self._cut is not None:
                    self._append_gap(self._cut)
                    self._cut = None
                    self._begin_sweeps(FIRST_SWEEP_SECONDS, 0.0)
                self._prover.stream_opened()
                self._go_on()
            case _:
                assert_never(event)
        for symbol in self._watches.symbols():
            self._poll(symbol, silent_for=0.0)

    def _tell_trouble(self, trouble: TroubleSeen | TroubleOver) -> None:
        if self._troubles is not None:
            self.runtime.send(self._troubles, trouble)

    def _append_gap(self, cut: StreamCut) -> None:
        until = self.runtime.wall_time()
        lasted = timedelta(seconds=max(0.0, self.runtime.now() - cut.since))
        self.append(StreamGap(since=until - lasted, until=until, detail=cut.detail))

    # Start ----------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Take the next step of the start: read, compare balances if nothing is open, be ready."""
        if self._ready_told or not (self._streaming and self.caught_up):
            return
        if not self._recovery.begun:
            for query in self._recovery.begin(self._concerned(), self.actor_ref, self._asked_now()):
                self._relay(query, urgent=True)
        if not self._recovery.done:
            return
        if self._rebuild.going_on:  # That takes its time, and nothing new is sent before a person has looked.
            self._ready_told = True
            self._told.tell(ActorReady(self.name))
            self._tell_if_settled()
            return
        if not self._register.open_count and not self._balances.done:
            self._ask_balances()
            return
        self._ready_told = True
        self._told.tell(ActorReady(self.name))

    def _concerned(self) -> list[tuple[str, int | None, int | None]]:
        """Return the symbols to read, with the last trade booked and the oldest order in doubt."""
        doubted = [ledger.intent for ledger in self._register.all_open()]
        doubted += self._register.absent(self._venue_now())
        oldest: dict[str, int] = {}
        for intent in doubted:
            oldest[intent.symbol] = min(intent.request_timestamp, oldest.get(intent.symbol, intent.request_timestamp))
        for symbol, moment in self._untraded().items():
            oldest[symbol] = min(moment, oldest.get(symbol, moment))
        symbols = dict.fromkeys((*self._settings.symbols, *oldest))
        if self._rebuild.since is not None:
            oldest = {symbol: min(self._rebuild.since, oldest.get(symbol, self._rebuild.since)) for symbol in symbols}
        return [(symbol, self._register.last_trade(symbol), oldest.get(symbol)) for symbol in symbols]

    def _untraded(self) -> dict[str, int]:
        """Return the symbols without a trade, and since when (ms, venue) an execution of ours may have made some.

        If the journal has lost its end, as a restored backup has, not a child of it need be known.
        """
        ahead = self._venue_now() - milliseconds(self.runtime.wall_time())
        accepted = self._register.accepted().items()
        return {
            symbol: round(milliseconds(at) + ahead)
            for symbol, at in accepted
            if self._register.last_trade(symbol) is None
        }

    def _venue_now(self) -> float:
        """The venue's time in ms since 1970, by our own clock while it is not known."""
        moment = self._prover.moment()
        return milliseconds(self.runtime.wall_time()) if moment is None else moment.venue

    def _asked_now(self) -> Moment:
        return self._prover.moment() or Moment(self.runtime.now(), 0.0)

    def _look_for_owners(self, found: TradesFound) -> None:
        """Ask whose trades those are: an own order that the journal lost may be among them."""
        unknown = [t.time for t in found.trades if not self._register.knows_order(t.symbol, t.order_id)]
        if unknown:
            asked = self._asked_now()
            self._relay(self._recovery.look_for_owners(found.symbol, min(unknown), self.actor_ref, asked), urgent=True)

    def _ask_balances(self) -> None:
        """Ask what the account holds, if trades must explain it and none can come meanwhile."""
        if self._register.open_count or self._balances.done or self._balances.asked or self._rebuild.going_on:
            return
        self._balances.begin()
        self._relay(QueryBalances(reply_to=self.actor_ref), urgent=True)

    def _take_balances(self, balances: Balances) -> None:
        self._balances.found(balances)
        self._compare_balances()
        if not self._balances.waits_for_rules:
            self._go_on()

    def _compare_balances(self) -> None:
        facts = self._balances.compare()
        if facts is None:
            return
        if facts:
            self.append(*facts)
        self._go_on()

    # The watch list -------------------------------------------------------------------------------

    def _begin_sweeps(self, wait: float = FIRST_SWEEP_SECONDS, delay: float | None = None) -> None:
        """Look out for orders that are believed absent, at growing intervals."""
        if self._register.absent(self._venue_now()):
            if self._sweep is not None:
                self._sweep.cancel()
            due = wait if delay is None else delay
            self._sweep = self.runtime.tell_after(due, self.actor_ref, Sweep(wait))

    def _sweep_for_absent(self, wait: float) -> None:
        since: dict[str, int] = {}
        for intent in self._register.absent(self._venue_now()):
            since[intent.symbol] = min(intent.request_timestamp, since.get(intent.symbol, intent.request_timestamp))
        for symbol, oldest in since.items():
            begin = oldest - BEFORE_TIMESTAMP_MS
            self._relay(QueryOpenOrders(symbol=symbol, reply_to=self.actor_ref))
            self._relay(QueryAllOrders(symbol=symbol, since=begin, reply_to=self.actor_ref))
        self._begin_sweeps(min(2 * wait, LONGEST_SWEEP_SECONDS))

    # Settling -------------------------------------------------------------------------------------

    def _tell_if_settled(self) -> None:
        if self._ready_told and not self._register.open_count and (rebuilt := self._rebuild.over()) is not None:
            self.append(rebuilt)
        if self._ready_told and not self._register.open_count and not self._balances.done:
            self.runtime.tell_after(QUIET_SECONDS, self.actor_ref, AskBalances())
        if self._settling and not self._register.open_count:
            settling, self._settling = self._settling, []
            for report in settling:
                self.runtime.send(report.reply_to, Settled(self.name, 0))
