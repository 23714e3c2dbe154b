"""MarketWatcher and its venue: what it knows of a market, and whom it tells."""

from __future__ import annotations

import math
from typing import Any

import pytest

from actors.market_watcher import Market
from actors.runtime import Simulation
from messages.control import ActorReady, Ping, Pong
from messages.market import Awaited, ConnectMarket, Level, MarketGap, QuoteChanged, QuoteLost, QuoteSeen
from tests.actors.market_watcher.stage import BTC, ETH, NARROW, SETTINGS, D, House, seen
from tests.probe import Probe

# One market ---------------------------------------------------------------------------------------


def test_the_integral_of_the_mid_is_exact() -> None:
    market = Market(BTC, SETTINGS)
    market.see(seen("0.3", "0.5"), 100.0)
    market.see(seen("0.1", "0.3"), 100.1)
    market.see(seen(2, 4), 100.3)
    assert market.quote is not None
    assert market.quote.integral == D("0.4") * D("0.1") + D("0.2") * D("0.2")
    assert market.quote.integral_seconds == D("0.3")


def test_the_integral_runs_on_to_the_moment_of_the_question() -> None:
    market = Market(BTC, SETTINGS)
    assert market.quote_at(0.0) is None
    market.see(NARROW, 10.0)
    quote = market.quote_at(12.5)
    assert quote is not None
    assert (quote.integral, quote.integral_seconds, quote.seen_at) == (D(105_000), D("2.5"), 10.0)


def test_a_long_integral_keeps_every_digit() -> None:
    market = Market(BTC, SETTINGS)
    for tick in range(3000):
        market.see(seen("42000.01", "42000.02"), tick / 1000)
    assert market.quote is not None
    assert market.quote.integral == D("42000.015") * D("2.999")


def test_the_time_of_a_gap_does_not_count() -> None:
    market = Market(BTC, SETTINGS)
    market.see(seen(99, 101), 0.0)
    market.lose()
    lost = market.quote_at(5.0)
    assert lost is not None
    assert lost.integral_seconds == 0
    assert market.trusted is None
    market.see(seen(199, 201), 10.0)
    market.see(seen(299, 301), 11.0)
    assert market.quote is not None
    assert (market.quote.integral, market.quote.integral_seconds) == (D(200), D(1))


def levels(*pairs: tuple[Any, Any]) -> tuple[Level, ...]:
    return tuple((D(price), D(quantity)) for price, quantity in pairs)


def test_depth_is_what_stands_within_the_band() -> None:
    market = Market(BTC, SETTINGS)
    bids = levels((41_999, 1), (41_958, 2), ("41957.99", 4))
    asks = levels((42_001, 8), (42_042, 16), ("42042.01", 32))
    market.see(seen(bids=bids, asks=asks), 0.0)
    assert market.quote is not None
    assert (market.quote.depth_bid, market.quote.depth_ask) == (D(3), D(24))


def test_a_book_is_believed_for_a_while() -> None:
    market = Market(BTC, SETTINGS)
    market.see(NARROW, 0.0)
    assert market.quote is not None
    assert market.quote.depth_bid is None
    market.see(seen(bids=levels((41_999, 1)), asks=levels((42_001, 2))), 1.0)
    for now, depth in ((6.0, 2), (6.1, None)):
        market.see(NARROW, now)
        assert market.quote.depth_ask == depth


def test_a_gap_makes_the_depth_unknown() -> None:
    market = Market(BTC, SETTINGS)
    market.see(seen(bids=levels((41_999, 1)), asks=levels((42_001, 2))), 1.0)
    market.lose()
    market.see(NARROW, 1.1)
    assert market.quote is not None
    assert market.quote.depth_bid is None


def test_age_is_endless_before_the_first_quote() -> None:
    market = Market(BTC, SETTINGS)
    assert market.age(3.0) == math.inf
    market.see(NARROW, 3.0)
    assert market.age(5.5) == 2.5


# Being ready --------------------------------------------------------------------------------------


def test_it_watches_its_symbols_coldly_and_is_ready_when_it_has_seen_them_all(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)))
    assert house.hot() == [(BTC, False), (ETH, False)]
    house.tell(NARROW)
    house.parent.expect_none(within=1.0)
    house.tell(seen(symbol=ETH))
    house.parent.expect(ActorReady("market"), within=0.0)
    house.parent.expect_none(within=10.0)


def test_it_is_ready_in_a_while_although_a_symbol_is_silent(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)), NARROW)
    house.parent.expect_none(within=1.99)
    house.parent.expect(ActorReady("market"), within=0.02)
    house.tell(seen(symbol=ETH), ConnectMarket(gate=house.gate.ref, symbols=(BTC, "BNBUSDT")))
    house.parent.expect_none(within=10.0)


def test_without_symbols_it_is_ready_at_once(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=()))
    house.parent.expect(ActorReady("market"), within=0.0)


def test_it_answers_pings(house: House) -> None:
    house.tell(Ping(house.parent.ref))
    house.parent.expect(Pong("market"))


# Pushing to the gate ------------------------------------------------------------------------------


def bids(probe: Probe) -> list[Any]:
    return [int(news.quote.bid) if isinstance(news, QuoteChanged) else news for news in probe.messages()]


def test_pushes_are_throttled_and_the_latest_always_comes(house: House, simulation: Simulation) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC,)))
    for number in range(1, 8):
        house.tell(seen(number, 100))
        simulation.run(0.019)
    simulation.run(1.0)
    assert bids(house.gate) == [1, 3, 6, 7]
    house.tell(seen(8, 100))
    assert bids(house.gate) == [8]


def test_each_symbol_is_throttled_by_itself(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)), seen(1, 9), seen(2, 9, ETH), seen(3, 9))
    assert bids(house.gate) == [1, 2]


def test_a_gate_that_comes_later_gets_what_is_known(house: House) -> None:
    house.tell(seen(1, 9), seen(2, 9))
    house.simulation.run(1.0)
    house.tell(MarketGap(symbols=(ETH,)))
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)))
    assert bids(house.gate) == [2]


def test_a_gap_is_told_at_once_and_once_and_ends_with_the_next_quote(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC,)), seen(1, 9), seen(2, 9))
    house.tell(MarketGap(symbols=(BTC,)), MarketGap(symbols=(BTC,)))
    house.simulation.run(1.0)
    assert bids(house.gate) == [1, QuoteLost(symbol=BTC)]
    house.tell(seen(3, 9))
    assert bids(house.gate) == [3]


@pytest.mark.parametrize(
    "untrue",
    [seen(42_001, 41_999), seen(42_000, 42_000), seen(0, 1), seen(-2, -1), seen(bid_quantity=D(0))],
    ids=["crossed", "locked", "zero", "negative", "empty"],
)
def test_quotes_that_cannot_be_true_are_dropped_and_counted(house: House, untrue: QuoteSeen) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC,)), untrue)
    assert bids(house.gate) == []
    assert house.actor().dropped == {BTC: 1}
    house.wait(0.0)
    answer = house.waiter.expect(Awaited)
    assert (answer.held, answer.failed, answer.quote) == (False, "STALE_MARKET", None)
