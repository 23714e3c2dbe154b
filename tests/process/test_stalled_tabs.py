"""Tabs that have stopped reading, on a real daemon: they cost no memory beyond their bound, and delay no order."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.process.programs import Running

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(170),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

TABS = 10
FACTS, PER_POST = 1_500, 50
"""Facts of half a kilobyte. What a tab is owed beyond its bound is in `tests/adapters/web/test_site.py`."""
MOST_MEGABYTES = 4.0 * TABS
"""A tab is owed 4,096 facts at most before it is let go, of a kilobyte each."""


def resident(daemon: Running) -> float:
    """The daemon's memory, in megabytes."""
    status = Path(f"/proc/{daemon.alive.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def make_facts(daemon: Running, name: str) -> None:
    """Have thousands of signals refused, each a fact with a long id; a disk that is slow today is waited for."""
    goal: Any = daemon.client.status()["seq"]
    goal += FACTS
    deadline, number = time.monotonic() + 60, 0
    while int(str(daemon.client.status()["seq"])) < goal:
        assert time.monotonic() < deadline
        number += 1
        small = [
            {"id": f"{name}-{number}-{one}-{'x' * 40}", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.00000001"}
            for one in range(PER_POST)
        ]
        with closing(http.client.HTTPConnection("127.0.0.1", daemon.client.port, timeout=30)) as connection:
            headers = {"Authorization": f"Bearer {daemon.client.token}"}
            connection.request("POST", "/v1/signals", orjson.dumps(small), headers)
            if b"NOT_READY" in connection.getresponse().read():
                time.sleep(0.2)


@contextmanager
def tabs_that_do_not_read(daemon: Running, count: int) -> Iterator[None]:
    """So many tabs that have asked for every event and read none."""
    with ExitStack() as stack:
        for _ in range(count):
            tab = stack.enter_context(socket.socket())
            tab.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            tab.connect(("127.0.0.1", daemon.client.port))
            tab.sendall(b"GET /ui/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
        deadline = time.monotonic() + 20
        while readers(daemon) < count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield


def accepted(daemon: Running, order: Mapping[str, object]) -> str:
    """Send an order until it is accepted, as a sender does that is told to come back."""
    deadline = time.monotonic() + 20
    while True:
        verdict = daemon.client.send(order)[1]
        if verdict["status"] in {"accepted", "duplicate"}:  # One that came too late to be told was accepted, too.
            return str(verdict.get("execution_id") or verdict["duplicate_of"])
        assert verdict["reason"] == "NOT_READY", verdict
        assert time.monotonic() < deadline, verdict
        time.sleep(0.2)


def readers(daemon: Running) -> int:
    health: Any = daemon.client.present()["health"]
    return int(health["readers"])


def test_ten_tabs_that_stop_reading_stay_within_their_bound_and_delay_no_order(tmp_path: Path) -> None:
    with Running(tmp_path) as daemon:
        make_facts(daemon, "before")
        before = resident(daemon)
        with tabs_that_do_not_read(daemon, TABS):
            twap = {"num_chunks": 20, "interval_seconds": "0.5"}
            order = {"id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "twap": twap, "ttl_seconds": 30}
            execution = accepted(daemon, order)
            make_facts(daemon, "meanwhile")
            report: Any = daemon.client.wait(execution, 60)["report"]
            grown = resident(daemon) - before
        assert report["stop_reason"] == "COMPLETED"
        assert float(report["lateness_p50_ms"]) < 250
        assert float(report["lateness_max_ms"]) < 2000
        assert grown < MOST_MEGABYTES, f"{grown:.1f} MB for {TABS} tabs"
        assert daemon.terminate() == 0
