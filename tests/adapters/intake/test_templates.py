from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.intake.fields import MAX_BODY, parse
from adapters.intake.signals import Body
from adapters.intake.template_tables import READY_TABLES, template_tables
from adapters.intake.templates import MAX_TEXT_BODY, Template, templates_of
from messages.signal import Reason, Side, Signal, TwapOptions, Verdict
from tests.factories import D

WHEN = datetime(2026, 7, 1, 12, 0, 5, tzinfo=UTC)

TRADINGVIEW = {
    "strategy": "breakout",
    "ticker": "BTCUSDT",
    "exchange": "BINANCE",
    "action": "buy",
    "contracts": "0.5",
    "price": "42150.5",
    "order_id": "Long",
    "market_position": "long",
    "time": "2026-07-01T12:00:00Z",
    "timenow": "2026-07-01T12:00:05Z",
}
THREE_COMMAS = {
    "secret": "of-3commas",
    "max_lag": "300",
    "timestamp": "2026-07-01T12:00:05Z",
    "trigger_price": "42150.5",
    "tv_exchange": "BINANCE",
    "tv_instrument": "BTCUSDT",
    "action": "buy",
    "bot_uuid": "b-1",
    "strategy_info": {"market_position": "long", "market_position_size": "0.5", "prev_market_position": "flat"},
    "order": {"amount": "0.5", "currency_type": "base"},
}
TV_HUB = {
    "token": "of-tvhub",
    "apiKey": "main",
    "exchange": "binance",
    "pair": "BTCUSDT",
    "isBuy": True,
    "isMarket": True,
    "units": 0.5,
    "unitsType": "absolute",
    "alertTimestamp": "BTCUSDT-2026-07-01T12:00:05Z",
}
HUMMINGBOT = {
    "type": "twap_executor",
    "connector_name": "binance",
    "trading_pair": "BTC-USDT",
    "side": 1,
    "total_amount_quote": 21000,
    "total_duration": 600,
    "order_interval": 60,
    "mode": "TAKER",
}
FREQTRADE = {"pair": "BTC/USDT", "side": "long", "price": 42500, "ordertype": "limit", "stakeamount": 1000}


def template(name: str, **tables: dict[str, object]) -> Template:
    read, problems = template_tables(tables)
    assert problems == []
    return templates_of(read)[name]


def signal_of(made: Template, body: Any) -> Signal:
    found = made.read(as_parsed(body))
    assert isinstance(found, Signal), found
    return found


def refusal_of(made: Template, body: Any) -> tuple[Reason | None, str]:
    found = made.read(as_parsed(body))
    assert isinstance(found, Verdict), found
    return found.reason, found.detail or ""


def as_parsed(body: Any) -> Any:
    """As it comes from the wire: numbers keep their digits, in texts."""

    return parse(orjson.dumps(body))


# Ready-made ---------------------------------------------------------------------------------------


def test_tradingviews_placeholders_are_a_signal_whose_id_is_the_bars_and_not_the_alerts() -> None:
    assert signal_of(template("tradingview"), TRADINGVIEW) == Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        price=D("42150.5"),
        timestamp=WHEN,
        id="breakout/BTCUSDT/Long/buy/2026-07-01T12:00:00Z",
        source="tradingview",
    )


def test_tradingviews_own_sentence_is_a_signal_without_an_id() -> None:
    text = b"Breakout (14, close): order sell @ 0.25 filled on BINANCE:BTCUSDT. New strategy position is 0.25"
    body = template("tradingview").decode(text)
    assert body == Body(
        (Signal(symbol="BTCUSDT", side=Side.SELL, quantity=D("0.25"), source="tradingview"),), many=False
    )


def test_a_body_without_the_bars_time_has_no_id() -> None:
    body = {name: value for name, value in TRADINGVIEW.items() if name != "time"}
    assert signal_of(template("tradingview"), body).id is None


