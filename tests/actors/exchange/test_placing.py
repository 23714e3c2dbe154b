"""ExchangeActor by its messages: what it declines, what it writes down, and what goes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.exchange.budget import BudgetLimits
from actors.exchange.door import Door
from actors.runtime import EPOCH, Simulation
from messages.control import HaltTrading, Ping, Pong, Readiness, ReadinessChanged
from messages.facts import ChildIntended, ChildNotSent, ChildRefused, ExecutionCancelRequested, ExecutionStarted, Fact
from messages.ids import child_id, milliseconds
from messages.order import (
    BalancesFound,
    BalancesSeen,
    Decline,
    KeptBack,
    LimitsSeen,
    QueryBalances,
    QueryRules,
    RulesFound,
    SendOrder,
    TimeFound,
    order_of,
)
from messages.signal import Side
from tests.actors.exchange.stage import BALANCES, EXECUTION_FACTS, OFFSET, SETTINGS, World, connected, started
from tests.factories import (
    CHILD,
    EXECUTION,
    D,
    a_child_closed,
    a_closed,
    a_plan,
    a_planned,
    an_accepted,
    an_acknowledged,
    an_intent,
    rules,
)

# Placing ------------------------------------------------------------------------------------------


def test_a_place_becomes_a_journalled_intent_and_then_one_order(held: World) -> None:
    held.simulation.run(3.0)
    held.place(waited_seconds=D("1.5"))
    assert held.sent() == []
    held.journal.release()
    order = held.venue.expect(SendOrder)
    intent = held.journal.last(ChildIntended)
    assert order == order_of(intent, held.watcher.ref)
    assert intent == an_intent(
        request_timestamp=milliseconds(EPOCH) + 3000 + OFFSET,
        spread=intent.spread,
        quote_age_seconds=D("0.020000"),
        waited_seconds=D("1.5"),
    )
    assert intent.spread == D(2) / 42_000
    held.twap.expect_none(within=60.0)
    assert not held.orders()


def test_the_first_place_of_an_execution_may_come_before_its_acceptance_is_durable(simulation: Simulation) -> None:
    world = connected(simulation)
    world.journal.held = True
    world.place(quantity=D("0.3"), accepted=an_accepted())
    world.twap.expect_none()
    assert world.sent() == []
    world.journal.commit(*EXECUTION_FACTS)
    simulation.run(1.0)
    assert world.sent() == []
    world.journal.release()
    assert world.venue.expect(SendOrder).quantity == D("0.3")
    world.place(slice=1, quantity=D("0.3"))
    assert world.declined().reason is Decline.OVER_QUANTITY, "the acceptance that came later has undone the first"


def test_a_place_that_brings_the_acceptance_of_an_execution_that_is_known_changes_nothing(world: World) -> None:
    world.place(quantity=D("0.5"), accepted=an_accepted())
    world.place(slice=1, quantity=D("0.1"), accepted=an_accepted())
    assert world.declined().reason is Decline.OVER_QUANTITY
    world.journal.commit(ExecutionCancelRequested(execution_id=EXECUTION))
    world.place(slice=1, quantity=D("0.1"), accepted=an_accepted())
    assert world.declined().reason is Decline.CANCELLED


def test_each_place_is_answered_exactly_once(world: World) -> None:
    world.place()
    world.place()
    assert world.declined().reason is Decline.SEEN
    world.twap.expect_none(within=60.0)
    assert len(world.journal.of(ChildIntended)) == 1
    assert len(world.orders()) == 1


def test_an_execution_that_has_died_before_its_answer_does_no_harm(world: World) -> None:
    world.place(quantity=D(9), reply_to=world.twap.ref)
    assert world.declined().reason is Decline.OVER_QUANTITY
    world.twap.ref.stop()
    world.place(quantity=D(9))
    world.place()
    assert len(world.orders()) == 1


def test_a_gate_that_has_stopped_before_it_does_no_harm(world: World) -> None:
    world.gate.ref.stop()
    world.tell(BalancesSeen(balances=BALANCES), RulesFound(rules=(rules(trading=False),)))
    world.tell(Ping(world.twap.ref))
    world.twap.expect(Pong)


def test_a_watcher_that_has_stopped_before_it_does_no_harm(world: World) -> None:
    world.watcher.ref.stop()
    world.tell(TimeFound(offset_milliseconds=7), RulesFound(rules=(rules(trading=False),)))
    world.tell(Ping(world.twap.ref))
    world.twap.expect(Pong)


def test_a_place_that_comes_again_while_the_first_is_committed_is_not_sent_twice(held: World) -> None:
    held.place()
    held.place()
    held.journal.release()
    held.simulation.run(1.0)
    assert len(held.orders()) == 1
    assert held.declined().reason is Decline.SEEN


def test_two_places_under_one_commit_together_never_exceed_the_quantity(held: World) -> None:
    held.place(slice=0, quantity=D("0.3"))
    held.place(slice=1, quantity=D("0.3"))
    held.journal.release()
    held.simulation.run(1.0)
    assert [order.quantity for order in held.orders()] == [D("0.3")]
    assert held.declined().reason is Decline.OVER_QUANTITY


def test_replayed_intents_are_not_sent(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, an_intent())
    simulation.run(30.0)
    assert world.orders() == []
    world.place(slice=1, quantity=D("0.41"))
    assert world.declined().reason is Decline.OVER_QUANTITY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"execution_id": "zzzzzzzzzzzzz"}, Decline.UNKNOWN_EXECUTION),
        ({"incarnation": 0}, Decline.OLD_INCARNATION),
        ({"quantity": D("0.50001")}, Decline.OVER_QUANTITY),
        ({"quantity": D("0.100001")}, Decline.FILTER),
        ({"quantity": D("0.0001")}, Decline.BELOW_MINIMUM),
        ({"limit_price": D("42085.001")}, Decline.FILTER),
        ({"limit_price": None}, Decline.FILTER),
        ({"order_type": "MARKET"}, Decline.FILTER),
        ({"symbol": "ETHUSDT"}, Decline.SYMBOL_STATUS),
        ({"not_after": -0.5}, Decline.TOO_LATE),
    ],
)
def test_what_must_not_go_is_declined_once_and_leaves_no_trace(
    world: World, changes: dict[str, Any], reason: Decline
) -> None:
    world.place(**changes)
    assert world.declined().reason is reason
    world.twap.expect_none(within=30.0)
    assert world.journal.of(ChildIntended) == []
    assert world.orders() == []


@pytest.mark.parametrize(("late", "declined"), [(1000, False), (1001, True)])
def test_nothing_is_taken_once_the_end_is_over_by_the_exchanges_clock(
    simulation: Simulation, late: int, declined: bool
) -> None:
    end = EPOCH + timedelta(milliseconds=OFFSET - late)
    world = connected(simulation, *EXECUTION_FACTS, a_planned(plan=a_plan(end_at=end)))
    world.place()
    if declined:
        told = world.declined()
        assert (told.reason, told.detail) == (Decline.AFTER_END, "the end was 1 s ago by the exchange's clock")
    else:
        world.venue.expect(SendOrder)


def test_a_child_may_go_up_to_its_last_moment(world: World) -> None:
    world.place(not_after=0.0)
    world.venue.expect(SendOrder)
    world.place(slice=1, not_after=-0.5)
    assert world.declined().detail == "0.500 s too late"


@pytest.mark.parametrize(("used", "reason"), [(4200, None), (4201, Decline.BUDGET)])
def test_an_order_itself_has_no_weight_and_goes_while_that_of_queries_leaves_the_reserve(
    world: World, used: int, reason: Decline | None
) -> None:
    world.simulation.run(1.0)  # What was asked for at the start is in the venue's figure by then.
    world.tell(LimitsSeen(used_weight=used, weight_limit=6000))
    world.place()
    if reason is None:
        world.venue.expect(SendOrder)
    else:
        assert world.declined().reason is reason


def a_door(*facts: Fact) -> Door:
    """A door that is open, and has folded `facts`."""
    door = Door(SETTINGS)
    door.readiness, door.known = Readiness.READY, True
    for fact in facts:
        door.fold(fact, EPOCH, 0.0, EPOCH)
    return door


@pytest.mark.parametrize(
    ("now", "venue", "hindrance"),
    [
        (10.0, 2000, None),
        (10.5, 2000, "0.500 s too late"),
        (10.0, 2001, "recvWindow is over by 1 ms"),
    ],
)
def test_an_intent_is_sent_up_to_the_last_moment_of_its_place_and_of_its_receive_window(
    now: float, venue: int, hindrance: str | None
) -> None:
    """`venue` is how many ms the venue's clock is past the timestamp."""
    intent = an_intent()
    door = a_door(*EXECUTION_FACTS, intent)
    told = door.hindrance(intent, not_after=10.0, now=now, venue_milliseconds=intent.request_timestamp + venue)
    assert told == (None if hindrance is None else (Decline.TOO_LATE, hindrance))


