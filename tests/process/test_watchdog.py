"""A critical actor that hangs ends the process, or starves the watchdog so that the manager does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.programs import PATIENCE, ROOT, Running, environment

pytestmark = [pytest.mark.process, pytest.mark.acceptance, pytest.mark.timeout(120)]

HANGING = ROOT / "tests/process/hanging.py"
FED = b"WATCHDOG=1"
CRITICAL = ("Journal", "OrderWatcher") if os.environ.get("TIDEGATE_CHAOS") else ("Journal",)
"""Which of them hangs; in `make soak` each."""


class Hanging:
    """A daemon with an actor that can be made to hang, as its service manager sees it."""

    def __init__(self, directory: Path, actor: str) -> None:
        self.flag, self.log = directory / "hang", directory / "stderr.log"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(directory / "notify"))
        self.manager.settimeout(PATIENCE)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HANGING), actor, str(self.flag), "--set", "data_dir=data", "--set", "http.port=0"],
                cwd=directory,
                env={**environment(), "NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": "3000000"},
                stderr=log,
            )

    def is_fed(self, within: float) -> bool:
        """Whether the watchdog is fed within so many seconds."""
        self.manager.settimeout(within)
        try:
            while self.manager.recv(4096) != FED:
                pass
        except TimeoutError:
            return False
        return True

    def hang(self) -> None:
        """Let the actor hang from its next message on; what was said before that is read."""
        self.flag.touch()
        while self.is_fed(2.0):
            pass

    def end(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self.manager.close()


@pytest.fixture
def hanging(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hanging]:
    daemon = Hanging(tmp_path, request.param)
    yield daemon
    daemon.end()


@pytest.mark.parametrize("hanging", CRITICAL, indirect=True)
def test_an_actor_that_hangs_ends_the_process_with_an_error_that_names_it(hanging: Hanging) -> None:
    assert hanging.is_fed(PATIENCE)
    hanging.hang()
    assert hanging.process.wait(PATIENCE) == 1
    assert "has not answered for" in hanging.log.read_text()


@pytest.mark.parametrize("hanging", ["Journal"], indirect=True)
def test_a_process_that_was_stopped_for_a_while_goes_on(hanging: Hanging) -> None:
    assert hanging.is_fed(PATIENCE)
    hanging.process.send_signal(signal.SIGSTOP)
    time.sleep(7.0)  # Longer than an actor may be silent.
    while hanging.is_fed(0.1):
        pass  # Of before.
    hanging.process.send_signal(signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        hanging.process.wait(3.0)
    assert hanging.is_fed(PATIENCE)


@pytest.mark.parametrize("hanging", ["Daemon"], indirect=True)
def test_where_even_the_root_hangs_the_manager_sees_it_kills_and_the_next_start_goes_on(
    hanging: Hanging, tmp_path: Path
) -> None:
    assert hanging.is_fed(PATIENCE)
    hanging.hang()
    assert not hanging.is_fed(5.0)
    assert hanging.process.poll() is None, "it did not notice by itself"
    hanging.process.send_signal(signal.SIGABRT)  # What systemd does when WatchdogSec has passed.
    assert hanging.process.wait(PATIENCE) == -signal.SIGABRT
    with Running(tmp_path) as again:
        assert again.client.status()["readiness"] == "READY"
