"""How many orders a second the paper exchange takes over its sockets, and how long each waits.

Run `python -m bench.server [--seconds S] [--in-flight N] [--memory]`. The server is a process of its own, with its
account in a file unless `--memory`; the client signs each order (LIMIT IOC at the touch) and waits for its reply.
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

KEY, SECRET = "paper-key", b"paper-secret"
LIMITS = LimitSettings(orders_per_10_seconds=10**9, orders_per_day=10**9, weight_per_minute=10**9)

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


class OverRest:
    """Orders over REST, on kept connections."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def place(self, number: int) -> None:
        """Place one order and wait for its reply."""
        params = order_params(number)
        del params["apiKey"]
        payload = "&".join(f"{name}={value}" for name, value in params.items())
        async with self._session.post(
            self._url,
            data=f"{payload}&signature={signed(payload)}",
            headers={"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded"},
        ) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"order {number}: status {answer.status}")


def cpu_seconds(pid: int | None) -> float:
    """Read how much of a processor a process has used; NaN where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    fields = stat.read_text().rpartition(")")[2].split()
    ticks: int = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks


async def measure(name: str, place: Place, first: int, seconds: float, in_flight: int, pid: int | None) -> int:
    """Keep so many orders in flight for so long, and say what came of it; return the next number.

    The server's own processor time, `pid`'s, says what it could do if nobody else wanted the machine.
    """
    number, times = first, list[float]()
    began, used = time.perf_counter(), cpu_seconds(pid)

    async def keep_on() -> None:
        nonlocal number
        while time.perf_counter() - began < seconds:
            mine, number = number, number + 1
            sent = time.perf_counter()
            await place(mine)
            times.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*(keep_on() for _ in range(in_flight)))
    rate = len(times) / (time.perf_counter() - began)
    each = 1000 * (cpu_seconds(pid) - used) / len(times)
    cuts = statistics.quantiles(times, n=100)
    print(
        f"{name:<14} {in_flight:>3} in flight: {rate:>7,.0f} orders/s   "
        f"p50 {cuts[49]:.2f} ms   p99 {cuts[98]:.2f} ms   "
        f"server {each:.2f} ms of CPU an order"
    )
    return number


async def run(port: int, seconds: float, in_flight: int, pid: int | None) -> None:
    """Measure both ways, one order at a time and many."""
    base, number = f"http://127.0.0.1:{port}", 0
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{base}/ws-api/v3") as socket:
        over_socket, over_rest = OverWebSocket(socket), OverRest(session, f"{base}/api/v3/order")
        for count in (1, in_flight):
            number = await measure("WebSocket API", over_socket.place, number, seconds, count, pid)
            number = await measure("REST", over_rest.place, number, seconds, count, pid)


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
            asyncio.run(run(orjson.loads(ours.recv())["port"], options.seconds, options.in_flight, process.pid))
        finally:
            process.terminate()
            process.join(5)


if __name__ == "__main__":
    main()
