"""Bodies of other senders, TradingView, 3Commas and the like, turned into signals by templates. Pure.

As strict as the signal's own form: what a template neither uses nor ignores is refused by name, for
a stop loss that is passed over in silence would cost money.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from adapters.intake.fields import MAX_TEXT, BadValue, Refused, malformed, parse, shown
from adapters.intake.signals import MAX_SIGNALS, Body, read_signal, rejected
from adapters.intake.template_tables import AMOUNT, UNIT, TemplateTable, places
from messages.signal import Reason, Signal, Verdict

MAX_TEXT_BODY: Final = 4_096
"""Longest text body in bytes; no alert is longer, and no pattern is tried on more."""

_UNITS: Final = {"base": "quantity", "quote": "quote_quantity"}
_SHORT: Final = "short"
_UNFILLED: Final = re.compile(r"\{\{[^{}]*\}\}")


class Template:
    """Reads bodies of one kind of sender. All methods are pure, and none raises."""

    def __init__(self, name: str, table: TemplateTable) -> None:
        self.name, self._table = name, table
        self._source = table.source or name
        self._text = None if table.text is None else re.compile(table.text, re.DOTALL)
        self._fields = {
            target: [(pattern, places(pattern)) for pattern in table.patterns(target)] for target in table.fields
        }
        used = [place for patterns in self._fields.values() for _, of in patterns for place in of]
        self._known = {name.removesuffix("?") for name in (*used, *table.require, *table.spot, *table.ignore)}
        self._prefixes = tuple(name.removesuffix("*") for name in table.ignore if name.endswith("*"))
        self._words = {
            target: {word.lower(): meaning for word, meaning in words.items()} for target, words in table.words.items()
        }

    def decode(self, body: bytes) -> Body | Verdict:
        """Read one body, or an array of them; a `Verdict` if it is refused as a whole."""
        if self._text is not None and not body.lstrip().startswith((b"{", b"[")):
            return Body((self._read_text(self._text, body),), many=False)
        value = parse(body)
        if isinstance(value, Refused):
            return rejected(value)
        if not isinstance(value, list):
            return Body((self.read(value),), many=False)
        if len(value) > MAX_SIGNALS:
            return rejected(malformed(f"{len(value)} signals at once, the most allowed are {MAX_SIGNALS}"))
        return Body(tuple(self.read(item) for item in value), many=True)

    def read(self, value: object) -> Signal | Verdict:
        """Turn a parsed body into a signal, or say why that can't be done."""
        if not isinstance(value, dict):
            return rejected(malformed("a body must be a JSON object"))
        try:
            filled = self._fill(_flat(value))
        except BadValue as error:
            return rejected(error.refused)
        return read_signal(filled)

    def _read_text(self, text: re.Pattern[str], body: bytes) -> Signal | Verdict:
        if len(body) > MAX_TEXT_BODY:
            return rejected(malformed(f"a text of {len(body)} bytes, above {MAX_TEXT_BODY}"))
        match = text.fullmatch(body.decode("utf-8", "replace").strip())
        if match is None:
            return rejected(malformed(f"neither JSON nor a text as template {self.name} knows it"))
        return self.read(match.groupdict())

    # Filling in -------------------------------------------------------------------------------

    def _fill(self, body: Mapping[str, str | None]) -> dict[str, object]:
        for name in body:
            if name not in self._known and not name.startswith(self._prefixes):
                raise BadValue(Refused(Reason.UNKNOWN_FIELD, f"unknown field {shown(name)}"))
        self._check(body, self._table.require, malformed)
        self._check(body, self._table.spot, lambda detail: Refused(Reason.NOT_SPOT, detail))
        values: dict[str, str] = {"source": self._source, **self._table.defaults}
        for target, patterns in self._fields.items():
            filled = next(filter(None, (_fill_in(pattern, of, body) for pattern, of in patterns)), None)
            if filled is not None:
                values[target] = filled
        for target, words in self._words.items():
            if target in values:
                values[target] = words.get(values[target].lower(), values[target])
        return _signal_form(values)

    def _check(
        self, body: Mapping[str, str | None], rules: Mapping[str, tuple[str, ...]], refuse: Callable[[str], Refused]
    ) -> None:
        for name, allowed in rules.items():
            value = _value(body, name)
            if value is not None and value.lower() not in (one.lower() for one in allowed):
                raise BadValue(refuse(f"{name.removesuffix('?')} is {shown(value)}, not {' or '.join(allowed)}"))


def _signal_form(values: dict[str, str]) -> dict[str, object]:
    """Turn filled fields into an object of the signal's own form."""
    if values.get("side", "").lower() == _SHORT:
        raise BadValue(Refused(Reason.NOT_SPOT, "a short position can't be held on spot"))
    amount, unit = values.pop(AMOUNT, None), values.pop(UNIT, None)
    if amount is not None:
        target = _UNITS.get((unit or "base").lower())
        if target is None:
            raise BadValue(malformed(f"an amount in {shown(unit or '')} can't be worked, only in base or quote"))
        if target in values:
            raise BadValue(malformed(f"{target} is given twice"))
        values[target] = amount
    signal: dict[str, object] = {name: value for name, value in values.items() if not name.startswith("twap.")}
    twap = {name.removeprefix("twap."): value for name, value in values.items() if name.startswith("twap.")}
    return {**signal, "twap": twap} if twap else signal


def _flat(value: dict[str, object]) -> dict[str, str | None]:
    """Name each plain value by its path, as `order.amount`. Empty texts count as missing."""
    values = list(_leaves(value, ""))
    flat = dict(values)
    if len(flat) < len(values):
        raise BadValue(malformed("a field comes twice, once with its path as its name"))
    return flat


def _leaves(value: dict[str, object], prefix: str) -> Iterator[tuple[str, str | None]]:
    for name, inner in value.items():
        path = prefix + name
        match inner:
            case dict():
                yield from _leaves(inner, f"{path}.")
            case bool():
                yield path, "true" if inner else "false"
            case str():  # Numbers are texts here too, as they were written.
                yield path, str(inner).strip() or None
            case None:
                yield path, None
            case _:
                raise BadValue(malformed(f"{shown(path)} must not be a list"))


def _fill_in(pattern: str, of: list[str], body: Mapping[str, str | None]) -> str | None:
    """Fill a pattern's places; None if one that may stay empty does."""
    for place in of:
        value = _value(body, place)
        if value is None:
            return None
        if _UNFILLED.search(value):
            raise BadValue(malformed(f"{place.removesuffix('?')} was not filled in by its sender: {shown(value)}"))
        pattern = pattern.replace(f"{{{place}}}", value.replace("{", "(").replace("}", ")"), 1)
    if len(pattern) > MAX_TEXT:
        raise BadValue(malformed(f"{shown(pattern)} is above {MAX_TEXT} characters"))
    return pattern


def _value(body: Mapping[str, str | None], place: str) -> str | None:
    name = place.removesuffix("?")
    value = body.get(name)
    if value is None and name == place:
        raise BadValue(malformed(f"{name} is missing"))
    return value


def templates_of(tables: Mapping[str, TemplateTable]) -> dict[str, Template]:
    """Make the templates of checked tables, by name."""
    return {name: Template(name, table) for name, table in tables.items()}
