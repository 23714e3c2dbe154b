"""How executions are worked, on the whole daemon: commands over a crash, guards that wait, what the market trades."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.rules import SymbolStatus
from adapters.scenarios import scenario_of
from adapters.simulation import simulate
from messages.execution import AmendExecution, CancelExecution, PauseExecution, ResumeExecution
from tests.simulation.whole import DAEMON, D, Stage, check_outcome, of_kind

FIVE = {"num_chunks": 5, "interval_seconds": 10}


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    return Stage(simulation).start()


# Commands over a crash ------------------------------------------------------------------------------


def begun(stage: Stage) -> str:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    return execution


def crash(stage: Stage) -> None:
    stage.world.crash()
    stage.start()


def test_a_pause_survives_a_crash_and_a_resume_another(stage: Stage) -> None:
    execution = begun(stage)
    assert stage.command(PauseExecution, execution).done
    crash(stage)
    stage.run(200.0)
    assert len(stage.requests()) == 2
    assert stage.command(PauseExecution, execution).detail == "it is paused already"
    assert stage.command(ResumeExecution, execution).done
    crash(stage)
    report = stage.report(execution)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert all(child.quantity <= D("0.2") for child in report.orders)
    stage.check()


def test_a_cancel_survives_a_crash(stage: Stage) -> None:
    execution = begun(stage)
    assert stage.command(CancelExecution, execution).done
    crash(stage)
    report = stage.report(execution, 30.0)
    assert (report.stop_reason, report.total_filled) == ("CANCELLED: filled 40%", D("0.2"))
    stage.run(100.0)
    assert len(stage.requests()) == 2
    stage.check()


def test_an_amended_quantity_survives_a_crash(stage: Stage) -> None:
    execution = begun(stage)
    assert stage.command(AmendExecution, execution, quantity=D("0.35")).done
    crash(stage)
    report = stage.report(execution)
    assert (report.total_filled, report.quantity, report.stop_reason) == (D("0.35"), D("0.35"), "COMPLETED")
    stage.check()


def test_an_amended_worst_price_survives_a_crash(stage: Stage) -> None:
    execution = begun(stage)
    assert stage.command(AmendExecution, execution, limit_price=D(42_010)).done
    crash(stage)
    report = stage.report(execution)
    assert report.total_filled == D("0.5")
    assert {line["limit_price"] for line in stage.lines("ChildIntended")[2:]} == {"42010"}
    stage.check()


def test_an_amended_end_survives_a_crash(stage: Stage) -> None:
    execution = begun(stage)
    ends = stage.sim.wall_time() + timedelta(seconds=12)
    assert stage.command(AmendExecution, execution, end_at=ends).done
    crash(stage)
    report = stage.report(execution)
    assert report.stop_reason.startswith("END_OF_TIME")
    assert report.ended_at <= ends + timedelta(seconds=1)
    stage.check()


@pytest.mark.parametrize("jitter", ["0.3", "0.5"])
def test_a_jittered_execution_goes_on_with_the_same_plan_after_a_crash(stage: Stage, jitter: str) -> None:
    execution = stage.accepted("0.5", twap={**FIVE, "jitter": jitter})
    stage.until("ChildClosed", 2)
    crash(stage)
    report = stage.report(execution)
    (planned,) = stage.lines("ExecutionPlanned")
    assert [str(child.quantity) for child in report.orders] == planned["plan"]["slices"]
    assert len(set(planned["plan"]["slices"])) == 5
    assert report.total_filled == D("0.5")
    stage.check()


# Guards that wait -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [SymbolStatus.BREAK, SymbolStatus.HALT])
def test_a_symbol_that_stops_trading_is_waited_for_and_the_execution_goes_on(
    simulation: Simulation, status: SymbolStatus
) -> None:
    stage = Stage(simulation, twap={"on_symbol_status": "wait"}).start()
    execution = begun(stage)
    stage.world.exchange.set_status("BTCUSDT", status)
    stage.run(90.0)
    refused = len(stage.requests())
    assert stage.count("ExecutionClosed") == 0
    assert refused <= 4, "what is known to be shut is not knocked at"
    stage.world.exchange.set_status("BTCUSDT", SymbolStatus.TRADING)
    report = stage.report(execution, 120.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert all(child.quantity <= D("0.2") for child in report.orders), "no burst"
    assert {guard: seconds for guard, _, seconds in report.guard_waits_by}["SYMBOL_STATUS"] > 60
    stage.check()


def test_a_symbol_that_stops_trading_ends_the_execution_by_default(stage: Stage) -> None:
    execution = begun(stage)
    stage.world.exchange.set_status("BTCUSDT", SymbolStatus.BREAK)
    assert stage.report(execution, 60.0).stop_reason.startswith("SYMBOL_STATUS")
    stage.check()


def test_a_spread_that_opens_is_waited_out_over_slots_without_a_burst(simulation: Simulation) -> None:
    stage = Stage(simulation, twap={"on_spread": "wait"}).start()
    execution = begun(stage)
    stage.touch("41800", "42200")
    stage.run(60.0)
    stage.touch("41999.99", "42000.01")
    report = stage.report(execution, 120.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert all(child.quantity <= D("0.2") for child in report.orders)
    stage.check()


def test_a_spread_that_stays_open_ends_it_when_the_patience_is_over(simulation: Simulation) -> None:
    stage = Stage(simulation, twap={"on_spread": "wait", "guard_patience_seconds": "45"}).start()
    execution = begun(stage)
    stage.touch("41800", "42200")
    report = stage.report(execution, 120.0)
    assert report.stop_reason == "SPREAD_TOO_WIDE: 0.95%"
    assert report.guard_wait_seconds >= 45
    stage.check()


# What the market trades -----------------------------------------------------------------------------


def lines_by_execution(lines: Any) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        found[line.get("execution_id", "")].append(line)
    return found


@pytest.mark.parametrize("preset", ["btc", "alt", "stress"])
def test_an_execution_keeps_to_its_share_of_what_the_market_trades(preset: Any) -> None:
    share = D("0.05")
    signal = {
        "symbol": "BTCUSDT",
        "side": "buy",
        "quantity": "6",
        "twap": {"num_chunks": 6, "interval_seconds": "10", "max_participation": str(share), "jitter": "0.2"},
    }
    outcome = simulate(
        scenario_of([signal]), 3, DAEMON, paper=PaperSettings(markets=MarketChoice(seed=3, preset=preset))
    )
    check_outcome(outcome)
    (execution,) = [closed.execution_id for closed in outcome.closed]
    taken = D(0)
    volumes: list[Decimal] = []
    for line in lines_by_execution(outcome.lines)[execution]:
        if line["type"] == "ChildIntended":
            volumes.append(D(line["market_volume"]))
            assert taken + D(line["quantity"]) <= share * volumes[-1]
        elif line["type"] == "TradeBooked":
            taken += D(line["quantity"])
    assert volumes == sorted(volumes)
    assert taken > 0 or preset != "btc"
    report = outcome.closed[0].report
    assert report.participation is None or report.participation <= share


def test_a_market_in_which_nobody_trades_is_not_traded_in(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap={**FIVE, "max_participation": "0.5"})
    report = stage.report(execution)
    assert report.stop_reason.startswith("LIQUIDITY: the market trades too little")
    assert report.total_filled == 0
    assert not of_kind(stage.lines(), "ChildIntended")
    stage.check()
