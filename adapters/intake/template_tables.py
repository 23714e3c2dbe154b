"""Templates as the configuration writes them, checked as a whole before any body is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from adapters.intake.ready_templates import READY
from messages.signal import Signal, TwapOptions

AMOUNT, UNIT = "amount", "unit"
"""Two fields that only templates have: a quantity, and whether it is in `base` or `quote`."""

Patterns = tuple[str, ...]
Problem = tuple[str, str]
"""A key below `templates`, and what is wrong with it."""

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_PATH: Final = re.compile(r"[^{}?\s][^{}?]*\??")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TARGETS: Final = frozenset(
    {field.name for field in fields(Signal) if field.name != "twap"}
    | {f"twap.{field.name}" for field in fields(TwapOptions)}
    | {AMOUNT, UNIT}
)


class TemplateTable(BaseModel):
    """One `[templates.NAME]`: `base` is a ready-made one to start from, the rest adds to it or replaces it.

    `source` (default: the name) is whose signals these are. A hook under `token`, or under what
    `token_file` holds, uses this template. `text` is a pattern of text bodies, its named groups their
    fields. `fields` fill a signal's fields from patterns such as `{order.amount}`, `{price?}` where the
    body may lack it, or a list of patterns of which the first that can be filled counts; `defaults`
    where none can; `words` translate what was filled in. `ignore` names what else a body may have
    (`strategy_info.*`, `*`). `require` and `spot` say what the body's own fields may hold; what `spot`
    does not allow is `NOT_SPOT`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base: str | None = None
    source: str | None = Field(default=None, min_length=1, max_length=128)
    token: SecretStr | None = None
    token_file: Path | None = None
    text: str | None = None
    fields: dict[str, str | Patterns] = {}
    defaults: dict[str, str] = {}
    words: dict[str, dict[str, str]] = {}
    ignore: tuple[str, ...] = ()
    require: dict[str, tuple[str, ...]] = {}
    spot: dict[str, tuple[str, ...]] = {}

    def over(self, base: TemplateTable) -> TemplateTable:
        """Lay this table over the one that it starts from."""
        words = {target: {**told, **self.words.get(target, {})} for target, told in base.words.items()}
        return TemplateTable(
            source=self.source,
            token=self.token,
            token_file=self.token_file,
            text=base.text if self.text is None else self.text,
            fields={**base.fields, **self.fields},
            defaults={**base.defaults, **self.defaults},
            words={**self.words, **words},
            ignore=(*base.ignore, *self.ignore),
            require={**base.require, **self.require},
            spot={**base.spot, **self.spot},
        )

    def patterns(self, target: str) -> Patterns:
        """Give the patterns of a field, the first one first."""
        written = self.fields[target]
        return (written,) if isinstance(written, str) else written

    def hook_token(self) -> str | None:
        """Give the token of this template's own hook. Raises OSError if its file can't be read."""
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").strip() or None
        return None if self.token is None else self.token.get_secret_value() or None


READY_TABLES: Final = {name: TemplateTable.model_validate(table) for name, table in tomllib.loads(READY).items()}
"""The ready-made templates by name."""


def template_tables(written: Mapping[str, object]) -> tuple[dict[str, TemplateTable], list[Problem]]:
    """Read `[templates]`: every table, ready-made ones included, and everything that is wrong with them.

    A table of a ready-made one's name without a `base` starts from it.
    """
    tables, problems = dict(READY_TABLES), list[Problem]()
    for name, table in written.items():
        if not _NAME.fullmatch(name):
            problems.append((name, "is no name: letters, digits, - and _ only"))
            continue
        try:
            own = TemplateTable.model_validate(table)
        except ValidationError as error:
            problems += [(_key(name, one["loc"]), _said(one)) for one in error.errors(include_url=False)]
            continue
        base = own.base or (name if name in READY_TABLES else None)
        if base is not None and base not in READY_TABLES:
            problems.append((f"{name}.base", f"should be one of {', '.join(READY_TABLES)}"))
            continue
        tables[name] = own if base is None else own.over(READY_TABLES[base])
        problems += [(f"{name}.{key}", text) for key, text in _wrong(tables[name])]
    return tables, problems


def places(pattern: str) -> list[str]:
    """Name the places of a pattern as written, a `?` at the end of those that may stay empty."""
    return _PLACE.findall(pattern)


def _wrong(table: TemplateTable) -> Iterator[Problem]:
    for target in (*table.fields, *table.defaults, *table.words):
        if target not in _TARGETS:
            yield f"fields.{target}", "is no field of a signal"
    for target in table.fields:
        for pattern in table.patterns(target):
            if not all(_PATH.fullmatch(place) for place in places(pattern)) or re.search(
                r"[{}]", _PLACE.sub("", pattern)
            ):
                yield f"fields.{target}", "should hold names of the body's fields in { }, as {order.amount}"
    if not table.fields.get("symbol") and not table.defaults.get("symbol"):
        yield "fields.symbol", "is needed"
    if table.token is not None and table.token_file is not None:
        yield "token_file", "stands beside token; only one of them can be meant"
    if table.text is not None:
        try:
            re.compile(table.text)
        except re.error as error:
            yield "text", f"is no regular expression: {error}"


def _key(name: str, location: tuple[int | str, ...]) -> str:
    return ".".join([name, *(str(part) for part in location[:2] if isinstance(part, str))])


def _said(error: Any) -> str:  # pydantic's ErrorDetails, which it types loosely
    return "is no setting of a template" if error["type"] == "extra_forbidden" else str(error["msg"])
