"""Facts: what has happened, as the journal keeps it. State is a fold of these and of nothing else.

Each fact has one writer (the design names it). `claims` are keys that must never be claimed twice
while they are held; the store refuses a fact that would, as the last wall.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from messages.execution import ChildOutcome, ExecutionReport, Plan
from messages.frozen import dataclass
from messages.ids import microseconds
from messages.signal import Side, Signal

FOREVER = 2**62
"""The end of a claim that never ends, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that a fact takes until a moment (microseconds since 1970, venue-independent)."""

    key: str
    until: int = FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that has happened. `execution_id` is empty where no execution is concerned."""

    execution_id: str = ""

    def claims(self) -> tuple[Claim, ...]:
        """Name the keys that this fact takes for itself."""
        return ()

    def releases(self) -> tuple[str, ...]:
        """Name the keys that this fact gives back."""
        return ()


# SignalGate ---------------------------------------------------------------------------------------


def signal_key(source: str, id_: str) -> str:
    """Name the key under which a signal with an id is accepted once."""
    return f"signal:{source}\x1f{id_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAccepted(Fact):
    """A signal was let through: `quantity` base units will be worked as `execution_id`.

    `key` is what makes it unique; `reference_price` is what later signals are compared with (the
    signal's price, else the mid at arrival); `bid` and `ask` with their age are the arrival quote.
    `key_until` ends the key's retention. `depth` is what stood on the taken side near the touch.
    """

    key: str
    key_until: datetime
    label: str
    signal: Signal
    symbol: str
    side: Side
    quantity: Decimal
    reference_price: Decimal
    bid: Decimal
    ask: Decimal
    quote_age_seconds: Decimal
    depth: Decimal | None
    accepted_at: datetime

    def claims(self) -> tuple[Claim, ...]:
        """Claim the execution for ever and the signal's key for its retention."""
        return (
            Claim(f"execution:{self.execution_id}"),
            Claim(self.key, microseconds(self.key_until)),
        )

    @property
    def arrival_price(self) -> Decimal:
        """The mid at the moment of acceptance."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDuplicate(Fact):
    """A signal repeats an accepted one: `execution_id` is that one's. `count` repeats are told."""

    signal: Signal
    label: str
    by: Literal["id", "fingerprint"]
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConflict(Fact):
    """An id came again with other content: `differing` names the fields."""

    signal: Signal
    label: str
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRejected(Fact):
    """A signal was refused for what it asks."""

    signal: Signal
    label: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceUsed(Fact):
    """A signed request's nonce was used up."""

    sender: str
    nonce: str
    until: datetime

    def claims(self) -> tuple[Claim, ...]:
        """Claim the nonce for as long as the request's timestamp could be accepted."""
        return (Claim(f"nonce:{self.sender}\x1f{self.nonce}", microseconds(self.until)),)


# TWAPActor ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlanned(Fact):
    """The schedule of an execution is fixed."""

    symbol: str
    side: Side
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted(Fact):
    """A TWAPActor took up the execution: the `incarnation`-th one."""

    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSkipped(Fact):
    """A slot passed without a child; its quantity goes to later slots."""

    slice: int
    quantity: Decimal
    reason: str
    detail: str
    waited_seconds: Decimal = Decimal(0)
    timed_seconds: Decimal = Decimal(0)
    waited_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPaused(Fact):
    """No new child until `ExecutionResumed`."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResumed(Fact):
    """Children may go again."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionAmended(Fact):
    """What is left was changed; None means unchanged."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCancelRequested(Fact):
    """The execution is to stop: no new child from here on."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionClosed(Fact):
    """The execution is over and this is its report; without a child its signal's key is free again.

    `key` is the signal's, `children` how many intents there were.
    """

    reason: str
    detail: str
    key: str
    children: int
    report: ExecutionReport

    def releases(self) -> tuple[str, ...]:
        """Give the signal's key back if nothing was ever intended for it."""
        return () if self.children else (self.key,)


