"""A child order as its execution sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from messages.execution import ChildOutcome
from messages.facts import AttemptReappeared, ChildAcknowledged, ChildClosed, ChildIntended, TradeBooked
from messages.money import ZERO
from messages.order import OrderStatus
from messages.signal import Side

Fees = tuple[tuple[str, Decimal], ...]
"""Commissions by asset, in the order in which the assets first came up."""

_MICROSECOND = timedelta(microseconds=1)
_FINAL = frozenset(status.value for status in OrderStatus if status.final)


def add_fee(fees: Fees, asset: str, amount: Decimal) -> Fees:
    """Add a commission to those of its asset."""
    if not any(asset == other for other, _ in fees):
        return (*fees, (asset, amount))
    return tuple((other, paid + amount if other == asset else paid) for other, paid in fees)


@dataclass(slots=True)
class Child:
    """One child order: executed quantity, quote and fees are sums of its trades and of nothing else.

    `intended_at`, `waited`, `timed`, `fit_mid`, `bid`, `ask`, `fee_mid`, `order_type`, `adverse_bps` and
    `gain_bps` are its intent's. `price` is its limit; one that `makes` rests for `rest` seconds, and
    `would_take` says that the venue refused it for its price had been met meanwhile. `steps` are the
    quantities that it executed, each at its moment. `made` and `made_quote` are what it executed as a
    maker. `told` is the executed quantity that the venue last told for good: it counts as taken even
    while its trades are still to come. `sent` is False once it is certain that it never left, `absent`
    says that it was proven never to have been executed.
    """

    client_order_id: str
    slice: int
    attempt: int
    quantity: Decimal
    intended_at: datetime
    waited: Decimal
    timed: Decimal
    fit_mid: Decimal | None
    bid: Decimal
    ask: Decimal
    fee_mid: Decimal | None
    price: Decimal | None = None
    order_type: str = ""
    makes: bool = False
    adverse_bps: Decimal | None = None
    gain_bps: Decimal | None = None
    rest: Decimal = ZERO
    would_take: bool = False
    adopted: bool = False
    open: bool = True
    sent: bool = True
    unknown: bool = False
    absent: bool = False
    order_id: int | None = None
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    made: Decimal = ZERO
    made_quote: Decimal = ZERO
    steps: list[tuple[datetime, Decimal]] = field(default_factory=list)
    unknown_since: datetime | None = None
    fees: Fees = ()
    told: Decimal = ZERO
    outcome: ChildOutcome | None = None
    polls: int = 0
    failure_reason: str | None = None

    @classmethod
    def of(cls, intent: ChildIntended, at: datetime) -> Child:
        """Begin with an intent that was journalled at `at`."""
        return cls(
            client_order_id=intent.client_order_id,
            slice=intent.slice,
            attempt=intent.attempt,
            quantity=intent.quantity,
            intended_at=at,
            waited=intent.waited_seconds,
            timed=intent.timed_seconds,
            fit_mid=intent.fit_mid,
            bid=intent.bid,
            ask=intent.ask,
            fee_mid=intent.fee_mid,
            price=intent.limit_price,
            order_type=intent.order_type,
            makes=intent.order_type == "LIMIT_MAKER",
            adverse_bps=intent.adverse_bps,
            gain_bps=intent.gain_bps,
            rest=intent.rest_seconds or ZERO,
            adopted=intent.adopted,
        )

    @property
    def mid(self) -> Decimal:
        """The mid when it was intended."""
        return (self.bid + self.ask) / 2

    def touch(self, side: Side) -> Decimal:
        """The price at which `side` took when it was intended."""
        return self.ask if side is Side.BUY else self.bid

    @property
    def rests_until(self) -> datetime | None:
        """When it is cancelled if it is still open; None if it is of a kind that does not rest."""
        return self.intended_at + int(self.rest * 1_000_000) * _MICROSECOND if self.makes else None

    @property
    def committed(self) -> Decimal:
        """What it has taken of the execution, or still may take."""
        taken = max(self.executed, self.told)
        return max(taken, self.quantity) if self.open else taken

    def acknowledged(self, fact: ChildAcknowledged) -> None:
        """The venue has it."""
        self.order_id, self.unknown = fact.order_id, False

    def traded(self, fact: TradeBooked, at: datetime) -> None:
        """It traded, by the venue's clock, which may be off: between its intent and `at` for sure."""
        self.order_id = fact.order_id
        self.executed += fact.quantity
        self.executed_quote += fact.quantity * fact.price
        if fact.maker:
            self.made += fact.quantity
            self.made_quote += fact.quantity * fact.price
        self.steps.append((max(self.intended_at, min(fact.trade_time, at)), fact.quantity))
        self.fees = add_fee(self.fees, fact.commission_asset, fact.commission)

    def ended(self, fact: ChildClosed) -> None:
        """It is final, with every trade booked."""
        self.open = self.unknown = False
        self.told = max(self.told, fact.executed_quantity)
        self.outcome, self.polls, self.failure_reason = fact.outcome, fact.polls, fact.failure_reason

    def refused(self, why: str) -> None:
        """It was certainly not executed."""
        self.open = self.unknown = False
        self.outcome, self.failure_reason = ChildOutcome.FAILED, why

    def not_sent(self, why: str) -> None:
        """It never left the house."""
        self.refused(why)
        self.sent = False

    def reappeared(self, fact: AttemptReappeared) -> None:
        """It was executed after all, and is open again unless it is final."""
        self.order_id, self.sent, self.absent = fact.order_id, True, False
        self.told = max(self.told, fact.executed_quantity)
        self.open = fact.status not in _FINAL
        full = self.told >= self.quantity
        self.outcome = None if self.open else ChildOutcome.FILLED if full else ChildOutcome.PARTIAL
