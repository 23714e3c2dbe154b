"""Binance's JSON as typed structures (protocol §5 to §8). Keys that are not named here are ignored.

Amounts are decimals, exact; one that is not finite makes the whole text unreadable.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from messages.signal import Side

Pair = tuple[Decimal, Decimal]
_NOTHING = Raw(b"")


class Checked(Struct, frozen=True, gc=False):
    """A structure whose amounts are finite."""

    def __post_init__(self) -> None:
        """Refuse what no amount can be. Raises `ValueError`, which the decoder turns into its own."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not value.is_finite():
                raise ValueError(f"{name} is not finite")


# REST and the results of the WebSocket API ---------------------------------------------------------


class Fill(Checked, frozen=True, rename="camel"):
    """One match in the reply to an order."""

    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    trade_id: int


class PlacedOrder(Checked, frozen=True, rename="camel"):
    """The reply to an order; an ACK has nothing behind `transact_time`."""

    symbol: str
    order_id: int
    client_order_id: str
    transact_time: int
    price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal | None = None
    cummulative_quote_qty: Decimal | None = None
    status: str | None = None
    type: str | None = None
    side: Side | None = None
    fills: list[Fill] | None = None
    expiry_reason: str | None = None


class CancelledOrder(Checked, frozen=True, rename="camel"):
    """The reply to a cancel; `orig_client_order_id` is the order's id."""

    symbol: str
    orig_client_order_id: str
    order_id: int
    transact_time: int
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cummulative_quote_qty: Decimal
    status: str
    type: str
    side: Side
    working_time: int | None = None


class QueriedOrder(Checked, frozen=True, rename="camel"):
    """An order as queries show it."""

    symbol: str
    order_id: int
    client_order_id: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cummulative_quote_qty: Decimal
    status: str
    type: str
    side: Side
    time: int
    update_time: int
    expiry_reason: str | None = None


class OwnTrade(Checked, frozen=True, rename="camel"):
    """A trade as `myTrades` shows it."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class AssetBalance(Checked, frozen=True):
    """What the account has of an asset."""

    asset: str
    free: Decimal
    locked: Decimal


class AccountInfo(Struct, frozen=True, rename="camel"):
    """The account, as far as it matters here."""

    balances: list[AssetBalance]


class ServerTime(Struct, frozen=True, rename="camel"):
    """The venue's clock, ms since 1970."""

    server_time: int


class RateLimit(Struct, frozen=True, rename="camel"):
    """One limit; `count`, where it is told, is how much of it is used."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int | None = None


class Filter(Checked, frozen=True, rename="camel"):
    """A symbol filter: each type has some of these fields."""

    filter_type: str
    min_price: Decimal = Decimal(0)
    max_price: Decimal = Decimal(0)
    tick_size: Decimal = Decimal(0)
    min_qty: Decimal = Decimal(0)
    max_qty: Decimal = Decimal(0)
    step_size: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    max_notional: Decimal = Decimal(0)
    multiplier_up: Decimal = Decimal(0)
    multiplier_down: Decimal = Decimal(0)
    bid_multiplier_up: Decimal = Decimal(0)
    bid_multiplier_down: Decimal = Decimal(0)
    ask_multiplier_up: Decimal = Decimal(0)
    ask_multiplier_down: Decimal = Decimal(0)
    max_num_orders: int = 0


class SymbolInfo(Struct, frozen=True, rename="camel"):
    """What `exchangeInfo` says of a symbol."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[Filter]
    is_spot_trading_allowed: bool = True


class ExchangeInfo(Struct, frozen=True, rename="camel"):
    """Rules and limits."""

    symbols: list[SymbolInfo]
    rate_limits: list[RateLimit] = []


class BookTicker(Checked, frozen=True, rename="camel"):
    """The touch over REST."""

    symbol: str
    bid_price: Decimal
    bid_qty: Decimal
    ask_price: Decimal
    ask_qty: Decimal


class DepthSnapshot(Struct, frozen=True, rename="camel"):
    """The order book at an update id."""

    last_update_id: int
    bids: list[Pair]
    asks: list[Pair]


