"""ExchangeActor by its messages: cancels, adopted orders and queries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.exchange.actor import ExchangeActor
from actors.runtime import EPOCH, Simulation
from messages.control import (
    Append,
    CancelEverything,
    CaughtUp,
    Committed,
    Follow,
    HaltTrading,
    Readiness,
    ReadinessChanged,
)
from messages.facts import (
    ChildCancelRequested,
    ChildIntended,
    ChildRefused,
    RateLimited,
    TradingHalted,
)
from messages.ids import cancel_id, child_id, milliseconds
from messages.order import (
    AdoptChild,
    CancelChild,
    ConnectExchange,
    Decline,
    LimitsSeen,
    OpenUserStream,
    OrderType,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    Relay,
    ReportLimits,
    SendCancel,
    SendOrder,
)
from tests.actors.exchange.stage import EXECUTION_FACTS, OFFSET, SETTINGS, World, connected, started
from tests.factories import CHILD, EXECUTION, D, a_child_closed, a_closed, a_reappeared, an_intent
from tests.order_tools import an_order
from tests.probe import Probe

# Orders that the journal does not know ------------------------------------------------------------


def test_an_unknown_order_of_a_known_execution_becomes_its_child_and_is_not_sent(world: World) -> None:
    order = an_order("PARTIALLY_FILLED", "0.04", time=123)
    world.tell(AdoptChild(order=order), AdoptChild(order=order))
    (intent,) = world.journal.of(ChildIntended)
    assert (intent.adopted, intent.client_order_id, intent.quantity) == (True, CHILD, D("0.1"))
    assert (intent.execution_id, intent.slice, intent.attempt, intent.request_timestamp) == (EXECUTION, 0, 0, 123)
    world.venue.expect_none(within=0.0)
    world.place(slice=1, quantity=D("0.41"))
    assert world.declined().reason is Decline.OVER_QUANTITY


@pytest.mark.parametrize(
    ("order", "kind", "limit", "price"),
    [
        ({}, "LIMIT", D("42085.00"), D("42085.00")),
        ({"order_type": "LIMIT_MAKER"}, "LIMIT_MAKER", D("42085.00"), D("42085.00")),
        ({"order_type": "STOP_LOSS_LIMIT"}, "LIMIT", D("42085.00"), D("42085.00")),
        ({"order_type": "MARKET", "price": D(0)}, "MARKET", None, D(42_001)),
        ({"order_type": "MARKET", "price": D(0), "executed_quantity": D(0)}, "MARKET", None, D(1)),
    ],
)
def test_the_intent_of_an_adopted_order_says_what_the_order_shows_and_nothing_else(
    world: World, order: dict[str, Any], kind: OrderType, limit: Decimal | None, price: Decimal
) -> None:
    world.tell(AdoptChild(order=replace(an_order("PARTIALLY_FILLED", "0.04", time=123), **order)))
    assert world.journal.last(ChildIntended) == an_intent(
        incarnation=0,
        order_type=kind,
        time_in_force=None,
        limit_price=limit,
        request_timestamp=123,
        bid=price,
        ask=price,
        quote_age_seconds=D(0),
        spread=D(0),
        adopted=True,
    )


def test_an_order_that_the_exchange_ends_by_itself_has_the_rules_read_before_the_next_slot(world: World) -> None:
    world.place()
    world.sent()
    world.journal.commit(a_child_closed(status="CANCELED", failure_reason="CANCELED EXCHANGE_CANCELED"))
    world.venue.expect(QueryRules, within=0.1)


def test_an_unknown_order_of_nobodys_is_cancelled_if_it_is_open(world: World) -> None:
    stranger = child_id("p", "zzzzzzzzzzzzz", 0, 0)
    world.tell(AdoptChild(order=an_order("FILLED", "0.1", client_order_id=stranger)))
    world.venue.expect_none(within=0.0)
    world.tell(AdoptChild(order=an_order("NEW", client_order_id=stranger)))
    assert world.journal.last(ChildCancelRequested).reason == "unknown to the journal"
    assert world.venue.expect(SendCancel).client_order_id == stranger


def test_an_order_that_the_journal_has_told_of_meanwhile_is_left_alone(world: World) -> None:
    world.place()
    world.sent()
    world.tell(AdoptChild(order=an_order("NEW")), AdoptChild(order=an_order("NEW", client_order_id="web_1")))
    world.venue.expect_none(within=0.0)
    assert len(world.journal.of(ChildIntended)) == 1


def test_of_an_execution_that_is_over_only_a_child_that_never_was_seen_is_adopted(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, an_intent(), a_child_closed(), a_closed())
    world.tell(AdoptChild(order=an_order("NEW")))
    assert [fact.client_order_id for fact in world.journal.of(ChildIntended)] == [CHILD]
    assert world.journal.last(ChildCancelRequested).client_order_id == CHILD
    lost = child_id("p", EXECUTION, 1, 0)
    world.tell(AdoptChild(order=an_order("NEW", client_order_id=lost)))
    assert [fact.client_order_id for fact in world.journal.of(ChildIntended)] == [CHILD, lost]
    assert len(world.journal.of(ChildCancelRequested)) == 1


@pytest.mark.parametrize(
    ("after", "age", "halted"),
    [
        (200.0, 0, True),
        (200.0, 119_999, True),
        (200.0, 120_000, False),
        (200.0, -119_999, True),
        (200.0, -120_000, False),
        (60.0, 0, False),
        (60.001, 0, True),
    ],
)
def test_an_order_like_ours_that_is_made_here_and_now_by_nobody_here_halts_trading(
    world: World, after: float, age: int, halted: bool
) -> None:
    """`after` so many seconds from the start there is an order that is `age` ms old by the venue's clock."""
    world.simulation.run(after)
    time = milliseconds(EPOCH) + OFFSET + round(after * 1000) - age
    world.tell(AdoptChild(order=an_order("NEW", client_order_id=child_id("p", "zzzzzzzzzzzzz", 0, 0), time=time)))
    assert [halt.reason for halt in world.journal.of(TradingHalted)] == (["SECOND_DAEMON"] if halted else [])
    assert bool(world.journal.of(ChildCancelRequested)) is not halted


