"""docs/command-line.md against the command line: every command and option, and every field that `--json` prints."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

import run as _program  # noqa: F401 - it adds the commands that need actors
from adapters import command_line, console
from adapters.command_line import app
from adapters.completion import Shell
from adapters.intake.signals import decode_signal
from messages.execution import ChildReport, ExecutionReport
from messages.signal import Signal, TwapOptions
from tests.process.programs import ROOT, RUN, Done, Running, environment

PAGE = (ROOT / "docs/command-line.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
REPORT_ONLY = "And in `report` alone:"


def section(command: str) -> str:
    """The part of the page about a command."""
    return next(text for heading, text in SECTIONS.items() if command in re.findall(r"`(.*?)`", heading))


def documented(text: str) -> set[str]:
    """The fields that the tables of some text list."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


VERDICT, EXECUTION = documented(SECTIONS["A verdict"]), documented(SECTIONS["An execution"])
SUMMARY = documented(SECTIONS["An execution"].partition(REPORT_ONLY)[0])
CHILD = documented(SECTIONS["A child order"])
FILL = set(re.findall(r"`(\w+)`", re.findall(r"^\| `fills` \|(.*)$", PAGE, re.MULTILINE)[0]))


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each command by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_page_has_every_command_and_no_other() -> None:
    assert {name for heading in SECTIONS for name in re.findall(r"`(.*?)`", heading)} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_of_a_command_is_explained(name: str) -> None:
    text = section(name)
    for option in {word for parameter in COMMANDS[name].params for word in parameter.opts if word.startswith("--")}:
        assert option in {"--help", "--set", "--json"} or f"`{option}" in text, f"{name} {option}"


EACH_FIELD = (
    *(
        "--price",
        "41000",
        "--id",
        "a",
        "--source",
        "desk",
        "--account",
        "main",
        "--tag",
        "t",
        "--timestamp",
        "1782907200000",
    ),
    *("--ttl", "30", "--limit-price", "43000", "--chunks", "4", "--duration", "60", "--interval", "15"),
    *("--start-at", "2026-07-01T12:00:00Z", "--end-at", "2026-07-01T12:10:00Z", "--child", "ioc", "--cap-bps", "10"),
    *("--catch-up", "cap", "--jitter", "0.2", "--remainder", "sweep", "--max-participation", "0.1"),
    *("--schedule", "ow", "--rho", "0.05", "--timing"),
)


def test_every_field_of_a_signal_can_be_sent(monkeypatch: pytest.MonkeyPatch, command: Callable[..., Done]) -> None:
    """What the command posts is compared with the vocabulary: a new field without an option fails here."""
    posted: list[dict[str, Any]] = []

    def send(_: object, body: dict[str, Any], **__: object) -> int:
        posted.append(body)
        return 0

    monkeypatch.setattr(console, "send", send)
    monkeypatch.setattr(command_line, "client", lambda *_: None)
    for words in (EACH_FIELD, ("--quote", "--no-timing"), ()):
        assert command("send", "BTCUSDT", "buy", "0.5", *words).code == 0
    full, quote, bare = posted
    assert {*full, "quote_quantity"} == {field.name for field in fields(Signal)}
    assert set(full["twap"]) == {field.name for field in fields(TwapOptions)}
    read = decode_signal(orjson.dumps(full))
    assert isinstance(read, Signal), read
    assert all(getattr(read, name) not in (None, "") for name in {*full} - {"quote_quantity"})
    assert quote == {"symbol": "BTCUSDT", "side": "buy", "quote_quantity": "0.5", "twap": {"timing": False}}
    assert bare == {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"daemon", "paper-exchange", "journal export"}))
def test_every_command_that_prints_takes_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


def test_every_field_of_a_report_is_explained() -> None:
    quality = (ROOT / "docs/execution-quality.md").read_text()
    explained = SECTIONS["A report"] + quality + quality.replace("`_", "`lateness_")
    told = {field.name for field in fields(ExecutionReport)}
    assert {name for name in told if f"`{name}`" not in explained} == set()
    assert documented(SECTIONS["A report"]) - {field.name for field in fields(ChildReport)} <= told | {"outcome"}


# What is really printed -----------------------------------------------------------------------------------------------


