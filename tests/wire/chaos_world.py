"""The whole daemon over the wire, with a proxy between it and the exchange that does what networks do."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from actors.runtime import Pool
from adapters.binance.venue import BinanceVenue
from adapters.config import Config
from adapters.paper.audit import Audit, audit
from adapters.paper.exchange import PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.process import truth_of
from adapters.storage.codec import export_line
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
from messages.facts import ExecutionClosed
from messages.signal import Side, Signal, SignalReceived, Status, TwapOptions, Verdict
from run import settings_of, start_daemon
from tests.adapters.binance.worlds import served
from tests.adapters.binance.worlds import settings_of as adapter_settings
from tests.chaos_proxy import Plan, Trouble, proxied

PAPER = PaperSettings(
    markets=MarketChoice(seed=3),
    limits=LimitSettings(
        orders_per_10_seconds=1_000,
        orders_per_day=100_000,
        weight_per_minute=100_000,
        connections_per_5_minutes=100_000,
    ),
)
CONFIG = {
    "gate": {"symbols": ["BTCUSDT"]},
    # The market is not what is tried here; and a busy machine may miss slots, which the extra ones make up for.
    "twap": {"max_spread": "0.05", "max_price_deviation": "0.2", "extra_slots": 12},
    "watcher": {"engine_wait_seconds": "0.3", "margin_seconds": "0.2", "absent_after_seconds": "5"},
    "venue": {"recv_window_ms": 1000},
}
HASTY = {
    "recv_window_ms": 1000,
    "order_seconds": 1.0,
    "cancel_seconds": 1.0,
    "query_seconds": 1.0,
    "connect_seconds": 1.0,
    "settled_seconds": 1.0,
    "quiet_seconds": 1.0,
}
SLICES, SLICE, INTERVAL = 3, Decimal("0.01"), Decimal("1.5")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """What goes wrong; `orders_over_rest` leaves orders and cancels no other path."""

    plans: tuple[Plan, ...]
    orders_over_rest: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    found: Audit
    journal: Sequence[Mapping[str, Any]]
    truth: Mapping[str, Any]
    struck: Counter[Trouble]
    seconds: float
    closed: list[ExecutionClosed] = field(default_factory=list)

    def kinds(self) -> Counter[str]:
        """Count the facts by kind."""
        return Counter(str(line["type"]) for line in self.journal)

    def ids(self, kind: str) -> list[str]:
        """List the client order ids of the facts of a kind."""
        return [str(line["client_order_id"]) for line in self.journal if line["type"] == kind]

    @property
    def traded(self) -> Decimal:
        """The base quantity of the trades that the exchange made."""
        return sum((Decimal(trade["qty"]) for trade in self.truth["trades"]), Decimal(0))

    def story(self) -> str:
        """Tell it for a failed test."""
        lines = [f"{line['at']} {line['type']} {line.get('detail', '')}" for line in self.journal]
        return "\n".join([self.found.text(), str(dict(self.struck)), *lines])


class _News:
    def __init__(self) -> None:
        self.mail: queue.SimpleQueue[DaemonNews | FactNews | Verdict] = queue.SimpleQueue()

    def tell(self, message: DaemonNews | FactNews | Verdict, /) -> None:
        self.mail.put(message)

    def until(self, wanted: type[Any], seconds: float, **having: object) -> Any:
        """Wait for news of a kind, of a fact of it if it is one, whose fields are as given."""
        deadline = time.monotonic() + seconds
        while True:
            news = self.mail.get(timeout=max(0.01, deadline - time.monotonic()))
            told = news.fact if isinstance(news, Committed) else news
            if isinstance(told, wanted) and all(getattr(told, name) == value for name, value in having.items()):
                return told


def _hand_in(signal: Signal, up: DaemonUp, news: _News) -> None:
    """Hand a signal in until it is accepted: what goes wrong may leave no price to judge it by for a while."""
    verdict: Verdict | None = None
    for _ in range(50):
        up.gate.tell(SignalReceived(signal, reply_to=news))
        verdict = news.until(Verdict, 5)
        if verdict is not None and verdict.status is Status.ACCEPTED:
            return
        time.sleep(0.1)
    raise AssertionError(f"never accepted: {verdict}")


def _cut_orders_off(venue: BinanceVenue) -> None:
    """Leave orders and cancels no path but REST."""

    def stop() -> None:
        venue._lasting[0].cancel()
        keeper = venue._ws._keeper
        if keeper._line is not None:  # There is a connection already.
            keeper._close_behind(keeper._line)
            keeper._line = None

    venue._loop.call(stop)


def play(case: Case, *, executions: int = 1) -> Outcome:
    """Work executions of `SLICES` slices while it happens, to their end; return what came of it."""
    with Pool(1) as pool, served(PAPER) as (server, _):
        upstream = int(server.url.rpartition(":")[2])
        with proxied(upstream, *map(replace, case.plans), late_seconds=2.5) as running:
            here = f"127.0.0.1:{running.proxy.port}"
            urls = {"rest_url": f"http://{here}", "ws_api_url": f"ws://{here}/ws-api/v3", "stream_url": f"ws://{here}"}
            settings = adapter_settings(server, **urls, **HASTY)
            with BinanceVenue(pool, settings) as venue:
                if case.orders_over_rest:  # The user stream has a connection of its own, which is to be there.
                    _cut_orders_off(venue)
                store = MemoryStore()
                news, closed, began = _News(), [], time.monotonic()
                daemon_settings = settings_of(Config.model_validate(CONFIG))
                watcher = replace(daemon_settings.watcher, negatives_seconds=1.0)
                root = start_daemon(
                    news, store=store, venue=venue, market=venue, settings=replace(daemon_settings, watcher=watcher)
                )
                up = news.until(DaemonUp, 10)
                up.journal.tell(Follow(follower=news, kinds=(ExecutionClosed,)))
                news.until(DaemonStands, 20, readiness=Readiness.READY)
                for number in range(executions):
                    signal = Signal(
                        symbol="BTCUSDT",
                        side=Side.SELL if number % 2 else Side.BUY,
                        quantity=SLICE * SLICES,
                        id=f"chaos-{number}",
                        twap=TwapOptions(num_chunks=SLICES, interval_seconds=INTERVAL),
                    )
                    _hand_in(signal, up, news)
                closed += [news.until(ExecutionClosed, PATIENCE) for _ in range(executions)]
                seconds = time.monotonic() - began
                root.tell(ShutDown("the test is over"))
                news.until(DaemonEnded, 25)
            struck = running.proxy.struck
        truth = truth_of(f"{server.url}/api")
        journal = [orjson.loads(export_line(committed)) for committed in store.committed]
    found = audit(journal, truth, initial_balances=PAPER.balances)
    return Outcome(found=found, journal=journal, truth=truth, struck=struck, seconds=seconds, closed=closed)
