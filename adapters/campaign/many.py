"""Many seeds over several processes: progress, figures, and how to see each failure again."""

from __future__ import annotations

import gc
import logging
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from adapters import exits
from adapters.campaign.course import Ordeal, endure, weather_of, without
from adapters.campaign.weather import Level
from adapters.console import as_json
from adapters.paper.exchange import PaperSettings
from adapters.scenarios import Scenario
from adapters.simulation import StartDaemon

CHUNK = 20
"""Seeds that a process takes at a time."""

YOUNG_OBJECTS = 50_000
"""After so many new objects the collector looks for cycles among them; at the usual 700 that takes a twentieth."""

PROGRESS_SECONDS = 10.0
MOST_FAILURES_TOLD = 20
TRACED_MESSAGES = 2000


@dataclass(frozen=True, slots=True)
class Task:
    """How each seed is played. It goes to other processes, so it must bear pickling."""

    level: Level
    start_daemon: StartDaemon
    paper: Callable[[int], PaperSettings]
    scenario: Callable[[int], Scenario]
    words: tuple[str, ...] = ("simulate",)
    """The command and those of its options that shape each run, as they were given."""

    def endure(self, seed: int, **more: Any) -> Ordeal:
        """Play one seed."""
        return endure(seed, self.level, self.start_daemon, paper=self.paper(seed), scenario=self.scenario(seed), **more)


@dataclass(slots=True)
class Tally:
    """What all runs together came to."""

    runs: int = 0
    converging: int = 0
    virtual_seconds: float = 0.0
    figures: Counter[str] = field(default_factory=Counter)
    failed: list[Ordeal] = field(default_factory=list)

    def add(self, ordeals: Sequence[Ordeal]) -> None:
        """Count some runs."""
        for ordeal in ordeals:
            self.runs += 1
            self.converging += ordeal.converges
            self.virtual_seconds += ordeal.seconds
            self.figures.update(ordeal.figures)
            if not ordeal.ok:
                self.failed.append(ordeal)

    def as_object(self) -> dict[str, Any]:
        """Say it for programs."""
        return {
            "runs": self.runs,
            "converging": self.converging,
            "safety_only": self.runs - self.converging,
            "virtual_seconds": round(self.virtual_seconds),
            **{name.replace(" ", "_"): count for name, count in sorted(self.figures.items())},
            "violations": sum(len(one.violations) for one in self.failed),
            "failed_seeds": sorted(one.seed for one in self.failed),
        }


def run_campaign(
    seeds: Sequence[int],
    task: Task,
    *,
    trace: bool,
    json: bool,
    jobs: int | None = None,
    journal: Path | None = None,
) -> int:
    """Play the seeds, say what they came to, and return the exit code: 70 if any of them failed.

    The export of one seed's journal is written to `journal`.
    """
    if trace or len(seeds) == 1:
        return _run_one(seeds[0], task, trace=trace, json=json, journal=journal)
    began = time.monotonic()
    tally = Tally()
    told = began
    for ordeals in _spread(seeds, task, jobs or os.cpu_count() or 1):
        before = len(tally.failed)
        tally.add(ordeals)
        if not json:
            for ordeal in tally.failed[before:MOST_FAILURES_TOLD]:
                _tell_failure(ordeal, task)
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            _tell_progress(tally, len(seeds), told - began)
    took = time.monotonic() - began
    if json:
        as_json({**tally.as_object(), "failures": _failures(tally, task), "seconds": round(took, 1)})
    else:
        _tell_totals(tally, took)
    return exits.INVARIANT if tally.failed else exits.OK


def _spread(seeds: Sequence[int], task: Task, jobs: int) -> Iterator[list[Ordeal]]:
    """Play the seeds on so many processes; results come as they are done."""
    chunks = iter([seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)])
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=prepare_for_many) as pool:
        waiting: set[Future[list[Ordeal]]] = {pool.submit(_play, task, chunk) for chunk in islice(chunks, 2 * jobs)}
        while waiting:
            done = next(as_completed(waiting))
            waiting.remove(done)
            waiting.update(pool.submit(_play, task, chunk) for chunk in islice(chunks, 1))
            yield done.result()


