"""Figures of the house's ties and its health for a monitoring system, beside those of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from adapters.views import Json

QUANTILES = (("p50", "0.5"), ("p99", "0.99"), ("max", "1"))


def tie_metrics(vitals: Json, health: Json) -> Iterator[Metric]:
    """Write the figures of `Vitals.view` and of the dashboard's health; what is not known is left out."""
    ties: Any = vitals
    state: Any = health
    market, stream, clock, limits = ties["market"], ties["stream"], ties["clock"], ties["limits"]
    yield from _gauge("tidegate_market_age_seconds", "Age of the freshest quote", market["age"])
    yield CounterMetricFamily("tidegate_market_gaps", "Times that the market stream was cut", market["gaps"])
    up = None if stream["open"] is None else float(stream["open"])
    yield from _gauge("tidegate_user_stream_up", "1 while the user-data stream is proven to deliver", up)
    yield from _gauge("tidegate_user_stream_age_seconds", "Since the user-data stream was last heard", stream["age"])
    yield CounterMetricFamily("tidegate_user_stream_cuts", "Times that the user-data stream was cut", stream["cuts"])
    offset = None if clock["offset_ms"] is None else clock["offset_ms"] / 1000
    yield from _gauge("tidegate_clock_offset_seconds", "To be added to our clock to get the venue's", offset)
    yield from _gauge("tidegate_request_weight_used", "Request weight used in the minute", limits["used_weight"])
    yield from _gauge("tidegate_request_weight_limit", "Request weight allowed a minute", limits["weight_limit"])
    used = GaugeMetricFamily("tidegate_orders_used", "Orders counted in a window", labels=["window_seconds"])
    allowed = GaugeMetricFamily("tidegate_orders_limit", "Orders allowed in a window", labels=["window_seconds"])
    for window, count, limit in limits["order_counts"]:
        used.add_metric([str(window)], count)
        allowed.add_metric([str(window)], limit)
    yield used
    yield allowed
    yield from _quantiles("tidegate_commit_seconds", "Duration of the last 1,024 commits", state["commits"])
    yield CounterMetricFamily("tidegate_commits", "Commits since the start", state["commits"].get("commits", 0))
    yield from _quantiles("tidegate_child_lateness_seconds", "From due time to intent, 512 children", state["lateness"])
    yield GaugeMetricFamily("tidegate_actors", "Living actors", state["actors"])
    yield GaugeMetricFamily("tidegate_mailbox_messages", "Messages that wait, in all mailboxes", state["waiting"])
    fullest = max((waiting for _, waiting in state["mailboxes"]), default=0)
    yield GaugeMetricFamily("tidegate_fullest_mailbox_messages", "Messages that wait in the fullest mailbox", fullest)


def _gauge(name: str, text: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, text, value)


def _quantiles(name: str, text: str, figures: Json) -> Iterator[Metric]:
    family = GaugeMetricFamily(name, text, labels=["quantile"])
    for key, quantile in QUANTILES:
        value = figures.get(key)
        if isinstance(value, int | float):
            family.add_metric([quantile], value)
    yield family
