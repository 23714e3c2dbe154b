"""What may be traded and how: symbols, their filters, and the check of an order against them (protocol §9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from adapters.paper.errors import (
    INVALID_PRICE,
    INVALID_QUANTITY,
    MARKET_CLOSED,
    filter_failure,
    refuse,
    too_precise,
)
from messages.market import SymbolRules
from messages.money import ZERO
from messages.signal import Side


class SymbolStatus(StrEnum):
    """Whether a symbol can be traded (protocol §5.1)."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"
    CANCEL_ONLY = "CANCEL_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    """The price range execution rule (protocol §9.3): multiples of the reference price, None = no bound."""

    bid_up: Decimal | None = None
    bid_down: Decimal | None = None
    ask_up: Decimal | None = None
    ask_down: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpec:
    """A symbol with its filters. A zero bound, step or tick means that there is none (protocol §9)."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    status: SymbolStatus = SymbolStatus.TRADING
    precision: int = 8
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    min_quantity: Decimal = ZERO
    max_quantity: Decimal = ZERO
    market_min_quantity: Decimal = ZERO
    market_max_quantity: Decimal = ZERO
    market_step: Decimal = ZERO
    min_notional: Decimal = ZERO
    max_notional: Decimal = ZERO
    apply_min_to_market: bool = True
    apply_max_to_market: bool = False
    bid_multiplier_up: Decimal = Decimal(5)
    bid_multiplier_down: Decimal = Decimal("0.2")
    ask_multiplier_up: Decimal = Decimal(5)
    ask_multiplier_down: Decimal = Decimal("0.2")
    avg_price_mins: int = 5
    max_orders: int = 200
    max_position: Decimal = ZERO
    price_range: PriceRange | None = None
    stp_default: str = "EXPIRE_MAKER"
    stp_allowed: tuple[str, ...] = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")


def _against_usdt(
    base: str, *, tick: str, step: str, max_price: int, max_quantity: int, market_max: str, min_notional: int
) -> SymbolSpec:
    """Shape a symbol like the real ones: the smallest price is a tick, the smallest quantity a step."""
    return SymbolSpec(
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        tick=Decimal(tick),
        step=Decimal(step),
        min_price=Decimal(tick),
        max_price=Decimal(max_price),
        min_quantity=Decimal(step),
        max_quantity=Decimal(max_quantity),
        market_max_quantity=Decimal(market_max),
        min_notional=Decimal(min_notional),
        max_notional=Decimal(9_000_000),
    )


def built_in() -> dict[str, SymbolSpec]:
    """List the symbols that need no configuration."""
    specs = (
        _against_usdt(
            "BTC",
            tick="0.01",
            step="0.00001",
            max_price=1_000_000,
            max_quantity=9000,
            market_max="129.84957",
            min_notional=5,
        ),
        _against_usdt(
            "ETH",
            tick="0.01",
            step="0.0001",
            max_price=1_000_000,
            max_quantity=9000,
            market_max="3125.7526",
            min_notional=5,
        ),
        _against_usdt(
            "BNB",
            tick="0.01",
            step="0.001",
            max_price=100_000,
            max_quantity=900_000,
            market_max="4883.522",
            min_notional=5,
        ),
        _against_usdt(
            "DOGE",
            tick="0.00001",
            step="1",
            max_price=1000,
            max_quantity=9_000_000,
            market_max="19499637",
            min_notional=1,
        ),
    )
    return {spec.symbol: spec for spec in specs}


_FIELDS: dict[str, dict[str, str]] = {
    "PRICE_FILTER": {"minPrice": "min_price", "maxPrice": "max_price", "tickSize": "tick"},
    "LOT_SIZE": {"minQty": "min_quantity", "maxQty": "max_quantity", "stepSize": "step"},
    "MARKET_LOT_SIZE": {
        "minQty": "market_min_quantity",
        "maxQty": "market_max_quantity",
        "stepSize": "market_step",
    },
    "PERCENT_PRICE_BY_SIDE": {
        "bidMultiplierUp": "bid_multiplier_up",
        "bidMultiplierDown": "bid_multiplier_down",
        "askMultiplierUp": "ask_multiplier_up",
        "askMultiplierDown": "ask_multiplier_down",
        "avgPriceMins": "avg_price_mins",
    },
    "NOTIONAL": {
        "minNotional": "min_notional",
        "applyMinToMarket": "apply_min_to_market",
        "maxNotional": "max_notional",
        "applyMaxToMarket": "apply_max_to_market",
        "avgPriceMins": "avg_price_mins",
    },
    "MAX_NUM_ORDERS": {"maxNumOrders": "max_orders"},
    "MAX_POSITION": {"maxPosition": "max_position"},
}
"""Binance's names of a filter's fields, and ours."""

_DECIMAL_FIELDS = frozenset(name for name, kind in SymbolSpec.__annotations__.items() if kind == "Decimal")


def with_filter(spec: SymbolSpec, filter_type: str, fields: dict[str, str | int | bool]) -> SymbolSpec:
    """Change a filter as `exchangeInfo` writes it (`{"tickSize": "0.10"}`); `KeyError` for a name unknown here."""
    names = _FIELDS[filter_type]
    changes = {
        names[name]: Decimal(str(value)) if names[name] in _DECIMAL_FIELDS else value for name, value in fields.items()
    }
    return replace(spec, **changes)  # type: ignore[arg-type]  # the table above pairs names with their types


def text(amount: Decimal, precision: int = 8) -> str:
    """Write an amount as the exchange does: a plain string with exactly `precision` decimals or more if needed."""
    return format(amount, f".{max(precision, -int(amount.as_tuple().exponent))}f")


