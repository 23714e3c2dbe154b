"""The paper venue's user stream and market data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.runtime import Simulation
from adapters.paper.exchange import PaperExchange
from adapters.paper.venue import LatencySettings, PaperVenue
from messages.ids import microseconds
from messages.market import QuoteSeen, WatchMarket
from messages.order import (
    Acknowledged,
    BalancesSeen,
    LimitsSeen,
    OpenUserStream,
    OrderReport,
    OrderStatus,
    ReportLimits,
    StreamOpened,
)
from messages.signal import Side
from tests.adapters.paper.venue_stage import AT_ONCE, Venue, cancel, levels
from tests.probe import Probe

# The user stream ----------------------------------------------------------------------------------


def test_the_user_stream_opens_and_tells_everything_in_order(venue: Venue) -> None:
    venue.open_stream()
    venue.send(quantity=Decimal(2))
    told = venue.stream.fish_for(lambda event: isinstance(event, BalancesSeen))
    assert {asset for asset, _, _ in told.balances} == {"USDT", "BTC"}
    venue.rest(client_order_id="b")
    venue.simulation.run(0.05)
    venue.market.trade(Side.SELL, "100.00", "1")
    venue.simulation.run(1)
    reports = [event for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert [(one.execution_type, one.order.status) for one in reports] == [
        ("NEW", OrderStatus.NEW),
        ("TRADE", OrderStatus.FILLED),
    ]
    assert reports[1].trade is not None
    assert reports[1].trade.maker


def test_an_expiry_carries_its_reason(venue: Venue) -> None:
    venue.open_stream()
    venue.send(quantity=Decimal(2))
    last = venue.stream.fish_for(lambda event: isinstance(event, OrderReport) and event.execution_type == "EXPIRED")
    assert last.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert last.trade is None


def test_stream_events_keep_their_order_under_any_latency(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=LatencySettings(sigma=2.0))
    venue.open_stream()
    for number in range(20):
        venue.send(client_order_id=f"o{number}", quantity=Decimal("0.1"), recv_window=60000)
    simulation.run(60)
    ids = [event.report_id for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert ids == sorted(ids)
    assert len(ids) >= 40


@pytest.mark.seeds(default=1)
def test_the_reply_and_the_events_may_come_in_either_order(seed: int) -> None:
    first = set()
    with Simulation(seed) as simulation:
        venue = Venue(simulation, latency=LatencySettings())
        both = Probe(simulation, "both")
        venue.link.tell(OpenUserStream(listener=both.ref))
        both.expect(StreamOpened)
        for number in range(20):
            venue.send(client_order_id=f"o{number}", quantity=Decimal("0.05"), reply_to=both.ref, recv_window=60000)
            simulation.run(5)
            kinds = [type(message) for message in both.messages() if not isinstance(message, BalancesSeen)]
            first.add(kinds[0])
    assert first == {Acknowledged, OrderReport}


def test_a_new_listener_takes_the_place_of_the_old_one(venue: Venue) -> None:
    venue.open_stream()
    newer = Probe(venue.simulation, "newer")
    venue.link.tell(OpenUserStream(listener=newer.ref))
    newer.expect(StreamOpened)
    venue.send()
    newer.expect(OrderReport)
    assert venue.stream.messages() == []


def test_what_a_dead_client_had_asked_for_takes_nothing_from_the_one_that_lives(venue: Venue) -> None:
    venue.open_stream()
    venue.watch(hot=False)
    limits = Probe(venue.simulation, "limits")
    venue.link.tell(ReportLimits(listener=limits.ref))
    dead = Probe(venue.simulation, "dead")
    dead.ref.stop()
    for late in (
        OpenUserStream(listener=dead.ref),
        ReportLimits(listener=dead.ref),
        WatchMarket(symbol="BTCUSDT", hot=True, listener=dead.ref),
    ):
        venue.link.tell(late)
    venue.quotes.messages()
    venue.send()
    venue.stream.expect(OrderReport)
    limits.expect(LimitsSeen)
    venue.market.set_levels([("100.00", "3")], [("101.00", "3")])
    venue.quotes.expect(QuoteSeen, within=2.0)


# Market data --------------------------------------------------------------------------------------


def test_the_first_quote_comes_at_once_with_the_book(venue: Venue) -> None:
    venue.watch(hot=False)
    quote = venue.quotes.expect(QuoteSeen, within=0)
    assert [(quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity)] == levels((100, 1), (101, 1))
    assert list(quote.bids) == levels((100, 1), (99, 2))
    venue.quotes.expect_none(within=30)


@pytest.mark.parametrize(("hot", "wait"), [(True, 0.1), (False, 1.0)])
def test_a_change_is_told_at_the_next_look(venue: Venue, hot: bool, wait: float) -> None:
    venue.watch(hot=hot)
    venue.quotes.expect(QuoteSeen)
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.quotes.expect_none(within=wait * 0.95)
    assert venue.quotes.expect(QuoteSeen, within=wait * 0.1).bid_quantity == 3


def test_watching_again_changes_the_pace_without_a_second_stream(venue: Venue) -> None:
    venue.watch(hot=True)
    venue.watch(hot=False)
    venue.watch(hot=True)
    venue.watch(hot=False)
    venue.simulation.run(0.5)
    assert len(venue.quotes.messages()) == 4
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.simulation.run(5)
    assert len(venue.quotes.messages()) == 1


def test_own_orders_are_part_of_the_book_that_is_told(venue: Venue) -> None:
    venue.rest()
    venue.watch(hot=False)
    assert venue.quotes.expect(QuoteSeen).bid == Decimal("100.50")


def test_no_quote_is_told_while_a_side_is_empty(venue: Venue) -> None:
    venue.market.set_levels([], [("101.00", "1")])
    venue.watch(hot=True)
    venue.quotes.expect_none(within=5)
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.quotes.expect(QuoteSeen)


def test_a_symbol_that_does_not_exist_stays_silent(venue: Venue) -> None:
    venue.watch(hot=True, symbol="NOSUCH")
    venue.quotes.expect_none(within=60)


def test_nothing_runs_while_nobody_watches_and_nothing_rests(venue: Venue) -> None:
    venue.send()
    venue.simulation.run()  # Would never end if a timer went on.
    venue.rest(client_order_id="b")
    venue.simulation.run(1)
    assert venue.simulation._timers
    venue.link.tell(cancel(venue, client_order_id="b"))
    venue.simulation.run()


def test_a_listener_that_has_stopped_is_told_nothing_more(venue: Venue) -> None:
    venue.watch(hot=True)
    venue.open_stream()
    venue.quotes.expect(QuoteSeen)
    venue.quotes.ref.stop()
    venue.stream.ref.stop()
    venue.send()
    venue.replies.expect(Acknowledged)
    venue.simulation.run()
    assert venue.ref.is_alive()
    assert venue.simulation.dead_letters


def test_quotes_follow_a_synthetic_market(simulation: Simulation) -> None:
    exchange = PaperExchange(now=microseconds(simulation.wall_time()))
    ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, latency=AT_ONCE, chance=simulation.stream("latency"))
    quotes = Probe(simulation, "quotes")
    ref.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=quotes.ref))
    simulation.run(10)
    seen = quotes.messages()
    assert 95 <= len(seen) <= 101
    assert all(quote.bid < quote.ask for quote in seen)
    assert len({quote.bid for quote in seen}) > 50
    assert all(10 <= len(quote.asks) <= 50 for quote in seen)
