from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.paper.book import Book
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.liquidity.scripted import ScriptedMarket
from adapters.paper.markets import MarketChoice
from adapters.paper.records import PublicTrade
from adapters.paper.rules import built_in
from adapters.paper.server.feed import Feed, aggregates, average_event, trade_event

START = 1_700_000_000_000_000


@pytest.fixture
def market() -> ScriptedMarket:
    market = ScriptedMarket()
    market.set_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")])
    return market


@pytest.fixture
def feed(market: ScriptedMarket) -> Feed:
    return Feed(Book(built_in()["BTCUSDT"], market), START)


def test_looking_twice_at_an_unchanged_book_gives_the_same_update_id(feed: Feed) -> None:
    first = feed.snapshot(5)
    assert feed.snapshot(5) == first
    assert feed.book_ticker()["u"] == first["lastUpdateId"]
    assert first["bids"] == [["100.00000000", "1.00000000"], ["99.00000000", "2.00000000"]]


def test_update_ids_begin_beyond_those_of_any_earlier_life(feed: Feed) -> None:
    feed.snapshot(1)
    assert feed.update_id > START // 1000


def test_a_book_that_went_and_came_back_has_a_new_id(feed: Feed, market: ScriptedMarket) -> None:
    before, earlier = feed.snapshot(5), feed.update_id
    market.set_touch("100.5", "1", "101", "1")
    feed.book_ticker()
    passing = feed.update_id
    market.set_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")])
    after = feed.snapshot(5)
    assert after["bids"] == before["bids"]
    assert after["lastUpdateId"] == feed.update_id > passing > earlier


def test_differences_are_absolute_quantities_and_join_without_a_gap(feed: Feed, market: ScriptedMarket) -> None:
    feed.begin("d")
    start = feed.update_id
    assert feed.difference("d", START) is None
    market.set_levels([("100", "3"), ("98", "1")], [("101", "1"), ("102", "2")])
    one = feed.difference("d", START)
    assert one is not None
    assert (one["U"], one["b"], one["a"]) == (
        start + 1,
        [["100.00000000", "3.00000000"], ["99.00000000", "0.00000000"], ["98.00000000", "1.00000000"]],
        [],
    )
    market.set_touch("100", "3", "103", "1")
    feed.snapshot(5)
    two = feed.difference("d", START)
    assert two is not None
    assert two["U"] == one["u"] + 1  # type: ignore[operator]  # ids are numbers
    assert two["a"] == [
        ["101.00000000", "0.00000000"],
        ["102.00000000", "0.00000000"],
        ["103.00000000", "1.00000000"],
    ]


def test_what_changed_and_changed_back_between_two_looks_is_no_difference(feed: Feed, market: ScriptedMarket) -> None:
    feed.begin("d")
    start = feed.update_id
    market.set_touch("100", "9", "101", "1")
    feed.touch()
    market.set_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")])
    assert feed.difference("d", START) is None
    market.set_touch("100", "5", "101", "1")
    later = feed.difference("d", START)
    assert later is not None
    assert later["U"] == start + 1, "the next one begins where the last one told ended"


def follow_by_the_book(snapshot: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Keep a local book as the exchange's own instructions say (protocol §8)."""
    sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    book_id = snapshot["lastUpdateId"]
    for event in events:
        if event["u"] <= book_id:
            continue
        assert event["U"] <= book_id + 1, "a gap"
        for side, levels in sides.items():
            for price, quantity in event[side]:
                if Decimal(quantity):
                    levels[price] = quantity
                else:
                    levels.pop(price, None)
        book_id = event["u"]
    return sides


@pytest.mark.seeds(default=5)
def test_a_local_book_kept_by_the_instructions_equals_the_exchanges(seed: int) -> None:
    choice = MarketChoice(seed=seed, preset="thin")
    exchange = PaperExchange(PaperSettings(markets=choice), now=START)
    feed = Feed(exchange.engine.books["BTCUSDT"], START)
    feed.begin("d")
    events, snapshot = [], {}
    for tick in range(40):
        now = START + tick * 130_000
        exchange.advance(now, ("BTCUSDT",))
        if tick % 3 == 0:
            feed.touch()
        if tick == 11:
            snapshot = feed.snapshot(5000)
        if tick % 2 and (event := feed.difference("d", now)) is not None:
            events.append(event)
        if tick == 20:
            exchange.place({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.05"}, now)
    final = feed.snapshot(5000)
    last = feed.difference("d", START)
    sides = follow_by_the_book(snapshot, [*events, *([] if last is None else [last])])
    assert sides == {"b": dict(final["bids"]), "a": dict(final["asks"])}  # type: ignore[call-overload]


def a_trade(number: int, price: str = "100", time: int = START, *, buyer_is_maker: bool = True) -> PublicTrade:
    return PublicTrade(
        symbol="BTCUSDT",
        trade_id=number,
        price=Decimal(price),
        quantity=Decimal(1),
        buyer_is_maker=buyer_is_maker,
        time=time,
    )


def test_trades_are_told_once_and_those_of_before_not_at_all(feed: Feed) -> None:
    book = feed.book
    for number in (1, 2, 3):
        book.last_trade_id = number
        book.recent.append(a_trade(number))
        if number == 1:
            feed.skip_trades()
    assert [trade.trade_id for trade in feed.new_trades()] == [2, 3]
    assert feed.new_trades() == []


def test_what_one_taker_took_at_one_price_is_one_aggregate() -> None:
    trades = [a_trade(1), a_trade(2), a_trade(3, "101"), a_trade(4, "101", START + 1)]
    rows = aggregates(trades, START)
    assert [(row["a"], row["f"], row["l"], row["q"]) for row in rows] == [
        (1, 1, 2, "2.00000000"),
        (3, 3, 3, "1.00000000"),
        (4, 4, 4, "1.00000000"),
    ]


def test_events_tell_their_times_in_the_unit_wanted() -> None:
    trade = a_trade(1, time=START + 5)
    assert (trade_event(trade, START + 7)["T"], trade_event(trade, START + 7, 1)["E"]) == (START // 1000, START + 7)
    assert average_event("BTCUSDT", Decimal(5), START, 5)["i"] == "5m"


def test_an_empty_book_is_shown_as_zeros() -> None:
    feed = Feed(Book(built_in()["BTCUSDT"], ScriptedMarket()), START)
    assert feed.book_ticker()["b"] == "0.00000000"
    assert feed.snapshot(5)["bids"] == []
    assert feed.average() == 0


def test_what_only_a_snapshot_has_shown_is_taken_back_by_the_next_difference(
    feed: Feed, market: ScriptedMarket
) -> None:
    feed.begin("x")
    market.set_levels([("100", "3"), ("99", "2")], [("100.50", "7"), ("101", "1"), ("102", "2")])
    shown = feed.snapshot(5)
    assert ["100.50000000", "7.00000000"] in shown["asks"]  # type: ignore[operator]
    market.set_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")])
    event = feed.difference("x", START)
    assert event is not None
    assert (event["b"], event["a"]) == ([["100.00000000", "1.00000000"]], [["100.50000000", "0.00000000"]])
    assert feed.difference("x", START) is None
