"""A paper venue in virtual time, and what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pykka

from actors.runtime import EPOCH, Simulation
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.faults import FaultPlan
from adapters.paper.liquidity.scripted import ScriptedMarket
from adapters.paper.rules import built_in
from adapters.paper.venue import LatencySettings, PaperVenue, VenueLink
from messages.ids import microseconds, milliseconds
from messages.market import WatchMarket
from messages.order import OpenUserStream, SendCancel, SendOrder, StreamOpened
from messages.signal import Side
from tests.probe import Probe

AT_ONCE = LatencySettings(order_in_ms=0, ack_out_ms=0, user_stream_ms=0, market_data_ms=0)
START = microseconds(EPOCH)


@dataclass
class Venue:
    """A venue on a book set by hand, and a client at the other end of the link."""

    simulation: Simulation
    latency: LatencySettings = AT_ONCE
    faults: FaultPlan = field(default_factory=FaultPlan)
    settings: PaperSettings = field(default_factory=PaperSettings)

    def __post_init__(self) -> None:
        specs = built_in()
        self.markets = {symbol: ScriptedMarket(spec.step) for symbol, spec in specs.items()}
        self.market = self.markets["BTCUSDT"]
        self.market.set_levels([("100.00", "1"), ("99.00", "2")], [("101.00", "1"), ("102.00", "2")])
        now = microseconds(self.simulation.wall_time())
        self.exchange = PaperExchange(self.settings, now=now, markets=self.markets)
        with self.simulation.node("exchange"):
            self.ref: pykka.ActorRef[Any] = PaperVenue.start(
                self.exchange,
                latency=self.latency,
                chance=self.simulation.stream("latency"),
                faults=self.faults,
            )
        self.link = VenueLink(self.simulation, self.ref, latency=self.latency, chance=self.simulation.stream("latency"))
        self.replies, self.stream, self.quotes = (
            Probe(self.simulation, name) for name in ("replies", "stream", "quotes")
        )

    def order(self, **changes: Any) -> SendOrder:
        fields: dict[str, Any] = {
            "client_order_id": "a",
            "symbol": "BTCUSDT",
            "side": Side.BUY,
            "order_type": "LIMIT",
            "time_in_force": "IOC",
            "quantity": Decimal(1),
            "limit_price": Decimal("101.00"),
            "request_timestamp": milliseconds(self.simulation.wall_time()),
            "recv_window": 2000,
            "reply_to": self.replies.ref,
        }
        return SendOrder(**{**fields, **changes})

    def resting(self, **changes: Any) -> SendOrder:
        fields: dict[str, Any] = {"time_in_force": "GTC", "limit_price": Decimal("100.50")}
        return self.order(**{**fields, **changes})

    def send(self, **changes: Any) -> None:
        self.link.tell(self.order(**changes))

    def rest(self, **changes: Any) -> None:
        self.link.tell(self.resting(**changes))

    def open_stream(self) -> None:
        self.link.tell(OpenUserStream(listener=self.stream.ref))
        self.stream.expect(StreamOpened)

    def watch(self, *, hot: bool, symbol: str = "BTCUSDT") -> None:
        self.link.tell(WatchMarket(symbol=symbol, hot=hot, listener=self.quotes.ref))


def levels(*pairs: tuple[int, int]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in pairs]


def cancel(venue: Venue, **changes: Any) -> SendCancel:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "client_order_id": "a",
        "order_id": None,
        "cancel_id": "a_c0",
        "reply_to": venue.replies.ref,
    }
    return SendCancel(**{**fields, **changes})


def effects(venue: Venue) -> list[object]:
    received: Any = venue.exchange.truth()["received"]
    return [entry["effect"] for entry in received]
