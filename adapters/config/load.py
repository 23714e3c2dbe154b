"""Reading the configuration: merge the layers, check all of it, and say everything that is wrong at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, ValidationError

from adapters.config.checks import contradictions, exposed_keys
from adapters.config.layers import Layer, Problem, from_environment, from_overrides, from_secrets, from_toml, using
from adapters.config.model import MODE_DEFAULTS, SECTIONS, Config, Section
from adapters.redaction import is_secret_name

DEFAULT_FILE = "tidegate.toml"
SHAPES = {
    ("paper", "market"): "should be synthetic, replay:FILE[,FILE...] or ow:q=...,rho=...,lam=...",
    ("alerts", "quiet"): "should be hours as 22:00-06:00, or empty",
    ("gate", "symbols"): "should be symbols as BTCUSDT",
    ("account",): "should be 1 to 32 letters, digits, dots, dashes and underscores",
}
"""What to say instead of a pattern."""
ACCOUNT_KEYS = ("venue.api_key", "venue.api_secret", "venue.private_key_passphrase")


class ConfigError(Exception):
    """The configuration is wrong; `problems` says every thing that is, and the text has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def find_config(env: Mapping[str, str] | None = None, directory: Path = Path()) -> Path | None:
    """Say which file to read where none is named: `TIDEGATE_CONFIG`, or the directory's tidegate.toml if there."""
    if named := (os.environ if env is None else env).get("TIDEGATE_CONFIG"):
        return Path(named)
    default = directory / DEFAULT_FILE
    return default if default.is_file() else None


def load_config(
    path: Path | None = None,
    overrides: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    secrets_dir: Path | None = None,
) -> Config:
    """Read the configuration: overrides > environment > secret files > TOML file > defaults.

    Args:
        path: the TOML file; None reads none. It must exist.
        overrides: texts of the form `section.key=value`.
        env: the environment, `os.environ` by default.
        secrets_dir: directory with files named `section.key`; by default `TIDEGATE_SECRETS_DIR` or what systemd
            gives as `CREDENTIALS_DIRECTORY`.

    Raises:
        ConfigError: with every wrong key at once.
    """
    env = os.environ if env is None else env
    if secrets_dir is None and (named := env.get("TIDEGATE_SECRETS_DIR") or env.get("CREDENTIALS_DIRECTORY")):
        secrets_dir = Path(named)
    layers = (
        from_overrides(overrides),
        from_environment(env),
        from_secrets(secrets_dir, Config.model_fields),
        from_toml(path),
    )
    problems = [problem for layer in layers for problem in layer.problems]
    exposed = partial(
        exposed_keys,
        file=path,
        keys_in_file=_account_keys(layers[-1]),
        keys_in_argv=tuple(key for key in layers[0].origins if _is_secret(key, layers[0])),
        secret_files={key: file for layer in layers for key, file in layer.files.items() if key in ACCOUNT_KEYS},
    )
    config, wrong = _validate(layers)
    problems += wrong
    doubtful = {problem.key for problem in problems}
    for keys, message in (*contradictions(config), *exposed(config)):
        # What is wrong by itself has been said; nothing is concluded from it.
        if not doubtful.intersection(keys):
            problems.append(Problem(keys[0], _origin(layers, tuple(keys[0].split("."))), message))
    if problems:
        raise ConfigError(problems)
    config.remember_origins(_origins(layers, config))
    return config


def find_data_dir(
    path: Path | None = None, overrides: Iterable[str] = (), env: Mapping[str, str] | None = None
) -> Path:
    """Say where a daemon keeps its data, also where the rest of its configuration is wrong, or its keys are elsewhere.

    Who wants to halt a daemon, or to copy its journal, needs to know no more of it. What is wrong with the overrides
    is not overlooked: they were meant for this command. Raises `ConfigError`.
    """
    overrides = tuple(overrides)
    try:
        return load_config(path, overrides, env).data_dir
    except ConfigError as error:
        if any(problem.origin == "--set" or problem.key == "data_dir" for problem in error.problems):
            raise
    for layer in (from_overrides(overrides), from_environment(os.environ if env is None else env), from_toml(path)):
        if layer.has(("data_dir",)):
            return Path(str(layer.values["data_dir"]))
        if any(not problem.key for problem in layer.problems):
            raise ConfigError(layer.problems)  # The file may name a directory, but cannot be read.
    return Config.model_fields["data_dir"].get_default()  # type: ignore[no-any-return]  # pydantic does not know which


