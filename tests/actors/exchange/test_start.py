"""ExchangeActor by its messages: from its start to its being ready."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.exchange.actor import ExchangeActor
from actors.runtime import EPOCH, Simulation
from messages.control import ActorReady, CaughtUp, Committed, Follow, HaltTrading, Ping, Pong
from messages.facts import TradingHalted, TradingResumed
from messages.market import BalancesChanged, RulesChanged
from messages.order import (
    BalancesFound,
    BalancesSeen,
    ConnectExchange,
    Decline,
    LimitsSeen,
    OpenUserStream,
    QueryBalances,
    QueryFailed,
    QueryRules,
    QueryTime,
    ReportLimits,
    RulesFound,
    TimeFound,
    VenueAlarm,
)
from tests.actors.exchange.stage import BALANCES, SETTINGS, World, started
from tests.factories import D, rules
from tests.probe import Probe


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
