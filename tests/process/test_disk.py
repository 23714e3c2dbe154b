"""A disk that is full or may not be written to, under a real daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.paper.account import DEFAULT_BALANCES
from adapters.paper.audit import audit
from adapters.paper.process import PaperProcess, truth_of
from tests.kills import KEYS, settings
from tests.process.programs import RUN, Running, environment

pytestmark = [pytest.mark.process, pytest.mark.timeout(170)]

SLICED = {
    "id": "full",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.3",
    "twap": {"num_chunks": 30, "interval_seconds": "0.3"},
}


def fill_the_disk(daemon: Running) -> None:
    """Let no write of the daemon succeed beyond the first page of a file: it gets EFBIG, as ENOSPC on a full disk."""
    subprocess.run(["prlimit", "--pid", str(daemon.alive.pid), "--fsize=4096:4096"], check=True)


@pytest.mark.acceptance
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit (util-linux) sets a process's limits")
def test_a_disk_that_is_full_ends_the_daemon_with_74_and_the_next_start_goes_on(tmp_path: Path) -> None:
    exchange = [sys.executable, RUN, "paper-exchange", "--watch-stdin", "--port", "0"]
    with PaperProcess([*exchange, "--data-dir", str(tmp_path / "exchange")]) as paper:
        with Running(tmp_path, *settings(paper), variables=KEYS) as daemon:
            daemon.client.send(SLICED)
            daemon.wait_until(lambda: float(str(daemon.client.executions()[0]["total_filled"])) > 0)
            fill_the_disk(daemon)
            assert daemon.wait() == 74
            assert (daemon.data / "journal.failed").exists()
            daemon.start()
            daemon.wait_until(lambda: daemon.client.executions()[0]["closed_at"] is not None, 60)
            assert daemon.terminate() == 0
        assert not (daemon.data / "journal.failed").exists()
        told = [line["type"] for line in daemon.journal() if line.get("kind") == "journal"]
        assert told == ["AlertRaised", "AlertCleared"]
        truth = truth_of(paper.rest)
    found = audit(daemon.journal(), truth, initial_balances=DEFAULT_BALANCES)
    assert found.ok, found.text()


MEEK = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""As whom a process is started that may not write everywhere: root may, unless it gives that up."""


@pytest.mark.skipif(bool(MEEK) and shutil.which("setpriv") is None, reason="root may write everywhere")
@pytest.mark.parametrize("there", [False, True], ids=["to be made", "there"])
def test_a_directory_that_may_not_be_written_to_is_said_in_a_line(tmp_path: Path, there: bool) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    if there:
        (closed / "data").mkdir(mode=0o500)
    closed.chmod(0o500)
    done = subprocess.run(
        [*MEEK, sys.executable, RUN, "daemon", "--set", "http.port=0", "--set", f"data_dir={closed / 'data'}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    closed.chmod(0o700)
    assert done.returncode == 73, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
