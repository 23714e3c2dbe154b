from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from adapters.paper.server.__main__ import main, read
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


def test_it_ends_when_its_parent_is_another_one() -> None:
    run_paper_exchange(ProcessSettings(parent=os.getpid()), lambda _: None)


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


def test_the_command_line_says_what_is_served(tmp_path: Path) -> None:
    settings = read(
        ["--port", "0", "--seed", "7", "--preset", "thin", "--data-dir", str(tmp_path), "--orders-per-10-seconds", "9"]
    )
    assert (settings.markets.seed, settings.markets.preset) == ("7", "thin")
    assert (settings.limits.orders_per_10_seconds, settings.data_dir) == (9, tmp_path)
    assert not settings.watch_stdin


def test_a_fault_plan_can_be_there_from_the_start(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"kind": "lost_reply", "on": ["place"], "nth": [1]}]}')
    (fault,) = read(["--faults", str(plan)]).faults.faults
    assert (fault.kind, fault.nth) == ("lost_reply", (1,))


def test_a_fault_plan_that_makes_no_sense_is_said_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"kind": "rain"}]}')
    monkeypatch.setattr(sys, "argv", ["paper-exchange", "--faults", str(plan)])
    assert main() == 2
    assert "rain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--host", "10.0.0.1"], 2), (["--market", "flea"], 2), (["--port", "1", "--parent", "0"], 69)],
)
def test_what_cannot_be_served_has_an_exit_code_and_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    if code == 69:
        monkeypatch.setattr("adapters.paper.server.app.web.TCPSite.start", refuse)
    monkeypatch.setattr(sys, "argv", ["paper-exchange", *arguments])
    assert main() == code
    assert capsys.readouterr().err


async def refuse(_: object) -> None:
    raise OSError("the port is taken")


def test_the_main_program_announces_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["paper-exchange", "--parent", "0"])
    assert main() == 0
    assert json.loads(capsys.readouterr().out)["port"] > 0
