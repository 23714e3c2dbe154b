from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from actors.twap.settings import TwapSettings
from adapters.config import Config, Gate, Limits, load_config
from adapters.config.model import MODE_DEFAULTS, SECTIONS, Section
from adapters.config.show import explained


def test_every_section_refuses_unknown_keys_and_changes() -> None:
    assert set(SECTIONS) == {"http", "gate", "dedup", "limits", "twap", "watcher", "venue", "paper", "alerts", "log"}
    for section in SECTIONS.values():
        assert section.model_config.get("extra") == "forbid"
        assert section.model_config.get("frozen") is True
        with pytest.raises(ValidationError):
            section.model_validate({"unheard_of": 1})


def test_every_setting_is_explained_and_has_a_default_that_is_valid() -> None:
    models: list[type[BaseModel]] = [*SECTIONS.values(), Config]
    for model in models:
        for name, field in model.model_fields.items():
            assert name in explained(model) or name in SECTIONS, f"{model.__name__}.{name} is not explained"
            assert not field.is_required()
        if issubclass(model, Section):
            assert model.model_validate(model().model_dump()) == model()


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().mode = "live"
    with pytest.raises(ValidationError):
        Config().http.port = 1


def test_paper_mode_lets_a_large_order_through_and_opposite_signals_run() -> None:
    config = Config()

    assert config.limits.max_notional is not None
    assert config.limits.max_notional >= 12 * 65_000
    assert config.limits.max_open_notional_per_symbol is not None
    assert config.limits.max_open_notional_per_symbol >= config.limits.max_notional
    assert config.limits.max_executions is not None
    assert config.limits.max_executions >= 100
    assert config.gate.opposite_signals == "both"


@pytest.mark.parametrize("mode", ["testnet", "demo", "live"])
def test_modes_that_reach_an_exchange_are_cautious(mode: str) -> None:
    config = Config.model_validate({"mode": mode})

    assert config.limits == Limits()
    assert config.limits.max_notional == Decimal(1_000)
    assert config.limits.max_executions_per_symbol == 1
    assert config.gate.opposite_signals == "refuse"
    assert config.venue.rest_url == MODE_DEFAULTS[mode]["venue"]["rest_url"]


def test_what_is_set_wins_over_what_the_mode_implies() -> None:
    config = load_config(None, ["gate.opposite_signals=refuse", "limits.max_executions=3"], {})

    assert config.gate.opposite_signals == "refuse"
    assert config.limits.max_executions == 3
    assert config.limits.max_notional == Config().limits.max_notional


def test_a_section_given_as_a_whole_is_taken_as_it_is() -> None:
    assert Config(gate=Gate(), limits=Limits(max_executions=7)).limits.max_notional == Decimal(1_000)
    assert Config(gate=Gate()).gate.opposite_signals == "refuse"


def test_the_defaults_are_those_that_the_documents_name() -> None:
    config = Config()

    assert config.dedup.cache_ttl_seconds == 600
    assert config.dedup.price_rounding_decimals == 0
    assert config.dedup.price_tolerance_bps == 10
    assert config.dedup.retention_days == 7
    assert config.twap.num_chunks == 5
    assert config.twap.interval_seconds == 30
    assert config.twap.max_price_deviation == Decimal("0.01")
    assert config.twap.min_chunk_value == 50
    assert config.twap.max_spread == Decimal("0.005")
    assert config.twap.slice_above_notional == 1_000
    assert (config.twap.child, config.twap.catch_up) == ("ioc", "spread")
    assert config.twap.cap_bps == 20
    assert config.watcher.poll_interval_seconds == 2
    assert config.watcher.timeout_seconds == 30
    assert config.venue.recv_window_ms == 2_000
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8787)
    assert (config.paper.api_key, config.paper.api_secret) == ("paper-key", "paper-secret")
    assert config.paper.balances == {"BTC": 10, "ETH": 200, "USDT": 1_000_000, "BNB": 20}


def test_an_executions_own_defaults_are_those_of_the_configuration() -> None:
    names = {"max_quote_age": "max_quote_age_seconds"}
    twap = Config().twap

    for field in fields(TwapSettings):
        assert field.default == getattr(twap, names.get(field.name, field.name)), field.name
