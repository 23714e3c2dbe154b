from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.paper.account import Fees
from adapters.paper.errors import ExchangeError
from adapters.paper.records import Amended
from adapters.paper.rules import PriceRange, SymbolStatus
from adapters.paper.store import AccountFile
from messages.order import OrderStatus
from messages.signal import Side
from tests.adapters.paper.worlds import World, fills
from tests.examples import examples


@pytest.fixture
def world() -> World:
    return World()


# Taking -------------------------------------------------------------------------------------------


def test_a_limit_order_takes_the_best_prices_first_and_pays_what_it_meets(world: World) -> None:
    placed = world.place(quantity="2", price="102.00")
    assert fills(placed) == [("101.00", "1"), ("102.00", "1")]
    assert placed.order.status is OrderStatus.FILLED
    assert placed.order.executed_quote == Decimal(203)
    assert world.held("USDT") == (Decimal(1_000_000) - 203, Decimal(0))


def test_a_sell_takes_the_bids_from_the_highest_down(world: World) -> None:
    placed = world.place(side="SELL", quantity="2", price="99.00")
    assert fills(placed) == [("100.00", "1"), ("99.00", "1")]


def test_what_a_good_till_cancelled_order_cannot_take_rests_at_its_price(world: World) -> None:
    placed = world.place(quantity="3", price="101.50")
    assert fills(placed) == [("101.00", "1")]
    assert placed.order.status is OrderStatus.PARTIALLY_FILLED
    assert world.held("USDT")[1] == Decimal("203.00")
    bids, _ = world.exchange.look("BTCUSDT", world.now)
    assert bids[0] == (Decimal("101.50"), Decimal(2))


def test_what_own_orders_took_is_gone_from_the_book(world: World) -> None:
    world.place(quantity="0.4")
    _, asks = world.exchange.look("BTCUSDT", world.now)
    assert asks[0] == (Decimal("101.00"), Decimal("0.6"))
    assert fills(world.place(quantity="1", price="102.00", newClientOrderId="b")) == [
        ("101.00", "0.6"),
        ("102.00", "0.4"),
    ]


def test_an_immediate_or_cancel_order_expires_with_what_it_could_not_take(world: World) -> None:
    placed = world.place(quantity="3", timeInForce="IOC")
    assert (placed.order.status, placed.order.executed) == (OrderStatus.EXPIRED, Decimal(1))
    assert placed.order.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert world.held("USDT") == (Decimal(1_000_000) - 101, Decimal(0))


def test_a_fill_or_kill_order_takes_all_or_nothing(world: World) -> None:
    killed = world.place(quantity="4", price="102.00", timeInForce="FOK")
    assert (killed.order.status, killed.trades) == (OrderStatus.EXPIRED, ())
    assert killed.order.expiry_reason == "UNFILLED_FOK_ORDER_EXPIRED"
    filled = world.place(quantity="3", price="102.00", timeInForce="FOK", newClientOrderId="b")
    assert filled.order.status is OrderStatus.FILLED


def test_a_market_order_walks_the_book_and_has_no_price(world: World) -> None:
    placed = world.place(type="MARKET", quantity="3")
    assert fills(placed) == [("101.00", "1"), ("102.00", "2")]
    assert (placed.order.price, placed.order.time_in_force) == (Decimal(0), "GTC")


def test_a_market_order_that_empties_the_book_expires_with_what_traded(world: World) -> None:
    placed = world.place(type="MARKET", quantity="9", side="SELL")
    assert (placed.order.status, placed.order.executed) == (OrderStatus.EXPIRED, Decimal(8))
    assert placed.order.expiry_reason == "INSUFFICIENT_LIQUIDITY"
    assert world.held("BTC") == (Decimal(2), Decimal(0))


def test_a_market_order_on_an_empty_book_expires_with_nothing(world: World) -> None:
    world.market.set_levels([("100.00", "1")], [])
    placed = world.place(type="MARKET", quantity="1")
    assert (placed.order.status, placed.order.executed, placed.trades) == (OrderStatus.EXPIRED, Decimal(0), ())


