"""How long what is told is under way between a client and the exchange's server."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

MOST_MS = 10_000.0
EXPECTED = f"should be milliseconds up to {MOST_MS:.0f}, as 20, or a range, as 5-80"
_FORM = re.compile(r"(?P<low>\d{1,6}(\.\d{1,6})?)(-(?P<high>\d{1,6}(\.\d{1,6})?))?")


class BadLatency(ValueError):
    """A latency that makes no sense; the text says what one looks like."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds one way: between `low_ms` and `high_ms`, each as likely."""

    low_ms: float = 0.0
    high_ms: float = 0.0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.high_ms > 0


def read_latency(text: str) -> Latency:
    """Read `20` (always the same) or `5-80` (drawn from between), in milliseconds; `BadLatency`."""
    found = _FORM.fullmatch(text.strip())
    low = float(found["low"]) if found else 0.0
    high = float(found["high"] or found["low"]) if found else -1.0
    if not low <= high <= MOST_MS:
        raise BadLatency(f"latency {text!r}: {EXPECTED}")
    return Latency(low, high)


class Delays:
    """Draws how long each message is under way: equal seeds, equal draws in their order."""

    def __init__(self, latency: Latency, seed: int = 0) -> None:
        """Draw from `latency`."""
        self._latency = latency
        self._chance = random.Random(f"{seed}/latency")  # noqa: S311 - for tests, not for secrets

    def __bool__(self) -> bool:
        """Whether anything is ever under way."""
        return bool(self._latency)

    def draw(self) -> float:
        """Draw the next one, in seconds."""
        return self._chance.uniform(self._latency.low_ms, self._latency.high_ms) / 1000.0
