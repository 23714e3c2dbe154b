"""The control face, `/paper/...`: the truth, and everything that can be made to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Literal, Protocol

import msgspec
import orjson
from aiohttp import web

from adapters.paper.rules import SymbolStatus, price_range_of
from adapters.paper.server.connection import GOING_AWAY, Stall
from adapters.paper.server.desk import Desk
from adapters.paper.server.faults import BadPlan, Plan, read_plan
from adapters.paper.server.keys import ApiKey, KeyKind
from messages.signal import Side


class MarketOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /paper/market` takes.

    `bids` and `asks` ([price, quantity], best first) or `bid`, `ask` (with `bid_quantity`,
    `ask_quantity`) put a book in place; `trade` lets somebody take ([side, price, quantity]).
    `freeze` and `halt` stop and close the market, `release` gives it back to its own course;
    `status`, `filters` (by type, as `exchangeInfo` writes them) and `price_range` (the multiples of
    the reference price as `executionRules` writes them; an empty one takes the rule away) change the
    rules; `expire` ends an open order by the exchange's own hand.
    """

    symbol: str
    bids: tuple[tuple[str, str], ...] | None = None
    asks: tuple[tuple[str, str], ...] | None = None
    bid: str | None = None
    bid_quantity: str = "1"
    ask: str | None = None
    ask_quantity: str = "1"
    trade: tuple[str, str, str] | None = None
    freeze: bool = False
    halt: bool = False
    release: bool = False
    status: SymbolStatus | None = None
    filters: dict[str, dict[str, str | int | bool]] = {}
    price_range: dict[str, str] | None = None
    expire: int | None = None


class ClockOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /paper/clock` takes: how far the exchange's clock is ahead, in milliseconds."""

    skew_ms: float


class StreamsOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /paper/streams` takes.

    `action`: `cut` without a word, `close` with `code`, `shutdown` (the warning; with `code` 1001 a
    `close` follows after `milliseconds` if those are given), `stall` (`what`: events or everything),
    `resume`, `terminate` or silently `forget` the user-data subscriptions. `which`: the WebSocket
    API's connections (`user`), the market streams' (`market`) or all.
    """

    action: Literal["cut", "close", "shutdown", "stall", "resume", "terminate", "forget"]
    which: Literal["user", "market", "all"] = "all"
    what: Stall = Stall.EVENTS
    code: int = GOING_AWAY
    milliseconds: float | None = None


class KeyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /paper/keys` takes: a key to add or replace; `secret` is the public key (PEM) for RSA and Ed25519."""

    key: str
    secret: str
    kind: KeyKind = KeyKind.HMAC
    may_trade: bool = True
    may_withdraw: bool = False
    may_transfer: bool = False
    ip_restricted: bool = True
    revoked: bool = False


class Streams(Protocol):
    """Who can misbehave on the connections."""

    def misbehave(self, order: StreamsOrder) -> int:
        """Do it; return to how many connections."""


class BadOrder(Exception):
    """The control face does not understand."""


class Control:
    """Answers `/paper/...`."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        """Control `desk` and the connections."""
        self._desk, self._streams = desk, streams
        self._routes: dict[tuple[str, str], Callable[[bytes], object]] = {
            ("GET", "/paper/truth"): self._truth,
            ("GET", "/paper/faults"): self._faults,
            ("POST", "/paper/faults"): self._set_faults,
            ("DELETE", "/paper/faults"): self._clear_faults,
            ("POST", "/paper/market"): self._market,
            ("POST", "/paper/clock"): self._clock,
            ("POST", "/paper/streams"): self._misbehave,
            ("POST", "/paper/keys"): self._key,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: 400 with a reason for what makes no sense, 404 for what there is not."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            known = ", ".join(f"{verb} {path}" for verb, path in self._routes)
            return _json(404, {"status": "unknown", "reason": f"there is {known}"})
        try:
            return _json(200, route(await request.read()))
        except (msgspec.ValidationError, msgspec.DecodeError, BadPlan, BadOrder) as error:
            return _json(400, {"status": "refused", "reason": str(error)})
        finally:
            self._desk.publish_soon()

    def _truth(self, _: bytes) -> object:
        return self._desk.exchange.truth()

    def _faults(self, _: bytes) -> object:
        return {"faults": self._desk.faults.state()}

    def _set_faults(self, body: bytes) -> object:
        self._desk.faults.set(read_plan(body))
        return self._faults(body)

    def _clear_faults(self, body: bytes) -> object:
        self._desk.faults.set(Plan())
        return self._faults(body)

    def _clock(self, body: bytes) -> object:
        order = msgspec.json.decode(body, type=ClockOrder)
        self._desk.exchange.set_skew(round(order.skew_ms * 1000))
        return {"serverTime": self._desk.time() // 1000}

    def _misbehave(self, body: bytes) -> object:
        return {"connections": self._streams.misbehave(msgspec.json.decode(body, type=StreamsOrder))}

    def _key(self, body: bytes) -> object:
        order = msgspec.json.decode(body, type=KeyOrder)
        self._desk.keys.put(ApiKey(**{name: getattr(order, name) for name in order.__struct_fields__}))
        return {"key": order.key}

    def _market(self, body: bytes) -> object:
        order = msgspec.json.decode(body, type=MarketOrder)
        exchange, now = self._desk.exchange, self._desk.now()
        if order.symbol not in exchange.steering:
            raise BadOrder(f"there is no symbol {order.symbol}")
        try:
            exchange.advance(now, (order.symbol,))
            self._steer(order)
            exchange.advance(now, (order.symbol,))
        except (KeyError, ValueError, InvalidOperation) as error:
            raise BadOrder(f"{type(error).__name__}: {error}") from error
        return self._desk.feed(order.symbol, now).book_ticker()

    def _steer(self, order: MarketOrder) -> None:
        exchange, market = self._desk.exchange, self._desk.exchange.steering[order.symbol]
        if order.release:
            market.release()
        if order.bids is not None or order.asks is not None:
            market.steer().set_levels(_numbers(order.bids or ()), _numbers(order.asks or ()))
        elif order.bid is not None or order.ask is not None:
            bids = () if order.bid is None else ((order.bid, order.bid_quantity),)
            asks = () if order.ask is None else ((order.ask, order.ask_quantity),)
            market.steer().set_levels(_numbers(bids), _numbers(asks))
        if order.trade is not None:
            side, price, quantity = order.trade
            market.steer().trade(Side(side), price, quantity)
        if order.freeze:
            market.freeze()
        if order.halt:
            market.halt()
        if order.status is not None:
            exchange.set_status(order.symbol, order.status)
        for filter_type, fields in order.filters.items():
            exchange.set_filter(order.symbol, filter_type, fields)
        if order.price_range is not None:
            exchange.engine.change(order.symbol, price_range=price_range_of(order.price_range))
        if order.expire is not None:
            live = exchange.engine.open.get((order.symbol, order.expire))
            if live is None:
                raise BadOrder(f"order {order.expire} is not open")
            exchange.engine.expire(live, self._desk.now())


def _numbers(levels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    for level in levels:
        for number in level:
            if not Decimal(number).is_finite() or Decimal(number) <= 0:
                raise ValueError(f"{number} is no price or quantity")
    return levels


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
