"""The paper exchange as a child process: started on a free port, and gone with whoever started it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.request import ProxyHandler, Request, build_opener

import orjson

START_SECONDS = 60.0
STOP_SECONDS = 3.0


class ExchangeNotUp(Exception):
    """The paper exchange's process did not come up; the text says what it said last."""


class PaperProcess:
    """Runs `command` and waits for its one line of JSON that says where it listens.

    The command must end when its standard input does: so it dies with this process, however this one
    ends. Used as a context manager. `rest`, `ws_api` and `streams` are the addresses.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command, self._environment = list(command), {**os.environ, **(environment or {})}
        self.rest = self.ws_api = self.streams = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - the caller's own command
            # What ends a whole group, as Ctrl-C does, is not for the exchange: what is open settles there.
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=self._environment,
        )
        try:
            said = orjson.loads(self._first_line())
            self.rest, self.ws_api, self.streams = str(said["rest"]), str(said["ws_api"]), str(said["streams"])
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            if ready:
                line: bytes = self._process.stdout.readline()
                if line:
                    return line
                code = self._process.wait(STOP_SECONDS)
                raise ExchangeNotUp(f"the paper exchange ended at once with code {code}; it says why above")
        raise ExchangeNotUp(f"the paper exchange did not come up within {START_SECONDS:g} s")

    def _end(self) -> None:
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def truth_of(rest_url: str) -> dict[str, Any]:
    """Ask a paper exchange for everything that is so there."""
    opener = build_opener(ProxyHandler({}))
    with opener.open(Request(f"{rest_url.removesuffix('/api')}/paper/truth"), timeout=10) as answer:  # noqa: S310 - loopback
        told: dict[str, Any] = orjson.loads(answer.read())
    return told
