"""Tests that several processes share, as a user of pytest sees them: in a pytest of their own, on toy tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FIRST = """
import os
import signal
import warnings
from pathlib import Path

import pytest

def note(what):
    with Path(__file__).with_name("log").open("a") as log:
        log.write(f"{what} {os.getpid()}\\n")

@pytest.fixture(scope="module")
def made():
    note("made")
    yield
    note("taken down")

def test_that_passes(made):
    note("passes")

def test_that_fails(made):
    print("said before it failed")
    os.system("echo said by another process")
    assert 1 + 1 == 3

def test_that_warns(made, tmp_path):
    warnings.warn("told once")
    note(f"{tmp_path.parent.name} {len(list(tmp_path.parent.iterdir()))}")

def test_that_dies(made):
    os.kill(os.getpid(), signal.SIGKILL)

def test_that_comes_after_it(made):
    note("after")
"""
SECOND = """
from test_toy import note

def test_of_another_file():
    note("another")

def test_that_is_skipped():
    import pytest
    pytest.skip("for a reason")
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "test_toy.py").write_text(FIRST)
    (tmp_path / "test_second.py").write_text(SECOND)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return tmp_path


def run_toy(toy: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-c", str(toy / "pytest.ini"), "-p", "tests.conftest", "-rs"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--workers", "2", str(toy), *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TMPDIR": str(toy)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.acceptance
def test_each_test_is_run_and_told_once_whatever_becomes_of_the_process_that_runs_it(toy: Path) -> None:
    code, printed = run_toy(toy)
    assert code == 1
    assert "2 failed, 4 passed, 1 skipped, 1 warning" in printed, printed
    assert "for a reason" in printed
    assert "said before it failed" in printed
    assert "said by another process" in printed
    assert "assert (1 + 1) == 3" in printed
    assert "UserWarning: told once" in printed
    assert re.search(r"the process that ran \S*test_that_dies ended with -9", printed)

    lines = [line.split() for line in (toy / "log").read_text().splitlines()]
    process = {line[0]: line[-1] for line in lines}
    assert sorted(line[0] for line in lines) == sorted(
        ["made", "passes", process_directory(lines), "made", "after", "taken", "another"]
    )
    assert process["passes"] == process[process_directory(lines)] != process["after"]
    assert process["another"] != process["passes"]


def process_directory(lines: list[list[str]]) -> str:
    """Name the directory of one process, in which its tests have theirs."""
    (name,) = {line[0] for line in lines if re.fullmatch(r"w\d", line[0])}
    return name


@pytest.mark.acceptance
def test_the_first_failure_is_enough_where_that_is_asked_for(toy: Path) -> None:
    code, printed = run_toy(toy, "-x", str(toy / "test_toy.py"))
    assert code == 1
    assert "stopping after 1 failures" in printed
    assert not (toy / "log").exists() or "after" not in (toy / "log").read_text()


@pytest.mark.acceptance
def test_what_cannot_be_imported_is_said_and_nothing_is_run(toy: Path) -> None:
    (toy / "test_second.py").write_text("import of_nothing\n")
    code, printed = run_toy(toy)
    assert code == 2
    assert "No module named 'of_nothing'" in printed
    assert not (toy / "log").exists()
