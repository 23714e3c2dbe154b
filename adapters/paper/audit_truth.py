"""The exchange's truth as plain records: requests, orders, trades, balances; times in microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from adapters.paper.audit_records import Record, Unreadable, amount_of, as_record
from messages.ids import parse_child_id
from messages.money import ZERO

FINAL_STATUSES = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An order request as it arrived at the exchange; `code` is the refusal's, None if it had effect.

    `retry_after` is for how many microseconds the refusal forbade to ask again, None if it did not.
    """

    client_order_id: str
    arrived_at: int
    symbol: str
    side: str
    order_type: str
    quantity: Decimal | None
    price: Decimal | None
    code: int | None
    retry_after: int | None = None

    @property
    def effect(self) -> bool:
        """Whether the exchange took the order."""
        return self.code is None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the exchange keeps it; times in microseconds."""

    client_order_id: str
    order_id: int
    symbol: str
    side: str
    order_type: str
    status: str
    quantity: Decimal
    executed: Decimal
    quote: Decimal
    created_at: int
    updated_at: int

    @property
    def open(self) -> bool:
        """Whether it can still trade."""
        return self.status not in FINAL_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """A trade of the account as the exchange keeps it; `made_at` in microseconds."""

    symbol: str
    order_id: int
    trade_id: int
    side: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    made_at: int

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes it the same trade."""
        return self.symbol, self.order_id, self.trade_id


# Reading -----------------------------------------------------------------------------------------


def read_balances(value: object) -> dict[str, Decimal]:
    """Read balances by asset, free and locked together, in any of the shapes that Binance uses.

    `{"BTC": "1"}`, `{"BTC": {"free": "1", "locked": "0"}}` or `[{"asset": "BTC", "free": ...}]`.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(asset): _holding(held) for asset, held in value.items()}
    if isinstance(value, list | tuple):
        return {record.text("asset"): _holding(record.body) for record in map(as_record, value)}
    raise Unreadable(f"balances: {value!r}")


def _holding(held: object) -> Decimal:
    if isinstance(held, Mapping):
        record = Record(held)
        return record.amount("free") + (record.amount_or_none("locked") or ZERO)
    return amount_of(held)


def read_request(record: Record) -> Request:
    """An entry of `received`: the parameters as they came, `time` in ms, the `effect` and its `code`.

    What is no amount was none; a request that was dropped without an answer has the code 0.
    """
    taken = record.text("effect") == "accepted"
    return Request(
        client_order_id=record.text("clientOrderId"),
        arrived_at=record.whole("time") * 1000,
        symbol=record.text("symbol"),
        side=record.text("side"),
        order_type=record.text("type"),
        quantity=_positive(record, "quantity"),
        price=_positive(record, "price"),
        code=None if taken else record.whole("code") if record.has("code") else 0,
        retry_after=record.whole("retryAfter") * 1000 if record.has("retryAfter") else None,
    )


def read_order(record: Record) -> VenueOrder:
    """An entry of `orders`, in the shape of Binance's order queries."""
    return VenueOrder(
        client_order_id=_own_name(record.text("clientOrderId")),
        order_id=record.whole("orderId"),
        symbol=record.text("symbol"),
        side=record.text("side"),
        order_type=record.text("type"),
        status=record.text("status"),
        quantity=record.amount("origQty"),
        executed=record.amount("executedQty"),
        quote=record.amount("cummulativeQuoteQty"),
        created_at=record.whole("time") * 1000,
        updated_at=record.whole("updateTime") * 1000,
    )


def _own_name(name: str) -> str:
    """The child's own id: after a cancel, the exchange shows the cancel's id in its place."""
    parsed = parse_child_id(name)
    return name.rpartition("_c")[0] if parsed is not None and parsed.cancel is not None else name


def read_trade(record: Record, sides: Mapping[tuple[str, int], str]) -> VenueTrade:
    """An entry of `trades`, in the shape of `myTrades`; its order's side comes from `sides`."""
    key = record.text("symbol"), record.whole("orderId")
    side = sides.get(key) or ("BUY" if record.flag("isBuyer") else "SELL")
    return VenueTrade(
        symbol=key[0],
        order_id=key[1],
        trade_id=record.whole("id"),
        side=side,
        price=record.amount("price"),
        quantity=record.amount("qty"),
        quote=record.amount("price") * record.amount("qty"),
        commission=record.amount("commission"),
        commission_asset=record.text("commissionAsset"),
        maker=record.flag("isMaker"),
        made_at=record.whole("time") * 1000,
    )


def _positive(record: Record, name: str) -> Decimal | None:
    """An amount that a request leaves out, by writing nothing, zero or nonsense."""
    try:
        return record.amount_or_none(name) or None
    except Unreadable:
        return None
