from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.paper.errors import ExchangeError
from adapters.paper.filters import Candidate, check, range_limits
from adapters.paper.rules import (
    PriceRange,
    SymbolSpec,
    SymbolStatus,
    built_in,
    exchange_info,
    price_range_of,
    symbol_rules,
    text,
    with_filter,
)
from messages.order import OrderStatus
from messages.signal import Side
from tests.adapters.paper.worlds import World


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ({"symbol": "NOSUCH"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"side": None}, -1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed."),
        ({"type": "STOP"}, -1116, "Invalid orderType."),
        ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
        ({"price": None}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"quantity": None}, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
        ({"quantity": ""}, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
        (
            {"quantity": "1e-05"},
            -1100,
            r"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
        ),
        ({"type": "MARKET", "timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"type": "MARKET", "price": "101.00"}, -1106, "Parameter 'price' sent when not required."),
        ({"type": "LIMIT_MAKER", "timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"quoteOrderQty": "10"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
        ({"icebergQty": "0.5"}, -2010, "Iceberg orders are not supported for this symbol."),
        ({"icebergQty": "0.5", "timeInForce": "IOC"}, -2010, "Unsupported order combination"),
        ({"icebergQty": "0.5", "type": "MARKET"}, -1106, "Parameter 'icebergQty' sent when not required."),
        ({"stopPrice": "99.00"}, -1106, "Parameter 'stopPrice' sent when not required."),
        ({"trailingDelta": "100"}, -1106, "Parameter 'trailingDelta' sent when not required."),
        (
            {"type": "STOP_LOSS", "stopPrice": "99.00", "price": None, "timeInForce": None},
            -2010,
            "Stop price would trigger immediately.",
        ),
        (
            {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "110.00"},
            -2010,
            "Stop price would trigger immediately.",
        ),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "110.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "0"}, -1013, "Invalid price."),
        (
            {"type": "STOP_LOSS", "stopPrice": "110.00", "timeInForce": None},
            -1106,
            "Parameter 'price' sent when not required.",
        ),
        (
            {"type": "STOP_LOSS", "stopPrice": "110.00", "timeInForce": None, "price": None, "quantity": None},
            -1102,
            "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
        ),
        (
            {"type": "STOP_LOSS_LIMIT", "stopPrice": "110.00", "timeInForce": None},
            -1102,
            "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
        ),
        (
            {"type": "STOP_LOSS_LIMIT", "trailingDelta": "100"},
            -2010,
            "Trailing stop orders are not supported for this symbol.",
        ),
        (
            {"type": "STOP_LOSS", "price": None, "timeInForce": None},
            -1102,
            "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!",
        ),
        (
            {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "110.00", "price": None},
            -1102,
            "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
        ),
        ({"pegPriceType": "PRIMARY_PEG"}, -2010, "Pegged orders are not supported for this symbol."),
        ({"strategyType": "999999"}, -1134, "`strategyType` was less than 1000000."),
        (
            {"strategyId": "mine"},
            -1100,
            "Illegal characters found in parameter 'strategyId'; legal range is '^[0-9]{1,20}$'.",
        ),
        (
            {"type": "MARKET", "quantity": None},
            -1102,
            "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
        ),
        ({"type": "MARKET", "quoteOrderQty": "10"}, -1128, "Combination of optional parameters invalid."),
        (
            {"newClientOrderId": "a.b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        (
            {"newClientOrderId": "a" * 37},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        (
            {"selfTradePreventionMode": "EXPIRE_ALL"},
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        ),
        ({"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"price": "101.123456789"}, -1111, "Parameter 'price' has too much precision."),
        ({"quantity": "0"}, -1013, "Invalid quantity."),
        ({"price": "0.00"}, -1013, "Invalid price."),
        ({"price": "101.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "2000000.00"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "503.00"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "20.00"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "20.00", "side": "SELL"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "1.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"type": "MARKET", "quantity": "130"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ({"quantity": "0.04950", "price": "100.99"}, -1013, "Filter failure: NOTIONAL"),
        ({"type": "MARKET", "quantity": "0.04900"}, -1013, "Filter failure: NOTIONAL"),
        ({"type": "MARKET", "quantity": None, "quoteOrderQty": "4.99"}, -1013, "Filter failure: NOTIONAL"),
    ],
)
def test_each_broken_rule_is_told_in_the_exchanges_own_words(
    changes: dict[str, str | None], code: int, message: str
) -> None:
    world = World()
    refusal = world.refusal(**changes)
    assert (refusal.code, refusal.message, refusal.http_status) == (code, message, 400)
    assert world.exchange.engine.orders == {}
    assert world.story() == []


def test_an_order_at_the_very_bounds_is_taken() -> None:
    world = World()
    assert world.place(quantity="0.04951", price="101.00").order.status is OrderStatus.FILLED
    world.place(price="502.50", quantity="0.01", newClientOrderId="c")


def test_open_orders_are_limited_by_number() -> None:
    world = World(specs={"max_orders": 2})
    world.place(price="99.00", newClientOrderId="a")
    world.place(price="99.00", newClientOrderId="b")
    assert world.refusal(price="99.00", newClientOrderId="c").message == "Filter failure: MAX_NUM_ORDERS"
    assert world.place(type="MARKET", newClientOrderId="d").order.executed == 1


def test_a_position_limit_counts_what_is_held_and_what_open_buys_may_add() -> None:
    world = World(specs={"max_position": Decimal(12)})
    world.place(price="99.00", newClientOrderId="a")
    assert world.refusal(quantity="2", newClientOrderId="b").message == "Filter failure: MAX_POSITION"
    assert world.place(quantity="1", newClientOrderId="c").order.executed == 1
    assert world.place(side="SELL", quantity="1", price="100.00", newClientOrderId="d").order.executed == 1


@pytest.mark.parametrize("status", [SymbolStatus.HALT, SymbolStatus.BREAK, SymbolStatus.CANCEL_ONLY])
def test_a_symbol_that_does_not_trade_takes_no_order_but_a_cancel(status: SymbolStatus) -> None:
    world = World()
    world.place(price="99.00")
    world.exchange.set_status("BTCUSDT", status)
    refusal = world.refusal(newClientOrderId="b")
    assert (refusal.code, refusal.message) == (-2010, "Market is closed.")
    assert world.cancel(orderId="1").order.status is OrderStatus.CANCELED
    world.exchange.set_status("BTCUSDT", SymbolStatus.TRADING)
    assert world.place(newClientOrderId="c").order.executed == 1


def test_a_filter_can_be_changed_while_the_exchange_runs() -> None:
    world = World()
    world.exchange.set_filter("BTCUSDT", "LOT_SIZE", {"stepSize": "0.1", "minQty": "0.1"})
    assert world.refusal(quantity="0.25").message == "Filter failure: LOT_SIZE"
    world.exchange.set_filter("BTCUSDT", "NOTIONAL", {"applyMinToMarket": False})
    assert world.exchange.rules(["BTCUSDT"], world.now)[0].apply_min_to_market is False
    world.exchange.set_filter("BTCUSDT", "MAX_NUM_ORDERS", {"maxNumOrders": 0})
    assert world.refusal().message == "Filter failure: MAX_NUM_ORDERS"
    with pytest.raises(ValueError, match="LOT_SIZE has no noSuch"):
        with_filter(built_in()["BTCUSDT"], "LOT_SIZE", {"noSuch": "1"})


@pytest.mark.parametrize(
    ("filter_type", "fields", "order"),
    [
        ("MIN_NOTIONAL", {"minNotional": "200"}, {"quantity": "1"}),
        ("MIN_NOTIONAL", {"minNotional": "200"}, {"quantity": "1", "type": "MARKET"}),
        ("MIN_NOTIONAL", {"minNotional": "200"}, {"quantity": None, "quoteOrderQty": "150", "type": "MARKET"}),
        ("PERCENT_PRICE", {"multiplierUp": "1.004"}, {"price": "101.00"}),
        ("PERCENT_PRICE", {"multiplierDown": "0.996"}, {"price": "100.00", "side": "SELL"}),
        ("PERCENT_PRICE_BY_SIDE", {"bidMultiplierUp": "1.004"}, {"price": "101.00"}),
        ("PERCENT_PRICE_BY_SIDE", {"askMultiplierDown": "0.996"}, {"price": "100.00", "side": "SELL"}),
        ("MAX_NUM_ORDERS", {"maxNumOrders": "0"}, {}),
        ("MAX_POSITION", {"maxPosition": "10.5"}, {"quantity": "1"}),
    ],
)
def test_each_filter_that_is_set_refuses_in_its_own_name(
    filter_type: str, fields: dict[str, str | int | bool], order: dict[str, str | None]
) -> None:
    world = World()
    world.exchange.set_filter("BTCUSDT", filter_type, fields)
    refusal = world.refusal(**order)
    assert (refusal.code, refusal.message) == (-1013, f"Filter failure: {filter_type}")


def test_the_old_least_notional_binds_market_orders_only_if_it_says_so() -> None:
    world = World()
    world.exchange.set_filter("BTCUSDT", "MIN_NOTIONAL", {"minNotional": "200", "applyToMarket": False})
    assert world.place(type="MARKET", quantity="1").order.executed == 1
    assert world.refusal(quantity="1").message == "Filter failure: MIN_NOTIONAL"
    assert symbol_rules(world.exchange.engine.books["BTCUSDT"].spec).min_notional == 200


def test_amendments_are_limited_by_their_filter() -> None:
    world = World()
    world.exchange.set_filter("BTCUSDT", "MAX_NUM_ORDER_AMENDS", {"maxNumOrderAmends": 1})
    world.place(price="99.00", quantity="3")
    params = {"symbol": "BTCUSDT", "orderId": "1", "newClientOrderId": "a"}
    world.exchange.amend({**params, "newQty": "2"}, world.now)
    with pytest.raises(ExchangeError) as refused:
        world.exchange.amend({**params, "newQty": "1"}, world.now)
    assert (refused.value.code, refused.value.message) == (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")


@pytest.mark.parametrize(
    ("filter_type", "fields", "said"),
    [
        ("LOT_SIZE", {"stepSize": "wide"}, "stepSize must be a number >= 0, not 'wide'"),
        ("LOT_SIZE", {"stepSize": "NaN"}, "stepSize must be a number"),
        ("LOT_SIZE", {"minQty": "-1"}, "minQty must be a number"),
        ("LOT_SIZE", {"minQty": True}, "minQty must be a number"),
        ("MAX_NUM_ORDERS", {"maxNumOrders": "1.5"}, "maxNumOrders must be a whole number"),
        ("NOTIONAL", {"applyMinToMarket": "no"}, "applyMinToMarket must be true or false"),
        ("ODD_SIZE", {}, "there is no filter ODD_SIZE; there are PRICE_FILTER, LOT_SIZE"),
    ],
)
def test_a_filter_is_not_changed_into_nonsense(
    filter_type: str, fields: dict[str, str | int | bool], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        with_filter(built_in()["BTCUSDT"], filter_type, fields)


def test_filters_of_older_symbols_are_told_only_where_they_are_set() -> None:
    def told(spec: SymbolSpec) -> dict[str, dict[str, object]]:
        filters: Any = exchange_info(spec)["filters"]
        return {one.pop("filterType"): one for one in filters}

    usual = told(built_in()["BTCUSDT"])
    assert {"PERCENT_PRICE", "MIN_NOTIONAL", "MAX_POSITION"}.isdisjoint(usual)
    assert usual["ICEBERG_PARTS"] == {"limit": 100}
    assert usual["MAX_NUM_ALGO_ORDERS"] == {"maxNumAlgoOrders": 5}
    assert usual["MAX_NUM_ORDER_AMENDS"] == {"maxNumOrderAmends": 10}
    old = with_filter(built_in()["BTCUSDT"], "MIN_NOTIONAL", {"minNotional": "10"})
    old = with_filter(old, "PERCENT_PRICE", {"multiplierUp": "5", "multiplierDown": "0.2"})
    assert told(old)["MIN_NOTIONAL"] == {"minNotional": "10.00000000", "applyToMarket": True, "avgPriceMins": 5}
    assert told(old)["PERCENT_PRICE"] == {
        "multiplierUp": "5.00000000",
        "multiplierDown": "0.20000000",
        "avgPriceMins": 5,
    }


def test_zero_means_that_there_is_no_bound() -> None:
    spec = built_in()["BTCUSDT"]
    for filter_type, fields in (
        ("PRICE_FILTER", {"minPrice": "0", "maxPrice": "0", "tickSize": "0"}),
        ("LOT_SIZE", {"minQty": "0", "maxQty": "0", "stepSize": "0"}),
        ("NOTIONAL", {"minNotional": "0", "maxNotional": "0"}),
        ("PERCENT_PRICE_BY_SIDE", {"bidMultiplierUp": "0", "bidMultiplierDown": "0"}),
    ):
        spec = with_filter(spec, filter_type, dict(fields))
    check(spec, _candidate(quantity=Decimal("0.0000001"), price=Decimal("12345678.00000001")))


BOUNDED = SymbolSpec(
    symbol="XY",
    base="X",
    quote="Y",
    tick=Decimal("0.01"),
    step=Decimal("0.1"),
    min_price=Decimal(1),
    max_price=Decimal(1000),
    min_quantity=Decimal("0.5"),
    max_quantity=Decimal(100),
    market_min_quantity=Decimal(1),
    market_max_quantity=Decimal(50),
    market_step=Decimal("0.5"),
    min_notional=Decimal(10),
    max_notional=Decimal(5000),
    bid_multiplier_up=Decimal(2),
    bid_multiplier_down=Decimal("0.5"),
    ask_multiplier_up=Decimal(3),
    ask_multiplier_down=Decimal("0.25"),
    max_orders=3,
    max_algo_orders=2,
    max_position=Decimal(60),
)
LIMIT = Candidate(
    side=Side.BUY,
    market=False,
    quantity=Decimal(1),
    quote_quantity=None,
    price=Decimal(100),
    reference=Decimal(100),
    open_orders=0,
    position=Decimal(0),
)
MARKET: dict[str, Any] = {"market": True, "price": None}


@pytest.mark.parametrize(
    ("changes", "bound", "beyond", "name"),
    [
        ({}, {"quantity": "0.5"}, {"quantity": "0.4"}, "LOT_SIZE"),
        ({}, {"quantity": "0.6"}, {"quantity": "0.65"}, "LOT_SIZE"),
        ({"price": "40", "reference": "40"}, {"quantity": "60"}, {"quantity": "100.1"}, "LOT_SIZE"),
        ({"reference": "1", "quantity": "20"}, {"price": "1"}, {"price": "0.99"}, "PRICE_FILTER"),
        ({"reference": "1000"}, {"price": "1000"}, {"price": "1000.01"}, "PRICE_FILTER"),
        ({}, {"price": "100.01"}, {"price": "100.005"}, "PRICE_FILTER"),
        ({"stops": 0}, {"stop_price": "1000"}, {"stop_price": "1000.01"}, "PRICE_FILTER"),
        ({}, {"price": "200"}, {"price": "200.01"}, "PERCENT_PRICE_BY_SIDE"),
        ({}, {"price": "50"}, {"price": "49.99"}, "PERCENT_PRICE_BY_SIDE"),
        ({"side": Side.SELL}, {"price": "300"}, {"price": "300.01"}, "PERCENT_PRICE_BY_SIDE"),
        ({"side": Side.SELL}, {"price": "25"}, {"price": "24.99"}, "PERCENT_PRICE_BY_SIDE"),
        ({"price": "900"}, {"reference": None}, {"reference": "100"}, "PERCENT_PRICE_BY_SIDE"),
        ({"price": "10", "reference": "10"}, {"quantity": "1"}, {"quantity": "0.9"}, "NOTIONAL"),
        ({}, {"quantity": "50"}, {"quantity": "50.1"}, "NOTIONAL"),
        (MARKET, {"quantity": "1"}, {"quantity": "0.9"}, "MARKET_LOT_SIZE"),
        (MARKET, {"quantity": "1.5"}, {"quantity": "1.4"}, "MARKET_LOT_SIZE"),
        ({**MARKET, "reference": "200"}, {"quantity": "50"}, {"quantity": "50.5"}, "MARKET_LOT_SIZE"),
        ({**MARKET, "quantity": None}, {"quote_quantity": "10"}, {"quote_quantity": "9.99"}, "NOTIONAL"),
        ({}, {"open_orders": 2}, {"open_orders": 3}, "MAX_NUM_ORDERS"),
        ({"open_orders": 3}, MARKET, {}, "MAX_NUM_ORDERS"),
        ({"stop_price": "150"}, {"stops": 1}, {"stops": 2}, "MAX_NUM_ALGO_ORDERS"),
        ({"stops": 2}, {}, {"stop_price": "150"}, "MAX_NUM_ALGO_ORDERS"),
        ({}, {"position": "59"}, {"position": "59.1"}, "MAX_POSITION"),
        ({"position": "59.1"}, {"side": Side.SELL}, {"side": Side.BUY}, "MAX_POSITION"),
        (
            {**MARKET, "quantity": None, "quote_quantity": "10"},
            {"position": "60"},
            {"position": "60.1"},
            "MAX_POSITION",
        ),
    ],
)
def test_each_filter_lets_its_bound_pass_and_refuses_what_is_beyond_it(
    changes: dict[str, Any], bound: dict[str, Any], beyond: dict[str, Any], name: str
) -> None:
    def candidate(**fields: Any) -> Candidate:
        amounts: dict[str, Any] = {key: Decimal(x) if type(x) is str else x for key, x in fields.items()}
        return replace(LIMIT, **amounts)

    check(BOUNDED, candidate(**{**changes, **bound}))
    with pytest.raises(ExchangeError) as caught:
        check(BOUNDED, candidate(**{**changes, **beyond}))
    assert caught.value.message == f"Filter failure: {name}"


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("high", [True, False])
@pytest.mark.parametrize(("quantity", "reference"), [("1.5", "6"), ("50", "120"), ("1", "10"), ("50", "100")])
def test_the_bounds_of_notional_bind_a_market_order_where_they_say_so(
    low: bool, high: bool, quantity: str, reference: str
) -> None:
    spec = replace(BOUNDED, apply_min_to_market=low, apply_max_to_market=high)
    order = replace(LIMIT, market=True, price=None, quantity=Decimal(quantity), reference=Decimal(reference))
    if (low and quantity == "1.5") or (high and reference == "120"):
        with pytest.raises(ExchangeError, match="Filter failure: NOTIONAL"):
            check(spec, order)
    else:
        check(spec, order)


def test_before_there_is_a_price_a_market_order_is_not_judged_by_its_notional() -> None:
    check(built_in()["BTCUSDT"], _candidate(market=True, reference=None, quantity=Decimal("0.00001")))


def test_a_huge_limit_order_is_over_the_greatest_notional() -> None:
    world = World()
    assert world.refusal(quantity="9000", price="500.00", side="SELL").code == -2010
    world.exchange.set_filter("BTCUSDT", "NOTIONAL", {"maxNotional": "1000"})
    assert world.refusal(quantity="11", price="100.00").message == "Filter failure: NOTIONAL"


def test_the_price_range_binds_only_with_a_rule_a_reference_and_a_multiple() -> None:
    spec = built_in()["BTCUSDT"]
    assert range_limits(spec, Side.BUY, Decimal(100)) == (None, None)
    multiples = {"bidLimitMultUp": "1.1", "bidLimitMultDown": "0.8", "askLimitMultDown": "0.9"}
    ranged = replace(spec, price_range=price_range_of(multiples))
    assert range_limits(ranged, Side.BUY, Decimal(100)) == (Decimal(80), Decimal(110))
    assert range_limits(ranged, Side.SELL, Decimal(100)) == (Decimal(90), None)
    assert range_limits(ranged, Side.BUY, None) == (None, None)


def test_a_price_range_is_read_by_the_names_that_execution_rules_gives_it() -> None:
    assert price_range_of({"bidLimitMultUp": "1.05"}) == PriceRange(bid_up=Decimal("1.05"))
    assert price_range_of({}) is None
    for wrong in ({"bidUp": "1.05"}, {"bidLimitMultUp": "0"}, {"bidLimitMultUp": "wide"}, {"askLimitMultUp": "NaN"}):
        with pytest.raises(ValueError, match=r"bidLimitMultUp|askLimitMultUp must be a number"):
            price_range_of(wrong)


def test_the_exchange_describes_its_symbols_as_the_real_one_does() -> None:
    world = World(specs={"max_position": Decimal(50)})
    info = world.exchange.exchange_info(["BTCUSDT"], world.now)
    assert info["serverTime"] == world.now // 1000
    symbols: Any = info["symbols"]
    (btc,) = symbols
    filters = {one["filterType"]: one for one in btc["filters"]}
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE",
        "minQty": "0.00001000",
        "maxQty": "9000.00000000",
        "stepSize": "0.00001000",
    }
    assert filters["NOTIONAL"]["applyMinToMarket"] is True
    assert filters["MAX_POSITION"]["maxPosition"] == "50.00000000"
    assert btc["defaultSelfTradePreventionMode"] == "EXPIRE_MAKER"
    whole = world.exchange.exchange_info([], world.now)
    names: Any = whole["symbols"]
    assert [one["symbol"] for one in names] == ["BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT"]
    assert "MAX_POSITION" not in {one["filterType"] for one in names[1]["filters"]}


def test_the_projects_own_words_say_the_same() -> None:
    rules = symbol_rules(built_in()["DOGEUSDT"])
    assert (rules.step, rules.tick, rules.min_notional) == (Decimal(1), Decimal("0.00001"), Decimal(1))
    assert rules.trading
    assert not symbol_rules(World(specs={"status": SymbolStatus.HALT}).exchange.engine.books["BTCUSDT"].spec).trading


def test_amounts_are_written_with_eight_decimals_or_as_many_as_they_have() -> None:
    assert text(Decimal("1.5")) == "1.50000000"
    assert text(Decimal("1E-9")) == "0.000000001"
    assert text(Decimal("61837.63000000") * Decimal("0.01000000")) == "618.37630000"
    assert text(Decimal("0.1000000000")) == "0.10000000"
    assert text(Decimal("0E-7")) == "0.00000000"
    assert exchange_info(built_in()["ETHUSDT"])["baseAsset"] == "ETH"


def _candidate(**changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "side": Side.BUY,
        "market": False,
        "quantity": Decimal(1),
        "quote_quantity": None,
        "price": None,
        "reference": Decimal(100),
        "open_orders": 0,
        "position": Decimal(0),
    }
    return Candidate(**{**fields, **changes})
