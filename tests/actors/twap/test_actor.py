"""TWAPActor by its messages, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from actors.supervision import ChildFailed, ChildStopped
from actors.twap.actor import _Due
from messages.control import Ping, Pong
from messages.execution import (
    AmendExecution,
    CancelExecution,
    ChildOutcome,
    CommandAnswer,
    PauseExecution,
    ResumeExecution,
    StopReason,
)
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildRefused,
    ChildUnknown,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionPaused,
    ExecutionPlanned,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    SlotSkipped,
)
from messages.market import Await, Awaited, Bounds, QuoteSeen, RulesChanged, Unawait
from messages.order import CancelChild, Decline, PlaceChild
from messages.signal import Side, TwapOptions
from tests.actors.twap.stage import Stage, after
from tests.factories import EXECUTION, D, a_quote, a_signal, an_accepted, rules
from tests.journal_stub import JournalStub
from tests.probe import Probe


def command(kind: type[Any], stage: Stage, **what: Any) -> None:
    stage.actor.tell(kind(execution_id=EXECUTION, reply_to=stage.operator.ref, **what))


def answered(stage: Stage, *, done: bool, detail: str = "") -> None:
    stage.operator.expect(CommandAnswer(execution_id=EXECUTION, done=done, detail=detail), within=0.0)


def run_to(simulation: Simulation, seconds: float) -> None:
    simulation.run(seconds - simulation.now())


# The even course ----------------------------------------------------------------------------------


def test_an_execution_is_planned_and_taken_up_before_anything_else(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.asked()
    planned, started = stage.journal.facts
    assert isinstance(planned, ExecutionPlanned)
    assert planned.plan.slices == (D("0.1"),) * 5
    assert planned.plan.start_at == after(0)
    assert started == ExecutionStarted(execution_id=EXECUTION, incarnation=1)


def test_nothing_is_done_before_the_journal_has_told_of_the_acceptance(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JournalStub, "on_receive", lambda *_: None)
    stage = Stage(simulation)
    stage.market.expect_none(within=3600.0)
    stage.exchange.expect_none()
    assert stage.journal.facts == []


def test_a_due_slot_is_two_messages_away_from_its_child(simulation: Simulation) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    assert await_ == Await(
        key=(EXECUTION, await_.key[1]),
        symbol="BTCUSDT",
        bounds=Bounds(
            side=Side.BUY,
            arrival_price=D(42_000),
            max_spread=D("0.005"),
            max_deviation=D("0.01"),
            limit_price=None,
            max_age=5.0,
        ),
        deadline=30.0,
        reply_to=stage.actor,
        beside="BNBUSDT",
    )
    quote = a_quote(42_009, 42_011)
    stage.answer(await_, quote, waited=0.25)
    assert stage.exchange.expect(PlaceChild, within=0.0) == PlaceChild(
        execution_id=EXECUTION,
        incarnation=1,
        slice=0,
        attempt=0,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=D("0.1"),
        limit_price=D("42095.03"),
        not_after=30.0,
        quote=quote,
        quote_age=0.02,
        deviation=D(10) / 42_000,
        mid_integral=D(0),
        mid_seconds=D(0),
        reply_to=stage.actor,
        waited_seconds=D("0.25"),
        accepted=stage.accepted,
    )
    assert simulation.now() == 0.0


@pytest.mark.parametrize("declined", [False, True])
def test_a_child_brings_the_acceptance_until_another_was_answered(simulation: Simulation, declined: bool) -> None:
    stage = Stage(simulation)
    first = stage.placed()
    assert first.accepted is stage.accepted
    if declined:
        stage.decline(first, Decline.OVER_QUANTITY)
    else:
        stage.fill(first)
    assert stage.placed(within=30.0).accepted is None


def test_a_child_brings_the_acceptance_also_after_that_is_durable_for_exchange_actor_may_be_told_later(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    await_ = stage.asked()
    stage.journal.commit(stage.accepted)
    stage.answer(await_)
    assert stage.exchange.expect(PlaceChild).accepted is stage.accepted


def test_who_takes_up_an_execution_again_brings_nothing_that_was_told_before(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.asked()
    stage.journal.commit(stage.accepted)
    stage.actor.stop()
    stage.market.expect(Unawait)
    stage.start()
    stage.simulation.run(0.1)
    assert stage.placed().accepted is None


def test_five_slices_fill_half_a_bitcoin_exactly_each_in_its_slot(simulation: Simulation) -> None:
    stage = Stage(simulation)
    for slot in range(5):
        place = stage.placed(within=30.0)
        assert (simulation.now(), place.slice, place.quantity) == (30.0 * slot, slot, D("0.1"))
        stage.fill(place)
    closed = stage.ended(StopReason.COMPLETED)
    assert closed.report.total_filled == D("0.5")
    assert closed.report.chunks_executed == closed.report.total_chunks == 5
    assert (closed.key, closed.children) == (stage.accepted.key, 5)
    assert stage.parent.expect(ChildStopped, within=0.0).name == EXECUTION
    stage.market.expect_none(within=3600.0)


def test_a_small_order_goes_directly_as_one_child(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.01")))
    place = stage.placed()
    assert place.quantity == D("0.01")
    stage.fill(place)
    assert stage.ended(StopReason.COMPLETED).report.total_chunks == 1


def test_a_later_start_is_waited_for(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(start_at=after(600)))
    stage = Stage(simulation, an_accepted(signal=signal))
    stage.market.expect_none(within=599.999)
    assert stage.placed(within=0.001).slice == 0
    assert simulation.now() == 600.0


def test_a_market_child_is_asked_for_where_the_signal_wants_one(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(signal=a_signal(twap=TwapOptions(child="market"))))
    place = stage.placed()
    assert (place.order_type, place.time_in_force, place.limit_price) == ("MARKET", None, None)


def test_a_fill_is_awaited_and_a_partial_one_seen(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    stage.trade(intent, D("0.04"))
    stage.market.expect_none(within=100.0)
    stage.close(intent, D("0.04"), ChildOutcome.PARTIAL, status="EXPIRED")
    place = stage.placed()
    assert place.slice == 2  # slots 0 and 1 have passed meanwhile, 3 is still to come
    assert stage.journal.last(SlotSkipped).reason == "OVERDUE"
    assert D("0.1") < place.quantity <= D("0.2")


def test_a_partial_fill_of_a_direct_order_is_accepted_and_reported(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed(), "0.8")
    closed = stage.ended(StopReason.LIQUIDITY, "filled 80%")
    assert closed.report.stopped_early
    assert closed.report.orders[0].outcome is ChildOutcome.PARTIAL


def test_a_time_out_is_handled(simulation: Simulation) -> None:
    """An unknown child blocks its execution until its fate is proven; its fills are not bought again."""
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    name = intent.client_order_id
    stage.journal.commit(
        ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="no reply")
    )
    stage.market.expect_none(within=45.0)
    stage.trade(intent, D("0.1"))
    stage.close(intent, D("0.1"), ChildOutcome.TIMEOUT, polls=12)
    assert stage.placed().quantity == D("0.1")
    assert stage.state.rest == D("0.4")


def test_an_absent_child_is_tried_once_more_behind_its_guards_then_its_quantity_goes_to_later_slots(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    for attempt in range(2):
        place = stage.placed()
        assert (place.slice, place.attempt, place.quantity) == (0, attempt, D("0.1"))
        name = stage.intend(place).client_order_id
        stage.journal.commit(
            ChildUnknown(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", detail="no reply"),
            ChildAbsent(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", proof="seen nowhere"),
        )
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).quantity == D("0.125")


def test_a_refusal_for_lack_of_balance_ends_the_execution(simulation: Simulation) -> None:
    stage = Stage(simulation)
    name = stage.intend(stage.placed()).client_order_id
    text = "Account has insufficient balance for requested action."
    stage.journal.commit(
        ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=-2010, message=text)
    )
    closed = stage.ended(StopReason.BALANCE, text)
    assert closed.children == 1
    assert closed.report.orders[0].outcome is ChildOutcome.FAILED


def test_an_order_below_one_step_ends_before_a_child(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.000001")))
    closed = stage.ended(StopReason.REFUSED, "0.000001 is less than one step of 0.00001")
    assert closed.children == 0
    assert closed.releases() == (stage.accepted.key,)


def test_fees_are_summed_per_asset(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    intent = stage.intend(stage.placed())
    stage.trade(intent, D("0.01"), commission=D("0.002"), commission_asset="BNB")
    stage.trade(intent, D("0.005"), commission=D("0.001"), commission_asset="BNB")
    stage.trade(intent, D("0.005"), commission=D("0.000005"), commission_asset="BTC")
    stage.close(intent, D("0.02"), ChildOutcome.FILLED)
    report = stage.ended(StopReason.COMPLETED).report
    assert report.total_fees == (("BNB", D("0.003")), ("BTC", D("0.000005")))


def test_the_report_compares_with_the_mid_while_it_ran(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    place = stage.placed(quote=a_quote(integral=D(1_000), integral_seconds=D(1)))
    stage.fill(place)
    stage.answer(stage.asked(), a_quote(integral=D(421_000), integral_seconds=D(11)))
    stage.parent.expect_stopped(stage.actor, within=0.0)
    assert stage.journal.last(ExecutionClosed).report.interval_twap_price == 42_000


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


# Stalls -------------------------------------------------------------------------------------------


def test_a_stall_of_ten_slots_is_followed_by_no_burst(simulation: Simulation) -> None:
    signal = a_signal(twap=TwapOptions(num_chunks=12, interval_seconds=D(10)))
    stage = Stage(simulation, an_accepted(signal=signal, quantity=D("0.6")))
    await_ = stage.asked()
    run_to(simulation, 105.0)
    stage.answer(await_, failed="STALE_MARKET", detail="stalled", waited=0.0)
    sent = []
    while simulation.now() < 200.0 and not stage.actor.actor_stopped.is_set():
        question = stage.asked(within=20.0)
        stage.answer(question)
        if question.bounds.max_age is None:
            break
        place = stage.exchange.expect(PlaceChild, within=0.0)
        assert place.quantity <= D("0.1")
        sent.append(simulation.now())
        stage.fill(place)
    assert len(sent) == 6
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(sent))
    stage.parent.expect_stopped(stage.actor)
    assert stage.journal.last(ExecutionClosed).report.total_filled == D("0.6")


def test_a_wall_clock_that_steps_neither_hurries_nor_delays(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(3600.0)
    stage.market.expect_none(within=29.9)
    stage.fill(stage.placed(within=0.2))
    assert simulation.now() == 30.0
    simulation.step_clock(-7200.0)
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 2


def test_a_wall_clock_that_is_set_back_over_a_restart_does_not_hold_up_the_schedule(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.run(5.0)
    stage.actor.stop()
    simulation.step_clock(-86_400.0)
    stage.start()
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 1, "an interval after what the journal has seen last"


def test_a_wall_clock_that_was_ahead_before_a_restart_does_not_hurry_the_schedule(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(86_400.0)
    simulation.run(30.0)
    stage.fill(stage.placed())
    simulation.run(5.0)
    stage.actor.stop()
    simulation.step_clock(-86_400.0)
    stage.start()
    stage.market.expect_none(within=24.9)
    assert stage.placed(within=0.2).slice == 2


def test_a_wall_clock_that_is_slowly_set_back_makes_no_child_early(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.step_clock(-0.5)
    stage.market.expect_none(within=30.25)
    stage.placed(within=0.5)
    assert simulation.now() == 30.5


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


# Starting again -----------------------------------------------------------------------------------


def crash(stage: Stage) -> None:
    """End the actor, once it has read its mail, by a message that it cannot know."""
    stage.simulation.run(0.0)
    stage.actor.tell("nonsense")
    stage.parent.expect(ChildFailed, within=0.0)
    assert len(stage.simulation.claim_failures()) == 1


def test_a_second_incarnation_goes_on_where_the_journal_ends(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.fill(stage.placed(within=31.0), "0.5")
    crash(stage)
    stage.start()
    place = stage.placed(within=31.0)
    assert stage.journal.last(ExecutionStarted).incarnation == place.incarnation == 2
    assert len(stage.journal.of(ExecutionPlanned)) == 1
    assert (simulation.now(), place.slice) == (60.0, 2)
    assert place.quantity == D("0.11667")
    assert stage.state == stage.refolded()


def test_a_child_intended_before_a_crash_is_waited_for_after_it(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    crash(stage)
    intent = stage.intend(place)
    stage.start()
    stage.market.expect_none(within=10.0)
    stage.trade(intent, place.quantity)
    stage.close(intent, place.quantity, ChildOutcome.FILLED)
    assert stage.placed(within=31.0).slice == 1


def test_a_child_of_an_older_incarnation_that_comes_late_counts(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    stage.start()
    new = stage.placed()
    assert (old.slice, new.slice) == (0, 0)
    intent = stage.intend(old)
    stage.decline(new, Decline.SEEN)
    stage.trade(intent, old.quantity)
    stage.close(intent, old.quantity, ChildOutcome.FILLED)
    place = stage.placed(within=31.0)
    assert (place.slice, place.quantity) == (1, D("0.1"))


def test_a_later_incarnation_decides_nothing_before_all_intents_of_the_earlier_ones_are_known(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    stage.journal.held = True  # It commits slowly: the old wish's intent stands before all that follows.
    stage.start()
    command(CancelExecution, stage)
    stage.market.expect_none(within=1.0)
    intent = stage.intend(old)
    stage.journal.release()
    answered(stage, done=True)
    stage.market.expect_none(within=60.0)
    stage.trade(intent, old.quantity)
    stage.close(intent, old.quantity, ChildOutcome.FILLED)
    closed = stage.ended(StopReason.CANCELLED, "filled 20%")
    assert (closed.children, closed.report.total_filled) == (1, D("0.1"))


def test_a_late_child_of_another_slot_does_not_answer_the_wish(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    run_to(simulation, 35.0)
    stage.start()
    new = stage.placed()
    assert (old.slice, new.slice) == (0, 1)
    late = stage.intend(old)
    simulation.run(0.0)
    stage.decline(new, Decline.OVER_QUANTITY)
    stage.market.expect_none(within=20.0)
    stage.trade(late, D("0.1"))
    stage.close(late, D("0.1"), ChildOutcome.FILLED)
    stage.market.expect_none(within=4.9)  # There is one child an interval at most.
    assert stage.placed(within=0.2).quantity == D("0.13334")


def test_an_unanswered_wish_counts_as_open_whatever_else_ends(simulation: Simulation) -> None:
    stage = Stage(simulation)
    old = stage.placed()
    crash(stage)
    run_to(simulation, 35.0)
    stage.start()
    new = stage.placed()
    stage.fill(old)
    stage.market.expect_none(within=300.0)
    stage.fill(new)
    assert stage.placed(within=31.0).slice > new.slice


def test_the_running_mid_goes_on_after_a_start(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed(quote=a_quote(integral=D(0), integral_seconds=D(0))))
    later = a_quote(integral=D(420_000), integral_seconds=D(10))
    stage.fill(stage.placed(within=31.0, quote=later))
    crash(stage)
    stage.start()
    place = stage.placed(within=31.0, quote=a_quote(integral=D(42_000), integral_seconds=D(1)))
    assert (place.mid_integral, place.mid_seconds) == (D(420_000), D(10))


def test_an_execution_that_is_closed_is_not_taken_up(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed())
    stage.ended(StopReason.COMPLETED)
    facts = len(stage.journal.facts)
    stage.start()
    stage.parent.expect_stopped(stage.actor)
    assert len(stage.journal.facts) == facts


def test_a_failed_actor_leaves_no_timer_and_no_question_behind(simulation: Simulation) -> None:
    stage = Stage(simulation)
    question = stage.asked()
    crash(stage)
    stage.market.expect(Unawait(key=question.key), within=0.0)
    stage.start()
    stage.fill(stage.placed())
    crash(stage)
    simulation.run(3600.0)
    assert simulation.dead_letters == []


def test_a_child_that_shows_up_during_the_last_look_is_waited_for(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    stage.journal.commit(
        ChildAbsent(
            execution_id=EXECUTION, client_order_id=intent.client_order_id, symbol="BTCUSDT", proof="seen nowhere"
        )
    )
    stage.answer(stage.asked(within=31.0), failed="PRICE_DEVIATION", detail="1.19%")
    last_look = stage.asked()
    stage.journal.commit(
        AttemptReappeared(
            execution_id=EXECUTION,
            client_order_id=intent.client_order_id,
            symbol="BTCUSDT",
            order_id=1,
            status="NEW",
            executed_quantity=D(0),
        )
    )
    stage.answer(last_look)
    stage.market.expect_none(within=10.0)
    assert not stage.journal.of(ExecutionClosed)
    stage.trade(intent, D("0.1"))
    stage.close(intent, D("0.1"), ChildOutcome.FILLED)
    assert stage.placed(within=31.0).quantity == D("0.1")


def test_what_the_actor_folded_live_is_what_the_journal_folds_to(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed(waited=1.5))
    stage.answer(stage.asked(within=31.0), failed="STALE_MARKET", waited=0.0)
    stage.fill(stage.placed(within=31.0), "0.5")
    command(PauseExecution, stage)
    run_to(simulation, 200.0)
    command(ResumeExecution, stage)
    stage.fill(stage.placed())
    simulation.run(0.0)
    assert stage.state == stage.refolded()


# Commands -----------------------------------------------------------------------------------------


def test_a_command_is_answered_only_when_it_is_durable(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.held = True
    command(PauseExecution, stage)
    stage.operator.expect_none(within=5.0)
    stage.journal.release()
    answered(stage, done=True)
    assert stage.journal.last(ExecutionPaused).execution_id == EXECUTION


def test_commands_that_an_actor_had_in_hand_when_it_failed_are_answered(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.held = True
    command(PauseExecution, stage)
    stage.operator.expect_none(within=1.0)
    stage.actor.tell("what is this?")
    unsure = "the execution's actor failed before this was durable: see whether it was done"
    answered(stage, done=False, detail=unsure)
    simulation.claim_failures()

    held = Stage(simulation)
    held.placed()  # Of the wish nothing is known yet, so an amendment waits.
    held.actor.tell(AmendExecution(execution_id=EXECUTION, reply_to=held.operator.ref, quantity=D("0.4")))
    held.operator.expect_none(within=0.0)
    held.actor.tell("what is this?")
    answered(held, done=False, detail="the execution's actor failed: ask again")
    simulation.claim_failures()


def test_why_it_is_paused_resumed_or_cancelled_is_kept_in_the_journal(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    for kind, why in (
        (PauseExecution, "news at two"),
        (ResumeExecution, "they were dull"),
        (CancelExecution, "enough"),
    ):
        command(kind, stage, detail=why)
        answered(stage, done=True)
    journal = stage.journal
    assert journal.last(ExecutionPaused).detail == "news at two"
    assert journal.last(ExecutionResumed).detail == "they were dull"
    assert journal.last(ExecutionCancelRequested).detail == "enough"


def test_a_paused_execution_sends_nothing_and_its_question_is_taken_back(simulation: Simulation) -> None:
    stage = Stage(simulation)
    question = stage.asked()
    command(PauseExecution, stage)
    answered(stage, done=True)
    stage.market.expect(Unawait(key=question.key), within=0.0)
    stage.answer(question)
    stage.exchange.expect_none(within=65.0)
    command(ResumeExecution, stage)
    answered(stage, done=True)
    place = stage.placed()
    assert (place.slice, place.quantity) == (2, D("0.16667"))
    assert stage.journal.of(ExecutionResumed)


def test_a_pause_survives_a_crash(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(PauseExecution, stage)
    answered(stage, done=True)
    crash(stage)
    stage.start()
    stage.market.expect_none(within=600.0)


def test_a_cancelled_execution_ends_with_what_it_has(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(CancelExecution, stage)
    answered(stage, done=True)
    assert stage.journal.of(ExecutionCancelRequested)
    assert stage.ended(StopReason.CANCELLED, "filled 20%").report.total_filled == D("0.1")


def test_a_cancel_reaches_a_child_that_rests(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    name = intent.client_order_id
    stage.journal.commit(
        ChildAcknowledged(
            execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", order_id=7, status="NEW", source="reply"
        )
    )
    command(CancelExecution, stage)
    stage.exchange.expect(
        CancelChild(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", order_id=7, reason="CANCELLED"),
        within=0.0,
    )
    stage.trade(intent, D("0.03"))
    stage.close(intent, D("0.03"), ChildOutcome.PARTIAL)
    stage.ended(StopReason.CANCELLED, "filled 6%")


def test_a_cancel_that_meets_an_unanswered_wish_waits_for_the_answer(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    command(CancelExecution, stage)
    stage.market.expect_none(within=1.0)
    stage.decline(place, Decline.CANCELLED)
    stage.ended(StopReason.CANCELLED)


def test_an_amendment_that_meets_an_unanswered_wish_waits_for_the_answer(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    place = stage.placed(within=31.0)
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.operator.expect_none(within=1.0)
    stage.intend(place)
    answered(stage, done=False, detail="0.2 is filled or under way")
    assert not stage.journal.of(ExecutionAmended)


def test_an_amendment_that_waited_for_a_decline_holds_for_what_follows(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    place = stage.placed(within=31.0)
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.decline(place, Decline.TOO_LATE)
    simulation.run(0.0)
    answered(stage, done=True)
    assert stage.placed(within=31.0).quantity <= D("0.05")


def test_an_amendment_that_waited_for_a_decline_that_ends_it_all_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation)
    place = stage.placed()
    command(AmendExecution, stage, quantity=D("0.15"))
    stage.decline(place, Decline.SYMBOL_STATUS, detail="BREAK")
    simulation.run(0.0)
    answered(stage, done=False, detail="the execution is ending")
    stage.ended(StopReason.SYMBOL_STATUS, "BREAK")


def test_an_amended_quantity_is_shared_by_the_slots_that_are_left(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(AmendExecution, stage, quantity=D("0.300009"), limit_price=D(42_050), end_at=after(110))
    answered(stage, done=True)
    assert stage.journal.last(ExecutionAmended).quantity == D("0.3")
    place = stage.placed(within=31.0)
    assert (place.quantity, place.limit_price) == (D("0.05"), D(42_050))
    stage.fill(place)
    stage.fill(stage.placed(within=31.0))
    stage.fill(stage.placed(within=31.0))
    stage.ended(StopReason.END_OF_TIME, "filled 83.33%")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({}, "nothing to change"),
        ({"quantity": D("0.09")}, "0.1 is filled or under way"),
        ({"quantity": D("0.000001")}, "0.1 is filled or under way"),
        ({"quantity": D("0.6")}, "more than the 0.5 that were accepted needs a new signal"),
        ({"limit_price": D(0)}, "the worst price must be above 0"),
        ({"end_at": after(0)}, "the end has passed already"),
    ],
)
def test_an_amendment_that_makes_no_sense_is_refused(simulation: Simulation, what: dict[str, Any], why: str) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(AmendExecution, stage, **what)
    answered(stage, done=False, detail=why)
    assert not stage.journal.of(ExecutionAmended)


def test_a_command_that_changes_nothing_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    command(ResumeExecution, stage)
    answered(stage, done=False, detail="it is not paused")
    command(PauseExecution, stage)
    answered(stage, done=True)
    command(PauseExecution, stage)
    answered(stage, done=False, detail="it is paused already")


def test_an_ending_execution_takes_no_commands(simulation: Simulation) -> None:
    stage = Stage(simulation)
    intent = stage.intend(stage.placed())
    command(CancelExecution, stage)
    answered(stage, done=True)
    command(PauseExecution, stage)
    answered(stage, done=False, detail="the execution is being cancelled")
    stage.close(intent, D(0), ChildOutcome.FAILED)
    last_look = stage.asked()
    command(PauseExecution, stage)
    answered(stage, done=False, detail="the execution is ending")
    stage.answer(last_look)
    stage.parent.expect_stopped(stage.actor)


def test_an_execution_whose_end_is_being_journalled_is_over(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(quantity=D("0.02")))
    stage.fill(stage.placed())
    stage.journal.held = True
    stage.answer(stage.asked())
    command(CancelExecution, stage)
    answered(stage, done=False, detail="the execution is ending")
    assert not stage.actor.actor_stopped.is_set()
    stage.journal.release()
    stage.parent.expect_stopped(stage.actor)


@pytest.mark.seeds(default=20)
def test_a_command_that_comes_before_the_past_is_folded_is_kept(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation)
        command(CancelExecution, stage)
        answered(stage, done=True)
        stage.answer(stage.market.fish_for(lambda message: isinstance(message, Await)))
        stage.parent.expect_stopped(stage.actor, within=0.0)
        assert stage.journal.last(ExecutionClosed).reason == "CANCELLED"


def test_a_timer_that_was_under_way_when_something_else_happened_is_ignored(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    simulation.run(0.0)
    stage.actor.tell(_Due(0))
    stage.market.expect_none(within=29.9)
    assert stage.placed(within=0.2).slice == 1


def test_a_quarantined_execution_is_left_alone(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.fill(stage.placed())
    stage.journal.commit(ExecutionQuarantined(execution_id=EXECUTION, detail="failed three times"))
    stage.parent.expect_stopped(stage.actor, within=0.0)
    assert not stage.journal.of(ExecutionClosed)


@pytest.mark.seeds(default=20)
def test_whatever_comes_at_the_moment_of_a_slot_there_is_one_question_for_it(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation)
        stage.fill(stage.placed())
        run_to(simulation, 29.999)
        simulation.tell_at(30.0, stage.actor, PauseExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
        simulation.tell_at(30.0, stage.actor, ResumeExecution(execution_id=EXECUTION, reply_to=stage.operator.ref))
        run_to(simulation, 31.0)
        messages = stage.market.messages()
        asked = [message for message in messages if isinstance(message, Await)]
        taken_back = [message for message in messages if isinstance(message, Unawait)]
        assert len(asked) == len(taken_back) + 1
        stage.answer(asked[-1])
        assert stage.exchange.expect(PlaceChild, within=0.0).slice == 1
        stage.exchange.expect_none(within=10.0)


def test_an_actor_proves_that_it_is_up(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.actor.tell(Ping(stage.operator.ref))
    stage.operator.expect(Pong(EXECUTION), within=0.0)


def test_a_child_is_never_above_the_venues_maximum(simulation: Simulation) -> None:
    stage = Stage(simulation, venue_rules=rules(max_quantity=D("0.12")))
    stage.answer(stage.asked(), failed="STALE_MARKET", waited=0.0)
    assert stage.placed(within=31.0).quantity == D("0.12")
