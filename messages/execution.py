"""Executions: their plan, their report, and what an operator may ask of a running one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from messages.frozen import dataclass
from messages.refs import Tells
from messages.signal import CatchUp, ChildKind, Remainder, ScheduleKind, Side

Guard = Literal["spread", "usual spread", "deviation", "age", "limit price", "depth", "participation"]
"""What a market is judged by before a child may go."""
AtTheMarket = Guard | Literal["timing", "fresh quote"]
AtTheDoor = Literal[
    "symbol status", "balance", "request budget", "rate limit", "clock", "halt", "start or stop", "other"
]
Hindrance = AtTheMarket | AtTheDoor
"""What a child that is due may wait for: what MarketWatcher sees, and what ExchangeActor says."""
Holds = Literal["market", "exchange"]


class StopReason(StrEnum):
    """Why an execution ended; figures for people stand beside it (`SPREAD_TOO_WIDE: 0.61%`)."""

    COMPLETED = "COMPLETED"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    PRICE_DEVIATION = "PRICE_DEVIATION"
    LIQUIDITY = "LIQUIDITY"
    STALE_MARKET = "STALE_MARKET"
    LIMIT_PRICE = "LIMIT_PRICE"
    END_OF_TIME = "END_OF_TIME"
    CANCELLED = "CANCELLED"
    HALTED = "HALTED"
    REFUSED = "REFUSED"
    BALANCE = "BALANCE"
    SYMBOL_STATUS = "SYMBOL_STATUS"
    QUARANTINED = "QUARANTINED"
    ERROR = "ERROR"


class ChildOutcome(StrEnum):
    """How a child order ended, in the specification's four words."""

    FILLED = "FILLED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an execution is worked: journalled once, so that a later start does not depend on settings.

    Interval i begins at `start_at` + i x `interval_seconds`, and slice i is due `delays[i]` seconds
    later where there are delays (they repeat after the last). `slices` are base quantities, multiples
    of `step`, that add up to `quantity`; they and the delays are as `jitter`, a fraction, left them.
    `extra_slots` more slots at the same interval follow for what is left over. Fractions:
    `max_spread`, and `max_deviation`, counted against us only unless `both_sides`. Seconds:
    `guard_wait_seconds` (how long a guard may wait in its slot; None = to the slot's end),
    `max_quote_age`. `rho` (per second) is what an `ow` schedule was made with.
    With `timing` a child waits in its slot until the touch presses against it, at most until the
    slot's deadline, which is this fraction `slot_deadline` of the interval after its beginning.
    `fee_gap_bps` is how much less a maker pays than a taker, by which `auto` decides.
    `max_spread_multiple` counts usual spreads; a child is at most the fraction `max_depth_share` of
    what stands near the touch, and all of them the fraction `max_participation` of what the market
    trades meanwhile. None = no such bound.
    """

    quantity: Decimal
    slices: tuple[Decimal, ...]
    step: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    direct: bool
    start_at: datetime
    interval_seconds: Decimal
    extra_slots: int
    end_at: datetime | None
    child: ChildKind
    cap_bps: Decimal
    catch_up: CatchUp
    catch_up_cap: Decimal
    limit_price: Decimal | None
    check_spread: bool
    max_spread: Decimal
    max_deviation: Decimal
    both_sides: bool = False
    max_quote_age: Decimal
    guard_wait_seconds: Decimal | None
    on_partial: Literal["accept", "requeue"]
    remainder: Remainder
    schedule: ScheduleKind = "equal"
    rho: Decimal | None = None
    timing: bool = False
    slot_deadline: Decimal = Decimal("0.8")
    fee_gap_bps: Decimal = Decimal(0)
    max_spread_multiple: Decimal | None = None
    max_depth_share: Decimal | None = None
    max_participation: Decimal | None = None
    jitter: Decimal = Decimal(0)
    delays: tuple[Decimal, ...] = ()

    def delay_of(self, number: int) -> Decimal:
        """Say how long after the `number`-th interval's beginning its turn is, in seconds."""
        return self.delays[number % len(self.delays)] if self.delays else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReport:
    """One child order in an execution report. Quantities in base, `fees` by asset.

    It was intended at `sent_at`, on `mid_at_send` and `touch_at_send` (the price at which its side
    takes), after its guards had waited `waited_seconds`; its last trade was at `filled_at`.
    `maker_quantity` is what it executed without taking. In bps, positive = cost: `spread_bps` (from
    mid to touch; for what was made, to its price) and `walk_bps` (from the touch on) of
    `mid_at_send`, `drift_bps` (how far the mid had moved against us since arrival) of the arrival price.
    After its guards held it waited `timed_seconds` for the pressure at the touch, while the mid moved
    by `timing_bps` (of the arrival price; negative = the waiting earned it). `order_type` says whether
    it rested (LIMIT_MAKER); of kind `auto`, `adverse_bps` and `gain_bps` are the figures it was decided
    by: how far the market moves against what rests and fills, and what resting would gain then.
    """

    client_order_id: str
    slice: int
    attempt: int
    outcome: ChildOutcome
    quantity: Decimal
    executed_quantity: Decimal
    executed_quote: Decimal
    average_price: Decimal | None
    fees: tuple[tuple[str, Decimal], ...]
    polls: int
    failure_reason: str | None
    sent_at: datetime | None = None
    filled_at: datetime | None = None
    waited_seconds: Decimal = Decimal(0)
    mid_at_send: Decimal | None = None
    touch_at_send: Decimal | None = None
    maker_quantity: Decimal = Decimal(0)
    spread_bps: Decimal | None = None
    walk_bps: Decimal | None = None
    drift_bps: Decimal | None = None
    timed_seconds: Decimal = Decimal(0)
    timing_bps: Decimal | None = None
    order_type: str = ""
    adverse_bps: Decimal | None = None
    gain_bps: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Markout:
    """What the mid was `seconds` after trades that make up `share` of what was filled.

    In bps of their notional at the arrival price: `realised_spread_bps` is twice the distance from that
    mid, as the aggressor paid it; `impact_bps` how far it had moved since their children were sent,
    positive in the direction of the execution.
    """

    seconds: Decimal
    share: Decimal
    realised_spread_bps: Decimal
    impact_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """What became of an execution. Prices in quote, quantities in base, times in UTC.

    The names of the specification's `TWAPResult` are all here: `total_filled`, `average_price`
    (None if nothing was filled), `total_fees` (by asset), `slippage_percent` (against the signal's
    price, None without one), `execution_time_seconds`, `stopped_early`, `stop_reason`,
    `chunks_executed`, `total_chunks`, `orders`. In bps, positive = cost: `arrival_slippage_bps`
    against the mid at acceptance, `interval_twap_bps` against the time-weighted mid while it ran,
    `fees_bps` where every fee can be said in quote: as it is, base at the fill's own price, BNB at
    its mid when the child was sent. None = not known, or nothing to measure.

    Costs in bps of the arrival notional, positive = cost (docs/execution-quality.md has the formulas):
    `arrival_slippage_bps` = `drift_bps` (the mid had moved before a child was sent; `delay_bps` is
    the part before the first) + `spread_bps` (from mid to touch) + `walk_bps` (beyond the touch).
    `effective_spread_bps`: twice the distance from the mid at send, as the aggressor paid it.
    `opportunity_bps`: what was not filled, at `end_price`, the mid in the end. `total_shortfall_bps`:
    all of it, with fees, per unit asked for; the one figure that compares executions.

    Schedule: `tracking_error_percent` is the root of the mean squared distance from the plan,
    `max_lag_percent` the largest, both of the quantity; `lateness_p50_ms`, `_p99_ms` and `_max_ms`
    say how long after its slot began, guards not counted, a child was intended. Guards made it wait
    `guard_waits` times; `guard_waits_by` has (guard, times, seconds) of each. For `unknown_seconds`
    nobody knew what had become of a child.
    `swept` is what the child executed that took what all slots had left.
    `participation` is the share of the market's volume, a fraction, where that is known.

    `timing_waits` children waited for the pressure at the touch, `timing_seconds` together: that is
    neither lateness nor a guard's wait. `timing_bps` is the part of the drift in which the mid moved
    meanwhile: negative = the waiting earned it; None where nothing was timed. `children_rested` were
    posted at the touch, and `maker_filled` is what was made of `total_filled`.

    `markouts` has what the market did 1, 5 and 60 s after the trades, of those that were seen so long
    before the end; `reversion_bps` how far the mid came back from the first to the last of these moments.
    """

    symbol: str
    side: Side
    quantity: Decimal
    total_filled: Decimal
    filled_quote: Decimal
    average_price: Decimal | None
    arrival_price: Decimal
    total_fees: tuple[tuple[str, Decimal], ...]
    fees_bps: Decimal | None
    slippage_percent: Decimal | None
    arrival_slippage_bps: Decimal | None
    interval_twap_price: Decimal | None
    interval_twap_bps: Decimal | None
    started_at: datetime
    ended_at: datetime
    execution_time_seconds: Decimal
    stopped_early: bool
    stop_reason: str
    chunks_executed: int
    total_chunks: int
    children_sent: int
    guard_wait_seconds: Decimal
    orders: tuple[ChildReport, ...]
    fees_quote: Decimal | None = None
    delay_bps: Decimal | None = None
    drift_bps: Decimal | None = None
    spread_bps: Decimal | None = None
    walk_bps: Decimal | None = None
    effective_spread_bps: Decimal | None = None
    end_price: Decimal | None = None
    opportunity_bps: Decimal | None = None
    total_shortfall_bps: Decimal | None = None
    tracking_error_percent: Decimal | None = None
    max_lag_percent: Decimal | None = None
    lateness_p50_ms: Decimal | None = None
    lateness_p99_ms: Decimal | None = None
    lateness_max_ms: Decimal | None = None
    guard_waits: int = 0
    guard_waits_by: tuple[tuple[str, int, Decimal], ...] = ()
    swept: Decimal = Decimal(0)
    unknown_seconds: Decimal = Decimal(0)
    participation: Decimal | None = None
    children_rested: int = 0
    maker_filled: Decimal = Decimal(0)
    timing_waits: int = 0
    timing_seconds: Decimal = Decimal(0)
    timing_bps: Decimal | None = None
    markouts: tuple[Markout, ...] = ()
    reversion_bps: Decimal | None = None


# Commands on a running execution ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """The one answer to a command on an execution: done (after it is durable), or why not."""

    execution_id: str
    done: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseExecution:
    """Asks for no new child until resumed; the end of time still counts."""

    execution_id: str
    reply_to: Tells[CommandAnswer]
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeExecution:
    """Asks to go on; overdue slices follow the catch-up rule."""

    execution_id: str
    reply_to: Tells[CommandAnswer]
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelExecution:
    """Asks to stop: no new child, resting ones cancelled, then the report."""

    execution_id: str
    reply_to: Tells[CommandAnswer]
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendExecution:
    """Asks to change what is left: total quantity, worst price, end; None leaves one as it is."""

    execution_id: str
    reply_to: Tells[CommandAnswer]
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    end_at: datetime | None = None


ExecutionCommand = PauseExecution | ResumeExecution | CancelExecution | AmendExecution


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsFor:
    """Says what an execution's due child waits for, to whoever shows it; of each who says so the latest counts.

    `by` is MarketWatcher or ExchangeActor, `detail` has figures for people. A `hindrance` of None: for nothing more.
    """

    execution_id: str
    by: Holds
    hindrance: Hindrance | None
    detail: str = ""
