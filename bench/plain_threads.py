"""What the pool gains over a thread an actor: the same messages on `Pool` and on Pykka's own actor.

Run `python -m bench.plain_threads [--rounds N] [--workers N]`; it takes well under half a minute. Four
measures, each in a fresh process, the two kinds in turn, medians of the rounds: telling one actor,
passing a token round a ring, starting actors, and what an idle one takes of memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import pykka

from actors.runtime import Actor, Pool
from bench.tools.figures import resident_kilobytes

Kind = Literal["pool", "thread"]
Measure = Literal["tell", "ring", "start", "memory"]
Ref = pykka.ActorRef[Any]

TOLD = 40_000
RING = 100
HOPS = 20_000
STARTED = 1_000
IDLE = 1_000
PATIENCE = 20.0
"""Seconds after which a measure has failed."""


class Counting:
    """Counts what it is told, and says when that is enough."""

    def __init__(self, done: threading.Event, count: int = 0) -> None:
        """Set `done` at the `count`-th message."""
        super().__init__()
        self.done, self.left = done, count

    def on_receive(self, message: object) -> None:
        """Count one message."""
        self.left -= 1
        if not self.left:
            self.done.set()


class Passing:
    """Passes a token on, until it has made all its hops."""

    def __init__(self, done: threading.Event) -> None:
        """Begin without a neighbour: the first message is one."""
        super().__init__()
        self.done = done
        self.neighbour: Ref | None = None

    def on_receive(self, message: Ref | int) -> None:
        """Take the neighbour, or hand on a token that counts its hops down."""
        if not isinstance(message, int):
            self.neighbour = message
        elif message == 0 or self.neighbour is None:
            self.done.set()
        else:
            self.neighbour.tell(message - 1)


class PoolCounter(Counting, Actor):
    """`Counting` on the pool."""


class ThreadCounter(Counting, pykka.ThreadingActor):
    """`Counting` on a thread of its own."""


class PoolPasser(Passing, Actor):
    """`Passing` on the pool."""


class ThreadPasser(Passing, pykka.ThreadingActor):
    """`Passing` on a thread of its own."""


COUNTERS: dict[Kind, type[PoolCounter | ThreadCounter]] = {
    "pool": PoolCounter,
    "thread": ThreadCounter,
}
PASSERS: dict[Kind, type[PoolPasser | ThreadPasser]] = {"pool": PoolPasser, "thread": ThreadPasser}


def tell(kind: Kind) -> float:
    """Messages a second from one thread to one actor."""
    done = threading.Event()
    actor = COUNTERS[kind].start(done, TOLD)
    began = time.perf_counter()
    for number in range(TOLD):
        actor.tell(number)
    _wait(done)
    return TOLD / (time.perf_counter() - began)


def ring(kind: Kind) -> float:
    """Hops a second of one token round `RING` actors: every hop wakes another actor."""
    done = threading.Event()
    actors = [PASSERS[kind].start(done) for _ in range(RING)]
    for actor, neighbour in zip(actors, [*actors[1:], actors[0]], strict=True):
        actor.tell(neighbour)
    began = time.perf_counter()
    actors[0].tell(HOPS)
    _wait(done)
    return HOPS / (time.perf_counter() - began)


def start(kind: Kind) -> float:
    """Actors a second that are started, all of them living."""
    done = threading.Event()
    began = time.perf_counter()
    for _ in range(STARTED):
        COUNTERS[kind].start(done)
    return STARTED / (time.perf_counter() - began)


def memory(kind: Kind) -> float:
    """Kilobytes of resident memory that an idle actor takes."""
    done = threading.Event()
    before = resident_kilobytes()
    for _ in range(IDLE):
        COUNTERS[kind].start(done)
    return (resident_kilobytes() - before) / IDLE


def _wait(done: threading.Event) -> None:
    if not done.wait(PATIENCE):
        raise TimeoutError(f"not done after {PATIENCE:g} s")


MEASURES: dict[Measure, tuple[Callable[[Kind], float], str, bool]] = {
    "tell": (tell, "tell one actor, messages/s", True),
    "ring": (ring, f"token round {RING} actors, hops/s", True),
    "start": (start, "start an actor, actors/s", True),
    "memory": (memory, "an idle actor, kB resident", False),
}
"""What is measured, how it is called, and whether more is better."""


def measure(name: Measure, kind: Kind, workers: int) -> float:
    """Take one measure; in a process of its own, so that nothing is warm or large from before."""
    runtime: AbstractContextManager[object] = Pool(workers) if kind == "pool" else nullcontext()
    with runtime:
        try:
            return MEASURES[name][0](kind)
        finally:
            pykka.ActorRegistry.stop_all(timeout=PATIENCE)


def compare(rounds: int, workers: int) -> dict[Measure, tuple[float, float]]:
    """Take every measure of both kinds in turn: (pool, thread) as medians over the rounds."""
    taken: dict[tuple[Measure, Kind], list[float]] = {}
    kinds: Sequence[Kind] = ("pool", "thread")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:
        for _ in range(rounds):
            for name in MEASURES:
                for kind in kinds:
                    figure = processes.submit(measure, name, kind, workers).result()
                    taken.setdefault((name, kind), []).append(figure)
    return {
        name: (statistics.median(taken[name, "pool"]), statistics.median(taken[name, "thread"])) for name in MEASURES
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both kinds' figures side by side, and how many times better the pool is."""
    parser = argparse.ArgumentParser(description="Pool against a thread an actor, on the same messages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    began = time.perf_counter()
    print(f"{'':32}{'pool':>12}{'thread':>12}{'pool better':>14}")
    for name, (pool, thread) in compare(given.rounds, given.workers).items():
        _, title, more_is_better = MEASURES[name]
        ratio = pool / thread if more_is_better else thread / pool
        print(f"{title:32}{pool:12,.1f}{thread:12,.1f}{ratio:13.1f}x")
    took = time.perf_counter() - began
    print(f"medians of {given.rounds} rounds, {given.workers} pool threads, {took:.0f} s")


if __name__ == "__main__":
    main()
