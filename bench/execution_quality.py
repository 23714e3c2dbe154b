"""What an execution costs: one order, a naive TWAP, ours in four ways, and a block book's best schedule, in pairs.

Run `python -m bench.execution_quality [--seeds N] [--tune] [--markets btc,...] [--size F] [--keep FILE] [--write]`.
Each seed is one stretch of market, which every policy meets unchanged, buying and selling; own orders only
take from it. Judged by total shortfall with fees, buying and selling averaged. Seeds 1 to 100 are
for tuning (`--tune`), those from 201 on for reporting, 101 to 200 were looked at while it was built; the
recording is replayed from a moment drawn by the seed. `--keep` keeps each result, so that a run can be gone
on with. `--write` puts table and plot into docs/.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from adapters.config import Config
from adapters.logging import setup_logging
from adapters.paper.exchange import PaperSettings
from adapters.paper.liquidity.base import Liquidity
from adapters.paper.liquidity.replay import Frame, ReplayMarket, read_frames
from adapters.paper.liquidity.synthetic import PRESETS
from adapters.paper.markets import MarketChoice, build_markets
from adapters.paper.rules import built_in
from adapters.paper.venue import COLD_SECONDS, LatencySettings
from adapters.scenarios import Scenario, TimedSignal
from adapters.simulation import simulate
from bench.tools.paired import Estimate, bootstrap
from bench.tools.quality_page import Cell, Line, plot, write_page
from messages.execution import ExecutionReport
from messages.money import use_money_context
from messages.signal import Side
from run import settings_of, start_daemon

SYMBOL = "BTCUSDT"
SLICES, INTERVAL = 6, 10
RECORDING = Path(__file__).parents[2] / "shared/market-data/binance-spot-l2/btcusdt_20240808.jsonl.gz"
RECORDED_SECONDS = 346
REPORTED_FROM = 201
BLOCK_SECONDS = 60
"""Starts of the replay within the same so many seconds count as one observation."""

FIXED = LatencySettings(sigma=0.0)
SPLITTING_SAVES = 0.75
AUTO_SAVES_BPS = 0.15


@dataclass(frozen=True, slots=True)
class Market:
    """Where the policies meet: how much is worked (base units) and how fast this book comes back (per second)."""

    name: str
    quantity: Decimal
    rho: float


MARKETS = (
    Market("btc", Decimal(12), PRESETS["btc"].refill_rate),
    Market("alt", Decimal("0.5"), PRESETS["alt"].refill_rate),
    Market("thin", Decimal("0.08"), PRESETS["thin"].refill_rate),
    Market("stress", Decimal(4), PRESETS["stress"].refill_rate),
    Market("recording", Decimal(12), 1.0),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How an order is worked: options of its signal, and settings of `[twap]`. `rho` is filled in per market."""

    name: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]


_BLIND = {"check_spread": False, "max_price_deviation": "1", "catch_up": "none", "extra_slots": 0}
"""What a TWAP is without guards and without making up for what was missed."""

_SLICED = {"num_chunks": SLICES, "interval_seconds": str(INTERVAL)}
POLICIES = (
    Policy("one order", {"num_chunks": 1, "child": "market"}, _BLIND),
    Policy("naive TWAP", {**_SLICED, "child": "market"}, _BLIND),
    Policy("ours", _SLICED, {}),
    Policy("ours, timed", {**_SLICED, "timing": True}, {}),
    Policy("passive", {**_SLICED, "child": "passive"}, {}),
    Policy("auto", {**_SLICED, "child": "auto"}, {"child": "auto", "interval_seconds": str(INTERVAL)}),
    Policy("OW optimum", {**_SLICED, "child": "market", "schedule": "ow"}, _BLIND),
)
BASELINE = "naive TWAP"


Key = tuple[str, str, int, str]
"""Market, policy, seed, quantity."""


# One run ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """One stretch of market and one policy, both sides."""

    market: Market
    policy: Policy
    seed: int
    quantity: Decimal

    @property
    def key(self) -> Key:
        """What it is told apart by."""
        return self.market.name, self.policy.name, self.seed, str(self.quantity)


@dataclass(frozen=True, slots=True)
class Result:
    """Means of buying and selling. Costs in bps, the rest as named; `violations` are the audits'."""

    shortfall: float
    slippage: float
    fees: float
    timing: float
    tracking: float
    filled: float
    waits: float
    timed: float
    made: float
    children: float
    violations: int


