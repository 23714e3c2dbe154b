"""The one door to the venue: every place, cancel and query goes through here, under one budget."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from actors.alerts import BY_THE_EXCHANGE
from actors.exchange.budget import Priority, weight_of
from actors.exchange.door import Door
from actors.exchange.exposure import EXPOSURE_FACTS
from actors.exchange.intents import intent_of, intent_of_adopted
from actors.exchange.outbox import Outbox
from actors.exchange.refresh import Need, Refresh, is_of_balance, is_of_symbol
from actors.exchange.settings import ExchangeSettings
from actors.exchange.signs import Signs
from actors.follower import Follower
from actors.halts import BAN, HALTS, INVARIANT, SECOND_DAEMON, graver
from actors.lookout import HINDRANCES, Lookout
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from messages.control import (
    ActorReady,
    CancelEverything,
    CaughtUp,
    Committed,
    FactNews,
    HaltTrading,
    JournalCommand,
    Ping,
    Pong,
    Readiness,
    ReadinessChanged,
    ResumeTrading,
    TroubleOver,
    TroubleSeen,
    WeightUsedUp,
)
from messages.execution import WaitsFor
from messages.facts import (
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionQuarantined,
    Fact,
    RateLimited,
    TradeBooked,
    TradingHalted,
    TradingResumed,
)
from messages.frozen import dataclass
from messages.ids import cancel_id, child_id, milliseconds, parse_child_id
from messages.market import BalancesChanged, RulesChanged, SymbolRules
from messages.money import ONE
from messages.order import (
    AdoptChild,
    BalancesFound,
    BalancesSeen,
    CancelChild,
    CancelReply,
    ConnectExchange,
    Decline,
    KeptBack,
    LimitsSeen,
    OpenUserStream,
    OrderReply,
    OrderSnapshot,
    PlaceChild,
    ProbeStream,
    Query,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryRules,
    QueryTime,
    Relay,
    ReportLimits,
    RulesFound,
    SendCancel,
    TimeFound,
    UserEvent,
    VenueAlarm,
    VenueCommand,
    VenueTime,
    order_of,
)
from messages.refs import Tells

FILTER_FAILURE, TIMESTAMP_FAILURE = -1013, -1021
REMEMBERED_CANCELS = 10_000
CLOCK_STEP_SECONDS = 0.05
"""More than this, our wall clock must not move against the monotonic one while the venue's is asked for."""

BALANCE_RECHECK_SECONDS = 2.0
EARLIER_LIFE_MS, JUST_NOW_MS = 60_000, 120_000
"""What an earlier life had under way has arrived so long after a start; an order is new for so long."""


@dataclass(frozen=True, slots=True)
class _Open:
    """Time to see whether the venue may be talked to."""


@dataclass(frozen=True, slots=True)
class _BanOver:
    """The venue's ban should be over."""


@dataclass(frozen=True, slots=True)
class _LookAgain:
    """Time to see whether what waits for budget may go."""


@dataclass(frozen=True, slots=True)
class _AskAgain:
    """Time to ask the venue for something that must be known."""

    need: Need


__all__ = ["ExchangeActor", "ExchangeMessage", "ExchangeSettings"]

ExchangeMessage = (
    ConnectExchange
    | PlaceChild
    | CancelChild
    | Relay
    | LimitsSeen
    | VenueAlarm
    | TimeFound
    | RulesFound
    | BalancesFound
    | BalancesSeen
    | QueryFailed
    | ReadinessChanged
    | HaltTrading
    | ResumeTrading
    | CancelEverything
    | AdoptChild
    | ProbeStream
    | Ping
    | FactNews
    | _Open
    | _BanOver
    | _LookAgain
    | _AskAgain
)


