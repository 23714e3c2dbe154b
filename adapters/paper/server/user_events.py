"""What the user-data stream tells, in Binance's shapes (protocol §7); `unit` as in `replies`."""

from __future__ import annotations

from typing import assert_never

from adapters.paper.records import AccountPosition, Event, Execution
from adapters.paper.rules import text
from adapters.paper.server.replies import MILLISECOND
from adapters.paper.shapes import Shape
from messages.money import ZERO


def event_shape(event: Event, now: int, unit: int = MILLISECOND) -> Shape:
    """Write an event that is sent at `now` (microseconds, exchange clock)."""
    match event:
        case Execution():
            return execution_report(event, now, unit)
        case AccountPosition():
            return {
                "e": "outboundAccountPosition",
                "E": now // unit,
                "u": event.at // unit,
                "B": [{"a": asset, "f": text(free), "l": text(locked)} for asset, free, locked in event.balances],
            }
        case _:
            assert_never(event)


def execution_report(event: Execution, now: int, unit: int = MILLISECOND) -> Shape:
    """Write an `executionReport`."""
    order, trade = event.order, event.trade
    price = trade.price if trade else ZERO
    quantity = trade.quantity if trade else ZERO
    shape: Shape = {
        "e": "executionReport",
        "E": now // unit,
        "s": order.symbol,
        "c": event.client_order_id,
        "S": order.side.value,
        "o": order.order_type,
        "f": order.time_in_force,
        "q": text(order.quantity),
        "p": text(order.price),
        "P": text(order.stop_price or ZERO),
        "F": text(ZERO),
        "g": -1,
        "C": event.original_client_order_id,
        "x": event.execution_type,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": text(quantity),
        "z": text(order.executed),
        "L": text(price),
        "n": text(trade.commission) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": event.at // unit,
        "t": trade.trade_id if trade else -1,
        "I": event.execution_id,
        "w": event.on_book,
        "m": trade.maker if trade else False,
        "M": trade is not None,
        "O": order.time // unit,
        "Z": text(order.executed_quote),
        "Y": text(price * quantity),
        "Q": text(order.quote_quantity),
        "V": order.self_trade_prevention,
    }
    if order.working_time is not None:
        shape["W"] = order.working_time // unit
    if order.strategy_id is not None:
        shape["j"] = order.strategy_id
    if order.strategy_type is not None:
        shape["J"] = order.strategy_type
    if event.counter_order_id is not None:
        shape |= {
            "v": order.prevented_match,
            "A": text(order.prevented),
            "B": text(event.last_prevented),
            "u": 1,
            "U": event.counter_order_id,
            "Cs": order.symbol,
        }
    if event.prevented_price is not None:
        shape |= {
            "pl": text(event.last_prevented),
            "pL": text(event.prevented_price),
            "pY": text(event.last_prevented * event.prevented_price),
        }
    if order.expiry_reason is not None:
        shape["eR"] = order.expiry_reason
    return shape


def terminated(now: int, unit: int = MILLISECOND) -> Shape:
    """Write the last event of a subscription."""
    return {"e": "eventStreamTerminated", "E": now // unit}


def shutdown(now: int, unit: int = MILLISECOND) -> Shape:
    """Write the warning that this connection is about to go."""
    return {"e": "serverShutdown", "E": now // unit}
