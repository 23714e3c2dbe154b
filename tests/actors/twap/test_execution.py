from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.twap.execution import DEADLINE, AwaitChild, CancelResting, Close, Done, Rest, Serve, Wait
from actors.twap.schedule import minimum_at
from messages.execution import ChildOutcome, StopReason
from messages.facts import (
    AttemptReappeared,
    ChildAcknowledged,
    ChildNotSent,
    ExecutionAmended,
    ExecutionQuarantined,
    ExecutionStarted,
    SlotSkipped,
)
from tests.actors.twap.world import PRICE, World, absent, after, quantity, refused, unknown
from tests.factories import EXECUTION, NOW, D, a_closed, a_reappeared, an_accepted, an_acknowledged

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
    seen = a_reappeared(client_order_id=name, status="FILLED", executed_quantity=D("0.1"))
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
    shown = a_reappeared(client_order_id=first)
    world.add(shown, after(31))
    assert children[first].sent
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
    child = world.execution.children[name]
    assert (child.absent, child.outcome) == (False, None if is_open else ChildOutcome.FILLED)
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


def test_an_older_child_that_turns_out_to_be_refused_gets_no_second_attempt() -> None:
    """It was adopted: the journal had lost it, and another one was sent meanwhile."""
    world = World()
    older = world.intend(0, "0.1", 0, adopted=True)
    latest = world.intend(1, "0.1", 30)
    world.add(refused(older), after(31))
    world.trade(latest, "0.1", 31)
    world.close(latest, seconds=31)
    assert world.next(32) == Wait(after(60))


def test_what_made_slots_wait_is_counted_by_its_reason_and_the_turn_is_that_in_which_the_wait_began() -> None:
    world = World()
    waited = SlotSkipped(
        execution_id=EXECUTION,
        slice=0,
        quantity=D("0.1"),
        reason="STALE_MARKET",
        detail="",
        waited_seconds=D(10),
        timed_seconds=D(20),
    )
    world.add(waited, after(30))
    assert world.serve(30).slot == 1
    world.add(replace(waited, slice=1, waited_for="LIQUIDITY", timed_seconds=D("0.5")), after(60))
    world.skip(2, 70)
    assert world.execution.waits_by == {"STALE_MARKET": (1, D(10)), "LIQUIDITY": (1, D(10))}
    assert (world.execution.timings, world.execution.timed_seconds) == (2, D("20.5"))


def test_what_the_market_has_traded_stays_known_while_intents_do_not_tell_it() -> None:
    world = World()
    world.intend(0, "0.1", 0, market_volume=D(7))
    world.intend(1, "0.1", 30)
    assert world.execution.market_volume == 7


# Children that rest -------------------------------------------------------------------------------


def resting(**plan: Any) -> tuple[World, str]:
    """An execution whose first child rests in the book since 0 s, for 24 s at most."""
    world = World(child="passive", **plan)
    name = world.intend(
        0, "0.1", 0, order_type="LIMIT_MAKER", time_in_force=None, limit_price=D(41_999), rest_seconds=D(24)
    )
    world.add(an_acknowledged(client_order_id=name, status="NEW"), after(0))
    return world, name


def test_what_is_left_of_a_child_that_rested_crosses_within_the_maximum_and_the_rest() -> None:
    world, name = resting()
    world.trade(name, "0.04", 10)
    world.close(name, ChildOutcome.TIMEOUT, 24)
    child_quantity = world.execution.child_quantity
    assert child_quantity(0, PRICE, None) == child_quantity(0, PRICE, D(1)) == D("0.06")
    assert child_quantity(0, PRICE, D("0.05")) == D("0.05")
    assert child_quantity(0, PRICE, D("0.00013")) == minimum_at(world.plan, PRICE) == D("0.00013")
    assert child_quantity(0, PRICE, D("0.00012")) == 0
    world.add(ExecutionAmended(execution_id=EXECUTION, quantity=D("0.05")), after(25))
    assert child_quantity(0, PRICE, None) == D("0.01")


def test_a_trade_shows_that_the_venue_has_a_child_that_rests() -> None:
    world = World(child="passive")
    name = world.intend(0, "0.1", 0, order_type="LIMIT_MAKER", time_in_force=None, rest_seconds=D(24))
    assert world.next(1) == AwaitChild(name)
    world.trade(name, "0.04", 2)
    assert world.next(2) == Rest(name, after(24))


def test_a_child_rests_to_the_end_of_the_execution_at_most() -> None:
    world, name = resting(end_at=after(20))
    assert world.next(19) == Rest(name, after(20))
    assert world.next(20) == CancelResting(name, 1001, DEADLINE)


def test_a_child_that_rests_is_cancelled_when_another_ends_the_execution() -> None:
    world, name = resting()
    world.add(refused(world.intend(1, "0.1", 1, adopted=True), -2015, "Invalid API-key"), after(1))
    assert world.next(2) == CancelResting(name, 1001, DEADLINE)


def test_an_older_child_that_rests_again_after_all_leaves_nothing_to_a_slot_that_is_over() -> None:
    world, name = resting()
    world.fill(1, "0.1", 30)
    world.trade(name, "0.04", 35)
    world.close(name, ChildOutcome.TIMEOUT, 40)
    assert world.next(41) == Wait(after(60))


@pytest.mark.parametrize(
    ("makes", "code", "message", "again"),
    [
        (True, -2010, "Order would immediately match and take.", True),
        (True, -1003, "Too many requests", False),
        (False, -2010, "Order would immediately match and take.", False),
    ],
)
def test_only_a_post_that_would_have_taken_is_tried_again_at_once(
    makes: bool, code: int, message: str, again: bool
) -> None:
    world = World(child="passive")
    kind = {"order_type": "LIMIT_MAKER", "time_in_force": None, "rest_seconds": D(24)} if makes else {}
    name = world.intend(0, "0.1", 0, **kind)
    world.add(refused(name, code, message), after(1))
    assert world.execution.children[name].would_take is again
    assert isinstance(world.next(2), Serve if again else Wait)


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
