from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.storage.codec import UnreadableFact, decode, encode, export_line, import_line
from adapters.storage.parts import UnwritableFact
from messages.control import Committed
from messages.facts import FACTS, Fact, SlotSkipped, StreamGap
from messages.money import plain
from tests.factories import NOW, a_closed, a_report, a_signal, a_trade_booked, an_accepted, an_intent

AMOUNTS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(min_value=-(10**15), max_value=10**15),
    st.integers(min_value=0, max_value=12),
)
MOMENTS = st.datetimes(
    min_value=datetime(1980, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=-30)))),
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: AMOUNTS,
    datetime: MOMENTS,
    str: st.text(max_size=20),
    int: st.integers(min_value=-(2**62), max_value=2**62),
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def anything_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type that stands in a fact, every field of it drawn."""
    if hint in LEAVES:
        return LEAVES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([anything_of(argument) for argument in arguments])
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(anything_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[anything_of(argument) for argument in arguments])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    assert isinstance(hint, type), hint
    assert is_dataclass(hint), hint
    return st.builds(hint, **{name: anything_of(type_) for name, type_ in get_type_hints(hint).items()})


@pytest.mark.parametrize("kind", FACTS.values(), ids=FACTS)
@settings(max_examples=15, derandomize=True)
@given(data=st.data())
def test_every_kind_of_fact_reads_as_it_was_written(kind: type[Fact], data: st.DataObject) -> None:
    hint: Any = kind
    fact = data.draw(anything_of(hint))
    assert decode(kind.__name__, encode(fact)) == fact
    committed = Committed(7, NOW, fact)
    assert import_line(export_line(committed)) == committed


def as_text(value: object) -> str:
    """Say in text, for orjson, what JSON has no type for."""
    if isinstance(value, Decimal):
        return plain(value)
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("kind", FACTS.values(), ids=FACTS)
@settings(max_examples=15, derandomize=True)
@given(data=st.data())
def test_every_kind_of_fact_is_written_as_orjson_takes_it_apart_by_itself(
    kind: type[Fact], data: st.DataObject
) -> None:
    hint: Any = kind
    fact = data.draw(anything_of(hint))
    assert encode(fact) == orjson.dumps(fact, as_text, orjson.OPT_PASSTHROUGH_DATETIME)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E-8", "0.00000001"),
        ("1E+3", "1000"),
        ("42085.00", "42085"),
        ("100", "100"),
        ("0.10", "0.1"),
        ("-0", "0"),
        ("0E-8", "0"),
        ("-1.5", "-1.5"),
        ("1.5E-7", "0.00000015"),
        ("12345678901234567890.12345678", "12345678901234567890.12345678"),
    ],
)
def test_amounts_are_plain_strings(amount: str, text: str) -> None:
    body = json.loads(encode(an_intent(quantity=Decimal(amount))))
    assert body["quantity"] == text


def test_the_same_fact_is_always_the_same_bytes() -> None:
    once = encode(an_intent(quantity=Decimal("0.10")))
    assert once == encode(an_intent(quantity=Decimal("0.1")))
    assert encode(decode("ChildIntended", once)) == once


def test_times_are_utc_and_end_in_z() -> None:
    east = timezone(timedelta(hours=2))
    moment = datetime(2026, 7, 1, 14, 0, 0, 123456, tzinfo=east)
    gap = StreamGap(since=moment, until=NOW, detail="")
    body = json.loads(encode(gap))
    assert (body["since"], body["until"]) == ("2026-07-01T12:00:00.123456Z", "2026-07-01T12:00:00Z")
    assert decode("StreamGap", encode(gap)) == gap


@pytest.mark.parametrize(
    "fact",
    [
        an_intent(quantity=Decimal("NaN")),
        an_intent(quantity=Decimal("-Infinity")),
        StreamGap(since=NOW.replace(tzinfo=None), until=NOW, detail=""),
        an_intent(spread=object()),
        an_intent(symbol=object()),
        a_closed(report=object()),
        a_closed(report=a_report(total_fees=None)),
    ],
    ids=["nan", "infinity", "naive time", "no amount", "no text", "no report", "no list"],
)
def test_what_cannot_be_read_back_is_not_written(fact: Fact) -> None:
    with pytest.raises(UnwritableFact):
        encode(fact)


@pytest.mark.parametrize("text", ["NaN", "nan", "sNaN", "-Infinity", "inf", r"\u004eaN"])
def test_amounts_that_are_no_numbers_are_refused(text: str) -> None:
    body = encode(an_intent(quantity=Decimal("0.123454321"))).decode().replace("0.123454321", text)
    with pytest.raises(UnreadableFact, match="finite"):
        decode("ChildIntended", body)


def test_amounts_that_are_no_numbers_are_refused_deep_inside() -> None:
    report = a_report(total_fees=(("BTC", Decimal("0.123454321")),))
    body = encode(a_closed(report=report)).replace(b"0.123454321", b"NaN")
    with pytest.raises(UnreadableFact, match="finite"):
        decode("ExecutionClosed", body)


def test_text_may_speak_of_nan() -> None:
    fact = SlotSkipped(slice=1, quantity=Decimal(1), reason="NaN", detail="the price was inf")
    assert decode("SlotSkipped", encode(fact)) == fact


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("NoSuchFact", b"{}"),
        ("ChildIntended", b"{}"),
        ("ChildIntended", b"{"),
        ("ExecutionStarted", b'{"incarnation":"1"}'),
        ("ExecutionStarted", b'{"incarnation":1.5}'),
        ("AlertRaised", b'{"kind":"a","subject":"b","level":"loud","text":""}'),
    ],
)
def test_what_is_no_fact_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(UnreadableFact):
        decode(kind, body)


def test_fields_of_a_later_version_are_ignored_and_missing_ones_take_their_default() -> None:
    fact = decode("SlotSkipped", b'{"slice":1,"quantity":"2","reason":"r","detail":"","colour":"red"}')
    assert fact == SlotSkipped(slice=1, quantity=Decimal(2), reason="r", detail="")


def test_an_exported_intent_has_the_fields_that_others_rely_on() -> None:
    line = json.loads(export_line(Committed(3, NOW, an_intent())))
    wanted = (
        "seq at type execution_id client_order_id slice attempt symbol side order_type quantity limit_price "
        "request_timestamp recv_window"
    )
    assert list(line)[:3] == ["seq", "at", "type"]
    assert set(wanted.split()) <= set(line)
    assert (line["seq"], line["at"], line["type"]) == (3, "2026-07-01T12:00:00Z", "ChildIntended")
    assert (line["quantity"], line["limit_price"], line["recv_window"]) == ("0.1", "42085", 2000)


def test_an_exported_trade_has_the_fields_that_others_rely_on() -> None:
    line = json.loads(export_line(Committed(3, NOW, a_trade_booked())))
    wanted = (
        "execution_id client_order_id symbol side order_id trade_id price quantity commission commission_asset "
        "maker trade_time source"
    )
    assert set(wanted.split()) == set(line) - {"seq", "at", "type"}
    assert (line["order_id"], line["price"], line["maker"]) == (1001, "42001", False)


def test_an_exported_end_has_its_report_whole_and_flat() -> None:
    line = json.loads(export_line(Committed(3, NOW, a_closed())))
    names = {field.name for field in fields(a_report())}
    assert set(line["report"]) == names <= set(line)
    assert line["total_filled"] == line["report"]["total_filled"] == "0.5"
    assert line["orders"][0]["outcome"] == "FILLED"


def test_no_field_of_a_fact_hides_another_in_an_exported_line() -> None:
    for kind in FACTS.values():
        names = [field.name for field in fields(kind)]
        assert not {"seq", "at", "type"} & set(names), kind
    closed = {field.name for field in fields(a_closed())}
    assert not closed & {field.name for field in fields(a_report())}


def test_a_line_ends_in_a_newline_and_holds_no_other() -> None:
    line = export_line(Committed(3, NOW, an_accepted(signal=a_signal(tag="two\nlines"))))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1


def test_a_line_that_is_no_export_is_refused() -> None:
    with pytest.raises(UnreadableFact, match="not a line"):
        import_line(b'{"seq":"one"}')


def test_ids_beyond_the_reach_of_a_float_are_kept_and_exported_exactly() -> None:
    booked = a_trade_booked(order_id=2**63 - 1, trade_id=2**53 + 1)
    kind, body = type(booked).__name__, encode(booked)
    assert decode(kind, body) == booked
    assert b"9223372036854775807" in export_line(Committed(1, NOW, booked))
    assert b"9007199254740993" in export_line(Committed(1, NOW, booked))
