"""The sweep: one last child for what all slots have left, within the cap and before the end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Simulation
from actors.twap.execution import Close, Serve, Skip, Wait
from actors.twap.schedule import slots_of, sweep_slot
from messages.execution import StopReason
from messages.order import PlaceChild
from messages.signal import TwapOptions
from tests.actors.twap.stage import Stage, after
from tests.actors.twap.world import World
from tests.actors.twap.world import after as at
from tests.factories import D, a_plan, a_signal, an_accepted


def quantity(world: World, slot: int) -> Decimal:
    return world.execution.child_quantity(slot, D(42_000), None)


def worked(filled: str, **plan: Any) -> World:
    """Five slots and their extra ones, each filled by `filled` of what it was sent for."""
    world = World(remainder="sweep", extra_slots=1, **plan)
    for slot in range(6):
        assert world.serve(30 * slot).slot == slot
        child = quantity(world, slot)
        world.fill(slot, child, 30 * slot, filled=(child * D(filled)).quantize(D("0.00001")))
    return world


def test_what_the_last_slot_leaves_goes_as_one_more_child_an_interval_later() -> None:
    world = worked("0.5")
    left = world.execution.rest
    assert 0 < left < D("0.2")
    assert world.next(170) == Wait(at(180))
    assert world.serve(180) == Serve(6, at(210), at(210))
    assert quantity(world, 6) == left
    world.fill(6, left, 180)
    assert world.next(181) == Close(StopReason.COMPLETED)


def test_without_a_sweep_it_is_reported() -> None:
    world = World(extra_slots=0)
    for slot in range(5):
        world.fill(slot, quantity(world, slot), 30 * slot, filled="0.05")
    assert world.next(150) == Close(StopReason.LIQUIDITY, "filled 50%")


def test_a_sweep_is_never_above_the_catch_up_cap() -> None:
    world = World(remainder="sweep", extra_slots=0)
    for slot in range(5):
        world.skip(slot, 30 * slot)
    assert world.serve(150).slot == 5
    assert quantity(world, 5) == D("0.2")
    world.fill(5, "0.2", 150)
    assert world.next(180) == Close(StopReason.LIQUIDITY, "filled 40%")


def test_a_sweep_takes_what_is_left_even_if_slots_do_not_catch_up() -> None:
    world = World(remainder="sweep", extra_slots=0, catch_up="none")
    world.skip(0, 0)
    for slot in range(1, 5):
        world.fill(slot, "0.1", 30 * slot, filled="0.09")
    assert quantity(world, world.serve(150).slot) == D("0.14")


def test_there_is_one_sweep() -> None:
    world = worked("0.1")
    left = quantity(world, world.serve(180).slot)
    world.fill(6, left, 180, filled="0.001")
    assert isinstance(world.next(210), Close)


def test_a_sweep_whose_guards_fail_gives_their_reason() -> None:
    world = worked("0.5")
    world.skip(6, 190, "SPREAD_TOO_WIDE")
    assert world.next(210) == Close(StopReason.SPREAD_TOO_WIDE, "of a test")


def test_nothing_is_swept_that_is_below_the_minimum() -> None:
    world = World(remainder="sweep", extra_slots=0)
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.1" if slot < 4 else "0.09995")
    assert world.next(150) == Close(StopReason.COMPLETED, "0.00005 left, below the minimum")


# Before an end --------------------------------------------------------------------------------------


def test_where_no_turn_comes_before_the_end_the_sweep_goes_half_way_to_it() -> None:
    world = World(remainder="sweep", end_at=at(150))
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.08")
    assert world.next(121) == Wait(at(135))
    step = world.next(135)
    assert isinstance(step, Skip)
    assert (step.slot, step.quantity, step.reason) == (6, D(0), "OVERDUE")
    assert world.serve(135) == Serve(7, at(150), at(150))
    assert quantity(world, 7) == D("0.1")
    world.fill(7, "0.1", 135, filled="0.05")
    assert world.next(136) == Close(StopReason.LIQUIDITY, "filled 90%")


def test_slots_that_do_not_come_before_the_end_are_swept_up_under_the_cap() -> None:
    world = World(remainder="sweep", end_at=at(80))
    world.fill(0, "0.1", 0)
    world.fill(1, "0.1", 30)
    world.fill(2, "0.1", 60, filled="0.05")
    assert world.next(61) == Wait(at(70))
    step = world.next(70)
    assert isinstance(step, Skip)
    assert (step.quantity, step.detail) == (D("0.2"), "slots up to 6 do not come before the end")
    assert world.serve(70).slot == 7
    assert quantity(world, 7) == D("0.2")


def test_an_end_that_is_moved_out_gives_the_slots_their_turns_back() -> None:
    world = World(remainder="sweep", end_at=at(80))
    for slot in range(3):
        world.fill(slot, "0.1", 30 * slot)
    assert world.next(61) == Wait(at(70))
    world.execution.end_at = at(500)
    assert world.next(62) == Wait(at(90))


def test_after_the_end_nothing_is_swept() -> None:
    world = World(remainder="sweep", end_at=at(150))
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.08")
    assert world.next(150) == Close(StopReason.END_OF_TIME, "filled 80%")


def test_a_refused_timestamp_is_tried_again_before_the_sweep() -> None:
    world = World(remainder="sweep", end_at=at(150))
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.08")
    world.execution.retry = 4
    assert world.serve(136).slot == 4


@pytest.mark.parametrize(("remainder", "slots", "sweep"), [("report", 7, None), ("sweep", 8, 7)])
def test_the_sweep_is_a_slot_of_its_own(remainder: str, slots: int, sweep: int | None) -> None:
    plan = a_plan(remainder=remainder)
    assert (slots_of(plan), sweep_slot(plan)) == (slots, sweep)


# By messages ----------------------------------------------------------------------------------------


def test_a_sweep_is_sent_behind_its_guards_and_reported(simulation: Simulation) -> None:
    signal = a_signal(
        twap=TwapOptions(num_chunks=2, interval_seconds=D(10), end_at=after(20), remainder="sweep"),
        limit_price=D(43_000),
    )
    stage = Stage(simulation, an_accepted(signal=signal))
    stage.fill(stage.placed(), "0.5")
    stage.fill(stage.placed(within=10.0), "0.5")
    await_ = stage.asked(within=5.0)
    assert (simulation.now(), await_.deadline) == (15.0, 20.0)
    assert await_.bounds.limit_price == 43_000
    stage.answer(await_)
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.slice, place.quantity, place.limit_price) == (4, stage.state.rest, D("42085.01"))
    stage.fill(place)
    report = stage.ended(StopReason.COMPLETED).report
    assert report.swept == place.quantity
    assert report.total_filled == D("0.5")


def test_the_half_way_to_the_end_is_counted_from_the_last_turn_with_its_delay_or_from_the_start() -> None:
    late = World(remainder="sweep", end_at=at(20), jitter=D("0.9"), delays=(D(25),) * 8)
    assert late.next(0) == Wait(at(10))
    turned = World(remainder="sweep", end_at=at(50), jitter=D("0.9"), delays=(D(4), *(D(25),) * 7))
    turned.fill(0, "0.1", 4)
    assert turned.next(5) == Wait(at(27))
