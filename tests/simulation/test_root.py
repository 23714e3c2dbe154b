"""The root of all actors fails: nobody is above it to notice, so it says itself that the process has to end."""

from __future__ import annotations

from typing import Any

import pytest

from actors.daemon import Daemon
from actors.journal import Journal
from actors.runtime import Simulation
from tests.simulation.test_halts import actor_ref
from tests.simulation.whole import Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def test_a_root_that_fails_ends_the_process_and_the_next_start_goes_on(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    actor_ref(Daemon).tell("what is this?")
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 10.0)
    ended = stage.world.news.ended
    assert ended is not None
    assert ended.exit_code == 1
    assert "the root of all actors failed: AssertionError" in ended.detail
    assert len(simulation.claim_failures()) == 1
    stage.world.crash()
    stage.world.store.reopen()
    stage.start()
    assert str(stage.report(of).total_filled) == "0.5"


def test_a_root_that_cannot_even_begin_says_so(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("no journal today")

    monkeypatch.setattr(Journal, "__init__", broken)
    stage = Stage(simulation)
    stage.world.launch()
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 10.0)
    ended = stage.world.news.ended
    assert ended is not None
    assert (ended.exit_code, "no journal today" in ended.detail) == (1, True)
    simulation.claim_failures()
