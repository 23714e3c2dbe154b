"""docs/operations.md, the unit and the container file against the code that they speak of."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.alerts import RULES
from adapters import exits
from adapters.config import load_config
from adapters.reload import SAFE
from tests.alert_kinds import TROUBLES

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/operations.md").read_text()
UNIT = ROOT / "deploy/tidegate.service"
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def test_the_guide_says_what_to_do_for_every_alert_and_at_which_level_it_comes() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", GUIDE, re.MULTILINE))
    rules: dict[str, str] = {rule.kind: rule.level for rule in RULES if rule.level is not None}
    signs = {
        "order_vanished": "error",
        "lost_message": "error",
        "venue_alarm": "error",
        "stream_down": "warning",
        "clock_skew": "error",
        "limits_near": "warning",
        "journal": "critical",
    }
    assert listed == rules | signs
    assert set(signs) == TROUBLES - set(rules)


def test_the_guide_lists_every_exit_code() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE, re.MULTILINE)} == codes


def test_the_guide_names_what_a_reload_takes() -> None:
    assert set(SAFE) == {"log.level", "alerts."}
    assert "`log.level` and everything under `alerts` take effect" in GUIDE


def test_the_service_is_not_started_again_where_that_helps_nobody() -> None:
    codes = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert codes is not None
    assert codes[1].split() == [str(code) for code in (exits.DAMAGED, exits.GAVE_UP, exits.KEY_REFUSED, exits.CONFIG)]
    assert "After 65, 76, 77 and 78 systemd does not start it again" in GUIDE


NO_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: apt-get install systemd"
)


def unit_here(directory: Path) -> Path:
    """The unit as it would be installed, with an interpreter and a type that are to be had here."""
    text = UNIT.read_text().replace("/opt/tidegate/.venv/bin/python", sys.executable)
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.split()[1]) < 253:  # Debian 12. docs/operations.md says to do the same.
        text = text.replace("Type=notify-reload", "Type=notify\nExecReload=/bin/kill -HUP $MAINPID")
    unit = directory / "tidegate.service"
    unit.write_text(text)
    return unit


@NO_SYSTEMD
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    unit = unit_here(tmp_path)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []
    assert done.returncode == 0
    broken = tmp_path / "broken.service"
    broken.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=soon"))
    done = subprocess.run(["systemd-analyze", "verify", broken], capture_output=True, text=True, check=False)
    assert broken.name in done.stderr, "it would find one"


@NO_SYSTEMD
def test_systemd_calls_the_services_exposure_ok(tmp_path: Path) -> None:
    """Below 2 of 10, of which 0.2 are for a network without a list of addresses, which an exchange's names need."""
    unit = str(unit_here(tmp_path))
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_unit_has_what_the_guide_promises() -> None:
    lines = set(UNIT.read_text().splitlines())
    assert {
        "Type=notify-reload",
        "NotifyAccess=main",
        "WatchdogSec=30",
        "Restart=on-failure",
        "TimeoutStopSec=60",
        "DynamicUser=yes",
        "StateDirectory=tidegate",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "MemoryMax=1G",
    } <= lines


# The container --------------------------------------------------------------------------------------------------------


