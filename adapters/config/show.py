"""Showing the configuration: each value with its origin, and a commented file to start from."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from adapters.config.model import Config, Section
from adapters.redaction import MASK, is_secret_name, redact
from messages.money import plain


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is in effect; `value` is a text as TOML writes it, with secrets masked."""

    key: str
    value: str
    origin: str
    help: str


def config_origins(config: Config) -> Mapping[str, str]:
    """Say where the value of each dotted key comes from; empty for a configuration that was not loaded."""
    return dict(config.origins)


def describe(config: Config) -> list[Setting]:
    """List every setting with its value and origin, in the order of the file; no secret is in it."""
    return [
        Setting(key, _shown(key, value), config.origins.get(key, "default"), text)
        for key, _, text, value in _walk(config)
    ]


def commented_toml(config: Config | None = None) -> str:
    """Write a TOML file that explains every setting and changes none: each stands there as a comment.

    With the leading `#` of all settings removed it is a valid file that says what `config` (the defaults) says,
    but for secrets, which it leaves empty.
    """
    config = config or Config()
    lines = [
        "# Tidegate's configuration. Every setting is here with its default in paper mode; remove the # to",
        "# change one. Modes that reach an exchange have tighter limits (see: run.py config --set mode=...).",
        "# The command line (--set section.key=value) and the environment (TIDEGATE__SECTION__KEY) win over this file.",
        "# Secrets are better kept in the environment or in a secrets directory than here.",
    ]
    section = ""
    for key, field, text, value in _walk(config):
        table, _, name = key.rpartition(".")
        if field.annotation == dict[str, object]:
            lines += ["", f"# [{key}]", f"# {text}"]
            continue
        if table and table != section:
            section = table
            model = type(getattr(config, table))
            lines += ["", f"[{table}]", f"# {(model.__doc__ or '').strip()}"]
        lines += ["", f"# {text}", f"#{name} = {_toml('' if isinstance(value, SecretStr) else value)}"]
    return "\n".join(lines) + "\n"


def write_commented_toml(path: Path) -> None:
    """Write `commented_toml()` to a new file that only its owner can read.

    Raises:
        FileExistsError: there is a file already; it is never overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(commented_toml())


def _walk(config: Config) -> Iterator[tuple[str, FieldInfo, str, Any]]:
    for name, field in Config.model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Section):
            for key, inner in type(value).model_fields.items():
                yield f"{name}.{key}", inner, explained(type(value))[key], getattr(value, key)
        else:
            yield name, field, explained(Config)[name], value


@cache
def explained(model: type[BaseModel]) -> Mapping[str, str]:
    """Give what stands below each of a model's settings, on one line; read from its source, which takes a while."""
    (written,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(written, ast.ClassDef)
    return {
        setting.target.id: " ".join(text.value.value.split())
        for setting, text in pairwise(written.body)
        if isinstance(setting, ast.AnnAssign) and isinstance(setting.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _shown(key: str, value: object) -> str:
    if isinstance(value, SecretStr) or (is_secret_name(key) and value is not None and not isinstance(value, bool)):
        return _toml(MASK)
    return _toml(redact(value))


def _toml(value: object) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return plain(value)
        case Mapping():
            return "{ " + ", ".join(f"{_bare(str(key))} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_toml(inner) for inner in value) + "]"
        case _:
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{text}"'


def _bare(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else f'"{key}"'
