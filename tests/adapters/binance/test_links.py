"""Closing a connection whose other end has gone silent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from adapters.binance.links import close_or_drop

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


async def test_a_close_that_is_cancelled_while_the_other_end_says_nothing_leaves_no_socket_open() -> None:
    over = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    async with serve(deaf, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        connection = await connect(f"ws://127.0.0.1:{port}", close_timeout=30)
        ours: Any = connection.transport.get_extra_info("socket")
        closing = asyncio.create_task(close_or_drop(connection))
        done, _ = await asyncio.wait({closing}, timeout=0.1)
        assert not done, "it waits for the other end's goodbye"
        closing.cancel()
        await asyncio.wait({closing})
        await asyncio.sleep(0)
        over.set()
        assert ours.fileno() == -1
