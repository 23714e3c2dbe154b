"""The paper venue when it goes wrong on purpose."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import EPOCH, Simulation
from adapters.paper.faults import Fault, FaultKind, FaultPlan
from messages.market import MarketGap, QuoteSeen
from messages.order import (
    Acknowledged,
    BalancesSeen,
    LimitsSeen,
    NotSent,
    OrderFound,
    OrderNotFound,
    OrderReport,
    OrderStatus,
    OutcomeUnknown,
    ProbeStream,
    QueryFailed,
    QueryOrder,
    QueryTime,
    Refused,
    ReportLimits,
    StreamProbed,
    TimeFound,
)
from tests.adapters.paper.venue_stage import Venue, effects


def with_fault(simulation: Simulation, **fault: Any) -> Venue:
    plan = FaultPlan([Fault(**fault)], simulation.stream("faults"))
    return Venue(simulation, faults=plan)


def test_a_lost_reply_executes_and_leaves_the_outcome_unknown(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.LOST_REPLY, nth=(1,))
    venue.open_stream()
    venue.send()
    venue.replies.expect_none(within=0.99)
    assert venue.replies.expect(OutcomeUnknown).client_order_id == "a"
    assert effects(venue) == ["accepted"]
    assert [type(event) for event in venue.stream.messages()] == [OrderReport, OrderReport, BalancesSeen]
    venue.send(client_order_id="b")
    venue.replies.expect(Acknowledged)


def test_a_lost_refusal_leaves_the_outcome_unknown_too(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.LOST_REPLY, nth=(1,))
    venue.send(quantity=Decimal("0.000001"))
    venue.replies.expect(OutcomeUnknown, within=2)
    venue.replies.expect_none(within=10)
    assert effects(venue) == ["refused"]


def test_a_dropped_request_has_no_effect_and_leaves_the_outcome_unknown(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.DROPPED_REQUEST, nth=(1,))
    venue.send()
    venue.replies.expect(OutcomeUnknown, within=2)
    assert effects(venue) == ["dropped"]
    assert venue.exchange.engine.orders == {}


def test_a_refusal_by_plan_says_what_the_plan_says(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.REFUSE, nth=(1,), code=-1008, message="Server is busy.")
    venue.send()
    assert venue.replies.expect(Refused) == Refused(client_order_id="a", code=-1008, message="Server is busy.")
    assert effects(venue) == ["refused"]


def test_an_event_may_be_lost_doubled_or_late(simulation: Simulation) -> None:
    def told(kind: FaultKind) -> list[str]:
        venue = with_fault(simulation, kind=kind, nth=(1,), milliseconds=5000)
        venue.open_stream()
        venue.send()
        simulation.run(10)
        return [
            event.execution_type if isinstance(event, OrderReport) else "balances" for event in venue.stream.messages()
        ]

    assert told(FaultKind.LOST_EVENT) == ["TRADE", "balances"]
    assert told(FaultKind.DUPLICATE_EVENT) == ["NEW", "NEW", "TRADE", "balances"]
    assert told(FaultKind.LATE_EVENT) == ["TRADE", "balances", "NEW"]


def test_an_order_may_stay_hidden_from_queries_while_it_is_young(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=3000)
    venue.send()
    venue.replies.expect(Acknowledged)
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    venue.replies.expect(OrderNotFound)
    simulation.run(3)
    venue.link.tell(query)
    venue.replies.expect(OrderFound)


def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown_at_once(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.GARBLED_REPLY, nth=(1,))
    venue.send()
    venue.replies.expect(OutcomeUnknown, within=0.1)
    assert effects(venue) == ["accepted"]


def test_an_order_may_be_executed_and_answered_with_an_error(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.ERROR_AFTER, nth=(1,), code=-1007, message="Timeout")
    venue.send()
    assert venue.replies.expect(Refused).code == -1007
    assert effects(venue) == ["accepted"]


def test_an_order_that_finds_no_connection_never_arrives(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.NOT_SENT, nth=(1,))
    venue.send()
    venue.replies.expect(NotSent)
    assert effects(venue) == []


@pytest.mark.parametrize(("code", "banned"), [(-1015, False), (418, True)])
def test_a_refusal_by_plan_may_say_until_when_and_tells_it_to_whom_limits_are_told(
    simulation: Simulation, code: int, *, banned: bool
) -> None:
    venue = with_fault(simulation, kind=FaultKind.REFUSE, nth=(1,), code=code, milliseconds=7000)
    venue.link.tell(ReportLimits(listener=venue.replies.ref))
    venue.send()
    seen, refused = venue.replies.expect(LimitsSeen), venue.replies.expect(Refused)
    assert seen.retry_at == refused.until == EPOCH + timedelta(seconds=7)
    assert seen.banned is banned


def test_a_stalled_stream_holds_everything_up_and_loses_nothing(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.STREAM_STALL, nth=(1,), milliseconds=5000)
    venue.open_stream()
    venue.send()
    venue.link.tell(ProbeStream(probe=1))
    venue.stream.expect_none(within=4.9)
    simulation.run(1)
    told = [type(event) for event in venue.stream.messages()]
    assert told == [OrderReport, OrderReport, BalancesSeen, StreamProbed]


def test_a_stale_answer_shows_a_young_order_as_it_came_in(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.STALE_ANSWER, probability=1.0, milliseconds=3000)
    venue.send()
    venue.replies.expect(Acknowledged)
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    young = venue.replies.expect(OrderFound).order
    assert young.status is OrderStatus.NEW
    assert not young.executed_quantity
    assert not young.executed_quote
    simulation.run(3)
    venue.link.tell(query)
    assert venue.replies.expect(OrderFound).order.status is OrderStatus.FILLED


def test_the_clock_may_not_be_told(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.FAILED_TIME, nth=(1,))
    query = QueryTime(reply_to=venue.replies.ref)
    venue.link.tell(query)
    assert venue.replies.expect(QueryFailed).query == query
    venue.link.tell(query)
    venue.replies.expect(TimeFound)


def test_a_cut_of_the_market_is_told_and_then_nothing_is_for_its_time(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.MARKET_CUT, nth=(3,), milliseconds=2000)
    venue.watch(hot=True)
    simulation.run(0.25)
    venue.quotes.messages()
    venue.market.set_touch("100.00", "7", "101.00", "1")
    told = []
    for _ in range(40):
        simulation.run(0.1)
        told += [(round(simulation.now(), 1), type(event)) for event in venue.quotes.messages()]
    assert MarketGap in [kind for _, kind in told] or told[0][0] >= 2.2
    assert [kind for at, kind in told if at < 2.1 and kind is QuoteSeen] == []
    assert QuoteSeen in [kind for _, kind in told]


def test_a_plan_that_is_over_strikes_no_more() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.LOST_EVENT, probability=1.0)], random.Random(1))
    assert plan.strike(FaultKind.LOST_EVENT)
    plan.end()
    assert plan.strike(FaultKind.LOST_EVENT) is None
    assert plan.struck == {FaultKind.LOST_EVENT: 1}
