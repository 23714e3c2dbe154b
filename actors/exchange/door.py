"""Whether a child order may go out: all that is checked before its intent, and once more after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from actors.exchange.balances import Balances
from actors.exchange.budget import Budget, Priority
from actors.exchange.exposure import Exposures
from actors.exchange.rules import check
from actors.exchange.settings import ExchangeSettings
from messages.control import Readiness
from messages.facts import (
    ChildAbsent,
    ChildAcknowledged,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    Fact,
    RateLimited,
    TradingHalted,
    TradingResumed,
)
from messages.ids import milliseconds
from messages.market import SymbolRules
from messages.money import BPS, ONE, ZERO, plain
from messages.order import ChildDeclined, Decline, PlaceChild
from messages.signal import Side

EPISODE_TOLERANCE = timedelta(seconds=1)
END_TOLERANCE_SECONDS = 1.0
"""So far our clock may be off the venue's without anybody being told."""


class Door:
    """Knows exposure, rules, balances, limits and halts. Times `now` are monotonic seconds.

    `known` is whether the venue's rules, balances and time are; `clock_doubted` whether the venue has
    refused a timestamp since its time was last asked for; `journal_lost` shuts for good.
    """

    def __init__(self, settings: ExchangeSettings) -> None:
        self._settings = settings
        self.exposures = Exposures()
        self.balances = Balances()
        self.budget = Budget(settings.limits)
        self.rules: dict[str, SymbolRules] = {}
        self.readiness = Readiness.STARTING
        self.halted: str | None = None
        self.halt_reason: str | None = None
        self.clock_doubted = False
        self.known = self.journal_lost = False
        self._limited_until: dict[bool, datetime] = {}

    def fold(self, fact: Fact, at: datetime, now: float, wall_time: datetime) -> None:
        """Take in a fact that was appended at `at`."""
        self.exposures.fold(fact)
        match fact:
            case ChildIntended(symbol=symbol) if symbol in self.rules:
                # A replayed intent needs no hold: balances are asked for after the start.
                self.balances.hold(fact.client_order_id, *self._cost(fact, fact.ask))
            case ChildAcknowledged(client_order_id=child) | ChildClosed(client_order_id=child):
                self.balances.take(child)
            case ChildNotSent() | ChildRefused() | ChildAbsent():
                self.balances.release(fact.client_order_id)
                if isinstance(fact, ChildRefused) and fact.until is not None:
                    silent = fact.left(at, wall_time).total_seconds()
                    self.budget.forbid(now + silent, orders_only=fact.orders_only)
            case RateLimited():
                left = fact.left(at, wall_time)
                self._limited_until[fact.orders_only] = wall_time + left
                self.budget.forbid(now + left.total_seconds(), orders_only=fact.orders_only)
            case TradingHalted(reason=reason, detail=detail):
                self.halted, self.halt_reason = f"{reason}: {detail}" if detail else reason, reason
            case TradingResumed():
                self.halted = self.halt_reason = None
            case _:
                pass

    @property
    def shut_for(self) -> str | None:
        """Why nothing new is sent until somebody says otherwise; None while that is not so."""
        if self.halted is not None:
            return "halted"
        match self.readiness:
            case Readiness.DRAINING:
                return "stopping"
            case Readiness.HALTED | Readiness.FAILED:
                return "halted"
            case Readiness.STARTING | Readiness.READY:
                return None
            case _:
                assert_never(self.readiness)

    def begins_episode(self, retry_at: datetime, *, orders_only: bool = False) -> bool:
        """Whether a Retry-After goes beyond the one of its kind that is journalled already."""
        known = self._limited_until.get(orders_only)
        return known is None or retry_at > known + EPISODE_TOLERANCE

    def judge(
        self, place: PlaceChild, child: str, now: float, venue_milliseconds: float | None = None
    ) -> ChildDeclined | None:
        """Return why a child is not taken, None if it is. The first check that fails is told."""
        if (shut := self._shut(now)) is not None:
            return _declined(place, *shut)
        if (refused := self.exposures.admits(place, child)) is not None:
            return _declined(place, refused, child)
        late = self._seconds_after_end(place, venue_milliseconds)
        if late > END_TOLERANCE_SECONDS:
            return _declined(place, Decline.AFTER_END, f"the end was {late:.0f} s ago by the exchange's clock")
        declined = self._broken_rule(place, now) or self._short_balance(place, now)
        if declined is not None:
            return declined
        retry_at = self.budget.retry_at(0, Priority.PLACE, now, orders=1)
        if retry_at is not None:
            return _declined(place, Decline.BUDGET, "the venue's limits are used up", retry_at)
        if now > place.not_after:
            return _declined(place, Decline.TOO_LATE, f"{now - place.not_after:.3f} s too late")
        return None

    def hindrance(
        self, intent: ChildIntended, *, not_after: float, now: float, venue_milliseconds: float
    ) -> tuple[Decline, str] | None:
        """Say why an intent must not be sent now that it is durable; the commit took its time."""
        if (shut := self._shut(now)) is not None:
            return shut[0], shut[1]
        exposure = self.exposures.get(intent.execution_id)
        if exposure is None:
            return Decline.CLOSED, "closed while the intent was committed"
        if (refused := exposure.still_admits(intent)) is not None:
            return refused, "changed while the intent was committed"
        if now > not_after:
            return Decline.TOO_LATE, f"{now - not_after:.3f} s too late"
        late = venue_milliseconds - intent.request_timestamp - intent.recv_window
        if late > 0:
            return Decline.TOO_LATE, f"recvWindow is over by {late:.0f} ms"
        return None

    def _shut(self, now: float) -> tuple[Decline, str, float] | None:
        """Say why nothing new may be sent at all, and until when (monotonic s)."""
        retry_at = now + self._settings.retry_seconds
        if self.journal_lost:
            return Decline.HALTED, "the journal is lost", retry_at
        if self.halted is not None:
            return Decline.HALTED, self.halted, retry_at
        match self.readiness:
            case Readiness.HALTED:
                return Decline.HALTED, "trading is halted", retry_at
            case Readiness.DRAINING:
                return Decline.DRAINING, "the daemon is stopping", retry_at
            case Readiness.STARTING | Readiness.FAILED:
                return Decline.NOT_READY, self.readiness.value, retry_at
            case Readiness.READY if not self.known:
                return Decline.NOT_READY, "rules, balances or time are not known yet", retry_at
            case Readiness.READY:
                pass
            case _:
                assert_never(self.readiness)
        until = self.budget.forbidden_until(now)
        if until is not None:
            return Decline.RATE_LIMITED, "the venue asks to wait", until
        return (Decline.CLOCK, "the venue's time is asked for again", retry_at) if self.clock_doubted else None

    def _seconds_after_end(self, place: PlaceChild, venue_milliseconds: float | None) -> float:
        """How long an execution's end has been over by the venue's clock: ours may have slept over it."""
        exposure = self.exposures.get(place.execution_id)
        if exposure is None or exposure.end_at is None or venue_milliseconds is None:
            return 0.0
        return (venue_milliseconds - milliseconds(exposure.end_at)) / 1000

    def _broken_rule(self, place: PlaceChild, now: float) -> ChildDeclined | None:
        rules = self.rules.get(place.symbol)
        if rules is None or not (rules.trading and rules.spot):
            detail = f"{place.symbol} is {'UNKNOWN' if rules is None else rules.status}"
            return _declined(place, Decline.SYMBOL_STATUS, detail, now + self._settings.status_retry_seconds)
        if (place.order_type == "MARKET") is not (place.limit_price is None):
            return _declined(place, Decline.FILTER, f"{place.order_type} with limit {place.limit_price}")
        violation = check(
            rules,
            place.side,
            place.order_type,
            place.quantity,
            price=place.limit_price,
            touch=place.quote.touch(place.side),
        )
        if violation is None:
            return None
        return _declined(place, violation.reason, f"{violation.filter}: {violation.detail}")

    def _short_balance(self, place: PlaceChild, now: float) -> ChildDeclined | None:
        asset, cost = self._cost(place, place.quote.ask)
        available = self.balances.available(asset)
        if cost <= available:
            return None
        detail = f"{plain(cost)} {asset} needed, {plain(max(ZERO, available))} free"
        return _declined(place, Decline.BALANCE, detail, now + self._settings.balance_retry_seconds)

    def _cost(self, order: PlaceChild | ChildIntended, ask: Decimal) -> tuple[str, Decimal]:
        """Return the asset that an order spends, and how much of it at worst."""
        rules = self.rules[order.symbol]
        if order.side is Side.SELL:
            return rules.base, order.quantity
        price = order.limit_price
        if price is None:
            price = ask * (ONE + self._settings.market_buffer_bps / BPS)
        return rules.quote, order.quantity * price


def _declined(place: PlaceChild, reason: Decline, detail: str, retry_at: float | None = None) -> ChildDeclined:
    return ChildDeclined(
        execution_id=place.execution_id,
        slice=place.slice,
        attempt=place.attempt,
        reason=reason,
        detail=detail,
        retry_at=retry_at,
    )
