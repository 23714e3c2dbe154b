"""Signals as JSON: what a sender writes becomes a `Signal`, or a rejection that says what is wrong.

Pure, and nothing raises: whatever the bytes are, the answer is a value. Size and depth are bounded
before anything is parsed, numbers are read as they are written, without a float in between, and
names that nobody knows are refused, for silence about a misspelt limit would cost money.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Final

import orjson

from adapters.intake.fields import (
    MAX_TEXT,
    BadValue,
    Reader,
    Refused,
    malformed,
    parse,
    read_fields,
    read_flag,
    read_moment,
    read_not_negative,
    read_positive,
    read_side,
    read_text,
    read_whole,
    read_word,
)
from adapters.intake.symbols import read_symbol
from adapters.views import iso
from messages.money import plain
from messages.signal import Reason, Side, Signal, Status, TwapOptions, Verdict

MAX_SIGNALS: Final = 100
"""Most signals of one array."""

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
        return rejected(malformed(f"{len(value)} signals at once, the most allowed are {MAX_SIGNALS}"))
    return Body(tuple(read_signal(item) for item in value), many=True)


def decode_signal(body: bytes) -> Signal | Verdict:
    """Read one signal, or say why it is refused."""
    value = parse(body)
    return rejected(value) if isinstance(value, Refused) else read_signal(value)


def rejected(refused: Refused, id_: str | None = None) -> Verdict:
    """Make the verdict on what was refused before the gate saw it."""
    return Verdict(status=Status.REJECTED, reason=refused.reason, detail=refused.detail, id=id_)


# The fields of a signal ---------------------------------------------------------------------------


def read_signal(value: object) -> Signal | Verdict:
    """Turn a parsed JSON value into a signal, or say why it is none."""
    if not isinstance(value, dict):
        return rejected(malformed("a signal must be a JSON object"))
    id_ = value.get("id")
    try:
        return Signal(**read_fields(value, _SIGNAL, _REQUIRED, ""))
    except BadValue as error:
        return rejected(error.refused, id_ if type(id_) is str and len(id_) <= MAX_TEXT and id_.isascii() else None)


def _twap(name: str, value: object) -> TwapOptions:
    if not isinstance(value, dict):
        raise BadValue(malformed(f"{name} must be an object"))
    return TwapOptions(**read_fields(value, _TWAP, (), f"{name}."))


_REQUIRED: Final = ("symbol", "side")
_SIGNAL: Final[dict[str, Reader]] = {
    "id": read_text,
    "source": read_text,
    "account": read_text,
    "symbol": read_symbol,
    "side": read_side,
    "quantity": read_positive,
    "quote_quantity": read_positive,
    "price": read_positive,
    "timestamp": read_moment,
    "ttl_seconds": read_positive,
    "limit_price": read_positive,
    "tag": read_text,
    "twap": _twap,
}
"""How each field of a signal is read: the whole of version 1."""

_TWAP: Final[dict[str, Reader]] = {
    "num_chunks": read_whole,
    "duration_seconds": read_positive,
    "interval_seconds": read_positive,
    "start_at": read_moment,
    "end_at": read_moment,
    "child": read_word("market", "ioc", "passive", "auto"),
    "cap_bps": read_not_negative,
    "catch_up": read_word("none", "spread", "cap"),
    "jitter": read_not_negative,
    "remainder": read_word("report", "sweep"),
    "max_participation": read_positive,
    "schedule": read_word("equal", "ow"),
    "rho": read_positive,
    "timing": read_flag,
}
assert set(_SIGNAL) == {field.name for field in fields(Signal)}, "the table reads what a signal has"
assert set(_TWAP) == {field.name for field in fields(TwapOptions)}, "the table reads what options there are"


def signal_object(signal: Signal) -> dict[str, object]:
    """Write a signal in the form in which it is read, without what it does not have."""

    def said(holder: Signal | TwapOptions) -> dict[str, object]:
        values = {field.name: getattr(holder, field.name) for field in fields(holder)}
        return {name: _written(value) for name, value in values.items() if value is not None and name != "twap"}

    twap = said(signal.twap)
    return {**said(signal), **({"twap": twap} if twap else {})}


def _written(value: object) -> object:
    match value:
        case Side():
            return value.value.lower()
        case Decimal():
            return plain(value)
        case datetime():
            return iso(value)
        case _:
            return value


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
