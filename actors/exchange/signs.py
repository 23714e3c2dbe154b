"""Signs of trouble in what the venue says of its clock and its limits: a word when one begins or ends."""

from __future__ import annotations

from typing import Final

from messages.control import TroubleOver, TroubleSeen
from messages.order import LimitsSeen

SKEWED_MS: Final = 1_000
"""A clock this far off makes requests stale or from the future (the venue allows 1 s ahead)."""
STRAIGHT_MS: Final = 500
NEAR: Final = 0.8
CLEAR: Final = 0.6
SHORTEST_WINDOW_SECONDS: Final = 60
"""Shorter windows are used up in the normal course, and are free again before anybody could look."""

Sign = TroubleSeen | TroubleOver


class Signs:
    """Judges each figure against two bounds, so that one in between changes nothing.

    The first figure within the bounds says that nothing is the matter, for what an earlier life may
    have said.
    """

    def __init__(self) -> None:
        self._clock: bool | None = None
        self._limits: bool | None = None

    def of_clock(self, offset_ms: int) -> Sign | None:
        """Judge how far the venue's clock is from ours."""
        far = abs(offset_ms)
        if far >= SKEWED_MS and not self._clock:
            self._clock = True
            text = f"our clock is {far} ms {'behind' if offset_ms > 0 else 'ahead of'} the venue's"
            return TroubleSeen(kind="clock_skew", subject="clock", level="error", text=text)
        if far < STRAIGHT_MS and self._clock is not False:
            self._clock = False
            return TroubleOver(kind="clock_skew", subject="clock", text=f"{far} ms off")
        return None

    def of_limits(self, seen: LimitsSeen) -> Sign | None:
        """Judge the fullest of the venue's limits."""
        used = [(count / limit, count, limit, window) for window, count, limit in _long(seen)]
        if seen.used_weight is not None and seen.weight_limit:
            used.append((seen.used_weight / seen.weight_limit, seen.used_weight, seen.weight_limit, 0))
        if not used:
            return None
        share, count, limit, window = max(used)
        if share >= NEAR and not self._limits:
            self._limits = True
            text = _in_words(count, limit, window)
            return TroubleSeen(kind="limits_near", subject="venue", level="warning", text=text)
        if share < CLEAR and self._limits is not False:
            self._limits = False
            return TroubleOver(kind="limits_near", subject="venue", text=_in_words(count, limit, window))
        return None


def _in_words(count: int, limit: int, window: int) -> str:
    """Say how much of a limit is used: orders in so many seconds, or request weight if the window is 0."""
    what = f"orders in {window} s" if window else "request weight in a minute"
    return f"used {count} of {limit} {what}"


def _long(seen: LimitsSeen) -> list[tuple[int, int, int]]:
    return [count for count in seen.order_counts if count[0] >= SHORTEST_WINDOW_SECONDS and count[2]]
