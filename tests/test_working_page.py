"""docs/working.md against the settings, the signal's options and the guards that it speaks of."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from actors.twap.guards import _POLICIES
from adapters.config.model import Policy, Twap
from messages.signal import TwapOptions

PAGE = (Path(__file__).parents[1] / "docs/working.md").read_text()


def test_every_option_of_a_signal_is_on_the_page() -> None:
    table = PAGE.split("## The plan")[1].split("## Guards")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert {option.name for option in fields(TwapOptions)} <= named


def test_every_guard_is_on_the_page_with_its_default_policy() -> None:
    rows = re.findall(r"\| `(on_\w+)` \(`(\w+)`\) \| `([A-Z_]+)", PAGE)
    told = {setting: policy for setting, policy, _ in rows}
    assert told == {setting: Twap.model_fields[setting].default for setting in _POLICIES.values()}
    assert {(reason, setting) for setting, _, reason in rows} == {
        (str(reason), setting) for reason, setting in _POLICIES.items()
    }


def test_every_policy_is_explained() -> None:
    assert set(re.findall(r"^- `(\w+)`:", PAGE, re.MULTILINE)) == set(get_args(Policy))


def test_every_setting_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:max|min|guard|on|slice|partial|catch|extra|slot|depth|deviation|check)_\w+)`", PAGE))
    assert named <= set(Twap.model_fields) | {option.name for option in fields(TwapOptions)}
