from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.market_watcher import Market, MarketSettings, MarketWatcher, _DeadlineReached
from actors.runtime import Simulation
from messages.control import ActorReady, Ping, Pong
from messages.market import (
    Await,
    Awaited,
    Bounds,
    ConnectMarket,
    CountTrades,
    Level,
    MakerTerms,
    MarketGap,
    QuoteChanged,
    QuoteLost,
    QuoteSeen,
    StopCounting,
    Timing,
    Unawait,
    WatchMarket,
)
from messages.signal import Side
from tests.probe import Probe

D = Decimal
BTC, ETH = "BTCUSDT", "ETHUSDT"
SETTINGS = MarketSettings()


def seen(bid: Any = 41_999, ask: Any = 42_001, symbol: str = BTC, **changes: Any) -> QuoteSeen:
    fields: dict[str, Any] = {"bid_quantity": D(1), "ask_quantity": D(1)}
    return QuoteSeen(symbol=symbol, bid=D(bid), ask=D(ask), **{**fields, **changes})


NARROW, WIDE = seen(), seen(41_874, 42_126)
BOUNDS = Bounds(side=Side.BUY, arrival_price=D(42_000), max_spread=D("0.005"), max_deviation=D("0.01"), max_age=5.0)


class House:
    """A MarketWatcher with stand-ins for its venue, its parent, the gate and one who waits."""

    def __init__(self, simulation: Simulation, settings: MarketSettings = SETTINGS) -> None:
        self.simulation = simulation
        self.parent, self.venue = Probe(simulation, "parent"), Probe(simulation, "venue")
        self.gate, self.waiter = Probe(simulation, "gate"), Probe(simulation, "waiter")
        self.ref: pykka.ActorRef[MarketWatcher] = MarketWatcher.start(
            self.parent.ref, "market", venue=self.venue.ref, settings=settings
        )

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.ref.tell(message)
        self.simulation.run(0.0)

    def wait(self, seconds: float = 10.0, *, slice_: int = 0, symbol: str = BTC, bounds: Bounds = BOUNDS) -> None:
        deadline = self.simulation.now() + seconds
        key = ("execution", slice_)
        self.tell(Await(key=key, symbol=symbol, bounds=bounds, deadline=deadline, reply_to=self.waiter.ref))

    def hot(self) -> list[tuple[str, bool]]:
        return [(watch.symbol, watch.hot) for watch in self.venue.messages()]

    def actor(self) -> MarketWatcher:
        actor = self.ref._actor_weakref()
        assert actor is not None
        return actor


@pytest.fixture
def house(simulation: Simulation) -> House:
    return House(simulation)


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


# Waiting ------------------------------------------------------------------------------------------


def test_bounds_that_hold_are_answered_at_once_without_watching_closely(house: House) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC,)), NARROW)
    house.simulation.run(1.5)
    house.hot()
    house.wait()
    answer = house.waiter.expect(Awaited)
    assert (answer.key, answer.held, answer.failed, answer.detail) == (("execution", 0), True, None, None)
    assert (answer.age, answer.waited) == (1.5, 0.0)
    assert answer.quote is not None
    assert (answer.quote.bid, answer.quote.integral, answer.quote.integral_seconds) == (D(41_999), D(63_000), D("1.5"))
    assert house.hot() == []


def test_a_wait_makes_the_symbol_hot_and_ends_when_the_bounds_hold(house: House, simulation: Simulation) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)), WIDE)
    house.hot()
    house.wait(10.0)
    assert house.hot() == [(BTC, True)]
    simulation.run(3.0)
    house.tell(WIDE, seen(symbol=ETH))
    house.waiter.expect_none(within=1.0)
    house.tell(NARROW)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.age) == (True, 4.0, 0.0)
    assert house.hot() == [(BTC, False)]
    house.waiter.expect_none(within=100.0)


