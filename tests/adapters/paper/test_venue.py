from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.runtime import EPOCH, Pool, Simulation
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.venue import LatencySettings, PaperVenue, VenueLink
from messages.ids import from_milliseconds, microseconds, milliseconds
from messages.market import QuoteSeen, WatchMarket
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesFound,
    CancelAcknowledged,
    CancelFailed,
    LimitsSeen,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderNotFound,
    OrderReport,
    OrderStatus,
    QueryAllOrders,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    Refused,
    ReportLimits,
    RulesFound,
    SendOrder,
    TimeFound,
    TradesFound,
)
from messages.signal import Side
from tests.adapters.paper.venue_stage import AT_ONCE, START, Venue, cancel, effects, levels
from tests.probe import Probe

# Orders -------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_is_acknowledged_with_its_trades(venue: Venue) -> None:
    venue.send(quantity=Decimal(2), limit_price=Decimal("102.00"))
    reply = venue.replies.expect(Acknowledged)
    assert reply.order.status is OrderStatus.FILLED
    assert (reply.order.executed_quantity, reply.order.executed_quote) == (Decimal(2), Decimal(203))
    assert [(trade.price, trade.quantity) for trade in reply.trades] == levels((101, 1), (102, 1))
    assert reply.trades[0].commission == Decimal("0.001")
    assert reply.trades[0].time == reply.order.time == milliseconds(EPOCH)
    venue.replies.expect_none(within=60)


def test_a_market_order_is_sent_without_price_and_time_in_force(venue: Venue) -> None:
    venue.send(order_type="MARKET", limit_price=None, time_in_force=None)
    assert venue.replies.expect(Acknowledged).order.order_type == "MARKET"


def test_an_order_that_is_refused_says_why(venue: Venue) -> None:
    venue.send(quantity=Decimal("0.000001"))
    assert venue.replies.expect(Refused) == Refused(client_order_id="a", code=-1013, message="Filter failure: LOT_SIZE")


def test_a_refusal_for_a_limit_says_until_when(simulation: Simulation) -> None:
    venue = Venue(simulation, settings=PaperSettings(limits=LimitSettings(orders_per_10_seconds=1)))
    venue.link.tell(ReportLimits(listener=venue.stream.ref))
    venue.send()
    venue.replies.expect(Acknowledged)
    assert venue.stream.expect(LimitsSeen).order_counts[0] == (10, 0, 1)  # Its first fill gave it back.
    venue.rest(client_order_id="b")
    venue.replies.expect(Acknowledged)
    venue.stream.expect(LimitsSeen)
    venue.send(client_order_id="c")
    refused = venue.replies.expect(Refused)
    assert (refused.code, refused.until) == (-1015, EPOCH + timedelta(seconds=10))
    seen = venue.stream.expect(LimitsSeen)
    assert (seen.retry_at, seen.banned, seen.weight_limit) == (refused.until, False, 6000)
    assert seen.order_counts[0] == (10, 1, 1)


def test_an_order_that_was_too_long_under_way_is_refused(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=replace(AT_ONCE, order_in_ms=3000, sigma=0.0))
    venue.send()
    refused = venue.replies.expect(Refused, within=5)
    assert refused.code == -1021