def prepare_for_many() -> None:
    """Make this process one for runs alone: silent, and with a garbage collector that seldom looks.

    A run leaves little that it does not let go of by itself; what is there before the first stays for all of them.
    """
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def _play(task: Task, seeds: Sequence[int]) -> list[Ordeal]:
    return [task.endure(seed) for seed in seeds]


# One seed -----------------------------------------------------------------------------------------


def _run_one(seed: int, task: Task, *, trace: bool, json: bool, journal: Path | None) -> int:
    ordeal = task.endure(seed, remembered=TRACED_MESSAGES if trace or journal is not None else 0)
    if journal is not None:
        journal.write_bytes(ordeal.journal)
    if json:
        tally = Tally()
        tally.add([ordeal])
        told = {"weather": ordeal.weather, "violations": list(ordeal.violations), "failures": _failures(tally, task)}
        as_json({**tally.as_object(), **told})
    else:
        if trace:
            sys.stdout.write(ordeal.journal.decode())
            sys.stdout.write(ordeal.story)
        mode = "faults end, all must converge" if ordeal.converges else "faults never end, safety alone is asked"
        print(f"seed {seed}, faults {task.level.value}: {mode}; {ordeal.seconds:.1f} virtual seconds")
        print(f"  weather: {', '.join(ordeal.weather) or 'fair'}")
        print(f"  {_figures(ordeal.figures)}")
        for violation in ordeal.violations:
            print(f"  {violation}")
        if ordeal.violations and trace:
            print(f"  it takes: {', '.join(needed(seed, task, ordeal)) or 'none of these'}")
        print("  nothing was broken" if ordeal.ok else f"  {len(ordeal.violations)} violations")
    return exits.OK if ordeal.ok else exits.INVARIANT


def needed(seed: int, task: Task, ordeal: Ordeal) -> tuple[str, ...]:
    """Leave out one kind of fault after the other as long as the seed still fails; name what is left."""
    scenario = task.scenario(seed)
    weather = weather_of(seed, task.level, scenario)
    for name in ordeal.weather:
        lighter = without(weather, name)
        if not task.endure(seed, weather=lighter).ok:
            weather = lighter
    return weather.names


# Words --------------------------------------------------------------------------------------------


def replay_command(ordeal: Ordeal, words: tuple[str, ...]) -> str:
    """Say the one command that shows this run again; for `words` see `Task`."""
    return f"python run.py {shlex.join(words)} --seed {ordeal.seed} --faults {ordeal.level.value} --trace"


def _failures(tally: Tally, task: Task) -> list[dict[str, Any]]:
    """Say for programs what each failed seed broke, and the one command that shows it again."""
    return [
        {"seed": one.seed, "violations": list(one.violations), "replay": replay_command(one, task.words)}
        for one in sorted(tally.failed, key=lambda one: one.seed)
    ]


def _tell_failure(ordeal: Ordeal, task: Task) -> None:
    print(f"seed {ordeal.seed}: {ordeal.violations[0]}", flush=True)
    print(f"  {replay_command(ordeal, task.words)}", flush=True)


def _tell_progress(tally: Tally, of: int, took: float) -> None:
    rate = tally.runs / took
    left = (of - tally.runs) / rate if rate else 0.0
    text = f"{tally.runs:,} of {of:,} seeds, {rate:.0f} a second, {len(tally.failed)} failed, {left / 60:.0f} min to go"
    print(text, file=sys.stderr, flush=True)


def _tell_totals(tally: Tally, took: float) -> None:
    virtual = tally.virtual_seconds / 3600
    print(
        f"{tally.runs:,} seeds in {took:.0f} s ({tally.runs / took:.1f} a second, {virtual:,.0f} virtual hours): "
        f"{tally.converging:,} where faults end, {tally.runs - tally.converging:,} where they never do"
    )
    print(f"  {_figures(tally.figures)}")
    print(f"  failed seeds: {len(tally.failed)}" + (f", first {tally.failed[0].seed}" if tally.failed else ""))


def _figures(figures: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in figures.items() if not name.startswith("fault "))
