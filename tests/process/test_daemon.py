"""The daemon as a real process: how it ends, and how it comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.process.programs import Running, kinds
from tests.slowness import at_most

pytestmark = [pytest.mark.process, pytest.mark.acceptance, pytest.mark.timeout(600)]

SLICED = {
    "id": "a",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.1",
    "twap": {"num_chunks": 5, "interval_seconds": "0.8"},
}


def filled(daemon: Running, execution: str) -> float:
    view: Any = daemon.client.execution(execution)
    return float(view["total_filled"])


def test_a_daemon_killed_and_then_stopped_in_the_middle_goes_on_and_agrees_with_the_exchange(tmp_path: Path) -> None:
    with Running(tmp_path, stdin="ended") as daemon:
        execution = str(daemon.client.send(SLICED)[1]["execution_id"])
        daemon.wait_until(lambda: filled(daemon, execution) >= 0.02)
        daemon.kill()
        daemon.start()
        again = daemon.client.send(SLICED)[1]
        assert (again["status"], again["duplicate_of"]) == ("duplicate", execution)
        before = filled(daemon, execution)
        daemon.wait_until(lambda: filled(daemon, execution) > before)
        with at_most(5.0):
            assert daemon.terminate() == 0
        daemon.start()
        report: Any = daemon.client.wait(execution, 15, every=0.05)["report"]
        assert (report["total_filled"], report["stop_reason"]) == ("0.1", "COMPLETED")
        assert daemon.terminate() == 0
    journal = kinds(daemon.journal())
    assert (journal.count("EpochStarted"), journal.count("ExecutionClosed")) == (3, 1)
    found = daemon.judge()
    assert found.ok, found.text()
