"""How many facts, and how many commits, a second the SQLite store makes durable.

Run `python -m bench.store [--directory D] [--seconds S]`; D should be on the disk that counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from adapters.storage.codec import encode
from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.facts import ChildIntended, Fact, TradeBooked
from messages.ids import child_id, execution_id
from messages.signal import Side

START = datetime(2026, 1, 1, tzinfo=UTC)

INTENT = ChildIntended(
    client_order_id="",
    slice=0,
    attempt=0,
    incarnation=1,
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type="LIMIT",
    time_in_force="IOC",
    quantity=Decimal("0.1"),
    limit_price=Decimal("42085.01"),
    request_timestamp=1_767_225_600_000,
    recv_window=2000,
    bid=Decimal("41999.01"),
    ask=Decimal("42001.02"),
    quote_age_seconds=Decimal("0.021"),
    spread=Decimal("0.0000478"),
    deviation=Decimal("0.00012"),
    mid_integral=Decimal("1260013.5125"),
    mid_seconds=Decimal("30.000123"),
)
TRADE = TradeBooked(
    client_order_id="",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_id=0,
    trade_id=0,
    price=Decimal("42001.02"),
    quantity=Decimal("0.05312"),
    commission=Decimal("0.00005312"),
    commission_asset="BTC",
    maker=False,
    trade_time=START,
    source="stream",
)


def fact(seq: int) -> Fact:
    """Make the `seq`-th fact: intents and trades in turn, 1,000 executions, each key new."""
    execution = execution_id("bench", str(seq % 1000), START)
    child = child_id("p", execution, seq // 2, 0)
    if seq % 2:
        return replace(INTENT, execution_id=execution, client_order_id=child)
    return replace(TRADE, execution_id=execution, client_order_id=child, order_id=seq, trade_id=seq)


def measure(store: SqliteStore, per_commit: int, seconds: float) -> tuple[float, list[float]]:
    """Append groups of so many facts for so long; return facts a second and each commit's seconds."""
    commits: list[float] = []
    while sum(commits) < seconds:
        first = store.last_seq() + 1
        records = [
            Committed(seq, START + timedelta(milliseconds=seq), fact(seq)) for seq in range(first, first + per_commit)
        ]
        began = time.perf_counter()
        store.append(records)
        commits.append(time.perf_counter() - began)
    return per_commit * len(commits) / sum(commits), sorted(commits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table: facts per commit, commits and facts a second, p50 and p99 of a commit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=1.5, help="how long for each row")
    given = parser.parse_args(arguments)
    sample = [fact(seq) for seq in range(2000)]
    began = time.perf_counter()
    for one in sample:
        encode(one)
    print(f"encode: {(time.perf_counter() - began) / len(sample) * 1e6:.1f} us a fact")
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        store = SqliteStore(Path(directory) / "data")
        print(f"{'facts/commit':>12} {'commits/s':>10} {'facts/s':>10} {'p50 ms':>8} {'p99 ms':>8}")
        for per_commit in (1, 10, 100, 1000):
            rate, commits = measure(store, per_commit, given.seconds)
            p50, p99 = commits[len(commits) // 2], commits[len(commits) * 99 // 100]
            print(f"{per_commit:12} {rate / per_commit:10.0f} {rate:10.0f} {p50 * 1e3:8.2f} {p99 * 1e3:8.2f}")
        total = store.last_seq()
        began = time.perf_counter()
        count = sum(1 for _ in store.read())
        print(f"read back: {count / (time.perf_counter() - began):.0f} facts/s, {count} of {total}")
        store.close()


if __name__ == "__main__":
    main()
