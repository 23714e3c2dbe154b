"""How orders are watched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherSettings:
    """How orders are watched; durations in seconds.

    An order that is not final after `poll_interval_seconds` is asked for, again and again; after
    `timeout_seconds` a resting one is cancelled and of any other the outcome is unknown. What is
    said of an own order that the journal has not told yet waits for `early_seconds`. `remembered`
    is the number of ended orders kept at hand for late news. `symbols` are read at each start.
    With `rebuild_since` (ms since 1970) the journal is a new one in place of one that was lost, and all
    own orders since then are booked and, if open, cancelled.

    Of the proof of an absence: the venue's engine may sit on what it has let in for
    `engine_wait_seconds`, `margin_seconds` are added to that; `negatives` answers on each path that
    don't show the order must span `negatives_seconds`; without a control they must go on until
    `absent_after_seconds` after the receive window.
    """

    poll_interval_seconds: float = 2.0
    timeout_seconds: float = 30.0
    cancel_repeat_seconds: float = 2.0
    early_seconds: float = 1.0
    remembered: int = 10_000
    symbols: tuple[str, ...] = ()
    rebuild_since: int | None = None
    engine_wait_seconds: float = 10.0
    margin_seconds: float = 5.0
    absent_after_seconds: float = 60.0
    negatives: int = 3
    negatives_seconds: float = 3.0
