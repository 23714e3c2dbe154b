from __future__ import annotations

import hashlib
from base64 import b64decode
from urllib.parse import quote, urlencode

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import eddsa, pkcs1_15
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.signing import (
    BadKey,
    HmacSigner,
    PrivateKeySigner,
    rest_payload,
    signed_rest,
    signed_ws,
    signer_of,
)

SIGNER = HmacSigner("paper-secret")


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (
            (
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.01&price=50000.00"
                "&newClientOrderId=tw-1-0001&recvWindow=3000&timestamp=1700000000000"
            ),
            "9cd52915187d4a9d9e3cfd413443d2a1512bda30092739637bc309a9711720ae",
        ),
        (
            "symbol=%E6%B5%8B%E8%AF%95USDT&timestamp=1700000000000",
            "8b8858247707283892b3b6b03ffdfac82a3138056e649169b2850faea5870c5a",
        ),
        (
            "apiKey=paper-key&symbol=测试USDT&timestamp=1700000000000",
            "be75565a807d2ed4445bb9997ed8a503cfe892a8dc659809160d199893501a8f",
        ),
    ],
)
def test_known_payloads_get_their_known_signatures(payload: str, signature: str) -> None:
    assert SIGNER.sign(payload) == signature


def test_rest_parameters_are_encoded_before_they_are_signed() -> None:
    text = signed_rest({"timestamp": "1700000000000", "symbol": "测试USDT"}, SIGNER)
    assert text == (
        "symbol=%E6%B5%8B%E8%AF%95USDT&timestamp=1700000000000"
        "&signature=8b8858247707283892b3b6b03ffdfac82a3138056e649169b2850faea5870c5a"
    )
    assert rest_payload({"symbols": '["A","B"]'}) == "symbols=%5B%22A%22%2C%22B%22%5D"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5))
def test_parameters_are_encoded_as_forms_are_whatever_is_in_them(params: dict[str, str]) -> None:
    assert rest_payload(params) == urlencode(sorted(params.items()), quote_via=quote, safe="")


def test_parameters_of_the_websocket_api_are_signed_sorted_and_with_the_key() -> None:
    params: dict[str, str | int] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "quantity": "0.01",
        "newClientOrderId": "tw-1-0002",
        "recvWindow": 3000,
        "timestamp": 1700000000000,
    }
    signed = signed_ws(params, "paper-key", SIGNER)
    assert signed["signature"] == "5944cef68c276d247fca52abd563ae6267b07c88a34941839aa19237f1d37a25"
    assert signed["apiKey"] == "paper-key"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_ed25519_key_signs_whatever_its_line_ends(line_end: str) -> None:
    key = ECC.generate(curve="Ed25519")
    pem = str(key.export_key(format="PEM")).replace("\n", line_end)
    signature = PrivateKeySigner(pem).sign("a=1&b=测")
    eddsa.new(key.public_key(), "rfc8032").verify("a=1&b=测".encode(), b64decode(signature))
    assert "%" not in signature
    text = signed_rest({"a": "1"}, PrivateKeySigner(pem))
    assert "+" not in text.partition("signature=")[2]
    assert "/" not in text.partition("signature=")[2]


def test_an_rsa_key_signs_by_pkcs1_with_sha256() -> None:
    key = RSA.generate(1024)  # noqa: S505 - a long key takes a second to make
    pem = key.export_key(format="PEM", pkcs=8, passphrase="open").decode()
    signature = PrivateKeySigner(pem, "open").sign("a=1")
    pkcs1_15.new(key.public_key()).verify(SHA256.new(b"a=1"), b64decode(signature))


def test_keys_that_cannot_sign_are_refused_without_a_word_of_their_content() -> None:
    wrong_curve = str(ECC.generate(curve="P-256").export_key(format="PEM"))
    public = str(ECC.generate(curve="Ed25519").public_key().export_key(format="PEM"))
    locked = RSA.generate(1024).export_key(format="PEM", pkcs=8, passphrase="open").decode()  # noqa: S505 - a long key takes a second to make
    for pem in ("nonsense-" + hashlib.sha256(b"x").hexdigest(), wrong_curve, public, locked):
        with pytest.raises(BadKey) as caught:
            PrivateKeySigner(pem)
        assert pem[10:40] not in str(caught.value)


def test_exactly_one_key_is_needed() -> None:
    pem = str(ECC.generate(curve="Ed25519").export_key(format="PEM"))
    assert isinstance(signer_of("secret", None), HmacSigner)
    assert isinstance(signer_of(None, pem), PrivateKeySigner)
    for secret, key in ((None, None), ("secret", pem)):
        with pytest.raises(BadKey, match="exactly one"):
            signer_of(secret, key)
