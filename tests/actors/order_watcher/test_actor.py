from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.order_watcher.actor import OrderWatcher, WatcherSettings
from actors.order_watcher.chaser import SPARING_SECONDS
from actors.runtime import EPOCH, Simulation
from messages.control import ActorReady, CaughtUp, HaltTrading, Ping, Pong, ReportSettled, Settled
from messages.execution import ChildOutcome
from messages.facts import (
    AttemptReappeared,
    BalancesNoted,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionCorrected,
    Fact,
    ForeignOrderSeen,
    RateLimited,
    StreamGap,
    TradeBooked,
)
from messages.order import (
    Acknowledged,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    CancelChild,
    CancelFailed,
    LateRefusal,
    NotSent,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    Refused,
    Relay,
    RulesFound,
    StreamCut,
    StreamOpened,
)
from messages.signal import Side
from tests.actors.order_watcher.stage import (
    FOREVER,
    FULL,
    OTHER_CHILD,
    SENT_AT,
    World,
    found,
    open_orders,
    ready,
    report,
    started,
)
from tests.factories import (
    CHILD,
    EXECUTION,
    D,
    a_child_closed,
    a_child_report,
    a_closed,
    a_report,
    a_trade_booked,
    an_acknowledged,
    an_intent,
    rules,
)
from tests.journal_stub import JournalStub
from tests.order_tools import a_trade, an_order
from tests.probe import Probe


@pytest.fixture
def world(simulation: Simulation) -> World:
    """One that is ready, and knows of no order."""
    return ready(started(simulation))


@pytest.fixture
def sent(world: World) -> World:
    """One that knows of one IOC order, just sent."""
    world.intend()
    return world


@pytest.fixture
def resting(world: World) -> World:
    """One that knows of one GTC order, which is in the book."""
    world.intend(time_in_force="GTC")
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("NEW")))
    return world


# Replies ------------------------------------------------------------------------------------------


def test_a_full_reply_closes_the_child_at_once_without_any_poll(sent: World) -> None:
    sent.tell(FULL)
    assert sent.kinds() == [ChildAcknowledged, TradeBooked, ChildClosed]
    closed = sent.journal.last(ChildClosed)
    assert (closed.outcome, closed.polls, closed.failure_reason) == (ChildOutcome.FILLED, 0, None)
    assert sent.journal.last(ChildAcknowledged).source == "reply"
    sent.exchange.expect_none(within=FOREVER)


def test_a_fill_is_awaited(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order("NEW")))
    sent.wait(5.0)
    sent.tell(report(an_order("FILLED", "0.1"), a_trade()))
    assert sent.journal.last(ChildClosed).outcome is ChildOutcome.FILLED
    assert sent.journal.last(TradeBooked).source == "stream"


def test_a_partial_fill_is_seen_and_the_order_is_still_open(sent: World) -> None:
    sent.tell(report(an_order("PARTIALLY_FILLED", "0.04"), a_trade(7, "0.04")))
    assert sent.kinds() == [ChildAcknowledged, TradeBooked]
    sent.tell(report(an_order("EXPIRED", "0.04"), reason="INSUFFICIENT_LIQUIDITY"))
    closed = sent.journal.last(ChildClosed)
    assert (closed.outcome, closed.executed_quantity) == (ChildOutcome.PARTIAL, D("0.04"))
    assert closed.failure_reason == "EXPIRED INSUFFICIENT_LIQUIDITY"


def test_a_reason_of_none_is_no_reason(sent: World) -> None:
    sent.tell(report(an_order("EXPIRED"), reason="NONE"))
    assert sent.journal.last(ChildClosed).failure_reason == "EXPIRED"


def test_a_stream_event_before_the_reply_is_enough(sent: World) -> None:
    sent.tell(report(an_order("FILLED", "0.1"), a_trade()))
    sent.tell(FULL)
    assert sent.kinds() == [ChildAcknowledged, TradeBooked, ChildClosed]


def test_a_lost_reply_with_the_fill_on_the_stream_is_resolved(sent: World) -> None:
    sent.tell(OutcomeUnknown(client_order_id=CHILD, detail="cut"))
    assert sent.kinds() == [ChildUnknown]
    sent.tell(report(an_order("FILLED", "0.1"), a_trade()))
    assert sent.kinds() == [ChildUnknown, ChildAcknowledged, TradeBooked, ChildClosed]
    sent.exchange.messages()
    sent.exchange.expect_none(within=FOREVER)


