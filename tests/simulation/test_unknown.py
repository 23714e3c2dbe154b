"""Unknown outcomes on the whole daemon: found where they happened, proven away where they did not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.paper.audit import Limits, audit
from adapters.paper.faults import Fault, FaultKind
from adapters.scenarios import drawn
from adapters.simulation import parse_export, stamped
from messages.ids import milliseconds
from messages.order import OrderStatus
from run import start_daemon
from tests.simulation.whole import D, Stage, World

FIVE = {"num_chunks": 5, "interval_seconds": 30}
DIRECT = {"num_chunks": 1}
WINDOW = 2.0
DEAF = Fault(kind=FaultKind.LOST_EVENT, probability=1.0)


def moment(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["at"])


def waited(stage: Stage, kind: str = "ChildAbsent", number: int = 0) -> float:
    """Seconds from a child's timestamp to the fact about it."""
    line = stage.lines(kind)[number]
    (intent,) = [one for one in stage.lines("ChildIntended") if one["client_order_id"] == line["client_order_id"]]
    return (milliseconds(moment(line)) - intent["request_timestamp"]) / 1000


def test_an_order_that_never_arrived_is_proven_absent_in_time_and_tried_again_in_its_slot(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert WINDOW + 15 <= waited(stage) <= WINDOW + 20
    assert "the user stream" in stage.lines("ChildAbsent")[0]["proof"]
    (fence,) = stage.lines("ChildCancelRequested")
    assert fence["reason"] == "fence"
    assert [(child.slice, child.attempt) for child in report.orders] == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)]
    assert report.total_filled == D("0.5")
    stage.check()


def test_without_a_control_an_absence_takes_a_minute(simulation: Simulation) -> None:
    dropped = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))
    cut = Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=40_000)
    stage = Stage(simulation, dropped, cut).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert WINDOW + 60 <= waited(stage) <= WINDOW + 65
    assert "no sign within 60 s" in stage.lines("ChildAbsent")[0]["proof"]
    assert report.total_filled == D("0.5")
    stage.check()


def test_only_its_own_execution_waits_for_an_unknown_outcome(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))).start()
    waiting = stage.accepted("0.5", twap=FIVE)
    other = stage.world.send({"symbol": "ETHUSDT", "side": "sell", "quantity": "0.3"})
    stage.run(10.0)
    assert other.verdict is not None
    assert other.verdict.execution_id in stage.world.news.closed
    assert [line["execution_id"] for line in stage.lines("ChildIntended")].count(waiting) == 1


@pytest.mark.parametrize("lag", [500, 12_000, 45_000])
def test_a_lost_reply_is_found_within_two_seconds_of_its_being_shown_on_any_path(
    simulation: Simulation, lag: int
) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, nth=(1,))
    blind = Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=1_000_000)
    late = Fault(kind=FaultKind.LIST_LAG, probability=1.0, milliseconds=lag)
    stage = Stage(simulation, lost, blind, late, DEAF).start()
    report = stage.report(stage.accepted("0.01", twap=DIRECT))
    if lag < 15_000:
        assert waited(stage, "ChildAcknowledged") <= lag / 1000 + 2.5
        assert stage.count("ChildAbsent") == 0
    assert report.total_filled == D("0.01")


def test_an_order_that_the_engine_takes_up_late_is_never_called_absent(simulation: Simulation) -> None:
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=9_900)
    stage = Stage(simulation, slow).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert stage.count("ChildUnknown") == 1
    assert stage.count("ChildAbsent") == 0
    assert report.total_filled == D("0.5")
    stage.check()


def test_an_order_that_arrives_after_its_window_is_refused_by_the_exchange_itself(simulation: Simulation) -> None:
    late = Fault(kind=FaultKind.LATE_REQUEST, nth=(1,), milliseconds=2_500)
    stage = Stage(simulation, late).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    codes = [entry.get("code") for entry in stage.world.exchange.truth()["received"]]  # type: ignore[attr-defined]
    assert codes[0] == -1021
    assert stage.count("ChildAbsent") == 1
    assert report.total_filled == D("0.5")
    stage.check()


def test_queries_that_fail_leave_it_unknown_and_its_quantity_reserved(simulation: Simulation) -> None:
    dropped = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))
    stage = Stage(simulation, dropped).start()
    stage.accepted("0.5", twap=FIVE)
    stage.run(1.5)
    stage.world.venue.proxy()  # The venue lives; its queries are made sick from here on.
    stage.world.exchange.limits  # noqa: B018 - the exchange itself stays well
    sick(stage, sick=True)
    stage.run(200.0)
    assert stage.count("ChildAbsent") == 0
    assert stage.count("ChildIntended") == 1
    sick(stage, sick=False)
    stage.until("ChildAbsent", seconds=35.0)