def test_an_order_is_adopted_once_also_while_the_journal_is_slow(held: World) -> None:
    order = an_order("NEW")
    held.tell(AdoptChild(order=order), AdoptChild(order=order))
    held.journal.release()
    held.simulation.run(0.0)
    assert len(held.journal.of(ChildIntended)) == 1


def test_while_a_lost_journal_is_rebuilt_every_order_like_ours_is_adopted(world: World) -> None:
    world.simulation.run(200.0)
    name, time = child_id("p", "zzzzzzzzzzzzz", 0, 0), milliseconds(EPOCH) + OFFSET + 200_000
    world.tell(AdoptChild(order=an_order("NEW", client_order_id=name, time=time), rebuilding=True))
    assert world.journal.last(ChildIntended).client_order_id == name
    assert world.journal.of(TradingHalted) == []
    assert world.journal.of(ChildCancelRequested) == []


def test_a_retry_after_survives_a_restart(simulation: Simulation) -> None:
    world = started(simulation, RateLimited(until=EPOCH + timedelta(seconds=20), banned=False, detail=""))
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    assert [type(message) for message in world.sent()] == [ReportLimits]
    world.venue.expect_none(within=19.9)
    world.venue.expect(OpenUserStream, within=0.2)
    world.venue.expect(QueryTime)


# Cancels ------------------------------------------------------------------------------------------


def a_cancel(**changes: Any) -> CancelChild:
    cancel = CancelChild(
        execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, reason="timeout"
    )
    return replace(cancel, **changes)


def test_a_cancel_is_journalled_before_it_is_sent_under_a_name_of_its_own(held: World) -> None:
    held.place()
    held.journal.release()
    held.venue.expect(SendOrder)
    held.journal.held = True
    held.tell(a_cancel())
    assert held.sent() == []
    held.journal.release()
    held.venue.expect(
        SendCancel(
            symbol="BTCUSDT",
            client_order_id=CHILD,
            order_id=1001,
            cancel_id=cancel_id(CHILD, 0),
            reply_to=held.watcher.ref,
        )
    )
    held.tell(a_cancel())
    assert held.venue.expect(SendCancel).cancel_id == cancel_id(CHILD, 1)
    assert [fact.reason for fact in held.journal.of(ChildCancelRequested)] == ["timeout", "timeout"]


def test_cancels_are_numbered_on_over_a_restart(simulation: Simulation) -> None:
    before = ChildCancelRequested(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        cancel_id=cancel_id(CHILD, 4),
        symbol="BTCUSDT",
        order_id=None,
        reason="",
    )
    world = connected(simulation, *EXECUTION_FACTS, an_intent(), before)
    world.tell(a_cancel())
    assert world.venue.expect(SendCancel).cancel_id == cancel_id(CHILD, 5)