# Cancels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order_id", [None, 1])
def test_a_cancel_says_finally_what_was_filled_before(venue: Venue, order_id: int | None) -> None:
    venue.open_stream()
    venue.rest()
    venue.replies.expect(Acknowledged)
    venue.market.trade(Side.SELL, "100.00", "0.25")
    venue.simulation.run(1)
    venue.link.tell(cancel(venue, order_id=order_id))
    reply = venue.replies.expect(CancelAcknowledged)
    assert (reply.order.status, reply.order.executed_quantity) == (OrderStatus.CANCELED, Decimal("0.25"))
    reports = [event for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert [(one.execution_type, one.order.client_order_id) for one in reports] == [
        ("NEW", "a"),
        ("TRADE", "a"),
        ("CANCELED", "a"),
    ]


def test_a_cancel_without_effect_carries_the_code(venue: Venue) -> None:
    venue.link.tell(cancel(venue))
    failed = venue.replies.expect(CancelFailed)
    assert (failed.code, failed.detail, failed.client_order_id) == (-2011, "Unknown order sent.", "a")


# Queries ------------------------------------------------------------------------------------------


def test_each_query_gets_its_answer(venue: Venue) -> None:
    to = venue.replies.ref
    venue.rest(client_order_id="r")
    venue.send(client_order_id="a")
    venue.replies.expect(Acknowledged)
    venue.replies.expect(Acknowledged)

    def ask(query: Any) -> Any:
        venue.link.tell(query)
        return venue.replies.expect(object)

    found = ask(QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=to))
    assert isinstance(found, OrderFound)
    assert found.order.executed_quantity == 1
    missing = ask(QueryOrder(symbol="BTCUSDT", client_order_id="z", reply_to=to))
    assert missing == OrderNotFound(symbol="BTCUSDT", client_order_id="z")
    opened = ask(QueryOpenOrders(symbol="BTCUSDT", reply_to=to))
    assert isinstance(opened, OpenOrdersFound)
    assert [order.client_order_id for order in opened.orders] == ["r"]
    everything = ask(QueryAllOrders(symbol="BTCUSDT", since=0, reply_to=to))
    assert isinstance(everything, AllOrdersFound)
    assert len(everything.orders) == 2
    traded = ask(QueryTrades(symbol="BTCUSDT", reply_to=to, from_id=1))
    assert isinstance(traded, TradesFound)
    assert (len(traded.trades), traded.from_id, traded.complete) == (1, 1, True)
    assert ask(QueryTrades(symbol="BTCUSDT", reply_to=to, order_id=1)).trades == ()
    balances = ask(QueryBalances(reply_to=to))
    assert isinstance(balances, BalancesFound)
    assert ("BNB", Decimal(20), Decimal(0)) in balances.balances
    rules = ask(QueryRules(symbols=("BTCUSDT", "NOSUCH"), reply_to=to))
    assert isinstance(rules, RulesFound)
    assert [one.symbol for one in rules.rules] == ["BTCUSDT"]
    assert ask(QueryRules(symbols=("NOSUCH",), reply_to=to)).rules == ()
    venue.replies.expect_none(within=60)


def test_a_query_that_fails_says_so_and_until_when(simulation: Simulation) -> None:
    venue = Venue(simulation, settings=PaperSettings(limits=LimitSettings(weight_per_minute=3)))
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    failed = venue.replies.expect(QueryFailed)
    assert (failed.query, failed.until) == (query, EPOCH + timedelta(minutes=1))
    assert "-1003" in failed.detail
    venue.link.tell(QueryOpenOrders(symbol="NOSUCH", reply_to=venue.replies.ref))
    venue.replies.expect(QueryFailed)


def test_all_orders_come_in_one_answer_however_many_pages_they_fill(venue: Venue) -> None:
    for number in range(1001):
        venue.exchange.place(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "IOC",
                "quantity": "0.1",
                "price": "90.00",
                "newClientOrderId": f"n{number}",
            },
            START + number * 10_000_000,
        )
    venue.exchange.drain()
    venue.simulation.run(10_010)
    venue.link.tell(QueryAllOrders(symbol="BTCUSDT", since=0, reply_to=venue.replies.ref))
    orders = venue.replies.expect(AllOrdersFound).orders
    assert [order.client_order_id for order in orders] == [f"n{number}" for number in range(1001)]


def test_the_clock_is_told_as_an_offset_to_the_askers(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=LatencySettings())
    venue.exchange.set_skew(1_270_000)
    with simulation.node("daemon"):
        venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == pytest.approx(1270, abs=1)
    simulation.node("daemon").step_clock(-5.0)
    with simulation.node("daemon"):
        venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == pytest.approx(6270, abs=1)
    venue.ref.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == 1270


def test_the_exchanges_clock_does_not_step_with_the_machines(simulation: Simulation) -> None:
    venue = Venue(simulation)
    simulation.step_clock(3600)
    venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == -3_600_000


# Latency, crashes, real time ----------------------------------------------------------------------


def test_latencies_are_lognormal_about_their_median() -> None:
    settings, chance = LatencySettings(), random.Random(3)
    drawn = sorted(settings.draw(5.0, chance) for _ in range(4001))
    assert drawn[2000] == pytest.approx(0.005, rel=0.1)
    assert drawn[3960] == pytest.approx(0.060, rel=0.3)
    assert settings.draw(0.0, chance) == 0.0