@pytest.mark.parametrize(
    ("quote", "failed", "detail"),
    [
        (WIDE, "SPREAD_TOO_WIDE", "0.60%"),
        (seen(42_499, 42_501), "PRICE_DEVIATION", "1.19%"),
        (seen(42_100, 42_102), "LIMIT_PRICE", "ask 42102 above 42050"),
    ],
)
def test_at_the_deadline_the_answer_names_the_bound_and_the_figure(
    house: House, quote: QuoteSeen, failed: str, detail: str
) -> None:
    bounds = Bounds(
        side=Side.BUY,
        arrival_price=D(42_000),
        max_spread=D("0.005"),
        max_deviation=D("0.01"),
        limit_price=D(42_050),
        max_age=30.0,
    )
    house.tell(quote)
    house.wait(10.0, bounds=bounds)
    house.waiter.expect_none(within=9.999)
    answer = house.waiter.expect(Awaited, within=0.002)
    assert (answer.held, answer.failed, answer.detail, answer.waited) == (False, failed, detail, 10.0)
    assert house.hot() == [(BTC, True), (BTC, False)]


def test_a_deadline_that_has_passed_asks_for_the_present_state(house: House) -> None:
    house.tell(WIDE)
    house.wait(-1.0)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.failed, answer.waited) == (False, "SPREAD_TOO_WIDE", 0.0)
    house.tell(NARROW)
    house.wait(-1.0)
    assert house.waiter.expect(Awaited, within=0.0).held


def test_asking_for_an_unknown_symbol_has_it_watched(house: House) -> None:
    house.wait(-1.0, symbol=ETH)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.failed, answer.detail) == (False, "STALE_MARKET", "no quote")
    assert (answer.quote, answer.age) == (None, math.inf)
    watch = house.venue.expect(WatchMarket)
    assert (watch.symbol, watch.hot) == (ETH, False)
    assert watch.listener is house.ref


def test_an_old_quote_is_not_fine_and_a_fresh_one_is(house: House, simulation: Simulation) -> None:
    house.tell(NARROW)
    simulation.run(6.0)
    house.wait()
    house.waiter.expect_none(within=1.0)
    house.tell(NARROW)
    assert house.waiter.expect(Awaited).held


def test_after_a_gap_no_wait_holds_until_a_quote_comes(house: House) -> None:
    house.tell(NARROW, MarketGap(symbols=(BTC,)))
    house.wait(2.0)
    answer = house.waiter.expect(Awaited, within=3.0)
    assert (answer.held, answer.failed, answer.waited) == (False, "STALE_MARKET", 2.0)
    assert answer.quote is not None


def test_an_untrue_quote_answers_nobody(house: House) -> None:
    house.wait(5.0)
    house.tell(seen(42_001, 41_999))
    house.waiter.expect_none(within=4.0)


def test_a_wait_that_is_taken_back_is_not_answered(house: House) -> None:
    house.wait(5.0)
    house.tell(Unawait(key=("execution", 0)), Unawait(key=("execution", 0)), NARROW)
    house.waiter.expect_none(within=100.0)
    assert house.hot() == [(BTC, True), (BTC, False)]


def test_a_second_wait_with_the_same_key_replaces_the_first(house: House) -> None:
    house.wait(5.0)
    house.wait(8.0)
    house.waiter.expect_none(within=7.9)
    assert not house.waiter.expect(Awaited, within=0.2).held
    house.waiter.expect_none(within=100.0)
    assert house.hot() == [(BTC, True), (BTC, False)]


def test_a_second_wait_may_be_for_another_symbol(house: House) -> None:
    house.wait(5.0)
    house.wait(5.0, symbol=ETH)
    house.tell(NARROW)
    house.waiter.expect_none(within=1.0)
    house.tell(seen(symbol=ETH))
    assert house.waiter.expect(Awaited).held
    assert house.hot() == [(BTC, True), (BTC, False), (ETH, True), (ETH, False)]


def test_a_deadline_that_crossed_with_the_answer_changes_nothing(house: House) -> None:
    house.wait(5.0)
    (waiting,) = house.actor()._waiting[BTC].values()
    house.tell(NARROW, _DeadlineReached(waiting))
    assert house.waiter.expect(Awaited).held
    house.waiter.expect_none(within=100.0)


def test_a_symbol_stays_hot_until_the_last_wait_ends(house: House) -> None:
    house.tell(WIDE)
    house.wait(5.0, slice_=1)
    house.wait(8.0, slice_=2)
    assert house.waiter.expect(Awaited, within=6.0).key == ("execution", 1)
    assert house.hot() == [(BTC, True)]
    assert house.waiter.expect(Awaited, within=6.0).key == ("execution", 2)
    assert house.hot() == [(BTC, False)]


