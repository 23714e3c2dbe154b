"""Between Binance's JSON and the project's messages: exact amounts, own ids, plain strings.

Whatever cannot be read raises `Unreadable`, whose text says where it is wrong and nothing of what
it says.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from adapters.binance.outcomes import Unreadable
from adapters.binance.shapes import (
    AccountInfo,
    AccountPosition,
    BookTicker,
    CancelledOrder,
    ErrorBody,
    ExchangeInfo,
    ExecutionReport,
    Filter,
    Frame,
    OwnTrade,
    PlacedOrder,
    QueriedOrder,
    SymbolInfo,
)
from messages.ids import parse_child_id
from messages.market import QuoteSeen, SymbolRules
from messages.money import ZERO, plain
from messages.order import (
    LATE_REPLY,
    Acknowledged,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    OrderReport,
    OrderSnapshot,
    OrderStatus,
    QueryOrder,
    SendCancel,
    SendOrder,
    Trade,
)
from messages.signal import Side

T = TypeVar("T")


@cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("Any", kind))


def decode(kind: type[T], text: bytes | msgspec.Raw) -> T:
    """Read JSON as a structure of `shapes`, or a list of one. Raises `Unreadable`."""
    try:
        found: T = _decoder(cast("Hashable", kind)).decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(_where(error)) from None
    return found


def _where(error: Exception) -> str:
    """Say where it is wrong, without quoting what stands there."""
    if not isinstance(error, msgspec.ValidationError):
        return "no JSON"
    _, at, path = str(error).rpartition(" - at ")
    return f"unexpected JSON at {path}" if at else "unexpected JSON"


# Requests ------------------------------------------------------------------------------------------


def order_params(order: SendOrder) -> dict[str, str]:
    """Write an order's parameters, timestamp and window as they were fixed; the answer is to be FULL."""
    params = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type,
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "FULL",
        "quantity": plain(order.quantity),
        "recvWindow": str(order.recv_window),
        "timestamp": str(order.request_timestamp),
    }
    if order.time_in_force is not None and order.order_type == "LIMIT":
        params["timeInForce"] = order.time_in_force
    if order.limit_price is not None and order.order_type != "MARKET":
        params["price"] = plain(order.limit_price)
    return params


def cancel_params(cancel: SendCancel) -> dict[str, str]:
    """Write a cancel's parameters: by order id where it is known, which is the venue's shortest way."""
    params = {"symbol": cancel.symbol, "newClientOrderId": cancel.cancel_id}
    if cancel.order_id is None:
        params["origClientOrderId"] = cancel.client_order_id
    else:
        params["orderId"] = str(cancel.order_id)
    return params


# Orders --------------------------------------------------------------------------------------------


def status_of(word: str) -> OrderStatus:
    """Read an order's status; a word that nobody knows yet is `UNRECOGNISED`."""
    try:
        return OrderStatus(word)
    except ValueError:
        return OrderStatus.UNRECOGNISED


def own_id(client_order_id: str) -> str:
    """Return the order's own id where a cancel of ours has put its own in its place."""
    name = parse_child_id(client_order_id)
    if name is None or name.cancel is None:
        return client_order_id
    return client_order_id[: client_order_id.rindex("_c")]


def acknowledged(order: SendOrder, body: bytes) -> Acknowledged:
    """Read the good reply to an order. Raises `Unreadable`, also when it speaks of another order."""
    placed = decode(PlacedOrder, body)
    if placed.client_order_id != order.client_order_id or placed.symbol != order.symbol:
        raise Unreadable("the reply is about another order")
    status = OrderStatus.UNRECOGNISED if placed.status is None else status_of(placed.status)
    snapshot = OrderSnapshot(
        symbol=placed.symbol,
        order_id=placed.order_id,
        client_order_id=placed.client_order_id,
        side=placed.side or order.side,
        order_type=placed.type or order.order_type,
        status=status,
        price=placed.price if placed.price is not None else order.limit_price or ZERO,
        quantity=order.quantity if placed.orig_qty is None else placed.orig_qty,
        executed_quantity=placed.executed_qty or ZERO,
        executed_quote=placed.cummulative_quote_qty or ZERO,
        time=placed.transact_time,
        update_time=placed.transact_time,
        expiry=_word(placed.expiry_reason),
    )
    trades = tuple(
        Trade(
            symbol=placed.symbol,
            order_id=placed.order_id,
            trade_id=fill.trade_id,
            side=snapshot.side,
            price=fill.price,
            quantity=fill.qty,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            maker=False,  # What trades on arrival takes.
            time=placed.transact_time,
        )
        for fill in placed.fills or ()
    )
    return Acknowledged(client_order_id=order.client_order_id, order=snapshot, trades=trades)


