"""Which signal has been seen before: a fold of accepted signals and closed executions, without I/O.

Two rules. By id: (source, id) is accepted once and remembered for `retention_days`; the same id
with other content is a conflict. By fingerprint: the same account, symbol and side at a price near
that of an accepted signal is a duplicate until `cache_ttl_seconds` after its execution closed.
Nearness is a comparison, so there is no edge of a bucket at which a repeat could slip through.

The specification's `SignalDeduplicator` is here: `generate_signal_id` is `Dedup.label`,
`is_duplicate` is `Dedup.judge`, `register_execution` is `Dedup.accept`, `_clean_expired` is
`Dedup.expire`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from messages.facts import SignalAccepted, signal_key
from messages.ids import microseconds
from messages.money import BPS, plain
from messages.signal import Side, Signal, TwapOptions

LABEL_BUCKET_MINUTES = 5
_THE_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupSettings:
    """What counts as the same signal again.

    `fingerprint` says whether signals with an id are compared by price as well. Prices differ by at
    most `price_tolerance_bps` of the earlier one. `price_rounding_decimals` is for the label only.
    """

    fingerprint: Literal["without_id", "always"] = "without_id"
    price_tolerance_bps: Decimal = Decimal(10)
    cache_ttl_seconds: Decimal = Decimal(600)
    price_rounding_decimals: int = 0
    retention_days: Decimal = Decimal(7)


class New(NamedTuple):
    """Nothing like it is remembered."""


class DuplicateOf(NamedTuple):
    """It repeats the signal that caused `execution_id` and was accepted at `first_seen`."""

    execution_id: str
    first_seen: datetime
    by: Literal["id", "fingerprint"]


class ConflictWith(NamedTuple):
    """Its id is that of another signal: the named fields differ."""

    execution_id: str
    first_seen: datetime
    differing: tuple[str, ...]


Judgement = New | DuplicateOf | ConflictWith


class _Content(NamedTuple):
    """What must be equal for two signals with one id to be one signal; timestamps do not count."""

    account: str
    symbol: str
    side: Side
    quantity: Decimal | None
    quote_quantity: Decimal | None
    limit_price: Decimal | None
    twap: TwapOptions


_Group = tuple[str, str, Side]
_IdKey = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Seen:
    """An accepted signal, as long as either rule needs it; `number` counts them in order."""

    number: int
    execution_id: str
    first_seen: datetime
    id_key: _IdKey | None
    content: _Content
    group: _Group
    price: Decimal
    key_until: datetime = _THE_BEGINNING


class Dedup:
    """Remembers accepted signals and judges new ones. Times are aware UTC and never run backwards
    in here: an earlier time than one already seen counts as that one.

    Two clocks are told apart: `at` is one that does not step, by which windows are measured, and the
    other the wall clock, which writes what is accepted. An id is forgotten when both say so, for the
    store holds its key by the wall clock.
    """

    def __init__(self, settings: DedupSettings) -> None:
        self._settings = settings
        self._ttl = _seconds(settings.cache_ttl_seconds)
        self._retention = _seconds(settings.retention_days * 86_400)
        self._tolerance = settings.price_tolerance_bps / BPS
        self._unit = Decimal(1).scaleb(-settings.price_rounding_decimals)
        self._by_id: dict[_IdKey, _Seen] = {}
        self._by_price: dict[_Group, list[tuple[Decimal, int, _Seen]]] = {}
        self._open: dict[str, _Seen] = {}
        self._ends: list[tuple[datetime, int, bool, _Seen]] = []
        self._accepted = 0
        self._clock = self._wall = _THE_BEGINNING

    # What happened ----------------------------------------------------------------------------

    def accept(self, accepted: SignalAccepted, at: datetime | None = None) -> None:
        """Remember a signal accepted `at` (the specification's `register_execution`)."""
        self.expire(at or accepted.accepted_at, accepted.accepted_at)
        signal = accepted.signal
        self._accepted += 1
        seen = _Seen(
            number=self._accepted,
            execution_id=accepted.execution_id,
            first_seen=accepted.accepted_at,
            id_key=None if signal.id is None else (signal.source, signal.id),
            content=_content(signal),
            group=(signal.account, signal.symbol, signal.side),
            price=accepted.reference_price,
        )
        self._open[seen.execution_id] = seen
        insort(self._by_price.setdefault(seen.group, []), (seen.price, seen.number, seen))
        if seen.id_key is not None:
            self._by_id[seen.id_key] = seen
            behind = self._clock - accepted.accepted_at
            seen.key_until = accepted.key_until
            heappush(self._ends, (accepted.key_until + behind, seen.number, True, seen))

    def close(self, execution_id: str, at: datetime, children: int) -> None:
        """Take note that an execution closed after `children` intents; without any its keys are free."""
        self.expire(at)
        seen = self._open.pop(execution_id, None)
        if seen is None:
            return
        if children:
            heappush(self._ends, (self._clock + self._ttl, seen.number, False, seen))
        else:
            self._forget_id(seen)
            self._forget_price(seen)

    def expire(self, now: datetime, wall: datetime | None = None) -> None:
        """Forget what has run out by `now` (the specification's `_clean_expired`)."""
        self._clock, self._wall = max(self._clock, now), wall or now
        ends = self._ends
        while ends and ends[0][0] <= self._clock:
            _, _, is_id, seen = heappop(ends)
            if not is_id:
                self._forget_price(seen)
            elif (left := seen.key_until - self._wall) > timedelta(0):
                heappush(ends, (self._clock + left, seen.number, True, seen))
            else:
                self._forget_id(seen)

    # Questions --------------------------------------------------------------------------------

    def judge(self, signal: Signal, now: datetime, mid: Decimal | None, wall: datetime | None = None) -> Judgement:
        """Say whether a signal that arrives `now` is new (the specification's `is_duplicate`).

        `mid` stands in for a missing price; without either nothing can be compared by price.
        """
        self.expire(now, wall)
        if signal.id is not None:
            seen = self._by_id.get((signal.source, signal.id))
            if seen is not None:
                differing = _differing(seen.content, _content(signal))
                if differing:
                    return ConflictWith(seen.execution_id, seen.first_seen, differing)
                return DuplicateOf(seen.execution_id, seen.first_seen, "id")
            if self._settings.fingerprint == "without_id":
                return New()
        price = mid if signal.price is None else signal.price
        if price is not None:
            seen = self._near((signal.account, signal.symbol, signal.side), price)
            if seen is not None:
                return DuplicateOf(seen.execution_id, seen.first_seen, "fingerprint")
        return New()

    def key(self, signal: Signal, reference_price: Decimal, accepted_at: datetime) -> str:
        """Name the key under which the store lets a signal be accepted only once.

        Prices are compared, not equated, so a fingerprint's key can only be unique, not shared.
        """
        if signal.id is not None:
            return signal_key(signal.source, signal.id)
        price, moment = plain(reference_price), str(microseconds(accepted_at))
        return f"fingerprint:{signal.account}\x1f{signal.symbol}\x1f{signal.side.value}\x1f{price}\x1f{moment}"

    def key_until(self, signal: Signal, accepted_at: datetime) -> datetime:
        """Say until when the store holds the key: an id for its retention, any other for the TTL."""
        return accepted_at + (self._ttl if signal.id is None else self._retention)

    def label(self, signal: Signal, now: datetime, mid: Decimal | None) -> str:
        """Write a signal as people read it (the specification's `generate_signal_id`).

        `BTCUSDT_BUY_42151_17:00`: price rounded half up, the five minutes of the signal's own time
        in UTC, else of `now`. Nothing is ever compared by it.
        """
        price = mid if signal.price is None else signal.price
        moment = now if signal.timestamp is None else signal.timestamp.astimezone(UTC)
        minute = moment.minute - moment.minute % LABEL_BUCKET_MINUTES
        return f"{signal.symbol}_{signal.side}_{self._rounded(price)}_{moment.hour:02}:{minute:02}"

    def __len__(self) -> int:
        """Count what is remembered, by either rule."""
        return len(self._by_id) + sum(len(prices) for prices in self._by_price.values())

    # Within -----------------------------------------------------------------------------------

    def _rounded(self, price: Decimal | None) -> str:
        if price is None:
            return "-"
        return format(price.quantize(self._unit, ROUND_HALF_UP), "f")

    def _near(self, group: _Group, price: Decimal) -> _Seen | None:
        """Find the nearest accepted price within the tolerance; of equally near ones the earliest.

        If the nearest one on a side is out of reach, all behind it are: a reference price r reaches
        from r(1-t) to r(1+t), and both ends grow with r. So two neighbours are enough to look at.
        """
        prices = self._by_price.get(group)
        if not prices:
            return None
        above = bisect_left(prices, price, key=_price_of)
        found = None
        if above and self._reaches(prices[above - 1][0], price):
            below = prices[above - 1][0]
            found = prices[bisect_left(prices, below, key=_price_of)]
        if above < len(prices) and self._reaches(prices[above][0], price):
            other = prices[above]
            if found is None or (other[0] - price, other[1]) < (price - found[0], found[1]):
                found = other
        return None if found is None else found[2]

    def _reaches(self, reference: Decimal, price: Decimal) -> bool:
        return abs(price - reference) <= reference * self._tolerance

    def _forget_id(self, seen: _Seen) -> None:
        if seen.id_key is not None and self._by_id.get(seen.id_key) is seen:
            del self._by_id[seen.id_key]

    def _forget_price(self, seen: _Seen) -> None:
        prices = self._by_price[seen.group]
        del prices[bisect_left(prices, (seen.price, seen.number), key=_order_of)]
        if not prices:
            del self._by_price[seen.group]


def _seconds(amount: Decimal) -> timedelta:
    return timedelta(microseconds=int(amount * 1_000_000))


def _price_of(entry: tuple[Decimal, int, _Seen]) -> Decimal:
    return entry[0]


def _order_of(entry: tuple[Decimal, int, _Seen]) -> tuple[Decimal, int]:
    return entry[:2]


def _content(signal: Signal) -> _Content:
    return _Content(
        signal.account,
        signal.symbol,
        signal.side,
        signal.quantity,
        signal.quote_quantity,
        signal.limit_price,
        signal.twap,
    )


def _differing(one: _Content, other: _Content) -> tuple[str, ...]:
    if one == other:
        return ()
    fields = zip(_Content._fields, one, other, strict=True)
    return tuple([name for name, ours, theirs in fields if ours is not theirs and ours != theirs])
