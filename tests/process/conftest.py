"""One daemon that many tests talk to, and the command line called in this process."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import run as _program  # noqa: F401 - it adds the commands that need actors
from adapters.binance.rest import import_client
from tests.command_line import invoke
from tests.process.programs import Done, Running, run

import_client()  # Where a house does, it does so in a thread, in which a test's filters of warnings would end it.

Command = Callable[..., Done]

A_COMMAND_SECONDS = 0.6
"""What the shortest command takes at most on a machine that has nothing else to do."""


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> None:
    """Let processes be ended with Ctrl-C though the tests run in a background, where none is heard."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Served(Running):
    """A daemon that also tells when it was started."""

    began = 0.0
    slowness = 1.0

    def begin(self) -> None:
        before = time.monotonic()
        run(self.directory, "check-config")
        self.began = time.monotonic()
        self.slowness = max(1.0, (self.began - before) / A_COMMAND_SECONDS)
        super().begin()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a daemon on standard input and HTTP; it must end well, and agree with its paper account."""
    with Served(tmp_path_factory.mktemp("served"), stdin="open") as served:
        yield served
        for view in served.client.executions():
            served.client.wait(str(view["execution_id"]), 15)
        assert served.terminate() == 0
    assert not (served.data / "http.json").exists()
    found = served.judge()
    assert found.ok, found.text()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Give the command line, called without a process of its own: an exception would come up here."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Done:
        result = invoke(monkeypatch, arguments)
        return Done(result.exit_code, result.stdout, result.stderr)

    return call
