"""The proof that an order of unknown outcome was never executed: what it takes, step by step.

    WATCHED   before the horizon, timestamp + recvWindow + engine wait + margin by the venue's clock:
              only positive evidence counts, for the order may still be on its way
    FENCING   from the horizon on: a cancel, asked of the engine itself, must say that it is not open
    COUNTING  single-order, open-orders, all-orders and trades queries must each not show it, again
              and again, while a control shows that they would if it were there
    ABSENT    believed; it stays on a watch list, for the belief rests on an assumption

Any sign of the order, on any path and at any time, ends this and goes to its `Ledger`. An answer that
fails or contradicts sets the count back. The fence alone proves nothing of an order that may be over
already, as every order may that takes from the book: -2011 is what any finished order answers. So
the control is asked of every kind of order.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from actors.order_watcher.settings import WatcherSettings
from messages.facts import ChildIntended
from messages.frozen import dataclass
from messages.order import TradesFound

BEFORE_TIMESTAMP_MS = 1000
"""How long before its own timestamp an order is looked for: the venue's clock may lag behind ours."""

FENCE_PATIENCE_SECONDS = 10.0
"""How long an answer to a fence is waited for before another is sent."""

FENCE_PAUSE_SECONDS = 1.0
_ROUNDING = 1e-6


class Path(StrEnum):
    """Where an order would show itself."""

    ORDER = "order"
    OPEN = "openOrders"
    ALL = "allOrders"
    TRADES = "myTrades"


PATHS = tuple(Path)


class Moment(NamedTuple):
    """One moment on two clocks: our monotonic one in seconds, the venue's in ms since 1970."""

    now: float
    venue: float


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """How far the user stream can be trusted; both in ms of the venue's clock, None = not at all.

    It has been open without a gap since `unbroken_since`, and told all that happened up to
    `alive_until`, as an event or the answer to a probe has shown.
    """

    unbroken_since: float | None = None
    alive_until: float | None = None


@dataclass(slots=True)
class _Count:
    """Agreeing answers of one path: when the first and the last of them were asked for."""

    first: Moment
    last: Moment
    number: int = 1


