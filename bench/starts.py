"""How long a start takes with so many closed executions behind ten open ones, before and after the archive.

Run `python -m bench.starts [--closed N,N...]`. One execution a minute up to now, two slices each, every
signal with an id: what tells the signals of the last seven days from new ones stays at hand.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

from actors.archivist import Round
from actors.daemon import DaemonSettings
from actors.retention import Retention, RetentionSettings
from actors.runtime import Pool
from adapters.storage.sqlite import SqliteStore
from bench.store import INTENT, TRADE
from bench.tools.daemon import Observer, open_settings
from bench.tools.venue import InstantVenue
from messages.control import Committed, ShutDown
from messages.execution import ChildOutcome, ChildReport, ExecutionReport, Plan
from messages.facts import (
    ChildAcknowledged,
    ChildClosed,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    TradesSummed,
)
from messages.ids import child_id, execution_id, milliseconds
from messages.signal import Side, Signal
from run import start_daemon

D = Decimal
OPEN, SLICES, GROUP = 10, 2, 5_000
WEEK = timedelta(days=7)
QUANTITY, PRICE = D("0.1"), D("42001.02")


def accepted(number: int, at: datetime) -> SignalAccepted:
    """Make the acceptance of the `number`-th signal."""
    key = f"signal:bench\x1f{number}"
    signal = Signal(symbol="BTCUSDT", side=Side.BUY, quantity=QUANTITY * SLICES, id=str(number), source="bench")
    return SignalAccepted(
        execution_id=execution_id("bench", key, at),
        key=key,
        key_until=at + WEEK,
        label="BTCUSDT_BUY_42000_12:00",
        signal=signal,
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=QUANTITY * SLICES,
        reference_price=PRICE,
        bid=D("41999.01"),
        ask=PRICE,
        quote_age_seconds=D("0.02"),
        depth=None,
        accepted_at=at,
    )


def plan(start_at: datetime) -> Plan:
    """Make a plan of two slices."""
    return Plan(
        quantity=QUANTITY * SLICES,
        slices=(QUANTITY,) * SLICES,
        step=D("0.00001"),
        min_quantity=D("0.00001"),
        min_notional=D(5),
        direct=False,
        start_at=start_at,
        interval_seconds=D(20),
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


def beginning(number: int, at: datetime, start_at: datetime) -> list[Fact]:
    """Make what every execution begins with."""
    first = accepted(number, at)
    of = first.execution_id
    planned = ExecutionPlanned(execution_id=of, symbol="BTCUSDT", side=Side.BUY, plan=plan(start_at))
    return [first, planned, ExecutionStarted(execution_id=of, incarnation=1)]


def closed(number: int, at: datetime) -> list[Fact]:
    """Make all facts of an execution that was filled and closed."""
    facts = beginning(number, at, at)
    first = facts[0]
    assert isinstance(first, SignalAccepted)
    of, orders = first.execution_id, []
    for slice_ in range(SLICES):
        child, order = child_id("p", of, slice_, 0), number * SLICES + slice_ + 1
        timestamp = milliseconds(at)
        facts += [
            replace(INTENT, execution_id=of, client_order_id=child, slice=slice_, request_timestamp=timestamp),
            ChildAcknowledged(
                execution_id=of,
                client_order_id=child,
                symbol="BTCUSDT",
                order_id=order,
                status="FILLED",
                source="reply",
            ),
            replace(TRADE, execution_id=of, client_order_id=child, order_id=order, trade_id=order, quantity=QUANTITY),
            ChildClosed(
                execution_id=of,
                client_order_id=child,
                symbol="BTCUSDT",
                order_id=order,
                status="FILLED",
                outcome=ChildOutcome.FILLED,
                executed_quantity=QUANTITY,
                executed_quote=QUANTITY * PRICE,
                polls=0,
                failure_reason=None,
            ),
        ]
        orders.append(child_report(child, slice_))
    closing_ = ExecutionClosed(
        execution_id=of, reason="COMPLETED", detail="", key=first.key, children=SLICES, report=report(at, orders)
    )
    return [*facts, closing_]


def child_report(child: str, slice_: int) -> ChildReport:
    """Make what a report says of a filled child."""
    return ChildReport(
        client_order_id=child,
        slice=slice_,
        attempt=0,
        outcome=ChildOutcome.FILLED,
        quantity=QUANTITY,
        executed_quantity=QUANTITY,
        executed_quote=QUANTITY * PRICE,
        average_price=PRICE,
        fees=(("BTC", D("0.0001")),),
        polls=0,
        failure_reason=None,
    )


def report(at: datetime, orders: list[ChildReport]) -> ExecutionReport:
    """Make the report of a filled execution."""
    filled = QUANTITY * SLICES
    return ExecutionReport(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=filled,
        total_filled=filled,
        filled_quote=filled * PRICE,
        average_price=PRICE,
        arrival_price=D(42_000),
        total_fees=(("BTC", D("0.0002")),),
        fees_bps=D(10),
        slippage_percent=None,
        arrival_slippage_bps=D("0.24"),
        interval_twap_price=D(42_000),
        interval_twap_bps=D("0.24"),
        started_at=at,
        ended_at=at + timedelta(seconds=20),
        execution_time_seconds=D(20),
        stopped_early=False,
        stop_reason="COMPLETED",
        chunks_executed=SLICES,
        total_chunks=SLICES,
        children_sent=SLICES,
        guard_wait_seconds=D(0),
        orders=tuple(orders),
    )


def history(count: int, now: datetime) -> Iterator[Committed]:
    """Go through the journal of a daemon that has closed so many executions and has ten open."""
    seq = 0
    for number in range(count):
        at = now - timedelta(minutes=count - number)
        facts = closed(number, at)
        if number % 250 == 249 or number == count - 1:
            facts.append(TradesSummed(bought=(), fees=(), last_trades=(("BTCUSDT", number * SLICES + SLICES),)))
        for fact in facts:
            seq += 1
            yield Committed(seq, at, fact)
    for number in range(count, count + OPEN):
        for fact in beginning(number, now, now + timedelta(hours=1)):
            seq += 1
            yield Committed(seq, now, fact)


def write(store: SqliteStore, count: int, now: datetime) -> None:
    """Write such a journal."""
    facts = history(count, now)
    while group := list(islice(facts, GROUP)):
        store.append(group)


def archive(store: SqliteStore, now: datetime) -> tuple[int, float]:
    """Archive what a start does not need; return how much that is, and the longest step in seconds."""
    round_ = Round(Retention(RetentionSettings(), now), store.read(archived=False), store.last_seq())
    longest, going_on = 0.0, True
    while going_on:
        began = time.perf_counter()
        if not round_.look():
            seqs = round_.next_move()
            store.archive(seqs)
            going_on = bool(seqs)
        longest = max(longest, time.perf_counter() - began)
    return round_.moved, longest


def start(store: SqliteStore, settings: DaemonSettings) -> tuple[float, float]:
    """Start a daemon on this journal and stop it again; return the seconds until it was ready, and those of CPU."""
    observer = Observer()
    with Pool() as pool:
        venue = InstantVenue.start(lambda _: None)
        began, used = time.perf_counter(), time.process_time()
        root = start_daemon(observer, store=store, venue=venue, market=venue, settings=settings)
        if not observer.ready.wait(900.0):
            raise TimeoutError("the daemon did not become ready")
        took = time.perf_counter() - began, time.process_time() - used
        pool.send(root, ShutDown("the measurement is over"))
        observer.over.wait(30.0)
    threading.Event().wait(0.1)
    return took


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each number of closed executions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--closed", default="10,1000,10000", help="numbers of closed executions")
    given = parser.parse_args(arguments)
    settings = replace(open_settings(), retention=None)
    now = datetime.now(UTC)
    print(f"{'closed':>8} {'facts':>9} {'ready before (CPU)':>20} {'archived':>9} {'longest step':>13}", end="")
    print(f"{'ready after (CPU)':>20}")
    for count in [int(text) for text in given.closed.split(",")]:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            with closing(SqliteStore(Path(directory) / "data")) as store:
                write(store, count, now)
                facts = store.last_seq()
                before = start(store, settings)
                moved, longest = archive(store, now)
            with closing(SqliteStore(Path(directory) / "data")) as store:
                after = start(store, settings)
        first, second = (f"{wall:.2f} s ({cpu:.2f} s)" for wall, cpu in (before, after))
        print(f"{count:8} {facts:9} {first:>20} {moved:9} {longest * 1e3:10.1f} ms{second:>20}", flush=True)


if __name__ == "__main__":
    main()
