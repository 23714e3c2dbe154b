from __future__ import annotations

from datetime import timedelta

import pytest

from adapters.intake.signatures import (
    KEY,
    NONCE,
    NONCE_LIFE,
    SIGNATURE,
    TIMESTAMP,
    Signed,
    sign,
    signed_headers,
    signer_of,
)
from tests.factories import NOW

SECRETS = {"desk": "a-secret-of-a-desk", "other": "another-secret"}
BODY = b'{"symbol": "BTCUSDT"}'
HEADERS = signed_headers("desk", SECRETS["desk"], NOW, "nonce-0001", BODY)
TICK = timedelta(milliseconds=1)


def test_a_right_signature_names_its_key_and_its_nonce() -> None:
    assert signer_of(HEADERS, BODY, SECRETS, NOW) == Signed("desk", "nonce-0001", NOW + NONCE_LIFE)


@pytest.mark.parametrize("away", [timedelta(seconds=30), timedelta(seconds=-30), timedelta(0)])
def test_a_request_counts_within_thirty_seconds_either_way(away: timedelta) -> None:
    assert signer_of(HEADERS, BODY, SECRETS, NOW + away) is not None


@pytest.mark.parametrize("away", [timedelta(seconds=30) + TICK, timedelta(seconds=-30) - TICK])
def test_a_late_or_early_request_does_not(away: timedelta) -> None:
    assert signer_of(HEADERS, BODY, SECRETS, NOW + away) is None


@pytest.mark.parametrize(
    "change",
    [
        {KEY: "other"},
        {KEY: "nobody"},
        {KEY: ""},
        {NONCE: "nonce-0002"},
        {NONCE: "short"},
        {NONCE: "has space in it"},
        {TIMESTAMP: str(int(HEADERS[TIMESTAMP]) + 1)},
        {TIMESTAMP: "now"},
        {TIMESTAMP: ""},
        {SIGNATURE: "0" * 64},
        {SIGNATURE: "ä" * 64},
        {SIGNATURE: ""},
    ],
)
def test_nothing_under_the_signature_can_be_changed(change: dict[str, str]) -> None:
    assert signer_of({**HEADERS, **change}, BODY, SECRETS, NOW) is None


def test_nor_the_body() -> None:
    assert signer_of(HEADERS, BODY + b" ", SECRETS, NOW) is None
    assert signer_of({}, BODY, SECRETS, NOW) is None


def test_what_an_unknown_key_is_compared_with_is_no_key() -> None:
    forged = {**HEADERS, KEY: "nobody"}
    for secret in ("", "compared with, so that an unknown key takes as long as a known one"):
        forged[SIGNATURE] = sign(secret, HEADERS[TIMESTAMP], HEADERS[NONCE], BODY)
        assert signer_of(forged, BODY, SECRETS, NOW) is None


def test_the_signature_is_hmac_sha256_of_timestamp_nonce_and_body() -> None:
    # The example of docs/intakes.md, which any language's library reproduces.
    assert (
        sign("a-secret-of-a-desk", "1782907200000", "nonce-0001", BODY)
        == "da731a21bd4b5f4579afa6ccd8f98a71f9fc29a3498e37a49a0d7488958a039c"
    )