def test_a_refusal_ends_the_child(sent: World) -> None:
    sent.tell(Refused(client_order_id=CHILD, code=-2010, message="Account has insufficient balance"))
    assert sent.journal.last(ChildRefused) == ChildRefused(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        code=-2010,
        message="Account has insufficient balance",
    )
    sent.exchange.expect_none(within=FOREVER)


def test_a_refusal_of_an_order_that_the_stream_has_shown_is_not_believed(sent: World) -> None:
    sent.tell(report(an_order("NEW")), Refused(client_order_id=CHILD, code=-2010, message="no"))
    assert sent.kinds() == [ChildAcknowledged]


@pytest.mark.parametrize(("code", "message"), [(-1007, "Timeout"), (503, ""), (-2010, "Duplicate order sent.")])
def test_an_answer_that_leaves_it_open_is_asked_about_until_the_order_is_seen(
    sent: World, code: int, message: str
) -> None:
    sent.tell(Refused(client_order_id=CHILD, code=code, message=message))
    assert sent.kinds() == [ChildUnknown]
    sent.wait(0.3)
    assert sent.asked() == [sent.q_order()]
    sent.tell(OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    sent.wait(0.6)
    assert sent.asked()[-1] == sent.q_trades(order_id=1001)
    sent.tell(found(a_trade(), order_id=1001))
    assert sent.kinds() == [ChildUnknown, ChildAcknowledged, TradeBooked, ChildClosed]
    assert sent.journal.last(ChildAcknowledged).source == "poll"


def test_what_never_left_the_house_ends_the_child(sent: World) -> None:
    sent.tell(NotSent(client_order_id=CHILD, detail="refused connection"))
    fact = sent.journal.last(ChildNotSent)
    assert (fact.source, fact.detail) == ("venue", "refused connection")
    sent.exchange.expect_none(within=FOREVER)
    sent.tell(NotSent(client_order_id=CHILD, detail="again"))
    assert sent.kinds() == [ChildNotSent]


def test_a_child_that_exchange_actor_did_not_send_is_not_watched(sent: World) -> None:
    sent.journal.commit(
        ChildNotSent(
            execution_id=EXECUTION,
            client_order_id=CHILD,
            reason="TOO_LATE",
            detail="",
            source="exchange_actor",
        )
    )
    sent.exchange.expect_none(within=FOREVER)


def test_a_late_reply_to_a_closed_child_changes_nothing(sent: World) -> None:
    sent.tell(FULL, Refused(client_order_id=CHILD, code=-2010, message=""))
    sent.tell(OutcomeUnknown(client_order_id=CHILD, detail=""), FULL)
    sent.tell(CancelFailed(client_order_id=CHILD, code=-2011, detail=""))
    assert sent.kinds() == [ChildAcknowledged, TradeBooked, ChildClosed]


# Unknown outcomes ---------------------------------------------------------------------------------


def test_an_unknown_order_found_among_the_open_ones_is_known(sent: World) -> None:
    sent.tell(OutcomeUnknown(client_order_id=CHILD, detail="504"), open_orders(an_order("NEW")))
    assert sent.kinds() == [ChildUnknown, ChildAcknowledged]


# Polls --------------------------------------------------------------------------------------------


def test_an_order_that_is_silent_is_polled_every_two_seconds(sent: World) -> None:
    sent.exchange.expect_none(within=1.9)
    sent.exchange.expect(Relay(query=sent.q_open), within=0.2)
    sent.exchange.expect_none(within=1.9)
    sent.exchange.expect(Relay(query=sent.q_open), within=0.2)


def test_an_order_in_a_state_that_nobody_knows_is_polled_until_it_is_in_one_that_is_known(sent: World) -> None:
    sent.tell(report(an_order("UNRECOGNISED")))
    for _ in range(3):
        sent.wait(2.1)
        assert sent.q_open in sent.asked()
    assert ChildClosed not in sent.kinds()
    sent.tell(open_orders(), found(a_trade(7)), OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    sent.wait(0.3)
    sent.tell(found(a_trade(7), order_id=1001))
    assert sent.journal.last(ChildClosed).outcome is ChildOutcome.FILLED


def test_one_poll_serves_all_orders_of_a_symbol(world: World) -> None:
    world.intend(slice=0)
    world.intend(slice=1, client_order_id=OTHER_CHILD)
    world.wait(2.1)
    assert world.asked() == [world.q_open]
    other = an_order("PARTIALLY_FILLED", "0.03", order_id=1002, client_order_id=OTHER_CHILD)
    world.tell(open_orders(other))
    assert world.asked() == [world.q_order(), world.q_trades(since=SENT_AT - 1000)]
    world.tell(found(a_trade(7), a_trade(8, "0.03", order_id=1002)))
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    world.wait(0.3)
    assert world.asked() == [world.q_trades(order_id=1001)]
    world.tell(found(a_trade(7), order_id=1001))
    closed = world.journal.last(ChildClosed)
    assert (closed.client_order_id, closed.outcome) == (CHILD, ChildOutcome.FILLED)
    booked = [(fact.client_order_id, fact.trade_id) for fact in world.journal.of(TradeBooked)]
    assert booked == [(OTHER_CHILD, 8), (CHILD, 7)]


def test_a_young_order_is_not_polled_with_an_old_one_and_gets_its_own_time(world: World) -> None:
    world.intend(time_in_force="GTC")
    world.wait(1.5)
    world.intend(slice=1, client_order_id=OTHER_CHILD)
    world.wait(0.6)
    assert world.asked() == [world.q_open]
    world.tell(open_orders(an_order("NEW")))
    assert world.asked() == []
    world.wait(1.5)
    assert world.asked() == [world.q_open]
    world.tell(open_orders(an_order("NEW")))
    assert world.asked()[0] == world.q_order(OTHER_CHILD)


def test_symbols_are_polled_apart(world: World) -> None:
    world.intend()
    world.intend(slice=1, client_order_id=OTHER_CHILD, symbol="ETHUSDT")
    world.wait(2.1)
    eth = QueryOpenOrders(symbol="ETHUSDT", reply_to=world.watcher)
    assert sorted(world.asked(), key=repr) == sorted([world.q_open, eth], key=repr)


def test_trades_are_asked_for_from_the_last_booked_one_on(world: World) -> None:
    world.intend()
    world.tell(FULL)
    world.intend(slice=1, client_order_id=OTHER_CHILD)
    world.wait(2.1)
    world.tell(open_orders())
    assert world.asked() == [world.q_open, world.q_order(OTHER_CHILD), world.q_trades(from_id=8)]


def test_an_answer_that_was_cut_short_is_asked_on_for(sent: World) -> None:
    sent.tell(report(an_order("NEW")))
    sent.exchange.messages()
    sent.tell(found(a_trade(7, "0.04"), complete=False))
    assert sent.asked() == [sent.q_trades(from_id=8)]
    sent.tell(found(a_trade(8, "0.06"), complete=False, order_id=1001))
    assert sent.asked() == [sent.q_trades(from_id=9, order_id=1001)]


def test_polls_are_counted(sent: World) -> None:
    sent.wait(4.1)
    sent.tell(FULL)
    assert sent.journal.last(ChildClosed).polls == 2


def test_a_final_order_whose_trades_are_missing_is_asked_for_them_until_they_come(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order("EXPIRED", "0.07")))
    for number, gap in enumerate((0.25, 0.5, 1.0, 2.0)):
        sent.exchange.expect_none(within=gap - 0.01)
        sent.exchange.expect(Relay(query=sent.q_trades(order_id=1001), urgent=True), within=0.02)
        sent.tell(found(*[a_trade(5, "0.01")] if number else [], order_id=1001))
    sent.tell(found(a_trade(5, "0.01"), a_trade(6, "0.06"), order_id=1001))
    assert sent.journal.last(ChildClosed).outcome is ChildOutcome.PARTIAL
    sent.exchange.expect_none(within=FOREVER)


def test_answers_that_show_nothing_prove_nothing(sent: World) -> None:
    sent.tell(
        OrderNotFound(symbol="BTCUSDT", client_order_id=CHILD),
        QueryFailed(query=sent.q_open, detail="503"),
        BalancesFound(balances=()),
        open_orders(),
        found(),
    )
    assert sent.kinds() == []


def test_a_stale_answer_does_not_take_back_what_is_final(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    sent.tell(OrderFound(client_order_id=CHILD, order=an_order("NEW")), found(a_trade()))
    assert sent.journal.last(ChildClosed).outcome is ChildOutcome.FILLED


# Time-outs and cancels ----------------------------------------------------------------------------


def cancels(world: World) -> list[CancelChild]:
    return [message for message in world.exchange.messages() if isinstance(message, CancelChild)]


A_CANCEL = CancelChild(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, reason="timeout")


def test_a_resting_order_is_cancelled_when_its_time_is_over_and_has_timed_out(resting: World) -> None:
    resting.wait(29.9)
    assert cancels(resting) == []
    resting.wait(0.2)
    assert cancels(resting) == [A_CANCEL]
    resting.tell(CancelAcknowledged(client_order_id=CHILD, order=an_order("CANCELED", "0.04")))
    resting.tell(found(a_trade(7, "0.04")))
    closed = resting.journal.last(ChildClosed)
    assert (closed.outcome, closed.executed_quantity) == (ChildOutcome.TIMEOUT, D("0.04"))
    assert closed.failure_reason == "CANCELED not filled in time"


def test_a_time_out_is_still_one_after_a_restart(simulation: Simulation) -> None:
    request = ChildCancelRequested(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        cancel_id=f"{CHILD}_c0",
        symbol="BTCUSDT",
        order_id=1001,
        reason="timeout",
    )
    world = started(simulation, an_intent(time_in_force="GTC"), an_acknowledged(), request)
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("CANCELED")))
    assert world.journal.last(ChildClosed).outcome is ChildOutcome.TIMEOUT


