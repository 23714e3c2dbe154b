"""Both kinds of loop come to an end, whatever is open on them when they must, and leave no connection behind.

Warnings are errors here: with a connection that is open at its end, a loop of uvloop would not end at all.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from actors.runtime import Pool
from adapters import loops
from adapters.binance.connections import CleanConnector
from adapters.binance.links import Keeper, close_or_drop
from adapters.binance.settings import BinanceSettings
from adapters.intake.http import HttpIntake, HttpSettings
from adapters.loop_thread import LoopThread
from messages.control import DaemonUp
from tests.adapters.intake.test_slow_readers import Ledger, Nobody
from tests.adapters.intake.world import until
from tests.silent_peer import SilentPeer, silent_peer

pytestmark = [pytest.mark.wire, pytest.mark.usefixtures("kind_of_loop")]

PEM = Path(__file__).parent / "binance" / "certificates" / "self-signed.pem"
TOKEN = "a-token-of-a-test"


class Listener:
    """Hears what becomes of a coroutine."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def tell(self, message: object, /) -> None:
        self.heard.append(message)


@contextmanager
def ended(**settings: float) -> Iterator[LoopThread]:
    """A loop in its thread, which is over when its block is left, and soon."""
    with Pool(1) as pool:
        loop = LoopThread(pool, **settings)
        with loop:
            yield loop
            began = time.monotonic()
        assert not loop._thread.is_alive(), f"not after {time.monotonic() - began:.1f} s"


def run_until_taken(peer: SilentPeer, work: Coroutine[Any, Any, object]) -> Listener:
    """Run something on a loop until its peer has taken it up, and end the loop then."""
    listener = Listener()
    with ended() as loop:
        loop.run(work, listener, lambda done: done, lambda error: error)
        assert peer.taken.wait(5)
    return listener


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(PEM))


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_websocket_to_a_silent_peer_is_gone_when_its_loop_has_ended(secure: bool) -> None:
    async def listen() -> None:
        kind = "wss" if secure else "ws"
        connection = await connect(f"{kind}://localhost:{peer.port}", ssl=client_context() if secure else None)
        try:
            await connection.recv()
        finally:
            await close_or_drop(connection)

    with silent_peer(server_context() if secure else None) as peer:
        (outcome,) = run_until_taken(peer, listen()).heard
        assert isinstance(outcome, asyncio.CancelledError)
        assert peer.left_alone()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_request_that_a_silent_peer_never_answers_is_gone_when_its_loop_has_ended(secure: bool) -> None:
    async def ask() -> None:
        kind = "https" if secure else "http"
        connector = CleanConnector(ssl=client_context() if secure else True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"{kind}://localhost:{peer.port}/api"),
        ):
            pass

    with silent_peer(server_context() if secure else None) as peer:
        (outcome,) = run_until_taken(peer, ask()).heard
        assert isinstance(outcome, asyncio.CancelledError)
        assert peer.left_alone()


class Mute:
    """A session that has nothing to say."""

    busy = False

    async def open(self) -> None: ...

    def take(self, frame: bytes) -> None: ...

    def end(self, detail: str | None) -> None: ...


def a_keeper(
    port: int, hold_seconds: Any = lambda: 0.0, on_connected: Callable[[], object] = lambda: None
) -> Keeper[Mute]:
    def build(_: ClientConnection) -> Mute:
        on_connected()
        return Mute()

    url = f"ws://127.0.0.1:{port}"
    settings = BinanceSettings(rest_url=url, ws_api_url=url, stream_url=url, api_key="a key")
    return Keeper(
        "a link",
        url=lambda: url,
        build=build,
        settings=settings,
        hold_seconds=hold_seconds,
        on_refused=lambda *_: None,
    )


def test_a_connection_that_is_kept_for_ever_is_gone_when_its_loop_has_ended() -> None:
    with silent_peer() as peer:
        (outcome,) = run_until_taken(peer, a_keeper(peer.port).run()).heard
        assert isinstance(outcome, asyncio.CancelledError)
        assert peer.left_alone()


