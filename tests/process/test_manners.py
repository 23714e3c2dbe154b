"""The manners of a daemon: it tells its manager how it stands, reloads, and shows what it is at."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from adapters import exits
from tests.process.conftest import Command
from tests.process.programs import RUN, Done, Running, environment, run

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


def heard(manager: socket.socket, word: str, seconds: float = 15.0) -> str:
    """Wait for a message of the daemon that begins with a word."""
    deadline = time.monotonic() + seconds
    while True:
        manager.settimeout(max(0.01, deadline - time.monotonic()))
        said = manager.recv(4096).decode()
        if said.startswith(word):
            return said


@pytest.mark.acceptance
def test_it_tells_its_manager_feeds_the_watchdog_reloads_and_dumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tidegate.toml").write_text('[log]\nlevel = "info"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        with Running(tmp_path) as daemon:
            assert "STATUS=ready" in heard(manager, "READY=1")
            heard(manager, "WATCHDOG=1")
            (tmp_path / "tidegate.toml").write_text('[log]\nlevel = "debug"\n[twap]\nnum_chunks = 9\n')
            daemon.alive.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in heard(manager, "RELOADING=1")
            heard(manager, "READY=1")
            daemon.wait_until(lambda: '"event":"reloaded"' in daemon.said())
            assert '"applied":["log.level"],"needs_restart":["twap.num_chunks"]' in daemon.said()
            (tmp_path / "tidegate.toml").write_text("[log]\nlevel = 3\n")
            daemon.alive.send_signal(signal.SIGHUP)
            daemon.wait_until(lambda: "the configuration is left as it was" in daemon.said())
            daemon.alive.send_signal(signal.SIGUSR1)
            daemon.wait_until(lambda: '"event":"actors and mailboxes"' in daemon.said())
            assert "idle     SignalGate" in daemon.said()
            daemon.client.send({"id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"})
            daemon.wait_until(lambda: '"event":"TradeBooked"' in daemon.said())
            booked = next(line for line in daemon.said().splitlines() if '"event":"TradeBooked"' in line)
            assert '"signal_id":"a"' in booked
            assert '"execution_id":' in booked
            assert '"client_order_id":' in booked
            assert daemon.terminate() == 0
            heard(manager, "STOPPING=1")


@pytest.mark.acceptance
def test_a_backup_is_restored_and_the_daemon_goes_on(tmp_path: Path, command: Command) -> None:
    def of_the_journal(*words: str) -> Done:
        return command("journal", *words, "--set", "data_dir=data")

    signal = {"id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}
    with Running(tmp_path) as daemon:
        verdict = daemon.client.send(signal)[1]
        daemon.client.wait(str(verdict["execution_id"]), 15)
        done = of_the_journal("backup", "copy.sqlite")
        assert done.code == 0, done.err
        assert daemon.terminate() == 0
    (tmp_path / "data").rename(tmp_path / "lost")
    assert of_the_journal("restore", "copy.sqlite").code == 0
    again = of_the_journal("restore", "copy.sqlite")
    assert again.code == 1
    assert "has a journal already" in again.err
    assert of_the_journal("verify").code == 0
    for account in (tmp_path / "lost").glob("paper-exchange.db*"):  # The exchange has lost nothing.
        shutil.copy(account, tmp_path / "data")
    with Running(tmp_path) as daemon:
        repeat = daemon.client.send(signal)[1]
        assert (repeat["status"], repeat["duplicate_of"]) == ("duplicate", verdict["execution_id"])
        another = daemon.client.send({**signal, "id": "b"})[1]
        assert another["status"] == "accepted", another
        assert daemon.terminate() == 0


@pytest.mark.acceptance
@pytest.mark.parametrize(
    "module", ["typer", "adapters.command_line", "messages.money", "adapters.config", "aiohttp.web"]
)
def test_ctrl_c_while_it_imports_what_it_needs_ends_it_with_130_and_not_a_word(tmp_path: Path, module: str) -> None:
    shutil.copy(Path(__file__).with_name("interrupting.py"), tmp_path / "sitecustomize.py")
    done = run(tmp_path, "--set", "http.port=0", PYTHONPATH=str(tmp_path), INTERRUPT_AT=module)
    assert (done.code, done.out, done.err) == (exits.INTERRUPTED, "", "")


@pytest.mark.acceptance
def test_ctrl_c_in_a_campaign_ends_all_of_its_processes_with_130_and_not_a_word(tmp_path: Path) -> None:
    words = [sys.executable, RUN, "simulate", "--seeds", "0:100000", "--faults", "heavy", "--jobs", "2"]
    with (tmp_path / "err").open("wb") as err:
        campaign = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdout=err, stderr=err, start_new_session=True
        )
        try:
            time.sleep(2.5)  # Real time: its processes import what they need, or play.
            os.killpg(campaign.pid, signal.SIGINT)
            assert campaign.wait(30) == exits.INTERRUPTED
        finally:
            with suppress(ProcessLookupError):
                os.killpg(campaign.pid, signal.SIGKILL)
    assert (tmp_path / "err").read_text() == ""
