"""Signals as JSON: what a sender writes becomes a `Signal`, or a rejection that says what is wrong.

Pure, and nothing raises: whatever the bytes are, the answer is a value. Size and depth are bounded
before anything is parsed, numbers are read as they are written, without a float in between, and
names that nobody knows are refused, for silence about a misspelt limit would cost money.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from messages.ids import from_milliseconds
from messages.signal import Reason, Side, Signal, Status, TwapOptions, Verdict

MAX_BODY: Final = 64 * 1024
"""Largest body in bytes; parsing a larger one is nobody's wish but an attacker's."""
MAX_DEPTH: Final = 4
"""An array of signals with their twap options is three deep."""
MAX_SIGNALS: Final = 100
"""Most signals of one array."""
MAX_TEXT: Final = 128
MAX_MAGNITUDE: Final = 20
"""Amounts lie between 1e-20 and 1e20."""
MAX_DIGITS: Final = 36

_FIRST_MILLISECOND: Final = 946_684_800_000  # 2000-01-01
_LAST_MILLISECOND: Final = 4_102_444_800_000  # 2100-01-01

_TOKENS: Final = re.compile(rb'(?s)"(?:[^"\\]|\\.)*+"?|[\[\]{}]')
_AMOUNT: Final = re.compile(r"-?([0-9]{1,64})(?:\.([0-9]{1,64}))?(?:[eE]([+-]?[0-9]{1,12}))?")
_NOT_FINITE: Final = re.compile(r"[+-]?(?:s?nan[0-9]*|inf(?:inity)?)", re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class _Infinite(_Number):
    """One of the three words that JavaScript writes and JSON does not know: NaN and the infinities."""

    __slots__ = ()


class Refused(NamedTuple):
    """Why bytes, or one value in them, are no signal."""

    reason: Reason
    detail: str


def _malformed(detail: str) -> Refused:
    return Refused(Reason.MALFORMED, detail)


class _BadValue(Exception):
    """Ends the reading of one signal; never leaves this module."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


# The parts of a body ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Body:
    """A body that could be parsed: a signal or its rejection each, `many` if it was an array."""

    items: tuple[Signal | Verdict, ...]
    many: bool


def decode_body(body: bytes) -> Body | Verdict:
    """Read one signal or an array of signals; a `Verdict` if the body as a whole is refused."""
    value = parse(body)
    if isinstance(value, Refused):
        return rejected(value)
    if not isinstance(value, list):
        return Body((read_signal(value),), many=False)
    if len(value) > MAX_SIGNALS:
        return rejected(_malformed(f"{len(value)} signals at once, the most allowed are {MAX_SIGNALS}"))
    return Body(tuple(read_signal(item) for item in value), many=True)


def decode_signal(body: bytes) -> Signal | Verdict:
    """Read one signal, or say why it is refused."""
    value = parse(body)
    return rejected(value) if isinstance(value, Refused) else read_signal(value)


def rejected(refused: Refused, id_: str | None = None) -> Verdict:
    """Make the verdict on what was refused before the gate saw it."""
    return Verdict(status=Status.REJECTED, reason=refused.reason, detail=refused.detail, id=id_)


def parse(body: bytes) -> object:
    """Parse JSON into plain values, numbers as they were written; `Refused` if that can't be done.

    Bounded beforehand: `MAX_BODY` bytes, `MAX_DEPTH` brackets. A key that comes twice in one object
    is refused, as two readers would disagree on what was meant.
    """
    if len(body) > MAX_BODY:
        return _malformed(f"the body is {len(body)} bytes, above {MAX_BODY}")
    if _depth(body) > MAX_DEPTH:
        return _malformed(f"nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_Infinite,
        )
    except _BadValue as error:
        return error.refused
    except UnicodeDecodeError:
        return _malformed("the body is not UTF-8")
    except ValueError as error:
        return _malformed(f"not JSON: {error}")


