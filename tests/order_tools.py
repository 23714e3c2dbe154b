"""What the tests of ExchangeActor and OrderWatcher build their worlds of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from messages.ids import milliseconds
from messages.order import OrderSnapshot, OrderStatus, PlaceChild, Trade
from messages.signal import Side
from tests.factories import CHILD, EXECUTION, NOW, D, a_quote


class Nobody:
    """Is told things, and forgets them."""

    def tell(self, message: object, /) -> None:
        """Forget it."""


def a_place(**changes: Any) -> PlaceChild:
    """The place that `tests.factories.an_intent` comes of, allowed until 10 s."""
    place = PlaceChild(
        execution_id=EXECUTION,
        incarnation=1,
        slice=0,
        attempt=0,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=D("0.1"),
        limit_price=D("42085.00"),
        not_after=10.0,
        quote=a_quote(),
        quote_age=0.02,
        deviation=D(0),
        mid_integral=D(0),
        mid_seconds=D(0),
        reply_to=Nobody(),
    )
    return replace(place, **changes)


def an_order(status: str = "NEW", executed: str = "0", **changes: Any) -> OrderSnapshot:
    """The venue's view of `tests.factories.an_intent`: order 1001."""
    order = OrderSnapshot(
        symbol="BTCUSDT",
        order_id=1001,
        client_order_id=CHILD,
        side=Side.BUY,
        order_type="LIMIT",
        status=OrderStatus(status),
        price=D("42085.00"),
        quantity=D("0.1"),
        executed_quantity=D(executed),
        executed_quote=D(executed) * 42_001,
        time=milliseconds(NOW),
        update_time=milliseconds(NOW),
    )
    return replace(order, **changes)


def a_trade(trade_id: int = 7, quantity: str = "0.1", **changes: Any) -> Trade:
    """A trade of order 1001 at 42,001, its fee in BTC."""
    trade = Trade(
        symbol="BTCUSDT",
        order_id=1001,
        trade_id=trade_id,
        side=Side.BUY,
        price=D(42_001),
        quantity=D(quantity),
        commission=D(quantity) / 1000,
        commission_asset="BTC",
        maker=False,
        time=milliseconds(NOW),
    )
    return replace(trade, **changes)