def test_an_order_that_fills_while_it_is_cancelled_is_filled(resting: World) -> None:
    resting.wait(30.1)
    resting.tell(CancelFailed(client_order_id=CHILD, code=-2011, detail="Unknown order sent."))
    resting.wait(0.3)
    assert resting.q_order() in resting.asked()
    resting.tell(OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")), found(a_trade()))
    assert resting.journal.last(ChildClosed).outcome is ChildOutcome.FILLED


def test_a_cancel_is_repeated_until_a_final_state_is_read(resting: World) -> None:
    resting.wait(30.1)
    assert len(cancels(resting)) == 1
    resting.tell(CancelFailed(client_order_id=CHILD, code=None, detail="timeout"))
    resting.wait(5.0)
    assert len(cancels(resting)) == 1
    resting.wait(60.0)
    assert len(cancels(resting)) >= 3
    resting.tell(report(an_order("CANCELED")))
    resting.exchange.messages()
    resting.exchange.expect_none(within=FOREVER)


def test_a_cancel_of_anothers_that_failed_is_repeated_too(resting: World) -> None:
    resting.tell(CancelFailed(client_order_id=CHILD, code=None, detail="timeout"))
    resting.wait(10.0)
    assert {cancel.reason for cancel in cancels(resting)} == {"repeated"}
    resting.tell(report(an_order("CANCELED")))
    assert resting.journal.last(ChildClosed).outcome is ChildOutcome.FAILED


def test_the_answer_to_a_cancel_of_a_stranger_is_left_aside(world: World) -> None:
    world.tell(CancelFailed(client_order_id="web_1", code=-2011, detail=""))
    world.exchange.expect_none(within=FOREVER)


def test_an_order_without_a_word_in_its_time_is_unknown(sent: World) -> None:
    sent.wait(30.1)
    assert sent.kinds() == [ChildUnknown]
    assert cancels(sent) == []
    sent.wait(0.3)
    sent.exchange.messages()
    sent.tell(report(an_order("FILLED", "0.1"), a_trade()))
    assert sent.journal.last(ChildClosed).outcome is ChildOutcome.FILLED


def test_a_resting_order_without_a_word_is_unknown_and_cancelled(world: World) -> None:
    world.intend(time_in_force="GTC")
    world.wait(30.1)
    assert cancels(world) == [replace(A_CANCEL, order_id=None)]
    assert world.kinds() == [ChildUnknown]
    world.tell(CancelFailed(client_order_id=CHILD, code=-2011, detail=""))
    assert world.kinds() == [ChildUnknown]


def test_an_unknown_resting_order_that_is_found_after_its_time_is_cancelled(world: World) -> None:
    world.intend(time_in_force="IOC")
    world.intend(time_in_force="GTC", slice=1, client_order_id=OTHER_CHILD)
    world.wait(30.1)
    assert len(cancels(world)) == 1
    other = an_order("NEW", order_id=1002, client_order_id=OTHER_CHILD)
    world.tell(report(other))
    world.wait(5.0)
    assert cancels(world)[-1].order_id == 1002


def test_an_order_in_the_book_of_the_wrong_kind_is_asked_about_after_its_time(sent: World) -> None:
    sent.tell(report(an_order("NEW")))
    sent.wait(30.1)
    assert cancels(sent) == []
    sent.wait(0.3)
    assert sent.q_order() in sent.asked()
    assert sent.kinds() == [ChildAcknowledged]


def test_missing_trades_are_no_time_out(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    sent.wait(40.0)
    assert sent.kinds() == [ChildAcknowledged]


# The stream ---------------------------------------------------------------------------------------


def test_a_cut_of_the_stream_is_journalled_when_it_is_over_and_all_orders_are_polled(sent: World) -> None:
    sent.wait(0.5)
    sent.tell(StreamCut(since=0.2, detail="1006"))
    assert sent.asked() == [sent.q_open]
    sent.wait(1.0)
    sent.tell(StreamCut(since=0.9, detail="again"), StreamOpened())
    gap = StreamGap(since=EPOCH + timedelta(seconds=0.2), until=EPOCH + timedelta(seconds=1.5), detail="1006")
    assert sent.journal.of(StreamGap) == [gap]
    assert sent.asked()[-1] == sent.q_open
    sent.tell(StreamOpened())
    assert len(sent.journal.of(StreamGap)) == 1


def test_a_cut_with_no_order_open_asks_nothing(world: World) -> None:
    world.intend()
    world.tell(FULL, StreamCut(since=0.0, detail=""), StreamOpened())
    world.exchange.expect_none(within=FOREVER)


def test_balances_are_passed_on(world: World) -> None:
    seen = BalancesSeen(balances=(("BTC", D(1), D(0)),))
    world.tell(seen)
    world.exchange.expect(seen)


# Strangers ----------------------------------------------------------------------------------------


def test_an_order_of_somebody_else_is_told_once(world: World) -> None:
    stranger = an_order("NEW", client_order_id="web_1", order_id=5)
    world.tell(report(stranger), report(stranger), open_orders(stranger))
    assert world.journal.facts == [
        ForeignOrderSeen(
            client_order_id="web_1",
            symbol="BTCUSDT",
            order_id=5,
            side=stranger.side,
            quantity=D("0.1"),
            status="NEW",
            ours=False,
        )
    ]


def test_what_is_told_of_a_child_before_its_intent_waits_for_it(world: World) -> None:
    world.tell(report(an_order("PARTIALLY_FILLED", "0.02"), a_trade(7, "0.02")), FULL_OF_THREE)
    world.wait(0.5)
    assert world.journal.facts == []
    world.intend()
    assert world.kinds() == [ChildAcknowledged, TradeBooked, TradeBooked, TradeBooked, ChildClosed]
    world.wait(5.0)
    assert world.journal.of(ForeignOrderSeen) == []


def test_an_own_order_that_the_journal_never_tells_of_is_told_as_ours(world: World) -> None:
    world.tell(report(an_order("NEW")), Refused(client_order_id=CHILD, code=-2010, message=""))
    world.wait(1.1)
    (foreign,) = world.journal.of(ForeignOrderSeen)
    assert (foreign.client_order_id, foreign.ours) == (CHILD, True)


def test_a_second_order_under_the_same_name_is_not_mixed_with_the_first(sent: World) -> None:
    sent.tell(report(an_order("NEW")), report(an_order("FILLED", "0.1", order_id=2002), a_trade(order_id=2002)))
    assert sent.kinds() == [ChildAcknowledged, ForeignOrderSeen]


# What comes to light late -------------------------------------------------------------------------

GONE = [
    ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message=""),
    ChildNotSent(execution_id=EXECUTION, client_order_id=CHILD, reason="", detail="", source="venue"),
]


@pytest.mark.parametrize("gone", GONE)
def test_an_order_believed_gone_that_is_open_is_cancelled_and_counted(simulation: Simulation, gone: Fact) -> None:
    world = started(simulation, an_intent(), gone)
    world.tell(report(an_order("PARTIALLY_FILLED", "0.04"), a_trade(7, "0.04")))
    assert [type(fact) for fact in world.journal.facts[2:]] == [AttemptReappeared, TradeBooked]
    assert cancels(world) == [replace(A_CANCEL, reason="reappeared")]
    world.tell(CancelAcknowledged(client_order_id=CHILD, order=an_order("CANCELED", "0.04")))
    assert world.journal.last(ChildClosed).outcome is ChildOutcome.PARTIAL


def test_an_absent_order_that_was_executed_corrects_the_report(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    world = started(simulation, an_intent(), unknown, absent, a_closed())
    trades = (a_trade(7, "0.04"), a_trade(8, "0.06", price=D(42_000)))
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=trades))
    kinds = [type(fact) for fact in world.journal.facts[4:]]
    assert kinds == [
        AttemptReappeared,
        TradeBooked,
        ExecutionCorrected,
        TradeBooked,
        ExecutionCorrected,
        ChildClosed,
    ]
    corrected = world.journal.last(ExecutionCorrected)
    assert corrected.total_filled == D("0.6")
    assert corrected.filled_quote == D("21000.5") + D("0.04") * 42_001 + D("0.06") * 42_000
    assert cancels(world) == []


