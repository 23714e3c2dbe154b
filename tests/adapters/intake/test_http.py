from __future__ import annotations

import asyncio
import http.client as http_client
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pykka
import pytest
from aiohttp import web

from adapters.client import ADDRESS_FILE, TOKEN_FILE, Client, Refused
from adapters.intake import http, routes
from adapters.intake.bridge import run_and_wait
from adapters.intake.fields import MAX_BODY, MAX_TEXT
from adapters.intake.http import HttpIntake, HttpSettings, PortInUse
from adapters.intake.token import kept_token
from adapters.loop_thread import LoopThread
from messages.control import Committed, DaemonStands, DaemonUp, HaltTrading, Readiness, ResumeTrading
from messages.execution import AmendExecution, CancelExecution, CommandAnswer, PauseExecution
from messages.facts import SignalAccepted, SlotSkipped, TradingHalted, TradingResumed
from messages.signal import Reason, SignalReceived, Status, Verdict
from tests.adapters.intake.world import ACCEPTED, SIGNAL, TOKEN, World, until
from tests.factories import EXECUTION, NOW, D, a_closed, a_planned, a_trade_booked, an_accepted, an_intent

# Signals ------------------------------------------------------------------------------------------


def test_a_signal_is_handed_to_the_gate_and_its_verdict_comes_back(world: World) -> None:
    world.answer(ACCEPTED)
    world.commit(an_accepted())
    assert world.client.send(SIGNAL) == (202, {"status": "accepted", "execution_id": EXECUTION})
    [told] = world.gate.told
    assert isinstance(told, SignalReceived)
    assert (told.signal.id, told.signal.quantity) == ("1", D("0.5"))


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE, duplicate_of=EXECUTION, first_seen=NOW), 200),
        (Verdict(status=Status.CONFLICT, reason=Reason.CONFLICT, detail="differs"), 409),
        (Verdict(status=Status.REJECTED, reason=Reason.STALE, detail="old"), 422),
        (Verdict(status=Status.REJECTED, reason=Reason.TOO_MANY, detail="many"), 429),
        (Verdict(status=Status.REJECTED, reason=Reason.NOT_READY, detail="starting"), 503),
    ],
)
def test_each_verdict_has_its_status(world: World, verdict: Verdict, status: int) -> None:
    world.answer(verdict)
    code, body = world.client.send(SIGNAL)
    assert code == status
    assert body["status"] == verdict.status.value
    assert verdict.reason is not None
    assert body["reason"] == verdict.reason.value


def test_an_accepted_execution_can_be_asked_for_as_soon_as_the_verdict_is_there(world: World) -> None:
    def accept_then_commit(message: SignalReceived) -> None:
        message.reply_to.tell(ACCEPTED)
        threading.Timer(0.05, lambda: world.commit(an_accepted())).start()

    world.gate.react = accept_then_commit
    world.client.send(SIGNAL)
    assert world.client.execution(EXECUTION)["state"] == "ACCEPTED"


def test_an_array_of_signals_gets_an_array_of_verdicts_in_its_order(world: World) -> None:
    waiting: list[SignalReceived] = []

    def answer_backwards(message: SignalReceived) -> None:
        waiting.append(message)
        if len(waiting) == 2:
            for one in reversed(waiting):
                one.reply_to.tell(Verdict(status=Status.REJECTED, reason=Reason.STALE, detail=one.signal.id))

    world.gate.react = answer_backwards
    body = orjson.dumps([{**SIGNAL, "id": "1"}, {**SIGNAL, "quantity": "x"}, {**SIGNAL, "id": "2"}])
    status, verdicts = world.ask("POST", "/v1/signals", body)
    assert status == 422
    assert [verdict["reason"] for verdict in verdicts] == ["STALE", "MALFORMED", "STALE"]
    assert [verdict["detail"] for verdict in verdicts][::2] == ["1", "2"]


def test_an_array_with_verdicts_of_several_kinds_is_answered_with_200(world: World) -> None:
    world.answer(Verdict(status=Status.DUPLICATE))
    status, verdicts = world.ask("POST", "/v1/signals", orjson.dumps([SIGNAL, 5]))
    assert status == 200
    assert [verdict["status"] for verdict in verdicts] == ["duplicate", "rejected"]


