"""What the market did after an execution's trades: realised spreads, impact and reversion.

With s = +1 for a buy and -1 for a sale, a the aggressor's sign (-s for what was made), p a trade's
price, m the mid when its child was sent and m(d) the mid d seconds after the trade: realised spread
2 a (p - m(d)), impact s (m(d) - m), reversion s (m(1) - m(60)). So effective less realised spread is twice
a (m(d) - m), trade by trade. Trades of one child that come together are looked at together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from messages.execution import Markout
from messages.facts import TradeBooked
from messages.money import ZERO, in_bps
from messages.signal import Side

AFTER_SECONDS = (1, 5, 60)
TOGETHER_SECONDS = 0.1


@dataclass(slots=True)
class _Trades:
    """Trades of one child, made within a moment; their mids are not known yet."""

    child: str
    at: float
    mid: Decimal
    taken: Decimal = ZERO
    taken_quote: Decimal = ZERO
    made: Decimal = ZERO
    made_quote: Decimal = ZERO


@dataclass(slots=True)
class _Sums:
    """Over the trades whose mid after so long is known: base units, and quote units."""

    quantity: Decimal = ZERO
    realised: Decimal = ZERO
    impact: Decimal = ZERO


@dataclass(slots=True)
class Markouts:
    """Sums up what is known; what is not yet known is kept, trade by trade, until it is told."""

    side: Side
    _waiting: dict[int, _Trades] = field(default_factory=dict)
    _sums: tuple[_Sums, ...] = ()  # One for each of `AFTER_SECONDS`, once there is a trade.
    _count: int = 0
    _reverted: Decimal = ZERO
    _reverted_quantity: Decimal = ZERO

    @property
    def waiting(self) -> bool:
        """Whether anything is asked for."""
        return bool(self._waiting)

    def trade(self, trade: TradeBooked, mid: Decimal, now: float) -> int | None:
        """Take a trade of `now` (monotonic s), its child sent on `mid`; return the number to ask by, if it is new."""
        self._sums = self._sums or tuple(_Sums() for _ in AFTER_SECONDS)
        number, trades = self._count, self._waiting.get(self._count)
        new = trades is None or trades.child != trade.client_order_id or now - trades.at > TOGETHER_SECONDS
        if trades is None or new:
            number = self._count = self._count + 1
            trades = self._waiting[number] = _Trades(trade.client_order_id, now, mid)
        if trade.maker:
            trades.made += trade.quantity
            trades.made_quote += trade.quantity * trade.price
        else:
            trades.taken += trade.quantity
            trades.taken_quote += trade.quantity * trade.price
        return number if new else None

    def told(self, number: int, mids: tuple[Decimal | None, ...]) -> None:
        """Take the mids after `AFTER_SECONDS`, None where nobody knows them."""
        trades = self._waiting.pop(number, None)
        if trades is None:
            return
        sign, quantity = self.side.sign, trades.taken + trades.made
        for sums, mid in zip(self._sums, mids, strict=True):
            if mid is None:
                continue
            sums.quantity += quantity
            taken, made = trades.taken_quote - trades.taken * mid, trades.made_quote - trades.made * mid
            sums.realised += 2 * sign * (taken - made)
            sums.impact += sign * quantity * (mid - trades.mid)
        first, last = mids[0], mids[-1]
        if first is not None and last is not None:
            self._reverted_quantity += quantity
            self._reverted += sign * quantity * (first - last)

    def markouts(self, arrival: Decimal, filled: Decimal) -> tuple[Markout, ...]:
        """Say what is known, in bps of what it is known of at the arrival price; nothing where nothing is."""
        return tuple(
            Markout(
                seconds=Decimal(seconds),
                share=sums.quantity / filled,
                realised_spread_bps=in_bps(sums.realised, arrival * sums.quantity),
                impact_bps=in_bps(sums.impact, arrival * sums.quantity),
            )
            for seconds, sums in zip(AFTER_SECONDS, self._sums, strict=bool(self._sums))
            if sums.quantity and filled
        )

    def reversion_bps(self, arrival: Decimal) -> Decimal | None:
        """Say how far the mid came back from the first to the last moment, None where that is not known."""
        quantity = self._reverted_quantity
        return in_bps(self._reverted, arrival * quantity) if quantity else None
