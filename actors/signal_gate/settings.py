"""What the gate lets in: symbols, ages, and how much may be at stake at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from actors.signal_gate.dedup import DedupSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """The gate's rules. Durations in seconds, notionals in quote units; None means no bound.

    `symbols` may be named by signals, `accounts` too (none given: every name goes).
    `cooldown_seconds` is the rest between an execution's end and the next one of its account,
    symbol and side. `max_daily_notional` bounds what is let in per UTC day, less what a closed
    execution left unfilled. While `max_waiting` verdicts wait for the journal, or one for `max_waiting_seconds`, the
    gate is not ready. Signals above a rate, after `signal_burst_seconds` of it at once, are too many. Repeats of one
    signal are journalled together every `coalesce_seconds`.
    """

    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    accounts: tuple[str, ...] = ()
    opposite_signals: Literal["refuse", "both"] = "refuse"
    cooldown_seconds: Decimal = Decimal(0)
    max_age_seconds: Decimal = Decimal(60)
    max_future_seconds: Decimal = Decimal(5)
    max_quote_age_seconds: Decimal = Decimal(5)
    max_notional: Decimal | None = Decimal(1_000)
    max_open_notional_per_symbol: Decimal | None = Decimal(2_000)
    max_daily_notional: Decimal | None = Decimal(10_000)
    max_executions: int | None = 5
    max_executions_per_symbol: int | None = 1
    max_signals_per_second: Decimal | None = None
    max_signals_per_second_per_sender: Decimal | None = None
    signal_burst_seconds: Decimal = Decimal(5)
    max_waiting: int = 10_000
    max_waiting_seconds: Decimal = Decimal(2)
    max_duration_seconds: Decimal = Decimal(7 * 86_400)
    coalesce_seconds: Decimal = Decimal(10)
    dedup: DedupSettings = field(default_factory=DedupSettings)
