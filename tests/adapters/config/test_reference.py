from __future__ import annotations

from pathlib import Path

from adapters.config import Config, describe
from adapters.config.reference import reference

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == reference(), "run: python -m adapters.config.reference > docs/configuration.md"


def test_every_setting_is_in_it_once() -> None:
    for setting in describe(Config()):
        assert reference().count(f"| `{setting.key}` |") == 1


def test_defaults_that_depend_on_the_mode_are_told_as_such() -> None:
    assert "| `limits.max_notional` | `2000000` in paper mode, else `1000` |" in reference()
    assert "| `venue.rest_url` | depends on the mode |" in reference()