def exchange_info(spec: SymbolSpec) -> dict[str, object]:
    """Describe a symbol as `GET /exchangeInfo` does (protocol §5.1)."""
    filters: list[dict[str, object]] = []
    for filter_type, names in _FIELDS.items():
        if filter_type == "MAX_POSITION" and not spec.max_position:
            continue
        values = {name: getattr(spec, ours) for name, ours in names.items()}
        filters.append(
            {
                "filterType": filter_type,
                **{name: text(value) if isinstance(value, Decimal) else value for name, value in values.items()},
            }
        )
    return {
        "symbol": spec.symbol,
        "status": spec.status.value,
        "baseAsset": spec.base,
        "baseAssetPrecision": spec.precision,
        "quoteAsset": spec.quote,
        "quotePrecision": spec.precision,
        "quoteAssetPrecision": spec.precision,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": spec.stp_default,
        "allowedSelfTradePreventionModes": list(spec.stp_allowed),
    }


def symbol_rules(spec: SymbolSpec) -> SymbolRules:
    """Describe a symbol in the project's own words."""
    return SymbolRules(
        symbol=spec.symbol,
        base=spec.base,
        quote=spec.quote,
        trading=spec.status is SymbolStatus.TRADING,
        spot=True,
        status=spec.status.value,
        tick=spec.tick,
        min_price=spec.min_price,
        max_price=spec.max_price,
        step=spec.step,
        min_quantity=spec.min_quantity,
        max_quantity=spec.max_quantity,
        market_step=spec.market_step,
        market_min_quantity=spec.market_min_quantity,
        market_max_quantity=spec.market_max_quantity,
        min_notional=spec.min_notional,
        max_notional=spec.max_notional,
        bid_multiplier_up=spec.bid_multiplier_up,
        bid_multiplier_down=spec.bid_multiplier_down,
        ask_multiplier_up=spec.ask_multiplier_up,
        ask_multiplier_down=spec.ask_multiplier_down,
        max_orders=spec.max_orders,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the filters look at. `reference` is the average price that NOTIONAL and PERCENT_PRICE go by.

    `open_orders` are those of the symbol, `position` is the base balance with all open buys added.
    """

    side: Side
    market: bool
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    reference: Decimal | None
    open_orders: int
    position: Decimal


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _off_grid(amount: Decimal, low: Decimal, high: Decimal, step: Decimal) -> bool:
    return bool((low and amount < low) or (high and amount > high) or (step and amount % step))


def check(spec: SymbolSpec, order: Candidate) -> None:
    """Raise `ExchangeError` for the first rule that an order breaks, in the order in which the exchange looks."""
    for name, amount in (
        ("quantity", order.quantity),
        ("quoteOrderQty", order.quote_quantity),
        ("price", order.price),
    ):
        if amount is not None and _decimals(amount) > spec.precision:
            raise too_precise(name)
    for amount in (order.quantity, order.quote_quantity):
        if amount is not None and amount <= 0:
            refuse(INVALID_QUANTITY)
    if order.price is not None and order.price <= 0:
        refuse(INVALID_PRICE)
    if spec.status is not SymbolStatus.TRADING:
        refuse(MARKET_CLOSED)
    if order.price is not None:
        _check_price(spec, order, order.price)
    if order.quantity is not None:
        _check_quantity(spec, order, order.quantity)
    _check_notional(spec, order)
    if order.open_orders >= spec.max_orders and not order.market:
        raise filter_failure("MAX_NUM_ORDERS")
    if spec.max_position and order.side is Side.BUY and order.position + (order.quantity or ZERO) > spec.max_position:
        raise filter_failure("MAX_POSITION")


def _check_price(spec: SymbolSpec, order: Candidate, price: Decimal) -> None:
    if _off_grid(price, spec.min_price, spec.max_price, spec.tick):
        raise filter_failure("PRICE_FILTER")
    buy = order.side is Side.BUY
    up = spec.bid_multiplier_up if buy else spec.ask_multiplier_up
    down = spec.bid_multiplier_down if buy else spec.ask_multiplier_down
    if order.reference is not None and (
        (up and price > order.reference * up) or (down and price < order.reference * down)
    ):
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def _check_quantity(spec: SymbolSpec, order: Candidate, quantity: Decimal) -> None:
    if _off_grid(quantity, spec.min_quantity, spec.max_quantity, spec.step):
        raise filter_failure("LOT_SIZE")
    if order.market and _off_grid(quantity, spec.market_min_quantity, spec.market_max_quantity, spec.market_step):
        raise filter_failure("MARKET_LOT_SIZE")


def _check_notional(spec: SymbolSpec, order: Candidate) -> None:
    price = order.reference if order.price is None else order.price
    if order.quote_quantity is not None:
        notional = order.quote_quantity
    elif order.quantity is not None and price is not None:
        notional = order.quantity * price
    else:
        return  # A market order before there is any price: nothing to judge it by.
    low = bool(spec.min_notional) and (spec.apply_min_to_market or not order.market)
    high = bool(spec.max_notional) and (spec.apply_max_to_market or not order.market)
    if (low and notional < spec.min_notional) or (high and notional > spec.max_notional):
        raise filter_failure("NOTIONAL")


def range_limit(spec: SymbolSpec, side: Side, reference: Decimal | None) -> Decimal | None:
    """Name the worst price at which `side` may take under the price range rule, None where it does not bind."""
    if spec.price_range is None or reference is None:
        return None
    multiple = spec.price_range.bid_up if side is Side.BUY else spec.price_range.ask_down
    return None if multiple is None else reference * multiple
