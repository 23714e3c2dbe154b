"""Each guard with each policy, by TWAPActor's messages in virtual time: wait, skip, stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from actors.twap.guards import forgiven, largest_child
from actors.twap.settings import TwapSettings
from messages.execution import AmendExecution, CommandAnswer, PauseExecution, ResumeExecution, StopReason
from messages.facts import ChildRefused, ExecutionClosed, SlotSkipped
from messages.market import MarketGap, QuoteSeen, Unawait
from messages.order import Decline, PlaceChild
from messages.signal import Side, TwapOptions
from tests.actors.twap.stage import Stage, after
from tests.factories import EXECUTION, D, a_plan, a_quote, a_signal, an_accepted
from tests.probe import Probe

GUARDS = [
    ("on_spread", StopReason.SPREAD_TOO_WIDE, "0.61%"),
    ("on_deviation", StopReason.PRICE_DEVIATION, "1.19%"),
    ("on_stale", StopReason.STALE_MARKET, "quote 5.1 s old"),
    ("on_limit_price", StopReason.LIMIT_PRICE, "ask 43001 above 43000"),
    ("on_depth", StopReason.LIQUIDITY, "0.5 near the touch, 1.2 needed"),
]
DOORS = [
    ("on_symbol_status", Decline.SYMBOL_STATUS, StopReason.SYMBOL_STATUS, "BTCUSDT is HALT"),
    ("on_balance", Decline.BALANCE, StopReason.BALANCE, "4200 USDT needed, 7 free"),
]


def by(setting: str, policy: str) -> dict[str, Any]:
    """A guard's policy as a setting."""
    return {setting: policy}


def run_to(simulation: Simulation, seconds: float) -> None:
    simulation.run(seconds - simulation.now())


def fail(stage: Stage, reason: StopReason, detail: str, *, within: float = 0.0) -> None:
    """Let a guard fail from the question on to its deadline."""
    await_ = stage.asked(within=within)
    began = stage.simulation.now()
    run_to(stage.simulation, await_.deadline)
    stage.answer(
        await_, failed=reason.value, detail=detail, waited=stage.simulation.now() - began, waited_for=reason.value
    )
    stage.simulation.run(0.0)


# Guards that the market keeps ---------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "reason", "detail"), GUARDS)
def test_stop_waits_to_the_slots_end_and_ends_the_execution_with_the_figures(
    simulation: Simulation, setting: str, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "stop"))
    stage.fill(stage.placed())
    fail(stage, reason, detail, within=30.0)
    assert simulation.now() == 60.0
    report = stage.ended(reason, detail).report
    assert report.stop_reason == f"{reason}: {detail}"
    assert (report.total_filled, report.stopped_early) == (D("0.1"), True)
    assert report.guard_waits_by == ((reason.value, 1, D(30)),)
    stage.exchange.expect_none(within=600.0)


@pytest.mark.parametrize(("setting", "reason", "detail"), GUARDS)
def test_skip_lets_the_slot_go_and_later_ones_make_up_for_it(
    simulation: Simulation, setting: str, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "skip"))
    fail(stage, reason, detail)
    skipped = stage.journal.last(SlotSkipped)
    assert (skipped.slice, skipped.reason, skipped.detail) == (0, reason.value, detail)
    assert (skipped.waited_seconds, skipped.waited_for) == (D(30), reason.value)
    place = stage.placed()
    assert (place.slice, place.quantity) == (1, D("0.125"))


@pytest.mark.parametrize(("setting", "reason", "detail"), GUARDS)
def test_skip_with_no_waiting_lets_the_slot_go_at_once(
    simulation: Simulation, setting: str, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, guard_wait_seconds=D(0), **by(setting, "skip"))
    fail(stage, reason, detail)
    assert simulation.now() == 0.0
    assert stage.journal.last(SlotSkipped).reason == reason.value
    assert stage.placed(within=30.0).slice == 1