def test_a_cancel_that_comes_before_the_past_is_folded_waits_and_is_numbered_on(simulation: Simulation) -> None:
    journal, parent, venue = (Probe(simulation, name) for name in ("journal", "parent", "venue"))
    exchange = ExchangeActor.start(parent.ref, "exchange", journal=journal.ref, venue=venue.ref, settings=SETTINGS)
    journal.expect(Follow)
    exchange.tell(ConnectExchange(watcher=parent.ref, gate=parent.ref))
    exchange.tell(a_cancel())
    journal.expect_none(within=1.0)
    before = ChildCancelRequested(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        cancel_id=cancel_id(CHILD, 0),
        symbol="BTCUSDT",
        order_id=None,
        reason="",
    )
    for seq, fact in enumerate((*EXECUTION_FACTS, an_intent(), before), 1):
        exchange.tell(Committed(seq, EPOCH, fact))
    exchange.tell(CaughtUp(5, "journal"))
    (fact,) = journal.expect(Append).facts
    assert isinstance(fact, ChildCancelRequested)
    assert fact.cancel_id == cancel_id(CHILD, 1)


def test_a_child_that_is_over_is_not_cancelled(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, an_intent(), a_child_closed())
    world.tell(a_cancel())
    assert world.sent() == []
    assert world.journal.of(ChildCancelRequested) == []


def test_cancels_go_out_in_a_halt_and_go_before_everything_that_waits(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, an_intent())
    world.tell(HaltTrading(reason="operator", detail=""), ReadinessChanged(Readiness.HALTED))
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=5)))
    poll = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    proof = QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=world.watcher.ref)
    world.tell(Relay(query=poll), Relay(query=proof, urgent=True), a_cancel())
    assert world.sent() == []
    simulation.run(5.1)
    assert [type(message) for message in world.sent()] == [SendCancel, QueryOrder, QueryOpenOrders]


def test_everything_is_cancelled_at_once_without_the_journal(held: World) -> None:
    held.place()
    held.journal.release()
    held.venue.expect(SendOrder)
    held.journal.held = True
    held.tell(CancelEverything(detail="disk full"))
    assert held.venue.expect(SendCancel).cancel_id == cancel_id(CHILD, 0)
    held.tell(a_cancel())
    assert held.venue.expect(SendCancel).cancel_id == cancel_id(CHILD, 1)
    held.place(slice=1)
    assert held.declined().detail == "the journal is lost"
    held.journal.release()
    assert held.journal.of(ChildCancelRequested) == []


def test_nothing_is_journalled_any_more_once_the_journal_is_lost(simulation: Simulation) -> None:
    posted = an_intent(order_type="LIMIT_MAKER", time_in_force=None)
    world = connected(simulation, *EXECUTION_FACTS, posted)
    world.tell(CancelEverything(detail=""))
    assert [sent.client_order_id for sent in world.sent() if isinstance(sent, SendCancel)] == [CHILD]
    before = len(world.journal.facts)
    world.tell(AdoptChild(order=an_order("NEW", client_order_id=child_id("p", EXECUTION, 1, 0))))
    world.tell(ReadinessChanged(Readiness.FAILED))
    assert len(world.journal.facts) == before
    assert world.sent() == []


def test_a_child_that_showed_up_again_is_among_what_is_cancelled(simulation: Simulation) -> None:
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no")
    reappeared = a_reappeared()
    world = connected(simulation, *EXECUTION_FACTS, an_intent(), refused, a_closed(), reappeared)
    world.tell(CancelEverything(detail=""))
    assert world.venue.expect(SendCancel).client_order_id == CHILD


# Queries ------------------------------------------------------------------------------------------


def test_a_query_is_passed_on_and_one_too_many_is_answered_as_failed(simulation: Simulation) -> None:
    world = connected(simulation, settings=replace(SETTINGS, most_waiting=1))
    query = QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=world.watcher.ref)
    world.tell(Relay(query=query))
    world.venue.expect(query)
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=5)))
    other = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.tell(Relay(query=query), Relay(query=query), Relay(query=other))
    world.watcher.expect(QueryFailed(query=other, detail="too many queries wait"))
    simulation.run(6.0)
    assert world.sent() == [query]


def test_a_query_of_anothers_that_failed_is_left_aside(world: World) -> None:
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.exchange)
    world.tell(QueryFailed(query=query, detail="503"))
    world.venue.expect_none(within=30.0)


@pytest.mark.parametrize(
    ("code", "message", "query"),
    [
        (-1013, "", QueryRules),
        (-1021, "", QueryTime),
        (-2010, "Account has insufficient balance for requested action.", QueryBalances),
    ],
)
def test_a_refusal_that_shows_old_knowledge_refreshes_it(
    world: World, code: int, message: str, query: type[object]
) -> None:
    world.place()
    world.sent()
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=code, message=message)
    world.journal.commit(refused)
    world.venue.expect(query)
    world.venue.expect_none(within=5.0)
