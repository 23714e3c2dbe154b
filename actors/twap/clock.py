"""The two clocks of an actor: schedules are kept in wall time, timers in monotonic seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from actors.runtime import Runtime

SLEW = timedelta(seconds=1)
"""A wall clock that is off by no more than this is being slewed and is followed; else it has stepped."""


class Clock:
    """Tells wall time without its steps, and maps it to the runtime's monotonic seconds.

    So a wall clock that jumps neither hurries a schedule nor holds it up, and one that is slowly
    set right does not make a child early.
    """

    __slots__ = ("_monotonic", "_runtime", "_wall")

    def __init__(self, runtime: Runtime) -> None:
        """Begin with the wall time that the runtime has now."""
        self._runtime = runtime
        self._wall, self._monotonic = runtime.wall_time(), runtime.now()

    def now(self) -> datetime:
        """The wall time, but for steps since the beginning."""
        monotonic, wall = self._runtime.now(), self._runtime.wall_time()
        expected = self._wall + timedelta(seconds=monotonic - self._monotonic)
        if abs(wall - expected) > SLEW:
            return expected
        self._wall, self._monotonic = wall, monotonic
        return wall

    def moment(self, at: datetime) -> float:
        """Say at how many monotonic seconds a wall time is reached."""
        return self._monotonic + (at - self._wall).total_seconds()


def exact_seconds(seconds: float) -> Decimal:
    """Turn measured seconds into an amount, to the microsecond."""
    return Decimal(round(seconds * 1_000_000)) / 1_000_000
