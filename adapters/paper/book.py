"""One symbol's market inside the engine: own resting orders by price and time, beside the displayed liquidity."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from adapters.paper.liquidity.base import Liquidity
from adapters.paper.records import LiveOrder, NewOrder, PublicTrade
from adapters.paper.rules import SymbolSpec
from messages.market import Level
from messages.money import ZERO, floor_to
from messages.signal import Side


def worse(side: Side, price: Decimal, than: Decimal) -> bool:
    """Tell whether, for an order of `side` that takes, `price` is worse than another one."""
    return price > than if side is Side.BUY else price < than


@dataclass(slots=True)
class Book:
    """A symbol: its rules, its liquidity, own resting orders (best first), own stop orders that wait, what was traded.

    `reached` is the latest moment, in microseconds, up to which it has been looked at: nothing happens before it.
    """

    spec: SymbolSpec
    source: Liquidity
    resting: dict[Side, list[LiveOrder]] = field(default_factory=lambda: {side: [] for side in Side})
    stops: list[LiveOrder] = field(default_factory=list)
    recent: deque[PublicTrade] = field(default_factory=lambda: deque(maxlen=1000))
    last_price: Decimal | None = None
    last_order_id: int = 0
    last_trade_id: int = 0
    reached: int = 0
    followed: bool = False
    traded: Decimal = ZERO

    @property
    def busy(self) -> bool:
        """Whether own orders rest or wait here, so that what others do matters."""
        return bool(self.resting[Side.BUY] or self.resting[Side.SELL] or self.stops)

    @property
    def live(self) -> bool:
        """Whether each trade of others is wanted: own orders rest here, or somebody follows the trades."""
        return self.followed or self.busy

    def rest(self, order: LiveOrder) -> None:
        """Put an order on the book, behind all that is displayed at its price and all own ones there."""
        order.ahead = self.displayed(order.new.side, order.price)
        insort(self.resting[order.new.side], order, key=_priority)

    def unrest(self, order: LiveOrder) -> None:
        """Take an order off the book, or out of the waiting stop orders, if it is there."""
        for orders in (self.resting[order.new.side], self.stops):
            if order in orders:
                orders.remove(order)

    def displayed(self, side: Side, price: Decimal) -> Decimal:
        """Say what others display at a price."""
        for level in self.source.levels(side):
            if level[0] == price:
                return level[1]
            if worse(side.opposite, level[0], price):
                break
        return ZERO

    def levels(self, side: Side) -> Iterator[Level]:
        """List what everyone sees on a side, own orders included, best price first."""
        return _joined(self._tagged(side, own=True)) if self.resting[side] else self.source.levels(side)

    def best(self, side: Side) -> Level | None:
        """Say what stands first on a side."""
        return next(self.levels(side), None)

    def middle(self) -> Decimal | None:
        """Say the mid, or the one touch that there is, or the last price: None before any."""
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        if bid and ask:
            return (bid[0] + ask[0]) / 2
        touch = bid or ask
        return touch[0] if touch else self.last_price

    def opposing(self, side: Side) -> Iterator[tuple[Decimal, Decimal, LiveOrder | None]]:
        """List what an order of `side` can take, best price first, others before own at the same price."""
        return self._tagged(side.opposite, own=True)

    def _tagged(self, side: Side, *, own: bool) -> Iterator[tuple[Decimal, Decimal, LiveOrder | None]]:
        others: Iterator[tuple[Decimal, Decimal, LiveOrder | None]] = (
            (price, quantity, None) for price, quantity in self.source.levels(side)
        )
        if not (own and self.resting[side]):
            return others
        ours: list[tuple[Decimal, Decimal, LiveOrder | None]] = [
            (order.price, order.left, order) for order in self.resting[side]
        ]
        sign = -side.sign
        return heapq.merge(others, ours, key=lambda entry: (sign * entry[0], entry[2] is not None))


def _priority(order: LiveOrder) -> tuple[Decimal, int, int]:
    return -order.new.side.sign * order.price, order.working_time or 0, order.order_id


def _joined(entries: Iterable[tuple[Decimal, Decimal, object]]) -> Iterator[Level]:
    level: Level | None = None
    for price, quantity, _ in entries:
        if level is not None and level[0] == price:
            level = (price, level[1] + quantity)
            continue
        if level is not None:
            yield level
        level = (price, quantity)
    if level is not None:
        yield level


DECREMENTING = frozenset({"DECREMENT", "TRANSFER"})
"""Modes of self-trade prevention that take the quantity of the match off both orders (protocol §10).