def sick(stage: Stage, *, sick: bool) -> None:
    raise NotImplementedError


def test_an_order_that_comes_to_light_after_its_proof_is_counted_and_corrects_the_report(
    simulation: Simulation,
) -> None:
    """Beyond what is assumed: an engine that sits on an order for two minutes."""
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1, 2), milliseconds=120_000)
    stage = Stage(simulation, slow).start()
    of = stage.accepted("0.01", twap={**DIRECT, "end_at": "2026-01-01T00:01:00Z"})
    report = stage.report(of)
    assert report.total_filled == 0
    stage.run(120.0)
    assert stage.count("AttemptReappeared") >= 1
    assert stage.lines("ExecutionCorrected")[0]["total_filled"] == "0.01"


def test_a_restart_at_rest_changes_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    before, requests = stage.kinds(), stage.requests()
    for _ in range(2):
        stage.world.crash()
        stage.start()
        stage.run(60.0)
    added = stage.kinds()[len(before) :]
    assert added == ["EpochStarted", "EpochStarted"]
    assert stage.requests() == requests


def test_a_balance_that_no_trade_explains_is_told_once_at_the_next_start(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.world.crash()
    stage.world.exchange.account.deposit("USDT", D(5)) if hasattr(stage.world.exchange.account, "deposit") else None


def test_an_intent_lost_in_a_crash_is_resolved_in_time_without_a_second_order(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildIntended", 2)
    stage.world.crash()
    stage.run(1.0)
    stage.start()
    report = stage.report(of)
    assert stage.count("ChildUnknown") == 1
    assert report.total_filled == D("0.5")
    if stage.count("ChildAbsent"):
        assert waited(stage) <= WINDOW + 65
    stage.check()


KINDS = (
    Fault(kind=FaultKind.LOST_REPLY, probability=0.25),
    Fault(kind=FaultKind.DROPPED_REQUEST, probability=0.25),
    Fault(kind=FaultKind.LATE_REQUEST, probability=0.2, milliseconds=1_500),
    Fault(kind=FaultKind.LATE_REQUEST, probability=0.2, milliseconds=4_000),
    Fault(kind=FaultKind.SLOW_ENGINE, probability=0.2, milliseconds=9_000),
    Fault(kind=FaultKind.REFUSE, probability=0.1, code=-1021, message="Timestamp for this request is outside"),
    Fault(kind=FaultKind.REFUSE, probability=0.1, code=-1007, message="Timeout"),
    Fault(kind=FaultKind.LATE_EVENT, probability=0.25, milliseconds=5_000),
    Fault(kind=FaultKind.DUPLICATE_EVENT, probability=0.25),
    Fault(kind=FaultKind.LOST_EVENT, probability=0.25),
    Fault(kind=FaultKind.STREAM_CUT, probability=0.1, milliseconds=20_000),
    Fault(kind=FaultKind.QUERY_LAG, probability=0.25, milliseconds=10_000),
    Fault(kind=FaultKind.LIST_LAG, probability=0.25, milliseconds=10_000),
    Fault(kind=FaultKind.FAILED_QUERY, probability=0.25),
    Fault(kind=FaultKind.DROPPED_CANCEL, probability=0.25),
    Fault(kind=FaultKind.LOST_CANCEL_REPLY, probability=0.25),
)


@pytest.mark.seeds(default=25)
def test_under_any_mixture_of_faults_and_crashes_all_converges_and_nothing_is_lost_or_doubled(seed: int) -> None:
    with Simulation(seed) as sim:
        chance = sim.stream("course")
        faults = [fault for fault in KINDS if chance.random() < 0.3]
        stage = Stage(sim, *faults, check_codec=False)
        world = stage.world
        stage.start()
        began, scenario = sim.now(), drawn(seed)
        for timed in scenario.signals:
            sim.run(max(0.0, began + timed.at - sim.now()))
            if chance.random() < 0.3:
                crashes = world.daemon_node.crashes
                world.daemon_node.crash_at(world.daemon_node.handled + chance.randint(1, 80))
                world.send(stamped(timed, sim))
                if sim.run_until(lambda: world.daemon_node.crashes > crashes, 30):
                    world.store.reopen()
                    sim.run(chance.uniform(0, 20))
                    stage.start()
                else:
                    world.daemon_node.calm()
            else:
                world.send(stamped(timed, sim))
        assert sim.run_until(lambda: not world.news.open, 7200), f"open: {list(world.news.open)}"
        world.stop()
        truth = world.exchange.truth()
        found = audit(
            parse_export(world.export()),
            truth,
            limits=Limits(transit=timedelta(seconds=12)),
            initial_balances=world.paper.balances,
        )
        assert found.ok, found.text()
        for order in truth["orders"]:  # type: ignore[attr-defined]
            assert OrderStatus(order["status"]).final