def test_an_amount_in_quote_buys_as_many_whole_steps_as_it_pays_for(world: World) -> None:
    placed = world.place(type="MARKET", quantity=None, quoteOrderQty="202.00")
    assert fills(placed) == [("101.00", "1"), ("102.00", "0.99019")]
    assert placed.order.status is OrderStatus.FILLED
    assert placed.order.quantity == placed.order.executed
    assert placed.order.quote_quantity == 202
    assert placed.order.executed_quote <= 202


def test_an_amount_in_quote_larger_than_the_book_is_filled_as_far_as_it_goes() -> None:
    world = World(balances={"USDT": "5000"})
    placed = world.place(type="MARKET", quantity=None, quoteOrderQty="5000")
    assert (placed.order.status, placed.order.executed) == (OrderStatus.EXPIRED, Decimal(8))


def test_an_amount_in_quote_on_an_empty_book_is_refused(world: World) -> None:
    world.market.set_levels([("100.00", "1")], [])
    refusal = world.refusal(type="MARKET", quantity=None, quoteOrderQty="100")
    assert (refusal.code, refusal.message) == (
        -2010,
        "Order book liquidity is less than symbol minimum quantity.",
    )
    world.market.set_levels([("100.00", "1")], [("101.00", "0.000005")])
    refusal = world.refusal(type="MARKET", quantity=None, quoteOrderQty="100")
    assert (refusal.code, refusal.message) == (
        -2010,
        "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.",
    )


def test_a_post_only_order_that_would_take_is_refused_and_else_rests(world: World) -> None:
    refusal = world.refusal(type="LIMIT_MAKER", price="101.00")
    assert (refusal.code, refusal.message) == (-2010, "Order would immediately match and take.")
    assert world.place(type="LIMIT_MAKER", price="100.99").order.status is OrderStatus.NEW


def test_the_price_range_rule_stops_a_taker_with_its_reason() -> None:
    world = World(specs={"price_range": PriceRange(bid_up=Decimal("1.01"), ask_down=Decimal("0.99"))})
    placed = world.place(type="MARKET", quantity="3")  # The mid is 100.50, so 101.505 is the worst price.
    assert (placed.order.executed, placed.order.status) == (Decimal(1), OrderStatus.EXPIRED)
    assert placed.order.expiry_reason == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


def test_the_price_range_rule_binds_a_seller_and_on_both_sides_of_the_reference() -> None:
    world = World(specs={"price_range": PriceRange(ask_down=Decimal("0.99"))})
    sold = world.place(type="MARKET", side="SELL", quantity="9")
    assert sold.order.expiry_reason == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    assert all(trade.price >= Decimal("99.495") for trade in sold.trades)
    too_cheap = World(specs={"price_range": PriceRange(bid_down=Decimal("1.01"))}).place(type="MARKET", quantity="1")
    assert (too_cheap.order.executed, too_cheap.order.status) == (Decimal(0), OrderStatus.EXPIRED)
    assert too_cheap.order.expiry_reason == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


# Amending -----------------------------------------------------------------------------------------


def amended(world: World, quantity: str, name: str = "a", new_name: str = "a2") -> Amended:
    params = {"symbol": "BTCUSDT", "origClientOrderId": name, "newClientOrderId": new_name, "newQty": quantity}
    return world.exchange.amend(params, world.now)


