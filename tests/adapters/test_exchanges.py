from __future__ import annotations

from decimal import Decimal

from adapters.config import Config
from adapters.exchanges import paper_command, paper_settings
from run import settings_of


def test_the_paper_exchange_gets_the_bounds_that_are_configured() -> None:
    config = Config.model_validate({"paper": {"orders_per_10_seconds": 7}})
    command = paper_command(config)
    assert command[command.index("--orders-per-10-seconds") + 1] == "7"
    assert paper_settings(config, 1).limits.orders_per_10_seconds == 7


def test_the_numbers_of_a_proof_reach_the_watcher() -> None:
    numbers = {"engine_wait_seconds": "1", "margin_seconds": "0.5", "absent_after_seconds": "7"}
    watcher = settings_of(Config.model_validate({"watcher": numbers})).watcher
    assert {name: Decimal(str(getattr(watcher, name))) for name in numbers} == {
        name: Decimal(value) for name, value in numbers.items()
    }