def test_a_trade_of_a_closed_execution_is_booked_and_corrects_its_report(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed(), a_closed())
    world.tell(found(a_trade(7), a_trade(9, "0.01")))
    assert [type(fact) for fact in world.journal.facts[5:]] == [TradeBooked, ExecutionCorrected]
    assert world.journal.last(ExecutionCorrected).total_filled == D("0.51")


def test_a_trade_that_is_booked_while_the_report_is_written_corrects_it(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    world = started(simulation, an_intent(), unknown, absent)
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=(a_trade(7, "0.1"),)))
    without = a_child_report(client_order_id=CHILD, executed_quantity=D(0), executed_quote=D(0))
    report_ = a_report(total_filled=D("0.2"), filled_quote=D(8_400), orders=(without,))
    world.journal.commit(a_closed(report=report_))
    simulation.run(0.0)
    (corrected,) = world.journal.of(ExecutionCorrected)
    assert (corrected.total_filled, corrected.client_order_id) == (D("0.3"), CHILD)
    assert corrected.filled_quote == 8_400 + D("0.1") * a_trade(7, "0.1").price


def test_a_report_that_has_all_trades_is_not_corrected(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed())
    booked = a_child_report(client_order_id=CHILD, executed_quantity=a_trade_booked().quantity)
    world.journal.commit(a_closed(report=a_report(orders=(booked,))))
    simulation.run(0.0)
    assert world.journal.of(ExecutionCorrected) == []


