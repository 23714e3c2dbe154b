"""Signed requests: who signed a body, when, and for the first time? Pure, but for the nonce's durability.

Four headers: `X-Tidegate-Key` names the key, `X-Tidegate-Timestamp` is milliseconds since 1970,
`X-Tidegate-Nonce` is the sender's own and new for each request, `X-Tidegate-Signature` is the hex of
HMAC-SHA256 over `timestamp.nonce.body` under the key's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from messages.ids import from_milliseconds

KEY, TIMESTAMP, NONCE, SIGNATURE = (
    "X-Tidegate-Key",
    "X-Tidegate-Timestamp",
    "X-Tidegate-Nonce",
    "X-Tidegate-Signature",
)
WINDOW: Final = timedelta(seconds=30)
"""How far a request's timestamp may be from our time, either way."""
NONCE_LIFE: Final = 4 * WINDOW
"""A nonce is remembered until so long after its timestamp, well beyond the last moment at which it could pass."""

_NONCE: Final = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_MILLISECONDS: Final = re.compile(r"[0-9]{13}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_NOBODY: Final = b"compared with, so that an unknown key takes as long as a known one"


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that `key` has signed; `nonce` still has to be fresh, until `until` (aware UTC)."""

    key: str
    nonce: str
    until: datetime


def sign(secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    """Sign a body as a sender does; all three parts are under the signature."""
    message = b".".join((timestamp.encode(), nonce.encode(), body))
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def signed_headers(key: str, secret: str, now: datetime, nonce: str, body: bytes) -> dict[str, str]:
    """Make the four headers of a signed request."""
    timestamp = str(int(now.timestamp() * 1000))
    return {KEY: key, TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: sign(secret, timestamp, nonce, body)}


def signer_of(headers: Mapping[str, str], body: bytes, secrets: Mapping[str, str], now: datetime) -> Signed | None:
    """Verify a signed request at `now` (aware UTC); None for whatever is wrong with it, and no word on what."""
    key, nonce = headers.get(KEY, ""), headers.get(NONCE, "")
    timestamp, shown = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "").lower()
    if not (_NONCE.fullmatch(nonce) and _MILLISECONDS.fullmatch(timestamp) and _HEX.fullmatch(shown)):
        return None
    secret = secrets.get(key)
    expected = sign(secret or _NOBODY.decode(), timestamp, nonce, body)
    right = hmac.compare_digest(expected, shown)
    at = from_milliseconds(int(timestamp))
    if secret is None or not right or abs(now - at) > WINDOW:
        return None
    return Signed(key, nonce, at + NONCE_LIFE)
