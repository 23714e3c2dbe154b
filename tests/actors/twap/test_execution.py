"""The state machine of an execution: what is next, after whatever has happened."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.twap.commands import fact_of
from actors.twap.execution import MOST_ATTEMPTS, AwaitChild, Close, Done, Execution, Serve, Skip, Wait
from actors.twap.reactions import DECLINES, Reaction, Way, stop_after_refusal
from actors.twap.schedule import Limits, minimum_at, most_of
from messages.execution import ChildOutcome, CommandAnswer, PauseExecution, StopReason
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    SlotSkipped,
)
from messages.order import Decline
from messages.signal import CatchUp
from tests.actors.twap.world import PRICE, World, after
from tests.factories import EXECUTION, NOW, D, a_closed, a_plan, a_planned, an_accepted


def quantity(world: World, slot: int) -> Decimal:
    return world.execution.child_quantity(slot, PRICE, None)


def refused(name: str, code: int = -1021, message: str = "Timestamp outside of recvWindow") -> ChildRefused:
    return ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=code, message=message)


def unknown(name: str) -> ChildUnknown:
    return ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="timeout")


def absent(name: str) -> ChildAbsent:
    return ChildAbsent(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", proof="seen nowhere")


# The even course ----------------------------------------------------------------------------------


def test_five_slices_fill_half_a_bitcoin_exactly() -> None:
    world = World()
    for slot in range(5):
        assert world.serve(30 * slot) == Serve(slot, after(30 * slot + 30), after(30 * slot + 30))
        world.fill(slot, quantity(world, slot), 30 * slot)
    assert world.execution.executed == D("0.5")
    assert world.next(121) == Close(StopReason.COMPLETED)


def test_no_slot_is_served_before_it_is_due() -> None:
    world = World()
    assert world.next(-1) == Wait(NOW)
    world.fill(0, "0.1", 0)
    assert world.next(29.999999) == Wait(after(30))
    assert world.serve(30).slot == 1


def test_guards_wait_as_long_as_the_plan_says() -> None:
    assert World(guard_wait_seconds=D(5)).serve(2) == Serve(0, after(7), after(30))


def test_there_is_one_open_child_at_most() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    for seconds in (0, 29, 31, 4000):
        assert world.next(seconds) == AwaitChild(name)


def test_a_closed_execution_has_nothing_to_do() -> None:
    world = World()
    world.add(a_closed(), after(1))
    assert world.next(2) == Done()


def test_a_quarantined_execution_is_left_alone() -> None:
    world = World()
    world.add(ExecutionQuarantined(execution_id=EXECUTION, detail="failed three times"), after(1))
    assert world.next(2) == Done()


def test_an_order_smaller_than_a_step_is_refused_and_says_why() -> None:
    world = World(an_accepted(quantity=D("0.000001")), quantity=D(0), slices=())
    assert world.next(0) == Close(StopReason.REFUSED, "0.000001 is less than one step of 0.00001")


def test_an_execution_counts_the_times_that_it_was_taken_up() -> None:
    world = World()
    world.add(ExecutionStarted(execution_id=EXECUTION, incarnation=2), after(9))
    assert world.execution.incarnation == 2
    assert world.execution.started_at == NOW


# The sum ------------------------------------------------------------------------------------------


def test_fills_never_copied_into_totals() -> None:
    """The totals are made of trades, as they are booked, and of nothing else."""
    world = World()
    name = world.intend(0, "0.1", 0)
    world.trade(name, "0.04", price=D(41_000))
    world.trade(name, "0.06", price=D(43_000))
    assert world.execution.executed == D("0.1")
    assert world.execution.executed_quote == D(4_220)
    world.close(name)
    assert (world.execution.executed, world.execution.rest) == (D("0.1"), D("0.4"))


def test_timed_out_child_counted_as_unfilled() -> None:
    """A child that timed out keeps what it filled: later slots buy only the rest."""
    world = World()
    name = world.intend(0, "0.1", 0)
    world.trade(name, "0.07")
    world.close(name, ChildOutcome.TIMEOUT, 30)
    assert world.execution.rest == D("0.43")
    assert world.told(name).outcome is ChildOutcome.TIMEOUT


def test_a_child_that_timed_out_without_an_answer_is_not_bought_again_by_the_last_one() -> None:
    world = World(slices=(D("0.25"), D("0.25")))
    name = world.intend(0, "0.25", 0)
    world.add(unknown(name), after(10))
    assert world.execution.rest == D("0.25")
    assert world.next(31) == AwaitChild(name)
    assert world.next(4000) == AwaitChild(name)
    world.trade(name, "0.25", 4001)
    world.close(name, seconds=4001)
    assert quantity(world, world.serve(4002).slot) == D("0.25")


def test_partially_filled_taken_for_final() -> None:
    """A child that has traded in part is open until it is closed, and counts in full."""
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(
        ChildAcknowledged(
            execution_id=EXECUTION,
            client_order_id=name,
            symbol="BTCUSDT",
            order_id=1,
            status="PARTIALLY_FILLED",
            source="reply",
        ),
        after(0),
    )
    world.trade(name, "0.03")
    assert world.next(31) == AwaitChild(name)
    assert world.execution.rest == D("0.4")
    world.trade(name, "0.07")
    world.close(name)
    assert world.execution.rest == D("0.4")


def test_average_price_from_price() -> None:
    """The average price is quote over quantity; an order's own price may be 0 or its limit."""
    world = World()
    name = world.intend(0, "0.1", 0, order_type="MARKET", time_in_force=None, limit_price=None)
    world.trade(name, "0.1", price=D(42_001))
    world.close(name)
    assert world.told(name).average_price == D(42_001)


