"""A real daemon whose journal has something of which it fails at every start, under a manager that starts it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import orjson
import pytest

from actors.failures import TO_REFUSE
from adapters.paper.process import PaperProcess, truth_of
from tests.kills import KEYS, settings
from tests.process.programs import PATIENCE, ROOT, RUN, Running, environment, kinds

pytestmark = [pytest.mark.process, pytest.mark.acceptance, pytest.mark.timeout(170)]

POISONED = ROOT / "tests/process/poisoned.py"
RESTING = {
    "id": "resting",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.01",
    "twap": {"num_chunks": 1, "interval_seconds": "600", "child": "passive"},
}


def hold_still(paper: PaperProcess) -> None:
    """Give the market a book that stays: what rests in it is not filled."""
    book = {"symbol": "BTCUSDT", "bid": "60000", "ask": "60010", "freeze": True}
    url = f"{paper.rest.removesuffix('/api')}/paper/market"
    request = Request(url, orjson.dumps(book), method="POST")  # noqa: S310 - loopback
    with build_opener(ProxyHandler({})).open(request, timeout=5) as answer:
        assert answer.status == 200


def start(directory: Path, paper: PaperProcess) -> int:
    """Start it as a service manager does, and wait for its end."""
    given = ("--set", "data_dir=data", "--set", "http.port=0", *settings(paper))
    with (directory / "stderr.log").open("ab") as log:
        return subprocess.run(
            [sys.executable, str(POISONED), *given],
            cwd=directory,
            env={**environment(), **KEYS},
            stdout=log,
            stderr=log,
            timeout=PATIENCE,
            check=False,
        ).returncode


def statuses(paper: PaperProcess) -> list[str]:
    return [order["status"] for order in truth_of(paper.rest)["orders"]]


def test_a_crash_loop_ends_with_76_and_leaves_nothing_open_at_the_exchange(tmp_path: Path) -> None:
    exchange = [sys.executable, RUN, "paper-exchange", "--watch-stdin", "--port", "0"]
    with PaperProcess([*exchange, "--data-dir", str(tmp_path / "exchange")]) as paper:
        hold_still(paper)
        daemon = Running(tmp_path, *settings(paper), variables=KEYS)
        daemon.start()
        daemon.client.send(RESTING)
        daemon.wait_until(lambda: "ChildAcknowledged" in kinds(daemon.journal()), 30)
        daemon.kill()
        codes = [start(tmp_path, paper) for _ in range(TO_REFUSE)]
        assert (codes, statuses(paper)) == ([1] * TO_REFUSE, ["NEW"])
        assert start(tmp_path, paper) == 76
        assert statuses(paper) == ["CANCELED"]
        assert '"left":[]' in daemon.said()
