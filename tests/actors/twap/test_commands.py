"""TWAPActor by its messages: pause, resume, amend and cancel."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime import Simulation
from actors.twap.actor import _Due
from messages.control import Ping, Pong
from messages.execution import (
    AmendExecution,
    CancelExecution,
    ChildOutcome,
    PauseExecution,
    ResumeExecution,
    StopReason,
)
from messages.facts import (
    ChildAcknowledged,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
)
from messages.market import Await, Unawait
from messages.order import CancelChild, Decline, PlaceChild
from tests.actors.twap.stage import Stage, after, answered, command, crash, run_to
from tests.factories import EXECUTION, D, an_accepted, rules


def test_a_command_is_answered_only_when_it_is_durable(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.held = True
    command(PauseExecution, stage)
    stage.operator.expect_none(within=5.0)
    stage.journal.release()
    answered(stage, done=True)
    assert stage.journal.last(ExecutionPaused).execution_id == EXECUTION


def test_commands_that_an_actor_had_in_hand_when_it_failed_are_answered(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.held = True
    command(PauseExecution, stage)
    stage.operator.expect_none(within=1.0)
    stage.actor.tell("what is this?")
    unsure = "the execution's actor failed before this was durable: see whether it was done"
    answered(stage, done=False, detail=unsure)
    simulation.claim_failures()

    held = Stage(simulation)
    held.placed()  # Of the wish nothing is known yet, so an amendment waits.
    held.actor.tell(AmendExecution(execution_id=EXECUTION, reply_to=held.operator.ref, quantity=D("0.4")))
    held.operator.expect_none(within=0.0)
    held.actor.tell("what is this?")
    answered(held, done=False, detail="the execution's actor failed: ask again")
    simulation.claim_failures()


def test_why_it_is_paused_resumed_or_cancelled_is_kept_in_the_journal(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    for kind, why in (
        (PauseExecution, "news at two"),
        (ResumeExecution, "they were dull"),
        (CancelExecution, "enough"),
    ):
        command(kind, stage, detail=why)
        answered(stage, done=True)
    journal = stage.journal
    assert journal.last(ExecutionPaused).detail == "news at two"
    assert journal.last(ExecutionResumed).detail == "they were dull"
    assert journal.last(ExecutionCancelRequested).detail == "enough"


def test_a_paused_execution_sends_nothing_and_its_question_is_taken_back(simulation: Simulation) -> None:
    stage = Stage(simulation)
    question = stage.asked()
    command(PauseExecution, stage)
    answered(stage, done=True)
    stage.market.expect(Unawait(key=question.key), within=0.0)
    stage.answer(question)
    stage.exchange.expect_none(within=65.0)
    command(ResumeExecution, stage)
    answered(stage, done=True)
    place = stage.placed()
    assert (place.slice, place.quantity) == (2, D("0.16667"))
    assert stage.journal.of(ExecutionResumed)


def test_a_pause_survives_a_crash(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(PauseExecution, stage)
    answered(stage, done=True)
    crash(stage)
    stage.start()
    stage.market.expect_none(within=600.0)


def test_a_cancelled_execution_ends_with_what_it_has(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(CancelExecution, stage)
    answered(stage, done=True)
    assert stage.journal.of(ExecutionCancelRequested)
    assert stage.ended(StopReason.CANCELLED, "filled 20%").report.total_filled == D("0.1")


def test_a_cancel_reaches_a_child_that_rests(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    name = intent.client_order_id
    stage.journal.commit(
        ChildAcknowledged(
            execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", order_id=7, status="NEW", source="reply"
        )
    )
    command(CancelExecution, stage)
    stage.exchange.expect(
        CancelChild(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", order_id=7, reason="CANCELLED"),
        within=0.0,
    )
    stage.trade(intent, D("0.03"))
    stage.close(intent, D("0.03"), ChildOutcome.PARTIAL)
    stage.ended(StopReason.CANCELLED, "filled 6%")


def test_a_cancel_that_meets_an_unanswered_wish_waits_for_the_answer(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    command(CancelExecution, stage)
    stage.market.expect_none(within=1.0)
    stage.decline(place, Decline.CANCELLED)
    stage.ended(StopReason.CANCELLED)


def test_an_amendment_that_meets_an_unanswered_wish_waits_for_the_answer(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    place = stage.placed(within=31.0)
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.operator.expect_none(within=1.0)
    stage.intend(place)
    answered(stage, done=False, detail="0.2 is filled or under way")
    assert not stage.journal.of(ExecutionAmended)


def test_an_amendment_that_waited_for_a_decline_holds_for_what_follows(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    place = stage.placed(within=31.0)
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.decline(place, Decline.TOO_LATE)
    simulation.run(0.0)
    answered(stage, done=True)
    assert stage.placed(within=31.0).quantity <= D("0.05")


def test_an_amendment_that_waited_for_a_decline_that_ends_it_all_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.decline(place, Decline.SYMBOL_STATUS, detail="BREAK")
    simulation.run(0.0)
    answered(stage, done=False, detail="the execution is ending")
    stage.ended(StopReason.SYMBOL_STATUS, "BREAK")


def test_an_amended_quantity_is_shared_by_the_slots_that_are_left(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(AmendExecution, stage, quantity=D("0.300009"), limit_price=D(42_050), end_at=after(110))
    answered(stage, done=True)
    assert stage.journal.last(ExecutionAmended).quantity == D("0.3")
    place = stage.placed(within=31.0)
    assert (place.quantity, place.limit_price) == (D("0.05"), D(42_050))
    stage.fill(place)
    stage.fill(stage.placed(within=31.0))
    stage.fill(stage.placed(within=31.0))
    stage.ended(StopReason.END_OF_TIME, "filled 83.33%")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({}, "nothing to change"),
        ({"quantity": D("0.09")}, "0.1 is filled or under way"),
        ({"quantity": D("0.000001")}, "0.1 is filled or under way"),
        ({"quantity": D("0.6")}, "more than the 0.5 that were accepted needs a new signal"),
        ({"limit_price": D(0)}, "the worst price must be above 0"),
        ({"end_at": after(0)}, "the end has passed already"),
    ],
)
def test_an_amendment_that_makes_no_sense_is_refused(simulation: Simulation, what: dict[str, Any], why: str) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(AmendExecution, stage, **what)
    answered(stage, done=False, detail=why)
    assert not stage.journal.of(ExecutionAmended)


def test_a_command_that_changes_nothing_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(ResumeExecution, stage)
    answered(stage, done=False, detail="it is not paused")
    command(PauseExecution, stage)
    answered(stage, done=True)
    command(PauseExecution, stage)
    answered(stage, done=False, detail="it is paused already")


def test_an_ending_execution_takes_no_commands(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    command(CancelExecution, stage)
    answered(stage, done=True)
    command(PauseExecution, stage)
    answered(stage, done=False, detail="the execution is being cancelled")
    stage.close(intent, D(0), ChildOutcome.FAILED)
    last_look = stage.asked()
    command(PauseExecution, stage)
    answered(stage, done=False, detail="the execution is ending")
    stage.answer(last_look)
    stage.parent.expect_stopped(stage.actor)


def test_an_execution_whose_end_is_being_journalled_is_over(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed())
    stage.journal.held = True
    stage.answer(stage.asked())
    command(CancelExecution, stage)
    answered(stage, done=False, detail="the execution is ending")
    assert not stage.actor.actor_stopped.is_set()
    stage.journal.release()
    stage.parent.expect_stopped(stage.actor)


@pytest.mark.seeds(default=20)
def test_a_command_that_comes_before_the_past_is_folded_is_kept(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation)
        command(CancelExecution, stage)
        answered(stage, done=True)
        stage.answer(stage.market.fish_for(lambda message: isinstance(message, Await)))
        stage.parent.expect_stopped(stage.actor, within=0.0)
        assert stage.journal.last(ExecutionClosed).reason == "CANCELLED"


def test_a_timer_that_was_under_way_when_something_else_happened_is_ignored(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.run(0.0)
    stage.actor.tell(_Due(0))
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 1


def test_a_quarantined_execution_is_left_alone(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.commit(ExecutionQuarantined(execution_id=EXECUTION, detail="failed three times"))
    stage.parent.expect_stopped(stage.actor, within=0.0)
    assert not stage.journal.of(ExecutionClosed)


@pytest.mark.seeds(default=20)
def test_whatever_comes_at_the_moment_of_a_slot_there_is_one_question_for_it(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation)
        stage.fill(stage.placed())
        run_to(simulation, 29.999)
        simulation.tell_at(30.0, stage.actor, PauseExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
        simulation.tell_at(30.0, stage.actor, ResumeExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
        run_to(simulation, 31.0)
        messages = stage.market.messages()
        asked = [message for message in messages if isinstance(message, Await)]
        taken_back = [message for message in messages if isinstance(message, Unawait)]
        assert len(asked) == len(taken_back) + 1
        stage.answer(asked[-1])
        assert stage.exchange.expect(PlaceChild, within=0.0).slice == 1
        stage.exchange.expect_none(within=10.0)


def test_an_actor_proves_that_it_is_up(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.actor.tell(Ping(stage.operator.ref))
    stage.operator.expect(Pong(EXECUTION), within=0.0)


def test_a_child_is_never_above_the_venues_maximum(simulation: Simulation) -> None:
    stage = Stage(simulation, venue_rules=rules(max_quantity=D("0.12")))
    stage.answer(stage.asked(), failed="STALE_MARKET", waited=0.0)
    assert stage.placed(within=31.0).quantity == D("0.12")