def test_an_empty_array_is_answered_with_an_empty_one(world: World) -> None:
    assert world.ask("POST", "/v1/signals", b"[]") == (200, [])


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "MALFORMED"),
        (b"not json", 422, "MALFORMED"),
        (b'{"symbol": "BTCUSDT"}', 422, "MALFORMED"),
        (b'{"symbol": "BTCUSDT", "side": "buy", "amount": 1}', 422, "UNKNOWN_FIELD"),
        (b'{"symbol": "BTCUSDT", "side": "buy", "quantity": NaN}', 422, "NOT_FINITE"),
        (b" " * (MAX_BODY + 1), 413, "MALFORMED"),
        (b"[" * 10_000, 422, "MALFORMED"),
    ],
)
def test_bad_bodies_are_refused_before_the_gate_hears_of_them(
    world: World, body: bytes, status: int, reason: str
) -> None:
    code, answer = world.ask("POST", "/v1/signals", body)
    assert (code, answer["status"], answer["reason"]) == (status, "rejected", reason)
    assert world.gate.told == []


def test_a_refusal_that_the_journal_does_not_have_is_in_the_log_once_for_its_reason(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "tidegate.http"]

    world.ask("POST", "/v1/signals", b'{"symbol": "BTCUSDT", "side": "buy", "qty": 1}')
    assert said() == [
        "a signal was refused, UNKNOWN_FIELD: unknown field 'qty'; of any more the number is said in 60 s"
    ]
    world.ask("POST", "/v1/signals", b'{"symbol": "BTCUSDT", "side": "buy", "amount": 1}')
    assert len(said()) == 1
    world.answer(Verdict(status=Status.REJECTED, reason=Reason.HALTED, detail="MANUAL"))
    world.client.send(SIGNAL)
    assert "a signal was refused, HALTED: MANUAL;" in said()[1]
    world.answer(Verdict(status=Status.REJECTED, reason=Reason.STALE, detail="it is 90 s old, above 60 s"))
    world.client.send(SIGNAL)
    assert len(said()) == 2, "the journal has it"


def test_a_gate_that_keeps_silent_is_an_answer_too(make: Callable[..., World]) -> None:
    world = make(answer_seconds=0.05)
    status, body = world.client.send(SIGNAL)
    assert (status, body["reason"]) == (503, "NOT_READY")
    assert "ask again with the same id" in str(body["detail"])


def test_an_answer_that_comes_too_late_or_twice_does_no_harm(make: Callable[..., World]) -> None:
    world = make(answer_seconds=0.05)
    world.client.send(SIGNAL)
    told = world.gate.told[0]
    assert isinstance(told, SignalReceived)
    told.reply_to.tell(Verdict(status=Status.DUPLICATE))
    world.gate.react = lambda message: [message.reply_to.tell(Verdict(status=Status.DUPLICATE)) for _ in range(2)]
    assert world.client.send(SIGNAL)[0] == 200


def test_before_the_daemon_is_up_everything_is_not_ready(make: Callable[..., World]) -> None:
    world = make(connected=False)
    assert world.client.send(SIGNAL)[0] == 503
    assert world.ask("POST", "/v1/halt")[0] == 503
    assert world.ask("POST", f"/v1/executions/{EXECUTION}/pause")[0] == 503
    assert world.ask("GET", "/v1/events")[0] == 503


def test_a_gate_that_has_stopped_is_not_ready(world: World) -> None:
    def stopped(_: object) -> None:
        raise pykka.ActorDeadError

    world.gate.react = stopped
    assert world.client.send(SIGNAL)[0] == 503


def test_signals_are_listed_with_their_verdicts(world: World) -> None:
    world.shown(an_accepted())
    _, body = world.ask("GET", "/v1/signals")
    [signal] = body["signals"]
    assert (signal["status"], signal["execution_id"], signal["id"]) == ("accepted", EXECUTION, "signal-1")


# The door -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"])
def test_nobody_without_the_token_gets_in(world: World, header: str) -> None:
    for method, path in [("POST", "/v1/signals"), ("GET", "/v1/executions"), ("GET", "/v1/events"), ("GET", "/x")]:
        status, body = world.ask(method, path, Authorization=header)
        assert (status, body["status"], body["reason"]) == (401, "rejected", "UNAUTHORISED")
    assert world.gate.told == []


def test_a_foreign_host_header_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    status, body = world.ask("GET", "/livez", Host="evil.example:8787")
    assert (status, body["reason"]) == (403, "UNAUTHORISED")
    assert "a request for a host that is not among http.allowed_hosts: 'evil.example:8787'" in caplog.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787", "[::1]", "box"])
