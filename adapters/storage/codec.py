"""Facts as JSON and back: the body of a journal row, and the lines of an export.

Amounts are plain strings without exponent, times ISO 8601 in UTC with a `Z`, enums their values,
tuples arrays. What is read is checked against the fact's own class.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal

import msgspec
import orjson

from adapters.storage.parts import UnwritableFact, apart, in_utc
from messages.control import Committed
from messages.facts import FACTS, ExecutionClosed, Fact

_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in FACTS.items()}

_ODD_ESCAPE = re.compile(rb"\\u(?!00[01])")
"""An escaped character that need not be: JSON as we write it escapes only control characters."""


class UnreadableFact(ValueError):
    """Text that is no fact of this version: an unknown kind, a missing field, a wrong type, a NaN."""


class _Heading(msgspec.Struct):
    seq: int
    at: datetime
    type: str


_HEADINGS = msgspec.json.Decoder(_Heading)


def encode(fact: Fact) -> bytes:
    """Write a fact's fields as one JSON object, always in the same order and the same bytes.

    Raises `UnwritableFact`.
    """
    try:
        return _dump(apart(fact))
    except (AttributeError, TypeError) as error:
        raise UnwritableFact(f"{type(fact).__name__} holds what its types do not allow: {error}") from error


def decode(kind: str, body: bytes | str) -> Fact:
    """Read what `encode` wrote of a fact whose class is named `kind`. Raises `UnreadableFact`.

    A missing field takes its default, an unknown one is ignored: so old journals stay readable.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise UnreadableFact(f"no kind of fact is called {kind!r}")
    try:
        fact = decoder.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UnreadableFact(f"{kind}: {error}") from error
    if _may_hold_nan(body):
        _refuse_non_finite(fact, kind)
    return fact


def export_line(committed: Committed) -> bytes:
    """Write one line of a journal export, with its newline: `{"seq", "at", "type", ...fields}`.

    An `ExecutionClosed` has its report as `report`, and the report's figures beside, flat.
    """
    fact = committed.fact
    heading = _dump({"seq": committed.seq, "at": in_utc(committed.at), "type": type(fact).__name__})
    parts = [heading[:-1], encode(fact)[1:-1]]
    if isinstance(fact, ExecutionClosed):
        parts.append(_dump(apart(fact.report))[1:-1])
    return b",".join(parts) + b"}\n"


def import_line(line: bytes | str) -> Committed:
    """Read what `export_line` wrote. Raises `UnreadableFact`."""
    try:
        heading = _HEADINGS.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UnreadableFact(f"not a line of a journal export: {error}") from error
    return Committed(heading.seq, heading.at, decode(heading.type, line))


def _dump(parts: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(parts, _refuse, orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError as error:
        raise UnwritableFact(str(error.__cause__ or error)) from error


def _refuse(value: object) -> None:
    raise UnwritableFact(f"neither text nor amount nor time: {value!r}")


def _may_hold_nan(body: bytes | str) -> bool:
    """Tell cheaply whether a NaN or an infinity may be among the amounts, however it is spelt."""
    text = (body.encode() if isinstance(body, str) else body).lower()
    return b"nan" in text or b"inf" in text or _ODD_ESCAPE.search(text) is not None


def _refuse_non_finite(value: object, kind: str) -> None:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise UnreadableFact(f"{kind}: an amount must be finite: {value}")
    elif isinstance(value, tuple):
        for item in value:
            _refuse_non_finite(item, kind)
    elif is_dataclass(value):
        for field in fields(value):
            _refuse_non_finite(getattr(value, field.name), kind)
