"""TWAPActor by its messages: what it goes on with when it is started again."""

from __future__ import annotations

from actors.runtime import Simulation
from messages.execution import CancelExecution, ChildOutcome, PauseExecution, ResumeExecution, StopReason
from messages.facts import AttemptReappeared, ChildAbsent, ExecutionClosed, ExecutionPlanned, ExecutionStarted
from messages.market import Unawait
from messages.order import Decline
from tests.actors.twap.stage import Stage, answered, command, crash, run_to
from tests.factories import EXECUTION, D, a_quote, an_accepted


def test_a_second_incarnation_goes_on_where_the_journal_ends(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.fill(stage.placed(within=31.0), "0.5")
    crash(stage)
    stage.start()
    place = stage.placed(within=31.0)
    assert stage.journal.last(ExecutionStarted).incarnation == place.incarnation == 2
    assert len(stage.journal.of(ExecutionPlanned)) == 1
    assert (simulation.now(), place.slice) == (60.0, 2)
    assert place.quantity == D("0.11667")
    assert stage.state == stage.refolded()


def test_a_child_intended_before_a_crash_is_waited_for_after_it(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    crash(stage)
    intent = stage.intend(place)
    stage.start()
    stage.market.expect_none(within=10.0)
    stage.trade(intent, place.quantity)
    stage.close(intent, place.quantity, ChildOutcome.FILLED)
    assert stage.placed(within=31.0).slice == 1


def test_a_child_of_an_older_incarnation_that_comes_late_counts(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    stage.start()
    new = stage.placed()
    assert (old.slice, new.slice) == (0, 0)
    intent = stage.intend(old)
    stage.decline(new, Decline.SEEN)
    stage.trade(intent, old.quantity)
    stage.close(intent, old.quantity, ChildOutcome.FILLED)
    place = stage.placed(within=31.0)
    assert (place.slice, place.quantity) == (1, D("0.1"))


def test_a_later_incarnation_decides_nothing_before_all_intents_of_the_earlier_ones_are_known(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    stage.journal.held = True  # It commits slowly: the old wish's intent stands before all that follows.
    stage.start()
    command(CancelExecution, stage)
    stage.market.expect_none(within=1.0)
    intent = stage.intend(old)
    stage.journal.release()
    answered(stage, done=True)
    stage.market.expect_none(within=60.0)
    stage.trade(intent, old.quantity)
    stage.close(intent, old.quantity, ChildOutcome.FILLED)
    closed = stage.ended(StopReason.CANCELLED, "filled 20%")
    assert (closed.children, closed.report.total_filled) == (1, D("0.1"))


def test_a_late_child_of_another_slot_does_not_answer_the_wish(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    run_to(simulation, 35.0)
    stage.start()
    new = stage.placed()
    assert (old.slice, new.slice) == (0, 1)
    late = stage.intend(old)
    simulation.run(0.0)
    stage.decline(new, Decline.OVER_QUANTITY)
    stage.market.expect_none(within=20.0)
    stage.trade(late, D("0.1"))
    stage.close(late, D("0.1"), ChildOutcome.FILLED)
    stage.market.expect_none(within=4.9)  # There is one child an interval at most.
    assert stage.placed(within=0.2).quantity == D("0.13334")


def test_an_unanswered_wish_counts_as_open_whatever_else_ends(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    run_to(simulation, 35.0)
    stage.start()
    new = stage.placed()
    stage.fill(old)
    stage.market.expect_none(within=300.0)
    stage.fill(new)
    assert stage.placed(within=31.0).slice > new.slice


def test_the_running_mid_goes_on_after_a_start(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed(quote=a_quote(integral=D(0), integral_seconds=D(0))))
    later = a_quote(integral=D(420_000), integral_seconds=D(10))
    stage.fill(stage.placed(within=31.0, quote=later))
    crash(stage)
    stage.start()
    place = stage.placed(within=31.0, quote=a_quote(integral=D(42_000), integral_seconds=D(1)))
    assert (place.mid_integral, place.mid_seconds) == (D(420_000), D(10))


def test_an_execution_that_is_closed_is_not_taken_up(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed())
    stage.ended(StopReason.COMPLETED)
    facts = len(stage.journal.facts)
    stage.start()
    stage.parent.expect_stopped(stage.actor)
    assert len(stage.journal.facts) == facts


def test_a_failed_actor_leaves_no_timer_and_no_question_behind(simulation: Simulation) -> None:
    stage = Stage(simulation)
    question = stage.asked()
    crash(stage)
    stage.market.expect(Unawait(key=question.key), within=0.0)
    stage.start()
    stage.fill(stage.placed())
    crash(stage)
    simulation.run(3600.0)
    assert simulation.dead_letters == []


def test_a_child_that_shows_up_during_the_last_look_is_waited_for(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    stage.journal.commit(
        ChildAbsent(
            execution_id=EXECUTION, client_order_id=intent.client_order_id, symbol="BTCUSDT", proof="seen nowhere"
        )
    )
    stage.answer(stage.asked(within=31.0), failed="PRICE_DEVIATION", detail="1.19%")
    last_look = stage.asked()
    stage.journal.commit(
        AttemptReappeared(
            execution_id=EXECUTION,
            client_order_id=intent.client_order_id,
            symbol="BTCUSDT",
            order_id=1,
            status="NEW",
            executed_quantity=D(0),
        )
    )
    stage.answer(last_look)
    stage.market.expect_none(within=10.0)
    assert not stage.journal.of(ExecutionClosed)
    stage.trade(intent, D("0.1"))
    stage.close(intent, D("0.1"), ChildOutcome.FILLED)
    assert stage.placed(within=31.0).quantity == D("0.1")


def test_what_the_actor_folded_live_is_what_the_journal_folds_to(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed(waited=1.5))
    stage.answer(stage.asked(within=31.0), failed="STALE_MARKET", waited=0.0)
    stage.fill(stage.placed(within=31.0), "0.5")
    command(PauseExecution, stage)
    run_to(simulation, 200.0)
    command(ResumeExecution, stage)
    stage.fill(stage.placed())
    simulation.run(0.0)
    assert stage.state == stage.refolded()