def test_fills_of_expired_orders_dropped() -> None:
    """An order that expired after a partial fill counts with what it filled."""
    world = World()
    name = world.intend(0, "0.1", 0)
    world.trade(name, "0.02")
    world.close(name, ChildOutcome.PARTIAL, status="EXPIRED")
    assert (world.execution.executed, world.execution.rest) == (D("0.02"), D("0.48"))


def test_what_the_venue_says_was_executed_counts_even_before_its_trades_are_known() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.close(name, executed_quantity=D("0.1"), executed_quote=D(4_200))
    assert world.execution.rest == D("0.4")
    assert world.execution.executed == 0


def test_more_than_was_asked_for_is_never_the_rest() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    world.add(ExecutionAmended(execution_id=EXECUTION, quantity=D("0.05")), after(1))
    assert world.execution.rest == 0


# What comes back ----------------------------------------------------------------------------------


def test_what_a_partial_fill_leaves_goes_to_later_slots_and_never_straight_back() -> None:
    world = World()
    world.fill(0, "0.1", 0, filled="0.06")
    assert world.next(1) == Wait(after(30))
    assert quantity(world, 1) == D("0.11")


@pytest.mark.parametrize("fate", ["refused", "not sent", "expired"])
def test_a_quantity_freed_goes_to_later_slots_and_never_straight_back(fate: str) -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    match fate:
        case "refused":
            world.add(refused(name, -1003, "Too many requests"), after(1))
        case "not sent":
            fact = ChildNotSent(
                execution_id=EXECUTION, client_order_id=name, reason="TOO_LATE", detail="", source="exchange_actor"
            )
            world.add(fact, after(1))
        case _:
            world.close(name, ChildOutcome.FAILED, 1)
    assert world.execution.rest == D("0.5")
    assert world.next(2) == Wait(after(30))
    assert world.serve(30).slot == 1
    assert quantity(world, 1) == D("0.125")
    assert world.told(name).outcome is ChildOutcome.FAILED


def test_a_slot_tries_once_more_after_a_proven_absence_and_is_let_go_after_the_second() -> None:
    world = World()
    first = world.intend(0, "0.1", 0)
    world.add(unknown(first), after(1))
    assert world.next(2) == AwaitChild(first)
    world.add(absent(first), after(20))
    serve = world.serve(20)
    assert (serve.slot, serve.slot_end, world.execution.next_attempt(0)) == (0, after(30), 1)
    assert quantity(world, 0) == D("0.1")
    second = world.intend(0, "0.1", 20)
    world.add(unknown(second), after(21))
    world.add(absent(second), after(29))
    assert world.next(29) == Wait(after(30))
    assert world.serve(30).slot == 1
    assert quantity(world, 1) == D("0.125")


def test_a_slot_tries_three_times_when_its_timestamps_are_refused() -> None:
    world = World()
    for attempt in range(3):
        assert world.serve(attempt).slot == 0
        name = world.intend(0, "0.1", attempt)
        assert name.endswith(f"-0-{attempt}")
        world.add(refused(name), after(attempt))
    assert world.next(3) == Wait(after(30))


