from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from adapters.client import Client, Event, NoAnswer, NotRunning, Refused

Answer = tuple[int, object]


class Stub(ThreadingHTTPServer):
    """A daemon's HTTP face on loopback: answers what a test says, and notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, str, object]] = []
        self.headers: list[dict[str, str]] = []

    def will_answer(self, method_and_path: str, *answers: Answer) -> None:
        self.answers[method_and_path] = list(answers)


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, orjson.loads(content) if content else None))
        self.server.headers.append(dict(self.headers.items()))
        answers = self.server.answers[f"{self.command} {self.path}"]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        if status == 0:
            self.wfile.write(text)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Connection", "close")
        if isinstance(body, dict | list):
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _handle  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def data_dir(stub: Stub, tmp_path: Path) -> Path:
    (tmp_path / "http.json").write_bytes(orjson.dumps({"host": "127.0.0.1", "port": stub.server_address[1]}))
    (tmp_path / "token").write_text("a-token\n")
    return tmp_path


@pytest.fixture
def client(data_dir: Path) -> Client:
    return Client.of(data_dir, timeout=2)


def test_a_signal_is_sent_with_the_token_and_its_verdict_comes_back(stub: Stub, client: Client) -> None:
    stub.will_answer("POST /v1/signals", (202, {"status": "accepted", "execution_id": "e"}))

    status, verdict = client.send({"symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"})

    assert (status, verdict) == (202, {"status": "accepted", "execution_id": "e"})
    assert stub.asked == [("POST", "/v1/signals", {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"})]
    assert stub.headers[0]["Authorization"] == "Bearer a-token"


@pytest.mark.parametrize("status", [200, 401, 409, 413, 422, 429, 503])
def test_a_refused_signal_is_a_verdict_too(stub: Stub, client: Client, status: int) -> None:
    stub.will_answer("POST /v1/signals", (status, {"status": "rejected", "reason": "STALE"}))

    assert client.send({}) == (status, {"status": "rejected", "reason": "STALE"})


def test_executions_are_listed_and_told_one_by_one(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/executions", (200, {"executions": [{"execution_id": "e"}]}))
    stub.will_answer("GET /v1/executions/e", (200, {"execution_id": "e", "report": None}))

    assert client.executions() == [{"execution_id": "e"}]
    assert client.execution("e") == {"execution_id": "e", "report": None}


def test_an_unknown_execution_is_a_refusal_in_one_line(stub: Stub, client: Client) -> None:
    body = {"status": "rejected", "reason": "NOT_FOUND", "detail": "no execution a/b"}
    stub.will_answer("GET /v1/executions/a%2Fb", (404, body))

    with pytest.raises(Refused, match=r"^NOT_FOUND: no execution a/b$") as refused:
        client.execution("a/b")

    assert (refused.value.status, refused.value.reason) == (404, "NOT_FOUND")


def test_a_refusal_without_a_reason_is_told_by_its_status(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/executions/e", (401, {}))

    with pytest.raises(Refused, match=r"^Unauthorized$"):
        client.execution("e")


def test_an_answer_that_lists_nothing_is_refused(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/executions", (200, ["e"]))

    with pytest.raises(Refused, match="UNREADABLE"):
        client.executions()


def test_an_answer_that_is_no_json_is_refused(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/executions", (200, b"<html>"))

    with pytest.raises(Refused, match="no JSON: <html>"):
        client.executions()


def test_commands_go_to_their_execution(stub: Stub, client: Client) -> None:
    stub.will_answer("POST /v1/executions/e/pause", (200, {"done": True}))
    stub.will_answer("POST /v1/executions/e/amend", (200, {"done": True}))

    assert client.command("e", "pause") == {"done": True}
    assert client.command("e", "amend", {"quantity": "0.4"}) == {"done": True}
    assert [body for _, _, body in stub.asked] == [{}, {"quantity": "0.4"}]


def test_a_halt_and_its_end_may_say_why(stub: Stub, client: Client) -> None:
    stub.will_answer("POST /v1/halt", (200, {"readiness": "HALTED"}))
    stub.will_answer("POST /v1/unhalt", (200, {"readiness": "READY"}))

    assert client.halt("looks odd") == {"readiness": "HALTED"}
    assert client.unhalt() == {"readiness": "READY"}
    assert [body for _, _, body in stub.asked] == [{"detail": "looks odd"}, {}]


def test_not_being_ready_is_a_status_and_no_refusal(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /readyz", (503, {"readiness": "STARTING"}), (200, {}), (500, {}))

    assert client.status() == {"readiness": "STARTING"}
    assert client.status() == {}
    with pytest.raises(Refused):
        client.status()


def test_waiting_ends_with_the_report(stub: Stub, client: Client) -> None:
    runs, ended = {"report": None}, {"report": {"total_filled": "0.5"}}
    stub.will_answer("GET /v1/executions/e", (200, runs), (200, runs), (200, ended))

    assert client.wait("e", timeout=2, every=0.001) == ended
    assert len(stub.asked) == 3


def test_waiting_ends_in_time(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/executions/e", (200, {"report": None}))

    with pytest.raises(TimeoutError, match=r"^e still runs after 0.01 s$"):
        client.wait("e", timeout=0.01, every=0.001)


def test_events_are_read_one_by_one(stub: Stub, client: Client) -> None:
    stream = (
        b": here\n\n"
        b'id: 8\nevent: SignalAccepted\ndata: {"seq": 8,\ndata: "type": "SignalAccepted"}\n\n'
        b'data: {"seq": 9, "type": "TradeBooked"}\r\n\r\n'
    )
    stub.will_answer("GET /v1/events", (200, stream))

    assert list(client.events(after=7)) == [
        Event(8, "SignalAccepted", {"seq": 8, "type": "SignalAccepted"}),
        Event(9, "TradeBooked", {"seq": 9, "type": "TradeBooked"}),
    ]
    assert stub.headers[0]["Last-Event-ID"] == "7"


def test_events_may_be_refused(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /v1/events", (401, {"reason": "UNAUTHORISED"}))

    with pytest.raises(Refused, match="UNAUTHORISED"):
        next(client.events())


def silent_after(text: bytes) -> tuple[socket.socket, Callable[[], None]]:
    """A server that says `text` to the first who comes, and then nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listener.accept()
        taken.append(connection)
        connection.recv(4096)
        connection.sendall(text)

    thread = threading.Thread(target=serve)
    thread.start()

    def end() -> None:
        thread.join()
        for connection in [*taken, listener]:
            connection.close()

    return listener, end


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", "status"),
        (b"HTTP/1.1 200 OK\r\n\r\n: here\n\n", "events"),
    ],
)
def test_a_silence_is_no_answer_and_not_a_refusal(text: bytes, path: str) -> None:
    listener, end = silent_after(text)
    client = Client("127.0.0.1", listener.getsockname()[1], "t", timeout=0.1)

    with pytest.raises(NoAnswer, match="no answer from the daemon"):
        client.status() if path == "status" else next(client.events())
    end()


