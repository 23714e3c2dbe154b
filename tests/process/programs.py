"""Real processes of `run.py`, each in an environment and a data directory of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import orjson

from adapters.client import Client, NotRunning
from adapters.config import Config
from adapters.exchanges import paper_command
from adapters.paper.audit import Audit, audit
from adapters.paper.process import PaperProcess, truth_of
from adapters.simulation import parse_export
from adapters.storage.codec import export_line
from adapters.storage.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
RUN = str(ROOT / "run.py")
PATIENCE = 180.0


def environment() -> dict[str, str]:
    """The environment without any setting of ours.

    Nor with the system's certificates, which aiohttp reads whenever it is imported: a process that a test starts speaks
    to loopback alone.
    """
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("TIDEGATE")}
    return {**ours, "SSL_CERT_FILE": os.devnull}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return orjson.loads(self.out)


def run(directory: Path, *arguments: str, stdin: bytes = b"", **variables: str) -> Done:
    """Run a command to its end. Whatever it is, it must not show a traceback."""
    done = subprocess.run(
        [sys.executable, RUN, *arguments],
        cwd=directory,
        env={**environment(), **variables},
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    said = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in said.err + said.out, said.err
    return said


class Running:
    """A daemon on `directory/data`, on a free port. Used as a context manager, which ends it by its id.

    `stdin` says what it gets as JSON lines: nothing asked for, an open pipe, or one that has ended; `variables`
    are in its environment besides.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        stdin: Literal["none", "open", "ended"] = "none",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.directory, self.data = directory, directory / "data"
        self._variables = variables or {}
        directory.mkdir(parents=True, exist_ok=True)
        self._arguments, self._stdin = arguments, stdin
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "stderr.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if kind is None:
            # The HTTP server tells of bytes that are no request in its own way, once in a while.
            lines = [line for line in self.said().splitlines() if '"logger":"tidegate.http.server"' not in line]
            assert not any("Traceback" in line for line in lines), self.said()
        else:
            sys.stderr.write(self.said())

    def start(self) -> None:
        """Start the process, and wait until it is ready."""
        self.begin()
        self.wait_until(self._ready)

    def begin(self) -> None:
        """Start the process."""
        (self.data / "http.json").unlink(missing_ok=True)
        settings = ("--set", "data_dir=data", "--set", "http.port=0", *self._arguments)
        mode = ("daemon", *(("--stdin",) if self._stdin != "none" else ()))
        piped = self._stdin == "open"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, RUN, *mode, *settings],
                cwd=self.directory,
                env={**environment(), **self._variables},
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
            )

    def _ready(self) -> bool:
        try:
            return self.client.status()["status"] == "ready"
        except NotRunning:
            assert self.alive.poll() is None, self.said()
            return False

    @property
    def alive(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None, "it was not started"
        return self.process

    @property
    def client(self) -> Client:
        """A client of it."""
        return Client.of(self.data)

    def said(self) -> str:
        """What it has written to standard error so far."""
        return self.log.read_text(encoding="utf-8")

    def terminate(self) -> int:
        """Ask it to end with SIGTERM; return its exit code."""
        self.alive.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Kill it."""
        self.alive.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.alive.wait(PATIENCE + 10)
        for stream in (self.alive.stdin, self.alive.stdout):
            if stream is not None:
                stream.close()
        return code

    def wait_until(self, happened: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Look again and again, in real time, until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen: {self.said()}"
            time.sleep(0.02)

    def run(self, *arguments: str, stdin: bytes = b"") -> Done:
        """Run another command on the same data directory."""
        return run(self.directory, *arguments, "--set", "data_dir=data", stdin=stdin)

    def journal(self) -> list[dict[str, Any]]:
        """The journal's export, read beside the daemon as `journal export` reads it."""
        with closing(SqliteStore(self.data, read_only=True)) as store:
            return parse_export(b"".join(export_line(committed) for committed in store.read()))

    def judge(self) -> Audit:
        """Compare the journal with the paper account; the daemon must have ended."""
        config = Config.model_validate({"data_dir": self.data})
        with PaperProcess(paper_command(config)) as paper:
            truth = truth_of(paper.rest)
        return audit(self.journal(), truth, initial_balances=config.paper.balances)


def kinds(journal: Sequence[dict[str, Any]]) -> list[str]:
    """The kinds of an export's facts, in order."""
    return [line["type"] for line in journal]
