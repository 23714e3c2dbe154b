"""The participation cap: an execution trades at most a share of what the market trades meanwhile.

Counted are all trades that the venue's public stream tells, own ones among them, since the execution's
first look at the market. What a cut or a crash has missed is left out, so the cap errs on the safe side.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from messages.frozen import replace
from messages.market import Awaited, Quote
from messages.money import ZERO

QUIET = "the market trades too little for the participation cap"
"""Said where not even the smallest child may go."""

_SMALLEST = Decimal("1e-8")


class Volume:
    """What the market has traded since the first look, in base units, as differences of a running count.

    Nothing is known before a quote tells the count: then `traded` stands still.
    """

    __slots__ = ("_last", "share", "traded")

    def __init__(self, share: Decimal, traded: Decimal) -> None:
        """Allow `share` of it, and go on from what was journalled."""
        self.share, self.traded = share, traded
        self._last: Decimal | None = None

    def see(self, quote: Quote) -> None:
        """Add what was traded since the last quote seen; a count that has begun anew is begun anew with."""
        if quote.traded is None:
            return
        if self._last is not None and quote.traded >= self._last:
            self.traded += quote.traded - self._last
        self._last = quote.traded

    def room(self, committed: Decimal) -> Decimal:
        """Say how much more may be sent when `committed` is executed, open or unknown."""
        return max(ZERO, self.traded * self.share - committed)

    def count_for(self, total: Decimal) -> Decimal:
        """Say where the running count must have come to for `total` to be allowed."""
        if self._last is None:
            return ZERO  # Any count at all: the next look says the rest.
        needed = max(ZERO, total / self.share - self.traded)
        return self._last + needed.quantize(_SMALLEST, ROUND_CEILING)


def together(before: Awaited, after: Awaited) -> Awaited:
    """Make one answer of two: the guards were waited for first, then what the market trades."""
    return replace(
        after,
        waited=before.waited + after.waited,
        timed=before.timed,
        fit_mid=before.fit_mid,
        waited_for=before.waited_for if before.waited else after.waited_for,
    )
