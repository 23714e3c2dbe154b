"""Binance as a venue: whoever it is told by, it answers with messages, exactly one a request.

Everything runs on one loop in a thread of its own. Orders go over the WebSocket API, and over REST
only if no byte of them was handed to a socket; cancels the same way, and once more over REST when
nothing is known of the first; queries go over REST.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar, assert_never

from actors.runtime import Runtime
from adapters.binance import codec
from adapters.binance.market_stream import MarketStream
from adapters.binance.open_orders import OpenOrders
from adapters.binance.outcomes import (
    Answer,
    RequestNotSent,
    RequestUnknown,
    Unreadable,
    cancel_failure,
    order_failure,
)
from adapters.binance.pulse import Pulse
from adapters.binance.queries import Queries
from adapters.binance.rest import import_client
from adapters.binance.settings import BinanceSettings
from adapters.binance.signing import signer_of
from adapters.binance.user_stream import UserStream
from adapters.binance.ws_api import Trace, WsApi
from adapters.loop_thread import LoopThread
from messages.facts import TOO_MANY_ORDERS
from messages.market import WatchMarket
from messages.order import (
    Acknowledged,
    CancelAcknowledged,
    CancelReply,
    LateRefusal,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderReply,
    OrderReport,
    OutcomeUnknown,
    ProbeStream,
    Query,
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
    SendCancel,
    SendOrder,
    VenueCommand,
)

M = TypeVar("M")

logger = logging.getLogger("tidegate.binance")

HELD = -1003
"""The code of a refusal by ourselves, inside a time in which the venue wants to hear nothing at all."""

HELD_WORDS = "held back, a limit was hit"


class BinanceVenue:
    """A `Tells[VenueCommand | WatchMarket]` that trades on Binance, or on what speaks like it.

    Used as `with BinanceVenue(runtime, settings) as venue:`, or with `start` and `close`. `tell` may
    be called from any thread. Closing takes about `close_seconds` at most and answers whatever is
    still owed: what was sent is unknown then, what was not is not sent.
    """

    def __init__(
        self, runtime: Runtime, settings: BinanceSettings, *, on_broken: Callable[[str], object] | None = None
    ) -> None:
        """Make it; nothing is connected. Raises `BadKey` when the key cannot sign.

        `on_broken` hears why a part that was to run for ever has ended, or that the loop hangs: without it the venue
        is of no use any more. It is called in the loop's thread or another, and must not wait.
        """
        self._on_broken = on_broken
        signer = signer_of(settings.api_secret, settings.private_key, settings.private_key_pass)
        self._runtime, self._settings, self._signer = runtime, settings, signer
        self._loop = LoopThread(runtime, close_seconds=settings.close_seconds)
        self._queries = Queries(settings, signer=signer, runtime=runtime)
        self._limits, self._clock = self._queries.limits, self._queries.clock
        self._open = OpenOrders(settings.open_order_seconds)
        self._late = itertools.count(1)
        self._lasting: list[asyncio.Task[None]] = []
        self._pulse = Pulse(runtime, self._loop, settings.pulse_seconds, self._note_hung)
        self._closed = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the loop and begin to connect, without waiting for it."""
        import_client()
        self._loop.__enter__()
        self._loop.call(self._begin)
        self._pulse.begin()

    def close(self) -> None:
        """Drop all connections and answer what is owed."""
        if not self._closed:
            self._closed = True
            self._pulse.end()
            self._loop.__exit__(None, None, None)

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        """Take a request; its answer comes as a message."""
        match message:
            case SendOrder():
                self._tell_order(message)
            case SendCancel():
                self._tell_cancel(message)
            case (
                QueryOrder()
                | QueryOpenOrders()
                | QueryAllOrders()
                | QueryTrades()
                | QueryBalances()
                | QueryRules()
                | QueryTime()
            ):
                self._tell_query(message)
            case WatchMarket():
                self._loop.call(lambda: self._market.watch(message))
            case OpenUserStream(listener=listener):
                self._loop.call(lambda: self._stream.listen(listener))
            case ProbeStream(probe=probe):
                self._loop.call(lambda: self._stream.prove(probe))
            case ReportLimits(listener=reader):
                self._loop.call(lambda: self._limits.report_to(reader))
            case _:
                assert_never(message)

    # On the loop ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make what must be made on the loop; commands that come earlier wait behind this."""
        settings, queries = self._settings, self._queries
        queries.rest.open()
        self._ws = WsApi(settings, signer=self._signer, clock=self._clock, limits=self._limits)
        self._stream = UserStream(
            settings,
            runtime=self._runtime,
            signer=self._signer,
            clock=self._clock,
            limits=self._limits,
            orders_open=lambda: self._open.any(self._runtime.now()),
            on_report=self._note_report,
        )
        self._market = MarketStream(
            settings,
            runtime=self._runtime,
            limits=self._limits,
            ask_touch=queries.touch,
            ask_depth=queries.depth,
        )
        for lasting in (self._ws.run, self._stream.run, self._market.run, self._clock.keep, self._hold_session):
            task = asyncio.get_running_loop().create_task(lasting())
            task.add_done_callback(self._note_end)
            self._lasting.append(task)

    async def _hold_session(self) -> None:
        """Close the REST session when all is cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._queries.rest.close()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """A part that was to run for ever has ended by itself: a fault of ours, to be seen by all."""
        if task.cancelled():
            return
        error = task.exception() or RuntimeError("it ended")
        logger.critical("a part of the venue's adapter failed", exc_info=error)
        self._runtime.note_failure("BinanceVenue", None, error)
        if self._on_broken is not None:
            self._on_broken(f"a part of the venue's adapter failed: {type(error).__name__}: {error}")

    def _note_hung(self, why: str) -> None:
        logger.critical(why)
        if self._on_broken is not None:
            self._on_broken(why)

    # Orders ---------------------------------------------------------------------------------------

    def _tell_order(self, order: SendOrder) -> None:
        trace = Trace()

        def failed(error: BaseException) -> OrderReply:
            return order_failure(order.client_order_id, _after(trace, error))

        self._loop.run(self._place(order, trace), order.reply_to, _same, failed)

    async def _place(self, order: SendOrder, trace: Trace) -> OrderReply:
        name = order.client_order_id
        if (held := self._limits.held_until(order=True)) is not None:
            code = TOO_MANY_ORDERS if self._limits.only_orders else HELD
            return Refused(client_order_id=name, code=code, message=HELD_WORDS, until=held)
        self._open.sent(name, self._runtime.now())
        params = codec.order_params(order)

        async def over_ws() -> Answer:
            return await self._ws.ask(
                "order.place",
                params,
                seconds=self._settings.order_seconds,
                trace=trace,
                on_late=lambda answer: self._take_late_order(order, answer),
            )

        async def over_rest() -> Answer:
            self._check_window(order)
            return await self._queries.rest.ask(
                "POST", "order", params, signed=True, seconds=self._settings.order_seconds, trace=trace
            )

        reply: OrderReply
        try:
            self._check_window(order)
            try:
                answer = await over_ws()
            except RequestNotSent:  # After an unknown outcome there is no second path.
                answer = await over_rest()
            reply = codec.acknowledged(order, answer.body) if answer.good else order_failure(name, answer)
        except (RequestNotSent, RequestUnknown, Unreadable) as error:
            reply = order_failure(name, error)
        self._note_reply(reply)
        return reply

    def _check_window(self, order: SendOrder) -> None:
        """Don't send what the venue would have to refuse: its window has passed."""
        if self._clock.known and self._clock.milliseconds() > order.request_timestamp + order.recv_window:
            raise RequestNotSent("its window has passed")

    def _note_reply(self, reply: OrderReply) -> None:
        now = self._runtime.now()
        match reply:
            case Acknowledged(order=order):
                self._open.seen(order, now)
                self._stream.expect((order.symbol, order.order_id))
            case OutcomeUnknown(client_order_id=name):
                self._open.sent(name, now)
            case _:
                self._open.gone(reply.client_order_id)

    def _take_late_order(self, order: SendOrder, answer: Answer) -> None:
        """A reply that nobody waits for any more still says what was filled, or that nothing was."""
        if not answer.good:
            logger.warning("%s was refused after it was given up: %s", order.client_order_id, answer)
            late = order_failure(order.client_order_id, answer)
            if isinstance(late, Refused):
                self._open.gone(late.client_order_id)
                self._stream.tell(
                    LateRefusal(client_order_id=late.client_order_id, code=late.code, message=late.message)
                )
            return
        try:
            reply = codec.acknowledged(order, answer.body)
        except Unreadable as error:
            logger.warning("a late answer to %s is unreadable: %s", order.client_order_id, error)
            return
        self._tell_late(reply)

    def _tell_late(self, reply: Acknowledged) -> None:
        logger.info("a late answer tells of %s", reply.client_order_id)
        for report in codec.late_reports(reply, next(self._late)):
            self._note_report(report)
            self._stream.tell(report)

    # Cancels --------------------------------------------------------------------------------------

    def _tell_cancel(self, cancel: SendCancel) -> None:
        def failed(error: BaseException) -> CancelReply:
            return cancel_failure(cancel, RequestUnknown(_name(error)))

        self._loop.run(self._cancel(cancel), cancel.reply_to, _same, failed)

    async def _cancel(self, cancel: SendCancel) -> CancelReply:
        if (held := self._limits.held_until()) is not None:
            return cancel_failure(cancel, Answer(status=429, code=HELD, message=HELD_WORDS, until=held))
        params = codec.cancel_params(cancel)
        seconds = self._settings.cancel_seconds

        async def over_ws() -> Answer:
            await self._clock.need()
            stamped = {
                **params,
                "timestamp": str(self._clock.milliseconds()),
                "recvWindow": str(self._settings.recv_window_ms),
            }
            return await self._ws.ask(
                "order.cancel",
                stamped,
                seconds=seconds,
                trace=Trace(),
                on_late=lambda answer: self._take_late_cancel(cancel, answer),
            )

        async def over_rest() -> Answer:
            return await self._queries.rest.ask("DELETE", "order", params, signed=True, seconds=seconds)

        reply: CancelReply
        try:
            try:
                answer = await over_ws()
            except (RequestNotSent, RequestUnknown):  # To cancel twice does no harm.
                answer = await over_rest()
            if answer.good:
                reply = codec.cancel_acknowledged(cancel, answer.body)
                self._open.seen(reply.order, self._runtime.now())
            else:
                reply = cancel_failure(cancel, answer)
        except (RequestNotSent, RequestUnknown, Unreadable) as error:
            reply = cancel_failure(cancel, error)
        return reply

    def _take_late_cancel(self, cancel: SendCancel, answer: Answer) -> None:
        if not answer.good:
            return
        try:
            reply: CancelAcknowledged = codec.cancel_acknowledged(cancel, answer.body)
        except Unreadable as error:
            logger.warning("a late answer to a cancel is unreadable: %s", error)
            return
        self._tell_late(Acknowledged(client_order_id=cancel.client_order_id, order=reply.order))

    # Queries, reports -----------------------------------------------------------------------------

    def _tell_query(self, query: Query) -> None:
        def failed(error: BaseException) -> QueryAnswer:
            return QueryFailed(query=query, detail=_name(error))

        self._loop.run(self._answer(query), query.reply_to, _same, failed)

    async def _answer(self, query: Query) -> QueryAnswer:
        answer = await self._queries.answer(query)
        now = self._runtime.now()
        match answer:
            case OrderFound(order=order):
                self._open.seen(order, now)
                self._stream.compare(order)
            case OpenOrdersFound(orders=orders):
                for order in orders:
                    self._open.seen(order, now)
                    self._stream.compare(order)
            case _:
                pass  # An order that is not found may only not be visible yet.
        return answer

    def _note_report(self, report: OrderReport) -> None:
        self._open.seen(report.order, self._runtime.now())


def _same(message: M) -> M:
    return message


def _after(trace: Trace, error: BaseException) -> Exception:
    """Say what an interruption means for a request that has come so far."""
    return RequestUnknown(_name(error)) if trace.sent else RequestNotSent(_name(error))


def _name(error: BaseException) -> str:
    """Name an error; its text might quote what must not be told."""
    return "the adapter was closed" if isinstance(error, asyncio.CancelledError) else type(error).__name__
