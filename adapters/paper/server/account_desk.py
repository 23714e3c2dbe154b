"""What the account's owner may ask: orders, trades, balances, limits (protocol §4, security USER_DATA)."""

from __future__ import annotations

from adapters.paper.errors import NO_SUCH_ORDER, missing, refuse
from adapters.paper.requests import known_symbol, whole
from adapters.paper.rules import exchange_info, text
from adapters.paper.server.call import Call, flag
from adapters.paper.server.replies import (
    account_reply,
    commission_reply,
    open_order_reply,
    order_counts,
    order_reply,
    restrictions_reply,
    trade_fee_reply,
    trade_reply,
)
from adapters.paper.shapes import Shape


def order(call: Call) -> Shape:
    """Answer `GET /order`; a lagging database does not know what is younger than its lag."""
    found = call.exchange.order(call.params, call.now)
    if call.lag is not None and call.at - found.update_time < call.lag * 1000:
        refuse(NO_SUCH_ORDER)
    return order_reply(found, call.unit)


def open_orders(call: Call) -> list[Shape]:
    """Answer `GET /openOrders`; a stale node tells an older list."""
    found = call.exchange.open_orders(call.params, call.now)
    if call.stale is not None:
        return call.desk.history.open_orders(call.params.get("symbol"), call.at - int(call.stale * 1000), call.unit)
    return [open_order_reply(record, call.unit) for record in found]


def all_orders(call: Call) -> list[Shape]:
    """Answer `GET /allOrders`."""
    found = call.exchange.all_orders(call.params, call.now)
    if call.lag is not None:
        found = [record for record in found if call.at - record.update_time >= call.lag * 1000]
    return [order_reply(record, call.unit) for record in found]


def my_trades(call: Call) -> list[Shape]:
    """Answer `GET /myTrades`."""
    found = call.exchange.my_trades(call.params, call.now)
    if call.lag is not None:
        found = [trade for trade in found if call.at - trade.time >= call.lag * 1000]
    return [trade_reply(trade, call.unit) for trade in found]


def account(call: Call) -> Shape:
    """Answer `GET /account`."""
    balances = call.exchange.balances(call.params, call.now)
    return account_reply(
        balances,
        call.exchange.account.fees,
        call.key,
        updated=call.desk.history.account_updated // call.unit,
        omit_zero=flag(call.params, "omitZeroBalances"),
    )


def commission(call: Call) -> Shape:
    """Answer `GET /account/commission`."""
    call.charge(20)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    return commission_reply(symbol, call.exchange.account.fees)


def order_rate(call: Call) -> list[Shape]:
    """Answer `GET /rateLimit/order`."""
    call.charge(40)
    return order_counts(call.exchange.limits, call.at)


def filters(call: Call) -> Shape:
    """Answer `GET /myFilters`; no asset is capped here."""
    call.charge(40)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    spec = call.exchange.engine.books[symbol].spec
    return {"exchangeFilters": [], "symbolFilters": exchange_info(spec)["filters"], "assetFilters": []}


def amendments(call: Call) -> list[Shape]:
    """Answer `GET /order/amendments`."""
    call.charge(4)
    symbol = known_symbol(call.params, call.exchange.engine.books)
    order_id = whole(call.params, "orderId")
    if order_id is None:
        raise missing("orderId")
    first, limit = whole(call.params, "fromExecutionId") or 0, min(whole(call.params, "limit") or 500, 1000)
    return call.desk.history.amendments(symbol, order_id, first, call.unit)[:limit]


def restrictions(call: Call) -> Shape:
    """Answer `GET /sapi/v1/account/apiRestrictions`."""
    call.charge(1)
    return restrictions_reply(call.key, call.desk.started // 1000)


def trade_fee(call: Call) -> list[Shape]:
    """Answer `GET /sapi/v1/asset/tradeFee`."""
    call.charge(1)
    books = call.exchange.engine.books
    names = [known_symbol(call.params, books)] if "symbol" in call.params else list(books)
    return trade_fee_reply(names, call.exchange.account.fees)


def coins(call: Call) -> list[Shape]:
    """Answer `GET /sapi/v1/capital/config/getall`: what is held, on no network, for nothing leaves or comes in."""
    call.charge(10)
    held = call.exchange.account.balances()
    return [
        {
            "coin": asset,
            "name": asset,
            "free": text(free),
            "locked": text(locked),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for asset, free, locked in held
    ]


def no_margin(call: Call) -> list[Shape]:
    """Answer `GET /sapi/v1/margin/allPairs` and its like: there is no margin trading here."""
    call.charge(1)
    return []


def system_status(call: Call) -> Shape:
    """Answer `GET /sapi/v1/system/status`."""
    call.charge(1)
    return {"status": 0, "msg": "normal"}
