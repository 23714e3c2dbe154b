from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from actors.exchange.actor import ExchangeActor, ExchangeSettings
from actors.exchange.budget import BudgetLimits
from actors.runtime import EPOCH, Simulation
from messages.control import (
    ActorReady,
    Append,
    CancelEverything,
    CaughtUp,
    Committed,
    Follow,
    HaltTrading,
    Ping,
    Pong,
    Readiness,
    ReadinessChanged,
    ResumeTrading,
)
from messages.execution import WaitsFor
from messages.facts import (
    AttemptReappeared,
    ChildCancelRequested,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionCancelRequested,
    ExecutionStarted,
    Fact,
    RateLimited,
    TradingHalted,
    TradingResumed,
)
from messages.ids import cancel_id, child_id, milliseconds
from messages.market import BalancesChanged, RulesChanged
from messages.order import (
    BAD_CERTIFICATE,
    AdoptChild,
    BalancesFound,
    BalancesSeen,
    CancelChild,
    ChildDeclined,
    ConnectExchange,
    Decline,
    LimitsSeen,
    OpenUserStream,
    ProbeStream,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    Relay,
    ReportLimits,
    RulesFound,
    SendCancel,
    SendOrder,
    TimeFound,
    VenueAlarm,
    VenueTime,
    order_of,
)
from messages.signal import Side
from tests.factories import (
    CHILD,
    EXECUTION,
    D,
    a_child_closed,
    a_closed,
    a_planned,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
    rules,
)
from tests.journal_stub import JournalStub
from tests.order_tools import a_place, an_order
from tests.probe import Probe

SETTINGS = ExchangeSettings(symbols=("BTCUSDT",), limits=BudgetLimits(orders=((10, 100),)))
BALANCES = (("BTC", D(10), D(0)), ("USDT", D(1_000_000), D(0)))
EXECUTION_FACTS: tuple[Fact, ...] = (
    an_accepted(),
    a_planned(),
    ExecutionStarted(execution_id=EXECUTION, incarnation=1),
)
OFFSET = 1234


@dataclass
class World:
    """An ExchangeActor among probes."""

    simulation: Simulation
    journal: JournalStub
    parent: Probe
    venue: Probe
    watcher: Probe
    gate: Probe
    twap: Probe
    exchange: Any
    waits: list[tuple[str | None, str]]
    """What a due child waits for, as whoever shows it was told."""

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.exchange.tell(message)
            self.simulation.run(0.0)

    def place(self, **changes: Any) -> None:
        self.tell(a_place(**{"reply_to": self.twap.ref, **changes}))

    def sent(self) -> list[object]:
        """What went to the venue since the last look."""
        return self.venue.messages()

    def orders(self) -> list[SendOrder]:
        return [message for message in self.sent() if isinstance(message, SendOrder)]

    def declined(self) -> ChildDeclined:
        return self.twap.expect(ChildDeclined)


class Heard:
    def __init__(self) -> None:
        self.said: list[tuple[str | None, str]] = []

    def tell(self, message: WaitsFor, /) -> None:
        self.said.append((message.hindrance, message.detail))


def started(simulation: Simulation, *old: Fact, settings: ExchangeSettings = SETTINGS) -> World:
    journal = JournalStub.begun(*old)
    probes = [Probe(simulation, name) for name in ("parent", "venue", "watcher", "gate", "twap")]
    parent, venue, watcher, gate, twap = probes
    heard = Heard()
    exchange = ExchangeActor.start(
        parent.ref, "exchange", journal=journal.actor_ref, venue=venue.ref, settings=settings, lookout=heard
    )
    return World(simulation, journal, parent, venue, watcher, gate, twap, exchange, heard.said)


def connected(simulation: Simulation, *old: Fact, settings: ExchangeSettings = SETTINGS) -> World:
    world = started(simulation, *old, settings=settings)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.tell(TimeFound(offset_milliseconds=OFFSET), RulesFound(rules=(rules(),)), BalancesFound(balances=BALANCES))
    world.tell(ReadinessChanged(Readiness.READY))
    world.sent()
    world.watcher.messages()
    return world


@pytest.fixture
def world(simulation: Simulation) -> World:
    """One that is ready, with the execution accepted and planned."""
    return connected(simulation, *EXECUTION_FACTS)


