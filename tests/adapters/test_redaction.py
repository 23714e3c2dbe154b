from __future__ import annotations

from types import MappingProxyType

import pytest

from adapters.redaction import MASK, is_secret_name, redact, redact_text


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "api_secret",
        "apiKey",
        "api-key",
        "X-MBX-APIKEY",
        "token",
        "hook_token",
        "signature",
        "Authorization",
        "listenKey",
    ],
)
def test_a_telling_name_is_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["token_file", "private_key_file", "tokens_left", "symbol", "signal_key", "secretary"])
def test_an_innocent_name_is_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("GET /api/v3/account?timestamp=1&signature=hush", "timestamp=1"),
        ("signature=hush&timestamp=1", "timestamp=1"),
        ("headers {'X-MBX-APIKEY': 'hush', 'Accept': 'json'}", "'Accept': 'json'"),
        ('{"apiKey":"hush","symbol":"BTCUSDT"}', '"symbol":"BTCUSDT"'),
        ("Authorization: Bearer hushhush", "Authorization"),
        ("sent Bearer hushhush on", "on"),
        ("POST /hook/hush 202", "202"),
        ("redis://user:hush@host/0", "user"),
    ],
)
def test_a_secret_is_taken_out_of_a_text_and_the_rest_is_kept(text: str, kept: str) -> None:
    clean = redact_text(text)

    assert "hush" not in clean
    assert MASK in clean
    assert kept in clean


@pytest.mark.parametrize(
    "text", ['venue.api_key: is needed in mode "live"', "http.token: should have at least 22 random characters"]
)
def test_a_sentence_about_a_setting_is_left_readable(text: str) -> None:
    assert redact_text(text) == text
    assert redact_text("api_secret: is-this-hush and more") == f"api_secret: {MASK} and more"


def test_a_text_without_a_secret_is_left_alone() -> None:
    text = "execution abc: slice 3 of 5 filled 0.1 BTC at 42000 (token bucket at 40%)"

    assert redact_text(text) == text


def test_a_known_secret_is_found_wherever_it_stands() -> None:
    assert redact_text("it was swordfish-1 all along", known=("swordfish-1",)) == f"it was {MASK} all along"


def test_secrets_are_taken_out_at_every_depth() -> None:
    value = {
        "headers": MappingProxyType({"X-MBX-APIKEY": "hush"}),
        "urls": ("a?signature=hush", 3),
        "raw": b"token=hush",
    }

    assert redact(value) == {
        "headers": {"X-MBX-APIKEY": MASK},
        "urls": [f"a?signature={MASK}", 3],
        "raw": f"token={MASK}",
    }


def test_a_secret_that_is_not_set_shows_as_not_set() -> None:
    assert redact({"token": None}) == {"token": None}
