"""Orders: placing, testing, cancelling, replacing, amending (protocol §4.1, §4.2, security TRADE)."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.paper.errors import ExchangeError, both_missing, missing, refuse
from adapters.paper.records import Placed
from adapters.paper.server.call import Call, HalfDone, flag
from adapters.paper.server.replies import RESPONSE_TYPES, cancelled_reply, order_commission_reply, placed_reply
from adapters.paper.shapes import Shape

BAD_RESPONSE_TYPE = (
    -1100,
    "Illegal characters found in parameter 'newOrderRespType'; legal range is 'ACK|RESULT|FULL'.",
)
BAD_MODE = (-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
BAD_RATE_MODE = (-1130, "Data sent for parameter 'orderRateLimitExceededMode' is not valid.")
HALF = (-2021, "Order cancel-replace partially failed.")
NEITHER = (-2022, "Order cancel-replace failed.")


def _response_type(params: Mapping[str, str]) -> str:
    usual = "FULL" if params.get("type") in {"MARKET", "LIMIT"} else "ACK"
    wanted = params.get("newOrderRespType", usual)
    if wanted not in RESPONSE_TYPES:
        refuse(BAD_RESPONSE_TYPE)
    return wanted


def place(call: Call) -> Shape:
    """Answer `POST /order`."""
    wanted = _response_type(call.params)
    placed = call.exchange.place(call.params, call.now)
    call.placed = True
    return placed_reply(placed, wanted, call.unit)


def test(call: Call) -> Shape:
    """Answer `POST /order/test`: judged by the filters, but never sent to the engine."""
    _response_type(call.params)
    rates = flag(call.params, "computeCommissionRates")
    call.charge(20 if rates else 1)
    call.exchange.test(call.params, call.now)
    return order_commission_reply(call.params["symbol"], call.exchange.account.fees) if rates else {}


def cancel(call: Call) -> Shape:
    """Answer `DELETE /order`."""
    return cancelled_reply(call.exchange.cancel(call.params, call.now), call.unit)


def cancel_all(call: Call) -> list[Shape]:
    """Answer `DELETE /openOrders`."""
    return [cancelled_reply(one, call.unit) for one in call.exchange.cancel_all(call.params, call.now)]


def cancel_replace(call: Call) -> Shape:
    """Answer `POST /order/cancelReplace`; `HalfDone` unless both halves succeed.

    Filters and order count are looked at before anything is done.
    """
    params, exchange = call.params, call.exchange
    mode = params.get("cancelReplaceMode")
    if not mode:
        raise missing("cancelReplaceMode")
    if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
        refuse(BAD_MODE)
    on_limit = params.get("orderRateLimitExceededMode", "DO_NOTHING")
    if on_limit not in {"DO_NOTHING", "CANCEL_ONLY"}:
        refuse(BAD_RATE_MODE)
    if "cancelOrderId" not in params and "cancelOrigClientOrderId" not in params:
        raise both_missing("cancelOrigClientOrderId", "cancelOrderId")
    wanted = _response_type(params)
    exchange.test(params, call.now)
    limited = _limit_hit(call)
    if limited is not None and on_limit == "DO_NOTHING":
        raise limited
    stop = mode == "STOP_ON_FAILURE"
    try:
        cancelled: Shape | ExchangeError = cancelled_reply(exchange.cancel(_cancel_half(params), call.now), call.unit)
    except ExchangeError as error:
        cancelled = error
        if stop:
            exchange.limits.add_order(call.at)
            raise _half_done(cancelled, None, 400) from error
    if limited is not None:
        raise _half_done(cancelled, limited, 429 if stop else 409)
    try:
        placed: Shape | ExchangeError = placed_reply(exchange.place(params, call.now), wanted, call.unit)
        call.placed = True
    except ExchangeError as error:
        placed = error
    if isinstance(cancelled, ExchangeError) or isinstance(placed, ExchangeError):
        both = isinstance(cancelled, ExchangeError) and isinstance(placed, ExchangeError)
        raise _half_done(cancelled, placed, 400 if both else 409)
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def _limit_hit(call: Call) -> ExchangeError | None:
    try:
        call.exchange.limits.check_order(call.at)
    except ExchangeError as error:
        return error
    return None


def _cancel_half(params: Mapping[str, str]) -> dict[str, str]:
    names = {
        "symbol": "symbol",
        "cancelOrderId": "orderId",
        "cancelOrigClientOrderId": "origClientOrderId",
        "cancelNewClientOrderId": "newClientOrderId",
        "cancelRestrictions": "cancelRestrictions",
        "timestamp": "timestamp",
        "recvWindow": "recvWindow",
    }
    return {theirs: params[name] for name, theirs in names.items() if name in params}


def _half_done(cancelled: Shape | ExchangeError, placed: Shape | ExchangeError | None, status: int) -> HalfDone:
    """Tell which halves failed; `placed` None means that the new order was not attempted."""
    halves = {
        "cancelResult": "FAILURE" if isinstance(cancelled, ExchangeError) else "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED"
        if placed is None
        else "FAILURE"
        if isinstance(placed, ExchangeError)
        else "SUCCESS",
        "cancelResponse": _half(cancelled),
        "newOrderResponse": None if placed is None else _half(placed),
    }
    one_succeeded = "SUCCESS" in halves.values()
    return HalfDone(*(HALF if one_succeeded else NEITHER), status, halves)


def _half(outcome: Shape | ExchangeError) -> Shape:
    if isinstance(outcome, ExchangeError):
        return {"code": outcome.code, "msg": outcome.message}
    return outcome


def amend(call: Call) -> Shape:
    """Answer `PUT /order/amend/keepPriority`: a smaller quantity, the same place in the queue."""
    call.charge(4)
    if "orderId" not in call.params and "origClientOrderId" not in call.params:
        raise both_missing("origClientOrderId", "orderId")
    amended = call.exchange.amend(call.params, call.now)
    order = amended.order
    shape = placed_reply(Placed(at=amended.at, order=order, trades=()), "RESULT", call.unit)
    return {
        "transactTime": amended.at // call.unit,
        "executionId": amended.execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "origClientOrderId": amended.original_id,
            "clientOrderId": order.client_order_id,
            "price": shape["price"],
            "qty": shape["origQty"],
            "executedQty": shape["executedQty"],
            "preventedQty": shape.get("preventedQuantity", "0.00000000"),
            "quoteOrderQty": shape["origQuoteOrderQty"],
            "cumulativeQuoteQty": shape["cummulativeQuoteQty"],
            "status": shape["status"],
            "timeInForce": shape["timeInForce"],
            "type": shape["type"],
            "side": shape["side"],
            "workingTime": shape["workingTime"],
            "selfTradePreventionMode": shape["selfTradePreventionMode"],
        },
    }
