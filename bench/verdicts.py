"""How many verdicts a second the gate gives, each of them durable before it is given.

Run `python -m bench.verdicts`. A few senders hand in signals as fast as a bounded number may wait for
their verdict; accepted ones start their executions, whose first slice is an hour away.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from bench.tools.daemon import PATIENCE, House, Kind, a_signal, house
from bench.tools.figures import Row, apart, print_table
from messages.signal import Signal, TwapOptions, Verdict

SENDERS = 4
MOST_WAITING = 1_000
"""Of one sender."""

BURST = 250
"""How many signals a sender hands in one after the other, whenever there is room for as many."""

TARGET = 5_000.0

Mix = Literal["mixed", "accepted"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a run gave: verdicts a second, how many of each status, facts that the journal has of it."""

    per_second: float
    statuses: dict[str, int]
    facts: int


class _Sender:
    """Hands in its signals in bursts, never more than `MOST_WAITING` ahead of their verdicts.

    In bursts, because what is measured is the gate: a sender that is woken for each verdict costs as much as a check.
    """

    def __init__(self, daemon: House, signals: Sequence[Signal]) -> None:
        self._daemon, self._signals = daemon, signals
        self._room = threading.Semaphore(MOST_WAITING // BURST)
        self._answered = 0
        self.statuses: Counter[str] = Counter()
        self.done = threading.Event()

    def run(self) -> None:
        for first in range(0, len(self._signals), BURST):
            if not self._room.acquire(timeout=PATIENCE):
                raise TimeoutError("the gate does not answer")
            for signal in self._signals[first : first + BURST]:
                self._daemon.send(signal, self)

    def tell(self, verdict: Verdict, /) -> None:
        self.statuses[verdict.status] += 1
        self._answered += 1
        if self._answered % BURST == 0:
            self._room.release()
        if self._answered == len(self._signals):
            self.done.set()


def _mixed(number: int, later: TwapOptions) -> Signal:
    """Of ten signals one is new, three repeat it, two come with other content, four ask for too much or little."""
    original, turn = number - number % 10, number % 10
    signal = a_signal(original, "mixed", twap=later)
    match turn:
        case 0 | 1 | 2 | 3:
            return signal
        case 4 | 5:
            return replace(signal, quantity=signal.quantity and signal.quantity * 2)
        case 6 | 7:
            return replace(signal, id=f"small-{number}", quantity=Decimal("0.00001"))
        case 8:
            return replace(signal, id=f"stale-{number}", timestamp=datetime.now(UTC) - timedelta(hours=1))
        case _:
            return replace(signal, id=f"other-{number}", symbol="XRPUSDT")


def _accepted(number: int, later: TwapOptions) -> Signal:
    return a_signal(number, "all", twap=later)


_KINDS: dict[Mix, Callable[[int, TwapOptions], Signal]] = {"mixed": _mixed, "accepted": _accepted}


def measure(kind: Kind, mix: Mix, count: int) -> Verdicts:
    """Hand in `count` signals of a mix from `SENDERS` threads and wait for the last verdict."""
    with house(kind) as daemon:
        later = TwapOptions(num_chunks=5, start_at=datetime.now(UTC) + timedelta(hours=1))
        signals = [_KINDS[mix](number, later) for number in range(count)]
        share = -(-count // SENDERS // 10) * 10
        senders = [_Sender(daemon, signals[first : first + share]) for first in range(0, count, share)]
        before = daemon.store.last_seq()
        began = time.perf_counter()
        threads = [threading.Thread(target=sender.run) for sender in senders]
        for thread in threads:
            thread.start()
        for thread, sender in zip(threads, senders, strict=True):
            thread.join()
            if not sender.done.wait(PATIENCE):
                raise TimeoutError("verdicts are missing")
        took = time.perf_counter() - began
        statuses: Counter[str] = sum((sender.statuses for sender in senders), Counter())
        return Verdicts(count / took, dict(statuses), daemon.store.last_seq() - before)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both mixes' rates, here and on plain threads."""
    parser = argparse.ArgumentParser(description="durable verdicts a second")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--plain", type=int, default=4_000, help="signals on plain threads")
    given = parser.parse_args(arguments)
    rows = []
    targets: dict[Mix, float | None] = {"mixed": TARGET, "accepted": None}
    for mix, target in targets.items():
        here, plain = apart(measure, "pool", mix, given.count), apart(measure, "thread", mix, given.plain)
        told = ", ".join(f"{count} {status}" for status, count in sorted(here.statuses.items()))
        print(f"{mix}: {told}; {here.facts} facts in the journal by then")
        rows.append(Row(f"{mix}, durable verdicts/s", here.per_second, plain.per_second, target, more_is_better=True))
    print_table(rows, plain="thread an actor")


if __name__ == "__main__":
    main()
