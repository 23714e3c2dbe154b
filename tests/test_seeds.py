"""Runs over many seeds, as a user of pytest sees them: in a pytest of their own, on toy tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TOY = """
import pytest
from pathlib import Path

from actors.runtime import Actor, Simulation

def note(what, seed):
    with Path(__file__).with_suffix(".log").open("a") as log:
        log.write(f"{what} {seed}\\n")

@pytest.mark.seeds(default=4)
def test_that_passes(seed):
    note("passes", seed)

@pytest.mark.seeds(default=10)
def test_that_fails_from_the_third_seed_on(tmp_path, seed):
    note("fails", seed)
    assert seed < 2, "too big"

@pytest.mark.seeds
def test_with_as_many_seeds_as_usual(seed):
    note("usual", seed)

class Ear(Actor):
    def on_receive(self, message):
        pass

def test_that_fails_with_a_simulation(simulation):
    Ear.start().tell("the last words")
    simulation.run()
    assert False, "on purpose"
"""


def run_toy(tmp_path: Path, *options: str) -> tuple[str, list[str]]:
    """Run the toy tests with options; return what pytest printed, and each call with its seed."""
    toy = tmp_path / "test_toy.py"
    toy.write_text(TOY)
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-c", str(settings), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(toy), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    log = toy.with_suffix(".log")
    return done.stdout + done.stderr, log.read_text().splitlines() if log.exists() else []


@pytest.fixture(autouse=True)
def _empty_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "")


@pytest.mark.acceptance
def test_a_marked_test_runs_over_its_default_seeds_until_one_fails(tmp_path: Path) -> None:
    printed, calls = run_toy(tmp_path)
    assert [call for call in calls if call.startswith("passes")] == [f"passes {seed}" for seed in range(4)]
    assert [call for call in calls if call.startswith("fails")] == ["fails 0", "fails 1", "fails 2"]
    assert len([call for call in calls if call.startswith("usual")]) == 20
    assert "failed with seed 2; to see it again: pytest" in printed
    assert "test_that_fails_from_the_third_seed_on' --seed 2" in printed
    assert "simulation, seed 5" in printed
    assert "Ear#1  'the last words'" in printed


@pytest.mark.acceptance
def test_the_option_seeds_says_how_many_and_seed_says_which(tmp_path: Path) -> None:
    _, calls = run_toy(tmp_path, "--seeds", "2")
    assert sorted(calls) == sorted(f"{what} {seed}" for what in ("passes", "fails", "usual") for seed in range(2))
    (tmp_path / "test_toy.log").unlink()
    _, calls = run_toy(tmp_path, "--seed", "7", "-k", "passes")
    assert calls == ["passes 7"]