# ExchangeActor ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildIntended(Fact):
    """The decision to send a child order, taken before it is sent; its quantity is reserved.

    `request_timestamp` and `recv_window` are milliseconds, in the venue's time. `spread` and
    `deviation` are fractions, as judged on the quote (`bid`, `ask`, `quote_age_seconds`), for which
    the guards waited `waited_seconds`, at first for the one `waited_for`. Then it waited
    `timed_seconds` for the pressure at the touch; `fit_mid` is the mid before that. A LIMIT_MAKER child
    rests for `rest_seconds` from its intent on, and is then cancelled if it is still open. An `adopted`
    child was found at the venue while the journal
    did not know it: it is not sent, and its quote is the order's own price.
    """

    client_order_id: str
    slice: int
    attempt: int
    incarnation: int
    symbol: str
    side: Side
    order_type: Literal["LIMIT", "LIMIT_MAKER", "MARKET"]
    time_in_force: Literal["GTC", "IOC", "FOK"] | None
    quantity: Decimal
    limit_price: Decimal | None
    request_timestamp: int
    recv_window: int
    bid: Decimal
    ask: Decimal
    fee_mid: Decimal | None = None
    """The mid of BNB, in which fees may be paid, in quote units; None where it is not known."""
    quote_age_seconds: Decimal
    spread: Decimal
    deviation: Decimal
    mid_integral: Decimal
    mid_seconds: Decimal
    waited_seconds: Decimal = Decimal(0)
    timed_seconds: Decimal = Decimal(0)
    fit_mid: Decimal | None = None
    waited_for: str | None = None
    rest_seconds: Decimal | None = None
    market_volume: Decimal | None = None
    """What the market had traded since the execution's first look at it; None where nothing depends on it."""
    adverse_bps: Decimal | None = None
    """Of kind `auto`: how far the market moves against what rests and fills, as it was estimated then."""
    gain_bps: Decimal | None = None
    """What resting was expected to gain over taking, where it fills: above 0 the child rests."""
    adopted: bool = False

    def claims(self) -> tuple[Claim, ...]:
        """Claim the client order id for ever."""
        return (Claim(f"child:{self.client_order_id}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildNotSent(Fact):
    """An intended child never left the house, or the venue's door says so: nothing is reserved."""

    client_order_id: str
    reason: str
    detail: str
    source: Literal["exchange_actor", "venue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCancelRequested(Fact):
    """A cancel is about to be sent; it changes no quantity."""

    client_order_id: str
    cancel_id: str
    symbol: str
    order_id: int | None
    reason: str


TOO_MANY_ORDERS = -1015
"""The code of a refusal that is about the number of orders alone."""


def time_left(until: datetime, at: datetime, now: datetime) -> timedelta:
    """Say how long `now` it is until a moment that was named at `at`, never longer than it was then."""
    left = until - now
    return min(left, until - at) if at < until else left


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited(Fact):
    """The venue forbids every request before `until`; with `orders_only`, new orders alone."""

    until: datetime
    banned: bool
    detail: str
    orders_only: bool = False

    def left(self, at: datetime, now: datetime) -> timedelta:
        """Say how long `now` the venue still wants to hear nothing, the fact being of `at`.

        That is never longer than was asked for, however far our clock was set back since.
        """
        return time_left(self.until, at, now)


BANNED = "BANNED"
"""The reason of the one halt that ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHalted(Fact):
    """No new order goes out until `TradingResumed`; cancels do."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingResumed(Fact):
    """New orders may go out again."""

    detail: str = ""


# OrderWatcher -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildAcknowledged(Fact):
    """The venue is proven to have the order."""

    client_order_id: str
    symbol: str
    order_id: int
    status: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRefused(Fact):
    """The venue certainly did not take the order; nothing is reserved any more.

    Before `until` it wants to hear no order, of some codes nothing at all: `RateLimited` says so too, but of another
    writer, and a process may end between the two.
    """

    client_order_id: str
    symbol: str
    code: int
    message: str
    source: str = "reply"
    until: datetime | None = None

    @property
    def orders_only(self) -> bool:
        """Whether all but orders may be asked until then."""
        return self.code == TOO_MANY_ORDERS

    def left(self, at: datetime, now: datetime) -> timedelta:
        """Say how long `now` that still is, the fact being of `at`; nothing where no moment was named."""
        return timedelta() if self.until is None else time_left(self.until, at, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildUnknown(Fact):
    """Nobody knows whether the order was executed: its quantity stays reserved."""

    client_order_id: str
    symbol: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildAbsent(Fact):
    """The order is proven never to have been executed; `proof` says by what."""

    client_order_id: str
    symbol: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeBooked(Fact):
    """One trade of a child order, booked once. `trade_time` is aware UTC."""

    client_order_id: str
    symbol: str
    side: Side
    order_id: int
    trade_id: int
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    trade_time: datetime
    source: str

    def claims(self) -> tuple[Claim, ...]:
        """Claim the trade for ever."""
        return (Claim(f"trade:{self.symbol}:{self.order_id}:{self.trade_id}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildClosed(Fact):
    """The order is final at the venue and all its trades are booked."""

    client_order_id: str
    symbol: str
    order_id: int
    status: str
    outcome: ChildOutcome
    executed_quantity: Decimal
    executed_quote: Decimal
    polls: int
    failure_reason: str | None

    def claims(self) -> tuple[Claim, ...]:
        """Claim the end of the child: it comes once."""
        return (Claim(f"closed:{self.client_order_id}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReappeared(Fact):
    """An order believed absent, or of a closed execution, was executed after all.

    `executed_quantity` is what it had executed when it was seen; its trades are booked beside.
    """

    client_order_id: str
    symbol: str
    order_id: int
    status: str
    executed_quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOrderSeen(Fact):
    """The account has an order that this journal does not know."""

    client_order_id: str
    symbol: str
    order_id: int
    side: Side
    quantity: Decimal
    status: str
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGap(Fact):
    """The user-data stream may have missed events; polling closes the gap."""

    since: datetime
    until: datetime
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCorrected(Fact):
    """A trade came to light after the execution's report."""

    client_order_id: str
    total_filled: Decimal
    filled_quote: Decimal
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceMismatch(Fact):
    """The account's balance is not what the booked trades explain."""

    asset: str
    expected: Decimal
    found: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesNoted(Fact):
    """The account held this, free and locked together, while no order of ours was open.

    From here on, booked trades explain every change. `balances` leaves out what is zero.
    """

    balances: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesSummed(Fact):
    """What all trades booked so far come to, so that no start has to add them up again.

    `bought` is what they have brought since balances were noted, by symbol: base, then quote (less than
    0 = spent), without `fees` by asset. `last_trades` are the highest trade ids of all time by symbol.
    """

    bought: tuple[tuple[str, Decimal, Decimal], ...]
    fees: tuple[tuple[str, Decimal], ...]
    last_trades: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRebuilt(Fact):
    """What the exchange still has of a journal that was lost is booked: own orders since `since`.

    `orders` of `executions` were found, `cancelled` of them were still open.
    """

    since: datetime
    orders: int
    executions: int
    cancelled: int


# Daemon, Notifier ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStarted(Fact):
    """The daemon came up for the `epoch`-th time on this journal."""

    epoch: int
    journal_id: str
    mode: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFailed(Fact):
    """A part without which nothing goes (a critical actor) has failed, and the process ends.

    `in_a_row` counts this one and those before it of which none was long ago. `told`: another alert says why.
    """

    part: str
    detail: str
    in_a_row: int
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRefused(Fact):
    """Too many starts in a row ended that way: this one started nobody, and the next one counts anew."""

    part: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuarantined(Fact):
    """An execution's actor failed too often: it is left alone, its children still watched.

    With `unreported` it was so before, and what was to close it with a report has failed too often as well.
    """

    detail: str
    unreported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Fact):
    """Something an operator should know began."""

    kind: str
    subject: str
    level: Literal["info", "warning", "error", "critical"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCleared(Fact):
    """It is over."""

    kind: str
    subject: str
    text: str


FACTS: dict[str, type[Fact]] = {
    kind.__name__: kind
    for kind in (
        SignalAccepted,
        SignalDuplicate,
        SignalConflict,
        SignalRejected,
        NonceUsed,
        ExecutionPlanned,
        ExecutionStarted,
        SlotSkipped,
        ExecutionPaused,
        ExecutionResumed,
        ExecutionAmended,
        ExecutionCancelRequested,
        ExecutionClosed,
        ChildIntended,
        ChildNotSent,
        ChildCancelRequested,
        RateLimited,
        TradingHalted,
        TradingResumed,
        ChildAcknowledged,
        ChildRefused,
        ChildUnknown,
        ChildAbsent,
        TradeBooked,
        ChildClosed,
        AttemptReappeared,
        ForeignOrderSeen,
        StreamGap,
        ExecutionCorrected,
        BalanceMismatch,
        BalancesNoted,
        TradesSummed,
        JournalRebuilt,
        EpochStarted,
        PartFailed,
        StartRefused,
        ExecutionQuarantined,
        AlertRaised,
        AlertCleared,
    )
}
"""Every kind of fact by its name, as it stands in the journal."""
