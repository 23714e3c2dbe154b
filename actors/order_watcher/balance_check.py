"""Whether the account holds what booked trades explain: asked once a start, while nothing of ours is open."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.order_watcher.holdings import Holdings
from messages.facts import ChildIntended, Fact
from messages.market import SymbolRules

Balances = tuple[tuple[str, Decimal, Decimal], ...]
"""Asset, free, locked."""


class BalanceCheck:
    """One comparison: `done` once it was made, or can't be.

    An answer counts only if no child was intended while it was on its way.
    """

    def __init__(self) -> None:
        self.holdings = Holdings()
        self.asked = self.done = False
        self._rules: dict[str, SymbolRules] | None = None
        self._found: Balances | None = None
        self._intents = self._intents_before = 0

    def fold(self, fact: Fact) -> None:
        """Take in a fact."""
        self.holdings.fold(fact)
        self._intents += isinstance(fact, ChildIntended)

    def learn(self, rules: Iterable[SymbolRules]) -> None:
        """Take symbol rules, which name the assets of each."""
        self._rules = (self._rules or {}) | {rule.symbol: rule for rule in rules}

    def begin(self) -> None:
        """Note that the account is asked for."""
        self.asked, self._found, self._intents_before = True, None, self._intents

    def failed(self) -> bool:
        """Note that it was not answered; whether it had been asked for."""
        asked, self.asked = self.asked, False
        return asked

    def found(self, balances: Balances) -> None:
        """Take what the account holds, unless that is out of date already."""
        if self.asked and self._intents == self._intents_before:
            self._found = balances
        self.asked = False

    @property
    def waits_for_rules(self) -> bool:
        """Whether the account is known, and only what its symbols' assets are is not."""
        return self._found is not None and not self.done

    def compare(self) -> list[Fact] | None:
        """Compare, and return what follows; None while something is missing, or once it was done.

        A symbol whose assets nobody knows any more can't be compared.
        """
        if self._found is None or self.done or (self.holdings.symbols and self._rules is None):
            return None
        rules, self.done = self._rules or {}, True
        if not all(symbol in rules for symbol in self.holdings.symbols):
            return []
        return self.holdings.compare(self._found, rules)