def test_a_second_attempt_needs_time_left_in_its_slot() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(unknown(name), after(1))
    world.add(absent(name), after(30))
    assert world.serve(30).slot == 1
    assert world.execution.next_attempt(1) == 0


def test_the_last_slot_may_try_again_too() -> None:
    world = World(slices=(D("0.5"),), extra_slots=0)
    name = world.intend(0, "0.5", 0)
    world.add(refused(name), after(1))
    assert world.serve(2).slot == 0


def test_a_second_attempt_whose_guards_fail_is_let_go() -> None:
    world = World()
    world.add(refused(world.intend(0, "0.1", 0)), after(1))
    world.skip(0, 5)
    assert world.next(6) == Wait(after(30))


def test_no_second_attempt_when_the_first_shows_up_after_all() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(unknown(name), after(1))
    world.add(absent(name), after(2))
    seen = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=name,
        symbol="BTCUSDT",
        order_id=1001,
        status="FILLED",
        executed_quantity=D("0.1"),
    )
    world.add(seen, after(3))
    assert world.next(4) == Wait(after(30))


def test_only_a_child_that_never_left_counts_as_not_sent() -> None:
    world = World()
    first = world.intend(0, "0.1", 0)
    world.add(
        ChildNotSent(execution_id=EXECUTION, client_order_id=first, reason="HALTED", detail="by hand", source="venue"),
        after(0),
    )
    second = world.intend(1, "0.1", 30)
    world.add(refused(second), after(30))
    children = world.execution.children
    assert (children[first].sent, children[second].sent) == (False, True)
    assert children[first].failure_reason == "HALTED: by hand"
    assert children[second].failure_reason == "-1021: Timestamp outside of recvWindow"


def test_a_child_known_again_is_unknown_no_more_but_open() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(unknown(name), after(1))
    assert world.execution.children[name].unknown
    fact = ChildAcknowledged(
        execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", order_id=7, status="NEW", source="poll"
    )
    world.add(fact, after(2))
    child = world.execution.children[name]
    assert (child.unknown, child.open, child.order_id) == (False, True, 7)


@pytest.mark.parametrize(("status", "is_open"), [("NEW", True), ("FILLED", False), ("SOMETHING_NEW", True)])
def test_a_child_that_reappears_counts_again(status: str, is_open: bool) -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(unknown(name), after(1))
    world.add(absent(name), after(60))
    assert world.execution.rest == D("0.5")
    fact = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=name,
        symbol="BTCUSDT",
        order_id=1,
        status=status,
        executed_quantity=D("0.1"),
    )
    world.add(fact, after(61))
    assert world.execution.rest == D("0.4")
    assert (world.execution.open_child is not None) is is_open
    world.trade(name, "0.1", 61)
    assert world.execution.rest == D("0.4")
    assert world.execution.executed == D("0.1")


def test_a_partly_filled_child_that_reappears_final_is_reported_as_partial() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(absent(name), after(60))
    fact = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=name,
        symbol="BTCUSDT",
        order_id=1,
        status="EXPIRED",
        executed_quantity=D("0.04"),
    )
    world.add(fact, after(61))
    assert world.execution.children[name].outcome is ChildOutcome.PARTIAL


# Partial fills ------------------------------------------------------------------------------------


def direct() -> World:
    return World(quantity=D("0.02"), slices=(D("0.02"),), direct=True, on_partial="accept")


def test_a_partial_fill_of_a_direct_order_is_accepted_and_says_how_much_was_filled() -> None:
    world = direct()
    world.fill(0, "0.02", 0, filled="0.016")
    assert world.next(1) == Close(StopReason.LIQUIDITY, "filled 80%")


def test_a_direct_order_that_lacks_less_than_a_minimum_is_complete() -> None:
    world = direct()
    world.fill(0, "0.02", 0, filled="0.01995")
    assert world.next(1) == Close(StopReason.COMPLETED, "0.00005 left, below the minimum")


def test_a_direct_order_that_filled_nothing_is_tried_again_in_an_extra_slot() -> None:
    world = direct()
    world.fill(0, "0.02", 0, filled="0")
    assert world.next(1) == Wait(after(30))
    assert world.serve(30).slot == 1