def test_3commas_message_is_a_signal() -> None:
    assert signal_of(template("3commas"), THREE_COMMAS) == Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        price=D("42150.5"),
        timestamp=WHEN,
        ttl_seconds=D(300),
        source="3commas",
    )


@pytest.mark.parametrize(("action", "side"), [("enter_long", Side.BUY), ("exit_long", Side.SELL), ("SELL", Side.SELL)])
def test_3commas_actions_are_sides(action: str, side: Side) -> None:
    assert signal_of(template("3commas"), {**THREE_COMMAS, "action": action}).side is side


def test_an_amount_in_quote_is_a_quote_quantity_and_in_percent_none() -> None:
    order = {"amount": "500", "currency_type": "quote"}
    signal = signal_of(template("3commas"), {**THREE_COMMAS, "order": order})
    assert (signal.quantity, signal.quote_quantity) == (None, D(500))
    order["currency_type"] = "margin_percent"
    reason, detail = refusal_of(template("3commas"), {**THREE_COMMAS, "order": order})
    assert (reason, detail) == (
        Reason.MALFORMED,
        "an amount in 'margin_percent' can't be worked, only in base or quote",
    )


def test_tv_hubs_command_is_a_signal_whose_id_is_its_alert_timestamp() -> None:
    assert signal_of(template("tvhub"), TV_HUB) == Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        id="BTCUSDT-2026-07-01T12:00:05Z",
        source="tvhub",
    )
    fixed = {**TV_HUB, "useFixedSize": True, "fixedQuoteSize": "100", "units": None, "price": "42500"}
    signal = signal_of(template("tvhub"), fixed)
    assert (signal.quantity, signal.quote_quantity, signal.limit_price) == (None, D(100), D(42500))


@pytest.mark.parametrize(
    ("flags", "side"),
    [
        ({"isBuy": True, "isSell": False}, Side.BUY),
        ({"isSell": True}, Side.SELL),
        ({"isBuy": False, "isSell": True}, Side.SELL),
    ],
)
def test_tv_hubs_flags_are_a_side(flags: dict[str, bool], side: Side) -> None:
    body = {name: value for name, value in TV_HUB.items() if name != "isBuy"}
    assert signal_of(template("tvhub"), {**body, **flags}).side is side


@pytest.mark.parametrize("flags", [{"isBuy": True, "isSell": True}, {"isBuy": False}, {"isBuy": None}])
def test_tv_hubs_flags_that_name_no_side_are_refused(flags: dict[str, bool]) -> None:
    assert refusal_of(template("tvhub"), {**TV_HUB, **flags})[0] is Reason.MALFORMED


def test_hummingbots_twap_executor_is_a_signal_with_its_schedule() -> None:
    assert signal_of(template("hummingbot"), HUMMINGBOT) == Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quote_quantity=D(21000),
        source="hummingbot",
        twap=TwapOptions(duration_seconds=D(600), interval_seconds=D(60), child="market"),
    )


def test_freqtrades_forceenter_is_a_buy() -> None:
    assert signal_of(template("freqtrade"), FREQTRADE) == Signal(
        symbol="BTCUSDT", side=Side.BUY, quote_quantity=D(1000), limit_price=D(42500), source="freqtrade"
    )


