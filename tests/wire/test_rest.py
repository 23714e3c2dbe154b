"""REST, endpoint by endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.exchange_world import KEY, World, a_world, an_order, milliseconds, resting

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]

PATH = "/api/v3/order"


async def test_public_data_has_the_documented_shapes(world: World) -> None:
    time = (await world.get("/api/v3/time")).json["serverTime"]
    assert abs(time - milliseconds()) < 2000
    info = (await world.get("/api/v3/exchangeInfo")).json
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT"]
    assert {row["rateLimitType"] for row in info["rateLimits"]} >= {"REQUEST_WEIGHT", "ORDERS"}
    one = (await world.get("/api/v3/exchangeInfo", symbol="ETHUSDT", showPermissionSets="false")).json["symbols"]
    assert [(symbol["symbol"], symbol["permissionSets"]) for symbol in one] == [("ETHUSDT", [])]
    two = (await world.get("/api/v3/exchangeInfo", symbols='["BTCUSDT","BNBUSDT"]')).json["symbols"]
    assert [symbol["symbol"] for symbol in two] == ["BTCUSDT", "BNBUSDT"]
    assert (await world.get("/api/v3/exchangeInfo", permissions="MARGIN")).json["symbols"] == []
    depth = (await world.get("/api/v3/depth", symbol="BTCUSDT", limit=1)).json
    assert (depth["bids"], depth["asks"]) == ([["50000.00000000", "1.00000000"]], [["50001.00000000", "1.00000000"]])
    ticker = (await world.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT")).json
    assert ticker == {
        "symbol": "BTCUSDT",
        "bidPrice": "50000.00000000",
        "bidQty": "1.00000000",
        "askPrice": "50001.00000000",
        "askQty": "1.00000000",
    }
    assert len((await world.get("/api/v3/ticker/bookTicker")).json) == 4
    price = (await world.get("/api/v3/ticker/price", symbol="BTCUSDT")).json
    assert price == {"symbol": "BTCUSDT", "price": "50000.50000000"}
    average = (await world.get("/api/v3/avgPrice", symbol="BTCUSDT")).json
    assert (average["mins"], average["price"]) == (5, "50000.50000000")
    reference = (await world.get("/api/v3/referencePrice", symbol="BTCUSDT")).json
    assert reference["referencePrice"] == "50000.50000000"
    calculation = (await world.get("/api/v3/referencePrice/calculation", symbol="BTCUSDT")).json
    assert calculation["calculationType"] == "ARITHMETIC_MEAN"
    rules = (await world.get("/api/v3/executionRules", symbol="BTCUSDT")).json
    assert rules == {"symbolRules": [{"symbol": "BTCUSDT", "rules": []}]}
    assert len((await world.get("/api/v3/executionRules")).json["symbolRules"]) == 4


async def test_an_empty_market_has_no_reference_price(world: World) -> None:
    none = (400, -2043, "This symbol doesn't have a reference price.")
    assert (await world.get("/api/v3/referencePrice", symbol="ETHUSDT")).error == none
    await world.book(symbol="ETHUSDT", bids=[("3000", "1")], asks=[("3001", "1")])
    assert (await world.get("/api/v3/referencePrice", symbol="ETHUSDT")).json["referencePrice"] == "3000.50000000"


async def test_a_restriction_of_a_cancel_that_does_not_exist_is_named(world: World) -> None:
    await world.signed("POST", PATH, **resting(newClientOrderId="x"))
    asked: dict[str, Any] = {"symbol": "BTCUSDT", "origClientOrderId": "x"}
    refused = await world.signed("DELETE", PATH, **asked, cancelRestrictions="ONLY_OLD")
    assert refused.error == (
        400,
        -1145,
        "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`.",
    )
    assert (await world.signed("DELETE", PATH, **asked, cancelRestrictions="ONLY_NEW")).json["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("exchangeInfo", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("exchangeInfo", {"symbols": "[1]"}, -1100),
        ("exchangeInfo", {"symbols": '["NOPE"]'}, -1121),
        ("exchangeInfo", {"symbol": "NOPE"}, -1121),
        ("exchangeInfo", {"symbol": "BTCUSDT", "symbolStatus": "HALT"}, -1220),
        ("exchangeInfo", {"symbolStatus": "OPEN"}, -1122),
        ("exchangeInfo", {"showPermissionSets": "yes"}, -1100),
        ("depth", {}, -1102),
        ("depth", {"symbol": "BTCUSDT", "limit": 0}, -1130),
        ("depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("avgPrice", {"symbol": "btcusdt"}, -1100),
        ("avgPrice", {"symbol": "BTC/USDT"}, -1100),
        ("avgPrice", {"symbol": "测试USDT"}, -1121),
        ("exchangeInfo", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
    ],
)
async def test_bad_parameters_of_public_data_are_named(
    world: World, path: str, params: dict[str, Any], code: int
) -> None:
    refused = await world.get(f"/api/v3/{path}", **params)
    assert (refused.status, refused.json["code"]) == (400, code)


async def test_symbols_are_filtered_by_status(world: World) -> None:
    await world.control("market", symbol="BNBUSDT", status="BREAK")
    found = (await world.get("/api/v3/ticker/price", symbolStatus="BREAK")).json
    assert [row["symbol"] for row in found] == ["BNBUSDT"]


async def test_public_trades_are_those_that_happened(world: World) -> None:
    await world.place(quantity="0.01")
    rows = (await world.get("/api/v3/trades", symbol="BTCUSDT")).json
    assert [(row["price"], row["qty"], row["isBuyerMaker"]) for row in rows] == [
        ("50001.00000000", "0.01000000", False)
    ]


async def test_what_was_is_told_as_candles_statistics_and_trades_by_number(world: World) -> None:
    for quantity in ("0.01", "0.02"):
        await world.place(quantity=quantity)
    for path in ("klines", "uiKlines"):
        row = (await world.get(f"/api/v3/{path}", symbol="BTCUSDT", interval="1d")).json[-1]
        assert (row[4], row[5], row[8]) == ("50001.00000000", "0.03000000", 2)
        assert len(row) == 12
    day = (await world.get("/api/v3/ticker/24hr", symbol="BTCUSDT")).json
    assert (day["lastPrice"], day["volume"], day["count"]) == ("50001.00000000", "0.03000000", 2)
    assert (day["bidPrice"], day["lastQty"]) == ("50000.00000000", "0.02000000")
    assert len((await world.get("/api/v3/ticker/24hr")).json) == len((await world.get("/api/v3/ticker/price")).json)
    mini = (await world.get("/api/v3/ticker/24hr", symbol="BTCUSDT", type="MINI")).json
    assert "bidPrice" not in mini
    rolling = (await world.get("/api/v3/ticker", symbol="BTCUSDT", windowSize="2h")).json
    assert (rolling["volume"], "bidPrice" in rolling) == ("0.03000000", False)
    together = (await world.get("/api/v3/aggTrades", symbol="BTCUSDT")).json
    assert [(one["q"], one["m"]) for one in together] == [("0.01000000", False), ("0.02000000", False)]
    assert together[0]["T"] <= milliseconds() + 1
    [second] = (await world.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=2)).json
    assert (second["id"], second["qty"]) == (2, "0.02000000")


async def test_the_trading_day_begins_at_midnight_of_the_zone_that_is_asked_for(world: World) -> None:
    await world.place(quantity="0.02")
    day = (await world.get("/api/v3/ticker/tradingDay", symbol="BTCUSDT")).json
    assert (day["openTime"] % 86_400_000, day["closeTime"] - day["openTime"]) == (0, 86_399_999)
    assert (day["volume"], day["count"]) == ("0.02000000", 1)
    both = (await world.get("/api/v3/ticker/tradingDay", symbols='["BTCUSDT","ETHUSDT"]', type="MINI")).json
    assert ([row["symbol"] for row in both], "priceChange" in both[0]) == (["BTCUSDT", "ETHUSDT"], False)
    for zone, into in (("8", 16 * 60), ("-1:30", 90), ("05:45", 24 * 60 - 345)):
        there = (await world.get("/api/v3/ticker/tradingDay", symbol="BTCUSDT", timeZone=zone)).json
        assert there["openTime"] % 86_400_000 == into * 60_000
        [*_, candle] = (await world.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", timeZone=zone)).json
        assert candle[0] == there["openTime"]
    for zone in ("14:30", "-13", "Berlin"):
        refused = await world.get("/api/v3/klines", symbol="BTCUSDT", interval="1d", timeZone=zone)
        assert refused.error == (400, -1130, "Data sent for parameter 'timeZone' is not valid.")


async def test_order_lists_are_none_and_refused_as_for_a_symbol_without_them(world: World) -> None:
    info = (await world.get("/api/v3/exchangeInfo", symbol="BTCUSDT")).json["symbols"][0]
    assert (info["ocoAllowed"], info["otoAllowed"], info["opoAllowed"]) == (False, False, False)
    socket = await world.connect()
    legs: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "60000",
    }
    for path, method in (("order/oco", "orderList.place"), ("orderList/oco", "orderList.place.oco")):
        refused = await world.signed("POST", f"/api/v3/{path}", **legs)
        assert refused.error == (400, -2010, "OCO orders are not supported for this symbol")
        reply = await socket.signed(method, **legs)
        assert (reply["status"], reply["error"]["code"]) == (400, -2010)
    for kind in ("oto", "otoco", "opo", "opoco"):
        refused = await world.signed("POST", f"/api/v3/orderList/{kind}", symbol="BTCUSDT")
        assert refused.error == (400, -2010, f"{kind.upper()} orders are not supported for this symbol")
    assert (await world.signed("POST", "/api/v3/orderList/oco", symbol="NOPE")).json["code"] == -1121
    for path in ("openOrderList", "allOrderList"):
        assert (await world.signed("GET", f"/api/v3/{path}")).json == []
    assert (await world.signed("GET", "/api/v3/myAllocations", symbol="BTCUSDT")).json == []
    assert (await socket.signed("openOrderLists.status"))["result"] == []
    one = await world.signed("GET", "/api/v3/orderList", orderListId=1)
    assert one.error == (400, -2018, "Order list does not exist.")
    cancelled = await world.signed("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=1)
    assert cancelled.error == (400, -2011, "Unknown order list sent.")


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("klines", {"symbol": "NOPE", "interval": "1m"}, -1121),
        ("ticker", {}, -1102),
        ("ticker", {"symbol": "BTCUSDT", "windowSize": "61m"}, -1130),
        ("ticker", {"symbol": "BTCUSDT", "windowSize": "²d"}, -1130),
        ("ticker/24hr", {"symbol": "BTCUSDT", "type": "NONE"}, -1139),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
    ],
)
async def test_a_wrong_question_about_what_was_is_refused(
    world: World, path: str, params: dict[str, str], code: int
) -> None:
    reply = await world.get(f"/api/v3/{path}", **params)
    assert reply.error[:2] == (400, code)


async def test_what_clients_ask_about_the_house_at_their_start_is_answered(world: World) -> None:
    assert (await world.get("/sapi/v1/system/status")).json == {"status": 0, "msg": "normal"}
    assert (await world.signed("GET", "/sapi/v1/margin/allPairs")).json == []
    assert (await world.signed("GET", "/sapi/v1/margin/isolated/allPairs")).json == []
    coins = (await world.signed("GET", "/sapi/v1/capital/config/getall")).json
    assert {coin["coin"] for coin in coins} >= {"BTC", "USDT"}
    assert all(coin["withdrawAllEnable"] is False and coin["networkList"] == [] for coin in coins)


async def test_orders_and_trades_are_found_again(world: World) -> None:
    filled = (await world.place(newClientOrderId="filled")).json
    await world.signed("POST", PATH, **resting(newClientOrderId="open"))
    order = (await world.signed("GET", PATH, symbol="BTCUSDT", origClientOrderId="filled")).json
    assert order["status"] == "FILLED"
    assert order["cummulativeQuoteQty"] == filled["cummulativeQuoteQty"]
    assert "fills" not in order
    assert "avgPrice" not in order
    missing = await world.signed("GET", PATH, symbol="BTCUSDT", origClientOrderId="nothing")
    assert missing.error == (400, -2013, "Order does not exist.")
    mismatch = await world.signed("GET", PATH, symbol="BTCUSDT", orderId=1, origClientOrderId="open")
    assert mismatch.error == (400, -2039, "Client order ID is not correct for this order ID.")
    nameless = (400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    assert (await world.signed("GET", PATH, symbol="BTCUSDT")).error == nameless
    listed = (await world.signed("GET", "/api/v3/openOrders")).json
    assert [row["clientOrderId"] for row in listed] == ["open"]
    everything = (await world.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=1)).json
    assert [row["orderId"] for row in everything] == [1, 2]
    too_long = await world.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", startTime=0, endTime=90_000_000)
    assert too_long.json["code"] == -1127
    trades = (await world.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=1)).json
    assert [(trade["id"], trade["orderId"], trade["commissionAsset"]) for trade in trades] == [
        (filled["fills"][0]["tradeId"], 1, "BTC")
    ]


async def test_the_account_tells_balances_rates_and_rights(world: World) -> None:
    account = (await world.signed("GET", "/api/v3/account")).json
    assert account["commissionRates"]["taker"] == "0.00100000"
    assert (account["canTrade"], account["canWithdraw"], account["accountType"]) == (True, False, "SPOT")
    commission = (await world.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT")).json
    assert commission["standardCommission"]["maker"] == "0.00100000"
    assert commission["discount"]["discountAsset"] == "BNB"
    filters = (await world.signed("GET", "/api/v3/myFilters", symbol="BTCUSDT")).json
    assert {row["filterType"] for row in filters["symbolFilters"]} >= {"LOT_SIZE", "PRICE_FILTER", "NOTIONAL"}
    rights = (await world.signed("GET", "/sapi/v1/account/apiRestrictions")).json
    assert (rights["ipRestrict"], rights["enableWithdrawals"], rights["permitsUniversalTransfer"]) == (
        True,
        False,
        False,
    )
    fees = (await world.signed("GET", "/sapi/v1/asset/tradeFee", symbol="ETHUSDT")).json
    assert fees == [{"symbol": "ETHUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}]
    assert len((await world.signed("GET", "/sapi/v1/asset/tradeFee")).json) == 4


async def test_zero_balances_can_be_left_out(world: World) -> None:
    await world.signed("POST", PATH, symbol="BTCUSDT", side="SELL", type="MARKET", quantity="1")
    shown = (await world.signed("GET", "/api/v3/account", omitZeroBalances="true")).json["balances"]
    assert all(float(row["free"]) + float(row["locked"]) > 0 for row in shown)


async def test_a_test_order_is_judged_and_never_placed(world: World) -> None:
    assert (await world.signed("POST", f"{PATH}/test", **an_order())).json == {}
    rates = await world.signed("POST", f"{PATH}/test", computeCommissionRates="true", **an_order())
    assert rates.json["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    bad = await world.signed("POST", f"{PATH}/test", **an_order(price="50001.005"))
    assert bad.json["msg"] == "Filter failure: PRICE_FILTER"
    truth = await world.truth()
    assert (truth["orders"], truth["received"]) == ([], [])


async def test_cancel_obeys_its_restrictions_and_cancel_all_ends_all(world: World) -> None:
    await world.signed("POST", PATH, **resting(newClientOrderId="a"))
    await world.signed("POST", PATH, **resting(newClientOrderId="b", price="49500.00"))
    await world.control("market", symbol="BTCUSDT", bids=[["49600.00", "1"]], asks=[["49700.00", "1"]])
    await world.control("market", symbol="BTCUSDT", trade=["SELL", "49500.00", "0.004"])
    await world.control("market", symbol="BTCUSDT")
    partly = (await world.signed("GET", PATH, symbol="BTCUSDT", origClientOrderId="b")).json
    assert partly["status"] == "PARTIALLY_FILLED"
    refused = await world.signed("DELETE", PATH, symbol="BTCUSDT", origClientOrderId="b", cancelRestrictions="ONLY_NEW")
    assert refused.error == (400, -2011, "Order was not canceled due to cancel restrictions.")
    ended = (await world.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")).json
    assert {row["origClientOrderId"]: row["executedQty"] for row in ended} == {"a": "0.00000000", "b": "0.00400000"}
    nothing = await world.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert nothing.json["code"] == -2011


async def test_cancel_replace_does_both_halves(world: World) -> None:
    await world.signed("POST", PATH, **resting(newClientOrderId="old"))
    both = await world.signed(
        "POST",
        f"{PATH}/cancelReplace",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="old",
        cancelNewClientOrderId="cancel",
        cancelRestrictions="ONLY_NEW",
        **resting(newClientOrderId="new", price="49001"),
    )
    assert both.status == 200
    assert (both.json["cancelResult"], both.json["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert both.json["cancelResponse"]["clientOrderId"] == "cancel"
    assert both.json["newOrderResponse"]["clientOrderId"] == "new"


@pytest.mark.parametrize(
    ("mode", "cancel", "order", "status", "code", "halves"),
    [
        ("STOP_ON_FAILURE", "none", {}, 400, -2022, ("FAILURE", "NOT_ATTEMPTED")),
        ("ALLOW_FAILURE", "none", {"quantity": "100"}, 400, -2022, ("FAILURE", "FAILURE")),
        ("STOP_ON_FAILURE", "old", {"quantity": "100"}, 409, -2021, ("SUCCESS", "FAILURE")),
        ("ALLOW_FAILURE", "none", {}, 409, -2021, ("FAILURE", "SUCCESS")),
    ],
)
async def test_a_half_done_cancel_replace_tells_each_half(
    world: World, mode: str, cancel: str, order: dict[str, str], status: int, code: int, halves: tuple[str, str]
) -> None:
    await world.signed("POST", PATH, **resting(newClientOrderId="old"))
    answer = await world.signed(
        "POST",
        f"{PATH}/cancelReplace",
        cancelReplaceMode=mode,
        cancelOrigClientOrderId=cancel,
        **resting(newClientOrderId="new", **order),
    )
    assert answer.error[:2] == (status, code)
    data = answer.json["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == halves
    for result, response in (
        (data["cancelResult"], data["cancelResponse"]),
        (data["newOrderResult"], data["newOrderResponse"]),
    ):
        if result == "SUCCESS":
            assert "orderId" in response
        elif result == "FAILURE":
            assert response["code"] in {-2010, -2011}
        else:
            assert response is None


async def test_cancel_replace_looks_at_filters_and_order_count_before_it_cancels() -> None:
    from adapters.paper.limits import LimitSettings

    async with a_world(limits=LimitSettings(orders_per_10_seconds=1)) as world:
        await world.signed("POST", PATH, **resting(newClientOrderId="old"))
        replace: dict[str, Any] = {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "old"}
        bad = await world.signed("POST", f"{PATH}/cancelReplace", **replace, **resting(price="49000.001"))
        assert bad.json["msg"] == "Filter failure: PRICE_FILTER"
        limited = await world.signed("POST", f"{PATH}/cancelReplace", **replace, **resting())
        assert limited.error[:2] == (429, -1015)
        assert len((await world.signed("GET", "/api/v3/openOrders")).json) == 1
        only = await world.signed(
            "POST", f"{PATH}/cancelReplace", **replace, orderRateLimitExceededMode="CANCEL_ONLY", **resting()
        )
        assert only.error[:2] == (429, -2021)
        assert only.json["data"]["cancelResult"] == "SUCCESS"
        assert (await world.signed("GET", "/api/v3/openOrders")).json == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cancelReplaceMode": None}, -1102),
        ({"cancelReplaceMode": "MAYBE"}, -1130),
        ({"orderRateLimitExceededMode": "MAYBE"}, -1130),
        ({"cancelOrigClientOrderId": None}, -1102),
    ],
)
async def test_bad_parameters_of_cancel_replace_are_named(world: World, changes: dict[str, Any], code: int) -> None:
    params = {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "old", **resting(), **changes}
    assert (await world.signed("POST", f"{PATH}/cancelReplace", **params)).json["code"] == code


async def test_an_amended_order_is_smaller_and_keeps_its_place(world: World) -> None:
    stream = await world.user_stream()
    await world.signed("POST", PATH, **resting(newClientOrderId="order", quantity="0.02"))
    path = f"{PATH}/amend/keepPriority"
    amended = await world.signed(
        "PUT", path, symbol="BTCUSDT", origClientOrderId="order", newQty="0.015", newClientOrderId="order"
    )
    shape = amended.json["amendedOrder"]
    assert (shape["qty"], shape["executedQty"], shape["clientOrderId"], shape["status"]) == (
        "0.01500000",
        "0.00000000",
        "order",
        "NEW",
    )
    _, report = await stream.reports(2)
    assert (report["x"], report["q"], report["I"]) == ("REPLACED", "0.01500000", amended.json["executionId"])
    renamed = (await world.signed("PUT", path, symbol="BTCUSDT", orderId=1, newQty="0.01")).json["amendedOrder"]
    assert renamed["origClientOrderId"] == "order"
    assert renamed["clientOrderId"] != "order"
    history = (await world.signed("GET", "/api/v3/order/amendments", symbol="BTCUSDT", orderId=1)).json
    assert [(row["origQty"], row["newQty"]) for row in history] == [
        ("0.02000000", "0.01500000"),
        ("0.01500000", "0.01000000"),
    ]
    locked = {row["asset"]: row["locked"] for row in (await world.signed("GET", "/api/v3/account")).json["balances"]}
    assert locked["USDT"] == "490.00000000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"newQty": "0.02"}, -2038),
        ({"newQty": "0.03"}, -2038),
        ({"newQty": "0"}, -2038),
        ({"newQty": "0.000001"}, -1013),
        ({"newQty": None}, -1102),
        ({"orderId": 9}, -2038),
        ({"orderId": None}, -1102),
        ({"newClientOrderId": "other"}, -2010),
    ],
)
async def test_an_amendment_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: int) -> None:
    await world.signed("POST", PATH, **resting(quantity="0.02"))
    await world.signed("POST", PATH, **resting(newClientOrderId="other"))
    params = {"symbol": "BTCUSDT", "orderId": 1, "newQty": "0.01", **changes}
    assert (await world.signed("PUT", f"{PATH}/amend/keepPriority", **params)).json["code"] == code


async def test_an_order_can_be_amended_ten_times(world: World) -> None:
    await world.signed("POST", PATH, **resting(quantity="0.02"))
    path = f"{PATH}/amend/keepPriority"
    answers = [
        await world.signed("PUT", path, symbol="BTCUSDT", orderId=1, newQty=f"0.0{190 - step}") for step in range(11)
    ]
    assert [answer.status for answer in answers] == [200] * 10 + [400]
    assert answers[-1].json["code"] == -2038


async def test_times_come_in_microseconds_for_who_asks_so(world: World) -> None:
    headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    time = (await world.raw("GET", "/api/v3/time", **headers)).json["serverTime"]
    assert abs(time // 1000 - milliseconds()) < 2000
    placed = (await world.place()).json
    query = f"symbol=BTCUSDT&orderId={placed['orderId']}&timestamp={milliseconds()}"
    from tests.wire.exchange_world import sign

    found = await world.raw("GET", PATH, f"{query}&signature={sign(query)}", **headers, **{"X-MBX-APIKEY": KEY})
    assert found.json["time"] // 1000 == placed["transactTime"]
    wrong = await world.raw("GET", "/api/v3/time", **{"X-MBX-TIME-UNIT": "FORTNIGHT"})
    assert wrong.json["code"] == -1194


async def test_what_there_is_not_is_404_and_a_wrong_verb_405(world: World) -> None:
    assert (await world.get("/api/v3/nothing")).status == 404
    assert (await world.get("/nothing")).status == 404
    assert (await world.raw("PATCH", PATH)).status == 405


async def test_a_parameter_that_there_is_not_is_refused_and_never_dropped_in_silence(world: World) -> None:
    """A stop price of the wrong name would be an order without a stop. Counts are of all that came, signature too."""
    refused = await world.signed("POST", PATH, **resting(stopprice="48000"))
    unread = "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."
    assert refused.error == (400, -1104, unread)
    socket = await world.connect()
    params: dict[str, Any] = {"symbol": "BTCUSDT", "order_id": 1}
    misspelt = (await world.signed("GET", PATH, **params)).json["msg"]
    assert misspelt == "Not all sent parameters were read; read '3' parameter(s) but was sent '4'."
    assert (await socket.signed("order.status", **params))["error"]["code"] == -1104
    many: dict[str, Any] = dict.fromkeys(("symbol", "side", "type", "quantity", "price", "timeInForce"), "1")
    too_many = await world.signed("GET", PATH, **many)
    assert too_many.error == (400, -1101, "Too many parameters; expected '6' and received '8'.")
    assert (await world.get("/api/v3/time", now=1)).error == (
        400,
        -1101,
        "Too many parameters; expected '0' and received '1'.",
    )
    assert (await socket.ask("time", {"returnRateLimits": False}))["status"] == 200
    assert (await socket.signed("ping"))["status"] == 200, "clients sign what need not be signed"
    assert (await world.signed("GET", "/sapi/v1/asset/tradeFee", foo=1)).status == 200
    truth = await world.truth()
    assert [(one["effect"], one["code"]) for one in truth["received"]] == [("refused", -1104)]
    assert truth["orders"] == []


async def test_the_same_parameter_twice_is_refused(world: World) -> None:
    twice = await world.raw("GET", "/api/v3/depth", "symbol=BTCUSDT&symbol=ETHUSDT")
    assert twice.json["code"] == -1101
