"""A MarketWatcher with stand-ins for its venue, its parent, the gate and one who waits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pykka

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from messages.market import Await, Bounds, QuoteSeen
from messages.signal import Side
from tests.probe import Probe

D = Decimal
BTC, ETH = "BTCUSDT", "ETHUSDT"
SETTINGS = MarketSettings()


def seen(bid: Any = 41_999, ask: Any = 42_001, symbol: str = BTC, **changes: Any) -> QuoteSeen:
    fields: dict[str, Any] = {"bid_quantity": D(1), "ask_quantity": D(1)}
    return QuoteSeen(symbol=symbol, bid=D(bid), ask=D(ask), **{**fields, **changes})


NARROW, WIDE = seen(), seen(41_874, 42_126)
CALM, PRESSED = seen(ask_quantity=D(3)), seen(bid_quantity=D(3))
BOUNDS = Bounds(side=Side.BUY, arrival_price=D(42_000), max_spread=D("0.005"), max_deviation=D("0.01"), max_age=5.0)


class House:
    """A MarketWatcher with stand-ins for its venue, its parent, the gate and one who waits."""

    def __init__(self, simulation: Simulation, settings: MarketSettings = SETTINGS) -> None:
        self.simulation = simulation
        self.parent, self.venue = Probe(simulation, "parent"), Probe(simulation, "venue")
        self.gate, self.waiter = Probe(simulation, "gate"), Probe(simulation, "waiter")
        self.ref: pykka.ActorRef[MarketWatcher] = MarketWatcher.start(
            self.parent.ref, "market", venue=self.venue.ref, settings=settings
        )

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.ref.tell(message)
        self.simulation.run(0.0)

    def wait(self, seconds: float = 10.0, *, slice_: int = 0, symbol: str = BTC, bounds: Bounds = BOUNDS) -> None:
        deadline = self.simulation.now() + seconds
        key = ("execution", slice_)
        self.tell(Await(key=key, symbol=symbol, bounds=bounds, deadline=deadline, reply_to=self.waiter.ref))

    def hot(self) -> list[tuple[str, bool]]:
        return [(watch.symbol, watch.hot) for watch in self.venue.messages()]

    def actor(self) -> MarketWatcher:
        actor = self.ref._actor_weakref()
        assert actor is not None
        return actor