def test_an_order_made_smaller_keeps_its_place_and_gives_back_what_it_held(world: World) -> None:
    world.place(price="99.50", quantity="3")
    world.place(price="99.50", quantity="1", newClientOrderId="behind")
    world.executions()
    result = amended(world, "2")
    assert (result.order.quantity, result.order.client_order_id, result.original_id) == (Decimal(2), "a2", "a")
    assert world.held("USDT")[1] == Decimal("298.50")
    (told,) = world.executions()
    assert (told.execution_type, told.order.status, told.on_book) == ("REPLACED", OrderStatus.NEW, True)
    assert (told.client_order_id, told.original_client_order_id) == ("a2", "a")
    assert told.execution_id == result.execution_id
    world.market.set_levels([("98.00", "5")], [("99.50", "2"), ("101.00", "1")])
    world.later()
    assert [trade.order_id for trade in world.exchange.engine.trades] == [result.order.order_id]
    assert world.exchange.engine.orders["BTCUSDT", result.order.order_id].status is OrderStatus.FILLED


def test_a_sell_made_smaller_gives_back_its_base(world: World) -> None:
    world.place(side="SELL", price="105.00", quantity="3")
    amended(world, "1")
    assert world.held("BTC") == (Decimal(9), Decimal(1))


def test_an_order_can_keep_its_name_when_it_is_amended_and_goes_by_the_new_one_else(world: World) -> None:
    world.place(price="99.50", quantity="3")
    assert amended(world, "2", new_name="a").order.client_order_id == "a"
    amended(world, "1", new_name="b")
    assert world.cancel(origClientOrderId="b").order.quantity == 1
    world.place(price="99.50", newClientOrderId="a")


@pytest.mark.parametrize(
    ("quantity", "code", "text"),
    [
        ("4", -2038, "Order amend (quantity increase) is not supported."),
        ("3", -2038, "The requested action would change no state; rejecting."),
        ("1", -2038, "The requested action would change no state; rejecting."),
        ("1.000001", -1013, "Filter failure: LOT_SIZE"),
    ],
)
def test_an_amendment_that_makes_no_sense_changes_nothing(world: World, quantity: str, code: int, text: str) -> None:
    world.place(price="101.00", quantity="3")  # One of it is filled at once.
    world.executions()
    before = world.held("USDT")
    with pytest.raises(ExchangeError) as refusal:
        amended(world, quantity)
    assert (refusal.value.code, refusal.value.message) == (code, text)
    assert (world.held("USDT"), world.executions()) == (before, [])


def test_an_order_that_is_not_open_cannot_be_amended(world: World) -> None:
    world.place(quantity="1")
    with pytest.raises(ExchangeError) as refusal:
        amended(world, "0.5")
    assert (refusal.value.code, refusal.value.message) == (-2038, "Unknown order sent.")


def test_an_order_that_is_filled_in_the_same_moment_cannot_be_amended(world: World) -> None:
    world.place(price="99.50", quantity="1")
    world.market.set_levels([("98.00", "5")], [("99.50", "1")])
    world.now += 1000
    with pytest.raises(ExchangeError) as refusal:
        amended(world, "0.5")
    assert refusal.value.code == -2038
    assert world.exchange.engine.trades


def test_an_order_is_amended_ten_times_at_most_also_over_a_restart(tmp_path: Path) -> None:
    world = World(file=AccountFile(tmp_path / "a.db"))
    world.place(price="99.50", quantity="3")
    for number in range(10):
        amended(world, f"2.{9 - number}", new_name="a")
    world.exchange.close()
    again = World(file=AccountFile(tmp_path / "a.db"), now=world.now)
    with pytest.raises(ExchangeError) as refusal:
        amended(again, "1")
    assert refusal.value.message == "Filter failure: MAX_NUM_ORDER_AMENDS"
    again.exchange.close()


def test_an_amended_order_may_not_take_the_name_of_an_open_one(world: World) -> None:
    world.place(price="99.50", quantity="3")
    world.place(price="99.50", quantity="3", newClientOrderId="b")
    with pytest.raises(ExchangeError) as refusal:
        amended(world, "1", new_name="b")
    assert (refusal.value.code, refusal.value.message) == (-2010, "Duplicate order sent.")


