"""What one order has done: reply, stream and polls merged into one account, in whatever order.

Each trade is booked once, cumulative quantities only grow, a final state sticks. The account is
closed when the order is final and the booked trades add up to what it has executed, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.order_watcher.attempt import Attempt, Life
from messages.execution import ChildOutcome
from messages.facts import (
    AttemptReappeared,
    ChildAcknowledged,
    ChildClosed,
    ChildIntended,
    Fact,
    TradeBooked,
)
from messages.ids import from_milliseconds
from messages.money import ZERO, plain
from messages.order import OrderSnapshot, OrderStatus, Source, Trade

ARCHIVED = "archived by the exchange"


class Ledger:
    """The account of one child order.

    `hear` takes what a path says and returns the facts that follow; they must be folded before the
    next `hear`. What was heard and not yet journalled is lost in a crash and asked for again.
    """

    __slots__ = (
        "_booked",
        "_executed",
        "_final",
        "_quantity",
        "_quote",
        "_reason",
        "attempt",
        "polls",
    )

    def __init__(self, intent: ChildIntended) -> None:
        self.attempt = Attempt(intent)
        self.polls = 0
        self._booked: dict[int, Decimal] = {}
        self._quantity = self._quote = self._executed = ZERO
        self._final: OrderStatus | None = None
        self._reason: str | None = None

    @property
    def intent(self) -> ChildIntended:
        """The decision that made this order."""
        return self.attempt.intent

    @property
    def booked(self) -> Decimal:
        """The base quantity of all booked trades."""
        return self._quantity

    @property
    def booked_quote(self) -> Decimal:
        """What all booked trades cost or brought, in quote units."""
        return self._quote

    @property
    def missing(self) -> Decimal:
        """The base quantity that the venue says was executed and of which no trade is booked."""
        return max(ZERO, self._executed - self._quantity)

    @property
    def final(self) -> bool:
        """Whether the venue has said that the order can't trade any more."""
        return self._final is not None

    def has(self, trade: Trade) -> bool:
        """Whether this trade is booked."""
        return trade.trade_id in self._booked

    def hear(
        self,
        order: OrderSnapshot | None,
        trades: Iterable[Trade],
        source: Source,
        reason: str | None = None,
    ) -> list[Fact]:
        """Merge what one path says of this order, and return the facts to append.

        `order` may be older than what is known. `trades` must be of this order, whose id is known
        from `order` or from before. `reason` is the venue's word for an end.
        """
        attempt = self.attempt
        facts: list[Fact] = []
        if order is not None:
            if attempt.life.gone and order.status is OrderStatus.REJECTED:
                return []  # It says the same: the venue did not take it.
            facts += self._seen(order, source)
            self._merge(order, reason)
        order_id = attempt.order_id if order is None else order.order_id
        if order_id is None:
            return []  # Trades of an order that nobody has shown to be ours yet.
        fresh = {trade.trade_id: trade for trade in trades if not self.has(trade)}
        facts += [self._trade_booked(trade, source) for trade in fresh.values()]
        quantity = self._quantity + sum((trade.quantity for trade in fresh.values()), ZERO)
        quote = self._quote + sum((trade.quantity * trade.price for trade in fresh.values()), ZERO)
        self._executed = max(self._executed, quantity)
        if quantity >= self.intent.quantity:
            self._final = OrderStatus.FILLED
        return facts + self._closed(order_id, quantity, quote)

    def archived(self) -> list[Fact]:
        """Take it that the order ended without a fill, and return the facts to append: none if it has traded."""
        if self._executed or not self.attempt.life.open:
            return []
        if (absent := self.attempt.absent(f"{ARCHIVED}: it ended without a fill")) is not None:
            return [absent]
        if self.attempt.order_id is None:
            return []  # Nobody knows yet whether it ever was at the venue.
        self._final, self._reason = OrderStatus.EXPIRED, ARCHIVED
        return self._closed(self.attempt.order_id, ZERO, ZERO)

    def fold(self, fact: Fact) -> None:
        """Take in a fact about this child."""
        self.attempt.fold(fact)
        if isinstance(fact, TradeBooked):
            self._booked[fact.trade_id] = fact.quantity
            self._quantity += fact.quantity
            self._quote += fact.quantity * fact.price
            self._executed = max(self._executed, self._quantity)

    def _seen(self, order: OrderSnapshot, source: Source) -> list[Fact]:
        """Return the fact that the venue has the order, if that is news."""
        intent, attempt = self.intent, self.attempt
        if attempt.allows(ChildAcknowledged):
            return [
                ChildAcknowledged(
                    execution_id=intent.execution_id,
                    client_order_id=intent.client_order_id,
                    symbol=intent.symbol,
                    order_id=order.order_id,
                    status=order.status.value,
                    source=source,
                )
            ]
        if attempt.life.gone:
            return [
                AttemptReappeared(
                    execution_id=intent.execution_id,
                    client_order_id=intent.client_order_id,
                    symbol=intent.symbol,
                    order_id=order.order_id,
                    status=order.status.value,
                    executed_quantity=order.executed_quantity,
                )
            ]
        return []

    def _merge(self, order: OrderSnapshot, reason: str | None) -> None:
        executed = order.executed_quantity
        if order.status is OrderStatus.FILLED:
            executed = max(executed, order.quantity)
        self._executed = max(self._executed, executed)
        if order.status.final and self._final is None:
            self._final = order.status
        word = reason or order.expiry
        if order.status.final and word is not None:
            self._reason = word

    def _trade_booked(self, trade: Trade, source: Source) -> TradeBooked:
        return TradeBooked(
            execution_id=self.intent.execution_id,
            client_order_id=self.intent.client_order_id,
            symbol=trade.symbol,
            side=trade.side,
            order_id=trade.order_id,
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            maker=trade.maker,
            trade_time=from_milliseconds(trade.time),
            source=source,
        )

    def _closed(self, order_id: int, quantity: Decimal, quote: Decimal) -> list[Fact]:
        """Return the fact of its end, if it is final, complete, and that is news."""
        if self._final is None or quantity != self._executed or self.attempt.life is Life.CLOSED:
            return []
        intent = self.intent
        outcome = self._outcome(quantity)
        return [
            ChildClosed(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                order_id=order_id,
                status=self._final.value,
                outcome=outcome,
                executed_quantity=quantity,
                executed_quote=quote,
                polls=self.polls,
                failure_reason=self._failure_reason(outcome, self._final),
            )
        ]

    def _outcome(self, quantity: Decimal) -> ChildOutcome:
        if quantity >= self.intent.quantity:
            return ChildOutcome.FILLED
        if self._final is OrderStatus.CANCELED and self.attempt.cancelled_for_time:
            return ChildOutcome.TIMEOUT
        return ChildOutcome.PARTIAL if quantity else ChildOutcome.FAILED

    def _failure_reason(self, outcome: ChildOutcome, final: OrderStatus) -> str | None:
        if outcome is ChildOutcome.FILLED:
            return None
        words = [final.value]
        if final is OrderStatus.FILLED:
            words.append("of less: it was made smaller at the exchange")
        if self._reason is not None:
            words.append(self._reason)
        elif outcome is ChildOutcome.TIMEOUT:
            words.append("not filled in time")
        return " ".join(words)


def contradiction(intent: ChildIntended, order: OrderSnapshot) -> str | None:
    """Say in which figures the venue's order is not the one that was intended; None if it is.

    A smaller quantity is none: whoever has the account can amend an order, by hand, to less than it was.
    """
    told = [
        f"{name} {there} instead of {here}"
        for name, there, here in (
            ("symbol", order.symbol, intent.symbol),
            ("side", order.side.value, intent.side.value),
            ("quantity", plain(max(order.quantity, intent.quantity)), plain(intent.quantity)),
            ("price", plain(order.price), None if intent.limit_price is None else plain(intent.limit_price)),
        )
        if here is not None and there != here
    ]
    if order.executed_quantity > order.quantity:
        told.append(f"executed {plain(order.executed_quantity)} of {plain(order.quantity)}")
    return f"the exchange tells of {intent.client_order_id} with {', '.join(told)}" if told else None
