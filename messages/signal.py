"""Signals and verdicts: what senders ask for, and the gate's one answer to each."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from messages.frozen import dataclass
from messages.refs import Tells

ChildKind = Literal["market", "ioc", "passive", "auto"]
CatchUp = Literal["none", "spread", "cap"]
Remainder = Literal["report", "sweep"]
ScheduleKind = Literal["equal", "ow"]
"""How a quantity is shared out: in equal slices, or as is best in a block book (Obizhaeva and Wang)."""


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: with it, a positive cost is always a cost."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Reason(StrEnum):
    """Why a signal was not accepted."""

    MALFORMED = "MALFORMED"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    NOT_FINITE = "NOT_FINITE"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    SYMBOL_NOT_TRADING = "SYMBOL_NOT_TRADING"
    NOT_SPOT = "NOT_SPOT"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    ABOVE_LIMIT = "ABOVE_LIMIT"
    STALE = "STALE"
    FROM_THE_FUTURE = "FROM_THE_FUTURE"
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    COOLDOWN = "COOLDOWN"
    OPPOSITE_RUNNING = "OPPOSITE_RUNNING"
    NOT_READY = "NOT_READY"
    HALTED = "HALTED"
    TOO_MANY = "TOO_MANY"
    NO_PRICE = "NO_PRICE"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    UNAUTHORISED = "UNAUTHORISED"


UNJOURNALLED: Final = frozenset(
    {
        Reason.MALFORMED,
        Reason.UNKNOWN_FIELD,
        Reason.NOT_FINITE,
        Reason.NOT_READY,
        Reason.HALTED,
        Reason.TOO_MANY,
        Reason.UNAUTHORISED,
    }
)
"""Refusals that are counted and logged but not journalled: a flood of them must not fill the journal."""


class Status(StrEnum):
    """The four verdicts."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapOptions:
    """What a signal says of how it is to be worked; None leaves a choice to the configuration.

    Durations are in seconds, `cap_bps` in basis points of the touch, `jitter` and
    `max_participation` are fractions. `rho` is the resilience per second that the `ow` schedule
    assumes of the book. With `timing` a child waits in its slot for the pressure at the touch.
    """

    num_chunks: int | None = None
    duration_seconds: Decimal | None = None
    interval_seconds: Decimal | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    child: ChildKind | None = None
    cap_bps: Decimal | None = None
    catch_up: CatchUp | None = None
    jitter: Decimal | None = None
    remainder: Remainder | None = None
    max_participation: Decimal | None = None
    schedule: ScheduleKind | None = None
    rho: Decimal | None = None
    timing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One wish to buy or sell: `quantity` in base units, or `quote_quantity` in quote units.

    `price` is the sender's reference price, `timestamp` when the sender made it (aware UTC).
    """

    symbol: str
    side: Side
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    id: str | None = None
    source: str = "default"
    account: str = "main"
    price: Decimal | None = None
    timestamp: datetime | None = None
    ttl_seconds: Decimal | None = None
    limit_price: Decimal | None = None
    tag: str | None = None
    twap: TwapOptions = TwapOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's one answer to a signal, sent after what it says is durable.

    `duplicate_of` names the execution that the earlier signal caused and `first_seen` when that
    one was accepted; `label` is the signal as people read it (`BTCUSDT_BUY_42151_17:00`).
    """

    status: Status
    execution_id: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    duplicate_of: str | None = None
    first_seen: datetime | None = None
    id: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """A signal has come in; `reply_to` gets exactly one `Verdict`."""

    signal: Signal
    reply_to: Tells[Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNonce:
    """Asks that a signed request's nonce be used up for good; `reply_to` gets exactly one answer.

    `until` ends the time in which the request's own timestamp would let it in once more.
    """

    sender: str
    nonce: str
    until: datetime
    reply_to: Tells[NonceAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceAnswer:
    """`fresh`: it was not used before, and its use is durable now. `not_ready`: ask later, signed anew."""

    sender: str
    nonce: str
    state: Literal["fresh", "used", "not_ready"]
