"""Children that rest at the touch and cross at the slot's deadline: TWAPActor by its messages, in virtual time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import EPOCH, Simulation
from messages.execution import (
    AmendExecution,
    CancelExecution,
    ChildOutcome,
    CommandAnswer,
    ExecutionCommand,
    PauseExecution,
    ResumeExecution,
    StopReason,
)
from messages.facts import ChildAbsent, ChildAcknowledged, ChildIntended, ChildRefused, ChildUnknown
from messages.market import Await, Awaited, Bounds, Unawait
from messages.order import CancelChild, PlaceChild
from messages.signal import Side, TwapOptions
from tests.actors.twap.stage import Stage
from tests.factories import EXECUTION, D, a_quote, a_signal, an_accepted

WOULD_TAKE = "Order would immediately match and take."


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    """Five slices of 0.1 BTC, 30 s apart, each of which rests until second 24 of its slot."""
    return Stage(simulation, child="passive")


def run_to(stage: Stage, seconds: float) -> None:
    stage.simulation.run(seconds - stage.simulation.now())


def posted(stage: Stage, **changes: Any) -> ChildIntended:
    """Let the first slot's child rest; the market is asked to watch over it."""
    intent = stage.rest(stage.placed(**changes))
    assert stage.asked().until_broken
    return intent


def ended(
    stage: Stage, intent: ChildIntended, executed: str = "0", outcome: ChildOutcome = ChildOutcome.TIMEOUT
) -> None:
    """Tell the end of a child: cancelled, with what it had executed."""
    if D(executed):
        stage.trade(intent, D(executed), price=intent.limit_price, maker=True)
    stage.close(intent, D(executed), outcome, status="CANCELED")


def cancelled(stage: Stage, intent: ChildIntended, reason: str) -> None:
    cancel = stage.exchange.expect(CancelChild, within=0.0)
    assert (cancel.client_order_id, cancel.order_id, cancel.reason) == (intent.client_order_id, 1001, reason)
    stage.market.expect(Unawait, within=0.0)


def crossing(stage: Stage) -> PlaceChild:
    """Let the guards hold that are judged anew; return the child that crosses."""
    await_ = stage.asked()
    assert (await_.until_broken, await_.timing, await_.fresh_until) == (False, None, None)
    place = stage.placed_after(await_)
    assert (place.order_type, place.time_in_force, place.rest_seconds) == ("LIMIT", "IOC", None)
    return place


def ask(stage: Stage, kind: type[ExecutionCommand], **what: Any) -> None:
    stage.actor.tell(kind(execution_id=EXECUTION, reply_to=stage.operator.ref, **what))


def answered(stage: Stage, *, done: bool = True) -> None:
    assert stage.operator.expect(CommandAnswer, within=0.0).done is done


# Its course ---------------------------------------------------------------------------------------


def test_a_child_is_posted_at_its_own_sides_touch_on_a_fresh_quote(stage: Stage) -> None:
    await_ = stage.asked()
    assert await_.fresh_until == 0.5
    place = stage.placed_after(await_, a_quote(41_990, 41_991))
    assert (place.order_type, place.time_in_force, place.limit_price) == ("LIMIT_MAKER", None, D(41_990))
    assert (place.quantity, place.rest_seconds, place.slice, place.attempt) == (D("0.1"), D(24), 0, 0)


def test_a_sale_is_posted_at_the_ask(simulation: Simulation) -> None:
    signal = a_signal(side=Side.SELL)
    stage = Stage(simulation, an_accepted(signal=signal, side=Side.SELL), child="passive")
    assert stage.placed(quote=a_quote(41_990, 41_991)).limit_price == D(41_991)


def test_a_child_that_fills_while_it_rests_leaves_nothing_to_cross(stage: Stage) -> None:
    intent = posted(stage)
    stage.trade(intent, intent.quantity, maker=True)
    stage.close(intent, intent.quantity, ChildOutcome.FILLED)
    stage.market.expect(Unawait, within=0.0)
    stage.exchange.expect_none(within=29.9)
    assert stage.asked(within=0.2).fresh_until == 30.5


def test_what_is_left_at_the_deadline_is_cancelled_and_crosses_after_its_proven_end(stage: Stage) -> None:
    intent = posted(stage)
    stage.exchange.expect_none(within=23.9)
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    stage.exchange.expect_none(within=1.0)  # Its end is not proven yet: nothing else is sent.
    ended(stage, intent, "0.03")
    place = crossing(stage)
    assert (place.slice, place.attempt, place.quantity) == (0, 1, D("0.07"))
    assert place.not_after == 30.0


