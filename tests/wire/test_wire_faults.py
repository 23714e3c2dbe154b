"""Each fault that can be planned, seen from the client."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.wire.exchange_world import World, an_order, resting, signed_params

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]

PATH = "/api/v3/order"


def order_params(**changes: Any) -> dict[str, Any]:
    return signed_params(**an_order(**changes))


async def effects(world: World) -> list[str]:
    return [entry["effect"] for entry in (await world.truth())["received"]]


async def test_a_dropped_request_is_never_done(world: World) -> None:
    await world.faults({"kind": "dropped_request", "on": ["place"], "nth": [1, 2]})
    with pytest.raises(aiohttp.ClientConnectionError):
        await world.place()
    socket = await world.connect()
    with pytest.raises(TimeoutError):
        await socket.reply(await socket.send("order.place"), 0.1)
    assert await effects(world) == ["dropped", "dropped"]
    assert (await world.truth())["orders"] == []


async def test_a_lost_reply_is_of_an_order_that_was_done(world: World) -> None:
    stream = await world.user_stream()
    await world.faults({"kind": "lost_reply", "on": ["place"], "nth": [1, 2]})
    with pytest.raises(aiohttp.ClientConnectionError):
        await world.place(newClientOrderId="rest")
    with pytest.raises(TimeoutError):
        await stream.ask("order.place", order_params(newClientOrderId="socket"), seconds=0.1)
    reports = await stream.reports(4)
    assert [report["c"] for report in reports] == ["rest", "rest", "socket", "socket"]
    assert await effects(world) == ["accepted", "accepted"]
    assert (await stream.ask("ping"))["status"] == 200, "the socket itself is well"


async def test_a_reply_can_be_held_back_before_it_is_lost(world: World) -> None:
    await world.faults({"kind": "lost_reply", "on": ["place"], "nth": [1], "milliseconds": 150})
    began = asyncio.get_running_loop().time()
    with pytest.raises(aiohttp.ClientConnectionError):
        await world.place()
    assert asyncio.get_running_loop().time() - began >= 0.14


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (503, -1006, "An unexpected response was received"),
        (504, -1007, "Timeout waiting for response"),
        (503, -1001, "Internal error"),
        (500, -1000, "An unknown error"),
    ],
)
async def test_an_order_can_be_done_and_answered_by_trouble(world: World, status: int, code: int, text: str) -> None:
    await world.faults({"kind": "error_reply", "on": ["place"], "nth": [1, 2], "status": status, "code": code})
    answer = await world.place()
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["msg"].startswith(text)
    socket = await world.connect()
    reply = await socket.ask("order.place", order_params())
    assert (reply["status"], reply["error"]["code"]) == (status, code)
    assert await effects(world) == ["accepted", "accepted"]


async def test_trouble_can_come_instead_of_the_order(world: World) -> None:
    await world.faults({"kind": "error_instead", "on": ["place"], "nth": [1], "status": 503, "code": -1008})
    assert (await world.place()).error[:2] == (503, -1008)
    assert await effects(world) == ["dropped"]


@pytest.mark.parametrize(("body", "content"), [("html", "<html>"), ("empty", "")])
async def test_trouble_may_speak_html_or_not_at_all(world: World, body: str, content: str) -> None:
    await world.faults({"kind": "error_reply", "on": ["place"], "nth": [1], "status": 502, "body": body})
    answer = await world.place()
    assert answer.status == 502
    assert answer.text.startswith(content)
    assert "json" not in answer.headers.get("Content-Type", "")


@pytest.mark.parametrize("body", ["json", "html", "empty"])
async def test_a_server_in_trouble_may_say_when_to_come_back(world: World, body: str) -> None:
    fault: dict[str, Any] = {"kind": "error_instead", "on": ["time"], "status": 503, "body": body}
    await world.faults({**fault, "nth": [1], "milliseconds": 2500}, {**fault, "nth": [2]})
    assert (await world.get("/api/v3/time")).headers["Retry-After"] == "3"
    assert "Retry-After" not in (await world.get("/api/v3/time")).headers


@pytest.mark.parametrize(
    ("code", "status"), [(-1013, 400), (-1003, 429), (-1003, 418), (-1015, 429), (-2010, 400), (-1020, 400)]
)
async def test_any_refusal_can_be_had(world: World, code: int, status: int) -> None:
    fault = {"kind": "refuse", "nth": [1, 2], "code": code, "status": status, "milliseconds": 3000}
    await world.faults({**fault, "on": ["place"]})
    answer = await world.place()
    assert answer.error[:2] == (status, code)
    assert ("Retry-After" in answer.headers) is (status in {418, 429})
    socket = await world.connect()
    reply = await socket.ask("order.place", order_params())
    assert (reply["status"], reply["error"]["code"]) == (status, code)
    if status in {418, 429}:
        assert answer.headers["Retry-After"] == "3"
        assert reply["error"]["data"]["retryAfter"] - reply["error"]["data"]["serverTime"] in range(2900, 3002)
    assert await effects(world) == ["refused", "refused"]


async def test_a_late_reply_comes_after_later_ones(world: World) -> None:
    socket = await world.connect()
    await world.faults({"kind": "late_reply", "on": ["place"], "nth": [1], "milliseconds": 150})
    late = await socket.send("order.place", order_params(newClientOrderId="late"))
    prompt = await socket.send("ping")
    assert (await socket.next())["id"] == prompt
    reply = await socket.reply(late)
    assert reply["result"]["clientOrderId"] == "late"


async def test_a_late_request_may_arrive_out_of_its_window(world: World) -> None:
    await world.faults({"kind": "late_request", "on": ["cancel"], "nth": [1], "milliseconds": 80})
    await world.signed("POST", PATH, **resting(newClientOrderId="x"))
    answer = await world.signed("DELETE", PATH, symbol="BTCUSDT", origClientOrderId="x", recvWindow=40)
    assert answer.json["code"] == -1021
    assert len((await world.truth())["orders"]) == 1


async def test_a_revoked_session_answers_401_without_an_id(world: World) -> None:
    socket = await world.connect()
    await world.faults({"kind": "revoked", "nth": [1], "via": "ws"})
    await socket.send("ping")
    assert await socket.next() == {
        "id": None,
        "status": 401,
        "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
    }
    assert (await socket.ask("ping"))["status"] == 200


async def test_a_lagging_query_does_not_know_what_is_young(world: World) -> None:
    await world.faults(
        {"kind": "query_lag", "on": ["query", "all_orders", "trades"], "probability": 1.0, "milliseconds": 200}
    )
    await world.place(newClientOrderId="young")
    asked: dict[str, Any] = {"symbol": "BTCUSDT", "origClientOrderId": "young"}
    assert (await world.signed("GET", PATH, **asked)).json["code"] == -2013
    assert (await world.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json == []
    assert (await world.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json == []
    await asyncio.sleep(0.22)
    assert (await world.signed("GET", PATH, **asked)).json["status"] == "FILLED"
    assert len((await world.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json) == 1
    assert len((await world.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json) == 1


async def test_stale_open_orders_are_those_of_a_while_ago(world: World) -> None:
    await world.signed("POST", PATH, **resting(newClientOrderId="gone"))
    await asyncio.sleep(0.25)
    await world.signed("DELETE", PATH, symbol="BTCUSDT", origClientOrderId="gone")
    await world.signed("POST", PATH, **resting(newClientOrderId="new"))
    await world.faults({"kind": "stale_open_orders", "nth": [1], "on": ["open_orders"], "milliseconds": 120})
    stale = (await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
    assert [(row["clientOrderId"], row["status"]) for row in stale] == [("gone", "NEW")]
    fresh = (await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
    assert [row["clientOrderId"] for row in fresh] == ["new"]


async def test_events_can_be_lost_doubled_and_late(world: World) -> None:
    stream = await world.user_stream()
    await world.faults(
        {"kind": "lost_event", "on": ["NEW"], "nth": [1]},
        {"kind": "duplicate_event", "on": ["TRADE"], "nth": [1]},
        {"kind": "late_event", "on": ["outboundAccountPosition"], "nth": [1], "milliseconds": 100},
        {"kind": "duplicate_event", "on": ["NEW"], "nth": [2], "milliseconds": 30},
    )
    await world.place()
    events = [event["event"] for event in await stream.quiet(0.06)]
    assert [event["x"] for event in events] == ["TRADE", "TRADE"]
    assert events[0]["I"] == events[1]["I"]
    assert [event["event"]["e"] for event in await stream.quiet(0.15)] == ["outboundAccountPosition"]
    await world.place(side="SELL", price="50000.00")
    kinds = [event["event"].get("x") for event in await stream.quiet(0.1)]
    assert kinds == ["NEW", "TRADE", None, "NEW"]


async def test_events_usually_follow_the_reply_and_can_be_told_before_it(world: World) -> None:
    stream = await world.user_stream()
    await world.faults({"kind": "event_first", "on": ["place"], "nth": [2]})

    async def order_of_frames() -> list[str]:
        await stream.send("order.place", order_params())
        frames = [await stream.next() for _ in range(4)]
        return ["reply" if "id" in frame else "event" for frame in frames]

    assert await order_of_frames() == ["reply", "event", "event", "event"]
    assert await order_of_frames() == ["event", "event", "event", "reply"]


async def test_a_connection_can_be_closed_warned_or_unsubscribed_at_a_request(world: World) -> None:
    stream = await world.user_stream()
    await world.faults(
        {"kind": "terminated", "via": "ws", "nth": [1]},
        {"kind": "shutdown", "via": "ws", "nth": [2]},
        {"kind": "disconnect", "via": "ws", "nth": [3]},
    )
    await stream.ask("ping")
    assert (await stream.event())["event"]["e"] == "eventStreamTerminated"
    await stream.ask("ping")
    warning = await stream.event()
    assert warning["event"]["e"] == "serverShutdown"
    assert "subscriptionId" not in warning
    await stream.ask("ping")
    with pytest.raises(ConnectionError):
        await stream.next()
    assert stream.ws.close_code == 1001


async def test_session_methods_are_struck_as_well(world: World) -> None:
    await world.faults(
        {"kind": "dropped_request", "on": ["session"], "nth": [1]},
        {"kind": "refuse", "on": ["session"], "nth": [2], "code": -1003, "status": 429, "milliseconds": 3000},
        {"kind": "error_instead", "on": ["session"], "nth": [3]},
        {"kind": "late_request", "on": ["session"], "nth": [4], "milliseconds": 50},
        {"kind": "lost_reply", "on": ["session"], "nth": [4]},
    )
    socket = await world.connect()
    with pytest.raises(TimeoutError):
        await socket.ask("session.status", seconds=0.1)
    limited = await socket.ask("session.status")
    assert limited["status"] == 429
    assert limited["error"]["data"]["retryAfter"] - limited["error"]["data"]["serverTime"] in range(2900, 3002)
    assert (await socket.ask("session.status"))["status"] == 503
    with pytest.raises(TimeoutError):
        await socket.ask("session.status", seconds=0.15)
