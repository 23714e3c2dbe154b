from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.signal_gate.shape import check_shape
from adapters.intake.fields import MAX_BODY, Refused, parse
from adapters.intake.signals import (
    MAX_SIGNALS,
    Body,
    decode_body,
    decode_signal,
    http_status,
    signal_object,
    verdict_json,
)
from messages.signal import Reason, Side, Signal, Status, TwapOptions, Verdict
from tests.examples import examples

D = Decimal
GOOD = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"}
WHEN = datetime(2026, 7, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def body(**changes: Any) -> bytes:
    return orjson.dumps({**GOOD, **changes})


def decoded(text: bytes) -> Signal:
    signal = decode_signal(text)
    assert isinstance(signal, Signal), signal
    return signal


def refused(text: bytes) -> Verdict:
    verdict = decode_signal(text)
    assert isinstance(verdict, Verdict), verdict
    assert verdict.status is Status.REJECTED
    return verdict


def test_the_shortest_signal() -> None:
    signal = decoded(body())
    assert signal == Signal(symbol="BTCUSDT", side=Side.BUY, quantity=D("0.5"))
    assert "twap" not in signal_object(signal)


def test_every_field_is_read() -> None:
    text = body(
        id="a-1",
        source="tv",
        account="main",
        side="SeLL",
        price="42150.75",
        timestamp="2026-07-01T14:00:00.5+02:00",
        ttl_seconds=30,
        limit_price=42000,
        tag="breakout",
        twap={
            "num_chunks": 6,
            "duration_seconds": "60",
            "interval_seconds": 10,
            "start_at": "2026-07-01T12:00:00.5Z",
            "end_at": 1_782_907_200_500,
            "child": "ioc",
            "cap_bps": "7.5",
            "catch_up": "cap",
            "jitter": "0.1",
            "remainder": "report",
            "max_participation": "0.05",
            "schedule": "ow",
            "rho": "0.1",
            "timing": True,
        },
    )
    signal = decoded(text)
    assert decoded(orjson.dumps(signal_object(signal))) == signal
    assert signal == Signal(
        symbol="BTCUSDT",
        side=Side.SELL,
        quantity=D("0.5"),
        id="a-1",
        source="tv",
        account="main",
        price=D("42150.75"),
        timestamp=WHEN,
        ttl_seconds=D(30),
        limit_price=D(42_000),
        tag="breakout",
        twap=TwapOptions(
            num_chunks=6,
            duration_seconds=D(60),
            interval_seconds=D(10),
            start_at=WHEN,
            end_at=WHEN,
            child="ioc",
            cap_bps=D("7.5"),
            catch_up="cap",
            jitter=D("0.1"),
            remainder="report",
            max_participation=D("0.05"),
            schedule="ow",
            rho=D("0.1"),
            timing=True,
        ),
    )


@pytest.mark.parametrize(
    ("symbol", "reason"), [("BTCUSDT.P", Reason.NOT_SPOT), ("BYBIT:BTCUSDT", Reason.UNKNOWN_SYMBOL)]
)
def test_a_symbol_is_cleaned_up_or_refused_with_its_own_reason(symbol: str, reason: Reason) -> None:
    for written in ("BINANCE:BTCUSDT", "BTC/USDT", "btcusdt"):
        assert decoded(body(symbol=written)).symbol == "BTCUSDT"
    assert refused(body(symbol=symbol)).reason is reason


def test_null_is_the_same_as_leaving_a_field_out_but_not_for_a_required_one() -> None:
    assert decoded(body(price=None, twap=None, id=None)) == decoded(body())
    assert refused(body(symbol=None)).reason is Reason.MALFORMED


@pytest.mark.parametrize("number", ["0.1", "0.30000000000000004", "12345678901234567.123456789", "1e-7", "2.5E3"])
def test_numbers_are_exact_whether_bare_or_in_a_string(number: str) -> None:
    bare = f'{{"symbol": "BTCUSDT", "side": "buy", "quantity": {number}}}'.encode()
    assert decoded(bare).quantity == D(number) == decoded(body(quantity=number)).quantity


@pytest.mark.parametrize("moment", ["1782907200500", "2026-07-01T12:00:00.500000Z", "2026-07-01 09:00:00.5-03:00"])
def test_a_timestamp_is_iso_8601_or_milliseconds_and_becomes_utc(moment: str) -> None:
    timestamp = decoded(body(timestamp=moment)).timestamp
    assert timestamp == WHEN
    assert timestamp is not None
    assert timestamp.tzinfo is UTC


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "1e20"},
        {"quantity": "9" * 21},
        {"quantity": "1e-20"},
        {"quantity": "0." + "1" * 20},
        {"quantity": "1" * 16 + "." + "1" * 20},
        {"id": "x" * 128},
        {"timestamp": "2000-01-01T00:00:00Z"},
        {"timestamp": "2099-12-31T23:59:59Z"},
        {"timestamp": 946_684_800_000},
        {"timestamp": 4_102_444_799_999},
        {"twap": {"num_chunks": "9" * 18}},
        {"twap": {"cap_bps": 0, "jitter": "0", "timing": False}},
        {"tag": " " * (MAX_BODY - len(body(tag="")) - 1) + "x"},
    ],
)
def test_what_lies_on_a_bound_is_read(changes: dict[str, Any]) -> None:
    if "tag" in changes:  # The largest body: what it holds is too long, but it is read.
        assert refused(body(**changes)).detail == "tag must be 1 to 128 printable ASCII characters"
    else:
        decoded(body(**changes))


