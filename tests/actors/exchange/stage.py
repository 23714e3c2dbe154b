"""An ExchangeActor among probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.exchange.actor import ExchangeActor, ExchangeSettings
from actors.exchange.budget import BudgetLimits
from actors.runtime import Simulation
from messages.control import Readiness, ReadinessChanged
from messages.execution import WaitsFor
from messages.facts import ExecutionStarted, Fact
from messages.order import BalancesFound, ChildDeclined, ConnectExchange, RulesFound, SendOrder, TimeFound
from tests.factories import EXECUTION, D, a_planned, an_accepted, rules
from tests.journal_stub import JournalStub
from tests.order_tools import a_place
from tests.probe import Probe

SETTINGS = ExchangeSettings(symbols=("BTCUSDT",), limits=BudgetLimits(orders=((10, 100),)))
BALANCES = (("BTC", D(10), D(0)), ("USDT", D(1_000_000), D(0)))
EXECUTION_FACTS: tuple[Fact, ...] = (
    an_accepted(),
    a_planned(),
    ExecutionStarted(execution_id=EXECUTION, incarnation=1),
)
OFFSET = 1234


@dataclass
class World:
    """An ExchangeActor among probes."""

    simulation: Simulation
    journal: JournalStub
    parent: Probe
    venue: Probe
    watcher: Probe
    gate: Probe
    twap: Probe
    troubles: Probe
    exchange: Any
    waits: list[tuple[str | None, str]]
    """What a due child waits for, as whoever shows it was told."""

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.exchange.tell(message)
            self.simulation.run(0.0)

    def place(self, **changes: Any) -> None:
        self.tell(a_place(**{"reply_to": self.twap.ref, **changes}))

    def sent(self) -> list[object]:
        """What went to the venue since the last look."""
        return self.venue.messages()

    def orders(self) -> list[SendOrder]:
        return [message for message in self.sent() if isinstance(message, SendOrder)]

    def declined(self) -> ChildDeclined:
        return self.twap.expect(ChildDeclined)


class Heard:
    def __init__(self) -> None:
        self.said: list[tuple[str | None, str]] = []

    def tell(self, message: WaitsFor, /) -> None:
        self.said.append((message.hindrance, message.detail))


def started(simulation: Simulation, *old: Fact, settings: ExchangeSettings = SETTINGS) -> World:
    journal = JournalStub.begun(*old)
    probes = [Probe(simulation, name) for name in ("parent", "venue", "watcher", "gate", "twap", "troubles")]
    parent, venue, watcher, gate, twap, troubles = probes
    heard = Heard()
    exchange = ExchangeActor.start(
        parent.ref,
        "exchange",
        journal=journal.actor_ref,
        venue=venue.ref,
        settings=settings,
        lookout=heard,
        troubles=troubles.ref,
    )
    return World(simulation, journal, parent, venue, watcher, gate, twap, troubles, exchange, heard.said)


def connected(simulation: Simulation, *old: Fact, settings: ExchangeSettings = SETTINGS) -> World:
    world = started(simulation, *old, settings=settings)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.tell(TimeFound(offset_milliseconds=OFFSET), RulesFound(rules=(rules(),)), BalancesFound(balances=BALANCES))
    world.tell(ReadinessChanged(Readiness.READY))
    world.sent()
    world.watcher.messages()
    return world