def test_a_partial_fill_of_a_direct_order_can_be_requeued() -> None:
    world = World(quantity=D("0.02"), slices=(D("0.02"),), direct=True, on_partial="requeue")
    world.fill(0, "0.02", 0, filled="0.016")
    assert world.serve(30).slot == 1
    assert quantity(world, 1) == D("0.004")


def test_accepted_partial_fills_of_slices_are_given_up() -> None:
    world = World(on_partial="accept")
    world.fill(0, "0.1", 0, filled="0.06")
    assert quantity(world, 1) == D("0.1")
    for slot in range(1, 5):
        world.fill(slot, "0.1", 30 * slot)
    assert world.next(121) == Close(StopReason.LIQUIDITY, "filled 92%")


# Overdue slots ------------------------------------------------------------------------------------

TWELVE = (D("0.05"),) * 12


def test_a_stall_of_ten_slots_is_followed_by_no_burst() -> None:
    world = World(quantity=D("0.6"), slices=TWELVE)
    now, sent = 315.0, []
    while isinstance(step := world.execution.next(after(now)), Serve | Skip | Wait):
        if isinstance(step, Wait):
            assert step.until is not None
            now = (step.until - NOW).total_seconds()
            continue
        serve = world.serve(now)
        child = quantity(world, serve.slot)
        assert child <= D("0.1")
        world.fill(serve.slot, child, now)
        sent.append((now, child))
    times = [moment for moment, _ in sent]
    assert times == [315, 330, 360, 390, 420, 450]
    assert {child for _, child in sent} == {D("0.1")}
    assert step == Close(StopReason.COMPLETED)


def test_overdue_slots_are_merged_and_the_journal_says_so() -> None:
    world = World()
    assert world.next(65) == Skip(1, D("0.2"), "OVERDUE", "slots 0 to 1 had passed")
    assert World().next(35) == Skip(0, D("0.1"), "OVERDUE", "slot 0 had passed")
    assert world.serve(65) == Serve(2, after(90), after(90))
    assert quantity(world, 2) == D("0.16667")


def test_without_catching_up_a_stall_moves_the_rest_to_later_times() -> None:
    world = World(catch_up="none")
    assert world.serve(65).slot == 0
    world.fill(0, quantity(world, 0), 65)
    assert world.next(66) == Wait(after(90))
    assert world.serve(90).slot == 1
    assert quantity(world, 1) == D("0.1")


def test_an_outage_beyond_the_end_is_made_up_for_one_child_an_interval() -> None:
    world = World()
    assert world.serve(10_000).slot == 2
    world.fill(2, quantity(world, 2), 10_000)
    assert world.next(10_001) == Wait(after(10_020))
    assert world.serve(10_020).slot == 3


def test_a_slot_whose_guards_waited_to_its_end_does_not_use_up_the_next() -> None:
    world = World()
    world.skip(0, 30, waited="30")
    assert world.serve(30).slot == 1


def test_a_slot_skipped_late_uses_up_its_interval() -> None:
    world = World()
    world.serve(10_000)
    world.skip(2, 10_001)
    assert world.next(10_002) == Wait(after(10_020))


def test_a_child_that_ends_late_leaves_the_interval_to_the_next_slot() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.trade(name, "0.1")
    world.close(name, seconds=45)
    assert world.serve(45) == Serve(1, after(60), after(60))


# The end ------------------------------------------------------------------------------------------


def test_what_is_left_after_the_slots_goes_to_extra_slots_and_is_then_reported() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, quantity(world, slot), 30 * slot, filled="0.08")
    assert world.serve(150).slot == 5
    assert quantity(world, 5) == D("0.1")
    world.fill(5, "0.1", 150, filled="0.02")
    assert quantity(world, world.serve(180).slot) == D("0.08")
    world.fill(6, "0.08", 180, filled="0.03")
    assert world.next(181) == Close(StopReason.LIQUIDITY, "filled 90%")


def test_a_rest_below_the_minimum_is_no_reason_for_more_slots() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.09999" if slot == 4 else None)
    assert world.next(121) == Close(StopReason.COMPLETED, "0.00001 left, below the minimum")


@pytest.mark.parametrize("reason", [StopReason.STALE_MARKET, StopReason.LIMIT_PRICE])
def test_guards_that_fail_to_the_last_slot_give_the_reason(reason: StopReason) -> None:
    world = World()
    world.fill(0, "0.1", 0)
    for slot in range(1, 7):
        world.skip(slot, 30 * slot + 20, reason, waited="20")
    assert world.next(201) == Close(reason, "of a test")


