"""The sixteen behaviours that a stand-in for Binance owes its clients, one test each."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.paper.account import Fees
from adapters.paper.limits import LimitSettings
from adapters.paper.server import ApiKey, KeyKind
from adapters.paper.server.faults import WireFault
from adapters.paper.store import AccountFile
from tests.wire.exchange_world import (
    KEY,
    ROOMY,
    World,
    a_world,
    an_order,
    at_market,
    encoded,
    milliseconds,
    resting,
    sign,
    signed_params,
)

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


async def test_row_01_rest_websocket_api_and_streams_share_one_port(world: World) -> None:
    assert (await world.get("/api/v3/ping")).json == {}
    api = await world.connect("/ws-api/v3")
    assert (await api.ask("ping"))["result"] == {}
    raw = await world.connect("/ws/btcusdt@bookTicker")
    assert (await raw.next())["b"] == "50000.00000000"
    combined = await world.connect("/stream?streams=btcusdt@bookTicker/btcusdt@depth5")
    names = {(await combined.next())["stream"], (await combined.next())["stream"]}
    assert names == {"btcusdt@bookTicker", "btcusdt@depth5"}


async def test_row_02_parameters_may_stand_in_query_body_or_both_and_get_may_hold_raw_brackets(world: World) -> None:
    first = await world.signed("POST", "/api/v3/order", **an_order(newClientOrderId="in-query"))
    second = await world.signed("POST", "/api/v3/order", in_body=True, **resting(newClientOrderId="in-body"))
    assert (first.status, second.status) == (200, 200)

    query = encoded(an_order(newClientOrderId="mixed", side="SELL"))
    body = encoded({"side": "BUY", "timestamp": milliseconds()})
    mixed = await world.raw(
        "POST", "/api/v3/order", query, f"{body}&signature={sign(query + body)}", **{"X-MBX-APIKEY": KEY}
    )
    assert mixed.json["side"] == "SELL", "the query's value wins"

    deleted = await world.signed("DELETE", "/api/v3/order", in_body=True, symbol="BTCUSDT", origClientOrderId="in-body")
    assert deleted.json["status"] == "CANCELED"
    raw = await world.raw("GET", "/api/v3/ticker/price", 'symbols=["BTCUSDT","BNBUSDT"]')
    assert [row["symbol"] for row in raw.json] == ["BTCUSDT", "BNBUSDT"]


async def test_row_03_a_signature_over_anything_but_the_received_text_is_refused(world: World) -> None:
    payload = encoded(an_order(timestamp=milliseconds()))
    wrong = await world.raw(
        "POST", "/api/v3/order", f"{payload}&signature={sign(payload + 'x')}", **{"X-MBX-APIKEY": KEY}
    )
    assert wrong.error == (400, -1022, "Signature for this request is not valid.")
    upper = await world.raw(
        "POST", "/api/v3/order", f"{payload}&signature={sign(payload).upper()}", **{"X-MBX-APIKEY": KEY}
    )
    assert upper.status == 200
    first = f"signature={sign(payload)}&{payload}"
    assert (await world.raw("POST", "/api/v3/order", first, **{"X-MBX-APIKEY": KEY})).status == 200
    api = await world.connect()
    params = signed_params(secret="another", **an_order())
    assert (await api.ask("order.place", params))["error"]["code"] == -1022


async def test_row_03_keys_of_all_three_kinds_sign(world: World) -> None:
    from Crypto.Hash import SHA256
    from Crypto.PublicKey import ECC, RSA
    from Crypto.Signature import eddsa, pkcs1_15

    rsa, ed25519 = RSA.generate(1024), ECC.generate(curve="ed25519")  # noqa: S505 - a long key takes a second to make
    keys = world.server.desk.keys
    keys.put(ApiKey(key="rsa", secret=rsa.public_key().export_key().decode(), kind=KeyKind.RSA))
    keys.put(ApiKey(key="ed", secret=ed25519.public_key().export_key(format="PEM"), kind=KeyKind.ED25519))

    def by_rsa(payload: bytes) -> bytes:
        return pkcs1_15.new(rsa).sign(SHA256.new(payload))

    def by_ed25519(payload: bytes) -> bytes:
        return eddsa.new(ed25519, "rfc8032").sign(payload)

    for key, signer in (("rsa", by_rsa), ("ed", by_ed25519)):
        payload = encoded({"timestamp": milliseconds()})
        signature = base64.b64encode(signer(payload.encode())).decode()
        query = f"{payload}&{encoded({'signature': signature})}"
        assert (await world.raw("GET", "/api/v3/account", query, **{"X-MBX-APIKEY": key})).status == 200
        forged = base64.b64encode(signer(b"something else")).decode()
        query = f"{payload}&{encoded({'signature': forged})}"
        refused = await world.raw("GET", "/api/v3/account", query, **{"X-MBX-APIKEY": key})
        assert refused.json["code"] == -1022
        no_base64 = await world.raw("GET", "/api/v3/account", f"{payload}&signature=***", **{"X-MBX-APIKEY": key})
        assert no_base64.json["code"] == -1022


async def test_row_03_unknown_ill_formed_and_revoked_keys_are_told_apart(world: World) -> None:
    account = "/api/v3/account"
    assert (await world.signed("GET", account, key="nobody")).error[:2] == (401, -2015)
    assert (await world.raw("GET", account, "timestamp=1")).error[:2] == (401, -2014)
    unsigned = await world.raw("GET", account, f"timestamp={milliseconds()}", **{"X-MBX-APIKEY": KEY})
    assert unsigned.error == (
        400,
        -1102,
        "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
    )
    await world.control("keys", key="reader", secret="s", may_trade=False)
    assert (await world.signed("GET", account, key="reader", secret="s")).json["canTrade"] is False
    placed = await world.signed("POST", "/api/v3/order", key="reader", secret="s", **an_order())
    assert placed.error[:2] == (401, -2015)
    await world.control("keys", key=KEY, secret="paper-secret", revoked=True)
    assert (await world.signed("GET", account)).error[:2] == (401, -2015)


async def test_row_04_a_timestamp_is_refused_when_too_old_or_too_early_by_a_clock_that_can_be_set(world: World) -> None:
    old = await world.place(timestamp=milliseconds() - 6000)
    assert old.error == (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    early = await world.place(timestamp=milliseconds() + 2000)
    assert early.error == (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    assert (await world.place(timestamp=milliseconds() - 6000, recvWindow=7000)).status == 200
    assert (await world.place(recvWindow=60_001)).json["code"] == -1131
    assert (await world.place(timestamp="")).json["code"] == -1102
    await world.control("clock", skew_ms=3000)
    assert (await world.place(recvWindow=2000)).json["code"] == -1021
    assert (await world.place(recvWindow="3999.999")).status == 200
    await world.control("clock", skew_ms=-1500)
    assert (await world.place()).error[2].endswith("ahead of the server's time.")


@pytest.mark.parametrize(("point", "counted"), [("received", "0"), ("forwarding", "1"), ("engine", "1")])
async def test_row_04_the_timestamp_is_checked_at_three_points_and_a_late_rejection_counts_as_an_order(
    world: World, point: str, counted: str
) -> None:
    await world.faults({"kind": "late_request", "point": point, "milliseconds": 600, "on": ["place"], "nth": [1]})
    late = await world.place(recvWindow=300)
    assert late.json["code"] == -1021
    assert late.headers["X-MBX-USED-WEIGHT-1M"] == "1", "what fails has its weight, wherever it fails"
    counts = await world.signed("GET", "/api/v3/rateLimit/order")
    assert [str(row["count"]) for row in counts.json] == [counted, counted]
    received = (await world.truth())["received"]
    assert [(entry["effect"], entry["code"]) for entry in received] == [("refused", -1021)]


async def test_row_05_ids_ascend_per_symbol_and_go_on_after_a_restart(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        async with a_world(file=AccountFile(tmp_path / "account.db")) as world:
            stream = await world.user_stream()
            for _ in range(2):
                reply = (await world.place()).json
                seen.append((reply["orderId"], reply["fills"][0]["tradeId"]))
            reports = await stream.reports(4)
            numbers = [report["I"] for report in reports]
            assert numbers == sorted(set(numbers))
            server_time = (await world.get("/api/v3/time")).json["serverTime"]
            assert server_time >= reports[-1]["T"]
    assert [order for order, _ in seen] == [1, 2, 3, 4]
    trades = [trade for _, trade in seen]
    assert trades == sorted(set(trades))


async def test_row_05_a_restarted_server_finds_account_and_orders_again(tmp_path: Path) -> None:
    async with a_world(file=AccountFile(tmp_path / "account.db")) as world:
        await world.place(newClientOrderId="done")
        await world.signed("POST", "/api/v3/order", **resting(newClientOrderId="open"))
        before = (await world.signed("GET", "/api/v3/account")).json["balances"]
        truth = await world.truth()
    async with a_world(file=AccountFile(tmp_path / "account.db")) as world:
        assert (await world.signed("GET", "/api/v3/account")).json["balances"] == before
        found = await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
        assert [order["clientOrderId"] for order in found.json] == ["open"]
        assert await world.truth() == truth
        cancelled = await world.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="open")
        assert cancelled.json["status"] == "CANCELED"


async def test_row_06_a_client_id_is_refused_while_its_order_is_open_and_taken_again_after(world: World) -> None:
    path = "/api/v3/order"
    assert (await world.signed("POST", path, **resting(newClientOrderId="one"))).status == 200
    again = await world.signed("POST", path, **resting(newClientOrderId="one"))
    assert again.error == (400, -2010, "Duplicate order sent.")
    filled = [await world.place(newClientOrderId="two") for _ in range(2)]
    assert len({reply.json["orderId"] for reply in filled}) == 2, "a blind retry of a filled order executes twice"
    dotted = await world.place(newClientOrderId="with.dot")
    assert dotted.error[1] == -1100
    assert "^[a-zA-Z0-9-_]{1,36}$" in dotted.json["msg"]
    assert (await world.place(newClientOrderId="x" * 37)).json["code"] == -1100
    assert len((await world.place()).json["clientOrderId"]) == 22


async def test_row_07_replies_come_in_three_shapes_with_eight_decimals_and_the_reason_of_an_end(world: World) -> None:
    ack = (await world.place(newOrderRespType="ACK")).json
    assert ack.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    result = (await world.place(newOrderRespType="RESULT")).json
    assert "fills" not in result
    full = (await world.place(quantity="1.5")).json
    assert (full["status"], full["expiryReason"]) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    assert full["fills"][0].keys() == {"price", "qty", "commission", "commissionAsset", "tradeId"}
    amounts = [full[name] for name in ("price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty")]
    assert all(len(text.partition(".")[2]) == 8 for text in amounts)
    assert float(full["cummulativeQuoteQty"]) == pytest.approx(float(full["executedQty"]) * 50_001)
    market = (await world.signed("POST", "/api/v3/order", **at_market())).json
    assert (market["price"], market["timeInForce"]) == ("0.00000000", "GTC")
    assert (await world.place(newOrderRespType="ALL")).json["code"] == -1100
    maker = await world.signed(
        "POST", "/api/v3/order", **resting(type="LIMIT_MAKER", timeInForce=None, newClientOrderId="maker")
    )
    assert maker.json.keys() == ack.keys(), "only MARKET and LIMIT answer in full by themselves"


async def test_row_08_events_come_in_order_to_every_subscription(world: World) -> None:
    one, two = await world.user_stream(), await world.user_stream()
    await world.book(asks=[("50001.00", "0.004"), ("50002.00", "0.003")])
    await world.signed("POST", "/api/v3/order", **at_market(quantity="0.01", newClientOrderId="seen"))
    for stream in (one, two):
        events = [await stream.event() for _ in range(5)]
        assert {event["subscriptionId"] for event in events} == {0}
        told = [(event["event"]["e"], event["event"].get("x"), event["event"].get("X")) for event in events]
        assert told == [
            ("executionReport", "NEW", "NEW"),
            ("executionReport", "TRADE", "PARTIALLY_FILLED"),
            ("executionReport", "TRADE", "PARTIALLY_FILLED"),
            ("executionReport", "EXPIRED", "EXPIRED"),
            ("outboundAccountPosition", None, None),
        ]
        reports = [event["event"] for event in events[:4]]
        assert [report["z"] for report in reports] == ["0.00000000", "0.00400000", "0.00700000", "0.00700000"]
        assert [report["t"] for report in reports] == [-1, reports[1]["t"], reports[1]["t"] + 1, -1]
        assert reports[3]["eR"] == "INSUFFICIENT_LIQUIDITY"
        assert (reports[3]["n"], reports[3]["N"]) == ("0", None)
        assert len({report["T"] for report in reports}) == 1
        numbers = [report["I"] for report in reports]
        assert numbers == sorted(set(numbers))
        balances = {entry["a"]: entry for entry in events[4]["event"]["B"]}
        assert balances.keys() == {"BTC", "USDT"}


async def test_row_09_a_cancel_has_its_own_id_and_a_terminal_order_is_unknown_to_it(world: World) -> None:
    stream = await world.user_stream()
    await world.signed("POST", "/api/v3/order", **resting(newClientOrderId="order"))
    cancelled = await world.signed(
        "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="order", newClientOrderId="cancel"
    )
    assert (cancelled.json["origClientOrderId"], cancelled.json["clientOrderId"]) == ("order", "cancel")
    assert (cancelled.json["status"], cancelled.json["executedQty"]) == ("CANCELED", "0.00000000")
    _, report = await stream.reports(2)
    assert (report["x"], report["c"], report["C"]) == ("CANCELED", "cancel", "order")
    again = await world.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="order")
    assert again.error == (400, -2011, "Unknown order sent.")
    nameless = await world.signed("DELETE", "/api/v3/order", symbol="BTCUSDT")
    assert nameless.json["code"] == -1102


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"price": "50001.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.00001", "price": "50001"}, -1013, "Filter failure: NOTIONAL"),
        ({"price": "300000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"quantity": "1e-05"}, -1100, None),
        ({"quantity": None}, -1102, None),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "LATER"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"type": "MARKET", "price": None}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"type": "LIMIT_MAKER", "timeInForce": None}, -2010, "Order would immediately match and take."),
    ],
)
async def test_row_10_filters_and_parameters_are_judged_in_the_exchanges_words(
    world: World, changes: dict[str, Any], code: int, message: str | None
) -> None:
    refused = await world.place(**changes)
    assert (refused.status, refused.json["code"]) == (400, code)
    if message is not None:
        assert refused.json["msg"] == message


@pytest.mark.parametrize(
    ("name", "fields", "order"),
    [
        ("PRICE_FILTER", {"tickSize": "10"}, {}),
        ("LOT_SIZE", {"minQty": "0.1"}, {}),
        ("MARKET_LOT_SIZE", {"maxQty": "0.001"}, {"type": "MARKET", "price": None, "timeInForce": None}),
        ("NOTIONAL", {"maxNotional": "100"}, {}),
        ("MIN_NOTIONAL", {"minNotional": "1000"}, {}),
        ("PERCENT_PRICE", {"multiplierUp": "1.000001"}, {}),
        ("PERCENT_PRICE_BY_SIDE", {"bidMultiplierUp": "1.000001"}, {}),
        ("MAX_NUM_ORDERS", {"maxNumOrders": 0}, {}),
        ("MAX_NUM_ALGO_ORDERS", {"maxNumAlgoOrders": 0}, {"type": "STOP_LOSS_LIMIT", "stopPrice": "60000.00"}),
        ("MAX_POSITION", {"maxPosition": "10"}, {}),
    ],
)
async def test_row_10_each_filter_can_be_set_is_told_and_refuses_in_its_own_name(
    world: World, name: str, fields: dict[str, Any], order: dict[str, Any]
) -> None:
    await world.control("market", symbol="BTCUSDT", filters={name: fields})
    symbol = (await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json["symbols"][0]
    assert name in {one["filterType"] for one in symbol["filters"]}
    assert (await world.place(**order)).error == (400, -1013, f"Filter failure: {name}")
    api = await world.connect()
    refused = await api.signed("order.test", **an_order(**order))
    assert (refused["status"], refused["error"]) == (400, {"code": -1013, "msg": f"Filter failure: {name}"})


async def test_row_10_a_taker_that_would_trade_outside_the_price_range_expires_with_that_reason(world: World) -> None:
    await world.control(
        "market", symbol="BTCUSDT", price_range={"bidLimitMultUp": "1.0001", "askLimitMultDown": "0.9999"}
    )
    rules = (await world.get("/api/v3/executionRules", symbol="BTCUSDT")).json["symbolRules"]
    multiples = {"bidLimitMultUp": "1.00010000", "askLimitMultDown": "0.99990000"}
    assert rules == [{"symbol": "BTCUSDT", "rules": [{"ruleType": "PRICE_RANGE", **multiples}]}]
    reason, stream = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED", await world.user_stream()
    for side, inside in (("BUY", "50001.00"), ("SELL", "50000.00")):
        await world.book()
        told = (await world.signed("POST", "/api/v3/order", **at_market(side=side, quantity="2"))).json
        assert (told["status"], told["executedQty"]) == ("EXPIRED", "1.00000000"), "what was filled before stands"
        assert told["expiryReason"] == reason
        assert [fill["price"] for fill in told["fills"]] == [f"{inside}000000"]
        reports = await stream.reports(3)
        assert [(report["x"], report.get("eR")) for report in reports][2] == ("EXPIRED", reason)
    api = await world.connect()
    await world.book()
    rest = await api.signed("order.place", **an_order(timeInForce="GTC", quantity="2", price="50020.00"))
    assert (rest["result"]["status"], rest["result"]["expiryReason"]) == ("EXPIRED", reason)
    queried = await world.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=rest["result"]["orderId"])
    assert queried.json["expiryReason"] == reason


async def test_row_10_symbol_status_binds(world: World) -> None:
    await world.signed("POST", "/api/v3/order", **resting(newClientOrderId="open"))
    await world.control("market", symbol="BTCUSDT", status="CANCEL_ONLY")
    assert (await world.place()).error == (400, -2010, "Market is closed.")
    amended = await world.signed(
        "PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", origClientOrderId="open", newQty="0.005"
    )
    assert amended.status == 200, amended.text
    cancelled = await world.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [order["status"] for order in cancelled.json] == ["CANCELED"]
    await world.control("market", symbol="BTCUSDT", status="HALT")
    assert (await world.place()).json["code"] == -2010
    info = await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")
    assert info.json["symbols"][0]["status"] == "HALT"
    await world.control("market", symbol="BTCUSDT", status="TRADING")
    assert (await world.place()).status == 200


async def test_row_11_balances_follow_each_fill_and_the_fee_is_taken_from_what_is_received(world: World) -> None:
    async def balances() -> dict[str, tuple[str, str]]:
        rows = (await world.signed("GET", "/api/v3/account")).json["balances"]
        return {row["asset"]: (row["free"], row["locked"]) for row in rows}

    await world.place(quantity="0.1")
    assert (await balances())["BTC"] == ("10.09990000", "0.00000000")
    await world.signed("POST", "/api/v3/order", **resting(quantity="1"))
    assert (await balances())["USDT"] == ("945999.90000000", "49000.00000000")
    poor = await world.place(quantity="50", price="50011.00")
    assert poor.error == (400, -2010, "Account has insufficient balance for requested action.")


async def test_row_11_with_the_discount_bnb_pays_while_there_is_enough_of_it() -> None:
    async with a_world(fees=Fees(pay_in_bnb=True)) as world:
        await world.book(bids=[("599.00", "5")], asks=[("601.00", "5")], symbol="BNBUSDT")
        stream = await world.user_stream()
        (fill,) = (await world.place(quantity="0.01")).json["fills"]
        # 0.01 x 50001.00 x 0.1 % x 0.75, in BNB at 600.
        assert (fill["commission"], fill["commissionAsset"]) == ("0.00062501", "BNB")
        _, report = await stream.reports(2)
        assert (report["n"], report["N"]) == ("0.00062501", "BNB")
        commission = (await world.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT")).json
        assert commission["discount"]["enabledForAccount"] is True
        balances = (await world.signed("GET", "/api/v3/account")).json["balances"]
        assert {row["asset"]: row["free"] for row in balances}["BTC"] == "10.01000000"
        world.exchange.account.deposit("BNB", -world.exchange.account.free["BNB"])
        (fill,) = (await world.place(quantity="0.01")).json["fills"]
        assert (fill["commission"], fill["commissionAsset"]) == ("0.00001000", "BTC"), "in full, of what is received"


async def test_row_12_success_weighs_nothing_failure_its_weight_and_counts_stand_in_headers() -> None:
    limits = LimitSettings(weight_per_minute=100, orders_per_10_seconds=2, ban_after=2)
    async with a_world(limits=limits) as world:
        first = await world.signed("POST", "/api/v3/order", **resting())
        assert first.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        assert (first.headers["X-MBX-ORDER-COUNT-10S"], first.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
        filled = await world.place()
        assert filled.headers["X-MBX-ORDER-COUNT-10S"] == "1", "a first fill gives the order back"
        failed = await world.place(side="HOLD")
        assert failed.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        await world.signed("POST", "/api/v3/order", **resting(price="48000"))
        crowded = await world.signed("POST", "/api/v3/order", **resting(price="48001"))
        assert crowded.error == (429, -1015, "Too many new orders; current limit is 2 orders per 10 SECOND.")
        assert 0 <= int(crowded.headers["Retry-After"]) <= 10
        api = await world.connect()
        refused = await api.signed("order.place", **resting(price="48002"))
        assert refused["status"] == 429
        assert refused["error"]["data"]["retryAfter"] > milliseconds() - 1000


async def test_row_12_too_much_weight_brings_429_then_418_which_also_ends_the_websocket() -> None:
    async with a_world(limits=LimitSettings(weight_per_minute=100, ban_after=2)) as world:
        api = await world.connect()
        answers = [await world.signed("GET", "/api/v3/account") for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 2 + [418] * 2
        assert answers[4].json["code"] == -1003
        assert int(answers[4].headers["Retry-After"]) <= 60
        assert 110 <= int(answers[7].headers["Retry-After"]) <= 120
        banned = await api.ask("ping")
        assert banned["status"] == 418
        with pytest.raises(ConnectionError):
            await api.next()


async def test_row_12_every_request_counts_once_in_five_minutes_on_either_way() -> None:
    async with a_world(limits=replace(ROOMY, raw_requests_per_5_minutes=5)) as world:
        await _early_in_five_minutes(world)
        info = (await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json["rateLimits"]
        assert {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 5} in info
        api = await world.connect()
        for _ in range(2):
            assert (await api.ask("ping"))["status"] == (await world.get("/api/v3/ping")).status == 200
        order = await world.place()
        assert order.error[:2] == (429, -1003)
        assert order.json["msg"].startswith("Too many requests; current limit is 5 raw requests per 5 MINUTE.")
        assert 0 < int(order.headers["Retry-After"]) <= 300
        assert (await api.ask("session.status"))["status"] == 429
        await world.control("clock", skew_ms=300_000)
        assert (await world.get("/api/v3/ping")).status == 200


@pytest.mark.parametrize("path", ["/ws-api/v3", "/ws", "/stream"])
async def test_row_12_attempts_to_connect_are_counted_and_refused_with_retry_after(path: str) -> None:
    async with a_world(limits=replace(ROOMY, connections_per_5_minutes=3)) as world:
        await _early_in_five_minutes(world)
        first, _, _ = [await world.connect(path) for _ in range(3)]
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await world.connect(path)
            assert refused.value.status == 429
            assert refused.value.headers is not None
            assert 0 < int(refused.value.headers["Retry-After"]) <= 300
        assert not first.ws.closed, "who is connected stays so"
        other = await world.connect("/ws" if path == "/ws-api/v3" else "/ws-api/v3")
        if path != "/ws-api/v3":
            told = (await other.ask("exchangeInfo", {"symbol": "BTCUSDT"}))["result"]["rateLimits"]
            assert {"rateLimitType": "CONNECTIONS", "interval": "MINUTE", "intervalNum": 5, "limit": 3} in told


async def _early_in_five_minutes(world: World) -> None:
    """Set the exchange's clock into a window of five minutes, so that none ends during the test."""
    await world.control("clock", skew_ms=30_000 - milliseconds() % 300_000)


