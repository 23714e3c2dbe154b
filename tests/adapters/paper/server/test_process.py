from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from adapters.paper.server.process import ACCOUNT_FILE, ProcessSettings, run_paper_exchange

pytestmark = pytest.mark.wire


def end_soon(_: str) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_it_serves_until_the_signal_and_leaves_its_file(tmp_path: Path) -> None:
    lines: list[str] = []

    def announce(line: str) -> None:
        lines.append(line)
        end_soon(line)

    run_paper_exchange(ProcessSettings(data_dir=tmp_path / "new"), announce)
    said = json.loads(lines[0])
    assert said["rest"] == f"http://127.0.0.1:{said['port']}/api"
    assert said["ws_api"] == f"ws://127.0.0.1:{said['port']}/ws-api/v3"
    assert (tmp_path / "new" / ACCOUNT_FILE).exists()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_it_ends_with_its_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(writing, b"x")
        threading.Timer(0.1, os.close, (writing,)).start()
        run_paper_exchange(ProcessSettings(watch_stdin=True), lambda _: None)


def test_a_standard_input_that_cannot_be_waited_for_is_at_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        run_paper_exchange(ProcessSettings(watch_stdin=True), lambda _: None)
