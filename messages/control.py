"""Control: the journal's protocol, readiness, halts, and the manners of starting and stopping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal

from messages.execution import ExecutionCommand
from messages.facts import Fact
from messages.frozen import dataclass
from messages.refs import Tells
from messages.signal import SignalReceived, UseNonce

# The journal --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Committed:
    """A fact is durable as the `seq`-th of the journal, appended at `at` (aware UTC)."""

    seq: int
    at: datetime
    fact: Fact


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything up to `seq` was delivered; what follows happens now."""

    seq: int
    journal_id: str


FactNews = Committed | CaughtUp
"""What a follower of the journal is told."""


@dataclass(frozen=True, slots=True)
class Append:
    """Asks the journal to make facts durable, all or none, in this order.

    `at` is the writer's time (aware UTC); each fact comes back to `writer` as `Committed`, as the
    very same object, once it is durable.
    """

    facts: tuple[Fact, ...]
    at: datetime
    writer: Tells[Committed]


TAIL = 1000
"""Facts at the end of the journal that stay at hand whatever they are: opening it checks their chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Asks the journal for every fact after `after`, in order: first the old ones, then `CaughtUp`
    (also when there are none), then each new one after its commit.

    Only facts of `kinds` (None = all) and, if `execution_id` is given, only of that execution. Without
    `archived` the old ones are only those that a start needs. A second `Follow` of the same follower
    replaces the first.
    """

    follower: Tells[FactNews]
    kinds: tuple[type[Fact], ...] | None = None
    execution_id: str | None = None
    after: int = 0
    archived: bool = True


@dataclass(frozen=True, slots=True)
class Unfollow:
    """Asks the journal to tell `follower` nothing more."""

    follower: Tells[FactNews]


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """The journal could not make facts durable and stopped.

    `invariant` is True when a fact would have claimed a key twice: a broken promise, not a disk.
    """

    detail: str
    invariant: bool


JournalCommand = Append | Follow | Unfollow


class StoreFailed(Exception):
    """The store could not make facts durable; whether some are is not known. Stop using it."""


class InvariantBroken(Exception):
    """Something that must never be is: stop rather than go on wrong."""


class ClaimBroken(StoreFailed):
    """A fact would have taken a key that is held, or a number that is not the next. Nothing was stored."""


# Alerts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleSeen:
    """Something is the matter that no fact tells: an alert, if it lasts `after_seconds`."""

    kind: str
    subject: str
    level: Literal["info", "warning", "error", "critical"]
    text: str
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleOver:
    """It is not, or no longer: ends the alert, also one that an earlier life raised."""

    kind: str
    subject: str
    text: str


# Readiness, halts, the daemon's life --------------------------------------------------------------


class Readiness(StrEnum):
    """Whether signals are let in."""

    STARTING = "STARTING"
    READY = "READY"
    HALTED = "HALTED"
    DRAINING = "DRAINING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """Daemon tells SignalGate and ExchangeActor how things stand; the latest one wins."""

    readiness: Readiness
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltTrading:
    """Asks ExchangeActor to send no new order from now on."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeTrading:
    """Asks ExchangeActor to lift a halt."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class CancelEverything:
    """Asks ExchangeActor to cancel every open child at once, without journalling it.

    For the moment when the journal is lost: a cancel has no effect on quantities.
    """

    detail: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks an actor to prove that it is up and answers."""

    reply_to: Tells[Pong]


@dataclass(frozen=True, slots=True)
class Pong:
    """`name` is up; `reading` says that somebody is still being told what the journal has."""

    name: str
    reading: bool = False


@dataclass(frozen=True, slots=True)
class ActorReady:
    """An actor has caught up with the journal and with the venue, and can take work."""

    name: str


@dataclass(frozen=True, slots=True)
class WeightUsedUp:
    """What must be asked before an actor is ready has to wait until `until` (monotonic s): the weight is used up."""

    until: float


@dataclass(frozen=True, slots=True)
class Settled:
    """No child is open or unknown any more, or no verdict and no answer waits (the answer to `ReportSettled`)."""

    name: str
    open_children: int = 0


@dataclass(frozen=True, slots=True)
class ReportSettled:
    """Asks for one `Settled`: OrderWatcher when no child is open, or at `deadline` (monotonic s); SignalGate,
    which lets nothing in from then on, when every verdict is durable and told, and every answer to a command;
    TWAPActor when its own are.
    """

    deadline: float
    reply_to: Tells[Settled]


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Asks the daemon to stop: no intake, no new child, settle, then end with `exit_code`."""

    reason: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ExecutionGivenUp:
    """SignalGate tells Daemon that an execution's actor failed too often; `unreported`: the one to close it, too."""

    execution_id: str
    detail: str
    unreported: bool = False


@dataclass(frozen=True, slots=True)
class RecoverExecutions:
    """Daemon tells SignalGate to start an actor for every execution that is not closed."""

    quarantined: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonUp:
    """The actors are started: signals get an answer from now on, if only NOT_READY."""

    gate: Tells[SignalReceived | UseNonce | ExecutionCommand]
    exchange: Tells[HaltTrading | ResumeTrading]
    journal: Tells[JournalCommand]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStands:
    """Daemon tells its observer how things stand whenever that changes."""

    readiness: Readiness
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EveryoneAnswered:
    """Every critical actor has answered a round of pings: a watchdog may be fed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonEnded:
    """The daemon is over; the process is to end with `exit_code` (docs/operations.md lists them).

    It is told a second time if a promise is broken behind it, while the actors stop.
    Unless it is `said`, the journal lacks what the next start must know, the halt that a broken promise asks for or
    that a part has failed: somebody else must keep it.
    """

    exit_code: int
    detail: str
    said: bool = True


DaemonNews = DaemonUp | DaemonStands | EveryoneAnswered | DaemonEnded
