"""Sends alerts to where people look: phones, mail, chats, over apprise, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self

from adapters.alert_routes import Alert, AlertRoutes, Delivery, RouteSettings

BOUND: Final = 256
"""Alerts that wait to be sent; the oldest gives way."""
TRIES: Final = 3
PAUSE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 30.0
"""How often it is looked whether the quiet hours are over."""
GIVE_UP_SECONDS: Final = 5.0
"""How long the end waits for what is still to be sent."""

_QUOTERS: Final = ("apprise", "requests", "urllib3")
"""Loggers of those who write addresses into their records, and addresses hold tokens. What failed is said here."""

logger = logging.getLogger("tidegate.alerts")


class Sink(Protocol):
    """Where alerts can be sent to; it may take its time."""

    def send(self, delivery: Delivery) -> bool:
        """Send; False if that failed. May raise anything, which counts as failed."""


class AppriseMissing(Exception):
    """Alerts are to be sent, and the package that does it is not installed."""


class BadSink(Exception):
    """An address that apprise does not understand; the text names the sink, never the address."""


class AppriseSink:
    """One address of apprise (https://github.com/caronc/apprise/wiki), such as `ntfy://topic`."""

    def __init__(self, name: str, url: str) -> None:
        """Read the address. Raises `AppriseMissing` and `BadSink`."""
        try:
            import apprise
        except ImportError as error:
            raise AppriseMissing("alerts.sinks needs apprise: .venv/bin/pip install apprise") from error
        for quoter in _QUOTERS:
            logging.getLogger(quoter).setLevel(logging.CRITICAL + 1)
        self._types = {
            "info": apprise.NotifyType.INFO,
            "warning": apprise.NotifyType.WARNING,
            "error": apprise.NotifyType.FAILURE,
            "critical": apprise.NotifyType.FAILURE,
        }
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            raise BadSink(f"alerts.sinks.{name}: apprise does not know such an address")

    def send(self, delivery: Delivery) -> bool:
        """Send over the network."""
        kind = self._types[delivery.level]
        return bool(self._apprise.notify(title=f"Tidegate {delivery.title}", body=delivery.body, notify_type=kind))


class AlertSender:
    """Takes alerts from an actor, at once and without ever blocking, and sends them one after the other.

    Used as `with AlertSender(...) as alerts:`. A sink that fails is tried again twice and then given up
    for this alert; one that hangs makes alerts wait, up to `BOUND`, and nothing else.
    """

    def __init__(
        self,
        settings: RouteSettings,
        sinks: Mapping[str, Sink],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._routes, self._sinks = AlertRoutes(settings), dict(sinks)
        self._now, self._sleep = now, sleep
        self._waiting: deque[Alert] = deque(maxlen=BOUND)
        self._news = threading.Condition()
        self._closing = False
        self.dropped = self.failed = self.sent = 0
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(GIVE_UP_SECONDS)
        if self._thread.is_alive():
            logger.warning("alerts are left unsent: a sink does not answer")

    def change(self, settings: RouteSettings, sinks: Mapping[str, Sink]) -> None:
        """Send by other routes, to other sinks, from the next alert on; what is held back stays so."""
        with self._news:
            self._routes.change(settings)
            self._sinks = dict(sinks)

    def tell(self, alert: Alert, /) -> None:
        """Take an alert."""
        with self._news:
            self.dropped += len(self._waiting) == BOUND
            self._waiting.append(alert)
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                if not self._waiting and not self._closing:
                    self._news.wait(LOOK_SECONDS)
                if self._closing and not self._waiting:
                    return
                alerts, now = list(self._waiting), self._now()
                self._waiting.clear()
            for delivery in self._routes.release(now):
                self._deliver(delivery)
            for alert in alerts:
                for delivery in self._routes.take(alert, now):
                    self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        for name in delivery.sinks:
            if any(self._try(name, delivery, attempt) for attempt in range(TRIES)):
                self.sent += 1
            else:
                self.failed += 1
                logger.error("an alert could not be sent to %s: %s", name, delivery.title)

    def _try(self, name: str, delivery: Delivery, attempt: int) -> bool:
        if attempt and not self._closing:
            self._sleep(PAUSE_SECONDS * attempt)
        sink = self._sinks.get(name)
        try:
            return sink is not None and sink.send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever a sink does, the next alert is tried
            logger.warning("the sink %s failed: %s", name, type(error).__name__)
            return False
