"""How late child orders are: from the moment their slot was due to their intent."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from adapters.execution_views import ExecutionView
from adapters.views import Json
from adapters.vitals import quantiles
from messages.execution import Plan
from messages.facts import ChildIntended

REMEMBERED: Final = 512


def due_at(plan: Plan, slot: int) -> datetime:
    """Say when a slot is due, extra slots included."""
    begins = plan.start_at + slot * timedelta(seconds=float(plan.interval_seconds))
    return begins + timedelta(seconds=float(plan.delay_of(slot)))


class Lateness:
    """Remembers the last children's lateness in seconds; waiting for guards or the pressure is not lateness.

    First attempts only, and counted from no earlier than the execution was taken up or resumed.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, execution: ExecutionView, intent: ChildIntended, at: datetime) -> None:
        """Take in a child."""
        plan = execution.plan
        if plan is None or intent.attempt or intent.slice <= execution.last_slot:
            return
        due = due_at(plan, intent.slice)
        if execution.working_since is not None:
            due = max(due, execution.working_since)
        waited = float(intent.waited_seconds + intent.timed_seconds)
        self._recent.append(max((at - due).total_seconds() - waited, 0.0))

    def view(self) -> Json:
        """Tell how many children that is of, and seconds of the median, the 99th percentile, the worst."""
        return {"children": len(self._recent), **quantiles(sorted(self._recent))}
