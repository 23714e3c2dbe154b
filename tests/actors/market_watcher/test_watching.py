"""MarketWatcher while an order rests: bounds, trades, and what resting would save."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.market_watcher import MarketSettings
from actors.runtime import Simulation
from messages.market import Await, Awaited, Bounds, CountTrades, MakerTerms, MarketGap, StopCounting, Timing
from messages.signal import Side
from tests.actors.market_watcher.stage import BOUNDS, BTC, CALM, NARROW, PRESSED, WIDE, D, House, seen

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
