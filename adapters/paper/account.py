"""The account: balances, what open orders lock, and commissions (protocol §12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from adapters.paper.errors import INSUFFICIENT_BALANCE, refuse
from adapters.paper.records import LiveOrder
from adapters.paper.rules import SymbolSpec
from messages.money import ZERO
from messages.signal import Side

DEFAULT_BALANCES: Mapping[str, Decimal] = {
    "BTC": Decimal(10),
    "ETH": Decimal(200),
    "USDT": Decimal(1_000_000),
    "BNB": Decimal(20),
}
_CENT_OF_CENT = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a fill costs, as fractions of what is received."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """The account's commissions: a default, rates of single symbols, and the discount for paying in BNB.

    `discount` is the fraction by which the standard rate falls when BNB pays (protocol §12).
    """

    default: Rates = Rates()
    by_symbol: Mapping[str, Rates] = field(default_factory=dict)
    pay_in_bnb: bool = False
    discount: Decimal = Decimal("0.25")

    def of(self, symbol: str) -> Rates:
        """Look up the rates of a symbol."""
        return self.by_symbol.get(symbol, self.default)


class Account:
    """Free and locked amounts by asset, never negative."""

    def __init__(
        self,
        balances: Mapping[str, Decimal] | None = None,
        fees: Fees | None = None,
        price_of_bnb: Callable[[str], Decimal | None] | None = None,
    ) -> None:
        """Start with free `balances`; `price_of_bnb` says what one BNB costs in an asset, if it can."""
        self.free: dict[str, Decimal] = dict(DEFAULT_BALANCES if balances is None else balances)
        self.locked: dict[str, Decimal] = {}
        self.fees = fees or Fees()
        self._price_of_bnb = price_of_bnb or (lambda _quote: None)
        self.touched: dict[str, None] = {}

    def balance(self, asset: str) -> tuple[str, Decimal, Decimal]:
        """Say what there is of an asset: (asset, free, locked)."""
        return asset, self.free.get(asset, ZERO), self.locked.get(asset, ZERO)

    def balances(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Say what there is of every asset that ever moved, by name."""
        return tuple(self.balance(asset) for asset in sorted(self.free.keys() | self.locked.keys()))

    def take_touched(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Say what changed since the last call, and forget it."""
        changed = tuple(self.balance(asset) for asset in self.touched)
        self.touched = {}
        return changed

    def deposit(self, asset: str, amount: Decimal) -> None:
        """Set what is free of an asset higher (or lower) by `amount`."""
        self._move(asset, amount, ZERO)

    def lock(self, order: LiveOrder, spec: SymbolSpec, amount: Decimal) -> None:
        """Set `amount` aside for an order, in quote for a buy and base for a sell; -2010 if there is too little."""
        asset = spec.quote if order.new.side is Side.BUY else spec.base
        if self.free.get(asset, ZERO) < amount:
            refuse(INSUFFICIENT_BALANCE)
        self._move(asset, -amount, amount)
        order.locked += amount

    def unlock(self, order: LiveOrder, spec: SymbolSpec, quantity: Decimal) -> None:
        """Give back what is set aside for a part of an order that will not be traded."""
        buys = order.new.side is Side.BUY
        amount = order.price * quantity if buys else quantity
        self._move(spec.quote if buys else spec.base, amount, -amount)
        order.locked -= amount

    def release(self, order: LiveOrder, spec: SymbolSpec) -> None:
        """Give back what is still set aside for an order that ended."""
        asset = spec.quote if order.new.side is Side.BUY else spec.base
        self._move(asset, order.locked, -order.locked)
        order.locked = ZERO

    def settle(
        self, order: LiveOrder, spec: SymbolSpec, price: Decimal, quantity: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """Exchange what a match exchanges and charge its commission: (amount, asset)."""
        paid = price * quantity
        if order.new.side is Side.BUY:
            held = order.price * quantity if order.price else paid
            order.locked -= held
            self._move(spec.quote, held - paid, -held)
            received, asset = quantity, spec.base
        else:
            order.locked -= quantity
            self._move(spec.base, ZERO, -quantity)
            received, asset = paid, spec.quote
        fee, fee_asset = self._commission(spec, received, asset, paid, maker=maker)
        self._move(asset, received, ZERO)
        self._move(fee_asset, -fee, ZERO)
        return fee, fee_asset

    def _commission(
        self, spec: SymbolSpec, received: Decimal, asset: str, paid: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        rates = self.fees.of(spec.symbol)
        rate = rates.maker if maker else rates.taker
        if self.fees.pay_in_bnb and rate:
            price = self._price_of_bnb(spec.quote)
            if price:
                fee = (paid * rate * (1 - self.fees.discount) / price).quantize(_CENT_OF_CENT, ROUND_DOWN)
                if fee <= self.free.get("BNB", ZERO):
                    return fee, "BNB"
        return (received * rate).quantize(_CENT_OF_CENT, ROUND_DOWN), asset

    def _move(self, asset: str, free: Decimal, locked: Decimal) -> None:
        now_free = self.free.get(asset, ZERO) + free
        now_locked = self.locked.get(asset, ZERO) + locked
        assert now_free >= 0, f"{asset} free would be {now_free}"
        assert now_locked >= 0, f"{asset} locked would be {now_locked}"
        self.free[asset], self.locked[asset] = now_free, now_locked
        self.touched[asset] = None
