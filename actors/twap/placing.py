"""The wish for a child order: what is asked of ExchangeActor once the guards of a slot hold."""

from __future__ import annotations

from decimal import Decimal

from actors.twap.clock import exact_seconds
from actors.twap.execution import Execution
from actors.twap.guards import ChildOrder, child_order, deviation_of, largest_child
from actors.twap.manner import post_price
from actors.twap.participation import Volume
from actors.twap.report import MidIntegral
from actors.twap.schedule import limits_of
from messages.market import Awaited, SymbolRules
from messages.money import floor_to
from messages.order import ChildDeclined, PlaceChild
from messages.refs import Tells


def place_of(
    execution: Execution,
    rules: SymbolRules,
    slot: int,
    awaited: Awaited,
    mid: MidIntegral,
    volume: Volume | None = None,
    *,
    rest_seconds: Decimal | None,
    not_after: float,
    introduced: bool = True,
    reply_to: Tells[ChildDeclined],
) -> PlaceChild | None:
    """Return the child of a slot on the quote that was awaited, None if the venue would find it too small.

    It takes, or rests for `rest_seconds`. `not_after` is monotonic seconds, `introduced` whether ExchangeActor
    surely knows of the execution. What is executed, open, unknown and asked for never exceeds its quantity.
    """
    accepted, plan, quote = execution.accepted, execution.plan, awaited.quote
    assert plan is not None, "an execution without a plan"
    assert quote is not None, "guards that hold without a quote"
    worst = execution.limit_price
    if rest_seconds is None:
        order = child_order(plan, accepted.side, quote, rules.tick, worst)
    else:
        resting = post_price(accepted.side, quote, rules.tick, worst, execution.children_of(slot))
        order = ChildOrder(order_type="LIMIT_MAKER", time_in_force=None, limit_price=resting)
    price = order.limit_price or quote.touch(accepted.side)
    maximum = largest_child(plan, accepted.side, quote, limits_of(rules, plan.child, price).max_quantity)
    if volume is not None:
        room = floor_to(volume.room(execution.committed), plan.step)
        maximum = room if maximum is None else min(maximum, room)
    quantity = execution.child_quantity(slot, price, maximum)
    if not quantity:
        return None
    assert execution.committed + quantity <= execution.target, "more than was asked for"
    return PlaceChild(
        execution_id=accepted.execution_id,
        incarnation=execution.incarnation,
        slice=slot,
        attempt=execution.next_attempt(slot),
        symbol=accepted.symbol,
        side=accepted.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quantity=quantity,
        limit_price=order.limit_price,
        not_after=not_after,
        quote=quote,
        fee_mid=awaited.beside,
        quote_age=awaited.age,
        deviation=deviation_of(accepted.side, accepted.arrival_price, quote),
        mid_integral=mid.integral,
        mid_seconds=mid.seconds,
        reply_to=reply_to,
        waited_seconds=exact_seconds(awaited.waited),
        waited_for=awaited.waited_for if awaited.waited else None,
        timed_seconds=exact_seconds(awaited.timed),
        fit_mid=awaited.fit_mid if awaited.timed else None,
        rest_seconds=rest_seconds,
        market_volume=None if volume is None else volume.traded,
        choice=awaited.choice,
        accepted=None if introduced else accepted,
    )
