"""How fast signals may come: a token bucket for each sender and one for all of them. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

REMEMBERED_SENDERS: Final = 1_000
"""Sources are the senders' own words: more than these begin anew, and the bucket for all holds them."""


class Bucket:
    """Holds up to `capacity` permits and gains `rate` of them a second; it begins full."""

    __slots__ = ("_at", "_capacity", "_left", "_rate")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate, self._capacity = rate, capacity
        self._left, self._at = capacity, now

    def holds(self, now: float) -> bool:
        """Tell whether there is a permit at `now` (monotonic s); times never run backwards in here."""
        if now > self._at:
            self._left = min(self._capacity, self._left + (now - self._at) * self._rate)
            self._at = now
        return self._left >= 1

    def take(self) -> None:
        """Take a permit that `holds` has promised."""
        self._left -= 1


class Rates:
    """Lets through `overall` signals a second and `per_sender` of each sender, None meaning no bound.

    After a pause, as many as `burst_seconds` bring may come at once. What one sender is refused takes
    nothing from the others.
    """

    def __init__(self, overall: Decimal | None, per_sender: Decimal | None, burst_seconds: Decimal) -> None:
        self._overall, self._per_sender = overall, per_sender
        self._burst = float(burst_seconds)
        self._all: Bucket | None = None
        self._senders: dict[str, Bucket] = {}

    def exceeded(self, sender: str, now: float) -> str | None:
        """Take a permit for a signal of `sender` at `now` (monotonic s), or say which bound forbids it."""
        own = self._of(sender, now)
        if own is not None and not own.holds(now):
            return f"{sender} sends more than {self._per_sender} signals a second"
        if self._overall is not None:
            if self._all is None:
                self._all = self._bucket(self._overall, now)
            if not self._all.holds(now):
                return f"more than {self._overall} signals a second come in"
            self._all.take()
        if own is not None:
            own.take()
        return None

    def _of(self, sender: str, now: float) -> Bucket | None:
        if self._per_sender is None:
            return None
        bucket = self._senders.pop(sender, None) or self._bucket(self._per_sender, now)
        self._senders[sender] = bucket
        if len(self._senders) > REMEMBERED_SENDERS:
            del self._senders[next(iter(self._senders))]
        return bucket

    def _bucket(self, rate: Decimal, now: float) -> Bucket:
        return Bucket(float(rate), max(1.0, float(rate) * self._burst), now)
