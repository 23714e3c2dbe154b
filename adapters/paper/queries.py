"""Looking things up among an engine's orders and trades, by Binance's parameters (protocol §4)."""

from __future__ import annotations

from adapters.paper.engine import Engine
from adapters.paper.errors import ID_MISMATCH, NO_SUCH_ORDER, TOO_LONG_SPAN, UNKNOWN_ORDER, both_missing, refuse
from adapters.paper.limits import DAY
from adapters.paper.records import LiveOrder, OrderRecord, TradeRecord
from adapters.paper.requests import Params, known_symbol, whole


def find(engine: Engine, params: Params, *, open_only: bool) -> LiveOrder:
    """Look up the order that `orderId` or `origClientOrderId` names, the newest of that name.

    `ExchangeError` -2013 (or -2011 when it must be open), -1102 without a name, -2039 if both are
    given and differ.
    """
    order_id, name = whole(params, "orderId"), params.get("origClientOrderId")
    symbol = params["symbol"]
    if order_id is None and not name:
        raise both_missing("origClientOrderId", "orderId")
    if order_id is not None:
        order = engine.orders.get((symbol, order_id))
        if order is not None and name and name not in {order.new.client_order_id, order.shown_id}:
            refuse(ID_MISMATCH)
    else:
        named = engine.by_client_id.get(name or "", ())
        order = next((one for one in reversed(named) if one.new.symbol == symbol), None)
    if order is None or (open_only and order.status.final):
        refuse(UNKNOWN_ORDER if open_only else NO_SUCH_ORDER)
    return order


def all_orders(engine: Engine, params: Params) -> list[OrderRecord]:
    """List a symbol's orders, oldest first: from an id or a time on, or the newest."""
    symbol = known_symbol(params, engine.books)
    start, end = _span(params)
    limit, first = _limit(params), whole(params, "orderId")
    found = [
        order
        for (name, number), order in engine.orders.items()
        if name == symbol and (first is None or number >= first) and start <= order.time // 1000 <= end
    ]
    oldest = first is not None or "startTime" in params
    return [order.record() for order in (found[:limit] if oldest else found[-limit:])]


def my_trades(engine: Engine, params: Params) -> list[TradeRecord]:
    """List own trades of a symbol, oldest first: of one order, from a trade id or a time on, or the newest."""
    symbol = known_symbol(params, engine.books)
    start, end = _span(params)
    limit, first, order_id = _limit(params), whole(params, "fromId"), whole(params, "orderId")
    among = engine.trades if order_id is None else engine.trades_of.get((symbol, order_id), [])
    found = []
    for trade in reversed(among):  # Who follows the trades asks for the last few of very many.
        if trade.symbol != symbol:
            continue
        if first is not None and trade.trade_id < first:
            break
        if start <= trade.time // 1000 <= end:
            found.append(trade)
    found.reverse()
    oldest = first is not None or "startTime" in params
    return found[:limit] if oldest else found[-limit:]


def _span(params: Params) -> tuple[int, int]:
    """Read startTime and endTime (ms), at most 24 hours apart where both are given."""
    start, end = whole(params, "startTime"), whole(params, "endTime")
    if start is not None and end is not None and end - start > DAY // 1000:
        refuse(TOO_LONG_SPAN)
    return (0 if start is None else start), (2**62 if end is None else end)


def _limit(params: Params) -> int:
    limit = whole(params, "limit")
    return 500 if limit is None else min(limit, 1000)