class ExchangeActor(Follower, Child):
    """Decides on every child order, journals the intent, and hands it to the venue once."""

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady | WeightUsedUp],
        name: Hashable,
        *,
        journal: Tells[JournalCommand],
        venue: Tells[VenueCommand],
        settings: ExchangeSettings,
        troubles: Tells[TroubleSeen | TroubleOver] | None = None,
        lookout: Tells[WaitsFor] | None = None,
    ) -> None:
        super().__init__(parent, name)
        self._lookout = Lookout(lookout, "exchange")
        self._troubles = troubles
        self.use_journal(journal)
        self._told, self._venue, self._settings = parent, venue, settings
        self._signs = Signs()
        self._watcher: Tells[OrderReply | CancelReply | QueryAnswer | UserEvent | VenueTime | KeptBack] | None = None
        self._wall_zero = 0.0
        self._gate: Tells[object] | None = None
        self._venue_zero: float | None = None
        self._began_at = math.inf
        self._door = Door(settings)
        self._outbox = Outbox(settings.most_waiting)
        self._not_after: dict[str, float] = {}
        self._cancels: dict[str, int] = {}
        self._held_cancels: list[CancelChild] = []
        self._held_words: list[LimitsSeen | VenueAlarm | HaltTrading | ResumeTrading] = []
        self._adopted: dict[str, None] = {}
        self._opened = False
        self._look_timer: Timer | None = None
        intervals = {
            Need.TIME: settings.time_refresh_seconds,
            Need.RULES: settings.rules_refresh_seconds,
            Need.BALANCES: settings.balances_refresh_seconds,
        }
        self._refreshes = {need: Refresh(every, settings.answer_seconds) for need, every in intervals.items()}
        self._ask_timers: dict[Need, Timer] = {}

    def begin(self) -> None:
        """Fold everything that bears on what may be sent."""
        own = (ChildAcknowledged, ChildCancelRequested, RateLimited, TradingHalted, TradingResumed)
        self.follow(*EXPOSURE_FACTS, *own)

    def on_receive(self, message: ExchangeMessage) -> None:
        """Take a message."""
        match message:
            case PlaceChild():
                self._place(message)
            case Committed() | CaughtUp():
                self.on_news(message)
            case Relay(query=query, urgent=urgent):
                self._relay(query, Priority.PROOF if urgent else Priority.POLL)
            case LimitsSeen() | VenueAlarm() | HaltTrading() | ResumeTrading() if not self.caught_up:
                self._held_words.append(message)  # The past would be folded over what follows from it.
            case LimitsSeen():
                self._learn_limits(message)
            case TimeFound() | RulesFound() | BalancesFound() | BalancesSeen() | QueryFailed():
                self._take_answer(message)
            case Ping(reply_to=reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case _Open() | _BanOver() | _LookAgain() | _AskAgain():
                self._take_timer(message)
            case CancelChild():
                self._cancel(message)
            case VenueAlarm(code=code, detail=detail):
                self._take_alarm(code, detail)
            case ReadinessChanged() | HaltTrading() | ResumeTrading() | CancelEverything():
                self._steer(message)
            case AdoptChild(order=order, rebuilding=rebuilding):
                self._adopt(order, rebuilding=rebuilding)
            case ProbeStream():
                self._probe(message)
            case ConnectExchange():
                self._connect(message)
            case _:
                assert_never(message)

    def _take_timer(self, timer: _Open | _BanOver | _LookAgain | _AskAgain) -> None:
        match timer:
            case _Open():
                self._open()
            case _BanOver():
                self._lift_ban()
            case _LookAgain():
                self._send_waiting()
            case _AskAgain(need=need):
                self._ask_if_due(need)
            case _:
                assert_never(timer)

    def _steer(self, message: ReadinessChanged | HaltTrading | ResumeTrading | CancelEverything) -> None:
        match message:
            case ReadinessChanged(readiness=readiness):
                self._door.readiness = readiness
                if self._door.shut_for is not None:
                    self._cancel_resting(self._door.exposures.open_children(), self._door.shut_for)
            case HaltTrading(reason=reason, detail=detail):
                self._halt(reason, detail)
            case ResumeTrading(detail=detail):
                if self._door.halted is not None:
                    self.append(TradingResumed(detail=detail))
            case CancelEverything():
                self._cancel_everything()
            case _:
                assert_never(message)

    # Facts ----------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold what bears on exposure, balances, cancels, limits and halts."""
        self._door.fold(fact, at, self.runtime.now(), self.runtime.wall_time())
        if isinstance(fact, ChildCancelRequested):
            self._count_cancel(fact.client_order_id, fact.cancel_id)

    def on_durable(self, fact: Fact) -> None:
        """Send what is journalled, unless it may not go any more."""
        match fact:
            case ChildIntended(adopted=True):
                pass  # It is at the venue already.
            case ChildIntended():
                self._send(fact)
            case ChildCancelRequested():
                self._outbox.put_cancel(
                    SendCancel(
                        symbol=fact.symbol,
                        client_order_id=fact.client_order_id,
                        order_id=fact.order_id,
                        cancel_id=fact.cancel_id,
                        reply_to=self._connected(),
                    )
                )
                self._send_waiting()
            case TradingHalted():
                self._cancel_resting(self._door.exposures.open_children(), "halted")
            case _:
                pass

    def on_news_of(self, fact: Fact) -> None:
        """Ask again for what a refusal or a fill has shown to be out of date."""
        if not self.caught_up:
            return
        match fact:
            case ChildRefused(code=code, message=message) if code == FILTER_FAILURE or is_of_symbol(code, message):
                self._hurry(Need.RULES, 0.0)
            case ChildRefused(code=code, message=message) if is_of_balance(code, message):
                self._hurry(Need.BALANCES, 0.0)
            case ChildRefused(code=code) if code == TIMESTAMP_FAILURE:
                self._door.clock_doubted = True
                self._ask(Need.TIME)
            case ChildRefused(code=code, message=message) if code in HALTS:
                self._halt(HALTS[code], f"{code}: {message}")
            case TradeBooked(execution_id=execution_id):
                exposure = self._door.exposures.get(execution_id)
                if exposure is not None and exposure.overfilled:
                    self._halt(INVARIANT, f"{execution_id} is filled above what was asked")
            case ChildClosed(failure_reason=reason):
                if BY_THE_EXCHANGE in (reason or ""):  # In maintenance, or a halt: the next slot is to know.
                    self._hurry(Need.RULES, 0.0)
                if self._door.balances.unconfirmed:
                    self._hurry(Need.BALANCES, BALANCE_RECHECK_SECONDS)
            case _:
                self._on_news_of_resting(fact)

    def _on_news_of_resting(self, fact: Fact) -> None:
        """Let no child rest in the book while nothing new may be sent, nor one that nobody works any more."""
        match fact:
            case ExecutionQuarantined(execution_id=execution_id):
                self._cancel_resting(self._open_of(execution_id), "quarantined")
            case ChildAcknowledged(execution_id=execution_id, client_order_id=child):
                exposure = self._door.exposures.get(execution_id)
                intent = None if exposure is None else exposure.intent_of(child)
                why = self._door.shut_for or ("quarantined" if exposure is not None and exposure.quarantined else None)
                if intent is not None and why is not None:
                    self._cancel_resting((intent,), why, again=True)
            case _:
                pass

    def _open_of(self, execution_id: str) -> tuple[ChildIntended, ...]:
        exposure = self._door.exposures.get(execution_id)
        return () if exposure is None else exposure.open_children

    def _cancel_resting(self, children: Iterable[ChildIntended], reason: str, *, again: bool = False) -> None:
        """Cancel what rests, once unless `again`; the others end by themselves."""
        if not self._opened or self._door.journal_lost:
            return
        for intent in tuple(children):
            child = intent.client_order_id
            if intent.order_type == "LIMIT_MAKER" and (again or child not in self._cancels):
                self._append_cancel(intent.execution_id, child, intent.symbol, None, reason)

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """The past is folded: now the venue may be asked about the present."""
        self._tell_sign(TroubleOver(kind="venue_alarm", subject="venue", text="this start has read everything anew"))
        held, self._held_words = self._held_words, []
        for word in held:
            self.on_receive(word)
        self._take_held_cancels()
        self._open()

    def _halt(self, reason: str, detail: str) -> None:
        """Let no new order out from now on; said once, or again of something graver."""
        if graver(reason, self._door.halt_reason):
            self.append(TradingHalted(reason=reason, detail=detail))

    def _lift_ban(self) -> None:
        """End the halt of a ban with the ban; every other one waits for a person."""
        if self._door.halt_reason != BAN:
            return
        until = self._door.budget.forbidden_until(self.runtime.now())
        if until is None:
            self.append(TradingResumed(detail="the ban is over"))
        else:
            self.runtime.tell_at(until, self.actor_ref, _BanOver())

    # Placing --------------------------------------------------------------------------------------

    def _place(self, place: PlaceChild) -> None:
        child = child_id(self._settings.environment, place.execution_id, place.slice, place.attempt)
        if place.accepted is not None and not self._door.exposures.knows(place.execution_id):
            self._door.exposures.fold(place.accepted)
        now = self.runtime.now()
        venue = None if self._venue_zero is None else self._venue_milliseconds()
        declined = self._door.judge(place, child, now, venue)
        if declined is not None:
            self.runtime.send(place.reply_to, declined)
            self._lookout.held(place.execution_id, HINDRANCES.get(declined.reason, "other"), declined.detail)
            if declined.reason is Decline.SYMBOL_STATUS:
                self._hurry(Need.RULES, self._settings.status_retry_seconds / 2)
            return
        self._lookout.free(place.execution_id)
        self._door.budget.spend(0, now, orders=1)
        self._not_after[child] = place.not_after
        timestamp = int(self._venue_milliseconds())
        self.append(intent_of(place, child, timestamp, self._settings.recv_window_ms))

    def _send(self, intent: ChildIntended) -> None:
        """Send a durable intent, once, or journal why it was not sent."""
        hindrance = self._door.hindrance(
            intent,
            not_after=self._not_after.pop(intent.client_order_id),
            now=self.runtime.now(),
            venue_milliseconds=self._venue_milliseconds(),
        )
        if hindrance is None:
            self._venue.tell(order_of(intent, self._connected()))
            return
        reason, detail = hindrance
        self.runtime.send(self._connected(), KeptBack(client_order_id=intent.client_order_id))
        self.append(
            ChildNotSent(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                reason=reason.value,
                detail=detail,
                source="exchange_actor",
            )
        )

    def _venue_milliseconds(self) -> float:
        """The venue's time in ms since 1970; steps of our own wall clock don't touch it."""
        assert self._venue_zero is not None, "nothing is placed before the venue's time is known"
        return self._venue_zero + 1000 * self.runtime.now()

    # Orders that the journal does not know --------------------------------------------------------

    def _adopt(self, order: OrderSnapshot, *, rebuilding: bool) -> None:
        """Take in an own order that the journal does not know, or cancel it if nobody wants it."""
        child, name = order.client_order_id, parse_child_id(order.client_order_id)
        if name is None or name.cancel is not None or self._door.journal_lost:
            return
        execution_id = name.execution_id
        exposure = self._door.exposures.get(execution_id)
        if exposure is not None and exposure.has_seen(child):
            return  # The journal has told of it meanwhile.
        price = order.price or (order.executed_quote / order.executed_quantity if order.executed_quantity else ONE)
        if not rebuilding and self._is_of_another(order, execution_id):
            detail = f"{child} is an order like ours that is not in this journal: another daemon trades on this account"
            self._halt(SECOND_DAEMON, detail)
            return
        known = self._door.exposures.knows(execution_id) and not self._door.exposures.has_seen(execution_id, child)
        if (known or rebuilding) and child not in self._adopted:
            self._adopted[child] = None
            self.append(
                intent_of_adopted(order, name.slice, name.attempt, execution_id, price, self._settings.recv_window_ms)
            )
        elif not order.status.final:
            self._append_cancel(execution_id, child, order.symbol, order.order_id, "unknown to the journal")

    def _is_of_another(self, order: OrderSnapshot, execution_id: str) -> bool:
        """Whether somebody else makes orders under ids of ours, here and now: this process made none of it."""
        if self._venue_zero is None or self._door.exposures.knows(execution_id):
            return False
        age = self._venue_milliseconds() - order.time
        return order.time > self._began_at + EARLIER_LIFE_MS and abs(age) < JUST_NOW_MS

    # Cancels --------------------------------------------------------------------------------------

    def _cancel(self, cancel: CancelChild) -> None:
        if self._watcher is None or not (self.caught_up or self._door.journal_lost):
            self._held_cancels.append(cancel)  # How it is numbered, and whether it is over, is not known yet.
            return
        exposure = self._door.exposures.get(cancel.execution_id)
        child = cancel.client_order_id
        if exposure is not None and exposure.has_seen(child) and exposure.intent_of(child) is None:
            return  # It ended while the wish was on its way.
        if self._door.journal_lost:
            self._cancel_unjournalled(child, cancel.symbol, cancel.order_id)
            return
        self._append_cancel(cancel.execution_id, child, cancel.symbol, cancel.order_id, cancel.reason)

    def _take_held_cancels(self) -> None:
        held, self._held_cancels = self._held_cancels, []
        for cancel in held:
            self._cancel(cancel)

    def _append_cancel(self, execution_id: str, child: str, symbol: str, order_id: int | None, reason: str) -> None:
        self.append(
            ChildCancelRequested(
                execution_id=execution_id,
                client_order_id=child,
                cancel_id=cancel_id(child, self._cancels.get(child, 0)),
                symbol=symbol,
                order_id=order_id,
                reason=reason,
            )
        )

    def _cancel_everything(self) -> None:
        self._door.journal_lost = True
        for intent in self._door.exposures.open_children():
            self._cancel_unjournalled(intent.client_order_id, intent.symbol, None)

    def _cancel_unjournalled(self, child: str, symbol: str, order_id: int | None) -> None:
        name = cancel_id(child, self._cancels.get(child, 0))
        self._count_cancel(child, name)
        self._outbox.put_cancel(
            SendCancel(
                symbol=symbol, client_order_id=child, order_id=order_id, cancel_id=name, reply_to=self._connected()
            )
        )
        self._send_waiting()

    def _count_cancel(self, child: str, name: str) -> None:
        parsed = parse_child_id(name)
        number = parsed.cancel if parsed is not None and parsed.cancel is not None else 0
        self._cancels[child] = max(self._cancels.pop(child, 0), number + 1)
        while len(self._cancels) > REMEMBERED_CANCELS:
            del self._cancels[next(iter(self._cancels))]

    # Queries, limits ------------------------------------------------------------------------------

    def _relay(self, query: Query, priority: Priority) -> None:
        if not self._outbox.put_query(query, priority):
            self.runtime.send(query.reply_to, QueryFailed(query=query, detail="too many queries wait"))
        self._send_waiting()

    def _send_waiting(self) -> None:
        if not self._opened and not self._door.journal_lost:
            return  # A Retry-After in the journal may not be known yet.
        going, look_at = self._outbox.take(self._door.budget, self.runtime.now())
        for command in going:
            self._venue.tell(command)
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        if look_at is not None:
            self._look_timer = self.runtime.tell_at(look_at, self.actor_ref, _LookAgain())
            if self._door.readiness is Readiness.STARTING:
                self._told.tell(WeightUsedUp(look_at))

    def _learn_limits(self, seen: LimitsSeen) -> None:
        self._door.budget.learn(seen, self.runtime.now())
        self._tell_sign(self._signs.of_limits(seen))
        retry_at = seen.retry_at
        if retry_at is not None and self._door.begins_episode(retry_at, orders_only=seen.orders_only):
            self.append(
                RateLimited(until=retry_at, banned=seen.banned, detail=seen.detail, orders_only=seen.orders_only)
            )
            if seen.banned:
                self._halt(BAN, seen.detail)
                self._lift_ban()

    def _take_alarm(self, code: int, detail: str) -> None:
        """Stop where the venue will take nothing more from us as we are; else let a person know."""
        if (reason := HALTS.get(code)) is not None:
            self._halt(reason, f"{code}: {detail}")
            return
        text = f"the exchange said what it should never have to say to us ({detail}): see the log"
        self._tell_sign(TroubleSeen(kind="venue_alarm", subject="venue", level="error", text=text))

    def _probe(self, probe: ProbeStream) -> None:
        """Have the stream prove itself, unless nothing may be asked at present."""
        now = self.runtime.now()
        if self._opened and self._door.budget.forbidden_until(now) is None:
            self._door.budget.spend(weight_of(probe), now)
            self._venue.tell(probe)

    # What must be known ---------------------------------------------------------------------------

    def _connect(self, connect: ConnectExchange) -> None:
        self._watcher, self._gate = connect.watcher, connect.gate
        self._venue.tell(ReportLimits(listener=self.actor_ref))
        self._take_held_cancels()
        self._open()

    def _open(self) -> None:
        """Begin to talk to the venue: after the journal is folded and a Retry-After in it is over."""
        if self._opened or self._watcher is None or not self.caught_up:
            return
        until = self._door.budget.forbidden_until(self.runtime.now())
        if until is not None:
            self.runtime.tell_at(until, self.actor_ref, _Open())
            self._told.tell(WeightUsedUp(until))  # A refused order may tell of it, which the root does not read.
            return
        self._opened = True
        if self._door.shut_for is not None:
            self._cancel_resting(self._door.exposures.open_children(), self._door.shut_for)
        self._lift_ban()
        self._venue.tell(OpenUserStream(listener=self._watcher))
        for need in Need:
            self._ask(need)
        self._send_waiting()

    def _connected(self) -> Tells[OrderReply | CancelReply | QueryAnswer | UserEvent | VenueTime | KeptBack]:
        assert self._watcher is not None, "nothing is sent before ConnectExchange"
        return self._watcher

    def _ask(self, need: Need) -> None:
        refresh, me = self._refreshes[need], self.actor_ref
        query: Query
        match need:
            case Need.TIME:
                query, self._wall_zero = QueryTime(reply_to=me), self._wall_offset()
            case Need.RULES:
                # One that is no longer configured is still worked on to its end.
                symbols = dict.fromkeys((*self._settings.symbols, *self._door.exposures.symbols()))
                query = QueryRules(symbols=tuple(symbols), reply_to=me)
            case Need.BALANCES:
                query = QueryBalances(reply_to=me)
            case _:
                assert_never(need)
        refresh.asked(self.runtime.now())
        self._set_ask_timer(need)
        self._relay(query, Priority.POLL if refresh.known else Priority.PROOF)

    def _ask_if_due(self, need: Need) -> None:
        if self.runtime.now() >= self._refreshes[need].due:
            self._ask(need)
        else:
            self._set_ask_timer(need)

    def _hurry(self, need: Need, within: float) -> None:
        if self._refreshes[need].hurry(within, self.runtime.now()):
            self._set_ask_timer(need)

    def _set_ask_timer(self, need: Need) -> None:
        if (timer := self._ask_timers.get(need)) is not None:
            timer.cancel()
        due = self._refreshes[need].due
        self._ask_timers[need] = self.runtime.tell_at(due, self.actor_ref, _AskAgain(need))

    def _take_answer(self, answer: TimeFound | RulesFound | BalancesFound | BalancesSeen | QueryFailed) -> None:
        match answer:
            case TimeFound(offset_milliseconds=offset):
                self._take_time(offset)
            case RulesFound(rules=rules):
                self._take_rules(rules)
                if self._watcher is not None:
                    self.runtime.send(self._watcher, answer)
                self._answered(Need.RULES)
            case BalancesFound(balances=balances):
                self._door.balances.found(balances)
                self._push_balances()
                self._answered(Need.BALANCES)
            case BalancesSeen(balances=balances):
                self._door.balances.seen(balances)
                self._push_balances()
            case QueryFailed(query=query, until=until, code=code, detail=detail):
                if code in HALTS:
                    self._halt(HALTS[code], f"{code}: {detail}")
                self._query_failed(query, until)
            case _:
                assert_never(answer)

    def _take_time(self, offset: int) -> None:
        if abs(self._wall_offset() - self._wall_zero) > CLOCK_STEP_SECONDS:
            self._ask(Need.TIME)  # Our clock was set meanwhile: the difference to it says nothing.
            return
        self._tell_sign(self._signs.of_clock(offset))
        self._venue_zero = milliseconds(self.runtime.wall_time()) + offset - 1000 * self.runtime.now()
        self._began_at = min(self._began_at, self._venue_milliseconds())
        self._door.clock_doubted = False
        if self._watcher is not None:
            self.runtime.send(self._watcher, VenueTime(zero=self._venue_zero))
        self._answered(Need.TIME)

    def _tell_sign(self, sign: TroubleSeen | TroubleOver | None) -> None:
        if sign is not None and self._troubles is not None:
            self.runtime.send(self._troubles, sign)

    def _wall_offset(self) -> float:
        """How far the wall clock is ahead of the monotonic one, in seconds."""
        return milliseconds(self.runtime.wall_time()) / 1000 - self.runtime.now()

    def _answered(self, need: Need) -> None:
        self._refreshes[need].answered(self.runtime.now())
        self._set_ask_timer(need)
        self._tell_if_ready()

    def _query_failed(self, query: Query, until: datetime | None) -> None:
        match query:
            case QueryTime():
                need = Need.TIME
            case QueryRules():
                need = Need.RULES
            case QueryBalances():
                need = Need.BALANCES
            case _:
                return  # Not one of ours.
        now, not_before = self.runtime.now(), 0.0
        if until is not None:
            not_before = now + (until - self.runtime.wall_time()).total_seconds()
        self._refreshes[need].failed(now, not_before)
        self._set_ask_timer(need)

    def _take_rules(self, found: tuple[SymbolRules, ...]) -> None:
        fresh = {rules.symbol: rules for rules in found}
        for symbol, known in self._door.rules.items():
            if symbol not in fresh:  # The venue no longer lists it.
                fresh[symbol] = replace(known, trading=False, status="UNKNOWN")
        for symbol in self._door.exposures.symbols():
            if symbol not in fresh:  # Nor did it at the start: what runs on it must end all the same.
                fresh[symbol] = SymbolRules(symbol=symbol, base=symbol, quote="", trading=False, status="UNKNOWN")
        for symbol, rules in fresh.items():
            if self._door.rules.get(symbol) != rules and self._gate is not None:
                self.runtime.send(self._gate, RulesChanged(rules=rules))
        self._door.rules = fresh

    def _push_balances(self) -> None:
        if self._gate is not None:
            self.runtime.send(self._gate, BalancesChanged(free=self._door.balances.free))

    def _tell_if_ready(self) -> None:
        known = all(refresh.known for refresh in self._refreshes.values())
        if known and not self._door.known:
            self._door.known = True
            self._told.tell(ActorReady(self.name))
