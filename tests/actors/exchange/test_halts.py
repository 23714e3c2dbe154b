"""ExchangeActor by its messages: while trading is halted, and inside the venue's limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actors.runtime import EPOCH, Simulation
from messages.control import HaltTrading, ResumeTrading, TroubleOver, TroubleSeen, WeightUsedUp
from messages.facts import ChildRefused, Fact, RateLimited, TradingHalted, TradingResumed
from messages.ids import milliseconds
from messages.order import (
    BAD_CERTIFICATE,
    CancelChild,
    ConnectExchange,
    Decline,
    LimitsSeen,
    ProbeStream,
    QueryFailed,
    QueryOpenOrders,
    QueryTime,
    Relay,
    ReportLimits,
    SendCancel,
    SendOrder,
    TimeFound,
    VenueAlarm,
    VenueTime,
)
from tests.actors.exchange.stage import EXECUTION_FACTS, OFFSET, World, connected, started
from tests.factories import CHILD, EXECUTION, D, a_child_closed, a_trade_booked, an_acknowledged, an_intent


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
    world.tell(LimitsSeen(retry_at=until + timedelta(seconds=1)))
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


@pytest.mark.parametrize("first", ["refusal", "failed query"])
@pytest.mark.parametrize(("code", "reason"), [(-2015, "KEY_REVOKED"), (-2014, "KEY_REVOKED"), (-1022, "BAD_SIGNATURE")])
def test_a_refusal_of_ourselves_halts_trading_once_and_cancels_still_go(
    world: World, code: int, reason: str, first: str
) -> None:
    world.place()
    refused = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=code, message="no")
    failed = QueryFailed(query=QueryTime(reply_to=world.exchange), detail="no", code=code)
    if first == "failed query":
        world.tell(failed)
        assert world.journal.of(TradingHalted) == [TradingHalted(reason=reason, detail=f"{code}: no")]
    world.journal.commit(refused)
    world.simulation.run(0.0)
    assert world.journal.of(TradingHalted) == [TradingHalted(reason=reason, detail=f"{code}: no")]
    world.tell(failed)
    assert len(world.journal.of(TradingHalted)) == 1
    world.place(slice=1)
    assert world.declined().reason is Decline.HALTED
    world.sent()
    world.tell(CancelChild(execution_id="other", client_order_id="c", symbol="BTCUSDT", order_id=1, reason="r"))
    world.venue.expect(SendCancel)


def test_an_alarm_that_halts_nothing_is_told_and_over_with_the_next_start(world: World) -> None:
    said = world.troubles.messages()
    assert [type(sign) for sign in said if sign.kind == "venue_alarm"] == [TroubleOver]
    world.tell(VenueAlarm(code=-2015, detail="no"))
    world.troubles.expect_none(within=0.0)
    world.tell(VenueAlarm(code=-2039, detail="two orders"))
    sign = world.troubles.expect(TroubleSeen)
    assert (sign.kind, sign.subject, sign.level) == ("venue_alarm", "venue", "error")
    assert "two orders" in sign.text


def test_limits_that_are_nearly_used_up_are_told(world: World) -> None:
    world.troubles.messages()
    world.tell(LimitsSeen(used_weight=5_990, weight_limit=6_000))
    assert world.troubles.expect(TroubleSeen).text == "used 5990 of 6000 request weight in a minute"


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
    world.simulation.run(1.0)
    world.tell(LimitsSeen(used_weight=4199, weight_limit=6000), ProbeStream(probe=5))
    world.place()
    world.venue.fish_for(lambda message: isinstance(message, SendOrder), within=0.0)
    world.tell(ProbeStream(probe=5))
    world.place(slice=1)
    assert world.declined().reason is Decline.BUDGET, "a probe has its weight"
    world.sent()
    world.tell(LimitsSeen(retry_at=EPOCH + timedelta(seconds=20), detail="429"), ProbeStream(probe=6))
    world.venue.expect_none(within=19.0)


LIMITED = RateLimited(until=EPOCH + timedelta(seconds=20), banned=False, detail="")
REFUSED = ChildRefused(
    execution_id=EXECUTION,
    client_order_id=CHILD,
    symbol="BTCUSDT",
    code=-1003,
    message="Too many requests.",
    until=EPOCH + timedelta(seconds=20),
)


@pytest.mark.parametrize("old", [(LIMITED,), (*EXECUTION_FACTS, an_intent(), REFUSED)], ids=["limited", "refused"])
def test_no_query_goes_before_a_wait_is_over_that_the_journal_tells_of(
    simulation: Simulation, old: tuple[Fact, ...]
) -> None:
    """A process may end between the refusal's commit and that of the limit which it hit."""
    world = started(simulation, *old)
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.tell(Relay(query=query), ConnectExchange(watcher=world.watcher.ref, gate=world.gate.ref))
    world.venue.expect(ReportLimits)
    world.venue.expect_none(within=19.9)
    assert world.parent.expect(WeightUsedUp).until == 20.0
    world.venue.fish_for(lambda message: message == query)


@pytest.mark.parametrize(("code", "asked"), [(-1003, False), (-1015, True)])
def test_a_refused_order_that_says_until_when_holds_back_the_next_ones(world: World, code: int, *, asked: bool) -> None:
    world.journal.commit(an_intent(), replace(REFUSED, code=code))
    query = QueryOpenOrders(symbol="BTCUSDT", reply_to=world.watcher.ref)
    world.place(slice=1)
    assert world.declined().retry_at == 20.0
    world.tell(Relay(query=query))
    assert (query in world.sent()) is asked