def test_the_names_of_this_machine_and_configured_ones_are_served(make: Callable[..., World], host: str) -> None:
    assert make(allowed_hosts=("box",)).ask("GET", "/livez", Host=host)[0] == 200


def test_health_needs_no_token_on_loopback(world: World) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        connection = http_client.HTTPConnection("127.0.0.1", world.port, timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status in {200, 503}
        connection.close()


def test_health_needs_the_token_on_any_other_address(make: Callable[..., World]) -> None:
    world = make(host="0.0.0.0")
    assert world.ask("GET", "/livez", Authorization="")[0] == 401
    assert world.ask("GET", "/livez", Host="by-whatever-name")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", "/v1/signals", 405),
        ("POST", f"/v1/executions/{EXECUTION}/explode", 404),
        ("GET", "/v1/executions/unknown", 404),
        ("GET", "/v1/executions?newest=all", 422),
    ],
)
def test_every_refusal_has_a_body_with_status_and_reason(world: World, method: str, path: str, status: int) -> None:
    code, body = world.ask(method, path)
    assert code == status
    assert body["status"] == "rejected"
    assert body["reason"]


def test_a_handler_that_fails_is_answered_without_its_secrets(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("secret")

    world.gate.react = fails
    status, body = world.ask("POST", "/v1/signals", orjson.dumps(SIGNAL))
    assert (status, body["reason"]) == (500, "ERROR")
    assert "secret" not in str(body)
    assert "a request failed" in caplog.text


def test_who_goes_before_the_answer_leaves_no_traceback(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.WebSocketResponse, "prepare", gone)
    status, _ = world.ask("GET", "/v1/ws")
    assert status == 499
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_body_that_does_not_arrive_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BODY_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", world.port), timeout=5) as connection:
        head = f"POST /v1/signals HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


# Executions ---------------------------------------------------------------------------------------


def test_an_execution_is_shown_from_acceptance_to_report(world: World) -> None:
    world.shown(an_accepted(), a_planned(), an_intent(), a_trade_booked())
    [listed] = world.client.executions()
    assert (listed["state"], listed["total_filled"], listed["progress"]) == ("RUNNING", "0.1", "0.2")
    view = world.client.execution(EXECUTION)
    assert view["report"] is None
    world.shown(a_closed())
    report = world.client.wait(EXECUTION, 1)["report"]
    assert isinstance(report, dict)
    assert report["stop_reason"] == "COMPLETED"


def test_only_the_newest_executions_are_listed_if_so_asked(world: World) -> None:
    world.shown(an_accepted(), an_accepted(execution_id="other22222222"))
    _, body = world.ask("GET", "/v1/executions?newest=1")
    assert [view["execution_id"] for view in body["executions"]] == ["other22222222"]


def test_a_command_is_handed_on_and_answered_when_it_is_done(world: World) -> None:
    world.gate.react = lambda command: command.reply_to.tell(
        CommandAnswer(execution_id=command.execution_id, done=True, detail="paused")
    )
    answer = world.client.command(EXECUTION, "pause", {"detail": "the news at two"})
    assert answer == {"status": "done", "execution_id": EXECUTION, "detail": "paused"}
    assert isinstance(world.gate.told[0], PauseExecution)
    assert world.gate.told[0].detail == "the news at two"


def test_a_command_that_cannot_be_done_is_refused_with_why(world: World) -> None:
    world.gate.react = lambda command: command.reply_to.tell(
        CommandAnswer(execution_id=command.execution_id, done=False, detail="closed")
    )
    with pytest.raises(Refused, match="no such execution") as unknown:
        world.client.command(EXECUTION, "cancel")
    assert unknown.value.status == 404
    assert isinstance(world.gate.told[0], CancelExecution)
    world.shown(an_accepted())
    with pytest.raises(Refused, match="closed") as known:
        world.client.command(EXECUTION, "cancel")
    assert known.value.status == 409


def test_a_command_without_an_answer_is_not_ready(make: Callable[..., World]) -> None:
    world = make(answer_seconds=0.05)
    assert world.ask("POST", f"/v1/executions/{EXECUTION}/resume")[0] == 503


def test_an_amendment_is_read_strictly_and_handed_on(world: World) -> None:
    world.gate.react = lambda command: command.reply_to.tell(
        CommandAnswer(execution_id=command.execution_id, done=True, detail="")
    )
    world.client.command(EXECUTION, "amend", {"quantity": "0.4", "end_at": "2026-07-01T12:00:00Z"})
    [told] = world.gate.told
    assert isinstance(told, AmendExecution)
    assert (told.quantity, told.limit_price, told.end_at) == (D("0.4"), None, NOW)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("amend", b"", "MALFORMED"),
        ("amend", b"{}", "MALFORMED"),
        ("amend", b"[]", "MALFORMED"),
        ("amend", b"{", "MALFORMED"),
        ("amend", b'{"quantity": "NaN"}', "NOT_FINITE"),
        ("amend", b'{"price": 1}', "UNKNOWN_FIELD"),
        ("pause", b'{"why": 1}', "UNKNOWN_FIELD"),
        ("cancel", b'{"detail": 1}', "MALFORMED"),
    ],
)
def test_bad_commands_are_refused(world: World, path: str, body: bytes, reason: str) -> None:
    status, answer = world.ask("POST", f"/v1/executions/{EXECUTION}/{path}", body)
    assert (status, answer["reason"]) == (422, reason)
    assert world.gate.told == []


