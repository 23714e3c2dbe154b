"""TWAPActor by its messages, in virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from actors.runtime import Simulation
from actors.supervision import ChildStopped
from messages.execution import ChildOutcome, StopReason
from messages.facts import (
    ChildAbsent,
    ChildRefused,
    ChildUnknown,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionStarted,
    SlotSkipped,
)
from messages.market import Await, Bounds, Unawait
from messages.order import Decline, PlaceChild
from messages.signal import Side, TwapOptions
from tests.actors.twap.stage import Stage, after, run_to
from tests.factories import EXECUTION, D, a_quote, a_signal, an_accepted
from tests.journal_stub import JournalStub

# The even course ----------------------------------------------------------------------------------


def test_an_execution_is_planned_and_taken_up_before_anything_else(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.asked()
    planned, started = stage.journal.facts
    assert isinstance(planned, ExecutionPlanned)
    assert planned.plan.slices == (D("0.1"),) * 5
    assert planned.plan.start_at == after(0)
    assert started == ExecutionStarted(execution_id=EXECUTION, incarnation=1)


def test_nothing_is_done_before_the_journal_has_told_of_the_acceptance(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JournalStub, "on_receive", lambda *_: None)
    stage = Stage(simulation)
    stage.market.expect_none(within=3600.0)
    stage.exchange.expect_none()
    assert stage.journal.facts == []


def test_a_due_slot_is_two_messages_away_from_its_child(simulation: Simulation) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    assert await_ == Await(
        key=(EXECUTION, await_.key[1]),
        symbol="BTCUSDT",
        bounds=Bounds(
            side=Side.BUY,
            arrival_price=D(42_000),
            max_spread=D("0.005"),
            max_deviation=D("0.01"),
            limit_price=None,
            max_age=5.0,
        ),
        deadline=30.0,
        reply_to=stage.actor,
        beside="BNBUSDT",
    )
    quote = a_quote(42_009, 42_011)
    stage.answer(await_, quote, waited=0.25)
    assert stage.exchange.expect(PlaceChild, within=0.0) == PlaceChild(
        execution_id=EXECUTION,
        incarnation=1,
        slice=0,
        attempt=0,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=D("0.1"),
        limit_price=D("42095.03"),
        not_after=30.0,
        quote=quote,
        quote_age=0.02,
        deviation=D(10) / 42_000,
        mid_integral=D(0),
        mid_seconds=D(0),
        reply_to=stage.actor,
        waited_seconds=D("0.25"),
        accepted=stage.accepted,
    )
    assert simulation.now() == 0.0


@pytest.mark.parametrize("declined", [False, True])
def test_a_child_brings_the_acceptance_until_another_was_answered(simulation: Simulation, declined: bool) -> None:
    stage = Stage(simulation)
    first = stage.placed()
    assert first.accepted is stage.accepted
    if declined:
        stage.decline(first, Decline.OVER_QUANTITY)
    else:
        stage.fill(first)
    assert stage.placed(within=30.0).accepted is None


def test_a_child_brings_the_acceptance_also_after_that_is_durable_for_exchange_actor_may_be_told_later(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    stage.journal.commit(stage.accepted)
    stage.answer(await_)
    assert stage.exchange.expect(PlaceChild).accepted is stage.accepted


def test_who_takes_up_an_execution_again_brings_nothing_that_was_told_before(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.asked()
    stage.journal.commit(stage.accepted)
    stage.actor.stop()
    stage.market.expect(Unawait)
    stage.start()
    stage.simulation.run(0.1)
    assert stage.placed().accepted is None


def test_five_slices_fill_half_a_bitcoin_exactly_each_in_its_slot(simulation: Simulation) -> None:
    stage = Stage(simulation)
    for slot in range(5):
        place = stage.placed(within=30.0)
        assert (simulation.now(), place.slice, place.quantity) == (30.0 * slot, slot, D("0.1"))
        stage.fill(place)
    closed = stage.ended(StopReason.COMPLETED)
    assert closed.report.total_filled == D("0.5")
    assert closed.report.chunks_executed == closed.report.total_chunks == 5
    assert (closed.key, closed.children) == (stage.accepted.key, 5)
    assert stage.parent.expect(ChildStopped, within=0.0).name == EXECUTION
    stage.market.expect_none(within=3600.0)


def test_a_small_order_goes_directly_as_one_child(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.01")))
    place = stage.placed()
    assert place.quantity == D("0.01")
    stage.fill(place)
    assert stage.ended(StopReason.COMPLETED).report.total_chunks == 1


def test_a_later_start_is_waited_for(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(start_at=after(600)))
    stage = Stage(simulation, an_accepted(signal=signal))
    stage.market.expect_none(within=599.999)
    assert stage.placed(within=0.001).slice == 0
    assert simulation.now() == 600.0


def test_a_market_child_is_asked_for_where_the_signal_wants_one(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(signal=a_signal(twap=TwapOptions(child="market"))))
    place = stage.placed()
    assert (place.order_type, place.time_in_force, place.limit_price) == ("MARKET", None, None)


def test_a_fill_is_awaited_and_a_partial_one_seen(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    stage.trade(intent, D("0.04"))
    stage.market.expect_none(within=100.0)
    stage.close(intent, D("0.04"), ChildOutcome.PARTIAL, status="EXPIRED")
    place = stage.placed()
    assert place.slice == 2  # slots 0 and 1 have passed meanwhile, 3 is still to come
    assert stage.journal.last(SlotSkipped).reason == "OVERDUE"
    assert D("0.1") < place.quantity <= D("0.2")


def test_a_partial_fill_of_a_direct_order_is_accepted_and_reported(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed(), "0.8")
    closed = stage.ended(StopReason.LIQUIDITY, "filled 80%")
    assert closed.report.stopped_early
    assert closed.report.orders[0].outcome is ChildOutcome.PARTIAL


def test_a_time_out_is_handled(simulation: Simulation) -> None:
    """An unknown child blocks its execution until its fate is proven; its fills are not bought again."""
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    name = intent.client_order_id
    stage.journal.commit(
        ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="no reply")
    )
    stage.market.expect_none(within=45.0)
    stage.trade(intent, D("0.1"))
    stage.close(intent, D("0.1"), ChildOutcome.TIMEOUT, polls=12)
    assert stage.placed().quantity == D("0.1")
    assert stage.state.rest == D("0.4")


def test_an_absent_child_is_tried_once_more_behind_its_guards_then_its_quantity_goes_to_later_slots(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    for attempt in range(2):
        place = stage.placed()
        assert (place.slice, place.attempt, place.quantity) == (0, attempt, D("0.1"))
        name = stage.intend(place).client_order_id
        stage.journal.commit(
            ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="no reply"),
            ChildAbsent(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", proof="seen nowhere"),
        )
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).quantity == D("0.125")


def test_a_refusal_for_lack_of_balance_ends_the_execution(simulation: Simulation) -> None:
    stage = Stage(simulation)
    name = stage.intend(stage.placed()).client_order_id
    text = "Account has insufficient balance for requested action."
    stage.journal.commit(
        ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=-2010, message=text)
    )
    closed = stage.ended(StopReason.BALANCE, text)
    assert closed.children == 1
    assert closed.report.orders[0].outcome is ChildOutcome.FAILED


def test_an_order_below_one_step_ends_before_a_child(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.000001")))
    closed = stage.ended(StopReason.REFUSED, "0.000001 is less than one step of 0.00001")
    assert closed.children == 0
    assert closed.releases() == (stage.accepted.key,)


def test_fees_are_summed_per_asset(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    intent = stage.intend(stage.placed())
    stage.trade(intent, D("0.01"), commission=D("0.002"), commission_asset="BNB")
    stage.trade(intent, D("0.005"), commission=D("0.001"), commission_asset="BNB")
    stage.trade(intent, D("0.005"), commission=D("0.000005"), commission_asset="BTC")
    stage.close(intent, D("0.02"), ChildOutcome.FILLED)
    report = stage.ended(StopReason.COMPLETED).report
    assert report.total_fees == (("BNB", D("0.003")), ("BTC", D("0.000005")))


def test_the_report_compares_with_the_mid_while_it_ran(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    place = stage.placed(quote=a_quote(integral=D(1_000), integral_seconds=D(1)))
    stage.fill(place)
    stage.answer(stage.asked(), a_quote(integral=D(421_000), integral_seconds=D(11)))
    stage.parent.expect_stopped(stage.actor, within=0.0)
    assert stage.journal.last(ExecutionClosed).report.interval_twap_price == 42_000


# Stalls -------------------------------------------------------------------------------------------


def test_a_stall_of_ten_slots_is_followed_by_no_burst(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=12, interval_seconds=D(10)))
    stage = Stage(simulation, an_accepted(signal=signal, quantity=D("0.6")))
    await_ = stage.asked()
    run_to(simulation, 105.0)
    stage.answer(await_, failed="STALE_MARKET", detail="stalled", waited=0.0)
    sent = []
    while simulation.now() < 200.0 and not stage.actor.actor_stopped.is_set():
        question = stage.asked(within=20.0)
        stage.answer(question)
        if question.bounds.max_age is None:
            break
        place = stage.exchange.expect(PlaceChild, within=0.0)
        assert place.quantity <= D("0.1")
        sent.append(simulation.now())
        stage.fill(place)
    assert len(sent) == 6
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(sent))
    stage.parent.expect_stopped(stage.actor)
    assert stage.journal.last(ExecutionClosed).report.total_filled == D("0.6")


def test_a_wall_clock_that_steps_neither_hurries_nor_delays(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(3600.0)
    stage.market.expect_none(within=29.9)
    stage.fill(stage.placed(within=0.2))
    assert simulation.now() == 30.0
    simulation.step_clock(-7200.0)
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 2


def test_a_wall_clock_that_is_set_back_over_a_restart_does_not_hold_up_the_schedule(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.run(5.0)
    stage.actor.stop()
    simulation.step_clock(-86_400.0)
    stage.start()
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 1, "an interval after what the journal has seen last"


def test_a_wall_clock_that_was_ahead_before_a_restart_does_not_hurry_the_schedule(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(86_400.0)
    simulation.run(30.0)
    stage.fill(stage.placed())
    simulation.run(5.0)
    stage.actor.stop()
    simulation.step_clock(-86_400.0)
    stage.start()
    stage.market.expect_none(within=24.9)
    assert stage.placed(within=0.2).slice == 2


def test_a_wall_clock_that_is_slowly_set_back_makes_no_child_early(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(-0.5)
    stage.market.expect_none(within=30.25)
    stage.placed(within=0.5)
    assert simulation.now() == 30.5
