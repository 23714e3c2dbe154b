"""What OrderWatcher tells itself later: each is the time to do something."""

from __future__ import annotations

from dataclasses import dataclass

from actors.order_watcher.prover import Inquire
from messages.control import ReportSettled
from messages.order import Query


@dataclass(frozen=True, slots=True)
class Poll:
    """Time to see which orders of a symbol are silent."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Chase:
    """Time to ask again about an order that something is missing of."""

    child: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time allowed for an order is over."""

    child: str


@dataclass(frozen=True, slots=True)
class EarlyOver:
    """The journal had time enough to tell of this order."""

    child: str


@dataclass(frozen=True, slots=True)
class SettleOver:
    """The time allowed for settling is over."""

    report: ReportSettled


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Time to put the questions of the start again that brought no answer."""

    query: Query


@dataclass(frozen=True, slots=True)
class Recheck:
    """Time to see whether an own order that the journal does not know is still open."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Time to see whether an order believed absent has appeared."""

    wait: float


@dataclass(frozen=True, slots=True)
class AskBalances:
    """Nothing of ours has been open for a while: time to compare balances."""


Timed = Poll | Chase | TimedOut | EarlyOver | SettleOver | AskAgain | Recheck | Sweep | AskBalances | Inquire