@pytest.mark.parametrize(("status", "refused"), [("CANCEL_ONLY", False), ("HALT", True)])
def test_a_symbol_that_takes_cancels_only_lets_orders_become_smaller(
    world: World, status: str, *, refused: bool
) -> None:
    world.place(price="99.50", quantity="3")
    world.exchange.set_status("BTCUSDT", SymbolStatus(status))
    with pytest.raises(ExchangeError) if refused else nullcontext():
        amended(world, "1")
    assert world.held("USDT")[1] == (Decimal("298.50") if refused else Decimal("99.50"))


# Judging ------------------------------------------------------------------------------------------


def test_an_order_is_judged_without_a_trace(world: World) -> None:
    world.exchange.test(world.params(quantity="2", price="102.00"), world.now)
    assert (world.exchange.engine.orders, world.story(), world.held("USDT")[1]) == ({}, [], Decimal(0))


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"quantity": "0.000001"}, -1013), ({"price": "101.001"}, -1013), ({"quantity": "0.00001"}, -1013)],
)
def test_what_breaks_a_rule_is_judged_as_it_would_be_refused(world: World, changes: dict[str, str], code: int) -> None:
    placed = world.refusal(**changes)
    with pytest.raises(ExchangeError) as judged:
        world.exchange.test(world.params(**changes), world.now)
    assert (judged.value.code, judged.value.message) == (placed.code, placed.message) == (code, placed.message)


def test_a_closed_market_judges_as_it_refuses(world: World) -> None:
    world.exchange.steering["BTCUSDT"].halt()
    with pytest.raises(ExchangeError) as judged:
        world.exchange.test(world.params(), world.now)
    assert (judged.value.code, judged.value.message) == (-2010, "Market is closed.")


def test_judging_looks_at_rules_and_not_at_money_or_names() -> None:
    """As Binance's order/test, which never reaches the matching engine."""
    world = World(balances={"USDT": "100"})
    world.place(price="99.50")
    assert world.refusal(newClientOrderId="b").code == -2010
    world.exchange.test(world.params(), world.now)


# Resting ------------------------------------------------------------------------------------------


def test_an_own_order_waits_behind_what_is_displayed_at_its_price(world: World) -> None:
    world.place(price="100.00", quantity="1")
    world.market.trade(Side.SELL, "100.00", "0.7")
    world.later()
    assert world.exchange.engine.trades == []
    world.market.trade(Side.SELL, "100.00", "0.7")
    world.later()
    (trade,) = world.exchange.engine.trades
    assert (trade.price, trade.quantity, trade.maker) == (Decimal("100.00"), Decimal("0.4"), True)


def test_own_orders_at_one_price_are_filled_in_the_order_of_their_arrival(world: World) -> None:
    for name in ("first", "second", "third"):
        world.place(price="100.50", quantity="1", newClientOrderId=name)
    world.exchange.drain()
    world.market.trade(Side.SELL, "100.00", "1.5")
    world.later()
    assert world.story() == ["first TRADE FILLED", "second TRADE PARTIALLY_FILLED", "balances"]


def test_a_better_price_goes_before_an_earlier_arrival(world: World) -> None:
    world.place(price="100.20", newClientOrderId="early")
    world.place(price="100.60", newClientOrderId="better")
    world.exchange.drain()
    world.market.trade(Side.SELL, "100.00", "1")
    world.later()
    assert world.story() == ["better TRADE FILLED", "balances"]


def test_a_trade_at_a_worse_price_goes_through_our_own_first(world: World) -> None:
    world.place(side="SELL", price="101.00", quantity="2")
    world.market.trade(Side.BUY, "102.00", "5")
    world.later()
    (trade,) = world.exchange.engine.trades
    assert (trade.price, trade.quantity) == (Decimal("101.00"), Decimal(2))


def test_a_trade_at_a_better_price_or_of_our_own_side_does_not_reach_us(world: World) -> None:
    world.place(price="99.00")
    world.market.trade(Side.SELL, "100.00", "50")
    world.market.trade(Side.BUY, "99.00", "50")
    world.later()
    assert world.exchange.engine.trades == []


