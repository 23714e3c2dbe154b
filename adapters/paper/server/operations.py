"""What Binance's API offers here: one row an operation, for REST and WebSocket API alike (protocol §4, §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapters.paper.server import account_desk, history_desk, list_desk, market_desk, trading_desk
from adapters.paper.server.call import Call

Run = Callable[[Call], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `method` is its WebSocket API name (None: REST only), `http` its verb and path (None: not there).

    `kind` is what fault plans call it, `weight` what a request costs that is turned away at the door;
    `signed` ones need key and signature, `trading` ones a key that may trade. `params` are the names that it
    reads besides those of a signature; None where others do no harm.
    """

    kind: str
    run: Run
    method: str | None = None
    http: tuple[str, str] | None = None
    weight: int = 1
    params: frozenset[str] | None = None
    signed: bool = False
    trading: bool = False
    places: bool = False


def _open(kind: str, run: Run, method: str | None, path: str | None, weight: int, params: str = "") -> Operation:
    http = None if path is None else ("GET", f"/api/v3/{path}")
    return Operation(kind=kind, run=run, method=method, http=http, weight=weight, params=frozenset(params.split()))


def _trade(
    kind: str, run: Run, method: str, verb: str, path: str, params: str, *, weight: int = 1, places: bool = False
) -> Operation:
    return Operation(
        kind=kind,
        run=run,
        method=method,
        http=(verb, f"/api/v3/{path}"),
        weight=weight,
        params=frozenset(params.split()),
        signed=True,
        trading=True,
        places=places,
    )


def _data(kind: str, run: Run, method: str | None, path: str, weight: int, params: str = "") -> Operation:
    names = frozenset(params.split())
    return Operation(
        kind=kind, run=run, method=method, http=("GET", f"/api/v3/{path}"), weight=weight, params=names, signed=True
    )


def _other(kind: str, run: Run, path: str, weight: int, *, signed: bool = True) -> Operation:
    return Operation(kind=kind, run=run, http=("GET", path), weight=weight, signed=signed)


_ORDER = (
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType stopPrice "
    "trailingDelta icebergQty newOrderRespType selfTradePreventionMode pegPriceType pegOffsetValue pegOffsetType"
)
_WHICH = "symbol orderId origClientOrderId"
_MANY = "symbol symbols symbolStatus"
_LISTED = "symbol orderId startTime endTime limit"
_CANDLES = "symbol interval startTime endTime timeZone limit"
_REPLACE = (
    "cancelReplaceMode cancelOrderId cancelOrigClientOrderId cancelNewClientOrderId cancelRestrictions "
    "orderRateLimitExceededMode"
)
_LISTS = (
    ("OCO", "orderList.place", "order/oco"),
    ("OCO", "orderList.place.oco", "orderList/oco"),
    ("OTO", "orderList.place.oto", "orderList/oto"),
    ("OTOCO", "orderList.place.otoco", "orderList/otoco"),
    ("OPO", "orderList.place.opo", "orderList/opo"),
    ("OPOCO", "orderList.place.opoco", "orderList/opoco"),
)