@pytest.fixture
def held(world: World) -> World:
    """One whose journal commits nothing until released."""
    world.journal.held = True
    return world


# Start --------------------------------------------------------------------------------------------


def test_a_start_asks_for_all_that_must_be_known_and_then_tells_that_it_is_ready(simulation: Simulation) -> None:
    world = started(simulation)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    me = world.exchange
    assert world.sent() == [
        ReportLimits(listener=me),
        OpenUserStream(listener=world.watcher.ref),
        QueryTime(reply_to=me),
        QueryRules(symbols=("BTCUSDT",), reply_to=me),
        QueryBalances(reply_to=me),
    ]
    world.tell(TimeFound(offset_milliseconds=0), RulesFound(rules=(rules(),)))
    world.gate.expect(RulesChanged(rules=rules()))
    world.parent.expect_none(within=0.0)
    world.tell(BalancesFound(balances=BALANCES))
    world.gate.expect(BalancesChanged(free=(("BTC", D(10)), ("USDT", D(1_000_000)))))
    world.parent.expect(ActorReady("exchange"))
    world.tell(BalancesFound(balances=BALANCES))
    world.parent.expect_none(within=0.0)


def test_the_venue_is_not_asked_before_the_journal_is_folded(simulation: Simulation) -> None:
    journal, parent, venue = (Probe(simulation, name) for name in ("journal", "parent", "venue"))
    exchange = ExchangeActor.start(parent.ref, "exchange", journal=journal.ref, venue=venue.ref, settings=SETTINGS)
    exchange.tell(ConnectExchange(watcher=parent.ref, gate=parent.ref))
    venue.expect(ReportLimits)
    venue.expect_none(within=60.0)
    exchange.tell(CaughtUp(0, "journal"))
    venue.expect(OpenUserStream)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (VenueAlarm(code=403, detail="no"), "FIREWALL"),
        (LimitsSeen(retry_at=EPOCH + timedelta(seconds=60), banned=True), "BANNED"),
        (HaltTrading(reason="MANUAL", detail="now"), "MANUAL"),
    ],
)
def test_a_halt_that_is_due_before_the_past_is_folded_is_not_undone_by_it(
    simulation: Simulation, word: object, reason: str
) -> None:
    journal, parent, venue = (Probe(simulation, name) for name in ("journal", "parent", "venue"))
    exchange = ExchangeActor.start(parent.ref, "exchange", journal=journal.ref, venue=venue.ref, settings=SETTINGS)
    exchange.tell(ConnectExchange(watcher=parent.ref, gate=parent.ref))
    exchange.tell(word)
    journal.expect(Follow)
    journal.expect_none(within=0.0)
    exchange.tell(Committed(1, EPOCH, TradingHalted(reason="MANUAL", detail="long ago")))
    exchange.tell(Committed(2, EPOCH, TradingResumed(detail="long ago")))
    exchange.tell(CaughtUp(2, "journal"))
    simulation.run(0.0)
    halts = [fact for append in journal.messages() for fact in append.facts if isinstance(fact, TradingHalted)]
    assert [halt.reason for halt in halts] == [reason]
    actor = exchange._actor_weakref()
    assert actor is not None
    assert actor._door.halt_reason == reason


def test_a_failed_query_is_asked_again_ever_more_slowly(simulation: Simulation) -> None:
    world = started(simulation)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    query = QueryTime(reply_to=world.exchange)
    world.sent()
    for pause in (0.5, 1.0, 2.0):
        world.tell(QueryFailed(query=query, detail="503"))
        world.venue.expect_none(within=pause - 0.01)
        world.venue.expect(query, within=0.02)


def test_a_query_that_failed_for_a_limit_is_asked_again_when_the_limit_ends(simulation: Simulation) -> None:
    world = started(simulation)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.tell(RulesFound(rules=(rules(),)), TimeFound(offset_milliseconds=0))
    world.sent()
    query = QueryBalances(reply_to=world.exchange)
    world.tell(QueryFailed(query=query, detail="429", until=EPOCH + timedelta(seconds=40)))
    world.tell(QueryFailed(query=QueryRules(symbols=(), reply_to=world.exchange), detail="503"))
    world.venue.expect(QueryRules, within=1.0)
    world.venue.fish_for(lambda message: message == query, within=40.0)
    assert simulation.now() >= 40.0