class KeyRestrictions(Struct, frozen=True, rename="camel"):
    """What an API key may do; a permission that is not told is taken for granted where it is dangerous."""

    ip_restrict: bool = False
    enable_reading: bool = False
    enable_spot_and_margin_trading: bool = False
    enable_withdrawals: bool = True
    enable_internal_transfer: bool = True
    permits_universal_transfer: bool = True


class ErrorBody(Struct, frozen=True):
    """Why a request was not done."""

    code: int
    msg: str = ""


# Frames of the WebSocket API -----------------------------------------------------------------------


class ErrorData(Struct, frozen=True, rename="camel"):
    """What an error says besides; `retry_after` is ms since 1970."""

    retry_after: int | None = None


class FrameError(Struct, frozen=True):
    """An error of the WebSocket API."""

    code: int
    msg: str = ""
    data: ErrorData | None = None


class Frame(Struct, frozen=True, rename="camel"):
    """Any frame of the WebSocket API: a reply has a status, an event has an event."""

    id: int | str | None = None
    status: int | None = None
    result: Raw = _NOTHING
    error: FrameError | None = None
    rate_limits: list[RateLimit] = []
    subscription_id: int | None = None
    event: Raw = _NOTHING


class Subscription(Struct, frozen=True, rename="camel"):
    """A user-data subscription of this connection."""

    subscription_id: int


class Kind(Struct, frozen=True, rename={"kind": "e"}):
    """Which event it is."""

    kind: str = ""


class ExecutionReport(
    Checked,
    frozen=True,
    rename={
        "symbol": "s",
        "client_id": "c",
        "original_id": "C",
        "side": "S",
        "type": "o",
        "quantity": "q",
        "price": "p",
        "execution_type": "x",
        "status": "X",
        "reject_reason": "r",
        "order_id": "i",
        "last_quantity": "l",
        "executed": "z",
        "last_price": "L",
        "commission": "n",
        "commission_asset": "N",
        "transaction_time": "T",
        "trade_id": "t",
        "execution_id": "I",
        "maker": "m",
        "created": "O",
        "executed_quote": "Z",
        "expiry_reason": "eR",
    },
):
    """`executionReport`: something happened to an order."""

    symbol: str
    client_id: str
    side: Side
    type: str
    quantity: Decimal
    price: Decimal
    execution_type: str
    status: str
    order_id: int
    executed: Decimal
    transaction_time: int
    execution_id: int
    executed_quote: Decimal
    original_id: str = ""
    reject_reason: str = "NONE"
    last_quantity: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    commission: Decimal | None = None
    commission_asset: str | None = None
    trade_id: int = -1
    maker: bool = False
    created: int = 0
    expiry_reason: str | None = None


class ChangedBalance(Checked, frozen=True, rename={"asset": "a", "free": "f", "locked": "l"}):
    """One balance in `outboundAccountPosition`."""

    asset: str
    free: Decimal
    locked: Decimal


class AccountPosition(Struct, frozen=True, rename={"balances": "B", "update_time": "u"}):
    """`outboundAccountPosition`: balances that may have changed, and when they did (ms since 1970)."""

    balances: list[ChangedBalance]
    update_time: int = 0


# Market streams ------------------------------------------------------------------------------------


class StreamFrame(Struct, frozen=True):
    """A frame of a combined stream; a control reply or an error has no stream."""

    stream: str = ""
    data: Raw = _NOTHING


class TouchEvent(
    Checked,
    frozen=True,
    rename={"update_id": "u", "symbol": "s", "bid": "b", "bid_qty": "B", "ask": "a", "ask_qty": "A"},
):
    """`bookTicker`; it has no time of its own."""

    update_id: int
    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


class AggTradeEvent(Checked, frozen=True, rename={"symbol": "s", "number": "a", "quantity": "q"}):
    """`aggTrade`: what one taker took at one price; numbers rise by one a symbol."""

    symbol: str
    number: int
    quantity: Decimal


class DepthEvent(Struct, frozen=True, rename={"symbol": "s", "first": "U", "last": "u", "bids": "b", "asks": "a"}):
    """`depthUpdate`: absolute quantities of levels, 0 for a level that is gone."""

    symbol: str
    first: int
    last: int
    bids: list[Pair]
    asks: list[Pair]


DecodeError = msgspec.DecodeError
