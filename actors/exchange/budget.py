"""How much of the venue's limits is used, and whether a request may go now.

The venue's own figures win; what was sent since the last of them is added as an estimate. A figure
is trusted for as long as the window it speaks of, so no clock of the venue is needed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from messages.order import (
    LimitsSeen,
    OpenUserStream,
    ProbeStream,
    QueryAllOrders,
    QueryBalances,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    ReportLimits,
    SendCancel,
    SendOrder,
    VenueCommand,
)

WEIGHT_WINDOW_SECONDS = 60.0
SLACK_SECONDS = 1.0
"""How much longer than the venue's a window is kept here: requests that left in order and apart
may arrive closer together."""

IN_FLIGHT_SECONDS = 0.25
"""What was sent so shortly before a figure came in may not be counted in it yet."""


class Priority(IntEnum):
    """What goes first when there is not enough for all."""

    PLACE = 0
    POLL = 1
    PROOF = 2
    CANCEL = 3


SHARES: dict[Priority, float] = {
    Priority.PLACE: 0.7,
    Priority.POLL: 0.8,
    Priority.PROOF: 0.9,
    Priority.CANCEL: 1.0,
}
"""The part of the weight limit up to which each priority may go; the rest is kept for the higher."""


def weight_of(command: VenueCommand) -> int:
    """Return a command's request weight (protocol §4); orders and cancels cost none if they succeed."""
    match command:
        case QueryOrder():
            return 4
        case QueryTrades(order_id=int()):
            return 5
        case QueryAllOrders() | QueryTrades() | QueryBalances() | QueryRules():
            return 20
        case QueryOpenOrders():
            return 6
        case QueryTime() | ProbeStream():
            return 1
        case SendOrder() | SendCancel() | OpenUserStream() | ReportLimits():
            return 0
        case _:
            assert_never(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """The limits that hold until the venue tells its own: weight a minute, (seconds, orders)."""

    weight: int = 6000
    orders: tuple[tuple[int, int], ...] = ((10, 50), (86_400, 160_000))


class _Window:
    """What was used within the last `seconds`: the venue's word, and our own use since then."""

    __slots__ = ("_own", "_own_sum", "_told", "_told_at", "limit", "seconds")

    def __init__(self, seconds: float, limit: int) -> None:
        self.seconds, self.limit = seconds, limit
        self._own: deque[tuple[float, int]] = deque()
        self._own_sum = self._told = 0
        self._told_at = 0.0

    def used(self, now: float) -> int:
        self._expire(now)
        return self._told + self._own_sum

    def spend(self, amount: int, now: float) -> None:
        if amount:
            self._own.append((now, amount))
            self._own_sum += amount

    def learn(self, used: int, limit: int | None, now: float) -> None:
        while self._own and self._own[0][0] <= now - IN_FLIGHT_SECONDS:
            self._own_sum -= self._own.popleft()[1]
        self._told, self._told_at = used, now
        if limit:
            self.limit = limit

    def fits_at(self, amount: int, most: float, now: float) -> float:
        """Return the earliest moment at which `amount` more is within `most`: `now` if it is now."""
        over = self.used(now) + amount - most
        if over <= 0:
            return now
        parts = [(self._told_at, self._told)] if self._told else []
        moment = now
        for at, part in (*parts, *self._own):
            moment = at + self._kept
            over -= part
            if over <= 0:
                break
        return moment

    @property
    def _kept(self) -> float:
        return self.seconds + SLACK_SECONDS

    def _expire(self, now: float) -> None:
        if self._told and self._told_at + self._kept <= now:
            self._told = 0
        while self._own and self._own[0][0] + self._kept <= now:
            self._own_sum -= self._own.popleft()[1]


class Budget:
    """Allows or delays requests. Times are monotonic seconds, given by the caller."""

    def __init__(self, limits: BudgetLimits) -> None:
        self._weight = _Window(WEIGHT_WINDOW_SECONDS, limits.weight)
        self._orders = {seconds: _Window(seconds, most) for seconds, most in limits.orders}
        self._forbidden_until = self._orders_forbidden_until = 0.0

    def forbidden_until(self, now: float) -> float | None:
        """Return until when the venue forbids every request (Retry-After); None if it doesn't."""
        return self._forbidden_until if now < self._forbidden_until else None

    def forbid(self, until: float, *, orders_only: bool = False) -> None:
        """Let nothing through before `until`, or no order."""
        if orders_only:
            self._orders_forbidden_until = max(self._orders_forbidden_until, until)
        else:
            self._forbidden_until = max(self._forbidden_until, until)

    def learn(self, seen: LimitsSeen, now: float) -> None:
        """Take the venue's own figures; `retry_at` is for the caller, who knows both clocks."""
        if seen.used_weight is not None:
            self._weight.learn(seen.used_weight, seen.weight_limit, now)
        elif seen.weight_limit:
            self._weight.limit = seen.weight_limit
        for seconds, used, limit in seen.order_counts:
            window = self._orders.get(seconds)
            if window is None:
                window = self._orders[seconds] = _Window(seconds, limit)
            window.learn(used, limit, now)

    def retry_at(self, weight: int, priority: Priority, now: float, *, orders: int = 0) -> float | None:
        """Return when a request fits into what is left for its priority; None if it does now."""
        moment = self._weight.fits_at(weight, self._weight.limit * SHARES[priority], now)
        if orders:
            for window in self._orders.values():
                moment = max(moment, window.fits_at(orders, window.limit, now))
            moment = max(moment, self._orders_forbidden_until)
        moment = max(moment, self._forbidden_until)
        return moment if moment > now else None

    def spend(self, weight: int, now: float, *, orders: int = 0) -> None:
        """Count a request that goes out now."""
        self._weight.spend(weight, now)
        if orders:
            for window in self._orders.values():
                window.spend(orders, now)
