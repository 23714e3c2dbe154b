"""What may go wrong at the exchange and on the way to it, on the whole daemon; and actors that fail.

The first part walks through the faults that the specification must not bring back, by its own words.
"""

from __future__ import annotations

from decimal import Decimal

import pykka
import pytest

from actors.order_watcher.actor import OrderWatcher
from actors.runtime import Actor, Simulation
from actors.twap.actor import TWAPActor
from actors.twap.remains import Remains
from adapters.paper.faults import Fault, FaultKind, FaultPlan
from adapters.scenarios import drawn
from adapters.simulation import World, parse_export
from messages.execution import CancelExecution, ChildOutcome, CommandAnswer
from messages.order import OutcomeUnknown
from messages.signal import Status
from tests.probe import Probe
from tests.simulation.whole import DAEMON, TOUCHES, D, Ear, Stage, by_hand, own_trades

FIVE = {"num_chunks": 5, "interval_seconds": 10}


# Faults that must not come back -------------------------------------------------------------------


def test_fills_are_in_the_totals(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    truth = stage.world.exchange.truth()
    made = sum((D(trade["qty"]) for trade in own_trades(truth)), D(0))
    assert report.total_filled == made == D("0.5")
    assert report.filled_quote == sum((child.executed_quote for child in report.orders), D(0))


def test_a_child_that_nobody_has_heard_of_in_its_time_is_not_bought_again_by_the_last_one(
    simulation: Simulation,
) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, nth=(3,))
    deaf = Fault(kind=FaultKind.LATE_EVENT, nth=tuple(range(7, 16)), milliseconds=45_000)
    blind = Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=40_000)
    stage = Stage(simulation, lost, deaf, blind).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert stage.count("ChildUnknown") >= 1
    assert report.total_filled == D("0.5")
    bought = sum((D(t["qty"]) for t in own_trades(stage.world.exchange.truth())), D(0))
    assert bought == D("0.5")
    stage.check()


def test_partially_filled_is_not_taken_for_final(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.levels([("41999.99", "9")], [("42000.01", "0.05"), ("42000.02", "0.03"), ("42000.03", "9")])
    stage.run(2.0)
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    first = report.orders[0]
    assert (first.outcome, first.executed_quantity) == (ChildOutcome.FILLED, D("0.1"))
    assert [t["quantity"] for t in stage.lines("TradeBooked")][:3] == ["0.05", "0.03", "0.02"]
    assert stage.count("ChildClosed") == 5
    stage.check()


def test_the_average_price_is_that_of_the_trades_also_of_market_orders(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.levels([("41999", "9")], [("42001", "0.05"), ("42003", "9")])
    stage.run(2.0)
    report = stage.report(stage.accepted("0.1", twap={"num_chunks": 1, "child": "market"}))
    (order,) = stage.orders()
    assert (order["type"], Decimal(order["price"])) == ("MARKET", D(0))
    assert report.average_price == D(42_002)
    stage.check()


def test_fees_are_those_of_the_trades_also_when_only_queries_tell_of_the_fill(simulation: Simulation) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, nth=(1,))
    silent = Fault(kind=FaultKind.LOST_EVENT, probability=1.0)
    stage = Stage(simulation, lost, silent).start()
    report = stage.report(stage.accepted("0.01"))
    assert report.total_fees == (("BTC", D("0.00001")),)
    assert {line["source"] for line in stage.lines("TradeBooked")} == {"poll"}
    stage.check()


def test_an_error_of_the_market_is_no_fine_spread(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.levels([("42000.01", "9")], [("41999.99", "9")])  # Crossed: it cannot be true.
    stage.run(25.0)
    assert stage.count("ChildIntended") == 1
    stage.touch(*TOUCHES["BTCUSDT"])
    assert stage.report(execution).total_filled == D("0.5")
    stage.check()


def test_an_uneven_quantity_is_filled_to_the_step_and_not_a_step_more(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    report = stage.report(stage.accepted("0.10003999", twap={"num_chunks": 3, "interval_seconds": 1}))
    assert report.total_filled == D("0.10003")
    assert [child.quantity for child in report.orders] == [D("0.03335"), D("0.03334"), D("0.03334")]
    stage.check()


# The exchange -------------------------------------------------------------------------------------

HARMLESS = (
    Fault(kind=FaultKind.LOST_REPLY, probability=0.25),
    Fault(kind=FaultKind.LATE_EVENT, probability=0.25, milliseconds=3_000),
    Fault(kind=FaultKind.DUPLICATE_EVENT, probability=0.25),
    Fault(kind=FaultKind.LOST_EVENT, probability=0.25),
    Fault(kind=FaultKind.QUERY_LAG, probability=0.25, milliseconds=2_000),
)
"""Faults after which every order that was sent is found in the end."""


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=40)
def test_faults_that_hide_but_do_not_drop_orders_lose_and_double_nothing(seed: int) -> None:
    with Simulation(seed) as simulation:
        chance = simulation.stream("test")
        faults = FaultPlan([fault for fault in HARMLESS if chance.random() < 0.6], simulation.stream("faults"))
        world = World(simulation, DAEMON, faults=faults)
        world.start()
        began = simulation.now()
        for timed in drawn(seed).signals:
            simulation.run(max(0.0, began + timed.at - simulation.now()))
            world.send(timed.body)
        world.settle(3600.0)
        assert world.stop().exit_code == 0
        found = world.audit()
        assert found.ok, found.text()
        by_hand(parse_export(world.export()), world.exchange.truth(), world.answers)


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=40)
def test_requests_that_never_arrive_block_their_own_execution_alone(seed: int) -> None:
    with Simulation(seed) as simulation:
        drop = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))
        stage = Stage(simulation, drop, check_codec=False).start()
        first = stage.accepted("0.5", twap=FIVE)
        stage.until("ChildUnknown")
        other = stage.buy("0.5", price="44000", twap={"num_chunks": 3, "interval_seconds": 1}).verdict
        assert other is not None
        assert other.execution_id is not None
        assert stage.report(other.execution_id, 12.0).total_filled == D("0.5")
        mine = [line for line in stage.lines("ChildIntended") if line["execution_id"] == first]
        assert len(mine) == 2, "no other child of an execution goes while one is unknown"
        stage.check_safety()


