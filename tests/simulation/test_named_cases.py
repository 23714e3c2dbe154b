"""The cases that the specification names, on the whole daemon, with a market set by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from actors.runtime import EPOCH, Simulation
from adapters.paper.faults import Fault, FaultKind
from messages.execution import ChildOutcome
from tests.simulation.whole import TOUCHES, D, Stage, received

MID = "42000.00"


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    return Stage(simulation).start()


# Sliced or direct ---------------------------------------------------------------------------------


def test_half_a_bitcoin_at_42000_is_sliced_and_five_slices_fill_it_exactly(stage: Stage) -> None:
    report = stage.report(stage.accepted("0.5"))
    (planned,) = stage.lines("ExecutionPlanned")
    assert planned["plan"]["direct"] is False
    assert planned["plan"]["slices"] == ["0.1"] * 5
    assert planned["plan"]["interval_seconds"] == "30"
    assert (report.total_filled, report.quantity, report.chunks_executed) == (D("0.5"), D("0.5"), 5)
    assert sum((D(t["quantity"]) for t in stage.lines("TradeBooked")), D(0)) == D("0.5")
    assert (report.stop_reason, report.stopped_early) == ("COMPLETED", False)
    stage.check()


def test_each_slice_waits_for_its_slot(stage: Stage) -> None:
    stage.report(stage.accepted("0.5"))
    intents = stage.lines("ChildIntended")
    times = [entry["time"] for entry in received(stage.world.exchange.truth())]
    assert [intent["slice"] for intent in intents] == [0, 1, 2, 3, 4]
    assert all(29_950 <= later - earlier <= 30_050 for earlier, later in pairwise(times))


def test_a_hundredth_of_a_bitcoin_at_42000_goes_directly(stage: Stage) -> None:
    report = stage.report(stage.accepted("0.01"))
    (planned,) = stage.lines("ExecutionPlanned")
    assert planned["plan"]["direct"] is True
    assert (report.total_filled, report.children_sent, report.total_chunks) == (D("0.01"), 1, 1)
    assert report.execution_time_seconds < 1
    stage.check()


def test_a_tenth_of_what_stands_near_the_touch_is_sliced_whatever_it_is_worth(stage: Stage) -> None:
    stage.touch("41999.99", "42000.01", "0.1")
    stage.run(2.0)
    stage.report(stage.accepted("0.02"))
    (planned,) = stage.lines("ExecutionPlanned")
    assert planned["plan"]["direct"] is False
    stage.check()


# Guards -------------------------------------------------------------------------------------------


def test_a_move_from_42000_to_42500_stops_a_buy(stage: Stage) -> None:
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.touch("42499.99", "42500.01")
    report = stage.report(execution)
    assert (report.stop_reason, report.stopped_early) == ("PRICE_DEVIATION: 1.19%", True)
    assert (report.total_filled, report.chunks_executed) == (D("0.1"), 1)
    assert stage.count("ChildIntended") == 1
    stage.check()


def test_a_move_in_our_favour_stops_nothing(stage: Stage) -> None:
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.touch("41499.99", "41500.01")
    report = stage.report(execution)
    assert (report.stop_reason, report.total_filled) == ("COMPLETED", D("0.5"))
    assert report.arrival_slippage_bps is not None
    assert report.arrival_slippage_bps < -90
    stage.check()


def test_a_spread_of_0_6_percent_stops(stage: Stage) -> None:
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.touch("41874", "42126")
    report = stage.report(execution)
    assert report.stop_reason == "SPREAD_TOO_WIDE: 0.60%"
    assert report.total_filled == D("0.1")
    stage.check()


def test_a_guard_waits_and_the_child_goes_when_the_market_is_fit_again(stage: Stage) -> None:
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.touch("41874", "42126")
    stage.run(40.0)
    stage.touch(*TOUCHES["BTCUSDT"])
    report = stage.report(execution)
    assert (report.stop_reason, report.total_filled) == ("COMPLETED", D("0.5"))
    assert D("9.5") < report.guard_wait_seconds < D("11")
    stage.check()


def test_a_book_that_is_gone_is_no_fine_market(stage: Stage) -> None:
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.levels([], [])
    report = stage.report(execution)
    assert report.stopped_early
    assert report.stop_reason.startswith("STALE_MARKET")
    assert report.total_filled == D("0.1")
    assert stage.count("ChildIntended") == 1
    stage.check()


# Fills --------------------------------------------------------------------------------------------


def test_a_fill_is_awaited_before_the_next_child_goes(simulation: Simulation) -> None:
    lost = [
        Fault(kind=FaultKind.LOST_REPLY, nth=(1,)),
        Fault(kind=FaultKind.LATE_EVENT, nth=(1, 2, 3), milliseconds=900),
    ]
    stage = Stage(simulation, *lost).start()
    execution = stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": "0.5"})
    stage.report(execution)
    facts = [kind for kind in stage.kinds() if kind in {"ChildIntended", "ChildClosed"}]
    assert facts == ["ChildIntended", "ChildClosed"] * (len(facts) // 2)
    stage.check()


def test_a_partial_fill_is_seen_and_the_rest_goes_to_later_slots(stage: Stage) -> None:
    stage.touch("41999.99", "42000.01", "0.04")
    stage.run(2.0)
    execution = stage.accepted("0.5")
    stage.until("ChildClosed")
    stage.touch(*TOUCHES["BTCUSDT"])
    report = stage.report(execution)
    first = report.orders[0]
    assert (first.outcome, first.executed_quantity, first.quantity) == (ChildOutcome.PARTIAL, D("0.04"), D("0.1"))
    assert first.failure_reason is not None
    assert first.failure_reason.startswith("EXPIRED")
    assert report.total_filled == D("0.5")
    assert all(child.quantity <= D("0.2") for child in report.orders), "no later slice is above the catch-up cap"
    stage.check()


def test_a_partial_fill_of_a_direct_order_is_accepted_with_a_warning(stage: Stage) -> None:
    stage.levels([("41999.99", "9")], [("42000.01", "0.004"), ("43000", "9")])
    stage.run(2.0)
    report = stage.report(stage.accepted("0.01", twap={"num_chunks": 1}))
    stage.run(1.0)
    assert report.total_filled == D("0.004")
    assert report.stopped_early
    alerts = {alert["kind"]: alert["level"] for alert in stage.lines("AlertRaised")}
    assert alerts["partial_fill"] == "warning"
    stage.check()


def test_fills_of_an_expired_order_are_kept(stage: Stage) -> None:
    stage.touch("41999.99", "42000.01", "0.03")
    stage.run(2.0)
    execution = stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": "5"})
    report = stage.report(execution)
    order = stage.orders()[0]
    assert order["status"].startswith("EXPIRED")
    assert [child.executed_quantity for child in report.orders] == [D("0.03")] * 4
    assert report.total_filled == D("0.12")
    assert report.stop_reason.startswith("LIQUIDITY")
    stage.check()


def test_an_order_without_a_word_within_its_time_is_unknown_and_its_quantity_stays_reserved(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))).start()
    execution = stage.accepted("0.5")
    stage.until("ChildUnknown")
    stage.run(5.0)
    (unknown,) = stage.lines("ChildUnknown")
    assert unknown["execution_id"] == execution
    stage.run(4.0)
    assert stage.count("ChildIntended") == 2, "no other child goes while one is unknown"
    stage.check_safety()


def test_fees_are_summed_per_asset(stage: Stage) -> None:
    report = stage.report(stage.accepted("0.5"))
    assert report.total_fees == (("BTC", D("0.0005")),)
    sold = stage.world.send({"symbol": "BTCUSDT", "side": "sell", "quantity": "0.5"})
    stage.until("ExecutionClosed", 2)
    assert sold.verdict is not None
    assert sold.verdict.execution_id is not None
    report = stage.report(sold.verdict.execution_id)
    assert report.total_fees == (("USDT", report.filled_quote / 1000),)
    stage.check()


# Signals ------------------------------------------------------------------------------------------


def test_42150_then_42149_is_a_duplicate_also_after_the_execution_has_closed(stage: Stage) -> None:
    stage.touch("42149.99", "42150.01")
    stage.run(2.0)
    execution = stage.accepted("0.01", price="42150.0")
    stage.report(execution)
    again = stage.buy("0.01", price="42149.0").verdict
    assert again is not None
    assert (again.status, again.duplicate_of) == ("duplicate", execution)
    stage.run(599.0)
    again = stage.buy("0.01", price="42149.0").verdict
    assert again is not None
    assert again.status == "duplicate"
    stage.run(2.0)
    assert stage.accepted("0.01", price="42149.0") != execution
    stage.until("ExecutionClosed", 2)
    stage.check()


def test_the_label_is_as_people_read_it(stage: Stage) -> None:
    stage.touch("42150.74", "42150.76")
    stage.run(2.0)
    minute = EPOCH.replace(hour=17, minute=3, second=22)
    stage.sim.step_clock((minute - stage.sim.wall_time()).total_seconds())
    stage.run(2.0)
    stage.accepted("0.01", price="42150.75", timestamp=minute.isoformat())
    assert stage.lines("SignalAccepted")[0]["label"] == "BTCUSDT_BUY_42151_17:00"


def test_an_execution_that_never_sent_anything_frees_its_id(stage: Stage) -> None:
    execution = stage.accepted("0.5", id="x", limit_price="41000")
    report = stage.report(execution)
    assert (report.children_sent, report.stop_reason[:11]) == (0, "LIMIT_PRICE")
    assert stage.accepted("0.01", id="x") != execution
    stage.until("ExecutionClosed", 2)
    stage.check()
