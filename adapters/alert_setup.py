"""From the configuration to the sender of alerts."""

from __future__ import annotations

from datetime import time

from adapters.alert_routes import RouteSettings
from adapters.alerts import AlertSender, AppriseSink
from adapters.config import Config


def alert_sender(config: Config) -> AlertSender:
    """Make the sender that `[alerts]` asks for; without sinks it sends nothing.

    Raises `AppriseMissing` and `BadSink`.
    """
    return AlertSender(route_settings(config), alert_sinks(config))


def alert_sinks(config: Config) -> dict[str, AppriseSink]:
    """Read the addresses. Raises as `alert_sender` does."""
    return {name: AppriseSink(name, url.get_secret_value()) for name, url in config.alerts.sinks.items()}


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
