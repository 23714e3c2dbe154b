"""Clocks that were set during a run, and both sides' books as they would read if none had been."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from actors.runtime import EPOCH

Line = dict[str, Any]
KEPT_SECONDS = 0.1
_PLAN_TIMES = ("start_at", "end_at")
_FACT_TIMES = ("at", "key_until", "accepted_at")


@dataclass(frozen=True, slots=True)
class _Set:
    """From the `after`-th record on a clock is so many seconds ahead; `now` is the moment it was set."""

    after: int
    now: float
    ahead: float


def _ahead(course: list[_Set], number: int) -> float:
    return next(one.ahead for one in reversed(course) if number > one.after)


@dataclass(slots=True)
class ClockLog:
    """When which clock was set, and by how much. Records are counted from 1; moments are true seconds."""

    daemon: list[_Set] = field(default_factory=lambda: [_Set(0, 0.0, 0.0)])
    venue_by_fact: list[_Set] = field(default_factory=lambda: [_Set(0, 0.0, 0.0)])
    venue_by_request: list[_Set] = field(default_factory=lambda: [_Set(0, 0.0, 0.0)])

    @property
    def touched(self) -> bool:
        """Whether any clock was ever off."""
        return any(one.ahead for one in (*self.daemon, *self.venue_by_fact))

    @property
    def daemon_steps(self) -> float:
        """How far apart, in seconds, the daemon's wall clock has been from itself."""
        ahead = [one.ahead for one in self.daemon]
        return max(ahead) - min(ahead)

    @property
    def venue_steps(self) -> float:
        """How far apart, in seconds, the exchange's clock has been from itself."""
        later = self.venue_by_fact[1:] or self.venue_by_fact
        ahead = [one.ahead for one in later]
        return max(ahead) - min(ahead)

    def set_daemon(self, facts: int, now: float, ahead: float) -> None:
        """Note that the daemon's clock is set when so many facts are durable."""
        self.daemon.append(_Set(facts, now, ahead))

    def set_venue(self, facts: int, requests: int, now: float, ahead: float) -> None:
        """Note that the exchange's clock is set when so many facts are durable and requests arrived."""
        self.venue_by_fact.append(_Set(facts, now, ahead))
        self.venue_by_request.append(_Set(requests, now, ahead))

    def journal(self, lines: Iterable[Line]) -> list[Line]:
        """Read a journal's export in true time.

        What was told just before the clock was set may be durable only after it: facts that nobody waits for are kept
        for others for a moment.
        """
        present, *coming = self.daemon
        read = []
        for line in lines:
            while coming and line["seq"] > coming[0].after and not _kept(line, present, coming[0]):
                present = coming.pop(0)
            read.append(self._line(line, timedelta(seconds=present.ahead)))
        return read

    def _line(self, line: Line, ahead: timedelta) -> Line:
        line = {**line, **{name: _back(line[name], ahead) for name in _FACT_TIMES if line.get(name)}}
        if line["type"] == "ExecutionPlanned":
            plan = line["plan"]
            line["plan"] = {**plan, **{name: _back(plan[name], ahead) for name in _PLAN_TIMES if plan.get(name)}}
        if line["type"] == "ChildIntended":
            line["request_timestamp"] -= round(1000 * _ahead(self.venue_by_fact, line["seq"]))
        return line

    def truth(self, truth: dict[str, Any]) -> dict[str, Any]:
        """Read the exchange's truth in true time."""
        received = []
        for number, entry in enumerate(truth["received"], 1):
            ahead = _ahead(self.venue_by_request, number)
            received.append({**entry, "time": entry["time"] - round(1000 * ahead)})
        times = {entry["clientOrderId"]: entry["time"] for entry in received if entry["effect"] == "accepted"}
        orders = []
        for order in truth["orders"]:
            created = times.get(order["clientOrderId"], order["time"])
            updated = self._updated(order["updateTime"], created)
            orders.append({**order, "time": created, "updateTime": updated})
        begun = {(order["symbol"], order["orderId"]): order["time"] for order in orders}
        trades = []
        for trade in truth["trades"]:
            created = begun.get((trade["symbol"], trade["orderId"]), trade["time"])
            trades.append({**trade, "time": self._updated(trade["time"], created)})
        return {**truth, "received": received, "orders": orders, "trades": trades}

    def _updated(self, shown: int, created: int) -> int:
        """Take the earliest true time, not before its creation, at which the clock showed this."""
        candidates = [shown - round(1000 * one.ahead) for one in self.venue_by_request]
        return min((at for at in candidates if at >= created), default=created)


def _kept(line: Line, old: _Set, new: _Set) -> bool:
    """Whether a fact was told before the clock was set, by what it shows, though it became durable after it.

    Of a step that is hardly longer than a fact is kept this cannot be said, and need not: no promise is so exact.
    """
    if abs(new.ahead - old.ahead) <= 2 * KEPT_SECONDS:
        return False
    shown = (datetime.fromisoformat(line["at"]) - EPOCH).total_seconds()
    return 0.0 < new.now - (shown - old.ahead) <= KEPT_SECONDS


def _back(text: str, ahead: timedelta) -> str:
    return (datetime.fromisoformat(text) - ahead).isoformat()
