"""Connections: in what order frames are taken, and closing one whose other end has gone silent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from adapters.binance.links import Keeper, close_or_drop
from adapters.binance.settings import BinanceSettings

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


class Reader:
    """A session that notes each frame, and whether the connection handed it over without a task."""

    busy = False

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.taken: list[tuple[bytes, bool]] = []
        self.over = asyncio.Event()

    async def open(self) -> None:
        await asyncio.sleep(0)  # Now it is being read.
        await self._connection.send("go on")

    def take(self, frame: bytes) -> None:
        self.taken.append((frame, asyncio.current_task() is None))
        if frame == b"bad":
            raise ValueError("nobody can read this")
        if frame == b"last":
            self.over.set()

    def end(self, detail: str | None) -> None:
        self.taken.append((b"end", False))


async def test_frames_are_taken_in_their_order_be_they_whole_or_in_fragments(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        for message in ("one", ["tw", "o"], ["thr", "", "ee"], "four", "bad", b"last"):
            await connection.send(message)
        await connection.wait_closed()

    sessions: list[Reader] = []

    def build(connection: ClientConnection) -> Reader:
        sessions.append(Reader(connection))
        return sessions[0]

    async with serve(talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        keeper = Keeper(
            "a stream",
            url=lambda: url,
            build=build,
            settings=BinanceSettings(rest_url="", ws_api_url=url, stream_url="", api_key="key"),
            hold_seconds=lambda: 0.0,
            on_refused=lambda _, __: None,
        )
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(5):
            while not sessions:  # noqa: ASYNC110 - nobody tells when there is one
                await asyncio.sleep(0.001)
            await sessions[0].over.wait()
            running.cancel()
            await asyncio.wait({running})
    words = [frame for frame, _ in sessions[0].taken]
    assert words[:6] == [b"one", b"two", b"three", b"four", b"bad", b"last"]
    assert sessions[0].taken[0][1], "a whole frame needs no task to be woken"
    assert "could not be handled" in caplog.text