def test_a_query_that_is_never_answered_is_asked_again(simulation: Simulation) -> None:
    world = started(simulation)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.sent()
    world.venue.expect_none(within=14.9)
    world.venue.expect(QueryTime, within=0.2)


def test_what_must_be_known_is_refreshed_on_a_timer(world: World) -> None:
    world.simulation.run(59.0)
    assert world.sent() == []
    world.simulation.run(2.0)
    assert {type(message) for message in world.sent()} == {QueryTime, QueryBalances}
    answers = (TimeFound(offset_milliseconds=0), BalancesFound(balances=BALANCES))
    world.tell(*answers)
    world.venue.fish_for(lambda message: isinstance(message, QueryRules), within=3600.0)


def test_rules_that_changed_are_pushed_and_a_symbol_that_vanished_is_not_tradable(world: World) -> None:
    world.gate.messages()
    world.tell(RulesFound(rules=(rules(),)))
    world.gate.expect_none(within=0.0)
    world.tell(RulesFound(rules=(rules(tick=D("0.1")),)))
    world.gate.expect(RulesChanged(rules=rules(tick=D("0.1"))))
    world.tell(RulesFound(rules=()))
    world.gate.expect(RulesChanged(rules=rules(tick=D("0.1"), trading=False, status="UNKNOWN")))
    world.place()
    assert world.declined().reason is Decline.SYMBOL_STATUS


def test_balances_that_the_stream_tells_are_pushed(world: World) -> None:
    world.gate.messages()
    world.tell(BalancesSeen(balances=(("BTC", D(11), D(0)),)))
    world.gate.expect(BalancesChanged(free=(("BTC", D(11)), ("USDT", D(1_000_000)))))


def test_a_ping_is_answered(world: World) -> None:
    world.tell(Ping(world.twap.ref))
    world.twap.expect(Pong("exchange"))


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
    assert world.declined().detail == "BTCUSDT is HALT"
    world.venue.fish_for(lambda message: isinstance(message, QueryRules), within=16.0)


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
    assert not_sent(held).reason == "HALTED"


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


# Halts, limits ------------------------------------------------------------------------------------


def test_a_halt_is_journalled_once_and_lifted_once(world: World) -> None:
    world.tell(ResumeTrading(), HaltTrading(reason="operator", detail="lunch"), HaltTrading(reason="again", detail=""))
    assert world.journal.of(TradingHalted) == [TradingHalted(reason="operator", detail="lunch")]
    world.place()
    assert world.declined().detail == "operator: lunch"
    world.tell(ResumeTrading(detail="back"), ResumeTrading())
    assert world.journal.of(TradingResumed) == [TradingResumed(detail="back")]
    world.place()
    world.venue.expect(SendOrder)


def test_a_halt_survives_a_restart(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS, TradingHalted(reason="operator", detail=""))
    world.place()
    declined = world.declined()
    assert (declined.reason, declined.detail) == (Decline.HALTED, "operator")


def test_a_retry_after_is_journalled_once_an_episode_and_stops_everything(world: World) -> None:
    until = EPOCH + timedelta(seconds=20)
    world.tell(LimitsSeen(retry_at=until, detail="429"))
    world.tell(LimitsSeen(retry_at=until + timedelta(milliseconds=300)))
    assert world.journal.of(RateLimited) == [RateLimited(until=until, banned=False, detail="429")]
    world.place()
    declined = world.declined()
    assert (declined.reason, declined.retry_at) == (Decline.RATE_LIMITED, 20.0)
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.tell(Relay(query=query), LimitsSeen(used_weight=1))
    world.venue.expect_none(within=19.9)
    world.venue.expect(query, within=0.2)
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=60)))
    assert len(world.journal.of(RateLimited)) == 2


def test_a_hold_on_orders_declines_children_until_its_end_and_lets_all_else_through(simulation: Simulation) -> None:
    world = connected(simulation, *EXECUTION_FACTS)
    until = EPOCH + timedelta(seconds=20)
    world.tell(LimitsSeen(retry_at=until, orders_only=True, detail="-1015"))
    world.tell(LimitsSeen(retry_at=until, orders_only=True, detail="-1015"))
    limited = RateLimited(until=until, banned=False, detail="-1015", orders_only=True)
    assert world.journal.of(RateLimited) == [limited]
    world.place()
    declined = world.declined()
    assert (declined.reason, declined.retry_at) == (Decline.BUDGET, 20.0)
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.tell(Relay(query=query))
    world.venue.expect(query, within=0.0)
    world.tell(LimitsSeen(retry_at=until, detail="429"))  # Of everything: that is another one.
    assert len(world.journal.of(RateLimited)) == 2


