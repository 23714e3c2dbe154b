"""The execution report: what was bought or sold, at what price and cost, against what could be had.

Costs are in basis points of the arrival notional and positive when they hurt, for both sides alike.
The time-weighted mid is the one exception: that cost is in basis points of itself. Formulas are in
docs/execution-quality.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.child import Fees, add_fee
from actors.twap.execution import Close, Execution
from actors.twap.markouts import Markouts
from actors.twap.measures import Costs, child_report, costs_of, lateness_ms, percentile, tracking
from actors.twap.schedule import sweep_slot
from messages.execution import ExecutionReport, StopReason
from messages.market import Quote
from messages.money import ZERO, in_bps
from messages.signal import Side

_MICROSECOND = timedelta(microseconds=1)


class MidIntegral:
    """The time integral of the mid since arrival, as differences of the market's running one.

    It begins at the first quote seen, and `last_mid` is the latest one's. What a start after a crash
    missed is left out, and when the market's own integral starts anew, so does the comparison.
    Price x seconds over seconds.
    """

    __slots__ = ("_last", "integral", "last_mid", "seconds")

    def __init__(self, integral: Decimal = ZERO, seconds: Decimal = ZERO) -> None:
        """Go on from what was journalled."""
        self.integral, self.seconds = integral, seconds
        self.last_mid: Decimal | None = None
        self._last: tuple[Decimal, Decimal] | None = None

    def see(self, quote: Quote) -> None:
        """Add what has passed since the last quote seen."""
        if self._last is not None and quote.integral_seconds >= self._last[1]:
            self.integral += quote.integral - self._last[0]
            self.seconds += quote.integral_seconds - self._last[1]
        self._last = quote.integral, quote.integral_seconds
        self.last_mid = quote.mid


def report_of(
    execution: Execution,
    close: Close,
    ended_at: datetime,
    mid: MidIntegral,
    market_volume: Decimal | None = None,
    markouts: Markouts | None = None,
) -> ExecutionReport:
    """Say what became of an execution that ends now for this reason (measures: Perold 1988).

    `market_volume` is what was traded on the market meanwhile, in base units; None = not known.
    `markouts` knows what the mid did after the trades, as far as that was seen.
    """
    accepted, plan = execution.accepted, execution.plan
    assert plan is not None, "an execution without a plan"
    side, arrival, asked = accepted.side, accepted.arrival_price, execution.target
    filled, quote = execution.executed, execution.executed_quote
    average = quote / filled if filled else None
    interval = mid.integral / mid.seconds if mid.seconds else None
    children = tuple(execution.children.values())
    sent = [child for child in children if child.sent]
    started_at = execution.started_at or ended_at
    count = len(plan.slices)
    price, fees = accepted.signal.price, execution.fees_in_quote
    costs = sum((costs_of(child, side, arrival) for child in children), Costs())
    notional = arrival * filled
    slippage, fees_bps = _cost_bps(side, average, arrival), _share(fees, notional)
    opportunity = _opportunity(side, arrival, mid.last_mid, asked, filled)
    tracked = tracking(plan, children, ended_at)
    lateness = lateness_ms(plan, sent)
    return ExecutionReport(
        symbol=accepted.symbol,
        side=side,
        quantity=asked,
        total_filled=filled,
        filled_quote=quote,
        average_price=average,
        arrival_price=arrival,
        total_fees=_fees(execution),
        fees_bps=fees_bps,
        slippage_percent=None if average is None or price is None else _cost(side, average, price) * 100,
        arrival_slippage_bps=slippage,
        interval_twap_price=interval,
        interval_twap_bps=_cost_bps(side, average, interval),
        started_at=started_at,
        ended_at=ended_at,
        execution_time_seconds=Decimal((ended_at - started_at) // _MICROSECOND) / 1_000_000,
        stopped_early=close.reason is not StopReason.COMPLETED,
        stop_reason=close.text,
        chunks_executed=len({child.slice for child in children if child.executed}),
        total_chunks=count + len({child.slice for child in children if child.slice >= count}),
        children_sent=len(sent),
        guard_wait_seconds=execution.waited_seconds,
        orders=tuple(child_report(child, side, arrival) for child in children),
        fees_quote=fees,
        delay_bps=_cost_bps(side, sent[0].mid, arrival) if sent else None,
        drift_bps=_share(costs.drift, notional),
        spread_bps=_share(costs.spread, notional),
        walk_bps=_share(costs.walk, notional),
        effective_spread_bps=_share(costs.effective, notional),
        end_price=mid.last_mid,
        opportunity_bps=opportunity,
        total_shortfall_bps=_shortfall(slippage, fees_bps, opportunity, filled, asked),
        tracking_error_percent=None if tracked is None else tracked.error,
        max_lag_percent=None if tracked is None else tracked.max_lag,
        lateness_p50_ms=percentile(lateness, 50),
        lateness_p99_ms=percentile(lateness, 99),
        lateness_max_ms=percentile(lateness, 100),
        guard_waits=execution.waits,
        swept=sum((child.executed for child in children if child.slice == sweep_slot(plan)), ZERO),
        guard_waits_by=tuple((guard, *waited) for guard, waited in execution.waits_by.items()),
        unknown_seconds=execution.unknown_seconds,
        participation=filled / market_volume if market_volume else None,
        children_rested=sum(child.makes for child in sent),
        maker_filled=sum((child.made for child in children), ZERO),
        timing_waits=execution.timings,
        timing_seconds=execution.timed_seconds,
        timing_bps=_share(costs.timing, notional) if any(child.timed for child in sent) else None,
        markouts=() if markouts is None else markouts.markouts(arrival, filled),
        reversion_bps=None if markouts is None else markouts.reversion_bps(arrival),
    )


def _opportunity(side: Side, arrival: Decimal, end: Decimal | None, asked: Decimal, filled: Decimal) -> Decimal | None:
    """What it costs that a part was not filled, in bps of what was asked for at the arrival price."""
    missing = max(ZERO, asked - filled)
    if not missing:
        return ZERO
    return None if end is None else in_bps(side.sign * (end - arrival) * missing, arrival * asked)


def _shortfall(
    slippage: Decimal | None,
    fees: Decimal | None,
    opportunity: Decimal | None,
    filled: Decimal,
    asked: Decimal,
) -> Decimal | None:
    """Everything together, in bps of what was asked for; None if a part of it is not known."""
    if opportunity is None or not filled:
        return opportunity
    if slippage is None or fees is None:
        return None
    return (slippage + fees) * filled / asked + opportunity


def _share(amount: Decimal | None, of: Decimal) -> Decimal | None:
    return in_bps(amount, of) if amount is not None and of else None


def _fees(execution: Execution) -> Fees:
    total: Fees = ()
    for child in execution.children.values():
        for asset, amount in child.fees:
            total = add_fee(total, asset, amount)
    return total


def _cost(side: Side, price: Decimal, against: Decimal) -> Decimal:
    return side.sign * (price - against) / against


def _cost_bps(side: Side, price: Decimal | None, against: Decimal | None) -> Decimal | None:
    if price is None or against is None:
        return None
    return in_bps(side.sign * (price - against), against)
