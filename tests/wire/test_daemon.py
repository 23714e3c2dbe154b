"""The whole daemon over the wire, on a user-data stream that dies without a word.

Real sockets on loopback, in real time, with the settings that a user has.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeVar

import pytest

from adapters.config import Config
from adapters.paper.server.connection import Stall
from adapters.paper.server.control import StreamsOrder
from adapters.paper.server.faults import Fault, Plan, WireFault
from adapters.storage.memory import MemoryStore
from messages.control import (
    Committed,
    DaemonEnded,
    DaemonNews,
    DaemonStands,
    DaemonUp,
    FactNews,
    Follow,
    Readiness,
    ShutDown,
)
from messages.facts import (
    AlertRaised,
    ChildAcknowledged,
    ChildIntended,
    Fact,
    StreamGap,
    TradeBooked,
    TradingHalted,
)
from messages.signal import Side, Signal, SignalReceived, TwapOptions, Verdict
from run import settings_of, start_daemon
from tests.adapters.binance.stub import until
from tests.adapters.binance.worlds import OverTheWire, wired
from tests.slowness import at_most

pytestmark = pytest.mark.wire

BIDS, ASKS = [("100.00", "1"), ("99.00", "2")], [("100.10", "1"), ("102.00", "2")]
F = TypeVar("F", bound=Fact)


class Running:
    """A daemon and what it tells."""

    def __init__(self, world: OverTheWire) -> None:
        self.world = world
        self._news: queue.SimpleQueue[DaemonNews | FactNews | Verdict] = queue.SimpleQueue()
        self._seen: list[Fact] = []
        venue = world.venue
        config = Config.model_validate({"gate": {"symbols": ["BTCUSDT"]}})
        self.root = start_daemon(self, store=MemoryStore(), venue=venue, market=venue, settings=settings_of(config))
        while not isinstance(up := self._news.get(timeout=5), DaemonUp):
            pass
        self.gate = up.gate
        up.journal.tell(Follow(follower=self))
        self._until(lambda news: isinstance(news, DaemonStands) and news.readiness is Readiness.READY)

    def tell(self, message: DaemonNews | FactNews | Verdict, /) -> None:
        self._news.put(message)

    def fact(self, kind: type[F], within: float = 5.0) -> F:
        """The first fact of a kind, be it told already."""
        deadline = time.monotonic() + within
        while not (found := [fact for fact in self._seen if isinstance(fact, kind)]):
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind.__name__} within {within} s, only {self._seen}"
            self._take(left)
        return found[0]

    def seen(self) -> list[Fact]:
        """The facts that were told by now."""
        self._take(0.01)
        return self._seen

    def stop(self) -> None:
        self.root.tell(ShutDown("the test is over"))
        self._until(lambda news: isinstance(news, DaemonEnded))

    def _until(self, wanted: object) -> None:
        assert callable(wanted)
        while not wanted(news := self._news.get(timeout=10)):
            if isinstance(news, Committed):
                self._seen.append(news.fact)

    def _take(self, seconds: float) -> None:
        try:
            news = self._news.get(timeout=seconds)
        except queue.Empty:
            return
        if isinstance(news, Committed):
            self._seen.append(news.fact)


@contextmanager
def a_daemon() -> Iterator[Running]:
    with wired() as world:
        world.set_book(BIDS, ASKS)
        running = Running(world)
        yield running
        world.trade(Side.SELL, "100.00", "9")  # Whatever rests is filled, for nothing may be open at the end.
        running.stop()


@pytest.mark.parametrize(
    "death",
    [
        StreamsOrder(action="forget", which="user"),
        StreamsOrder(action="stall", which="user", what=Stall.EVENTS),
        StreamsOrder(action="stall", which="user", what=Stall.EVERYTHING),
    ],
    ids=["the subscription is gone", "probes are answered", "the connection says nothing"],
)
def test_a_stream_that_dies_silently_is_noticed_and_its_fills_are_known_within_three_seconds(
    death: StreamsOrder,
) -> None:
    with a_daemon() as daemon:
        resting = TwapOptions(child="passive")
        signal = Signal(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1), id="one", twap=resting)
        daemon.gate.tell(SignalReceived(signal, reply_to=daemon))
        daemon.fact(ChildAcknowledged)
        daemon.world.call(lambda: daemon.world.server.misbehave(death))
        daemon.world.trade(Side.SELL, "100.00", "1.4")  # One stands before ours.
        with at_most(3.0):
            booked = daemon.fact(TradeBooked, within=30.0)
            daemon.fact(StreamGap, within=30.0)
        assert (booked.quantity, booked.maker) == (Decimal("0.4"), True)


def test_a_key_that_only_the_user_stream_is_refused_for_halts_trading_with_one_alert() -> None:
    with a_daemon() as daemon:
        server = daemon.world.server
        refused = Fault(kind=WireFault.REFUSE, on=("session",), via="ws", probability=1.0, code=-2015, status=401)
        daemon.world.call(lambda: server.desk.faults.set(Plan(faults=(refused,))))
        daemon.world.call(lambda: server.misbehave(StreamsOrder(action="cut", which="user")))
        assert daemon.fact(TradingHalted).reason == "KEY_REVOKED"
        assert daemon.fact(AlertRaised).kind == "halt"
        until(lambda: daemon.world.call(lambda: int(str(server.desk.faults.state()[0]["strikes"]))) >= 3)
        daemon.world.call(lambda: server.desk.faults.set(Plan()))
        daemon.fact(StreamGap)  # It is subscribed again.
        seen = daemon.seen()
        assert sum(isinstance(fact, TradingHalted) for fact in seen) == 1
        assert [fact.kind for fact in seen if isinstance(fact, AlertRaised)] == ["halt"]


def test_a_cap_on_participation_counts_what_the_exchange_streams_of_others_trades() -> None:
    with a_daemon() as daemon:
        options = TwapOptions(num_chunks=1, max_participation=Decimal("0.5"), interval_seconds=Decimal(60))
        signal = Signal(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1), id="paced", twap=options)
        daemon.gate.tell(SignalReceived(signal, reply_to=daemon))
        traded = Decimal(0)
        with pytest.raises(AssertionError, match="no ChildIntended"):
            daemon.fact(ChildIntended, within=1.0)
        while traded < 5:
            daemon.world.trade(Side.SELL, "100.00", "0.5")
            traded += Decimal("0.5")
            time.sleep(0.1)
            if any(isinstance(fact, ChildIntended) for fact in daemon.seen()):
                break
        intent = daemon.fact(ChildIntended)
        assert intent.market_volume is not None
        assert Decimal(2) <= intent.market_volume <= traded
        assert intent.quantity == 1
