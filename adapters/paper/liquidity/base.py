"""What the matching engine needs of a market, and the memory of what own orders took from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from adapters.paper.limits import SECOND
from messages.frozen import dataclass
from messages.market import Level
from messages.signal import Side

TIDY_EVERY = SECOND


@dataclass(frozen=True, slots=True)
class Print:
    """Someone else traded: `taker` took `quantity` at `price`, at `at` (microseconds since 1970)."""

    at: int
    taker: Side
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Moved:
    """The book is another one since `at` (microseconds since 1970)."""

    at: int


Happening = Print | Moved


class Liquidity(Protocol):
    """The other side of one symbol's market. Times are microseconds since 1970 and never go back.

    It lives by itself: own orders take from what it displays, but never change its course.
    """

    def skip(self, now: int) -> None:
        """Come to `now`, whatever happened on the way."""

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now` step by step, telling what happens; at each step the book is that moment's."""

    def settle(self) -> Iterator[Happening]:
        """Go on to the first book that an order arriving now can meet, where the present one is older."""

    def levels(self, side: Side) -> Iterator[Level]:
        """List what stands on a side, best price first, less what own orders took (BUY = bids)."""

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note that an own order took this from a side's level."""

    def halted(self) -> bool:
        """Tell whether this market is closed for the moment."""


class Taken:
    """What own orders took from each level, given back at `refill_rate` (per second, exponentially).

    Whole steps, rounded so that never more is given back than was taken.
    """

    def __init__(self, step: Decimal, refill_rate: float) -> None:
        """`step` is the symbol's lot step."""
        self._step, self._rate = step, refill_rate / SECOND
        self._levels: dict[Side, dict[Decimal, tuple[int, int]]] = {side: {} for side in Side}
        self._tidied = 0

    def __bool__(self) -> bool:
        return any(self._levels.values())

    def add(self, side: Side, price: Decimal, quantity: Decimal, now: int) -> None:
        """Take `quantity` from a level."""
        steps = self._left(side, price, now) + math.ceil(quantity / self._step)
        self._levels[side][price] = (steps, now)

    def rest(self, side: Side, level: Level, now: int) -> Decimal:
        """Say what is left of a displayed level, >= 0."""
        price, quantity = level
        if price not in self._levels[side]:
            return quantity
        left = quantity - self._left(side, price, now) * self._step
        return left if left > 0 else quantity - quantity

    def thin(self, side: Side, levels: Iterator[Level], now: int) -> Iterator[Level]:
        """Take what is gone out of displayed levels."""
        if now >= self._tidied + TIDY_EVERY:
            self._tidy(now)
        return self._thinned(side, levels, now) if self._levels[side] else levels

    def _thinned(self, side: Side, levels: Iterator[Level], now: int) -> Iterator[Level]:
        taken = self._levels[side]
        for level in levels:
            if level[0] not in taken:
                yield level
            elif rest := self.rest(side, level, now):
                yield level[0], rest

    def _tidy(self, now: int) -> None:
        """Forget what has been given back; nobody may look at those levels again."""
        self._tidied = now
        for side, taken in self._levels.items():
            for price in tuple(taken):
                self._left(side, price, now)

    def _left(self, side: Side, price: Decimal, now: int) -> int:
        entry = self._levels[side].get(price)
        if entry is None:
            return 0
        steps, since = entry
        left = math.ceil(steps * math.exp(-self._rate * (now - since)) - 0.5)
        if left <= 0:
            del self._levels[side][price]
            return 0
        return left
