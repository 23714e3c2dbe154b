"""Secrets planted in a real daemon that trades over the wire: they are found nowhere, in good times and in bad."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from adapters.paper.process import PaperProcess
from tests.kills import paper_exchange
from tests.kills import settings as reaching
from tests.process.programs import Done, Running, kinds, run
from tests.soak import control

pytestmark = [pytest.mark.process, pytest.mark.acceptance, pytest.mark.timeout(600)]

KEY, SECRET = "canary-api-key-5b21c9", "canary-api-secret-8e07d4"
SIGNING, SINK = "canary-signing-0123456789abcdef", "canary-sink-c41f"

SIGNAL = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.02", "twap": {"num_chunks": 2, "interval_seconds": "0.5"}}
TROUBLE: list[dict[str, object]] = [
    {"kind": "error_instead", "on": ["place"], "nth": [1], "status": 502, "body": "html"},
    {"kind": "refuse", "on": ["place"], "nth": [2], "code": -1013},
    {"kind": "error_instead", "on": ["query", "open_orders"], "nth": [1], "status": 503, "body": "empty"},
    {"kind": "lost_reply", "on": ["place"], "nth": [4]},
]


@contextmanager
def phone() -> Iterator[tuple[int, list[str]]]:
    """Listen for alerts: the port, and all that was posted there."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], heard
        finally:
            server.shutdown()
            thread.join()


def page(daemon: Running, path: str) -> str:
    """What a browser with the token is given."""
    client = daemon.client
    asked = Request(f"http://{client.host}:{client.port}{path}", headers={"Authorization": f"Bearer {client.token}"})
    with build_opener(ProxyHandler({})).open(asked, timeout=10) as answer:
        return str(answer.read().decode())


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode() if Path("/proc/self/cmdline").exists() else ""


def test_no_secret_of_a_daemon_that_trades_over_the_wire_is_found_anywhere(tmp_path: Path) -> None:
    with phone() as (port, heard), PaperProcess(paper_exchange(tmp_path)) as paper:
        control(paper.rest, "keys", {"key": KEY, "secret": SECRET})
        control(paper.rest, "faults", {"faults": TROUBLE})
        secrets = {
            "TIDEGATE__VENUE__API_KEY": KEY,
            "TIDEGATE__VENUE__API_SECRET": SECRET,
            "TIDEGATE__HTTP__SIGNING_KEYS__K": SIGNING,
            "TIDEGATE__ALERTS__SINKS__PHONE": f"json://{SINK}@127.0.0.1:{port}/{SINK}",
        }
        daemon = Running(tmp_path, *reaching(paper), "--set", "log.level=debug", variables=secrets)
        said: list[str] = []
        execution = ""
        with daemon:
            for number in range(2):
                execution = str(daemon.client.send({**SIGNAL, "id": f"s{number}"})[1]["execution_id"])
                daemon.client.wait(execution, 90, every=0.05)
            control(paper.rest, "keys", {"key": KEY, "secret": SECRET, "revoked": True})
            daemon.client.send({**SIGNAL, "id": "revoked"})
            daemon.wait_until(lambda: daemon.client.status()["readiness"] == "HALTED", 60)
            daemon.wait_until(lambda: any("-2015" in one for one in heard), 60)
            said += [page(daemon, path) for path in ("/", "/metrics", "/v1/alerts", "/v1/signals", "/v1/executions")]
            said += [
                str(daemon.client.status()),
                str(daemon.client.execution(execution)),
                arguments_of(daemon.alive.pid),
            ]
            token = daemon.client.token
            commands = [
                ("report", execution, "--html", str(tmp_path / "report.html")),
                ("report", execution, "--json"),
                ("status", "--json"),
                ("journal", "export"),
                ("config",),
                ("check-config",),
                ("doctor", *reaching(paper)),
            ]
            done = [_asked(daemon, secrets, *command) for command in commands]
            assert daemon.terminate() == 0
        said += [daemon.said(), *heard, *(one.out + one.err for one in done)]
        files = [file for file in tmp_path.rglob("*") if file.is_file() and file.parent.name != "exchange"]
        said += [file.read_bytes().decode(errors="replace") for file in files if file.name != "token"]

    journal = kinds(daemon.journal())
    assert {"TradeBooked", "ChildUnknown", "ChildRefused", "TradingHalted", "AlertRaised"} <= set(journal)
    assert '"level":"debug"' in daemon.said()
    assert execution in (tmp_path / "report.html").read_text()
    assert "TradeBooked" in done[3].out
    for canary in (KEY, SECRET, SIGNING, SINK, token):
        for text in said:
            place = text.find(canary)
            assert place < 0, f"...{text[max(0, place - 200) : place]}<{canary[:10]}>"


def _asked(daemon: Running, secrets: dict[str, str], *arguments: str) -> Done:
    return run(daemon.directory, *arguments, "--set", "data_dir=data", stdin=b"", **secrets)
