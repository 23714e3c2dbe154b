from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path

import pytest

from adapters.config import Config, commented_toml, config_origins, describe, load_config, write_commented_toml
from adapters.redaction import MASK


def uncommented(text: str) -> str:
    return re.sub(r"^#([a-z0-9_]+ = )", r"\1", text, flags=re.MULTILINE)


def test_the_commented_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(commented_toml())

    assert load_config(path, env={}) == Config()
    assert not any(tomllib.loads(commented_toml()).values())


def test_the_commented_file_without_its_comment_signs_says_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(uncommented(commented_toml()))

    config = load_config(path, env={})

    assert config == Config()
    origins = config_origins(config)
    assert {key for key, origin in origins.items() if not origin.startswith(str(path))} == {"templates"}


def test_the_commented_file_explains_every_setting() -> None:
    text = commented_toml()

    for setting in describe(Config()):
        assert setting.help
        assert f"# {setting.help}\n" in text


def test_the_commented_file_holds_no_secret_of_the_configuration_it_is_made_from() -> None:
    config = load_config(None, ["venue.api_key=hush"], {"TIDEGATE__HTTP__TOKEN": "hush"})

    assert "hush" not in commented_toml(config)


def test_the_file_is_never_overwritten_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"

    write_commented_toml(path)
    assert path.read_text() == commented_toml()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_commented_toml(path)
    assert path.read_text() == "mine"


def test_every_setting_is_listed_with_value_and_origin() -> None:
    settings = ["twap.num_chunks=9", "twap.interval_seconds=1234567", "gate.cooldown_seconds=0.25"]
    config = load_config(None, settings, {"TIDEGATE__LOG__LEVEL": "DEBUG"})

    shown = {setting.key: (setting.value, setting.origin) for setting in describe(config)}

    assert shown["twap.num_chunks"] == ("9", "--set")
    assert shown["twap.interval_seconds"] == ("1234567", "--set")
    assert shown["gate.cooldown_seconds"] == ("0.25", "--set")
    assert shown["log.level"] == ('"debug"', "environment TIDEGATE__LOG__LEVEL")
    assert shown["twap.max_spread"] == ("0.005", "default")
    assert shown["twap.check_spread"] == ("true", "default")
    assert shown["twap.guard_wait_seconds"] == ('""', "default")
    assert shown["gate.symbols"][0] == '["BTCUSDT", "ETHUSDT", "DOGEUSDT", "BNBUSDT"]'
    assert shown["paper.balances"][0] == "{ BTC = 10, ETH = 200, USDT = 1000000, BNB = 20 }"
    assert shown["limits.max_notional"] == ("2000000", "default of paper mode")
    assert set(shown) == set(config_origins(config))


def test_a_configuration_that_was_not_loaded_shows_defaults() -> None:
    assert {setting.origin for setting in describe(Config())} == {"default"}


def test_secrets_are_masked_where_settings_are_listed() -> None:
    config = Config.model_validate(
        {
            "http": {"token": "hush"},
            "venue": {"api_key": "hush", "api_secret": "hush", "private_key_passphrase": "hush"},
            "paper": {"api_key": "hush", "api_secret": "hush"},
            "alerts": {"sinks": {"phone": "tgram://hush/1"}, "routes": {"halt": ("phone",)}},
            "templates": {"tv": {"token": "hush", "path": 'a"b\\c'}},
        },
    )

    shown = {setting.key: setting.value for setting in describe(config)}

    assert "hush" not in str(shown)
    assert shown["http.token"] == f'"{MASK}"'
    assert shown["alerts.sinks"] == '{ phone = "**********" }'
    assert shown["alerts.routes"] == '{ halt = ["phone"] }'
    assert shown["templates"] == f'{{ tv = {{ token = "{MASK}", path = "a\\"b\\\\c" }} }}'
