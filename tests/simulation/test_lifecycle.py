"""Stopping, starting again, halts, and an operator's commands on what runs."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pykka import ActorDeadError

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from messages.control import HaltTrading, Readiness, ResumeTrading, ShutDown
from messages.execution import AmendExecution, CancelExecution, CommandAnswer, PauseExecution, ResumeExecution
from tests.simulation.whole import D, Ear, Stage, own_trades

FIVE = {"num_chunks": 5, "interval_seconds": 10}


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    return Stage(simulation).start()


def up(stage: Stage) -> None:
    assert stage.world.news.readiness is Readiness.READY


# Stopping and starting ----------------------------------------------------------------------------


@pytest.mark.seeds(default=12)
def test_a_stop_in_the_middle_is_gone_on_from_at_the_next_start(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation).start()
        execution = stage.accepted("0.5", id="x", twap=FIVE)
        stage.run(simulation.stream("test").uniform(0.0, 42.0))
        asked = simulation.now()
        end = stage.world.stop()
        assert (end.exit_code, end.detail) == (0, "end of the run")
        assert simulation.now() - asked <= 20.5
        assert not [order for order in stage.orders() if order["status"] == "NEW"]
        sent = len(stage.requests())
        stage.run(simulation.stream("test").uniform(0.0, 25.0))
        assert len(stage.requests()) == sent, "nothing goes out while the daemon is down"
        stage.start()
        report = stage.report(execution)
        assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
        assert [line["incarnation"] for line in stage.lines("ExecutionStarted")] == [1, 2]
        assert [line["epoch"] for line in stage.lines("EpochStarted")] == [1, 2]
        again = stage.buy("0.5", id="x", twap=FIVE).verdict
        assert again is not None
        assert (again.status, again.duplicate_of) == ("duplicate", execution)
        stage.check()


def test_a_stop_waits_for_a_child_that_is_under_way(simulation: Simulation) -> None:
    slow = Fault(kind=FaultKind.LATE_EVENT, nth=(1, 2, 3, 4, 5, 6), milliseconds=1500)
    stage = Stage(simulation, slow, Fault(kind=FaultKind.LOST_REPLY, nth=(1,))).start()
    stage.accepted("0.01")
    stage.until("ChildIntended")
    asked = simulation.now()
    assert stage.world.stop().exit_code == 0
    assert simulation.now() - asked < 3.0
    assert stage.count("ChildClosed") == 1


def test_a_stop_waits_no_longer_than_it_may(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))).start()
    stage.accepted("0.01")
    stage.until("ChildUnknown")
    asked = simulation.now()
    assert stage.world.stop().exit_code == 0
    assert 15.0 < simulation.now() - asked <= 20.5
    stage.check_safety()


@pytest.mark.parametrize("start_at", [None, "2026-01-01T01:00:00Z"])
@pytest.mark.parametrize("handled", [1, 5, 9])
def test_a_stop_waits_for_the_verdict_of_a_signal_that_was_let_in(
    simulation: Simulation, handled: int, start_at: str | None
) -> None:
    stage = Stage(simulation).start()
    twap = {} if start_at is None else {"twap": {"start_at": start_at}}
    answer = stage.world.send({"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "id": "x", **twap})
    stage.handle(handled)
    asked = simulation.now()
    assert stage.world.stop().exit_code == 0
    assert simulation.now() - asked < 1.0
    assert answer.verdict is not None
    assert (answer.verdict.status == "accepted") is bool(stage.count("SignalAccepted"))


def test_a_stop_waits_no_longer_than_it_may_for_a_verdict(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.world.store.append_seconds = 22.0
    answer = stage.world.send({"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "id": "x"})
    simulation.tell_after(0.1, stage.world.daemon, ShutDown("asked to"))
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 100.0)
    assert stage.world.news.ended is not None
    assert stage.world.news.ended.exit_code == 0
    assert answer.verdict is None, "the gate was stopped at the deadline"
    stage.check_safety()


def test_while_it_stops_signals_are_told_so_and_nothing_new_is_sent(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))).start()
    stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 1})
    stage.until("ChildUnknown")
    stage.world.daemon.tell(ShutDown("asked to"))
    stage.run(0.1)
    verdict = stage.buy("0.01").verdict
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("rejected", "NOT_READY")
    stage.run(30.0)
    assert stage.count("ChildIntended") == 1
    assert stage.world.news.ended is not None
    assert stage.world.news.ended.exit_code == 0


def test_a_restart_at_rest_adds_nothing_but_its_epoch(stage: Stage) -> None:
    stage.report(stage.accepted("0.5", twap=FIVE))
    stage.world.stop()
    before, truth = stage.kinds(), stage.world.exchange.truth()
    for _ in range(3):
        stage.run(100.0)
        stage.start()
        stage.run(100.0)
        stage.world.stop()
    assert stage.kinds() == [*before, *["EpochStarted"] * 3]
    assert stage.world.exchange.truth() == truth
    stage.check()


# Halts --------------------------------------------------------------------------------------------


def halt(stage: Stage) -> None:
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(HaltTrading(reason="MANUAL", detail="a look at it"))
    stage.until("TradingHalted")
    stage.run(0.1)


def unhalt(stage: Stage) -> None:
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading(detail="all is well"))
    stage.until("TradingResumed")
    stage.run(0.1)


def test_in_a_halt_nothing_goes_out_and_after_it_all_is_made_up_for(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    halt(stage)
    verdict = stage.buy("0.01").verdict
    assert verdict is not None
    assert (verdict.status, verdict.reason, verdict.detail) == ("rejected", "HALTED", "MANUAL: a look at it")
    stage.run(60.0)
    assert len(stage.requests()) == 2
    unhalt(stage)
    report = stage.report(execution)
    assert report.total_filled == D("0.5")
    up(stage)
    stage.check()


def test_a_halt_outlasts_a_restart(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    halt(stage)
    stage.world.stop()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED
    stage.run(30.0)
    assert len(stage.requests()) == 2
    unhalt(stage)
    assert stage.report(execution).total_filled == D("0.5")
    stage.check()


@pytest.mark.seeds(default=25)
def test_a_halt_at_any_moment_lets_out_nothing_that_was_not_under_way(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation, check_codec=False).start()
        execution = stage.accepted("0.5", twap={"num_chunks": 4, "interval_seconds": 1})
        chance = simulation.stream("test")
        stage.until_handled(chance.randint(1, 60), after=chance.choice((0.0, 0.9, 1.9)))
        halt(stage)
        sent = len(stage.requests())
        stage.run(10.0)
        assert len(stage.requests()) <= sent + 1
        unhalt(stage)
        assert stage.report(execution).total_filled == D("0.5")
        stage.check()


# Commands -----------------------------------------------------------------------------------------


def test_a_paused_execution_waits_and_a_resumed_one_fills_all(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    assert stage.command(PauseExecution, execution).done
    assert stage.command(PauseExecution, execution).detail == "it is paused already"
    stage.run(120.0)
    assert len(stage.requests()) == 2
    assert stage.command(ResumeExecution, execution).done
    report = stage.report(execution)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    assert all(child.quantity <= D("0.2") for child in report.orders), "a pause is followed by no burst"
    stage.check()


def test_a_cancelled_execution_ends_with_what_it_has(stage: Stage) -> None:
    execution = stage.accepted("0.5", id="x", twap=FIVE)
    stage.until("ChildClosed", 2)
    assert stage.command(CancelExecution, execution).done
    report = stage.report(execution, 5.0)
    assert (report.stop_reason, report.total_filled) == ("CANCELLED: filled 40%", D("0.2"))
    assert stage.command(CancelExecution, execution).detail == "closed"
    again = stage.buy("0.5", id="x", twap=FIVE).verdict
    assert again is not None
    assert again.status == "duplicate"
    stage.check()


def test_a_clock_that_is_set_back_by_a_day_over_a_restart_costs_an_interval_and_no_day(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    stage.world.crash()
    stage.sim.step_clock(-86_400.0)
    stage.start()
    report = stage.report(execution, 60.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    bought = sum((D(trade["qty"]) for trade in own_trades(stage.world.exchange.truth())), D(0))
    assert bought == D("0.5"), "the audit goes by wall times, which say nothing here"


def test_an_amended_execution_fills_the_new_quantity_exactly(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 2)
    assert stage.command(AmendExecution, execution, quantity=D("0.35")).done
    assert not stage.command(AmendExecution, execution, quantity=D("0.6")).done
    assert not stage.command(AmendExecution, execution, quantity=D("0.1")).done
    report = stage.report(execution)
    assert (report.total_filled, report.quantity) == (D("0.35"), D("0.35"))
    stage.check()


def test_an_amended_worst_price_and_end_hold(stage: Stage) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 1)
    ends = stage.sim.wall_time() + timedelta(seconds=22)
    assert stage.command(AmendExecution, execution, limit_price=D(42_010), end_at=ends).done
    report = stage.report(execution)
    assert {line["limit_price"] for line in stage.lines("ChildIntended")[1:]} == {"42010"}
    assert report.stop_reason.startswith("END_OF_TIME")
    assert report.ended_at <= ends + timedelta(seconds=1)
    stage.check()


@pytest.mark.seeds(default=60)
def test_an_amendment_at_any_moment_is_never_exceeded(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation, check_codec=False).start()
        execution = stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": 2})
        stage.until("ChildClosed")
        stage.until_handled(simulation.stream("test").randint(1, 60), after=1.9)
        answers: list[CommandAnswer] = []
        amend = AmendExecution(execution_id=execution, reply_to=Ear(answers), quantity=D("0.3"))
        stage.world.command(amend)
        report = stage.report(execution)
        granted = any(answer.done for answer in answers)
        assert report.total_filled == (D("0.3") if granted else D("0.5"))
        stage.check()


def test_commands_on_nothing_are_answered(stage: Stage) -> None:
    assert stage.command(CancelExecution, "nosuchexecut1").detail == "no such execution"


COMMANDS: list[tuple[Any, str]] = [
    (PauseExecution, "ExecutionPaused"),
    (CancelExecution, "ExecutionCancelRequested"),
    (partial(AmendExecution, quantity=D("0.4")), "ExecutionAmended"),
]


@pytest.mark.parametrize("after", [3.0, 9.999])
@pytest.mark.parametrize("append_seconds", [0.0, 0.2])
@pytest.mark.parametrize(("command", "fact"), COMMANDS)
def test_a_stop_waits_for_the_answer_to_a_command_that_was_let_in(
    command: Any, fact: str, append_seconds: float, after: float
) -> None:
    for handled in range(5):
        with Simulation(handled) as simulation:
            stage = Stage(simulation, check_codec=False).start()
            execution = stage.accepted("0.5", twap=FIVE)
            stage.run(after)
            stage.world.store.append_seconds = append_seconds
            answers: list[CommandAnswer] = []
            stage.world.command(command(execution_id=execution, reply_to=Ear(answers)))
            stage.handle(handled)
            asked = simulation.now()
            assert stage.world.stop().exit_code == 0
            assert simulation.now() - asked < 2.0
            assert [answer.done for answer in answers] == [bool(stage.count(fact))], f"after {handled} messages"
            stage.check_safety()


def test_a_command_that_comes_while_it_stops_is_done_and_answered(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildUnknown")
    stage.world.daemon.tell(ShutDown("asked to"))
    stage.run(1.0)
    assert stage.command(CancelExecution, execution).done
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 30.0)
    stage.start()
    assert stage.report(execution).stop_reason.startswith("CANCELLED")
    stage.check()


@pytest.mark.seeds(default=10)
def test_a_command_at_the_last_moment_of_a_stop_is_answered(seed: int) -> None:
    for handled in range(20):
        with Simulation(seed) as simulation:
            stage = Stage(simulation, check_codec=False).start()
            execution = stage.accepted("0.5", twap=FIVE)
            stage.run(3.0)
            stage.world.daemon.tell(ShutDown("asked to"))
            stage.handle(handled)
            answers: list[CommandAnswer] = []
            with suppress(ActorDeadError):
                stage.world.command(PauseExecution(execution_id=execution, reply_to=Ear(answers)))
                stage.run(30.0)
                assert stage.world.news.ended is not None
                assert [answer.done for answer in answers] == [bool(stage.count("ExecutionPaused"))], handled


def test_a_stop_waits_no_longer_than_it_may_for_the_answer_to_a_command_and_says_that_it_is_in_doubt(
    stage: Stage,
) -> None:
    execution = stage.accepted("0.5", twap=FIVE)
    stage.run(3.0)
    stage.world.store.append_seconds = 21.0
    answers: list[CommandAnswer] = []
    stage.world.command(PauseExecution(execution_id=execution, reply_to=Ear(answers)))
    assert stage.world.stop().exit_code == 0
    [answer] = answers
    assert (answer.done, stage.count("ExecutionPaused")) == (False, 1)
    assert answer.detail == "the execution's actor stopped before this was durable: see whether it was done"


@pytest.mark.parametrize("append_seconds", [0.0, 0.2])
def test_a_halt_that_was_let_in_before_a_stop_is_durable(append_seconds: float) -> None:
    for handled in range(6):
        with Simulation(handled) as simulation:
            stage = Stage(simulation, check_codec=False).start()
            stage.accepted("0.5", twap=FIVE)
            stage.run(3.0)
            stage.world.store.append_seconds = append_seconds
            assert stage.world.news.up is not None
            stage.world.news.up.exchange.tell(HaltTrading(reason="MANUAL", detail="a look at it"))
            stage.handle(handled)
            assert stage.world.stop().exit_code == 0
            assert stage.count("TradingHalted") == 1
