"""How the venue is dealt with."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from actors.exchange.budget import BudgetLimits
from messages.ids import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """How the venue is dealt with; durations in seconds unless their name says milliseconds.

    `market_buffer_bps` is how much above the ask a market buy is assumed to cost at worst when
    balances are checked. `retry_seconds` is what a declined child is told to wait where nothing
    better is known. `most_waiting` bounds the queries that wait for budget.
    """

    environment: Environment = "p"
    symbols: tuple[str, ...] = ()
    recv_window_ms: int = 2000
    time_refresh_seconds: float = 60.0
    rules_refresh_seconds: float = 3600.0
    balances_refresh_seconds: float = 60.0
    answer_seconds: float = 15.0
    retry_seconds: float = 1.0
    balance_retry_seconds: float = 5.0
    status_retry_seconds: float = 30.0
    market_buffer_bps: Decimal = Decimal(100)
    most_waiting: int = 10_000
    limits: BudgetLimits = field(default_factory=BudgetLimits)