def test_guards_that_fail_hold_up_the_crossing_to_the_slots_end(stage: Stage) -> None:
    intent = posted(stage)
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    ended(stage, intent)
    await_ = stage.asked()
    assert await_.deadline == 30.0
    run_to(stage, 30.0)
    stage.answer(await_, failed="STALE_MARKET", waited=6.0)
    place = stage.placed()
    assert (place.slice, place.order_type, place.quantity) == (1, "LIMIT_MAKER", D("0.125"))


def test_an_end_that_is_proven_after_the_slot_goes_to_later_slots(stage: Stage) -> None:
    intent = posted(stage)
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    run_to(stage, 31.0)
    ended(stage, intent, "0.06")
    place = stage.placed()
    assert (place.slice, place.attempt, place.quantity) == (1, 0, D("0.11"))


def test_a_rest_too_small_to_cross_alone_goes_to_later_slots(stage: Stage) -> None:
    intent = posted(stage)
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    ended(stage, intent, "0.0999")
    stage.answer(stage.asked())
    run_to(stage, 30.0)
    assert stage.placed().quantity == D("0.10003")


def test_the_last_slots_crossing_ends_the_execution(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=1, child="passive"))
    stage = Stage(simulation, an_accepted(signal=signal))
    intent = posted(stage)
    assert intent.quantity == D("0.5")
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    ended(stage, intent, "0.2")  # A direct order's partial fill is accepted, but not that of a child that rested.
    stage.fill(crossing(stage))
    report = stage.ended(StopReason.COMPLETED).report
    assert (report.total_filled, report.children_sent) == (D("0.5"), 2)
    assert [order.maker_quantity for order in report.orders] == [D("0.2"), D(0)]
    assert report.lateness_max_ms == 0  # The slot's child was in time; the crossing is its second half.


def test_what_was_made_has_a_negative_spread_and_no_walk(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=1, child="passive"))
    stage = Stage(simulation, an_accepted(signal=signal))
    intent = posted(stage, quote=a_quote(41_958, 42_042))
    stage.trade(intent, intent.quantity, price=D(41_958), maker=True)
    stage.close(intent, intent.quantity, ChildOutcome.FILLED, executed_quote=intent.quantity * 41_958)
    stage.market.expect(Unawait, within=0.0)
    report = stage.ended(StopReason.COMPLETED).report
    assert (report.spread_bps, report.walk_bps, report.drift_bps) == (D(-10), D(0), D(0))
    assert report.arrival_slippage_bps == D(-10)


# A post that would take ---------------------------------------------------------------------------


def refused(stage: Stage, place: PlaceChild, message: str = WOULD_TAKE) -> None:
    intent = stage.intend(place)
    stage.journal.commit(
        ChildRefused(
            execution_id=EXECUTION,
            client_order_id=intent.client_order_id,
            symbol="BTCUSDT",
            code=-2010,
            message=message,
        )
    )


def test_a_post_that_would_take_is_repriced_twice_on_fresh_quotes_and_then_crosses(stage: Stage) -> None:
    refused(stage, stage.placed(quote=a_quote("41990", "41991")))
    second = stage.placed(quote=a_quote("41990", "41991"))
    assert (second.attempt, second.order_type, second.limit_price) == (1, "LIMIT_MAKER", D("41989.99"))
    refused(stage, second)
    third = stage.placed(quote=a_quote("41980", "41981"))
    assert (third.attempt, third.order_type, third.limit_price) == (2, "LIMIT_MAKER", D(41_980))
    refused(stage, third)
    place = crossing(stage)
    assert (place.slice, place.attempt, place.quantity) == (0, 3, D("0.1"))


def test_a_repriced_post_rests_for_what_is_left_of_its_time(stage: Stage) -> None:
    first = stage.placed()
    run_to(stage, 4.0)
    refused(stage, first)
    assert stage.placed().rest_seconds == D(20)


def test_another_refusal_is_not_repriced(stage: Stage) -> None:
    refused(stage, stage.placed(), "Account has insufficient balance for requested action.")
    stage.ended(StopReason.BALANCE, "Account has insufficient balance for requested action.")


