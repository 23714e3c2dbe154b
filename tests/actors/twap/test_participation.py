"""The participation cap: at most a share of what the market trades, by messages in virtual time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Simulation
from actors.twap.participation import QUIET, Volume
from messages.execution import StopReason
from messages.facts import ExecutionPlanned, SlotSkipped
from messages.market import Await, CountTrades, Quote, StopCounting
from messages.order import PlaceChild
from messages.signal import TwapOptions
from tests.actors.twap.stage import Stage
from tests.factories import EXECUTION, D, a_quote, a_signal, an_accepted


def market(traded: str | None) -> Quote:
    return a_quote(traded=None if traded is None else D(traded))


def paced(simulation: Simulation, share: str = "0.1", **settings: Any) -> Stage:
    stage = Stage(simulation, max_participation=D(share), **settings)
    assert stage.market.expect(CountTrades, within=0.0) == CountTrades(key=EXECUTION, symbol="BTCUSDT")
    return stage


def run_to(simulation: Simulation, seconds: float) -> None:
    simulation.run(seconds - simulation.now())


# The count ------------------------------------------------------------------------------------------


def test_what_was_traded_counts_from_the_first_look_on() -> None:
    volume = Volume(D("0.1"), D(0))
    volume.see(market("1000"))
    assert (volume.traded, volume.room(D(0))) == (D(0), D(0))
    volume.see(market("1030"))
    assert (volume.traded, volume.room(D(0)), volume.room(D("2.5")), volume.room(D(4))) == (D(30), D(3), D("0.5"), D(0))


def test_a_count_that_begins_anew_loses_nothing_that_was_counted() -> None:
    volume = Volume(D("0.1"), D(7))
    for told in ("50", "60", None, "2", "5"):
        volume.see(market(told))
    assert volume.traded == 20


def test_the_count_to_wait_for_is_rounded_so_that_it_is_enough() -> None:
    volume = Volume(D("0.3"), D(0))
    volume.see(market("100"))
    level = volume.count_for(D("0.1"))
    volume.see(a_quote(traded=level))
    assert volume.room(D(0)) >= D("0.1")
    assert volume.room(D(0)) < D("0.1001")


# By messages ----------------------------------------------------------------------------------------


def test_a_child_goes_as_soon_as_the_market_has_traded_enough_for_it(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market("500"))
    await_ = stage.asked()
    assert (await_.bounds.min_traded, await_.deadline) == (D("501"), 24.0)  # 0.1 is a tenth of it
    run_to(simulation, 7.0)
    stage.answer(await_, market("501"), waited=7.0, waited_for="LIQUIDITY")
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.quantity, place.market_volume) == (D("0.1"), D(1))
    assert (place.waited_seconds, place.waited_for) == (D(7), "LIQUIDITY")
    stage.fill(place)
    await_ = stage.asked(within=30.0)
    stage.answer(await_, market("501.5"))
    assert stage.asked().bounds.min_traded == D("502")  # 0.2 altogether


def test_at_the_slots_deadline_what_is_allowed_goes_and_the_rest_follows_later(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market("500"))
    await_ = stage.asked()
    run_to(simulation, 24.0)
    stage.answer(await_, market("500.4"), failed="LIQUIDITY", detail="the market has yet to trade 0.6", waited=24.0)
    await_ = stage.asked()
    assert (await_.deadline, await_.bounds.min_traded) == (30.0, None)  # the guards are judged once more
    stage.answer(await_, market("500.4"))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.quantity, place.market_volume) == (D("0.04"), D("0.4"))
    stage.fill(place)
    stage.answer(stage.asked(within=6.0), market("900"))
    assert stage.exchange.expect(PlaceChild, within=0.0).quantity == D("0.115")


def test_a_market_too_quiet_for_the_smallest_child_lets_the_slot_go(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market("500"))
    await_ = stage.asked()
    run_to(simulation, 24.0)
    stage.answer(await_, market("500"), failed="LIQUIDITY", detail="", waited=24.0, waited_for="LIQUIDITY")
    stage.answer(stage.asked(), market("500"))
    simulation.run(0.0)
    skipped = stage.journal.last(SlotSkipped)
    assert (skipped.reason, skipped.detail, skipped.waited_seconds) == ("LIQUIDITY", QUIET, D(24))
    stage.exchange.expect_none(within=5.0)
    assert stage.asked(within=2.0).bounds.min_traded is None


def test_a_guard_that_fails_while_the_market_is_waited_for_is_no_license(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market("500"))
    await_ = stage.asked()
    run_to(simulation, 24.0)
    stage.answer(await_, market("600"), failed="SPREAD_TOO_WIDE", detail="0.61%", waited=24.0)
    await_ = stage.asked()
    assert (await_.deadline, await_.bounds.min_traded) == (30.0, None)  # the spread is waited for as ever
    run_to(simulation, 30.0)
    stage.answer(await_, market("600"), failed="SPREAD_TOO_WIDE", detail="0.61%", waited=6.0)
    stage.ended(StopReason.SPREAD_TOO_WIDE, "0.61%")
    assert not stage.exchange.messages()


def test_as_long_as_no_count_is_told_nothing_goes(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market(None))
    await_ = stage.asked()
    assert await_.bounds.min_traded == 0
    stage.answer(await_, market("77"))
    assert stage.asked().bounds.min_traded == 78
    stage.exchange.expect_none(within=1.0)


def test_a_policy_to_wait_waits_for_a_quiet_market_over_slots(simulation: Simulation) -> None:
    stage = paced(simulation, on_depth="wait")
    for slot in range(3):
        stage.answer(stage.asked(within=30.0), market("500"))
        await_ = stage.asked()
        run_to(simulation, 30.0 * slot + 24.0)
        stage.answer(await_, market("500"), failed="LIQUIDITY", detail="", waited=24.0, waited_for="LIQUIDITY")
        stage.answer(stage.asked(), market("500"))
    stage.answer(stage.asked(within=30.0), market("505"))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (simulation.now(), place.slice, place.quantity) == (90.0, 2, D("0.16667"))
    assert {skipped.reason for skipped in stage.journal.of(SlotSkipped)} == {"OVERDUE"}


def test_the_count_survives_a_crash_and_what_was_missed_is_left_out(simulation: Simulation) -> None:
    stage = paced(simulation)
    stage.answer(stage.asked(), market("500"))
    stage.answer(stage.asked(), market("502"))
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    simulation.run(0.0)
    stage.actor.stop()
    simulation.run(20.0)
    stage.market.messages()
    stage.start()
    stage.market.expect(CountTrades, within=0.0)
    assert stage.refolded().market_volume == 2
    stage.answer(stage.asked(within=30.0), market("9000"))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.quantity, place.market_volume) == (D("0.1"), D(2))


def test_the_count_is_stopped_with_the_execution_and_the_report_has_the_share(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(signal=a_signal(twap=TwapOptions(num_chunks=1, max_participation=D("0.5")))))
    stage.market.expect(CountTrades, within=0.0)
    stage.answer(stage.asked(), market("500"))
    stage.answer(stage.asked(), market("501"))
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    stage.answer(stage.asked(), market("502"))
    stage.parent.expect_stopped(stage.actor, within=0.0)
    assert stage.market.messages() == [StopCounting(key=EXECUTION)]
    report = stage.journal.facts[-1].report  # type: ignore[attr-defined]  # the last fact is its end
    assert report.participation == D("0.25")


def test_who_has_no_cap_asks_for_no_count(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed(quote=market("1000")))
    simulation.run(1.0)
    assert all(isinstance(message, Await) for message in stage.market.messages())


@pytest.mark.parametrize(("of_signal", "expected"), [(None, D("0.2")), (D("0.05"), D("0.05"))])
def test_a_signals_share_comes_before_the_settings(
    simulation: Simulation, of_signal: Decimal | None, expected: Decimal
) -> None:
    signal = a_signal(twap=TwapOptions(max_participation=of_signal))
    stage = Stage(simulation, an_accepted(signal=signal), max_participation=D("0.2"))
    simulation.run(0.0)
    assert stage.journal.last(ExecutionPlanned).plan.max_participation == expected