def cancel_acknowledged(cancel: SendCancel, body: bytes) -> CancelAcknowledged:
    """Read the good reply to a cancel. Raises `Unreadable`, also when it speaks of another order."""
    found = decode(CancelledOrder, body)
    named = own_id(found.orig_client_order_id) == cancel.client_order_id
    numbered = cancel.order_id is not None and found.order_id == cancel.order_id  # Somebody may have renamed it.
    if found.symbol != cancel.symbol or not (named or numbered):
        raise Unreadable("the reply is about another order")
    order = OrderSnapshot(
        symbol=found.symbol,
        order_id=found.order_id,
        client_order_id=cancel.client_order_id,
        side=found.side,
        order_type=found.type,
        status=status_of(found.status),
        price=found.price,
        quantity=found.orig_qty,
        executed_quantity=found.executed_qty,
        executed_quote=found.cummulative_quote_qty,
        time=found.transact_time if found.working_time is None else found.working_time,
        update_time=found.transact_time,
    )
    return CancelAcknowledged(client_order_id=cancel.client_order_id, order=order, cancel_id=cancel.cancel_id)


def snapshot_of(found: QueriedOrder, client_order_id: str | None = None) -> OrderSnapshot:
    """Say how a queried order stands, under its own id. An unknown quote amount (negative) is 0."""
    return OrderSnapshot(
        symbol=found.symbol,
        order_id=found.order_id,
        client_order_id=client_order_id or own_id(found.client_order_id),
        side=found.side,
        order_type=found.type,
        status=status_of(found.status),
        price=found.price,
        quantity=found.orig_qty,
        executed_quantity=found.executed_qty,
        executed_quote=max(ZERO, found.cummulative_quote_qty),
        time=found.time,
        update_time=found.update_time,
        expiry=_word(found.expiry_reason),
    )


def the_order(found: QueriedOrder, asked: QueryOrder) -> OrderSnapshot:
    """Say how the order stands that was asked for. Raises `Unreadable` if the answer is about another one.

    An order that somebody cancelled or amended by hand may show another id, which is none of ours.
    """
    shown, name = found.client_order_id, asked.client_order_id
    if asked.order_id is not None:
        right = found.order_id == asked.order_id and (own_id(shown) == name or parse_child_id(shown) is None)
    else:
        renamed = found.status == OrderStatus.CANCELED and parse_child_id(shown) is None
        right = renamed or own_id(shown) == name
    if found.symbol != asked.symbol or not right:
        raise Unreadable("the answer is about another order")
    return snapshot_of(found, name)


def trade_of(found: OwnTrade) -> Trade:
    """Say what was traded."""
    return Trade(
        symbol=found.symbol,
        order_id=found.order_id,
        trade_id=found.id,
        side=Side.BUY if found.is_buyer else Side.SELL,
        price=found.price,
        quantity=found.qty,
        commission=found.commission,
        commission_asset=found.commission_asset,
        maker=found.is_maker,
        time=found.time,
    )


# Account, rules ------------------------------------------------------------------------------------


def balances_of(body: bytes) -> BalancesFound:
    """Read the account's balances. Raises `Unreadable`."""
    account = decode(AccountInfo, body)
    return BalancesFound(balances=tuple((one.asset, one.free, one.locked) for one in account.balances))


def rules_of(info: ExchangeInfo) -> tuple[SymbolRules, ...]:
    """Say the rules of every symbol listed."""
    return tuple(_symbol_rules(symbol) for symbol in info.symbols)