def test_an_intent_of_an_execution_that_is_not_known_is_not_sent() -> None:
    hindrance = a_door().hindrance(an_intent(), not_after=10.0, now=0.0, venue_milliseconds=0.0)
    assert hindrance == (Decline.CLOSED, "closed while the intent was committed")


def test_a_decline_says_which_place_it_is_for_and_when_to_ask_again(world: World) -> None:
    world.tell(BalancesSeen(balances=(("USDT", D(4208), D(0)),)))
    world.place(slice=3, attempt=2)
    declined = world.declined()
    assert (declined.execution_id, declined.slice, declined.attempt) == (EXECUTION, 3, 2)
    assert declined.reason is Decline.BALANCE
    assert declined.detail == "4208.5 USDT needed, 4208 free"
    assert declined.retry_at == 5.0


def test_what_a_declined_child_waits_for_is_told_once_and_taken_back_when_it_goes(world: World) -> None:
    world.tell(BalancesSeen(balances=(("USDT", D(4208), D(0)),)))
    world.place()
    world.place()
    assert world.waits == [("balance", "4208.5 USDT needed, 4208 free")]
    world.tell(BalancesSeen(balances=(("USDT", D(5000), D(0)),)))
    world.place()
    assert world.waits[1:] == [(None, "")]
    world.tell(RulesFound(rules=(rules(trading=False, status="HALT"),)))
    world.place(slice=1)
    assert world.waits[2:] == [("symbol status", "BTCUSDT is HALT")]


