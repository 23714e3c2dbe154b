"""The schedule's arithmetic: direct or sliced, exact slices, times, and catching up without a burst."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.twap.schedule import (
    MIN_NOTIONAL_MARGIN,
    Limits,
    StepBounds,
    adapted,
    due_quantity,
    limits_of,
    minimum_at,
    most_of,
    ow_slices,
    plan,
    should_use_twap,
    slot_at,
    slot_number,
    slots_needed,
)
from actors.twap.settings import TwapSettings
from messages.execution import Plan
from messages.market import SymbolRules
from messages.signal import CatchUp, ChildKind, Side, TwapOptions
from tests.factories import NOW, D, a_plan, a_signal, an_accepted, rules

SETTINGS = TwapSettings()


def planned(
    quantity: Decimal | str = "0.5",
    *,
    settings: TwapSettings = SETTINGS,
    venue: SymbolRules | None = None,
    depth: Decimal | None = None,
    later: timedelta = timedelta(0),
    limit_price: Decimal | None = None,
    **options: Any,
) -> Plan:
    signal = a_signal(quantity=D(quantity), twap=TwapOptions(**options), limit_price=limit_price)
    accepted = an_accepted(signal=signal, quantity=D(quantity), depth=depth)
    return plan(accepted, venue or rules(), settings, NOW + later)


# Direct or sliced ---------------------------------------------------------------------------------


def test_half_a_bitcoin_at_42000_is_sliced() -> None:
    assert should_use_twap(D("0.5"), D(42_000), None, TwapOptions(), SETTINGS)
    assert planned("0.5").slices == (D("0.1"),) * 5
    assert not planned("0.5").direct


def test_a_hundredth_of_a_bitcoin_at_42000_goes_directly() -> None:
    assert not should_use_twap(D("0.01"), D(42_000), None, TwapOptions(), SETTINGS)
    assert planned("0.01").slices == (D("0.01"),)
    assert planned("0.01").direct


@pytest.mark.parametrize(("quantity", "sliced"), [("10", False), ("10.001", True)])
def test_worth_exactly_the_bound_is_not_above_it(quantity: str, sliced: bool) -> None:
    assert should_use_twap(D(quantity), D(100), None, TwapOptions(), SETTINGS) is sliced


@pytest.mark.parametrize(("depth", "sliced"), [(D("0.1"), False), (D("0.0999"), True), (D(0), True), (None, False)])
def test_more_than_a_tenth_of_the_depth_is_sliced_and_unknown_depth_says_nothing(
    depth: Decimal | None, sliced: bool
) -> None:
    assert should_use_twap(D("0.01"), D(42_000), depth, TwapOptions(), SETTINGS) is sliced


def test_a_signal_that_names_chunks_or_a_duration_decides_itself() -> None:
    def decided(quantity: str, **options: Any) -> bool:
        return should_use_twap(D(quantity), D(42_000), None, TwapOptions(**options), SETTINGS)

    assert decided("0.01", num_chunks=2)
    assert decided("0.01", duration_seconds=D(60))
    assert not decided("10", num_chunks=1)
    assert not decided("0.01", interval_seconds=D(5))


def test_one_chunk_is_direct_whatever_it_is_worth() -> None:
    assert planned("10", num_chunks=1, venue=rules(max_quantity=D(0))).slices == (D(10),)


# Slices -------------------------------------------------------------------------------------------


def test_an_uneven_total_gives_slices_that_differ_by_one_step() -> None:
    assert planned("0.50003").slices == (D("0.10001"),) * 3 + (D("0.1"),) * 2


def test_the_total_is_rounded_down_to_the_step() -> None:
    assert planned("0.500009").quantity == D("0.5")


def test_slices_shrink_in_number_until_each_is_worth_the_least_chunk() -> None:
    assert len(planned("0.005", num_chunks=5).slices) == 4  # 210 in chunks of 50 or more
    assert len(planned("0.0023", num_chunks=5).slices) == 1  # 96.6 is less than two of them


def test_the_least_chunk_does_not_bind_an_order_of_one_slice() -> None:
    assert planned("0.001", num_chunks=5).slices == (D("0.001"),)


def test_slices_keep_a_margin_above_the_least_notional() -> None:
    venue, settings = rules(min_notional=D(10)), TwapSettings(min_chunk_value=D(0))
    slices = planned("0.0012", num_chunks=5, venue=venue, settings=settings).slices
    assert len(slices) == 4
    assert min(slices) * 42_000 >= 10 * MIN_NOTIONAL_MARGIN


def test_slices_keep_the_least_quantity() -> None:
    assert len(planned("0.5", venue=rules(min_quantity=D("0.2"))).slices) == 2


def test_less_than_one_step_gives_no_slice() -> None:
    schedule = planned("0.000001")
    assert not schedule.slices
    assert schedule.quantity == 0


def test_the_venues_step_is_the_least_slice_that_there_is() -> None:
    coarse = rules(step=D("0.01"), min_quantity=D(0), min_notional=D(0))
    assert planned("0.05", venue=coarse, num_chunks=5).slices == (D("0.01"),) * 5
    assert planned("0.05", venue=coarse, num_chunks=9, settings=TwapSettings(min_chunk_value=D(0))).slices == (
        (D("0.01"),) * 5
    )
    for most in ("0.01", "0.005"):
        narrow = replace(coarse, max_quantity=D(most))
        assert planned("0.05", venue=narrow, num_chunks=1).slices == (D("0.01"),) * 5


def test_an_order_above_the_venues_maximum_is_cut_even_if_it_should_go_directly() -> None:
    schedule = planned("10", num_chunks=1, venue=rules(max_quantity=D(4)))
    assert len(schedule.slices) == 3
    assert not schedule.direct
    by_notional = planned("10", num_chunks=1, venue=rules(max_notional=D(168_000)))
    assert max(by_notional.slices) * 42_000 <= 168_000


def test_market_children_fit_both_lot_sizes() -> None:
    venue = rules(market_step=D("0.001"), market_max_quantity=D("0.2"), market_min_quantity=D("0.01"))
    schedule = planned("0.5005", venue=venue, num_chunks=1, child="market")
    assert schedule.step == D("0.001")
    assert schedule.min_quantity == D("0.01")
    assert schedule.slices == (D("0.167"), D("0.167"), D("0.166"))
    assert limits_of(venue, "ioc", D(42_000)) == Limits(
        step=D("0.00001"), min_quantity=D("0.00001"), max_quantity=D(9000), min_notional=D(5)
    )


@pytest.mark.parametrize(
    ("child", "venue", "most"),
    [
        ("market", {"max_quantity": D("0.1"), "market_max_quantity": D("0.2")}, D("0.1")),
        ("market", {"max_quantity": D("0.2"), "market_max_quantity": D("0.1")}, D("0.1")),
        ("market", {"max_quantity": D(0), "market_max_quantity": D("0.2")}, D("0.2")),
        ("market", {"max_quantity": D("0.2"), "market_max_quantity": D(0)}, D("0.2")),
        ("ioc", {"max_quantity": D("0.2"), "market_max_quantity": D("0.1")}, D("0.2")),
        ("ioc", {"max_quantity": D(0), "market_max_quantity": D("0.1")}, None),
        ("ioc", {"max_quantity": D(0), "max_notional": D(168_000)}, D("3.80952")),  # 4 at a price 5 % higher
        ("ioc", {"max_quantity": D(9000), "max_notional": D(168_000)}, D("3.80952")),
        ("ioc", {"max_quantity": D(3), "max_notional": D(168_000)}, D(3)),
    ],
)
def test_the_most_of_a_child_is_the_least_of_what_the_venue_names(
    child: ChildKind, venue: dict[str, Decimal], most: Decimal | None
) -> None:
    assert limits_of(rules(**venue), child, D(42_000)).max_quantity == most


def test_a_plan_is_adapted_to_what_the_venue_asks_for_now_and_is_itself_while_that_has_not_changed() -> None:
    schedule = planned()
    same = limits_of(rules(), "ioc", D(42_000))
    assert adapted(schedule, same) is schedule
    assert adapted(schedule, replace(same, step=D("0.000001"))) is schedule
    changes: list[dict[str, Any]] = [{"step": D("0.001")}, {"min_quantity": D("0.01")}, {"min_notional": D(10)}]
    for change in changes:
        assert adapted(schedule, replace(same, **change)) == replace(schedule, **change)


def test_a_venue_without_a_step_gets_the_finest() -> None:
    for child in ("ioc", "market"):
        schedule = planned("0.123456789", venue=rules(step=D(0), market_step=D(0)), child=child)
        assert (schedule.quantity, schedule.step) == (D("0.12345678"), D("0.00000001"))


quantities = st.integers(1, 10**9)
prices = st.decimals("0.0001", "100000", places=4)


venues = st.builds(
    lambda step, least, min_notional: rules(
        step=D(step), min_quantity=least * D(step), min_notional=D(min_notional), max_quantity=D(0)
    ),
    step=st.sampled_from(["0.00001", "0.001", "0.1", "1"]),
    least=st.integers(0, 100),
    min_notional=st.sampled_from([0, 5, 10]),
)


@given(
    steps=quantities,
    price=prices,
    venue=venues,
    wanted=st.integers(1, 50),
    dust=st.decimals("0", "0.999", places=3),
)
def test_slices_are_exact_even_multiples_of_the_step_and_never_below_a_minimum(
    steps: int, price: Decimal, venue: SymbolRules, wanted: int, dust: Decimal
) -> None:
    unit = venue.step
    accepted = an_accepted(
        quantity=(steps + dust) * unit,
        bid=price,
        ask=price,
        signal=a_signal(twap=TwapOptions(num_chunks=wanted)),
    )
    schedule = plan(accepted, venue, SETTINGS, NOW)
    slices = schedule.slices

    assert sum(slices) == schedule.quantity == steps * unit
    assert all(quantity % unit == 0 and quantity > 0 for quantity in slices)
    assert max(slices) - min(slices) <= unit
    assert 1 <= len(slices) <= wanted
    minimum = max(
        SETTINGS.min_chunk_value / price, MIN_NOTIONAL_MARGIN * venue.min_notional / price, venue.min_quantity
    )
    if len(slices) > 1:
        assert min(slices) >= minimum
    elif wanted > 1:  # At once only if two would not have been large enough, rounding included.
        assert schedule.quantity < 2 * minimum + 2 * unit


# Slices for a block book ---------------------------------------------------------------------------


def test_the_ow_schedule_is_the_closed_form() -> None:
    """X = 10, N = 2, a = 1/2: 4, 2, 4."""
    assert ow_slices(StepBounds(total=10, least=1, most=10), 3, D("0.5")) == [4, 2, 4]


def test_a_signal_or_the_settings_ask_for_the_ow_schedule() -> None:
    ln2 = D("0.6931471805599453")
    asked = planned("0.5", num_chunks=3, interval_seconds=D(10), schedule="ow", rho=ln2 / 10)
    assert asked.slices == (D("0.2"), D("0.1"), D("0.2"))
    assert (asked.schedule, asked.rho) == ("ow", ln2 / 10)
    usual = TwapSettings(schedule="ow", rho=ln2 / 10)
    assert planned("0.5", num_chunks=3, interval_seconds=D(10), settings=usual).slices == asked.slices
    equal = planned("0.5", num_chunks=3, settings=usual, schedule="equal")
    assert (equal.schedule, equal.rho) == ("equal", None)
    assert planned("0.01", schedule="ow").schedule == "equal"  # there is but one slice


def test_a_book_that_heals_within_an_interval_wants_equal_slices() -> None:
    slices = planned("0.5", schedule="ow", rho=D(10)).slices
    assert max(slices) - min(slices) <= STEP


def test_inner_slices_too_small_are_raised_at_the_expense_of_the_ends() -> None:
    slices = planned("0.5", num_chunks=6, schedule="ow", rho=D("0.00001"), settings=TwapSettings()).slices
    assert min(slices) * 42_000 >= SETTINGS.min_chunk_value
    assert slices[1] < slices[0] / 100
    assert sum(slices) == D("0.5")


def test_outer_slices_too_large_are_lowered_to_the_most() -> None:
    slices = planned("10", num_chunks=6, schedule="ow", rho=D("0.00001"), venue=rules(max_quantity=D(3))).slices
    assert (slices[0], slices[-1], sum(slices)) == (D(3), D(3), D(10))


@given(
    total=st.integers(1, 10**7),
    count=st.integers(1, 60),
    decay=st.decimals("0", "1", places=6),
    least=st.integers(1, 1000),
    slack=st.integers(0, 1000),
)
def test_ow_slices_are_exact_symmetric_and_within_their_bounds(
    total: int, count: int, decay: Decimal, least: int, slack: int
) -> None:
    count = max(1, min(count, total // least))
    bounds = StepBounds(total=total, least=least, most=-(-total // count) + slack)
    slices = ow_slices(bounds, count, decay)
    assert (len(slices), sum(slices)) == (count, total)
    assert max(slices) <= bounds.most
    if total >= least:
        assert min(slices) >= least
    assert slices[0] - slices[-1] in {0, 1}
    inner = slices[1:-1]
    if inner:
        assert max(inner) - min(inner) <= 1
        assert min(slices[0], slices[-1]) >= max(inner) - 1


def test_slices_that_the_venues_maximum_makes_too_many_for_the_least_are_equal() -> None:
    assert ow_slices(StepBounds(total=10, least=4, most=4), 3, D("0.5")) == [4, 3, 3]


def test_slots_needed_counts_from_the_end_where_slices_differ() -> None:
    ow = a_plan(quantity=D(1), slices=(D("0.3"), D("0.1"), D("0.1"), D("0.2"), D("0.3")), schedule="ow")
    assert slots_needed(ow, D("0.6")) == 1
    assert slots_needed(ow, D("0.61")) == 2
    assert slots_needed(ow, D("1.2")) == 3
    assert slots_needed(ow, D("2.1")) == 6
    assert slots_needed(ow, D("3.3")) == 8
    assert slots_needed(replace(ow, catch_up="none"), D("0.5")) == 2


@pytest.mark.parametrize(("rest", "slots"), [("0.4", 1), ("1", 4), ("1.05", 5), ("2", 5), ("2.8", 7)])
def test_slots_needed_counts_from_the_end_under_jitter_too(rest: str, slots: int) -> None:
    slices = (D("0.5"), D("0.1"), D("0.1"), D("0.1"), D("0.2"))
    assert slots_needed(a_plan(quantity=D(1), slices=slices, jitter=D("0.5")), D(rest)) == slots


def test_a_sweep_carries_up_to_the_cap_times_the_largest_slice() -> None:
    sweeping = a_plan(quantity=D(1), slices=(D("0.5"), D("0.1"), D("0.4")), remainder="sweep")
    last_extra, sweep = 2 + sweeping.extra_slots, 3 + sweeping.extra_slots
    assert (most_of(sweeping, last_extra), most_of(sweeping, sweep)) == (D("0.8"), D(1))
    assert most_of(replace(sweeping, remainder="report"), sweep) == D("0.8")


def test_what_was_missed_is_shared_in_proportion_to_the_slices() -> None:
    ow = a_plan(quantity=D(1), slices=(D("0.4"), D("0.1"), D("0.1"), D("0.4")), schedule="ow")
    assert due_quantity(ow, 1, D("0.72"), MIN) == D("0.12")
    assert due_quantity(ow, 3, D("0.72"), MIN) == D("0.72")


# Times --------------------------------------------------------------------------------------------


def test_slots_are_an_interval_apart_from_the_moment_of_planning() -> None:
    schedule = planned(later=timedelta(seconds=1))
    assert schedule.start_at == NOW + timedelta(seconds=1)
    assert slot_at(schedule, 3) == NOW + timedelta(seconds=91)
    assert slot_number(schedule, slot_at(schedule, 3)) == 3
    assert slot_number(schedule, slot_at(schedule, 3) - timedelta(microseconds=1)) == 2
    assert slot_number(schedule, NOW) == -1


def test_a_signals_start_counts_if_it_is_still_to_come() -> None:
    start = NOW + timedelta(minutes=5)
    assert planned(start_at=start).start_at == start
    assert planned(start_at=start, later=timedelta(minutes=6)).start_at == NOW + timedelta(minutes=6)


def test_a_duration_is_shared_evenly_by_the_slices_that_there_are() -> None:
    assert planned(num_chunks=4, duration_seconds=D(60)).interval_seconds == 15
    assert planned("0.005", num_chunks=5, duration_seconds=D(60)).interval_seconds == 15  # 4 slices


def test_with_a_duration_the_interval_chooses_the_number_of_slices() -> None:
    schedule = planned(interval_seconds=D(10), duration_seconds=D(65))
    assert len(schedule.slices) == 6
    assert schedule.interval_seconds == D("10.833333")
    assert len(planned(interval_seconds=D(90), duration_seconds=D(65)).slices) == 1


def test_an_end_stands_for_a_duration_unless_chunks_and_interval_say_how_long_it_takes() -> None:
    end = NOW + timedelta(seconds=200)
    assert planned(end_at=end).interval_seconds == 40
    assert len(planned(end_at=end, interval_seconds=D(20)).slices) == 10
    both = planned(end_at=end, interval_seconds=D(20), num_chunks=4)
    assert (both.interval_seconds, both.end_at) == (D(20), end)
    assert planned(end_at=end + timedelta(seconds=100), num_chunks=4).interval_seconds == 75
    assert planned(end_at=end, num_chunks=4, duration_seconds=D(60)).interval_seconds == 15


def test_an_interval_alone_leaves_the_usual_number_of_slices() -> None:
    schedule = planned(interval_seconds=D(10))
    assert (len(schedule.slices), schedule.interval_seconds) == (5, D(10))


def test_slots_are_drawn_together_so_that_all_lie_before_the_end() -> None:
    end = NOW + timedelta(seconds=40)
    schedule = planned(end_at=end, interval_seconds=D(20), num_chunks=4)
    assert schedule.interval_seconds == 10
    assert slot_at(schedule, 3) < end


def test_an_end_does_not_stretch_a_direct_order() -> None:
    schedule = planned("0.01", end_at=NOW + timedelta(hours=1))
    assert (schedule.direct, schedule.interval_seconds) == (True, D(30))


def test_two_slices_share_a_duration_and_an_end_and_a_single_one_needs_no_more_than_the_usual_interval() -> None:
    end = NOW + timedelta(seconds=30)
    assert planned(num_chunks=2, duration_seconds=D(50)).interval_seconds == 25
    assert planned(num_chunks=2, interval_seconds=D(20), end_at=end).interval_seconds == 15
    assert planned("0.001", num_chunks=5, duration_seconds=D(50)).interval_seconds == 30
    assert planned("0.001", num_chunks=5, interval_seconds=D(40), end_at=end).interval_seconds == 40


def test_slots_never_fall_on_top_of_each_other() -> None:
    schedule = planned(end_at=NOW, num_chunks=5)
    assert slot_at(schedule, 1) > slot_at(schedule, 0)


# Options over settings ----------------------------------------------------------------------------


def test_a_signals_options_come_before_the_settings() -> None:
    schedule = planned(cap_bps=D(0), catch_up="cap", child="market", remainder="sweep", limit_price=D(43_000))
    assert (schedule.cap_bps, schedule.catch_up, schedule.child) == (D(0), "cap", "market")
    assert (schedule.remainder, schedule.limit_price) == ("sweep", D(43_000))
    plain = planned()
    assert (plain.cap_bps, plain.catch_up, plain.child, plain.remainder) == (D(20), "spread", "ioc", "report")


def test_partial_fills_of_direct_orders_are_accepted_and_those_of_slices_requeued() -> None:
    assert planned("0.01").on_partial == "accept"
    assert planned("0.5").on_partial == "requeue"
    turned = TwapSettings(partial_direct="requeue", partial_slice="accept")
    assert planned("0.01", settings=turned).on_partial == "requeue"
    assert planned("0.5", settings=turned).on_partial == "accept"


@pytest.mark.parametrize(
    ("signal", "quantity", "worst"),
    [
        ({"limit_price": None}, "0.49", None),
        ({"limit_price": D(43_000)}, "0.49", D(43_000)),
        ({"quantity": None, "quote_quantity": D(21_000)}, "0.49", D("42857.14")),
        ({"quantity": None, "quote_quantity": D(21_000), "limit_price": D(43_000)}, "0.49", D("42857.14")),
        ({"quantity": None, "quote_quantity": D(21_000), "limit_price": D(42_500)}, "0.49", D(42_500)),
        ({"quantity": None, "quote_quantity": D(21_000), "side": Side.SELL}, "0.49", None),
        ({"quantity": None, "quote_quantity": D(1)}, "0.000001", None),
    ],
)
def test_no_child_of_a_buy_for_an_amount_may_cost_more_than_what_the_amount_pays_for(
    signal: dict[str, Any], quantity: str, worst: Decimal | None
) -> None:
    accepted = an_accepted(signal=a_signal(**signal), quantity=D(quantity))
    assert plan(accepted, rules(), SETTINGS, NOW).limit_price == worst


# Catching up --------------------------------------------------------------------------------------

TEN = a_plan(quantity=D(1), slices=(D("0.1"),) * 10)
STEP = D("0.00001")
MIN = D("0.001")


def due(slot: int, rest: str, catch_up: CatchUp = "spread", minimum: Decimal = MIN) -> Decimal:
    return due_quantity(replace(TEN, catch_up=catch_up), slot, D(rest), minimum)


@pytest.mark.parametrize("catch_up", ["none", "spread", "cap"])
def test_without_anything_missed_each_slot_carries_its_slice(catch_up: CatchUp) -> None:
    for slot in range(10):
        assert due(slot, str(D("0.1") * (10 - slot)), catch_up) == D("0.1")


def test_spread_shares_what_was_missed_among_the_slots_that_are_left() -> None:
    assert due(6, "0.6") == D("0.15")


def test_cap_takes_what_was_missed_at_once_up_to_the_cap() -> None:
    assert due(6, "0.45", "cap") == D("0.15")
    assert due(6, "0.8", "cap") == D("0.2")


def test_none_leaves_what_was_missed_to_the_extra_slots() -> None:
    assert due(6, "0.8", "none") == D("0.1")
    assert due(10, "0.4", "none") == D("0.1")


def test_extra_slots_carry_the_rest_up_to_the_cap() -> None:
    assert due(10, "0.15") == D("0.15")
    assert due(10, "0.5") == D("0.2")


def test_a_tail_below_the_minimum_is_taken_along() -> None:
    assert due(9, "0.1005") == D("0.1005")
    assert due(10, "0.1005", "none") == D("0.1005")


def test_a_child_leaves_a_whole_minimum_where_the_cap_forbids_to_take_all() -> None:
    assert due(10, "0.2005") == D("0.1995")


def test_dust_is_left_for_the_report_where_neither_the_cap_nor_two_minima_help() -> None:
    tight = replace(TEN, catch_up_cap=D(1))
    assert due_quantity(tight, 10, D("0.105"), D("0.09")) == D("0.1")
    assert due_quantity(tight, 10, D("0.18"), D("0.09")) == D("0.09")


def test_a_share_below_the_minimum_is_raised_to_it() -> None:
    assert due(6, "0.0305", minimum=D("0.02")) == D("0.0305")
    assert due(6, "0.08", minimum=D("0.02")) == D("0.02")
    assert due(6, "0.02", minimum=D("0.02")) == D("0.02")


def test_a_whole_minimum_is_no_tail() -> None:
    assert due(8, "0.101", minimum=D("0.0505")) == D("0.0505")


def test_a_rest_below_the_minimum_is_not_sent() -> None:
    assert due(10, "0.0009") == 0
    assert due(3, "0.7", minimum=D("0.3")) == 0


def test_a_rest_that_was_amended_down_makes_the_children_smaller() -> None:
    assert due(5, "0.25") == D("0.05")
    assert due(5, "0.24999") == D("0.04999")


def test_a_child_is_never_above_the_venues_maximum() -> None:
    assert due_quantity(TEN, 9, D("0.2"), MIN, D("0.05")) == D("0.05")


def test_the_minimum_follows_the_price() -> None:
    assert minimum_at(TEN, D(42_000)) == D("0.00013")
    assert minimum_at(TEN, D("5.25")) == 1
    assert minimum_at(replace(TEN, min_notional=D(0)), D(42_000)) == D("0.00001")


def test_slots_needed_counts_full_slots_at_the_cap() -> None:
    assert slots_needed(TEN, D(1)) == 5
    assert slots_needed(TEN, D("0.21")) == 2
    assert slots_needed(replace(TEN, catch_up="none"), D("0.21")) == 3


turns = st.lists(
    st.one_of(
        st.just("skip"),
        st.integers(1, 12),  # so many slots pass unseen
        st.decimals("0", "1", places=3),  # this share fills
    ),
    max_size=40,
)


@given(
    steps=st.integers(200, 10**6),
    count=st.integers(1, 20),
    catch_up=st.sampled_from(["none", "spread", "cap"]),
    cap=st.sampled_from([D(1), D("1.5"), D(2), D(3)]),
    turns=turns,
    decay=st.sampled_from([None, D(0), D("0.5"), D("0.99")]),
)
def test_whatever_fills_fails_or_stalls_each_child_is_legal_and_the_total_is_never_passed(
    steps: int, count: int, catch_up: CatchUp, cap: Decimal, turns: list[Decimal | int | str], decay: Decimal | None
) -> None:
    size, larger = divmod(steps, count)
    slices = tuple((size + (index < larger)) * STEP for index in range(count))
    minimum = min(slices[-1], D("0.0001"))
    if decay is not None:
        bounds = StepBounds(total=steps, least=int(minimum / STEP), most=steps)
        slices = tuple(size * STEP for size in ow_slices(bounds, count, decay))
    schedule = replace(a_plan(quantity=steps * STEP, slices=slices), catch_up=catch_up, catch_up_cap=cap, extra_slots=3)
    rest, slot = schedule.quantity, 0
    for turn in turns:
        if isinstance(turn, int):
            slot += turn
        if slot >= count + schedule.extra_slots or rest < minimum:
            break
        child = due_quantity(schedule, slot, rest, minimum)
        if child:
            assert child >= minimum
            assert child % STEP == 0
            assert child <= min(rest, most_of(schedule, slot))
            left = rest - child
            assert not 0 < left < minimum or cap < 2  # no dust is left behind
            if isinstance(turn, Decimal):
                rest -= (child * turn) // STEP * STEP
        slot += 1
    assert rest >= 0


@given(steps=st.integers(100, 10**6), count=st.integers(1, 20), catch_up=st.sampled_from(["none", "spread", "cap"]))
def test_undisturbed_the_children_are_the_slices(steps: int, count: int, catch_up: CatchUp) -> None:
    size, larger = divmod(steps, count)
    slices = tuple((size + (index < larger)) * STEP for index in range(count))
    schedule = replace(a_plan(quantity=steps * STEP, slices=slices), catch_up=catch_up)
    rest = schedule.quantity
    for slot in range(count):
        child = due_quantity(schedule, slot, rest, STEP)
        assert child == slices[slot]
        rest -= child
    assert rest == 0