def steps() -> list[tuple[str, str]]:
    """The container file's instructions and what follows them, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_the_containers_base_is_pinned_to_a_release_and_the_same_for_both_stages() -> None:
    given = dict(rest.split("=", 1) for word, rest in steps() if word == "ARG")
    bases = [rest.split(" ")[0] for word, rest in steps() if word == "FROM"]
    assert bases == ["python:${PYTHON}"] * 2
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+", given["PYTHON"])


def test_the_containers_instructions_are_in_a_safe_order() -> None:
    words = [word for word, _ in steps()]
    last_stage = len(words) - 1 - words[::-1].index("FROM")
    final = steps()[last_stage:]
    user = [word for word, _ in final].index("USER")
    assert all(word not in {"RUN", "COPY", "ADD"} for word, _ in final[user:]), "something is written by the user"
    assert "ADD" not in words
    assert [word for word, _ in final].count("ENTRYPOINT") == 1
    assert sum(word == "HEALTHCHECK" for word, _ in final) == 1
    assert not any("latest" in rest for word, rest in steps() if word == "FROM")
    assert not any(secret in DOCKERFILE.lower() for secret in ("api_key", "api_secret", "token="))


@pytest.mark.acceptance
@pytest.mark.process
@pytest.mark.timeout(150)
def test_what_the_container_copies_runs_by_itself_and_its_health_can_be_asked(tmp_path: Path) -> None:
    """Its steps without a builder: the copied files alone, in a directory of their own, checked by its own command."""
    for sources, target in ((rest.split()[:-1], rest.split()[-1]) for word, rest in steps() if word == "COPY"):
        for source in sources:
            if source.startswith(("--from", "/", "requirements")):
                continue
            origin, place = ROOT / source, tmp_path / (target if target != "./" else source)
            if origin.is_dir():
                shutil.copytree(origin, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, place)
    (health,) = (rest for word, rest in steps() if word == "HEALTHCHECK")
    python, option, code = json.loads(health.partition("CMD ")[2])
    assert (python, option) == ("/opt/venv/bin/python", "-c")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ask = [sys.executable, "-c", code.replace("8787", str(port))]
    assert subprocess.run(ask, capture_output=True, check=False).returncode != 0, "nobody is there to be healthy"
    environment = {"PATH": os.environ["PATH"], "TIDEGATE__DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, str(tmp_path / "run.py"), "--set", f"http.port={port}"]
    daemon = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(ask, capture_output=True, check=False).returncode != 0:
            assert daemon.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0


def test_the_container_runs_as_nobody_special_and_is_told_to_end() -> None:
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"useradd --system --uid \d{4,}", DOCKERFILE)
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


def test_the_container_installs_from_the_lock_alone() -> None:
    """What is installed is what was tested: each package of the lock with its hashes, and no other way to get one."""
    installs = [rest for word, rest in steps() if word == "RUN" and "pip install" in rest]
    (install,) = installs
    assert "--require-hashes -r /tmp/run.lock" in install
    assert ("COPY", "requirements/run.lock /tmp/run.lock") in steps()
    lock = re.sub(r"\\\n\s*", " ", (ROOT / "requirements/run.lock").read_text())
    packages = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert len(packages) > 20
    assert [
        line for line in packages if not re.match(r"[\w.-]+(\[[\w,]+\])?==\S+.* --hash=sha256:[0-9a-f]{64}", line)
    ] == []


def ask(*words: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)


@pytest.fixture
def builder() -> str:
    """Give a builder that works: the client alone, with no engine behind it, builds nothing."""
    found = [name for name in ("docker", "podman") if shutil.which(name) is not None]
    said = {name: ask(name, "info") for name in found}
    works = [name for name, answer in said.items() if answer.returncode == 0]
    if not works:
        why = "; ".join(f"{name}: {(answer.stderr.strip() or '?').splitlines()[-1]}" for name, answer in said.items())
        pytest.skip(f"no builder works here ({why or 'neither docker nor podman is installed'})")
    return works[0]


@pytest.mark.process
@pytest.mark.timeout(1800)
def test_where_there_is_a_builder_the_container_is_built_and_becomes_healthy(builder: str) -> None:
    image = "tidegate-under-test"
    built = ask(builder, "build", "-f", "deploy/Dockerfile", "-t", image, ".", seconds=1500)
    assert built.returncode == 0, built.stderr[-2000:]
    name = f"{image}-{os.getpid()}"
    started = ask(builder, "run", "--detach", "--rm", "--read-only", "--tmpfs", "/tmp", "--name", name, image)
    assert started.returncode == 0, started.stderr
    try:
        assert ask(builder, "exec", name, "id", "-u").stdout.strip() == "10001"
        python, option, code = json.loads(
            next(rest for word, rest in steps() if word == "HEALTHCHECK").partition("CMD ")[2]
        )
        deadline = time.monotonic() + 120
        while ask(builder, "exec", name, python, option, code).returncode != 0:
            assert time.monotonic() < deadline, ask(builder, "logs", name).stderr[-2000:]
            time.sleep(1.0)
    finally:
        stopped = ask(builder, "stop", "--time", "60", name, seconds=90)
    assert stopped.returncode == 0, stopped.stderr


def test_the_guides_example_of_alerts_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "tidegate.toml").write_text(example)
    alerts = load_config(tmp_path / "tidegate.toml", env={}).alerts
    assert (alerts.quiet, alerts.routes, list(alerts.sinks)) == ("22:00-06:00", {"partial_fill": ()}, ["phone"])