def test_one_quote_answers_all_whose_bounds_it_meets(house: House) -> None:
    low = Bounds(side=Side.BUY, arrival_price=D(42_000), limit_price=D(41_000))
    for number in range(5):
        house.wait(20.0, slice_=number, bounds=low if number == 2 else BOUNDS)
    house.tell(NARROW)
    assert [answer.key[1] for answer in house.waiter.messages()] == [0, 1, 3, 4]
    assert house.waiter.expect(Awaited, within=30.0).failed == "LIMIT_PRICE"


def test_one_who_is_gone_does_not_matter(house: House) -> None:
    house.wait(5.0)
    house.waiter.ref.stop()
    house.tell(NARROW, Ping(house.parent.ref))
    house.parent.expect(Pong("market"))


def test_a_tick_looks_only_at_those_who_wait_for_its_symbol(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        house.wait(100.0, slice_=number, symbol=ETH)
    looked: list[object] = []
    monkeypatch.setattr("actors.market_watcher.judge", lambda *arguments: looked.append(arguments))
    house.tell(*[NARROW] * 10)
    assert looked == []


def test_a_stop_leaves_no_timer_behind(house: House, simulation: Simulation) -> None:
    house.tell(ConnectMarket(gate=house.gate.ref, symbols=(BTC, ETH)), WIDE, WIDE)
    house.wait(5.0)
    house.ref.stop()
    simulation.run(100.0)
    assert simulation.dead_letters == []


@pytest.mark.seeds
def test_every_wait_gets_exactly_one_answer_in_whatever_order_things_happen(seed: int) -> None:
    with Simulation(seed) as simulation:
        house, chance = House(simulation), simulation.stream("test")
        waits = 60
        for number in range(waits):
            due = simulation.now() + chance.uniform(0.0, 2.0)
            symbol = chance.choice((BTC, ETH))
            request = Await(key=("e", number), symbol=symbol, bounds=BOUNDS, deadline=due, reply_to=house.waiter.ref)
            simulation.tell_after(chance.uniform(0.0, 3.0), house.ref, request)
            quote = chance.choice((NARROW, WIDE, MarketGap(symbols=(BTC,)), seen(symbol=ETH), seen(5, 4)))
            simulation.tell_after(chance.uniform(0.0, 5.0), house.ref, quote)
        simulation.run(10.0)
        answers = house.waiter.messages()
        assert sorted(answer.key[1] for answer in answers) == list(range(waits))
        assert all(answer.held is (answer.failed is None) for answer in answers)
        hot = house.actor()._hot
        assert not any(hot.values())


def test_the_mid_of_another_symbol_comes_along_if_it_is_known_and_is_not_watched_for_it(house: House) -> None:
    def asked(key: str) -> Awaited:
        house.tell(
            Await(key=(key, 0), symbol=BTC, bounds=BOUNDS, deadline=0.0, reply_to=house.waiter.ref, beside="BNBUSDT")
        )
        return house.waiter.expect(Awaited, within=0.0)

    house.tell(NARROW)
    assert asked("unknown").beside is None
    assert not any(symbol == "BNBUSDT" for symbol, _ in house.hot())
    house.tell(seen("599", "601", symbol="BNBUSDT"))
    assert asked("known").beside == 600
    house.tell(MarketGap(symbols=("BNBUSDT",)))
    assert asked("cut").beside is None


# Waiting for the pressure -------------------------------------------------------------------------

CALM, PRESSED = seen(ask_quantity=D(3)), seen(bid_quantity=D(3))
"""For a buy: the ask's queue is the longer one, or the bid's is."""


def timed(
    house: House,
    *,
    until: float = 8.0,
    deadline: float = 10.0,
    bounds: Bounds = BOUNDS,
    fresh: float | None = None,
    key: str = "execution",
) -> None:
    now = house.simulation.now()
    house.tell(
        Await(
            key=(key, 0),
            symbol=BTC,
            bounds=bounds,
            deadline=now + deadline,
            reply_to=house.waiter.ref,
            timing=Timing(until=now + until),
            fresh_until=None if fresh is None else now + fresh,
        )
    )


def test_a_child_waits_for_the_pressure_and_goes_at_once_when_it_comes(house: House) -> None:
    house.tell(CALM)
    timed(house)
    house.waiter.expect_none(within=3.0)
    house.tell(seen(42_009, 42_011, bid_quantity=D(3)))
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.timed, answer.fit_mid) == (True, 0.0, 3.0, D(42_000))
    assert answer.quote is not None
    assert answer.quote.mid == 42_010


