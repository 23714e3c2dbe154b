"""How many whole-daemon scenarios a second one core simulates, each audited to the end.

Run `python -m bench.simulation [--profile]`. The scenarios are those of `run.py simulate`: drawn by
seed, on the synthetic market, with latencies and partial fills.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.scenarios import drawn
from adapters.simulation import simulate
from bench.tools.figures import Row, apart, print_table
from run import start_daemon

TARGET = 50.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a run gave: scenarios and facts a second, virtual seconds in a real one."""

    scenarios: float
    facts: float
    speed: float


def measure(first: int, count: int) -> Simulated:
    """Simulate `count` seeds from `first` on. Raises AssertionError if an audit finds anything."""
    simulate(drawn(first), first, start_daemon)
    facts, virtual = 0, 0.0
    began = time.process_time()
    for seed in range(first, first + count):
        outcome = simulate(drawn(seed), seed, start_daemon)
        assert outcome.audit.ok, f"seed {seed}: {outcome.audit.violations}"
        facts += outcome.journal.count(b"\n")
        virtual += outcome.seconds
    took = time.process_time() - began
    return Simulated(count / took, facts / took, virtual / took)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates, as medians of the rounds."""
    parser = argparse.ArgumentParser(description="simulated scenarios a second")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead")
    given = parser.parse_args(arguments)
    if given.profile:
        with cProfile.Profile() as profile:
            measure(0, given.count)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    rounds = [apart(measure, number * given.count, given.count) for number in range(given.rounds)]
    print(f"medians of {given.rounds} rounds of {given.count} seeds, by processor time of one core")
    print_table(
        [
            Row("scenarios/s", statistics.median(one.scenarios for one in rounds), None, TARGET, more_is_better=True),
            Row("facts/s", statistics.median(one.facts for one in rounds)),
            Row("virtual seconds a second", statistics.median(one.speed for one in rounds)),
        ]
    )


if __name__ == "__main__":
    main()
