"""Small factories: one plausible value of each thing, of which a test changes what it is about.

All belong together: an execution of 0.5 BTC bought around 42,000 USDT.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from messages.execution import ChildOutcome, ChildReport, ExecutionReport, Plan
from messages.facts import (
    AttemptReappeared,
    ChildAcknowledged,
    ChildClosed,
    ChildIntended,
    ExecutionClosed,
    ExecutionPlanned,
    SignalAccepted,
    TradeBooked,
    signal_key,
)
from messages.ids import child_id
from messages.market import Quote, SymbolRules
from messages.signal import Side, Signal

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
EXECUTION = "abcdefghij234"
CHILD = child_id("p", EXECUTION, 0, 0)

D = Decimal


def a_signal(**changes: Any) -> Signal:
    """Buy 0.5 BTC at about 42,000."""
    signal = Signal(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        id="signal-1",
        source="test",
        price=D(42_000),
        timestamp=NOW,
    )
    return replace(signal, **changes)


def an_accepted(**changes: Any) -> SignalAccepted:
    """`a_signal()` accepted at NOW on a quote of 41,999 / 42,001."""
    accepted = SignalAccepted(
        execution_id=EXECUTION,
        key=signal_key("test", "signal-1"),
        key_until=NOW + timedelta(days=7),
        label="BTCUSDT_BUY_42000_12:00",
        signal=a_signal(),
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        reference_price=D(42_000),
        bid=D(41_999),
        ask=D(42_001),
        quote_age_seconds=D("0.02"),
        depth=D(3),
        accepted_at=NOW,
    )
    return replace(accepted, **changes)


def rules(**changes: Any) -> SymbolRules:
    """The filters of BTCUSDT: tick 0.01, step 0.00001, minimum notional 5."""
    return replace(SymbolRules(symbol="BTCUSDT", base="BTC", quote="USDT"), **changes)


def a_quote(bid: Decimal | str | int = 41_999, ask: Decimal | str | int = 42_001, **changes: Any) -> Quote:
    """A quote of BTCUSDT with one BTC at the touch, seen at 0 s, depth unknown."""
    quote = Quote(
        symbol="BTCUSDT",
        bid=D(bid),
        bid_quantity=D(1),
        ask=D(ask),
        ask_quantity=D(1),
        seen_at=0.0,
    )
    return replace(quote, **changes)


def a_plan(**changes: Any) -> Plan:
    """Five slices of 0.1 BTC, 30 s apart from NOW on, IOC children capped at 20 bps."""
    plan = Plan(
        quantity=D("0.5"),
        slices=(D("0.1"),) * 5,
        step=D("0.00001"),
        min_quantity=D("0.00001"),
        min_notional=D(5),
        direct=False,
        start_at=NOW,
        interval_seconds=D(30),
        extra_slots=2,
        end_at=None,
        child="ioc",
        cap_bps=D(20),
        catch_up="spread",
        catch_up_cap=D(2),
        limit_price=None,
        check_spread=True,
        max_spread=D("0.005"),
        max_deviation=D("0.01"),
        max_quote_age=D(5),
        guard_wait_seconds=None,
        on_partial="requeue",
        remainder="report",
    )
    return replace(plan, **changes)


def a_planned(**changes: Any) -> ExecutionPlanned:
    """`a_plan()` journalled."""
    planned = ExecutionPlanned(execution_id=EXECUTION, symbol="BTCUSDT", side=Side.BUY, plan=a_plan())
    return replace(planned, **changes)


def an_intent(**changes: Any) -> ChildIntended:
    """The first child of slice 0: 0.1 BTC, LIMIT IOC at the touch plus 20 bps."""
    intent = ChildIntended(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        slice=0,
        attempt=0,
        incarnation=1,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=D("0.1"),
        limit_price=D("42085.00"),
        request_timestamp=1_782_907_200_000,
        recv_window=2000,
        bid=D(41_999),
        ask=D(42_001),
        quote_age_seconds=D("0.02"),
        spread=D("0.0000476"),
        deviation=D(0),
        mid_integral=D(0),
        mid_seconds=D(0),
    )
    return replace(intent, **changes)


def an_acknowledged(**changes: Any) -> ChildAcknowledged:
    """`an_intent()` known to the venue as order 1001."""
    acknowledged = ChildAcknowledged(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="NEW",
        source="reply",
    )
    return replace(acknowledged, **changes)


def a_reappeared(**changes: Any) -> AttemptReappeared:
    """`an_intent()`, which was taken for absent, open at the venue as order 1001."""
    reappeared = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="NEW",
        executed_quantity=D(0),
    )
    return replace(reappeared, **changes)


def a_trade_booked(**changes: Any) -> TradeBooked:
    """All of `an_intent()` filled at 42,001 in trade 7."""
    booked = TradeBooked(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_id=1001,
        trade_id=7,
        price=D(42_001),
        quantity=D("0.1"),
        commission=D("0.0001"),
        commission_asset="BTC",
        maker=False,
        trade_time=NOW,
        source="stream",
    )
    return replace(booked, **changes)


def a_child_closed(**changes: Any) -> ChildClosed:
    """`an_intent()` ended filled."""
    closed = ChildClosed(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="FILLED",
        outcome=ChildOutcome.FILLED,
        executed_quantity=D("0.1"),
        executed_quote=D("4200.1"),
        polls=0,
        failure_reason=None,
    )
    return replace(closed, **changes)


def a_child_report(**changes: Any) -> ChildReport:
    """The line of `an_intent()` in a report."""
    report = ChildReport(
        client_order_id=CHILD,
        slice=0,
        attempt=0,
        outcome=ChildOutcome.FILLED,
        quantity=D("0.1"),
        executed_quantity=D("0.1"),
        executed_quote=D("4200.1"),
        average_price=D(42_001),
        fees=(("BTC", D("0.0001")),),
        polls=0,
        failure_reason=None,
    )
    return replace(report, **changes)


def a_report(**changes: Any) -> ExecutionReport:
    """The report of an execution that filled all its 0.5 BTC at 42,001."""
    report = ExecutionReport(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=D("0.5"),
        total_filled=D("0.5"),
        filled_quote=D("21000.5"),
        average_price=D(42_001),
        arrival_price=D(42_000),
        total_fees=(("BTC", D("0.0005")),),
        fees_bps=D(10),
        slippage_percent=D("0.00238"),
        arrival_slippage_bps=D("0.238"),
        interval_twap_price=D(42_000),
        interval_twap_bps=D("0.238"),
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=120),
        execution_time_seconds=D(120),
        stopped_early=False,
        stop_reason="COMPLETED",
        chunks_executed=5,
        total_chunks=5,
        children_sent=5,
        guard_wait_seconds=D(0),
        orders=(a_child_report(),),
    )
    return replace(report, **changes)


def a_closed(**changes: Any) -> ExecutionClosed:
    """The end of the execution, completed."""
    closed = ExecutionClosed(
        execution_id=EXECUTION,
        reason="COMPLETED",
        detail="",
        key=signal_key("test", "signal-1"),
        children=5,
        report=a_report(),
    )
    return replace(closed, **changes)
