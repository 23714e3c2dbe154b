"""Facts taken apart into what JSON has types for, each kind by a function written for it.

orjson could take a dataclass apart by itself, but looks at every field as if it had never seen one, and asks back for
each amount and each time what to write: that costs twice as much as this and its own work on what comes out.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

from messages.money import plain


class UnwritableFact(ValueError):
    """A fact holds what must not be written down: a NaN, a time without a zone, or what is no data at all."""


_Taker = Callable[[Any], dict[str, object]]

_TAKERS: dict[type, _Taker] = {}
"""For each dataclass that was met so far."""


def apart(it: object) -> dict[str, object]:
    """Turn a dataclass's instance into a dict of its fields, in their order, and so all instances within.

    It goes by the fields' types: what is of another than it should be stays as it is or raises AttributeError or
    TypeError. Amounts and times raise `UnwritableFact` as `amount_text` and `in_utc` do.
    """
    return (_TAKERS.get(type(it)) or _taker(type(it)))(it)


def _taker(kind: type) -> _Taker:
    if kind not in _TAKERS:
        names: dict[str, Any] = {"amount_text": amount_text, "in_utc": in_utc}
        hints = get_type_hints(kind)
        parts = [f"{name!r}: {_part(hints[name], f'it.{name}', names)}" for name in (one.name for one in fields(kind))]
        exec(f"def take_apart(it): return {{{', '.join(parts)}}}", names)  # noqa: S102 - of our own classes' names only
        _TAKERS[kind] = names["take_apart"]
    return _TAKERS[kind]


def _part(hint: Any, it: str, names: dict[str, Any]) -> str:
    """Write the expression that takes a value of a type apart; `it` is the value's own, `names` takes what is used."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union) and len(arguments) == 2 and arguments[1] is type(None):
        part = _part(arguments[0], it, names)
        return it if part == it else f"None if {it} is None else {part}"
    if origin is tuple and arguments[1:] == (...,):
        part = _part(arguments[0], "item", names)
        return it if part == "item" else f"[{part} for item in {it}]"
    if origin is tuple:
        return f"({', '.join(_part(argument, f'{it}[{n}]', names) for n, argument in enumerate(arguments))},)"
    if hint is Decimal:
        return f"amount_text({it})"
    if hint is datetime:
        return f"in_utc({it})"
    if not isinstance(hint, type):
        return it
    if issubclass(hint, StrEnum):
        return f"{it}._value_"
    if is_dataclass(hint):
        names[hint.__name__] = _taker(hint)
        return f"{hint.__name__}({it})"
    return it


def amount_text(amount: Decimal) -> str:
    """Write an amount as `plain` does. Raises `UnwritableFact` for a NaN and an infinity."""
    text = str(amount)
    if text.isdigit() or ("." in text and text[-1] in "123456789" and "E" not in text):
        return text  # Most amounts are written plainly as they are.
    if not amount.is_finite():
        raise UnwritableFact(f"an amount must be finite: {amount}")
    return plain(amount)


def in_utc(moment: datetime) -> datetime:
    """Say a moment in UTC, as orjson then writes it. Raises `UnwritableFact` for one without a zone."""
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise UnwritableFact(f"a time must have a zone: {moment}")
    return moment.astimezone(UTC)