@pytest.mark.parametrize(("setting", "reason", "detail"), GUARDS)
def test_wait_goes_on_while_slots_pass_and_sends_one_child_as_soon_as_the_guard_holds(
    simulation: Simulation, setting: str, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "wait"))
    stage.fill(stage.placed())
    fail(stage, reason, detail, within=30.0)
    fail(stage, reason, detail)
    assert simulation.now() == 90.0
    await_ = stage.asked()
    assert await_.deadline == 120.0
    run_to(simulation, 95.0)
    stage.answer(await_, waited=5.0, waited_for=reason.value)
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.slice, place.quantity) == (3, D("0.2"))  # slots 1 and 2 are merged into it, under the cap
    assert {skipped.reason for skipped in stage.journal.of(SlotSkipped)} == {"OVERDUE"}
    stage.fill(place)
    stage.exchange.expect_none(within=24.9)  # no burst
    stage.fill(stage.placed(within=0.2))
    report = stage.ended(StopReason.COMPLETED).report
    assert report.total_filled == D("0.5")
    assert report.guard_wait_seconds == 65
    assert [(guard, seconds) for guard, _, seconds in report.guard_waits_by] == [(reason.value, D(65))]


@pytest.mark.parametrize(("setting", "reason", "detail"), GUARDS)
def test_wait_gives_up_when_its_patience_is_over_and_says_why(
    simulation: Simulation, setting: str, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, guard_patience_seconds=D(100), **by(setting, "wait"))
    for _ in range(4):
        fail(stage, reason, detail)
    assert simulation.now() == 100.0
    report = stage.ended(reason, detail).report
    assert report.guard_wait_seconds == 100
    stage.exchange.expect_none(within=600.0)


def test_wait_outlasts_the_slots_own_limit(simulation: Simulation) -> None:
    stage = Stage(simulation, on_spread="wait", guard_wait_seconds=D(0))
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    await_ = stage.asked()
    assert (simulation.now(), await_.deadline) == (0.0, 30.0)


def test_wait_ends_with_the_end_of_time(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=5, interval_seconds=D(10), end_at=after(55)))
    stage = Stage(simulation, an_accepted(signal=signal), on_spread="wait")
    for _ in range(6):
        fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    assert simulation.now() == 55.0
    stage.ended(StopReason.END_OF_TIME, "filled 0%")


def test_a_child_in_between_makes_the_patience_new(simulation: Simulation) -> None:
    stage = Stage(simulation, on_spread="wait", guard_patience_seconds=D(40))
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    stage.fill(stage.placed())
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%", within=30.0)
    assert simulation.now() == 90.0
    assert stage.placed().slice == 3


def test_each_guard_follows_its_own_policy_while_another_waits(simulation: Simulation) -> None:
    stage = Stage(simulation, on_spread="wait", on_stale="skip")
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    fail(stage, StopReason.STALE_MARKET, "no quote")
    assert simulation.now() == 60.0
    assert stage.journal.last(SlotSkipped).reason == "STALE_MARKET"
    assert stage.placed().slice == 2


def test_a_pause_while_a_guard_is_waited_for_takes_the_question_back(simulation: Simulation) -> None:
    stage = Stage(simulation, on_spread="wait")
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    await_ = stage.asked()
    stage.actor.tell(PauseExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
    stage.operator.expect(CommandAnswer, within=0.0)
    stage.answer(await_)
    stage.exchange.expect_none(within=1000.0)
    stage.market.messages()
    stage.actor.tell(ResumeExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
    assert stage.placed().quantity == D("0.16667")  # shared by the three slots that it takes under the cap


def test_what_was_waited_for_survives_a_crash(simulation: Simulation) -> None:
    """Slots that passed meanwhile stay merged; the patience begins anew."""
    stage = Stage(simulation, on_spread="wait", guard_patience_seconds=D(70))
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    stage.actor.stop()
    simulation.run(0.0)
    stage.market.messages()
    stage.start()
    fail(stage, StopReason.SPREAD_TOO_WIDE, "0.61%")
    assert stage.placed(quote=a_quote()).slice == 2
    assert stage.state.waited_seconds == 60
    assert stage.refolded().waits_by == stage.state.waits_by


# Guards that the door keeps -----------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "decline", "reason", "detail"), DOORS)
def test_a_door_that_stops_ends_the_execution(
    simulation: Simulation, setting: str, decline: Decline, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "stop"))
    stage.decline(stage.placed(), decline, detail=detail, retry_at=30.0)
    assert stage.ended(reason, detail).report.stop_reason == f"{reason}: {detail}"


@pytest.mark.parametrize(("setting", "decline", "reason", "detail"), DOORS)
def test_a_door_that_skips_lets_the_slot_go(
    simulation: Simulation, setting: str, decline: Decline, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "skip"))
    stage.decline(stage.placed(), decline, detail=detail, retry_at=30.0)
    simulation.run(0.0)
    skipped = stage.journal.last(SlotSkipped)
    assert (skipped.slice, skipped.reason, skipped.detail) == (0, reason.value, detail)
    assert stage.placed(within=30.0).quantity == D("0.125")