def test_only_so_many_ended_orders_are_remembered(simulation: Simulation) -> None:
    world = started(simulation, remembered=1)
    world.intend()
    world.tell(FULL)
    world.intend(slice=1, client_order_id=OTHER_CHILD)
    world.tell(Refused(client_order_id=OTHER_CHILD, code=-2010, message=""))
    world.tell(found(a_trade(9, "0.01")))
    assert len(world.journal.of(TradeBooked)) == 1


# Start and end ------------------------------------------------------------------------------------


def test_it_is_ready_when_the_journal_is_folded_and_the_stream_is_open(simulation: Simulation) -> None:
    parent, journal = Probe(simulation, "parent"), Probe(simulation, "journal")
    watcher = OrderWatcher.start(
        parent.ref, "watcher", journal=journal.ref, exchange=parent.ref, settings=WatcherSettings()
    )
    watcher.tell(StreamOpened())
    parent.expect_none(within=10.0)
    watcher.tell(CaughtUp(0, "journal"))
    parent.expect(Relay(query=QueryBalances(reply_to=watcher), urgent=True))
    watcher.tell(BalancesFound(balances=()))
    parent.expect(ActorReady("watcher"))


def test_an_intent_without_an_outcome_is_unknown_after_a_start(simulation: Simulation) -> None:
    world = started(simulation, an_intent(request_timestamp=SENT_AT))
    assert world.kinds() == [ChildUnknown]
    assert world.asked() == [world.q_order()]
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    world.wait(0.6)
    assert world.asked() == [world.q_trades(order_id=1001)]
    world.tell(found(a_trade(), order_id=1001))
    assert world.kinds() == [ChildUnknown, ChildAcknowledged, TradeBooked, ChildClosed]
    assert world.journal.last(TradeBooked).source == "recovery"