def test_a_market_that_comes_through_our_price_fills_us_at_our_price(world: World) -> None:
    world.place(price="100.00", quantity="3")
    world.market.set_levels([("98.00", "1")], [("99.00", "1"), ("99.50", "1.5"), ("101.00", "9")])
    world.later()
    assert [(str(t.price), str(t.quantity)) for t in world.exchange.engine.trades] == [
        ("100.00", "1"),
        ("100.00", "1.5"),
    ]
    bids, asks = world.exchange.look("BTCUSDT", world.now)
    assert bids[0] == (Decimal("100.00"), Decimal("0.5"))
    assert asks[0][0] == Decimal("101.00")


def test_an_own_order_is_first_once_the_others_have_left_its_price(world: World) -> None:
    world.place(price="100.00", quantity="1")
    world.market.set_levels([("99.00", "5")], [("101.00", "1")])
    world.later()
    world.market.trade(Side.SELL, "100.00", "0.2")
    world.later()
    assert world.exchange.engine.trades[0].quantity == Decimal("0.2")


def test_others_trades_carry_ids_of_the_same_row_as_our_own(world: World) -> None:
    world.place(price="100.50", quantity="1")
    world.market.trade(Side.BUY, "101.00", "1")
    world.market.trade(Side.SELL, "100.00", "1")
    world.later()
    assert [trade.trade_id for trade in world.exchange.engine.books["BTCUSDT"].recent] == [1, 2]
    assert world.exchange.engine.trades[0].trade_id == 2


# Self-trade prevention ----------------------------------------------------------------------------


def test_by_default_the_resting_order_yields_to_an_own_taker(world: World) -> None:
    world.place(side="SELL", price="100.50", newClientOrderId="maker")
    world.exchange.drain()
    placed = world.place(quantity="1", price="101.00", newClientOrderId="taker")
    assert fills(placed) == [("101.00", "1")]
    assert world.story() == [
        "taker NEW NEW",
        "maker TRADE_PREVENTION EXPIRED_IN_MATCH",
        "taker TRADE FILLED",
        "balances",
    ]
    assert world.held("BTC")[1] == 0


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        ("EXPIRE_TAKER", OrderStatus.NEW, OrderStatus.EXPIRED_IN_MATCH),
        ("EXPIRE_BOTH", OrderStatus.EXPIRED_IN_MATCH, OrderStatus.EXPIRED_IN_MATCH),
        ("NONE", OrderStatus.FILLED, OrderStatus.FILLED),
    ],
)
def test_the_takers_mode_decides_who_yields(world: World, mode: str, maker: OrderStatus, taker: OrderStatus) -> None:
    world.place(side="SELL", price="100.50", newClientOrderId="maker")
    placed = world.place(price="101.00", newClientOrderId="taker", selfTradePreventionMode=mode)
    orders = world.exchange.engine.by_client_id
    assert (orders["maker"][0].status, placed.order.status) == (maker, taker)
    if mode == "NONE":
        first, second = world.exchange.engine.trades
        assert first.trade_id == second.trade_id
        assert (first.maker, second.maker) == (False, True)


