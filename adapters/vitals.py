"""How the house's ties to the world are: noted from what passes through them, told when asked for.

Nothing is asked of an actor and nothing waits: a tap stands between a venue and its listeners, takes
note of a message and hands it on, in the thread that brought it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Generic, Protocol, TypeVar

from adapters.views import Json, iso
from messages.control import Committed
from messages.execution import Holds, WaitsFor
from messages.market import MarketEvent, MarketGap, QuoteSeen, WatchMarket
from messages.money import plain
from messages.order import (
    LimitsSeen,
    OpenUserStream,
    QueryAnswer,
    QueryTime,
    ReportLimits,
    StreamCut,
    StreamOpened,
    TimeFound,
    UserEvent,
    VenueAlarm,
    VenueCommand,
)
from messages.refs import Tells

PRICE_HISTORY: Final = 3_600
"""Seconds of which a price is remembered, for each symbol."""
REMEMBERED_COMMITS: Final = 1_024
REMEMBERED_WAITS: Final = 4_096

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Touch:
    """The best bid and ask of a symbol, seen at `seen_at` on the monotonic clock."""

    bid: Decimal
    ask: Decimal
    seen_at: float

    @property
    def mid(self) -> Decimal:
        """Half way between."""
        return (self.bid + self.ask) / 2


class _Tap(Generic[M]):
    """Stands in for a listener: notes each message, then hands it on; as alive as the listener is."""

    def __init__(self, inner: Tells[M], note: Callable[[M], None]) -> None:
        self.inner, self._note = inner, note

    def tell(self, message: M, /) -> None:
        self._note(message)
        self.inner.tell(message)

    def is_alive(self) -> bool:
        alive = getattr(self.inner, "is_alive", None)
        return True if alive is None else bool(alive())


class Vitals:
    """The latest of everything that passed; may be asked from any thread.

    Args:
        monotonic: seconds on a clock that never steps, for ages.
        wall_seconds: seconds since 1970, for the price history.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall_seconds: Callable[[], float] = time.time
    ) -> None:
        self._monotonic, self._wall_seconds = monotonic, wall_seconds
        self._lock = threading.Lock()
        self._touches: dict[str, Touch] = {}
        self._prices: dict[str, deque[tuple[int, Decimal]]] = {}
        self._market_gaps = self._stream_cuts = 0
        self._stream_open: bool | None = None
        self._stream_heard: float | None = None
        self._offset: tuple[int, float] | None = None
        self._limits = LimitsSeen()
        self._waits: dict[tuple[str, Holds], WaitsFor] = {}

    # What passes ------------------------------------------------------------------------------

    def tap(self, venue: Tells[VenueCommand | WatchMarket]) -> TappedVenue:
        """Return what does as `venue` does, and lets this take note."""
        return TappedVenue(venue, self)

    def see_market(self, event: MarketEvent) -> None:
        """Note a quote, or that some were missed."""
        match event:
            case QuoteSeen(symbol=symbol, bid=bid, ask=ask):
                second = int(self._wall_seconds())
                touch = Touch(bid, ask, self._monotonic())
                with self._lock:
                    self._touches[symbol] = touch
                    prices = self._prices.setdefault(symbol, deque(maxlen=PRICE_HISTORY))
                    if prices and prices[-1][0] >= second:
                        prices[-1] = prices[-1][0], touch.mid
                    else:
                        prices.append((second, touch.mid))
            case MarketGap():
                self._market_gaps += 1

    def see_user(self, event: UserEvent) -> None:
        """Note a sign of life of the user-data stream, or its cut."""
        match event:
            case StreamCut():
                self._stream_open = False
                self._stream_cuts += 1
            case StreamOpened():
                self._stream_open, self._stream_heard = True, self._monotonic()
            case _:
                self._stream_heard = self._monotonic()

    def see_answer(self, answer: QueryAnswer) -> None:
        """Note how far the venue's clock is from ours."""
        if isinstance(answer, TimeFound):
            self._offset = answer.offset_milliseconds - answer.bias_milliseconds, self._monotonic()

    def see_limits(self, seen: LimitsSeen | VenueAlarm) -> None:
        """Note what is used of the venue's limits; what is not told stays as it was."""
        if isinstance(seen, VenueAlarm):
            return
        known = self._limits
        self._limits = LimitsSeen(
            used_weight=known.used_weight if seen.used_weight is None else seen.used_weight,
            weight_limit=known.weight_limit if seen.weight_limit is None else seen.weight_limit,
            order_counts=seen.order_counts or known.order_counts,
            retry_at=seen.retry_at,
            banned=seen.banned,
            detail=seen.detail,
        )

    def tell(self, message: WaitsFor, /) -> None:
        """Note what the due child of an execution waits for."""
        key = message.execution_id, message.by
        with self._lock:
            self._waits.pop(key, None)
            if message.hindrance is not None:
                self._waits[key] = message
                if len(self._waits) > REMEMBERED_WAITS:  # Whoever ended while it waited takes nothing back.
                    del self._waits[next(iter(self._waits))]

    # What is told -----------------------------------------------------------------------------

    def waits_for(self, execution_id: str) -> WaitsFor | None:
        """Tell what the due child of an execution waits for: in the market, else at the exchange's door."""
        with self._lock:
            return self._waits.get((execution_id, "market")) or self._waits.get((execution_id, "exchange"))

    def touch(self, symbol: str) -> Touch | None:
        """Tell the latest bid and ask of a symbol."""
        with self._lock:
            return self._touches.get(symbol)

    def age(self, touch: Touch) -> float:
        """Tell how many seconds ago that was."""
        return max(self._monotonic() - touch.seen_at, 0.0)

    def prices(self, symbol: str) -> list[tuple[int, Decimal]]:
        """List a symbol's mids as (second since 1970, price), one a second at most, oldest first."""
        with self._lock:
            return list(self._prices.get(symbol, ()))

    def view(self) -> Json:
        """Tell everything but the prices. Ages in seconds; None for what was never heard of."""
        with self._lock:
            touches = dict(self._touches)
        limits, offset = self._limits, self._offset
        return {
            "market": {
                "age": min((self.age(touch) for touch in touches.values()), default=None),
                "gaps": self._market_gaps,
                "symbols": {
                    symbol: {"bid": plain(touch.bid), "ask": plain(touch.ask), "age": round(self.age(touch), 1)}
                    for symbol, touch in touches.items()
                },
            },
            "stream": {
                "open": self._stream_open,
                "age": None if self._stream_heard is None else self._monotonic() - self._stream_heard,
                "cuts": self._stream_cuts,
            },
            "clock": {
                "offset_ms": None if offset is None else offset[0],
                "age": None if offset is None else self._monotonic() - offset[1],
            },
            "limits": {
                "used_weight": limits.used_weight,
                "weight_limit": limits.weight_limit,
                "order_counts": [list(count) for count in limits.order_counts],
                "retry_at": None if limits.retry_at is None else iso(limits.retry_at),
                "banned": limits.banned,
            },
        }


