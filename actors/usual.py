"""What is usual in a market: the spread of the last minutes, for guards that judge by it."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from statistics import median

from messages.market import Quote

SAMPLE_SECONDS = 1.0
SAMPLES = 300
LEAST_SAMPLES = 10
"""Fewer say nothing of what is usual."""


class UsualSpread:
    """The rolling median of a symbol's spread: one look a second at most, over the last 300 of them.

    A spread that is wide for a while becomes usual only after half of them.
    """

    __slots__ = ("_median", "_next_at", "_seen")

    def __init__(self) -> None:
        """Begin without an idea."""
        self._seen: deque[Decimal] = deque(maxlen=SAMPLES)
        self._next_at = float("-inf")
        self._median: Decimal | None = None

    def see(self, quote: Quote, now: float) -> None:
        """Take a quote seen at `now` (monotonic s)."""
        if now < self._next_at:
            return
        self._next_at = now + SAMPLE_SECONDS
        self._seen.append(quote.spread)
        self._median = None

    @property
    def median(self) -> Decimal | None:
        """The usual spread as a fraction of the mid; None before ten looks."""
        if self._median is None and len(self._seen) >= LEAST_SAMPLES:
            self._median = median(self._seen)
        return self._median