def test_where_the_touch_presses_already_nothing_is_waited_for(house: House) -> None:
    house.tell(PRESSED)
    timed(house)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.timed) == (True, 0.0)


def test_a_sale_waits_for_the_opposite_pressure(house: House) -> None:
    house.tell(PRESSED)
    timed(house, bounds=replace(BOUNDS, side=Side.SELL))
    house.waiter.expect_none(within=1.0)
    house.tell(CALM)
    assert house.waiter.expect(Awaited, within=0.0).timed == 1.0


def test_without_pressure_a_child_goes_at_its_slots_deadline(house: House) -> None:
    house.tell(CALM)
    timed(house)
    for _ in range(4):
        house.waiter.expect_none(within=1.9)
        house.tell(CALM)
    answer = house.waiter.expect(Awaited, within=0.5)
    assert house.simulation.now() == 8.0
    assert (answer.held, answer.timed) == (True, 8.0)


def test_guards_come_before_the_pressure(house: House) -> None:
    house.tell(replace(WIDE, bid_quantity=D(3)))
    timed(house)
    house.waiter.expect_none(within=2.0)
    house.tell(CALM)
    house.waiter.expect_none(within=3.0)
    house.tell(PRESSED)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.timed) == (True, 2.0, 3.0)


def test_a_guard_that_fails_at_the_slots_deadline_is_waited_for_on(house: House) -> None:
    house.tell(CALM)
    timed(house)
    house.waiter.expect_none(within=4.0)
    house.tell(WIDE)
    house.waiter.expect_none(within=5.0)
    house.tell(CALM)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.timed) == (True, 5.0, 4.0)


def test_a_market_that_is_lost_while_the_pressure_is_waited_for_is_a_guards_wait(house: House) -> None:
    house.tell(CALM)
    timed(house)
    house.waiter.expect_none(within=2.0)
    house.tell(MarketGap(symbols=(BTC,)))
    answer = house.waiter.expect(Awaited, within=8.0)
    assert (answer.held, answer.failed, answer.waited, answer.timed) == (False, "STALE_MARKET", 8.0, 2.0)


def test_a_quote_that_grew_old_while_the_pressure_was_waited_for_is_not_sent_on(house: House) -> None:
    house.tell(CALM)
    timed(house)
    answer = house.waiter.expect(Awaited, within=10.0)
    assert (house.simulation.now(), answer.held, answer.failed) == (10.0, False, "STALE_MARKET")


def test_the_queues_of_a_look_a_second_ago_send_no_child(house: House) -> None:
    house.tell(PRESSED)
    house.simulation.run(0.9)
    timed(house, fresh=0.5)
    house.waiter.expect_none(within=0.25)
    house.tell(seen(41_989, 41_991, ask_quantity=D(3)))
    house.waiter.expect_none(within=2.0)
    house.tell(PRESSED)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.timed, answer.fit_mid) == (True, 0.0, 2.0, D(41_990))


def test_a_fresh_quote_that_presses_is_gone_by_at_once_and_the_wait_for_it_is_not_one_for_the_pressure(
    house: House,
) -> None:
    house.tell(CALM)
    house.simulation.run(0.9)
    timed(house, fresh=0.5)
    house.waiter.expect_none(within=0.25)
    house.tell(PRESSED)
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited, answer.timed) == (True, 0.0, 0.0)


def test_where_no_fresh_quote_comes_the_pressure_of_the_last_one_counts(house: House) -> None:
    house.tell(PRESSED)
    house.simulation.run(0.75)
    timed(house, fresh=0.5)
    house.waiter.expect_none(within=0.4)
    answer = house.waiter.expect(Awaited, within=0.2)
    assert (house.simulation.now(), answer.held, answer.timed) == (1.25, True, 0.0)


def test_who_joins_others_that_wait_for_a_symbol_goes_by_its_last_quote_for_it_is_the_present_one(house: House) -> None:
    house.tell(CALM)
    timed(house, until=30.0, deadline=30.0, bounds=replace(BOUNDS, max_spread=D("0.0001"), limit_price=D(40_000)))
    house.simulation.run(1.0)
    house.tell(PRESSED)
    house.simulation.run(0.75)
    house.waiter.expect_none(within=0.0)
    timed(house, fresh=0.5, key="another")
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.key, answer.held, answer.timed) == (("another", 0), True, 0.0)


