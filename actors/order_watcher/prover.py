"""The part of OrderWatcher that gets to the bottom of unknown outcomes: it asks, fences and counts.

The rules are `Proof`'s and the rounds `Inquiry`'s; here are the messages and the two clocks.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.order_watcher.attempt import FENCE_CANCEL
from actors.order_watcher.inquiry import (
    FIRST_GAPS_SECONDS,
    GAP_SECONDS,
    LIST_FROM_ROUND,
    Answered,
    Asker,
    Inquiry,
    search_gaps,
)
from actors.order_watcher.proof import Moment, Path, Proof, StreamHealth
from actors.order_watcher.register import Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.watch import Watch, Watches
from actors.runtime import Runtime
from messages.frozen import dataclass
from messages.ids import milliseconds
from messages.order import (
    AllOrdersFound,
    CancelChild,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OrderSnapshot,
    ProbeStream,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    Relay,
    TradesFound,
)
from messages.refs import Tells


@dataclass(frozen=True, slots=True)
class Inquire:
    """Time for the next round of questions about a symbol's unknown orders."""

    symbol: str


class Prover:
    """Searches for the unknown orders among `watches`; `absent` is told which is proven away, and how."""

    def __init__(
        self,
        settings: WatcherSettings,
        watches: Watches,
        register: Register,
        *,
        runtime: Runtime,
        me: Tells[Answered | Inquire | QueryAnswer],
        exchange: Tells[Relay | CancelChild | ProbeStream],
        absent: Callable[[Watch, str], None],
    ) -> None:
        self._settings, self._watches, self._register = settings, watches, register
        self._runtime, self._me, self._exchange, self._absent = runtime, me, exchange, absent
        self._venue_zero: float | None = None
        self._opened_at: float | None = None
        self._alive_until: float | None = None
        self._inquiries: dict[str, Inquiry] = {}
        self._latest: dict[str, OrderSnapshot] = {}
        self._counting_gap = settings.negatives_seconds / max(1, settings.negatives - 1)

    # Clocks and the stream ------------------------------------------------------------------------

    def learn_time(self, zero: float) -> None:
        """Take the venue's clock: `zero` + 1000 x monotonic seconds."""
        if self._venue_zero is None:
            self._venue_zero = zero
            self.hurry()
        self._venue_zero = zero

    def moment(self) -> Moment | None:
        """Return what time it is, None while the venue's clock is not known."""
        if self._venue_zero is None:
            return None
        now = self._runtime.now()
        return Moment(now, self._venue_zero + 1000 * now)

    def venue_now(self) -> float:
        """Return the venue's time in ms since 1970, by our own clock while it is not known."""
        moment = self.moment()
        return milliseconds(self._runtime.wall_time()) if moment is None else moment.venue

    def asked_now(self) -> Moment:
        """Return the moment of a question; one of which the venue's time is not known can prove nothing away."""
        return self.moment() or Moment(self._runtime.now(), 0.0)

    @property
    def _health(self) -> StreamHealth:
        if self._opened_at is None or self._venue_zero is None:
            return StreamHealth()
        return StreamHealth(self._venue_zero + 1000 * self._opened_at, self._alive_until)

    def stream_opened(self) -> None:
        """Note that the user stream delivers from now on."""
        self._opened_at, self._alive_until = self._runtime.now(), None
        self.hurry()

    def stream_cut(self) -> None:
        """Note that the user stream may have missed something."""
        self._opened_at = self._alive_until = None

    def stream_alive(self, until: float) -> None:
        """Note that everything up to `until` (ms of the venue's clock) was told on the stream."""
        since = self._health.unbroken_since
        if since is None or until < since:
            return  # Of before the gap.
        self._alive_until = max(until, self._alive_until or until)
        for symbol in tuple(self._inquiries):
            self._judge(symbol)

    # Rounds ---------------------------------------------------------------------------------------

    def begin(self, symbol: str, *, at_once: bool = False, searched: bool = False) -> None:
        """Search for the unknown orders of a symbol from now on, in short rounds at first.

        What polls have `searched` for by its own query is looked for in the list of all at once.
        """
        inquiry = self._inquiries.get(symbol)
        if inquiry is None:
            inquiry = self._inquiries[symbol] = Inquiry()
        elif not at_once and inquiry.comes_by(self._runtime.now() + GAP_SECONDS):
            return  # Soon enough: were it put off for each, it would never come where one follows the other.
        inquiry.round = LIST_FROM_ROUND if searched else 0
        self._schedule(symbol, inquiry, 0.0 if at_once else FIRST_GAPS_SECONDS[0])

    def hurry(self) -> None:
        """Ask again now: something has changed that may let answers come."""
        for symbol, inquiry in self._inquiries.items():
            self._schedule(symbol, inquiry, 0.0)

    def _schedule(self, symbol: str, inquiry: Inquiry, delay: float) -> None:
        if inquiry.timer is not None:
            inquiry.timer.cancel()
        inquiry.due = self._runtime.now() + delay
        inquiry.timer = self._runtime.tell_after(delay, self._me, Inquire(symbol))

    def turn(self, symbol: str) -> None:
        """Put the questions of one round."""
        inquiry = self._inquiries.get(symbol)
        if inquiry is None:
            return  # It is over, and this timer was in the mailbox already when it was cancelled.
        watches = self._watches.unknown_of(symbol)
        if not watches:
            del self._inquiries[symbol]
            return
        moment, asked = self.moment(), self.asked_now()
        proofs = [watch.proven_by(self._settings) for watch in watches]
        for watch, proof in zip(watches, proofs, strict=True):
            if moment is not None and proof.wants_fence(moment):
                proof.fence_asked(moment.now)
                self._tell_fence(watch)
        gap, list_gap = search_gaps([len(self._watches.unknown_of(other)) for other in self._inquiries])
        if moment is not None and any(self._counts_on(symbol, proof, moment) for proof in proofs):
            for watch, proof in zip(watches, proofs, strict=True):
                self._ask_order(watch, inquiry, asked, None if proof.fenced is None else proof.fenced.now)
            self._ask_lists(symbol, inquiry, proofs, asked)
        else:
            for watch in inquiry.turn_of(watches):
                self._ask_order(watch, inquiry, asked, None)
            if inquiry.wants_list(asked.now, list_gap):
                self._ask_all_orders(symbol, inquiry, proofs, asked)
        if any(moment is not None and proof.past_horizon(moment) for proof in proofs):
            self._ask_controls(symbol, inquiry, proofs, asked)
        inquiry.round += 1
        self._schedule(symbol, inquiry, inquiry.gap(proofs, moment, asked.now, self._counting_gap, gap))

    def _counts_on(self, symbol: str, proof: Proof, moment: Moment) -> bool:
        """Whether answers on every path bring a proof on, by their count or by the control that they may show."""
        latest = self._latest.get(symbol)
        control = latest is not None and latest.time > proof.intent.request_timestamp
        return proof.wants_count(moment) or (proof.counting and control)

    def _ask_order(self, watch: Watch, inquiry: Inquiry, asked: Moment, not_before: float | None) -> None:
        if inquiry.may_ask(watch.child, asked.now, not_before):
            watch.ledger.polls += 1
            symbol = watch.ledger.intent.symbol
            self._ask(QueryOrder(symbol=symbol, client_order_id=watch.child, reply_to=Asker(self._me, asked)))

    def _ask_all_orders(self, symbol: str, inquiry: Inquiry, proofs: list[Proof], asked: Moment) -> None:
        if inquiry.may_ask(Path.ALL, asked.now):
            since = min(proof.since for proof in proofs)
            self._ask(QueryAllOrders(symbol=symbol, since=since, reply_to=Asker(self._me, asked, since)))

    def _ask_lists(self, symbol: str, inquiry: Inquiry, proofs: list[Proof], asked: Moment) -> None:
        since = min(proof.since for proof in proofs)
        fences = [proof.fenced.now for proof in proofs if proof.fenced is not None]
        not_before = max(fences, default=None)
        me = Asker(self._me, asked, since)
        lists: tuple[tuple[Path, Query], ...] = (
            (Path.OPEN, QueryOpenOrders(symbol=symbol, reply_to=me)),
            (Path.ALL, QueryAllOrders(symbol=symbol, since=since, reply_to=me)),
            (Path.TRADES, QueryTrades(symbol=symbol, since=since, reply_to=me)),
        )
        for path, query in lists:
            if inquiry.may_ask(path, asked.now, not_before):
                self._ask(query)

    def _ask_controls(self, symbol: str, inquiry: Inquiry, proofs: list[Proof], asked: Moment) -> None:
        """Have the stream prove itself, and look for an order that must be there."""
        if self._opened_at is not None:
            self._exchange.tell(ProbeStream(probe=int(asked.venue)))
        latest = self._latest.get(symbol)
        if latest is not None and latest.time > min(proof.intent.request_timestamp for proof in proofs):
            name = latest.client_order_id
            not_before = max((proof.fenced.now for proof in proofs if proof.fenced is not None), default=None)
            if inquiry.may_ask(name, asked.now, not_before):
                self._ask(QueryOrder(symbol=symbol, client_order_id=name, reply_to=Asker(self._me, asked)))

    def _ask(self, query: Query) -> None:
        self._exchange.tell(Relay(query=query, urgent=True))

    def _tell_fence(self, watch: Watch) -> None:
        intent = watch.ledger.intent
        self._exchange.tell(
            CancelChild(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                order_id=None,
                reason=FENCE_CANCEL,
            )
        )

    # Answers --------------------------------------------------------------------------------------

    def saw(self, order: OrderSnapshot) -> None:
        """Note an own order that the venue has: a later question about it is a control."""
        latest = self._latest.get(order.symbol)
        if latest is None or order.time > latest.time:
            self._latest[order.symbol] = order

    def fence_named(self, watch: Watch, cancel_id: str) -> None:
        """Note under which id a fence goes out."""
        watch.proven_by(self._settings).fence_named(cancel_id)

    def not_open(self, watch: Watch, cancel_id: str) -> None:
        """Take the engine's word that an order is not open."""
        moment = self.moment()
        if moment is not None and watch.unknown and watch.proven_by(self._settings).not_open(cancel_id, moment):
            self._hurry_one(watch)

    def fence_failed(self, watch: Watch) -> None:
        """Note that a cancel brought no yes or no."""
        if watch.unknown:
            watch.proven_by(self._settings).fence_failed(self._runtime.now())

    def _hurry_one(self, watch: Watch) -> None:
        symbol = watch.ledger.intent.symbol
        inquiry = self._inquiries.get(symbol)
        if inquiry is not None:
            self._schedule(symbol, inquiry, 0.0)

    def take(self, answered: Answered) -> None:
        """Count what an answer does not show; what it does show was merged before."""
        symbol, question = _subject(answered.answer)
        if symbol is None:
            return
        inquiry = self._inquiries.get(symbol)
        if inquiry is not None:
            failed = isinstance(answered.answer, QueryFailed)
            if inquiry.answered(question, answered.asked.now, self._runtime.now(), failed=failed):
                self._schedule(symbol, inquiry, 0.0)  # It can be reached again: the other paths may show it as well.
        for watch in self._watches.unknown_of(symbol):
            self._count(watch.proven_by(self._settings), watch.child, answered)
        self._judge(symbol)

    def _count(self, proof: Proof, child: str, answered: Answered) -> None:
        asked = answered.asked
        match answered.answer:
            case OrderNotFound(client_order_id=name) if name == child:
                proof.no_sign(Path.ORDER, asked)
            case OrderFound(order=order):
                self._control(proof, Path.ORDER, (order,), asked)
            case OpenOrdersFound(orders=orders):
                proof.no_sign(Path.OPEN, asked)
                self._control(proof, Path.OPEN, orders, asked)
            case AllOrdersFound(since=since, orders=orders) if since <= proof.since:
                proof.no_sign(Path.ALL, asked)
                self._control(proof, Path.ALL, orders, asked)
            case TradesFound() as found if answered.since is not None and answered.since <= proof.since:
                self._count_trades(proof, found, asked)
            case QueryFailed(query=QueryOrder(client_order_id=name)) if name != child:
                pass  # Another order's: of this one it says nothing.
            case QueryFailed():
                proof.upset()
            case _:
                pass

    def _count_trades(self, proof: Proof, found: TradesFound, asked: Moment) -> None:
        if proof.suspects(found, self._register.knows_order):
            proof.upset()
        elif found.complete:
            proof.no_sign(Path.TRADES, asked)
        for trade in found.trades:
            if self._register.of_order(trade.symbol, trade.order_id) is not None:
                proof.control(Path.TRADES, trade.time, asked)

    def _control(self, proof: Proof, path: Path, orders: tuple[OrderSnapshot, ...], asked: Moment) -> None:
        for order in orders:
            if self._register.get(order.client_order_id) is not None:
                proof.control(path, order.time, asked)

    def _judge(self, symbol: str) -> None:
        for watch in self._watches.unknown_of(symbol):
            by = watch.proven_by(self._settings).verdict(self._health)
            if by is not None:
                self._absent(watch, by)


def _subject(answer: QueryAnswer) -> tuple[str | None, str]:
    """Say which symbol an answer is about, and which question it answers."""
    match answer:
        case OrderFound(client_order_id=name, order=order):
            return order.symbol, name
        case OrderNotFound(symbol=symbol, client_order_id=name):
            return symbol, name
        case OpenOrdersFound(symbol=symbol):
            return symbol, Path.OPEN
        case AllOrdersFound(symbol=symbol):
            return symbol, Path.ALL
        case TradesFound(symbol=symbol):
            return symbol, Path.TRADES
        case QueryFailed(query=QueryOrder(symbol=symbol, client_order_id=name)):
            return symbol, name
        case QueryFailed(query=QueryOpenOrders(symbol=symbol)):
            return symbol, Path.OPEN
        case QueryFailed(query=QueryAllOrders(symbol=symbol)):
            return symbol, Path.ALL
        case QueryFailed(query=QueryTrades(symbol=symbol)):
            return symbol, Path.TRADES
        case _:
            return None, ""
