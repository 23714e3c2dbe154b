"""Who hears of which alert, and when: levels, routes by kind, quiet hours. No clock, no network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Final, Literal

from messages.facts import AlertCleared, AlertRaised

Level = Literal["info", "warning", "error", "critical"]
ORDER: Final[dict[Level, int]] = {"info": 0, "warning": 1, "error": 2, "critical": 3}
REMEMBERED: Final = 1_000
HELD: Final = 200

Alert = AlertRaised | AlertCleared


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """What is sent to whom.

    `level` is the least important one that is sent. `routes` names the sinks for a kind; a kind that is
    not among them goes to all. In the quiet hours (UTC, from the first up to the second, over midnight
    where it is later) only `critical` ones are sent; the others wait for their end.
    """

    sinks: tuple[str, ...] = ()
    level: Level = "warning"
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quiet: tuple[time, time] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that goes to these sinks."""

    sinks: tuple[str, ...]
    level: Level
    title: str
    body: str


class AlertRoutes:
    """Decides on each alert, and holds back what comes in quiet hours, at most `HELD` of it.

    The end of an alert goes where its beginning went. An alert that ends in the same quiet hours was
    nobody's sleep worth, and is not sent at all.
    """

    def __init__(self, settings: RouteSettings) -> None:
        self._settings = settings
        self._sent: OrderedDict[tuple[str, str], Level | None] = OrderedDict()
        self._held: OrderedDict[tuple[str, str], AlertRaised] = OrderedDict()

    def change(self, settings: RouteSettings) -> None:
        """Decide by other settings from now on."""
        self._settings = settings

    def take(self, alert: Alert, now: datetime) -> list[Delivery]:
        """Say what is to be sent because of an alert."""
        episode = alert.kind, alert.subject
        match alert:
            case AlertRaised():
                if ORDER[alert.level] < ORDER[self._settings.level] or not self._sinks(alert.kind):
                    self._remember(episode, None)
                    return []
                if alert.level != "critical" and self._is_quiet(now):
                    self._held[episode] = alert
                    if len(self._held) > HELD:
                        self._held.popitem(last=False)
                    return []
                return [self._raised(alert)]
            case AlertCleared():
                if self._held.pop(episode, None) is not None:
                    return []
                # What an earlier life of the process raised is not known here: better once too often.
                level = self._sent.pop(episode, "info")
                sinks = self._sinks(alert.kind)
                if level is None or not sinks:
                    return []
                return [Delivery(sinks, "info", f"over: {_words(alert.kind)}", f"{alert.subject}: {alert.text}")]

    def release(self, now: datetime) -> list[Delivery]:
        """Say what is to be sent now that was held back, once the quiet hours are over."""
        if self._is_quiet(now):
            return []
        held, self._held = self._held, OrderedDict()
        return [self._raised(alert) for alert in held.values()]

    def _raised(self, alert: AlertRaised) -> Delivery:
        self._remember((alert.kind, alert.subject), alert.level)
        body = f"{alert.subject}: {alert.text}"
        return Delivery(self._sinks(alert.kind), alert.level, f"{alert.level}: {_words(alert.kind)}", body)

    def _remember(self, episode: tuple[str, str], level: Level | None) -> None:
        self._sent[episode] = level
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def _sinks(self, kind: str) -> tuple[str, ...]:
        return self._settings.routes.get(kind, self._settings.sinks)

    def _is_quiet(self, now: datetime) -> bool:
        if self._settings.quiet is None:
            return False
        begin, end = self._settings.quiet
        at = now.time()
        return begin <= at < end if begin <= end else at >= begin or at < end


def _words(kind: str) -> str:
    return kind.replace("_", " ")
