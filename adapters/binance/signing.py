"""Signatures: HMAC-SHA256, RSA and Ed25519 over the text that is sent (protocol §2)."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What percent-encoding leaves as it is: nearly all that is ever sent."""


class BadKey(ValueError):
    """A private key that cannot be read; the text says nothing of its content."""


class Signer(Protocol):
    """Whoever can sign a text."""

    def sign(self, payload: str) -> str:
        """Return the signature as text, not percent-encoded."""


class HmacSigner:
    """Signs with a shared secret: hexadecimal."""

    def __init__(self, secret: str) -> None:
        """Keep the secret; it shows nowhere."""
        self._secret = secret.encode()

    def sign(self, payload: str) -> str:
        """Sign."""
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()


class PrivateKeySigner:
    """Signs with an Ed25519 or RSA (PKCS#1 v1.5, SHA-256) key in PEM form: base64."""

    def __init__(self, pem: str, passphrase: str | None = None) -> None:
        """Read the key, whatever its line ends. Raises `BadKey`."""
        from Crypto.PublicKey import ECC, RSA

        text = pem.replace("\r\n", "\n").strip()
        self._rsa: RSA.RsaKey | None = None
        self._ecc: ECC.EccKey | None = None
        try:
            self._ecc = ECC.import_key(text, passphrase)
        except (ValueError, IndexError, TypeError):
            try:
                self._rsa = RSA.import_key(text, passphrase)
            except (ValueError, IndexError, TypeError):
                raise BadKey("the private key is no readable Ed25519 or RSA key in PEM form") from None
        private = self._rsa.has_private() if self._rsa is not None else self._is_ed25519()
        if not private:
            raise BadKey("the key is no private Ed25519 or RSA key")

    def sign(self, payload: str) -> str:
        """Sign."""
        from Crypto.Hash import SHA256
        from Crypto.Signature import eddsa, pkcs1_15

        content = payload.encode()
        if self._rsa is not None:
            return b64encode(pkcs1_15.new(self._rsa).sign(SHA256.new(content))).decode()
        assert self._ecc is not None
        return b64encode(eddsa.new(self._ecc, "rfc8032").sign(content)).decode()

    def _is_ed25519(self) -> bool:
        assert self._ecc is not None
        return self._ecc.curve == "Ed25519" and self._ecc.has_private()


def signer_of(api_secret: str | None, private_key: str | None, private_key_pass: str | None = None) -> Signer:
    """Choose the signer of a key. Raises `BadKey` if there is none, or two."""
    if (api_secret is None) == (private_key is None):
        raise BadKey("exactly one of a secret and a private key is needed")
    if private_key is not None:
        return PrivateKeySigner(private_key, private_key_pass)
    assert api_secret is not None
    return HmacSigner(api_secret)


def rest_payload(params: Mapping[str, str]) -> str:
    """Write parameters as they go into a query or a form: sorted by name, percent-encoded."""
    return "&".join([f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(params.items())])


def _encoded(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def signed_rest(params: Mapping[str, str], signer: Signer) -> str:
    """Write parameters and, last, the signature over exactly this text."""
    payload = rest_payload(params)
    return f"{payload}&signature={_encoded(signer.sign(payload))}"


def signed_ws(params: Mapping[str, str | int], api_key: str, signer: Signer) -> dict[str, str | int]:
    """Add key and signature to a WebSocket API request's parameters, which have their timestamp.

    What is signed is sorted by name and not percent-encoded.
    """
    complete = {**params, "apiKey": api_key}
    payload = "&".join(f"{name}={value}" for name, value in sorted(complete.items()))
    return {**complete, "signature": signer.sign(payload)}
