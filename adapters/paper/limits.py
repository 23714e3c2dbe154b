"""Request weights and unfilled order counts (protocol §3)."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.paper.errors import ExchangeError

SECOND = 1_000_000
"""Microseconds, as all times of the exchange."""

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

TOO_MANY_ORDERS = -1015
"""The code of a refusal that is about orders alone: all else may still be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much may be asked: weight a minute, orders in ten seconds and a day (UTC).

    `ban_after` requests over the weight limit within a minute bring a ban of `first_ban_seconds`,
    which doubles each time up to three days. `maker_relief` is what a maker's first fill gives back.
    """

    weight_per_minute: int = 6000
    orders_per_10_seconds: int = 50
    orders_per_day: int = 160_000
    ban_after: int = 10
    first_ban_seconds: int = 120
    maker_relief: int = 5


class Limits:
    """Counts what was used in the present windows; times are microseconds on the exchange's clock."""

    def __init__(self, settings: LimitSettings | None = None) -> None:
        """Begin with nothing used."""
        self.settings = settings or LimitSettings()
        self._weight, self._weight_window, self._over = 0, -1, 0
        self._orders = {10 * SECOND: (-1, 0), DAY: (-1, 0)}
        self._banned_until, self._bans = 0, 0

    def used_weight(self, now: int) -> int:
        """Say the weight used in this minute."""
        return self._weight if now // MINUTE == self._weight_window else 0

    def order_count(self, length: int, now: int) -> int:
        """Say the unfilled orders counted in the present window of `length` microseconds."""
        window, count = self._orders[length]
        return count if window == now // length else 0

    def check_weight(self, weight: int, now: int) -> None:
        """Raise -1003 (429, or 418 when banned) if a request of this weight goes over the limit."""
        if now < self._banned_until:
            raise self._ban_error()
        self._turn(now)
        if self._weight + weight <= self.settings.weight_per_minute:
            return
        self._over += 1
        if self._over > self.settings.ban_after:
            seconds = min(self.settings.first_ban_seconds << self._bans, 3 * 86_400)
            self._banned_until, self._bans, self._over = now + seconds * SECOND, self._bans + 1, 0
            raise self._ban_error()
        until = (now // MINUTE + 1) * MINUTE
        raise ExchangeError(
            -1003,
            f"Too much request weight used; current limit is {self.settings.weight_per_minute} request weight per "
            "1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
            429,
            until,
        )

    def add_weight(self, weight: int, now: int) -> None:
        """Count a request."""
        self._turn(now)
        self._weight += weight

    def check_order(self, now: int) -> None:
        """Raise -1015 if one more order is too many."""
        for length, limit, name in (
            (10 * SECOND, self.settings.orders_per_10_seconds, "10 SECOND"),
            (DAY, self.settings.orders_per_day, "1 DAY"),
        ):
            if self.order_count(length, now) >= limit:
                until = (now // length + 1) * length
                text = f"Too many new orders; current limit is {limit} orders per {name}."
                raise ExchangeError(TOO_MANY_ORDERS, text, 429, until)

    def add_order(self, now: int) -> None:
        """Count an accepted order."""
        for length in self._orders:
            self._orders[length] = (now // length, self.order_count(length, now) + 1)

    def first_fill(self, now: int, *, maker: bool) -> None:
        """Give back what an order's first fill gives back."""
        relief = self.settings.maker_relief if maker else 1
        for length in self._orders:
            self._orders[length] = (now // length, max(0, self.order_count(length, now) - relief))

    def shape(self) -> list[dict[str, object]]:
        """Write the limits as `exchangeInfo` does."""
        settings = self.settings
        rows: tuple[tuple[str, str, int, int], ...] = (
            ("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_per_minute),
            ("ORDERS", "SECOND", 10, settings.orders_per_10_seconds),
            ("ORDERS", "DAY", 1, settings.orders_per_day),
            ("RAW_REQUESTS", "MINUTE", 5, 300_000),
        )
        return [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in rows
        ]

    def _turn(self, now: int) -> None:
        window = now // MINUTE
        if window != self._weight_window:
            self._weight_window, self._weight, self._over = window, 0, 0

    def _ban_error(self) -> ExchangeError:
        text = (
            f"Way too much request weight used; IP banned until {self._banned_until // 1000}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return ExchangeError(-1003, text, 418, self._banned_until)
