"""What may be traded and how: symbols, their filters, and how the exchange writes them down (protocol §5.1, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache

from messages.frozen import replace
from messages.market import SymbolRules
from messages.money import ZERO


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
    """A symbol with its filters. A zero bound, step or tick means that there is none (protocol §9).

    `old_min_notional` and `multiplier_up`, `multiplier_down` are those of MIN_NOTIONAL and PERCENT_PRICE, which older
    symbols have in place of NOTIONAL and PERCENT_PRICE_BY_SIDE. What bounds icebergs and order lists is told and
    binds nothing, for there are none. `max_algo_orders` bounds the stop orders that wait.
    """

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
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO
    old_min_notional: Decimal = ZERO
    old_min_to_market: bool = True
    avg_price_mins: int = 5
    max_orders: int = 200
    max_algo_orders: int = 5
    max_order_lists: int = 20
    max_amendments: int = 10
    max_iceberg_parts: int = 100
    max_position: Decimal = ZERO
    price_range: PriceRange | None = None
    stp_default: str = "EXPIRE_MAKER"
    stp_allowed: tuple[str, ...] = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")


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
    return {spec.symbol: spec for spec in _built_in()}


@cache
def _built_in() -> tuple[SymbolSpec, ...]:
    return (
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


_FIELDS: dict[str, dict[str, str]] = {
    "PRICE_FILTER": {"minPrice": "min_price", "maxPrice": "max_price", "tickSize": "tick"},
    "LOT_SIZE": {"minQty": "min_quantity", "maxQty": "max_quantity", "stepSize": "step"},
    "MARKET_LOT_SIZE": {
        "minQty": "market_min_quantity",
        "maxQty": "market_max_quantity",
        "stepSize": "market_step",
    },
    "ICEBERG_PARTS": {"limit": "max_iceberg_parts"},
    "PERCENT_PRICE": {
        "multiplierUp": "multiplier_up",
        "multiplierDown": "multiplier_down",
        "avgPriceMins": "avg_price_mins",
    },
    "PERCENT_PRICE_BY_SIDE": {
        "bidMultiplierUp": "bid_multiplier_up",
        "bidMultiplierDown": "bid_multiplier_down",
        "askMultiplierUp": "ask_multiplier_up",
        "askMultiplierDown": "ask_multiplier_down",
        "avgPriceMins": "avg_price_mins",
    },
    "MIN_NOTIONAL": {
        "minNotional": "old_min_notional",
        "applyToMarket": "old_min_to_market",
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
    "MAX_NUM_ORDER_LISTS": {"maxNumOrderLists": "max_order_lists"},
    "MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": "max_algo_orders"},
    "MAX_NUM_ORDER_AMENDS": {"maxNumOrderAmends": "max_amendments"},
    "MAX_POSITION": {"maxPosition": "max_position"},
}
"""Binance's names of a filter's fields, and ours."""

_ONLY_IF_SET: dict[str, tuple[str, ...]] = {
    "PERCENT_PRICE": ("multiplier_up", "multiplier_down"),
    "MIN_NOTIONAL": ("old_min_notional",),
    "MAX_POSITION": ("max_position",),
}
"""Filters that a symbol has only where one of these fields is not 0."""


def with_filter(spec: SymbolSpec, filter_type: str, fields: dict[str, str | int | bool]) -> SymbolSpec:
    """Change a filter as `exchangeInfo` writes it (`{"tickSize": "0.10"}`); `ValueError` if there is no such thing."""
    if filter_type not in _FIELDS:
        raise ValueError(f"there is no filter {filter_type}; there are {', '.join(_FIELDS)}")
    names = _FIELDS[filter_type]
    for name in fields:
        if name not in names:
            raise ValueError(f"{filter_type} has no {name}; it has {', '.join(names)}")
    changes = {names[name]: _value(name, names[name], value) for name, value in fields.items()}
    return replace(spec, **changes)  # type: ignore[arg-type]  # the table above pairs names with their types


def _value(name: str, ours: str, value: str | int | bool) -> Decimal | int | bool:  # noqa: FBT001 - as JSON has it
    """Read a filter's field by the type that the symbol has for it; `ValueError`."""
    kind = SymbolSpec.__annotations__[ours]
    if kind == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, not {value!r}")
        return value
    try:
        number = Decimal("NaN") if isinstance(value, bool) else Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and number >= 0) or (kind == "int" and number % 1):
        raise ValueError(f"{name} must be a {'whole ' if kind == 'int' else ''}number >= 0, not {value!r}")
    return int(number) if kind == "int" else number


RANGE_FIELDS = {
    "bidLimitMultUp": "bid_up",
    "bidLimitMultDown": "bid_down",
    "askLimitMultUp": "ask_up",
    "askLimitMultDown": "ask_down",
}
"""Binance's names of the price range rule's multiples, and ours."""


def price_range_of(fields: Mapping[str, str]) -> PriceRange | None:
    """Read the price range rule as `executionRules` writes it; nothing named means that there is none.

    `ValueError` for a name unknown here or a multiple that is no number above 0.
    """
    multiples: dict[str, Decimal] = {}
    for name, value in fields.items():
        if name not in RANGE_FIELDS:
            raise ValueError(f"the price range has no {name}; there are {', '.join(RANGE_FIELDS)}")
        try:
            multiple = Decimal(value)
        except InvalidOperation:
            multiple = ZERO
        if not (multiple.is_finite() and multiple > 0):
            raise ValueError(f"{name} must be a number above 0, not {value!r}")
        multiples[RANGE_FIELDS[name]] = multiple
    return PriceRange(**multiples) if multiples else None


def text(amount: Decimal, precision: int = 8) -> str:
    """Write an amount as the exchange does: a plain string with exactly `precision` decimals or more if needed."""
    plain = str(amount)
    if "E" in plain:
        return format(amount, f".{max(precision, -int(amount.as_tuple().exponent))}f")
    whole, _, decimals = plain.partition(".")
    if len(decimals) > precision:  # A product has as many zeros as both factors together.
        decimals = decimals.rstrip("0")
    return f"{whole}.{decimals:0<{precision}}"


def exchange_info(spec: SymbolSpec) -> dict[str, object]:
    """Describe a symbol as `GET /exchangeInfo` does (protocol §5.1)."""
    filters: list[dict[str, object]] = []
    for filter_type, names in _FIELDS.items():
        needed = _ONLY_IF_SET.get(filter_type)
        if needed is not None and not any(getattr(spec, ours) for ours in needed):
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
        "orderTypes": [
            *("LIMIT", "LIMIT_MAKER", "MARKET"),
            *("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
        ],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": spec.stp_default,
        "allowedSelfTradePreventionModes": list(spec.stp_allowed),
    }


def symbol_rules(spec: SymbolSpec, *, maker_fee: Decimal = ZERO, taker_fee: Decimal = ZERO) -> SymbolRules:
    """Describe a symbol in the project's own words; fees are fractions."""
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
        min_notional=max(spec.min_notional, spec.old_min_notional),
        max_notional=spec.max_notional,
        bid_multiplier_up=spec.bid_multiplier_up or spec.multiplier_up,
        bid_multiplier_down=spec.bid_multiplier_down or spec.multiplier_down,
        ask_multiplier_up=spec.ask_multiplier_up or spec.multiplier_up,
        ask_multiplier_down=spec.ask_multiplier_down or spec.multiplier_down,
        max_orders=spec.max_orders,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
    )
