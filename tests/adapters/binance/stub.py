"""A venue on loopback that says what a test wants: REST, WebSocket API and streams on one port."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from aiohttp import WSMsgType, web

from tests.loops import LoopInThread

KEY = "paper-key"
SECRET = "canary-secret-93b1c0"

Params = dict[str, Any]


@dataclass(frozen=True)
class Say:
    """An answer that is not simply a result: a status, an error, a delay, or none at all."""

    status: int = 200
    body: object = None
    code: int | None = None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: object = None
    after: float = 0.0
    text: str | None = None
    drop: bool = False
    silent: bool = False
    rate_limits: object = None


Handler = Callable[[Params], object]


@dataclass(frozen=True)
class Asked:
    what: str
    params: Params
    at: float
    signature_ok: bool | None
    headers: dict[str, str] = field(default_factory=dict)


class Stub:
    """Handlers by `GET /api/v3/time` or by a method's name; whatever is asked is noted in `asked`."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {
            "GET /api/v3/time": lambda _: {"serverTime": now_ms()},
            "session.subscriptions": lambda _: [{"subscriptionId": 0}],
            "userDataStream.subscribe.signature": lambda _: {"subscriptionId": 0},
        }
        self.asked: list[Asked] = []
        self.api_sockets: list[web.WebSocketResponse] = []
        self.user_sockets: list[web.WebSocketResponse] = []
        self.market_sockets: list[web.WebSocketResponse] = []
        self.market_urls: list[str] = []
        self.controls: list[dict[str, Any]] = []
        self.refuse_handshakes: Say | None = None
        self.handshakes: list[float] = []
        self.port = 0
        self._home = LoopInThread()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._home.__enter__()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._stop())
        self._home.__exit__()

    @property
    def base(self) -> str:
        return f"127.0.0.1:{self.port}"

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the stub lives."""
        return self._home.do(coroutine)

    def asked_for(self, what: str) -> list[Asked]:
        return [one for one in self.asked if one.what == what]

    def wait_for(self, what: str, count: int = 1, within: float = 3.0) -> list[Asked]:
        until(lambda: len(self.asked_for(what)) >= count, within)
        return self.asked_for(what)

    def until_gone(self) -> None:
        """Wait until every client has gone."""
        server = self._runner.server
        until(lambda: server is None or all(one.transport is None for one in server.connections))

    # What a test makes happen -----------------------------------------------------------------

    def push_user(self, event: dict[str, Any], subscription: int | None = 0) -> None:
        """Send an event on every user-data connection that is open."""
        envelope = {"event": event} if subscription is None else {"subscriptionId": subscription, "event": event}
        self.call(self._send(self.user_sockets, orjson.dumps(envelope).decode()))

    def push_market(self, stream: str, data: dict[str, Any]) -> None:
        self.call(self._send(self.market_sockets, orjson.dumps({"stream": stream, "data": data}).decode()))

    def push_text(self, sockets: list[web.WebSocketResponse], text: str) -> None:
        self.call(self._send(sockets, text))

    def cut(self, sockets: list[web.WebSocketResponse]) -> None:
        """Drop connections without a word."""

        async def abort() -> None:
            for socket in list(sockets):
                transport = socket._req.transport if socket._req is not None else None
                if transport is not None:
                    transport.abort()

        self.call(abort())

    async def _send(self, sockets: list[web.WebSocketResponse], text: str) -> None:
        for socket in list(sockets):
            if not socket.closed:
                await socket.send_str(text)

    # Serving ----------------------------------------------------------------------------------

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._serve_api)
        app.router.add_get("/stream", self._serve_market)
        app.router.add_route("*", "/{path:.*}", self._serve_rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for socket in (*self.api_sockets, *self.market_sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        await self._runner.cleanup()

    async def _serve_rest(self, request: web.Request) -> web.StreamResponse:
        query, body = request.rel_url.raw_query_string, (await request.read()).decode()
        what = f"{request.method} {request.path}"
        text = query + body
        params = dict(parse_qsl(query) + parse_qsl(body))
        self.asked.append(Asked(what, params, time.monotonic(), _rest_signature_ok(text), dict(request.headers)))
        told = self._answer(what, params)
        await asyncio.sleep(told.after)
        if told.drop:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if told.silent:
            await asyncio.sleep(30)
        if told.text is not None:
            return web.Response(status=told.status, text=told.text, content_type="text/html", headers=told.headers)
        content = told.body if told.code is None else {"code": told.code, "msg": told.message}
        return web.json_response(body=orjson.dumps(content), status=told.status, headers=told.headers)

    async def _serve_api(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(time.monotonic())
        if self.refuse_handshakes is not None:
            return web.Response(status=self.refuse_handshakes.status, headers=self.refuse_handshakes.headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.api_sockets.append(socket)
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._spawn(self._answer_frame(socket, orjson.loads(frame.data)))
        finally:
            for sockets in (self.api_sockets, self.user_sockets):
                if socket in sockets:
                    sockets.remove(socket)
        return socket

    async def _answer_frame(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        method, params = frame["method"], frame.get("params", {})
        self.asked.append(Asked(method, params, time.monotonic(), _ws_signature_ok(params)))
        told = self._answer(method, params)
        await asyncio.sleep(told.after)
        if told.drop:
            assert socket._req is not None
            assert socket._req.transport is not None
            socket._req.transport.abort()
            return
        if told.silent or socket.closed:
            return
        reply: dict[str, Any] = {"id": frame["id"], "status": told.status}
        if told.code is None and told.status < 300:
            reply["result"] = told.body
        else:
            reply["error"] = {"code": told.code, "msg": told.message}
            if told.data is not None:
                reply["error"]["data"] = told.data
        if told.rate_limits is not None:
            reply["rateLimits"] = told.rate_limits
        if method == "userDataStream.subscribe.signature" and told.status < 300:
            self.user_sockets.append(socket)
        await socket.send_str(orjson.dumps(reply).decode())

    async def _serve_market(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.market_urls.append(request.rel_url.query_string)
        self.market_sockets.append(socket)
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    asked = orjson.loads(frame.data)
                    self.controls.append(asked)
                    await socket.send_str(orjson.dumps({"result": None, "id": asked["id"]}).decode())
        finally:
            self.market_sockets.remove(socket)
        return socket

    def _answer(self, what: str, params: Params) -> Say:
        handler = self.handlers.get(what)
        if handler is None:
            return Say(status=404, code=-1, message="no handler")
        told = handler(params)
        return told if isinstance(told, Say) else Say(body=told)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._home.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _rest_signature_ok(text: str) -> bool | None:
    payload, found, signature = text.partition("&signature=")
    return _signed(payload) == signature if found else None


def _ws_signature_ok(params: dict[str, Any]) -> bool | None:
    if "signature" not in params:
        return None
    payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
    return _signed(payload) == str(params["signature"])


def _signed(payload: str) -> str:
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def now_ms() -> int:
    return int(time.time() * 1000)


def until(condition: Callable[[], object], within: float = 3.0) -> None:
    """Wait in real time for what other threads do."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


