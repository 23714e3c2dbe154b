"""The way from a client to the in-process venue: what is told is under way for a while."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from actors.runtime import Runtime
from messages.ids import milliseconds
from messages.market import WatchMarket
from messages.order import OpenUserStream, QueryTime, ReportLimits, VenueCommand
from messages.refs import Tells


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings:
    """Medians in milliseconds of log-normal latencies with `sigma`; 0 means at once.

    `unknown_after_ms` is how long the client waits for a reply that never comes.
    """

    order_in_ms: float = 5.0
    ack_out_ms: float = 5.0
    user_stream_ms: float = 8.0
    market_data_ms: float = 5.0
    sigma: float = 1.07
    unknown_after_ms: float = 1000.0

    def draw(self, median_ms: float, chance: random.Random) -> float:
        """Draw a latency in seconds."""
        return median_ms / 1000.0 * math.exp(self.sigma * chance.gauss()) if median_ms else 0.0


@dataclass(frozen=True, slots=True)
class TimeAsked:
    """A `QueryTime` with what the asker's clock shows when it arrives, in ms since 1970."""

    query: QueryTime
    asker_ms: int


LinkMessage = VenueCommand | WatchMarket | TimeAsked


class VenueLink:
    """The client's end of the way to the venue: messages are under way for a drawn latency.

    It belongs to whoever calls it, so in a simulation a crash of the caller's node may lose what is
    under way. Orders may overtake each other, subscriptions not.
    """

    def __init__(
        self, runtime: Runtime, venue: Tells[LinkMessage], *, latency: LatencySettings, chance: random.Random
    ) -> None:
        """Lead to `venue`; `chance` draws the latencies."""
        self._runtime, self._venue, self._latency, self._chance = runtime, venue, latency, chance
        self._subscribed = 0.0

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        """Send `message` on its way."""
        delay = self._latency.draw(self._latency.order_in_ms, self._chance)
        now = self._runtime.now()
        due = now + delay
        if isinstance(message, QueryTime):
            arrival = milliseconds(self._runtime.wall_time()) + round(delay * 1000)
            self._send(due, delay, TimeAsked(message, arrival))
            return
        if isinstance(message, WatchMarket | OpenUserStream | ReportLimits):
            due = self._subscribed = max(due, self._subscribed)
        self._send(due, due - now, message)

    def _send(self, due: float, delay: float, message: LinkMessage) -> None:
        if delay > 0:
            self._runtime.tell_at(due, self._venue, message)
        else:
            self._runtime.send(self._venue, message)
