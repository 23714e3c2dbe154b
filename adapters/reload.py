"""What of the configuration may change while the daemon runs, and what needs a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.config import Config

SAFE: Final = ("log.level", "alerts.")
"""Settings, or beginnings of their names, that no order depends on."""


@dataclass(frozen=True, slots=True)
class Reload:
    """The names of the settings that changed: those that take effect, and those that need a restart."""

    applied: tuple[str, ...]
    refused: tuple[str, ...]


def compare(old: Config, new: Config) -> Reload:
    """Say what a reload from one to the other would change."""
    before, after = _flat(old), _flat(new)
    changed = [key for key in after if before.get(key) != after[key]]
    return Reload(
        applied=tuple(key for key in changed if key.startswith(SAFE)),
        refused=tuple(key for key in changed if not key.startswith(SAFE)),
    )


def _flat(config: Config) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in config.model_dump().items():
        if isinstance(value, dict) and name != "templates":
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat
