from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pykka
import pytest

from adapters.intake.signatures import signed_headers
from messages.signal import NonceAnswer, SignalReceived, Status, UseNonce, Verdict
from tests.adapters.intake.world import SIGNAL, World

BODY = orjson.dumps(SIGNAL)
KEYS = {"desk": "a-secret-of-a-desk"}


class Memory:
    """A gate that remembers nonces and calls every signal a duplicate."""

    def __init__(self) -> None:
        self.used: dict[str, None] = {}

    def __call__(self, message: Any) -> None:
        if isinstance(message, UseNonce):
            state: Any = "used" if message.nonce in self.used else "fresh"
            self.used[message.nonce] = None
            message.reply_to.tell(NonceAnswer(sender=message.sender, nonce=message.nonce, state=state))
        else:
            message.reply_to.tell(Verdict(status=Status.DUPLICATE))


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    world = make(signing_keys=KEYS)
    world.gate.react = Memory()
    return world


def headers(nonce: str, *, late: float = 0.0, body: bytes = BODY, secret: str = KEYS["desk"]) -> dict[str, str]:
    return signed_headers("desk", secret, datetime.now(UTC) - timedelta(seconds=late), nonce, body)


def send(world: World, signed: dict[str, str], body: bytes = BODY, bearer: str = "") -> int:
    return world.ask("POST", "/v1/signals", body, Authorization=bearer, **signed)[0]


def signals(world: World) -> int:
    return sum(isinstance(message, SignalReceived) for message in world.gate.told)


def test_a_signed_request_needs_no_token_and_counts_once(world: World) -> None:
    signed = headers("nonce-0001")
    assert send(world, signed) == 200
    assert send(world, signed) == 401
    assert signals(world) == 1
    assert send(world, headers("nonce-0002")) == 200


def test_altered_late_and_forged_requests_are_refused_without_a_word_why_and_use_up_no_nonce(world: World) -> None:
    details = []
    for signed, body in (
        (headers("nonce-0001"), BODY + b" "),
        (headers("nonce-0002", late=31), BODY),
        (headers("nonce-0003", late=-31), BODY),
        (headers("nonce-0004", secret="guessed"), BODY),
    ):
        status, answer = world.ask("POST", "/v1/signals", body, Authorization="", **signed)
        assert status == 401
        details.append(answer["detail"])
    assert len(set(details)) == 1
    assert world.gate.told == []


def test_a_flood_of_forged_requests_is_one_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate")
    for number in range(20):
        assert send(world, headers(f"nonce-{number:04}", secret="guessed")) == 401
    assert sum("without the token" in record.getMessage() for record in caplog.records) == 1


def test_a_signature_is_compared_in_constant_time_whoever_is_said_to_have_signed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    def compare(right: str, shown: str) -> bool:
        compared.append((right, shown))
        return hmac.compare_digest(right, shown)

    monkeypatch.setattr("adapters.intake.signatures.hmac", SimpleNamespace(compare_digest=compare, new=hmac.new))
    for key in ("desk", "nobody"):
        signed = signed_headers(key, "guessed", datetime.now(UTC), "nonce-0001", BODY)
        assert send(world, signed) == 401
    assert [len(right) for right, _ in compared] == [64, 64]


def test_a_wrong_signature_is_not_healed_by_a_right_token(world: World) -> None:
    assert world.ask("POST", "/v1/signals", BODY, **headers("nonce-0001", secret="guessed"))[0] == 401
    assert world.ask("POST", "/v1/signals", BODY)[0] == 200


def test_a_signature_opens_nothing_else(world: World) -> None:
    assert world.ask("POST", "/v1/halt", BODY, Authorization="", **headers("nonce-0001"))[0] == 401


def test_where_signatures_are_required_the_token_alone_is_not_enough(make: Callable[..., World]) -> None:
    world = make(signing_keys=KEYS, require_signature=True)
    world.gate.react = Memory()
    assert world.ask("POST", "/v1/signals", BODY)[0] == 401
    assert send(world, headers("nonce-0001")) == 200


def test_a_gate_that_cannot_keep_the_nonce_lets_nothing_through(make: Callable[..., World]) -> None:
    world = make(signing_keys=KEYS, answer_seconds=0.05)
    assert send(world, headers("nonce-0001")) == 503
    world.gate.react = lambda asked: asked.reply_to.tell(
        NonceAnswer(sender=asked.sender, nonce=asked.nonce, state="not_ready")
    )
    assert send(world, headers("nonce-0002")) == 503

    def stopped(_: object) -> None:
        raise pykka.ActorDeadError

    world.gate.react = stopped
    assert send(world, headers("nonce-0003")) == 503
    assert signals(world) == 0
