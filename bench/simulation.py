"""How many whole-daemon scenarios a second one core simulates, each audited to the end.

Run `python -m bench.simulation [--count N] [--profile LEVEL]`. The runs are those of `run.py simulate --seeds A:B
--faults none|light|heavy`: drawn by seed, on the synthetic market, with latencies and partial fills, then with faults.

`--courses FILE` writes down what became of each seed, or, where FILE is there already, names the seeds that now take
another course: a change that is for speed alone leaves each where it was, to the last byte of its journal.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from adapters.campaign.course import endure
from adapters.campaign.many import prepare_for_many
from adapters.campaign.weather import Level
from adapters.config import Config
from adapters.scenarios import drawn
from adapters.simulation import StartDaemon, simulate
from bench.tools.figures import Row, apart, print_table, processor_alone
from run import settings_of, start_daemon

TARGET = 50.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What runs gave: scenarios and facts in a second of one core, virtual seconds in a real one."""

    scenarios: float
    facts: float
    speed: float


@dataclass(frozen=True, slots=True)
class Course:
    """One run: its facts, how long it took in virtual seconds, and its journal."""

    facts: int
    seconds: float
    journal: bytes


def a_daemon() -> StartDaemon:
    """Return what starts a daemon, its settings read once, as `run.py simulate` does."""
    return partial(start_daemon, settings=settings_of(Config()))


def play(level: Level, seed: int, start: StartDaemon, *, journal: bool = False) -> Course:
    """Play one seed. `journal` asks for it also where faults are drawn. Raises AssertionError if anything is broken."""
    if level is Level.NONE:
        outcome = simulate(drawn(seed), seed, start)
        assert outcome.audit.ok, f"seed {seed}: {outcome.audit.violations}"
        return Course(outcome.journal.count(b"\n"), outcome.seconds, outcome.journal)
    ordeal = endure(seed, level, start, remembered=1 if journal else 0)
    assert ordeal.ok, f"seed {seed}: {ordeal.violations}"
    return Course(ordeal.figures["facts"], ordeal.seconds, ordeal.journal)


def measure(level: Level, first: int, count: int) -> Simulated:
    """Play `count` seeds from `first` on, by processor time. Raises AssertionError if anything is broken."""
    prepare_for_many()
    start = a_daemon()
    play(level, first, start)
    began = time.process_time()
    courses = [play(level, seed, start) for seed in range(first, first + count)]
    took = time.process_time() - began
    facts, seconds = sum(one.facts for one in courses), sum(one.seconds for one in courses)
    return Simulated(count / took, facts / took, seconds / took)


def digests(count: int) -> dict[str, str]:
    """Play `count` seeds of each level, and return a digest of each journal by level and seed."""
    prepare_for_many()
    start = a_daemon()
    return {
        f"{level.value} {seed}": sha256(play(level, seed, start, journal=True).journal).hexdigest()
        for level in Level
        for seed in range(count)
    }


def tell_courses(file: Path, count: int) -> None:
    """Write digests to `file`, or compare with those there. Exits with 1 if a seed takes another course."""
    now = digests(count)
    if not file.exists():
        file.write_text(json.dumps(now, indent=1))
        print(f"{len(now)} courses written to {file}")
        return
    before = json.loads(file.read_text())
    other = [name for name, digest in now.items() if before.get(name, digest) != digest]
    print(f"{len(now)} courses, {len(other)} of them others than in {file}: {', '.join(other[:20]) or 'none'}")
    raise SystemExit(bool(other))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates at each level of faults, as medians of the rounds."""
    parser = argparse.ArgumentParser(description="simulated scenarios a second")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=Level, metavar="LEVEL", help="say where the time goes instead")
    parser.add_argument("--courses", type=Path, metavar="FILE", help="write or compare what becomes of the seeds")
    given = parser.parse_args(arguments)
    if given.profile is not None:
        with cProfile.Profile() as profile:
            measure(given.profile, 0, given.count)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    if given.courses is not None:
        tell_courses(given.courses, given.count)
        return
    rows = []
    for level in Level:
        rounds = [apart(measure, level, number * given.count, given.count) for number in range(given.rounds)]
        scenarios = statistics.median(one.scenarios for one in rounds)
        rows += [
            Row(f"faults {level.value}: scenarios/s", scenarios, None, TARGET, more_is_better=True),
            Row(f"faults {level.value}: facts/s", statistics.median(one.facts for one in rounds)),
            Row(f"faults {level.value}: virtual seconds a second", statistics.median(one.speed for one in rounds)),
        ]
    print(
        f"medians of {given.rounds} rounds of {given.count} seeds, by processor time of one core, "
        f"on {platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})\n"
        f"the processor alone: {processor_alone():.0f} ns a turn of a plain loop"
    )
    print_table(rows)


if __name__ == "__main__":
    main()
