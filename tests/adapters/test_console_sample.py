from __future__ import annotations

import orjson
import pytest

from adapters import exits
from adapters.console import try_sample
from adapters.intake.signals import Body, decode_body, signal_object
from messages.signal import Signal
from tests.adapters.intake.test_templates import HUMMINGBOT, TRADINGVIEW
from tests.factories import a_signal


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_sample_is_shown_as_the_signal_that_a_hook_would_make_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert try_sample(orjson.dumps(HUMMINGBOT), "hummingbot", {}) == exits.OK
    assert orjson.loads(printed(capsys)) == {
        "symbol": "BTCUSDT",
        "side": "buy",
        "quote_quantity": "21000",
        "source": "hummingbot",
        "account": "main",
        "twap": {"duration_seconds": "600", "interval_seconds": "60", "child": "market"},
    }


def test_a_sample_that_is_refused_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    body = orjson.dumps({**TRADINGVIEW, "ticker": "BTCUSDT.P"})
    assert try_sample(body, "tradingview", {}) == exits.ERROR
    assert orjson.loads(printed(capsys))["reason"] == "NOT_SPOT"
    assert try_sample(b"nonsense", None, {}) == exits.ERROR
    assert orjson.loads(printed(capsys))["reason"] == "MALFORMED"


def test_a_template_of_the_configuration_can_be_tried_and_one_that_is_not_there_is_named() -> None:
    assert try_sample(orjson.dumps(TRADINGVIEW), "mine", {"mine": {"base": "tradingview"}}) == exits.OK
    with pytest.raises(exits.Exit) as refused:
        try_sample(b"{}", "nobody", {})
    assert refused.value.code == exits.USAGE


def test_what_is_shown_of_a_signal_is_read_as_the_same_signal() -> None:
    signal = a_signal()
    body = decode_body(orjson.dumps(signal_object(signal)))
    assert isinstance(body, Body)
    [again] = body.items
    assert isinstance(again, Signal)
    assert again == signal