def _depth(body: bytes) -> int:
    """Measure how deeply brackets nest, at most; those in strings don't count."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for token in _TOKENS.finditer(body):
        match body[token.start() : token.start() + 1]:
            case b"{" | b"[":
                depth += 1
                deepest = max(deepest, depth)
            case b"}" | b"]":
                depth -= 1
            case _:
                pass
    return deepest


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: dict[str, None] = {}
        for key, _ in pairs:
            if key in seen:
                raise _BadValue(_malformed(f"{_shown(key)} comes twice"))
            seen[key] = None
    return values


def _shown(text: str) -> str:
    """Repeat a sender's text in a message, escaped and cut."""
    return ascii(text[:40]) if len(text) <= 40 else ascii(text[:40]) + "..."


# The fields of a signal ---------------------------------------------------------------------------


def read_signal(value: object) -> Signal | Verdict:
    """Turn a parsed JSON value into a signal, or say why it is none."""
    if not isinstance(value, dict):
        return rejected(_malformed("a signal must be a JSON object"))
    id_ = value.get("id")
    try:
        return Signal(**_read_fields(value, _SIGNAL, _REQUIRED, ""))
    except _BadValue as error:
        return rejected(error.refused, id_ if type(id_) is str and len(id_) <= MAX_TEXT and id_.isascii() else None)


def _read_fields(
    value: Mapping[str, object],
    readers: Mapping[str, Callable[[str, object], object]],
    required: tuple[str, ...],
    prefix: str,
) -> dict[str, Any]:
    for name in value:
        if name not in readers:
            raise _BadValue(Refused(Reason.UNKNOWN_FIELD, f"unknown field {_shown(prefix + name)}"))
    for name in required:
        if name not in value:
            raise _BadValue(_malformed(f"{prefix}{name} is missing"))
    return {
        name: readers[name](prefix + name, field)
        for name, field in value.items()
        if field is not None or name in required
    }


def _text(name: str, value: object) -> str:
    if type(value) is not str:
        raise _BadValue(_malformed(f"{name} must be a string"))
    if not 0 < len(value) <= MAX_TEXT or not value.isascii() or not value.isprintable():
        raise _BadValue(_malformed(f"{name} must be 1 to {MAX_TEXT} printable ASCII characters"))
    return value


def _side(name: str, value: object) -> Side:
    side = _SIDES.get(value.lower()) if type(value) is str else None
    if side is None:
        raise _BadValue(_malformed(f"{name} must be buy or sell"))
    return side


def _positive(name: str, value: object) -> Decimal:
    amount = _amount(name, value)
    if amount <= 0:
        raise _BadValue(_malformed(f"{name} must be above 0"))
    return amount


def _not_negative(name: str, value: object) -> Decimal:
    amount = _amount(name, value)
    if amount < 0 or amount.is_signed():
        raise _BadValue(_malformed(f"{name} must not be negative"))
    return amount


def _amount(name: str, value: object) -> Decimal:
    """Read a number exactly; its length and exponent are judged as text, so none can cost anything."""
    if not isinstance(value, str):
        raise _BadValue(_malformed(f"{name} must be a number"))
    if isinstance(value, _Infinite) or _NOT_FINITE.fullmatch(value):
        raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
    match = _AMOUNT.fullmatch(value)
    if match is None:
        if isinstance(value, _Number):  # JSON has no others than very long ones.
            raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
        raise _BadValue(_malformed(f"{name} is not a number: {_shown(value)}"))
    exponent = int(match[3] or 0)
    if abs(exponent) > 2 * MAX_MAGNITUDE:
        raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
    return _within_range(name, Decimal(value))


def _within_range(name: str, amount: Decimal) -> Decimal:
    if amount and amount.adjusted() > MAX_MAGNITUDE:
        raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
    _, digits, exponent = amount.as_tuple()
    if len(digits) > MAX_DIGITS or int(exponent) < -MAX_MAGNITUDE:
        raise _BadValue(_malformed(f"{name} has too many digits"))
    return amount


def _whole(name: str, value: object) -> int:
    if isinstance(value, _Infinite):
        raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise _BadValue(_malformed(f"{name} must be a whole number above 0"))
    return int(value)


