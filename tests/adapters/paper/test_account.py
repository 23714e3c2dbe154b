from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.paper.account import DEFAULT_BALANCES, Account, Fees, Rates
from adapters.paper.exchange import PaperExchange
from messages.signal import Side
from tests.adapters.paper.worlds import NOW, World

NONE = Decimal(0)
INSUFFICIENT = (-2010, "Account has insufficient balance for requested action.")


def test_a_new_account_holds_what_the_design_says() -> None:
    assert dict(DEFAULT_BALANCES) == {
        "BTC": Decimal(10),
        "ETH": Decimal(200),
        "USDT": Decimal(1_000_000),
        "BNB": Decimal(20),
    }
    assert PaperExchange(now=NOW).account.balance("USDT") == ("USDT", Decimal(1_000_000), Decimal(0))


def test_a_buy_pays_its_commission_in_base_and_a_sell_in_quote() -> None:
    world = World()
    (bought,) = world.place(quantity="1").trades
    assert (bought.commission, bought.commission_asset) == (Decimal("0.001"), "BTC")
    (sold,) = world.place(side="SELL", price="100.00", newClientOrderId="b").trades
    assert (sold.commission, sold.commission_asset) == (Decimal("0.1"), "USDT")
    assert world.held("BTC")[0] == Decimal("9.999")


def test_rates_of_a_symbol_and_of_makers_go_before_the_default() -> None:
    special = Rates(maker=Decimal("0.0002"), taker=Decimal("0.0004"))
    world = World(fees=Fees(by_symbol={"BTCUSDT": special}))
    (taken,) = world.place().trades
    assert taken.commission == Decimal("0.0004")
    world.place(price="100.50", newClientOrderId="b")
    world.market.trade(Side.SELL, "100.00", "1")
    world.later()
    assert world.exchange.engine.trades[-1].commission == Decimal("0.0002")


def test_bnb_pays_with_the_discount_while_there_is_enough_of_it() -> None:
    world = World(fees=Fees(pay_in_bnb=True), balances={"USDT": "1000", "BNB": "0.001"})
    world.markets["BNBUSDT"].set_touch("99.00", "5", "101.00", "5")
    (first,) = world.place().trades
    assert (first.commission_asset, first.commission) == ("BNB", Decimal("0.0007575"))
    (second,) = world.place(price="102.00", newClientOrderId="b").trades
    assert (second.commission_asset, second.commission) == ("BTC", Decimal("0.001"))


def test_without_a_price_of_bnb_the_commission_is_taken_from_what_is_received() -> None:
    (trade,) = World(fees=Fees(pay_in_bnb=True)).place().trades
    assert trade.commission_asset == "BTC"
    account = Account({"BNB": Decimal(1)}, Fees(pay_in_bnb=True))
    assert account.balances() == (("BNB", Decimal(1), Decimal(0)),)


def test_the_bnb_pair_itself_can_pay_in_bnb_while_an_own_order_rests_there() -> None:
    world = World(fees=Fees(pay_in_bnb=True))
    market = world.markets["BNBUSDT"]
    market.set_touch("600.00", "5", "600.01", "5")
    world.place(symbol="BNBUSDT", price="600.00", quantity="1")
    market.trade(Side.SELL, "599.00", "1")
    world.later()
    assert world.exchange.engine.trades[0].commission_asset == "BNB"


def test_open_orders_lock_what_they_may_need_and_give_it_back() -> None:
    world = World()
    world.place(price="100.50", quantity="2")
    world.place(side="SELL", price="110.00", quantity="3", newClientOrderId="b")
    assert world.held("USDT")[1] == Decimal("201.00")
    assert world.held("BTC") == (Decimal(7), Decimal(3))
    world.cancel(origClientOrderId="a")
    world.cancel(origClientOrderId="b")
    assert (world.held("USDT"), world.held("BTC")) == ((Decimal(1_000_000), NONE), (Decimal(10), NONE))


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "BUY", "quantity": "2", "price": "100.00"},
        {"side": "SELL", "quantity": "2", "price": "100.00"},
        {"side": "SELL", "quantity": "2", "type": "MARKET"},
        {"side": "BUY", "quantity": "2", "type": "MARKET"},
        {"side": "BUY", "quantity": None, "quoteOrderQty": "150", "type": "MARKET"},
    ],
)
def test_an_order_that_the_account_cannot_pay_is_refused_whole(changes: dict[str, str | None]) -> None:
    world = World(balances={"BTC": "1", "USDT": "120"})
    refusal = world.refusal(**changes)
    assert (refusal.code, refusal.message) == INSUFFICIENT
    assert world.story() == []
    assert (world.held("USDT"), world.held("BTC")) == ((Decimal(120), NONE), (Decimal(1), NONE))


def test_what_was_locked_counts_as_spent() -> None:
    world = World(balances={"USDT": "150"})
    world.place(price="100.00")
    assert world.refusal(price="99.00", newClientOrderId="b").code == -2010


def test_a_deposit_can_be_spent() -> None:
    world = World(balances={"USDT": "50"})
    assert world.refusal().code == -2010
    world.exchange.account.deposit("USDT", Decimal(60))
    assert world.place().order.executed == 1