# What ends its rest early -------------------------------------------------------------------------


def test_a_pause_cancels_what_rests_and_what_the_cancel_lets_through_counts(stage: Stage) -> None:
    intent = posted(stage)
    ask(stage, PauseExecution)
    cancelled(stage, intent, "paused")
    answered(stage)
    ended(stage, intent, "0.04")
    stage.market.expect_none(within=5.0)
    assert stage.state.executed == D("0.04")
    ask(stage, ResumeExecution)
    assert crossing(stage).quantity == D("0.06")


def test_a_cancel_of_the_execution_cancels_what_rests_and_reports_what_came_through(stage: Stage) -> None:
    intent = posted(stage)
    ask(stage, CancelExecution)
    cancelled(stage, intent, "cancelled")
    answered(stage)
    ended(stage, intent, "0.05")
    assert stage.ended(StopReason.CANCELLED, "filled 10%").report.total_filled == D("0.05")


def test_a_cancel_while_the_post_is_under_way_waits_until_the_venue_has_it(stage: Stage) -> None:
    intent = stage.intend(stage.placed())
    ask(stage, CancelExecution)
    stage.exchange.expect_none(within=0.5)
    stage.journal.commit(acknowledged(intent))
    assert stage.exchange.expect(CancelChild, within=0.0).client_order_id == intent.client_order_id
    stage.exchange.expect_none(within=60.0)  # Asked for once; that it takes effect is OrderWatcher's business.


def acknowledged(intent: ChildIntended) -> ChildAcknowledged:
    return ChildAcknowledged(
        execution_id=EXECUTION,
        client_order_id=intent.client_order_id,
        symbol="BTCUSDT",
        order_id=1001,
        status="NEW",
        source="stream",
    )


@pytest.mark.parametrize(("quantity", "left"), [("0.3", "0.06"), ("0.04", None)])
def test_an_amendment_cancels_what_rests_and_is_judged_on_what_came_through(
    stage: Stage, quantity: str, left: str | None
) -> None:
    """Below what rests it would be refused, though the rest can still be taken back."""
    intent = posted(stage)
    ask(stage, AmendExecution, quantity=D(quantity))
    cancelled(stage, intent, "amended")
    stage.operator.expect_none(within=0.5)
    ended(stage, intent, "0.04")
    answered(stage)
    if left is None:
        stage.ended(StopReason.COMPLETED)
    else:
        assert crossing(stage).quantity == D(left)


def test_an_amended_end_cancels_what_rests_at_that_moment_and_nothing_crosses_after_it(stage: Stage) -> None:
    intent = posted(stage)
    ask(stage, AmendExecution, end_at=EPOCH + timedelta(seconds=40))
    cancelled(stage, intent, "amended")
    ended(stage, intent)
    answered(stage)
    stage.fill(crossing(stage))
    second = stage.rest(stage.placed(within=30.0))
    stage.asked()
    assert second.rest_seconds == D(8)  # Four fifths of the ten seconds that this slot has now.
    run_to(stage, 38.0)
    cancelled(stage, second, "timeout")
    run_to(stage, 40.5)
    ended(stage, second)
    stage.ended(StopReason.END_OF_TIME, "filled 20%")


def test_the_market_is_asked_to_watch_the_price_while_a_child_rests(stage: Stage) -> None:
    stage.rest(stage.placed())
    await_ = stage.asked()
    assert await_ == Await(
        key=(EXECUTION, -1),
        symbol="BTCUSDT",
        bounds=Bounds(side=Side.BUY, arrival_price=D(42_000), max_deviation=D("0.01")),
        deadline=24.0,
        reply_to=stage.actor,
        until_broken=True,
    )


def broken(stage: Stage, await_: Await, failed: str = "PRICE_DEVIATION", detail: str = "1.19%") -> None:
    quote = a_quote(42_499, 42_501)
    stage.actor.tell(Awaited(key=await_.key, held=False, quote=quote, age=0.0, failed=failed, detail=detail))


