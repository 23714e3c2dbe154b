"""Queries over REST: each gets one answer, and what cannot be trusted is a failure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from messages.ids import cancel_id, child_id
from messages.order import (
    AllOrdersFound,
    BalancesFound,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    QueryAllOrders,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    RulesFound,
    TimeFound,
    TradesFound,
)
from tests.adapters.binance.conftest import MakeVenue
from tests.adapters.binance.stub import Params, Say, Stub, a_queried, now_ms
from tests.adapters.binance.test_venue_orders import CHILD
from tests.probe import Probe


def a_trade(number: int) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": 28,
        "price": "50000",
        "qty": "0.01",
        "commission": "0.00001",
        "commissionAsset": "BTC",
        "time": 1_700_000_000_000,
        "isBuyer": True,
        "isMaker": False,
    }


def a_symbol(symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "status": "TRADING", "baseAsset": "B", "quoteAsset": "Q", "filters": []}


def test_an_order_is_found_under_the_id_that_was_asked_for(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(clientOrderId=cancel_id(CHILD, 0), status="CANCELED")
    make_venue().tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
    found = listener.expect(OrderFound)
    assert found.order.client_order_id == CHILD
    (asked,) = stub.asked_for("GET /api/v3/order")
    assert asked.signature_ok
    assert asked.params["recvWindow"] == "2000"
    assert abs(int(asked.params["timestamp"]) - now_ms()) < 2_000


@pytest.mark.parametrize("shown", [CHILD, cancel_id(CHILD, 0), "web_1"])
def test_an_order_whose_number_is_known_is_asked_for_by_it(
    stub: Stub, make_venue: MakeVenue, listener: Probe, shown: str
) -> None:
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(clientOrderId=shown)
    make_venue().tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, order_id=28, reply_to=listener.ref))
    assert listener.expect(OrderFound).order.client_order_id == CHILD
    (asked,) = stub.asked_for("GET /api/v3/order")
    assert (asked.params["orderId"], "origClientOrderId" in asked.params) == ("28", False)


@pytest.mark.parametrize("other", [{"orderId": 29}, {"clientOrderId": child_id("p", "abcdefghij234", 7, 0)}])
def test_another_order_than_that_of_the_number_is_not_believed(
    stub: Stub, make_venue: MakeVenue, listener: Probe, other: dict[str, Any]
) -> None:
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(**other)
    make_venue().tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, order_id=28, reply_to=listener.ref))
    listener.expect(QueryFailed)


def test_an_order_that_is_not_there_is_not_found(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/order"] = lambda _: Say(status=400, code=-2013, message="Order does not exist.")
    make_venue().tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
    listener.expect(OrderNotFound(symbol="BTCUSDT", client_order_id=CHILD))


@pytest.mark.parametrize(
    "bad",
    [
        Say(status=503, code=-1007, message="Timeout"),
        Say(status=500, text="<html>"),
        Say(body={"nonsense": 1}),
        Say(text="hello"),
        Say(drop=True),
        Say(silent=True),
        Say(status=400, code=-2026, message="archived"),
        Say(status=301, headers={"Location": "/api/v3/time"}, text=""),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_a_failure(
    stub: Stub, make_venue: MakeVenue, listener: Probe, bad: Say
) -> None:
    """Only a refusal has a code: for whoever takes that for a definite no, a server in trouble must have none."""
    stub.handlers["GET /api/v3/order"] = lambda _: bad
    query = QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref)
    make_venue(query_seconds=0.5).tell(query)
    failed = listener.expect(QueryFailed, within=2.0)
    assert failed.query is query
    assert failed.code == (-2026 if bad.code == -2026 else None)
    listener.expect_none(within=0.05)


def test_open_orders_and_balances_are_found(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/openOrders"] = lambda _: [a_queried()]
    stub.handlers["GET /api/v3/account"] = lambda _: {"balances": [{"asset": "BTC", "free": "1", "locked": "2"}]}
    venue = make_venue()
    venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
    assert [order.order_id for order in listener.expect(OpenOrdersFound).orders] == [28]
    venue.tell(QueryBalances(reply_to=listener.ref))
    listener.expect(BalancesFound(balances=(("BTC", Decimal(1), Decimal(2)),)))


def test_all_orders_are_read_page_by_page(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    def page(params: Params) -> object:
        first = int(params.get("orderId", 1))
        return [a_queried(orderId=number) for number in range(first, min(first + 1000, 1500))]

    stub.handlers["GET /api/v3/allOrders"] = page
    make_venue().tell(QueryAllOrders(symbol="BTCUSDT", since=77, reply_to=listener.ref))
    found = listener.expect(AllOrdersFound)
    assert [order.order_id for order in found.orders] == list(range(1, 1500))
    asked = stub.asked_for("GET /api/v3/allOrders")
    assert asked[0].params["startTime"] == "77"
    assert asked[1].params["orderId"] == "1001"


def test_orders_without_end_are_a_failure(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    full = [a_queried(orderId=number) for number in range(1000)]
    stub.handlers["GET /api/v3/allOrders"] = lambda _: full
    make_venue().tell(QueryAllOrders(symbol="BTCUSDT", since=77, reply_to=listener.ref))
    listener.expect(QueryFailed, within=5.0)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"from_id": 7}, {"fromId": "7"}),
        ({"since": 7}, {"startTime": "7"}),
        ({"order_id": 28}, {"orderId": "28"}),
        ({"order_id": 28, "from_id": 7}, {"orderId": "28", "fromId": "7"}),
        ({"since": 5, "from_id": 7}, {"fromId": "7"}),
        ({}, {}),
    ],
)
def test_trades_are_asked_for_in_combinations_that_the_venue_takes(
    stub: Stub, make_venue: MakeVenue, listener: Probe, asked: dict[str, int], sent: dict[str, str]
) -> None:
    stub.handlers["GET /api/v3/myTrades"] = lambda _: [a_trade(7)]
    make_venue().tell(QueryTrades(symbol="BTCUSDT", reply_to=listener.ref, **asked))
    found = listener.expect(TradesFound)
    assert found.complete
    assert found.trades[0].trade_id == 7
    params = stub.asked_for("GET /api/v3/myTrades")[0].params
    assert {name: params[name] for name in ("fromId", "startTime", "orderId") if name in params} == sent


def test_a_full_page_of_trades_is_not_complete(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/myTrades"] = lambda _: [a_trade(number) for number in range(1000)]
    make_venue().tell(QueryTrades(symbol="BTCUSDT", from_id=0, reply_to=listener.ref))
    assert not listener.expect(TradesFound).complete


def test_rules_of_an_unknown_symbol_are_missing_and_the_others_there(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    def info(params: Params) -> object:
        if "NOSUCH" in params["symbols"]:
            return Say(status=400, code=-1121, message="Invalid symbol.")
        names = params["symbols"].strip("[]").replace('"', "").split(",")
        return {"symbols": [a_symbol(name) for name in names], "rateLimits": []}

    stub.handlers["GET /api/v3/exchangeInfo"] = info
    venue = make_venue()
    venue.tell(QueryRules(symbols=("BTCUSDT", "NOSUCH", "ETHUSDT"), reply_to=listener.ref))
    assert [rules.symbol for rules in listener.expect(RulesFound).rules] == ["BTCUSDT", "ETHUSDT"]
    venue.tell(QueryRules(symbols=("BTCUSDT", "ETHUSDT"), reply_to=listener.ref))
    assert [rules.symbol for rules in listener.expect(RulesFound).rules] == ["BTCUSDT", "ETHUSDT"]
    assert len(stub.asked_for("GET /api/v3/exchangeInfo")) == 5
    venue.tell(QueryRules(symbols=(), reply_to=listener.ref))
    listener.expect(RulesFound(rules=()))


def test_rules_that_cannot_be_read_are_a_failure(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/exchangeInfo"] = lambda _: Say(status=500)
    make_venue().tell(QueryRules(symbols=("BTCUSDT",), reply_to=listener.ref))
    listener.expect(QueryFailed)


def test_the_clock_is_told_as_an_offset_with_its_bias(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/time"] = lambda _: {"serverTime": now_ms() + 5_000}
    make_venue().tell(QueryTime(reply_to=listener.ref))
    found = listener.expect(TimeFound)
    assert 4_900 <= found.offset_milliseconds <= 5_000
    assert found.bias_milliseconds == -50


def test_a_clock_that_is_not_answered_is_a_failure(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["GET /api/v3/time"] = lambda _: Say(status=503)
    venue = make_venue()
    venue.tell(QueryTime(reply_to=listener.ref))
    listener.expect(QueryFailed)
    venue.tell(QueryBalances(reply_to=listener.ref))
    assert "clock" in listener.expect(QueryFailed).detail
    assert not stub.asked_for("GET /api/v3/account")


def test_a_refused_timestamp_has_the_clock_read_again(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    skew = [0]
    stub.handlers["GET /api/v3/time"] = lambda _: {"serverTime": now_ms() + skew[0]}
    stub.handlers["GET /api/v3/account"] = lambda _: Say(status=400, code=-1021, message="outside of the recvWindow")
    venue = make_venue()
    venue.tell(QueryBalances(reply_to=listener.ref))
    listener.expect(QueryFailed)
    skew[0] = 60_000
    count = len(stub.asked_for("GET /api/v3/time"))
    stub.wait_for("GET /api/v3/time", count + 2)
    stub.handlers["GET /api/v3/account"] = lambda _: {"balances": []}

    def caught_up() -> bool:
        venue.tell(QueryBalances(reply_to=listener.ref))
        listener.expect(BalancesFound)
        return int(stub.asked_for("GET /api/v3/account")[-1].params["timestamp"]) > now_ms() + 50_000

    assert caught_up() or caught_up()


def test_an_answer_about_another_order_is_not_believed(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    for other in (
        {"clientOrderId": "tgp-abcdefghij234-1-0", "status": "CANCELED"},
        {"clientOrderId": "somebody", "status": "FILLED"},
        {"symbol": "ETHUSDT"},
    ):
        stub.handlers["GET /api/v3/order"] = lambda _, other=other: a_queried(**other)  # type: ignore[misc]
        venue.tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
        listener.expect(QueryFailed)
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(clientOrderId="by-hand", status="CANCELED")
    venue.tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
    assert listener.expect(OrderFound).order.client_order_id == CHILD


def test_a_list_of_another_symbol_or_order_is_not_believed(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    stub.handlers["GET /api/v3/openOrders"] = lambda _: [a_queried(symbol="ETHUSDT")]
    stub.handlers["GET /api/v3/allOrders"] = lambda _: [a_queried(symbol="ETHUSDT")]
    stub.handlers["GET /api/v3/myTrades"] = lambda _: [a_trade(1)]
    venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
    venue.tell(QueryAllOrders(symbol="BTCUSDT", since=1, reply_to=listener.ref))
    venue.tell(QueryTrades(symbol="ETHUSDT", reply_to=listener.ref))
    venue.tell(QueryTrades(symbol="BTCUSDT", order_id=29, reply_to=listener.ref))
    for _ in range(4):
        listener.expect(QueryFailed)