def work(task: Task) -> Result:
    """Run a task through the whole daemon, in virtual time, and audit it."""
    runs = [_report(task, side) for side in Side]
    return Result(
        shortfall=fmean(_bps(report.total_shortfall_bps) for report, _ in runs),
        slippage=fmean(_bps(report.arrival_slippage_bps) for report, _ in runs),
        fees=fmean(_bps(report.fees_bps) for report, _ in runs),
        timing=fmean(_bps(report.interval_twap_bps) for report, _ in runs),
        tracking=fmean(_bps(report.tracking_error_percent) for report, _ in runs),
        filled=fmean(float(report.total_filled / report.quantity) for report, _ in runs),
        waits=fmean(float(report.guard_wait_seconds) for report, _ in runs),
        timed=fmean(float(report.timing_seconds) for report, _ in runs),
        made=fmean(float(report.maker_filled / report.quantity) for report, _ in runs),
        children=fmean(report.children_sent for report, _ in runs),
        violations=sum(violations for _, violations in runs),
    )


def _bps(value: Decimal | None) -> float:
    return 0.0 if value is None else float(value)


def _report(task: Task, side: Side) -> tuple[ExecutionReport, int]:
    market, policy = task.market, task.policy
    options = {**policy.options, **({"rho": str(market.rho)} if "schedule" in policy.options else {})}
    body = {"id": "one", "symbol": SYMBOL, "side": side.value, "quantity": str(task.quantity), "twap": options}
    at = start_of(market, task.seed)
    config = Config.model_validate({"gate": {"symbols": [SYMBOL]}, "twap": policy.settings})
    specs = {SYMBOL: built_in()[SYMBOL]}
    preset = market.name if market.name in PRESETS else None
    paper = PaperSettings(
        markets=MarketChoice(seed=task.seed, preset=preset),
        balances={"BTC": Decimal(1000), "USDT": Decimal(100_000_000)},
        symbols=specs,
    )
    outcome = simulate(
        Scenario(market.name, (TimedSignal(at, body),)),
        task.seed,
        partial(start_daemon, settings=settings_of(config)),
        paper=paper,
        latency=FIXED,
        markets=partial(_markets, paper, recorded=preset is None),
        cold_seconds=COLD_SECONDS,
    )
    (closed,) = outcome.closed
    return closed.report, len(outcome.audit.violations)


def start_of(market: Market, seed: int) -> float:
    """Draw when a seed's execution begins, in seconds from the start of its market."""
    longest = RECORDED_SECONDS - SLICES * INTERVAL - 10 if market.name == "recording" else 60
    return random.Random(f"start-{seed}").uniform(0, longest)


def _markets(paper: PaperSettings, now: int, *, recorded: bool) -> Mapping[str, Liquidity]:
    if not recorded:
        return build_markets(paper.markets, paper.symbols, now)
    return {SYMBOL: ReplayMarket(iter(_frames()), step=paper.symbols[SYMBOL].step, origin=now)}


@cache
def _frames() -> tuple[Frame, ...]:
    return tuple(frame for frame in read_frames(RECORDING) if frame.symbol == SYMBOL)


# All of them --------------------------------------------------------------------------------------


def compare(
    markets: Sequence[Market], seeds: Sequence[int], size: Decimal, processes: int, keep: Path | None = None
) -> list[Line]:
    """Run every policy on every market and seed, and compare each with the baseline.

    What is in the file `keep` is not run again, and what is run is added to it.
    """
    tasks = [
        Task(market, policy, seed, market.quantity * size)
        for market in markets
        for seed in seeds
        for policy in POLICIES
    ]
    results = _kept(keep)
    tasks = [task for task in tasks if task.key not in results]
    for task, result in zip(tasks, _worked(tasks, processes), strict=True):
        results[task.key] = result
        if keep is not None:
            with keep.open("a") as file:
                file.write(json.dumps({"key": task.key, **asdict(result)}) + "\n")
    lines = []
    for market in markets:
        quantity = str(market.quantity * size)
        by_policy = {
            policy.name: [results[market.name, policy.name, seed, quantity] for seed in seeds] for policy in POLICIES
        }
        blocks = [_block(market, seed) for seed in seeds]
        cells = [_cell(name, runs, by_policy[BASELINE], blocks, seeds) for name, runs in by_policy.items()]
        lines.append(Line(market.name, market.quantity * size, tuple(cells), _saved(by_policy, blocks)))
    return lines