@pytest.mark.parametrize("mode", ["DECREMENT", "TRANSFER"])
def test_orders_that_decrement_each_other_both_lose_the_quantity_of_the_match(world: World, mode: str) -> None:
    world.place(side="SELL", price="100.50", quantity="3", newClientOrderId="maker")
    world.exchange.drain()
    placed = world.place(price="100.50", quantity="2", newClientOrderId="taker", selfTradePreventionMode=mode)
    maker = world.exchange.engine.by_client_id["maker"][0]
    assert (placed.order.status, placed.order.prevented, placed.trades) == (
        OrderStatus.EXPIRED_IN_MATCH,
        Decimal(2),
        (),
    )
    assert (maker.status, maker.prevented, maker.left) == (OrderStatus.NEW, Decimal(2), Decimal(1))
    assert world.held("BTC") == (Decimal(9), Decimal(1)), "what the smaller maker needs stays set aside"
    assert world.held("USDT")[1] == 0
    events = [event for event in world.executions() if event.execution_type == "TRADE_PREVENTION"]
    assert [(one.order.client_order_id, one.order.status.value, one.on_book) for one in events] == [
        ("maker", "NEW", True),
        ("taker", "EXPIRED_IN_MATCH", False),
    ]
    assert [(one.last_prevented, one.prevented_price) for one in events] == [(Decimal(2), Decimal("100.50"))] * 2
    assert len({one.order.prevented_match for one in events}) == 1
    world.market.trade(Side.BUY, "100.50", "5")
    world.later()
    assert (maker.executed, maker.status) == (Decimal(1), OrderStatus.EXPIRED_IN_MATCH)
    assert world.story()[:2] == ["maker TRADE PARTIALLY_FILLED", "maker EXPIRED EXPIRED_IN_MATCH"]


def test_a_taker_goes_on_behind_the_own_order_that_it_decremented(world: World) -> None:
    world.place(side="SELL", price="100.50", quantity="1", newClientOrderId="maker")
    world.exchange.drain()
    placed = world.place(
        price="101.00", quantity="3", newClientOrderId="taker", timeInForce="IOC", selfTradePreventionMode="DECREMENT"
    )
    assert world.story() == [
        "taker NEW NEW",
        "maker TRADE_PREVENTION EXPIRED_IN_MATCH",
        "taker TRADE_PREVENTION NEW",
        "taker TRADE PARTIALLY_FILLED",
        "taker EXPIRED EXPIRED",
        "balances",
    ]
    order = placed.order
    assert (order.executed, order.prevented, order.left) == (Decimal(1), Decimal(1), Decimal(1))
    assert order.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert world.held("USDT")[1] == world.held("BTC")[1] == 0


def test_what_is_filled_but_for_what_was_prevented_is_not_called_filled(world: World) -> None:
    world.place(side="SELL", price="100.50", quantity="1", newClientOrderId="maker")
    placed = world.place(price="101.00", quantity="2", newClientOrderId="taker", selfTradePreventionMode="DECREMENT")
    assert (placed.order.executed, placed.order.status) == (Decimal(1), OrderStatus.EXPIRED_IN_MATCH)


def test_a_market_order_in_quote_counts_what_it_decrements(world: World) -> None:
    world.place(side="SELL", price="100.50", quantity="1", newClientOrderId="maker")
    placed = world.place(
        type="MARKET",
        quantity=None,
        quoteOrderQty="201.50",
        newClientOrderId="taker",
        selfTradePreventionMode="DECREMENT",
    )
    order = placed.order
    assert (order.quantity, order.executed, order.prevented) == (Decimal(2), Decimal(1), Decimal(1))
    assert fills(placed) == [("101.00", "1")]


def test_both_orders_of_a_match_that_expires_both_tell_its_one_number(world: World) -> None:
    world.place(side="SELL", price="100.50", newClientOrderId="maker")
    world.place(price="101.00", newClientOrderId="taker", selfTradePreventionMode="EXPIRE_BOTH")
    told = [one.order.prevented_match for one in world.executions() if one.execution_type == "TRADE_PREVENTION"]
    assert len(told) == 2
    assert len(set(told)) == 1


def test_a_decremented_order_is_not_amended_to_less_than_it_has_used(world: World) -> None:
    world.place(side="SELL", price="100.50", quantity="3", newClientOrderId="a")
    world.place(price="100.50", quantity="2", newClientOrderId="taker", selfTradePreventionMode="DECREMENT")
    with pytest.raises(ExchangeError, match="would change no state"):
        amended(world, "2")
    assert amended(world, "2.5").order.left == Decimal("0.5")


