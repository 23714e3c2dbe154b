from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from adapters.binance.codec import (
    acknowledged,
    balances_of,
    balances_seen,
    cancel_acknowledged,
    cancel_params,
    decode,
    error_of,
    late_reports,
    order_params,
    order_report,
    own_id,
    rules_of,
    snapshot_of,
    status_of,
    the_order,
    trade_of,
)
from adapters.binance.outcomes import Unreadable
from adapters.binance.shapes import ExchangeInfo, OwnTrade, QueriedOrder
from messages.ids import cancel_id, child_id
from messages.order import BalancesSeen, OrderSnapshot, OrderStatus, QueryOrder
from messages.signal import Side
from tests.adapters.binance.stub import a_cancelled, a_placed, a_queried, a_report
from tests.adapters.binance.test_venue_orders import CHILD, a_cancel, an_order
from tests.order_tools import Nobody

D = Decimal
PARAMS = {"symbol": "BTCUSDT", "side": "BUY", "newClientOrderId": CHILD}


def raw(value: object) -> bytes:
    return orjson.dumps(value)


def test_amounts_go_out_as_plain_strings_whatever_their_exponent() -> None:
    params = order_params(an_order(None, quantity=D("1E-7"), limit_price=D("1E+5")))
    assert params["quantity"] == "0.0000001"
    assert params["price"] == "100000"


def test_a_resting_maker_order_carries_a_price_and_no_time_in_force() -> None:
    params = order_params(an_order(None, order_type="LIMIT_MAKER", time_in_force="GTC"))
    assert "timeInForce" not in params
    assert params["price"] == "50000"


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({}, {"type": "LIMIT", "timeInForce": "IOC", "price": "50000"}),
        ({"time_in_force": "FOK"}, {"type": "LIMIT", "timeInForce": "FOK", "price": "50000"}),
        ({"order_type": "LIMIT_MAKER", "time_in_force": None}, {"type": "LIMIT_MAKER", "price": "50000"}),
        ({"order_type": "MARKET", "time_in_force": None, "limit_price": None}, {"type": "MARKET"}),
        ({"order_type": "MARKET"}, {"type": "MARKET"}),
    ],
)
def test_an_order_is_written_with_what_its_kind_needs_and_no_more(order: dict[str, Any], told: dict[str, str]) -> None:
    assert order_params(an_order(None, request_timestamp=5, **order)) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "newClientOrderId": CHILD,
        "newOrderRespType": "FULL",
        "quantity": "0.02",
        "recvWindow": "5000",
        "timestamp": "5",
        **told,
    }


def test_a_cancel_names_the_order_by_its_number_if_that_is_known_else_by_its_id() -> None:
    named = {"symbol": "BTCUSDT", "newClientOrderId": cancel_id(CHILD, 0)}
    assert cancel_params(a_cancel(None)) == {**named, "origClientOrderId": CHILD}
    assert cancel_params(a_cancel(None, order_id=28)) == {**named, "orderId": "28"}


