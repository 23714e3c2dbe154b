"""Child orders: what TWAPActor asks of ExchangeActor, what the venue is told, what it says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from messages.facts import SignalAccepted
from messages.frozen import dataclass
from messages.market import Choice, Quote, SymbolRules
from messages.refs import Tells
from messages.signal import Side

if TYPE_CHECKING:
    from messages.facts import ChildIntended

OrderType = Literal["LIMIT", "LIMIT_MAKER", "MARKET"]
TimeInForce = Literal["GTC", "IOC", "FOK"]
Source = Literal["reply", "stream", "poll", "recovery"]
"""On which path a fact came in."""


class OrderStatus(StrEnum):
    """The states of an order at the venue (protocol §10); an unknown word is `UNRECOGNISED`."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    UNRECOGNISED = "UNRECOGNISED"

    @property
    def final(self) -> bool:
        """Whether an order in this state can never trade again."""
        return self in _FINAL


_FINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.EXPIRED_IN_MATCH,
    }
)


# TWAPActor to ExchangeActor, and its answers ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceChild:
    """Asks for one child order; answered by exactly one `ChildIntended` (a fact) or `ChildDeclined`.

    `not_after` is the moment (monotonic s) after which it must not be sent any more. `quote` is what
    the guards were judged on, `deviation` its adverse distance from arrival as a fraction.
    `mid_integral` over `mid_seconds` is the execution's running integral of the mid since arrival,
    `waited_seconds` how long the guards made the child wait (`waited_for` failed first),
    `timed_seconds` how long it then waited for the pressure at the touch, and `fit_mid` the mid before
    that. A LIMIT_MAKER child may rest for `rest_seconds` from its intent on. `market_volume` is what the
    market has traded since the execution's first look at it, where that bounds the child. `accepted` comes
    with it until ExchangeActor has answered once: the journal has it, and makes no intent durable before it, but
    may not have told of it yet.
    """

    execution_id: str
    incarnation: int
    slice: int
    attempt: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce | None
    quantity: Decimal
    limit_price: Decimal | None
    not_after: float
    quote: Quote
    fee_mid: Decimal | None = None
    """The mid of BNB, in which fees may be paid, in quote units; None where it is not known."""
    quote_age: float
    deviation: Decimal
    mid_integral: Decimal
    mid_seconds: Decimal
    reply_to: Tells[ChildDeclined]
    waited_seconds: Decimal = Decimal(0)
    timed_seconds: Decimal = Decimal(0)
    fit_mid: Decimal | None = None
    waited_for: str | None = None
    rest_seconds: Decimal | None = None
    market_volume: Decimal | None = None
    choice: Choice | None = None
    """Why a child of kind `auto` rests or takes."""
    accepted: SignalAccepted | None = None


class Decline(StrEnum):
    """Why ExchangeActor does not take a `PlaceChild`."""

    SEEN = "SEEN"
    OVER_QUANTITY = "OVER_QUANTITY"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    OLD_INCARNATION = "OLD_INCARNATION"
    UNKNOWN_EXECUTION = "UNKNOWN_EXECUTION"
    TOO_LATE = "TOO_LATE"
    AFTER_END = "AFTER_END"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    ABOVE_MAXIMUM = "ABOVE_MAXIMUM"
    FILTER = "FILTER"
    SYMBOL_STATUS = "SYMBOL_STATUS"
    BALANCE = "BALANCE"
    BUDGET = "BUDGET"
    RATE_LIMITED = "RATE_LIMITED"
    HALTED = "HALTED"
    DRAINING = "DRAINING"
    NOT_READY = "NOT_READY"
    CLOCK = "CLOCK"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDeclined:
    """ExchangeActor does not take a child; nothing was journalled or sent, nothing is reserved.

    `retry_at` (monotonic s) says when asking again makes sense; None if it never does.
    """

    execution_id: str
    slice: int
    attempt: int
    reason: Decline
    detail: str
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelChild:
    """Asks ExchangeActor to cancel a child order; the outcome goes to OrderWatcher."""

    execution_id: str
    client_order_id: str
    symbol: str
    order_id: int | None
    reason: str


