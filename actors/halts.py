"""What the venue's refusals say about us, not about one order: after these, nothing more is sent."""

from __future__ import annotations

from messages.facts import BANNED
from messages.order import BAD_CERTIFICATE

KEY, SIGNATURE, FIREWALL, CERTIFICATE = "KEY_REVOKED", "BAD_SIGNATURE", "FIREWALL", "CERTIFICATE"
BAN, INVARIANT = BANNED, "INVARIANT"
REBUILT, SECOND_DAEMON, CRASH_LOOP = "REBUILT", "SECOND_DAEMON", "CRASH_LOOP"
"""Reasons of a halt; that of a ban ends with it, the others wait for a person."""

_OF_THE_ACCOUNT = dict.fromkeys((KEY, SIGNATURE, FIREWALL, CERTIFICATE, SECOND_DAEMON), 2)
_GRAVITY = {BAN: 0, **_OF_THE_ACCOUNT, CRASH_LOOP: 3, INVARIANT: 4}
_BY_A_PERSON = 1
SUBJECTS = ("trading", "trading", "trading: the account", "trading: the daemon", "trading: a broken promise")
"""What the alert of a halt is of, by how grave it is: one that comes during a lighter one has an alert of its own."""


def graver(reason: str, standing: str | None) -> bool:
    """Whether a halt is to be said though one stands: a ban's ends by itself, and a broken promise must be seen."""
    return standing is None or _gravity(reason) > _gravity(standing)


def subject_of(reason: str) -> str:
    """Say what the alert of a halt is of."""
    return SUBJECTS[_gravity(reason)]


def _gravity(reason: str) -> int:
    return _GRAVITY.get(reason, _BY_A_PERSON)


HALTS: dict[int, str] = {
    -1002: KEY,  # unauthorised
    -1022: SIGNATURE,
    -2014: KEY,  # format of the key
    -2015: KEY,  # key, address or permission
    401: KEY,
    403: FIREWALL,
    BAD_CERTIFICATE: CERTIFICATE,
}
"""The halt that follows from an error code (protocol §11)."""