def test_an_acknowledged_order_is_asked_for_with_its_trades_after_a_start(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged())
    assert world.asked() == [world.q_order(), world.q_trades(order_id=1001)]
    assert world.kinds() == [ChildAcknowledged]
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("EXPIRED")))
    assert world.journal.last(ChildClosed).outcome is ChildOutcome.FAILED


def test_an_unknown_order_is_not_called_unknown_again_after_a_start(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    world = started(simulation, an_intent(), unknown)
    assert world.kinds() == [ChildUnknown]
    assert world.asked() == [world.q_order()]


def test_a_start_at_rest_changes_nothing(simulation: Simulation) -> None:
    bought = (("BTC", D("0.0999")), ("USDT", D(10_000) - D("4200.1")))
    before = BalancesNoted(balances=(("USDT", D(10_000)),))
    world = started(simulation, before, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed())
    world.tell(RulesFound(rules=(rules(),)), StreamOpened())
    assert world.asked() == [QueryBalances(reply_to=world.watcher)]
    world.tell(BalancesFound(balances=tuple((asset, held, D(0)) for asset, held in bought)))
    world.parent.expect(ActorReady("watcher"))
    world.exchange.expect_none(within=FOREVER)
    assert len(world.journal.facts) == 5


def test_a_resting_order_whose_time_was_over_before_the_start_is_cancelled_at_once(simulation: Simulation) -> None:
    intent = an_intent(time_in_force="GTC", request_timestamp=SENT_AT - 60_000)
    world = started(simulation, intent, an_acknowledged())
    assert cancels(world) == [A_CANCEL]


def test_what_the_stream_tells_during_a_start_is_taken_after_it(simulation: Simulation) -> None:
    parent, journal = Probe(simulation, "parent"), JournalStub.begun(an_intent(), an_acknowledged())
    watcher = OrderWatcher.start(
        parent.ref, "watcher", journal=journal.actor_ref, exchange=parent.ref, settings=WatcherSettings()
    )
    watcher.tell(report(an_order("FILLED", "0.1"), a_trade()))
    simulation.run(1.0)
    assert [type(fact) for fact in journal.facts[2:]] == [TradeBooked, ChildClosed]


def test_settled_is_told_when_the_last_order_is_over(sent: World) -> None:
    asker = Probe(sent.simulation, "asker")
    sent.tell(ReportSettled(20.0, asker.ref))
    asker.expect_none(within=1.0)
    sent.tell(FULL)
    asker.expect(Settled("watcher", 0))
    asker.expect_none(within=FOREVER)


def test_settled_is_told_at_once_when_no_order_is_open_and_at_the_deadline_if_one_is(world: World) -> None:
    asker = Probe(world.simulation, "asker")
    world.tell(ReportSettled(20.0, asker.ref))
    asker.expect(Settled("watcher", 0))
    world.intend()
    world.tell(ReportSettled(20.0, asker.ref))
    asker.expect(Settled("watcher", 1), within=20.1)
    assert world.simulation.now() == 20.0


def test_a_ping_is_answered(world: World) -> None:
    asker = Probe(world.simulation, "asker")
    world.tell(Ping(asker.ref))
    asker.expect(Pong("watcher"))


# Seeds --------------------------------------------------------------------------------------------


@pytest.mark.seeds(default=30)
def test_any_mixture_of_paths_ends_with_each_trade_booked_once(seed: int) -> None:
    with Simulation(seed) as simulation:
        world = ready(started(simulation))
        world.intend()
        chance = simulation.stream("paths")
        trades = [a_trade(7, "0.02"), a_trade(8, "0.05"), a_trade(9, "0.03")]
        partly = [an_order("PARTIALLY_FILLED", "0.02"), an_order("PARTIALLY_FILLED", "0.07")]
        filled = an_order("FILLED", "0.1")
        words: list[object] = [
            report(an_order("NEW")),
            *(report(order, trade) for order, trade in zip([*partly, filled], trades, strict=True)),
            chance.choice([FULL_OF_THREE, OutcomeUnknown(client_order_id=CHILD, detail="cut")]),
            open_orders(partly[0]),
            open_orders(),
            found(*trades[:2]),
            found(*trades),
            OrderFound(client_order_id=CHILD, order=filled),
            OrderNotFound(symbol="BTCUSDT", client_order_id=CHILD),
            StreamCut(since=0.0, detail=""),
            StreamOpened(),
        ]
        words += chance.sample(words, 4)
        chance.shuffle(words)
        for word in words:
            if chance.random() < 0.8:
                world.tell(word)
            world.wait(chance.uniform(0.0, 3.0))
        world.tell(OrderFound(client_order_id=CHILD, order=filled), found(*trades))
        assert sorted(fact.trade_id for fact in world.journal.of(TradeBooked)) == [7, 8, 9]
        (closed,) = world.journal.of(ChildClosed)
        assert (closed.outcome, closed.executed_quantity) == (ChildOutcome.FILLED, D("0.1"))


FULL_OF_THREE = Acknowledged(
    client_order_id=CHILD,
    order=an_order("FILLED", "0.1"),
    trades=(a_trade(7, "0.02"), a_trade(8, "0.05"), a_trade(9, "0.03")),
)


def test_a_child_that_may_rest_has_that_time_on_top_of_its_time_out(world: World) -> None:
    """Whoever placed it cancels it in time; this is for the case that nobody does."""
    world.intend(order_type="LIMIT_MAKER", time_in_force=None, rest_seconds=D(24))
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("NEW")))
    world.wait(53.9)
    assert cancels(world) == []
    world.wait(0.2)
    assert cancels(world) == [A_CANCEL]


