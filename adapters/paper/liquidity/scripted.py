"""A market set by hand: for tests and for whoever wants to see what happens if."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from adapters.paper.liquidity.base import Happening, Liquidity, Moved, Print, Taken
from messages.market import Level
from messages.signal import Side


class ScriptedMarket:
    """A `Liquidity` that stands still until told otherwise; what own orders take stays gone."""

    def __init__(self, step: Decimal = Decimal("0.00001"), refill_rate: float = 0.0) -> None:
        """Begin with an empty book; `step` is the symbol's lot step, `refill_rate` is per second."""
        self._step, self._refill_rate = step, refill_rate
        self._sides: dict[Side, tuple[Level, ...]] = {Side.BUY: (), Side.SELL: ()}
        self._taken = Taken(step, refill_rate)
        self._waiting: list[Happening] = []
        self._now = 0
        self._halted = False

    def set_levels(self, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]]) -> None:
        """Replace the book by levels of (price, quantity), best first; nothing is taken from them yet."""
        self._sides = {
            Side.BUY: tuple((Decimal(price), Decimal(quantity)) for price, quantity in bids),
            Side.SELL: tuple((Decimal(price), Decimal(quantity)) for price, quantity in asks),
        }
        self._taken = Taken(self._step, self._refill_rate)
        self._waiting.append(Moved(self._now))

    def set_touch(self, bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> None:
        """Replace the book by one level a side."""
        self.set_levels([(bid, bid_quantity)], [(ask, ask_quantity)])

    def trade(self, taker: Side, price: str, quantity: str) -> None:
        """Let somebody else take; the displayed book stays as it is."""
        self._waiting.append(Print(self._now, taker, Decimal(price), Decimal(quantity)))

    def set_halted(self, *, halted: bool) -> None:
        """Close or open the market."""
        self._halted = halted

    def skip(self, now: int) -> None:
        """Come to `now`; what was not followed is forgotten."""
        self._now = max(self._now, now)
        self._waiting.clear()

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now`, telling what was set since the last look."""
        self._now = max(self._now, now)
        while self._waiting:
            yield self._waiting.pop(0)

    def settle(self) -> Iterator[Happening]:
        """Do nothing: this book is always the present one."""
        return iter(())

    def levels(self, side: Side) -> Iterator[Level]:
        """List what was set, less what own orders took."""
        return self._taken.thin(side, iter(self._sides[side]), self._now)

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note what an own order took."""
        self._taken.add(side, price, quantity, self._now)

    def halted(self) -> bool:
        """Tell whether the market was closed by hand."""
        return self._halted


class SteeredMarket:
    """A `Liquidity` that passes another on until somebody takes the wheel.

    `freeze` stops it, `halt` closes it, `steer` puts a scripted book in its place, and `release` gives
    it back, at the present moment of its own course.
    """

    def __init__(self, market: Liquidity, step: Decimal) -> None:
        """Pass `market` on; `step` is the symbol's lot step."""
        self._market, self._step = market, step
        self._script: ScriptedMarket | None = None
        self._frozen: int | None = None
        self._halted = False
        self._now = 0

    @property
    def _current(self) -> Liquidity:
        return self._market if self._script is None else self._script

    def steer(self) -> ScriptedMarket:
        """Put a book in place that is set by hand, the same one at each call."""
        if self._script is None:
            self._script = ScriptedMarket(self._step)
            self._script.skip(self._now)
        return self._script

    def freeze(self) -> None:
        """Let nothing happen any more: the same touch for ever."""
        self._frozen = self._now

    def halt(self) -> None:
        """Close the market."""
        self._halted = True

    def release(self) -> None:
        """Undo `steer`, `freeze` and `halt`."""
        self._script, self._frozen, self._halted = None, None, False

    def skip(self, now: int) -> None:
        """Come to `now`."""
        self._now = max(self._now, now)
        if self._frozen is None:
            self._current.skip(now)

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now` step by step."""
        self._now = max(self._now, now)
        if self._frozen is None:
            yield from self._current.follow(now)

    def settle(self) -> Iterator[Happening]:
        """Go on to the first book that an order arriving now can meet."""
        if self._frozen is None:
            yield from self._current.settle()

    def levels(self, side: Side) -> Iterator[Level]:
        """List what stands on a side."""
        return self._current.levels(side)

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note what an own order took."""
        self._current.take(side, price, quantity)

    def halted(self) -> bool:
        """Tell whether the market is closed, by hand or by itself."""
        return self._halted or self._current.halted()
