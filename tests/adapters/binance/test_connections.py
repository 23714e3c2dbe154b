"""An order over REST has a connection to itself, which may have been made before it: nothing was ever said there.

Real sockets, on both kinds of loop; client and server share one, so that a test decides what happens in which order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from actors.runtime import Pool
from adapters.binance import connections
from adapters.binance.connections import SPARES, OrderConnector
from adapters.binance.limits import Limits
from adapters.binance.outcomes import Answer, RequestNotSent, RequestUnknown, order_failure
from adapters.binance.rest import Rest
from adapters.binance.settings import BinanceSettings
from adapters.binance.signing import HmacSigner
from adapters.loops import new_loop
from messages.order import BAD_CERTIFICATE, OutcomeUnknown, VenueAlarm
from tests.probe import Probe

pytestmark = [pytest.mark.wire, pytest.mark.usefixtures("kind_of_loop")]

PEM = Path(__file__).parent / "certificates" / "self-signed.pem"
UPTIME = Path("/proc/uptime")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FOREIGN = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"other": 1}\n'
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Line:
    """One connection that a server has accepted."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer, self.requests, self.ended = writer, list[bytes](), asyncio.Event()

    def say(self, what: bytes) -> None:
        self.writer.write(what)

    @contextmanager
    def at_once(self) -> Iterator[socket.socket]:
        """Its socket, for what must have happened before the loop goes on."""
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as taken:
            yield taken

    def reset(self) -> None:
        taken = self.writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Line], Awaitable[None]]


class Server:
    """Notes which request came on which connection, and closes none of them by itself."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.lines: list[Line] = []
        self.handler: Handler = self.answer
        self._asked, self._context = port, context
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._asked, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answer(self, line: Line) -> None:
        line.say(OK)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = Line(writer)
        self.lines.append(line)
        try:
            while head := await _until_whole(reader):
                line.requests.append(head)
                await self.handler(line)
        except OSError:
            pass
        finally:
            line.ended.set()
            writer.transport.abort()

    @property
    def said(self) -> list[int]:
        """How many requests came on each connection."""
        return [len(line.requests) for line in self.lines]


async def until(happened: Callable[[], bool]) -> None:
    """Wait in real time for what the other end does."""
    async with asyncio.timeout(3):
        while not happened():  # noqa: ASYNC110 - of sockets, which tell nobody
            await asyncio.sleep(0.002)


async def _until_whole(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


class House:
    """REST on the running loop, and what it is to talk to."""

    def __init__(self, server: Server, limits: Limits, url: str | None = None) -> None:
        self.server, self.limits = server, limits
        url = url or f"http://127.0.0.1:{server.port}"
        settings = BinanceSettings(
            rest_url=url, ws_api_url=url, stream_url=url, api_key="key", api_secret="secret", order_seconds=2.0
        )
        self.rest = Rest(settings, signer=HmacSigner("secret"), limits=limits)
        self.rest.open()

    @property
    def connector(self) -> OrderConnector:
        assert self.rest._single is not None
        connector = self.rest._single.connector
        assert isinstance(connector, OrderConnector)
        return connector

    async def order(self, number: int = 0, method: str = "POST") -> Answer:
        return await self.rest.ask(method, "order", {"newClientOrderId": f"order-{number}"}, seconds=2.0)

    async def stand(self, count: int = 1) -> None:
        """Wait until so many connections stand ready, here and there."""

        def stands() -> bool:
            here = sum(map(len, self.connector._conns.values()))
            return here == self.server.said.count(0) == count and not self.connector._opening

        await until(stands)

    async def ready(self) -> None:
        """Order once, on a connection made for it, and wait until the next one stands."""
        await self.order()
        await self.stand()


Story = Callable[[House], Coroutine[Any, Any, None]]


def play(story: Story, url: str | None = None) -> None:
    """Run a story on a loop of its own, on which nothing is left in the end."""

    async def run() -> None:
        with Pool(1) as pool:
            async with Server() as server:
                house = House(server, Limits(pool), url)
                connector = house.connector
                try:
                    await story(house)
                finally:
                    await house.rest.close()
                assert not connector._opening
                async with asyncio.timeout(2):
                    for line in server.lines:
                        await line.ended.wait()

    with closing(new_loop()) as loop:
        loop.run_until_complete(run())


def test_an_order_goes_out_on_a_connection_that_was_accepted_before() -> None:
    async def story(house: House) -> None:
        await house.ready()
        assert house.server.said == [1, 0], "the next order's connection stands, and nothing was said on it"
        await house.order(1)
        assert house.server.said[:2] == [1, 1]
        await house.stand()

    play(story)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_each_order_and_each_cancel_has_a_connection_to_itself(method: str) -> None:
    async def story(house: House) -> None:
        for number in range(6):
            await house.order(number, method)
            await house.stand()
        assert house.server.said == [1, 1, 1, 1, 1, 1, 0]
        for line in house.server.lines[:-1]:
            async with asyncio.timeout(1):
                await line.ended.wait()  # Closed by us, though the server would have kept it.

    play(story)


def test_orders_that_run_at_once_have_a_connection_each() -> None:
    async def story(house: House) -> None:
        for burst in range(3):
            await asyncio.gather(*(house.order(10 * burst + one) for one in range(SPARES + 3)))
            await house.stand(SPARES)
        assert max(house.server.said) == 1
        assert house.server.said.count(0) == SPARES, "and no more are ready than that"

    play(story)


def test_questions_keep_their_own_connections() -> None:
    async def story(house: House) -> None:
        await house.ready()
        for _ in range(3):
            await house.rest.ask("GET", "time")
        assert house.server.said == [1, 0, 3]
        await house.order(1)
        assert house.server.said[:3] == [1, 1, 3]

    play(story)


def test_without_orders_none_is_made_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SPARE_SECONDS", 0.3)

    async def story(house: House) -> None:
        await house.rest.ask("GET", "time")
        await house.ready()
        async with asyncio.timeout(2):
            await house.server.lines[2].ended.wait()
        await asyncio.sleep(0.5)
        assert house.server.said == [1, 1, 0]

    play(story)


def test_one_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a sleep of the machine, which the monotonic clock of Linux knows nothing of."""

    async def story(house: House) -> None:
        await house.ready()
        now = connections.seconds()
        monkeypatch.setattr(connections, "seconds", lambda: now + 3600)
        await house.order(1)
        assert house.server.said[:3] == [1, 0, 1]

    play(story)


