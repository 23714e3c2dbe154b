"""The execution report: what was bought or sold, at what price and cost, against what could be had.

Costs are in basis points of the arrival notional and positive when they hurt, for both sides alike.
The time-weighted mid is the one exception: that cost is in basis points of itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from actors.twap.child import Fees, add_fee
from actors.twap.execution import Close, Execution
from messages.execution import ExecutionReport, StopReason
from messages.market import Quote
from messages.money import ZERO, in_bps
from messages.signal import Side

_MICROSECOND = timedelta(microseconds=1)


class MidIntegral:
    """The time integral of the mid since arrival, as differences of the market's running one.

    It begins at the first quote seen; what a start after a crash missed is left out, and when the
    market's own integral starts anew, so does the comparison. Price x seconds over seconds.
    """

    __slots__ = ("_last", "integral", "seconds")

    def __init__(self, integral: Decimal = ZERO, seconds: Decimal = ZERO) -> None:
        """Go on from what was journalled."""
        self.integral, self.seconds = integral, seconds
        self._last: tuple[Decimal, Decimal] | None = None

    def see(self, quote: Quote) -> None:
        """Add what has passed since the last quote seen."""
        if self._last is not None and quote.integral_seconds >= self._last[1]:
            self.integral += quote.integral - self._last[0]
            self.seconds += quote.integral_seconds - self._last[1]
        self._last = quote.integral, quote.integral_seconds


def report_of(execution: Execution, close: Close, ended_at: datetime, mid: MidIntegral) -> ExecutionReport:
    """Say what became of an execution that ends now for this reason (measures: Perold 1988)."""
    accepted, plan = execution.accepted, execution.plan
    assert plan is not None, "an execution without a plan"
    side, arrival = accepted.side, accepted.arrival_price
    filled, quote = execution.executed, execution.executed_quote
    average = quote / filled if filled else None
    interval = mid.integral / mid.seconds if mid.seconds else None
    children = tuple(execution.children.values())
    started_at = execution.started_at or ended_at
    count = len(plan.slices)
    price, fees = accepted.signal.price, execution.fees_in_quote
    return ExecutionReport(
        symbol=accepted.symbol,
        side=side,
        quantity=execution.target,
        total_filled=filled,
        filled_quote=quote,
        average_price=average,
        arrival_price=arrival,
        total_fees=_fees(execution),
        fees_bps=in_bps(fees, arrival * filled) if fees is not None and filled else None,
        slippage_percent=None if average is None or price is None else _cost(side, average, price) * 100,
        arrival_slippage_bps=_cost_bps(side, average, arrival),
        interval_twap_price=interval,
        interval_twap_bps=_cost_bps(side, average, interval),
        started_at=started_at,
        ended_at=ended_at,
        execution_time_seconds=Decimal((ended_at - started_at) // _MICROSECOND) / 1_000_000,
        stopped_early=close.reason is not StopReason.COMPLETED,
        stop_reason=close.text,
        chunks_executed=len({child.slice for child in children if child.executed}),
        total_chunks=count + len({child.slice for child in children if child.slice >= count}),
        children_sent=sum(child.sent for child in children),
        guard_wait_seconds=execution.waited_seconds,
        orders=tuple(child.report() for child in children),
    )


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
