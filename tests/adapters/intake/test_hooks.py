from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from adapters.intake.hooks import hook_status, public_path
from adapters.intake.template_tables import template_tables
from messages.signal import Reason, SignalReceived, Status, Verdict
from tests.adapters.intake.test_templates import THREE_COMMAS, TRADINGVIEW
from tests.adapters.intake.world import ACCEPTED, SIGNAL, TOKEN, World
from tests.slowness import at_most

HOOK = "a-hooks-own-token-of-128-bits"
DESK = "the-desks-token-of-128-bits-too"
TEMPLATES = template_tables({"desk": {"base": "3commas", "source": "desk", "token": DESK}})[0]
REJECTED = Verdict(status=Status.REJECTED, reason=Reason.STALE, detail="old")
NOT_READY = Verdict(status=Status.REJECTED, reason=Reason.NOT_READY)
DUPLICATE = Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE)


@pytest.fixture
def hooked(make: Callable[..., World]) -> World:
    world = make(hook_token=HOOK, templates=TEMPLATES)
    world.answer(ACCEPTED)
    return world


def post(world: World, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Ask without a bearer token, as a webhook does."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return world.ask("POST", path, raw, Authorization="", **headers)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "no/such"])
def test_a_body_is_read_whatever_its_content_type_says(hooked: World, kind: str) -> None:
    assert post(hooked, f"/hook/{HOOK}", SIGNAL, Content_Type=f"{kind}; charset=utf-8")[0] == 202
    [told] = hooked.gate.told
    assert isinstance(told, SignalReceived)
    assert told.signal.id == SIGNAL["id"]


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (ACCEPTED, 202),
        (DUPLICATE, 200),
        (Verdict(status=Status.CONFLICT, reason=Reason.CONFLICT), 409),
        (REJECTED, 422),
        (Verdict(status=Status.REJECTED, reason=Reason.TOO_MANY), 429),
        (NOT_READY, 503),
        (Verdict(status=Status.REJECTED, reason=Reason.HALTED), 503),
    ],
)
def test_a_sender_that_resends_on_5xx_comes_again_for_what_may_still_be_done_and_for_nothing_else(
    hooked: World, verdict: Verdict, status: int
) -> None:
    hooked.answer(verdict)
    assert post(hooked, f"/hook/{HOOK}", SIGNAL)[0] == status


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [([ACCEPTED, REJECTED], 200), ([ACCEPTED, NOT_READY], 503), ([REJECTED, REJECTED], 422), ([], 200)],
)
def test_of_several_one_that_is_wanted_again_decides(verdicts: list[Verdict], status: int) -> None:
    assert hook_status(verdicts) == status


@pytest.mark.parametrize("token", ["wrong", HOOK[:-1], HOOK + "x", HOOK.upper(), "%ff%fe", "..", "a%2Fb"])
def test_nobody_without_a_hooks_token_gets_in_and_is_not_told_why(hooked: World, token: str) -> None:
    status, body = post(hooked, f"/hook/{token}", SIGNAL)
    assert (status, body["reason"]) == (401, "UNAUTHORISED")
    assert hooked.gate.told == []


def test_a_hooks_token_opens_nothing_but_the_hook(hooked: World) -> None:
    for method, path in (("POST", "/v1/signals"), ("POST", "/v1/halt"), ("GET", "/v1/ws")):
        assert hooked.ask(method, path, b"{}", Authorization=f"Bearer {HOOK}")[0] == 401
    assert post(hooked, f"/hook/{TOKEN}", SIGNAL)[0] == 202


def test_a_hook_reads_by_the_template_that_is_named(hooked: World) -> None:
    assert post(hooked, f"/hook/{HOOK}?template=tradingview", TRADINGVIEW)[0] == 202
    told = hooked.gate.told[0]
    assert isinstance(told, SignalReceived)
    assert (told.signal.source, told.signal.symbol) == ("tradingview", "BTCUSDT")
    text = b"My strategy: order buy @ 0.1 filled on BTCUSDT. New strategy position is 0.1"
    assert post(hooked, f"/hook/{HOOK}?template=tradingview", text)[0] == 202
    status, body = post(hooked, f"/hook/{HOOK}?template=nobody", TRADINGVIEW)
    assert (status, body["reason"]) == (422, "MALFORMED")
    assert "3commas" in body["detail"]


def test_a_template_that_nobody_knows_is_said_in_the_answer_and_the_log_and_counted(
    hooked: World, caplog: pytest.LogCaptureFixture
) -> None:
    status, answer = post(hooked, f"/hook/{HOOK}?template=tradingviews", SIGNAL)
    assert (status, answer["status"], answer["reason"]) == (422, "rejected", "MALFORMED")
    assert "there is no such template" in answer["detail"]
    assert "a signal was refused, MALFORMED: there is no such template; there are " in caplog.text
    assert hooked.intake.routes._verdicts == {("rejected", "MALFORMED"): 1}


def test_a_hook_with_a_wrong_token_is_said_in_the_log_for_its_sender_shows_no_answer_to_anybody(
    hooked: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(hooked, f"/hook/{HOOK}x", SIGNAL)[0] == 401
    assert "a request to /hook/ with a wrong token" in caplog.text
    assert HOOK not in caplog.text


def test_a_templates_own_token_says_template_and_source(hooked: World) -> None:
    assert post(hooked, f"/hook/{DESK}", THREE_COMMAS)[0] == 202
    assert post(hooked, f"/hook/{DESK}?template=desk", THREE_COMMAS)[0] == 202
    told = hooked.gate.told[0]
    assert isinstance(told, SignalReceived)
    assert told.signal.source == "desk"
    status, body = post(hooked, f"/hook/{DESK}?template=tradingview", TRADINGVIEW)
    assert (status, body["reason"]) == (422, "MALFORMED")


def test_an_array_gets_an_array(hooked: World) -> None:
    status, verdicts = post(hooked, f"/hook/{DESK}", [THREE_COMMAS, {"x": 1}])
    assert status == 200
    assert [verdict["status"] for verdict in verdicts] == ["accepted", "rejected"]


def test_a_hook_answers_in_time_even_if_the_gate_does_not(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.intake import routes

    assert routes.HOOK_SECONDS < 3, "TradingView waits no longer"
    monkeypatch.setattr(routes, "HOOK_SECONDS", 0.1)
    with at_most(2.0):
        status, body = post(make(hook_token=HOOK), f"/hook/{HOOK}", SIGNAL)
    assert (status, body["reason"]) == (503, "NOT_READY")


def test_a_body_that_is_too_large_is_refused(hooked: World) -> None:
    assert post(hooked, f"/hook/{HOOK}", b" " * 70_000)[0] == 413


def test_a_get_and_a_longer_path_are_no_hooks(hooked: World) -> None:
    assert hooked.ask("GET", f"/hook/{HOOK}")[0] == 405
    assert post(hooked, f"/hook/{HOOK}/more", SIGNAL)[0] == 404


@pytest.mark.parametrize("path", [f"/hook/{HOOK}", f"//hook/{HOOK}", f"/HOOK/{HOOK}", f"/hook//{HOOK}"])
def test_a_path_is_said_without_its_token(path: str) -> None:
    assert HOOK not in public_path(path)
    assert public_path("/v1/signals") == "/v1/signals"
