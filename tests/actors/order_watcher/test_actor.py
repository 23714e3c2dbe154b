"""OrderWatcher by its messages: what is said of orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.order_watcher.chaser import SPARING_SECONDS
from actors.runtime import EPOCH, Simulation
from messages.control import HaltTrading
from messages.execution import ChildOutcome
from messages.facts import (
    ChildAbsent,
    ChildAcknowledged,
    ChildClosed,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    RateLimited,
    StreamGap,
    TradeBooked,
)
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesSeen,
    CancelFailed,
    LateRefusal,
    NotSent,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryFailed,
    Refused,
    StreamCut,
    StreamOpened,
)
from messages.signal import Side
from tests.actors.order_watcher.stage import (
    A_CANCEL,
    FOREVER,
    FULL,
    FULL_OF_THREE,
    OTHER_CHILD,
    SENT_AT,
    World,
    cancels,
    found,
    open_orders,
    ready,
    report,
    started,
)
from tests.factories import CHILD, EXECUTION, D, a_trade_booked, an_acknowledged, an_intent
from tests.order_tools import a_trade, an_order

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


@pytest.mark.parametrize("path", ["stream", "query", "list"])
def test_an_order_that_somebody_has_renamed_is_known_by_its_number(sent: World, path: str) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order(), trades=()))
    cancelled = an_order("CANCELED", client_order_id="web_1")
    match path:
        case "stream":
            sent.tell(report(cancelled))
        case "query":
            sent.tell(OpenOrdersFound(symbol="BTCUSDT", orders=(cancelled,)))
        case _:
            sent.tell(AllOrdersFound(symbol="BTCUSDT", since=0, orders=(cancelled,)))
    assert sent.kinds() == [ChildAcknowledged, ChildClosed]


def test_an_order_that_somebody_has_made_smaller_is_filled_by_what_it_still_was(sent: World) -> None:
    sent.tell(Acknowledged(client_order_id=CHILD, order=an_order(), trades=()))
    smaller = an_order("FILLED", "0.04", client_order_id="web_1", quantity=D("0.04"))
    sent.tell(report(smaller, a_trade(quantity="0.04")))
    closed = sent.journal.facts[-1]
    assert isinstance(closed, ChildClosed)
    assert (closed.outcome, closed.executed_quantity) == (ChildOutcome.PARTIAL, D("0.04"))
    assert closed.failure_reason == "FILLED of less: it was made smaller at the exchange"
    sent.exchange.expect_none()


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
