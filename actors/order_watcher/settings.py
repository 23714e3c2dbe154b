"""How orders are watched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherSettings:
    """How orders are watched; durations in seconds.

    An order that is not final after `poll_interval_seconds` is asked for, again and again; after
    `timeout_seconds` a resting one is cancelled and of any other the outcome is unknown. What is
    said of an own order that the journal has not told yet waits for `early_seconds`. `remembered`
    is the number of ended orders kept at hand for late news.
    """

    poll_interval_seconds: float = 2.0
    timeout_seconds: float = 30.0
    cancel_repeat_seconds: float = 2.0
    early_seconds: float = 1.0
    remembered: int = 10_000