def test_a_symbol_that_nobody_waits_for_any_more_is_looked_at_anew(house: House) -> None:
    house.tell(CALM)
    timed(house)
    house.tell(PRESSED)
    assert house.waiter.expect(Awaited, within=0.0).held
    house.simulation.run(0.25)
    timed(house, fresh=0.5)
    house.waiter.expect_none(within=0.25)


# Until the bounds break, fresh quotes -------------------------------------------------------------


def vigil(house: House, deadline: float = 24.0) -> None:
    house.tell(
        Await(
            key=("execution", -1),
            symbol=BTC,
            bounds=Bounds(side=Side.BUY, arrival_price=D(42_000), max_deviation=D("0.01")),
            deadline=house.simulation.now() + deadline,
            reply_to=house.waiter.ref,
            until_broken=True,
        )
    )


def test_who_watches_over_a_resting_child_is_told_at_once_when_the_price_moves_too_far(house: House) -> None:
    house.tell(NARROW)
    vigil(house)
    house.waiter.expect_none(within=5.0)
    house.tell(seen(42_419, 42_421), WIDE)
    house.waiter.expect_none(within=1.0)
    house.tell(seen(42_499, 42_501))
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.failed, answer.detail) == (False, "PRICE_DEVIATION", "1.19%")
    assert house.hot()[-1] == (BTC, False)


def test_a_market_that_is_lost_breaks_every_watch_and_one_that_is_lost_already_does_at_once(house: House) -> None:
    house.tell(NARROW)
    vigil(house)
    house.tell(MarketGap(symbols=(BTC,)))
    assert house.waiter.expect(Awaited, within=0.0).failed == "STALE_MARKET"
    vigil(house)
    assert house.waiter.expect(Awaited, within=0.0).failed == "STALE_MARKET"


def test_a_watch_ends_at_its_deadline_while_the_market_holds(house: House) -> None:
    house.tell(NARROW)
    vigil(house)
    house.waiter.expect_none(within=23.9)
    assert house.waiter.expect(Awaited, within=0.2).held


def fresh(house: House, until: float = 0.5) -> None:
    now = house.simulation.now()
    house.tell(
        Await(
            key=("execution", 0),
            symbol=BTC,
            bounds=BOUNDS,
            deadline=now + 10.0,
            reply_to=house.waiter.ref,
            fresh_until=now + until,
        )
    )


def test_a_fresh_quote_is_one_that_was_seen_since_the_question(house: House) -> None:
    house.tell(NARROW)
    house.simulation.run(0.4)
    fresh(house)
    house.waiter.expect_none(within=0.1)
    house.tell(seen(41_989, 41_991))
    answer = house.waiter.expect(Awaited, within=0.0)
    assert answer.held
    assert answer.quote is not None
    assert answer.quote.bid == 41_989


def test_where_none_comes_the_last_one_will_do(house: House) -> None:
    house.tell(NARROW)
    house.simulation.run(0.4)
    fresh(house)
    house.waiter.expect_none(within=0.4)
    answer = house.waiter.expect(Awaited, within=0.2)
    assert (answer.held, answer.waited, answer.timed) == (True, 0.0, 0.0)


# Trades -------------------------------------------------------------------------------------------


def counting(house: House) -> list[tuple[str, bool, bool]]:
    return [(watch.symbol, watch.hot, watch.trades) for watch in house.venue.messages()]


def test_trades_are_counted_while_somebody_wants_it_and_no_longer(house: House) -> None:
    house.tell(CountTrades(key="a", symbol=BTC), CountTrades(key="b", symbol=BTC), CountTrades(key="b", symbol=BTC))
    assert counting(house) == [(BTC, False, True)]
    house.tell(StopCounting(key="a"), StopCounting(key="a"))
    assert counting(house) == []
    house.tell(StopCounting(key="b"), StopCounting(key="nobody"))
    assert counting(house) == [(BTC, False, False)]


def test_a_wait_keeps_the_trades_counted(house: House) -> None:
    house.tell(WIDE, CountTrades(key="a", symbol=BTC))
    house.wait()
    house.tell(NARROW)
    assert counting(house) == [(BTC, False, True), (BTC, True, True), (BTC, False, True)]


