"""The real daemon as a process of its own, on its own paper exchange, for a measurement over its sockets."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.client import Client, ClientError

RUN = Path(__file__).resolve().parents[2] / "run.py"
SYMBOLS = {"BTCUSDT": "0.06", "ETHUSDT": "1", "BNBUSDT": "8", "DOGEUSDT": "30000"}
"""What an execution trades: worth some 4,000 USDT, so that each of its slices is above all minima."""

SETTINGS = (
    "http.port=0",
    "log.level=warning",
    "limits.max_executions=none",
    "limits.max_executions_per_symbol=none",
    "limits.max_signals_per_second=none",
    "limits.max_signals_per_second_per_sender=none",
    'paper.balances={"BTC": 10000, "ETH": 100000, "BNB": 1000000, "DOGE": 1000000000, "USDT": 1000000000}',
)
READY_SECONDS = 60.0


def start(directory: Path, *settings: str) -> subprocess.Popen[bytes]:
    """Start a daemon on a free port, with its files in `directory` and its log beside that."""
    sets = itertools.chain.from_iterable(("--set", one) for one in (*SETTINGS, *settings, f"data_dir={directory}"))
    with directory.with_name("daemon.log").open("ab") as log:
        return subprocess.Popen([sys.executable, str(RUN), "daemon", *sets], stderr=log)  # noqa: S603 - our own program


def ready(directory: Path) -> Client:
    """Wait until the daemon is ready, looking often; return a client of it. Raises TimeoutError."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client = Client.of(directory)
            if client.status().get("readiness") == "READY":
                return client
        except ClientError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon did not become ready")
        time.sleep(0.02)


@contextmanager
def service(directory: Path, *settings: str) -> Iterator[Client]:
    """Run a daemon, and shut it down in order."""
    with start(directory, *settings) as process:
        try:
            yield ready(directory)
        finally:
            process.send_signal(signal.SIGTERM)


def an_execution(number: int, *, chunks: int, interval: int) -> dict[str, Any]:
    """Make the `number`-th signal of those that run on: symbols and sides in turn."""
    symbol = list(SYMBOLS)[number % len(SYMBOLS)]
    return {
        "id": f"running-{number}",
        "symbol": symbol,
        "side": "buy" if number // len(SYMBOLS) % 2 else "sell",
        "quantity": SYMBOLS[symbol],
        "twap": {"num_chunks": chunks, "interval_seconds": interval},
    }
