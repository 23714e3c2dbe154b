"""The block book of Obizhaeva and Wang (Journal of Financial Markets 16, 2013): impact with a closed form.

On each side `q` base units stand per unit of price, without end, from half a spread off the
fundamental price on. A trade of x moves the price that it takes from by x / q: `lam` x of that is
permanent, for both sides alike, the rest heals exponentially at `rho` per second. Nobody else trades.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from adapters.paper.limits import SECOND
from adapters.paper.liquidity.base import Happening, Moved
from messages.market import Level
from messages.money import ONE, ZERO, floor_to
from messages.signal import Side

_HALF = Decimal("0.5")
_NEGLIGIBLE = Decimal("1e-12")
"""A displacement below this share of a step is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockBook:
    """The model's parameters.

    `q` in base units per unit of price, `rho` per second, `lam` in price per base unit (0 to 1 / q),
    `half_spread` in price. `ValueError` for what is out of range.
    """

    q: Decimal
    rho: Decimal = ONE
    lam: Decimal = ZERO
    half_spread: Decimal

    def __post_init__(self) -> None:
        if not self.q > 0:
            raise ValueError("q must be above 0")
        if self.rho < 0:
            raise ValueError("rho must not be negative")
        if not ZERO <= self.lam * self.q <= 1:
            raise ValueError("lam must lie between 0 and 1 / q")
        if self.half_spread < 0:
            raise ValueError("h must not be negative")


class BlockBookMarket:
    """A `Liquidity` that is a block book; one symbol.

    All positions are kept in base units on an axis that begins at the fundamental price, so that
    nothing is rounded but what is shown: each unit is offered at its price rounded to the nearest
    tick (so on average at its price), levels are cut to whole steps without losing any. Exact for
    buys and sells alike: one is the mirror image of the other.
    """

    def __init__(self, book: BlockBook, *, price: Decimal, tick: Decimal, step: Decimal, origin: int) -> None:
        """Begin undisturbed around `price` at `origin` (microseconds since 1970).

        `ValueError` if half the spread is less than half a tick, as bid and ask could meet.
        """
        if 2 * book.half_spread < tick:
            raise ValueError("h must be half a tick at least")
        self._rate = book.rho / SECOND
        self._permanent = book.lam * book.q
        self._half = book.half_spread * book.q
        self._price, self._tick, self._step = floor_to(price, tick), tick, step
        self._per_tick = book.q * tick
        self._shift = ZERO
        """How far the fundamental price has moved, in base units: what buys left for good, less sells."""
        self._displaced = dict.fromkeys(Side, ZERO)
        """What was taken from each side (BUY = bids) and has not come back yet, as of `_now`."""
        self._now = origin

    # Liquidity ------------------------------------------------------------------------------------

    def skip(self, now: int) -> None:
        """Come to `now`."""
        if now <= self._now:
            return
        if any(self._displaced.values()):
            healed = (-self._rate * (now - self._now)).exp()
            for side, displaced in self._displaced.items():
                left = displaced * healed
                self._displaced[side] = left if left > _NEGLIGIBLE * self._step else ZERO
        self._now = now

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now`, telling that the book has come back meanwhile, if it had to."""
        moving = any(self._displaced.values())
        self.skip(now)
        if moving:
            yield Moved(self._now)

    def settle(self) -> Iterator[Happening]:
        """Do nothing: this book is always the present one."""
        return iter(())

    def levels(self, side: Side) -> Iterator[Level]:
        """List what stands on a side, best price first, up to twice or down to none of the price."""
        away = -side.sign
        begin = self._begin(side)
        number = int(floor_to(begin / self._per_tick + _HALF, ONE))
        told = ZERO
        while ZERO < (price := self._price + away * number * self._tick) < 2 * self._price:
            up_to_here = floor_to((number + _HALF) * self._per_tick - begin, self._step)
            if up_to_here > told:
                yield price, up_to_here - told
                told = up_to_here
            number += 1

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note that an own order took this from the front of a side, whatever its price was."""
        self._shift -= side.sign * self._permanent * quantity
        self._displaced[side] += (ONE - self._permanent) * quantity

    def halted(self) -> bool:
        """Say no: this market never closes."""
        return False

    def _begin(self, side: Side) -> Decimal:
        """Where a side begins: base units away from the first fundamental price, outwards."""
        return self._half + self._displaced[side] - side.sign * self._shift