# Shapes ---------------------------------------------------------------------------------------


def a_placed(params: Params, **changes: Any) -> dict[str, Any]:
    """The reply to an order that was filled in two trades."""
    placed = {
        "symbol": params["symbol"],
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": params["newClientOrderId"],
        "transactTime": 1_700_000_000_123,
        "price": "50000.00000000",
        "origQty": "0.02000000",
        "executedQty": "0.02000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "999.99000000",
        "status": "FILLED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": params["side"],
        "workingTime": 1_700_000_000_123,
        "selfTradePreventionMode": "NONE",
        "fills": [
            {
                "price": "49999.00000000",
                "qty": "0.01000000",
                "commission": "0.00001000",
                "commissionAsset": "BTC",
                "tradeId": 501,
            },
            {
                "price": "50000.00000000",
                "qty": "0.01000000",
                "commission": "0.00001000",
                "commissionAsset": "BTC",
                "tradeId": 502,
            },
        ],
    }
    return {**placed, **changes}


def a_cancelled(params: Params, **changes: Any) -> dict[str, Any]:
    cancelled = {
        "symbol": params["symbol"],
        "origClientOrderId": params.get("origClientOrderId", ""),
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": params["newClientOrderId"],
        "transactTime": 1_700_000_009_000,
        "price": "50000.00000000",
        "origQty": "0.02000000",
        "executedQty": "0.01000000",
        "cummulativeQuoteQty": "499.99000000",
        "status": "CANCELED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": 1_700_000_000_123,
        "selfTradePreventionMode": "NONE",
    }
    return {**cancelled, **changes}


def a_queried(**changes: Any) -> dict[str, Any]:
    queried = {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": "tgp-abcdefghij234-0-0",
        "price": "50000.00000000",
        "origQty": "0.02000000",
        "executedQty": "0.01000000",
        "cummulativeQuoteQty": "499.99000000",
        "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "time": 1_700_000_000_000,
        "updateTime": 1_700_000_000_500,
        "isWorking": True,
    }
    return {**queried, **changes}


def a_report(**changes: Any) -> dict[str, Any]:
    """An `executionReport` of the first of two trades; keys are the wire's."""
    report = {
        "e": "executionReport",
        "E": 1_700_000_000_124,
        "s": "BTCUSDT",
        "c": "tgp-abcdefghij234-0-0",
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.02000000",
        "p": "50000.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "r": "NONE",
        "i": 28,
        "l": "0.01000000",
        "z": "0.01000000",
        "L": "49999.00000000",
        "n": "0.00001000",
        "N": "BTC",
        "T": 1_700_000_000_123,
        "t": 501,
        "I": 77,
        "w": False,
        "m": False,
        "M": True,
        "O": 1_700_000_000_123,
        "Z": "499.99000000",
        "Y": "499.99000000",
        "Q": "0.00000000",
        "V": "NONE",
    }
    return {**report, **changes}


def a_ticker(**changes: Any) -> dict[str, Any]:
    ticker = {
        "symbol": "BTCUSDT",
        "bidPrice": "41999.00000000",
        "bidQty": "1.00000000",
        "askPrice": "42001.00000000",
        "askQty": "2.00000000",
    }
    return {**ticker, **changes}