def test_a_cut_answer_is_no_answer(stub: Stub, client: Client) -> None:
    stub.will_answer("GET /readyz", (0, b""))

    with pytest.raises(NoAnswer):
        client.status()


def test_nobody_listening_is_said_in_one_line(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (data_dir / "http.json").write_bytes(orjson.dumps({"host": "127.0.0.1", "port": port}))

    with pytest.raises(NotRunning, match=rf"^no daemon listens on 127.0.0.1:{port} "):
        Client.of(data_dir).status()


def test_a_data_directory_without_a_daemon_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=r"start it with `run.py`"):
        Client.of(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"host": "127.0.0.1"}', '{"host": "h", "port": "x"}'])
def test_an_unreadable_address_is_said(data_dir: Path, text: str) -> None:
    (data_dir / "http.json").write_text(text)

    with pytest.raises(NotRunning, match="cannot read"):
        Client.of(data_dir)


def test_a_daemon_that_listens_everywhere_is_asked_on_loopback(data_dir: Path) -> None:
    (data_dir / "http.json").write_text('{"host": "0.0.0.0", "port": 8787}')

    assert Client.of(data_dir).host == "127.0.0.1"


def test_files_that_this_user_may_not_read_are_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(NotRunning, match=r"http\.json: permission denied; run this as the daemon's user"):
        Client.of(tmp_path)
