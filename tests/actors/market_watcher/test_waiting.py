"""MarketWatcher and those who wait for a price, or for the pressure of the book."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from actors.market_watcher import _DeadlineReached
from actors.runtime import Simulation
from messages.control import Ping, Pong
from messages.market import Await, Awaited, Bounds, ConnectMarket, MarketGap, QuoteSeen, Timing, Unawait, WatchMarket
from messages.signal import Side
from tests.actors.market_watcher.stage import BOUNDS, BTC, CALM, ETH, NARROW, PRESSED, WIDE, D, House, seen

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
