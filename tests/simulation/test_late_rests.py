"""Orders that should rest, and whose way there goes wrong: one comes after its cancel, others find the market moved."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from messages.execution import CancelExecution
from tests.simulation.whole import D, Stage

PASSIVE = {"num_chunks": 2, "interval_seconds": 60, "child": "passive"}
WOULD_TAKE = "Order would immediately match and take."


@pytest.mark.parametrize("seconds", [0.5, 3.0, 9.0])
def test_an_order_that_comes_to_rest_after_its_cancel_found_nothing_is_found_and_taken_back(
    simulation: Simulation, seconds: float
) -> None:
    """The engine sits on it for 9.8 s; the cancel that comes before is told that there is no such order."""
    stage = Stage(simulation, Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=9_800)).start()
    execution = stage.accepted("0.4", twap=PASSIVE)
    stage.until("ChildIntended")
    stage.run(seconds)
    assert stage.command(CancelExecution, execution).done
    stage.run(9.7 - seconds)
    assert stage.orders() == []
    assert not {"ChildClosed", "ChildAbsent", "ExecutionClosed"} & set(stage.kinds()), "it may still come"
    stage.until("ExecutionClosed", seconds=120.0)
    (order,) = stage.orders()
    assert (order["status"], D(order["executedQty"])) == ("CANCELED", D(0))
    assert stage.count("ChildAbsent") == 0
    assert len(stage.requests()) == 1
    stage.check()


def test_a_post_that_would_take_is_priced_anew_twice_and_then_crosses_within_its_slot(simulation: Simulation) -> None:
    taking = Fault(kind=FaultKind.REFUSE, nth=(1, 2, 3), code=-2010, message=WOULD_TAKE)
    stage = Stage(simulation, taking).start()
    report = stage.report(stage.accepted("0.4", twap=PASSIVE))
    first = [line for line in stage.lines("ChildIntended") if line["slice"] == 0]
    assert [line["order_type"] for line in first] == ["LIMIT_MAKER"] * 3 + ["LIMIT"]
    assert [line["attempt"] for line in first] == [0, 1, 2, 3]
    assert (report.total_filled, report.stop_reason) == (D("0.4"), "COMPLETED")
    stage.check()
