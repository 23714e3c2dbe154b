"""Every command of the README is run: those of run.py against a daemon, make's as far as what they would do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.process.programs import Running, run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
OF_RUN = [line.removeprefix(".venv/bin/python run.py ").split() for line in COMMANDS if line.startswith(".venv/")]
OF_MAKE = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
OF_CURL = [line for line in COMMANDS if line.startswith("curl ")]


def test_there_is_no_command_that_is_run_nowhere() -> None:
    assert len(COMMANDS) == len(OF_RUN) + len(OF_MAKE) + len(OF_CURL)


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.timeout(600)
def test_every_command_of_run_py_does_what_it_says(tmp_path: Path) -> None:
    said: dict[str, list[tuple[int, str]]] = {}
    with Running(tmp_path) as daemon:
        for words in OF_RUN:
            known = [str(one["execution_id"]) for one in daemon.client.executions()]
            arguments = [known[0] if word == "ID" else word for word in words]
            done = run(tmp_path, *arguments, TIDEGATE__DATA_DIR="data")
            said.setdefault(words[0], []).append((done.code, done.out))
        if shutil.which("curl"):
            (line,) = OF_CURL
            asked = line.replace("127.0.0.1:8787", f"127.0.0.1:{daemon.client.port}")
            answer = subprocess.run(["sh", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
            assert '"status":"accepted"' in answer.stdout
        assert daemon.terminate() == 0
    assert {name: [code for code, _ in done] for name, done in said.items() if any(code for code, _ in done)} == {}
    first, second = (out for _, out in said["send"])
    assert "COMPLETED" in first
    assert "duplicate" in second
    assert "tidegate" in said["status"][0][1]


@pytest.mark.parametrize("target", sorted(set(OF_MAKE)))
def test_every_target_of_make_is_there(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_that_the_readme_links_to_is_there() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / link).exists(), link