def test_a_hold_on_orders_survives_a_restart(simulation: Simulation) -> None:
    limited = RateLimited(until=EPOCH + timedelta(seconds=20), banned=False, detail="-1015", orders_only=True)
    world = connected(simulation, *EXECUTION_FACTS, limited)
    world.place()
    declined = world.declined()
    assert (declined.reason, declined.retry_at) == (Decline.BUDGET, 20.0)
    simulation.run(20.0)
    world.place(not_after=30.0)
    world.venue.fish_for(lambda message: isinstance(message, SendOrder), within=0.0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-2015, "KEY_REVOKED"),
        (401, "KEY_REVOKED"),
        (-1022, "BAD_SIGNATURE"),
        (403, "FIREWALL"),
        (BAD_CERTIFICATE, "CERTIFICATE"),
        (-2039, None),
    ],
)
def test_an_alarm_of_the_venue_halts_where_nothing_more_will_be_taken_from_us(
    simulation: Simulation, code: int, reason: str | None
) -> None:
    world = connected(simulation, *EXECUTION_FACTS)
    world.tell(VenueAlarm(code=code, detail="no"), VenueAlarm(code=code, detail="no"))
    halts = [] if reason is None else [TradingHalted(reason=reason, detail=f"{code}: no")]
    assert world.journal.of(TradingHalted) == halts
    world.place()
    if reason is None:
        world.venue.expect(SendOrder)
    else:
        assert world.declined().reason is Decline.HALTED


def test_a_ban_halts_trading_once_and_the_halt_ends_with_it(world: World) -> None:
    until = EPOCH + timedelta(seconds=20)
    world.tell(LimitsSeen(retry_at=until, banned=True, detail="418"), LimitsSeen(retry_at=until, banned=True))
    assert world.journal.of(TradingHalted) == [TradingHalted(reason="BANNED", detail="418")]
    world.place()
    assert world.declined().reason is Decline.HALTED
    world.tell(LimitsSeen(retry_at=until + timedelta(seconds=10), banned=True, detail="longer"))
    world.simulation.run(29.0)
    assert world.journal.of(TradingResumed) == []
    world.simulation.run(2.0)
    assert len(world.journal.of(TradingResumed)) == 1
    assert len(world.journal.of(TradingHalted)) == 1


@pytest.mark.parametrize("reason", ["MANUAL", "KEY_REVOKED", "INVARIANT"])
def test_a_halt_that_waits_for_a_person_outlasts_the_ban_in_which_it_came(world: World, reason: str) -> None:
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=20), banned=True, detail="418"))
    world.tell(HaltTrading(reason=reason, detail="asked to"), HaltTrading(reason=reason, detail="once more"))
    halts = [TradingHalted(reason="BANNED", detail="418"), TradingHalted(reason=reason, detail="asked to")]
    assert world.journal.of(TradingHalted) == halts
    world.simulation.run(60.0)
    assert world.journal.of(TradingResumed) == []
    world.place()
    assert world.declined().reason is Decline.HALTED


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("MANUAL", "INVARIANT", True),
        ("MANUAL", "KEY_REVOKED", True),
        ("KEY_REVOKED", "INVARIANT", True),
        ("INVARIANT", "MANUAL", False),
        ("INVARIANT", "KEY_REVOKED", False),
        ("MANUAL", "MANUAL", False),
    ],
)
def test_a_graver_halt_is_said_though_one_stands_and_a_lighter_one_is_not(
    world: World, first: str, second: str, *, said: bool
) -> None:
    world.tell(HaltTrading(reason=first, detail="a"), HaltTrading(reason=second, detail="b"))
    assert [halt.reason for halt in world.journal.of(TradingHalted)] == ([first, second] if said else [first])


def test_a_ban_during_a_halt_neither_ends_it_nor_stands_in_its_place(world: World) -> None:
    world.tell(HaltTrading(reason="MANUAL", detail="asked to"))
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=20), banned=True, detail="418"))
    world.simulation.run(60.0)
    assert [halt.reason for halt in world.journal.of(TradingHalted)] == ["MANUAL"]
    assert world.journal.of(TradingResumed) == []


