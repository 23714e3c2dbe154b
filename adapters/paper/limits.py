"""Request weights and unfilled order counts (protocol §3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from adapters.paper.errors import ExchangeError

SECOND = 1_000_000
"""Microseconds, as all times of the exchange."""

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

TOO_MANY_ORDERS = -1015
"""The code of a refusal that is about orders alone: all else may still be asked."""

TOO_MUCH = -1003
"""The code of one that is about everything: request weight, requests, connections, or a ban."""

FIVE_MINUTES = 5 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much may be asked: weight a minute, orders in ten seconds and a day (UTC), requests and connections.

    Requests count whatever they weigh; connections are attempts of one face, the WebSocket API or the market
    streams. All who ask are one address, this machine's. `ban_after` times over one of these limits within its
    window bring a ban of `first_ban_seconds`, which doubles each time up to three days. `maker_relief` is what
    a maker's first fill gives back.
    """

    weight_per_minute: int = 6000
    orders_per_10_seconds: int = 50
    orders_per_day: int = 160_000
    raw_requests_per_5_minutes: int = 300_000
    connections_per_5_minutes: int = 300
    ban_after: int = 10
    first_ban_seconds: int = 120
    maker_relief: int = 5


class Face(StrEnum):
    """What can be connected to."""

    API = "the WebSocket API"
    STREAMS = "market streams"


@dataclass(slots=True)
class _Window:
    """What was used in the present window of `length` microseconds, and how often that was too much."""

    length: int
    number: int = -1
    used: int = 0
    over: int = 0

    def turn(self, now: int) -> None:
        """Begin anew if the window has passed."""
        if now // self.length != self.number:
            self.number, self.used, self.over = now // self.length, 0, 0

    @property
    def end(self) -> int:
        """When the next one begins, in microseconds."""
        return (self.number + 1) * self.length


class Limits:
    """Counts what was used in the present windows; times are microseconds on the exchange's clock."""

    def __init__(self, settings: LimitSettings | None = None) -> None:
        """Begin with nothing used."""
        self.settings = settings or LimitSettings()
        self._weight, self._requests = _Window(MINUTE), _Window(FIVE_MINUTES)
        self._connections = {face: _Window(FIVE_MINUTES) for face in Face}
        self._orders = {10 * SECOND: (-1, 0), DAY: (-1, 0)}
        self._banned_until, self._bans = 0, 0
        self.exceeded: list[tuple[int, int]] = []
        """When a request went over a limit or came in a ban, and the code that it was refused with."""

    def used_weight(self, now: int) -> int:
        """Say the weight used in this minute."""
        self._weight.turn(now)
        return self._weight.used

    def order_count(self, length: int, now: int) -> int:
        """Say the unfilled orders counted in the present window of `length` microseconds."""
        window, count = self._orders[length]
        return count if window == now // length else 0

    def check_weight(self, weight: int, now: int) -> None:
        """Raise -1003 (429, or 418 when banned) if a request of this weight goes over the limit."""
        self._check_ban(now)
        self._weight.turn(now)
        limit = self.settings.weight_per_minute
        if self._weight.used + weight > limit:
            self._refuse(
                self._weight, f"Too much request weight used; current limit is {limit} request weight per", now
            )

    def add_weight(self, weight: int, now: int) -> None:
        """Count a request's weight."""
        self._weight.turn(now)
        self._weight.used += weight

    def count_request(self, now: int) -> None:
        """Count a request, whatever it weighs; -1003 (429, or 418 when banned) if it is one too many."""
        limit = self.settings.raw_requests_per_5_minutes
        self._count(self._requests, limit, f"Too many requests; current limit is {limit} raw requests per", now)

    def count_connection(self, face: Face, now: int) -> None:
        """Count an attempt to connect, in the same way."""
        limit = self.settings.connections_per_5_minutes
        text = f"Too many connection attempts; current limit is {limit} attempts to {face.value} per"
        self._count(self._connections[face], limit, text, now)

    def check_order(self, now: int) -> None:
        """Raise -1015 if one more order is too many."""
        for length, limit, name in (
            (10 * SECOND, self.settings.orders_per_10_seconds, "10 SECOND"),
            (DAY, self.settings.orders_per_day, "1 DAY"),
        ):
            if self.order_count(length, now) >= limit:
                until = (now // length + 1) * length
                text = f"Too many new orders; current limit is {limit} orders per {name}."
                self.exceeded.append((now, TOO_MANY_ORDERS))
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

    def shape(self, *, connections: bool = False) -> list[dict[str, object]]:
        """Write the limits as `exchangeInfo` does; the WebSocket API's tells those of `connections`, too."""
        settings = self.settings
        rows: tuple[tuple[str, str, int, int], ...] = (
            ("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_per_minute),
            ("ORDERS", "SECOND", 10, settings.orders_per_10_seconds),
            ("ORDERS", "DAY", 1, settings.orders_per_day),
            ("RAW_REQUESTS", "MINUTE", 5, settings.raw_requests_per_5_minutes),
            *([("CONNECTIONS", "MINUTE", 5, settings.connections_per_5_minutes)] if connections else []),
        )
        return [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in rows
        ]

    def _count(self, window: _Window, limit: int, text: str, now: int) -> None:
        self._check_ban(now)
        window.turn(now)
        window.used += 1
        if window.used > limit:
            self._refuse(window, text, now)

    def _refuse(self, window: _Window, text: str, now: int) -> NoReturn:
        """Refuse what is over a limit, and ban who does not stop; `text` is followed by the window's length."""
        window.over += 1
        self.exceeded.append((now, TOO_MUCH))
        if window.over > self.settings.ban_after:
            seconds = min(self.settings.first_ban_seconds << self._bans, 3 * 86_400)
            self._banned_until, self._bans, window.over = now + seconds * SECOND, self._bans + 1, 0
            raise self._ban_error()
        advice = "Please use WebSocket Streams for live updates to avoid polling the API."
        raise ExchangeError(TOO_MUCH, f"{text} {window.length // MINUTE} MINUTE. {advice}", 429, window.end)

    def _check_ban(self, now: int) -> None:
        if now < self._banned_until:
            self.exceeded.append((now, TOO_MUCH))
            raise self._ban_error()

    def _ban_error(self) -> ExchangeError:
        text = (
            f"Way too much request weight used; IP banned until {self._banned_until // 1000}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return ExchangeError(TOO_MUCH, text, 418, self._banned_until)
