from __future__ import annotations

from adapters.config import load_config
from adapters.reload import Reload, compare


def test_nothing_changed_is_nothing_applied() -> None:
    assert compare(load_config(None, [], {}), load_config(None, [], {})) == Reload((), ())


def test_log_level_and_alerts_take_effect_and_all_else_needs_a_restart() -> None:
    fresh = load_config(
        None,
        ["log.level=debug", "alerts.level=error", "alerts.quiet=22:00-06:00", "twap.num_chunks=9", "log.format=json"],
        {},
    )
    found = compare(load_config(None, [], {}), fresh)
    assert found.applied == ("alerts.level", "alerts.quiet", "log.level")
    assert found.refused == ("twap.num_chunks", "log.format")


def test_what_stands_in_no_section_needs_a_restart() -> None:
    found = compare(load_config(None, [], {}), load_config(None, ["account=fund", "data_dir=x"], {}))
    assert set(found.refused) == {"account", "data_dir"}
