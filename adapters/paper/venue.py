"""The paper exchange as a venue inside the process: an actor, in real or in virtual time.

It answers what a live adapter answers, after latencies that are drawn, and goes wrong by plan.
"""

from __future__ import annotations

import random
from dataclasses import field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar, assert_never

from actors.runtime import Actor, Timer
from adapters.paper.errors import NO_SUCH_ORDER, ExchangeError
from adapters.paper.exchange import PaperExchange
from adapters.paper.faults import Fault, FaultKind, FaultPlan
from adapters.paper.limits import DAY, SECOND, TOO_MANY_ORDERS
from adapters.paper.link import LatencySettings, LinkMessage, TimeAsked, VenueLink
from adapters.paper.records import OrderRecord, TradeRecord
from adapters.paper.requests import check_time
from adapters.paper.rules import SymbolSpec, symbol_rules
from adapters.paper.wording import (
    acknowledged,
    cancel_params,
    order_params,
    refused,
    snapshot,
    trade,
    until,
    user_event,
)
from messages.frozen import dataclass
from messages.ids import microseconds, milliseconds
from messages.market import Level, MarketEvent, MarketGap, QuoteSeen, SymbolRules, WatchMarket
from messages.order import (
    AllOrdersFound,
    BalancesFound,
    CancelAcknowledged,
    CancelFailed,
    CancelReply,
    LimitsSeen,
    NotSent,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderNotFound,
    OrderSnapshot,
    OrderStatus,
    OutcomeUnknown,
    ProbeStream,
    QueryAllOrders,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    Refused,
    ReportLimits,
    RulesFound,
    SendCancel,
    SendOrder,
    StreamCut,
    StreamOpened,
    StreamProbed,
    TimeFound,
    TradesFound,
    UserEvent,
    VenueAlarm,
)
from messages.refs import Tells

__all__ = ["LatencySettings", "PaperVenue", "VenueLink", "VenueMessage"]

M = TypeVar("M")
R = TypeVar("R", OrderRecord, TradeRecord)

BANNED = 418
HOT_SECONDS = 0.1
COLD_SECONDS = 1.0
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Look:
    symbol: str
    number: int


@dataclass(frozen=True, slots=True)
class Stir:
    """Own orders rest: let the others trade. Or something was done to the exchange itself: tell what has come of it."""


@dataclass(frozen=True, slots=True)
class _Late:
    """An order that was held up: on its way, or (`forwarded`) between the door and the engine."""

    order: SendOrder
    forwarded: bool


@dataclass(frozen=True, slots=True)
class _StreamBack:
    """The user stream delivers again."""


VenueMessage = LinkMessage | _Look | Stir | _Late | _StreamBack


@dataclass(slots=True)
class _Watch:
    listener: Tells[MarketEvent]
    hot: bool
    number: int
    timer: Timer | None = None
    last: tuple[tuple[Level, ...], tuple[Level, ...], Decimal | None] | None = None
    trades: bool = False
    due: float = field(default=0.0)
    silent_until: float = field(default=0.0)


