"""How long a daemon that was killed with 1,000 open executions takes until it is ready again, over the wire.

Run `python -m bench.restart [--executions N] [--rounds R]`. The daemon is the real one, a process of its own on its
paper exchange. Its executions send a child every ten seconds each, so that some orders are under way when it is killed
(SIGKILL). Then it is started again on the same directory: process, journal, exchange, streams, reconciliation of every
order; it is ready when /readyz says so. The last figure is when the last execution was back in its actor's hands.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from adapters.client import ADDRESS_FILE, Client
from adapters.storage.sqlite import SqliteStore
from bench.tools.figures import Row, disk_alone, print_table, tell_of_disk
from bench.tools.service import an_execution, ready, start
from messages.facts import EpochStarted, ExecutionClosed, ExecutionStarted
from messages.money import use_money_context

CHUNKS, INTERVAL = 60, 10
READY_TARGET = 10.0
RUNNING_SECONDS, IN_HAND_SECONDS = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from the start of the process; `facts` is how many the journal had."""

    facts: int
    listening: float
    ready: float
    in_hand: float


def start_executions(client: Client, count: int) -> None:
    """Have so many executions accepted."""
    for number in range(count):
        status, verdict = client.send(an_execution(number, chunks=CHUNKS, interval=INTERVAL))
        if status != 202:
            raise RuntimeError(f"an execution was not accepted: {verdict}")


def kill_and_restart(directory: Path, executions: int, rounds: int) -> list[Restart]:
    """Start, kill and start again, so many times; the executions go on from round to round."""
    process = start(directory)
    taken = []
    try:
        start_executions(ready(directory), executions)
        for _ in range(rounds):
            time.sleep(RUNNING_SECONDS)
            process.kill()
            process.wait()
            facts = _last_seq(directory)
            began = time.time()
            process = start(directory)
            listening = _until_listening(directory, began) - began
            ready(directory)
            taken.append(Restart(facts, listening, time.time() - began, _in_hand(directory, facts, executions) - began))
    finally:
        process.terminate()
        process.wait()
    return taken


def _until_listening(directory: Path, began: float) -> float:
    """Wait until the address of this start is written."""
    address = directory / ADDRESS_FILE
    while not address.exists() or address.stat().st_mtime < began:
        time.sleep(0.02)
    return time.time()


def _last_seq(directory: Path) -> int:
    with closing(SqliteStore(directory, read_only=True)) as store:
        return store.last_seq()


def _in_hand(directory: Path, after: int, executions: int) -> float:
    """Wait until every execution that is open was started again; say when the last was (seconds since 1970)."""
    deadline = time.monotonic() + IN_HAND_SECONDS
    while True:
        with closing(SqliteStore(directory, read_only=True)) as store:
            new = list(store.read(after, kinds=(EpochStarted.__name__, ExecutionStarted.__name__)))
            closed = sum(1 for _ in store.read(0, kinds=(ExecutionClosed.__name__,)))
        started = {one.fact.execution_id: one.at.timestamp() for one in new if isinstance(one.fact, ExecutionStarted)}
        if len(started) >= executions - closed:
            return max(started.values())
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(started)} of {executions - closed} executions were started again")
        time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures as medians of the rounds, and the worst of them."""
    parser = argparse.ArgumentParser(description="kill -9 with open executions -> ready again, in seconds")
    parser.add_argument("--executions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    use_money_context()
    disk = disk_alone(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        taken = kill_and_restart(Path(name) / "data", given.executions, given.rounds)
    print(f"{given.rounds} kills with {given.executions} open executions; {taken[0].facts} to {taken[-1].facts} facts")
    tell_of_disk([disk])
    print_table(
        [
            Row("start -> listening, s", median(one.listening for one in taken)),
            Row("start -> ready, s", median(one.ready for one in taken), target=READY_TARGET),
            Row("start -> ready, the slowest, s", max(one.ready for one in taken), target=READY_TARGET),
            Row("start -> every execution in hand, s", median(one.in_hand for one in taken)),
        ]
    )


if __name__ == "__main__":
    main()
