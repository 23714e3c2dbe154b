"""What an error answer to an order says about the order: a table, read row by row.

Protocol §11. What is listed as refused is certain; whatever is not in the table is unknown.
"""

from __future__ import annotations

from enum import StrEnum


class Effect(StrEnum):
    """What became of an order whose request was answered with an error."""

    REFUSED = "refused"
    UNKNOWN = "unknown"
    EARLIER_IS_OPEN = "earlier is open"


EFFECTS: dict[int, Effect] = {
    -1000: Effect.UNKNOWN,  # unknown error
    -1001: Effect.UNKNOWN,  # disconnected
    -1002: Effect.REFUSED,  # unauthorised
    -1003: Effect.REFUSED,  # too many requests
    -1006: Effect.UNKNOWN,  # unexpected response from the message bus
    -1007: Effect.UNKNOWN,  # the engine did not answer in time
    -1008: Effect.UNKNOWN,  # overloaded; that nothing was executed is nowhere promised
    -1010: Effect.REFUSED,  # message of the engine
    -1013: Effect.REFUSED,  # filter failure
    -1014: Effect.REFUSED,  # unknown order composition
    -1015: Effect.REFUSED,  # too many orders
    -1016: Effect.UNKNOWN,  # shutting down; as -1008
    -1020: Effect.REFUSED,  # unsupported operation
    -1021: Effect.REFUSED,  # timestamp outside of recvWindow
    -1022: Effect.REFUSED,  # signature
    -1220: Effect.REFUSED,  # status of the symbol
    -2010: Effect.REFUSED,  # new order rejected
    -2014: Effect.REFUSED,  # format of the key
    -2015: Effect.REFUSED,  # key, address or permission
    -2016: Effect.REFUSED,  # no trading window
    401: Effect.REFUSED,  # unauthorised
    403: Effect.REFUSED,  # the firewall
    418: Effect.REFUSED,  # banned
    429: Effect.REFUSED,  # too many requests
}
"""What each code says, the venue's negative ones and HTTP's where the answer has none."""

REFUSED_RANGES: tuple[tuple[int, int], ...] = ((-1199, -1100),)
"""First and last code of the ranges that say: a parameter is wrong."""

SPECIAL_MESSAGES: dict[tuple[int, str], Effect] = {
    (-2010, "Duplicate order sent."): Effect.EARLIER_IS_OPEN,
}
"""The one code that says several things is told apart by its text."""


def effect_of(code: int, message: str) -> Effect:
    """Say what an error answer means for the order; unknown if in doubt."""
    special = SPECIAL_MESSAGES.get((code, message))
    if special is not None:
        return special
    if any(first <= code <= last for first, last in REFUSED_RANGES):
        return Effect.REFUSED
    return EFFECTS.get(code, Effect.UNKNOWN)
