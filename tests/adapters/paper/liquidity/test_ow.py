"""The block book: exact quantities, healing, what stays, and the mirror of the two sides."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import SECOND
from adapters.paper.liquidity.base import Moved
from adapters.paper.liquidity.ow import BlockBook, BlockBookMarket
from adapters.paper.markets import BadMarket, MarketChoice
from messages.market import Level
from messages.signal import Side
from tests.adapters.paper.worlds import NOW

D = Decimal
F = D(65_000)


def a_book(q: str = "0.5", rho: str = "0.1", lam: str = "0", h: str = "0.01") -> BlockBookMarket:
    book = BlockBook(q=D(q), rho=D(rho), lam=D(lam), half_spread=D(h))
    return BlockBookMarket(book, price=F, tick=D("0.01"), step=D("0.00001"), origin=0)


def first(levels: Iterator[Level], count: int) -> list[tuple[str, str]]:
    return [(str(price), f"{quantity:f}".rstrip("0")) for price, quantity in islice(levels, count)]


def buy(market: BlockBookMarket, quantity: Decimal, side: Side = Side.BUY) -> Decimal:
    """Take a quantity from the front; return what it cost."""
    cost, matches = D(0), []
    for price, there in market.levels(side.opposite):
        taken = min(quantity, there)
        matches.append((price, taken))
        quantity -= taken
        if not quantity:
            break
    for price, taken in matches:
        market.take(side.opposite, price, taken)
        cost += price * taken
    return cost


def touch(market: BlockBookMarket, side: Side) -> Decimal:
    return next(market.levels(side))[0]


def test_an_undisturbed_book_is_a_block_on_each_side() -> None:
    market = a_book()
    assert first(market.levels(Side.SELL), 3) == [
        ("65000.01", "0.0025"),
        ("65000.02", "0.005"),
        ("65000.03", "0.005"),
    ]
    assert first(market.levels(Side.BUY), 2) == [("64999.99", "0.0025"), ("64999.98", "0.005")]
    assert not market.halted()
    assert list(market.settle()) == []


def test_a_trade_moves_the_side_that_it_takes_by_its_size_over_q() -> None:
    market = a_book()
    buy(market, D(1))
    assert touch(market, Side.SELL) == D("65002.01")
    assert touch(market, Side.BUY) == D("64999.99")


def test_what_is_not_permanent_heals_at_its_rate() -> None:
    market = a_book(rho="0.1")
    buy(market, D(1))
    market.skip(10 * SECOND)
    assert touch(market, Side.SELL) - F == pytest.approx(D("0.01") + 2 * D(-1).exp(), abs=D("0.01"))
    market.skip(1000 * SECOND)
    assert touch(market, Side.SELL) == D("65000.01")


def test_the_permanent_share_moves_both_sides_for_good() -> None:
    market = a_book(lam="1")
    buy(market, D(1))
    assert (touch(market, Side.BUY), touch(market, Side.SELL)) == (D("65000.99"), D("65002.01"))
    market.skip(10_000 * SECOND)
    assert (touch(market, Side.BUY), touch(market, Side.SELL)) == (D("65000.99"), D("65001.01"))


def test_time_does_not_go_back_and_an_undisturbed_book_tells_nothing() -> None:
    market = a_book()
    assert list(market.follow(SECOND)) == []
    buy(market, D(1))
    before = touch(market, Side.SELL)
    market.skip(0)
    assert touch(market, Side.SELL) == before
    assert list(market.follow(2 * SECOND)) == [Moved(2 * SECOND)]
    assert list(market.follow(2000 * SECOND)) == [Moved(2000 * SECOND)]
    assert list(market.follow(3000 * SECOND)) == []


def test_a_book_ends_where_prices_do() -> None:
    market = BlockBookMarket(BlockBook(q=D(1), half_spread=D(1)), price=D(5), tick=D(1), step=D("0.1"), origin=0)
    assert [price for price, _ in market.levels(Side.BUY)] == [4, 3, 2, 1]
    assert [price for price, _ in market.levels(Side.SELL)] == [6, 7, 8, 9]


def test_no_lot_is_lost_where_a_level_holds_less_than_one() -> None:
    market = BlockBookMarket(
        BlockBook(q=D("0.03"), half_spread=D(1)), price=D(1000), tick=D(1), step=D("0.1"), origin=0
    )
    levels = list(islice(market.levels(Side.SELL), 30))
    assert {quantity for _, quantity in levels} == {D("0.1")}
    assert (levels[-1][0] - levels[0][0]) * D("0.03") == pytest.approx(D("2.9"), abs=D("0.1"))


orders = st.lists(
    st.tuples(st.sampled_from(Side), st.decimals("0.00001", "2", places=5), st.integers(0, 60 * SECOND)),
    min_size=1,
    max_size=6,
)


@given(orders=orders, lam=st.sampled_from(["0", "0.7", "2"]))
def test_a_buy_costs_what_a_sale_brings_less(orders: list[tuple[Side, Decimal, int]], lam: str) -> None:
    market, mirror, now = a_book(lam=lam), a_book(lam=lam), 0
    for side, quantity, pause in orders:
        cost = buy(market, quantity, side)
        brought = buy(mirror, quantity, side.opposite)
        assert cost - F * quantity == F * quantity - brought
        now += pause
        market.skip(now)
        mirror.skip(now)


@given(quantity=st.decimals("0.00001", "5", places=5), h=st.sampled_from(["0.005", "0.01", "1.234"]))
def test_one_order_pays_the_integral_over_the_block(quantity: Decimal, h: str) -> None:
    """x (F + h) + x^2 / 2q, within a tick's rounding on the last level."""
    cost = buy(a_book(h=h), quantity)
    exact = quantity * (F + D(h)) + quantity**2 / (2 * D("0.5"))
    assert abs(cost - exact) <= D("0.01") * D("0.006")


@pytest.mark.parametrize(
    "wrong",
    [
        {"q": "0"},
        {"rho": "-1"},
        {"lam": "-1"},
        {"lam": "2.1"},
        {"h": "-1"},
        {"h": "0.004"},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_book(**wrong)


def quoted(market: str, symbol: str = "BTCUSDT") -> tuple[Level, ...]:
    exchange = PaperExchange(PaperSettings(markets=MarketChoice(market=market)), now=NOW)
    return tuple(islice(exchange.engine.books[symbol].levels(Side.SELL), 2))


def test_a_block_book_is_chosen_by_its_parameters() -> None:
    assert quoted("ow:q=1,rho=0.5,lam=0.5,h=0.02") == (
        (D("65000.02"), D("0.005")),
        (D("65000.03"), D("0.01")),
    )
    assert quoted("ow:rho=2")[1][1] == D("0.0063")
    assert quoted("ow:symbol=ethusdt,q=10", "ETHUSDT")[1] == (D("3000.02"), D("0.1"))


@pytest.mark.parametrize(
    "market", ["ow:q=x", "ow:q=NaN", "ow:depth=1", "ow:symbol=NOSUCH", "ow:q=-1", "ow:h=0.001", "oww:q=1"]
)
def test_a_block_book_that_cannot_be_is_named(market: str) -> None:
    with pytest.raises(BadMarket):
        quoted(market)
