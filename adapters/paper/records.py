"""What the paper exchange knows and tells: orders, trades and events, with all that Binance's shapes need.

Every time (`at`, `time`, ...) is microseconds since 1970 on the exchange's clock.
"""

from __future__ import annotations

from decimal import Decimal

from messages.frozen import dataclass
from messages.money import ZERO
from messages.order import OrderStatus
from messages.signal import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A request for an order that has been read, but not yet judged (protocol §4.1)."""

    symbol: str
    side: Side
    order_type: str
    time_in_force: str
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    client_order_id: str
    self_trade_prevention: str
    strategy_id: int | None = None
    strategy_type: int | None = None
    stop_price: Decimal | None = None

    @property
    def at_market(self) -> bool:
        """Whether it takes at any price, once it does."""
        return self.order_type in {"MARKET", "STOP_LOSS", "TAKE_PROFIT"}

    def triggered_by(self, last: Decimal) -> bool:
        """Tell whether a trade at `last` sets a stop order off: a stop against it, a profit in its favour."""
        stop = self.stop_price
        if stop is None:
            return False
        upwards = self.order_type.startswith("STOP_LOSS") == (self.side is Side.BUY)
        return last >= stop if upwards else last <= stop


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """An order as it stood at a moment. `price` is 0 for a market order, as at the real exchange.

    `client_order_id` is the order's own id for ever, `shown_id` what queries show as its id (a cancel
    puts its own id there). `prevented` is what self-trade prevention took off, `prevented_match` the number of
    the last match that it kept from happening. `working_time` is None while a stop order waits.
    """

    symbol: str
    order_id: int
    client_order_id: str
    shown_id: str
    side: Side
    order_type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    executed: Decimal
    executed_quote: Decimal
    status: OrderStatus
    time: int
    update_time: int
    working_time: int | None
    self_trade_prevention: str
    prevented: Decimal
    expiry_reason: str | None
    strategy_id: int | None = None
    strategy_type: int | None = None
    stop_price: Decimal | None = None
    prevented_match: int | None = None

    @property
    def left(self) -> Decimal:
        """What can still be traded."""
        return self.quantity - self.executed - self.prevented


@dataclass(slots=True, kw_only=True, eq=False)
class LiveOrder:
    """An order in the engine's hands. `ahead` is the queue before it, `locked` what the account holds for it.

    `short` says that it asked for an amount in quote which the book could not satisfy: it ends EXPIRED
    although its quantity, which followed from the book, is filled.
    """

    order_id: int
    new: NewOrder
    price: Decimal
    quantity: Decimal
    time: int
    update_time: int
    status: OrderStatus = OrderStatus.NEW
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    prevented: Decimal = ZERO
    working_time: int | None = None
    ahead: Decimal = ZERO
    locked: Decimal = ZERO
    shown_id: str = ""
    expiry_reason: str | None = None
    short: bool = False
    amendments: int = 0
    prevented_match: int | None = None

    @property
    def left(self) -> Decimal:
        """What can still be traded."""
        return self.quantity - self.executed - self.prevented

    def record(self) -> OrderRecord:
        """Say how the order stands now."""
        new = self.new
        return OrderRecord(
            symbol=new.symbol,
            order_id=self.order_id,
            client_order_id=new.client_order_id,
            shown_id=self.shown_id or new.client_order_id,
            side=new.side,
            order_type=new.order_type,
            time_in_force=new.time_in_force,
            price=self.price,
            quantity=self.quantity,
            quote_quantity=new.quote_quantity or ZERO,
            executed=self.executed,
            executed_quote=self.executed_quote,
            status=self.status,
            time=self.time,
            update_time=self.update_time,
            working_time=self.working_time,
            self_trade_prevention=new.self_trade_prevention,
            prevented=self.prevented,
            expiry_reason=self.expiry_reason,
            strategy_id=new.strategy_id,
            strategy_type=new.strategy_type,
            stop_price=new.stop_price,
            prevented_match=self.prevented_match,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """One match of one own order; known by (symbol, order id, trade id)."""

    symbol: str
    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Something happened to an order: an `executionReport` (protocol §7.3).

    `execution_type` is NEW, TRADE, CANCELED, EXPIRED, REPLACED or TRADE_PREVENTION. `client_order_id` and
    `original_client_order_id` are its `c` and `C`: for a cancel the cancel's id, then the order's.
    """

    at: int
    execution_id: int
    execution_type: str
    order: OrderRecord
    client_order_id: str
    original_client_order_id: str = ""
    trade: TradeRecord | None = None
    on_book: bool = False
    counter_order_id: int | None = None
    last_prevented: Decimal = ZERO
    prevented_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPosition:
    """Balances may have changed: `outboundAccountPosition`, as (asset, free, locked)."""

    at: int
    balances: tuple[tuple[str, Decimal, Decimal], ...]


Event = Execution | AccountPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrade:
    """A trade as everyone sees it (`@trade`); `buyer_is_maker` tells who took."""

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The exchange took an order; `trades` are those made at once."""

    at: int
    order: OrderRecord
    trades: tuple[TradeRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The exchange cancelled an order; `cancel_id` is the cancel's own client id."""

    at: int
    order: OrderRecord
    cancel_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """The exchange made an order smaller; `original_id` is the client id that it had before."""

    at: int
    order: OrderRecord
    execution_id: int
    original_id: str
