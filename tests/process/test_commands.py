"""The ways in to a running daemon: the command line, JSON lines, and whatever else comes in by HTTP."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.client import Client
from adapters.simulation import parse_export
from tests.process.conftest import Served
from tests.process.programs import Done, Running, kinds, run
from tests.slowness import slowness, stretched

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

Ask = Callable[..., Done]


@pytest.fixture
def ask(daemon: Served, command: Callable[..., Done]) -> Ask:
    """Give the command line on the daemon's directory."""
    return lambda *arguments: command(*arguments, "--set", f"data_dir={daemon.data}")


def test_the_first_fill_of_a_signal_comes_within_five_seconds_of_the_start(daemon: Served) -> None:
    _, verdict = daemon.client.send({"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "id": "first"})
    report: Any = daemon.client.wait(str(verdict["execution_id"]), 10, every=0.02)["report"]
    took = time.monotonic() - daemon.began
    assert report["total_filled"] == "0.01"
    busy = daemon.slowness if took < 5 else max(daemon.slowness, slowness(0.2))
    assert took < stretched(5, busy), f"{took:.1f} s on a machine {busy:.1f} times as slow as it should be"


def test_json_lines_get_their_verdicts_each_with_its_line(daemon: Served) -> None:
    lines = (
        b'{"id": "l", "symbol": "ETHUSDT", "side": "sell", "quantity": "0.1"}',
        b'{"id": "l", "symbol": "ETHUSDT", "side": "sell", "quantity": "0.1"}',
        b"",
        b"nonsense",
        b'{"id": "m", "symbol": "BTCUSDT", "side": "buy", "quantity": NaN}',
        b'{"id": "l", "symbol": "ETHUSDT", "side": "sell", "quantity": "0.2"}',
        b'{"id": "' + b"x" * 70_000 + b'"}',
        *(bytes([byte]) * 3 for byte in (0, 0xFF, 0x7B, 0x22, 0x5B)),
    )
    source, sink = daemon.alive.stdin, daemon.alive.stdout
    assert source is not None
    assert sink is not None
    source.write(b"\n".join(lines) + b"\n")
    source.flush()
    said = [orjson.loads(sink.readline()) for line in lines if line]
    by_line = {line["line"]: (line["status"], line.get("reason")) for line in said}
    assert by_line == {
        1: ("accepted", None),
        2: ("duplicate", "DUPLICATE"),
        4: ("rejected", "MALFORMED"),
        5: ("rejected", "NOT_FINITE"),
        6: ("conflict", "CONFLICT"),
        **dict.fromkeys(range(7, 13), ("rejected", "MALFORMED")),
    }


def test_lines_that_are_there_before_the_daemon_is_ready_wait_for_it(tmp_path: Path) -> None:
    signals = tmp_path / "signals.jsonl"
    line = b'{"id": "early", "symbol": "ETHUSDT", "side": "buy", "quantity": "0.1", "timestamp": "%s"}\n'
    signals.write_bytes(line % datetime.now(UTC).isoformat().encode())
    with Running(tmp_path, "--follow", "signals.jsonl", stdin="open") as daemon:
        sink = daemon.alive.stdout
        assert sink is not None
        said = orjson.loads(sink.readline())
        assert (said["id"], said["status"]) == ("early", "accepted")
        assert daemon.terminate() == 0


def test_a_signal_is_sent_followed_and_reported(ask: Ask) -> None:
    sent = ask("send", "BTCUSDT", "buy", "0.05", "--id", "s", "--chunks", "2", "--interval", "0.5", "--json")
    assert (sent.code, sent.json["status"]) == (0, "accepted")
    execution = sent.json["execution_id"]
    again = ask("send", "BTCUSDT", "buy", "0.05", "--id", "s", "--chunks", "2", "--interval", "0.5", "--wait", "--json")
    assert (again.code, again.json["status"], again.json["duplicate_of"]) == (0, "duplicate", execution)
    assert again.json["report"]["total_filled"] == "0.05"
    other = ask("send", "BTCUSDT", "buy", "0.06", "--id", "s", "--json")
    assert (other.code, other.json["reason"]) == (1, "CONFLICT")
    report = ask("report", execution, "--json")
    assert (report.code, report.json["report"]["stop_reason"]) == (0, "COMPLETED")
    assert execution in ask("report", execution).out
    listed = ask("executions", "--json").json["executions"]
    assert execution in [view["execution_id"] for view in listed]
    assert execution[:8] in ask("executions").out


def test_the_status_says_how_it_stands(ask: Ask) -> None:
    status = ask("status", "--json")
    assert (status.code, status.json["readiness"], status.json["mode"]) == (0, "READY", "paper")
    assert "ready" in ask("status").out.lower()
    assert "CLOSED" not in [view["state"] for view in status.json["executions"]]
    assert "COMPLETED" not in ask("status").out


def test_a_running_execution_is_paused_amended_resumed_and_cancelled(ask: Ask) -> None:
    sent = ask("send", "BNBUSDT", "buy", "4", "--chunks", "4", "--interval", "20", "--json").json
    execution = sent["execution_id"]
    unfinished = ask("report", execution, "--html", "page.html")
    assert (unfinished.code, unfinished.err) == (1, f"tidegate: {execution} has no report yet: it is RUNNING\n")
    for verb in ("pause", "resume"):
        done = ask(verb, execution)
        assert done.code == 0, done.err
    assert ask("resume", execution).code == 1
    assert ask("amend", execution, "--quantity", "2").code == 0
    assert ask("amend", execution).code == 1, "nothing to change"
    assert ask("amend", execution, "--quantity", "abc").code == 1
    assert ask("cancel", execution).code == 0
    view = ask("send", "BNBUSDT", "buy", "0.1", "--id", "x", "--wait", "--json")
    assert view.code == 0
    again = ask("cancel", execution)
    assert again.code == 1
    assert "closed" in again.err or "over" in again.err or "ending" in again.err


def test_a_halt_refuses_signals_until_it_is_lifted(ask: Ask) -> None:
    assert ask("halt", "--detail", "Börse spinnt").code == 0
    stands = ask("status", "--json").json
    assert (stands["status"], stands["readiness"], stands["halted"]) == ("halted", "HALTED", "MANUAL: Börse spinnt")
    assert "reason" not in stands
    refused = ask("send", "BTCUSDT", "buy", "0.01", "--id", "in the halt", "--json")
    assert (refused.code, refused.json["reason"]) == (1, "HALTED")
    assert ask("unhalt").code == 0
    assert ask("send", "BTCUSDT", "buy", "0.01", "--id", "in the halt", "--json").json["status"] == "accepted"


def test_the_journal_is_exported_and_verified_beside_a_running_daemon(ask: Ask) -> None:
    verified = ask("journal", "verify")
    assert verified.code == 0
    journal = parse_export(ask("journal", "export").out.encode())
    assert kinds(journal)[0] == "EpochStarted"
    assert [line["seq"] for line in journal] == list(range(1, len(journal) + 1))
    assert int(verified.out.split()[0]) <= len(journal)


@pytest.mark.parametrize("verb", ["report", "pause", "resume", "cancel"])
def test_an_execution_that_does_not_exist_is_said_in_a_line(ask: Ask, verb: str) -> None:
    done = ask(verb, "nosuchexecut1")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1


def test_a_second_daemon_on_the_directory_is_told_to_stay_away(daemon: Served) -> None:
    done = daemon.run("daemon", "--set", "http.port=0")
    assert done.code == 75
    assert "in use by another daemon" in done.err
    assert str(daemon.alive.pid) in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert daemon.client.status()["status"] == "ready"


def test_a_port_in_use_is_said_plainly(daemon: Served) -> None:
    other = daemon.directory / "other"
    other.mkdir(exist_ok=True)
    done = run(other, "daemon", "--set", f"http.port={daemon.client.port}")
    assert done.code == 71
    assert f"127.0.0.1:{daemon.client.port} is already in use" in done.err


# Whatever comes in by HTTP ------------------------------------------------------------------------


def raw(client: Client, data: bytes, seconds: float = 20.0) -> bytes:
    """Send bytes, and return what comes back until the other side has had enough, or so many seconds."""
    with socket.create_connection((client.host, client.port), timeout=seconds) as connection:
        received = b""
        with suppress(OSError):
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        return received


def a_request(client: Client, method: str, path: str, body: bytes, **headers: str) -> bytes:
    fields = {
        "Host": f"{client.host}:{client.port}",
        "Authorization": f"Bearer {client.token}",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def test_whatever_is_posted_gets_an_answer_in_json_and_no_500(daemon: Served) -> None:
    client, chance = daemon.client, random.Random(3)
    before = daemon.client.status()["running"]
    paths = [
        "/v1/signals",
        "/v1/executions/nosuchexecut1/cancel",
        "/v1/executions/nosuchexecut1/amend",
        "/v1/executions/%00/pause",
        "/v1/executions/..%2f..%2fetc/resume",
        "/v1/executions?newest=-1",
        "/v1/executions/" + "x" * 3000,
        "/v1/unhalt",
        "/nowhere",
    ]
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}" * 40_000,
        b"[" * 50_000,
        b'{"symbol": "BTCUSDT", "side": "buy", "quantity": 1e999999999}',
        b'{"symbol": "BTCUSDT", "side": "buy", "quantity": ' + b"9" * 60_000 + b"}",
        b'{"symbol": "\xff\xfe", "side": "buy", "quantity": 1}',
        b'{"symbol": "\\ud800", "side": "buy", "quantity": 1}',
        b'{"symbol": "BTCUSDT", "symbol": "ETHUSDT", "side": "buy", "quantity": 1}',
        b'[{"symbol": 1}, 2, [3]]',
        bytes(chance.randrange(256) for _ in range(500)),
    ]
    for path in paths:
        for body in bodies:
            answer = raw(client, a_request(client, "POST", path, body))
            head, _, said = answer.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            assert 200 <= status < 500, (path, body[:40], answer[:200])
            parsed: Any = orjson.loads(said)
            for one in parsed if isinstance(parsed, list) else [parsed]:
                assert status < 300 or {"status", "reason"} <= set(one), (path, body[:40], parsed)
    after = daemon.client.status()
    assert (after["status"], after["running"]) == ("ready", before)


def test_bytes_that_are_no_request_do_no_harm(daemon: Served) -> None:
    client, chance = daemon.client, random.Random(4)
    good = a_request(client, "POST", "/v1/signals", b'{"symbol": "BTCUSDT", "side": "buy", "quantity": "-1"}')
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        answer = raw(client, bytes(bad[: chance.randint(1, len(bad))]), 0.05)
        assert not answer.startswith(b"HTTP/1.1 5"), answer
        assert b"Traceback" not in answer
    for data in (b"\0" * 100_000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000, b"\x16\x03\x01\x02\x00\x01"):
        raw(client, data, 0.05)
    assert client.status()["status"] == "ready"


def test_nobody_without_the_token_gets_in(daemon: Served) -> None:
    client = daemon.client
    body = b'{"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}'
    for authorization in ("", "Bearer", "Bearer wrong", f"Basic {client.token}", f"Bearer {client.token}x", "\xff"):
        answer = raw(client, a_request(client, "POST", "/v1/signals", body, Authorization=authorization))
        assert b" 401 " in answer.splitlines()[0], (authorization, answer)
        assert client.token.encode() not in answer
    foreign = raw(client, a_request(client, "POST", "/v1/signals", body, Host="evil.example"))
    assert b" 403 " in foreign.splitlines()[0]
    assert client.token not in daemon.said()
