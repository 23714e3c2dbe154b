"""Reading JSON for the audit: field by field, strictly, and never through a float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from messages.frozen import dataclass
from messages.ids import microseconds

Json = Mapping[str, object]
_AMOUNTS = (int, Decimal)


class Unreadable(ValueError):
    """A journal line or a piece of the truth lacks what the audit needs, or holds nonsense."""


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object, read field by field; every reader raises `Unreadable` with the field's name."""

    body: Json

    def has(self, name: str) -> bool:
        """Tell whether the field is there and not null."""
        return self.body.get(name) is not None

    def text(self, name: str) -> str:
        """Read a string."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Unreadable(f"{name}: no text in {dict(self.body)}")
        return value

    def whole(self, name: str) -> int:
        """Read a whole number."""
        value = self.body.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unreadable(f"{name}: no whole number in {dict(self.body)}")
        return value

    def flag(self, name: str) -> bool:
        """Read true or false; a missing field is false."""
        return self.body.get(name) is True

    def amount(self, name: str) -> Decimal:
        """Read an amount."""
        value = self.body.get(name)
        if value is None:
            raise Unreadable(f"{name}: no amount in {dict(self.body)}")
        return amount_of(value)

    def amount_or_none(self, name: str) -> Decimal | None:
        """Read an amount that may be missing."""
        value = self.body.get(name)
        return None if value is None else amount_of(value)

    def moment(self, name: str) -> int:
        """Read an ISO 8601 time with a zone, in microseconds since 1970."""
        try:
            return microseconds(datetime.fromisoformat(self.text(name)))
        except (TypeError, ValueError) as error:
            raise Unreadable(f"{name}: no time in {dict(self.body)}") from error

    def record(self, name: str) -> Record:
        """Read a nested object."""
        value = self.body.get(name)
        if not isinstance(value, Mapping):
            raise Unreadable(f"{name}: no object in {dict(self.body)}")
        return Record(value)

    def items(self, name: str) -> Sequence[object]:
        """Read a list; a missing one is empty."""
        value = self.body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise Unreadable(f"{name}: no list in {dict(self.body)}")
        return value

    def records(self, name: str) -> list[Record]:
        """Read a list of objects."""
        return [as_record(item) for item in self.items(name)]

    def by_asset(self, name: str) -> dict[str, Decimal]:
        """Read amounts by asset, written as an object or as a list of pairs."""
        value = self.body.get(name)
        pairs = value.items() if isinstance(value, Mapping) else map(_pair, self.items(name))
        return {str(asset): amount_of(amount) for asset, amount in pairs}


def amount_of(value: object) -> Decimal:
    """Read an amount from a string, a whole number or a Decimal; a float is refused."""
    if isinstance(value, str):
        return _written(value)
    if isinstance(value, bool) or not isinstance(value, _AMOUNTS):
        raise Unreadable(f"no amount: {value!r}")
    return _finite(value)


@lru_cache(1024)
def _written(text: str) -> Decimal:
    """Read what is written; each rule reads the same lines again."""
    return _finite(text)


def _finite(value: str | int | Decimal) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise Unreadable(f"no amount: {value!r}") from error
    if not amount.is_finite():
        raise Unreadable(f"no amount: {value!r}")
    return amount


def as_record(value: object) -> Record:
    """Take a JSON object as a record."""
    if not isinstance(value, Mapping):
        raise Unreadable(f"no object: {value!r}")
    return Record(value)


def _pair(value: object) -> tuple[object, object]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Unreadable(f"no pair: {value!r}")
    return value[0], value[1]
