"""Whether a well-formed signal may be let in now: symbols, ages, sizes, and what is at stake. Pure.

Each check returns the first `Refusal` it finds, with figures for people, or None.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from actors.signal_gate.load import Load
from actors.signal_gate.settings import GateSettings
from actors.signal_gate.shape import Refusal, check_shape, malformed
from actors.twap.schedule import MIN_NOTIONAL_MARGIN, least_of
from actors.twap.settings import TwapSettings
from messages.market import Quote, SymbolRules
from messages.money import floor_to, plain
from messages.signal import Reason, Side, Signal

__all__ = ["GateSettings", "Limits", "Market", "Refusal", "Sized"]

_SYMBOL: Final = re.compile(r"[A-Z0-9]{2,20}")
_NAN: Final = float("nan")
_MILLISECOND: Final = timedelta(milliseconds=1)


class Market(NamedTuple):
    """What is known of a signal's symbol: its rules, its quote, and the quote's age in seconds."""

    rules: SymbolRules | None
    quote: Quote | None
    age: float = _NAN


class Sized(NamedTuple):
    """A signal in base units: a multiple of the step, judged on this quote and these rules."""

    quantity: Decimal
    quote: Quote
    rules: SymbolRules


class Limits:
    """The rules of `settings`, as questions; `twap` says how an execution would be worked."""

    def __init__(self, settings: GateSettings, twap: TwapSettings) -> None:
        self._settings, self._twap = settings, twap
        self._symbols = frozenset(settings.symbols)
        self._accounts = frozenset(settings.accounts)
        self._max_quote_age = float(settings.max_quote_age_seconds)

    def check_shape(self, signal: Signal) -> Refusal | None:
        """Refuse what makes no sense by itself, or names an account that is not ours."""
        refusal = check_shape(signal, self._settings.max_duration_seconds)
        if refusal is None and self._accounts and signal.account not in self._accounts:
            return malformed(f"account {signal.account} is not known here")
        return refusal

    def fresh(self, market: Market) -> Quote | None:
        """Return the quote if it may be traded on: there, young enough, and with two sides."""
        quote = market.quote
        if quote is None or not market.age <= self._max_quote_age or not 0 < quote.bid <= quote.ask:
            return None
        return quote

    def size(self, signal: Signal, now: datetime, market: Market) -> Sized | Refusal:
        """Turn a signal into base units, or refuse it for what it asks."""
        refusal = self._check_symbol(signal, market.rules) or self._check_times(signal, now)
        if refusal is not None:
            return refusal
        rules, quote = market.rules, self.fresh(market)
        if quote is None or rules is None:
            return self._no_price(signal.symbol, market)
        step, min_quantity = least_of(rules, signal.twap.child or self._twap.child)
        sized = Sized(floor_to(self._base_quantity(signal, quote), step), quote, rules)
        return _check_minimum(sized, min_quantity) or self._check_notional(sized) or sized

    def check_load(
        self, signal: Signal, sized: Sized, now: datetime, load: Load, moment: datetime | None = None
    ) -> Refusal | None:
        """Refuse what comes too soon, against another execution, or on top of too many.

        `moment` is `now` by the clock that `load` was told ends by, if that is another.
        """
        return (
            self._check_opposite(signal, load)
            or self._check_cooldown(signal, moment or now, load)
            or self._check_count(signal, load)
            or self._check_stakes(sized, now, load)
        )

    def check_balance(
        self,
        signal: Signal,
        sized: Sized,
        free: dict[str, Decimal],
        load: Load,
        rules: dict[str, SymbolRules],
    ) -> Refusal | None:
        """Refuse what the account can't pay for besides what running executions may still spend.

        An approximation: balances and trades are told on different ways. A child that can't be
        paid is caught before it is sent.
        """
        if signal.side is Side.BUY:
            asset, needed = sized.rules.quote, sized.quantity * self._worst_price(signal, sized.quote)
        else:
            asset, needed = sized.rules.base, sized.quantity
        left = free.get(asset, Decimal(0)) - load.held(asset, rules)
        if needed > left:
            return Refusal(
                Reason.INSUFFICIENT_BALANCE,
                f"needs {_figure(needed)} {asset}, {_figure(left)} {asset} are free",
            )
        return None

    # What a signal asks -----------------------------------------------------------------------

    def _check_symbol(self, signal: Signal, rules: SymbolRules | None) -> Refusal | None:
        symbol = signal.symbol
        if _SYMBOL.fullmatch(symbol) is None:
            return Refusal(Reason.UNKNOWN_SYMBOL, f"{symbol} is not a symbol: capital letters and digits only")
        if symbol not in self._symbols:
            return Refusal(Reason.SYMBOL_NOT_ALLOWED, f"{symbol} is not among gate.symbols")
        if rules is None:
            return Refusal(Reason.UNKNOWN_SYMBOL, f"the venue does not know {symbol}")
        if not rules.spot:
            return Refusal(Reason.NOT_SPOT, f"{symbol} is not traded on spot")
        if not rules.trading:
            return Refusal(Reason.SYMBOL_NOT_TRADING, f"{symbol} is {rules.status}")
        return None

    def _check_times(self, signal: Signal, now: datetime) -> Refusal | None:
        settings, options = self._settings, signal.twap
        if signal.timestamp is not None:
            age = _seconds_between(signal.timestamp, now)
            if -age > settings.max_future_seconds:
                return Refusal(Reason.FROM_THE_FUTURE, f"its timestamp is {_figure(-age)} s ahead")
            oldest = settings.max_age_seconds if signal.ttl_seconds is None else signal.ttl_seconds
            oldest = min(oldest, settings.dedup.retention_days * 86_400)  # Older ones may be forgotten repeats.
            if age > oldest:
                return Refusal(Reason.STALE, f"it is {_figure(age)} s old, above {_figure(oldest)} s")
        if options.end_at is not None and options.end_at <= now:
            return Refusal(Reason.STALE, f"its twap.end_at was {_figure(_seconds_between(options.end_at, now))} s ago")
        ahead = Decimal(0)
        for moment in (options.start_at, options.end_at):
            if moment is not None:
                ahead = max(ahead, _seconds_between(now, moment))
        if ahead > settings.max_duration_seconds:
            longest = _figure(settings.max_duration_seconds)
            return malformed(f"it reaches {_figure(ahead)} s ahead, above {longest} s")
        return None

    def _no_price(self, symbol: str, market: Market) -> Refusal:
        if market.quote is None:
            return Refusal(Reason.NO_PRICE, f"no quote of {symbol}")
        return Refusal(
            Reason.NO_PRICE,
            f"the quote of {symbol} is {market.age:.1f} s old, above {self._max_quote_age:g} s",
        )

    def _worst_price(self, signal: Signal, quote: Quote) -> Decimal:
        worst = quote.ask * (1 + self._twap.max_price_deviation)
        return worst if signal.limit_price is None else min(worst, signal.limit_price)

    def _base_quantity(self, signal: Signal, quote: Quote) -> Decimal:
        """Turn a quote quantity into base at the worst price, so that it buys at most for that amount."""
        if signal.quote_quantity is None:
            return signal.quantity or Decimal(0)
        if signal.side is Side.BUY:
            return signal.quote_quantity / (quote.ask * (1 + self._twap.max_price_deviation))
        return signal.quote_quantity / quote.mid

    def _check_notional(self, sized: Sized) -> Refusal | None:
        notional = sized.quantity * sized.quote.mid
        return _above("value of the signal", notional, "max_notional", self._settings, sized.rules.quote)

    # What is under way ------------------------------------------------------------------------

    def _check_opposite(self, signal: Signal, load: Load) -> Refusal | None:
        if self._settings.opposite_signals == "refuse":
            running = load.of_lane(signal.account, signal.symbol, signal.side.opposite)
            if running:
                side = signal.side.opposite.value
                return Refusal(Reason.OPPOSITE_RUNNING, f"{running} {side} of {signal.symbol} under way")
        return None

    def _check_cooldown(self, signal: Signal, now: datetime, load: Load) -> Refusal | None:
        ended = load.ended(signal.account, signal.symbol, signal.side)
        if ended is not None:
            left = self._settings.cooldown_seconds - _seconds_between(ended, now)
            if left > 0:
                return Refusal(Reason.COOLDOWN, f"{_figure(left)} s left")
        return None

    def _check_count(self, signal: Signal, load: Load) -> Refusal | None:
        most, running = self._settings.max_executions, len(load)
        if most is not None and running >= most:
            return Refusal(Reason.TOO_MANY, f"{running} executions under way (limits.max_executions)")
        most, running = self._settings.max_executions_per_symbol, load.of_symbol(signal.symbol)
        if most is not None and running >= most:
            detail = f"{running} executions of {signal.symbol} under way (limits.max_executions_per_symbol)"
            return Refusal(Reason.TOO_MANY, detail)
        return None

    def _check_stakes(self, sized: Sized, now: datetime, load: Load) -> Refusal | None:
        settings, rules = self._settings, sized.rules
        notional = sized.quantity * sized.quote.mid
        at_stake = notional + load.notional(rules.symbol)
        of_day = notional + load.of_day(now)
        return _above(
            f"open value of {rules.symbol}", at_stake, "max_open_notional_per_symbol", settings, rules.quote
        ) or _above("value of the day", of_day, "max_daily_notional", settings, rules.quote)


def _above(what: str, amount: Decimal, limit: str, settings: GateSettings, asset: str) -> Refusal | None:
    most: Decimal | None = getattr(settings, limit)
    if most is None or amount <= most:
        return None
    figures = f"{_figure(amount)} {asset}, above {_figure(most)} {asset}"
    return Refusal(Reason.ABOVE_LIMIT, f"{what} would be {figures} (limits.{limit})")


def _check_minimum(sized: Sized, min_quantity: Decimal) -> Refusal | None:
    """Refuse what could not be sent as even one child: too little, or worth too little at the bid."""
    quantity, quote, rules = sized
    if not quantity or quantity < min_quantity:
        return Refusal(
            Reason.BELOW_MINIMUM,
            f"{plain(quantity)} {rules.base} after rounding, below {plain(min_quantity)} {rules.base}",
        )
    notional, least = quantity * quote.bid, rules.min_notional * MIN_NOTIONAL_MARGIN
    if notional < least:
        return Refusal(
            Reason.BELOW_MINIMUM,
            f"worth {_figure(notional)} {rules.quote}, below {_figure(least)} {rules.quote}",
        )
    return None


def _seconds_between(earlier: datetime, later: datetime) -> Decimal:
    return Decimal((later - earlier) // _MILLISECOND) / 1000


def _figure(amount: Decimal) -> str:
    """Write an amount for people: two decimals, or as many as a small one needs."""
    return plain(round(amount, 2 if abs(amount) >= 1 else 8))