def _moment(name: str, value: object) -> datetime:
    """Read ISO 8601 with its offset, or milliseconds since 1970."""
    if isinstance(value, _Infinite):
        raise _BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _BadValue(_malformed(f"{name} must be ISO 8601 or milliseconds since 1970"))
    if _WHOLE.fullmatch(value):
        return _of_milliseconds(name, int(value))
    if isinstance(value, _Number):
        raise _BadValue(_malformed(f"{name} must be whole milliseconds since 1970"))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _BadValue(_malformed(f"{name} is neither ISO 8601 nor milliseconds: {_shown(value)}")) from None
    if moment.tzinfo is None:
        raise _BadValue(_malformed(f"{name} needs an offset from UTC, such as Z"))
    if not 2000 <= moment.year < 2100:
        raise _BadValue(_malformed(f"{name} is out of range"))
    return moment.astimezone(UTC)


def _of_milliseconds(name: str, count: int) -> datetime:
    if not _FIRST_MILLISECOND <= count < _LAST_MILLISECOND:
        raise _BadValue(_malformed(f"{name} is no plausible number of milliseconds since 1970"))
    return from_milliseconds(count)


def _word(*words: str) -> Callable[[str, object], str]:
    def read(name: str, value: object) -> str:
        if type(value) is not str or value not in words:
            raise _BadValue(_malformed(f"{name} must be one of {', '.join(words)}"))
        return value

    return read


def _twap(name: str, value: object) -> TwapOptions:
    if not isinstance(value, dict):
        raise _BadValue(_malformed(f"{name} must be an object"))
    return TwapOptions(**_read_fields(value, _TWAP, (), f"{name}."))


_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_REQUIRED: Final = ("symbol", "side")
_SIGNAL: Final[dict[str, Callable[[str, object], object]]] = {
    "id": _text,
    "source": _text,
    "account": _text,
    "symbol": _text,
    "side": _side,
    "quantity": _positive,
    "quote_quantity": _positive,
    "price": _positive,
    "timestamp": _moment,
    "ttl_seconds": _positive,
    "limit_price": _positive,
    "tag": _text,
    "twap": _twap,
}
"""How each field of a signal is read: the whole of version 1."""

_TWAP: Final[dict[str, Callable[[str, object], object]]] = {
    "num_chunks": _whole,
    "duration_seconds": _positive,
    "interval_seconds": _positive,
    "start_at": _moment,
    "end_at": _moment,
    "child": _word("market", "ioc", "passive", "auto"),
    "cap_bps": _not_negative,
    "catch_up": _word("none", "spread", "cap"),
    "jitter": _not_negative,
    "remainder": _word("report", "sweep"),
    "max_participation": _positive,
}
assert set(_SIGNAL) == {field.name for field in fields(Signal)}, "the table reads what a signal has"
assert set(_TWAP) == {field.name for field in fields(TwapOptions)}, "the table reads what options there are"


# Verdicts -----------------------------------------------------------------------------------------

_HTTP: Final = {Status.ACCEPTED: 202, Status.DUPLICATE: 200, Status.CONFLICT: 409, Status.REJECTED: 422}
_HTTP_OF_REASON: Final = {
    Reason.UNAUTHORISED: 401,
    Reason.TOO_MANY: 429,
    Reason.NOT_READY: 503,
    Reason.HALTED: 503,
}


def verdict_object(verdict: Verdict) -> dict[str, str]:
    """Say a verdict in JSON's terms, without what it does not have."""
    said = {
        "status": verdict.status.value,
        "execution_id": verdict.execution_id,
        "reason": None if verdict.reason is None else verdict.reason.value,
        "detail": verdict.detail,
        "duplicate_of": verdict.duplicate_of,
        "first_seen": None if verdict.first_seen is None else iso(verdict.first_seen),
    }
    return {name: value for name, value in said.items() if value is not None}


def verdict_json(verdict: Verdict) -> bytes:
    """Write a verdict as JSON."""
    return orjson.dumps(verdict_object(verdict))


def http_status(verdict: Verdict) -> int:
    """Name the HTTP status that says a verdict."""
    if verdict.status is Status.REJECTED and verdict.reason is not None:
        return _HTTP_OF_REASON.get(verdict.reason, _HTTP[Status.REJECTED])
    return _HTTP[verdict.status]


def iso(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with microseconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
