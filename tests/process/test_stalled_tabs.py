"""Tabs that have stopped reading, on a real daemon with a long journal: they delay no order.

What is held for one is counted in `tests/adapters/intake/test_slow_readers.py`, where it is let go, too; here the
process is weighed.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.facts import SignalRejected
from tests.factories import a_signal
from tests.process.programs import PATIENCE, Running

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.process,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

TABS = 10
PAST = 20_000
"""Facts of some half a kilobyte that each tab asks for: far more than sockets take, and twenty times its bound."""
MEGABYTES_A_TAB = 4.0
"""Its bound of facts as objects, and once more as text; all of the past would be ten times as much."""


def write_the_past(data: Path) -> None:
    """Fill a journal with signals that were refused."""
    store = SqliteStore(data)
    now = datetime.now(UTC)
    for first in range(1, PAST, 1_000):
        store.append(
            [
                Committed(
                    seq,
                    now,
                    SignalRejected(signal=a_signal(id=f"{seq}-{'x' * 40}"), label="x", reason="STALE", detail=""),
                )
                for seq in range(first, first + 1_000)
            ]
        )
    store.close()


def resident(daemon: Running) -> float:
    """The daemon's memory, in megabytes."""
    status = Path(f"/proc/{daemon.alive.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def readers(daemon: Running) -> int:
    health: Any = daemon.client.present()["health"]
    return int(health["readers"])


@contextmanager
def tabs_that_do_not_read(daemon: Running, count: int) -> Iterator[None]:
    """So many tabs that have asked for every event and read none."""
    with ExitStack() as stack:
        for _ in range(count):
            tab = stack.enter_context(socket.socket())
            tab.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            tab.connect(("127.0.0.1", daemon.client.port))
            tab.sendall(b"GET /ui/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
        daemon.wait_until(lambda: readers(daemon) == count)
        yield


def accepted(daemon: Running, order: Mapping[str, object]) -> str:
    """Send an order until it is accepted, as a sender does that is told to come back."""
    deadline = time.monotonic() + PATIENCE
    while True:
        verdict = daemon.client.send(order)[1]
        if verdict["status"] in {"accepted", "duplicate"}:  # One that came too late to be told was accepted, too.
            return str(verdict.get("execution_id") or verdict["duplicate_of"])
        assert verdict["reason"] == "NOT_READY", verdict
        assert time.monotonic() < deadline, verdict
        time.sleep(0.2)


def lateness(daemon: Running, name: str) -> float:
    """Work an order of twenty slices, and tell by how many milliseconds its children were late, at the median."""
    twap = {"num_chunks": 20, "interval_seconds": "0.2"}
    order = {"id": name, "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "twap": twap, "ttl_seconds": 30}
    report: Any = daemon.client.wait(accepted(daemon, order), 60)["report"]
    assert report["stop_reason"] == "COMPLETED"
    return float(report["lateness_p50_ms"])


def test_ten_tabs_that_stop_reading_delay_no_order_and_stay_within_their_bound(tmp_path: Path) -> None:
    write_the_past(tmp_path / "data")
    with Running(tmp_path) as daemon:
        alone = lateness(daemon, "alone")
        before = resident(daemon)
        began = time.monotonic()
        with tabs_that_do_not_read(daemon, TABS):
            watched = lateness(daemon, "watched")
            grown = resident(daemon) - before
            assert readers(daemon) == TABS or time.monotonic() > began + 25, "they went, and were not let go"
        assert watched < 2 * alone + 250, f"{watched:.0f} ms late, {alone:.0f} ms without the tabs"
        assert grown < MEGABYTES_A_TAB * TABS, f"{grown:.1f} MB for {TABS} tabs"
        assert daemon.terminate() == 0