class TappedVenue:
    """A venue whose answers of general interest are noted by `Vitals`; orders pass untouched."""

    def __init__(self, venue: Tells[VenueCommand | WatchMarket], vitals: Vitals) -> None:
        self._venue, self._vitals = venue, vitals
        self._taps: dict[tuple[int, str], _Tap[MarketEvent]] = {}

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        """Hand a command on, with a tap where its answers say how the ties to the venue are."""
        vitals = self._vitals
        match message:
            case WatchMarket(listener=listener, symbol=symbol):
                # Venues know a listener by identity: the same one must get the same tap.
                tap = self._taps.setdefault((id(listener), symbol), _Tap(listener, vitals.see_market))
                self._venue.tell(replace(message, listener=tap))
            case OpenUserStream(listener=user):
                self._venue.tell(replace(message, listener=_Tap(user, vitals.see_user)))
            case ReportLimits(listener=budget):
                self._venue.tell(replace(message, listener=_Tap(budget, vitals.see_limits)))
            case QueryTime(reply_to=asker):
                self._venue.tell(replace(message, reply_to=_Tap(asker, vitals.see_answer)))
            case _:
                self._venue.tell(message)


# Commits ------------------------------------------------------------------------------------------


class _Stores(Protocol):
    """What a journal's store can do."""

    journal_id: str

    def append(self, records: Sequence[Committed]) -> None: ...
    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]: ...
    def archive(self, seqs: Sequence[int]) -> None: ...
    def last_seq(self) -> int: ...
    def close(self) -> None: ...


class TimedStore:
    """A store that remembers how long its last commits took."""

    def __init__(self, store: _Stores) -> None:
        self._store = store
        self.journal_id = store.journal_id
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=REMEMBERED_COMMITS)
        self.commits = self.facts = 0

    def append(self, records: Sequence[Committed]) -> None:
        """Append, and note how long it took; what is raised is no commit."""
        with self._timed(len(records)):
            self._store.append(records)

    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]:
        """Read from the store within."""
        return self._store.read(after, kinds, execution_id, archived=archived)

    def archive(self, seqs: Sequence[int]) -> None:
        """Archive in the store within."""
        self._store.archive(seqs)

    def last_seq(self) -> int:
        """Ask the store within."""
        return self._store.last_seq()

    def close(self) -> None:
        """Close the store within."""
        self._store.close()

    def view(self) -> Json:
        """Tell how many commits and facts there were, and seconds of the median, the 99th percentile, the worst."""
        with self._lock:
            recent = sorted(self._recent)
        return {"commits": self.commits, "facts": self.facts, **quantiles(recent)}

    @contextmanager
    def _timed(self, facts: int) -> Iterator[None]:
        began = time.perf_counter()
        yield
        took = time.perf_counter() - began
        with self._lock:
            self._recent.append(took)
        self.commits += 1
        self.facts += facts


def quantiles(ascending: Sequence[float]) -> Json:
    """Tell the median, the 99th percentile and the worst of sorted figures, None where there are none."""
    count = len(ascending)
    if not count:
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": ascending[count // 2],
        "p99": ascending[min(count - 1, int(count * 0.99))],
        "max": ascending[-1],
    }