@pytest.mark.parametrize(
    ("name", "body", "change"),
    [
        ("tradingview", TRADINGVIEW, {"ticker": "BTCUSDT.P"}),
        ("tradingview", TRADINGVIEW, {"market_position": "short"}),
        ("3commas", THREE_COMMAS, {"action": "enter_short"}),
        ("3commas", THREE_COMMAS, {"strategy_info": {"market_position": "short"}}),
        ("tvhub", TV_HUB, {"exchange": "binance-futures"}),
        ("hummingbot", HUMMINGBOT, {"connector_name": "binance_perpetual"}),
        ("hummingbot", HUMMINGBOT, {"leverage": 5}),
        ("freqtrade", FREQTRADE, {"side": "short"}),
        ("freqtrade", FREQTRADE, {"pair": "BTC/USDT:USDT"}),
    ],
)
def test_futures_and_shorts_are_not_spot(name: str, body: dict[str, Any], change: dict[str, Any]) -> None:
    assert refusal_of(template(name), {**body, **change})[0] is Reason.NOT_SPOT


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("tradingview", TRADINGVIEW, "stop_loss"),
        ("3commas", THREE_COMMAS, "take_profit"),
        ("tvhub", TV_HUB, "stopLoss"),
        ("hummingbot", HUMMINGBOT, "stop_loss"),
        ("freqtrade", FREQTRADE, "leverages"),
    ],
)
def test_what_a_template_does_not_know_is_refused_by_name(name: str, body: dict[str, Any], field: str) -> None:
    reason, detail = refusal_of(template(name), {**body, field: "1"})
    assert (reason, detail) == (Reason.UNKNOWN_FIELD, f"unknown field '{field}'")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"ticker": "{{ticker}}"}, "ticker was not filled in by its sender: '{{ticker}}'"),
        ({"contracts": None}, "contracts is missing"),
        ({"contracts": ""}, "contracts is missing"),
        ({"contracts": "NaN"}, "quantity is not finite"),
        ({"contracts": ["0.5"]}, "'contracts' must not be a list"),
        ({"exchange": "BYBIT"}, "exchange is 'BYBIT', not BINANCE"),
        ({"order_id": "x" * 200}, "above 128 characters"),
        ({"action": "close"}, "side must be buy or sell"),
    ],
)
def test_bad_fields_are_refused_with_what_is_wrong(change: dict[str, Any], detail: str) -> None:
    reason, said = refusal_of(template("tradingview"), {**TRADINGVIEW, **change})
    assert reason in (Reason.MALFORMED, Reason.NOT_FINITE)
    assert detail in said


@pytest.mark.parametrize("name", READY_TABLES)
def test_every_ready_made_template_refuses_what_is_none_of_its_bodies(name: str) -> None:
    for body in ({}, {"symbol": "BTCUSDT", "side": "buy", "quantity": "1"}):
        assert refusal_of(template(name), body)[0] in (Reason.MALFORMED, Reason.UNKNOWN_FIELD)
    for raw in (b"", b"nonsense", b"5", b'"x"', b"{", b"\xff", b"[" * 50, b" " * (MAX_BODY + 1)):
        found = template(name).decode(raw)
        verdict = found if isinstance(found, Verdict) else found.items[0]
        assert isinstance(verdict, Verdict)
        assert verdict.reason is Reason.MALFORMED


def test_an_array_gets_an_answer_for_each_and_too_many_are_refused_as_a_whole() -> None:
    body = template("tvhub").decode(orjson.dumps([TV_HUB, {}, 5]))
    assert isinstance(body, Body)
    assert [type(item) for item in body.items] == [Signal, Verdict, Verdict]
    assert body.many
    assert isinstance(template("tvhub").decode(orjson.dumps([TV_HUB] * 101)), Verdict)


def test_a_text_that_is_too_long_or_unknown_is_refused() -> None:
    made = template("tradingview")
    for text in (b"x" * (MAX_TEXT_BODY + 1), b"order hold @ 1 filled on BTCUSDT. New strategy position is 1"):
        body = made.decode(text)
        assert isinstance(body, Body)
        assert isinstance(body.items[0], Verdict)


# Written in the configuration ---------------------------------------------------------------------