def test_a_child_after_a_skip_makes_liquidity_the_reason() -> None:
    world = World()
    for slot in range(6):
        world.skip(slot, 30 * slot)
    world.fill(6, "0.2", 180)
    assert world.next(181) == Close(StopReason.LIQUIDITY, "filled 40%")


def test_declines_to_the_last_slot_are_named_beside_what_was_filled() -> None:
    world = World()
    for slot in range(7):
        world.skip(slot, 30 * slot, "RATE_LIMITED")
    assert world.next(181) == Close(StopReason.LIQUIDITY, "filled 0%, RATE_LIMITED")


def test_a_rest_that_the_venue_finds_too_small_at_its_price_is_completed_with_a_rest() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.0999" if slot < 2 else None)
    for slot in (5, 6):
        assert world.execution.child_quantity(slot, D(20_000), None) == 0
        world.skip(slot, 30 * slot, "BELOW_MINIMUM")
    assert world.next(181) == Close(StopReason.COMPLETED, "0.0002 left, below the minimum")


def test_nothing_is_served_at_or_after_the_end_of_time() -> None:
    world = World(end_at=after(65))
    world.fill(0, "0.1", 0)
    world.fill(1, "0.1", 30)
    assert world.serve(60) == Serve(2, after(65), after(65))
    assert world.next(65) == Close(StopReason.END_OF_TIME, "filled 40%")


def test_an_execution_whose_next_slot_is_beyond_the_end_ends_at_once() -> None:
    world = World(end_at=after(65))
    world.fill(0, "0.1", 0)
    world.fill(1, "0.1", 30)
    world.fill(2, "0.1", 60)
    assert world.next(61) == Close(StopReason.END_OF_TIME, "filled 60%")


# Refusals, declines -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "stop"),
    [
        (-2010, "Account has insufficient balance for requested action.", StopReason.BALANCE),
        (-2010, "Market is closed.", StopReason.SYMBOL_STATUS),
        (-2010, "This symbol is restricted for this account.", StopReason.SYMBOL_STATUS),
        (-2010, "This action is disabled on this account.", StopReason.REFUSED),
        (-2010, "This account may not place or cancel orders.", StopReason.REFUSED),
        (-2010, "Market orders are not supported for this symbol.", StopReason.REFUSED),
        (-2010, "Unsupported order combination", StopReason.REFUSED),
        (-2010, "Duplicate order sent.", None),
        (-2010, "Order would immediately match and take.", None),
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", StopReason.REFUSED),
        (-1111, "Parameter has too much precision.", StopReason.REFUSED),
        (-2015, "Invalid API-key, IP, or permissions for action.", StopReason.REFUSED),
        (-1021, "Timestamp for this request is outside of the recvWindow.", None),
        (-1015, "Too many new orders.", None),
    ],
)
def test_a_refusal_stops_the_execution_or_leaves_it_to_later_slots(
    code: int, message: str, stop: StopReason | None
) -> None:
    assert stop_after_refusal(code, message) is stop
    world = World()
    world.add(refused(world.intend(0, "0.1", 0), code, message), after(0))
    assert world.next(30) == (Close(stop, message) if stop else Serve(1, after(60), after(60)))


def test_the_first_refusal_that_stops_is_the_reason() -> None:
    world = World()
    world.add(refused(world.intend(0, "0.1", 0), -1013, "Filter failure: MAX_POSITION"), after(0))
    world.add(refused(world.intend(1, "0.1", 0), -2010, "insufficient balance"), after(0))
    assert world.next(30) == Close(StopReason.REFUSED, "Filter failure: MAX_POSITION")


@pytest.mark.parametrize("name", ["LOT_SIZE", "MARKET_LOT_SIZE", "PRICE_FILTER", "NOTIONAL", "MIN_NOTIONAL"])
def test_a_filter_that_has_changed_refuses_once_and_ends_the_execution_if_it_does_so_again(name: str) -> None:
    world, message = World(), f"Filter failure: {name}"
    world.add(refused(world.intend(0, "0.1", 0), -1013, message), after(0))
    assert world.next(30) == Serve(1, after(60), after(60))
    world.add(refused(world.intend(1, "0.1", 30), -1013, message), after(30))
    assert world.next(60) == Close(StopReason.REFUSED, message)


