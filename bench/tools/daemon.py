"""A whole daemon in real time for a measurement: its own journal on the disk, and the instant venue."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pykka

from actors.daemon import DaemonSettings
from actors.exchange.budget import BudgetLimits
from actors.runtime import Pool
from adapters.config import Config
from adapters.storage.log_keeper import log_keeper_of
from adapters.storage.sqlite import SqliteStore
from bench.tools.threads import PlainThreads
from bench.tools.venue import RULES, InstantVenue
from messages.control import Committed, DaemonEnded, DaemonNews, DaemonStands, DaemonUp, Readiness, ShutDown
from messages.market import WatchMarket
from messages.order import SendOrder, VenueCommand
from messages.refs import Tells
from messages.signal import Side, Signal, SignalReceived, TwapOptions, Verdict
from run import settings_of, start_daemon

Kind = Literal["pool", "thread"]
"""Our runtime, or Pykka's plain threads."""

SWITCH_SECONDS = 0.001
"""How long a thread keeps the interpreter while others want it: as `run.py` sets it."""

PATIENCE = 30.0
"""Seconds after which a measurement has failed."""


class TimedStore(SqliteStore):
    """The journal's store; `commits` are the spans of its commits, in seconds of `perf_counter`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.commits: list[tuple[float, float]] = []

    def append(self, records: Sequence[Committed]) -> None:
        """Make facts durable, and note how long that takes."""
        began = time.perf_counter()
        super().append(records)
        self.commits.append((began, time.perf_counter()))


class Tap:
    """Stands between the daemon and the venue; `on_order` hears of each order as it is handed over."""

    def __init__(self, venue: Tells[VenueCommand | WatchMarket], on_order: Callable[[SendOrder], None]) -> None:
        self._venue, self._on_order = venue, on_order

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        """Hand on a message."""
        if isinstance(message, SendOrder):
            self._on_order(message)
        self._venue.tell(message)


class Observer:
    """Hears how the daemon stands."""

    def __init__(self) -> None:
        self.ready, self.over = threading.Event(), threading.Event()
        self.up: DaemonUp | None = None

    def tell(self, message: DaemonNews, /) -> None:
        """Take news."""
        match message:
            case DaemonUp():
                self.up = message
            case DaemonStands(readiness=Readiness.READY):
                self.ready.set()
            case DaemonEnded():
                self.over.set()
            case _:
                pass


class House:
    """A running daemon: `store` is its journal, `gate` takes signals."""

    def __init__(self, store: TimedStore, observer: Observer, root: pykka.ActorRef[Any]) -> None:
        assert observer.up is not None
        self.store, self.up, self._root, self._over = store, observer.up, root, observer.over

    def send(self, signal: Signal, reply_to: Tells[Verdict]) -> None:
        """Hand a signal in."""
        self.up.gate.tell(SignalReceived(signal, reply_to))

    def facts(self, *kinds: str) -> Iterator[Committed]:
        """Read facts of these kinds from the file, while the daemon goes on."""
        store = SqliteStore(self.store.path.parent, read_only=True)
        try:
            yield from store.read(kinds=kinds)
        finally:
            store.close()

    def stop(self) -> None:
        """Shut the daemon down in order."""
        self._root.tell(ShutDown("the measurement is over"))
        wait(self._over, "the daemon did not end")


@contextmanager
def house(
    kind: Kind = "pool",
    *,
    on_order: Callable[[SendOrder], None] = lambda _: None,
    on_trade: Callable[[str], None] = lambda _: None,
    settings: DaemonSettings | None = None,
) -> Iterator[House]:
    """Run a daemon with a journal in a directory of its own, on the disk that holds temporary files."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = TimedStore(Path(directory) / "data")
        observer = Observer()
        runtime = Pool() if kind == "pool" else PlainThreads()
        sys.setswitchinterval(SWITCH_SECONDS)
        with log_keeper_of(store), runtime:
            tap = Tap(InstantVenue.start(on_trade), on_order)
            root = start_daemon(observer, store=store, venue=tap, market=tap, settings=settings or open_settings())
            wait(observer.ready, "the daemon did not become ready")
            yield House(store, observer, root)
        store.close()


def open_settings() -> DaemonSettings:
    """The settings of paper mode without bounds on what may be let in, and a venue without limits."""
    base = settings_of(Config())
    gate = replace(
        base.gate,
        max_notional=None,
        max_open_notional_per_symbol=None,
        max_daily_notional=None,
        max_executions=None,
        max_executions_per_symbol=None,
        max_signals_per_second=None,
        max_signals_per_second_per_sender=None,
        max_waiting=1_000_000,
        max_waiting_seconds=Decimal(60),
    )
    limits = BudgetLimits(weight=10**9, orders=((10, 10**9),))
    return replace(base, gate=gate, exchange=replace(base.exchange, limits=limits))


def a_signal(number: int, name: str, *, twap: TwapOptions | None = None) -> Signal:
    """Make the `number`-th signal, worth about 400 USDT: symbols and sides in turn, an id of its own."""
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    return Signal(
        symbol=symbol,
        side=Side.BUY if number // len(_SYMBOLS) % 2 else Side.SELL,
        quantity=_QUANTITIES[symbol],
        id=f"{name}-{number}",
        source="bench",
        twap=twap or TwapOptions(),
    )


_SYMBOLS = tuple(RULES)
_QUANTITIES = {
    "BTCUSDT": Decimal("0.01"),
    "ETHUSDT": Decimal("0.16"),
    "BNBUSDT": Decimal("1.4"),
    "DOGEUSDT": Decimal(5_000),
}


def wait(event: threading.Event, failure: str) -> None:
    """Wait for an event for `PATIENCE` seconds. Raises TimeoutError."""
    if not event.wait(PATIENCE):
        raise TimeoutError(failure)
