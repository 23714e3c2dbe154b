"""Figures for a monitoring system, in the text form of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.projection import Projection
from messages.control import Readiness


class _Figures(Collector):
    def __init__(
        self,
        projection: Projection,
        readiness: Readiness,
        verdicts: Mapping[tuple[str, str], int],
        streams: int,
        more: Iterable[Metric],
    ) -> None:
        self._projection, self._readiness = projection, readiness
        self._verdicts, self._streams, self._more = verdicts, streams, list(more)

    def collect(self) -> Iterator[Metric]:
        projection = self._projection
        stands = GaugeMetricFamily("tidegate_readiness", "1 for how the daemon stands", labels=["state"])
        for state in Readiness:
            stands.add_metric([state.value], float(state is self._readiness))
        yield stands
        yield GaugeMetricFamily("tidegate_executions_running", "Executions that are not closed", projection.running)
        yield GaugeMetricFamily("tidegate_journal_seq", "The last durable fact", projection.seq)
        yield GaugeMetricFamily("tidegate_halted", "1 while no order goes out", float(projection.halted is not None))
        yield GaugeMetricFamily("tidegate_event_streams", "Readers of /v1/events", self._streams)
        standing = sum(alert["cleared_at"] is None for alert in projection.alerts())
        yield GaugeMetricFamily("tidegate_alerts_standing", "Alerts that are not cleared", standing)
        facts = CounterMetricFamily("tidegate_facts", "Facts in the journal by kind", labels=["kind"])
        for kind, count in sorted(projection.counts.items()):
            facts.add_metric([kind], count)
        yield facts
        verdicts = CounterMetricFamily("tidegate_http_verdicts", "Verdicts sent over HTTP", labels=["status", "reason"])
        for (status, reason), count in sorted(self._verdicts.items()):
            verdicts.add_metric([status, reason], count)
        yield verdicts
        yield from self._more


def metrics_text(
    projection: Projection,
    readiness: Readiness,
    verdicts: Counter[tuple[str, str]],
    streams: int,
    more: Iterable[Metric] = (),
) -> bytes:
    """Write every figure; `verdicts` counts by (status, reason), `streams` the readers of events.

    `more` are further figures; docs/metrics.md lists them all.
    """
    registry = CollectorRegistry()
    registry.register(_Figures(projection, readiness, verdicts, streams, more))
    return generate_latest(registry)
