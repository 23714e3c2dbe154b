"""The server: Binance's REST, WebSocket API and streams, and the control face, on one loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import orjson
from aiohttp import web

from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange
from adapters.paper.limits import Face
from adapters.paper.records import Event, Execution
from adapters.paper.server.connection import Connection
from adapters.paper.server.control import Control, StreamsOrder
from adapters.paper.server.desk import Desk, Flush, unit_of
from adapters.paper.server.faults import WireFault
from adapters.paper.server.market_socket import MarketSocket
from adapters.paper.server.rest import Rest
from adapters.paper.server.settings import ServerSettings, host_of, is_loopback
from adapters.paper.server.streams import Board
from adapters.paper.server.user_events import event_shape
from adapters.paper.server.ws_api import Session
from adapters.servers import stop_server

logger = logging.getLogger("tidegate.paper")

WS_API_PATH, RAW_PATH, COMBINED_PATH = "/ws-api/v3", "/ws", "/stream"
_MOST_BODY = 1 << 20
_GOODBYE_SECONDS = 1.5
_MOST_LET_OUT = 3


class PaperServer:
    """Serves a `PaperExchange`. Everything happens on the loop that `start` is awaited on.

    The exchange is closed by `stop`, so that its file is free for the next one.
    """

    def __init__(
        self, exchange: PaperExchange, settings: ServerSettings | None = None, *, flush: Flush | None = None
    ) -> None:
        """Serve `exchange`; nothing is opened before `start`.

        `flush` belongs to an exchange whose file is a `GroupedFile`: replies and events wait for it.
        """
        self.exchange, self.settings = exchange, settings or ServerSettings()
        self.port = self.settings.port
        self.desk = Desk(exchange, self.settings, self._publish, flush)
        self._rest = Rest(self.desk)
        self._control = Control(self.desk, self)
        self._wanted = asyncio.Event()
        self._board = Board(self.desk, self._wake)
        self._sessions: dict[Session, None] = {}
        self._sockets: dict[MarketSocket, None] = {}
        self._telling = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The base of all addresses, `http://127.0.0.1:PORT`."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Open the port; `OSError` if it is taken."""
        server = web.Server(self._answer, access_log=None)  # Without routes: they would be looked up at each request.
        runner = self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self.settings.host, self.settings.port)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._spawn(self._pace())

    async def stop(self) -> None:
        """Say goodbye to all clients, close the port and the exchange."""
        for connection in (*self._sessions, *self._sockets):
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*(connection.ended.wait() for connection in (*self._sessions, *self._sockets)))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await stop_server(self._runner)
            self._runner = None
        self.exchange.close()

    # Requests -------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not is_loopback(host_of(request.headers.get("Host", ""))):
            return web.json_response({"status": "refused", "reason": "this host is not served here"}, status=403)
        if origin is not None and not is_loopback(host_of(origin.partition("://")[2])):
            return web.json_response({"status": "refused", "reason": "this origin may not ask here"}, status=403)
        path = request.raw_path.partition("?")[0]
        try:
            if path.startswith(("/api/", "/sapi/")):
                return await self._rest.answer(request)
            if path.startswith("/paper/"):
                return await self._control.answer(request)
            if path == WS_API_PATH:
                return await self._ws_api(request)
            if path in {RAW_PATH, COMBINED_PATH} or path.startswith(RAW_PATH + "/"):
                return await self._streams(request, path)
        except ConnectionError:
            return web.Response(status=499)  # The client has gone meanwhile; nobody gets to see it.
        finally:
            self._wake()
        return web.Response(status=404, text="Not found")

    async def _ws_api(self, request: web.BaseRequest) -> web.StreamResponse:
        limits, now = self.desk.exchange.limits, self.desk.time()
        try:
            limits.count_connection(Face.API, now)
            limits.check_weight(2, now)
            unit = unit_of(request.query.get("timeUnit"))
        except ExchangeError as error:
            return self._rest.refusal(error)
        limits.add_weight(2, now)
        socket = await self._accept(request)
        with_limits = request.query.get("returnRateLimits", "true") != "false"
        session = Session(request, socket, self.settings, self.desk, unit=unit, with_limits=with_limits)
        self._sessions[session] = None
        try:
            await session.run()
        finally:
            self._sessions.pop(session, None)
        return socket

    async def _streams(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        combined = path == COMBINED_PATH
        text = request.query.get("streams", "") if combined else request.path.removeprefix(RAW_PATH).lstrip("/")
        try:
            self.desk.exchange.limits.count_connection(Face.STREAMS, self.desk.time())
            unit = unit_of(request.query.get("timeUnit"))
        except ExchangeError as error:
            return self._rest.refusal(error)
        socket = await self._accept(request)
        names = [name for name in text.replace(" ", "+").split("/") if name]  # A plus in a query reads as a space.
        market = MarketSocket(request, socket, self.settings, self._board, combined=combined, names=names, unit=unit)
        self._sockets[market] = None
        try:
            await market.run()
        finally:
            self._sockets.pop(market, None)
        return socket

    @staticmethod
    async def _accept(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=_MOST_BODY, compress=False, timeout=1.0)
        await socket.prepare(request)
        return socket

    # Events ---------------------------------------------------------------------------------------

    def _publish(self, events: list[Event]) -> None:
        """Tell all subscriptions what has happened, with the faults that strike events."""
        self._wake()  # What has happened may be that an order rests now, on whatever way it came.
        for event in events:
            kind = event.execution_type if isinstance(event, Execution) else "outboundAccountPosition"
            struck = self.desk.faults.strike_event(kind)
            if WireFault.LOST_EVENT in struck:
                continue
            late = struck.get(WireFault.LATE_EVENT)
            if late is not None:
                asyncio.get_running_loop().call_later(late.milliseconds / 1000, self._tell, event)
                continue
            self._tell(event)
            again = struck.get(WireFault.DUPLICATE_EVENT)
            if again is not None:
                asyncio.get_running_loop().call_later(again.milliseconds / 1000, self._tell, event)

    def _tell(self, event: Event) -> None:
        self._telling = True
        encoded: dict[int, bytes] = {}
        now = self.desk.time()
        for session in self._sessions:
            if session.subscriptions:
                if session.unit not in encoded:
                    encoded[session.unit] = orjson.dumps(event_shape(event, now, session.unit))
                session.tell(encoded[session.unit])

    # The markets' pace ----------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._board or self.exchange.resting:
            self._wanted.set()

    async def _pace(self) -> None:
        """Let the markets go on while somebody watches or an own order rests, and stand still otherwise."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._board and not self.exchange.resting:
                self._wanted.clear()
                await self._wanted.wait()
            began = loop.time()
            self.exchange.advance(self.desk.now())
            self.desk.keep_minutes()
            self.desk.publish()
            await self._let_out()
            for _ in self._board.turns(began):
                self.desk.publish()
                await self._let_out()
            await asyncio.sleep(max(self.settings.tick_seconds - (loop.time() - began), 0.001))

    async def _let_out(self) -> None:
        """Let others have their turn: an order that has come does not wait for all books, nor what was told for one."""
        await asyncio.sleep(0)
        for _ in range(_MOST_LET_OUT):
            if not self._telling:
                return
            self._telling = False
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # It is on its socket two turns of the loop after it was told.

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("the paper exchange's market has stopped", exc_info=error)

    # Misbehaviour ---------------------------------------------------------------------------------

    def misbehave(self, order: StreamsOrder) -> int:
        """Do to connections what `/paper/streams` asks; return to how many."""
        chosen: list[Connection] = []
        if order.which in {"user", "all"}:
            chosen += self._sessions
        if order.which in {"market", "all"}:
            chosen += self._sockets
        for connection in chosen:
            self._do_to(connection, order)
        return len(chosen)

    def _do_to(self, connection: Connection, order: StreamsOrder) -> None:
        match order.action:
            case "cut":
                connection.abort()
            case "close":
                connection.close(order.code)
            case "stall":
                connection.stalled = order.what
            case "resume":
                connection.stalled = None
            case "shutdown":
                self._shut_down(connection, order)
            case "terminate":
                if isinstance(connection, Session):
                    connection.terminate()
            case "forget":
                if isinstance(connection, Session):
                    connection.forget_subscriptions()

    def _shut_down(self, connection: Connection, order: StreamsOrder) -> None:
        if isinstance(connection, Session):
            connection.warn_of_shutdown()
        elif isinstance(connection, MarketSocket):
            connection.warn_of_shutdown(self.desk.time())
        if order.milliseconds is not None:
            asyncio.get_running_loop().call_later(order.milliseconds / 1000, connection.close, order.code)


@contextlib.asynccontextmanager
async def serving(exchange: PaperExchange, settings: ServerSettings | None = None) -> AsyncIterator[PaperServer]:
    """Serve for as long as an `async with` block lasts."""
    server = PaperServer(exchange, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