@pytest.mark.parametrize(
    ("text", "nested"),
    [
        (b"[[[[]]]]", False),
        (b"[[[[[]]]]]", True),
        (b"[[],[],[],[],[],[]]", False),
        (b"[[],[[[]]]]", False),
        (b'[{"a":{"b":[1]}}]', False),
        (b'[{"a":{"b":[{}]}}]', True),
        (b"[],[],[[[[[", True),
    ],
)
def test_brackets_nest_four_deep_at_most_however_many_there_are(text: bytes, nested: bool) -> None:
    value = parse(text)
    assert (isinstance(value, Refused) and value.detail == "nested deeper than 4") is nested


DEEP = b"[" * 30_000 + b"]" * 30_000

BAD: list[tuple[bytes, Reason, str]] = [
    (b"", Reason.MALFORMED, "not JSON"),
    (b"\xff\xfe", Reason.MALFORMED, "UTF-8"),
    (b"{", Reason.MALFORMED, "not JSON"),
    (b"BUY 0.5 BTCUSDT", Reason.MALFORMED, "not JSON"),
    (b"5", Reason.MALFORMED, "JSON object"),
    (b"null", Reason.MALFORMED, "JSON object"),
    (b"[]", Reason.MALFORMED, "JSON object"),
    (b" " * (MAX_BODY + 1), Reason.MALFORMED, "65537 bytes"),
    (DEEP, Reason.MALFORMED, "nested"),
    (b'{"a":' * 10_000, Reason.MALFORMED, "nested"),
    (b'{"symbol":"BTCUSDT","side":"buy","side":"sell","quantity":1}', Reason.MALFORMED, "'side' comes twice"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":NaN}', Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":-Infinity}', Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1e400}', Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1e999999999}', Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1e99999999999999999999}', Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":-0}', Reason.MALFORMED, "above 0"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":' + b"9" * 5_000 + b"}", Reason.NOT_FINITE, "quantity"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1,"timestamp":NaN}', Reason.NOT_FINITE, "timestamp"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1,"twap":{"num_chunks":NaN}}', Reason.NOT_FINITE, "num_chunks"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1,"timestamp":1782907200500.5}', Reason.MALFORMED, "whole"),
    (b'{"symbol":5,"side":"buy","quantity":1}', Reason.MALFORMED, "symbol"),
    (b'{"symbol":"BTCUSDT","side":1,"quantity":1}', Reason.MALFORMED, "side"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1,"id":7}', Reason.MALFORMED, "id"),
    (b'{"side":"buy","quantity":1}', Reason.MALFORMED, "symbol is missing"),
    (b'{"symbol":"BTCUSDT","quantity":1}', Reason.MALFORMED, "side is missing"),
    (b'{"symbol":"BTCUSDT","side":"buy","quantity":1,"id":"\\ud800"}', Reason.MALFORMED, "id"),
    (b'{"symbol":"BTCUSDT","side":"buy","\\ud800":1}', Reason.UNKNOWN_FIELD, "\\ud800"),
    (body(amount="1"), Reason.UNKNOWN_FIELD, "'amount'"),
    (body(**{"x" * 500: 1}), Reason.UNKNOWN_FIELD, "..."),
    (body(**{"x" * 41: 1}), Reason.UNKNOWN_FIELD, f"unknown field '{'x' * 40}'..."),
    (body(twap={"chunks": 5}), Reason.UNKNOWN_FIELD, "'twap.chunks'"),
    (body(side="long"), Reason.MALFORMED, "side"),
    (body(side=""), Reason.MALFORMED, "side"),
    (body(symbol=""), Reason.MALFORMED, "symbol"),
    (body(symbol="ВТСUSDT"), Reason.MALFORMED, "ASCII"),
    (body(symbol="B" * 129), Reason.MALFORMED, "128"),
    (body(id="a\x1fb"), Reason.MALFORMED, "printable"),
    (body(tag="\n"), Reason.MALFORMED, "printable"),
    (body(quantity="NaN"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="-inf"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="Infinity"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="sNaN123"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1e999999999"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1e21"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1" * 22), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1e41"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1e-40"), Reason.MALFORMED, "digits"),
    (body(quantity="1e-41"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="0." + "1" * 21), Reason.MALFORMED, "digits"),
    (body(quantity="1" * 17 + "." + "1" * 20), Reason.MALFORMED, "digits"),
    (body(quantity="1e-21"), Reason.MALFORMED, "digits"),
    (body(quantity="1e-999"), Reason.NOT_FINITE, "quantity"),
    (body(quantity="1." + "1" * 36), Reason.MALFORMED, "digits"),
    (body(quantity="1,0"), Reason.MALFORMED, "'1,0'"),
    (body(quantity="1_000"), Reason.MALFORMED, "not a number"),
    (body(quantity="٥"), Reason.MALFORMED, "not a number"),
    (body(quantity=" 1"), Reason.MALFORMED, "not a number"),
    (body(quantity="0x10"), Reason.MALFORMED, "not a number"),
    (body(quantity=""), Reason.MALFORMED, "not a number"),
    (body(quantity=True), Reason.MALFORMED, "must be a number"),
    (body(quantity=[1]), Reason.MALFORMED, "must be a number"),
    (body(quantity="-1"), Reason.MALFORMED, "above 0"),
    (body(quantity=0), Reason.MALFORMED, "above 0"),
    (body(price="-0"), Reason.MALFORMED, "above 0"),
    (body(ttl_seconds=0), Reason.MALFORMED, "above 0"),
    (body(timestamp="2026-07-01T12:00:00"), Reason.MALFORMED, "offset"),
    (body(timestamp="yesterday"), Reason.MALFORMED, "ISO 8601"),
    (body(timestamp=True), Reason.MALFORMED, "ISO 8601"),
    (body(timestamp="0001-01-01T00:00:00+14:00"), Reason.MALFORMED, "range"),
    (body(timestamp="1999-12-31T23:59:59Z"), Reason.MALFORMED, "range"),
    (body(timestamp="2100-01-01T00:00:00Z"), Reason.MALFORMED, "range"),
    (body(timestamp=946_684_799_999), Reason.MALFORMED, "milliseconds"),
    (body(timestamp=4_102_444_800_000), Reason.MALFORMED, "milliseconds"),
    (body(timestamp=1_782_907_200), Reason.MALFORMED, "milliseconds"),
    (body(timestamp=-1), Reason.MALFORMED, "milliseconds"),
    (body(timestamp="x" * 1_000), Reason.MALFORMED, "ISO 8601"),
    (body(twap=[]), Reason.MALFORMED, "twap must be an object"),
    (body(twap={"num_chunks": "5.0"}), Reason.MALFORMED, "whole"),
    (body(twap={"num_chunks": -5}), Reason.MALFORMED, "whole"),
    (body(twap={"num_chunks": True}), Reason.MALFORMED, "whole"),
    (body(twap={"num_chunks": "9" * 19}), Reason.MALFORMED, "whole"),
    (body(twap={"timing": 1}), Reason.MALFORMED, "twap.timing must be true or false"),
    (body(twap={"child": "limit"}), Reason.MALFORMED, "twap.child"),
    (body(twap={"catch_up": 1}), Reason.MALFORMED, "twap.catch_up"),
    (body(twap={"cap_bps": "-0"}), Reason.MALFORMED, "negative"),
    (body(twap={"jitter": "-1"}), Reason.MALFORMED, "negative"),
]


@pytest.mark.parametrize(("text", "reason", "figure"), BAD)
def test_bad_input_gets_its_reason_and_a_detail_that_helps(text: bytes, reason: Reason, figure: str) -> None:
    verdict = refused(text)
    assert verdict.reason is reason
    assert figure in (verdict.detail or "")
    orjson.loads(verdict_json(verdict))


def test_a_name_is_repeated_whole_up_to_forty_characters() -> None:
    assert refused(body(**{"x" * 40: 1})).detail == f"unknown field '{'x' * 40}'"


def test_a_rejection_names_the_id_if_there_is_one_that_can_be_said() -> None:
    assert refused(body(id="a", quantity="x")).id == "a"
    assert refused(body(id="x" * 128, quantity="x")).id == "x" * 128
    assert refused(body(id="x" * 129, quantity="x")).id is None
    assert refused(body(id="ü", quantity="x")).id is None
    assert refused(body(id=5, quantity="x")).id is None


@pytest.mark.parametrize(
    "text",
    [
        DEEP[: MAX_BODY - 1],
        b'"' + b'\\"' * (MAX_BODY // 2 - 1),
        b'[{"' + b'\\"' * (MAX_BODY // 2 - 3),
        b"[" * 5 + b'"' * (MAX_BODY - 10),
        b'{"quantity":"' + b"9" * (MAX_BODY - 20) + b'"}',
        body(quantity="1e999999999"),
        body(price="9" * 60_000),
        b"[" + b"1," * (MAX_BODY // 2 - 2) + b"1]",
        b"{" + b",".join(b'"%d":1' % n for n in range(7_000)) + b"}",
    ],
)
def test_nothing_of_the_largest_size_costs_much(text: bytes) -> None:
    began = time.process_time()
    decode_body(text)
    assert time.process_time() - began < 0.5


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert decoded(body(tag="[[[[[[{{{{{{", id='\\"[[[[[[')).tag == "[[[[[[{{{{{{"


def test_an_array_is_read_one_by_one_and_each_gets_its_own_answer() -> None:
    read = decode_body(b"[" + body() + b"," + body(quantity="x") + b",7]")
    assert isinstance(read, Body)
    assert read.many
    assert [type(item) for item in read.items] == [Signal, Verdict, Verdict]


def test_a_single_signal_is_a_body_of_one() -> None:
    read = decode_body(body())
    assert read == Body((decoded(body()),), many=False)


def test_an_array_of_too_many_signals_is_refused_as_a_whole() -> None:
    assert isinstance(decode_body(b"[" + b",".join([b"1"] * MAX_SIGNALS) + b"]"), Body)
    verdict = decode_body(b"[" + b",".join([b"1"] * (MAX_SIGNALS + 1)) + b"]")
    assert isinstance(verdict, Verdict)
    assert verdict.reason is Reason.MALFORMED


def test_a_body_that_is_no_json_is_refused_as_a_whole() -> None:
    verdict = decode_body(b"nope")
    assert isinstance(verdict, Verdict)


# Anything at all ----------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,6})?", fullmatch=True),
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(["BTCUSDT", "buy", "SELL", "ioc", "sweep", "none"]))
moments = st.one_of(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), None])).map(datetime.isoformat),
    st.integers(10**12, 3 * 10**12),
)
values = st.one_of(st.none(), st.booleans(), numbers, texts, moments, st.lists(st.integers(), max_size=2))
NAMES = ["id", "source", "account", "symbol", "side", "quantity", "quote_quantity", "price", "timestamp"]
MORE_NAMES = ["ttl_seconds", "limit_price", "tag", "nonsense"]
TWAP_NAMES = ["num_chunks", "duration_seconds", "interval_seconds", "start_at", "end_at", "child", "cap_bps", "jitter"]
twaps = st.dictionaries(st.sampled_from([*TWAP_NAMES, "remainder", "catch_up", "x"]), values, max_size=4)
changes = st.fixed_dictionaries({}, optional={**dict.fromkeys([*NAMES, *MORE_NAMES], values), "twap": twaps})


