"""The venues of the contract, each with a market that a test sets by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any, TypeVar

import orjson

from actors.runtime import Pool, Simulation
from adapters.binance.settings import BinanceSettings
from adapters.binance.venue import BinanceVenue
from adapters.loops import new_loop
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.server.app import PaperServer
from adapters.paper.venue import LatencySettings, PaperVenue, VenueLink
from messages.ids import microseconds, milliseconds
from messages.market import WatchMarket
from messages.order import VenueCommand
from messages.signal import Side
from tests.loops import LoopInThread
from tests.venue_contract import Levels, World

T = TypeVar("T")

BIDS, ASKS = [("100.00", "1"), ("99.00", "2")], [("101.00", "1"), ("102.00", "2")]
SETTINGS = PaperSettings(markets=MarketChoice(market="scripted"))
AT_ONCE = LatencySettings(order_in_ms=0, ack_out_ms=0, user_stream_ms=0, market_data_ms=0)


class InProcess(World):
    """The in-process venue in virtual time."""

    def __init__(self, simulation: Simulation) -> None:
        self.runtime = self._simulation = simulation
        super().__init__()
        self._exchange = PaperExchange(SETTINGS, now=microseconds(simulation.wall_time()))
        chance = simulation.stream("latency")
        venue = PaperVenue.start(self._exchange, latency=AT_ONCE, chance=chance)
        self._link = VenueLink(simulation, venue, latency=AT_ONCE, chance=chance)
        self.set_book(BIDS, ASKS)

    def tell(self, message: VenueCommand | WatchMarket) -> None:
        self._link.tell(message)

    def set_book(self, bids: Levels, asks: Levels) -> None:
        self._exchange.steering["BTCUSDT"].steer().set_levels(bids, asks)

    def trade(self, taker: Side, price: str, quantity: str) -> None:
        self._exchange.steering["BTCUSDT"].steer().trade(taker, price, quantity)

    def amend(self, params: dict[str, str]) -> None:
        self._exchange.amend(params, microseconds(self._simulation.wall_time()))

    def venue_ms(self) -> int:
        return milliseconds(self._simulation.wall_time())


class OverTheWire(World):
    """The adapter against the paper exchange's server, on sockets and in real time."""

    within = 5.0

    def __init__(self, pool: Pool, server: PaperServer, loop: asyncio.AbstractEventLoop, venue: BinanceVenue) -> None:
        self.runtime = self._pool = pool
        super().__init__()
        self.server, self.venue, self._loop = server, venue, loop
        self.set_book(BIDS, ASKS)

    def tell(self, message: VenueCommand | WatchMarket) -> None:
        self.venue.tell(message)

    def set_book(self, bids: Levels, asks: Levels) -> None:
        self._steer({"symbol": "BTCUSDT", "bids": list(bids), "asks": list(asks)})

    def trade(self, taker: Side, price: str, quantity: str) -> None:
        self._steer({"symbol": "BTCUSDT", "trade": [taker.value, price, quantity]})

    def amend(self, params: dict[str, str]) -> None:
        self.call(lambda: self.server.exchange.amend(params, microseconds(self._pool.wall_time())))

    def venue_ms(self) -> int:
        return milliseconds(self._pool.wall_time())

    def stop_orders_socket(self) -> None:
        """Leave orders no path but REST."""

        def stop() -> None:
            self.venue._lasting[0].cancel()
            keeper = self.venue._ws._keeper
            if keeper._line is not None:  # There is a connection already.
                keeper._close_behind(keeper._line)
                keeper._line = None

        self.venue._loop.call(stop)

    def _steer(self, order: dict[str, object]) -> None:
        with closing(HTTPConnection(self.server.url.removeprefix("http://"), timeout=5)) as line:
            line.request("POST", "/paper/market", orjson.dumps(order))
            assert line.getresponse().status == 200

    def call(self, function: Callable[[], T]) -> T:
        """Do something where the server lives."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)


@contextmanager
def served(settings: PaperSettings = SETTINGS) -> Iterator[tuple[PaperServer, asyncio.AbstractEventLoop]]:
    """Serve a paper exchange on a loop in a thread of its own."""

    async def make() -> PaperServer:
        with Pool(1) as clock:
            exchange = PaperExchange(settings, now=microseconds(clock.wall_time()))
        server = PaperServer(exchange)
        await server.start()
        return server

    with LoopInThread(new_loop) as home:
        server = home.do(make())
        try:
            yield server, home.loop
        finally:
            home.do(server.stop())


def settings_of(server: PaperServer, **changes: Any) -> BinanceSettings:
    """Say where the server is, and who its account is."""
    address = server.url.removeprefix("http://")
    values: dict[str, Any] = {
        "rest_url": server.url,
        "ws_api_url": f"ws://{address}/ws-api/v3",
        "stream_url": f"ws://{address}",
        "api_key": "paper-key",
        "api_secret": "paper-secret",
        "time_samples": 2,
    }
    return BinanceSettings(**{**values, **changes})


@contextmanager
def wired(**changes: Any) -> Iterator[OverTheWire]:
    """Run pool, server and adapter."""
    with Pool(1) as pool, served() as (server, loop), BinanceVenue(pool, settings_of(server, **changes)) as venue:
        yield OverTheWire(pool, server, loop, venue)
