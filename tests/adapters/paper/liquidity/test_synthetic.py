from __future__ import annotations

import math
import statistics
from dataclasses import replace
from decimal import Decimal
from itertools import islice, pairwise

import pytest

from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import SECOND
from adapters.paper.liquidity.base import Moved, Print
from adapters.paper.liquidity.synthetic import PRESETS, STEP, Preset, SyntheticMarket
from adapters.paper.markets import MarketChoice
from messages.signal import Side
from tests.adapters.paper.worlds import NOW

ORIGIN = 1_000_000_000


def a_market(preset: str | Preset = "btc", *, seed: int = 1, price: str = "65000") -> SyntheticMarket:
    return SyntheticMarket(
        seed=seed,
        preset=PRESETS[preset] if isinstance(preset, str) else preset,
        start_price=Decimal(price),
        tick=Decimal("0.01"),
        step=Decimal("0.00001"),
        origin=ORIGIN,
    )


def touch(market: SyntheticMarket) -> tuple[float, float]:
    return float(next(market.levels(Side.BUY))[0]), float(next(market.levels(Side.SELL))[0])


def mids(market: SyntheticMarket, seconds: int) -> list[float]:
    found = []
    for second in range(seconds):
        market.skip(ORIGIN + second * SECOND)
        found.append(sum(touch(market)) / 2)
    return found


def prints(market: SyntheticMarket, seconds: int) -> list[Print]:
    found: list[Print] = []
    for second in range(1, seconds + 1):
        found += [event for event in market.follow(ORIGIN + second * SECOND) if isinstance(event, Print)]
    return found


# A function of seed and time ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_market_however_it_is_looked_at() -> None:
    watched, jumped = a_market(), a_market()
    list(watched.follow(ORIGIN + 30 * SECOND))
    jumped.skip(ORIGIN + 30 * SECOND)
    for side in Side:
        assert list(watched.levels(side)) == list(jumped.levels(side))
    assert touch(a_market(seed=2)) == touch(a_market(seed=1))  # The start price, ...
    assert mids(a_market(seed=2), 3)[-1] != mids(a_market(seed=1), 3)[-1]  # ... but not for long.


def test_own_orders_do_not_change_what_others_do() -> None:
    alone, disturbed = a_market(), a_market()
    for side in Side:
        for price, quantity in list(islice(disturbed.levels(side), 20)):
            disturbed.take(side, price, quantity)
    assert list(disturbed.follow(ORIGIN + 20 * SECOND)) == list(alone.follow(ORIGIN + 20 * SECOND))


def test_following_in_small_steps_tells_the_same_as_in_one() -> None:
    whole = list(a_market().follow(ORIGIN + 5 * SECOND))
    market, pieces = a_market(), []
    for at in range(ORIGIN, ORIGIN + 5 * SECOND + 1, 7_000):
        pieces += list(market.follow(at))
    pieces += list(market.follow(ORIGIN + 5 * SECOND))
    assert pieces == whole
    times = [event.at for event in whole]
    assert times == sorted(times)


def test_a_long_absence_costs_one_look_and_a_followed_one_is_told_by_the_second() -> None:
    market = a_market()
    market.skip(ORIGIN + 30 * 86_400 * SECOND)
    assert next(market.levels(Side.BUY))[0] > 0
    followed = a_market()
    events = list(followed.follow(ORIGIN + 3600 * SECOND))
    assert len(events) < 3600 + 120 * (16 + 40)
    assert all(isinstance(event, Moved) for event in events[:3000])


def test_time_never_goes_back() -> None:
    market = a_market()
    market.skip(ORIGIN + 10 * SECOND)
    there = touch(market)
    market.skip(ORIGIN)
    assert list(market.follow(ORIGIN)) == []
    assert touch(market) == there
    assert list(market.settle()) == []


# Calibration (BTCUSDT, loosely) -------------------------------------------------------------------


def test_the_spread_is_one_tick_nearly_always_and_the_book_never_crossed() -> None:
    market = a_market()
    spreads = []
    for second in range(1500):
        market.skip(ORIGIN + second * SECOND)
        bid, ask = touch(market)
        spreads.append(round((ask - bid) * 100))
    assert min(spreads) == 1
    assert 0.985 < spreads.count(1) / len(spreads) < 1.0


def test_a_second_moves_the_mid_by_about_two_basis_points() -> None:
    path = mids(a_market(), 1500)
    moves = [math.log(after / before) * 1e4 for before, after in pairwise(path)]
    assert statistics.pstdev(moves) == pytest.approx(1.89, rel=0.1)