@pytest.mark.skipif(not UPTIME.exists(), reason="it tells how long Linux has been up, asleep or not")
def test_the_clock_of_their_age_does_not_stand_still_while_the_machine_sleeps() -> None:
    assert connections.seconds() == pytest.approx(float(UPTIME.read_text().split()[0]), abs=5.0)


@pytest.mark.parametrize("seen", [True, False], ids=["read", "not read yet"])
@pytest.mark.parametrize("what", [FOREIGN, TOO_SLOW, b"H"], ids=["200", "408", "one byte"])
def test_one_on_which_something_was_said_unasked_is_not_used(what: bytes, seen: bool) -> None:
    async def story(house: House) -> None:
        await house.ready()
        with house.server.lines[1].at_once() as taken:
            taken.send(what)
        if seen:
            await asyncio.sleep(0.02)
        assert (await house.order(1)).body == b"{}"
        assert house.server.said[:3] == [1, 0, 1]

    play(story)


@pytest.mark.parametrize("seen", [True, False], ids=["read", "not read yet"])
@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR], ids=["half", "whole"])
def test_one_that_the_server_has_closed_is_not_used(how: int, seen: bool) -> None:
    async def story(house: House) -> None:
        await house.ready()
        with house.server.lines[1].at_once() as taken:
            taken.shutdown(how)
        if seen:
            await asyncio.sleep(0.02)
        await house.order(1)
        assert house.server.said[:3] == [1, 0, 1]

    play(story)


def test_one_that_the_server_has_reset_is_not_used() -> None:
    async def story(house: House) -> None:
        await house.ready()
        house.server.lines[1].reset()
        await asyncio.sleep(0.02)
        await house.order(1)
        assert house.server.said[:3] == [1, 0, 1]

    play(story)


@pytest.mark.parametrize("how", ["close", "reset", "408"])
def test_an_order_whose_connection_ends_as_it_arrives_is_unknown_and_sent_no_second_time(how: str) -> None:
    """The server had the connection closed, or was about to, when the order was under way."""

    async def story(house: House) -> None:
        await house.ready()

        async def gone(line: Line) -> None:
            match how:
                case "close":
                    line.writer.transport.abort()
                case "reset":
                    line.reset()
                case _:
                    line.say(TOO_SLOW)

        house.server.handler = gone
        if how == "408":
            answer = await house.order(1)
            assert isinstance(order_failure("order-1", answer), OutcomeUnknown)
        else:
            with pytest.raises(RequestUnknown):
                await house.order(1)
        await asyncio.sleep(0.1)
        assert sum(b"order-1" in request for line in house.server.lines for request in line.requests) == 1

    play(story)


def test_a_second_copy_of_an_answer_reaches_no_other_order() -> None:
    async def story(house: House) -> None:
        async def twice(line: Line) -> None:
            line.say(OK + FOREIGN)

        house.server.handler = twice
        for number in range(4):
            assert (await house.order(number)).body == b"{}"
            await house.stand()

    play(story)


