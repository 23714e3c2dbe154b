"""Jitter: uneven sizes and times from a seed, with everything that must be exact still exact."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.twap.execution import Serve, Wait
from actors.twap.jitter import delays, draws, uneven
from actors.twap.schedule import due_at, plan, slot_at
from actors.twap.settings import TwapSettings
from messages.execution import Plan
from messages.signal import TwapOptions
from tests.actors.twap.world import World, after
from tests.factories import NOW, D, a_plan, a_signal, an_accepted, rules

SETTINGS = TwapSettings(jitter=D("0.3"))


def planned(quantity: str = "0.5", settings: TwapSettings = SETTINGS, **options: object) -> Plan:
    signal = a_signal(quantity=D(quantity), twap=TwapOptions(**options))  # type: ignore[arg-type]  # a test's table
    return plan(an_accepted(signal=signal, quantity=D(quantity)), rules(), settings, NOW)


# Drawing ------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_numbers_and_another_seed_others() -> None:
    first, again, other = (tuple(islice(draws(seed), 20)) for seed in ("a", "a", "b"))
    assert first == again
    assert first != other
    assert all(0 <= share < 1 for share in first)
    assert len(set(first)) == 20


def test_sizes_and_times_are_drawn_apart() -> None:
    """A delay says nothing of the size of its slice."""
    sizes = uneven([1000] * 8, D("0.5"), "a", least=1, most=2000)
    times = delays(8, D(1000), D("0.5"), "a")
    assert [size - 500 for size in sizes] != [int(time * 2) for time in times]


@given(
    sizes=st.lists(st.integers(1, 10**7), min_size=2, max_size=40),
    jitter=st.decimals("0.001", "0.5", places=3),
    least=st.integers(1, 10**6),
    most=st.integers(1, 10**8),
    seed=st.text(max_size=8),
)
def test_uneven_sizes_add_up_to_the_same_total_within_their_bounds(
    sizes: list[int], jitter: Decimal, least: int, most: int, seed: str
) -> None:
    changed = uneven(sizes, jitter, seed, least=least, most=most)
    assert sum(changed) == sum(sizes)
    for before, size in zip(sizes, changed, strict=True):
        assert size >= min(before, least)
        assert size <= max(before, most)
        assert abs(size - before) <= before * jitter
    assert changed == uneven(sizes, jitter, seed, least=least, most=most)


@given(
    count=st.integers(1, 50),
    interval=st.decimals("0.1", "3600", places=3),
    jitter=st.decimals("0.001", "0.5", places=3),
)
def test_delays_stay_within_their_share_of_the_interval(count: int, interval: Decimal, jitter: Decimal) -> None:
    drawn = delays(count, interval, jitter, "seed")
    assert len(drawn) == count
    assert all(0 <= delay < interval * jitter for delay in drawn)
    assert all(delay == round(delay, 6) for delay in drawn)


# The plan -----------------------------------------------------------------------------------------


def test_a_plan_with_jitter_has_slices_of_its_total_and_no_two_alike() -> None:
    schedule = planned()
    assert sum(schedule.slices) == D("0.5")
    assert len(set(schedule.slices)) == 5
    assert all(D("0.07") <= size <= D("0.13") for size in schedule.slices)
    assert all(size % schedule.step == 0 for size in schedule.slices)
    assert len(schedule.delays) == 7  # extra slots have theirs, too
    assert all(0 <= delay < 9 for delay in schedule.delays)


def test_a_plan_made_again_is_the_same() -> None:
    assert planned() == planned()


def test_without_jitter_there_is_none() -> None:
    schedule = planned(settings=TwapSettings())
    assert not schedule.jitter
    assert not schedule.delays
    assert schedule.slices == (D("0.1"),) * 5
    assert planned(jitter=D(0)).delays == ()


def test_a_signals_jitter_comes_before_the_settings() -> None:
    assert planned(jitter=D("0.01")).jitter == D("0.01")


def test_a_direct_order_has_no_jitter() -> None:
    schedule = planned("0.01")
    assert schedule.direct
    assert not schedule.jitter
    assert not schedule.delays


def test_no_slice_falls_below_the_minimum() -> None:
    schedule = planned("0.0062", num_chunks=5, jitter=D("0.5"))
    assert len(schedule.slices) == 5
    assert min(schedule.slices) * 42_000 >= 50


@given(
    quantity=st.integers(1_000, 500_000),
    count=st.integers(2, 50),
    jitter=st.decimals("0.01", "0.5", places=2),
    shape=st.sampled_from(["equal", "ow"]),
    least=st.sampled_from([D(0), D(50), D(500)]),
    most=st.sampled_from([D(0), D("0.3")]),
)
def test_every_plan_with_jitter_is_exact(
    quantity: int, count: int, jitter: Decimal, shape: str, least: Decimal, most: Decimal
) -> None:
    amount = quantity * D("0.00001")
    signal = a_signal(
        quantity=amount,
        twap=TwapOptions(num_chunks=count, jitter=jitter, schedule=shape),  # type: ignore[arg-type]  # drawn
    )
    venue = rules(max_quantity=most)
    schedule = plan(an_accepted(signal=signal, quantity=amount), venue, TwapSettings(min_chunk_value=least), NOW)
    assert sum(schedule.slices) == amount == schedule.quantity
    assert all(size % schedule.step == 0 for size in schedule.slices)
    if len(schedule.slices) > 1:
        assert max(schedule.slices) < amount
        assert not most or max(schedule.slices) <= most
        even = plan(
            an_accepted(signal=a_signal(quantity=amount, twap=TwapOptions(num_chunks=count)), quantity=amount),
            venue,
            TwapSettings(min_chunk_value=least),
            NOW,
        )
        if shape == "equal":
            worth = max(least, D("5.25"))
            assert all(size * 42_000 >= worth for size in schedule.slices) or min(even.slices) * 42_000 < worth
    turns = [due_at(schedule, number) for number in range(len(schedule.slices) + schedule.extra_slots + 3)]
    assert all(earlier < later for earlier, later in pairwise(turns))
    for number, turn in enumerate(turns):
        assert slot_at(schedule, number) <= turn < slot_at(schedule, number + 1)


# The clock of slots -------------------------------------------------------------------------------


def jittered_world() -> World:
    return World(jitter=D("0.3"), delays=tuple(D(seconds) for seconds in ("3", "8.5", "0", "1", "2", "4", "5")))


def test_no_slot_is_served_before_its_own_delay() -> None:
    world = jittered_world()
    assert world.next(0) == Wait(after(3))
    assert world.next(2.999999) == Wait(after(3))
    assert world.serve(3) == Serve(0, after(30), after(30))
    world.fill(0, "0.1", 3)
    assert world.next(30) == Wait(after(38.5))
    assert world.serve(38.5) == Serve(1, after(60), after(60))


def test_after_a_stall_the_interval_in_which_it_ends_keeps_its_delay() -> None:
    world = jittered_world()
    assert world.next(31) == Wait(after(38.5))
    assert world.next(90.5) == Wait(after(91))
    assert world.serve(91) == Serve(2, after(120), after(120))  # slots 0 and 1 are merged into it


def test_delays_repeat_where_the_schedule_runs_on() -> None:
    schedule = a_plan(delays=(D(3), D(1)))
    assert [schedule.delay_of(number) for number in range(5)] == [3, 1, 3, 1, 3]


@pytest.mark.parametrize("end", [59, 61, 68.4])
def test_an_end_before_a_slots_delay_leaves_it_out(end: float) -> None:
    world = World(jitter=D("0.3"), delays=(D(0), D(0), D("8.5")), end_at=after(end))
    world.fill(0, "0.1", 0)
    world.fill(1, "0.1", 30)
    assert "END_OF_TIME" in str(world.next(45))
