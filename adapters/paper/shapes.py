"""Binance's JSON shapes of the exchange's records (protocol §5); times in ms, amounts with eight decimals."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from adapters.paper.records import OrderRecord, TradeRecord
from adapters.paper.rules import text

Shape = dict[str, object]


def order_shape(order: OrderRecord, *, own_id: bool = False) -> Shape:
    """Write an order as `GET /order` does; with `own_id` under its own id even after a cancel."""
    shape: Shape = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id if own_id else order.shown_id,
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed),
        "origQuoteOrderQty": text(order.quote_quantity),
        "cummulativeQuoteQty": text(order.executed_quote),
        "status": order.status.value,
        "timeInForce": order.time_in_force,
        "type": order.order_type,
        "side": order.side.value,
        "stopPrice": text(order.stop_price or Decimal(0)),
        "icebergQty": text(Decimal(0)),
        "time": order.time // 1000,
        "updateTime": order.update_time // 1000,
        "isWorking": order.working_time is not None,
        "workingTime": working(order, 1000),
        "selfTradePreventionMode": order.self_trade_prevention,
    }
    if order.expiry_reason is not None:
        shape["expiryReason"] = order.expiry_reason
    return shape | conditional(order)


def working(order: OrderRecord, unit: int) -> int:
    """Say since when an order is on the book, or was; -1 for a stop order that waits."""
    return -1 if order.working_time is None else order.working_time // unit


def conditional(order: OrderRecord) -> Shape:
    """Write what only some orders have: what was prevented, the client's strategy."""
    shape: Shape = {}
    if order.stop_price is not None:
        shape["stopPrice"] = text(order.stop_price)
    if order.prevented_match is not None:
        shape["preventedMatchId"] = order.prevented_match
    if order.prevented:
        shape["preventedQuantity"] = text(order.prevented)
    if order.strategy_id is not None:
        shape["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        shape["strategyType"] = order.strategy_type
    return shape


def trade_shape(trade: TradeRecord) -> Shape:
    """Write an own trade as `GET /myTrades` does."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.quote),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.time // 1000,
        "isBuyer": trade.side.value == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def balances_shape(balances: Iterable[tuple[str, Decimal, Decimal]]) -> list[Shape]:
    """Write balances as `GET /account` does."""
    return [{"asset": asset, "free": text(free), "locked": text(locked)} for asset, free, locked in balances]