def test_a_ban_that_was_over_before_a_restart_halts_nothing_any_more(simulation: Simulation) -> None:
    banned = RateLimited(until=EPOCH + timedelta(seconds=5), banned=True, detail="418")
    world = connected(simulation, *EXECUTION_FACTS, banned, TradingHalted(reason="BANNED", detail="418"))
    assert world.journal.of(TradingResumed) == []
    simulation.run(5.1)
    assert len(world.journal.of(TradingResumed)) == 1


@pytest.mark.parametrize(("code", "reason"), [(-2015, "KEY_REVOKED"), (-2014, "KEY_REVOKED"), (-1022, "BAD_SIGNATURE")])
def test_a_refusal_of_ourselves_halts_trading_once_and_cancels_still_go(world: World, code: int, reason: str) -> None:
    world.place()
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=code, message="no")
    world.journal.commit(refused)
    world.simulation.run(0.0)
    world.tell(QueryFailed(query=QueryTime(reply_to=world.exchange), detail="no", code=code))
    assert world.journal.of(TradingHalted) == [TradingHalted(reason=reason, detail=f"{code}: no")]
    world.place(slice=1)
    assert world.declined().reason is Decline.HALTED
    world.sent()
    world.tell(CancelChild(execution_id="other", client_order_id="c", symbol="BTCUSDT", order_id=1, reason="r"))
    world.venue.expect(SendCancel)


def test_an_execution_that_is_filled_above_what_was_asked_halts_trading(world: World) -> None:
    world.place()
    world.journal.commit(
        an_acknowledged(),
        a_child_closed(),
        a_trade_booked(client_order_id=CHILD, trade_id=2, quantity=D("0.4")),
    )
    world.simulation.run(0.0)
    assert world.journal.of(TradingHalted) == []
    world.journal.commit(a_trade_booked(client_order_id=CHILD, trade_id=3, quantity=D("0.1")))
    world.simulation.run(0.0)
    assert world.journal.last(TradingHalted).reason == "INVARIANT"


def test_after_a_refused_timestamp_nothing_goes_until_the_venues_time_is_known_anew(world: World) -> None:
    world.place()
    world.sent()
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-1021, message="")
    world.journal.commit(refused)
    world.venue.expect(QueryTime)
    world.place(attempt=1)
    assert world.declined().reason is Decline.CLOCK
    world.tell(TimeFound(offset_milliseconds=OFFSET + 500))
    world.place(attempt=1)
    assert world.venue.fish_for(lambda message: isinstance(message, SendOrder)).client_order_id.endswith("-0-1")


def test_a_step_of_our_clock_while_the_venues_is_asked_for_spoils_the_answer(simulation: Simulation) -> None:
    world = started(simulation, *EXECUTION_FACTS)
    world.tell(ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.sent()
    simulation.step_clock(-30.0)
    world.tell(TimeFound(offset_milliseconds=OFFSET))
    world.venue.expect(QueryTime)
    world.watcher.expect_none(within=0.0)
    world.tell(TimeFound(offset_milliseconds=OFFSET + 30_000))
    assert world.watcher.expect(VenueTime).zero == milliseconds(EPOCH) + OFFSET - 1000 * simulation.now()


def test_the_streams_probe_goes_to_the_venue_unless_it_wants_silence(world: World) -> None:
    world.tell(ProbeStream(probe=5))
    world.venue.expect(ProbeStream(probe=5))
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=20), detail="429"), ProbeStream(probe=6))
    world.venue.expect_none(within=19.0)


def test_no_query_goes_before_the_journal_is_folded(simulation: Simulation) -> None:
    limited = RateLimited(until=EPOCH + timedelta(seconds=20), banned=False, detail="")
    world = started(simulation, limited)
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.tell(Relay(query=query), ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.venue.expect(ReportLimits)
    world.venue.expect_none(within=19.9)
    world.venue.fish_for(lambda message: message == query)


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


def test_a_child_that_showed_up_again_is_among_what_is_cancelled(simulation: Simulation) -> None:
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no")
    reappeared = AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="NEW",
        executed_quantity=D(0),
    )
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