def test_a_template_of_ones_own_maps_paths_words_and_defaults() -> None:
    made = template(
        "desk",
        desk={
            "source": "desk-7",
            "fields": {
                "symbol": "{what.pair}",
                "side": "{what.way}",
                "quantity": ["{size?}", "{lots}"],
                "id": "{ref}",
                "twap.num_chunks": "{parts?}",
            },
            "defaults": {"tag": "by-desk", "twap.interval_seconds": "10"},
            "words": {"side": {"B": "buy", "S": "sell"}},
            "ignore": ["note.*"],
        },
    )
    body = {"what": {"pair": "btc-usdt", "way": "b"}, "lots": 2, "ref": 7, "parts": 3, "note": {"a": 1, "b": True}}
    assert signal_of(made, body) == Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D(2),
        id="7",
        tag="by-desk",
        source="desk-7",
        twap=TwapOptions(num_chunks=3, interval_seconds=D(10)),
    )


def test_a_template_starts_from_a_ready_made_one_and_changes_what_it_says() -> None:
    made = template(
        "mine",
        mine={
            "base": "3commas",
            "fields": {"id": "{bot_uuid}/{timestamp}"},
            "words": {"side": {"go": "buy"}},
            "ignore": ["x"],
        },
    )
    signal = signal_of(made, {**THREE_COMMAS, "action": "go", "x": 1})
    assert (signal.id, signal.source, signal.side) == ("b-1/2026-07-01T12:00:05Z", "mine", Side.BUY)
    assert signal_of(made, {**THREE_COMMAS, "action": "exit_long"}).side is Side.SELL


def test_a_table_with_a_ready_made_ones_name_changes_that_one() -> None:
    made = template("tradingview", tradingview={"source": "tv", "ignore": ["*"]})
    assert signal_of(made, {**TRADINGVIEW, "anything": 1}).source == "tv"


def test_braces_in_a_value_can_not_be_taken_for_places() -> None:
    made = template("t", t={"fields": {"symbol": "{a}", "side": "{b}", "quantity": "1", "tag": "{c}-{d}"}})
    body = {"a": "BTCUSDT", "b": "buy", "c": "{d}", "d": "x"}
    assert signal_of(made, body).tag == "(d)-x"


def test_a_quantity_from_two_sides_is_refused() -> None:
    fields = {"symbol": "{a}", "side": "buy", "quantity": "{q}", "amount": "{q}"}
    reason, detail = refusal_of(template("t", t={"fields": fields}), {"a": "BTCUSDT", "q": "1"})
    assert (reason, detail) == (Reason.MALFORMED, "quantity is given twice")


def test_a_field_that_comes_as_a_path_and_as_a_table_is_refused() -> None:
    body = {**THREE_COMMAS, "order.amount": "9"}
    assert refusal_of(template("3commas"), body)[0] is Reason.MALFORMED


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"fields": {"symbol": "{a}", "amout": "{b}"}}, "t.fields.amout"),
        ({"fields": {"symbol": "{a"}}, "t.fields.symbol"),
        ({"fields": {"symbol": "{}"}}, "t.fields.symbol"),
        ({"fields": {"side": "buy"}}, "t.fields.symbol"),
        ({"base": "nobody"}, "t.base"),
        ({"fields": {"symbol": 5}}, "t.fields.symbol"),
        ({"fields": {"symbol": "{a}"}, "colour": "red"}, "t.colour"),
        ({"base": "tradingview", "text": "("}, "t.text"),
        ({"base": "tradingview", "token": "a", "token_file": "b"}, "t.token_file"),
        ("text", "t"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_by_key(table: Any, key: str) -> None:
    _, problems = template_tables({"t": table})
    assert key in [name for name, _ in problems]


def test_a_name_that_no_path_can_hold_is_refused() -> None:
    assert template_tables({"a/b": {}})[1][0][0] == "a/b"


def test_a_templates_own_token_is_written_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("kept\n")
    tables, _ = template_tables({"a": {"base": "tvhub", "token": "said"}, "b": {"base": "tvhub", "token_file": file}})
    assert [tables[name].hook_token() for name in ("a", "b", "tvhub")] == ["said", "kept", None]
    assert "said" not in repr(tables["a"])