def test_what_is_left_is_cut_by_the_bounds_of_today_and_no_more_than_planned() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    world.execution.terms = Limits(step=D("0.03"), min_quantity=D("0.03"), max_quantity=None, min_notional=D(5))
    assert world.execution.child_quantity(1, D(42_000), None) == D("0.09")
    world.execution.terms = Limits(step=D("0.5"), min_quantity=D("0.5"), max_quantity=None, min_notional=D(5))
    assert world.execution.child_quantity(1, D(42_000), None) == 0
    assert world.next(30) == Close(StopReason.REFUSED, "0.4 left, below what the venue takes now")


@pytest.mark.parametrize("decline", list(Decline))
def test_every_decline_has_a_reaction_and_a_stop_its_reason(decline: Decline) -> None:
    reaction = DECLINES[decline]
    assert (reaction.way is Way.STOP) == (reaction.stop is not None)


def test_certain_declines_stop_and_passing_ones_do_not() -> None:
    assert DECLINES[Decline.BALANCE] == Reaction(Way.STOP, StopReason.BALANCE)
    assert DECLINES[Decline.SYMBOL_STATUS] == Reaction(Way.STOP, StopReason.SYMBOL_STATUS)
    assert DECLINES[Decline.FILTER] == Reaction(Way.STOP, StopReason.REFUSED)
    assert {decline for decline in Decline if DECLINES[decline].way is Way.WAIT} == {
        Decline.HALTED,
        Decline.DRAINING,
        Decline.NOT_READY,
    }


# Commands -----------------------------------------------------------------------------------------


def test_a_paused_execution_waits_until_it_is_resumed_or_its_time_ends() -> None:
    world = World(end_at=after(100))
    world.add(ExecutionPaused(execution_id=EXECUTION), after(1))
    assert world.next(2) == Wait(after(100))
    world.add(ExecutionResumed(execution_id=EXECUTION), after(65))
    assert world.serve(65).slot == 2
    assert quantity(world, 2) <= D("0.2")


def test_a_paused_execution_without_an_end_waits_for_ever() -> None:
    world = World()
    world.add(ExecutionPaused(execution_id=EXECUTION), after(1))
    assert world.next(100_000) == Wait(None)


def test_a_cancelled_execution_waits_for_its_open_child_and_ends() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.add(ExecutionCancelRequested(execution_id=EXECUTION), after(1))
    assert world.next(2) == AwaitChild(name)
    world.trade(name, "0.1", 2)
    world.close(name, seconds=2)
    assert world.next(3) == Close(StopReason.CANCELLED, "filled 20%")


def test_an_execution_that_was_filled_is_complete_even_if_it_is_cancelled_then() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot)
    world.add(ExecutionCancelRequested(execution_id=EXECUTION), after(121))
    assert world.next(122) == Close(StopReason.COMPLETED)


def test_an_amendment_changes_what_is_left_and_nothing_else() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    world.add(
        ExecutionAmended(execution_id=EXECUTION, quantity=D("0.3"), limit_price=D(42_500), end_at=after(80)), after(1)
    )
    assert quantity(world, 1) == D("0.05")
    assert (world.execution.limit_price, world.execution.end_at) == (D(42_500), after(80))
    world.add(ExecutionAmended(execution_id=EXECUTION), after(2))
    assert (world.execution.limit_price, world.execution.end_at) == (D(42_500), after(80))
    assert world.execution.target == D("0.3")


def test_an_execution_amended_to_nothing_is_complete() -> None:
    world = World()
    world.add(ExecutionAmended(execution_id=EXECUTION, quantity=D(0)), after(1))
    assert world.next(2) == Close(StopReason.COMPLETED)


def test_a_command_on_a_closed_execution_says_that_it_is_over() -> None:
    world = World()
    world.add(a_closed(), after(1))
    pause = PauseExecution(execution_id=EXECUTION, reply_to=Nobody())
    assert fact_of(world.execution, pause, after(2)) == "the execution is over"


class Nobody:
    def tell(self, message: CommandAnswer, /) -> None:
        raise AssertionError(message)


# Any course ---------------------------------------------------------------------------------------

turns = st.lists(
    st.tuples(
        st.sampled_from(["fill", "part", "refuse", "absent", "skip", "stall", "pause", "unfilled"]),
        st.integers(0, 1000),
    ),
    max_size=30,
)