def test_a_child_that_rested_through_a_crash_is_timed_out_when_it_would_have_been(simulation: Simulation) -> None:
    world = started(
        simulation,
        an_intent(order_type="LIMIT_MAKER", time_in_force=None, rest_seconds=D(24), request_timestamp=SENT_AT - 50_000),
        an_acknowledged(),
    )
    world.wait(3.9)
    assert cancels(world) == []
    world.wait(0.2)
    assert cancels(world) == [A_CANCEL]


# What cannot be true ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": D("0.2")}, "quantity 0.2 instead of 0.1"),
        ({"price": D("42086.00")}, "price 42086 instead of 42085"),
        ({"side": Side.SELL}, "side SELL instead of BUY"),
        ({"executed_quantity": D("0.11")}, "executed 0.11 of 0.1"),
    ],
)
@pytest.mark.parametrize("path", ["reply", "stream", "query"])
def test_another_order_under_the_right_id_is_not_believed_and_halts_trading(
    sent: World, changes: dict[str, Any], words: str, path: str
) -> None:
    order = replace(an_order("FILLED", "0.1"), **changes)
    match path:
        case "reply":
            sent.tell(Acknowledged(client_order_id=CHILD, order=order, trades=(a_trade(),)))
        case "stream":
            sent.tell(report(order, a_trade()))
        case _:
            sent.tell(OrderFound(client_order_id=CHILD, order=order))
    assert sent.kinds() == []
    halt = sent.exchange.expect(HaltTrading)
    assert halt.reason == "INVARIANT"
    assert words in halt.detail
    sent.tell(FULL)
    assert sent.kinds() == [ChildAcknowledged, TradeBooked, ChildClosed]