@pytest.mark.parametrize(("setting", "decline", "reason", "detail"), DOORS)
def test_a_door_that_is_waited_for_uses_up_no_slot_and_is_tried_each_second(
    simulation: Simulation, setting: str, decline: Decline, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, **by(setting, "wait"))
    for _ in range(45):
        stage.decline(stage.placed(within=1.0), decline, detail=detail, retry_at=simulation.now() + 30.0)
    assert simulation.now() == 44.0
    place = stage.placed(within=1.0)
    assert (simulation.now(), place.slice, place.attempt) == (45.0, 1, 0)
    assert {skipped.reason for skipped in stage.journal.of(SlotSkipped)} == {"OVERDUE"}
    stage.fill(place)
    simulation.run(0.0)
    waits = stage.state.waits_by
    assert list(waits) == [reason.value]
    assert waits[reason.value][1] == 45


@pytest.mark.parametrize(("setting", "decline", "reason", "detail"), DOORS)
def test_a_door_that_stays_shut_is_given_up(
    simulation: Simulation, setting: str, decline: Decline, reason: StopReason, detail: str
) -> None:
    stage = Stage(simulation, guard_patience_seconds=D(10), **by(setting, "wait"))
    while simulation.now() < 10.0:
        stage.decline(stage.placed(within=1.0), decline, detail=detail)
    stage.ended(reason, detail)
    assert simulation.now() == 10.0


@pytest.mark.parametrize(
    ("setting", "message", "reason"),
    [
        ("on_balance", "Account has insufficient balance for requested action.", StopReason.BALANCE),
        ("on_symbol_status", "Market is closed.", StopReason.SYMBOL_STATUS),
    ],
)
@pytest.mark.parametrize("policy", ["skip", "wait"])
def test_a_refusal_by_the_venue_lets_later_slots_try_unless_the_policy_is_to_stop(
    simulation: Simulation, setting: str, message: str, reason: StopReason, policy: str
) -> None:
    stage = Stage(simulation, **by(setting, policy))

    def refuse(place: PlaceChild) -> None:
        name = stage.intend(place).client_order_id
        stage.journal.commit(
            ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=-2010, message=message)
        )

    for _ in range(7):
        refuse(stage.placed(within=30.0))
    stage.ended(reason, message)
    assert len(stage.journal.of(ExecutionClosed)) == 1


def test_only_policies_that_do_not_stop_forgive_refusals() -> None:
    assert forgiven(TwapSettings()) == ()
    assert forgiven(TwapSettings(on_balance="skip")) == (StopReason.BALANCE,)
    assert forgiven(TwapSettings(on_symbol_status="wait")) == (StopReason.SYMBOL_STATUS,)


# Depth ----------------------------------------------------------------------------------------------


def test_a_child_is_at_most_its_share_of_the_depth_and_the_rest_follows_later(simulation: Simulation) -> None:
    stage = Stage(simulation, max_depth_share=D("0.1"))
    await_ = stage.asked()
    assert await_.bounds.min_depth == D("0.0014")  # ten times the smallest child, the price a tenth lower
    stage.answer(await_, a_quote(depth_ask=D("0.6"), depth_bid=D(9)))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert place.quantity == D("0.06")
    stage.fill(place)
    assert stage.placed(within=30.0, quote=a_quote(depth_ask=D(60), depth_bid=D(0))).quantity == D("0.11")