class Proof:
    """The search for one order whose outcome is unknown. Knows no clock: moments are given.

    `seen_at` is the monotonic moment at which its intent was durable, None if that was in an earlier
    life; with it, a wrong idea of the venue's clock can't bring the horizon forward.
    """

    __slots__ = ("_controls", "_counts", "_fence_at", "_fences", "_settings", "fenced", "intent", "seen_at")

    def __init__(self, intent: ChildIntended, settings: WatcherSettings, seen_at: float | None = None) -> None:
        self.intent = intent
        self.seen_at = seen_at
        self.fenced: Moment | None = None
        self._settings = settings
        self._fence_at: float | None = None
        self._fences: dict[str, None] = {}
        self._counts: dict[Path, _Count] = {}
        self._controls: dict[Path, None] = {}

    @property
    def since(self) -> int:
        """From when on it is looked for, in ms since 1970."""
        return self.intent.request_timestamp - BEFORE_TIMESTAMP_MS

    @property
    def horizon(self) -> float:
        """The moment in ms of the venue's clock before which an absence proves nothing."""
        return self._expires + 1000 * self._patience

    @property
    def deadline(self) -> float:
        """The moment in ms of the venue's clock from which an absence proves itself."""
        return self._expires + 1000 * self._settings.absent_after_seconds

    @property
    def _expires(self) -> int:
        """The venue's door refuses the order from here on."""
        return self.intent.request_timestamp + self.intent.recv_window

    @property
    def _patience(self) -> float:
        return self._settings.engine_wait_seconds + self._settings.margin_seconds

    def past_deadline(self, moment: Moment) -> bool:
        """Whether an absence proves itself from now on, by both clocks."""
        return moment.venue >= self.deadline and self._waited(moment, self._settings.absent_after_seconds)

    def past_horizon(self, moment: Moment) -> bool:
        """Whether the order can't be on its way any more, by both clocks."""
        return moment.venue >= self.horizon and self._waited(moment, self._patience)

    def _waited(self, moment: Moment, seconds: float) -> bool:
        own = self.intent.recv_window / 1000 + seconds
        return self.seen_at is None or moment.now >= self.seen_at + own - _ROUNDING

    def next_turn(self, moment: Moment) -> float | None:
        """Return in how many seconds the horizon or the deadline comes, None if both are past."""
        for at, patience in ((self.horizon, self._patience), (self.deadline, self._settings.absent_after_seconds)):
            wait = (at - moment.venue) / 1000
            if self.seen_at is not None:
                wait = max(wait, self.seen_at + self.intent.recv_window / 1000 + patience - moment.now)
            if wait > _ROUNDING:
                return wait
        return None

    # The fence ------------------------------------------------------------------------------------

    def wants_fence(self, moment: Moment) -> bool:
        """Whether the engine is to be asked now, by a cancel, that the order is not open."""
        if self.fenced is not None or not self.past_horizon(moment):
            return False
        return self._fence_at is None or moment.now >= self._fence_at

    def fence_asked(self, now: float) -> None:
        """Note that the cancel is asked for."""
        self._fence_at = now + FENCE_PATIENCE_SECONDS

    def fence_named(self, cancel_id: str) -> None:
        """Note the id under which the cancel goes out; only its own answer counts."""
        self._fences[cancel_id] = None

    def fence_failed(self, now: float) -> None:
        """Note that a cancel was not answered with a yes or no."""
        self._fence_at = min(self._fence_at or now, now + FENCE_PAUSE_SECONDS)

    def not_open(self, cancel_id: str, moment: Moment) -> bool:
        """Take the engine's word that no such order is open; False if it does not count as a fence."""
        if cancel_id not in self._fences or self.fenced is not None:
            return False
        self.fenced = moment
        return True

    # Counting -------------------------------------------------------------------------------------

    @property
    def counting(self) -> bool:
        """Whether answers that don't show the order count."""
        return self.fenced is not None

    def no_sign(self, path: Path, asked: Moment) -> None:
        """Count an answer, to a question that was asked at `asked`, that does not show the order."""
        if self.fenced is None or asked.now < self.fenced.now:
            return
        count = self._counts.get(path)
        if count is None:
            self._counts[path] = _Count(asked, asked)
        elif asked.now > count.last.now:
            count.last, count.number = asked, count.number + 1

    def upset(self) -> None:
        """Begin to count anew: an answer failed, or may contradict."""
        self._counts.clear()

    def control(self, path: Path, engine_time: int, asked: Moment) -> None:
        """Note that this path shows an own order or trade of `engine_time`, in ms since 1970."""
        if self.fenced is None or asked.now < self.fenced.now:
            return
        if engine_time > self.intent.request_timestamp:
            self._controls[path] = None

    def wants_count(self, moment: Moment) -> bool:
        """Whether answers that don't show it would bring the proof on: before the horizon they never do."""
        return self.counting and (not self.counted or self.past_deadline(moment))

    @property
    def counted(self) -> bool:
        """Whether enough answers on every path agree that the order is not there."""
        if len(self._counts) < len(PATHS):  # As mostly: each path counts, and no other is ever counted.
            return False
        needed, span = self._settings.negatives, self._settings.negatives_seconds
        return all(
            count.number >= needed and count.last.now - count.first.now >= span - _ROUNDING
            for count in self._counts.values()
        )

    def verdict(self, stream: StreamHealth) -> str | None:
        """Return by what the absence is proven, None while it is not."""
        if self.fenced is None or not self.counted:
            return None
        control = self._control(stream)
        if control is None:
            return None
        answers = min(count.number for count in self._counts.values())
        span = min(count.last.now - count.first.now for count in self._counts.values())
        after = (self.fenced.venue - self.intent.request_timestamp) / 1000
        return (
            f"not open at the engine {after:.1f} s after its timestamp, then on each of "
            f"{', '.join(Path)} not there {answers} times over {span:.1f} s; control: {control}"
        )

    def _control(self, stream: StreamHealth) -> str | None:
        since, alive = stream.unbroken_since, stream.alive_until
        unbroken = since is not None and since <= self.intent.request_timestamp
        if unbroken and alive is not None and alive >= self.horizon:
            return "the user stream, without a gap and alive"
        if all(path in self._controls for path in self._used):
            return "a later order of ours is shown"
        if all(
            count.last.venue >= self.deadline and self._waited(count.last, self._settings.absent_after_seconds)
            for count in self._counts.values()
        ):
            return f"no sign within {self._settings.absent_after_seconds:g} s"
        return None

    @property
    def _used(self) -> tuple[Path, ...]:
        """The paths that could show this order; one that never rests is never among the open ones."""
        at_once = self.intent.order_type == "MARKET" or self.intent.time_in_force in {"IOC", "FOK"}
        return tuple(path for path in PATHS if not (at_once and path is Path.OPEN))

    def suspects(self, answer: TradesFound, known: Callable[[str, int], bool]) -> bool:
        """Whether a trade may be this order's: it fits, and nobody knows its (symbol, order id).

        Trades don't carry the client order id, so the list of all orders must tell.
        """
        intent = self.intent
        return any(
            trade.symbol == intent.symbol
            and trade.side is intent.side
            and trade.time >= self.since
            and trade.quantity <= intent.quantity
            and not known(trade.symbol, trade.order_id)
            for trade in answer.trades
        )
