"""The first messages of an execution's actor, while its acceptance is on its way to the disk: it fails at each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime import Simulation
from actors.twap.actor import TWAPActor
from tests.simulation.whole import D, Stage

TO_QUARANTINE = 3


def let_it_fail(patch: pytest.MonkeyPatch, nth: int, times: int, *, after: bool) -> None:
    """Let TWAPActors fail so many times, at the n-th message (a start is one) and those that follow it."""
    count = iter(range(1, 1_000_000))

    def failing(healthy: Callable[..., None]) -> Callable[..., None]:
        def turn(actor: TWAPActor, *messages: Any) -> None:
            fails = nth <= next(count) < nth + times
            if not fails or after:
                healthy(actor, *messages)
            if fails:
                raise ArithmeticError("of a test")

        return turn

    for name in ("begin", "on_receive"):
        patch.setattr(TWAPActor, name, failing(getattr(TWAPActor, name)))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("times", [1, TO_QUARANTINE])
@pytest.mark.parametrize("nth", range(1, 7))
def test_an_actor_that_fails_at_any_of_its_first_messages_doubles_and_forgets_nothing(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, nth: int, times: int, after: bool
) -> None:
    stage = Stage(simulation).start()
    let_it_fail(monkeypatch, nth, times, after=after)
    execution = stage.accepted("0.1", id="x", twap={"num_chunks": 2, "interval_seconds": 2})
    report = stage.report(execution, 60.0)
    assert len(simulation.claim_failures()) == times
    if times == TO_QUARANTINE:
        assert report.stop_reason == "QUARANTINED: ArithmeticError: of a test"
    else:
        assert (report.total_filled, report.stop_reason) == (D("0.1"), "COMPLETED")
    of_it = [line for line in stage.lines() if line["execution_id"] == execution]
    assert of_it[0]["type"] == "SignalAccepted"
    assert stage.count("ExecutionPlanned") <= 1
    incarnations = [line["incarnation"] for line in of_it if line["type"] == "ExecutionStarted"]
    assert incarnations == list(range(1, len(incarnations) + 1))
    sent = stage.count("ChildIntended") > 0
    again = stage.buy("0.1", id="x", twap={"num_chunks": 2, "interval_seconds": 2}).verdict
    assert again is not None
    assert (again.status == "duplicate") is sent, "what sent nothing frees its id"
    stage.world.settle(60.0)
    stage.check()
