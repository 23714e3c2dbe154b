"""That coverage looks at the first moments of a test, and at no more: in a pytest of its own, with a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parent.parent

COUNTED = """
def first():
    return 1

def last():
    return 2

def other():
    return 3
"""
TOY = """
import time

import pytest
import tests.uncounted
import toy_counted

tests.uncounted.COUNTED_SECONDS = 0.05

def test_that_takes_long():
    toy_counted.first()
    began = time.process_time()
    while time.process_time() < began + 0.5:
        list(range(100))
    toy_counted.last()

def test_that_comes_next():
    toy_counted.other()
"""


@pytest.mark.acceptance
def test_coverage_looks_at_the_first_moments_of_each_test_in_a_worker_too(tmp_path: Path) -> None:
    (tmp_path / "toy_counted.py").write_text(COUNTED)
    (tmp_path / "test_toy.py").write_text(TOY)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    data = tmp_path / "data"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(tmp_path / "pytest.ini"),
        "-p",
        "tests.conftest",
        "--workers",
        "1",
    ]
    done = subprocess.run(
        [*command, f"--cov={tmp_path}", "--cov-report=", "--cov-config=/dev/null", str(tmp_path / "test_toy.py")],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": f"{ROOT}:{tmp_path}", "COVERAGE_FILE": str(data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    found = coverage.CoverageData(str(data))
    found.read()
    lines = set(found.lines(str(tmp_path / "toy_counted.py")) or ())
    assert {3, 9} <= lines
    assert 6 not in lines
