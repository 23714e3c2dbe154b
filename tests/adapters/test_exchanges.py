from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters import exchanges, exits
from adapters.binance.keys import KeyProblem, check_key
from adapters.binance.settings import BinanceSettings
from adapters.binance.signing import BadKey, signer_of
from adapters.config import Config
from adapters.exchanges import paper_command, paper_settings, quiet_until_of
from messages.control import Committed
from messages.facts import ChildRefused, RateLimited
from messages.frozen import replace
from run import settings_of
from tests.factories import NOW


def test_the_paper_exchange_gets_the_bounds_that_are_configured() -> None:
    config = Config.model_validate({"paper": {"orders_per_10_seconds": 7}})
    command = paper_command(config)
    assert command[command.index("--orders-per-10-seconds") + 1] == "7"
    assert paper_settings(config, 1).limits.orders_per_10_seconds == 7


def test_the_paper_exchange_is_as_far_away_as_configured() -> None:
    for latency, text in (("5-80", "5-80"), (20, "20")):
        command = paper_command(Config.model_validate({"paper": {"latency": latency}}))
        assert command[command.index("--latency") + 1] == text


def test_commissions_are_paid_in_bnb_where_that_is_configured_and_not_by_themselves() -> None:
    usual, discounted = Config(), Config.model_validate({"paper": {"bnb_discount": True}})
    assert "--bnb-discount" not in paper_command(usual)
    assert "--bnb-discount" in paper_command(discounted)
    assert [paper_settings(config, 1).fees.pay_in_bnb for config in (usual, discounted)] == [False, True]


def test_a_private_key_that_is_encrypted_is_opened_by_its_passphrase(tmp_path: Path) -> None:
    from Crypto.PublicKey import ECC

    pem = tmp_path / "key.pem"
    key = ECC.generate(curve="ed25519")
    protection: dict[str, Any] = {
        "protection": "PBKDF2WithHMAC-SHA512AndAES256-CBC",
        "prot_params": {"iteration_count": 10},  # Few, for they cost a second.
    }
    pem.write_text(key.export_key(format="PEM", passphrase="sesame", use_pkcs8=True, **protection))

    def settings(passphrase: str) -> BinanceSettings:
        venue = {"api_key": "k", "private_key_file": pem, "private_key_passphrase": passphrase}
        with exchanges.exchange_of(Config.model_validate({"mode": "testnet", "venue": venue})) as found:
            assert passphrase not in repr(found)
            return found

    def signature(found: BinanceSettings) -> str:
        return signer_of(found.api_secret, found.private_key, found.private_key_pass).sign("x")

    assert signature(settings("sesame")) == signer_of(None, key.export_key(format="PEM")).sign("x")
    with pytest.raises(BadKey, match="no readable"):
        signature(settings("wrong"))


@pytest.mark.process
def test_a_key_of_ones_own_opens_the_paper_exchange_that_the_daemon_starts(tmp_path: Path) -> None:
    config = Config.model_validate({"data_dir": tmp_path, "paper": {"api_key": "mine", "api_secret": "hush"}})
    assert "hush" not in paper_command(config)
    with exchanges.exchange_of(config) as settings:
        assert settings.api_key == "mine"
        assert check_key(settings) == ()


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


@pytest.mark.parametrize("allowed", [True, False])
def test_a_key_that_may_too_much_is_told_at_every_start_that_it_is_allowed_for(
    monkeypatch: pytest.MonkeyPatch, *, allowed: bool
) -> None:
    problems = tuple(KeyProblem(text, f"the key may {text}", dangerous=True) for text in ("withdraw", "transfer"))
    monkeypatch.setattr(exchanges, "check_key", lambda *_, **__: problems if allowed else ())
    venue = {"api_key": "k", "api_secret": "s", "allow_dangerous_key": True}
    live = Config.model_validate({"mode": "live", "consent": "main", "venue": venue})
    with capture_logs() as told:
        for _ in range(2):
            with exchanges.exchange_of(live):
                pass
    text = "the key may withdraw; the key may transfer; it is used because venue.allow_dangerous_key says so"
    assert [(one["event"], one["log_level"]) for one in told] == ([(text, "warning")] * 2 if allowed else [])


def test_a_key_that_does_not_work_is_refused_whatever_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = (
        KeyProblem("W", "it may withdraw", dangerous=True),
        KeyProblem("T", "it may not trade", dangerous=False),
    )
    monkeypatch.setattr(exchanges, "check_key", lambda *_, **__: problems)
    venue = {"api_key": "k", "api_secret": "s", "allow_dangerous_key": True}
    live = Config.model_validate({"mode": "live", "consent": "main", "venue": venue})
    with pytest.raises(exits.Exit) as end, exchanges.exchange_of(live):
        pass
    assert (end.value.code, end.value.text) == (exits.KEY_REFUSED, "this key is refused: it may not trade")


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
    refused = ChildRefused(
        execution_id="e", client_order_id="c", symbol="S", code=-1003, message="", until=NOW + timedelta(minutes=3)
    )
    assert quiet_until_of([Committed(1, NOW, refused)], NOW) == NOW + timedelta(minutes=3)
    for other in (replace(refused, code=-1015), replace(refused, until=None)):
        assert quiet_until_of([Committed(1, NOW, other)], NOW) is None
    set_back = NOW - timedelta(days=1)
    assert quiet_until_of(facts[2:], set_back) == set_back + timedelta(minutes=1), "no longer than was asked for"
