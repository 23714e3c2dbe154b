"""docs/metrics.md and deploy/grafana.json against what the daemon serves."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric

from adapters.metrics import metrics_text
from adapters.projection import Projection
from adapters.tie_metrics import tie_metrics
from adapters.vitals import Vitals, quantiles
from messages.control import Readiness
from messages.market import QuoteSeen
from messages.order import LimitsSeen, StreamOpened, TimeFound
from tests.factories import D

ROOT = Path(__file__).parents[1]
HEALTH: dict[str, Any] = {
    "commits": {"commits": 3, **quantiles([0.1, 0.2])},
    "lateness": quantiles([0.5]),
    "actors": 7,
    "waiting": 9,
    "mailboxes": [["Journal#2", 5], ["SignalGate#4", 4]],
}


def everything_known() -> Vitals:
    vitals = Vitals()
    vitals.see_market(QuoteSeen(symbol="BTCUSDT", bid=D(1), bid_quantity=D(1), ask=D(2), ask_quantity=D(1)))
    vitals.see_user(StreamOpened())
    vitals.see_answer(TimeFound(offset_milliseconds=250))
    vitals.see_limits(LimitsSeen(used_weight=10, weight_limit=6000, order_counts=((10, 1, 50),)))
    return vitals


def served(more: tuple[Metric, ...]) -> str:
    return metrics_text(Projection(), Readiness.READY, Counter({("accepted", ""): 1}), 0, more).decode()


def test_the_catalogue_lists_what_is_served_and_nothing_else() -> None:
    text = served(tuple(tie_metrics(everything_known().view(), HEALTH)))
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    assert listed == kinds


def test_figures_are_in_base_units_and_unknown_ones_are_left_out() -> None:
    text = served(tuple(tie_metrics(everything_known().view(), HEALTH)))
    assert "tidegate_clock_offset_seconds 0.25" in text
    assert 'tidegate_orders_used{window_seconds="10"} 1.0' in text
    assert 'tidegate_commit_seconds{quantile="0.99"} 0.2' in text
    assert "tidegate_fullest_mailbox_messages 5.0" in text
    nothing = served(tuple(tie_metrics(Vitals().view(), {**HEALTH, "commits": {}, "mailboxes": []})))
    assert "tidegate_clock_offset_seconds" not in nothing
    assert "tidegate_user_stream_up" not in nothing
    assert "tidegate_commit_seconds{" not in nothing


def test_the_grafana_dashboard_asks_for_metrics_that_there_are() -> None:
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    board = json.loads((ROOT / "deploy/grafana.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"tidegate_\w+", target["expr"])
    }
    assert asked <= known
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
