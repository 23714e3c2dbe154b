"""Children that wait in their slot for the pressure at the touch: TWAPActor by its messages, in virtual time."""

from __future__ import annotations

from typing import Any

from actors.runtime import Simulation
from messages.execution import StopReason
from messages.facts import ExecutionPlanned, SlotSkipped
from messages.market import Timing
from messages.signal import TwapOptions
from tests.actors.twap.stage import Stage
from tests.factories import D, a_quote, a_signal, an_accepted


def stage_of(simulation: Simulation, options: TwapOptions | None = None, **settings: Any) -> Stage:
    return Stage(simulation, an_accepted(signal=a_signal(twap=options or TwapOptions())), **settings)


def test_a_slot_asks_the_market_to_wait_until_its_deadline(simulation: Simulation) -> None:
    stage = stage_of(simulation, timing=True)
    first = stage.asked()
    assert (first.timing, first.deadline) == (Timing(until=24.0), 30.0)
    stage.fill(stage.placed_after(first, timed=5.0, fit_mid=D(41_990)))
    assert stage.asked(within=30.0).timing == Timing(until=54.0)


def test_the_pressure_is_judged_on_a_fresh_quote_which_is_waited_for_no_longer_than_the_pressure(
    simulation: Simulation,
) -> None:
    assert stage_of(simulation, timing=True).asked().fresh_until == 0.5
    assert stage_of(simulation, timing=True, guard_wait_seconds=D("0.2")).asked().fresh_until == 0.2
    assert stage_of(simulation).asked().fresh_until is None


def test_what_was_waited_for_the_pressure_is_journalled_and_reported_apart(simulation: Simulation) -> None:
    stage = stage_of(simulation, TwapOptions(num_chunks=2), timing=True, extra_slots=0)
    first = stage.asked()
    place = stage.placed_after(first, a_quote(41_979, 41_981), waited=0.5, timed=4.5, fit_mid=D(42_022))
    assert (place.waited_seconds, place.timed_seconds, place.fit_mid) == (D("0.5"), D("4.5"), D(42_022))
    stage.fill(place)
    stage.fill(stage.placed(within=30.0))
    report = stage.ended(StopReason.COMPLETED).report
    assert (report.timing_waits, report.timing_seconds, report.guard_waits) == (1, D("4.5"), 1)
    # Half of the quantity was bought 42 cheaper than at its slot's beginning: -10 bps of 42,000 on it.
    assert report.timing_bps == D(-5)
    assert [order.timing_bps for order in report.orders] == [D(-10), None]


def test_waiting_is_off_by_default_and_a_signal_decides_for_itself(simulation: Simulation) -> None:
    assert stage_of(simulation).asked().timing is None
    assert stage_of(simulation, TwapOptions(timing=True)).asked().timing is not None
    assert stage_of(simulation, TwapOptions(timing=False), timing=True).asked().timing is None


def test_an_order_that_goes_directly_does_not_wait(simulation: Simulation) -> None:
    stage = stage_of(simulation, TwapOptions(num_chunks=1), timing=True)
    assert stage.asked().timing is None


def test_the_pressure_is_waited_for_no_longer_than_guards_may_wait(simulation: Simulation) -> None:
    stage = stage_of(simulation, timing=True, guard_wait_seconds=D(6))
    first = stage.asked()
    assert (first.deadline, first.timing) == (6.0, Timing(until=6.0))


def test_the_fraction_is_a_setting_that_the_plan_keeps(simulation: Simulation) -> None:
    stage = stage_of(simulation, timing=True, slot_deadline=D("0.5"))
    assert stage.asked().timing == Timing(until=15.0)
    (planned,) = [fact for fact in stage.journal.facts if isinstance(fact, ExecutionPlanned)]
    assert (planned.plan.timing, planned.plan.slot_deadline) == (True, D("0.5"))


def test_a_slot_that_waited_for_both_to_its_end_has_had_its_turn(simulation: Simulation) -> None:
    stage = stage_of(simulation, timing=True, on_spread="skip")
    first = stage.asked()
    simulation.run(30.0)
    stage.answer(first, failed="SPREAD_TOO_WIDE", waited=18.0, timed=12.0)
    simulation.run(0.0)
    skipped = stage.journal.last(SlotSkipped)
    assert (skipped.waited_seconds, skipped.timed_seconds) == (D(18), D(12))
    assert stage.state.last_interval == 0
    stage.asked()  # The next slot is due at this very moment, and takes its own turn.
    stage.exchange.expect_none()
