"""The pure state machine of one execution: what is overdue, refused, commanded, and how it ends."""

from __future__ import annotations

import pytest

from actors.twap.commands import fact_of
from actors.twap.execution import AwaitChild, Close, Serve, Skip, Step, Wait
from actors.twap.reactions import DECLINES, Reaction, Way, stop_after_refusal
from actors.twap.schedule import Limits
from messages.execution import CommandAnswer, PauseExecution, StopReason
from messages.facts import ExecutionAmended, ExecutionCancelRequested, ExecutionPaused, ExecutionResumed
from messages.order import Decline
from tests.actors.twap.world import World, after, quantity, refused
from tests.factories import EXECUTION, NOW, D, a_closed

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


def test_the_last_slot_takes_what_the_one_before_it_had_missed_if_the_cap_allows_it() -> None:
    world = World()
    for slot in range(3):
        world.fill(slot, "0.1", 30 * slot)
    assert world.next(121) == Skip(3, D("0.1"), "OVERDUE", "slot 3 had passed")
    assert world.serve(121).slot == 4
    assert quantity(world, 4) == D("0.2")


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
    assert world.next(30) == Serve(1, after(60), after(60))
    world.execution.terms = Limits(step=D("0.03"), min_quantity=D("0.03"), max_quantity=None, min_notional=D(5))
    assert world.execution.child_quantity(1, D(42_000), None) == D("0.09")
    world.execution.terms = Limits(step=D("0.5"), min_quantity=D("0.5"), max_quantity=None, min_notional=D(5))
    assert world.execution.child_quantity(1, D(42_000), None) == 0
    assert world.next(30) == Close(StopReason.REFUSED, "0.4 left, below what the venue takes now")


@pytest.mark.parametrize(
    ("left", "usual", "today"),
    [
        ("0.00013", Wait(after(30)), Close(StopReason.REFUSED, "0.00013 left, below what the venue takes now")),
        ("0.00012", *[Close(StopReason.COMPLETED, "0.00012 left, below the minimum")] * 2),
    ],
)
def test_what_is_left_is_too_little_below_the_minimum_and_refused_if_only_that_of_today_is_above_it(
    left: str, usual: Step, today: Step
) -> None:
    world = World(quantity=D("0.1"), slices=(D("0.1"),))
    world.fill(0, "0.1", 0, filled=D("0.1") - D(left))
    assert world.next(1) == usual
    world.execution.terms = Limits(step=D("0.00001"), min_quantity=D("0.01"), max_quantity=None, min_notional=D(5))
    assert world.next(1) == today


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
