"""Signals go to their handler ahead of the router; whoever takes the way by the router gets the same answers."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from typing import Any

import orjson
import pytest

from adapters.intake.fields import MAX_BODY
from adapters.intake.signatures import SIGNATURE
from messages.signal import Reason, Status, Verdict
from tests.adapters.intake.world import SIGNAL, TOKEN, World

BODY = orjson.dumps(SIGNAL)
DUPLICATE = Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE, duplicate_of="an-execution")
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CASES: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "a signal": ("POST", BODY, BEARER),
    "an array": ("POST", b"[%b,%b]" % (BODY, BODY), BEARER),
    "no JSON": ("POST", b"{", BEARER),
    "no body": ("POST", b"", BEARER),
    "a body too large": ("POST", b"x" * (MAX_BODY + 1), BEARER),
    "no token": ("POST", BODY, {}),
    "a wrong token": ("POST", BODY, {"Authorization": "Bearer wrong"}),
    "a forged signature": ("POST", BODY, {SIGNATURE: "forged"}),
    "a foreign host": ("POST", BODY, {**BEARER, "Host": "evil.example"}),
    "a foreign page": ("POST", BODY, {**BEARER, "Origin": "http://evil.example"}),
    "a look": ("GET", b"", BEARER),
    "a method that is not there": ("PUT", BODY, BEARER),
}


def answer(world: World, path: str, method: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any, list[str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=5)) as connection:
        connection.request(method, path, body, headers)
        told = connection.getresponse()
        text = told.read()
        names = sorted(name.lower() for name, _ in told.getheaders())
        return told.status, orjson.loads(text), names


@pytest.mark.parametrize("case", CASES)
def test_a_signal_gets_the_same_answer_on_the_short_way_and_by_the_router(world: World, case: str) -> None:
    world.answer(DUPLICATE)
    short, routed = (answer(world, path, *CASES[case]) for path in ("/v1/signals", "/v1/signals?by=router"))
    assert short == routed
    assert short[0] != 500


def test_a_handler_that_fails_is_told_alike_on_both_ways(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("a secret of ours")

    world.gate.react = fail
    short, routed = (answer(world, path, *CASES["a signal"]) for path in ("/v1/signals", "/v1/signals?by=router"))
    assert short == routed
    assert short[:2] == (500, {"status": "rejected", "reason": "ERROR", "detail": short[1]["detail"]})
    assert caplog.text.count("a request failed: POST /v1/signals") == 2


def test_who_asks_whether_to_go_on_before_it_sends_a_body_is_told_to(world: World) -> None:
    """As curl does with a larger body; it waits a second if nobody says so."""
    world.answer(DUPLICATE)
    head = f"POST /v1/signals HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nExpect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", world.port), timeout=5) as line:
        line.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode())
        assert line.recv(65536).startswith(b"HTTP/1.1 100 ")
        line.sendall(BODY)
        assert line.recv(65536).startswith(b"HTTP/1.1 200 ")
