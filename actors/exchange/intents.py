"""Intents as they are journalled: of a wish that was granted, and of an order that was there already."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from messages.facts import ChildIntended
from messages.money import ZERO
from messages.order import OrderSnapshot, OrderType, PlaceChild


def intent_of(place: PlaceChild, child: str, timestamp: int, recv_window: int) -> ChildIntended:
    """Make the intent of a wish that was granted: timestamp and window in ms, in the venue's time."""
    return ChildIntended(
        execution_id=place.execution_id,
        client_order_id=child,
        slice=place.slice,
        attempt=place.attempt,
        incarnation=place.incarnation,
        symbol=place.symbol,
        side=place.side,
        order_type=place.order_type,
        time_in_force=place.time_in_force,
        quantity=place.quantity,
        limit_price=place.limit_price,
        request_timestamp=timestamp,
        recv_window=recv_window,
        bid=place.quote.bid,
        ask=place.quote.ask,
        fee_mid=place.fee_mid,
        quote_age_seconds=Decimal(f"{place.quote_age:.6f}"),
        spread=place.quote.spread,
        deviation=place.deviation,
        mid_integral=place.mid_integral,
        mid_seconds=place.mid_seconds,
        waited_seconds=place.waited_seconds,
        waited_for=place.waited_for,
        market_volume=place.market_volume,
        timed_seconds=place.timed_seconds,
        fit_mid=place.fit_mid,
        rest_seconds=place.rest_seconds,
        adverse_bps=None if place.choice is None else place.choice.adverse_bps,
        gain_bps=None if place.choice is None else place.choice.gain_bps,
    )


def intent_of_adopted(
    order: OrderSnapshot, slice_: int, attempt: int, execution_id: str, price: Decimal, recv_window: int
) -> ChildIntended:
    """Make the intent that the journal lacks for an order that is there; what nobody knows is zero."""
    return ChildIntended(
        execution_id=execution_id,
        client_order_id=order.client_order_id,
        slice=slice_,
        attempt=attempt,
        incarnation=0,
        symbol=order.symbol,
        side=order.side,
        order_type=_type_of(order.order_type),
        time_in_force=None,
        quantity=order.quantity,
        limit_price=order.price or None,
        request_timestamp=order.time,
        recv_window=recv_window,
        bid=price,
        ask=price,
        quote_age_seconds=ZERO,
        spread=ZERO,
        deviation=ZERO,
        mid_integral=ZERO,
        mid_seconds=ZERO,
        adopted=True,
    )


def _type_of(text: str) -> OrderType:
    return next((kind for kind in get_args(OrderType) if kind == text), "LIMIT")
