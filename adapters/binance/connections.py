"""Connections of REST: a request must not be given what was said on one before it was asked.

aiohttp takes whatever comes in on a connection for the answer to the request that is under way there: the second copy
of an answer, or one that came late, would tell of one order what is true of another.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

CONNECTIONS = 32
"""How many requests are under way at once; further ones wait."""

SPARES = 4
"""How many connections at the most are ready for orders to come."""

SPARE_SECONDS = 4.0
"""For how long one may be used: less than any server gives a client for its first request."""

CALM_SECONDS = 0.02
"""How long after an order's answer the next connection is made: what follows from the answer goes first."""

_OPEN_TIMEOUT = aiohttp.ClientTimeout(connect=5.0)

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps: Linux's monotonic one stands still, macOS's does not."""


def seconds() -> float:
    """Say what time it is on a clock that also counts a sleep of the machine."""
    return time.clock_gettime(_CLOCK)


class CleanConnector(aiohttp.TCPConnector):
    """Uses no connection again on which something was said that nobody had asked for.

    And waits for no goodbye of TLS: a server that has gone silent says none, and its connection would outlive its loop.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and self._usable(connection.protocol):
                return connection
            connection.close()
        return None

    def _usable(self, protocol: ResponseHandler) -> bool:
        return not protocol.should_close and _silent(protocol.transport)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        transport = protocol.transport
        super()._release(key, protocol, should_close=should_close)
        if key.is_ssl and transport is not None and protocol.transport is None:  # It was not kept.
            transport.abort()


class OrderConnector(CleanConnector):
    """Gives each request a connection to itself, on which nothing was ever said, and has one ready for the next.

    Making one costs three round trips on a real line. So after each request another one is opened while `wanted()`,
    no more than `SPARES` at a time, to be used by one request of the next `SPARE_SECONDS` or closed: without orders
    none is made. Each that is handed out is closed after its request. None is made ready through a proxy, which
    answers by itself and has waiting times of its own. `on_failure` hears why one could not be made.
    """

    def __init__(self, *, wanted: Callable[[], bool], on_failure: Callable[[Exception], None]) -> None:
        """Make it, on the running loop."""
        super().__init__(limit=CONNECTIONS, keepalive_timeout=SPARE_SECONDS)
        self._wanted, self._on_failure = wanted, on_failure
        self._opening: set[asyncio.Task[None]] = set()
        self._since: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the library's signature
    ) -> Connection:
        """Hand out a connection for one request, one that is ready if there is any."""
        connection = await super().connect(req, traces, timeout)
        assert connection.protocol is not None
        connection.protocol.force_close()  # After this request, whatever becomes of it.
        if req.proxy is None:
            connection.add_callback(partial(self._follow, req))
        return connection

    def _usable(self, protocol: ResponseHandler) -> bool:
        return super()._usable(protocol) and seconds() - self._since[protocol] < SPARE_SECONDS

    def _follow(self, req: ClientRequest) -> None:
        self._loop.call_later(CALM_SECONDS, self._make_ready, req)

    def _make_ready(self, req: ClientRequest) -> None:
        """Make a connection to where a request has just gone."""
        ready = len(self._opening) + sum(map(len, self._conns.values()))
        if not self._closed and ready < SPARES and self._wanted():
            task = self._loop.create_task(self._open(req))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, req: ClientRequest) -> None:
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT.connect):
                protocol = await self._create_connection(req, [], _OPEN_TIMEOUT)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one. The next order makes its own.
            self._on_failure(error)
            return
        self._since[protocol] = seconds()
        self._release(req.connection_key, protocol)

    def _close(self, *, abort_ssl: bool = False) -> list[Awaitable[object]]:
        for task in self._opening:
            task.cancel()
        return [*self._opening, *super()._close(abort_ssl=abort_ssl)]


def _silent(transport: asyncio.BaseTransport | None) -> bool:
    """Tell whether nothing has come in on a connection that the loop has not read yet, not even its end."""
    socket: Any = None if transport is None else transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return not poll.poll(0)
