"""Over real sockets: from a signal to its order at the exchange, and from an event there back to its execution.

Run `python -m bench.wire`. Direct orders, one at a time and evenly paced, through the whole daemon with every commit
synced to the disk, to the paper exchange in a process of its own with its account in a file. Both processes read the
same clock. For the way back the exchange tells an order's events before it answers it, so that nothing but the
user-data stream can have told the execution of its fill.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import orjson

from actors.runtime import Pool
from actors.twap.actor import TWAPActor
from adapters.binance.outcomes import RequestNotSent
from adapters.binance.settings import BinanceSettings
from adapters.binance.venue import BinanceVenue
from adapters.binance.ws_api import WsApi
from adapters.paper.limits import LimitSettings
from adapters.paper.records import Event, Execution
from adapters.paper.server.app import PaperServer
from adapters.paper.server.call import Call
from adapters.paper.server.desk import Desk
from adapters.paper.server.faults import Fault, Plan, WireFault
from adapters.paper.server.process import ProcessSettings, run_paper_exchange
from adapters.storage.log_keeper import log_keeper_of
from bench.tools.daemon import PATIENCE, SWITCH_SECONDS, Observer, TimedStore, a_signal, open_settings, wait
from bench.tools.figures import (
    Row,
    Spread,
    apart,
    covered,
    disk_alone,
    print_table,
    processor_alone,
    spread,
    tell_of_disk,
)
from messages.control import ShutDown
from messages.facts import Fact, TradeBooked
from messages.ids import parse_child_id
from messages.signal import SignalReceived, Status, Verdict
from run import start_daemon

WARM_UP = 40
ORDER_TARGET_MS = 10.0
EVENT_TARGET_MS = 5.0
LIMITS = LimitSettings(
    orders_per_10_seconds=10**9, orders_per_day=10**9, weight_per_minute=10**9, raw_requests_per_5_minutes=10**9
)
BALANCES = {asset: Decimal(10**8) for asset in ("BTC", "ETH", "BNB", "DOGE", "USDT")}
EVENTS_FIRST = Plan(faults=(Fault(kind=WireFault.EVENT_FIRST, on=("place",), probability=1.0),))

Moments = dict[str, float]
"""When something happened to each execution, in seconds of `perf_counter`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds: signal handed in -> order received, event sent -> execution knows, and the daemon's commits.

    What is `_alone` is what is left of both when no commit is waited for.
    """

    order: Spread
    event: Spread
    order_alone: Spread
    event_alone: Spread
    commit: Spread


# The exchange, in its own process -------------------------------------------------------------------------------------


def serve(pipe: Connection, directory: str, plan: Plan) -> None:
    """Serve until asked to end, then tell when each order came in and when its first fill was told."""
    received: Moments = {}
    sent: Moments = {}
    perform, tell = Desk.perform, PaperServer._tell  # noqa: SLF001 - where an event leaves

    async def performed(desk: Desk, operation: Any, asked: Any, *rest: Any) -> tuple[object, Call]:
        if operation.places:
            received[_execution(asked.params["newClientOrderId"])] = time.perf_counter()
        return await perform(desk, operation, asked, *rest)

    def told(server: PaperServer, event: Event) -> None:
        if isinstance(event, Execution) and event.trade is not None:
            sent.setdefault(_execution(event.client_order_id), time.perf_counter())
        tell(server, event)

    settings = ProcessSettings(limits=LIMITS, balances=BALANCES, faults=plan, data_dir=Path(directory))
    with mock.patch.object(Desk, "perform", performed), mock.patch.object(PaperServer, "_tell", told):
        run_paper_exchange(settings, pipe.send)
    pipe.send((received, sent))


class Exchange:
    """The other process; `moments` ends it."""

    def __init__(self, pipe: Connection, process: multiprocessing.process.BaseProcess) -> None:
        self._pipe, self._process = pipe, process
        if not pipe.poll(PATIENCE):
            raise TimeoutError("the exchange did not come up")
        said = orjson.loads(pipe.recv())
        self.settings = BinanceSettings(
            rest_url=said["rest"],
            ws_api_url=said["ws_api"],
            stream_url=said["streams"],
            api_key="paper-key",
            api_secret="paper-secret",  # noqa: S106 - known to everybody, opens nothing
        )

    def moments(self) -> tuple[Moments, Moments]:
        """End the exchange; when each order was received, and when its first fill was told."""
        self._process.terminate()
        if not self._pipe.poll(PATIENCE):
            raise TimeoutError("the exchange did not end")
        received, sent = self._pipe.recv()
        return received, sent


@contextmanager
def exchange(directory: Path, plan: Plan) -> Iterator[Exchange]:
    """Run the exchange."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, str(directory), plan))
    process.start()
    try:
        yield Exchange(ours, process)
    finally:
        process.kill()
        process.join(5)


# The daemon -----------------------------------------------------------------------------------------------------------


class _Answer:
    """Takes a verdict and notes when its signal was handed in."""

    def __init__(self, handed_in: Moments) -> None:
        self._handed_in, self._began = handed_in, time.perf_counter()

    def tell(self, verdict: Verdict, /) -> None:
        assert verdict.status is Status.ACCEPTED, verdict
        assert verdict.execution_id is not None
        self._handed_in[verdict.execution_id] = self._began


