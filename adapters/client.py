"""A small synchronous HTTP client of a running daemon, for the command line.

Where the daemon listens and with what token is read from its data directory: `http.json`
(`{"host", "port"}`) and `token`, both written by the daemon. It speaks plain HTTP over one connection
a request, knows no proxy and follows no redirect, so the token goes nowhere else.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import orjson

Json = dict[str, object]
Verb = Literal["pause", "resume", "cancel", "amend"]

ADDRESS_FILE: Final = "http.json"
TOKEN_FILE: Final = "token"  # noqa: S105 - a file's name
HOOK_TOKEN_FILE: Final = "hook-token"  # noqa: S105 - a file's name
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where we connect to


class ClientError(Exception):
    """Something that one line tells a user; `str()` is that line."""


class NotRunning(ClientError):
    """Nobody listens where the data directory says: nothing was asked of anybody."""


class NoAnswer(ClientError):
    """The request went out and no whole answer came: whether it was taken is not known."""


class Refused(ClientError):
    """The daemon said no: `status` is HTTP's, `reason` and `body` are its own."""

    def __init__(self, status: int, body: Json) -> None:
        """Say what was refused in one line."""
        self.status, self.body = status, body
        self.reason = str(body.get("reason") or http.client.responses.get(status, status))
        detail = body.get("detail")
        super().__init__(f"{self.reason}: {detail}" if detail else self.reason)


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: a committed fact. `seq` is its place in the journal."""

    seq: int
    kind: str
    data: Json


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one daemon; every method makes one request. Times in seconds.

    All raise `NotRunning` when nobody listens, `NoAnswer` when an answer is cut or late, and
    `Refused` on an HTTP error (but `send`, whose refusals are verdicts).
    """

    host: str
    port: int
    token: str
    timeout: float = 10.0

    @classmethod
    def of(cls, data_dir: Path, timeout: float = 10.0) -> Client:
        """Read where the daemon of a data directory listens. Raises `NotRunning`."""
        address_file = data_dir / ADDRESS_FILE
        try:
            address = orjson.loads(address_file.read_bytes())
            host, port = str(address["host"]), int(address["port"])
            token = (data_dir / TOKEN_FILE).read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            raise NotRunning(f"no daemon runs on {data_dir}: start it with `run.py`") from error
        except PermissionError as error:
            raise NotRunning(f"{error.filename}: permission denied; run this as the daemon's user") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotRunning(f"{address_file.parent}: cannot read {ADDRESS_FILE} or {TOKEN_FILE}") from error
        return cls(_WILDCARDS.get(host, host), port, token, timeout)

    # Signals and executions -------------------------------------------------------------------

    def send(self, signal: Mapping[str, object]) -> tuple[int, Json]:
        """Send a signal (version 1 JSON) and return HTTP's status and the verdict."""
        return self._ask("POST", "/v1/signals", dict(signal))

    def executions(self) -> list[Json]:
        """List the executions, as the daemon orders them."""
        body = self._good("GET", "/v1/executions")
        listed = body.get("executions")
        if not isinstance(listed, list):
            raise Refused(502, {"reason": "UNREADABLE", "detail": "the daemon listed no executions"})
        return [item for item in listed if isinstance(item, dict)]

    def execution(self, execution_id: str) -> Json:
        """Tell one execution; its `report` is there once it has ended."""
        return self._good("GET", f"/v1/executions/{quote(execution_id, safe='')}")

    def command(self, execution_id: str, verb: Verb, body: Mapping[str, object] | None = None) -> Json:
        """Pause, resume, cancel or amend an execution; the answer comes after it is durable."""
        path = f"/v1/executions/{quote(execution_id, safe='')}/{verb}"
        return self._good("POST", path, dict(body or {}))

    def wait(self, execution_id: str, timeout: float, every: float = 0.25) -> Json:
        """Ask until the execution has a report, for `timeout` seconds at most. Raises `TimeoutError`."""
        deadline = time.monotonic() + timeout
        while True:
            execution = self.execution(execution_id)
            if execution.get("report") is not None:
                return execution
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{execution_id} still runs after {timeout:g} s")
            time.sleep(min(every, left))

    # The daemon -------------------------------------------------------------------------------

    def halt(self, detail: str = "") -> Json:
        """Ask for no new order until `unhalt`."""
        return self._good("POST", "/v1/halt", {"detail": detail} if detail else {})

    def unhalt(self, detail: str = "") -> Json:
        """Lift a halt."""
        return self._good("POST", "/v1/unhalt", {"detail": detail} if detail else {})

    def status(self) -> Json:
        """Tell how the daemon stands; not being ready is an answer, not a refusal."""
        status, body = self._ask("GET", "/readyz")
        if status not in {200, 503}:
            raise Refused(status, body)
        return body

    def present(self) -> Json:
        """Tell all that the dashboard shows: how it stands, what it works on, signals, alerts, health."""
        return self._good("GET", "/ui/state")

    def events(self, after: int = 0) -> Iterator[Event]:
        """Tell every fact after `after`, old ones first, until the daemon ends the stream.

        Ends quietly when the daemon does; a silence longer than the timeout raises `NoAnswer`.
        """
        with closing(self._connection()) as connection:
            headers = {**self._headers(), "Accept": "text/event-stream", "Last-Event-ID": str(after)}
            response = self._exchange(connection, "GET", "/v1/events", None, headers)
            if response.status != 200:
                raise Refused(response.status, _read_json(response))
            yield from _events(response)

    # One request ------------------------------------------------------------------------------

    def _good(self, method: str, path: str, body: Json | None = None) -> Json:
        status, answer = self._ask(method, path, body)
        if status >= 400:
            raise Refused(status, answer)
        return answer

    def _ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        with closing(self._connection()) as connection:
            content = None if body is None else orjson.dumps(body, default=str)
            response = self._exchange(connection, method, path, content, self._headers())
            return response.status, _read_json(response)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        try:
            connection.connect()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise NotRunning(f"no daemon listens on {self.host}:{self.port} ({why}): start it with `run.py`") from error
        try:
            connection.request(method, path, content, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error) from error


def _read_json(response: http.client.HTTPResponse) -> Json:
    try:
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(error) from error
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        text = content[:80].decode("utf-8", "replace")
        raise Refused(response.status, {"detail": f"the answer is no JSON: {text}"}) from error
    return body if isinstance(body, dict) else {"value": body}


def _no_answer(error: Exception) -> NoAnswer:
    return NoAnswer(f"no answer from the daemon ({str(error) or type(error).__name__})")


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """Read the fields of server-sent events; a comment keeps the connection alive and says nothing."""
    fields: dict[str, str] = {}
    while True:
        try:
            line = response.readline()
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error) from error
        if not line:
            return
        text = line.decode("utf-8").rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        else:
            if "data" in fields:
                yield _event(fields)
            fields = {}


def _event(fields: Mapping[str, str]) -> Event:
    data = orjson.loads(fields["data"])
    seq = int(fields.get("id") or data.get("seq") or 0)
    return Event(seq, fields.get("event") or str(data.get("type", "message")), data)
