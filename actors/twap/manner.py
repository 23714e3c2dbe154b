"""How a slot's child goes: at once, or when the touch presses against it."""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.twap.settings import TwapSettings
from messages.execution import Plan
from messages.signal import ChildKind, TwapOptions

_MICROSECOND = timedelta(microseconds=1)


def timed_of(options: TwapOptions, settings: TwapSettings, kind: ChildKind) -> bool:
    """Say whether children wait for the pressure: the signal's word, else the setting's; `auto` ones do."""
    if options.timing is not None:
        return options.timing
    return settings.timing or kind == "auto"


def deadline_of(plan: Plan, begin: datetime, slot_end: datetime) -> datetime:
    """Say when a slot's child must not wait any longer, for the interval that begins at `begin`."""
    return begin + int((slot_end - begin) // _MICROSECOND * plan.slot_deadline) * _MICROSECOND


def timed_until(plan: Plan, deadline: datetime, guards_until: datetime, now: datetime) -> datetime | None:
    """Say until when the child of a slot may wait for the pressure, None if it does not.

    It waits no longer than its guards may; an order that goes directly does not wait at all.
    """
    if not plan.timing or plan.direct:
        return None
    until = min(deadline, guards_until)
    return until if until > now else None