@pytest.mark.parametrize(
    ("readiness", "reason"),
    [
        (Readiness.STARTING, Decline.NOT_READY),
        (Readiness.FAILED, Decline.NOT_READY),
        (Readiness.HALTED, Decline.HALTED),
        (Readiness.DRAINING, Decline.DRAINING),
    ],
)
def test_nothing_is_taken_unless_the_daemon_is_ready(world: World, readiness: Readiness, reason: Decline) -> None:
    world.tell(ReadinessChanged(readiness))
    world.place()
    declined = world.declined()
    assert (declined.reason, declined.retry_at) == (reason, 1.0)


def test_nothing_is_taken_before_rules_balances_and_time_are_known(simulation: Simulation) -> None:
    world = started(simulation, *EXECUTION_FACTS)
    world.tell(ReadinessChanged(Readiness.READY))
    world.place()
    assert world.declined().reason is Decline.NOT_READY


def test_a_closed_or_cancelled_execution_gets_nothing(world: World) -> None:
    world.journal.commit(ExecutionCancelRequested(execution_id=EXECUTION))
    world.simulation.run(0.0)
    world.place()
    assert world.declined().reason is Decline.CANCELLED
    world.journal.commit(a_closed(children=0))
    world.simulation.run(0.0)
    world.place()
    assert world.declined().reason is Decline.CLOSED


def test_a_symbol_that_does_not_trade_is_declined_and_its_rules_are_asked_for_again(world: World) -> None:
    world.tell(RulesFound(rules=(rules(trading=False, status="HALT"),)))
    world.place()
    declined = world.declined()
    assert (declined.detail, declined.retry_at) == ("BTCUSDT is HALT", 30.0)
    world.venue.fish_for(lambda message: isinstance(message, QueryRules), within=16.0)


def test_a_symbol_that_is_no_longer_traded_on_spot_is_declined_and_whoever_watches_orders_is_told(world: World) -> None:
    found = RulesFound(rules=(rules(spot=False),))
    world.tell(found)
    assert found in world.watcher.messages()
    world.place()
    assert world.declined().reason is Decline.SYMBOL_STATUS


def test_a_market_buy_is_reckoned_above_the_ask(world: World) -> None:
    cost = D("0.1") * 42_001 * D("1.01")
    market: dict[str, Any] = {"order_type": "MARKET", "time_in_force": None, "limit_price": None}
    world.tell(BalancesSeen(balances=(("USDT", cost - 1, D(0)),)))
    world.place(**market)
    assert world.declined().reason is Decline.BALANCE
    world.tell(BalancesSeen(balances=(("USDT", cost, D(0)),)))
    world.place(**market)
    world.venue.expect(SendOrder)


def test_a_sell_needs_the_base_asset_and_what_open_children_take_is_not_free(world: World) -> None:
    world.tell(BalancesSeen(balances=(("BTC", D("0.15"), D(0)),)))
    sell: dict[str, Any] = {"side": Side.SELL, "limit_price": D("41900.00")}
    world.place(slice=0, **sell)
    world.venue.expect(SendOrder)
    world.place(slice=1, **sell)
    assert world.declined().detail == "0.1 BTC needed, 0.05 free"


