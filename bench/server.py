"""How many orders a second the paper exchange takes over its sockets, and how long each waits.

Run `python -m bench.server [--seconds S] [--in-flight N] [--memory]`. The server is a process of its own, with its
account in a file unless `--memory`; the client signs each order (LIMIT IOC at the touch) and waits for its reply. What
the server can take is the rate with many orders in flight; with one, its rate is that of question and answer. The
client's work is kept small, for it wants the same processors: over REST it writes each request, whole, to one of as
many kept connections as orders are in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import orjson

from adapters.paper.limits import LimitSettings
from adapters.paper.server.process import ProcessSettings, run_paper_exchange
from bench.tools.figures import Row, print_table

KEY, SECRET = "paper-key", b"paper-secret"
LIMITS = LimitSettings(
    orders_per_10_seconds=10**9, orders_per_day=10**9, weight_per_minute=10**9, raw_requests_per_5_minutes=10**9
)

TARGET = 1_000.0
"""Orders a second."""

Place = Callable[[int], Awaitable[None]]


def serve(pipe: Connection, directory: str | None) -> None:
    """Serve until told to end, in a process of its own."""
    settings = ProcessSettings(limits=LIMITS, data_dir=None if directory is None else Path(directory))
    run_paper_exchange(settings, pipe.send)


def order_params(number: int) -> dict[str, str]:
    """Buy and sell in turn, so that the account does not run dry."""
    buy = number % 2 == 0
    return {
        "apiKey": KEY,
        "newClientOrderId": f"bench-{number}",
        "price": "80000.00" if buy else "50000.00",
        "quantity": "0.001",
        "recvWindow": "5000",
        "side": "BUY" if buy else "SELL",
        "symbol": "BTCUSDT",
        "timeInForce": "IOC",
        "timestamp": str(time.time_ns() // 1_000_000),
        "type": "LIMIT",
    }


def signed(payload: str) -> str:
    """Sign as Binance wants it."""
    return hmac.new(SECRET, payload.encode(), hashlib.sha256).hexdigest()


class OverWebSocket:
    """Orders over one WebSocket API connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self._socket:
            reply = orjson.loads(frame.data)
            self._waiting.pop(reply["id"]).set_result(reply["status"])

    async def place(self, number: int) -> None:
        """Place one order and wait for its reply."""
        params = order_params(number)
        params["signature"] = signed("&".join(f"{name}={value}" for name, value in params.items()))
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(orjson.dumps({"id": number, "method": "order.place", "params": params}).decode())
        status = await future
        if status != 200:
            raise RuntimeError(f"order {number}: status {status}")


class OverRest(asyncio.Protocol):
    """Orders over REST on one kept connection, one at a time."""

    def __init__(self, port: int) -> None:
        self._head = (
            f"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-MBX-APIKEY: {KEY}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        )
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take an answer once it is whole."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            self._buffer = b""
            assert self._answer is not None
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server hung up"))

    async def place(self, number: int) -> None:
        """Place one order and wait for its reply."""
        params = order_params(number)
        del params["apiKey"]
        payload = "&".join(f"{name}={value}" for name, value in params.items())
        body = f"{payload}&signature={signed(payload)}"
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"{self._head}{len(body)}\r\n\r\n{body}".encode())
        status = await self._answer
        if status != 200:
            raise RuntimeError(f"order {number}: status {status}")


def cpu_seconds(pid: int | None) -> float:
    """Read how much of a processor a process has used; NaN where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    fields = stat.read_text().rpartition(")")[2].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks


async def measure(name: str, places: Sequence[Place], first: int, seconds: float, pid: int | None) -> tuple[int, float]:
    """Keep an order in flight on each of `places` for so long, and say what came of it.

    Returns the next number and the orders a second. The server's own processor time, `pid`'s, says what it could do
    if nobody else wanted the machine.
    """
    number, times = first, list[float]()
    began, used = time.perf_counter(), cpu_seconds(pid)

    async def keep_on(place: Place) -> None:
        nonlocal number
        while time.perf_counter() - began < seconds:
            mine, number = number, number + 1
            sent = time.perf_counter()
            await place(mine)
            times.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*map(keep_on, places))
    rate = len(times) / (time.perf_counter() - began)
    each = 1000 * (cpu_seconds(pid) - used) / len(times)
    cuts = statistics.quantiles(times, n=100)
    print(
        f"{name:<14} {len(places):>3} in flight: {rate:>7,.0f} orders/s   "
        f"p50 {cuts[49]:.2f} ms   p99 {cuts[98]:.2f} ms   "
        f"server {each:.2f} ms of CPU an order"
    )
    return number, rate


async def run(port: int, seconds: float, in_flight: int, pid: int | None) -> list[Row]:
    """Measure both ways, one order at a time and many; return what the server can take."""
    rates: dict[str, float] = {}
    number, loop = 0, asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/ws-api/v3") as socket:
        over_socket = OverWebSocket(socket)
        over_rest = [
            (await loop.create_connection(lambda: OverRest(port), "127.0.0.1", port))[1] for _ in range(in_flight)
        ]
        for count in (1, in_flight):
            sockets, rests = [over_socket.place] * count, [one.place for one in over_rest[:count]]
            number, rates["WebSocket API"] = await measure("WebSocket API", sockets, number, seconds, pid)
            number, rates["REST"] = await measure("REST", rests, number, seconds, pid)
    return [
        Row(f"orders/s over {name}, {in_flight} in flight", rate, target=TARGET, more_is_better=True)
        for name, rate in rates.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of the four rounds lasts")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--memory", action="store_true", help="keep the account in memory")
    options = parser.parse_args(arguments)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as directory:
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, None if options.memory else directory)
        )
        process.start()
        try:
            if not ours.poll(20):
                raise SystemExit("the server did not come up")
            port = orjson.loads(ours.recv())["port"]
            print_table(asyncio.run(run(port, options.seconds, options.in_flight, process.pid)))
        finally:
            process.terminate()
            process.join(5)


if __name__ == "__main__":
    main()
