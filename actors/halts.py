"""What the venue's refusals say about us, not about one order: after these, nothing more is sent."""

from __future__ import annotations

KEY, SIGNATURE, BAN, INVARIANT = "KEY_REVOKED", "BAD_SIGNATURE", "BANNED", "INVARIANT"
REBUILT, SECOND_DAEMON = "REBUILT", "SECOND_DAEMON"
"""Reasons of a halt; that of a ban ends with it, the others wait for a person."""

HALTS: dict[int, str] = {
    -1002: KEY,  # unauthorised
    -1022: SIGNATURE,
    -2014: KEY,  # format of the key
    -2015: KEY,  # key, address or permission
    401: KEY,
}
"""The halt that follows from an error code (protocol §11)."""
