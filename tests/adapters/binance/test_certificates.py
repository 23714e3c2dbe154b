"""A server whose certificate nobody vouches for, or that has expired: it gets not one byte of a request."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actors.runtime import Pool
from adapters.binance.limits import Limits
from adapters.binance.outcomes import RequestNotSent
from adapters.binance.rest import Rest
from adapters.binance.settings import BinanceSettings
from adapters.binance.signing import HmacSigner
from adapters.binance.venue import BinanceVenue
from messages.order import BAD_CERTIFICATE, NotSent, QueryFailed, QueryOpenOrders, QueryTime, ReportLimits, VenueAlarm
from tests.adapters.binance.test_venue_orders import an_order
from tests.probe import Probe

pytestmark = pytest.mark.wire

PEM = Path(__file__).parent / "certificates" / "self-signed.pem"
"""A key and a certificate for localhost, good for a hundred years, signed by itself alone."""


class Impostor:
    """Speaks TLS with a certificate of its own, and notes who finishes the handshake and what is said then."""

    def __init__(self) -> None:
        self.tried = 0
        self.heard = b""
        self.port = 0

    async def start(self, host: str) -> asyncio.Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        outer = await asyncio.start_server(self._take, host, 0)
        self._context, self.port = context, outer.sockets[0].getsockname()[1]
        return outer

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tried += 1
        try:
            await writer.start_tls(self._context)
            self.heard += await reader.read(65536)
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()


async def ended(server: asyncio.Server) -> None:
    """Take nobody any more, and let go of whoever is in the middle of it, to the last callback."""
    server.close()
    await asyncio.sleep(0.05)  # One that was just let in is given its transport: it would be nobody's.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.02)


@contextmanager
def impostor(host: str = "127.0.0.1") -> Iterator[Impostor]:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    there = Impostor()
    server = asyncio.run_coroutine_threadsafe(there.start(host), loop).result(5)
    try:
        yield there
    finally:
        asyncio.run_coroutine_threadsafe(ended(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def until(happened: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def settings_of(there: Impostor) -> BinanceSettings:
    host = f"127.0.0.1:{there.port}"
    return BinanceSettings(
        rest_url=f"https://{host}",
        ws_api_url=f"wss://{host}/ws-api/v3",
        stream_url=f"wss://{host}",
        api_key="the-key",
        api_secret="the-secret",
        query_seconds=2.0,
        order_seconds=2.0,
    )


def test_to_a_server_with_a_false_certificate_nothing_is_said_and_attempts_become_rare() -> None:
    with Pool(1) as pool, impostor() as there:
        settings = settings_of(there)
        listener: Probe = Probe(pool)
        with BinanceVenue(pool, settings) as venue:
            until(lambda: there.tried >= 4)
            alarms: Probe = Probe(pool)
            venue.tell(ReportLimits(listener=alarms.ref))
            assert alarms.expect(VenueAlarm).code == BAD_CERTIFICATE
            venue.tell(an_order(reply_to=listener.ref))
            listener.expect(NotSent)
            venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
            listener.expect(QueryFailed)
            before = there.tried
            time.sleep(1.0)
            assert there.tried - before < 15, "a storm of attempts"
        assert there.heard == b""


def heard_from(there: Impostor, host: str) -> bytes:
    """What reaches the server when it is asked something under a name, on both kinds of connection."""
    url = f"{host}:{there.port}"
    settings = replace(settings_of(there), rest_url=f"https://{url}", ws_api_url=f"wss://{url}/ws-api/v3")
    with Pool(1) as pool:
        listener: Probe = Probe(pool)
        with BinanceVenue(pool, settings) as venue:
            venue.tell(QueryTime(reply_to=listener.ref))
            listener.expect(QueryFailed, within=5.0)
    return there.heard


def test_a_good_certificate_of_another_name_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where DNS leads to somebody else's server: whoever signed this certificate is trusted, for another name."""
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with impostor("127.0.0.2") as there:
        assert heard_from(there, "127.0.0.2") == b""
        assert there.tried > 0
    with impostor() as there:
        assert b"GET /" in heard_from(there, "localhost"), "under its own name it is spoken to"


def test_a_false_certificate_of_rest_alone_is_an_alarm_too() -> None:
    with Pool(1) as pool, impostor() as there:
        limits = Limits(pool)
        alarms: Probe = Probe(pool)
        limits.report_to(alarms.ref)

        async def ask() -> None:
            rest = Rest(settings_of(there), signer=HmacSigner("s"), limits=limits)
            rest.open()
            try:
                with pytest.raises(RequestNotSent):
                    await rest.ask("GET", "time")
            finally:
                await rest.close()

        asyncio.run(ask())
        assert alarms.expect(VenueAlarm).code == BAD_CERTIFICATE
        assert there.heard == b""
