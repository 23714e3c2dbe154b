"""API keys and the proof that a request was signed with one (protocol §2)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from adapters.paper.errors import ExchangeError

BAD_SIGNATURE = (-1022, "Signature for this request is not valid.")
BAD_KEY_FORMAT = (-2014, "API-key format invalid.")
REJECTED_KEY = (-2015, "Invalid API-key, IP, or permissions for action.")


class KeyKind(StrEnum):
    """How a key signs."""

    HMAC = "HMAC"
    RSA = "RSA"
    ED25519 = "ED25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of the account. `secret` is the shared secret of an HMAC key, else the public key as PEM.

    The rights are those that `apiRestrictions` tells; a key that may not trade gets -2015 for orders,
    a revoked one for everything.
    """

    key: str
    secret: str
    kind: KeyKind = KeyKind.HMAC
    may_trade: bool = True
    may_withdraw: bool = False
    may_transfer: bool = False
    ip_restricted: bool = True
    revoked: bool = False


PAPER_KEY = ApiKey(key="paper-key", secret="paper-secret")  # noqa: S106 - known to everybody, opens nothing


class KeyRing:
    """The keys of the account, by name."""

    def __init__(self, keys: Iterable[ApiKey] = (PAPER_KEY,)) -> None:
        """Know `keys`."""
        self._keys = {key.key: key for key in keys}

    def put(self, key: ApiKey) -> None:
        """Add a key, or replace the one of the same name."""
        self._keys[key.key] = key

    def find(self, name: str | None) -> ApiKey:
        """Look a key up: -2014 for what is no key at all, -2015 for one that is not known or revoked."""
        if not name or len(name) > 128:
            raise ExchangeError(*BAD_KEY_FORMAT, 401)
        key = self._keys.get(name)
        if key is None or key.revoked:
            raise ExchangeError(*REJECTED_KEY, 401)
        return key


def verify(key: ApiKey, payload: bytes, signature: str) -> None:
    """Raise -1022 unless `signature` is the key's own over exactly `payload`."""
    match key.kind:
        case KeyKind.HMAC:
            proper = hmac.digest(key.secret.encode(), payload, "sha256").hex()
            valid = hmac.compare_digest(proper.encode(), signature.lower().encode())
        case KeyKind.RSA:
            valid = _verify_rsa(key.secret, payload, signature)
        case KeyKind.ED25519:
            valid = _verify_ed25519(key.secret, payload, signature)
        case _:
            assert_never(key.kind)
    if not valid:
        raise ExchangeError(*BAD_SIGNATURE)


def _verify_rsa(public_key: str, payload: bytes, signature: str) -> bool:
    from Crypto.Hash import SHA256
    from Crypto.PublicKey import RSA
    from Crypto.Signature import pkcs1_15

    try:
        pkcs1_15.new(RSA.import_key(public_key)).verify(SHA256.new(payload), _decoded(signature))
    except (ValueError, TypeError):
        return False
    return True


def _verify_ed25519(public_key: str, payload: bytes, signature: str) -> bool:
    from Crypto.PublicKey import ECC
    from Crypto.Signature import eddsa

    try:
        eddsa.new(ECC.import_key(public_key), "rfc8032").verify(payload, _decoded(signature))
    except (ValueError, TypeError):
        return False
    return True


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
