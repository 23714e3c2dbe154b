"""When to ask the venue again for what must be known: its clock, its rules, our balances."""

from __future__ import annotations

from enum import StrEnum

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0


class Need(StrEnum):
    """What is asked for."""

    TIME = "time"
    RULES = "rules"
    BALANCES = "balances"


class Refresh:
    """Asks again after `interval` seconds, sooner after a failure or on wish. Times are monotonic.

    `due` is when to ask next; an answer that does not come within `patience` counts as a failure.
    """

    __slots__ = ("_interval", "_patience", "_retry", "_waiting", "asked_at", "due", "known")

    def __init__(self, interval: float, patience: float) -> None:
        self._interval, self._patience = interval, patience
        self._retry = FIRST_RETRY_SECONDS
        self._waiting = self.known = False
        self.asked_at = self.due = 0.0

    def asked(self, now: float) -> None:
        """Note that the question goes out now."""
        self.asked_at, self._waiting, self.due = now, True, now + self._patience

    def answered(self, now: float) -> None:
        """Note an answer."""
        self._retry, self._waiting, self.known = FIRST_RETRY_SECONDS, False, True
        self.due = now + self._interval

    def failed(self, now: float, not_before: float = 0.0) -> None:
        """Note a failure: the next try comes after a delay that doubles up to half a minute."""
        self._waiting = False
        self.due = max(now + self._retry, not_before)
        self._retry = min(2 * self._retry, LONGEST_RETRY_SECONDS)

    def hurry(self, within: float, now: float) -> bool:
        """Wish for an answer within so many seconds; False if one is on its way already."""
        if self._waiting or self.due <= now + within:
            return False
        self.due = now + within
        return True


_REJECTED, _STATUS_MISMATCH = -2010, -1220
_OF_SYMBOL = ("market is closed", "not enabled", "not permitted", "restricted")


def is_of_balance(code: int, message: str) -> bool:
    """Whether the venue refused an order for want of money: the balances are to be read again (protocol §11)."""
    return code == _REJECTED and "insufficient balance" in message.lower()


def is_of_symbol(code: int, message: str) -> bool:
    """Whether the venue refused an order for the state of its symbol: the rules are to be read again (protocol §11)."""
    text = message.lower()
    return code == _STATUS_MISMATCH or (code == _REJECTED and any(words in text for words in _OF_SYMBOL))
