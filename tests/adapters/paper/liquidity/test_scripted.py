from __future__ import annotations

from decimal import Decimal

from adapters.paper.limits import SECOND
from adapters.paper.liquidity.base import Moved, Print, Taken
from adapters.paper.liquidity.scripted import ScriptedMarket, SteeredMarket
from messages.signal import Side

STEP = Decimal("0.001")


def test_a_book_set_by_hand_stands_still_and_tells_what_was_done_to_it_once() -> None:
    market = ScriptedMarket(STEP)
    market.set_touch("99", "1", "101", "2")
    market.trade(Side.BUY, "101", "0.5")
    assert list(market.follow(5)) == [Moved(0), Print(0, Side.BUY, Decimal(101), Decimal("0.5"))]
    assert list(market.follow(6)) == []
    assert list(market.levels(Side.BUY)) == [(Decimal(99), Decimal(1))]
    assert list(market.settle()) == []


def test_what_is_taken_stays_gone_until_the_book_is_set_anew() -> None:
    market = ScriptedMarket(STEP)
    market.set_touch("99", "1", "101", "2")
    market.take(Side.SELL, Decimal(101), Decimal("1.5"))
    market.skip(100 * SECOND)
    assert list(market.levels(Side.SELL)) == [(Decimal(101), Decimal("0.500"))]
    market.set_touch("99", "1", "101", "2")
    assert list(market.levels(Side.SELL)) == [(Decimal(101), Decimal(2))]


def test_what_was_taken_comes_back_at_its_rate_and_never_more_than_was_taken() -> None:
    taken = Taken(STEP, refill_rate=1.0)
    level = (Decimal(101), Decimal(2))
    assert not taken
    taken.add(Side.SELL, Decimal(101), Decimal(2), 0)
    assert taken
    assert taken.rest(Side.SELL, level, 0) == 0
    assert taken.rest(Side.BUY, level, 0) == 2
    assert taken.rest(Side.SELL, level, SECOND) == Decimal("1.264")
    taken.add(Side.SELL, Decimal(101), Decimal("0.5"), SECOND)
    assert taken.rest(Side.SELL, level, SECOND) == Decimal("0.764")
    assert taken.rest(Side.SELL, level, 60 * SECOND) == 2
    assert not taken


def test_a_level_that_shrank_below_what_was_taken_is_empty_not_negative() -> None:
    taken = Taken(STEP, refill_rate=0.0)
    taken.add(Side.SELL, Decimal(101), Decimal(2), 0)
    assert taken.rest(Side.SELL, (Decimal(101), Decimal(1)), 0) == 0
    levels = iter([(Decimal(101), Decimal(1)), (Decimal(102), Decimal(1))])
    assert list(taken.thin(Side.SELL, levels, 0)) == [(Decimal(102), Decimal(1))]


def test_a_steered_market_passes_on_until_it_is_steered() -> None:
    inner = ScriptedMarket(STEP)
    inner.set_touch("99", "1", "101", "2")
    steered = SteeredMarket(inner, STEP)
    steered.skip(SECOND)
    assert list(steered.levels(Side.BUY)) == [(Decimal(99), Decimal(1))]
    steered.take(Side.BUY, Decimal(99), Decimal("0.4"))
    assert list(inner.levels(Side.BUY)) == [(Decimal(99), Decimal("0.600"))]
    steered.steer().set_touch("50", "1", "51", "1")
    assert list(steered.follow(2 * SECOND)) == [Moved(SECOND)]
    assert list(steered.levels(Side.SELL)) == [(Decimal(51), Decimal(1))]
    assert list(steered.settle()) == []
    steered.freeze()
    assert list(steered.settle()) == []
    steered.release()
    assert list(steered.levels(Side.SELL)) == [(Decimal(101), Decimal(2))]
