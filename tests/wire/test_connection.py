"""The manners of one WebSocket connection: pings, pongs, closing, and what happens when its own code fails."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import aiohttp
import pytest

from adapters.paper.server.connection import Connection, Stall
from tests.wire.exchange_world import Socket, World, a_world

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


async def frame_of(socket: Socket, seconds: float = 1.0) -> aiohttp.WSMessage:
    async with asyncio.timeout(seconds):
        return await socket.ws.receive()


def the_session(world: World) -> Connection:
    (session,) = world.server._sessions
    return session


async def test_a_clients_ping_is_answered_with_its_own_words(world: World) -> None:
    socket = await world.connect(autoping=False)
    await socket.ws.ping(b"are you there")
    frame = await frame_of(socket)
    assert (frame.type, bytes(frame.data)) == (aiohttp.WSMsgType.PONG, b"are you there")


async def test_the_exchange_pings_at_its_pace_and_cuts_off_who_does_not_answer() -> None:
    async with a_world(ping_seconds=0.05, pong_seconds=0.1) as world:
        socket = await world.connect(autoping=False)
        assert (await frame_of(socket)).type is aiohttp.WSMsgType.PING
        async with asyncio.timeout(2):
            while (frame := await socket.ws.receive()).type is aiohttp.WSMsgType.PING:
                pass
        assert frame.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}


async def test_who_answers_pings_may_stay() -> None:
    async with a_world(ping_seconds=0.05, pong_seconds=0.1) as world:
        socket = await world.connect()
        with pytest.raises(TimeoutError):
            await socket.next(0.4)  # Real time: several pings long.
        assert (await socket.ask("ping"))["status"] == 200


async def test_a_dead_connection_neither_pings_nor_answers_pings() -> None:
    async with a_world(ping_seconds=0.05) as world:
        socket = await world.connect(autoping=False)
        await frame_of(socket)
        the_session(world).stalled = Stall.EVERYTHING
        with suppress(TimeoutError):
            await frame_of(socket, 0.1)  # One that was on its way.
        with pytest.raises(TimeoutError):
            await frame_of(socket, 0.2)
        await socket.ws.ping()
        with pytest.raises(TimeoutError):
            await frame_of(socket, 0.2)


async def test_the_first_reason_to_close_counts_and_nothing_is_said_after_it(world: World) -> None:
    socket = await world.connect()
    session = the_session(world)
    session.send(b'{"before":1}')
    session.close(1001)
    session.close(1008)
    session.send(b'{"after":1}')
    assert await socket.next() == {"before": 1}
    frame = await frame_of(socket)
    assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, 1001)


async def test_what_is_no_text_ends_the_connection(world: World) -> None:
    socket = await world.connect()
    await socket.ws.send_bytes(b"{}")
    frame = await frame_of(socket)
    assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, 1003)


async def test_a_failure_of_the_servers_own_ends_that_connection_alone_and_is_written_down(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    socket, other = await world.connect(), await world.connect()
    first = next(iter(world.server._sessions))

    async def fails(text: str) -> None:
        raise RuntimeError(f"a fault of the server at {text}")

    first.on_text = fails  # type: ignore[method-assign]  # the fault that there should not be
    with caplog.at_level(logging.ERROR):
        await socket.ws.send_str("{}")
        assert (await frame_of(socket)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
    assert "a connection ended badly" in caplog.text
    assert (await other.ask("ping"))["status"] == 200


async def test_a_connection_whose_transport_is_gone_already_can_be_cut(world: World) -> None:
    await world.connect()
    session = the_session(world)
    session._transport = None
    session.abort()
    assert (await (await world.connect()).ask("ping"))["status"] == 200


@pytest.mark.parametrize("path", ["/ws-api/v3", "/ws/btcusdt@trade"])
async def test_who_goes_during_the_handshake_leaves_no_traceback(
    world: World, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "prepare", gone)
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(f"{world.server.url}{path}")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
