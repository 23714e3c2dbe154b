"""How the server is set up."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from functools import lru_cache

from adapters.paper.latency import Latency
from adapters.paper.server.keys import PAPER_KEY, ApiKey


class NotLoopback(ValueError):
    """The paper exchange serves this machine only: it has no transport security, and its control face no key."""


class BadSeconds(ValueError):
    """A time in the server's settings is none; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the server listens, whom it knows, and its manners. Times are seconds.

    `port` 0 takes a free one. `connection_seconds` is how long a WebSocket may last (Binance: 24 hours),
    `ping_seconds` how often it is pinged, `pong_seconds` how long a pong may take. `tick_seconds` is
    the pace of the markets while somebody watches or an own order rests. `stream_messages_per_second`
    bounds what a client may send on a market stream, pings and pongs too (Binance: 5; None: no bound).
    `latency`, drawn from `latency_seed`, is how long a request is under way, and a reply or an event back.
    """

    host: str = "127.0.0.1"
    port: int = 0
    keys: tuple[ApiKey, ...] = (PAPER_KEY,)
    connection_seconds: float = 86_400.0
    ping_seconds: float = 20.0
    pong_seconds: float = 60.0
    tick_seconds: float = 0.025
    stream_messages_per_second: int | None = 5
    most_waiting: int = 20_000
    latency: Latency = field(default_factory=Latency)
    latency_seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an address that others could reach (`NotLoopback`), and times that are none (`BadSeconds`)."""
        if not is_loopback(self.host):
            raise NotLoopback(f"{self.host}: the paper exchange listens on loopback addresses only")
        for name in ("connection_seconds", "ping_seconds", "pong_seconds", "tick_seconds"):
            seconds = getattr(self, name)
            if not (math.isfinite(seconds) and seconds > 0):
                raise BadSeconds(f"{name} must be a number of seconds above 0, not {seconds}")


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """Take the name out of a `Host` header, `127.0.0.1:8000` or `[::1]:8000`."""
    if header.startswith("["):
        return header.partition("]")[0].lstrip("[")
    return header.partition(":")[0]