class PaperVenue(Actor):
    """Puts a `PaperExchange` behind the venue's messages: each order, cancel and query gets one answer.

    Replies and user-stream events go their own ways, so either may come first; events among
    themselves keep their order, as do quotes of one symbol.
    """

    name = "paper-venue"

    def __init__(
        self,
        exchange: PaperExchange,
        *,
        latency: LatencySettings | None = None,
        chance: random.Random,
        faults: FaultPlan | None = None,
        cold_seconds: float = COLD_SECONDS,
        hot_seconds: float = HOT_SECONDS,
    ) -> None:
        """Serve `exchange`, which must have been made at this moment or before; `chance` draws latencies.

        A symbol that is watched closely is shown every `hot_seconds`, another every `cold_seconds`.
        """
        super().__init__()
        self._start = microseconds(self.runtime.wall_time()), self.runtime.now()
        self.exchange = exchange
        self._latency, self._chance = latency or LatencySettings(), chance
        self._faults, self._cold_seconds, self._hot_seconds = faults or FaultPlan(), cold_seconds, hot_seconds
        self._watches: dict[str, _Watch] = {}
        self._looks = 0
        self._passing: Timer | None = None
        self._stream: Tells[UserEvent] | None = None
        self._stream_due = 0.0
        self._stream_is_cut = False
        self._limits: Tells[LimitsSeen | VenueAlarm] | None = None

    def on_receive(self, message: VenueMessage) -> None:
        """Do what a client, or an own timer, asks."""
        match message:
            case _Look():
                self._look(message)
            case QueryOrder() | QueryOpenOrders() | QueryAllOrders() | QueryTrades() | QueryBalances() | QueryRules():
                self._answer(message.reply_to, self._query(message))
            case OpenUserStream(listener=who) | ReportLimits(listener=who) | WatchMarket(listener=who) if _gone(who):
                pass  # It outlived its sender on the way: the connection that asked is closed, and replaces none.
            case SendOrder():
                self._place(message)
            case SendCancel():
                self._cancel(message)
            case WatchMarket():
                self._watch(message)
            case Stir():
                self._passing = None
                self.exchange.advance(self._now())
            case OpenUserStream():
                self._stream = message.listener
                if not self._stream_is_cut:
                    self._tell_stream(StreamOpened())
            case ProbeStream(probe=probe):
                self._publish()
                self._tell_stream(StreamProbed(probe=probe))
            case _Late(order=order, forwarded=forwarded):
                self._execute(order, forwarded=forwarded)
            case _StreamBack():
                self._stream_is_cut = False
                self._tell_stream(StreamOpened())
            case ReportLimits():
                self._limits = message.listener
            case TimeAsked() | QueryTime():
                self._tell_time(message)
            case _:
                assert_never(message)
        self._publish()

    def on_stop(self) -> None:
        """Close the exchange's file."""
        self.exchange.close()

    def _tell_time(self, asked: TimeAsked | QueryTime) -> None:
        query = asked.query if isinstance(asked, TimeAsked) else asked
        if self._faults.strike(FaultKind.FAILED_TIME):
            self._answer(query.reply_to, QueryFailed(query=query, detail="503 Service Unavailable"))
            return
        asker = asked.asker_ms if isinstance(asked, TimeAsked) else milliseconds(self.runtime.wall_time())
        self._answer(query.reply_to, TimeFound(offset_milliseconds=self.exchange.server_time(self._now()) - asker))

    # Trading --------------------------------------------------------------------------------------

    def _place(self, message: SendOrder) -> None:
        name, params = message.client_order_id, order_params(message)
        if self._faults.strike(FaultKind.DROPPED_REQUEST):
            self.exchange.record(params, self._now(), "dropped")
            self._answer_unknown(message)
            return
        if self._faults.strike(FaultKind.NOT_SENT):
            self._answer(message.reply_to, NotSent(client_order_id=name, detail="connection refused"))
            return
        refusal = self._faults.strike(FaultKind.REFUSE)
        if refusal is not None:
            ends = None
            if refusal.milliseconds:
                ends = self.exchange.time(self._now()) + int(refusal.milliseconds * 1000)
            said = ExchangeError(refusal.code, refusal.message, until=ends)
            self.exchange.record(params, self._now(), "refused", said)
            self._answer(message.reply_to, self._refusal(name, refusal))
            return
        if (late := self._faults.strike(FaultKind.LATE_REQUEST)) is not None:
            self._hold_up(message, late.milliseconds, forwarded=False)
            return
        if (slow := self._faults.strike(FaultKind.SLOW_ENGINE)) is not None:
            try:
                check_time(params, self.exchange.time(self._now()))
            except ExchangeError:
                pass  # It is refused at the door, at once.
            else:
                self._hold_up(message, slow.milliseconds, forwarded=True)
                return
        if self._faults.strike(FaultKind.LOST_REPLY):
            self._execute(message)
            self._answer_unknown(message)
        elif self._faults.strike(FaultKind.GARBLED_REPLY):
            self._execute(message)
            self._answer(message.reply_to, OutcomeUnknown(client_order_id=name, detail="no JSON"))
        elif (error := self._faults.strike(FaultKind.ERROR_AFTER)) is not None:
            self._execute(message)
            self._answer(message.reply_to, self._refusal(name, error))
        else:
            self._execute(message, lost=False)

    def _refusal(self, name: str, fault: Fault) -> Refused:
        """Say what a fault has for an answer; with a Retry-After, also to whom limits are reported."""
        if not fault.milliseconds:
            return Refused(client_order_id=name, code=fault.code, message=fault.message)
        ends = self.runtime.wall_time() + timedelta(milliseconds=fault.milliseconds)
        if self._limits is not None:
            crowded = fault.code == TOO_MANY_ORDERS
            seen = LimitsSeen(retry_at=ends, banned=fault.code == BANNED, orders_only=crowded, detail=fault.message)
            self._answer(self._limits, seen)
        return Refused(client_order_id=name, code=fault.code, message=fault.message, until=ends)

    def _hold_up(self, message: SendOrder, milliseconds: float, *, forwarded: bool) -> None:
        """Let an order take effect later, when nobody waits for its reply any more."""
        self.runtime.tell_after(milliseconds / 1000, self.actor_ref, _Late(message, forwarded))
        self._answer_unknown(message)

    def _execute(self, message: SendOrder, *, lost: bool = True, forwarded: bool = False) -> None:
        name, params = message.client_order_id, order_params(message)
        try:
            reply = acknowledged(self.exchange.place(params, self._now(), forwarded=forwarded))
        except ExchangeError as error:
            self._report_limits(error)
            if not lost:
                self._answer(message.reply_to, refused(name, error))
        else:
            self._report_limits()
            if not lost:
                self._answer(message.reply_to, reply)

    def _cancel(self, message: SendCancel) -> None:
        name, number = message.client_order_id, message.cancel_id
        if self._faults.strike(FaultKind.DROPPED_CANCEL):
            self._answer_later(message, CancelFailed(client_order_id=name, code=None, detail="cut", cancel_id=number))
            return
        lost = self._faults.strike(FaultKind.LOST_CANCEL_REPLY)
        reply: CancelReply
        try:
            cancelled = self.exchange.cancel(cancel_params(message), self._now())
        except ExchangeError as error:
            self._report_limits(error)
            reply = CancelFailed(
                client_order_id=name, code=error.code, detail=error.message, until=until(error), cancel_id=number
            )
        else:
            reply = CancelAcknowledged(client_order_id=name, order=snapshot(cancelled.order), cancel_id=number)
        if lost:
            self._answer_later(message, CancelFailed(client_order_id=name, code=None, detail="cut", cancel_id=number))
        else:
            self._answer(message.reply_to, reply)

    # Queries --------------------------------------------------------------------------------------

    def _query(
        self,
        query: QueryOrder | QueryOpenOrders | QueryAllOrders | QueryTrades | QueryBalances | QueryRules,
    ) -> QueryAnswer:
        if self._faults.strike(FaultKind.FAILED_QUERY):
            return QueryFailed(query=query, detail="503 Service Unavailable")
        try:
            answer = self._look_up(query)
        except ExchangeError as error:
            self._report_limits(error)
            if isinstance(query, QueryOrder) and (error.code, error.message) == NO_SUCH_ORDER:
                return OrderNotFound(symbol=query.symbol, client_order_id=query.client_order_id)
            return QueryFailed(query=query, detail=str(error), until=until(error), code=error.code)
        self._report_limits()
        return answer

    def _look_up(
        self,
        query: QueryOrder | QueryOpenOrders | QueryAllOrders | QueryTrades | QueryBalances | QueryRules,
    ) -> QueryAnswer:
        exchange, now = self.exchange, self._now()
        match query:
            case QueryOrder():
                name, number = query.client_order_id, query.order_id
                which = {"origClientOrderId": name} if number is None else {"orderId": str(number)}
                found = exchange.order({"symbol": query.symbol, **which}, now)
                age = (exchange.time(now) - found.time) / 1000
                lag = self._faults.strike(FaultKind.QUERY_LAG)
                if lag is not None and age < lag.milliseconds:
                    return OrderNotFound(symbol=query.symbol, client_order_id=name)
                stale = self._faults.strike(FaultKind.STALE_ANSWER)
                if stale is not None and age < stale.milliseconds:
                    return OrderFound(client_order_id=name, order=_as_it_came(snapshot(found)))
                return OrderFound(client_order_id=name, order=snapshot(found))
            case QueryOpenOrders():
                orders = self._visible(exchange.open_orders({"symbol": query.symbol}, now))
                return OpenOrdersFound(symbol=query.symbol, orders=tuple(map(snapshot, orders)))
            case QueryAllOrders():
                return self._all_orders(query)
            case QueryTrades():
                return self._trades(query)
            case QueryBalances():
                return BalancesFound(balances=exchange.balances({}, now))
            case QueryRules():
                known = [symbol for symbol in query.symbols if symbol in exchange.engine.books]
                specs = exchange.rules(known, now) if known else []
                return RulesFound(rules=tuple(map(self._rules, specs)))
            case _:
                assert_never(query)

    def _all_orders(self, query: QueryAllOrders) -> AllOrdersFound:
        params = {"symbol": query.symbol, "startTime": str(query.since), "limit": str(_PAGE)}
        found = page = self.exchange.all_orders(params, self._now())
        while len(page) == _PAGE:
            params["orderId"] = str(page[-1].order_id + 1)
            page = self.exchange.all_orders(params, self._now())
            found += page
        return AllOrdersFound(symbol=query.symbol, since=query.since, orders=tuple(map(snapshot, self._visible(found))))

    def _visible(self, found: list[R]) -> list[R]:
        """Leave out of a list what a lagging copy does not have yet."""
        lag = self._faults.strike(FaultKind.LIST_LAG)
        if lag is None:
            return found
        newest = self.exchange.time(self._now()) - lag.milliseconds * 1000
        return [record for record in found if record.time <= newest]

    def _rules(self, spec: SymbolSpec) -> SymbolRules:
        rates = self.exchange.account.fees.of(spec.symbol)
        return symbol_rules(spec, maker_fee=rates.maker, taker_fee=rates.taker)

    def _trades(self, query: QueryTrades) -> TradesFound:
        params = {"symbol": query.symbol, "limit": str(_PAGE)}
        for name, value in (("fromId", query.from_id), ("startTime", query.since), ("orderId", query.order_id)):
            if value is not None:
                params[name] = str(value)
        found = self.exchange.my_trades(params, self._now())
        return TradesFound(
            symbol=query.symbol,
            trades=tuple(map(trade, self._visible(found))),
            from_id=query.from_id,
            since=query.since,
            order_id=query.order_id,
            complete=len(found) < _PAGE,
        )

    # Streams --------------------------------------------------------------------------------------

    def _watch(self, message: WatchMarket) -> None:
        if message.symbol not in self.exchange.engine.books:
            return  # As at the real exchange: a stream that does not exist stays silent.
        old = self._watches.get(message.symbol)
        if old is not None and old.timer is not None:
            old.timer.cancel()
        self._looks += 1
        watch = _Watch(message.listener, message.hot, self._looks, trades=message.trades)
        self._watches[message.symbol] = watch
        self.exchange.engine.books[message.symbol].followed = message.trades
        if old is not None and old.listener is message.listener:
            watch.due = old.due
        self._look(_Look(message.symbol, watch.number))

    def _look(self, message: _Look) -> None:
        watch = self._watches.get(message.symbol)
        if watch is None or watch.number != message.number:
            return
        if _gone(watch.listener):
            del self._watches[message.symbol]
            return
        bids, asks = self.exchange.look(message.symbol, self._now())
        traded = self.exchange.engine.books[message.symbol].traded if watch.trades else None
        seen = bids, asks, traded
        cut = self._faults.strike(FaultKind.MARKET_CUT)
        if cut is not None and self.runtime.now() >= watch.silent_until:
            watch.last, watch.silent_until = None, self.runtime.now() + cut.milliseconds / 1000
            gap = MarketGap(symbols=(message.symbol,))
            watch.due = self._tell_later(watch.listener, gap, self._latency.market_data_ms, watch.due)
        if bids and asks and seen != watch.last and self.runtime.now() >= watch.silent_until:
            watch.last = seen
            quote = QuoteSeen(
                symbol=message.symbol,
                bid=bids[0][0],
                bid_quantity=bids[0][1],
                ask=asks[0][0],
                ask_quantity=asks[0][1],
                bids=bids,
                asks=asks,
                traded=traded,
            )
            watch.due = self._tell_later(watch.listener, quote, self._latency.market_data_ms, watch.due)
        wait = self._hot_seconds if watch.hot else self._cold_seconds
        watch.timer = self.runtime.tell_after(wait, self.actor_ref, message)

    def _publish(self) -> None:
        """Tell the user stream what has happened, and see to it that what is about to happen does."""
        for event in self.exchange.drain():
            if self._stream_is_cut:
                continue
            if (cut := self._faults.strike(FaultKind.STREAM_CUT)) is not None and self._stream is not None:
                self._cut_stream(cut.milliseconds / 1000)
                continue
            if self._faults.strike(FaultKind.LOST_EVENT):
                continue
            if (stall := self._faults.strike(FaultKind.STREAM_STALL)) is not None:
                self._stream_due = max(self._stream_due, self.runtime.now() + stall.milliseconds / 1000)
            told = user_event(event)
            late = self._faults.strike(FaultKind.LATE_EVENT)
            if late is not None and self._stream is not None:
                self.runtime.tell_after(late.milliseconds / 1000, self._stream, told)
                continue
            self._tell_stream(told)
            if self._faults.strike(FaultKind.DUPLICATE_EVENT):
                self._tell_stream(told)
        if self._passing is None and self.exchange.resting:
            self._passing = self.runtime.tell_after(self._hot_seconds, self.actor_ref, Stir())

    def _cut_stream(self, seconds: float) -> None:
        """Lose the user stream, from this event on, for so long."""
        self._tell_stream(StreamCut(since=self.runtime.now(), detail="1006"))
        self._stream_is_cut = True
        self.runtime.tell_after(seconds, self.actor_ref, _StreamBack())

    def _tell_stream(self, event: UserEvent) -> None:
        if self._stream is not None and not self._stream_is_cut:
            self._stream_due = self._tell_later(self._stream, event, self._latency.user_stream_ms, self._stream_due)

    def _report_limits(self, error: ExchangeError | None = None) -> None:
        if self._limits is None:
            return
        limits, at = self.exchange.limits, self.exchange.time(self._now())
        hit = error is not None and error.http_status in {418, 429}
        self._answer(
            self._limits,
            LimitsSeen(
                used_weight=limits.used_weight(at),
                weight_limit=limits.settings.weight_per_minute,
                order_counts=(
                    (10, limits.order_count(10 * SECOND, at), limits.settings.orders_per_10_seconds),
                    (86_400, limits.order_count(DAY, at), limits.settings.orders_per_day),
                ),
                retry_at=until(error) if error is not None and hit else None,
                banned=error is not None and error.http_status == 418,
                orders_only=error is not None and error.code == TOO_MANY_ORDERS,
                detail=error.message if error is not None and hit else "",
            ),
        )

    # Ways out -------------------------------------------------------------------------------------

    def _now(self) -> int:
        """Microseconds since 1970 on a clock that never steps."""
        wall, began = self._start
        return wall + round((self.runtime.now() - began) * SECOND)

    def _answer(self, to: Tells[M], reply: M) -> None:
        self._tell_later(to, reply, self._latency.ack_out_ms, 0.0)

    def _answer_unknown(self, message: SendOrder) -> None:
        unknown = OutcomeUnknown(client_order_id=message.client_order_id, detail="no reply within the time-out")
        self.runtime.tell_after(self._latency.unknown_after_ms / 1000, message.reply_to, unknown)

    def _answer_later(self, message: SendCancel, reply: CancelReply) -> None:
        self.runtime.tell_after(self._latency.unknown_after_ms / 1000, message.reply_to, reply)

    def _tell_later(self, to: Tells[M], message: M, median_ms: float, not_before: float) -> float:
        """Tell after a latency, but not before a moment (so that a stream keeps its order); return when."""
        now = self.runtime.now()
        due = max(now + self._latency.draw(median_ms, self._chance), not_before)
        if due > now:
            self.runtime.tell_at(due, to, message)
        else:
            self.runtime.send(to, message)
        return due


def _as_it_came(order: OrderSnapshot) -> OrderSnapshot:
    """Show an order as it was before anything happened to it."""
    nothing = Decimal(0)
    return replace(order, status=OrderStatus.NEW, executed_quantity=nothing, executed_quote=nothing)


def _gone(listener: object) -> bool:
    """Tell whether a listener is an actor that has stopped, as a socket that was closed."""
    alive = getattr(listener, "is_alive", None)
    return alive is not None and not alive()
