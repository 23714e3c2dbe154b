"""The way of a request through the exchange: door, three looks at its timestamp, engine, and what goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from adapters.paper.errors import ExchangeError, illegal, missing
from adapters.paper.exchange import PaperExchange
from adapters.paper.latency import Delays
from adapters.paper.records import Event
from adapters.paper.requests import check_time
from adapters.paper.server.call import NO_KEY, Call
from adapters.paper.server.faults import (
    Fault,
    NoReply,
    Point,
    Struck,
    Trouble,
    WireFault,
    WireFaults,
    refusal_of,
)
from adapters.paper.server.feed import Feed
from adapters.paper.server.history import History
from adapters.paper.server.keys import REJECTED_KEY, ApiKey, KeyRing
from adapters.paper.server.operations import Operation
from adapters.paper.server.reading import OF_FRAME, OF_SIGNATURE, Received, refuse_unread
from adapters.paper.server.replies import MICROSECOND, MILLISECOND
from adapters.paper.server.settings import ServerSettings

NOTHING: frozenset[str] = frozenset()
BAD_UNIT = (-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")

Identify = Callable[[], ApiKey]
Publish = Callable[[list[Event]], None]
Flush = Callable[[], None]


class Desk:
    """Does requests, one at a time; all of it belongs to one event loop."""

    def __init__(
        self, exchange: PaperExchange, settings: ServerSettings, publish: Publish, flush: Flush | None = None
    ) -> None:
        """Serve `exchange`; `publish` is told the events of the user-data stream as they happen.

        `flush` makes durable what was done; without it the exchange does so by itself, each time.
        `on_asked` is called with the symbol of which somebody asks what is traded.
        """
        self.exchange = exchange
        self._flush = flush
        self._held: list[Callable[[], object]] = []
        self._flushing = False
        self.keys = KeyRing(settings.keys)
        self.faults = WireFaults()
        self.delays = Delays(settings.latency, settings.latency_seed)
        self._wall, self._began = time.time_ns(), time.monotonic_ns()
        self._publish = publish
        self._feeds: dict[str, Feed] = {}
        self.on_asked: Callable[[str], None] = lambda _symbol: None
        self._publishing = False
        self.started = exchange.time(self.now())
        opened = [order.record() for order in exchange.engine.open.values()]
        self.history = History(opened, self.started)

    def now(self) -> int:
        """Microseconds since 1970 on a clock that never steps."""
        return (self._wall + time.monotonic_ns() - self._began) // 1000

    def time(self) -> int:
        """Microseconds since 1970 on the exchange's clock."""
        return self.exchange.time(self.now())

    def feed(self, symbol: str, now: int) -> Feed:
        """Give a symbol's market, brought to the present."""
        self.exchange.advance(now, (symbol,))
        feed = self._feeds.get(symbol)
        if feed is None:
            feed = self._feeds[symbol] = Feed(self.exchange.engine.books[symbol], self.exchange.time(now))
        feed.minutes.take(feed.book.recent)
        return feed

    def keep_minutes(self) -> None:
        """Keep what was traded where somebody has looked, also while nobody does."""
        for feed in self._feeds.values():
            feed.minutes.take(feed.book.recent)

    # One request ----------------------------------------------------------------------------------

    async def perform(
        self, operation: Operation, received: Received, struck: Struck, identify: Identify, unit: int, via: str = "rest"
    ) -> tuple[object, Call]:
        """Do a request and give its result.

        `ExchangeError` if it is refused, `Trouble` if the server is to seem in trouble, `NoReply` if
        there is to be no answer. `identify` proves who asks, for what must be signed.
        """
        if delay := struck.delay(Point.RECEIVED):
            await asyncio.sleep(delay)
        self._strike_before(operation, received, struck)
        key = self._admit(operation, received, identify, via)
        for point in (Point.FORWARDING, Point.ENGINE):
            if delay := struck.delay(point):
                await asyncio.sleep(delay)
                self._check_again(operation, received)
        call = Call(desk=self, params=received.params, now=self.now(), key=key, unit=unit, via=via)
        if (lag := struck.get(WireFault.QUERY_LAG)) is not None:
            call.lag = lag.milliseconds
        if (stale := struck.get(WireFault.STALE_OPEN_ORDERS)) is not None:
            call.stale = stale.milliseconds
        try:
            result = operation.run(call)
        finally:
            if WireFault.EVENT_FIRST in struck:
                self.publish()
            else:
                self.publish_soon()
        await self.strike_after(struck)
        return result, call

    def _strike_before(self, operation: Operation, received: Received, struck: Struck) -> None:
        if not struck:
            return
        dropped = struck.get(WireFault.DROPPED_REQUEST)
        if dropped is not None:
            self._note(operation, received, "dropped")
            raise NoReply(dropped)
        refusal = struck.get(WireFault.REFUSE)
        if refusal is not None:
            error = self._refusal(refusal)
            self._note(operation, received, "refused", error)
            raise error
        instead = struck.get(WireFault.ERROR_INSTEAD)
        if instead is not None:
            self._note(operation, received, "dropped")
            raise Trouble(instead)

    def _refusal(self, fault: Fault) -> ExchangeError:
        code, message, status = refusal_of(fault)
        until = self.time() + int(fault.milliseconds * 1000) if status in {418, 429} else None
        return ExchangeError(code, message, status, until)

    async def hold_up(self, struck: Struck) -> None:
        """Do to a request that never reaches the exchange itself what strikes it before it is done."""
        if delay := sum(struck.delay(point) for point in Point):
            await asyncio.sleep(delay)
        if (dropped := struck.get(WireFault.DROPPED_REQUEST)) is not None:
            raise NoReply(dropped)
        if (refusal := struck.get(WireFault.REFUSE)) is not None:
            raise self._refusal(refusal)
        if (instead := struck.get(WireFault.ERROR_INSTEAD)) is not None:
            raise Trouble(instead)

    async def strike_after(self, struck: Struck) -> None:
        """Do to a request what strikes it after it is done."""
        if not struck:
            return
        late = struck.get(WireFault.LATE_REPLY)
        if late is not None:
            await asyncio.sleep(late.milliseconds / 1000)
        lost = struck.get(WireFault.LOST_REPLY)
        if lost is not None:
            raise NoReply(lost)
        error = struck.get(WireFault.ERROR_REPLY)
        if error is not None:
            raise Trouble(error)
        if WireFault.EVENT_FIRST in struck:
            await asyncio.sleep(0.02)

    def _admit(self, operation: Operation, received: Received, identify: Identify, via: str) -> ApiKey:
        """Let a request in: within the limits, signed by a key that may do this, in time, nothing in it unknown."""
        now = self.time()
        limits = self.exchange.limits
        try:
            limits.count_request(now)
            limits.check_weight(0, now)
        except ExchangeError as error:
            self._note(operation, received, "refused", error)
            raise
        key, common = NO_KEY, OF_FRAME if via == "ws" else OF_SIGNATURE if operation.signed else NOTHING
        try:
            if operation.signed:
                key = identify()
                if operation.trading and not key.may_trade:
                    raise ExchangeError(*REJECTED_KEY, 401)
                require_time(received, now)
            if operation.params is not None:
                refuse_unread(received, operation.params | common)
        except ExchangeError as error:
            limits.add_weight(operation.weight, now)
            self._note(operation, received, "refused", error)
            raise
        return key

    def _check_again(self, operation: Operation, received: Received) -> None:
        """Look at the timestamp once more; a rejection here counts as an unfilled order too (§2)."""
        if not operation.signed:
            return
        now = self.time()
        try:
            check_time(received.params, now)
        except ExchangeError as error:
            self.exchange.limits.add_weight(operation.weight, now)
            if operation.places:
                self.exchange.limits.add_order(now)
            self._note(operation, received, "refused", error)
            raise

    def _note(self, operation: Operation, received: Received, effect: str, error: ExchangeError | None = None) -> None:
        if operation.places:
            self.exchange.record(received.params, self.now(), effect, error)

    # Durability and events ------------------------------------------------------------------------

    def when_durable(self, release: Callable[[], object]) -> None:
        """Call `release` once what was done is durable: at once, or with others of this turn of the loop."""
        if self._flush is None:
            release()
            return
        self._held.append(release)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    async def durable(self) -> None:
        """Wait until what was done is durable."""
        if self._flush is not None:
            done = asyncio.Event()
            self.when_durable(done.set)
            await done.wait()

    def flush(self) -> None:
        """Make durable what was done, and let out the replies that waited for it; an error of the disk goes up."""
        self._flushing = False
        if self._flush is not None:
            self._flush()
        held, self._held = self._held, []
        for release in held:
            release()

    def publish(self) -> None:
        """Tell what has happened, now."""
        self._publishing = False
        self.flush()
        events = self.exchange.drain()
        for event in events:
            self.history.add(event)
        if events:
            self._publish(events)

    def publish_soon(self) -> None:
        """Tell what has happened once the present reply is on its way."""
        if not self._publishing and self.exchange.engine.events:
            self._publishing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self.publish)  # One turn for the reply to be let out, one to be sent.


def require_time(received: Received, now: int) -> None:
    """Check the timestamp that a signed request must have, at `now` (microseconds, exchange clock)."""
    stamp = received.params.get("timestamp")
    if not stamp:
        raise missing("timestamp")
    if not stamp.isdigit():
        raise illegal("timestamp", "^[0-9]{1,20}$")
    check_time(received.params, now)


def unit_of(name: str | None) -> int:
    """Read the wish for a unit of time; -1130 for one that does not exist."""
    match (name or "MILLISECOND").upper():
        case "MILLISECOND":
            return MILLISECOND
        case "MICROSECOND":
            return MICROSECOND
        case _:
            raise ExchangeError(*BAD_UNIT)
