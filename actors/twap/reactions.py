"""What a refusal or a decline of a child means for its execution: tables, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from messages.execution import StopReason
from messages.order import Decline


class Way(Enum):
    """What to do about a child that ExchangeActor did not take."""

    RETRY = auto()
    """Ask again within the slot."""
    SKIP = auto()
    """Let the slot go; its quantity follows later."""
    WAIT = auto()
    """Nothing may be sent at present: let no slot be used up, ask again in the next interval."""
    STOP = auto()
    """End the execution."""
    HOLD = auto()
    """Wait for as long as the guards' patience lasts: let no slot be used up, ask again soon."""
    LEAVE = auto()
    """Somebody else has taken over the execution: go without a word."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """A way, and the reason if it is to stop."""

    way: Way
    stop: StopReason | None = None


_RETRY, _SKIP, _WAIT = Reaction(Way.RETRY), Reaction(Way.SKIP), Reaction(Way.WAIT)


def _stop(reason: StopReason) -> Reaction:
    return Reaction(Way.STOP, reason)


DECLINES: dict[Decline, Reaction] = {
    Decline.SEEN: _SKIP,
    Decline.OVER_QUANTITY: _RETRY,
    Decline.CLOSED: _stop(StopReason.ERROR),
    Decline.CANCELLED: _stop(StopReason.CANCELLED),
    Decline.OLD_INCARNATION: Reaction(Way.LEAVE),
    Decline.UNKNOWN_EXECUTION: _RETRY,
    Decline.TOO_LATE: _SKIP,
    Decline.AFTER_END: _stop(StopReason.END_OF_TIME),
    Decline.BELOW_MINIMUM: _SKIP,
    Decline.ABOVE_MAXIMUM: _stop(StopReason.REFUSED),
    Decline.FILTER: _stop(StopReason.REFUSED),
    Decline.SYMBOL_STATUS: _stop(StopReason.SYMBOL_STATUS),
    Decline.BALANCE: _stop(StopReason.BALANCE),
    Decline.BUDGET: _RETRY,
    Decline.RATE_LIMITED: _RETRY,
    Decline.HALTED: _WAIT,
    Decline.DRAINING: _WAIT,
    Decline.NOT_READY: _WAIT,
    Decline.CLOCK: _RETRY,
}
"""Every decline, guards by the policy `stop`. OVER_QUANTITY and UNKNOWN_EXECUTION pass when a commit has gone round."""

MISFITS = (Decline.FILTER, Decline.ABOVE_MAXIMUM)
"""What a child is declined for that was not cut by the rules that ExchangeActor knows."""

GUARDED = (StopReason.SYMBOL_STATUS, StopReason.BALANCE)
"""What is guarded by ExchangeActor, with a policy of its own."""


_BROKEN_REQUEST = frozenset(
    {
        401,
        -1002,
        -1013,
        -1020,
        -1022,
        -1100,
        -1102,
        -1106,
        -1111,
        -1114,
        -1115,
        -1116,
        -1117,
        -1121,
        -1130,
        -2014,
        -2015,
    }
)
"""Filters, parameters, signature and permission (protocol §11): the same order would fail again."""

_FILTER_FAILURE, _NEW_ORDER_REJECTED = -1013, -2010
_TEXTS: tuple[tuple[str, StopReason], ...] = (
    ("insufficient balance", StopReason.BALANCE),
    ("market is closed", StopReason.SYMBOL_STATUS),
    ("not enabled", StopReason.SYMBOL_STATUS),
    ("not permitted", StopReason.SYMBOL_STATUS),
    ("restricted", StopReason.SYMBOL_STATUS),
    ("disabled on this account", StopReason.REFUSED),
    ("may not place", StopReason.REFUSED),
    ("not supported", StopReason.REFUSED),
    ("unsupported", StopReason.REFUSED),
)
"""-2010 is one code for many causes, which only its documented texts tell apart."""


_SHAPES = ("LOT_SIZE", "MARKET_LOT_SIZE", "PRICE_FILTER", "NOTIONAL", "MIN_NOTIONAL")
"""Filters by which children are cut: a refusal for one says that the venue has changed it."""


def is_of_old_rules(code: int, message: str) -> bool:
    """Tell whether the venue refused a child for a filter that it must have changed: it fitted the last one known."""
    return code == _FILTER_FAILURE and any(message.endswith(f": {name}") for name in _SHAPES)


def would_take(code: int, message: str) -> bool:
    """Tell whether the venue refused a child that was to rest because it would have taken."""
    return code == _NEW_ORDER_REJECTED and "immediately match" in message.lower()


def stop_after_refusal(code: int, message: str) -> StopReason | None:
    """Say whether a refusal by the venue ends the execution; None lets later slots try."""
    if code in _BROKEN_REQUEST:
        return StopReason.REFUSED
    if code == _NEW_ORDER_REJECTED:
        text = message.lower()
        return next((reason for fragment, reason in _TEXTS if fragment in text), None)
    return None
