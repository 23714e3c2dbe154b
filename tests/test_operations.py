"""docs/operations.md, the unit and the container file against the code that they speak of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.alerts import RULES
from adapters import exits
from adapters.config import load_config
from adapters.reload import SAFE

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/operations.md").read_text()
UNIT = ROOT / "deploy/tidegate.service"
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def test_the_guide_says_what_to_do_for_every_alert_and_at_which_level_it_comes() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", GUIDE, re.MULTILINE))
    rules: dict[str, str] = {rule.kind: rule.level for rule in RULES if rule.level is not None}
    signs = {"stream_down": "warning", "clock_skew": "error", "limits_near": "warning", "journal": "critical"}
    assert listed == rules | signs


def test_the_guide_lists_every_exit_code() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE, re.MULTILINE)} == codes


def test_the_guide_names_what_a_reload_takes() -> None:
    assert set(SAFE) == {"log.level", "alerts."}
    assert "`log.level` and everything under `alerts` take effect" in GUIDE


def test_the_service_is_not_started_again_where_that_helps_nobody() -> None:
    codes = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert codes is not None
    assert codes[1].split() == [str(code) for code in (exits.DAMAGED, exits.KEY_REFUSED, exits.CONFIG)]
    assert "After 65, 77 and 78 systemd does not start it again" in GUIDE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "tidegate.service"
    unit.write_text(UNIT.read_text().replace("/opt/tidegate/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    # Debian 12 has systemd 252, which does not know this type yet.
    faults = [line for line in done.stderr.splitlines() if "notify-reload" not in line and str(unit) in line]
    assert faults == []


def test_the_container_runs_as_nobody_special_and_is_told_to_end() -> None:
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert re.search(r'^ENTRYPOINT \["', DOCKERFILE, re.MULTILINE)
    assert "/livez" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_everything_that_the_container_copies_is_there_and_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_guides_example_of_alerts_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "tidegate.toml").write_text(example)
    alerts = load_config(tmp_path / "tidegate.toml", env={}).alerts
    assert (alerts.quiet, alerts.routes, list(alerts.sinks)) == ("22:00-06:00", {"partial_fill": ()}, ["phone"])