def test_subscriptions_do_not_overtake_each_other(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=replace(AT_ONCE, order_in_ms=50, sigma=1.5))
    for hot in itertools.islice(itertools.cycle([True, False]), 20):
        venue.watch(hot=hot)
    simulation.run(60)
    venue.quotes.messages()
    venue.market.set_touch("100.00", "7", "101.00", "1")
    venue.quotes.expect(QuoteSeen, within=1.0)
    venue.market.set_touch("100.00", "8", "101.00", "1")
    venue.quotes.expect_none(within=0.9)  # The last word was cold.


@pytest.mark.seeds(default=12)
def test_what_is_under_way_when_the_client_crashes_may_arrive_or_not_and_the_exchange_lives_on(seed: int) -> None:
    with Simulation(seed) as simulation:
        venue = Venue(simulation, latency=LatencySettings())
        daemon = simulation.node("daemon")
        with daemon:
            for number in range(5):
                venue.send(client_order_id=f"o{number}", quantity=Decimal("0.05"), recv_window=60_000)
        daemon.crash()
        simulation.run(30)
        assert 0 <= len(effects(venue)) <= 5
        assert venue.ref.is_alive()
        venue.send(client_order_id="after", quantity=Decimal("0.05"))
        venue.replies.fish_for(lambda reply: reply.client_order_id == "after", within=5)


def test_a_crash_loses_some_of_what_is_under_way_on_some_seed() -> None:
    arrived = set()
    for seed in range(6):
        with Simulation(seed) as simulation:
            venue = Venue(simulation, latency=LatencySettings())
            with simulation.node("daemon"):
                venue.send()
            simulation.node("daemon").crash()
            simulation.run(60)
            arrived.add(len(effects(venue)))
    assert arrived == {0, 1}


def _run(seed: int) -> list[object]:
    with Simulation(seed) as simulation:
        exchange = PaperExchange(now=microseconds(simulation.wall_time()))
        ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, chance=simulation.stream("latency"))
        probe = Probe(simulation)
        link = VenueLink(simulation, ref, latency=LatencySettings(), chance=simulation.stream("latency"))
        link.tell(OpenUserStream(listener=probe.ref))
        link.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=probe.ref))
        simulation.run(2)
        link.tell(
            SendOrder(
                client_order_id="a",
                symbol="BTCUSDT",
                side=Side.SELL,
                order_type="LIMIT",
                time_in_force="GTC",
                quantity=Decimal(3),
                limit_price=Decimal("65010.00"),
                request_timestamp=milliseconds(simulation.wall_time()),
                recv_window=2000,
                reply_to=probe.ref,
            )
        )
        simulation.run(20)
        return probe.messages()


def test_the_same_seed_gives_the_same_messages_at_the_same_moments() -> None:
    assert _run(1) == _run(1)
    assert _run(1) != _run(2)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2) as pool:
        yield pool


def test_it_serves_in_real_time_too(pool: Pool) -> None:
    exchange = PaperExchange(now=microseconds(pool.wall_time()))
    ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, latency=AT_ONCE, chance=random.Random(1))
    probe = Probe(pool)
    link = VenueLink(pool, ref, latency=LatencySettings(), chance=random.Random(2))
    link.tell(WatchMarket(symbol="ETHUSDT", hot=False, listener=probe.ref))
    quote = probe.expect(QuoteSeen, within=5)
    link.tell(
        SendOrder(
            client_order_id="a",
            symbol="ETHUSDT",
            side=Side.BUY,
            order_type="LIMIT",
            time_in_force="IOC",
            quantity=Decimal("0.1"),
            limit_price=quote.ask + 10,
            request_timestamp=milliseconds(pool.wall_time()),
            recv_window=2000,
            reply_to=probe.ref,
        )
    )
    reply = probe.fish_for(lambda message: isinstance(message, Acknowledged), within=5)
    assert reply.order.status is OrderStatus.FILLED
    assert abs(from_milliseconds(reply.order.time) - pool.wall_time()) < timedelta(seconds=5)