BAD_INPUT = {Reason.MALFORMED, Reason.UNKNOWN_FIELD, Reason.NOT_FINITE, Reason.NOT_SPOT, Reason.UNKNOWN_SYMBOL}


def must_be_sound(signal: Signal | Verdict) -> None:
    """What is accepted here passes the gate's own check, but for choices that contradict each other."""
    if isinstance(signal, Verdict):
        assert signal.status is Status.REJECTED
        assert signal.reason in BAD_INPUT
        orjson.loads(verdict_json(signal))
        return
    refusal = check_shape(signal, D(10**30))
    assert refusal is None or refusal.reason is Reason.MALFORMED
    for amount in (signal.quantity, signal.quote_quantity, signal.price, signal.limit_price, signal.ttl_seconds):
        assert amount is None or (amount.is_finite() and amount > 0)
    assert signal.timestamp is None or signal.timestamp.tzinfo is UTC


@settings(max_examples=examples(90))
@given(changes)
@example({"id": "\ud800"})
@example({"quantity": "1E+99999999"})
def test_whatever_the_fields_hold_nothing_raises_and_nothing_invalid_gets_through(fields: dict[str, Any]) -> None:
    must_be_sound(decode_signal(json.dumps({**GOOD, **fields}).encode("utf-8", "surrogatepass")))