def test_about_fifty_bitcoin_stand_within_ten_basis_points_and_two_at_the_touch() -> None:
    market, depths, touches = a_market(), [], []
    for second in range(300):
        market.skip(ORIGIN + second * SECOND)
        levels = list(market.levels(Side.SELL))
        edge = levels[0][0] * Decimal("1.001")
        depths.append(float(sum(quantity for price, quantity in levels if price <= edge)))
        touches.append(float(levels[0][1]))
        prices = [price for price, _ in levels]
        assert prices == sorted(set(prices))
    assert 42 < statistics.mean(depths) < 58
    assert 1.6 < statistics.mean(touches) < 2.8


def test_eleven_takers_a_second_come_in_clusters_and_know_where_the_price_goes() -> None:
    takers: dict[int, Side] = {}
    quantity = 0.0
    for event in prints(a_market(), 400):
        takers[event.at] = event.taker
        quantity += float(event.quantity)
    assert 9.5 < len(takers) / 400 < 12.5
    assert 0.03 < quantity / len(takers) < 0.1
    signs = [side.sign for side in takers.values()]
    together = sum(a * b for a, b in pairwise(signs)) / len(signs)
    assert 0.25 < together < 0.6
    reference = a_market()
    path = {n: reference._walk.at(n) for n in range(401 * 16 + 32)}
    after = [
        side.sign * (path[(at - ORIGIN) // STEP + 16] - path[(at - ORIGIN) // STEP]) for at, side in takers.items()
    ]
    assert 0.3 < statistics.mean(after) < 0.9


def test_the_longer_queue_tells_where_the_price_will_go() -> None:
    market = a_market()
    agree = 0.0
    path = mids(a_market(), 2002)
    for second in range(2000):
        market.skip(ORIGIN + second * SECOND)
        bid, ask = (float(next(market.levels(side))[1]) for side in Side)
        agree += (bid - ask) / (bid + ask) * (path[second + 1] / path[second] - 1) * 1e4
    assert 0.02 < agree / 2000 < 0.5


def test_the_presets_differ_as_their_names_say() -> None:
    spreads = {}
    for preset in ("btc", "alt", "thin"):
        market = a_market(preset, price="600")
        wide = []
        for second in range(200):
            market.skip(ORIGIN + second * SECOND)
            bid, ask = touch(market)
            wide.append((ask - bid) / bid * 1e4)
        spreads[preset] = statistics.median(wide)
    assert spreads["btc"] < 0.3
    assert spreads["alt"] == pytest.approx(5.0, abs=0.5)
    assert spreads["thin"] == pytest.approx(30.0, abs=1.0)
    grid = [price for price, _ in a_market("thin", price="600").levels(Side.SELL)]
    steps = [after - before for before, after in pairwise(grid)]
    assert max(steps) >= 2 * min(steps)  # Levels are missing.


def test_stress_brings_wide_spreads_without_depth_and_halts() -> None:
    market = a_market("stress")
    wide = thin = halted = 0
    for second in range(0, 3600, 2):
        market.skip(ORIGIN + second * SECOND)
        bid, ask = touch(market)
        depth = sum(quantity for _, quantity in islice(market.levels(Side.BUY), 20))
        wide += ask - bid > 65000 * 10e-4
        thin += depth < 1
        halted += market.halted()
    assert 60 < wide < 360
    assert 100 < thin < 400
    assert 0 < halted < 60
    quiet = [event for event in _during_a_halt() if isinstance(event, Print)]
    assert quiet == []


def _during_a_halt() -> list[object]:
    market = a_market(replace(PRESETS["stress"], halt=1.0))
    return list(market.follow(ORIGIN + 9 * SECOND))


# Own orders ---------------------------------------------------------------------------------------


def test_what_own_orders_take_is_missing_at_first_and_comes_back() -> None:
    preset = replace(PRESETS["btc"], volatility=1e-9, wide=0.0)
    market = a_market(preset, price="65000.005")
    untouched = a_market(preset, price="65000.005")
    price, quantity = next(market.levels(Side.SELL))
    market.take(Side.SELL, price, quantity)
    assert next(market.levels(Side.SELL))[0] > price
    for seconds, back in ((2, 0.865), (3, 0.95)):
        market.skip(ORIGIN + seconds * SECOND)
        untouched.skip(ORIGIN + seconds * SECOND)
        displayed = next(untouched.levels(Side.SELL))[1]
        left = next((there for at, there in market.levels(Side.SELL) if at == price), Decimal(0))
        missing = displayed - left
        assert float(1 - missing / quantity) == pytest.approx(back, abs=0.02)
    market.skip(ORIGIN + 60 * SECOND)
    untouched.skip(ORIGIN + 60 * SECOND)
    assert list(market.levels(Side.SELL)) == list(untouched.levels(Side.SELL))


def test_cost_of_a_market_order_grows_with_its_size_as_measured() -> None:
    costs: dict[int, list[float]] = {1: [], 20: []}
    for seed in range(40):
        market = a_market(seed=seed)
        market.skip(ORIGIN + 10 * SECOND)
        middle = sum(touch(market)) / 2
        for size, found in costs.items():
            left, paid = float(size), 0.0
            for price, quantity in market.levels(Side.SELL):
                taken = min(left, float(quantity))
                paid += taken * float(price)
                left -= taken
                if left <= 0:
                    break
            found.append((paid / size / middle - 1) * 1e4)
    assert 0.0 < statistics.mean(costs[1]) < 0.3
    assert 1.2 < statistics.mean(costs[20]) < 3.0


def test_a_resting_order_at_the_touch_is_filled_by_the_others_at_its_own_price() -> None:
    exchange = PaperExchange(PaperSettings(markets=MarketChoice(seed=5)), now=NOW)
    bids, _ = exchange.look("BTCUSDT", NOW)
    exchange.place(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT_MAKER",
            "quantity": "0.5",
            "price": str(bids[0][0]),
        },
        NOW,
    )
    for tenth in range(1, 600):
        exchange.advance(NOW + tenth * SECOND // 10)
    assert sum(trade.quantity for trade in exchange.engine.trades) == Decimal("0.5")
    assert {trade.price for trade in exchange.engine.trades} == {bids[0][0]}
    assert all(trade.maker for trade in exchange.engine.trades)
    times = [trade.time for trade in exchange.engine.trades]
    assert times == sorted(times)
    assert times[0] > NOW


@pytest.mark.parametrize(("preset", "pays"), [("btc", False), ("alt", True)])
def test_resting_gains_what_the_rule_says_and_nothing_for_free(preset: str, pays: bool) -> None:
    """Gain = p (spread - A), p the share that fills and A the move against what fills, buys and sales paired."""
    gains, against, spreads = [], [], []
    for seed in range(3):
        exchange = PaperExchange(PaperSettings(markets=MarketChoice(seed=seed, preset=preset)), now=NOW)
        for post in range(16):
            now = NOW + post * 9 * SECOND
            spread, results = posted(exchange, now)
            spreads.append(spread)
            gains += [gain for gain, _ in results]
            against += [moved for _, moved in results if moved is not None]
    gain, filled = statistics.mean(gains), len(against) / len(gains)
    rule = filled * (statistics.mean(spreads) - statistics.mean(against))
    assert gain == pytest.approx(rule, abs=0.25)
    assert (gain > 0) is pays


def posted(exchange: PaperExchange, now: int) -> tuple[float, list[tuple[float, float | None]]]:
    """Rest both ways for eight seconds, then cross: the spread, each one's gain, the move against what filled."""
    bid, ask = (levels[0][0] for levels in exchange.look("BTCUSDT", now))
    middle = (bid + ask) / 2
    orders = []
    for side, price in ((Side.BUY, bid), (Side.SELL, ask)):
        params = {"symbol": "BTCUSDT", "side": side.value, "type": "LIMIT_MAKER", "quantity": "0.001"}
        orders.append((side, price, exchange.place({**params, "price": str(price)}, now).order.order_id))
    for tenth in range(1, 81):
        exchange.advance(now + tenth * SECOND // 10)
    later = [levels[0][0] for levels in exchange.look("BTCUSDT", now + 8 * SECOND)]
    results: list[tuple[float, float | None]] = []
    for side, price, order_id in orders:
        order = exchange.engine.orders["BTCUSDT", order_id]
        filled = not order.left
        crossed = later[1] if side is Side.BUY else later[0]
        paid, took = price if filled else crossed, ask if side is Side.BUY else bid
        moved = float(side.sign * (middle - (later[0] + later[1]) / 2) / middle * 10_000)
        results.append((float(side.sign * (took - paid) / middle * 10_000), moved if filled else None))
        if not order.status.final:
            exchange.cancel({"symbol": "BTCUSDT", "orderId": str(order_id)}, now + 8 * SECOND)
    return float((ask - bid) / middle * 10_000), results