def test_a_reply_is_read_field_by_field_where_it_tells_them_and_else_as_it_was_asked_for() -> None:
    told = a_placed(
        {**PARAMS, "side": "SELL"}, type="LIMIT_MAKER", price="1", origQty="3", executedQty="2", expiryReason="WHY"
    )
    order = OrderSnapshot(
        symbol="BTCUSDT",
        order_id=28,
        client_order_id=CHILD,
        side=Side.SELL,
        order_type="LIMIT_MAKER",
        status=OrderStatus.FILLED,
        price=D(1),
        quantity=D(3),
        executed_quantity=D(2),
        executed_quote=D("999.99"),
        time=1_700_000_000_123,
        update_time=1_700_000_000_123,
        expiry="WHY",
    )
    assert acknowledged(an_order(None), raw(told)).order == order
    ack = {key: told[key] for key in ("symbol", "orderId", "clientOrderId", "transactTime")}
    asked = replace(
        order,
        side=Side.BUY,
        order_type="LIMIT",
        status=OrderStatus.UNRECOGNISED,
        price=D(50_000),
        quantity=D("0.02"),
        executed_quantity=D(0),
        executed_quote=D(0),
        expiry=None,
    )
    assert acknowledged(an_order(None), raw(ack)).order == asked
    market = an_order(None, order_type="MARKET", time_in_force=None, limit_price=None)
    assert acknowledged(market, raw(ack)).order == replace(asked, order_type="MARKET", price=D(0))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"<html>", "no JSON"),
        (b"[]", "unexpected JSON"),
        (raw(a_placed(PARAMS, side="HOLD")), "unexpected JSON at `$.side`"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place(text: bytes, where: str) -> None:
    with pytest.raises(Unreadable) as caught:
        acknowledged(an_order(None), text)
    assert str(caught.value) == where


ANOTHER = child_id("p", "abcdefghij234", 0, 1)


@pytest.mark.parametrize(
    ("number", "shown", "right"),
    [
        (None, {}, True),
        (None, {"clientOrderId": cancel_id(CHILD, 0)}, True),
        (None, {"clientOrderId": "web_1", "status": "CANCELED"}, True),
        (None, {"clientOrderId": "web_1"}, False),
        (None, {"clientOrderId": ANOTHER}, False),
        (None, {"clientOrderId": ANOTHER, "status": "CANCELED"}, False),
        (None, {"symbol": "ETHUSDT"}, False),
        (28, {}, True),
        (28, {"clientOrderId": cancel_id(CHILD, 0)}, True),
        (28, {"clientOrderId": "web_1"}, True),
        (28, {"clientOrderId": ANOTHER}, False),
        (28, {"orderId": 29}, False),
        (28, {"symbol": "ETHUSDT"}, False),
    ],
)
def test_an_answer_is_about_the_order_that_was_asked_for_or_unreadable(
    number: int | None, shown: dict[str, Any], right: bool
) -> None:
    asked = QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=Nobody(), order_id=number)
    found = decode(QueriedOrder, raw(a_queried(**shown)))
    if right:
        assert the_order(found, asked) == replace(snapshot_of(found), client_order_id=CHILD)
    else:
        with pytest.raises(Unreadable, match="another order"):
            the_order(found, asked)


def test_amounts_come_in_exactly() -> None:
    placed = a_placed(PARAMS, executedQty="0.12345678901234567890")
    reply = acknowledged(an_order(None), raw(placed))
    assert reply.order.executed_quantity == D("0.12345678901234567890")
    assert reply.order.time == reply.order.update_time == 1_700_000_000_123
    assert [(trade.price, trade.maker, trade.side) for trade in reply.trades] == [
        (D(49_999), False, Side.BUY),
        (D(50_000), False, Side.BUY),
    ]


def test_an_ack_without_a_state_is_an_order_whose_state_is_not_recognised() -> None:
    ack = {key: a_placed(PARAMS)[key] for key in ("symbol", "orderId", "clientOrderId", "transactTime")}
    reply = acknowledged(an_order(None), raw(ack))
    assert reply.order.status is OrderStatus.UNRECOGNISED
    assert reply.order.executed_quantity == 0
    assert reply.order.quantity == D("0.02")
    assert reply.order.price == D(50_000)
    assert reply.trades == ()


