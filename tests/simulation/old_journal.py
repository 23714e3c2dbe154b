"""Journals of released versions, kept as they were written: later code must take them up.

`python -m tests.simulation.old_journal 0.1.0` writes one of the present version, once, before that is released.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from adapters.storage.codec import decode, encode
from messages.control import Committed, HaltTrading, ResumeTrading
from messages.execution import AmendExecution, CancelExecution, PauseExecution, ResumeExecution
from messages.ids import microseconds
from tests.simulation.whole import D, Stage

DIRECTORY = Path(__file__).parent / "journals"
FIVE = {"num_chunks": 5, "interval_seconds": 10}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written() -> list[Path]:
    """The journals that there are."""
    return sorted(DIRECTORY.glob("*.jsonl"))


def read(file: Path) -> Iterator[Committed]:
    """Read the facts of one with the present code."""
    for line in file.read_bytes().splitlines():
        row = orjson.loads(line)
        fact = decode(row["type"], row["body"])
        yield Committed(row["seq"], EPOCH + timedelta(microseconds=row["at"]), fact)


def worked(stage: Stage) -> str:
    """Do a bit of everything; the execution that is returned is open in the end, with two of its five slices done."""
    world = stage.start().world
    assert world.news.up is not None
    stage.accepted("0.5", id="lost", price="41000", twap=FIVE)
    stage.until("ChildAbsent")
    stage.buy(id="lost", price="41000", twap=FIVE)
    stage.buy("0.7", id="lost", price="41000", twap=FIVE)
    stage.buy("1e9", id="much")
    stage.until("ExecutionClosed")
    worked_on = stage.accepted("0.4", id="steered", price="43000", twap=FIVE)
    stage.until("ChildClosed", stage.count("ChildClosed") + 1)
    stage.command(PauseExecution, worked_on)
    stage.command(ResumeExecution, worked_on)
    stage.command(AmendExecution, worked_on, quantity=D("0.3"))
    stage.command(CancelExecution, worked_on)
    stage.accepted("0.2", id="rests", side="sell", price="44000", twap={"num_chunks": 2, "child": "passive"})
    stage.until("ChildAcknowledged", stage.count("ChildAcknowledged") + 1)
    world.news.up.exchange.tell(HaltTrading(reason="OPERATOR", detail="a look"))
    stage.run(5.0)
    world.news.up.exchange.tell(ResumeTrading(detail="all is well"))
    stage.until("ExecutionClosed", 3)
    stage.run(30.0)
    world.crash()
    stage.start()
    open_one = stage.accepted("0.5", id="open", price="45000", twap=FIVE)
    stage.until("ChildClosed", stage.count("ChildClosed") + 2)
    stage.run(2.0)
    return open_one


def main(version: str) -> None:
    """Write the journal of a version."""
    file = DIRECTORY / f"{version}.jsonl"
    if file.exists():
        raise SystemExit(f"{file} is there: what a version has written is never changed")
    faults = (
        Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,)),
        Fault(kind=FaultKind.STREAM_CUT, nth=(9,), milliseconds=3),
    )
    with Simulation(1) as simulation:
        stage = Stage(simulation, *faults)
        worked(stage)
        rows = [
            {
                "seq": one.seq,
                "at": microseconds(one.at),
                "type": type(one.fact).__name__,
                "body": encode(one.fact).decode(),
            }
            for one in stage.world.store.read()
        ]
        stage.world.stop()
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


if __name__ == "__main__":
    main(sys.argv[1])