async def _no_reply(world: World) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await world.place(newClientOrderId="struck")


async def _orders(world: World) -> list[str]:
    return [order["clientOrderId"] for order in (await world.truth())["orders"]]


async def _seen_dropped(world: World) -> None:
    await _no_reply(world)
    assert await _orders(world) == []


async def _seen_lost_reply(world: World) -> None:
    await _no_reply(world)
    assert await _orders(world) == ["struck"], "it was done"


async def _seen_refused(world: World) -> None:
    assert (await world.place()).error == (400, -1013, "Filter failure: LOT_SIZE")
    assert await _orders(world) == []


async def _seen_error_instead(world: World) -> None:
    assert (await world.place()).error[:2] == (503, -1000)
    assert await _orders(world) == []


async def _seen_error_reply(world: World) -> None:
    assert (await world.place(newClientOrderId="struck")).error[:2] == (503, -1000)
    assert await _orders(world) == ["struck"]


async def _seen_late_request(world: World) -> None:
    assert (await world.place(recvWindow=60)).json["code"] == -1021


async def _seen_late_reply(world: World) -> None:
    api = await world.connect()
    late, prompt = await api.send("order.place", signed_params(**an_order())), await api.send("ping")
    assert [(await api.next())["id"], (await api.next())["id"]] == [prompt, late]