def test_a_connection_is_gone_though_its_loop_ends_before_anybody_has_begun_to_read_it() -> None:
    """A task that is cancelled before its first step runs none of its code, and tidies up nothing."""

    def cancel_all_before_the_next_step() -> None:
        asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in asyncio.all_tasks()])

    with silent_peer() as peer:
        keeper = a_keeper(peer.port, on_connected=cancel_all_before_the_next_step)
        (outcome,) = run_until_taken(peer, keeper.run()).heard
        assert isinstance(outcome, asyncio.CancelledError)
        assert peer.left_alone()


def test_no_connection_is_tried_while_a_limit_holds_though_a_timer_be_early() -> None:
    held = [0.02, 0.01, 0.0004, 0.0]
    with silent_peer() as peer:
        run_until_taken(peer, a_keeper(peer.port, lambda: held.pop(0)).run())
    assert held == []


def test_a_server_ends_before_readers_that_take_nothing_and_requests_that_are_half_sent() -> None:
    ledger = Ledger()
    with ended() as loop:
        intake = HttpIntake(loop, HttpSettings(token=TOKEN, port=0))
        port = intake.start()
        intake.connect(DaemonUp(gate=Nobody(), exchange=Nobody(), journal=ledger))
        half, idle, tab = (socket.create_connection(("127.0.0.1", port)) for _ in range(3))
        half.sendall(b"POST /v1/signals HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        tab.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tab.sendall(b"GET /ui/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
        until(lambda: len(ledger.follows) == 2)  # The views', and the tab's.
        until(lambda: _waits_for_its_reader(intake, ledger))
        intake.close()
    for client in (half, idle):
        client.settimeout(2)
        while client.recv(65536):
            pass  # What it was told, and then the end.
    for client in (half, idle, tab):
        client.close()


def _waits_for_its_reader(intake: HttpIntake, ledger: Ledger) -> bool:
    """Tell the one who follows last some more, until the server has to keep what it wrote."""
    assert intake._runner is not None
    assert intake._runner.server is not None
    for _ in range(5):
        ledger.say(200, ledger.follows[-1].follower)
        time.sleep(0.002)
    return any(line.get_write_buffer_size() for line in intake._runner.server._connections.values())


def test_a_loop_of_its_own_process_hears_signals_and_what_it_reads(kind_of_loop: str) -> None:
    """What the paper exchange's process asks of its loop."""
    reading, writing = os.pipe()

    async def wait() -> list[str]:
        loop, heard = asyncio.get_running_loop(), list[str]()
        both = asyncio.Event()

        def note(what: str) -> None:
            heard.append(what)
            if len(heard) == 2:
                both.set()

        def readable() -> None:
            loop.remove_reader(reading)
            note("input")

        loop.add_signal_handler(signal.SIGUSR2, note, "signal")
        loop.add_reader(reading, readable)
        with PEM.open("rb") as file, pytest.raises(PermissionError):  # It is always readable.
            loop.add_reader(file.fileno(), readable)
        os.write(writing, b"x")
        os.kill(os.getpid(), signal.SIGUSR2)
        await asyncio.wait_for(both.wait(), 5)
        return sorted(heard)

    try:
        with asyncio.Runner(loop_factory=loops.new_loop) as runner:
            assert type(runner.get_loop()).__module__.partition(".")[0] == kind_of_loop
            assert runner.run(wait()) == ["input", "signal"]
    finally:
        os.close(reading)
        os.close(writing)


def test_loops_are_those_of_uvloop_and_where_it_is_not_installed_those_of_asyncio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kind() -> str:
        with closing(runpy.run_path(loops.__file__)["new_loop"]()) as loop:
            return type(loop).__module__.partition(".")[0]

    assert kind() == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert kind() == "asyncio"
