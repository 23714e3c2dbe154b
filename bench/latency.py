"""From a signal to its order, and from a trade back to its execution: how long both ways take.

Run `python -m bench.latency`. Direct orders, one at a time and evenly paced, each through the whole
daemon with every commit synced to the disk; then the same daemon on Pykka's plain threads.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest import mock

from actors.twap.actor import TWAPActor
from bench.tools.daemon import PATIENCE, Kind, a_signal, house
from bench.tools.figures import (
    Row,
    Spread,
    apart,
    covered,
    disk_alone,
    print_table,
    processor_alone,
    spread,
    tell_of_disk,
)
from messages.facts import Fact, TradeBooked
from messages.ids import parse_child_id
from messages.order import SendOrder
from messages.signal import Status, Verdict

WARM_UP = 60
TARGET_MS = 5.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way's milliseconds, and what is left of them when no commit is waited for."""

    whole: Spread
    without_commits: Spread


@dataclass(frozen=True, slots=True)
class Latencies:
    """Signal handed in -> verdict, signal handed in -> order at the venue, trade there -> execution knows."""

    verdict: Way
    order: Way
    trade: Way
    commit: Spread


class _Clock:
    """Notes when what happened to each signal; times are seconds of `perf_counter`."""

    def __init__(self) -> None:
        self.handed_in: dict[str, float] = {}
        self.verdicts: dict[str, float] = {}
        self.orders: dict[str, float] = {}
        self.trades: dict[str, float] = {}
        self.known: dict[str, float] = {}
        self.heard = threading.Condition()

    def on_order(self, order: SendOrder) -> None:
        self.orders[_execution(order.client_order_id)] = time.perf_counter()

    def on_trade(self, child: str) -> None:
        self.trades[_execution(child)] = time.perf_counter()

    def on_known(self, fact: TradeBooked) -> None:
        self.known[fact.execution_id] = time.perf_counter()
        with self.heard:
            self.heard.notify()

    def ask(self, began: float) -> _Answer:
        return _Answer(self, began)


class _Answer:
    def __init__(self, clock: _Clock, began: float) -> None:
        self.clock, self.began = clock, began

    def tell(self, verdict: Verdict, /) -> None:
        now = time.perf_counter()
        assert verdict.status is Status.ACCEPTED, verdict
        assert verdict.execution_id is not None
        self.clock.verdicts[verdict.execution_id] = now
        self.clock.handed_in[verdict.execution_id] = self.began


def _execution(child: str) -> str:
    name = parse_child_id(child)
    assert name is not None, child
    return name.execution_id


def measure(kind: Kind, signals: int, per_second: float) -> Latencies:
    """Hand in so many signals after a warm-up, at an even pace, and wait for the last one's trade."""
    clock = _Clock()
    on_news_of = TWAPActor.on_news_of

    def noted(actor: TWAPActor, fact: Fact) -> None:
        on_news_of(actor, fact)
        if isinstance(fact, TradeBooked):
            clock.on_known(fact)

    with (
        mock.patch.object(TWAPActor, "on_news_of", noted),
        house(kind, on_order=clock.on_order, on_trade=clock.on_trade) as daemon,
    ):
        begin = time.perf_counter()
        for number in range(WARM_UP + signals):
            time.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
            daemon.send(a_signal(number, "latency"), clock.ask(time.perf_counter()))
        with clock.heard:
            if not clock.heard.wait_for(lambda: len(clock.known) == WARM_UP + signals, PATIENCE):
                raise TimeoutError(f"{len(clock.known)} trades of {WARM_UP + signals}")
        daemon.stop()
    measured = list(clock.handed_in)[WARM_UP:]
    commits = daemon.store.commits

    def way(since: dict[str, float], until: dict[str, float]) -> Way:
        spans = [(since[execution], until[execution]) for execution in measured]
        return Way(
            spread(1e3 * (end - begin) for begin, end in spans),
            spread(1e3 * (end - begin - covered(begin, end, commits)) for begin, end in spans),
        )

    return Latencies(
        verdict=way(clock.handed_in, clock.verdicts),
        order=way(clock.handed_in, clock.orders),
        trade=way(clock.trades, clock.known),
        commit=spread(1e3 * (end - begin) for begin, end in commits),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both ways' quantiles as medians of the rounds, here and on plain threads."""
    parser = argparse.ArgumentParser(description="signal -> order -> execution, in milliseconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--signals", type=int, default=120, help="measured in a round")
    parser.add_argument("--rate", type=float, default=40.0, help="signals a second")
    given = parser.parse_args(arguments)
    disk, here = [], []
    for _ in range(given.rounds):
        disk.append(disk_alone(Path(tempfile.gettempdir())))
        here.append(apart(measure, "pool", given.signals, given.rate))
    plain = [apart(measure, "thread", given.signals, given.rate)]

    def row(what: str, figure: Callable[[Latencies], float], target: float | None = None) -> Row:
        return Row(what, median(map(figure, here)), median(map(figure, plain)), target)

    rows = [row(what, figure, target) for what, figure, target in _FIGURES]
    print(f"{given.rounds} rounds of {given.signals} direct signals, {given.rate:g} a second; medians of the rounds")
    tell_of_disk(disk)
    print(f"the processor alone: {processor_alone():.0f} ns a turn of a plain loop")
    print_table(rows, plain="thread an actor")


_FIGURES: tuple[tuple[str, Callable[[Latencies], float], float | None], ...] = (
    ("signal handed in -> durable verdict, p50 ms", lambda taken: taken.verdict.whole.p50, None),
    ("signal handed in -> durable verdict, p99 ms", lambda taken: taken.verdict.whole.p99, None),
    ("signal handed in -> order at the venue, p50 ms", lambda taken: taken.order.whole.p50, None),
    ("signal handed in -> order at the venue, p99 ms", lambda taken: taken.order.whole.p99, TARGET_MS),
    ("  the same without waiting for commits, p50 ms", lambda taken: taken.order.without_commits.p50, None),
    ("  the same without waiting for commits, p99 ms", lambda taken: taken.order.without_commits.p99, None),
    ("trade at the venue -> execution knows, p50 ms", lambda taken: taken.trade.whole.p50, None),
    ("trade at the venue -> execution knows, p99 ms", lambda taken: taken.trade.whole.p99, TARGET_MS),
    ("  the same without waiting for commits, p50 ms", lambda taken: taken.trade.without_commits.p50, None),
    ("  the same without waiting for commits, p99 ms", lambda taken: taken.trade.without_commits.p99, None),
    ("one commit, p50 ms", lambda taken: taken.commit.p50, None),
    ("one commit, p99 ms", lambda taken: taken.commit.p99, None),
)
"""What is printed of a measurement, and its target."""


if __name__ == "__main__":
    main()
