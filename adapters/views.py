"""How things look as JSON: amounts as plain strings, moments as ISO 8601 in UTC, names as they are."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from messages.money import plain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json = dict[str, object]


def iso(moment: datetime) -> str:
    """Write a moment in UTC with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def as_json(value: object) -> object:
    """Turn a message, or anything in one, into what JSON can say.

    Pairs of an asset and an amount, as in `total_fees`, stay lists of two.
    """
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return view_of(value)
    return value


def view_of(message: DataclassInstance) -> Json:
    """Turn a dataclass into an object of its fields."""
    return {field.name: as_json(getattr(message, field.name)) for field in fields(message)}


def optional(amount: Decimal | None) -> str | None:
    """Write an amount, or nothing."""
    return None if amount is None else plain(amount)