async def _seen_revoked(world: World) -> None:
    api = await world.connect()
    await api.send("ping")
    told = await api.next()
    assert (told["id"], told["status"], told["error"]["code"]) == (None, 401, -2015)


async def _seen_query_lag(world: World) -> None:
    await world.place(newClientOrderId="young")
    young = await world.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="young")
    assert young.error == (400, -2013, "Order does not exist.")


async def _seen_stale_open_orders(world: World) -> None:
    await world.signed("POST", "/api/v3/order", **resting())
    open_orders = [(await world.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json for _ in range(2)]
    assert [len(orders) for orders in open_orders] == [0, 1]


async def _told(world: World) -> list[str]:
    """What the stream says of an order that fills at once."""
    stream = await world.user_stream()
    await world.place()
    return [event["event"].get("x", "balances") for event in await stream.quiet(0.3)]


async def _seen_lost_event(world: World) -> None:
    assert await _told(world) == ["TRADE", "balances"]


async def _seen_duplicate_event(world: World) -> None:
    assert sorted(await _told(world)) == ["NEW", "NEW", "TRADE", "balances"]


async def _seen_late_event(world: World) -> None:
    assert await _told(world) == ["TRADE", "balances", "NEW"]


async def _seen_event_first(world: World) -> None:
    stream = await world.user_stream()
    await stream.send("order.place", signed_params(**an_order()))
    frames = [await stream.next() for _ in range(4)]
    assert ["id" in frame for frame in frames] == [False, False, False, True]


async def _seen_disconnect(world: World) -> None:
    api = await world.connect()
    assert (await api.ask("ping"))["status"] == 200
    with pytest.raises(ConnectionError):
        await api.next()
    assert api.ws.close_code == 1001


async def _seen_shutdown(world: World) -> None:
    api = await world.connect()
    await api.ask("ping")
    assert (await api.event())["event"]["e"] == "serverShutdown"


async def _seen_terminated(world: World) -> None:
    stream = await world.user_stream()
    await stream.ask("ping")
    assert (await stream.event())["event"]["e"] == "eventStreamTerminated"
    await world.place()
    assert await stream.quiet() == [], "the socket lives, the stream does not"


STRIKES: dict[WireFault, tuple[dict[str, Any], Callable[[World], Awaitable[None]]]] = {
    WireFault.DROPPED_REQUEST: ({"on": ["place"]}, _seen_dropped),
    WireFault.LOST_REPLY: ({"on": ["place"]}, _seen_lost_reply),
    WireFault.REFUSE: ({"on": ["place"]}, _seen_refused),
    WireFault.ERROR_INSTEAD: ({"on": ["place"]}, _seen_error_instead),
    WireFault.ERROR_REPLY: ({"on": ["place"]}, _seen_error_reply),
    WireFault.LATE_REQUEST: ({"on": ["place"], "milliseconds": 150}, _seen_late_request),
    WireFault.LATE_REPLY: ({"on": ["place"], "milliseconds": 100}, _seen_late_reply),
    WireFault.REVOKED: ({"on": ["ping"]}, _seen_revoked),
    WireFault.QUERY_LAG: ({"milliseconds": 60_000}, _seen_query_lag),
    WireFault.STALE_OPEN_ORDERS: ({"milliseconds": 60_000}, _seen_stale_open_orders),
    WireFault.LOST_EVENT: ({"on": ["NEW"]}, _seen_lost_event),
    WireFault.DUPLICATE_EVENT: ({"on": ["NEW"]}, _seen_duplicate_event),
    WireFault.LATE_EVENT: ({"on": ["NEW"], "milliseconds": 100}, _seen_late_event),
    WireFault.EVENT_FIRST: ({"on": ["place"]}, _seen_event_first),
    WireFault.DISCONNECT: ({"on": ["ping"]}, _seen_disconnect),
    WireFault.SHUTDOWN: ({"on": ["ping"]}, _seen_shutdown),
    WireFault.TERMINATED: ({"on": ["ping"]}, _seen_terminated),
}


@pytest.mark.parametrize("kind", WireFault)
async def test_row_13_every_fault_that_is_planned_is_seen_by_a_client(world: World, kind: WireFault) -> None:
    details, seen = STRIKES[kind]
    await world.faults({"kind": kind.value, "nth": [1], **details})
    await seen(world)
    (state,) = (await world.raw("GET", "/paper/faults")).json["faults"]
    assert (state["kind"], state["strikes"]) == (kind.value, 1)
    ended = await world.raw("DELETE", "/paper/faults")
    assert ended.json == {"faults": []}
    assert (await world.place()).status == 200


async def test_row_14_the_server_pings_and_cuts_off_who_does_not_answer() -> None:
    async with a_world(ping_seconds=0.05, pong_seconds=0.15) as world:
        answering = await world.connect()
        listening = asyncio.create_task(answering.next(1.0))
        silent = await world.connect(autoping=False)
        frame = await silent.ws.receive(timeout=1)
        assert frame.type.name == "PING"
        for _ in range(20):
            if (frame := await silent.ws.receive(timeout=1)).type.name != "PING":
                break
        assert frame.type.name in {"CLOSED", "CLOSE", "ERROR", "CLOSING"}
        with pytest.raises(TimeoutError):
            await listening
        assert not answering.ws.closed


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
async def test_row_15_listen_keys_are_gone(world: World, verb: str) -> None:
    assert (await world.raw(verb, "/api/v3/userDataStream", **{"X-MBX-APIKEY": KEY})).status == 410
    api = await world.connect()
    assert (await api.ask("userDataStream.start", {"apiKey": KEY}))["status"] == 410


async def test_row_16_equal_seeds_give_equal_books_of_finite_depth_and_orders_fill_in_part() -> None:
    from adapters.paper.exchange import PaperExchange, PaperSettings
    from adapters.paper.markets import MarketChoice

    def levels(seed: int) -> Any:
        exchange = PaperExchange(PaperSettings(markets=MarketChoice(seed=seed)), now=10**15)
        return exchange.look("BTCUSDT", 10**15 + 90_000_000, most=50)

    assert levels(3) == levels(3) != levels(4)
    async with a_world(market="synthetic", seed=3) as world:
        await world.control("market", symbol="BTCUSDT", freeze=True)
        book = (await world.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)).json
        asked = float(book["asks"][0][1]) + 0.5
        reply = await world.place(quantity=f"{asked:.5f}", price=book["asks"][0][0])
        assert 0 < float(reply.json["executedQty"]) <= asked
        assert 10 < len(book["asks"]) < 5000