@pytest.mark.parametrize(
    ("code", "message", "stop"),
    [
        (-1013, "Filter failure: MAX_POSITION", "REFUSED"),
        (-2010, "Account has insufficient balance for requested action.", "BALANCE"),
        (-2010, "Market is closed.", "SYMBOL_STATUS"),
        (-2015, "Invalid API-key, IP, or permissions for action.", "REFUSED"),
    ],
)
def test_a_refusal_that_would_come_again_ends_the_execution(
    simulation: Simulation, code: int, message: str, stop: str
) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.REFUSE, nth=(2,), code=code, message=message)).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert report.stop_reason.startswith(stop)
    assert report.total_filled == D("0.1")
    assert len(stage.requests()) == 2
    stage.check()


@pytest.mark.parametrize("code", [-1015, -1003])
def test_a_refusal_that_may_pass_leaves_it_to_later_slots(simulation: Simulation, code: int) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.REFUSE, nth=(2,), code=code, message="not now")).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert report.orders[1].outcome is ChildOutcome.FAILED
    stage.check()


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -1008, -1016, 500, 503])
def test_an_answer_that_leaves_it_open_is_never_a_refusal(simulation: Simulation, code: int) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.REFUSE, nth=(1,), code=code, message="?")).start()
    stage.accepted("0.5", twap=FIVE)
    stage.run(11.0)
    assert stage.count("ChildRefused") == 0
    assert stage.count("ChildUnknown") == 1
    assert len(stage.requests()) == 1
    stage.check_safety()


# Actors that fail ---------------------------------------------------------------------------------


def fail(simulation: Simulation, kind: type[Actor]) -> None:
    """Give the first actor of a kind something that it cannot bear."""
    ref = pykka.ActorRegistry.get_by_class(kind)[0]
    ref.tell("what is this?")
    simulation.run(0.0)
    assert len(simulation.claim_failures()) == 1


def test_a_command_that_an_actor_did_not_come_to_before_it_failed_is_answered(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=FIVE)
    heard: list[CommandAnswer] = []
    ref = pykka.ActorRegistry.get_by_class(TWAPActor)[0]
    ref.tell("what is this?")
    ref.tell(CancelExecution(execution_id=of, reply_to=Ear(heard)))
    simulation.run(1.0)
    assert len(simulation.claim_failures()) == 1
    (answer,) = heard
    assert not answer.done
    assert "ask again" in answer.detail
    assert stage.command(CancelExecution, of).done
    assert stage.report(of).stop_reason.startswith("CANCELLED")


def test_an_outcome_that_is_told_to_nobody_fails_a_simulation(simulation: Simulation) -> None:
    Stage(simulation).start()
    gone = Probe(simulation, "gone").ref
    gone.stop(block=False)
    simulation.run(0.0)
    simulation.send(gone, OutcomeUnknown(client_order_id="tgp-abc-0-0", detail="timeout"))
    assert simulation._unclaimed() is not None
    simulation.dead_letters.clear()


