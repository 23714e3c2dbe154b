"""JSON from senders, read without trust: bounded before it is parsed, exact, and strict about names.

Nothing here is lenient and nothing but `BadValue` is raised. Numbers keep the digits in which they
were written, with no float in between; a name that nobody knows is refused, for silence about a
misspelt limit would cost money.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from messages.ids import from_milliseconds
from messages.signal import Reason, Side

MAX_BODY: Final = 64 * 1024
"""Largest body in bytes; parsing a larger one is nobody's wish but an attacker's."""
MAX_DEPTH: Final = 4
"""An array of signals with their twap options is three deep."""
MAX_TEXT: Final = 128
MAX_MAGNITUDE: Final = 20
"""Amounts lie between 1e-20 and 1e20."""
MAX_DIGITS: Final = 36

Reader = Callable[[str, object], object]
"""Reads one field, given its name and its JSON value; raises `BadValue`."""

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


def malformed(detail: str) -> Refused:
    """Refuse what was not understood."""
    return Refused(Reason.MALFORMED, detail)


class BadValue(Exception):
    """Ends the reading of one object; `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


def parse(body: bytes) -> object:
    """Parse JSON into plain values, numbers as they were written; `Refused` if that can't be done.

    Bounded beforehand: `MAX_BODY` bytes, `MAX_DEPTH` brackets. A key that comes twice in one object
    is refused, as two readers would disagree on what was meant.
    """
    if len(body) > MAX_BODY:
        return malformed(f"the body is {len(body)} bytes, above {MAX_BODY}")
    if _depth(body) > MAX_DEPTH:
        return malformed(f"nested deeper than {MAX_DEPTH}")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except BadValue as error:
        return error.refused
    except UnicodeDecodeError:
        return malformed("the body is not UTF-8")
    except ValueError as error:
        return malformed(f"not JSON: {error}")


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
                raise BadValue(malformed(f"{shown(key)} comes twice"))
            seen[key] = None
    return values


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_Infinite
)


def shown(text: str) -> str:
    """Repeat a sender's text in a message, escaped and cut."""
    return ascii(text[:40]) if len(text) <= 40 else ascii(text[:40]) + "..."


# One field ----------------------------------------------------------------------------------------


def read_fields(
    value: Mapping[str, object],
    readers: Mapping[str, Reader],
    required: tuple[str, ...],
    prefix: str,
) -> dict[str, Any]:
    """Read an object by a table of its fields; null is the same as leaving an optional field out.

    Raises `BadValue` for unknown and missing names, and what the readers raise.
    """
    if not value.keys() <= readers.keys():
        unknown = next(name for name in value if name not in readers)
        raise BadValue(Refused(Reason.UNKNOWN_FIELD, f"unknown field {shown(prefix + unknown)}"))
    for name in required:
        if name not in value:
            raise BadValue(malformed(f"{prefix}{name} is missing"))
    return {
        name: readers[name](prefix + name, field)
        for name, field in value.items()
        if field is not None or name in required
    }


def read_text(name: str, value: object) -> str:
    """Read a text of printable ASCII, 1 to `MAX_TEXT` characters."""
    if type(value) is not str:
        raise BadValue(malformed(f"{name} must be a string"))
    if not 0 < len(value) <= MAX_TEXT or not value.isascii() or not value.isprintable():
        raise BadValue(malformed(f"{name} must be 1 to {MAX_TEXT} printable ASCII characters"))
    return value


def read_side(name: str, value: object) -> Side:
    """Read buy or sell, in any case."""
    side = _SIDES.get(value.lower()) if type(value) is str else None
    if side is None:
        raise BadValue(malformed(f"{name} must be buy or sell"))
    return side


def read_positive(name: str, value: object) -> Decimal:
    """Read an amount above zero."""
    amount = _amount(name, value)
    if amount <= 0:
        raise BadValue(malformed(f"{name} must be above 0"))
    return amount


def read_not_negative(name: str, value: object) -> Decimal:
    """Read an amount that may be zero."""
    amount = _amount(name, value)
    if amount.is_signed():
        raise BadValue(malformed(f"{name} must not be negative"))
    return amount


def _amount(name: str, value: object) -> Decimal:
    """Read a number exactly; its length and exponent are judged as text, so none can cost anything."""
    if not isinstance(value, str):
        raise BadValue(malformed(f"{name} must be a number"))
    match = _AMOUNT.fullmatch(value)
    if match is None:
        if _NOT_FINITE.fullmatch(value):
            raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
        if isinstance(value, _Number):  # JSON has no others than very long ones.
            raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
        raise BadValue(malformed(f"{name} is not a number: {shown(value)}"))
    if match[3] is None and len(value) <= MAX_MAGNITUDE:
        return Decimal(value)  # As nearly all are: too short to be out of range.
    exponent = int(match[3] or 0)
    if abs(exponent) > 2 * MAX_MAGNITUDE:
        raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
    return _within_range(name, Decimal(value))


def _within_range(name: str, amount: Decimal) -> Decimal:
    if amount and amount.adjusted() > MAX_MAGNITUDE:
        raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is out of range"))
    _, digits, exponent = amount.as_tuple()
    if len(digits) > MAX_DIGITS or int(exponent) < -MAX_MAGNITUDE:
        raise BadValue(malformed(f"{name} has too many digits"))
    return amount


def read_whole(name: str, value: object) -> int:
    """Read a whole number of at most 18 digits, without a sign."""
    if isinstance(value, _Infinite):
        raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise BadValue(malformed(f"{name} must be a whole number above 0"))
    return int(value)


def read_moment(name: str, value: object) -> datetime:
    """Read ISO 8601 with its offset, or milliseconds since 1970."""
    if isinstance(value, _Infinite):
        raise BadValue(Refused(Reason.NOT_FINITE, f"{name} is not finite"))
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise BadValue(malformed(f"{name} must be ISO 8601 or milliseconds since 1970"))
    if _WHOLE.fullmatch(value):
        return _of_milliseconds(name, int(value))
    if isinstance(value, _Number):
        raise BadValue(malformed(f"{name} must be whole milliseconds since 1970"))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadValue(malformed(f"{name} is neither ISO 8601 nor milliseconds: {shown(value)}")) from None
    if moment.tzinfo is None:
        raise BadValue(malformed(f"{name} needs an offset from UTC, such as Z"))
    if not 2000 <= moment.year < 2100:
        raise BadValue(malformed(f"{name} is out of range"))
    return moment.astimezone(UTC)


def _of_milliseconds(name: str, count: int) -> datetime:
    if not _FIRST_MILLISECOND <= count < _LAST_MILLISECOND:
        raise BadValue(malformed(f"{name} is no plausible number of milliseconds since 1970"))
    return from_milliseconds(count)


def read_flag(name: str, value: object) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise BadValue(malformed(f"{name} must be true or false"))
    return value


def read_word(*words: str) -> Callable[[str, object], str]:
    """Make a reader of one of these words."""

    def read(name: str, value: object) -> str:
        if type(value) is not str or value not in words:
            raise BadValue(malformed(f"{name} must be one of {', '.join(words)}"))
        return value

    return read


_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