What a transfer moves between accounts stays in the one that there is here.
"""


class Step(NamedTuple):
    """One match of an order on arrival, with others (`maker` None) or an own order; or one that is `prevented`."""

    price: Decimal
    quantity: Decimal
    maker: LiveOrder | None
    prevented: bool = False


@dataclass(slots=True)
class Plan:
    """What an order would do on arrival: its matches, whom self-trade prevention ends, what is left.

    `out_of_range` says that the price range rule stopped it, `stopped` whom its own prevention met,
    `exhausted` that it wants more than it could take.
    """

    steps: list[Step] = field(default_factory=list)
    prevented: list[LiveOrder] = field(default_factory=list)
    out_of_range: bool = False
    stopped: LiveOrder | None = None
    exhausted: bool = True

    @property
    def quantity(self) -> Decimal:
        """What would be traded, in base."""
        return sum((step.quantity for step in self.steps if not step.prevented), ZERO)

    @property
    def used(self) -> Decimal:
        """What would be traded or prevented, in base."""
        return sum((step.quantity for step in self.steps), ZERO)

    @property
    def cost(self) -> Decimal:
        """What would be traded, in quote."""
        return sum((step.price * step.quantity for step in self.steps if not step.prevented), ZERO)


def plan(
    book: Book, new: NewOrder, limit: Decimal | None, allowed: tuple[Decimal | None, Decimal | None] = (None, None)
) -> Plan:
    """Work out what an order takes on arrival, without doing it.

    `limit` is the order's worst price, `allowed` the lowest and highest that the exchange lets it take
    (None: no bound). An amount in quote buys as many whole steps as it pays for (protocol §10).
    """
    result, side = Plan(), new.side
    lowest, highest = allowed
    more = _wanted(book.spec, new)
    for price, there, maker in book.opposing(side):
        if limit is not None and worse(side, price, limit):
            break
        if (lowest is not None and price < lowest) or (highest is not None and price > highest):
            result.out_of_range = True
            break
        wanted = more(price, ZERO)
        if not wanted:
            result.exhausted = False
            break
        taken = min(wanted, there)
        if maker is not None and new.self_trade_prevention in DECREMENTING:
            result.steps.append(Step(price, taken, maker, prevented=True))
            more(price, taken)
            continue
        if maker is not None and new.self_trade_prevention != "NONE":
            if new.self_trade_prevention == "EXPIRE_MAKER":
                result.prevented.append(maker)
                continue
            if new.self_trade_prevention == "EXPIRE_BOTH":
                result.prevented.append(maker)
            result.stopped = maker
            break
        result.steps.append(Step(price, taken, maker))
        more(price, taken)
    if result.steps and not more(result.steps[-1].price, ZERO):
        result.exhausted = False
    return result


def _wanted(spec: SymbolSpec, new: NewOrder) -> Callable[[Decimal, Decimal], Decimal]:
    """Keep account of what an order still wants: call with a price and what was taken there."""
    left = new.quantity if new.quantity is not None else (new.quote_quantity or ZERO)

    def want(price: Decimal, taken: Decimal) -> Decimal:
        nonlocal left
        if new.quantity is not None:
            left -= taken
            return left
        left -= taken * price
        return floor_to(left / price, spec.step)

    return want
