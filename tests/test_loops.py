"""Servers of tests end with all that they had begun."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
import threading
from contextlib import ExitStack

import pytest

from tests.adapters.binance.stub import Say, Stub
from tests.loops import LoopInThread


def test_a_stub_whose_client_has_gone_leaves_no_task_to_be_found_by_the_next_test(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Stub() as stub:
        stub.handlers["GET /slow"] = lambda _: Say(silent=True)
        client = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=5)
        client.request("GET", "/slow")
        stub.wait_for("GET /slow")
        client.close()
        stub.until_gone()
    del stub
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


class Quiet(asyncio.Protocol):
    """Takes a connection and does nothing about it, as a server that is just ending."""

    def __init__(self, taken: threading.Event) -> None:
        self._taken = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._taken.set()


def test_a_connection_that_is_left_ends_with_the_loop_and_is_not_found_by_the_next_test() -> None:
    taken = threading.Event()

    async def listen() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(lambda: Quiet(taken), "127.0.0.1", 0)

    with ExitStack() as after:
        with LoopInThread() as loop:
            server = loop.do(listen())
            client = after.enter_context(socket.create_connection(server.sockets[0].getsockname(), timeout=5))
            assert taken.wait(5)
            loop.call(server.close)
        assert client.recv(1) == b""
    del server, loop
    gc.collect()
