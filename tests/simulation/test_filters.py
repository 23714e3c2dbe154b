"""The venue changes a symbol's filters while an execution runs: what is left is cut anew, and the sum stays exact."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.config import Config
from adapters.paper.faults import Fault, FaultKind
from messages.execution import StopReason
from messages.money import plain
from run import settings_of, start_daemon
from tests.simulation.whole import D, Stage

TWAP = {"num_chunks": 5, "interval_seconds": 10}


def a_stage(simulation: Simulation, *faults: Fault, reads_rules_every: float = 3600.0) -> Stage:
    """A stage whose daemon reads the rules that often."""
    stage, settings = Stage(simulation, *faults), settings_of(Config())
    exchange = replace(settings.exchange, rules_refresh_seconds=reads_rules_every)
    stage.world.start_daemon = partial(start_daemon, settings=replace(settings, exchange=exchange))
    return stage.start()


def change(stage: Stage, **filters: dict[str, str | int | bool]) -> None:
    """Have the venue change filters of BTC from now on."""
    for name, fields in filters.items():
        stage.world.exchange.set_filter("BTCUSDT", name, fields)


def sent(stage: Stage) -> list[Any]:
    """The quantities that the exchange took or refused, in order."""
    return [D(entry["quantity"]) for entry in stage.world.exchange.truth()["received"]]


@pytest.mark.parametrize("told", [False, True], ids=["learnt from a refusal", "read in time"])
def test_a_coarser_step_has_what_is_left_cut_anew_and_the_sum_stays_exact(
    simulation: Simulation, *, told: bool
) -> None:
    stage = a_stage(simulation, reads_rules_every=3.0 if told else 3600.0)
    of = stage.accepted("0.51234", twap=TWAP)
    stage.run(15.0)
    change(stage, LOT_SIZE={"stepSize": "0.01", "minQty": "0.01"})
    report = stage.report(of)
    filled = sum(sent(stage)[:2])
    assert report.total_filled == filled + (D("0.51234") - filled) // D("0.01") * D("0.01")
    assert (
        report.stop_reason
        == f"REFUSED: {plain(D('0.51234') - report.total_filled)} left, below what the venue takes now"
    )
    assert all(quantity % D("0.01") == 0 for quantity in sent(stage)[3:])
    assert stage.count("ChildRefused") == (0 if told else 1)
    stage.check()


def test_a_coarser_tick_is_taken_up_after_one_refusal(simulation: Simulation) -> None:
    stage = a_stage(simulation)
    of = stage.accepted("0.5", twap=TWAP)
    stage.run(15.0)
    change(stage, PRICE_FILTER={"tickSize": "10"})
    report = stage.report(of)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert stage.count("ChildRefused") == 1
    stage.check()


def test_a_finer_step_changes_nothing(simulation: Simulation) -> None:
    stage = a_stage(simulation, reads_rules_every=3.0)
    of = stage.accepted("0.5", twap=TWAP)
    stage.run(15.0)
    change(stage, LOT_SIZE={"stepSize": "0.00000001"})
    assert stage.report(of).total_filled == D("0.5")
    assert sent(stage) == [D("0.1")] * 5
    stage.check()


def test_a_least_notional_above_a_slice_merges_slices_as_far_as_the_cap_allows(simulation: Simulation) -> None:
    stage = a_stage(simulation, reads_rules_every=3.0)
    of = stage.accepted("0.5", twap=TWAP)
    stage.run(15.0)
    change(stage, NOTIONAL={"minNotional": "6000"})
    assert stage.report(of).total_filled == D("0.5")
    assert all(quantity * D(42_000) >= D(6_000) for quantity in sent(stage)[2:])
    stage.check()


def test_a_filter_that_refuses_again_ends_the_execution(simulation: Simulation) -> None:
    again = Fault(kind=FaultKind.REFUSE, nth=(2, 3), code=-1013, message="Filter failure: LOT_SIZE")
    stage = a_stage(simulation, again)
    report = stage.report(stage.accepted("0.5", twap=TWAP))
    assert report.stop_reason == f"{StopReason.REFUSED}: Filter failure: LOT_SIZE"
    assert report.total_filled == D("0.1")
    stage.check()


def test_a_start_cuts_what_is_left_by_the_rules_of_today(simulation: Simulation) -> None:
    stage = a_stage(simulation)
    of = stage.accepted("0.51234", twap=TWAP)
    stage.run(15.0)
    stage.world.crash()
    change(stage, LOT_SIZE={"stepSize": "0.01", "minQty": "0.01"})
    stage.start()
    report = stage.report(of)
    assert report.stop_reason.startswith("REFUSED: 0.00")
    assert stage.count("ChildRefused") == 0
    stage.check()
