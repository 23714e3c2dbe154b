"""Market data: quotes, symbol rules, and the waiting for a market that is fit to trade in."""

from __future__ import annotations

from decimal import Decimal

from messages.frozen import dataclass
from messages.money import BPS
from messages.refs import Tells
from messages.signal import Side

Level = tuple[Decimal, Decimal]
"""A price and the quantity that stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The touch of one symbol as the venue last told it.

    `seen_at` is monotonic seconds on the runtime's clock. `depth_bid` and `depth_ask` are the base
    quantities that stand within the watcher's depth band (10 bps of the mid), None where unknown.
    `integral` is the time integral of the mid in price x seconds over `integral_seconds`, both
    running since the watcher first saw the symbol. `traded` is the base quantity that the market has
    traded while trades were counted, by whomever; None while they are not.
    """

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    seen_at: float
    depth_bid: Decimal | None = None
    depth_ask: Decimal | None = None
    integral: Decimal = Decimal(0)
    integral_seconds: Decimal = Decimal(0)
    traded: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal:
        """The spread as a fraction of the mid."""
        return (self.ask - self.bid) / self.mid

    @property
    def spread_bps(self) -> Decimal:
        """The spread in basis points of the mid."""
        return self.spread * BPS

    def depth(self, side: Side) -> Decimal | None:
        """What stands near the touch on the side that `side` takes, None where unknown."""
        return self.depth_ask if side is Side.BUY else self.depth_bid

    def touch(self, side: Side) -> Decimal:
        """The price at which `side` takes: the ask for a buy, the bid for a sell."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """What the venue allows on a symbol (Binance's filters, §9 of its REST documentation).

    A zero step, tick, minimum or maximum means that there is no such bound. The account's fees on it
    are fractions, None where they are not known.
    """

    symbol: str
    base: str
    quote: str
    trading: bool = True
    spot: bool = True
    status: str = "TRADING"
    tick: Decimal = Decimal("0.01")
    min_price: Decimal = Decimal(0)
    max_price: Decimal = Decimal(0)
    step: Decimal = Decimal("0.00001")
    min_quantity: Decimal = Decimal("0.00001")
    max_quantity: Decimal = Decimal(9000)
    market_step: Decimal = Decimal(0)
    market_min_quantity: Decimal = Decimal(0)
    market_max_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = Decimal(0)
    bid_multiplier_up: Decimal = Decimal(0)
    bid_multiplier_down: Decimal = Decimal(0)
    ask_multiplier_up: Decimal = Decimal(0)
    ask_multiplier_down: Decimal = Decimal(0)
    max_orders: int = 200
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteSeen:
    """The venue's market stream tells the touch, and the book near it, best price first, where it has one.

    `traded` is the base quantity of the symbol's public trades, own ones among them, since the venue
    began to count them: it only grows, and begins anew when counting does. None while none are counted.
    """

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    traded: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketGap:
    """The market stream of these symbols was cut: what was last seen must not be trusted."""

    symbols: tuple[str, ...]


MarketEvent = QuoteSeen | MarketGap


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchMarket:
    """Asks the venue to stream a symbol: at every change while `hot`, else about once a second.

    The answer begins with the present touch, at once. With `trades` public trades are counted, too.
    """

    symbol: str
    hot: bool
    listener: Tells[MarketEvent]
    trades: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMids:
    """Asks MarketWatcher for the mid at `moments` (monotonic s, ascending): one `MidsMarked` when all are known."""

    execution_id: str
    number: int
    symbol: str
    moments: tuple[float, ...]
    reply_to: Tells[MidsMarked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmark:
    """Takes back an execution's `MarkMids`; `tell` = each is answered with what is known by now."""

    execution_id: str
    tell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MidsMarked:
    """The one answer to `MarkMids`, moment by moment; None where it is not known."""

    number: int
    mids: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTrades:
    """Asks MarketWatcher to have a symbol's trades counted until `key` asks to stop; quotes tell how many."""

    key: str
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCounting:
    """Takes a `CountTrades` back."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteChanged:
    """MarketWatcher pushes the latest quote of a symbol to SignalGate; the latest one wins."""

    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteLost:
    """MarketWatcher no longer trusts its quote of a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesChanged:
    """ExchangeActor pushes the rules of a symbol to those who plan with them."""

    rules: SymbolRules


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesChanged:
    """ExchangeActor pushes free balances by asset; the latest one wins."""

    free: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the market must satisfy before a child may go; None leaves a bound out.

    `max_spread` is a fraction of the mid, `max_spread_multiple` counts usual spreads (the median of
    the last minutes'), `max_deviation` is a fraction of `arrival_price` on the adverse side of `side`
    (or on `both_sides`), `limit_price` the worst touch, `max_age` in seconds. `min_depth` is the base
    quantity that must stand within the watcher's depth band on the side that is taken, `min_traded`
    where the running count of the market's trades must have come to.
    """

    side: Side
    arrival_price: Decimal
    max_spread: Decimal | None = None
    max_deviation: Decimal | None = None
    both_sides: bool = False
    limit_price: Decimal | None = None
    max_age: float | None = None
    max_spread_multiple: Decimal | None = None
    min_depth: Decimal | None = None
    min_traded: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Lets a child whose bounds hold wait until the touch presses against it, at most `until` (monotonic s)."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerTerms:
    """Lets the watcher choose whether a child rests, for `rest_seconds`, or takes.

    `fee_gap_bps` is how much less a maker pays than a taker.
    """

    rest_seconds: float
    fee_gap_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whether a child rests, and why: what resting gains over taking where it fills, `gain_bps`.

    That is the spread, plus the fee gap, less how far the market moves against what fills,
    `adverse_bps`. None: not enough was seen to know, and then nothing rests.
    """

    rests: bool
    adverse_bps: Decimal | None
    gain_bps: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """Asks MarketWatcher for one `Awaited`: when the bounds hold, or at `deadline` (monotonic s).

    `key` comes back in the answer. A deadline that has passed asks for the present state. The mid of
    `beside`, another symbol, comes along if it is known: it is not watched for this. With `timing`
    the answer waits for the pressure, too, and is given only while the bounds hold. With
    `until_broken` it is the other way round: the answer comes when the bounds do not hold any more.
    Before `fresh_until` (monotonic s) only a quote will do that was seen since the question; for the
    pressure, since the symbol is watched at every change. With `maker` terms the watcher chooses once
    the bounds hold: what rests waits for no pressure, what takes waits for it, if there is `timing`.
    """

    key: tuple[str, int]
    symbol: str
    bounds: Bounds
    deadline: float
    reply_to: Tells[Awaited]
    beside: str | None = None
    timing: Timing | None = None
    until_broken: bool = False
    fresh_until: float | None = None
    maker: MakerTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The one answer to an `Await`: whether the bounds hold, and if not which one fails, how.

    `failed` is a stop reason's code and `detail` its figures for people (`0.61%`). `quote` is None
    when no quote was ever seen; `age` is its age in seconds. `beside` is the other symbol's mid.
    It took `waited` seconds for the bounds to hold, at first for the one `waited_for`, and `timed` for
    the pressure; `fit_mid` is the mid at which they first held.
    """

    key: tuple[str, int]
    held: bool
    quote: Quote | None
    age: float
    failed: str | None = None
    detail: str | None = None
    waited: float = 0.0
    beside: Decimal | None = None
    timed: float = 0.0
    fit_mid: Decimal | None = None
    choice: Choice | None = None
    waited_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unawait:
    """Takes an `Await` back; an answer that is under way may still come."""

    key: tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectMarket:
    """Tells MarketWatcher who wants quotes pushed and which symbols are watched all the time."""

    gate: Tells[QuoteChanged | QuoteLost]
    symbols: tuple[str, ...]
