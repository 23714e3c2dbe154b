"""How executions are worked where their signals don't say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from messages.signal import CatchUp, ChildKind, Remainder, ScheduleKind

Partial = Literal["accept", "requeue"]
"""What becomes of the unfilled part of a child: it is given up, or later slots carry it."""

Policy = Literal["wait", "skip", "stop"]
"""What a guard does that still fails when its slot's waiting is over: go on waiting while slots pass, let the
slot go, or end the execution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapSettings:
    """The defaults of every execution; all but the `on_...` policies go into its journalled plan.

    Fractions: `jitter` (of a slice and of an interval), `max_price_deviation`, `max_spread`,
    `slice_above_depth_share`, `max_depth_share`, `max_participation`. Usual spreads:
    `max_spread_multiple`. Quote units: `min_chunk_value`, `slice_above_notional`. Per second: `rho`.
    `catch_up_cap` counts planned slices. Seconds: `interval_seconds`, `max_quote_age_seconds`,
    `guard_wait_seconds` (None = to the slot's end), `guard_patience_seconds`. `slot_deadline` is the
    fraction of its interval at which a slot's child waits no longer; `fee_gap_bps` is how much less
    a maker pays than a taker, where the venue does not say.
    """

    schedule: ScheduleKind = "equal"
    rho: Decimal = Decimal(1)
    num_chunks: int = 5
    jitter: Decimal = Decimal(0)
    interval_seconds: Decimal = Decimal(30)
    max_price_deviation: Decimal = Decimal("0.01")
    deviation_side: Literal["adverse", "both"] = "adverse"
    min_chunk_value: Decimal = Decimal(50)
    check_spread: bool = True
    max_spread: Decimal = Decimal("0.005")
    slice_above_notional: Decimal = Decimal(1_000)
    slice_above_depth_share: Decimal = Decimal("0.10")
    max_quote_age_seconds: Decimal = Decimal(5)
    guard_wait_seconds: Decimal | None = None
    child: ChildKind = "ioc"
    cap_bps: Decimal = Decimal(20)
    timing: bool = False
    slot_deadline: Decimal = Decimal("0.8")
    fee_gap_bps: Decimal = Decimal(0)
    catch_up: CatchUp = "spread"
    catch_up_cap: Decimal = Decimal(2)
    extra_slots: int = 2
    remainder: Remainder = "report"
    partial_direct: Partial = "accept"
    partial_slice: Partial = "requeue"
    max_spread_multiple: Decimal | None = None
    max_depth_share: Decimal | None = None
    max_participation: Decimal | None = None
    guard_patience_seconds: Decimal = Decimal(600)
    on_spread: Policy = "stop"
    on_deviation: Policy = "stop"
    on_stale: Policy = "skip"
    on_limit_price: Policy = "skip"
    on_depth: Policy = "skip"
    on_symbol_status: Policy = "stop"
    on_balance: Policy = "stop"