def test_nobody_pays_for_trades_that_nobody_counts(house: House) -> None:
    house.tell(WIDE)
    house.wait()
    house.tell(NARROW)
    assert not any(watch.trades for watch in house.venue.messages())


def test_the_count_runs_on_over_counts_that_begin_anew(house: House) -> None:
    house.tell(CountTrades(key="a", symbol=BTC))
    traded = []
    for told in (None, D(5), D(7), D(7), D(1), D(4), None, D(2), D(3)):
        house.tell(replace(NARROW, traded=told))
        quote = house.actor()._markets[BTC].quote
        assert quote is not None
        traded.append(quote.traded)
    assert traded == [None, 0, 2, 2, 2, 5, None, 5, 6]


def test_what_the_market_trades_is_waited_for(house: House) -> None:
    bounds = replace(BOUNDS, min_traded=D("1.5"))
    house.tell(CountTrades(key="a", symbol=BTC), replace(NARROW, traded=D(10)))
    house.wait(bounds=bounds)
    house.tell(replace(NARROW, traded=D("11.4")))
    house.waiter.expect_none(within=1.0)
    house.tell(replace(NARROW, traded=D("11.5")))
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.held, answer.waited_for) == (True, "LIQUIDITY")
    house.wait(0.0, bounds=replace(bounds, min_traded=D(9)))
    answer = house.waiter.expect(Awaited, within=0.0)
    assert (answer.failed, answer.detail) == ("LIQUIDITY", "the market has yet to trade 7.5")


def test_trades_that_nobody_counts_are_never_enough(house: House) -> None:
    house.tell(NARROW)
    house.wait(0.0, bounds=replace(BOUNDS, min_traded=D(0)))
    assert house.waiter.expect(Awaited, within=0.0).detail == "what the market trades is not known"


# The choice between resting and taking ------------------------------------------------------------


def chooses(house: House, fee_gap: str, until: float = 8.0) -> None:
    now = house.simulation.now()
    house.tell(
        Await(
            key=("execution", 0),
            symbol=BTC,
            bounds=BOUNDS,
            deadline=now + 10.0,
            reply_to=house.waiter.ref,
            timing=Timing(until=now + until),
            fresh_until=now + 0.5,
            maker=MakerTerms(rest_seconds=1.5, fee_gap_bps=D(fee_gap)),
        )
    )


def a_market_that_swings(house: House, seconds: int = 80) -> None:
    """Ten basis points up and down in turn, so that whatever rests and fills has lost ten."""
    for second in range(seconds):
        swing = 42 * (second % 2)
        house.tell(seen(41_999 + swing, 42_001 + swing, ask_quantity=D(3)))
        house.simulation.run(1.0)


@pytest.fixture
def swinging(simulation: Simulation) -> House:
    house = House(simulation, MarketSettings(estimated=(BTC,), rest_seconds=1.5))
    a_market_that_swings(house)
    return house


def test_where_resting_pays_the_answer_waits_for_a_fresh_quote_and_for_no_pressure(swinging: House) -> None:
    chooses(swinging, "12")
    swinging.waiter.expect_none(within=0.2)
    swinging.tell(CALM)
    choice = swinging.waiter.expect(Awaited, within=0.0).choice
    assert choice is not None
    assert choice.rests
    assert choice.adverse_bps is not None
    assert abs(choice.adverse_bps - 10) < D("0.01")
    assert choice.gain_bps is not None
    assert D(2) < choice.gain_bps < D(3)


def test_where_it_does_not_the_answer_waits_for_the_pressure(swinging: House) -> None:
    chooses(swinging, "9")
    swinging.tell(CALM)
    swinging.waiter.expect_none(within=3.0)
    swinging.tell(PRESSED)
    answer = swinging.waiter.expect(Awaited, within=0.0)
    assert answer.choice is not None
    assert answer.choice.gain_bps is not None
    assert (answer.choice.rests, answer.choice.gain_bps < 0, answer.timed) == (False, True, 3.0)


def test_a_symbol_of_which_too_little_was_seen_does_not_rest(house: House) -> None:
    house.tell(PRESSED)
    chooses(house, "50")
    answer = house.waiter.expect(Awaited, within=0.0)
    assert answer.choice is not None
    assert (answer.choice.rests, answer.choice.adverse_bps) == (False, None)
