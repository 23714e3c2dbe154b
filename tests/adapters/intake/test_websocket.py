from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from adapters.intake import websocket
from adapters.intake.fields import MAX_BODY
from messages.facts import SlotSkipped
from messages.signal import Reason, SignalReceived, Status, Verdict
from tests.adapters.intake.world import ACCEPTED, SIGNAL, TOKEN, World, until
from tests.factories import EXECUTION, D, a_closed, a_planned, a_trade_booked, an_accepted, an_intent

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def connected(world: World, **changes: Any) -> Iterator[ClientConnection]:
    options = {"additional_headers": BEARER, "proxy": None, "close_timeout": 2, **changes}
    with connect(f"ws://127.0.0.1:{world.port}/v1/ws", **options) as socket:
        yield socket


def said(socket: ClientConnection) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(socket.recv(timeout=5))
    return answer


def test_a_verdict_comes_back_with_the_number_of_its_message(world: World) -> None:
    world.gate.react = lambda message: message.reply_to.tell(
        Verdict(status=Status.REJECTED, reason=Reason.STALE, detail="old", id=message.signal.id)
    )
    with connected(world) as socket:
        for id_ in ("a", "b"):
            socket.send(orjson.dumps({**SIGNAL, "id": id_}).decode())
        socket.send(orjson.dumps({**SIGNAL, "id": "c"}))
        answers = [said(socket) for _ in range(3)]
    assert answers[0] == {
        "type": "Verdict",
        "number": 1,
        "id": "a",
        "status": "rejected",
        "reason": "STALE",
        "detail": "old",
    }
    assert [(answer["number"], answer["id"]) for answer in answers] == [(1, "a"), (2, "b"), (3, "c")]


def test_an_array_gets_a_verdict_for_each_and_nonsense_gets_one_too(world: World) -> None:
    world.answer(Verdict(status=Status.DUPLICATE))
    with connected(world) as socket:
        socket.send(orjson.dumps([SIGNAL, {"x": 1}]).decode())
        assert [(one["number"], one["index"], one["status"]) for one in (said(socket), said(socket))] == [
            (1, 0, "duplicate"),
            (1, 1, "rejected"),
        ]
        socket.send("nonsense")
        answer = said(socket)
        assert (answer["number"], answer["reason"]) == (2, "MALFORMED")


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.DUPLICATE])
def test_the_progress_of_the_execution_follows_its_verdict_up_to_the_report(world: World, status: Status) -> None:
    duplicate = Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE, duplicate_of=EXECUTION)
    world.answer(ACCEPTED if status is Status.ACCEPTED else duplicate)
    world.shown(an_accepted(), a_planned(), an_accepted(execution_id="another234567"))
    with connected(world) as socket:
        socket.send(orjson.dumps(SIGNAL).decode())
        verdict = said(socket)
        assert (verdict["status"], verdict.get("execution_id") or verdict["duplicate_of"]) == (status, EXECUTION)
        assert [said(socket)["type"] for _ in range(2)] == ["SignalAccepted", "ExecutionPlanned"]
        world.commit(an_intent(), a_trade_booked(), a_closed(), a_closed(execution_id="another234567"))
        facts = [said(socket) for _ in range(3)]
        assert [fact["type"] for fact in facts] == ["ChildIntended", "TradeBooked", "ExecutionClosed"]
        assert facts[-1]["execution_id"] == EXECUTION
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)


def test_one_execution_is_told_once_on_a_connection_and_a_bounded_number_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_FOLLOWED", 1)
    world.shown(an_accepted(), an_accepted(execution_id="another234567"))
    with connected(world) as socket:
        types = []
        for of in (EXECUTION, EXECUTION, "another234567"):
            world.answer(Verdict(status=Status.DUPLICATE, duplicate_of=of))
            socket.send(orjson.dumps(SIGNAL).decode())
        types = [said(socket)["type"] for _ in range(4)]
        assert sorted(types) == ["SignalAccepted", "Verdict", "Verdict", "Verdict"]


@pytest.mark.parametrize("header", ["", "Bearer wrong"])
def test_nobody_without_the_token_gets_a_socket(world: World, header: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(world, additional_headers={"Authorization": header}):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_from_elsewhere_gets_no_socket_even_with_the_token(world: World, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(world, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_our_own_does(world: World) -> None:
    with connected(world, origin=f"http://127.0.0.1:{world.port}") as socket:
        socket.send("x")
        assert said(socket)["reason"] == "MALFORMED"


def test_sockets_are_bounded_and_leave_their_place(make: Callable[..., World]) -> None:
    world = make(max_streams=1)
    with connected(world), pytest.raises(InvalidStatus) as refused, connected(world):
        pass
    assert refused.value.response.status_code == 429
    until(lambda: not world.intake.routes._streams)


def test_a_message_that_is_too_large_ends_the_connection(world: World) -> None:
    with connected(world) as socket:
        socket.send("x" * (MAX_BODY + 1))
        with pytest.raises(ConnectionClosed):
            said(socket)


def test_messages_are_not_read_without_bound_while_verdicts_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_WAITING", 2)
    with connected(world) as socket:
        for _ in range(10):
            socket.send(orjson.dumps(SIGNAL).decode())
        until(lambda: len(world.gate.told) == 2)
        threading.Event().wait(0.05)
        assert len(world.gate.told) == 2
        world.answer(Verdict(status=Status.DUPLICATE))
        for message in world.gate.told[:2]:
            assert isinstance(message, SignalReceived)
            message.reply_to.tell(Verdict(status=Status.DUPLICATE))
        assert sorted(said(socket)["number"] for _ in range(10)) == list(range(1, 11))


def test_a_reader_that_takes_nothing_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "STALLED_SECONDS", 0.1)
    world.answer(ACCEPTED)
    skipped = SlotSkipped(execution_id=EXECUTION, slice=1, quantity=D(1), reason="STALE_MARKET", detail="x" * 50_000)
    world.shown(an_accepted(), *[skipped] * 400)
    with connected(world, max_queue=1) as socket:
        socket.send(orjson.dumps(SIGNAL).decode())
        until(lambda: bool(world.intake.routes._streams))
        until(lambda: not world.intake.routes._streams)


def test_sockets_end_when_the_intake_closes(world: World) -> None:
    with connected(world) as socket:
        socket.send(orjson.dumps(SIGNAL).decode())
        until(lambda: len(world.gate.told) == 1)
        world.intake.close()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)


def test_the_example_sends_a_signal_and_follows_it_to_its_report(world: World) -> None:
    from examples.ws_client import work

    world.answer(ACCEPTED)
    world.shown(an_accepted(), a_planned(), a_closed())
    told = list(work(f"ws://127.0.0.1:{world.port}/v1/ws", TOKEN, SIGNAL))
    assert [one["type"] for one in told] == ["Verdict", "SignalAccepted", "ExecutionPlanned", "ExecutionClosed"]
    world.answer(Verdict(status=Status.REJECTED, reason=Reason.STALE))
    assert [one["type"] for one in work(f"ws://127.0.0.1:{world.port}/v1/ws", TOKEN, SIGNAL)] == ["Verdict"]
