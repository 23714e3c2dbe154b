"""A planted secret is looked for in everything that the adapter says, in good times and in bad."""

from __future__ import annotations

import logging
import traceback

import pytest

from actors.runtime import Pool
from adapters.binance.keys import check_key
from adapters.binance.settings import BinanceSettings
from adapters.binance.signing import BadKey
from adapters.binance.venue import BinanceVenue
from messages.order import OpenUserStream, QueryBalances, ReportLimits
from tests.adapters.binance.conftest import settings_for
from tests.adapters.binance.stub import SECRET, Handler, Say, Stub, a_cancelled, a_placed
from tests.adapters.binance.test_venue_orders import a_cancel, an_order, connected
from tests.probe import Probe

CANARY_KEY = "canary-api-key-7d1f"
GOOD: dict[str, Handler] = {
    "order.place": a_placed,
    "order.cancel": a_cancelled,
    "POST /api/v3/order": a_placed,
    "DELETE /api/v3/order": a_cancelled,
    "GET /api/v3/account": lambda _: {"balances": []},
}


def test_neither_secret_nor_key_nor_signature_is_told_or_logged(
    stub: Stub, pool: Pool, listener: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("tidegate", "websockets", "aiohttp", "asyncio", "binance"):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[object] = []
    bad = [
        Say(status=400, code=-1022, message="Signature for this request is not valid."),
        Say(status=503, text="<html>"),
        Say(text="hello"),
        Say(body={"orderId": "x"}),
        Say(drop=True),
        Say(silent=True),
    ]
    settings = settings_for(stub, api_key=CANARY_KEY, order_seconds=0.2, cancel_seconds=0.2, query_seconds=0.3)
    with BinanceVenue(pool, settings) as venue:
        venue.tell(ReportLimits(listener=listener.ref))
        venue.tell(OpenUserStream(listener=listener.ref))
        connected(venue)
        for answer in (*bad, None):
            for what in (
                "order.place",
                "order.cancel",
                "POST /api/v3/order",
                "DELETE /api/v3/order",
                "GET /api/v3/account",
            ):
                stub.handlers[what] = a_placed if answer is None else lambda _, said=answer: said  # type: ignore[misc]
            replies = Probe(pool, "replies")
            venue.tell(an_order(replies.ref))
            venue.tell(a_cancel(replies.ref))
            venue.tell(QueryBalances(reply_to=replies.ref))
            told += [replies.expect(object, within=3.0) for _ in range(3)]
        stub.cut(stub.api_sockets)
        told += listener.messages()
        told += [repr(venue), repr(settings), vars(venue)]
    signatures = [str(one.params["signature"]) for one in stub.asked if "signature" in one.params]
    assert len(signatures) > 10
    everything = "\n".join([*map(repr, told), caplog.text, *(repr(vars(record)) for record in caplog.records)])
    for secret in (SECRET, CANARY_KEY, *signatures):
        assert secret not in everything


def test_a_bad_private_key_is_not_quoted(stub: Stub, pool: Pool) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\ncanaryCanaryCanary\n-----END PRIVATE KEY-----"
    settings = settings_for(stub, api_secret=None, private_key=pem)
    assert "canaryCanary" not in repr(settings)
    try:
        BinanceVenue(pool, settings)
    except BadKey:
        assert "canaryCanary" not in traceback.format_exc()
    else:
        pytest.fail("the key was taken")


def test_key_checks_tell_no_secret(stub: Stub) -> None:
    for told in (Say(status=400, code=-2015, message="no"), Say(text="<html>"), Say(drop=True)):
        stub.handlers["GET /sapi/v1/account/apiRestrictions"] = lambda _, said=told: said  # type: ignore[misc]
        assert SECRET not in repr(check_key(settings_for(stub)))


def test_settings_know_their_urls_with_or_without_api() -> None:
    for url in ("https://x.example", "https://x.example/", "https://x.example/api", "https://x.example/api/"):
        settings = BinanceSettings(
            rest_url=url, ws_api_url="wss://x", stream_url="wss://s/", api_key="k", api_secret="s"
        )
        assert settings.api_base == "https://x.example/api"
        assert settings.sapi_base == "https://x.example/sapi"
        assert settings.stream_base == "wss://s"
