"""The control face: steering the market, the clock and the connections, and who may do it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.paper.limits import LimitSettings
from tests.wire.exchange_world import World, a_world, an_order, milliseconds, resting

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


async def test_truth_tells_requests_orders_trades_and_balances(world: World) -> None:
    await world.place(newClientOrderId="a")
    await world.place(newClientOrderId="b", side="HOLD")
    truth = await world.truth()
    assert truth.keys() >= {"received", "orders", "trades", "balances"}
    told = [(entry["clientOrderId"], entry["effect"], entry.get("code")) for entry in truth["received"]]
    assert told == [("a", "accepted", None), ("b", "refused", -1117)]
    assert [order["clientOrderId"] for order in truth["orders"]] == ["a"]
    assert truth["trades"][0]["qty"] == "0.01000000"


async def test_truth_tells_of_orders_that_come_in_a_ban_and_for_how_long_they_were_forbidden() -> None:
    async with a_world(limits=LimitSettings(weight_per_minute=1, ban_after=1)) as world:
        await world.control("clock", skew_ms=(20_000 - milliseconds()) % 60_000)  # No minute shall end meanwhile.
        await world.place(newClientOrderId="a", side="HOLD", recvWindow=60_000)
        for name in ("b", "c", "d"):
            await world.signed("GET", "/api/v3/time")
            await world.place(newClientOrderId=name, recvWindow=60_000)
        truth = await world.truth()
    received = truth["received"]
    assert len(truth["exceeded"]) >= 3
    assert {hit["code"] for hit in truth["exceeded"]} == {-1003}
    assert [(entry["clientOrderId"], entry.get("code")) for entry in received][1:] == [
        ("b", -1003),
        ("c", -1003),
        ("d", -1003),
    ]
    assert "retryAfter" not in received[0]
    assert 110_000 < received[-1]["retryAfter"] <= 120_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", b"nonsense"),
        ("faults", b'{"faults": [{"kind": "earthquake"}]}'),
        ("faults", b'{"faults": [{"kind": "refuse", "colour": 1}]}'),
        ("faults", b'{"faults": [{"kind": "lost_reply", "on": ["plase"]}]}'),
        ("market", b'{"symbol": "NOPE"}'),
        ("market", b'{"symbol": "BTCUSDT", "bids": [["-1", "1"]]}'),
        ("market", b'{"symbol": "BTCUSDT", "bids": [["x", "1"]]}'),
        ("market", b'{"symbol": "BTCUSDT", "filters": {"LOT_SIZE": {"colour": 1}}}'),
        ("market", b'{"symbol": "BTCUSDT", "filters": {"ODD_SIZE": {}}}'),
        ("market", b'{"symbol": "BTCUSDT", "price_range": {"up": "1.1"}}'),
        ("market", b'{"symbol": "BTCUSDT", "price_range": {"bidLimitMultUp": "-1"}}'),
        ("market", b'{"symbol": "BTCUSDT", "expire": 5}'),
        ("clock", b"{}"),
        ("streams", b'{"action": "dance"}'),
        ("keys", b'{"key": "k"}'),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_with_a_reason(world: World, path: str, body: bytes) -> None:
    answer = await world.raw("POST", f"/paper/{path}", body=body.decode())
    assert answer.status == 400
    assert answer.json["status"] == "refused"
    assert answer.json["reason"]


async def test_what_the_control_face_does_not_have_is_404(world: World) -> None:
    answer = await world.raw("GET", "/paper/secrets")
    assert answer.status == 404
    assert "GET /paper/truth" in answer.json["reason"]


async def test_another_host_or_a_foreign_page_is_not_served(world: World) -> None:
    assert (await world.raw("GET", "/api/v3/ping", Host="evil.example")).status == 403
    assert (await world.raw("POST", "/paper/clock", Origin="https://evil.example")).status == 403
    assert (await world.raw("GET", "/api/v3/ping", Origin="http://localhost:3000")).status == 200


async def test_a_market_is_set_frozen_halted_and_released(world: World) -> None:
    touch = await world.control("market", symbol="ETHUSDT", bid="3000", ask="3001", ask_quantity="5")
    assert (touch["b"], touch["B"], touch["a"], touch["A"]) == (
        "3000.00000000",
        "1.00000000",
        "3001.00000000",
        "5.00000000",
    )
    await world.control("market", symbol="BTCUSDT", halt=True)
    assert (await world.place()).error == (400, -2010, "Market is closed.")
    await world.control("market", symbol="BTCUSDT", release=True, bid="40000", ask="40001")
    assert (await world.place(price="40001", quantity="0.01")).json["status"] == "FILLED"
    await world.control("market", symbol="BTCUSDT", freeze=True)
    one_sided = await world.control("market", symbol="BTCUSDT", release=True, ask="40002")
    assert (one_sided["b"], one_sided["a"]) == ("0.00000000", "40002.00000000")


async def test_filters_can_be_changed(world: World) -> None:
    filters = {"PRICE_FILTER": {"tickSize": "10"}, "LOT_SIZE": {"minQty": "1"}}
    await world.control("market", symbol="BTCUSDT", filters=filters)
    assert (await world.place()).json["msg"] == "Filter failure: PRICE_FILTER"
    info = (await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json["symbols"][0]["filters"]
    assert next(row for row in info if row["filterType"] == "LOT_SIZE")["minQty"] == "1.00000000"


async def test_the_exchange_can_end_an_order_by_itself(world: World) -> None:
    stream = await world.user_stream()
    await world.signed("POST", "/api/v3/order", **resting())
    await world.control("market", symbol="BTCUSDT", expire=1)
    _, report = await stream.reports(2)
    assert (report["x"], report["eR"]) == ("EXPIRED", "EXCHANGE_CANCELED")


async def test_faults_are_told_added_and_cleared(world: World) -> None:
    await world.faults({"kind": "refuse", "nth": [1]})
    await world.control("faults", faults=[{"kind": "lost_reply", "nth": [9]}], add=True)
    await world.place()
    state = (await world.raw("GET", "/paper/faults")).json["faults"]
    assert [(row["kind"], row["occasions"], row["strikes"]) for row in state] == [
        ("refuse", 1, 1),
        ("lost_reply", 1, 0),
    ]
    assert (await world.raw("DELETE", "/paper/faults")).json == {"faults": []}
    assert (await world.place()).status == 200


@pytest.mark.parametrize("action", ["cut", "close"])
async def test_connections_are_cut_or_closed(world: World, action: str) -> None:
    user, market = await world.user_stream(), await world.connect("/ws")
    assert await world.control("streams", action=action, which="user", code=1012) == {"connections": 1}
    with pytest.raises(ConnectionError):
        await user.next()
    assert user.ws.close_code == (1006 if action == "cut" else 1012)
    assert (await market.ask("LIST_SUBSCRIPTIONS"))["result"] == []
    assert await world.control("streams", action=action, which="all") == {"connections": 1}
    with pytest.raises(ConnectionError):
        await market.next()


async def test_a_shutdown_is_announced_on_every_kind_of_connection_and_may_follow(world: World) -> None:
    user, raw = await world.user_stream(), await world.connect("/ws")
    combined = await world.connect("/stream")
    await world.control("streams", action="shutdown", milliseconds=30)
    assert (await user.next())["event"]["e"] == "serverShutdown"
    assert (await raw.next())["e"] == "serverShutdown"
    told = await combined.next()
    assert (told["stream"], told["data"]["e"]) == ("!serverShutdown", "serverShutdown")
    for socket in (user, raw, combined):
        with pytest.raises(ConnectionError):
            await socket.next()
        assert socket.ws.close_code == 1001


async def test_a_stalled_stream_keeps_its_events_and_still_answers(world: World) -> None:
    user = await world.user_stream()
    await world.control("streams", action="stall", which="user")
    await world.place()
    assert await user.quiet() == []
    assert (await user.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    await world.control("streams", action="resume", which="user")
    await world.place()
    assert {event["event"].get("i") for event in await user.quiet()} == {2, None}


async def test_a_dead_stream_says_nothing_at_all(world: World) -> None:
    user = await world.user_stream()
    await world.control("streams", action="stall", which="user", what="everything")
    with pytest.raises(TimeoutError):
        await user.ask("ping", seconds=0.1)
    await user.ws.ping()
    with pytest.raises(TimeoutError):
        await user.next(0.1)


async def test_subscriptions_are_terminated_or_forgotten(world: World) -> None:
    user = await world.user_stream()
    await world.connect("/ws")
    await world.control("streams", action="terminate")
    assert (await user.event())["event"]["e"] == "eventStreamTerminated"
    await user.signed("userDataStream.subscribe.signature")
    await world.control("streams", action="forget")
    assert (await user.ask("session.subscriptions"))["result"] == []
    await world.place()
    assert await user.quiet() == []


async def test_the_price_range_rule_ends_an_order_that_would_go_beyond(world: World) -> None:
    await world.control("market", symbol="BTCUSDT", price_range={"bidLimitMultUp": "1.0001"})
    rules: Any = (await world.get("/api/v3/executionRules", symbol="BTCUSDT")).json["symbolRules"][0]["rules"]
    assert rules == [{"ruleType": "PRICE_RANGE", "bidLimitMultUp": "1.00010000"}]
    reply = await world.signed("POST", "/api/v3/order", **an_order(quantity="2", price="50020"))
    assert (reply.json["status"], reply.json["expiryReason"], reply.json["executedQty"]) == (
        "EXPIRED",
        "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
        "1.00000000",
    )
    await world.book()
    await world.control("market", symbol="BTCUSDT", price_range={})
    assert (await world.get("/api/v3/executionRules", symbol="BTCUSDT")).json["symbolRules"][0]["rules"] == []
    free = await world.signed("POST", "/api/v3/order", **an_order(quantity="2", price="50020"))
    assert free.json["status"] == "FILLED"
