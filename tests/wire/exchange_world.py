"""A paper exchange on a free loopback port, and a client that signs by hand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from adapters.paper.account import Fees
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.server import PaperServer, ServerSettings
from adapters.paper.store import AccountFile

SECRET = "paper-secret"
KEY = "paper-key"
BIDS = (("50000.00", "1.00000"), ("49990.00", "2.00000"))
ASKS = (("50001.00", "1.00000"), ("50011.00", "2.00000"))
ROOMY = LimitSettings(orders_per_10_seconds=10_000, orders_per_day=1_000_000, weight_per_minute=1_000_000)


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def sign(payload: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def an_order(**changes: Any) -> dict[str, Any]:
    """A limit order to buy 0.01 at the bid, immediate or cancel, unless changed; None leaves a name out."""
    usual = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.01",
        "price": "50001.00",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def resting(**changes: Any) -> dict[str, Any]:
    """A limit order that rests far below the market."""
    return an_order(**{"timeInForce": "GTC", "price": "49000.00", **changes})


def at_market(**changes: Any) -> dict[str, Any]:
    return an_order(**{"type": "MARKET", "timeInForce": None, "price": None, **changes})


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)

    @property
    def error(self) -> tuple[int, int, str]:
        return self.status, self.json["code"], self.json["msg"]


@dataclass
class Socket:
    """A client's WebSocket: replies by id, all else in `events`."""

    ws: aiohttp.ClientWebSocketResponse
    events: list[Any] = field(default_factory=list)
    replies: dict[object, Any] = field(default_factory=dict)
    last_id: int = 0

    async def next(self, seconds: float = 2.0) -> Any:
        """The next frame, whatever it is."""
        async with asyncio.timeout(seconds):
            frame = await self.ws.receive()
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{frame.type.name} {frame.data}")
        return orjson.loads(frame.data)

    async def send(self, method: str, params: Mapping[str, Any] | None = None, *, request_id: object = None) -> object:
        self.last_id += 1
        number = self.last_id if request_id is None else request_id
        frame: dict[str, Any] = {"id": number, "method": method}
        if params is not None:
            frame["params"] = params
        await self.ws.send_str(orjson.dumps(frame).decode())
        return number

    async def reply(self, number: object, seconds: float = 2.0) -> Any:
        """The reply to a request; events that come before it are kept."""
        while number not in self.replies:
            frame = await self.next(seconds)
            if "id" in frame:
                self.replies[frame["id"]] = frame
            else:
                self.events.append(frame)
        return self.replies.pop(number)

    async def ask(self, method: str, params: Mapping[str, Any] | None = None, *, seconds: float = 2.0) -> Any:
        return await self.reply(await self.send(method, params), seconds)

    async def signed(self, method: str, **params: Any) -> Any:
        return await self.ask(method, signed_params(**params))

    async def event(self, seconds: float = 2.0) -> Any:
        """The next event."""
        while not self.events:
            frame = await self.next(seconds)
            if "id" in frame:
                self.replies[frame["id"]] = frame
            else:
                self.events.append(frame)
        return self.events.pop(0)

    async def reports(self, count: int, seconds: float = 2.0) -> list[dict[str, Any]]:
        """The next `count` execution reports; balances are left out."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            event = (await self.event(seconds))["event"]
            if event["e"] == "executionReport":
                found.append(event)
        return found

    async def quiet(self, seconds: float = 0.15) -> list[Any]:
        """All events that come within a while."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.events.append(await self.next(seconds))
        found, self.events = self.events, []
        return found


def signed_params(secret: str = SECRET, **params: Any) -> dict[str, Any]:
    """Parameters of a WebSocket API request with key, time and signature; None leaves a name out."""
    given = {"apiKey": KEY, "timestamp": milliseconds(), **params}
    given = {name: value for name, value in given.items() if value is not None}
    payload = "&".join(f"{name}={given[name]}" for name in sorted(given))
    return {**given, "signature": sign(payload, secret)}


class World:
    """The server and everything one wants to do to it."""

    def __init__(self, server: PaperServer, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.exchange = server.exchange
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []

    # REST -----------------------------------------------------------------------------------------

    async def raw(self, verb: str, path: str, query: str = "", body: str = "", **headers: str) -> Reply:
        """Send exactly this."""
        from yarl import URL

        url = URL(f"{self.server.url}{path}" + (f"?{query}" if query else ""), encoded=True)
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.session.request(verb, url, data=body or None, headers=headers) as answer:
            return Reply(answer.status, answer.headers, await answer.text())

    async def get(self, path: str, **params: Any) -> Reply:
        """Ask for public data."""
        return await self.raw("GET", path, encoded(params))

    async def signed(
        self, verb: str, path: str, *, secret: str = SECRET, key: str = KEY, in_body: bool = False, **params: Any
    ) -> Reply:
        """Send a signed request, its parameters in the query or in the body."""
        payload = encoded({"timestamp": milliseconds(), **params})
        payload += f"&signature={sign(payload, secret)}"
        query, body = ("", payload) if in_body else (payload, "")
        return await self.raw(verb, path, query, body, **{"X-MBX-APIKEY": key})

    async def place(self, **changes: Any) -> Reply:
        return await self.signed("POST", "/api/v3/order", **an_order(**changes))

    async def control(self, path: str, **body: Any) -> Any:
        """Tell the control face."""
        async with self.session.post(f"{self.server.url}/paper/{path}", data=orjson.dumps(body)) as answer:
            shape = await answer.json()
            assert answer.status == 200, shape
            return shape

    async def faults(self, *faults: dict[str, Any], seed: int = 0) -> None:
        await self.control("faults", faults=list(faults), seed=seed)

    async def truth(self) -> Any:
        return (await self.raw("GET", "/paper/truth")).json

    async def book(self, bids: Any = BIDS, asks: Any = ASKS, symbol: str = "BTCUSDT") -> None:
        await self.control("market", symbol=symbol, bids=bids, asks=asks)

    # Sockets --------------------------------------------------------------------------------------

    async def connect(self, path: str = "/ws-api/v3", **options: Any) -> Socket:
        ws = await self.session.ws_connect(f"{self.server.url}{path}", **options)
        self.sockets.append(ws)
        return Socket(ws)

    async def user_stream(self) -> Socket:
        """A WebSocket API connection that is subscribed to the account."""
        socket = await self.connect()
        reply = await socket.signed("userDataStream.subscribe.signature")
        assert reply["status"] == 200, reply
        return socket


def encoded(params: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items() if value is not None)


@contextlib.asynccontextmanager
async def a_world(
    *,
    market: str = "scripted",
    limits: LimitSettings = ROOMY,
    fees: Fees | None = None,
    file: AccountFile | None = None,
    seed: int = 0,
    flush: Callable[[], None] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Serve a new exchange, with `BIDS` and `ASKS` on BTCUSDT unless the market is another one."""
    paper = PaperSettings(markets=MarketChoice(market=market, seed=seed), limits=limits, fees=fees or Fees())
    exchange = PaperExchange(paper, now=time.time_ns() // 1000, file=file)
    if market == "scripted":
        exchange.steering["BTCUSDT"].steer().set_levels(BIDS, ASKS)
    server = PaperServer(exchange, ServerSettings(**settings), flush=flush)
    await server.start()
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
    world = World(server, session)
    try:
        yield world
    finally:
        for ws in world.sockets:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ws.close(), 1)
        await session.close()
        await server.stop()