# Halts, health, metrics ---------------------------------------------------------------------------


def test_a_halt_and_its_end_are_answered_when_they_are_durable(world: World) -> None:
    world.exchange.react = lambda message: world.commit(
        TradingHalted(reason=message.reason, detail=message.detail)
        if isinstance(message, HaltTrading)
        else TradingResumed(detail=message.detail)
    )
    assert world.client.halt("by hand") == {"status": "halted", "detail": "MANUAL: by hand"}
    assert world.client.status()["halted"] == "MANUAL: by hand"
    assert world.client.unhalt() == {"status": "resumed"}
    assert world.exchange.told == [HaltTrading(reason="MANUAL", detail="by hand"), ResumeTrading(detail="")]


@pytest.mark.parametrize(
    ("remark", "kept"),
    [("Börse spinnt ☕", "Börse spinnt ☕"), ("a\nb\x1b[2J\u202e", "a b [2J"), ("", ""), ("x" * 500, "x" * MAX_TEXT)],
)
def test_no_halt_is_refused_for_its_remark(world: World, remark: str, kept: str) -> None:
    world.exchange.react = lambda message: world.commit(TradingHalted(reason=message.reason, detail=message.detail))
    assert world.client._good("POST", "/v1/halt", {"detail": remark})["status"] == "halted"
    assert world.exchange.told == [HaltTrading(reason="MANUAL", detail=kept)]


def test_a_halt_and_its_end_are_answered_when_a_signal_meets_them(world: World) -> None:
    """The gate is told before the daemon says how it stands."""
    world.intake.stands(DaemonStands(readiness=Readiness.READY, detail=""))
    with ThreadPoolExecutor(1) as sender:
        for ask, fact, readiness in (
            (world.client.halt, TradingHalted(reason="MANUAL", detail=""), Readiness.HALTED),
            (world.client.unhalt, TradingResumed(detail=""), Readiness.READY),
        ):
            told = len(world.exchange.told)
            answer = sender.submit(ask)
            until(lambda told=told: len(world.exchange.told) > told)  # type: ignore[misc]  # a default for a loop
            world.shown(fact)
            assert not answer.done()
            world.intake.stands(DaemonStands(readiness=readiness, detail=""))
            assert answer.result()["status"] in {"halted", "resumed"}


def test_a_halt_that_does_not_become_durable_in_time_says_so(make: Callable[..., World]) -> None:
    world = make(answer_seconds=0.05)
    assert world.ask("POST", "/v1/halt", b"{}")[0] == 503
    world.shown(TradingHalted(reason="x", detail=""))
    assert world.ask("POST", "/v1/unhalt")[0] == 503
    for path in ("halt", "unhalt"):
        assert world.ask("POST", f"/v1/{path}", b"[]")[0] == 422


@pytest.mark.parametrize(
    ("readiness", "status", "reason"),
    [
        (Readiness.READY, 200, None),
        (Readiness.HALTED, 503, "HALTED"),
        (Readiness.DRAINING, 503, "NOT_READY"),
        (Readiness.STARTING, 503, "NOT_READY"),
    ],
)
def test_readyz_tells_how_the_daemon_stands(
    world: World, readiness: Readiness, status: int, reason: str | None
) -> None:
    world.intake.stands(DaemonStands(readiness=readiness, detail="because"))
    until(lambda: world.client.status()["detail"] == "because")
    code, body = world.ask("GET", "/readyz")
    assert (code, body["readiness"], body.get("reason")) == (status, readiness.value, reason)


