"""When within its slot a child goes: as soon as the queues at the touch press against it, and what waiting was for.

A buy waits while the ask's queue is the longer one, for then the price tends to fall; it goes as soon
as the bid's is as long, and at the slot's deadline anyway. A sale is its mirror image. Guards come
first: whoever waits for the pressure is sent only on a quote on which they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from messages.market import Quote, Timing
from messages.signal import Side


def presses(quote: Quote, side: Side) -> bool:
    """Tell whether the touch presses against `side`: v >= 1/2, v the share of its own side's queue."""
    own, other = quote.bid_quantity, quote.ask_quantity
    return own >= other if side is Side.BUY else other >= own


def due(timing: Timing | None, quote: Quote, side: Side, now: float) -> bool:
    """Tell whether a child whose guards hold goes at `now` (monotonic s)."""
    return timing is None or now >= timing.until or presses(quote, side)


@dataclass(slots=True)
class Patience:
    """How long a child waited since `began` (monotonic s), and for what.

    `guarded` seconds for its guards, `timed` for the pressure while they held. `fit_mid` is the mid
    at which they first held, on a quote that was not too old: there it would have gone without
    waiting for the pressure.
    """

    began: float
    last: float
    guarded: float = 0.0
    timed: float = 0.0
    fits: bool = False
    counted: bool = True
    fit_mid: Decimal | None = None

    def look(self, now: float, mid: Decimal | None, *, fits: bool, counted: bool = True) -> None:
        """Count the time since the last look for what was waited for then.

        `fits`: the guards hold now; not `counted`: what is waited for is only a fresh quote.
        """
        span, self.last = now - self.last, now
        if self.fits and self.counted:
            self.timed += span
        elif not self.fits:
            self.guarded += span
        self.fits, self.counted = fits, counted
        if fits and counted and self.fit_mid is None:
            self.fit_mid = mid
