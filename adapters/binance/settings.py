"""What the adapter is told at its start: where the venue is, who we are, and how long things may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from messages.ids import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceSettings:
    """Everything that `BinanceVenue` needs to know. Times are seconds unless the name says otherwise.

    `rest_url` is a host's base (`https://api.binance.com`), `ws_api_url` whole, `stream_url` a
    host's base again. A key is either an HMAC key (`api_secret`) or an Ed25519 or RSA one
    (`private_key`, the PEM text). No secret shows in the representation.

    `order_seconds`, `cancel_seconds` and `query_seconds` are how long an answer is waited for.
    The user stream is probed every `probe_seconds`, every `probe_open_seconds` while an order is
    open; it counts as dead when a probe is not answered within `probe_answer_seconds`, or when an
    order that was taken is not reported within `report_seconds`. Every connection is replaced after
    `swap_seconds`, ahead of the venue's own cut after a day. A watched symbol is told at most every
    `hot_seconds` or `cold_seconds`; with `quiet_seconds` the touch is asked for over REST when a
    stream has been silent for so long (None: silence is left to age). Before `quiet_until` (aware UTC)
    the venue wants to hear nothing, as it said to an earlier life of ours. Every `pulse_seconds` it is
    looked whether the loop still turns.
    """

    rest_url: str
    ws_api_url: str
    stream_url: str
    api_key: str = field(repr=False)
    api_secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    private_key_pass: str | None = field(default=None, repr=False)
    environment: Environment = "p"
    recv_window_ms: int = 2_000
    quiet_until: datetime | None = None

    order_seconds: float = 10.0
    cancel_seconds: float = 5.0
    query_seconds: float = 10.0
    connect_seconds: float = 5.0
    close_seconds: float = 2.0
    pulse_seconds: float = 5.0

    retry_first_seconds: float = 0.1
    retry_most_seconds: float = 30.0
    settled_seconds: float = 5.0
    swap_seconds: float = 23 * 3600.0
    ping_seconds: float = 20.0

    probe_seconds: float = 30.0
    probe_open_seconds: float = 1.0
    probe_answer_seconds: float = 1.0
    report_seconds: float = 1.5
    open_order_seconds: float = 900.0

    time_samples: int = 5
    time_bias_ms: int = -50
    time_refresh_seconds: float = 60.0

    hot_seconds: float = 0.01
    cold_seconds: float = 1.0
    quiet_seconds: float | None = None
    book_levels: int = 20
    snapshot_levels: int = 1000

    @property
    def api_base(self) -> str:
        """The REST base up to and including `/api`."""
        base = self.rest_url.rstrip("/")
        return base if base.endswith("/api") else f"{base}/api"

    @property
    def sapi_base(self) -> str:
        """The base of the account endpoints up to and including `/sapi`."""
        return f"{self.api_base.removesuffix('/api')}/sapi"

    @property
    def stream_base(self) -> str:
        """The base of the market streams, without a slash at its end."""
        return self.stream_url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine, where no proxy has any business."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}
