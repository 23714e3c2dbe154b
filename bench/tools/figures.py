"""Figures for people: quantiles, tables with targets, memory, and a process of its own for each measure."""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

import apsw

P = ParamSpec("P")
R = TypeVar("R")

STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample's size, median, 99th percentile and largest value."""

    count: int
    p50: float
    p99: float
    most: float


def spread(sample: Iterable[float]) -> Spread:
    """Describe a sample by the values that half, 99 % and all of it do not exceed; NaN for an empty one."""
    values = sorted(sample)
    if not values:
        return Spread(0, float("nan"), float("nan"), float("nan"))
    return Spread(len(values), _quantile(values, 0.5), _quantile(values, 0.99), values[-1])


def _quantile(values: Sequence[float], fraction: float) -> float:
    return values[min(len(values) - 1, int(fraction * len(values)))]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, the same on Pykka's plain threads if that was measured, and the target if there is one."""

    what: str
    figure: float
    plain: float | None = None
    target: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Say whether the target is met."""
        if self.target is None:
            return ""
        met = self.figure >= self.target if self.more_is_better else self.figure <= self.target
        sign = ">=" if self.more_is_better else "<="
        return f"{sign} {self.target:,g}: {'met' if met else 'MISSED'}"

    @property
    def ratio(self) -> str:
        """Say how many times better the figure is than that of plain threads."""
        if not self.plain or not self.figure:
            return ""
        better = self.figure / self.plain if self.more_is_better else self.plain / self.figure
        return f"{better:.1f}x"


def print_table(rows: Sequence[Row], *, plain: str = "") -> None:
    """Print rows below each other; with `plain`, also what plain threads take, and the ratio."""
    compared = f"{plain:>18}{'ratio':>8}" if plain else ""
    print(f"{'':54}{'here':>12}{compared}  target")
    for row in rows:
        other = "" if row.plain is None else f"{row.plain:,.2f}"
        compared = f"{other:>18}{row.ratio:>8}" if plain else ""
        print(f"{row.what:54}{row.figure:12,.2f}{compared}  {row.verdict}".rstrip())


def covered(begin: float, end: float, spans: Sequence[tuple[float, float]]) -> float:
    """Add up how much of the time from `begin` to `end` the spans, which are in order, cover."""
    first = bisect_left(spans, begin, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0])
    return sum(min(end, until) - max(begin, since) for since, until in spans[first:last])


def disk_alone(directory: Path, writes: int = 300) -> Spread:
    """Milliseconds that one write of a page and its sync take, with nothing else of ours going on.

    What the disk does at its worst, no daemon that waits for it can better.
    """
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(writes):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(1e3 * (time.perf_counter() - began))
            time.sleep(0.002)
    return spread(taken)


def tell_of_disk(samples: Sequence[Spread]) -> None:
    """Print what the disk alone took: medians of the samples, and the longest of all."""
    p50, p99 = median(one.p50 for one in samples), median(one.p99 for one in samples)
    most = max(one.most for one in samples)
    print(f"the disk alone, a page written and synced: p50 {p50:.2f} ms, p99 {p99:.2f} ms, the longest {most:.1f} ms")


def processor_alone(turns: int = 1_000_000) -> float:
    """Nanoseconds of the processor for one turn of a loop that multiplies and adds.

    On a host that others share it is the yardstick for every figure that is processor time.
    """
    best = float("inf")
    for _ in range(3):
        began, value = time.process_time(), 0
        for number in range(turns):
            value = (value * 3 + number) & 65535
        best = min(best, time.process_time() - began)
    return 1e9 * best / turns


def machine() -> str:
    """Say what the figures were taken on."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {apsw.sqlitelibversion()}, load {load}"
    )


def resident_kilobytes() -> float:
    """Return the process's resident memory; without /proc the largest so far."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize() / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 if sys.platform == "darwin" else most


def apart(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do `work` in a process of its own, so that nothing is warm or large from before."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1, initializer=_be_silent) as process:
        return process.submit(work, *args, **kwargs).result()


def _be_silent() -> None:
    """Keep the remarks of the log out of the figures."""
    logging.getLogger("tidegate").addHandler(logging.NullHandler())