@pytest.mark.parametrize("side", Side)
def test_the_depth_that_counts_is_that_of_the_side_that_is_taken(side: Side) -> None:
    plan, quote = a_plan(max_depth_share=D("0.5")), a_quote(depth_bid=D(2), depth_ask=D(6))
    assert largest_child(plan, side, quote, None) == (3 if side is Side.BUY else 1)
    assert largest_child(plan, side, quote, D("0.7")) == D("0.7")
    assert largest_child(a_plan(), side, quote, None) is None
    assert largest_child(plan, side, replace(quote, depth_bid=None, depth_ask=None), None) == 0


# A real market --------------------------------------------------------------------------------------


def with_a_market(simulation: Simulation, **settings: Any) -> tuple[Stage, Any]:
    market: Any = MarketWatcher.start(
        Probe(simulation, "daemon").ref, "market", venue=Probe(simulation, "venue").ref, settings=MarketSettings()
    )
    market.tell(tick())
    simulation.run(0.0)
    return Stage(simulation, market=market, **settings), market


def tick(bid: str = "41999", ask: str = "42001", **book: Any) -> QuoteSeen:
    return QuoteSeen(symbol="BTCUSDT", bid=D(bid), bid_quantity=D(1), ask=D(ask), ask_quantity=D(1), **book)


def test_a_wide_spread_is_waited_out_over_slots_and_the_child_goes_with_the_tick_that_ends_it(
    simulation: Simulation,
) -> None:
    stage, market = with_a_market(simulation, on_spread="wait", on_stale="wait")
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    for second in range(29, 101):
        run_to(simulation, float(second))
        market.tell(tick("41874", "42126"))
    market.tell(MarketGap(symbols=("BTCUSDT",)))
    stage.exchange.expect_none(within=3.25)
    market.tell(tick())
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert simulation.now() == 103.25
    assert (place.slice, place.waited_for) == (3, "SPREAD_TOO_WIDE")
    stage.fill(place)
    simulation.run(0.0)
    assert stage.state.waits_by["SPREAD_TOO_WIDE"][1] == D("73.25")


def test_a_spread_of_many_usual_ones_is_too_wide(simulation: Simulation) -> None:
    stage, market = with_a_market(simulation, max_spread_multiple=D(5), guard_wait_seconds=D(5), on_stale="wait")
    for second in range(1, 12):
        run_to(simulation, float(second))
        market.tell(tick())
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    simulation.run(0.0)
    assert stage.state.waits_by["STALE_MARKET"][1] == 9  # until ten looks said what is usual
    for second in range(29, 37):
        run_to(simulation, float(second))
        market.tell(tick("41990", "42010.01"))
    simulation.run(0.0)
    assert stage.journal.last(ExecutionClosed).report.stop_reason == "SPREAD_TOO_WIDE: 0.05%, usually 0.005%"


def test_a_thin_book_is_waited_for_until_it_fills_up(simulation: Simulation) -> None:
    thin: dict[str, Any] = {"bids": ((D(41999), D(1)),), "asks": ((D(42001), D("0.001")),)}
    deep: dict[str, Any] = {"bids": ((D(41999), D(1)),), "asks": ((D(42001), D("0.3")), (D(42005), D("0.7")))}
    stage, market = with_a_market(simulation, max_depth_share=D("0.05"), on_depth="wait")
    market.tell(tick(**thin))
    stage.exchange.expect_none(within=4.0)
    market.tell(tick(**deep))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.quantity, place.waited_for) == (D("0.05"), "LIQUIDITY")
    assert place.waited_seconds == 4


def test_an_amended_limit_is_judged_at_once(simulation: Simulation) -> None:
    signal = a_signal(limit_price=D(42_500))
    stage = Stage(simulation, an_accepted(signal=signal), on_limit_price="wait")
    fail(stage, StopReason.LIMIT_PRICE, "ask 42501 above 42500")
    stage.asked()
    stage.actor.tell(AmendExecution(execution_id=EXECUTION, limit_price=D(43_000), reply_to=stage.operator.ref))
    stage.market.expect(Unawait, within=0.0)
    await_ = stage.asked()
    assert await_.bounds.limit_price == 43_000