def _symbol_rules(info: SymbolInfo) -> SymbolRules:
    filters = {one.filter_type: one for one in info.filters}
    none = Filter(filter_type="")
    price, lot = filters.get("PRICE_FILTER", none), filters.get("LOT_SIZE", none)
    market = filters.get("MARKET_LOT_SIZE", none)
    notional, least = filters.get("NOTIONAL", none), filters.get("MIN_NOTIONAL", none)
    both, by_side = filters.get("PERCENT_PRICE", none), filters.get("PERCENT_PRICE_BY_SIDE", none)
    return SymbolRules(
        symbol=info.symbol,
        base=info.base_asset,
        quote=info.quote_asset,
        trading=info.status == "TRADING",
        spot=info.is_spot_trading_allowed,
        status=info.status,
        tick=price.tick_size,
        min_price=price.min_price,
        max_price=price.max_price,
        step=lot.step_size,
        min_quantity=lot.min_qty,
        max_quantity=lot.max_qty,
        market_step=market.step_size,
        market_min_quantity=market.min_qty,
        market_max_quantity=market.max_qty,
        min_notional=max(notional.min_notional, least.min_notional),
        max_notional=notional.max_notional,
        bid_multiplier_up=by_side.bid_multiplier_up or both.multiplier_up,
        bid_multiplier_down=by_side.bid_multiplier_down or both.multiplier_down,
        ask_multiplier_up=by_side.ask_multiplier_up or both.multiplier_up,
        ask_multiplier_down=by_side.ask_multiplier_down or both.multiplier_down,
        max_orders=filters.get("MAX_NUM_ORDERS", none).max_num_orders,
    )


def quote_of(found: BookTicker) -> QuoteSeen:
    """Say the touch that REST tells."""
    return QuoteSeen(
        symbol=found.symbol,
        bid=found.bid_price,
        bid_quantity=found.bid_qty,
        ask=found.ask_price,
        ask_quantity=found.ask_qty,
    )


# Errors, frames, events ----------------------------------------------------------------------------


def error_of(body: bytes) -> ErrorBody | None:
    """Read an error's code and text; None if the body is none of Binance's (HTML, nothing)."""
    try:
        return decode(ErrorBody, body)
    except Unreadable:
        return None


def frame_of(text: bytes) -> Frame:
    """Read a frame of the WebSocket API. Raises `Unreadable`."""
    return decode(Frame, text)


def order_report(event: bytes | msgspec.Raw) -> OrderReport:
    """Read an `executionReport`; `C if C else c` is the order's own id. Raises `Unreadable`."""
    report = decode(ExecutionReport, event)
    order = OrderSnapshot(
        symbol=report.symbol,
        order_id=report.order_id,
        client_order_id=own_id(report.original_id or report.client_id),
        side=report.side,
        order_type=report.type,
        status=status_of(report.status),
        price=report.price,
        quantity=report.quantity,
        executed_quantity=report.executed,
        executed_quote=report.executed_quote,
        time=report.created or report.transaction_time,
        update_time=report.transaction_time,
        expiry=_word(report.expiry_reason),
    )
    return OrderReport(
        order=order,
        report_id=report.execution_id,
        execution_type=report.execution_type,
        trade=_trade_in(report, order),
        reason=order.expiry or _word(report.reject_reason),
    )


def _trade_in(report: ExecutionReport, order: OrderSnapshot) -> Trade | None:
    if report.execution_type != "TRADE" or report.trade_id < 0:
        return None
    return Trade(
        symbol=report.symbol,
        order_id=report.order_id,
        trade_id=report.trade_id,
        side=order.side,
        price=report.last_price,
        quantity=report.last_quantity,
        commission=report.commission or ZERO,
        commission_asset=report.commission_asset or "",
        maker=report.maker,
        time=report.transaction_time,
    )


def _word(reason: str | None) -> str | None:
    return None if reason in {"", "NONE"} else reason


def balances_seen(event: bytes | msgspec.Raw) -> tuple[int, BalancesSeen]:
    """Read an `outboundAccountPosition`, and of which moment (ms since 1970) it is. Raises `Unreadable`."""
    position = decode(AccountPosition, event)
    seen = BalancesSeen(balances=tuple((one.asset, one.free, one.locked) for one in position.balances))
    return position.update_time, seen


def late_reports(reply: Acknowledged, number: int) -> list[OrderReport]:
    """Say what a reply tells that came too late to be one, as reports: one a trade, or one in all.

    Their `report_id` is negative, -`number`, for the venue gave them none.
    """
    return [
        OrderReport(order=reply.order, report_id=-number, execution_type=LATE_REPLY, trade=trade)
        for trade in reply.trades or (None,)
    ]