def test_livez_answers_always(make: Callable[..., World]) -> None:
    assert make(connected=False).ask("GET", "/livez") == (200, {"status": "alive"})


def test_metrics_count_verdicts_facts_and_executions(world: World) -> None:
    world.answer(Verdict(status=Status.REJECTED, reason=Reason.STALE))
    world.client.send(SIGNAL)
    world.ask("GET", "/v1/signals", Authorization="")
    world.shown(an_accepted(), TradingHalted(reason="x", detail=""))
    connection = http_client.HTTPConnection("127.0.0.1", world.port, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    for line in (
        'tidegate_http_verdicts_total{reason="STALE",status="rejected"} 1.0',
        'tidegate_http_verdicts_total{reason="UNAUTHORISED",status="rejected"} 1.0',
        'tidegate_facts_total{kind="SignalAccepted"} 1.0',
        'tidegate_readiness{state="STARTING"} 1.0',
        "tidegate_executions_running 1.0",
        "tidegate_halted 1.0",
        "tidegate_journal_seq 2.0",
    ):
        assert line in text


def test_alerts_are_listed(world: World) -> None:
    assert world.ask("GET", "/v1/alerts") == (200, {"alerts": []})


# Events -------------------------------------------------------------------------------------------


def test_events_tell_old_facts_and_then_each_new_one(world: World) -> None:
    world.commit(an_accepted(), a_planned())
    events = world.client.events()
    first, second = next(events), next(events)
    assert [(event.seq, event.kind) for event in (first, second)] == [(1, "SignalAccepted"), (2, "ExecutionPlanned")]
    assert first.data["quantity"] == "0.5"
    world.commit(an_intent())
    third = next(events)
    assert (third.seq, third.data["type"]) == (3, "ChildIntended")


def test_events_begin_after_the_last_one_that_the_reader_has_seen(world: World) -> None:
    world.commit(an_accepted(), a_planned(), an_intent())
    assert next(world.client.events(after=2)).seq == 3


def test_a_last_event_id_that_is_no_number_is_refused(world: World) -> None:
    assert world.ask("GET", "/v1/events", Last_Event_ID="x")[0] == 422


def test_a_slow_reader_of_events_misses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "STREAM_BOUND", 3)
    skips = [SlotSkipped(execution_id=EXECUTION, slice=n, quantity=D(1), reason="x", detail="") for n in range(50)]
    world.commit(*skips)
    events = world.client.events()
    assert [next(events).seq for _ in range(50)] == list(range(1, 51))
    world.commit(an_accepted())
    assert next(events).seq == 51


def test_a_silent_stream_is_kept_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "KEEP_ALIVE_SECONDS", 0.02)
    connection = http_client.HTTPConnection("127.0.0.1", world.port, timeout=5)
    connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.readline() == b": alive\n"
    connection.close()


def test_readers_of_events_are_bounded_and_leave_their_place(make: Callable[..., World]) -> None:
    world = make(max_streams=1)
    world.commit(an_accepted())
    events = world.client.events()
    next(events)
    assert world.ask("GET", "/v1/events")[0] == 429
    events.close()  # type: ignore[attr-defined]
    until(lambda: open_and_close(world) == 200)


def open_and_close(world: World) -> int:
    """A place is free once the loop has noticed that its reader has gone: by the next fact."""
    world.commit(SlotSkipped(execution_id=EXECUTION, slice=1, quantity=D(1), reason="x", detail=""))
    connection = http_client.HTTPConnection("127.0.0.1", world.port, timeout=5)
    connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_streams_end_when_the_intake_closes(world: World) -> None:
    world.commit(an_accepted())
    events = world.client.events()
    next(events)
    world.intake.close()
    with pytest.raises(StopIteration):
        next(events)


# Start and end ------------------------------------------------------------------------------------


def test_a_port_in_use_is_said_plainly(make: Callable[..., World], world: World) -> None:
    with pytest.raises(PortInUse, match=f"127.0.0.1:{world.port} is already in use"):
        make(port=world.port)


def test_an_address_that_is_not_ours_is_said_plainly(make: Callable[..., World]) -> None:
    with pytest.raises(PortInUse, match="no address to listen on"):
        make(host="192.0.2.1")


