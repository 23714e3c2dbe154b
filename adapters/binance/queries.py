"""Queries over REST: what is asked, and what the answer says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import orjson

from actors.runtime import Runtime
from adapters.binance.clock import Clock
from adapters.binance.codec import balances_of, decode, rules_of, snapshot_of, the_order, trade_of
from adapters.binance.limits import Limits
from adapters.binance.outcomes import (
    Answer,
    AnsweredWithError,
    Meaning,
    RequestNotSent,
    RequestUnknown,
    Unreadable,
    row_of,
)
from adapters.binance.rest import Rest
from adapters.binance.settings import BinanceSettings
from adapters.binance.shapes import (
    BookTicker,
    DepthSnapshot,
    ExchangeInfo,
    OwnTrade,
    QueriedOrder,
    ServerTime,
)
from adapters.binance.signing import Signer
from messages.market import SymbolRules
from messages.order import (
    AllOrdersFound,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    RulesFound,
    TimeFound,
    TradesFound,
)

NO_SUCH_ORDER = -2013
INVALID_SYMBOL = -1121
PAGE = 1000
MOST_PAGES = 20


class Queries:
    """Asks, and turns every outcome into the one answer; lives on the loop's thread."""

    def __init__(self, settings: BinanceSettings, *, signer: Signer, runtime: Runtime) -> None:
        """Make REST, with all that it needs to know of the venue; `rest.open` starts it."""
        self._settings = settings
        self.limits = Limits(runtime, settings.quiet_until)
        self.rest = Rest(settings, signer=signer, limits=self.limits)
        self.clock = self.rest.clock = Clock(
            self._server_time,
            runtime,
            samples=settings.time_samples,
            bias_ms=settings.time_bias_ms,
            refresh_seconds=settings.time_refresh_seconds,
        )

    async def answer(self, query: Query) -> QueryAnswer:
        """Return the answer to a query; a failure is one too."""
        held = self.limits.held_until()
        if held is not None:
            return QueryFailed(query=query, detail="the venue wants to hear nothing", until=held)
        try:
            return await self._ask(query)
        except AnsweredWithError as failed:
            return query_failure(query, failed.answer)
        except (RequestNotSent, RequestUnknown, Unreadable) as error:
            return query_failure(query, error)

    async def touch(self, symbols: tuple[str, ...]) -> list[BookTicker]:
        """Return the present touch of symbols; those that the venue does not know are missing."""
        try:
            if len(symbols) == 1:
                return [decode(BookTicker, await self._get("ticker/bookTicker", {"symbol": symbols[0]}))]
            listed = orjson.dumps(symbols).decode()
            return decode(list[BookTicker], await self._get("ticker/bookTicker", {"symbols": listed}))
        except AnsweredWithError as failed:
            if failed.answer.code != INVALID_SYMBOL or len(symbols) == 1:
                return []
        return [one for symbol in symbols for one in await self.touch((symbol,))]

    async def depth(self, symbol: str) -> DepthSnapshot:
        """Return a snapshot of the book. Raises what requests raise."""
        params = {"symbol": symbol, "limit": str(self._settings.snapshot_levels)}
        try:
            return decode(DepthSnapshot, await self._get("depth", params))
        except AnsweredWithError as failed:
            raise RequestUnknown(str(failed)) from None

    async def _ask(self, query: Query) -> QueryAnswer:
        match query:
            case QueryOrder(symbol=symbol, client_order_id=name, order_id=number):
                which = {"origClientOrderId": name} if number is None else {"orderId": str(number)}
                found_one = decode(QueriedOrder, await self._signed("order", {"symbol": symbol, **which}))
                return OrderFound(client_order_id=name, order=the_order(found_one, query))
            case QueryOpenOrders(symbol=symbol):
                found = decode(list[QueriedOrder], await self._signed("openOrders", {"symbol": symbol}))
                _only_of(symbol, found)
                return OpenOrdersFound(symbol=symbol, orders=tuple(map(snapshot_of, found)))
            case QueryAllOrders():
                return await self._all_orders(query)
            case QueryTrades():
                return await self._trades(query)
            case QueryBalances():
                return balances_of(await self._signed("account", {"omitZeroBalances": "true"}))
            case QueryRules(symbols=symbols):
                return RulesFound(rules=await self._rules(symbols))
            case QueryTime():
                await self.clock.measure()
                bias = self._settings.time_bias_ms
                return TimeFound(offset_milliseconds=self.clock.offset_milliseconds(), bias_milliseconds=bias)
            case _:
                assert_never(query)

    async def _all_orders(self, query: QueryAllOrders) -> AllOrdersFound:
        params = {"symbol": query.symbol, "startTime": str(query.since), "limit": str(PAGE)}
        found: list[QueriedOrder] = []
        for _ in range(MOST_PAGES):
            page = decode(list[QueriedOrder], await self._signed("allOrders", params))
            _only_of(query.symbol, page)
            found += page
            if len(page) < PAGE:
                orders = tuple(snapshot_of(one) for one in found)
                return AllOrdersFound(symbol=query.symbol, since=query.since, orders=orders)
            params = {"symbol": query.symbol, "orderId": str(page[-1].order_id + 1), "limit": str(PAGE)}
        raise RequestUnknown("there are too many orders to list")

    async def _trades(self, query: QueryTrades) -> TradesFound:
        params = {"symbol": query.symbol, "limit": str(PAGE)}
        if query.order_id is not None:
            params["orderId"] = str(query.order_id)
        if query.from_id is not None:
            params["fromId"] = str(query.from_id)
        elif query.since is not None and query.order_id is None:
            params["startTime"] = str(query.since)
        found = decode(list[OwnTrade], await self._signed("myTrades", params))
        _only_of(query.symbol, found)
        if query.order_id is not None and any(trade.order_id != query.order_id for trade in found):
            raise Unreadable("the answer tells of another order's trades")
        return TradesFound(
            symbol=query.symbol,
            trades=tuple(map(trade_of, found)),
            from_id=query.from_id,
            since=query.since,
            order_id=query.order_id,
            complete=len(found) < PAGE,
        )

    async def _rules(self, symbols: tuple[str, ...]) -> tuple[SymbolRules, ...]:
        """Ask for symbols together; if one of them is unknown, for each by itself."""
        if not symbols:
            return ()
        params = {"symbols": orjson.dumps(symbols).decode(), "showPermissionSets": "false"}
        try:
            info = decode(ExchangeInfo, await self._get("exchangeInfo", params))
        except AnsweredWithError as failed:
            if failed.answer.code != INVALID_SYMBOL:
                raise
            if len(symbols) == 1:
                return ()
            return tuple([rules for symbol in symbols for rules in await self._rules((symbol,))])
        self.limits.learn_limits(info.rate_limits)
        return rules_of(info)

    async def _server_time(self) -> int:
        return decode(ServerTime, await self._get("time")).server_time

    async def _get(self, path: str, params: dict[str, str] | None = None) -> bytes:
        return _body(await self.rest.ask("GET", path, params))

    async def _signed(self, path: str, params: dict[str, str]) -> bytes:
        return _body(await self.rest.ask("GET", path, params, signed=True))


def query_failure(query: Query, failure: Answer | Exception) -> QueryFailed | OrderNotFound:
    """Say what became of a query that brought no good answer."""
    if not isinstance(failure, Answer):
        return QueryFailed(query=query, detail=str(failure))
    if isinstance(query, QueryOrder) and failure.code == NO_SUCH_ORDER:
        return OrderNotFound(symbol=query.symbol, client_order_id=query.client_order_id)
    definite = row_of(failure).meaning is Meaning.REFUSED
    code = failure.error_code if definite else None
    return QueryFailed(query=query, detail=str(failure), until=failure.until, code=code)


def _only_of(symbol: str, rows: Iterable[QueriedOrder | OwnTrade]) -> None:
    """Believe no list that is another symbol's. Raises `Unreadable`."""
    if any(row.symbol != symbol for row in rows):
        raise Unreadable("the answer tells of another symbol")


def _body(answer: Answer) -> bytes:
    if not answer.good:
        raise AnsweredWithError(answer)
    return answer.body
