"""The WebSocket API: requests, sessions, subscriptions."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pytest

from adapters.paper.server import ApiKey, KeyKind
from tests.wire.exchange_world import (
    KEY,
    Socket,
    World,
    a_world,
    an_order,
    at_market,
    milliseconds,
    resting,
    sign,
    signed_params,
)

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


class Ed25519:
    """A key pair that logs on."""

    def __init__(self, world: World) -> None:
        from Crypto.PublicKey import ECC

        self.private = ECC.generate(curve="ed25519")
        public = self.private.public_key().export_key(format="PEM")
        world.server.desk.keys.put(ApiKey(key="ed", secret=public, kind=KeyKind.ED25519))

    def params(self, **params: Any) -> dict[str, Any]:
        from Crypto.Signature import eddsa

        given = {"apiKey": "ed", "timestamp": milliseconds(), **params}
        payload = "&".join(f"{name}={given[name]}" for name in sorted(given))
        signature = eddsa.new(self.private, "rfc8032").sign(payload.encode())
        return {**given, "signature": base64.b64encode(signature).decode()}

    async def log_on(self, socket: Socket) -> Any:
        return await socket.ask("session.logon", self.params())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", {}),
        ("time", {}),
        ("exchangeInfo", {"symbols": ["BTCUSDT", "ETHUSDT"]}),
        ("depth", {"symbol": "BTCUSDT", "limit": 5}),
        ("trades.recent", {"symbol": "BTCUSDT"}),
        ("ticker.book", {"symbol": "BTCUSDT"}),
        ("ticker.price", {"symbols": ["BTCUSDT"]}),
        ("avgPrice", {"symbol": "BTCUSDT"}),
        ("executionRules", {"symbol": "BTCUSDT"}),
        ("referencePrice", {"symbol": "BTCUSDT"}),
        ("referencePrice.calculation", {"symbol": "BTCUSDT"}),
        ("v3/ping", {}),
    ],
)
async def test_public_methods_answer_with_their_id_and_the_weight_used(
    world: World, method: str, params: dict[str, Any]
) -> None:
    socket = await world.connect()
    reply = await socket.ask(method, params)
    assert reply["status"] == 200, reply
    assert [row["rateLimitType"] for row in reply["rateLimits"]] == ["REQUEST_WEIGHT"]
    assert reply["rateLimits"][0]["count"] > 0


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("order.test", an_order()),
        ("openOrders.status", {"symbol": "BTCUSDT"}),
        ("openOrders.status", {}),
        ("allOrders", {"symbol": "BTCUSDT"}),
        ("myTrades", {"symbol": "BTCUSDT"}),
        ("account.status", {}),
        ("account.commission", {"symbol": "BTCUSDT"}),
        ("account.rateLimits.orders", {}),
        ("myFilters", {"symbol": "BTCUSDT"}),
        ("order.amendments", {"symbol": "BTCUSDT", "orderId": 1}),
    ],
)
async def test_signed_methods_answer(world: World, method: str, params: dict[str, Any]) -> None:
    socket = await world.connect()
    assert (await socket.signed(method, **params))["status"] == 200
    unsigned = await socket.ask(method, {**params, "timestamp": milliseconds()})
    assert unsigned["error"]["code"] == -1102


async def test_an_order_lives_through_the_websocket_api(world: World) -> None:
    socket = await world.user_stream()
    placed = await socket.signed("order.place", **resting(newClientOrderId="one"))
    assert placed["result"]["status"] == "NEW"
    assert [row["rateLimitType"] for row in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    assert placed["rateLimits"][0]["count"] == 1
    found = await socket.signed("order.status", symbol="BTCUSDT", origClientOrderId="one")
    assert found["result"]["orderId"] == placed["result"]["orderId"]
    amended = await socket.signed("order.amend.keepPriority", symbol="BTCUSDT", orderId=1, newQty="0.005")
    assert amended["result"]["amendedOrder"]["qty"] == "0.00500000"
    replaced = await socket.signed(
        "order.cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=1, **resting(newClientOrderId="two")
    )
    assert replaced["result"]["newOrderResult"] == "SUCCESS"
    half = await socket.signed("order.cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=1, **resting())
    assert (half["status"], half["error"]["code"]) == (400, -2022)
    assert half["error"]["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    cancelled = await socket.signed("order.cancel", symbol="BTCUSDT", origClientOrderId="two")
    assert cancelled["result"]["status"] == "CANCELED"
    nothing = await socket.signed("openOrders.cancelAll", symbol="BTCUSDT")
    assert (nothing["status"], nothing["error"]["code"]) == (400, -2011)
    told = [(report["i"], report["x"]) for report in await socket.reports(5)]
    assert told == [(1, "NEW"), (1, "REPLACED"), (1, "CANCELED"), (2, "NEW"), (2, "CANCELED")]


async def test_rate_limits_can_be_switched_off_for_a_request_and_for_a_connection(world: World) -> None:
    socket = await world.connect()
    assert "rateLimits" not in await socket.ask("ping", {"returnRateLimits": False})
    quiet = await world.connect("/ws-api/v3?returnRateLimits=false&timeUnit=MICROSECOND")
    reply = await quiet.ask("time")
    assert "rateLimits" not in reply
    assert abs(reply["result"]["serverTime"] // 1000 - milliseconds()) < 2000


@pytest.mark.parametrize("request_id", ["text", 5, -1])
async def test_an_id_comes_back_as_it_was_sent(world: World, request_id: object) -> None:
    socket = await world.connect()
    await socket.send("ping", request_id=request_id)
    assert (await socket.next())["id"] == request_id


async def test_what_is_no_request_is_answered_without_an_id_and_an_unknown_method_with_it(world: World) -> None:
    socket = await world.connect()
    await socket.ws.send_str("nonsense")
    assert (await socket.next()) == {"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}}
    unknown = await socket.ask("order.guess")
    assert (unknown["status"], unknown["error"]["code"]) == (400, -1020)
    await socket.ws.send_bytes(b"binary")
    with pytest.raises(ConnectionError):
        await socket.next()


async def test_a_wrong_unit_of_time_is_refused_before_the_socket_opens(world: World) -> None:
    for path in ("/ws-api/v3?timeUnit=DAY", "/ws/btcusdt@trade?timeUnit=DAY"):
        with pytest.raises(Exception, match="400"):
            await world.connect(path)


# Sessions ---------------------------------------------------------------------------------------------


async def test_a_log_on_lets_later_requests_go_unsigned(world: World) -> None:
    socket, key = await world.connect(), Ed25519(world)
    assert (await socket.ask("session.status"))["result"]["apiKey"] is None
    result = (await key.log_on(socket))["result"]
    assert result.keys() == {
        "apiKey",
        "authorizedSince",
        "connectedSince",
        "returnRateLimits",
        "serverTime",
        "userDataStream",
    }
    assert (result["apiKey"], result["userDataStream"]) == ("ed", False)
    placed = await socket.ask("order.place", {**an_order(), "timestamp": milliseconds()})
    assert placed["result"]["status"] == "FILLED"
    timeless = await socket.ask("account.status")
    assert timeless["error"]["code"] == -1102
    subscribed = await socket.ask("userDataStream.subscribe")
    assert subscribed["result"] == {"subscriptionId": 0}
    out = (await socket.ask("session.logout"))["result"]
    assert (out["apiKey"], out["userDataStream"]) == (None, False)
    assert (await socket.event())["event"]["e"] == "eventStreamTerminated"
    after = await socket.ask("account.status", {"timestamp": milliseconds()})
    assert after["error"]["code"] == -1102


async def test_only_ed25519_keys_log_on(world: World) -> None:
    socket = await world.connect()
    refused = await socket.signed("session.logon")
    assert refused["error"] == {"code": -4056, "msg": "HMAC_SHA256 API key is not supported."}
    unsubscribed = await socket.ask("userDataStream.subscribe")
    assert unsubscribed["status"] == 401


async def test_an_explicit_key_overrides_the_log_on(world: World) -> None:
    socket, key = await world.connect(), Ed25519(world)
    await key.log_on(socket)
    assert (await socket.signed("account.status"))["status"] == 200
    forged = signed_params(secret="wrong")
    assert (await socket.ask("account.status", forged))["error"]["code"] == -1022


# Subscriptions ----------------------------------------------------------------------------------------


async def test_one_subscription_a_connection_numbered_from_zero_on_each(world: World) -> None:
    one, two = await world.user_stream(), await world.user_stream()
    again = await one.signed("userDataStream.subscribe.signature")
    assert again["error"]["code"] == -2035
    assert (await one.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    assert (await two.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    assert (await one.ask("session.status"))["result"]["userDataStream"] is True


async def test_an_ended_subscription_says_so_and_its_number_is_not_used_again(world: World) -> None:
    socket = await world.user_stream()
    assert (await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 7}))["error"]["code"] == -2036
    assert (await socket.ask("userDataStream.unsubscribe", {"subscriptionId": 0}))["result"] == {}
    last = await socket.event()
    assert (last["subscriptionId"], last["event"]["e"]) == (0, "eventStreamTerminated")
    assert (await socket.ask("userDataStream.unsubscribe"))["error"]["code"] == -2036
    await world.place()
    assert await socket.quiet() == []
    assert (await socket.signed("userDataStream.subscribe.signature"))["result"] == {"subscriptionId": 1}


async def test_a_worn_out_session_must_reconnect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.paper.server.ws_api.MOST_SUBSCRIPTIONS", 1)
    socket = await world.user_stream()
    await socket.ask("userDataStream.unsubscribe")
    assert (await socket.signed("userDataStream.subscribe.signature"))["error"]["code"] == -2042


async def test_a_subscription_must_be_signed_in_time_by_a_known_key(world: World) -> None:
    socket = await world.connect()
    method = "userDataStream.subscribe.signature"
    assert (await socket.signed(method, timestamp=milliseconds() - 9000))["error"]["code"] == -1021
    assert (await socket.signed(method, apiKey="nobody"))["error"]["code"] == -2015
    assert (await socket.signed(method, apiKey=None))["error"]["code"] == -1102
    assert (await socket.signed(method, timestamp=None))["error"]["code"] == -1102
    assert (await socket.signed(method, timestamp="soon"))["error"]["code"] == -1100
    unsigned = await socket.ask(method, {"apiKey": KEY, "timestamp": milliseconds()})
    assert unsigned["error"]["code"] == -1102


async def test_fills_of_resting_orders_are_told_as_the_market_moves(world: World) -> None:
    socket = await world.user_stream()
    await socket.signed("order.place", **resting(price="49995.00", quantity="0.5"))
    await world.book(bids=[("49994.00", "1")], asks=[("49995.00", "0.2"), ("49999.00", "1")])
    new, fill = await socket.reports(2)
    assert (new["x"], new["w"]) == ("NEW", True)
    assert (fill["x"], fill["X"], fill["l"], fill["m"], fill["w"]) == (
        "TRADE",
        "PARTIALLY_FILLED",
        "0.20000000",
        True,
        True,
    )


async def test_an_order_that_came_over_a_socket_is_filled_though_nobody_watches_the_market(world: World) -> None:
    market = world.exchange.steering["BTCUSDT"].steer()
    socket = await world.user_stream()
    await asyncio.sleep(0.1)  # Real time: the markets have come to stand still meanwhile.
    await socket.signed("order.place", **resting(price="49995.00", quantity="0.5"))
    market.set_levels([("49994.00", "1")], [("49995.00", "0.2"), ("49999.00", "1")])
    _, fill = await socket.reports(2)
    assert (fill["x"], fill["l"]) == ("TRADE", "0.20000000")


async def test_a_clients_strategy_is_told_wherever_its_order_is(world: World) -> None:
    socket = await world.user_stream()
    mine = {"strategyId": 7, "strategyType": 1_000_000}
    placed = (await socket.signed("order.place", **resting(newClientOrderId="mine", **mine)))["result"]
    asked: dict[str, Any] = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    found = (await world.signed("GET", "/api/v3/order", **asked)).json
    (opened,) = (await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
    cancelled = (await socket.signed("order.cancel", **asked))["result"]
    for told in (placed, found, opened, cancelled):
        assert {name: told[name] for name in mine} == mine
    assert [(report["x"], report["j"], report["J"]) for report in await socket.reports(2)] == [
        ("NEW", 7, 1_000_000),
        ("CANCELED", 7, 1_000_000),
    ]
    plain = (await socket.signed("order.place", **an_order()))["result"]
    assert mine.keys().isdisjoint(plain)
    assert {"j", "J"}.isdisjoint((await socket.reports(1))[0])
    refused = await socket.signed("order.place", **an_order(strategyType=999_999))
    assert refused["error"] == {"code": -1134, "msg": "`strategyType` was less than 1000000."}


@pytest.mark.parametrize("quantity", ["0.010", "0.01", "1.0E-2", "10"])
async def test_a_number_is_signed_as_it_was_written(world: World, quantity: str) -> None:
    """Clients write the same number in many ways, and sign what they wrote."""
    params = {"apiKey": KEY, "timestamp": milliseconds(), **at_market(quantity=quantity)}
    signature = sign("&".join(f"{name}={params[name]}" for name in sorted(params)))
    frame = orjson.dumps({"id": 1, "method": "order.place", "params": {**params, "signature": signature}})
    socket = await world.connect()
    await socket.ws.send_str(frame.replace(f'"{quantity}"'.encode(), quantity.encode()).decode())
    reply = await socket.reply(1)
    if "E" in quantity:
        assert reply["error"]["code"] == -1100, "a power of ten is no number here"
    else:
        assert reply["status"] == 200


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ({"type": "STOP_LOSS_LIMIT", "trailingDelta": 100, "timeInForce": "GTC"}, "Trailing stop"),
        ({"icebergQty": "0.005", "timeInForce": "GTC"}, "Iceberg"),
        ({"pegPriceType": "PRIMARY_PEG", "timeInForce": "GTC"}, "Pegged"),
    ],
)
async def test_orders_of_a_kind_that_there_is_not_are_refused_as_for_a_symbol_without_them(
    world: World, order: dict[str, Any], kind: str
) -> None:
    text = f"{kind} orders are not supported for this symbol."
    assert (await world.place(**order)).error == (400, -2010, text)
    socket = await world.connect()
    refused = await socket.signed("order.place", **an_order(**order))
    assert (refused["status"], refused["error"]) == (400, {"code": -2010, "msg": text})


async def test_a_stop_order_waits_off_the_book_is_open_and_goes_when_its_price_is_traded(world: World) -> None:
    info = (await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json["symbols"][0]
    assert {"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"} <= set(info["orderTypes"])
    stream = await world.user_stream()
    order = an_order(type="STOP_LOSS_LIMIT", side="SELL", stopPrice="49500.00", price="49400.00", timeInForce="GTC")
    placed = await world.signed("POST", "/api/v3/order", **order)
    assert placed.json.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}, "an ACK"
    (opened,) = (await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
    assert (opened["type"], opened["stopPrice"], opened["isWorking"]) == ("STOP_LOSS_LIMIT", "49500.00000000", False)
    (told,) = await stream.reports(1)
    assert (told["x"], told["X"], told["P"], told["w"]) == ("NEW", "NEW", "49500.00000000", False)
    assert "W" not in told
    await world.control("market", symbol="BTCUSDT", trade=["SELL", "49501.00", "0.1"])
    assert [event for event in await stream.quiet() if event["event"]["e"] == "executionReport"] == []
    await world.control("market", symbol="BTCUSDT", trade=["SELL", "49500.00", "0.1"])
    working, trade = await stream.reports(2)
    assert (working["x"], working["w"], working["W"]) == ("NEW", True, working["T"])
    assert (trade["x"], trade["X"], trade["o"]) == ("TRADE", "FILLED", "STOP_LOSS_LIMIT")
    assert trade["L"] >= "49400.00000000"
    done = (await world.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed.json["orderId"])).json
    assert (done["status"], done["isWorking"], done["workingTime"]) == ("FILLED", True, working["W"])
    late = await world.signed("POST", "/api/v3/order", **{**order, "stopPrice": "60000.00"})
    assert late.error == (400, -2010, "Stop price would trigger immediately.")


async def test_orders_that_meet_each_other_are_prevented_and_say_so(world: World) -> None:
    socket = await world.user_stream()
    await socket.signed("order.place", **resting(price="50000.50"))
    reply = await socket.signed(
        "order.place", **an_order(side="SELL", price="50000.50", selfTradePreventionMode="EXPIRE_MAKER")
    )
    assert reply["result"]["status"] == "EXPIRED"
    prevented = next(report for report in await socket.reports(4) if report["x"] == "TRADE_PREVENTION")
    assert (prevented["X"], prevented["A"], prevented["U"]) == ("EXPIRED_IN_MATCH", "0.01000000", 2)


@pytest.mark.parametrize("mode", ["DECREMENT", "TRANSFER"])
async def test_orders_that_decrement_each_other_say_what_was_prevented(world: World, mode: str) -> None:
    socket = await world.user_stream()
    await socket.signed("order.place", **resting(price="50000.50", quantity="0.03"))
    sell = an_order(side="SELL", price="50000.50", quantity="0.02", selfTradePreventionMode=mode)
    reply = (await socket.signed("order.place", **sell))["result"]
    assert (reply["status"], reply["executedQty"], reply["fills"]) == ("EXPIRED_IN_MATCH", "0.00000000", [])
    assert (reply["preventedQuantity"], reply["selfTradePreventionMode"]) == ("0.02000000", mode)
    _, _, maker, taker = await socket.reports(4)
    assert [(report["x"], report["X"], report["i"], report["U"]) for report in (maker, taker)] == [
        ("TRADE_PREVENTION", "NEW", 1, 2),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", 2, 1),
    ]
    for report in (maker, taker):
        prevented = {name: report[name] for name in ("A", "B", "pl", "pL", "pY", "v", "u", "Cs", "l", "t")}
        assert prevented == {
            **dict.fromkeys(("A", "B", "pl"), "0.02000000"),
            "pL": "50000.50000000",
            "pY": "1000.01000000",
            "v": reply["preventedMatchId"],
            "u": 1,
            "Cs": "BTCUSDT",
            "l": "0.00000000",
            "t": -1,
        }
    left = (await world.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=1)).json
    assert (left["status"], left["preventedQuantity"]) == ("NEW", "0.02000000")
    assert left["preventedMatchId"] == reply["preventedMatchId"]


async def test_a_connection_is_closed_after_its_time() -> None:
    async with a_world(connection_seconds=0.2) as world:
        socket = await world.user_stream()
        with pytest.raises(ConnectionError):
            await socket.next()
        assert socket.ws.close_code == 1001


async def test_a_stopped_server_says_goodbye() -> None:
    async with a_world() as world:
        socket = await world.connect()
        reading = asyncio.create_task(socket.next())
        await world.server.stop()
        with pytest.raises(ConnectionError):
            await reading
        assert socket.ws.close_code == 1001


async def test_requests_on_one_socket_are_done_in_their_order(world: World) -> None:
    socket = await world.connect()
    numbers = [await socket.send("order.place", signed_params(**resting(price=f"4900{n}.00"))) for n in range(8)]
    replies = [await socket.reply(number) for number in numbers]
    assert [reply["result"]["orderId"] for reply in replies] == list(range(1, 9))


async def test_a_client_that_reads_too_slowly_is_cut_off() -> None:
    async with a_world(most_waiting=5) as world:
        socket = await world.connect()
        session = next(iter(world.server._sessions))
        for _ in range(6):
            session.send(b"{}")
        for _ in range(5):
            assert await socket.next() == {}
        with pytest.raises(ConnectionError):
            await socket.next()
        assert socket.ws.close_code == 1008