def test_a_refused_child_gives_its_balance_back_and_a_closed_one_when_it_is_told(world: World) -> None:
    world.tell(BalancesSeen(balances=(("USDT", D(5000), D(0)),)))
    world.place(slice=0)
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no")
    world.journal.commit(refused)
    world.simulation.run(0.0)
    world.place(slice=1)
    child = child_id("p", EXECUTION, 1, 0)
    world.journal.commit(an_acknowledged(client_order_id=child), a_child_closed(client_order_id=child))
    world.simulation.run(0.0)
    world.place(slice=2)
    assert world.declined().reason is Decline.BALANCE
    world.sent()
    world.venue.expect(QueryBalances, within=2.1)
    world.tell(BalancesFound(balances=(("USDT", D(800), D(0)), ("BTC", D("10.1"), D(0)))))
    world.place(slice=2)
    assert world.declined().detail == "4208.5 USDT needed, 800 free"


def test_more_orders_than_the_venue_allows_are_declined_until_the_window_moves(simulation: Simulation) -> None:
    few = replace(SETTINGS, limits=BudgetLimits(orders=((10, 2),)))
    world = connected(simulation, *EXECUTION_FACTS, settings=few)
    for slice_ in range(3):
        world.place(slice=slice_, not_after=99.0)
    declined = world.declined()
    assert (declined.reason, declined.slice, declined.retry_at) == (Decline.BUDGET, 2, 11.0)
    simulation.run(11.0)
    world.place(slice=2, not_after=99.0)
    world.twap.expect_none(within=0.0)
    assert len(world.orders()) == 3


# Between intent and send --------------------------------------------------------------------------


def not_sent(world: World) -> ChildNotSent:
    """Release the journal; the one intent must end unsent."""
    world.journal.release()
    world.simulation.run(0.0)
    assert world.orders() == []
    fact = world.journal.last(ChildNotSent)
    assert (fact.client_order_id, fact.source) == (CHILD, "exchange_actor")
    assert KeptBack(client_order_id=CHILD) in world.watcher.messages()
    world.twap.expect_none(within=0.0)
    return fact


def test_no_order_after_not_after(held: World) -> None:
    held.place(not_after=1.0)
    held.simulation.run(1.5)
    assert not_sent(held).reason == "TOO_LATE"


def test_no_order_after_its_receive_window(held: World) -> None:
    held.place()
    held.simulation.run(2.1)
    assert not_sent(held).detail.startswith("recvWindow is over")


def test_a_step_of_the_wall_clock_changes_neither_timestamp_nor_deadline(held: World) -> None:
    held.simulation.step_clock(-3600.0)
    held.place()
    held.simulation.step_clock(7200.0)
    held.journal.release()
    order = held.venue.expect(SendOrder)
    assert order.request_timestamp == milliseconds(EPOCH) + OFFSET


def test_no_order_after_a_halt(held: World) -> None:
    held.place()
    held.tell(HaltTrading(reason="operator", detail=""))
    fact = not_sent(held)
    assert (fact.reason, fact.detail) == ("HALTED", "operator")


def test_no_order_while_draining(held: World) -> None:
    held.place()
    held.tell(ReadinessChanged(Readiness.DRAINING))
    assert not_sent(held).reason == "DRAINING"


def test_no_order_within_a_retry_after(held: World) -> None:
    held.place()
    held.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=30)))
    assert not_sent(held).reason == "RATE_LIMITED"


def test_no_order_when_the_execution_was_cancelled_meanwhile(held: World) -> None:
    held.place()
    held.journal.commit(ExecutionCancelRequested(execution_id=EXECUTION))
    held.simulation.run(0.0)
    assert not_sent(held).reason == "CANCELLED"


def test_no_order_of_an_older_incarnation(held: World) -> None:
    held.place()
    held.journal.commit(ExecutionStarted(execution_id=EXECUTION, incarnation=2))
    held.simulation.run(0.0)
    assert not_sent(held).reason == "OLD_INCARNATION"


def test_no_order_when_the_execution_was_closed_meanwhile(held: World) -> None:
    held.place()
    held.journal.commit(a_closed())
    held.simulation.run(0.0)
    assert not_sent(held).reason == "CLOSED"


def test_what_was_not_sent_is_free_again(held: World) -> None:
    held.place(quantity=D("0.5"), not_after=1.0)
    held.simulation.run(1.5)
    not_sent(held)
    held.place(slice=1, quantity=D("0.5"))
    held.venue.expect(SendOrder)
