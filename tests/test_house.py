"""The house itself: metadata, pinned dependencies, import contracts, make targets."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("run.lock", "dev.lock")
SOURCES = ("messages", "actors", "adapters", "tests", "bench", "examples")
PINNED = re.compile(r"^([a-z0-9.-]+)(\[[a-z0-9,-]+\])?==(\S+)( ; [a-z_]+ [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return {match[1]: match[3] for line in lines if (match := PINNED.match(line))}


def names_in(text: str) -> set[str]:
    return {re.split(r"[<>=!~ ]", line)[0].lower() for line in text.split("\n") if line}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_and_nothing_else(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()

    assert [line for line in lines if not PINNED.match(line) and not HASH.match(line)] == []
    assert len(pins(lock)) > 20


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_at_least(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()

    assert all(HASH.match(lines[number + 1]) for number, line in enumerate(lines) if PINNED.match(line))


def test_an_extra_that_is_asked_for_is_pinned_with_its_name() -> None:
    """For `name[extra]` without a pin of its own pip looks at the newest release, and has no hash for it."""
    lines = (ROOT / "requirements/dev.lock").read_text().splitlines()
    extras = {match[1]: match[2] or "" for line in lines if (match := PINNED.match(line))}
    wanted = [
        (wish.name.lower(), extra)
        for name in extras
        for wish in map(Requirement, _requires(name))
        for extra in wish.extras
        if wish.marker is None or wish.marker.evaluate({"extra": ""})
    ]

    assert ("coverage", "toml") in wanted
    assert [wish for wish in wanted if wish[1] not in extras[wish[0]]] == []


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # Of another platform.
        return []


def test_the_locks_agree_and_hold_what_setup_cfg_asks_for() -> None:
    run, dev = pins("run.lock"), pins("dev.lock")

    assert run.items() <= dev.items()
    assert names_in(setup_cfg()["options"]["install_requires"]) <= run.keys()
    assert names_in(setup_cfg()["options.extras_require"]["dev"]) <= dev.keys()


def test_what_the_daemon_needs_stays_small() -> None:
    pip = 1

    assert len(pins("run.lock")) + pip <= 45


@pytest.mark.acceptance
def test_a_new_environment_brings_pip_and_nothing_else(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "make-venv", venv],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        check=True,
        timeout=100,
    )
    listed = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    ).stdout

    assert [line.partition("==")[0] for line in listed.split()] == ["pip"]


def suits(python: Path) -> bool:
    script = "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
    return python.exists() and subprocess.run([python, "-c", script], capture_output=True, check=False).returncode == 0


@pytest.mark.acceptance
@pytest.mark.skipif(not suits(Path("/usr/bin/python3")), reason="no Python of a distribution's is here")
def test_a_distributions_python_comes_before_a_plain_build_that_is_first_on_the_path(tmp_path: Path) -> None:
    plain = tmp_path / "python3"
    plain.write_text("#!/bin/sh\nexit 0\n")
    plain.chmod(0o755)
    subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "make-venv", tmp_path / "venv"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
        timeout=100,
    )

    assert "home = /usr/bin\n" in (tmp_path / "venv" / "pyvenv.cfg").read_text()


def test_pyproject_names_the_build_backend_and_nothing_else() -> None:
    text = (ROOT / "pyproject.toml").read_text()

    assert len(text.splitlines()) == 3
    assert tomllib.loads(text) == {
        "build-system": {"requires": ["setuptools>=77"], "build-backend": "setuptools.build_meta"},
    }


def lint_imports(directory: Path, **modules: str) -> subprocess.CompletedProcess[str]:
    """Hold a small tree of `package__module="source"` files to the contracts of setup.cfg."""
    contracts = configparser.ConfigParser()
    contracts.read_dict(
        {name: dict(section) for name, section in setup_cfg().items() if name.startswith("importlinter")}
    )
    with (directory / "setup.cfg").open("w") as file:
        contracts.write(file)
    sources = {"messages__words": "", "actors__runtime": "", "actors__gate": "", "adapters__socket": ""} | modules
    for name, source in sources.items():
        path = directory.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source)
    (directory / "run.py").touch()
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(directory), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_the_import_contracts_let_the_right_directions_pass(tmp_path: Path) -> None:
    result = lint_imports(
        tmp_path,
        actors__gate="import messages.words\nimport actors.runtime\n",
        adapters__socket="import messages.words\nimport actors.runtime\nimport adapters.file\n",
        adapters__file="",
        actors__runtime="import messages.words\nimport actors.mailbox\n",
        actors__mailbox="",
    )

    assert "Contracts: 3 kept, 0 broken." in result.stdout, result.stdout + result.stderr
    assert result.returncode == 0


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("messages__words", "actors.runtime"),
        ("messages__words", "adapters.socket"),
        ("messages__words", "run"),
        ("actors__gate", "adapters.socket"),
        ("actors__runtime", "adapters"),
        ("actors__gate", "run"),
        ("adapters__socket", "actors.gate"),
        ("adapters__socket", "actors"),
        ("adapters__socket", "run"),
    ],
)
def test_the_import_contracts_stop_the_wrong_directions(tmp_path: Path, module: str, imported: str) -> None:
    result = lint_imports(tmp_path, **{module: f"import {imported}\n"})

    assert "2 kept, 1 broken." in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1


def test_actors_may_not_reach_for_clock_chance_or_threads(tmp_path: Path) -> None:
    actors = tmp_path / "actors"
    actors.mkdir()
    source = "import random\nimport threading\nimport time\nimport uuid\n\n_ = (random, threading, time, uuid)\n"
    for name in ("gate.py", "runtime.py"):
        (actors / name).write_text(source)

    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--config",
            ROOT / "ruff.toml",
            "--select",
            "TID251",
            "--no-cache",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    ).stdout

    assert found.count("--> actors/gate.py") == 4
    assert "actors/runtime.py" not in found


def test_every_make_target_that_is_promised_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    assert targets >= {"venv", "run", "demo", "test", "check", "bench", "soak", "campaign", "lock", "clean"}
    for target in ("run", "demo", "test", "acceptance", "check", "bench"):
        assert re.search(rf"^{target}: \$\(VENV\)/\.(run|dev)$", makefile, re.MULTILINE), f"{target} lacks its set-up"


def test_the_continuous_integration_runs_what_the_makefile_offers() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert {"make check", "make test", "make acceptance"} <= set(script.read_text().splitlines())


def test_whatever_is_marked_as_long_is_where_the_makefile_looks_for_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (places,) = re.findall(r"^LONG +=(.*)$", makefile, re.MULTILINE)
    marked = {file for file in (ROOT / "tests").rglob("*.py") if "mark.acceptance" in file.read_text()}
    found = {file for place in places.split() for file in (*ROOT.glob(place), *ROOT.glob(f"{place}/**/*.py"))}

    assert len(marked) > 10
    assert marked <= found


def test_a_python_that_is_too_old_is_met_with_advice(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    uname = tmp_path / "uname"
    uname.write_text("#!/bin/sh\necho Linux\n")
    uname.chmod(0o755)

    result = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "make-venv", tmp_path / "venv"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert result.returncode == 1
    assert "needs Python 3.11 or later" in result.stderr
    assert "apt install python3" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_without_its_venv_module_is_met_with_advice(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text(
        '#!/bin/sh\ncase "$2" in\n*ensurepip*) exit 1 ;;\n*print*) echo 3.11 ;;\nesac\n',
    )
    bare.chmod(0o755)

    result = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "make-venv", tmp_path / "venv"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert result.returncode == 1
    assert "sudo apt install python3.11-venv" in result.stderr


def test_a_command_line_that_is_asked_for_little_imports_little() -> None:
    script = "import sys, run; print(*(name for name in sys.argv[1:] if name in sys.modules))"
    heavy = (
        "aiohttp",
        "binance",
        "pydantic",
        "structlog",
        "prometheus_client",
        "actors.daemon",
        "adapters.paper.exchange",
    )
    done = subprocess.run([sys.executable, "-c", script, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_exemption_from_ruff_says_why() -> None:
    files = [ROOT / "run.py", *(file for folder in SOURCES for file in sorted((ROOT / folder).rglob("*.py")))]
    bare = re.compile(r"# noqa(?!: [A-Z0-9, ]+ - \w)")
    found = [f"{file.relative_to(ROOT)}: {line}" for file in files for line in file.read_text().splitlines()]
    assert [line for line in found if bare.search(line) and "re.compile" not in line] == []
