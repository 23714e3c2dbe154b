"""A local order book: a snapshot, the changes since, and the knowledge of what it does not know (protocol §8)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum, auto

from adapters.binance.shapes import DepthEvent, DepthSnapshot
from messages.market import Level
from messages.signal import Side

MOST_BUFFERED = 2000
"""So many changes are kept while a snapshot is under way; the oldest go first, and then it is asked again."""


class BookState(Enum):
    """Whether the book can be believed."""

    EMPTY = auto()
    BUFFERING = auto()
    SYNCED = auto()


class LocalBook:
    """The book of one symbol. Times are monotonic seconds, given by the caller.

    Feed it every `DepthEvent`; while it is not synced, fetch a snapshot and hand that in, again
    if it was too old. A hole in the events empties it. Levels beyond the snapshot's reach are not
    known until they change, so nothing is told beyond it.
    """

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self.state = BookState.EMPTY
        self._levels: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self._reach: dict[Side, Decimal | None] = {Side.BUY: None, Side.SELL: None}
        self._tops: dict[tuple[Side, int], tuple[Level, ...]] = {}
        self._last = 0
        self._buffer: list[DepthEvent] = []
        self._known_at = 0.0
        self.gaps = 0
        """How often events were missing."""

    @property
    def synced(self) -> bool:
        """Whether the book is whole."""
        return self.state is BookState.SYNCED

    def age(self, now: float) -> float:
        """Return the seconds since the last change or snapshot; infinite while it is not synced."""
        return now - self._known_at if self.synced else float("inf")

    def take_event(self, event: DepthEvent, now: float) -> bool:
        """Take changes of levels; True if a snapshot is needed now."""
        if not self.synced:
            first = self.state is BookState.EMPTY
            self.state = BookState.BUFFERING
            self._buffer.append(event)
            if len(self._buffer) > MOST_BUFFERED:
                del self._buffer[0]
            return first
        if event.last <= self._last:
            return False
        if event.first > self._last + 1:
            self.gaps += 1
            self.reset()
            return self.take_event(event, now)
        self._apply(event)
        self._known_at = now
        return False

    def take_snapshot(self, snapshot: DepthSnapshot, now: float, *, levels: int) -> bool:
        """Take a snapshot of up to `levels` levels a side; False if another one is needed.

        It must not be older than the first event kept, or something in between is missing.
        """
        if self.synced:
            return True
        if self._buffer and snapshot.last_update_id + 1 < self._buffer[0].first:
            return False
        for side, found in ((Side.BUY, snapshot.bids), (Side.SELL, snapshot.asks)):
            self._levels[side] = {price: quantity for price, quantity in found if quantity}
            self._reach[side] = found[-1][0] if len(found) >= levels else None
        self._tops.clear()
        self._last, self._known_at = snapshot.last_update_id, now
        self.state = BookState.SYNCED
        buffered, self._buffer = self._buffer, []
        for event in buffered:
            if event.last <= self._last:
                continue
            if event.first > self._last + 1:
                self.gaps += 1
                self.reset()
                return False
            self._apply(event)
        return True

    def reset(self) -> None:
        """Forget everything."""
        self.state = BookState.EMPTY
        self._buffer = []
        self._tops.clear()
        for levels in self._levels.values():
            levels.clear()

    def top(self, side: Side, count: int) -> tuple[Level, ...]:
        """Return up to `count` known levels of a side, best first (BUY = bids); none while not synced."""
        if not self.synced:
            return ()
        found = self._tops.get((side, count))
        if found is None:
            pick = heapq.nlargest if side is Side.BUY else heapq.nsmallest
            found = tuple(pick(count, self._known(side)))
            self._tops[side, count] = found
        return found

    @property
    def crossed(self) -> bool:
        """Whether the best bid is not below the best ask, as in no book of which nothing was missed."""
        bids, asks = self._levels[Side.BUY], self._levels[Side.SELL]
        return self.synced and bool(bids and asks) and max(bids) >= min(asks)

    def thin(self, count: int) -> bool:
        """Tell whether fewer than `count` levels are known of a side that has more: a new snapshot is due."""
        return self.synced and any(
            self._reach[side] is not None and len(self.top(side, count)) < count for side in Side
        )

    def _known(self, side: Side) -> Iterable[Level]:
        reach, sign = self._reach[side], side.sign
        if reach is None:
            return self._levels[side].items()
        return (level for level in self._levels[side].items() if sign * level[0] >= sign * reach)

    def _apply(self, event: DepthEvent) -> None:
        for side, changes in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
            levels = self._levels[side]
            for price, quantity in changes:
                if quantity:
                    levels[price] = quantity
                else:
                    levels.pop(price, None)
        self._tops.clear()
        self._last = event.last