DAY_MS = 86_400_000


def archived(world: World) -> QueryFailed:
    return QueryFailed(query=world.q_order(), detail="Order was archived.", code=-2026)


@pytest.mark.parametrize(("days", "believed"), [(95, True), (3, False)])
def test_an_unknown_order_that_the_venue_has_archived_never_traded_if_it_is_old_enough(
    simulation: Simulation, days: int, *, believed: bool
) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="504")
    world = started(simulation, an_intent(request_timestamp=SENT_AT - days * DAY_MS), unknown)
    world.tell(archived(world))
    assert [fact.proof for fact in world.journal.of(ChildAbsent)] == (
        ["archived by the exchange: it ended without a fill"] if believed else []
    )


def test_a_known_order_that_the_venue_has_archived_has_ended_without_a_fill(simulation: Simulation) -> None:
    intent = an_intent(request_timestamp=SENT_AT - 95 * DAY_MS)
    world = started(simulation, intent, an_acknowledged())
    world.tell(archived(world))
    (closed,) = world.journal.of(ChildClosed)
    assert (closed.status, closed.executed_quantity, closed.outcome) == ("EXPIRED", D(0), ChildOutcome.FAILED)
    assert closed.failure_reason == "EXPIRED archived by the exchange"


def test_an_order_that_has_traded_is_not_ended_by_a_word_that_it_never_did(simulation: Simulation) -> None:
    intent = an_intent(request_timestamp=SENT_AT - 95 * DAY_MS)
    world = started(simulation, intent, an_acknowledged(), a_trade_booked(quantity=D("0.04")))
    world.tell(archived(world))
    assert world.journal.of(ChildClosed) == []


def test_after_a_limit_was_hit_polls_are_half_as_frequent_for_a_while(world: World) -> None:
    until = EPOCH + timedelta(seconds=1)
    world.journal.commit(RateLimited(until=until, banned=False, detail="429"))
    world.intend()
    world.wait(3.9)
    assert world.q_open not in world.asked()
    world.wait(0.2)
    assert world.q_open in world.asked()
    world.tell(FULL)
    world.wait(SPARING_SECONDS)
    world.intend(client_order_id=OTHER_CHILD, slice=1)
    world.asked()
    world.wait(2.1)
    assert world.q_open in world.asked()


def test_a_refusal_that_comes_late_settles_an_unknown_order(sent: World) -> None:
    sent.tell(OutcomeUnknown(client_order_id=CHILD, detail="no answer in time"))
    sent.tell(LateRefusal(client_order_id=CHILD, code=-1007, message="timeout"))
    assert sent.kinds() == [ChildUnknown]
    sent.tell(LateRefusal(client_order_id=CHILD, code=-1021, message="outside of the recvWindow"))
    assert sent.kinds() == [ChildUnknown, ChildRefused]
    sent.tell(LateRefusal(client_order_id=CHILD, code=-1021, message="outside of the recvWindow"))
    sent.tell(LateRefusal(client_order_id=OTHER_CHILD, code=-1021, message="of nobody"))
    assert sent.kinds() == [ChildUnknown, ChildRefused]


def test_a_refusal_that_comes_late_is_not_believed_of_an_order_that_was_seen(sent: World) -> None:
    sent.tell(OutcomeUnknown(client_order_id=CHILD, detail="no answer in time"))
    sent.tell(report(an_order("NEW")))
    sent.tell(LateRefusal(client_order_id=CHILD, code=-2010, message="no"))
    assert sent.kinds() == [ChildUnknown, ChildAcknowledged]
