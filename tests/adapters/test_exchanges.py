from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from adapters import exchanges, exits
from adapters.binance.keys import KeyProblem
from adapters.config import Config
from adapters.exchanges import paper_command, paper_settings, quiet_until_of
from messages.control import Committed
from messages.facts import RateLimited
from run import settings_of
from tests.factories import NOW


def test_the_paper_exchange_gets_the_bounds_that_are_configured() -> None:
    config = Config.model_validate({"paper": {"orders_per_10_seconds": 7}})
    command = paper_command(config)
    assert command[command.index("--orders-per-10-seconds") + 1] == "7"
    assert paper_settings(config, 1).limits.orders_per_10_seconds == 7


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (KeyProblem("UNREACHABLE", "no answer", dangerous=False), exits.UNAVAILABLE),
        (KeyProblem("NOT_ANSWERED", "status 400", dangerous=False), exits.KEY_REFUSED),
        (KeyProblem("WITHDRAWALS", "it may withdraw", dangerous=True), exits.KEY_REFUSED),
    ],
)
def test_a_network_that_is_down_is_no_refused_key_for_the_service_manager_does_not_try_that_again(
    monkeypatch: pytest.MonkeyPatch, problem: KeyProblem, code: int
) -> None:
    monkeypatch.setattr(exchanges, "check_key", lambda *_, **__: (problem,))
    live = {"mode": "live", "consent": "main", "venue": {"api_key": "k", "api_secret": "s"}}
    with pytest.raises(exits.Exit) as end, exchanges.exchange_of(Config.model_validate(live)):
        pass
    assert end.value.code == code
    assert problem.detail in end.value.text


def test_the_numbers_of_a_proof_reach_the_watcher() -> None:
    numbers = {"engine_wait_seconds": "1", "margin_seconds": "0.5", "absent_after_seconds": "7"}
    watcher = settings_of(Config.model_validate({"watcher": numbers})).watcher
    assert {name: Decimal(str(getattr(watcher, name))) for name in numbers} == {
        name: Decimal(value) for name, value in numbers.items()
    }


def test_what_the_journal_remembers_of_a_ban_holds_for_what_is_left_of_it() -> None:
    def told(minutes: int, at: datetime) -> Committed:
        return Committed(1, at, RateLimited(until=at + timedelta(minutes=minutes), banned=True, detail=""))

    facts = [told(2, NOW - timedelta(minutes=5)), told(30, NOW - timedelta(minutes=10)), told(1, NOW)]
    assert quiet_until_of(facts, NOW) == NOW + timedelta(minutes=20)
    assert quiet_until_of(facts[:1], NOW) is None
    assert quiet_until_of([], NOW) is None
    set_back = NOW - timedelta(days=1)
    assert quiet_until_of(facts[2:], set_back) == set_back + timedelta(minutes=1), "no longer than was asked for"
