"""Replies in Binance's shapes (protocol §5); `unit` is 1000 for times in milliseconds, 1 for microseconds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from adapters.paper.account import Fees
from adapters.paper.limits import DAY, SECOND, Limits
from adapters.paper.records import Cancelled, OrderRecord, Placed, PublicTrade, TradeRecord
from adapters.paper.rules import RANGE_FIELDS, SymbolSpec, text
from adapters.paper.server.keys import ApiKey
from adapters.paper.shapes import Shape, balances_shape, conditional, order_shape, trade_shape, working
from messages.money import ZERO

MILLISECOND = 1000
MICROSECOND = 1
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")


def _in_unit(shape: Shape, unit: int, **times: int) -> Shape:
    if unit != MILLISECOND:
        shape.update({name: at // unit for name, at in times.items()})
    return shape


def placed_reply(placed: Placed, response_type: str, unit: int = MILLISECOND) -> Shape:
    """Answer `POST /order` in one of the three shapes."""
    order = placed.order
    reply: Shape = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": placed.at // unit,
    }
    if response_type == "ACK":
        return reply
    reply |= _state(order)
    reply["workingTime"] = working(order, unit)
    reply["selfTradePreventionMode"] = order.self_trade_prevention
    reply |= conditional(order)
    if order.expiry_reason is not None:
        reply["expiryReason"] = order.expiry_reason
    if response_type == "FULL":
        reply["fills"] = [
            {
                "price": text(trade.price),
                "qty": text(trade.quantity),
                "commission": text(trade.commission),
                "commissionAsset": trade.commission_asset,
                "tradeId": trade.trade_id,
            }
            for trade in placed.trades
        ]
    return reply


def _state(order: OrderRecord) -> Shape:
    return {
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed),
        "origQuoteOrderQty": text(order.quote_quantity),
        "cummulativeQuoteQty": text(order.executed_quote),
        "status": order.status.value,
        "timeInForce": order.time_in_force,
        "type": order.order_type,
        "side": order.side.value,
    }


def cancelled_reply(cancelled: Cancelled, unit: int = MILLISECOND) -> Shape:
    """Answer `DELETE /order`: the order's id is `origClientOrderId`, the cancel's `clientOrderId`."""
    order = cancelled.order
    reply: Shape = {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancelled.cancel_id,
        "transactTime": cancelled.at // unit,
        **_state(order),
        "selfTradePreventionMode": order.self_trade_prevention,
    }
    return reply | conditional(order)


def order_reply(order: OrderRecord, unit: int = MILLISECOND) -> Shape:
    """Answer `GET /order` and the lists of orders."""
    shape = _in_unit(order_shape(order), unit, time=order.time, updateTime=order.update_time)
    return shape | {"workingTime": working(order, unit)}


def open_order_reply(order: OrderRecord, unit: int = MILLISECOND) -> Shape:
    """Answer `GET /openOrders`, where no reason of an end is told."""
    reply = order_reply(order, unit)
    reply.pop("expiryReason", None)
    return reply


def trade_reply(trade: TradeRecord, unit: int = MILLISECOND) -> Shape:
    """Answer `GET /myTrades`."""
    return _in_unit(trade_shape(trade), unit, time=trade.time)


def public_trade_reply(trade: PublicTrade, unit: int = MILLISECOND) -> Shape:
    """Answer `GET /trades`."""
    return {
        "id": trade.trade_id,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.price * trade.quantity),
        "time": trade.time // unit,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def account_reply(
    balances: Iterable[tuple[str, Decimal, Decimal]], fees: Fees, key: ApiKey, *, updated: int, omit_zero: bool
) -> Shape:
    """Answer `GET /account`; `updated` is already in the reply's unit of time."""
    rates = fees.default
    shown = [entry for entry in balances if not omit_zero or entry[1] or entry[2]]
    return {
        "makerCommission": int(rates.maker * 10_000),
        "takerCommission": int(rates.taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(rates.maker, rates.taker),
        "canTrade": key.may_trade,
        "canWithdraw": key.may_withdraw,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": updated,
        "accountType": "SPOT",
        "balances": balances_shape(shown),
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _rates(maker: Decimal, taker: Decimal) -> Shape:
    return {"maker": text(maker), "taker": text(taker), "buyer": text(ZERO), "seller": text(ZERO)}


def commission_reply(symbol: str, fees: Fees) -> Shape:
    """Answer `GET /account/commission` (protocol §12)."""
    rates = fees.of(symbol)
    return {
        "symbol": symbol,
        "standardCommission": _rates(rates.maker, rates.taker),
        "specialCommission": _rates(ZERO, ZERO),
        "taxCommission": _rates(ZERO, ZERO),
        "discount": _discount(fees),
    }


def order_commission_reply(symbol: str, fees: Fees) -> Shape:
    """Answer `POST /order/test` with `computeCommissionRates`."""
    rates = fees.of(symbol)
    nothing = {"maker": text(ZERO), "taker": text(ZERO)}
    return {
        "standardCommissionForOrder": {"maker": text(rates.maker), "taker": text(rates.taker)},
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": _discount(fees),
    }


def _discount(fees: Fees) -> Shape:
    return {
        "enabledForAccount": fees.pay_in_bnb,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": text(fees.discount),
    }


def trade_fee_reply(symbols: Iterable[str], fees: Fees) -> list[Shape]:
    """Answer `GET /sapi/v1/asset/tradeFee`."""
    return [
        {
            "symbol": symbol,
            "makerCommission": format(fees.of(symbol).maker, "f"),
            "takerCommission": format(fees.of(symbol).taker, "f"),
        }
        for symbol in symbols
    ]


def restrictions_reply(key: ApiKey, created: int) -> Shape:
    """Answer `GET /sapi/v1/account/apiRestrictions`; `created` is in ms."""
    return {
        "ipRestrict": key.ip_restricted,
        "createTime": created,
        "enableReading": True,
        "enableSpotAndMarginTrading": key.may_trade,
        "enableWithdrawals": key.may_withdraw,
        "enableInternalTransfer": key.may_transfer,
        "permitsUniversalTransfer": key.may_transfer,
        "enableMargin": False,
        "enableFutures": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }


def order_counts(limits: Limits, now: int) -> list[Shape]:
    """Say how many unfilled orders count in each window (`GET /rateLimit/order`)."""
    settings = limits.settings
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": "SECOND",
            "intervalNum": 10,
            "limit": settings.orders_per_10_seconds,
            "count": limits.order_count(10 * SECOND, now),
        },
        {
            "rateLimitType": "ORDERS",
            "interval": "DAY",
            "intervalNum": 1,
            "limit": settings.orders_per_day,
            "count": limits.order_count(DAY, now),
        },
    ]


def weight_count(limits: Limits, now: int) -> Shape:
    """Say how much request weight was used in this minute."""
    return {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": limits.settings.weight_per_minute,
        "count": limits.used_weight(now),
    }


def execution_rules_reply(specs: Iterable[SymbolSpec]) -> Shape:
    """Answer `GET /executionRules` (protocol §9.3)."""
    rows: list[Shape] = []
    for spec in specs:
        rules: list[Shape] = []
        if spec.price_range is not None:
            bounds = {name: getattr(spec.price_range, ours) for name, ours in RANGE_FIELDS.items()}
            rules.append(
                {
                    "ruleType": "PRICE_RANGE",
                    **{name: text(bound) for name, bound in bounds.items() if bound is not None},
                }
            )
        rows.append({"symbol": spec.symbol, "rules": rules})
    return {"symbolRules": rows}
