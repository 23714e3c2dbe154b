from __future__ import annotations

from decimal import Decimal

from adapters.paper.shapes import balances_shape, order_shape, trade_shape
from tests.adapters.paper.worlds import NOW, World


def test_an_order_is_written_as_the_exchange_writes_it() -> None:
    world = World()
    placed = world.place(quantity="2", timeInForce="IOC")
    assert order_shape(placed.order) == {
        "symbol": "BTCUSDT",
        "orderId": 1,
        "orderListId": -1,
        "clientOrderId": "a",
        "price": "101.00000000",
        "origQty": "2.00000000",
        "executedQty": "1.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "101.00000000",
        "status": "EXPIRED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": NOW // 1000,
        "updateTime": NOW // 1000,
        "isWorking": True,
        "workingTime": NOW // 1000,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "expiryReason": "UNFILLED_IOC_QUANTITY_EXPIRED",
    }


def test_what_self_trade_prevention_took_off_is_written_too() -> None:
    world = World()
    world.place(side="SELL", price="100.50", newClientOrderId="maker")
    world.place(quantity="1", newClientOrderId="taker")
    maker = world.exchange.engine.by_client_id["maker"][0].record()
    shape = order_shape(maker)
    assert (shape["status"], shape["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "1.00000000")
    assert maker.left == 0


def test_a_cancelled_order_shows_the_cancels_id_unless_its_own_is_asked_for() -> None:
    world = World()
    world.place(price="99.00")
    cancelled = world.cancel(orderId="1", newClientOrderId="c")
    assert order_shape(cancelled.order)["clientOrderId"] == "c"
    assert order_shape(cancelled.order, own_id=True)["clientOrderId"] == "a"


def test_a_trade_is_written_as_the_exchange_writes_it() -> None:
    (trade,) = World().place(quantity="0.5").trades
    assert trade_shape(trade) == {
        "symbol": "BTCUSDT",
        "id": 1,
        "orderId": 1,
        "orderListId": -1,
        "price": "101.00000000",
        "qty": "0.50000000",
        "quoteQty": "50.50000000",
        "commission": "0.00050000",
        "commissionAsset": "BTC",
        "time": NOW // 1000,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }


def test_balances_are_written_as_the_exchange_writes_them() -> None:
    assert balances_shape([("BTC", Decimal(1), Decimal("0E-7"))]) == [
        {"asset": "BTC", "free": "1.00000000", "locked": "0.00000000"}
    ]
