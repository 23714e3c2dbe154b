"""The two clocks of an actor: schedules are kept in wall time, timers in monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from actors.runtime import Runtime
from messages.facts import ChildIntended, Fact

SLEW_SECONDS = 1.0
SLEW = timedelta(seconds=SLEW_SECONDS)
"""A wall clock that is off by no more than this is being slewed and is followed; else it has stepped."""


class Clock:
    """Tells wall time without its steps, and maps it to the runtime's monotonic seconds.

    So a wall clock that jumps neither hurries a schedule nor holds it up, and one that is slowly
    set right does not make a child early.
    """

    __slots__ = ("_ahead", "_monotonic", "_runtime", "_wall")

    def __init__(self, runtime: Runtime) -> None:
        """Begin with the wall time that the runtime has now."""
        self._runtime = runtime
        self._wall, self._monotonic = runtime.wall_time(), runtime.now()
        self._ahead = timedelta()

    def now(self, wall: datetime | None = None) -> datetime:
        """The wall time, but for steps since the beginning; `wall` is what it shows, if that was just read."""
        monotonic, wall = self._runtime.now(), wall or self._runtime.wall_time()
        passed = monotonic - self._monotonic
        if abs((wall - self._wall).total_seconds() - passed) > SLEW_SECONDS:
            return self._wall + timedelta(seconds=passed) + self._ahead
        self._wall, self._monotonic = wall, monotonic
        return wall + self._ahead if self._ahead else wall

    def not_before(self, reached: datetime) -> None:
        """Go on from a wall time that is known to have been reached: the clock was set back since."""
        now = self.now()
        if reached > now + SLEW:
            self._ahead += reached - now

    def told(self, at: datetime) -> datetime:
        """Say when that was, by this clock, which somebody appended at `at` by a wall clock and is told just now.

        That clock has made the same steps, but it is not known whether before or after `at`: what is nearer to
        now is right, for a commit takes less time than a step.
        """
        shown = self._runtime.wall_time()
        now = self.now(shown)
        if now == shown:
            return min(now, at)
        ours = at + (now - shown)
        return min(now, min(at, ours, key=lambda moment: abs(now - moment)))

    def moment(self, at: datetime) -> float:
        """Say at how many monotonic seconds a wall time is reached."""
        return self._monotonic + (at - self._ahead - self._wall).total_seconds()


def moment_reached(accepted_at: datetime, facts: Iterable[tuple[Fact, datetime]]) -> datetime:
    """Return the wall time, by the clock that an execution was accepted by, up to which it surely lasted.

    `facts` are its own, each with the moment at which it was appended, in order. Since the first intent
    no more time has passed than the venue's timestamps say, for a clock of ours may have been ahead for
    a while; and no more than ours has gone forward, for the venue's may have been set, or measured anew.
    """
    known = list(facts)
    first = next((number for number, (fact, _) in enumerate(known) if isinstance(fact, ChildIntended)), None)
    if first is None:
        return accepted_at
    timestamps = [fact.request_timestamp for fact, _ in known[first:] if isinstance(fact, ChildIntended)]
    moments = [at for _, at in known[first:]]
    passed = sum((max(later - earlier, timedelta()) for earlier, later in pairwise(moments)), timedelta())
    passed = min(passed, timedelta(milliseconds=max(timestamps) - timestamps[0]))
    return max(accepted_at, moments[0] + passed)


def by_the_venue(facts: Iterable[tuple[Fact, datetime]]) -> Iterator[tuple[Fact, datetime]]:
    """Go through an execution's facts, its intents no earlier than the venue's clock says after the first one.

    A wall clock that was set back meanwhile would have them lie in intervals that were long over.
    """
    first: tuple[int, datetime] | None = None
    for fact, at in facts:
        if isinstance(fact, ChildIntended):
            first = first or (fact.request_timestamp, at)
            yield fact, max(at, first[1] + timedelta(milliseconds=fact.request_timestamp - first[0]))
        else:
            yield fact, at


def exact_seconds(seconds: float) -> Decimal:
    """Turn measured seconds into an amount, to the microsecond."""
    return Decimal(round(seconds * 1_000_000)) / 1_000_000
