"""TWAPActor by its messages: what the market or ExchangeActor does not allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from messages.execution import StopReason
from messages.facts import ExecutionClosed, SlotSkipped
from messages.market import Awaited, QuoteSeen, RulesChanged
from messages.order import Decline, PlaceChild
from messages.signal import TwapOptions
from tests.actors.twap.stage import Stage, after, run_to
from tests.factories import EXECUTION, D, a_quote, a_signal, an_accepted, rules
from tests.probe import Probe

# Guards -------------------------------------------------------------------------------------------


def with_a_market(simulation: Simulation, **settings: Any) -> tuple[Stage, Any]:
    """A stage whose market is the real watcher, and the watcher."""
    venue, parent = Probe(simulation, "venue"), Probe(simulation, "daemon")
    market = MarketWatcher.start(parent.ref, "market", venue=venue.ref, settings=MarketSettings())
    market.tell(seen("41999", "42001"))
    simulation.run(0.0)
    return Stage(simulation, market=market, **settings), market


def seen(bid: str, ask: str) -> QuoteSeen:
    return QuoteSeen(symbol="BTCUSDT", bid=D(bid), bid_quantity=D(1), ask=D(ask), ask_quantity=D(1))


@pytest.mark.parametrize(
    ("bid", "ask", "said"),
    [("42499.99", "42500.01", "PRICE_DEVIATION: 1.19%"), ("41874", "42126", "SPREAD_TOO_WIDE: 0.60%")],
)
def test_a_market_that_runs_away_or_opens_up_stops_a_buy(simulation: Simulation, bid: str, ask: str, said: str) -> None:
    stage, market = with_a_market(simulation)
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    for _ in range(15):
        simulation.run(4.0)
        market.tell(seen(bid, ask))
    stage.parent.expect_stopped(stage.actor, within=1.0)
    report = stage.journal.last(ExecutionClosed).report
    assert report.stop_reason == said
    assert report.stopped_early
    assert report.total_filled == D("0.1")
    assert report.ended_at == after(60)
    stage.exchange.expect_none(within=100.0)


def test_a_guard_waits_within_its_slot_and_the_child_goes_when_it_holds(simulation: Simulation) -> None:
    stage, market = with_a_market(simulation)
    stage.fill(stage.exchange.expect(PlaceChild, within=0.0))
    run_to(simulation, 29.0)
    market.tell(seen("41874", "42126"))
    stage.exchange.expect_none(within=6.0)
    market.tell(seen("41999", "42001"))
    place = stage.exchange.expect(PlaceChild, within=0.0)
    assert (place.slice, place.waited_seconds) == (1, D(5))


def test_a_stale_market_skips_the_slot_and_the_next_ones_make_up_for_it(simulation: Simulation) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    run_to(simulation, 30.0)
    stage.answer(await_, failed="STALE_MARKET", detail="quote 31.0 s old", waited=30.0)
    place = stage.placed()
    skipped = stage.journal.last(SlotSkipped)
    assert skipped == SlotSkipped(
        execution_id=EXECUTION,
        slice=0,
        quantity=D("0.1"),
        reason="STALE_MARKET",
        detail="quote 31.0 s old",
        waited_seconds=D(30),
    )
    assert (place.slice, place.quantity) == (1, D("0.125"))


def test_a_market_that_stays_stale_ends_the_execution_with_that_reason(simulation: Simulation) -> None:
    stage = Stage(simulation)
    for slot in range(7):
        await_ = stage.asked(within=30.0)
        run_to(simulation, 30.0 * (slot + 1))
        stage.answer(await_, failed="STALE_MARKET", detail="no quote", waited=30.0)
    closed = stage.ended(StopReason.STALE_MARKET, "no quote")
    assert closed.children == 0
    assert closed.report.guard_wait_seconds == 210


@pytest.mark.parametrize("answer", [{"held": False}, {"held": True, "quote": None}])
def test_an_answer_that_says_nothing_is_never_fine(simulation: Simulation, answer: dict[str, Any]) -> None:
    stage = Stage(simulation)
    awaited = Awaited(key=stage.asked().key, held=False, quote=None, age=0.0)
    stage.actor.tell(replace(awaited, **answer))
    stage.exchange.expect_none(within=10.0)
    assert stage.journal.last(SlotSkipped).reason == "STALE_MARKET"


def test_a_guard_can_be_told_to_skip(simulation: Simulation) -> None:
    stage = Stage(simulation, on_spread="skip")
    stage.answer(stage.asked(), failed="SPREAD_TOO_WIDE", detail="0.61%", waited=3.0)
    assert stage.placed(within=30.0).slice == 1


def test_an_answer_to_an_old_question_is_ignored(simulation: Simulation) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    stage.actor.tell(Awaited(key=(EXECUTION, await_.key[1] - 1), held=True, quote=a_quote(), age=0.0))
    stage.exchange.expect_none(within=1.0)
    stage.answer(await_)
    place = stage.exchange.expect(PlaceChild, within=0.0)
    stage.answer(await_)
    stage.exchange.expect_none(within=1.0)
    assert place.slice == 0


def test_a_child_that_the_venue_would_find_too_small_is_not_asked_for(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.00015")))
    stage.answer(stage.asked(), a_quote(20_000, 20_001))
    stage.exchange.expect_none(within=1.0)
    assert stage.journal.last(SlotSkipped).reason == "BELOW_MINIMUM"


# Declines -----------------------------------------------------------------------------------------


def test_a_child_is_asked_for_again_when_it_makes_sense_within_the_slot(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), Decline.BUDGET, retry_at=7.0)
    stage.market.expect_none(within=6.9)
    place = stage.placed(within=0.2)
    assert (simulation.now(), place.slice, place.attempt) == (7.0, 0, 0)


def test_a_child_that_may_not_be_asked_for_again_in_its_slot_is_left_to_later_ones(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), Decline.RATE_LIMITED, retry_at=31.0, detail="Retry-After")
    stage.market.expect_none(within=29.9)
    skipped = stage.journal.last(SlotSkipped)
    assert (skipped.slice, skipped.reason, skipped.detail) == (0, "RATE_LIMITED", "Retry-After")
    assert stage.placed(within=0.2).quantity == D("0.125")


def test_a_decline_that_a_commit_cures_is_tried_again_soon(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), Decline.OVER_QUANTITY)
    assert stage.placed(within=5.0).slice == 0
    assert simulation.now() == 3.0


def test_a_child_too_late_is_left_to_later_slots(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), Decline.TOO_LATE)
    assert stage.placed(within=31.0).slice == 1


@pytest.mark.parametrize("reason", [Decline.HALTED, Decline.DRAINING, Decline.NOT_READY])
def test_while_nothing_may_be_sent_no_slot_is_used_up(simulation: Simulation, reason: Decline) -> None:
    stage = Stage(simulation)
    for _ in range(10):
        stage.decline(stage.placed(within=31.0), reason, retry_at=simulation.now() + 1.0)
    assert simulation.now() == 270.0
    assert all(skipped.reason == "OVERDUE" for skipped in stage.journal.of(SlotSkipped))
    while simulation.now() < 390.0:
        question = stage.asked(within=31.0)
        stage.answer(question)
        if question.bounds.max_age is None:
            break
        place = stage.exchange.expect(PlaceChild, within=0.0)
        assert place.quantity <= D("0.2")
        stage.fill(place)
    stage.parent.expect_stopped(stage.actor)
    assert stage.journal.last(ExecutionClosed).reason == "COMPLETED"


def test_a_halt_does_not_outlast_the_end_of_time(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=5, interval_seconds=D(10), end_at=after(55)))
    stage = Stage(simulation, an_accepted(signal=signal))
    for _ in range(6):
        stage.decline(stage.placed(within=10.0), Decline.HALTED)
    run_to(simulation, 55.0)
    stage.ended(StopReason.END_OF_TIME, "filled 0%")
    assert simulation.now() == 55.0


@pytest.mark.parametrize(
    ("decline", "reason"),
    [
        (Decline.BALANCE, StopReason.BALANCE),
        (Decline.SYMBOL_STATUS, StopReason.SYMBOL_STATUS),
        (Decline.CLOSED, StopReason.ERROR),
    ],
)
def test_a_certain_decline_ends_the_execution(simulation: Simulation, decline: Decline, reason: StopReason) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), decline, detail="as figures say")
    assert stage.ended(reason, "as figures say").report.stop_reason == f"{reason}: as figures say"


@pytest.mark.parametrize("decline", [Decline.FILTER, Decline.ABOVE_MAXIMUM])
def test_what_does_not_fit_the_rules_is_cut_by_the_new_ones_once_in_its_slot(
    simulation: Simulation, decline: Decline
) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), decline, detail="as figures say")
    stage.actor.tell(RulesChanged(rules=rules(step=D("0.03"), min_quantity=D("0.03"))))
    again = stage.placed(within=3.0)
    assert (again.slice, again.attempt, again.quantity) == (0, 0, D("0.09"))
    stage.decline(again, decline, detail="and again")
    stage.ended(StopReason.REFUSED, "and again")


def test_each_slot_may_be_declined_once_for_rules_that_changed(simulation: Simulation) -> None:
    stage = Stage(simulation)
    for slot in range(3):
        place = stage.placed(within=30.0)
        assert place.slice == slot
        stage.decline(place, Decline.FILTER)
        stage.fill(stage.placed(within=3.0))


def test_a_lack_of_balance_may_pass_within_the_slot(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.decline(stage.placed(), Decline.BALANCE, retry_at=2.0)
    assert stage.placed(within=3.0).slice == 0


def test_an_actor_that_was_replaced_leaves_without_a_word(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    facts = len(stage.journal.facts)
    stage.decline(place, Decline.OLD_INCARNATION)
    stage.parent.expect_stopped(stage.actor)
    assert len(stage.journal.facts) == facts


def test_a_decline_of_something_else_is_ignored(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    stage.decline(replace(place, slice=3), Decline.FILTER)
    stage.fill(place)
    stage.decline(place, Decline.FILTER)
    assert stage.placed(within=31.0).slice == 1