@pytest.mark.seeds(default=20)
def test_an_execution_whose_actor_fails_is_gone_on_with(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation, check_codec=False).start()
        execution = stage.accepted("0.5", twap=FIVE)
        for _ in range(2):
            stage.until_handled(simulation.stream("test").randint(1, 60))
            if stage.count("ExecutionClosed"):
                break
            fail(simulation, TWAPActor)
        report = stage.report(execution)
        assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
        stage.check()


def test_an_execution_whose_actor_fails_once_too_often_is_quarantined_and_the_others_go_on(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation).start()
    bad = stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 60})
    stage.until("ChildClosed")
    for _ in range(3):
        fail(simulation, TWAPActor)
    stage.until("ExecutionQuarantined")
    good = stage.buy("0.5", price="44000", twap=FIVE).verdict
    assert good is not None
    assert good.execution_id is not None
    assert stage.report(good.execution_id).total_filled == D("0.5")
    assert stage.lines("ExecutionQuarantined")[0]["execution_id"] == bad
    assert "quarantine" in " ".join(line["kind"] for line in stage.lines("AlertRaised"))
    stage.run(1.0)  # What the stream still tells of the last child finds somebody.
    stage.world.stop()
    stage.start()
    stage.run(300.0)
    assert sum(line["execution_id"] == bad for line in stage.lines("ChildIntended")) == 1, "it is left alone"
    (closed,) = [line for line in stage.lines("ExecutionClosed") if line["execution_id"] == bad]
    assert closed["reason"] == "QUARANTINED"
    assert D(closed["report"]["total_filled"]) == D("0.1"), "what was filled before is told"
    stage.check_safety()


def test_a_quarantined_execution_that_cannot_be_closed_is_an_alert_and_its_orders_are_watched_and_cancelled(
    simulation: Simulation,
) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("of a test")

    stage = Stage(simulation).start()
    bad = stage.accepted("0.4", twap={"num_chunks": 2, "interval_seconds": 600, "child": "passive"})
    stage.until("ChildAcknowledged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remains, "fold", broken)
        for _ in range(2):
            fail(simulation, TWAPActor)
        pykka.ActorRegistry.get_by_class(TWAPActor)[0].tell("what is this?")
        stage.until("ChildClosed", seconds=30.0)
        stage.run(5.0)
        assert len(simulation.claim_failures()) == 1 + 3, "it was tried three times, and not for ever"
        assert [line["unreported"] for line in stage.lines("ExecutionQuarantined")] == [False, True]
        raised = [line for line in stage.lines("AlertRaised") if line["kind"] == "unreported"]
        assert [line["subject"] for line in raised] == [bad]
        assert [order["status"] for order in stage.orders()] == ["CANCELED"]
        good = stage.buy("0.5", price="44000", twap=FIVE).verdict
        assert good is not None
        assert stage.report(good.execution_id or "").total_filled == D("0.5")
    stage.check_safety()
    # A version that can close it.
    stage.world.stop()
    stage.world.crash()  # The process is gone: what comes late for it goes nowhere.
    stage.start()
    stage.run(10.0)
    (closed,) = [line for line in stage.lines("ExecutionClosed") if line["execution_id"] == bad]
    assert closed["report"]["stop_reason"].startswith("QUARANTINED: AssertionError")
    cleared = [line["kind"] for line in stage.lines("AlertCleared")]
    assert cleared.count("unreported") == 1
    stage.check_safety()


def test_a_quarantined_execution_takes_up_no_place_of_another_once_nothing_of_it_is_open(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation, limits={"max_executions": 1}).start()
    stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 60})
    stage.until("ChildClosed")
    for _ in range(3):
        fail(simulation, TWAPActor)
    stage.until("ExecutionQuarantined")
    stage.run(5.0)
    verdict = stage.buy("0.5", price="44000", twap=FIVE).verdict
    assert verdict is not None
    assert verdict.status is Status.ACCEPTED, "one at a time is allowed, and none is under way"
    assert stage.report(verdict.execution_id or "").total_filled == D("0.5")
    stage.check_safety()


def test_a_critical_actor_that_fails_ends_the_process_and_the_next_start_goes_on(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    fail(simulation, OrderWatcher)
    stage.run(1.0)
    assert stage.world.news.ended is not None
    assert stage.world.news.ended.exit_code == 1
    assert "order_watcher failed" in stage.world.news.ended.detail
    sent = len(stage.requests())
    stage.run(30.0)
    assert len(stage.requests()) == sent
    stage.start()
    assert stage.report(execution).total_filled == D("0.5")
    stage.check()