def measure(over: str, signals: int, per_second: float, plan: Plan) -> Taken:
    """Hand in so many signals after a warm-up, at an even pace, and wait for the last one's trade."""
    sys.setswitchinterval(SWITCH_SECONDS)
    handed_in: Moments = {}
    known: Moments = {}
    heard = threading.Condition()
    on_news_of = TWAPActor.on_news_of

    def noted(actor: TWAPActor, fact: Fact) -> None:
        on_news_of(actor, fact)
        if isinstance(fact, TradeBooked):
            now = time.perf_counter()
            with heard:
                known.setdefault(fact.execution_id, now)
                heard.notify()

    with tempfile.TemporaryDirectory(prefix="bench-") as directory, exchange(Path(directory) / "paper", plan) as other:
        store, observer = TimedStore(Path(directory) / "data"), Observer()
        with (
            mock.patch.object(TWAPActor, "on_news_of", noted),
            _orders_over(over),
            log_keeper_of(store),
            Pool(4) as pool,
            BinanceVenue(pool, other.settings) as venue,
        ):
            root = start_daemon(observer, store=store, venue=venue, market=venue, settings=open_settings())
            wait(observer.ready, "the daemon did not become ready")
            assert observer.up is not None
            begin = time.perf_counter()
            for number in range(WARM_UP + signals):
                time.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
                observer.up.gate.tell(SignalReceived(a_signal(number, "wire"), _Answer(handed_in)))
            with heard:
                if not heard.wait_for(lambda: len(known) == WARM_UP + signals, PATIENCE):
                    raise TimeoutError(f"{len(known)} trades of {WARM_UP + signals}")
            root.tell(ShutDown("the measurement is over"))
            wait(observer.over, "the daemon did not end")
        store.close()
        received, sent = other.moments()
    measured, commits = list(handed_in)[WARM_UP:], store.commits
    orders = [(handed_in[name], received[name]) for name in measured]
    events = [(sent[name], known[name]) for name in measured]
    return Taken(
        order=spread(1e3 * (end - began) for began, end in orders),
        event=spread(1e3 * (end - began) for began, end in events),
        order_alone=spread(1e3 * (end - began - covered(began, end, commits)) for began, end in orders),
        event_alone=spread(1e3 * (end - began - covered(began, end, commits)) for began, end in events),
        commit=spread(1e3 * (end - began) for began, end in commits),
    )


@contextmanager
def _orders_over(over: str) -> Iterator[None]:
    """Leave orders only one way."""

    async def not_connected(*_: object, **__: object) -> object:
        raise RequestNotSent("not connected")

    if over == "WebSocket API":
        yield
    else:
        with mock.patch.object(WsApi, "ask", not_connected):
            yield


def _execution(child: str) -> str:
    name = parse_child_id(child)
    assert name is not None, child
    return name.execution_id


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the quantiles as medians of the rounds."""
    parser = argparse.ArgumentParser(description="signal -> order at the exchange, event -> execution, in milliseconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--signals", type=int, default=200, help="measured in a round")
    parser.add_argument("--rate", type=float, default=25.0, help="signals a second")
    given = parser.parse_args(arguments)
    disk: list[Spread] = []

    def rounds(over: str, plan: Plan) -> list[Taken]:
        taken = []
        for _ in range(given.rounds):
            disk.append(disk_alone(Path(tempfile.gettempdir())))
            taken.append(apart(measure, over, given.signals, given.rate, plan))
        return taken

    socket, rest = rounds("WebSocket API", EVENTS_FIRST), rounds("REST", Plan())

    def row(what: str, taken: list[Taken], figure: Callable[[Taken], float], target: float | None = None) -> Row:
        return Row(what, median(map(figure, taken)), target=target)

    rows = [
        row("signal -> order received, WebSocket API, p50 ms", socket, lambda taken: taken.order.p50),
        row("signal -> order received, WebSocket API, p99 ms", socket, lambda taken: taken.order.p99, ORDER_TARGET_MS),
        row("signal -> order received, REST, p50 ms", rest, lambda taken: taken.order.p50),
        row("signal -> order received, REST, p99 ms", rest, lambda taken: taken.order.p99, ORDER_TARGET_MS),
        row("event sent -> execution knows, p50 ms", socket, lambda taken: taken.event.p50),
        row("event sent -> execution knows, p99 ms", socket, lambda taken: taken.event.p99, EVENT_TARGET_MS),
        row("  the first way without waiting for commits, p99 ms", socket, lambda taken: taken.order_alone.p99),
        row("  the last way without waiting for commits, p99 ms", socket, lambda taken: taken.event_alone.p99),
        row("one commit, p50 ms", socket, lambda taken: taken.commit.p50),
        row("one commit, p99 ms", socket, lambda taken: taken.commit.p99),
        Row("one commit, the longest ms", max(taken.commit.most for taken in socket + rest)),
    ]
    print(f"{given.rounds} rounds of {given.signals} direct signals, {given.rate:g} a second; medians of the rounds")
    tell_of_disk(disk)
    print(f"the processor alone: {processor_alone():.0f} ns a turn of a plain loop")
    print_table(rows)


if __name__ == "__main__":
    main()
