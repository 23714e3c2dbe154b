"""Where settings come from: command line, environment, secret files and the TOML file, each read into a layer."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

ENV_PREFIX = "TIDEGATE__"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration: the key, where it stands, and what is expected."""

    key: str
    origin: str
    message: str

    def __str__(self) -> str:
        place = f" ({self.origin})" if self.origin else ""
        return f"{self.key}: {self.message}{place}" if self.key else f"{self.origin}: {self.message}"


@dataclass(frozen=True, slots=True)
class Layer:
    """The values that one source gives, nested as in the file, and where each dotted key stands."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    """The file of each dotted key, where keys have files of their own."""

    def put(self, path: tuple[str, ...], value: object, origin: str) -> None:
        """Set one value; a key that is a value and a table at once is a problem."""
        table = self.values
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                self.problems.append(Problem(".".join(path), origin, "stands below a key that has a value of its own"))
                return
        table[path[-1]] = value
        self.origins[".".join(path)] = origin

    def has(self, path: tuple[str, ...]) -> bool:
        """Tell whether this source says anything about the key, or about something below it."""
        found: object = self.values
        for part in path:
            if not isinstance(found, dict) or part not in found:
                return False
            found = found[part]
        return True

    def drop(self, path: tuple[str, ...]) -> None:
        """Forget a key and all below it; nothing happens if it is not here."""
        table: Any = self.values
        for part in path[:-1]:
            table = table.get(part) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.pop(path[-1], None)

    def origin_of(self, path: tuple[str, ...]) -> str:
        """Say where a key stands, or else what is in it, or else the table that it is in."""
        inside = ".".join(path) + "."
        below = (origin for key, origin in self.origins.items() if key.startswith(inside))
        above = (self.origins.get(".".join(path[:length])) for length in range(len(path) - 1, 0, -1))
        return self.origins.get(".".join(path)) or next(below, None) or next(filter(None, above), "")


def from_overrides(overrides: Iterable[str]) -> Layer:
    """Read `section.key=value` texts, as `--set` takes them."""
    layer = Layer()
    for override in overrides:
        name, equals, value = override.partition("=")
        path = _path(name.strip().split("."))
        if not equals or not all(path):
            layer.problems.append(Problem(override, "--set", "should be written section.key=value"))
        else:
            layer.put(path, value, "--set")
    return layer


def from_environment(env: Mapping[str, str]) -> Layer:
    """Read `TIDEGATE__SECTION__KEY` variables; other variables are none of ours."""
    layer = Layer()
    for name in sorted(env):
        if name.startswith(ENV_PREFIX):
            path = _path(name.removeprefix(ENV_PREFIX).split("__"))
            if all(path):
                layer.put(path, env[name], f"environment {name}")
            else:
                layer.problems.append(Problem(name, "environment", f"should be written {ENV_PREFIX}SECTION__KEY"))
    return layer


def from_secrets(directory: Path | None, sections: Iterable[str]) -> Layer:
    """Read the files of a secrets directory that are named `section.key`; others may serve other ends.

    This is how systemd hands over credentials (`LoadCredential=venue.api_secret:...`).
    """
    layer = Layer()
    if directory is None:
        return layer
    known = frozenset(sections)
    try:
        for file in sorted(directory.iterdir()):
            path = _path(file.name.split("."))
            if len(path) == 2 and path[0] in known and file.is_file():
                layer.put(path, file.read_text(encoding="utf-8").strip(), f"secret file {file}")
                layer.files[".".join(path)] = file
    except (OSError, UnicodeDecodeError) as error:
        layer.problems.append(Problem("", f"secrets directory {directory}", _why_unreadable(error)))
    return layer


def from_toml(path: Path | None) -> Layer:
    """Read the TOML file; numbers with a point come as `Decimal`, exactly as written."""
    layer = Layer()
    if path is None:
        return layer
    try:
        text = path.read_text(encoding="utf-8")
        layer.values.update(tomllib.loads(text, parse_float=Decimal))
    except (OSError, UnicodeDecodeError) as error:
        layer.problems.append(Problem("", str(path), _why_unreadable(error)))
    except tomllib.TOMLDecodeError as error:
        layer.problems.append(Problem("", str(path), f"is not valid TOML: {error}"))
    else:
        layer.origins.update({key: f"{path}, line {line}" for key, line in _lines_of_keys(text).items()})
        for key in layer.values:
            layer.origins.setdefault(key, str(path))
    return layer


def _path(parts: list[str]) -> tuple[str, ...]:
    """Section and key in lower case; what stands in a table below them (assets, senders) is taken as it is."""
    return tuple(part.lower() if depth < 2 else part for depth, part in enumerate(parts))


def _why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else (error.strerror or str(error)).lower()
    return f"cannot be read: {reason}"


_HEADER = re.compile(r"^\s*\[+\s*([^\[\]]+?)\s*\]+\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")


def _lines_of_keys(text: str) -> dict[str, int]:
    """Find the line of each key, for messages only: tomllib keeps no positions."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[1].replace('"', "").replace("'", "")
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            name = key[1].replace('"', "").replace("'", "")
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


class _LayerSource(PydanticBaseSettingsSource):
    """Hands a layer to pydantic-settings, which merges them in depth, the first one winning."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._layer.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._layer.values


_active: ContextVar[tuple[Layer, ...]] = ContextVar("layers", default=())


@contextmanager
def using(layers: Iterable[Layer]) -> Iterator[None]:
    """Let settings built inside of the block read these layers, the first one winning."""
    token = _active.set(tuple(layers))
    try:
        yield
    finally:
        _active.reset(token)


def active_layers(settings_cls: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
    """Give the layers in use as sources of pydantic-settings; outside of `using` there are none."""
    return tuple(_LayerSource(settings_cls, layer) for layer in _active.get())
