"""The configuration: what can be set, where it comes from, and what is wrong with it."""

from __future__ import annotations

from adapters.config.layers import Problem
from adapters.config.load import DEFAULT_FILE, ConfigError, find_config, find_data_dir, load_config
from adapters.config.model import (
    Config,
    Dedup,
    Gate,
    Http,
    Limits,
    Log,
    Mode,
    Paper,
    Twap,
    Venue,
    Watcher,
)
from adapters.config.show import Setting, commented_toml, config_origins, describe, write_commented_toml

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "ConfigError",
    "Dedup",
    "Gate",
    "Http",
    "Limits",
    "Log",
    "Mode",
    "Paper",
    "Problem",
    "Setting",
    "Twap",
    "Venue",
    "Watcher",
    "commented_toml",
    "config_origins",
    "describe",
    "find_config",
    "find_data_dir",
    "load_config",
    "write_commented_toml",
]