def test_at_one_price_others_are_taken_before_an_own_order_however_early_it_came(world: World) -> None:
    world.place(side="SELL", price="101.00", newClientOrderId="maker")
    placed = world.place(price="101.00", quantity="1.5", newClientOrderId="taker", selfTradePreventionMode="NONE")
    assert fills(placed) == [("101.00", "1"), ("101.00", "0.5")]
    assert world.exchange.engine.by_client_id["maker"][0].executed == Decimal("0.5")


def test_two_own_orders_at_one_price_are_shown_as_one_level(world: World) -> None:
    world.place(price="100.50", quantity="1", newClientOrderId="a")
    world.place(price="100.50", quantity="2", newClientOrderId="b")
    bids, _ = world.exchange.look("BTCUSDT", world.now)
    assert bids[:2] == ((Decimal("100.50"), Decimal(3)), (Decimal("100.00"), Decimal(1)))


def test_an_order_behind_the_whole_book_has_nobody_ahead_at_its_price(world: World) -> None:
    world.place(price="97.00")
    world.place(price="98.50", newClientOrderId="b")
    assert [order.ahead for order in world.exchange.engine.open.values()] == [0, 0]
    world.market.set_levels([], [("101.00", "1")])
    world.later()
    bids, _ = world.exchange.look("BTCUSDT", world.now)
    assert [price for price, _ in bids] == [Decimal("98.50"), Decimal("97.00")]


# Cancels and events -------------------------------------------------------------------------------


def test_events_come_as_new_then_trades_then_the_end_then_balances(world: World) -> None:
    world.place(quantity="3", price="102.00", timeInForce="IOC")
    assert world.story() == ["a NEW NEW", "a TRADE PARTIALLY_FILLED", "a TRADE FILLED", "balances"]
    world.place(type="MARKET", quantity="9", newClientOrderId="b")
    assert world.story() == ["b NEW NEW", "b TRADE PARTIALLY_FILLED", "b EXPIRED EXPIRED", "balances"]


def test_execution_ids_and_order_ids_and_trade_ids_only_rise(world: World) -> None:
    for name in "abc":
        world.place(type="MARKET", quantity="2", newClientOrderId=name)
    executions = world.executions()
    assert [one.execution_id for one in executions] == sorted({one.execution_id for one in executions})
    trades = [one.trade.trade_id for one in executions if one.trade is not None]
    assert trades == sorted(set(trades))
    assert [order.order_id for order in world.exchange.engine.orders.values()] == [1, 2, 3]


def test_a_cancel_carries_its_own_id_and_the_orders(world: World) -> None:
    world.place(price="100.50", quantity="1")
    world.market.trade(Side.SELL, "100.00", "0.3")
    world.now += 1000
    cancelled = world.cancel(origClientOrderId="a", newClientOrderId="a_c0")
    assert (cancelled.order.status, cancelled.order.executed) == (OrderStatus.CANCELED, Decimal("0.3"))
    report = world.executions()[-1]
    assert (report.client_order_id, report.original_client_order_id) == ("a_c0", "a")
    assert (report.order.client_order_id, report.order.shown_id) == ("a", "a_c0")
    assert world.held("USDT")[1] == 0


def test_the_exchange_may_end_an_order_on_its_own_account(world: World) -> None:
    world.place(price="100.50")
    world.exchange.engine.expire(world.exchange.engine.by_client_id["a"][0], world.now)
    assert world.exchange.engine.by_client_id["a"][0].expiry_reason == "EXCHANGE_CANCELED"
    assert world.held("USDT") == (Decimal(1_000_000), Decimal(0))


def test_a_halted_market_takes_no_order_but_lets_cancel(world: World) -> None:
    world.place(price="100.50")
    world.market.set_halted(halted=True)
    refusal = world.refusal(newClientOrderId="b")
    assert (refusal.code, refusal.message) == (-2010, "Market is closed.")
    assert world.cancel(orderId="1").order.status is OrderStatus.CANCELED


# Money --------------------------------------------------------------------------------------------

_orders = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(
            [
                *("LIMIT/GTC", "LIMIT/IOC", "LIMIT/FOK", "LIMIT_MAKER/", "MARKET/", "QUOTE/", "CANCEL/", "TRADE/"),
                *("STOP_LOSS/", "TAKE_PROFIT/", "STOP_LOSS_LIMIT/GTC", "TAKE_PROFIT_LIMIT/IOC"),
            ]
        ),
        st.integers(9700, 10400),
        st.integers(5000, 400000),
        st.sampled_from(["NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"]),
    ),
    max_size=25,
)


def _act(world: World, number: int, action: tuple[str, str, int, int, str]) -> None:
    side, kind, cents, steps, prevention = action
    order_type, _, time_in_force = kind.partition("/")
    price, quantity = f"{Decimal(cents) / 100:.2f}", f"{Decimal(steps) / 100000:.5f}"
    name = f"o{number}"
    if order_type == "TRADE":
        world.market.trade(Side(side), price, quantity)
        world.later()
    elif order_type == "CANCEL":
        world.cancel(origClientOrderId=f"o{steps % (number + 1)}")
    elif order_type == "QUOTE":
        world.place(
            type="MARKET",
            side=side,
            quantity=None,
            quoteOrderQty=price,
            newClientOrderId=name,
            selfTradePreventionMode=prevention,
        )
    elif order_type in {"STOP_LOSS", "TAKE_PROFIT"}:
        world.place(
            type=order_type,
            side=side,
            timeInForce=None,
            price=None,
            stopPrice=price,
            quantity=quantity,
            newClientOrderId=name,
            selfTradePreventionMode=prevention,
        )
    elif order_type == "MARKET":
        world.place(
            type="MARKET", side=side, quantity=quantity, newClientOrderId=name, selfTradePreventionMode=prevention
        )
    else:
        world.place(
            type=order_type,
            side=side,
            timeInForce=time_in_force or None,
            price=price,
            stopPrice=f"{Decimal(20000 - cents) / 100:.2f}" if order_type.endswith("_LIMIT") else None,
            quantity=quantity,
            newClientOrderId=name,
            selfTradePreventionMode=prevention,
        )


@settings(max_examples=examples(24))
@given(_orders, st.booleans())
def test_whatever_is_ordered_no_money_appears_or_vanishes(
    actions: list[tuple[str, str, int, int, str]], bnb: bool
) -> None:
    world = World(balances={"BTC": "4", "USDT": "500", "BNB": "1"}, fees=Fees(pay_in_bnb=bnb))
    world.markets["BNBUSDT"].set_touch("600.00", "5", "600.01", "5")
    for number, action in enumerate(actions):
        codes = []
        try:
            _act(world, number, action)
        except ExchangeError as refusal:
            codes.append(refusal.code)
        assert set(codes) <= {-1013, -2010, -2011}
    expected = {"BTC": Decimal(4), "USDT": Decimal(500), "BNB": Decimal(1)}
    engine = world.exchange.engine
    for trade in engine.trades:
        expected["BTC"] += trade.side.sign * trade.quantity
        expected["USDT"] -= trade.side.sign * trade.quote
        expected[trade.commission_asset] -= trade.commission
    for asset, amount in expected.items():
        assert sum(world.held(asset)) == amount
    locked = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for order in engine.orders.values():
        executed = sum(t.quantity for t in engine.trades if t.order_id == order.order_id)
        assert order.executed == executed <= order.quantity
        assert (order.status is OrderStatus.FILLED) == (not order.left and not order.prevented and not order.short)
        if not order.status.final:
            locked["BTC" if order.new.side is Side.SELL else "USDT"] += (
                order.left if order.new.side is Side.SELL else order.left * order.price
            )
    assert {asset: world.held(asset)[1] for asset in locked} == locked
    bids, asks = world.exchange.look("BTCUSDT", world.now)
    assert not bids or not asks or bids[0][0] < asks[0][0]
