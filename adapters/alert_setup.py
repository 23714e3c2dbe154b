"""From the configuration to the sender of alerts."""

from __future__ import annotations

from datetime import time

from adapters.alert_routes import RouteSettings
from adapters.alerts import AlertSender, AppriseSink
from adapters.config import Config


def alert_sender(config: Config) -> AlertSender | None:
    """Make the sender that `[alerts]` asks for, None if it names no sink.

    Raises `AppriseMissing` and `BadSink`.
    """
    alerts = config.alerts
    if not alerts.sinks:
        return None
    sinks = {name: AppriseSink(name, url.get_secret_value()) for name, url in alerts.sinks.items()}
    return AlertSender(route_settings(config), sinks)


def route_settings(config: Config) -> RouteSettings:
    """Read levels, routes and quiet hours."""
    alerts = config.alerts
    begin, _, end = alerts.quiet.partition("-")
    return RouteSettings(
        sinks=tuple(alerts.sinks),
        level=alerts.level,
        routes=alerts.routes,
        quiet=(time.fromisoformat(begin), time.fromisoformat(end)) if alerts.quiet else None,
    )