def test_the_address_stands_in_a_file_while_the_intake_listens(world: World) -> None:
    file = world.data_dir / ADDRESS_FILE
    assert orjson.loads(file.read_bytes()) == {"host": "127.0.0.1", "port": world.port}
    world.intake.close()
    assert not file.exists()
    world.intake.start()


def test_what_became_of_a_command_just_before_the_end_is_still_told(world: World) -> None:
    world.shown(an_accepted())
    with ThreadPoolExecutor(2) as senders:
        cancelled = senders.submit(world.client.command, EXECUTION, "cancel")
        halted = senders.submit(world.client.halt, "by hand")
        until(lambda: bool(world.gate.told and world.exchange.told))
        world.commit(TradingHalted(reason="MANUAL", detail="by hand"))
        assert len(world.journal.proxy().facts.get()) == 2, "and all of it is told"
        [command] = world.gate.told
        assert isinstance(command, CancelExecution)
        command.reply_to.tell(CommandAnswer(execution_id=EXECUTION, done=True, detail=""))
        world.intake.close()
        assert cancelled.result()["status"] == "done"
        assert halted.result() == {"status": "halted", "detail": "MANUAL: by hand"}


def test_a_host_given_by_name_counts_as_foreign_unless_it_is_localhost(loop: LoopThread) -> None:
    assert HttpIntake(loop, HttpSettings(token=TOKEN, host="localhost"))._loopback
    assert not HttpIntake(loop, HttpSettings(token=TOKEN, host="box.example"))._loopback


def test_a_wait_for_the_loop_has_an_end(loop: LoopThread) -> None:
    with pytest.raises(TimeoutError, match="no result"):
        run_and_wait(loop, asyncio.sleep(60), seconds=0.01)


def test_an_intake_is_a_context(loop: LoopThread) -> None:
    intake = HttpIntake(loop, HttpSettings(token=TOKEN, port=0))
    with intake as listening:
        assert listening is intake


def test_a_server_that_is_slow_to_end_is_no_failure_of_the_daemon(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(loop: LoopThread, ending: Coroutine[Any, Any, None], seconds: float) -> None:
        run_and_wait(loop, ending, seconds)
        raise TimeoutError

    with HttpIntake(loop, HttpSettings(token=TOKEN, port=0)):
        monkeypatch.setattr(http, "run_and_wait", slow)


def test_an_empty_token_is_no_token(loop: LoopThread) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        HttpIntake(loop, HttpSettings(token=""))


def test_a_token_is_drawn_once_and_kept_where_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = kept_token(file)
    assert len(token) >= 43
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept_token(file) == token
    file.write_text("\n")
    with pytest.raises(ValueError, match="empty"):
        kept_token(file)


@pytest.mark.parametrize("before", [None, "that of before\n"])
def test_a_token_that_was_configured_is_where_commands_on_this_machine_look(
    loop: LoopThread, tmp_path: Path, before: str | None
) -> None:
    file = tmp_path / TOKEN_FILE
    if before is not None:
        file.write_text(before)
    with HttpIntake(loop, HttpSettings(token=TOKEN, port=0, address_file=tmp_path / ADDRESS_FILE)):
        assert Client.of(tmp_path).executions() == []
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_committed_is_folded_once_however_often_the_actors_are_connected(world: World) -> None:
    world.intake.connect(DaemonUp(gate=world.gate, exchange=world.exchange, journal=world.journal))
    world.shown(an_accepted(), a_trade_booked())
    assert world.client.executions()[0]["total_filled"] == "0.1"
    assert isinstance(Committed(1, NOW, an_accepted()).fact, SignalAccepted)


def test_an_execution_whose_facts_are_archived_is_told_as_whole_as_any_other(make: Callable[..., World]) -> None:
    world = make(connected=False)
    stub = world.journal._actor_weakref()
    assert stub is not None
    world.commit(an_accepted(), a_planned(), an_intent(), a_trade_booked(), a_closed())
    stub.archived = (2, 3, 4)
    world.intake.connect(DaemonUp(gate=world.gate, exchange=world.exchange, journal=world.journal))
    until(lambda: world.client.status()["seq"] == 5)
    assert world.client.executions()[0]["total_filled"] == str(a_closed().report.total_filled)
    children: Any = world.client.execution(EXECUTION)["children"]
    assert len(children) == 1, "found in the archive"
    stub.archived = (1, 2, 3, 4, 5)
    assert world.ask("GET", "/v1/executions/nobodyknowsit")[0] == 404
