"""How the gate answers over HTTP under load, and whether the executions that run meanwhile stay punctual.

Run `python -m bench.http_load [--seconds S | --long] [--rate R] [--executions N]`. The daemon is the real one, a
process of its own on its paper exchange; signals come at a fixed rate whether or not earlier ones are answered, 90 %
repeats, 9.8 % refused, 0.2 % new, and each is timed from the moment at which it was due. Then the rate is raised until
p99 passes 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from adapters.client import Client
from adapters.storage.sqlite import SqliteStore
from bench.tools.figures import Row, print_table
from bench.tools.service import an_execution, service
from messages.facts import ChildIntended, ExecutionPlanned
from messages.money import use_money_context

CHUNKS, INTERVAL = 60, 5
CONNECTIONS = 64
P99_TARGET, LATENESS_TARGET = 50.0, 100.0
LADDER = (500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000)


@dataclass(slots=True)
class Load:
    """What a run gave: latencies in milliseconds from the due time, answers by HTTP status, and how many never came."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    missing: int = 0

    def quantile(self, percent: int) -> float:
        """Say what so many percent of the verdicts did not exceed."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1]


class _Connection(asyncio.Protocol):
    """One kept connection; a request at a time."""

    def __init__(self, pool: _Sender) -> None:
        self._pool, self._buffer, self._due = pool, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            self._buffer = b""
            self._pool.answered(self, int(head[9:12]), self._due)


class _Sender:
    """Sends at a fixed rate over a few connections; what finds none free waits, and its wait counts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._free: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._head = (
            f"POST /v1/signals HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
            f"Authorization: Bearer {client.token}\r\nContent-Length: "
        ).encode()
        self.load = Load()
        self._wanted = -1
        self._all = asyncio.Event()

    async def run(self, bodies: Iterator[bytes], rate: float, seconds: float) -> Load:
        """Send for so many seconds, and wait for the answers a while longer."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, protocol = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._client.port)
            self._free.append(protocol)
        count, began = int(rate * seconds), time.perf_counter()
        for number in range(count):
            due = began + number / rate
            early = due - time.perf_counter()
            if early > 0 or not number % 20:  # Late or not, answers must be read.
                await asyncio.sleep(max(early, 0))
            body = next(bodies)
            self._waiting.append((b"%s%d\r\n\r\n%s" % (self._head, len(body), body), due))
            self._send()
        self._wanted = count
        if len(self.load.latencies) < count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all.wait(), 10)
        self.load.missing = count - len(self.load.latencies)
        return self.load

    def _send(self) -> None:
        while self._waiting and self._free:
            self._free.popleft().send(*self._waiting.popleft())

    def answered(self, connection: _Connection, status: int, due: float) -> None:
        """Take note of an answer."""
        self.load.latencies.append((time.perf_counter() - due) * 1000)
        self.load.statuses[status] += 1
        if len(self.load.latencies) == self._wanted:
            self._all.set()
        self._free.append(connection)
        self._send()


def _execution(number: int) -> dict[str, Any]:
    return an_execution(number, chunks=CHUNKS, interval=INTERVAL)


def start_executions(client: Client, count: int) -> None:
    """Start executions that go on for five minutes, so that their slots are spread evenly over the interval."""
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number * INTERVAL / count - time.perf_counter()))
        status, verdict = client.send(_execution(number))
        if status != 202:
            raise RuntimeError(f"an execution was not accepted: {verdict}")


def mixed(executions: int, run: str) -> Iterator[bytes]:
    """Make signals without end: of 1,000, 900 repeats, 98 that are refused, 2 new ones."""
    chance = random.Random(run)
    refused: list[dict[str, Any]] = [
        {"symbol": "XRPUSDT", "side": "buy", "quantity": "1"},
        {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.00001"},
        {"symbol": "BTCUSDT", "side": "buy", "quantity": "1", "timestamp": "2020-01-01T00:00:00Z"},
        {"symbol": "BTCUSDT", "side": "buy", "quantity": "NaN"},
        {"symbol": "BTCUSDT", "side": "up", "quantity": "1"},
    ]
    for number in itertools.count():
        turn = number % 1_000
        if turn in (250, 750):
            yield orjson.dumps({**_execution(number), "id": f"{run}-{number}"})
        elif turn % 10 == 9 and turn not in (249, 749):
            yield orjson.dumps({**chance.choice(refused), "id": f"refused-{run}-{number}"})
        else:
            yield orjson.dumps(_execution(chance.randrange(executions)))


def lateness(directory: Path) -> list[float]:
    """Say how many milliseconds after its slot, less what its guards made it wait, each child was decided on."""
    plans, late = {}, []
    with closing(SqliteStore(directory, read_only=True)) as store:
        for committed in store.read(kinds=("ExecutionPlanned", "ChildIntended")):
            fact = committed.fact
            if isinstance(fact, ExecutionPlanned):
                plans[fact.execution_id] = fact.plan
            elif isinstance(fact, ChildIntended):
                plan = plans[fact.execution_id]
                since = Decimal(str((committed.at - plan.start_at).total_seconds()))
                late.append(float(since - fact.slice * plan.interval_seconds - fact.waited_seconds) * 1000)
    return late


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of the one rate, and the rate at which p99 passes its target."""
    parser = argparse.ArgumentParser(description="signals over HTTP while executions run")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--long", action="store_true", help="60 seconds")
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--no-ladder", action="store_true", help="leave out the search for the highest rate")
    given = parser.parse_args(arguments)
    use_money_context()
    seconds = 60.0 if given.long else given.seconds
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name) / "data"
        with service(directory) as client:
            start_executions(client, given.executions)
            load = asyncio.run(_Sender(client).run(mixed(given.executions, "load"), given.rate, seconds))
            late = lateness(directory)
            told = ", ".join(f"{count} x {status}" for status, count in sorted(load.statuses.items()))
            print(f"{given.rate:.0f} signals/s for {seconds:.0f} s, {given.executions} executions: {told}")
            rows = [
                Row("verdict p50, ms", load.quantile(50)),
                Row("verdict p99, ms", load.quantile(99), target=P99_TARGET),
                Row("verdict worst, ms", max(load.latencies)),
                Row("signals without a verdict", float(load.missing), target=0.0),
                Row(f"latest of {len(late)} children, ms", max(late), target=LATENESS_TARGET),
            ]
            if not given.no_ladder:
                rows.append(Row("rate at which p99 passes 50 ms, /s", _limit(client, given.executions)))
        print_table(rows)


def _limit(client: Client, executions: int) -> float:
    for rate in LADDER:
        load = asyncio.run(_Sender(client).run(mixed(executions, f"ladder-{rate}"), rate, 5.0))
        print(f"  {rate} signals/s: p99 {load.quantile(99):.1f} ms, {load.missing} without a verdict")
        if load.missing or load.quantile(99) > P99_TARGET:
            return float(rate)
    print(f"  p99 stayed below at {LADDER[-1]} signals/s, the highest rate tried")
    return float(LADDER[-1])


if __name__ == "__main__":
    main()
