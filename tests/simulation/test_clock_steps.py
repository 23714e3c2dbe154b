"""A wall clock that steps while the daemon runs: schedules and windows go on as if it had not."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from messages.execution import PauseExecution, ResumeExecution
from tests.simulation.whole import D, Stage

INTERVAL = 10
HOUR, DAY = 3600.0, 86_400.0


def intervals(stage: Stage) -> list[int]:
    """In which interval of the schedule each order reached the exchange, whose clock does not step."""
    sent = [int(entry["time"]) for entry in stage.world.exchange.truth()["received"]]
    return [(time - sent[0]) // (1000 * INTERVAL) for time in sent]


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started again"])
@pytest.mark.parametrize("step", [-DAY, -HOUR, HOUR, DAY])
@pytest.mark.parametrize("catch_up", ["none", "spread", "cap"])
def test_slots_that_are_behind_are_not_sent_in_a_burst_after_a_step_of_the_clock(
    simulation: Simulation, catch_up: str, step: float, *, restart: bool
) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": INTERVAL, "catch_up": catch_up})
    stage.run(5.0)
    assert stage.command(PauseExecution, of).done
    stage.run(32.0)
    stage.world.daemon_node.step_clock(step)
    if restart:
        stage.world.crash()
        stage.run(1.0)
        stage.start()
    assert stage.command(ResumeExecution, of).done
    assert stage.report(of).total_filled == D("0.5")
    assert len(set(intervals(stage))) == len(intervals(stage)), intervals(stage)


@pytest.mark.parametrize("crash_after", [37.5, 41.0])
def test_a_start_knows_by_the_venues_time_in_which_interval_the_last_child_was(
    simulation: Simulation, crash_after: float
) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": INTERVAL, "catch_up": "none"})
    stage.run(5.0)
    assert stage.command(PauseExecution, of).done
    stage.run(32.0)
    stage.world.daemon_node.step_clock(-HOUR)
    assert stage.command(ResumeExecution, of).done
    stage.run(crash_after - simulation.now())
    stage.world.crash()
    stage.start()
    assert stage.report(of).total_filled == D("0.5")
    assert len(set(intervals(stage))) == len(intervals(stage)), intervals(stage)
