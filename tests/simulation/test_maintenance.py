"""The exchange goes into maintenance while children rest: it ends them by itself, and shuts the symbol for a while."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.rules import SymbolStatus
from messages.ids import microseconds
from tests.simulation.whole import D, Stage

RESTING = {"num_chunks": 4, "interval_seconds": 15, "child": "passive"}
DEAF = (Fault(kind=FaultKind.LOST_EVENT, probability=1.0),)


def resting_with_a_part_filled(stage: Stage) -> str:
    """Work a buy whose first child rests at the touch and has been filled in part."""
    execution = stage.accepted("0.4", side="buy", twap=RESTING)
    stage.until("ChildAcknowledged")
    stage.levels([("41999.98", "100")], [("41999.99", "0.04"), ("42000.01", "100")])
    stage.run(0.5)
    return execution


def maintenance(stage: Stage) -> int:
    """End what rests and shut the symbol; return how many requests there have been."""
    exchange = stage.world.exchange
    (resting,) = exchange.engine.open.values()
    exchange.engine.expire(resting, microseconds(stage.sim.wall_time()))
    exchange.set_status("BTCUSDT", SymbolStatus.BREAK)
    stage.touch("41999.99", "42000.01")
    return len(stage.requests())


@pytest.mark.parametrize("faults", [(), DEAF], ids=["told by the stream", "found by queries"])
def test_what_was_filled_counts_nothing_is_sent_meanwhile_and_it_goes_on_afterwards(
    simulation: Simulation, faults: tuple[Fault, ...]
) -> None:
    stage = Stage(simulation, *faults, twap={"on_symbol_status": "wait"}).start()
    execution = resting_with_a_part_filled(stage)
    sent = maintenance(stage)
    stage.until("ChildClosed", seconds=40.0)
    (first,) = stage.lines("ChildClosed")[:1]
    assert first["failure_reason"] == "EXPIRED EXCHANGE_CANCELED"
    assert D(first["executed_quantity"]) == D("0.04")
    stage.run(120.0)
    assert len(stage.requests()) <= sent + 1, "what is shut is not knocked at"
    assert [line["kind"] for line in stage.lines("AlertRaised")].count("exchange_cancelled") == 1
    stage.world.exchange.set_status("BTCUSDT", SymbolStatus.TRADING)
    report = stage.report(execution, 300.0)
    assert (report.total_filled, report.stop_reason) == (D("0.4"), "COMPLETED")
    stage.check()


def test_by_default_the_execution_ends_with_what_was_filled(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = resting_with_a_part_filled(stage)
    sent = maintenance(stage)
    report = stage.report(execution, 60.0)
    assert report.stop_reason.startswith("SYMBOL_STATUS")
    assert report.total_filled == D("0.04")
    assert len(stage.requests()) <= sent + 1
    stage.check()


def test_where_the_symbol_still_trades_the_next_slot_goes_on(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = resting_with_a_part_filled(stage)
    maintenance(stage)
    stage.world.exchange.set_status("BTCUSDT", SymbolStatus.TRADING)
    report = stage.report(execution, 300.0)
    assert (report.total_filled, report.stop_reason) == (D("0.4"), "COMPLETED")
    stage.check()