def test_a_price_that_moves_too_far_cancels_what_rests_and_the_crossing_waits_for_its_guards(stage: Stage) -> None:
    intent = stage.rest(stage.placed())
    await_ = stage.asked()
    run_to(stage, 5.0)
    broken(stage, await_)
    cancel = stage.exchange.expect(CancelChild, within=0.0)
    assert (cancel.client_order_id, cancel.reason) == (intent.client_order_id, "PRICE_DEVIATION: 1.19%")
    ended(stage, intent, "0.02", ChildOutcome.PARTIAL)
    stage.market.expect(Unawait, within=0.0)
    guards = stage.asked()
    run_to(stage, 30.0)
    stage.answer(guards, failed="PRICE_DEVIATION", detail="1.19%", waited=25.0)
    assert stage.ended(StopReason.PRICE_DEVIATION, "1.19%").report.total_filled == D("0.02")


def test_a_market_that_still_holds_at_the_deadline_says_nothing_new(stage: Stage) -> None:
    stage.rest(stage.placed())
    await_ = stage.asked()
    stage.actor.tell(Awaited(key=await_.key, held=True, quote=a_quote(), age=0.0))
    stage.exchange.expect_none(within=23.0)


def test_a_watch_that_comes_too_late_cancels_nothing_of_the_next_child(stage: Stage) -> None:
    intent = stage.rest(stage.placed())
    await_ = stage.asked()
    stage.trade(intent, intent.quantity, maker=True)
    stage.close(intent, intent.quantity, ChildOutcome.FILLED)
    broken(stage, await_)
    stage.exchange.expect_none(within=20.0)


# Doubt and crashes --------------------------------------------------------------------------------


def test_a_child_of_unknown_outcome_is_not_cancelled_before_it_is_found_and_then_at_once(stage: Stage) -> None:
    intent = stage.intend(stage.placed())
    unknown = ChildUnknown(
        execution_id=EXECUTION, client_order_id=intent.client_order_id, symbol="BTCUSDT", detail="timeout"
    )
    stage.journal.commit(unknown)
    stage.exchange.expect_none(within=26.0)
    stage.journal.commit(acknowledged(intent))
    assert stage.exchange.expect(CancelChild, within=0.0).reason == "timeout"
    ended(stage, intent)
    assert crossing(stage).quantity == D("0.1")


def test_a_child_proven_absent_within_its_slot_is_followed_by_one_that_crosses(stage: Stage) -> None:
    intent = stage.intend(stage.placed())
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=intent.client_order_id, symbol="BTCUSDT", proof="test")
    run_to(stage, 20.0)
    stage.journal.commit(
        ChildUnknown(execution_id=EXECUTION, client_order_id=intent.client_order_id, symbol="BTCUSDT", detail="cut"),
        absent,
    )
    place = crossing(stage)
    assert (place.attempt, place.quantity) == (1, D("0.1"))


@pytest.mark.parametrize(("crashed_at", "cancel_at"), [(10.0, 24.0), (26.0, 26.0)])
def test_after_a_crash_the_deadline_of_what_rests_still_holds(
    stage: Stage, crashed_at: float, cancel_at: float
) -> None:
    intent = posted(stage)
    run_to(stage, crashed_at - 1)
    stage.actor.stop()
    run_to(stage, crashed_at)
    stage.market.messages()
    stage.exchange.messages()
    stage.start()
    stage.simulation.run(0.0)
    if cancel_at > crashed_at:
        assert stage.asked().deadline == 24.0
    run_to(stage, cancel_at)
    assert stage.exchange.expect(CancelChild, within=0.0).client_order_id == intent.client_order_id
    ended(stage, intent, "0.03")
    stage.market.messages()
    stage.simulation.run(0.0)
    assert stage.state == stage.refolded()
    assert stage.state.rest == D("0.47")


def test_a_cancel_that_a_crash_may_have_lost_is_asked_for_again(stage: Stage) -> None:
    intent = posted(stage)
    run_to(stage, 24.0)
    cancelled(stage, intent, "timeout")
    stage.actor.stop()
    stage.simulation.run(0.0)
    stage.start()
    assert stage.exchange.expect(CancelChild, within=0.0).client_order_id == intent.client_order_id


@pytest.mark.parametrize("side", Side)
def test_a_post_never_goes_beyond_the_worst_price(simulation: Simulation, side: Side) -> None:
    limit = D("41990.005")
    stage = Stage(
        simulation,
        an_accepted(signal=a_signal(side=side, limit_price=limit), side=side),
        child="passive",
    )
    wide = a_quote(41_995, 41_996) if side is Side.BUY else a_quote(41_980, 41_985)
    price: Decimal | None = stage.placed(quote=wide).limit_price
    assert price == (D("41990") if side is Side.BUY else D("41990.01"))