def test_none_is_made_ready_while_the_venue_wants_to_hear_nothing() -> None:
    async def story(house: House) -> None:
        async def too_many(line: Line) -> None:
            line.say(b"HTTP/1.1 429 Too Many\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")

        await house.ready()
        house.server.handler = too_many
        assert (await house.order(1)).status == 429
        await asyncio.sleep(0.1)
        assert house.server.said == [1, 1], "and no third one"
        with pytest.raises(RequestNotSent):
            await house.order(2)
        assert house.limits.hold_seconds() > timedelta(seconds=50).total_seconds()

    play(story)


def test_none_is_made_ready_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers by itself, and nobody knows for how long it waits."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def story(house: House) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{house.server.port}")
        for number in range(2):
            await house.order(number)
            await asyncio.sleep(0.1)
        assert house.server.said == [1, 1]
        assert house.server.lines[0].requests[0].startswith(b"POST http://exchange.example/api/v3/order")

    play(story, "http://exchange.example")


class Names(AbstractResolver):
    """Tells of every name where it is now."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("gone", [False, True], ids=["the old one still answers", "the old one is gone"])
def test_where_the_name_is_now_the_orders_go_once_the_connection_that_was_ready_is_used_or_dead(
    gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "exchange.example")

    async def story(house: House) -> None:
        async with Server() as new:
            names = house.connector._resolver = Names(house.server.port)
            await house.ready()
            names.port = new.port
            house.connector.clear_dns_cache()  # Which holds what it was told for ten seconds.
            if gone:
                with house.server.lines[1].at_once() as taken:
                    taken.shutdown(socket.SHUT_RDWR)
            await house.order(1)
            await until(lambda: new.said == ([1, 0] if gone else [0]))
            await house.order(2)
            assert house.server.said == [1, 0 if gone else 1]
            assert [one for one in new.said if one] == [1] * (1 + gone)

    play(story, "http://exchange.example")


def test_a_server_that_is_gone_is_not_tried_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House) -> None:
        answer = house.server.answer

        async def last(line: Line) -> None:
            house.server._server.close()
            await answer(line)

        house.server.handler = last
        await house.order()
        await asyncio.sleep(0.2)
        assert house.server.said == [1]
        assert not house.connector._opening
        with pytest.raises(RequestNotSent):
            await house.order(1)

    play(story)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_closing_ends_one_that_stands_and_one_that_is_being_made() -> None:
    async def story(house: House) -> None:
        await house.ready()
        made = house.connector._create_connection

        async def slowly(*how: Any) -> Any:
            await asyncio.sleep(0.2)
            return await made(*how)

        house.connector._create_connection = slowly  # type: ignore[method-assign,assignment]
        await house.order(1)
        await until(lambda: bool(house.connector._opening))
        assert house.server.said == [1, 1]

    play(story)


# TLS ------------------------------------------------------------------------------------------------------------------


@contextmanager
def secure(pool: Pool) -> Iterator[tuple[Server, House, asyncio.AbstractEventLoop]]:
    """A server that speaks TLS, and a client that trusts it; both on one loop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    loop = new_loop()
    server = loop.run_until_complete(Server(context=context).__aenter__())

    async def make() -> House:
        return House(server, Limits(pool), f"https://localhost:{server.port}")

    house = loop.run_until_complete(make())
    house.connector._ssl = ssl.create_default_context(cafile=str(PEM))
    try:
        yield server, house, loop
    finally:
        loop.run_until_complete(house.rest.close())
        loop.run_until_complete(server.__aexit__())
        loop.close()


def test_over_tls_the_next_orders_connection_has_its_handshake_behind_it() -> None:
    async def story(server: Server, house: House) -> None:
        await house.ready()
        handshakes = len(server.lines)
        await asyncio.sleep(0.05)  # What TLS itself has to say after a handshake has come in by then.
        assert (await house.order(1)).good
        assert server.said[:2] == [1, 1]
        assert handshakes == 2

    with Pool(1) as pool, secure(pool) as (server, house, loop):
        loop.run_until_complete(story(server, house))


def test_a_false_certificate_is_an_alarm_before_an_order_meets_it() -> None:
    async def story(server: Server, house: House) -> None:
        alarms: Probe = Probe(pool)
        house.limits.report_to(alarms.ref)
        answer = server.answer

        async def then_false(line: Line) -> None:
            house.connector._ssl = ssl.create_default_context()  # To which this certificate is nobody's.
            await answer(line)

        server.handler = then_false
        await house.order()
        assert (await asyncio.to_thread(alarms.expect, VenueAlarm)).code == BAD_CERTIFICATE

    with Pool(1) as pool, secure(pool) as (server, house, loop):
        loop.set_exception_handler(lambda *_: None)  # The server's, whose handshake was broken off.
        loop.run_until_complete(story(server, house))