def _account_keys(layer: Layer) -> tuple[str, ...]:
    return tuple(key for key in ACCOUNT_KEYS if layer.has(tuple(key.split("."))))


def _is_secret(key: str, layer: Layer) -> bool:
    """Tell whether a dotted key is that of a secret, of a table of secrets, or of a template's token."""
    section, _, rest = key.partition(".")
    if section == "templates":
        return rest.endswith(".token") or (not rest and "token" in str(layer.values[section]))
    model = SECTIONS.get(section)
    field = None if model is None else model.model_fields.get(rest.partition(".")[0])
    return field is not None and _holds_secrets(field.annotation)


def _holds_secrets(kind: object) -> bool:
    return kind is SecretStr or any(map(_holds_secrets, get_args(kind)))


def _validate(layers: tuple[Layer, ...]) -> tuple[Config, list[Problem]]:
    """Validate; wrong keys are noted and left out, so that the rest can be checked for contradictions."""
    problems: dict[tuple[str, str], Problem] = {}
    while True:
        try:
            with using(layers):
                return Config(), list(problems.values())
        except ValidationError as error:
            for wrong in error.errors(include_url=False):
                path = tuple(str(part) for part in wrong["loc"] if part != "[key]")
                problem = Problem(".".join(path), _origin(layers, path), _expectation(wrong, path))
                problems.setdefault((problem.key, problem.message), problem)
            for wrong in error.errors(include_url=False):
                # A list is right or wrong as a whole, as is a table of free keys: drop down to the key of a section.
                path = tuple(str(part) for part in wrong["loc"][:2])
                for layer in layers:
                    layer.drop(path)


def _expectation(error: Any, path: tuple[str, ...]) -> str:  # pydantic's ErrorDetails, which it types loosely
    match error["type"]:
        case "extra_forbidden":
            return "is not a setting" + _did_you_mean(path)
        case "int_parsing" | "int_type" | "int_from_float":
            text = "should be a whole number"
        case "decimal_type" | "decimal_parsing" | "finite_number":
            text = "should be a finite number"
        case "model_type" | "model_attributes_type" | "dict_type":
            text = "should be a table"
        case "bool_parsing" | "bool_type":
            text = "should be true or false"
        case "string_pattern_mismatch":
            text = SHAPES.get(path[:2], f"should match {error['ctx']['pattern']}")
        case _:
            text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text + _got(path, error["input"])


def _got(path: tuple[str, ...], value: object) -> str:
    if any(is_secret_name(part) for part in path) or path[:2] == ("alerts", "sinks"):
        return ""
    if len(path) == 1 and (section := SECTIONS.get(path[0])) and any(map(is_secret_name, section.model_fields)):
        return ""  # Whoever writes a whole section as a text may have put a key into it.
    return f", not {str(value)[:60]!r}" if isinstance(value, str | int | float) or hasattr(value, "as_tuple") else ""


def _did_you_mean(path: tuple[str, ...]) -> str:
    names: list[str] = []
    if len(path) == 1:
        names = list(Config.model_fields)
    elif section := SECTIONS.get(path[0]):
        names = list(section.model_fields)
    close = difflib.get_close_matches(path[-1], names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _origin(layers: tuple[Layer, ...], path: tuple[str, ...]) -> str:
    """Say where the value of a key comes from: the first source that has it."""
    for layer in layers:
        if layer.has(path):
            return layer.origin_of(path)
    for layer in layers:
        if len(path) > 1 and layer.has(path[:-1]):
            return layer.origin_of(path[:-1])
    return "default"


def _origins(layers: tuple[Layer, ...], config: Config) -> dict[str, str]:
    origins: dict[str, str] = {}
    for name in Config.model_fields:
        value = getattr(config, name)
        paths = [(name, key) for key in type(value).model_fields] if isinstance(value, Section) else [(name,)]
        for path in paths:
            origin = _origin(layers, path) if any(layer.has(path) for layer in layers) else "default"
            if origin == "default" and path[-1] in MODE_DEFAULTS[config.mode].get(name, {}):
                origin = f"default of {config.mode} mode"
            origins[".".join(path)] = origin
    return origins
