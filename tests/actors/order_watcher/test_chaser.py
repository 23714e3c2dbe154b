"""OrderWatcher goes after open orders: polls, questions, cancels."""

from __future__ import annotations

from dataclasses import replace

from actors.runtime import Simulation
from messages.execution import ChildOutcome
from messages.facts import ChildAcknowledged, ChildCancelRequested, ChildClosed, ChildUnknown, TradeBooked
from messages.order import (
    Acknowledged,
    BalancesFound,
    CancelAcknowledged,
    CancelFailed,
    OrderFound,
    OrderNotFound,
    QueryFailed,
    QueryOpenOrders,
    Relay,
)
from tests.actors.order_watcher.stage import (
    A_CANCEL,
    FOREVER,
    FULL,
    OTHER_CHILD,
    SENT_AT,
    World,
    cancels,
    found,
    open_orders,
    report,
    started,
)
from tests.factories import CHILD, EXECUTION, D, an_acknowledged, an_intent
from tests.order_tools import a_trade, an_order

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
    assert resting.q_order(order_id=1001) in resting.asked()
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
    assert sent.q_order(order_id=1001) in sent.asked()
    assert sent.kinds() == [ChildAcknowledged]


def test_missing_trades_are_no_time_out(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    sent.wait(40.0)
    assert sent.kinds() == [ChildAcknowledged]