@settings(max_examples=examples(90))
@given(st.binary(max_size=200))
@example(b"[" * 1_000)
@example(b'{"a":1}' + b"\x00")
def test_whatever_the_bytes_are_nothing_raises(text: bytes) -> None:
    read = decode_body(text)
    for item in read.items if isinstance(read, Body) else (read,):
        must_be_sound(item)


@settings(max_examples=examples(90))
@given(st.text(alphabet='{}[]":,\\ue1-.0aN\n ', max_size=60))
def test_whatever_looks_like_json_nothing_raises(text: str) -> None:
    value = parse(text.encode())
    assert isinstance(value, Refused) or value is None or isinstance(value, bool | str | list | dict)


# Verdicts -----------------------------------------------------------------------------------------


def test_a_verdict_has_exactly_the_fields_that_it_has() -> None:
    accepted = Verdict(status=Status.ACCEPTED, execution_id="abc", id="x", label="y")
    assert orjson.loads(verdict_json(accepted)) == {"status": "accepted", "execution_id": "abc"}
    duplicate = Verdict(
        status=Status.DUPLICATE, reason=Reason.DUPLICATE, detail="d", duplicate_of="abc", first_seen=WHEN
    )
    assert orjson.loads(verdict_json(duplicate)) == {
        "status": "duplicate",
        "reason": "DUPLICATE",
        "detail": "d",
        "duplicate_of": "abc",
        "first_seen": "2026-07-01T12:00:00.500000Z",
    }


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict(status=Status.ACCEPTED), 202),
        (Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE), 200),
        (Verdict(status=Status.CONFLICT, reason=Reason.CONFLICT), 409),
        *(
            (
                Verdict(status=Status.REJECTED, reason=reason),
                {"UNAUTHORISED": 401, "TOO_MANY": 429, "NOT_READY": 503, "HALTED": 503}.get(reason.value, 422),
            )
            for reason in Reason
        ),
    ],
)
def test_each_verdict_has_its_http_status(verdict: Verdict, status: int) -> None:
    assert http_status(verdict) == status