def is_a(found: Mapping[str, object], what: set[str], *, optional: set[str] | None = None) -> None:
    """Every field that is printed stands in the table, and every field of the table is printed."""
    assert set(found) <= what, f"not on the page: {set(found) - what}"
    assert what - set(found) <= (optional or set()), f"not printed: {what - set(found)}"


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.timeout(170)
def test_what_is_printed_is_what_the_page_says(
    tmp_path: Path, command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__DATA_DIR", "data")

    def ask(*words: str, code: int = 0) -> Any:
        done = command(*words, "--json")
        assert done.code == code, (words, done.err)
        return done.json

    verdict_only = VERDICT - {"status"}
    with Running(tmp_path) as daemon:
        order = ("send", "BTCUSDT", "buy", "0.02", "--chunks", "2", "--interval", "0.5", "--id", "a")
        sent = ask(*order, "--wait")
        is_a(sent, VERDICT | {"report"}, optional=verdict_only)
        is_a(sent["report"], {field.name for field in fields(ExecutionReport)})
        is_a(ask(*order), VERDICT, optional=verdict_only)
        is_a(ask(*order[:3], "0.03", "--id", "a", code=1), VERDICT, optional=verdict_only)
        listed = ask("executions")
        is_a(listed, documented(section("executions")))
        is_a(listed["executions"][0], SUMMARY)
        assert ask("status")["executions"] == [], "what is over is not worked on"
        assert "nothing is being worked" in command("status").out
        whole = ask("report", sent["execution_id"])
        is_a(whole, EXECUTION)
        is_a(whole["children"][0], CHILD)
        is_a(whole["fills"][0], FILL)
        longer = ask("send", "BTCUSDT", "buy", "1", "--chunks", "9", "--interval", "30", "--id", "b")["execution_id"]
        status = ask("status")
        is_a(status, documented(section("status")))
        is_a(status["executions"][0], SUMMARY)
        for verb, *more in (["pause"], ["resume"], ["amend", "--quantity", "0.9"], ["cancel"]):
            is_a(ask(verb, longer, *more), documented(section("pause")))
        is_a(ask("halt"), documented(section("halt")))
        is_a(ask("status"), documented(section("status")))
        is_a(ask("unhalt"), documented(section("halt")), optional={"detail"})
        is_a(ask("journal", "verify"), documented(section("journal verify")))
        is_a(ask("journal", "backup", "copy.sqlite"), documented(section("journal backup")))
        assert daemon.terminate() == 0
    monkeypatch.setenv("TIDEGATE__DATA_DIR", "another")
    is_a(ask("journal", "restore", "copy.sqlite"), documented(section("journal restore")))
    for finding in ask("doctor"):
        is_a(finding, documented(section("doctor")))
    is_a(ask("init"), documented(section("init")))
    is_a(ask("check-config"), documented(section("check-config")))
    is_a(ask("completion", "bash"), documented(section("completion")))
    for setting in ask("config").values():
        is_a(setting, documented(section("config")))
    is_a(ask("simulate"), documented(section("simulate")))


# On a terminal --------------------------------------------------------------------------------------------------------


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.timeout(120)
def test_watching_draws_in_place_goes_on_over_a_restart_and_ends_quietly(tmp_path: Path) -> None:
    with Running(tmp_path) as daemon:
        twap = {"num_chunks": 60, "interval_seconds": 1}
        daemon.client.send({"id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "twap": twap})
        ours, theirs = pty.openpty()
        watching = subprocess.Popen(
            [sys.executable, RUN, "status", "--watch", "--set", "data_dir=data"],
            cwd=tmp_path,
            env={**environment(), "TERM": "xterm", "COLUMNS": "110", "LINES": "40"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        try:
            assert "BUY 1 BTCUSDT" in read_until(ours, "on schedule")
            daemon.kill()
            read_until(ours, "no connection, what is shown may be over")
            daemon.start()
            back = read_until(ours, "READY", after="no connection")
            assert "\x1b[1A" in back, "it draws in place"
            watching.send_signal(signal.SIGINT)
            read_until(ours, "\x1b[?25h")
            assert watching.wait(10) == 0
        finally:
            watching.kill()
            watching.wait()
            os.close(ours)
        assert daemon.terminate() == 0


def read_until(terminal: int, word: str, *, after: str = "", seconds: float = 45.0) -> str:
    """Read what a program draws until a word has come, after another one has gone."""
    deadline, said = time.monotonic() + seconds, ""
    while True:
        assert time.monotonic() < deadline, f"{word} never came: {said[-2000:]}"
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        piece = os.read(terminal, 65536).decode(errors="replace")
        said += piece
        if word in piece and not (after and after in piece):
            return said


# Completion -----------------------------------------------------------------------------------------------------------

BASH = """
source <("{python}" "{run}" completion bash)
complete_these() {{
  COMP_WORDS=(tidegate "$@")
  COMP_CWORD=$#
  _tidegate_completion
  printf '%s\\n' "${{COMPREPLY[@]}}" --
}}
"""
COMPLETED: tuple[tuple[str, set[str]], ...] = (
    ("st", {"status"}),
    ("status --w", {"--watch"}),
    ("journal ''", {"export", "verify", "backup", "restore"}),
    ("simulate --faults ''", {"none", "light", "heavy"}),
)


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path: Path) -> None:
    script = BASH.format(python=sys.executable, run=RUN) + "".join(
        f"complete_these {words}\n" for words, _ in COMPLETED
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    *answers, rest = done.stdout.split("--\n")
    assert (len(answers), rest) == (len(COMPLETED), "")
    for (words, said), answer in zip(COMPLETED, answers, strict=True):
        assert said <= set(answer.split()), words


@pytest.mark.process
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_name_runs_this_program_from_anywhere(tmp_path: Path) -> None:
    line = f'eval "$("{sys.executable}" "{RUN}" completion bash)"; tidegate check-config --json'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True, env=environment())
    assert orjson.loads(done.stdout)["mode"] == "paper"


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here: apt-get install fish")
def test_fish_completes(tmp_path: Path) -> None:
    line = f'{sys.executable} {RUN} completion fish | source; complete -C"tidegate journal ve"'
    done = subprocess.run(["fish", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("verify\t")


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here: apt-get install zsh")
def test_zsh_is_told_what_to_offer(tmp_path: Path) -> None:
    line = f"""
        compdef() {{ echo "for $2" }}
        _arguments() {{ print -r -- "$1" }}
        eval "$({sys.executable} {RUN} completion zsh)"
        words=(tidegate journal ve); CURRENT=3
        _tidegate_completion
    """
    done = subprocess.run(["zsh", "-fc", line], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "for tidegate" in done.stdout
    assert '"verify"' in done.stdout


def test_there_is_a_script_for_every_shell_that_the_page_names() -> None:
    assert set(re.findall(r"completion (bash\|zsh\|fish)", PAGE)[0].split("|")) == set(Shell)
