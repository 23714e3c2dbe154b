"""Whatever a version has written, later ones take up where it was left."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.runtime import EPOCH, Simulation
from adapters.storage.memory import MemoryStore
from messages.facts import ExecutionClosed, SignalAccepted
from tests.simulation.old_journal import read, written
from tests.simulation.whole import D, Stage

FEWEST_KINDS = 26


def taken_up(simulation: Simulation, file: Path) -> Stage:
    """A daemon on an old journal; the exchange knows nothing of it, but goes on with higher numbers."""
    stage = Stage(simulation)
    store, facts = MemoryStore("simulation-1"), list(read(file))
    store.append(facts)
    stage.world.store = store
    for book in stage.world.exchange.engine.books.values():
        book.last_order_id = book.last_trade_id = 10_000
    simulation.run((facts[-1].at - EPOCH).total_seconds() + 1.0)
    return stage.start()


@pytest.mark.parametrize("file", written(), ids=lambda file: file.stem)
def test_the_open_execution_of_an_old_journal_is_worked_to_its_end(simulation: Simulation, file: Path) -> None:
    facts = [one.fact for one in read(file)]
    assert len({type(fact) for fact in facts}) >= FEWEST_KINDS
    closed = {fact.execution_id for fact in facts if isinstance(fact, ExecutionClosed)}
    (going_on,) = [fact for fact in facts if isinstance(fact, SignalAccepted) and fact.execution_id not in closed]
    stage = taken_up(simulation, file)
    report = stage.report(going_on.execution_id, 300.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    children = [line["client_order_id"] for line in stage.lines("ChildIntended")]
    assert len(set(children)) == len(children)
    assert len(stage.requests()) == 3, "two of five slices had been done"
    for fact in facts:
        if isinstance(fact, SignalAccepted):
            again = stage.buy(str(fact.signal.quantity), id=fact.signal.id, side=fact.signal.side.value).verdict
            assert again is not None
            assert again.execution_id is None, "an old signal was executed anew"
    assert stage.world.stop().exit_code == 0


def test_there_is_a_journal_of_each_version() -> None:
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = [line.split()[1] for line in changelog.splitlines() if line.startswith("## ")]
    assert versions == [file.stem for file in written()][::-1]
    assert versions
