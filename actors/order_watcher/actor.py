"""The one who knows what happened to each order: replies, user stream and polls come together here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import assert_never

from actors.follower import Follower
from actors.halts import HALTS, INVARIANT, REBUILT
from actors.order_watcher.absentees import Absentees
from actors.order_watcher.attempt import FENCE_CANCEL, TIMEOUT_CANCEL, Life
from actors.order_watcher.balance_check import BalanceCheck
from actors.order_watcher.chaser import Chaser
from actors.order_watcher.inquiry import Answered, Asker
from actors.order_watcher.ledger import Ledger, contradiction
from actors.order_watcher.outcomes import Effect, effect_of
from actors.order_watcher.prover import Inquire, Prover
from actors.order_watcher.rebuild import Rebuild
from actors.order_watcher.register import REGISTER_FACTS, Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.start import Start
from actors.order_watcher.strangers import Strangers
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
from actors.order_watcher.watch import Watch, Watches
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
from messages.frozen import replace
from messages.market import SymbolRules
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
    KeptBack,
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
    QueryAnswer,
    QueryBalances,
    QueryFailed,
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

SUM_EVERY = 500
"""So many trades are added up by a start at most, besides those of what is open."""

STREAM_DOWN_SECONDS = 10.0
"""A stream that is back sooner was no trouble: each is cut once a day."""


__all__ = ["OrderWatcher", "WatcherMessage", "WatcherSettings"]

WatcherMessage = (
    OrderReply
    | CancelReply
    | QueryAnswer
    | UserEvent
    | ReportSettled
    | Ping
    | FactNews
    | VenueTime
    | KeptBack
    | Answered
    | Timed
)


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
        self._chaser = Chaser(
            settings, self._watches, self._register, runtime=self.runtime, me=self.actor_ref, exchange=exchange
        )
        self._absentees = Absentees(
            self._register,
            runtime=self.runtime,
            me=self.actor_ref,
            relay=self._relay,
            venue_now=self._prover.venue_now,
        )
        self._balances, self._rebuild = BalanceCheck(), Rebuild(settings.rebuild_since)
        self._strangers = Strangers(
            settings,
            self._register,
            self._rebuild,
            runtime=self.runtime,
            me=self.actor_ref,
            exchange=exchange,
            append=self.append,
        )
        self._start = Start(
            settings,
            self._register,
            self._rebuild,
            self._balances,
            self._prover,
            runtime=self.runtime,
            me=self.actor_ref,
            relay=self._relay,
            append=self.append,
            ready=self._tell_ready,
        )
        self._before_start: list[OrderReply | CancelReply | QueryAnswer | OrderReport] = []
        self._cut: StreamCut | None = None
        self._kept_back: dict[str, None] = {}
        self._streaming = False
        self._settling: list[ReportSettled] = []

    def begin(self) -> None:
        """Fold everything that was ever known of orders."""
        self.follow(*REGISTER_FACTS, BalancesNoted, BalanceMismatch, RateLimited)

    def on_receive(self, message: WatcherMessage) -> None:
        """Take a message."""
        match message:
            case Answered():
                self._take_answered(message)
            case Committed() | CaughtUp():
                self.on_news(message)
            case Poll() | Chase() | TimedOut() | EarlyOver() | SettleOver() | Inquire():
                self._take_timer(message)
            case AskAgain() | Recheck() | Sweep() | AskBalances():
                self._take_timer(message)
            case Ping(reply_to=reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case BalancesSeen():
                self.runtime.send(self._exchange, message)
            case StreamOpened() | StreamCut():
                self._take_stream(message)
            case LateRefusal():
                self._take_late_refusal(message)
            case StreamProbed(probe=probe):
                self._prover.stream_alive(probe)
            case VenueTime(zero=zero):
                self._learn_time(zero)
            case KeptBack(client_order_id=child):
                self._kept_back[child] = None
            case ReportSettled():
                self._settling.append(message)
                self.runtime.tell_at(message.deadline, self.actor_ref, SettleOver(message))
                self._tell_if_settled()
            case RulesFound(rules=rules):
                self._take_rules(rules)
            case _ if not self.caught_up:
                self._before_start.append(message)
            case _:
                self._take_word(message)

    def _learn_time(self, zero: float) -> None:
        first = self._prover.moment() is None
        self._prover.learn_time(zero)
        if first and self.caught_up:
            self._absentees.look_out()  # Now it is known which of them are a day old.

    # Facts ----------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold what bears on orders."""
        self._register.fold(fact)
        self._balances.fold(fact)
        if isinstance(fact, RateLimited) and not fact.orders_only:
            left = fact.left(at, self.runtime.wall_time()).total_seconds()
            if left > 0:
                self._chaser.spare_the_venue(left)

    def on_news_of(self, fact: Fact) -> None:
        """Watch a new child; stop watching one that was not sent."""
        if not self.caught_up:
            return
        match fact:
            case ChildIntended(client_order_id=child, adopted=True):
                self._take_in(child)
            case ChildIntended(client_order_id=child):
                self._begin_watch(child)
                for word in self._strangers.known_now(child):
                    self._take_word(word)
            case ChildNotSent(client_order_id=child):
                self._kept_back.pop(child, None)
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
        self._absentees.look_out()
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
                if self._start.take_balances(balances):
                    self._go_on()
            case OrderNotFound(client_order_id=child):
                self._take_not_found(child)  # Proves nothing; the next round asks again.
            case RulesFound() | TimeFound():
                pass  # Never asked for by this actor.
            case _:
                assert_never(word)

    def _take_order_word(self, word: OrderReply | OrderReport) -> None:
        if isinstance(word, OrderReport):
            word = replace(word, order=self._by_own_name(word.order))
        child = word.order.client_order_id if isinstance(word, OrderReport) else word.client_order_id
        ledger = self._register.get(child)
        if ledger is None:
            self._strangers.take(child, word)
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
            self._settle(ledger, ledger.attempt.refused(refused.code, refused.message, refused.until))
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
        self._chaser.cancel_failed(watch)

    def _take_failure(self, failed: QueryFailed) -> None:
        """A query that failed proves nothing; it may say that none can succeed."""
        self._halt_after(failed.code, failed.detail)
        if isinstance(failed.query, QueryOrder) and failed.code == ARCHIVED:
            self._take_archived(failed.query.client_order_id)
        if isinstance(failed.query, QueryBalances):
            self._start.balances_failed()

    def _halt_after(self, code: int | None, detail: str) -> None:
        reason = None if code is None else HALTS.get(code)
        if reason is not None:
            self._exchange.tell(HaltTrading(reason=reason, detail=f"{code}: {detail}"))

    def _take_archived(self, child: str) -> None:
        """The venue shows an order no more that ended without a fill long ago: of a young one that cannot be."""
        ledger = self._register.open(child)
        if ledger is None or self._prover.venue_now() - ledger.intent.request_timestamp < ARCHIVED_AFTER_MS:
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
            self._chaser.look_in_the_list(watch.ledger.intent.symbol)
        if watch.ledger.attempt.life is not Life.ACKED:
            return
        now = self.runtime.now()
        watch.missing_since = now if watch.missing_since is None else watch.missing_since
        if now - watch.missing_since >= self._settings.absent_after_seconds and not watch.vanished:
            watch.vanished = True
            text = f"the exchange knows nothing any more of {child}, which it had acknowledged; its execution waits"
            self._tell_trouble(TroubleSeen(kind="order_vanished", subject=child, level="error", text=text))

    def _is_there(self, watch: Watch) -> None:
        """End that trouble, also one that an earlier life told of."""
        if watch.vanished or watch.recovered:
            child = watch.ledger.intent.client_order_id
            self._tell_trouble(TroubleOver(kind="order_vanished", subject=child, text="the exchange knows it again"))
        watch.vanished, watch.missing_since = False, None

    def _by_own_name(self, order: OrderSnapshot) -> OrderSnapshot:
        """Call an order of ours by its own id: somebody may have given it another at the venue, its number stays."""
        if self._register.get(order.client_order_id) is not None:
            return order
        ledger = self._register.of_order(order.symbol, order.order_id)
        return order if ledger is None else replace(order, client_order_id=ledger.intent.client_order_id)

    def _take_snapshot(self, order: OrderSnapshot) -> None:
        order = self._by_own_name(order)
        ledger = self._register.get(order.client_order_id)
        if ledger is None:
            self._strangers.tell_of(order)
            return
        self._prover.saw(order)
        watch = self._watches.get(order.client_order_id)
        if watch is not None:
            watch.ask_order = False
        self._hear(ledger, order, (), self._poll_source(watch))

    def _take_open_orders(self, found: OpenOrdersFound) -> None:
        found = replace(found, orders=tuple(map(self._by_own_name, found.orders)))
        for order in found.orders:
            self._take_snapshot(order)
        self._chaser.polled(found)

    def _take_answered(self, answered: Answered) -> None:
        """Take an answer to a question of the start or of a proof."""
        answer = answered.answer
        if isinstance(answer, TradesFound):
            self._take_trades(answer, Asker(self.actor_ref, answered.asked, answered.since))
        else:
            self._take_word(answer)
        self._prover.take(answered)
        if self._start.take(answered):
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
            self._strangers.tell_of(order)  # Two orders under one id: this one is not the one we know.
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
                self._chaser.cancel(watch, "reappeared")
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
            self._is_there(watch)  # Its trades alone may have told of its end, or somebody's word that it was archived.
            self._watches.end(child)
            self._tell_if_settled()
        elif (ledger.final and ledger.missing) or (watch.wants_cancel and not watch.unknown):
            self._chaser.chase(watch)

    # Watching -------------------------------------------------------------------------------------

    def _begin_watch(self, child: str, *, recovered: bool = False) -> Watch:
        ledger = self._register.open(child)
        assert ledger is not None, f"{child} is not open"
        return self._chaser.watch(ledger, recovered=recovered)

    def _resume_watch(self, child: str) -> None:
        """Watch an order that was there before: its state is in doubt."""
        watch = self._begin_watch(child, recovered=True)
        watch.ask_order = True
        if watch.unknown:
            self._prover.begin(watch.ledger.intent.symbol, at_once=True)
        else:
            self._chaser.chase(watch, at_once=True)

    def _take_in(self, child: str) -> None:
        """Watch an order that the journal did not know; one of a journal that was lost is cancelled if open."""
        found = self._rebuild.taken_in(child)
        if found is None:
            self._resume_watch(child)
            return
        watch = self._begin_watch(child, recovered=True)
        self._hear(watch.ledger, found, (), "recovery")
        if not found.status.final:
            self._chaser.cancel(watch, "of a journal that was lost")
        self._tell_if_settled()

    def _relay(self, query: Query, *, urgent: bool = False) -> None:
        self.runtime.send(self._exchange, Relay(query=query, urgent=urgent))

    def _poll_source(self, watch: Watch | None) -> Source:
        return "recovery" if watch is not None and watch.recovered else "poll"

    def _time_out(self, child: str) -> None:
        watch = self._watches.get(child)
        if watch is None or watch.ledger.final or child in self._kept_back:
            return  # Trades that are still missing are being asked for; what was kept back will soon be told.
        ledger = watch.ledger
        self._settle(ledger, ledger.attempt.unknown(f"no word of it within {self._settings.timeout_seconds:g} s"))
        if ledger.attempt.rests and watch.cancel_reason is None:
            self._chaser.cancel(watch, TIMEOUT_CANCEL)
        watch.ask_order = True
        if watch.unknown:
            self._prover.begin(ledger.intent.symbol)
        else:
            self._chaser.chase(watch)

    def _conclude_absent(self, watch: Watch, proof: str) -> None:
        ledger = watch.ledger
        self._settle(ledger, ledger.attempt.absent(proof))
        self._absentees.look_out()

    def _take_timer(self, timer: Timed) -> None:
        match timer:
            case Inquire(symbol=symbol):
                self._prover.turn(symbol)
            case AskAgain(query=query):
                self._start.ask_again(query)
            case Recheck(symbol=symbol):
                self._chaser.ask_open_orders(symbol)
            case Sweep(wait=wait):
                self._absentees.sweep(wait)
            case AskBalances():
                self._start.ask_balances()
            case Poll(symbol=symbol):
                self._chaser.poll(symbol)
            case Chase(child=child):
                self._chaser.turn(child)
            case TimedOut(child=child):
                self._time_out(child)
            case EarlyOver(child=child):
                self._strangers.unknown_still(child)
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
                    self._absentees.look_out(delay=0.0)
                self._prover.stream_opened()
                self._go_on()
            case _:
                assert_never(event)
        self._chaser.poll_all_at_once()

    def _tell_trouble(self, trouble: TroubleSeen | TroubleOver) -> None:
        if self._troubles is not None:
            self.runtime.send(self._troubles, trouble)

    def _append_gap(self, cut: StreamCut) -> None:
        until = self.runtime.wall_time()
        lasted = timedelta(seconds=max(0.0, self.runtime.now() - cut.since))
        self.append(StreamGap(since=until - lasted, until=until, detail=cut.detail))

    # Start ----------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Take the next step of the start."""
        if self._streaming and self.caught_up:
            self._start.go_on()

    def _take_rules(self, rules: tuple[SymbolRules, ...]) -> None:
        if self._start.take_rules(rules):
            self._go_on()

    def _tell_ready(self) -> None:
        self._told.tell(ActorReady(self.name))
        self._tell_if_settled()

    # Settling -------------------------------------------------------------------------------------

    def _tell_if_settled(self) -> None:
        if self._register.open_count:
            return
        self._start.nothing_is_open()
        if self._settling:
            settling, self._settling = self._settling, []
            for report in settling:
                self.runtime.send(report.reply_to, Settled(self.name, 0))
