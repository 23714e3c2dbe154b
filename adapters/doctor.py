"""What `run.py doctor` looks at: the exchange, the key, the streams, the clock, the disk, the journal."""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from actors.runtime import Pool
from adapters.binance.keys import KeyProblem, allowance, parted
from adapters.binance.venue import BinanceVenue
from adapters.journal_mode import of_another_mode
from adapters.storage.directory import DirectoryUnusable
from adapters.storage.sqlite import JOURNAL_FILE, SqliteStore
from messages.control import StoreFailed
from messages.market import MarketEvent, QuoteSeen, WatchMarket
from messages.money import plain
from messages.order import (
    BalancesFound,
    OpenUserStream,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryRules,
    QueryTime,
    RulesFound,
    StreamOpened,
    TimeFound,
    UserEvent,
)

WAIT_SECONDS = 15.0
MOST_SKEW_MS = 500
LEAST_FREE_BYTES = 200_000_000
MOST_SYNC_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is good, and its figures."""

    what: str
    good: bool
    detail: str


class _Ear:
    """Hears answers and events, in any thread."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[QueryAnswer | UserEvent | MarketEvent] = queue.SimpleQueue()

    def tell(self, message: QueryAnswer | UserEvent | MarketEvent, /) -> None:
        self.heard.put(message)


def examine_exchange(pool: Pool, venue: BinanceVenue, symbols: tuple[str, ...]) -> Iterator[Finding]:
    """Ask the venue for its time, rules, balances and streams; yield what came within the time."""
    ear = _Ear()
    venue.tell(QueryTime(reply_to=ear))
    venue.tell(QueryRules(symbols=symbols, reply_to=ear))
    venue.tell(QueryBalances(reply_to=ear))
    venue.tell(OpenUserStream(listener=ear))
    for symbol in symbols:
        venue.tell(WatchMarket(symbol=symbol, hot=True, listener=ear))
    waiting = {"clock", "filters", "account", "user stream", *(f"market {symbol}" for symbol in symbols)}
    deadline = pool.now() + WAIT_SECONDS
    while waiting and (left := deadline - pool.now()) > 0:
        try:
            finding = _finding(ear.heard.get(timeout=left), symbols)
        except queue.Empty:
            break
        if finding is not None and finding.what in waiting:
            waiting.remove(finding.what)
            yield finding
    for what in sorted(waiting):
        yield Finding(what, good=False, detail=f"no answer within {WAIT_SECONDS:g} s")


def _finding(message: QueryAnswer | UserEvent | MarketEvent, symbols: tuple[str, ...]) -> Finding | None:
    match message:
        case TimeFound(offset_milliseconds=stamped, bias_milliseconds=bias):
            offset = stamped - bias
            return Finding("clock", abs(offset) <= MOST_SKEW_MS, f"the exchange's is {offset:+d} ms off ours")
        case RulesFound(rules=rules):
            missing = sorted(set(symbols) - {rule.symbol for rule in rules})
            halted = [rule.symbol for rule in rules if not rule.trading]
            detail = f"{len(rules)} symbols"
            detail += f", unknown there: {', '.join(missing)}" if missing else ""
            detail += f", not trading: {', '.join(halted)}" if halted else ""
            return Finding("filters", not missing and not halted, detail)
        case BalancesFound(balances=balances):
            held = [asset for asset, free, locked in balances if free or locked]
            return Finding("account", bool(held), f"holds {', '.join(held) or 'nothing'}")
        case StreamOpened():
            return Finding("user stream", good=True, detail="subscribed")
        case QuoteSeen(symbol=symbol, bid=bid, ask=ask):
            return Finding(f"market {symbol}", bid < ask, f"{plain(bid)} / {plain(ask)}")
        case QueryFailed(query=query, detail=detail):
            names = {QueryTime: "clock", QueryRules: "filters", QueryBalances: "account"}
            return Finding(names.get(type(query), "query"), good=False, detail=detail)
        case _:
            return None


def examine_key(problems: tuple[KeyProblem, ...], *, allow_dangerous: bool = False) -> Finding:
    """Say what speaks against the key, also where it is allowed."""
    refused, allowed = parted(problems, allow_dangerous=allow_dangerous)
    if refused:
        return Finding("key", good=False, detail="; ".join(problem.detail for problem in refused))
    return Finding("key", good=True, detail=allowance(allowed) if allowed else "may trade, and no more")


def examine_disk(directory: Path) -> Iterator[Finding]:
    """Look for space, and how long a durable write takes there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
        yield Finding("disk space", free >= LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free in {directory}")
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            began = time.perf_counter()
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
            took = time.perf_counter() - began
        yield Finding("disk sync", took <= MOST_SYNC_SECONDS, f"{took * 1000:.2f} ms")
    except OSError as error:
        yield Finding("disk", good=False, detail=f"{directory}: {error.strerror}")


def examine_journal(directory: Path, mode: str) -> Finding:
    """Check the journal, if there is one, and whether it is of this mode."""
    if not (directory / JOURNAL_FILE).exists():
        return Finding("journal", good=True, detail="none yet")
    try:
        with closing(SqliteStore(directory, read_only=True)) as store:
            facts, wrong = store.verify(), of_another_mode(store, mode)
            return Finding("journal", good=wrong is None, detail=wrong or f"{facts} facts, all in order")
    except (StoreFailed, DirectoryUnusable) as error:
        return Finding("journal", good=False, detail=str(error))
