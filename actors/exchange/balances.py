"""What may still be spent: the venue's free balances, less what our open children will take.

The venue takes a child's cost out of `free` when it takes the child, and tells so a little later.
Until a balance has been told after that, the child's cost is held here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from messages.money import ZERO

AssetBalance = tuple[str, Decimal, Decimal]
"""An asset, how much of it is free, and how much is locked in orders."""


@dataclass(slots=True)
class _Hold:
    asset: str
    amount: Decimal
    taken: bool = False


class Balances:
    """Free balances by asset and the holds on them. Amounts in units of the asset."""

    def __init__(self) -> None:
        self._free: dict[str, Decimal] = {}
        self._holds: dict[str, _Hold] = {}
        self._held: dict[str, Decimal] = {}
        self.known = False

    @property
    def free(self) -> tuple[tuple[str, Decimal], ...]:
        """What can be spent of each asset, never below zero."""
        return tuple((asset, max(ZERO, self.available(asset))) for asset in self._free)

    @property
    def unconfirmed(self) -> bool:
        """Whether a hold waits for the venue to tell a balance that contains it."""
        return any(hold.taken for hold in self._holds.values())

    def available(self, asset: str) -> Decimal:
        """Return what is free of an asset and not held; below zero if more is held."""
        return self._free.get(asset, ZERO) - self._held.get(asset, ZERO)

    def found(self, balances: Iterable[AssetBalance]) -> None:
        """Take a complete account of balances: an asset that is missing is not owned."""
        self._free = {asset: free for asset, free, _ in balances}
        self.known = True
        self._drop_taken(tuple(self._held))

    def seen(self, balances: Iterable[AssetBalance]) -> None:
        """Take balances that have changed; the others stay."""
        changed = tuple(balances)
        self._free.update((asset, free) for asset, free, _ in changed)
        self._drop_taken(tuple(asset for asset, _, _ in changed))

    def hold(self, client_order_id: str, asset: str, amount: Decimal) -> None:
        """Keep `amount` for a child that is about to be sent."""
        self._holds[client_order_id] = _Hold(asset, amount)
        self._held[asset] = self._held.get(asset, ZERO) + amount

    def take(self, client_order_id: str) -> None:
        """Note that the venue has the child: the next balance told contains its cost."""
        if (hold := self._holds.get(client_order_id)) is not None:
            hold.taken = True

    def release(self, client_order_id: str) -> None:
        """Give a child's hold back: it never was at the venue."""
        if (hold := self._holds.pop(client_order_id, None)) is not None:
            self._lower(hold)

    def _drop_taken(self, assets: tuple[str, ...]) -> None:
        told = [child for child, hold in self._holds.items() if hold.taken and hold.asset in assets]
        for child in told:
            self._lower(self._holds.pop(child))

    def _lower(self, hold: _Hold) -> None:
        self._held[hold.asset] -= hold.amount
        if not self._held[hold.asset]:
            del self._held[hold.asset]
