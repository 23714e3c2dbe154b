"""What the venue says of our use of its limits, and until when it wants to hear nothing (protocol §3)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from actors.runtime import Runtime
from adapters.binance.outcomes import Answer, Care, row_of
from adapters.binance.shapes import RateLimit
from messages.order import LimitsSeen
from messages.refs import Tells

logger = logging.getLogger("tidegate.binance")

SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS: Final = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
_WEIGHT: Final = "x-mbx-used-weight-1m"
_ORDERS: Final = "x-mbx-order-count-"
UNSAID_SECONDS: Final = 60.0
"""How long all is quiet after a limit was hit and nobody said until when."""
ORDERS_UNSAID_SECONDS: Final = 10.0


class Limits:
    """Remembers limits and holds, and tells whoever asked for it; lives on the loop's thread."""

    def __init__(self, runtime: Runtime, quiet_until: datetime | None = None) -> None:
        """Begin with nothing known and nobody told; before `quiet_until` nothing may be sent, as of an earlier life."""
        self._runtime = runtime
        self._listener: Tells[LimitsSeen] | None = None
        self._weight_limit: int | None = None
        self._order_limits: dict[int, int] = {}
        self._told = LimitsSeen()
        self._all_until = quiet_until
        self._orders_until: datetime | None = None

    def report_to(self, listener: Tells[LimitsSeen]) -> None:
        """Tell `listener` from now on, beginning with what is known."""
        self._listener = listener
        if self._told != LimitsSeen():
            self._runtime.send(listener, self._told)

    def held_until(self, *, order: bool = False) -> datetime | None:
        """Return until when nothing may be sent (for an order: no order either); None if it may."""
        now = self._runtime.wall_time()
        holds = [self._all_until, self._orders_until if order else None]
        return max((until for until in holds if until is not None and until > now), default=None)

    def hold_seconds(self) -> float:
        """Return for how long nothing may be sent, 0 if it may."""
        until = self.held_until()
        return 0.0 if until is None else (until - self._runtime.wall_time()).total_seconds()

    def learn_headers(self, headers: Mapping[str, str]) -> None:
        """Take the figures of a REST answer's headers."""
        weight: int | None = None
        counts: dict[int, int] = {}
        for name, value in headers.items():
            lower = name.lower()
            if not value.isdigit():
                continue
            if lower == _WEIGHT:
                weight = int(value)
            elif lower.startswith(_ORDERS):
                window = lower.removeprefix(_ORDERS)
                unit = _LETTERS.get(window[-1:].upper())
                if unit is not None and window[:-1].isdigit():
                    counts[int(window[:-1]) * unit] = int(value)
        self._learn(weight, counts)

    def learn_limits(self, limits: Iterable[RateLimit]) -> None:
        """Take `rateLimits`: limits, and how much of them is used where that is told."""
        weight: int | None = None
        counts: dict[int, int] = {}
        for one in limits:
            seconds = SECONDS.get(one.interval, 0) * one.interval_num
            if one.rate_limit_type == "REQUEST_WEIGHT" and seconds == 60:
                self._weight_limit, weight = one.limit, one.count
            elif one.rate_limit_type == "ORDERS" and seconds:
                self._order_limits[seconds] = one.limit
                if one.count is not None:
                    counts[seconds] = one.count
        self._learn(weight, counts)

    def learn_answer(self, answer: Answer) -> Answer:
        """Hold back what an error says is to be held back; return it with the end of that as `until`."""
        care = row_of(answer).care
        now = self._runtime.wall_time()
        if care is Care.HOLD_ORDERS:
            until = answer.until or now + timedelta(seconds=ORDERS_UNSAID_SECONDS)
            self._orders_until = max(until, self._orders_until or until)
            return replace(answer, until=until)
        if care is not Care.HOLD_ALL:
            return answer
        until = answer.until or now + timedelta(seconds=UNSAID_SECONDS)
        self._all_until = max(until, self._all_until or until)
        banned = answer.status == 418
        logger.warning("the venue wants to hear nothing until %s (%s)", until.isoformat(), answer)
        self._tell(LimitsSeen(retry_at=self._all_until, banned=banned, detail=str(answer)))
        return replace(answer, until=until)

    def retry_after(self, headers: Mapping[str, str]) -> datetime | None:
        """Read `Retry-After` (seconds) of a REST answer or a refused handshake."""
        value = headers.get("Retry-After", "")
        if not value.isdigit():
            return None
        return self._runtime.wall_time() + timedelta(seconds=int(value))

    def _learn(self, weight: int | None, counts: Mapping[int, int]) -> None:
        known = tuple(
            (seconds, used, self._order_limits[seconds])
            for seconds, used in sorted(counts.items())
            if seconds in self._order_limits
        )
        if weight is not None or known:
            self._tell(LimitsSeen(used_weight=weight, weight_limit=self._weight_limit, order_counts=known))

    def _tell(self, seen: LimitsSeen) -> None:
        self._told = seen
        if self._listener is not None:
            self._runtime.send(self._listener, seen)
