"""A daemon whose journal archives what no start needs goes on as if it had not."""

from __future__ import annotations

import pytest

from actors import journal, retention
from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from adapters.projection import Projection
from adapters.storage import memory
from messages.signal import Status
from tests.simulation.whole import D, Stage

A_DAY = 86_400.0
FIVE = {"num_chunks": 5, "interval_seconds": 10}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short tail, and a look every minute."""
    monkeypatch.setattr(retention, "TAIL", 5)
    monkeypatch.setattr(memory, "TAIL", 5)
    monkeypatch.setattr(journal, "FIRST_TIDY_SECONDS", 30.0)
    monkeypatch.setattr(journal, "TIDY_SECONDS", 30.0)
    monkeypatch.setattr("actors.order_watcher.actor.SUM_EVERY", 5)


def at_hand(stage: Stage) -> list[str]:
    return [type(one.fact).__name__ for one in stage.world.store.read(archived=False)]


def a_past(stage: Stage, *, days: float) -> str:
    """An execution that closed so many days ago, and one that has begun since."""
    old = stage.accepted("0.5", id="old", twap=FIVE)
    stage.report(old)
    stage.world.crash()
    stage.sim.step_clock(days * A_DAY)
    stage.start()
    return old


@pytest.mark.seeds(default=5)
def test_after_days_only_what_tells_a_signal_from_another_is_at_hand_and_a_restart_changes_nothing(seed: int) -> None:
    with Simulation(seed) as simulation:
        lost = Fault(kind=FaultKind.LOST_REPLY, nth=(2,))
        stage = Stage(simulation, lost).start()
        old = a_past(stage, days=3)
        young = stage.accepted("0.5", price="50000", twap=FIVE)
        stage.until("ChildClosed", 7)
        stage.run(65.0)
        of_old = [type(one.fact).__name__ for one in stage.world.store.read(execution_id=old, archived=False)]
        assert of_old == ["SignalAccepted", "ExecutionClosed"]
        stage.world.crash()
        before = stage.kinds()
        stage.start()
        assert "AlertRaised" not in stage.kinds()[len(before) :]
        again = stage.buy("0.5", id="old", twap=FIVE).verdict
        assert again is not None
        assert (again.status, again.duplicate_of) == (Status.DUPLICATE, old)
        assert stage.report(young).total_filled == D("0.5")
        assert len(list(stage.world.store.read(execution_id=old))) > 20, "nothing is lost"


def test_a_signal_whose_retention_is_over_leaves_no_trace_in_a_start_and_all_of_it_in_the_journal(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation).start()
    old = a_past(stage, days=9)
    stage.report(stage.accepted("0.5", id="young", price="50000", twap=FIVE))
    stage.run(65.0)
    assert list(stage.world.store.read(execution_id=old, archived=False)) == []
    view = Projection()
    for one in stage.world.store.read(execution_id=old):
        view.apply(one)
    told = view.execution(old)
    assert told is not None
    assert (told["state"], told["total_filled"]) == ("CLOSED", "0.5")
    stage.world.crash()
    before = len(stage.kinds())
    stage.start()
    stage.run(30.0)
    assert stage.kinds()[before:] == ["EpochStarted"]


def test_an_open_execution_is_gone_on_with_however_old(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 60})
    stage.until("ChildClosed", 2)
    stage.world.crash()
    simulation.step_clock(20 * A_DAY)
    stage.start()
    stage.run(50.0)
    stage.world.crash()
    stage.start()
    assert execution in {one.fact.execution_id for one in stage.world.store.read(archived=False)}
    assert stage.report(execution).total_filled > 0
