"""What the account should hold: what it held when that was last noted, and every trade booked since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from messages.facts import BalanceMismatch, BalancesNoted, Fact, TradeBooked, TradesSummed
from messages.market import SymbolRules
from messages.money import ZERO
from messages.signal import Side


class Holdings:
    """A fold of balances noted and trades booked. Amounts in units of the asset, free and locked together."""

    def __init__(self) -> None:
        self._noted: dict[str, Decimal] | None = None
        self._bought: dict[str, tuple[Decimal, Decimal]] = {}
        self._fees: dict[str, Decimal] = {}
        self.unsummed = 0
        """How many trades were booked since all of them were summed up last."""

    def fold(self, fact: Fact) -> None:
        """Take in a fact."""
        match fact:
            case BalancesNoted(balances=balances):
                self._noted = dict(balances)
                self._bought, self._fees = {}, {}
            case TradesSummed(bought=bought, fees=fees):
                self._bought = {symbol: (base, quote) for symbol, base, quote in bought}
                self._fees = dict(fees)
                self.unsummed = 0
            case TradeBooked(symbol=symbol, side=side, quantity=quantity, price=price):
                base, quote = self._bought.get(symbol, (ZERO, ZERO))
                signed = quantity if side is Side.BUY else -quantity
                self._bought[symbol] = base + signed, quote - signed * price
                asset = fact.commission_asset
                self._fees[asset] = self._fees.get(asset, ZERO) + fact.commission
                self.unsummed += 1
            case _:
                pass

    def summary(self, last_trades: Mapping[str, int]) -> TradesSummed:
        """Return the fact that stands for all trades folded so far."""
        return TradesSummed(
            bought=tuple((symbol, base, quote) for symbol, (base, quote) in self._bought.items()),
            fees=tuple(self._fees.items()),
            last_trades=tuple(last_trades.items()),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols traded since balances were noted: their assets must be known to compare."""
        return tuple(self._bought)

    def compare(self, found: Iterable[tuple[str, Decimal, Decimal]], rules: Mapping[str, SymbolRules]) -> list[Fact]:
        """Return what follows from the account's (asset, free, locked): nothing if trades explain it.

        The first time there is nothing to compare with: it is noted. What they don't explain is told
        once, and noted as the new beginning. `rules` must have every one of `symbols`.
        """
        held = {asset: free + locked for asset, free, locked in found if free + locked}
        note = BalancesNoted(balances=tuple(held.items()))
        if self._noted is None:
            return [note]
        expected = self._expected(self._noted, rules)
        facts: list[Fact] = [
            BalanceMismatch(asset=asset, expected=expected.get(asset, ZERO), found=held.get(asset, ZERO))
            for asset in dict.fromkeys((*expected, *held))
            if expected.get(asset, ZERO) != held.get(asset, ZERO)
        ]
        return [*facts, note] if facts else []

    def _expected(self, noted: Mapping[str, Decimal], rules: Mapping[str, SymbolRules]) -> dict[str, Decimal]:
        expected = dict(noted)
        for symbol, (base, quote) in self._bought.items():
            for asset, change in ((rules[symbol].base, base), (rules[symbol].quote, quote)):
                expected[asset] = expected.get(asset, ZERO) + change
        for asset, fees in self._fees.items():
            expected[asset] = expected.get(asset, ZERO) - fees
        return expected