def _kept(keep: Path | None) -> dict[Key, Result]:
    """Read what an earlier run left; of the same code, which nobody checks."""
    if keep is None or not keep.exists():
        return {}
    lines = map(json.loads, keep.read_text().splitlines())
    return {tuple(line.pop("key")): Result(**line) for line in lines}


def _worked(tasks: Sequence[Task], processes: int) -> Iterator[Result]:
    if processes == 1:
        yield from map(_work_quietly, tasks)
        return
    with get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_work_quietly, tasks, chunksize=4)


def _work_quietly(task: Task) -> Result:
    use_money_context()
    return work(task)


def _block(market: Market, seed: int) -> int:
    return int(start_of(market, seed) // BLOCK_SECONDS) if market.name == "recording" else seed


def _cell(
    name: str, runs: Sequence[Result], baseline: Sequence[Result], blocks: Sequence[int], seeds: Sequence[int]
) -> Cell:
    differences = [run.shortfall - other.shortfall for run, other in zip(runs, baseline, strict=True)]
    worst = max(range(len(runs)), key=differences.__getitem__)
    return Cell(
        policy=name,
        shortfall=bootstrap([(run.shortfall,) for run in runs], blocks),
        difference=None if name == BASELINE else bootstrap([(value,) for value in differences], blocks),
        wins=fmean(value < 0 for value in differences),
        worst=(seeds[worst], differences[worst]),
        slippage=fmean(run.slippage for run in runs),
        fees=fmean(run.fees for run in runs),
        timing=fmean(run.timing for run in runs),
        tracking=fmean(run.tracking for run in runs),
        filled=fmean(run.filled for run in runs),
        waits=fmean(run.waits for run in runs),
        timed=fmean(run.timed for run in runs),
        made=fmean(run.made for run in runs),
        children=fmean(run.children for run in runs),
        violations=sum(run.violations for run in runs),
    )


def _saved(by_policy: Mapping[str, Sequence[Result]], blocks: Sequence[int]) -> Estimate:
    """The share of one order's slippage that splitting it saves."""
    pairs = [
        (one.slippage, split.slippage) for one, split in zip(by_policy["one order"], by_policy[BASELINE], strict=True)
    ]
    return bootstrap(pairs, blocks, lambda means: 1 - means[1] / means[0])


# The command --------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and return 1 if what is to be shown is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="how many seeds (100 for the table in docs)")
    parser.add_argument("--tune", action="store_true", help="seeds from 1 on, which are not to be reported")
    parser.add_argument("--markets", default=",".join(market.name for market in MARKETS))
    parser.add_argument("--size", type=Decimal, default=Decimal(1), help="times the usual quantity of each market")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, help="a file of results: go on with it, and add to it")
    parser.add_argument("--write", action="store_true", help="put table and plot into docs/")
    given = parser.parse_args(arguments)
    names = given.markets.split(",")
    markets = [market for market in MARKETS if market.name in names]
    if "recording" in names and not RECORDING.exists():
        print(f"without the recording, which is not at {RECORDING}", file=sys.stderr)
        markets = [market for market in markets if market.name != "recording"]
    first = 1 if given.tune else REPORTED_FROM
    seeds = range(first, first + given.seeds)
    use_money_context()
    stop_logging = setup_logging("error")
    try:
        lines = compare(markets, seeds, given.size, given.processes, given.keep)
    finally:
        stop_logging()
    for line in lines:
        print(line.text())
    if given.write:
        write_page(lines, seeds, plot(lines))
    return 0 if _shown(lines) else 1


def _shown(lines: Sequence[Line]) -> bool:
    violations = sum(cell.violations for line in lines for cell in line.cells)
    shown = violations == 0
    if violations:
        print(f"the audit found {violations} violations")
    for line in lines:
        if line.market == "recording":
            saved = line.saved.mean
            print(f"splitting saves {saved:.0%} of the impact on the recording (to be shown: {SPLITTING_SAVES:.0%})")
            shown = shown and saved >= SPLITTING_SAVES
        for cell in line.cells:
            if cell.policy == "auto" and cell.difference is not None:
                shown = _auto_shown(line.market, cell.difference) and shown
    return shown


def _auto_shown(market: str, difference: Estimate) -> bool:
    """Whether `auto` is not worse than the baseline beyond its interval, and better by enough on the recording."""
    print(f"{market}: auto against naive {difference} bps")
    if market == "recording":
        return difference.mean <= -AUTO_SAVES_BPS
    return difference.low <= 0


if __name__ == "__main__":
    sys.exit(main())
