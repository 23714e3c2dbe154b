"""A guard that may wait: how long it has held an execution up, and when it gives up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class HoldUp:
    """Guards have failed since `since` (monotonic s) without a child; `told` is up to when a fact says so.

    `reason` is the guard that failed first.
    """

    reason: str
    since: float
    told: float

    @classmethod
    def begun(cls, reason: str, now: float, waited: float) -> HoldUp:
        """Begin when a guard has failed for `waited` seconds already."""
        return cls(reason, now - waited, now - waited)

    def untold(self, now: float) -> float:
        """How many seconds no fact has told yet."""
        return max(0.0, now - self.told)

    def tell(self, now: float) -> float:
        """Say so, and count it as told."""
        seconds, self.told = self.untold(now), now
        return seconds
