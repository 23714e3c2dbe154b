"""Money that is taken from the account while an execution is worked: it ends, or waits, and never buys less unseen."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.runtime import Simulation
from tests.simulation.whole import D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}
LEFT = D(1000)
"""Not enough for a child, which costs 4,200."""


def begun(stage: Stage) -> str:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    return execution


def take_money(stage: Stage, *, told: bool) -> Decimal:
    """Withdraw what there is but a rest, half a second before the next slot; or `told`, long enough before it."""
    stage.run(0.0 if told else 9.5)
    free = stage.world.exchange.account.free
    taken, free["USDT"] = free["USDT"] - LEFT, LEFT
    return taken


def quantities(stage: Stage) -> set[Decimal]:
    return {D(line["quantity"]) for line in stage.lines("ChildIntended")}


@pytest.mark.parametrize("told", [False, True], ids=["found by a refusal", "known before"])
def test_a_balance_that_runs_short_ends_the_execution_which_says_so(simulation: Simulation, *, told: bool) -> None:
    stage = Stage(simulation).start()
    execution = begun(stage)
    take_money(stage, told=told)
    report = stage.report(execution, 60.0)
    assert report.stop_reason.startswith("BALANCE")
    assert report.total_filled == D("0.2")
    assert quantities(stage) == {D("0.1")}, "what cannot be paid is not made smaller"
    assert len(stage.requests()) == (2 if told else 3)
    stage.run(1.0)
    assert {line["kind"] for line in stage.lines("AlertRaised")} >= {"early_stop"}
    stage.check_safety()


@pytest.mark.parametrize("told", [False, True], ids=["found by a refusal", "known before"])
def test_where_it_may_wait_the_execution_pauses_until_the_money_is_back(simulation: Simulation, *, told: bool) -> None:
    stage = Stage(simulation, twap={"on_balance": "wait"}).start()
    execution = begun(stage)
    taken = take_money(stage, told=told)
    stage.run(90.0)
    assert stage.count("ExecutionClosed") == 0
    assert len(stage.requests()) <= 4, "what is known to be too dear is not asked for"
    stage.world.exchange.account.free["USDT"] += taken
    report = stage.report(execution, 180.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert max(quantities(stage)) <= D("0.2"), "no burst"
    assert {guard: seconds for guard, _, seconds in report.guard_waits_by}["BALANCE"] > 60
    stage.check_safety()