def test_words_and_keys_that_nobody_knows_yet_do_no_harm() -> None:
    assert status_of("FROZEN") is OrderStatus.UNRECOGNISED
    report = order_report(raw(a_report(X="FROZEN", brandNew={"a": [1]})))
    assert report.order.status is OrderStatus.UNRECOGNISED
    assert acknowledged(an_order(None), raw(a_placed(PARAMS, brandNew=1))).order.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"<html>",
        b"[]",
        b"\xff\xfe",
        raw(a_placed(PARAMS, executedQty="NaN")),
        raw(a_placed(PARAMS, price="Infinity")),
        raw(a_placed(PARAMS, price="secret-looking")),
        raw(a_placed(PARAMS, side="HOLD")),
        raw(a_placed(PARAMS, orderId="28x")),
        raw(a_placed(PARAMS, symbol="ETHUSDT")),
        raw(a_placed(PARAMS, clientOrderId="another")),
    ],
)
def test_what_cannot_be_read_is_unreadable_and_not_quoted(broken: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        acknowledged(an_order(None), broken)
    assert "secret-looking" not in str(caught.value)


def test_a_cancel_reports_the_order_under_its_own_id() -> None:
    body = a_cancelled({"symbol": "BTCUSDT", "newClientOrderId": cancel_id(CHILD, 0)}, origClientOrderId=CHILD)
    reply = cancel_acknowledged(a_cancel(None), raw(body))
    assert reply.order.client_order_id == CHILD
    assert reply.order.time == 1_700_000_000_123
    for wrong in ({"symbol": "ETHUSDT"}, {"origClientOrderId": "another"}):
        with pytest.raises(Unreadable, match="another order"):
            cancel_acknowledged(a_cancel(None), raw({**body, **wrong}))


def test_a_cancel_by_number_reports_an_order_that_somebody_has_renamed() -> None:
    body = a_cancelled({"symbol": "BTCUSDT", "newClientOrderId": cancel_id(CHILD, 0)}, origClientOrderId="web_1")
    number = cancel_acknowledged(a_cancel(None), raw({**body, "origClientOrderId": CHILD})).order.order_id
    assert cancel_acknowledged(a_cancel(None, order_id=number), raw(body)).order.client_order_id == CHILD
    with pytest.raises(Unreadable, match="another order"):
        cancel_acknowledged(a_cancel(None, order_id=number + 1), raw(body))


def test_the_id_of_a_cancel_of_ours_leads_to_its_order() -> None:
    assert own_id(cancel_id(CHILD, 3)) == CHILD
    assert own_id(CHILD) == CHILD
    assert own_id("somebody_c1") == "somebody_c1"
    found = decode(QueriedOrder, raw(a_queried(clientOrderId=cancel_id(CHILD, 0), status="CANCELED")))
    assert snapshot_of(found).client_order_id == CHILD


def test_an_unknown_quote_amount_counts_as_nothing() -> None:
    found = decode(QueriedOrder, raw(a_queried(cummulativeQuoteQty="-1.00000000")))
    assert snapshot_of(found).executed_quote == 0


def test_a_trade_report_carries_its_trade() -> None:
    report = order_report(raw(a_report()))
    assert report.report_id == 77
    assert report.order.client_order_id == CHILD
    assert report.trade is not None
    assert (report.trade.trade_id, report.trade.quantity, report.trade.price) == (501, D("0.01"), D(49_999))
    assert (report.trade.commission, report.trade.commission_asset) == (D("0.00001"), "BTC")
    assert report.reason is None


def test_only_a_report_of_a_trade_has_one_whatever_else_tells_a_number() -> None:
    for changes in ({"x": "NEW"}, {"x": "CANCELED", "t": -1}, {"t": -1}):
        assert order_report(raw(a_report(**changes))).trade is None
    first = order_report(raw(a_report(t=0))).trade
    assert first is not None
    assert first.trade_id == 0


def test_a_trade_without_a_fee_has_none_and_an_order_is_as_old_as_its_first_report() -> None:
    told = a_report(O=5)
    assert order_report(raw(told)).order.time == 5
    told = {key: value for key, value in told.items() if key not in {"n", "N", "O"}}
    report = order_report(raw(told))
    assert report.order.time == report.order.update_time == 1_700_000_000_123
    assert report.trade is not None
    assert (report.trade.commission, report.trade.commission_asset) == (D(0), "")


def test_a_report_of_a_cancel_is_told_under_the_orders_own_id() -> None:
    report = order_report(
        raw(a_report(c=cancel_id(CHILD, 0), C=CHILD, x="CANCELED", X="CANCELED", t=-1, N=None, n="0"))
    )
    assert report.order.client_order_id == CHILD
    assert report.order.status is OrderStatus.CANCELED
    assert report.trade is None


def test_a_report_names_why_an_order_expired() -> None:
    expired = a_report(x="EXPIRED", X="EXPIRED", t=-1, eR="UNFILLED_IOC_QUANTITY_EXPIRED")
    assert order_report(raw(expired)).reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert order_report(raw(a_report(x="REJECTED", r="INSUFFICIENT_BALANCES"))).reason == "INSUFFICIENT_BALANCES"


def test_balances_come_in_both_shapes() -> None:
    account = {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.5"}], "uid": 1}
    assert balances_of(raw(account)).balances == (("BTC", D("1.5"), D("0.5")),)
    position = {"e": "outboundAccountPosition", "u": 7, "B": [{"a": "BTC", "f": "1.5", "l": "0.5"}]}
    assert balances_seen(raw(position)) == (7, BalancesSeen(balances=(("BTC", D("1.5"), D("0.5")),)))


def test_own_trades_tell_side_and_role() -> None:
    listed = {
        "symbol": "BTCUSDT",
        "id": 7,
        "orderId": 28,
        "price": "1",
        "qty": "2",
        "commission": "0.1",
        "commissionAsset": "BNB",
        "time": 5,
        "isBuyer": False,
        "isMaker": True,
    }
    trade = trade_of(decode(OwnTrade, raw(listed)))
    assert (trade.side, trade.maker, trade.trade_id) == (Side.SELL, True, 7)
    assert trade_of(decode(OwnTrade, raw({**listed, "isBuyer": True}))).side is Side.BUY


def test_a_late_reply_becomes_reports_with_numbers_of_ours() -> None:
    reply = acknowledged(an_order(None), raw(a_placed(PARAMS)))
    assert [(one.report_id, one.trade) for one in late_reports(reply, 4)] == [(-4, trade) for trade in reply.trades]
    empty = acknowledged(an_order(None), raw(a_placed(PARAMS, fills=[])))
    assert [one.trade for one in late_reports(empty, 5)] == [None]


def test_only_binances_own_errors_have_a_code() -> None:
    error = error_of(b'{"code":-1013,"msg":"Filter failure: LOT_SIZE"}')
    assert error is not None
    assert error.code == -1013
    assert error_of(b"<html>") is None
    assert error_of(b'{"message":"x"}') is None


def info(filters: list[dict[str, object]], **changes: object) -> bytes:
    symbol = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters}
    return raw({"symbols": [{**symbol, **changes}], "rateLimits": []})


def test_filters_become_rules() -> None:
    filters: list[dict[str, object]] = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "117", "stepSize": "0"},
        {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": True, "maxNotional": "9000000"},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "4",
            "askMultiplierDown": "0.3",
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "SOMETHING_NEW", "limit": 3},
    ]
    everywhere: dict[str, object] = {"filterType": "PERCENT_PRICE", "multiplierUp": "9", "multiplierDown": "0.1"}
    assert rules_of(decode(ExchangeInfo, info([*filters, everywhere]))) == rules_of(decode(ExchangeInfo, info(filters)))
    (rules,) = rules_of(decode(ExchangeInfo, info(filters)))
    assert (rules.tick, rules.step, rules.min_quantity, rules.market_max_quantity) == (
        D("0.01"),
        D("0.00001"),
        D("0.00001"),
        D(117),
    )
    assert (rules.min_notional, rules.max_notional, rules.max_orders) == (D(5), D(9_000_000), 200)
    assert (rules.bid_multiplier_up, rules.bid_multiplier_down) == (D(5), D("0.2"))
    assert (rules.ask_multiplier_up, rules.ask_multiplier_down) == (D(4), D("0.3"))
    assert rules.trading
    assert rules.spot


def test_older_filters_and_other_states_are_understood() -> None:
    filters: list[dict[str, object]] = [
        {"filterType": "MIN_NOTIONAL", "minNotional": "10", "applyToMarket": True},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2"},
    ]
    (rules,) = rules_of(decode(ExchangeInfo, info(filters, status="CANCEL_ONLY", isSpotTradingAllowed=False)))
    assert rules.min_notional == 10
    assert rules.ask_multiplier_up == rules.bid_multiplier_up == 5
    assert rules.ask_multiplier_down == rules.bid_multiplier_down == D("0.2")
    assert not rules.trading
    assert not rules.spot
    assert rules.status == "CANCEL_ONLY"


HUGE = 2**63 - 1


def test_ids_beyond_the_reach_of_a_float_come_in_exactly() -> None:
    report = order_report(raw(a_report(x="TRADE", X="FILLED", i=HUGE, t=HUGE - 2, I=HUGE - 4)))
    assert (report.order.order_id, report.report_id) == (HUGE, HUGE - 4)
    assert report.trade is not None
    assert report.trade.trade_id == HUGE - 2
    assert snapshot_of(decode(QueriedOrder, raw(a_queried(orderId=2**53 + 1)))).order_id == 2**53 + 1
