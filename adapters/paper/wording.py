"""The exchange's records in the project's own words, and the project's orders in Binance's."""

from __future__ import annotations

from datetime import datetime

from adapters.paper.errors import ExchangeError
from adapters.paper.records import AccountPosition, Event, Execution, OrderRecord, Placed, TradeRecord
from messages.ids import from_milliseconds
from messages.money import plain
from messages.order import (
    Acknowledged,
    BalancesSeen,
    OrderReport,
    OrderSnapshot,
    Refused,
    SendCancel,
    SendOrder,
    Trade,
    UserEvent,
)


def order_params(order: SendOrder) -> dict[str, str]:
    """Write an order as the parameters of `POST /order`."""
    params = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type,
        "newClientOrderId": order.client_order_id,
        "quantity": plain(order.quantity),
        "timestamp": str(order.request_timestamp),
        "recvWindow": str(order.recv_window),
    }
    if order.time_in_force is not None:
        params["timeInForce"] = order.time_in_force
    if order.limit_price is not None:
        params["price"] = plain(order.limit_price)
    return params


def cancel_params(cancel: SendCancel) -> dict[str, str]:
    """Write a cancel as the parameters of `DELETE /order`."""
    params = {"symbol": cancel.symbol, "newClientOrderId": cancel.cancel_id}
    if cancel.order_id is None:
        params["origClientOrderId"] = cancel.client_order_id
    else:
        params["orderId"] = str(cancel.order_id)
    return params


def snapshot(order: OrderRecord) -> OrderSnapshot:
    """Say how an order stands, under its own id."""
    return OrderSnapshot(
        symbol=order.symbol,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        order_type=order.order_type,
        status=order.status,
        price=order.price,
        quantity=order.quantity,
        executed_quantity=order.executed,
        executed_quote=order.executed_quote,
        time=order.time // 1000,
        update_time=order.update_time // 1000,
        expiry=order.expiry_reason,
    )


def trade(record: TradeRecord) -> Trade:
    """Say what was traded."""
    return Trade(
        symbol=record.symbol,
        order_id=record.order_id,
        trade_id=record.trade_id,
        side=record.side,
        price=record.price,
        quantity=record.quantity,
        commission=record.commission,
        commission_asset=record.commission_asset,
        maker=record.maker,
        time=record.time // 1000,
    )


def acknowledged(placed: Placed) -> Acknowledged:
    """Say that the exchange took an order, with the trades made at once."""
    return Acknowledged(
        client_order_id=placed.order.client_order_id,
        order=snapshot(placed.order),
        trades=tuple(trade(record) for record in placed.trades),
    )


def until(error: ExchangeError) -> datetime | None:
    """Say when it makes sense to ask again."""
    return None if error.until is None else from_milliseconds(-(-error.until // 1000))


def refused(client_order_id: str, error: ExchangeError) -> Refused:
    """Say that the exchange did not take an order."""
    return Refused(client_order_id=client_order_id, code=error.code, message=error.message, until=until(error))


def user_event(event: Event) -> UserEvent:
    """Say what the user-data stream tells."""
    match event:
        case AccountPosition():
            return BalancesSeen(balances=event.balances)
        case Execution():
            return OrderReport(
                order=snapshot(event.order),
                report_id=event.execution_id,
                execution_type=event.execution_type,
                trade=None if event.trade is None else trade(event.trade),
                reason=event.order.expiry_reason,
            )
