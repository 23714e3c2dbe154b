"""An OrderWatcher among stand-ins, and the words that a venue says to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from actors.order_watcher.actor import OrderWatcher, WatcherSettings
from actors.runtime import EPOCH, Simulation
from messages.control import ActorReady
from messages.facts import Fact
from messages.ids import child_id, milliseconds
from messages.order import (
    Acknowledged,
    BalancesFound,
    CancelChild,
    OpenOrdersFound,
    OrderReport,
    OrderSnapshot,
    Query,
    QueryBalances,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    Relay,
    StreamOpened,
    Trade,
    TradesFound,
)
from tests.factories import CHILD, EXECUTION, an_intent
from tests.journal_stub import JournalStub
from tests.order_tools import a_trade, an_order
from tests.probe import Probe

SENT_AT = milliseconds(EPOCH)
FOREVER = 100_000.0
OTHER_CHILD = child_id("p", EXECUTION, 1, 0)


@dataclass
class World:
    """An OrderWatcher among probes."""

    simulation: Simulation
    journal: JournalStub
    parent: Probe
    exchange: Probe
    watcher: Any

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.watcher.tell(message)
            self.simulation.run(0.0)

    def intend(self, **changes: Any) -> None:
        """ExchangeActor journals an intent now, and sends it."""
        now = SENT_AT + int(1000 * self.simulation.now())
        self.journal.commit(an_intent(**{"request_timestamp": now, **changes}))
        self.simulation.run(0.0)

    def asked(self) -> list[Query]:
        """The queries since the last look."""
        relayed = [message.query for message in self.exchange.messages() if isinstance(message, Relay)]
        return [replace(query, reply_to=self.watcher) for query in relayed]

    def wait(self, seconds: float) -> None:
        self.simulation.run(seconds)

    def kinds(self) -> list[type[Fact]]:
        """The kinds of facts that the watcher wrote after the intent."""
        kinds = [type(fact) for fact in self.journal.facts]
        return kinds[kinds.index(type(an_intent())) + 1 :]

    def q_order(self, child: str = CHILD, order_id: int | None = None) -> QueryOrder:
        return QueryOrder(symbol="BTCUSDT", client_order_id=child, order_id=order_id, reply_to=self.watcher)

    @property
    def q_open(self) -> QueryOpenOrders:
        return QueryOpenOrders(symbol="BTCUSDT", reply_to=self.watcher)

    def q_trades(self, **asked: Any) -> QueryTrades:
        return QueryTrades(symbol="BTCUSDT", reply_to=self.watcher, **asked)


def started(simulation: Simulation, *old: Fact, **settings: Any) -> World:
    journal = JournalStub.begun(*old)
    parent, exchange = Probe(simulation, "parent"), Probe(simulation, "exchange")
    watcher = OrderWatcher.start(
        parent.ref,
        "watcher",
        journal=journal.actor_ref,
        exchange=exchange.ref,
        settings=WatcherSettings(**settings),
    )
    simulation.run(0.0)
    return World(simulation, journal, parent, exchange, watcher)


def ready(world: World) -> World:
    """Open the stream of one that has nothing to read, and let its balances be what was noted."""
    world.tell(StreamOpened())
    world.exchange.expect(Relay(query=QueryBalances(reply_to=world.watcher), urgent=True))
    world.tell(BalancesFound(balances=()))
    world.parent.expect(ActorReady("watcher"))
    world.journal.committed.clear()
    return world


def report(order: OrderSnapshot, trade: Trade | None = None, reason: str | None = None) -> OrderReport:
    kind = "NEW" if trade is None else "TRADE"
    return OrderReport(order=order, report_id=1, execution_type=kind, trade=trade, reason=reason)


def found(*trades: Trade, complete: bool = True, order_id: int | None = None) -> TradesFound:
    return TradesFound(symbol="BTCUSDT", trades=trades, from_id=None, since=None, order_id=order_id, complete=complete)


def open_orders(*orders: OrderSnapshot) -> OpenOrdersFound:
    return OpenOrdersFound(symbol="BTCUSDT", orders=orders)


FULL = Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=(a_trade(),))


def cancels(world: World) -> list[CancelChild]:
    return [message for message in world.exchange.messages() if isinstance(message, CancelChild)]


A_CANCEL = CancelChild(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, reason="timeout")


FULL_OF_THREE = Acknowledged(
    client_order_id=CHILD,
    order=an_order("FILLED", "0.1"),
    trades=(a_trade(7, "0.02"), a_trade(8, "0.05"), a_trade(9, "0.03")),
)
