"""Every body, table and figure of docs/intakes.md is what it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from adapters.intake.fields import MAX_BODY, MAX_DEPTH, parse
from adapters.intake.hooks import hook_status
from adapters.intake.routes import Routes
from adapters.intake.signals import MAX_SIGNALS, Body, decode_body
from adapters.intake.signatures import sign
from adapters.intake.template_tables import template_tables
from adapters.intake.templates import templates_of
from messages.signal import Reason, Side, Signal, Verdict
from tests.factories import D

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "intakes.md").read_text()
BLOCKS = re.findall(r"<!-- (message|body|templates):? ?([a-z0-9]*) -->\n```[a-z]+\n(.*?)```", PAGE, re.DOTALL)
BODIES = [(name, text) for kind, name, text in BLOCKS if kind == "body"]
[WRITTEN] = [tomllib.loads(text)["templates"] for kind, _, text in BLOCKS if kind == "templates"]
TABLES, PROBLEMS = template_tables(WRITTEN)
TEMPLATES = templates_of(TABLES)


def read(name: str, text: str) -> Signal:
    body = TEMPLATES[name].decode(text.encode()) if name else decode_body(text.encode())
    assert isinstance(body, Body)
    [item] = body.items
    assert isinstance(item, Signal), item
    return item


def test_the_page_says_of_every_reason_what_it_means() -> None:
    table = PAGE.partition("## Why a signal is refused")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == [reason.value for reason in Reason]


def test_the_templates_of_the_page_are_right() -> None:
    assert PROBLEMS == []
    assert set(TEMPLATES) >= set(re.findall(r"\?template=([a-z0-9]+)", PAGE))


def test_the_readmes_message_for_tradingview_is_the_pages() -> None:
    [message] = [text for kind, name, text in BLOCKS if (kind, name) == ("message", "tradingview")]
    readme = (Path(__file__).resolve().parents[3] / "README.md").read_text()
    assert re.findall(r"^```json\n(.*?)^```", readme, re.MULTILINE | re.DOTALL) == [message]
    assert set(re.findall(r"\?template=([a-z0-9]+)", readme)) <= set(TEMPLATES)


def test_there_is_a_body_for_each_ready_made_template() -> None:
    assert {name for name, _ in BODIES} == {"", "desk", *template_tables({})[0]}


@pytest.mark.parametrize(("name", "text"), BODIES, ids=[name or "own" for name, _ in BODIES])
def test_every_body_of_the_page_is_a_signal_for_btcusdt(name: str, text: str) -> None:
    signal = read(name, text)
    assert signal.symbol == "BTCUSDT"
    assert signal.source == (name or "default")
    assert (signal.quantity is None) != (signal.quote_quantity is None)


def test_hummingbots_body_keeps_amount_duration_and_interval() -> None:
    signal = read("hummingbot", dict(BODIES)["hummingbot"])
    assert (signal.side, signal.quote_quantity, signal.id) == (Side.BUY, D(21_000), "twap-7")
    assert (signal.twap.duration_seconds, signal.twap.interval_seconds, signal.twap.child) == (D(600), D(60), "market")


def test_freqtrades_body_keeps_stake_price_and_tag() -> None:
    signal = read("freqtrade", dict(BODIES)["freqtrade"])
    assert (signal.side, signal.quote_quantity, signal.limit_price, signal.tag) == (
        Side.BUY,
        D(1_000),
        D(42_500),
        "dip",
    )


def test_3commas_body_keeps_amount_price_and_lag() -> None:
    signal = read("3commas", dict(BODIES)["3commas"])
    assert (signal.side, signal.quantity, signal.price, signal.ttl_seconds) == (
        Side.BUY,
        D("0.5"),
        D("42150.5"),
        D(300),
    )


def test_the_desks_template_does_what_its_comments_say() -> None:
    signal = read("desk", dict(BODIES)["desk"])
    assert (signal.id, signal.tag, signal.side) == ("b-1/2026-07-01T12:00:05Z", "dip", Side.BUY)
    assert (signal.twap.num_chunks, signal.twap.interval_seconds) == (6, D(10))


def test_the_alerts_message_and_what_arrives_of_it_have_the_same_fields() -> None:
    [message] = [orjson.loads(text) for kind, _, text in BLOCKS if kind == "message"]
    arrived = orjson.loads(dict(reversed(BODIES))["tradingview"])
    assert set(message) == set(arrived)
    unfilled = TEMPLATES["tradingview"].read(parse(orjson.dumps(message)))
    assert isinstance(unfilled, Verdict)
    assert unfilled.reason is Reason.MALFORMED


def test_the_signature_of_the_page_is_right() -> None:
    secret, timestamp, nonce, body = re.search(  # type: ignore[union-attr]
        r"secret `(.*?)`, timestamp `(.*?)`, nonce `(.*?)` and body `(.*?)`", PAGE
    ).groups()
    assert f"`{sign(secret, timestamp, nonce, body.encode())}`" in PAGE


def test_the_bounds_of_the_page_are_the_codes() -> None:
    assert f"up to {MAX_SIGNALS} signals" in PAGE
    assert f"at most {MAX_BODY // 1024} kB" in PAGE
    assert (MAX_DEPTH, "at most four deep" in PAGE) == (4, True)
    assert hook_status([]) == 200


def test_every_request_that_is_answered_is_on_the_page_of_commands() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "command-line.md").read_text()
    app = web.Application()
    Routes.add_to(object.__new__(Routes), app)
    found = {
        f"{route.method} {re.sub(r':[a-z|]+}', '}', route.resource.canonical)}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    table = page.partition("## The same over HTTP")[2]
    assert set(re.findall(r"^\| `([A-Z]+ [^`]+)` \|", table, re.MULTILINE)) == found
