"""What `run.py` and the house join together: parts that each have their tests are of no use if nobody connects them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import run
from adapters import exits, service
from adapters.config import Config
from adapters.house import House
from messages.control import DaemonEnded

SETTINGS = {
    "account": "desk",
    "archive_after_days": "3",
    "gate": {"symbols": ["ETHUSDT"], "cooldown_seconds": "7"},
    "dedup": {"cache_ttl_seconds": "77", "price_tolerance_bps": "3", "retention_days": "4"},
    "limits": {"max_notional": "1234"},
    "twap": {"num_chunks": 9, "interval_seconds": "11", "max_spread": "0.003"},
    "venue": {"recv_window_ms": 1234},
    "watcher": {"poll_interval_seconds": "3", "timeout_seconds": "33"},
}


def test_what_is_configured_reaches_the_actor_that_it_is_for() -> None:
    settings = run.settings_of(Config.model_validate(SETTINGS), rebuild_since=5)
    assert (settings.mode, settings.version) == ("paper", run.VERSION)
    assert (settings.exchange.recv_window_ms, settings.exchange.symbols) == (1234, ("ETHUSDT",))
    assert settings.exchange.environment == "p"
    assert (settings.watcher.poll_interval_seconds, settings.watcher.timeout_seconds) == (3.0, 33.0)
    assert settings.watcher.rebuild_since == 5
    assert (settings.gate.accounts, settings.gate.symbols) == (("desk",), ("ETHUSDT",))
    assert str(settings.gate.max_notional) == "1234"
    dedup = settings.gate.dedup
    numbers = (dedup.cache_ttl_seconds, dedup.price_tolerance_bps, dedup.retention_days)
    assert [str(number) for number in numbers] == ["77", "3", "4"]
    assert (settings.twap.num_chunks, str(settings.twap.max_spread)) == (9, "0.003")
    assert settings.retention is not None
    assert (settings.retention.after_days, settings.retention.cache_ttl_seconds) == (3.0, 77.0)
    assert settings.retention.cooldown_seconds == 7.0


def test_a_daemon_is_told_of_everything_that_its_house_has_and_that_an_earlier_life_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, Any] = {}

    def start(observer: object, **given: Any) -> str:
        told.update(given, observer=observer)
        return "the daemon"

    monkeypatch.setattr(run, "start_daemon", start)
    vitals = SimpleNamespace(tap=lambda venue: f"a tap on {venue}")
    house: Any = SimpleNamespace(
        vitals=vitals,
        venue="the venue",
        timed_store="a timed store",
        note=SimpleNamespace(left="the journal had failed"),
        unsaid=SimpleNamespace(broken="a promise was broken", failed="a part had failed"),
        config=Config(),
        rebuild_since=None,
    )
    daemon: Any = run.begin(house)
    assert daemon == "the daemon"
    assert told.pop("settings") == run.settings_of(Config())
    assert told == {
        "observer": house,
        "store": "a timed store",
        "venue": "a tap on the venue",
        "market": "a tap on the venue",
        "alerts": house.note,
        "lookout": vitals,
        "failed_before": "the journal had failed",
        "broken_before": "a promise was broken",
        "died_before": "a part had failed",
    }


@pytest.mark.wire
@pytest.mark.timeout(170)
def test_a_venue_that_breaks_ends_the_daemon_of_its_house(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    config = Config.model_validate({"data_dir": tmp_path / "data", "gate": {"symbols": ["BTCUSDT"]}})
    with House(config, run.begin) as house:
        house.start()
        house.wait_until_ready()
        house.venue._note_hung("the loop hangs")
        while not isinstance(news := house.news(starting=False), DaemonEnded):
            pass
    assert (news.exit_code, news.detail) == (exits.ERROR, "the loop hangs")


def test_whatever_is_secret_is_known_to_the_log_before_anything_is_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: list[str] = []

    def setup(*_: object, secrets: list[str]) -> None:
        known.extend(secrets)
        raise InterruptedError

    monkeypatch.setattr(service, "setup_logging", setup)
    secrets = {
        "venue": {"api_key": "secret-key", "api_secret": "secret-secret", "private_key_passphrase": "secret-phrase"},
        "http": {"token": "secret-token-0123456789", "signing_keys": {"k": "secret-signing-0123456789"}},
        "alerts": {"sinks": {"phone": "json://secret-sink"}},
    }
    config = Config.model_validate({"mode": "testnet", "data_dir": tmp_path / "data", **secrets})
    with pytest.raises(InterruptedError):
        service.serve(config, run.begin, stdin=False)
    assert {
        "secret-key",
        "secret-secret",
        "secret-phrase",
        "secret-token-0123456789",
        "secret-signing-0123456789",
        "json://secret-sink",
    } <= set(known)
