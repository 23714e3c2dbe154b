"""What the venue says of our use of its limits, and until when it wants to hear nothing (protocol §3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from actors.runtime import Runtime
from adapters.binance.outcomes import Answer, row_of
from adapters.binance.shapes import RateLimit
from messages.order import BAD_CERTIFICATE, LimitsSeen, VenueAlarm
from messages.refs import Tells

logger = logging.getLogger("tidegate.binance")

SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS: Final = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
_WEIGHT: Final = "x-mbx-used-weight-1m"
_ORDERS: Final = "x-mbx-order-count-"
UNSAID_SECONDS: Final = 60.0
"""How long all is quiet after a limit was hit and nobody said until when."""
ORDERS_UNSAID_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, order=True)
class _Hold:
    """Until when something may not be sent, on the monotonic clock: it lasts though our wall clock is set meanwhile."""

    end: float
    said: datetime = field(default=datetime.min.replace(tzinfo=UTC), compare=False)

    @classmethod
    def of(cls, until: datetime, runtime: Runtime) -> _Hold:
        return cls(runtime.now() + (until - runtime.wall_time()).total_seconds(), until)

    def until(self, runtime: Runtime) -> datetime:
        """Say the end by our wall clock, as it was said unless that clock was set since."""
        until = runtime.wall_time() + timedelta(seconds=self.end - runtime.now())
        return self.said if abs(until - self.said) < _SET else until


_NO_HOLD = _Hold(-math.inf)
_SET = timedelta(seconds=0.5)


class Limits:
    """Remembers limits and holds, and tells whoever asked for it; lives on the loop's thread."""

    def __init__(self, runtime: Runtime, quiet_until: datetime | None = None) -> None:
        """Begin with nothing known and nobody told; before `quiet_until` nothing may be sent, as of an earlier life."""
        self._runtime = runtime
        self._listener: Tells[LimitsSeen | VenueAlarm] | None = None
        self._weight_limit: int | None = None
        self._order_limits: dict[int, int] = {}
        self._unheard: list[LimitsSeen | VenueAlarm] = []
        self._told = LimitsSeen()
        self._all = _NO_HOLD if quiet_until is None else _Hold.of(quiet_until, runtime)
        self._orders = _NO_HOLD

    def report_to(self, listener: Tells[LimitsSeen | VenueAlarm]) -> None:
        """Tell `listener` from now on, beginning with what is known."""
        self._listener = listener
        unheard, self._unheard = self._unheard, []
        for word in (*unheard, self._told):
            if word != LimitsSeen():
                self._runtime.send(listener, word)

    def held_until(self, *, order: bool = False) -> datetime | None:
        """Return until when nothing may be sent (for an order: no order either); None if it may."""
        hold = max(self._all, self._orders) if order else self._all
        return hold.until(self._runtime) if hold.end > self._runtime.now() else None

    @property
    def only_orders(self) -> bool:
        """Whether new orders have to wait longer than all the rest."""
        return self._orders.end > self._all.end

    def hold_seconds(self) -> float:
        """Return for how long nothing may be sent, 0 if it may."""
        return max(0.0, self._all.end - self._runtime.now())

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
        """Do about an error what its row asks for; return it with the end of a hold as `until`."""
        row = row_of(answer)
        care = row.care
        if care.holds:
            answer = self._hold(answer, orders_only=not care.holds_all)
        if care.alarms:
            logger.error("the venue answered what no waiting mends (%s)", answer)
            code = answer.status if row.code is None else answer.error_code
            self._tell(VenueAlarm(code=code, detail=answer.message or str(answer)))
        return answer

    def distrust(self) -> None:
        """Tell that whoever is there shows no certificate that can be trusted."""
        detail = "no certificate that can be trusted: it is false, it has expired, or this machine's clock is wrong"
        self._tell(VenueAlarm(code=BAD_CERTIFICATE, detail=detail))

    def _hold(self, answer: Answer, *, orders_only: bool) -> Answer:
        unsaid = ORDERS_UNSAID_SECONDS if orders_only else UNSAID_SECONDS
        until = answer.until or self._runtime.wall_time() + timedelta(seconds=unsaid)
        hold = _Hold.of(until, self._runtime)
        if orders_only:
            longest = self._orders = max(self._orders, hold)
        else:
            longest = self._all = max(self._all, hold)
        what = "no new order" if orders_only else "nothing"
        logger.warning("the venue wants to hear %s until %s (%s)", what, until.isoformat(), answer)
        self._tell(
            LimitsSeen(
                retry_at=longest.until(self._runtime),
                banned=answer.status == 418,
                orders_only=orders_only,
                detail=str(answer),
            )
        )
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

    def _tell(self, word: LimitsSeen | VenueAlarm) -> None:
        if isinstance(word, LimitsSeen) and word.retry_at is None:
            self._told = word  # Figures that come later are newer; holds and alarms are each told.
        elif self._listener is None:
            self._unheard.append(word)
        if self._listener is not None:
            self._runtime.send(self._listener, word)
