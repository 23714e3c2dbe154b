"""Ten thousand executions at a time: what each takes of memory, and how late their children are.

Run `python -m bench.executions`. Signals go in through the gate; the schedules begin one after the
other within an interval of 30 s, so that a child is due every 3 ms, and are watched for a part of it.
"""

from __future__ import annotations

import argparse
import gc
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bench.tools.daemon import PATIENCE, House, Kind, a_signal, house
from bench.tools.figures import Row, Spread, apart, print_table, resident_kilobytes, spread
from messages.facts import ChildIntended, ExecutionPlanned
from messages.order import SendOrder
from messages.signal import Status, TwapOptions, Verdict

INTERVAL_SECONDS = 30
SLICES = 5
MOST_WAITING = 500
TARGET_KILOBYTES = 20.0
TARGET_MS = 50.0


class TooMany(Exception):
    """So many executions could not be let in; the text says how far it got."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What so many executions were like; lateness in ms after a slice was due.

    Of `children` that were due `owed` had not left when the time was over: they count as late as they were by then.
    """

    accepted_per_second: float
    kilobytes: float
    children: int
    owed: int
    decided: Spread
    sent: Spread
    processor: float


class _Accepted:
    """Counts verdicts, and lets only so many signals wait for one."""

    def __init__(self) -> None:
        self.count = 0
        self._room = threading.Semaphore(MOST_WAITING)

    def tell(self, verdict: Verdict, /) -> None:
        assert verdict.status is Status.ACCEPTED, verdict
        self.count += 1
        self._room.release()

    def enter(self) -> None:
        if not self._room.acquire(timeout=PATIENCE):
            raise TooMany(f"the gate said nothing for {PATIENCE:g} s, with {self.count} executions let in")

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.count < count:
            if time.monotonic() > deadline:
                raise TooMany(f"{self.count} executions were let in, and no more within {PATIENCE:g} s")
            time.sleep(0.01)


def measure(kind: Kind, count: int, lead: float, window: float) -> Crowd:
    """Let `count` executions in within about `lead` seconds, then watch them for `window` seconds."""
    sent: dict[str, datetime] = {}

    def on_order(order: SendOrder) -> None:
        sent[order.client_order_id] = datetime.now(UTC)

    with house(kind, on_order=on_order) as daemon:
        gc.collect()
        before = resident_kilobytes()
        began = time.monotonic()
        start = datetime.now(UTC) + timedelta(seconds=lead)
        accepted = _Accepted()
        for number in range(count):
            accepted.enter()
            first = start + timedelta(seconds=INTERVAL_SECONDS * number / count)
            options = TwapOptions(num_chunks=SLICES, interval_seconds=Decimal(INTERVAL_SECONDS), start_at=first)
            daemon.send(a_signal(number, "crowd", twap=options), accepted)
        accepted.wait_for(count)
        rate = count / (time.monotonic() - began)
        start = max(start, datetime.now(UTC))  # A slow machine may have let the last ones in after the first began.
        time.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()))
        busy = time.process_time()
        time.sleep(window)
        busy = time.process_time() - busy
        kilobytes = (resident_kilobytes() - before) / count
        until = start + timedelta(seconds=window)
        decided, left, owed = _lateness(daemon, dict(sent), start, until)
    return Crowd(rate, kilobytes, len(left), owed, spread(decided), spread(left), busy / window)


def _lateness(
    daemon: House, sent: dict[str, datetime], since: datetime, until: datetime
) -> tuple[list[float], list[float], int]:
    """Milliseconds from when a slice was due to its intent, and to its order, and how many orders had not left.

    Those count that were due from `since` until a second before `until`; what had not happened by then is as late.
    """
    due: dict[tuple[str, int], datetime] = {}
    intended: dict[tuple[str, int], tuple[datetime, str]] = {}
    for committed in daemon.facts("ExecutionPlanned", "ChildIntended"):
        match committed.fact:
            case ExecutionPlanned(execution_id=of, plan=plan):
                for number in range(SLICES):
                    moment = plan.start_at + number * timedelta(seconds=INTERVAL_SECONDS)
                    if since <= moment < until - timedelta(seconds=1):
                        due[of, number] = moment
            case ChildIntended(execution_id=of, client_order_id=child, slice=number):
                intended[of, number] = committed.at, child
            case _:
                pass
    decided: list[float] = []
    left: list[float] = []
    for key, moment in due.items():
        at, child = intended.get(key, (until, ""))
        decided.append((min(at, until) - moment).total_seconds() * 1e3)
        left.append((sent.get(child, until) - moment).total_seconds() * 1e3)
    return decided, left, sum(key not in intended or intended[key][1] not in sent for key in due)


def on_threads(count: int, lead: float, window: float) -> tuple[int, Crowd]:
    """Do the same on a thread an actor; where so many are too many, say why, and do a tenth."""
    try:
        return count, apart(measure, "thread", count, lead, window)
    except TooMany as error:
        print(f"{count:,} executions on a thread an actor are too many here: {error}")
    fewer = max(1, count // 10)
    return fewer, apart(measure, "thread", fewer, lead / 10, window)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print memory and lateness, and what as large a crowd takes on plain threads."""
    parser = argparse.ArgumentParser(description="many executions at a time")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--lead", type=float, default=15.0, help="seconds in which all should be let in")
    parser.add_argument("--window", type=float, default=12.0, help="seconds of the interval that are watched")
    parser.add_argument("--plain", type=int, default=10_000, help="executions on plain threads; 0 leaves them out")
    parser.add_argument("--plain-lead", type=float, default=75.0, help="seconds in which those should be let in")
    given = parser.parse_args(arguments)
    here = apart(measure, "pool", given.count, given.lead, given.window)
    print(f"{given.count} executions of {SLICES} slices, {INTERVAL_SECONDS} s apart; {_children(here)}")
    plain = None
    if given.plain:
        size = threading.stack_size() or resource.getrlimit(resource.RLIMIT_STACK)[0]
        many, plain = on_threads(given.plain, given.plain_lead, given.window)
        print(f"on a thread an actor, each with room for {size / 2**20:g} MiB of stack: {many}; {_children(plain)}")
    rows = [
        Row(what, figure(here), None if plain is None else figure(plain), target, more)
        for what, figure, target, more in _FIGURES
    ]
    print_table(rows, plain="thread an actor")


def _children(crowd: Crowd) -> str:
    owed = f", of which {crowd.owed} had not left at the end" if crowd.owed else ""
    return f"{crowd.children} children were due{owed}"


_FIGURES: tuple[tuple[str, Callable[[Crowd], float], float | None, bool], ...] = (
    ("resident memory of one, kB", lambda crowd: crowd.kilobytes, TARGET_KILOBYTES, False),
    ("slice due -> intent decided, p50 ms", lambda crowd: crowd.decided.p50, None, False),
    ("slice due -> intent decided, p99 ms", lambda crowd: crowd.decided.p99, None, False),
    ("slice due -> order at the venue, p50 ms", lambda crowd: crowd.sent.p50, None, False),
    ("slice due -> order at the venue, p99 ms", lambda crowd: crowd.sent.p99, TARGET_MS, False),
    ("slice due -> order at the venue, max ms", lambda crowd: crowd.sent.most, None, False),
    ("let in, executions/s", lambda crowd: crowd.accepted_per_second, None, True),
    ("processor time, cores", lambda crowd: crowd.processor, None, False),
)
"""What is printed of a crowd, its target, and whether more is better."""


if __name__ == "__main__":
    main()