OPERATIONS: tuple[Operation, ...] = (
    _open("ping", market_desk.ping, "ping", "ping", 1),
    _open("time", market_desk.time, "time", "time", 1),
    _open(
        "exchange_info",
        market_desk.exchange_info,
        "exchangeInfo",
        "exchangeInfo",
        20,
        f"{_MANY} permissions showPermissionSets",
    ),
    _open("market", market_desk.execution_rules, "executionRules", "executionRules", 2, _MANY),
    _open("market", market_desk.reference_price, "referencePrice", "referencePrice", 2, "symbol"),
    _open(
        "market",
        market_desk.reference_calculation,
        "referencePrice.calculation",
        "referencePrice/calculation",
        2,
        "symbol symbolStatus",
    ),
    _open("depth", market_desk.depth, "depth", "depth", 5, "symbol limit symbolStatus"),
    _open("market", market_desk.trades, "trades.recent", "trades", 25, "symbol limit"),
    _open("market", market_desk.book_ticker, "ticker.book", "ticker/bookTicker", 2, _MANY),
    _open("market", market_desk.price_ticker, "ticker.price", "ticker/price", 2, _MANY),
    _open("market", market_desk.average_price, "avgPrice", "avgPrice", 2, "symbol"),
    _open("market", history_desk.klines, "klines", "klines", 2, _CANDLES),
    _open("market", history_desk.klines, "uiKlines", "uiKlines", 2, _CANDLES),
    _open("market", history_desk.day_ticker, "ticker.24hr", "ticker/24hr", 2, f"{_MANY} type"),
    _open("market", history_desk.rolling_ticker, "ticker", "ticker", 4, f"{_MANY} type windowSize"),
    _open(
        "market",
        history_desk.trading_day,
        "ticker.tradingDay",
        "ticker/tradingDay",
        4,
        f"{_MANY} type timeZone",
    ),
    _open(
        "market",
        history_desk.aggregate_trades,
        "trades.aggregate",
        "aggTrades",
        4,
        "symbol fromId startTime endTime limit",
    ),
    _open("market", history_desk.old_trades, "trades.historical", "historicalTrades", 25, "symbol limit fromId"),
    _trade("place", trading_desk.place, "order.place", "POST", "order", _ORDER, places=True),
    _trade("test", trading_desk.test, "order.test", "POST", "order/test", f"{_ORDER} computeCommissionRates"),
    _trade(
        "cancel",
        trading_desk.cancel,
        "order.cancel",
        "DELETE",
        "order",
        f"{_WHICH} newClientOrderId cancelRestrictions",
    ),
    _trade("cancel_all", trading_desk.cancel_all, "openOrders.cancelAll", "DELETE", "openOrders", "symbol"),
    _trade(
        "cancel_replace",
        trading_desk.cancel_replace,
        "order.cancelReplace",
        "POST",
        "order/cancelReplace",
        f"{_ORDER} {_REPLACE}",
    ),
    _trade(
        "amend",
        trading_desk.amend,
        "order.amend.keepPriority",
        "PUT",
        "order/amend/keepPriority",
        f"{_WHICH} newClientOrderId newQty",
        weight=4,
    ),
    *(
        Operation(
            kind="place",
            run=list_desk.place(kind),
            method=method,
            http=("POST", f"/api/v3/{path}"),
            signed=True,
            trading=True,
        )
        for kind, method, path in _LISTS
    ),
    Operation(
        kind="cancel",
        run=list_desk.cancel,
        method="orderList.cancel",
        http=("DELETE", "/api/v3/orderList"),
        signed=True,
        trading=True,
    ),
    _data("query", account_desk.order, "order.status", "order", 4, _WHICH),
    _data("open_orders", account_desk.open_orders, "openOrders.status", "openOrders", 6, "symbol"),
    _data("all_orders", account_desk.all_orders, "allOrders", "allOrders", 20, _LISTED),
    _data("trades", account_desk.my_trades, "myTrades", "myTrades", 20, f"{_LISTED} fromId"),
    _data("account", account_desk.account, "account.status", "account", 20, "omitZeroBalances"),
    _data("account", account_desk.commission, "account.commission", "account/commission", 20, "symbol"),
    _data("account", account_desk.order_rate, "account.rateLimits.orders", "rateLimit/order", 40),
    _data("account", account_desk.filters, "myFilters", "myFilters", 40, "symbol"),
    _data(
        "query",
        account_desk.amendments,
        "order.amendments",
        "order/amendments",
        4,
        "symbol orderId fromExecutionId limit",
    ),
    _data("query", list_desk.query, "orderList.status", "orderList", 4, "orderListId origClientOrderId"),
    _data("query", list_desk.open_lists, "openOrderLists.status", "openOrderList", 6),
    _data("query", list_desk.all_lists, "allOrderLists", "allOrderList", 20, "fromId startTime endTime limit"),
    _data("query", list_desk.all_lists, "myAllocations", "myAllocations", 20, f"{_LISTED} fromAllocationId"),
    _other("account", account_desk.restrictions, "/sapi/v1/account/apiRestrictions", 1),
    _other("account", account_desk.trade_fee, "/sapi/v1/asset/tradeFee", 1),
    _other("account", account_desk.coins, "/sapi/v1/capital/config/getall", 10),
    _other("account", account_desk.no_margin, "/sapi/v1/margin/allPairs", 1),
    _other("account", account_desk.no_margin, "/sapi/v1/margin/isolated/allPairs", 10),
    _other("market", account_desk.system_status, "/sapi/v1/system/status", 1, signed=False),
)

BY_PATH = {operation.http: operation for operation in OPERATIONS if operation.http is not None}
BY_METHOD = {operation.method: operation for operation in OPERATIONS if operation.method is not None}

GONE_PATHS = frozenset(
    (verb, f"/api/{version}/userDataStream") for verb in ("POST", "PUT", "DELETE") for version in ("v1", "v3")
)
GONE_METHODS = frozenset({"userDataStream.start", "userDataStream.ping", "userDataStream.stop"})
"""What listen keys were for, gone since 2026-02-20 (protocol §7.1)."""
