"""Stop orders: they wait for a price, and then are what they waited to be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from adapters.paper.errors import ExchangeError
from adapters.paper.rules import SymbolStatus
from adapters.paper.shapes import order_shape
from adapters.paper.store import AccountFile
from messages.order import OrderStatus
from messages.signal import Side
from tests.adapters.paper.worlds import World, fills

D = Decimal


@pytest.fixture
def world() -> World:
    """Bids of 1 at 100, 2 at 99, 5 at 98; asks of 1 at 101, 2 at 102, 5 at 103."""
    return World()


def stop(kind: str, side: str, stop_price: str, **changes: str | None) -> dict[str, str | None]:
    """A stop order of 1; one at market unless a price is given."""
    limit = kind.endswith("_LIMIT")
    usual: dict[str, str | None] = {"type": kind, "side": side, "stopPrice": stop_price}
    return usual | ({} if limit else {"price": None, "timeInForce": None}) | changes


def traded(world: World, price: str, taker: Side = Side.BUY, quantity: str = "0.1") -> None:
    """Somebody trades at a price, whatever stands in the book."""
    world.market.trade(taker, price, quantity)
    world.later()


@pytest.mark.parametrize(
    ("kind", "side", "price", "before", "at"),
    [
        ("STOP_LOSS", "SELL", "99.00", "99.01", "99.00"),
        ("STOP_LOSS", "BUY", "102.00", "101.99", "102.00"),
        ("TAKE_PROFIT", "SELL", "102.00", "101.99", "102.00"),
        ("TAKE_PROFIT", "BUY", "99.00", "99.01", "99.00"),
    ],
)
def test_a_stop_order_waits_for_its_price_and_then_takes(
    world: World, kind: str, side: str, price: str, before: str, at: str
) -> None:
    placed = world.place(**stop(kind, side, price))
    assert (placed.order.status, placed.order.working_time, placed.trades) == (OrderStatus.NEW, None, ())
    traded(world, before)
    order = world.exchange.engine.by_client_id["a"][0]
    assert (order.status, order.executed) == (OrderStatus.NEW, D(0))
    traded(world, at)
    (trade,) = world.exchange.engine.trades
    assert (order.status, order.executed, order.working_time) == (OrderStatus.FILLED, D(1), trade.time)
    assert trade.price == (D(101) if side == "BUY" else D(100))
    assert world.held("USDT")[1] == world.held("BTC")[1] == 0


def test_what_is_told_of_a_stop_order_says_whether_it_is_on_the_book(world: World) -> None:
    world.place(**stop("STOP_LOSS_LIMIT", "SELL", "99.00", price="100.50"))
    waiting = order_shape(world.exchange.engine.by_client_id["a"][0].record())
    assert (waiting["isWorking"], waiting["workingTime"], waiting["stopPrice"]) == (False, -1, "99.00000000")
    traded(world, "99.00")
    told = [(one.execution_type, one.order.status.value, one.on_book) for one in world.executions()]
    assert told == [("NEW", "NEW", False), ("NEW", "NEW", True)]
    resting = order_shape(world.exchange.engine.by_client_id["a"][0].record())
    assert (resting["isWorking"], resting["status"]) == (True, "NEW")
    bids_and_asks = world.exchange.look("BTCUSDT", world.now)
    assert bids_and_asks[1][0] == (D("100.50"), D(1))


def test_a_stop_order_with_a_limit_takes_no_worse_price_and_rests_with_what_is_left(world: World) -> None:
    world.place(**stop("STOP_LOSS_LIMIT", "SELL", "99.50", price="99.00", quantity="5"))
    traded(world, "99.50")
    order = world.exchange.engine.by_client_id["a"][0]
    assert (order.executed, order.left, order.status) == (D(3), D(2), OrderStatus.PARTIALLY_FILLED)
    assert world.held("BTC")[1] == 2


def test_an_immediate_stop_order_ends_with_what_it_could_not_get(world: World) -> None:
    world.place(**stop("STOP_LOSS_LIMIT", "SELL", "99.50", price="100.00", quantity="5", timeInForce="IOC"))
    traded(world, "99.50")
    order = world.exchange.engine.by_client_id["a"][0].record()
    assert (order.executed, order.status) == (D(1), OrderStatus.EXPIRED)
    assert order.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"


def test_what_a_stop_order_needs_is_set_aside_while_it_waits_but_for_a_buy_at_market(world: World) -> None:
    world.place(**stop("STOP_LOSS", "SELL", "99.00", quantity="3"))
    world.place(**stop("STOP_LOSS_LIMIT", "BUY", "102.00", price="103.00", newClientOrderId="b"))
    world.place(**stop("STOP_LOSS", "BUY", "102.00", newClientOrderId="c"))
    assert (world.held("BTC")[1], world.held("USDT")[1]) == (D(3), D(103))
    poor = world.refusal(**stop("STOP_LOSS", "SELL", "99.00", quantity="8", newClientOrderId="d"))
    assert (poor.code, poor.message) == (-2010, "Account has insufficient balance for requested action.")


def test_a_buy_at_market_that_cannot_be_paid_when_it_is_set_off_ends() -> None:
    world = World(balances={"USDT": "50"})
    world.place(**stop("STOP_LOSS", "BUY", "102.00"))
    world.exchange.drain()
    traded(world, "102.00")
    order = world.exchange.engine.by_client_id["a"][0].record()
    assert (order.status, order.executed, order.expiry_reason) == (OrderStatus.EXPIRED, D(0), "REJECTED")
    assert world.story()[0] == "a EXPIRED EXPIRED"
    assert world.held("USDT") == (D(50), D(0))


def test_what_one_stop_order_trades_may_set_off_the_next(world: World) -> None:
    world.place(**stop("STOP_LOSS", "SELL", "99.00", quantity="1", newClientOrderId="last"))
    world.place(**stop("STOP_LOSS", "SELL", "100.00", quantity="3", newClientOrderId="first"))
    world.exchange.drain()
    traded(world, "100.00", Side.SELL, "0.5")
    told = world.story()
    assert told == [
        "first NEW NEW",
        "first TRADE PARTIALLY_FILLED",
        "first TRADE FILLED",
        "last NEW NEW",
        "last TRADE FILLED",
        "balances",
    ]


def test_an_own_trade_sets_stop_orders_off_as_well(world: World) -> None:
    world.place(**stop("STOP_LOSS", "SELL", "99.00", quantity="1"))
    sold = world.place(side="SELL", type="MARKET", quantity="2", newClientOrderId="b")
    assert fills(sold) == [("100.00", "1"), ("99.00", "1")]
    assert sold.order.client_order_id == "b"
    assert world.exchange.engine.by_client_id["a"][0].status is OrderStatus.FILLED


def test_a_waiting_stop_order_is_open_and_can_be_cancelled_and_made_smaller(world: World) -> None:
    world.place(**stop("STOP_LOSS", "SELL", "99.00", quantity="3"))
    (found,) = world.exchange.open_orders({"symbol": "BTCUSDT"}, world.now)
    assert (found.order_type, found.stop_price) == ("STOP_LOSS", D(99))
    params = {"symbol": "BTCUSDT", "orderId": "1", "newQty": "2", "newClientOrderId": "a"}
    assert world.exchange.amend(params, world.now).order.quantity == 2
    assert world.held("BTC")[1] == 2
    assert world.cancel(orderId="1").order.status is OrderStatus.CANCELED
    assert world.held("BTC")[1] == 0
    traded(world, "98.00")
    assert world.exchange.engine.trades == []


def test_waiting_stop_orders_are_limited_by_number(world: World) -> None:
    world.exchange.set_filter("BTCUSDT", "MAX_NUM_ALGO_ORDERS", {"maxNumAlgoOrders": 1})
    world.place(**stop("STOP_LOSS", "SELL", "99.00"))
    refusal = world.refusal(**stop("STOP_LOSS", "SELL", "98.00", newClientOrderId="b"))
    assert (refusal.code, refusal.message) == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
    assert world.place(price="99.00", newClientOrderId="c").order.status is OrderStatus.NEW


def test_a_symbol_that_does_not_trade_sets_nothing_off(world: World) -> None:
    world.place(**stop("STOP_LOSS", "SELL", "99.00"))
    world.exchange.set_status("BTCUSDT", SymbolStatus.HALT)
    traded(world, "98.00")
    assert world.exchange.engine.trades == []
    world.exchange.set_status("BTCUSDT", SymbolStatus.TRADING)
    traded(world, "98.00")
    assert world.exchange.engine.by_client_id["a"][0].status is OrderStatus.FILLED


def test_a_price_of_long_ago_sets_nothing_off(world: World) -> None:
    world.place(price="101.00", newClientOrderId="b")  # The last price that anybody knows is 101.
    world.market.set_levels([("90.00", "5")], [("91.00", "5")])
    world.place(**stop("STOP_LOSS", "BUY", "95.00"))
    world.later()
    assert world.exchange.engine.by_client_id["a"][0].status is OrderStatus.NEW
    with pytest.raises(ExchangeError, match="would trigger immediately"):
        world.place(**stop("STOP_LOSS", "BUY", "90.00", newClientOrderId="c"))


def test_stop_orders_wait_on_after_a_restart(tmp_path: Path) -> None:
    first = World(file=AccountFile(tmp_path / "account.db"))
    first.place(**stop("STOP_LOSS", "SELL", "99.00"))
    first.exchange.close()
    again = World(file=AccountFile(tmp_path / "account.db"))
    order = again.exchange.engine.by_client_id["a"][0]
    assert (order.status, order.working_time, again.held("BTC")[1]) == (OrderStatus.NEW, None, D(1))
    traded(again, "99.00")
    assert order.status is OrderStatus.FILLED