# To the venue ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOrder:
    """Hands an order to the venue, once; `reply_to` gets exactly one `OrderReply`.

    `request_timestamp` is milliseconds since 1970 in the venue's time and, like `recv_window`
    (milliseconds), fixed when the order was intended.
    """

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce | None
    quantity: Decimal
    limit_price: Decimal | None
    request_timestamp: int
    recv_window: int
    reply_to: Tells[OrderReply]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCancel:
    """Asks the venue to cancel; `reply_to` gets exactly one `CancelReply`."""

    symbol: str
    client_order_id: str
    order_id: int | None
    cancel_id: str
    reply_to: Tells[CancelReply]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOrder:
    """Asks for one order (protocol §4, `GET /order`): by the venue's number where it is known, else by its client id.

    Whoever cancels or amends an order at the venue may give it another client id; its number stays.
    """

    symbol: str
    client_order_id: str
    reply_to: Tells[QueryAnswer]
    order_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOpenOrders:
    """Asks for all open orders of a symbol (`GET /openOrders`)."""

    symbol: str
    reply_to: Tells[QueryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAllOrders:
    """Asks for the orders of a symbol made since a moment, ms since 1970 (`GET /allOrders`)."""

    symbol: str
    since: int
    reply_to: Tells[QueryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTrades:
    """Asks for own trades of a symbol from a trade id on, or since a moment in ms (`GET /myTrades`).

    With `order_id` only that order's. At most 1,000 come back; `TradesFound.complete` tells.
    """

    symbol: str
    reply_to: Tells[QueryAnswer]
    from_id: int | None = None
    since: int | None = None
    order_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryBalances:
    """Asks for the account's balances (`GET /account`)."""

    reply_to: Tells[QueryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRules:
    """Asks for the rules of symbols (`GET /exchangeInfo`)."""

    symbols: tuple[str, ...]
    reply_to: Tells[QueryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTime:
    """Asks for the venue's clock (`GET /time`)."""

    reply_to: Tells[QueryAnswer]


Query = QueryOrder | QueryOpenOrders | QueryAllOrders | QueryTrades | QueryBalances | QueryRules | QueryTime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUserStream:
    """Asks the venue to tell `listener` everything that happens to the account from now on.

    The listener is told `StreamOpened` once events flow, and `StreamCut` (then `StreamOpened`
    again) whenever some may have been missed.
    """

    listener: Tells[UserEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStream:
    """Asks the venue to prove that the user stream delivers: by `StreamProbed` of the same number.

    It must come behind every event of before the probe, as what is told on the same connection
    does; a venue that can't promise that does not answer.
    """

    probe: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLimits:
    """Tells the venue whom to tell of used weights, order counts and Retry-After, and of what a person must see."""

    listener: Tells[LimitsSeen | VenueAlarm]


# From the venue -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSnapshot:
    """An order as the venue describes it. `time` and `update_time` are ms since 1970.

    `expiry` is its word for why it ended the order by itself, where it says so (protocol §7.3).
    """

    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    order_type: str
    status: OrderStatus
    price: Decimal
    quantity: Decimal
    executed_quantity: Decimal
    executed_quote: Decimal
    time: int
    update_time: int
    expiry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One match at the venue, known by (symbol, order id, trade id). `time` is ms since 1970."""

    symbol: str
    order_id: int
    trade_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The venue took the order; `trades` are those made at once (all of `order`'s, if it has any)."""

    client_order_id: str
    order: OrderSnapshot
    trades: tuple[Trade, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The venue certainly did not take the order, or did not cancel it. `code` is Binance's.

    `until` is given when a limit was hit: nothing may be sent before.
    """

    client_order_id: str
    code: int
    message: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Not one byte of the request left the house."""

    client_order_id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Nobody knows whether the request was executed: timeout, cut connection, 5xx, unreadable."""

    client_order_id: str
    detail: str


OrderReply = Acknowledged | Refused | NotSent | OutcomeUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAcknowledged:
    """The order is cancelled; `order` says what had been filled before, finally."""

    client_order_id: str
    order: OrderSnapshot
    cancel_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailed:
    """The cancel did not take effect as far as we know.

    `code` -2011 means the order is not open (finished, or never there); None means unknown.
    `cancel_id` says which cancel this answers.
    """

    client_order_id: str
    code: int | None
    detail: str
    until: datetime | None = None
    cancel_id: str = ""


CancelReply = CancelAcknowledged | CancelFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFound:
    """The answer to `QueryOrder` when the order is known."""

    client_order_id: str
    order: OrderSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNotFound:
    """The answer to `QueryOrder` when it isn't (-2013); by itself this proves nothing."""

    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrdersFound:
    """The answer to `QueryOpenOrders`."""

    symbol: str
    orders: tuple[OrderSnapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOrdersFound:
    """The answer to `QueryAllOrders`, oldest first."""

    symbol: str
    since: int
    orders: tuple[OrderSnapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesFound:
    """The answer to `QueryTrades`, oldest first; `complete` is False when the venue's limit cut it."""

    symbol: str
    trades: tuple[Trade, ...]
    from_id: int | None
    since: int | None
    order_id: int | None
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesFound:
    """The answer to `QueryBalances`: (asset, free, locked)."""

    balances: tuple[tuple[str, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFound:
    """The answer to `QueryRules`; a symbol that the venue does not know is missing."""

    rules: tuple[SymbolRules, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFound:
    """The answer to `QueryTime`: ms to be added to our clock to get the time that requests are stamped with.

    `bias_milliseconds` of them are there on purpose; without them it is the venue's time.
    """

    offset_milliseconds: int
    bias_milliseconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFailed:
    """A query brought no answer that can be trusted; `query` is what was asked.

    `code` is of an answer that leaves nothing open: the venue's own, HTTP's where it gave none. A server in trouble,
    whatever it says, has none.
    """

    query: Query
    detail: str
    until: datetime | None = None
    code: int | None = None


QueryAnswer = (
    OrderFound
    | OrderNotFound
    | OpenOrdersFound
    | AllOrdersFound
    | TradesFound
    | BalancesFound
    | RulesFound
    | TimeFound
    | QueryFailed
)


LATE_REPLY = "LATE_REPLY"
"""The execution type of a report that is no event of the stream: a reply that nobody waited for any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """The user-data stream tells a change of an order (`executionReport`), with its trade if any.

    `report_id` is the venue's execution id (`I`), `order.client_order_id` the order's own id, also
    when the report is of a cancel.
    """

    order: OrderSnapshot
    report_id: int
    execution_type: str
    trade: Trade | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesSeen:
    """The user-data stream tells balances that changed: (asset, free, locked)."""

    balances: tuple[tuple[str, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpened:
    """The user-data stream is proven to deliver from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCut:
    """The user-data stream may have missed events since `since` (monotonic s)."""

    since: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProbed:
    """The user stream delivers: whatever had happened when `probe` reached the venue was told before."""

    probe: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRefusal:
    """The venue's refusal of an order whose request had been given up, so that it counts as unknown."""

    client_order_id: str
    code: int
    message: str


UserEvent = OrderReport | BalancesSeen | StreamOpened | StreamCut | StreamProbed | LateRefusal


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSeen:
    """What the venue's answers say of our use of its limits.

    `used_weight` of `weight_limit` per minute; `order_counts` as (seconds of the window, used,
    limit); `retry_at` (aware UTC) forbids everything before it, `banned` says that it is a 418;
    with `orders_only` it forbids new orders and nothing else.
    """

    used_weight: int | None = None
    weight_limit: int | None = None
    order_counts: tuple[tuple[int, int, int], ...] = ()
    retry_at: datetime | None = None
    banned: bool = False
    orders_only: bool = False
    detail: str = ""


BAD_CERTIFICATE = 495
"""Stands where HTTP's status would: whoever is there shows no certificate that can be trusted, and was told nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAlarm:
    """The venue has answered what no waiting mends: key, signature, firewall, or ids of two orders.

    `code` is its own, HTTP's where it gave none; or it is `BAD_CERTIFICATE`, and nobody knows whether it is the venue.
    """

    code: int
    detail: str


VenueCommand = SendOrder | SendCancel | Query | OpenUserStream | ProbeStream | ReportLimits
"""Everything that ExchangeActor tells a venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectExchange:
    """Tells ExchangeActor who hears of orders and who plans with rules and balances."""

    watcher: Tells[OrderReply | CancelReply | QueryAnswer | UserEvent | VenueTime | KeptBack]
    gate: Tells[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTime:
    """ExchangeActor tells OrderWatcher the venue's clock: `zero` + 1000 x monotonic seconds, in ms since 1970."""

    zero: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBack:
    """ExchangeActor tells OrderWatcher at once that an order whose intent is journalled is not sent after all.

    `ChildNotSent` says so as well, but only after its commit: until then silence about the order would look like doubt.
    """

    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptChild:
    """OrderWatcher asks ExchangeActor what to do about an own order that the journal does not know.

    It takes the order in as a child of its execution, or cancels it if that is not known either. With
    `rebuilding` there is nothing that could know it: every order is taken in.
    """

    order: OrderSnapshot
    rebuilding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """OrderWatcher asks ExchangeActor to pass a query on to the venue under the one budget.

    The answer goes to the query's own `reply_to`; `urgent` is for proofs, which come before polls.
    """

    query: Query
    urgent: bool = False


def order_of(intent: ChildIntended, reply_to: Tells[OrderReply]) -> SendOrder:
    """Turn a journalled intent into the order that is sent, adding nothing."""
    return SendOrder(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        request_timestamp=intent.request_timestamp,
        recv_window=intent.recv_window,
        reply_to=reply_to,
    )