@given(
    turns=turns,
    steps=st.integers(200, 60_000),
    count=st.integers(1, 12),
    catch_up=st.sampled_from(["none", "spread", "cap"]),
    accept=st.booleans(),
)
def test_any_course_of_fills_failures_and_stalls_stays_within_its_bounds(
    turns: list[tuple[str, int]], steps: int, count: int, catch_up: CatchUp, *, accept: bool
) -> None:
    step = D("0.00001")
    size, larger = divmod(steps, count)
    world = World(
        quantity=steps * step,
        slices=tuple((size + (index < larger)) * step for index in range(count)),
        catch_up=catch_up,
        on_partial="accept" if accept else "requeue",
        min_notional=D(size) * step * 30_000,
    )
    play(world, turns)
    assert world.execution.executed <= world.plan.quantity
    assert world.execution == world.refolded()
    assert world.execution.next(after(10**6)) == world.refolded().next(after(10**6))


def play(world: World, turns: list[tuple[str, int]]) -> None:
    """Let happen what `turns` say, checking each child, until the execution closes."""
    again: list[int] = []
    now, intervals, course = 0.0, set(), iter(turns)
    for _ in range(200):
        step = world.execution.next(after(now))
        assert step == world.refolded().next(after(now))
        if isinstance(step, Close):
            return
        if isinstance(step, Wait):
            assert step.until is not None
            assert step.until > after(now)
            now = (step.until - NOW).total_seconds()
            continue
        kind, share = next(course, ("fill", 0))
        if kind == "stall":
            now += share
            continue
        if kind == "pause":
            world.add(ExecutionPaused(execution_id=EXECUTION), after(now))
            now += share
            world.add(ExecutionResumed(execution_id=EXECUTION), after(now))
            continue
        serve = world.serve(now)
        assert serve.guards_until <= serve.slot_end
        child = quantity(world, serve.slot)
        if kind == "skip" or not child:
            world.skip(serve.slot, now)
            continue
        interval = int(now // 30)
        assert interval not in intervals, "two children within an interval"
        retried = sum(kept == serve.slot for kept in again)
        assert retried < MOST_ATTEMPTS, "too many attempts of a slot"
        if kind in {"refuse", "absent"}:
            again.append(serve.slot)
        else:
            intervals.add(interval)
        check(world, serve, child)
        happen(world, serve.slot, child, (kind, share), now)
    raise AssertionError("it does not end")


def check(world: World, serve: Serve, child: Decimal) -> None:
    plan = world.plan
    assert child % plan.step == 0
    assert child >= minimum_at(plan, PRICE)
    assert child <= most_of(plan, serve.slot)
    assert world.execution.committed + child <= plan.quantity
    assert child < plan.quantity or len(plan.slices) <= plan.catch_up_cap


def happen(world: World, slot: int, child: Decimal, turn: tuple[str, int], now: float) -> None:
    kind, share = turn
    match kind:
        case "refuse":
            world.add(refused(world.intend(slot, child, now)), after(now))
        case "absent":
            name = world.intend(slot, child, now)
            world.add(unknown(name), after(now))
            assert world.next(now) == AwaitChild(name)
            world.add(absent(name), after(now))
        case "part":
            filled = child * share // 1000 // world.plan.step * world.plan.step
            world.fill(slot, child, now, filled=filled)
        case "unfilled":
            world.fill(slot, child, now, filled=D(0))
        case _:
            world.fill(slot, child, now)


def test_an_execution_without_a_plan_folds_its_acceptance_and_nothing_else() -> None:
    execution = Execution(an_accepted(), "BTC", "USDT")
    execution.fold(an_accepted(), NOW)
    assert execution == Execution(an_accepted(), "BTC", "USDT")
    execution.fold(a_planned(plan=a_plan(limit_price=D(43_000), end_at=after(9))), NOW)
    assert (execution.limit_price, execution.end_at) == (D(43_000), after(9))
    assert execution.slice_quantity(4) == D("0.1")
    assert execution.slice_quantity(5) == 0


def test_waiting_is_summed_over_skipped_slots_and_children() -> None:
    world = World()
    world.add(
        SlotSkipped(
            execution_id=EXECUTION,
            slice=0,
            quantity=D("0.1"),
            reason="STALE_MARKET",
            detail="",
            waited_seconds=D("30"),
        ),
        NOW + timedelta(seconds=30),
    )
    world.intend(1, "0.1", 31, waited_seconds=D("1.5"))
    assert world.execution.waited_seconds == D("31.5")
