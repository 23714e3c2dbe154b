from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.paper.records import PublicTrade
from adapters.paper.server.candles import (
    Minutes,
    candle_row,
    candles,
    joined,
    kline_event,
    next_after,
    opened_at,
    piece_of,
    statistics,
    ticker_event,
)

D = Decimal
HOUR = 3_600_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def a_trade(number: int, price: str, quantity: str, time: str, *, sold: bool = False) -> PublicTrade:
    return PublicTrade(
        symbol="BTCUSDT", trade_id=number, price=D(price), quantity=D(quantity), buyer_is_maker=sold, time=at(time)
    )


TRADES = (
    a_trade(1, "100", "1", "2026-07-01T12:00:10"),
    a_trade(2, "103", "2", "2026-07-01T12:00:20"),
    a_trade(3, "99", "1", "2026-07-01T12:00:59", sold=True),
    a_trade(4, "101", "0.5", "2026-07-01T12:03:00"),
)
PIECES = [piece_of(trade) for trade in TRADES]


@pytest.mark.parametrize(
    ("interval", "opened", "end"),
    [
        ("1m", "2026-07-01T12:34:00", "2026-07-01T12:35:00"),
        ("15m", "2026-07-01T12:30:00", "2026-07-01T12:45:00"),
        ("4h", "2026-07-01T12:00:00", "2026-07-01T16:00:00"),
        ("1d", "2026-07-01T00:00:00", "2026-07-02T00:00:00"),
        ("1w", "2026-06-29T00:00:00", "2026-07-06T00:00:00"),
        ("1M", "2026-07-01T00:00:00", "2026-08-01T00:00:00"),
    ],
)
def test_candles_open_where_the_exchanges_do(interval: str, opened: str, end: str) -> None:
    began = opened_at(interval, at("2026-07-01T12:34:56"))
    assert (began, next_after(interval, began)) == (at(opened), at(end))


def test_a_candle_sums_up_what_was_traded_and_a_gap_repeats_the_last_price() -> None:
    found = candles(PIECES, "1m", at("2026-07-01T12:04:30"), D(1))
    assert [opened for opened, _ in found] == [at(f"2026-07-01T12:0{minute}:00") for minute in range(5)]
    first, gap, last = found[0][1], found[1][1], found[4][1]
    assert (first.first, first.high, first.low, first.last, first.volume) == tuple(map(D, (100, 103, 99, 99, 4)))
    assert (gap.first, gap.last, gap.volume) == (D(99), D(99), D(0))
    assert (last.first, last.last) == (D(101), D(101))
    row = candle_row("1m", *found[0])
    assert row[0] == at("2026-07-01T12:00:00") // 1000
    assert row[6] == at("2026-07-01T12:01:00") // 1000 - 1
    assert row[1:6] == ["100.00000000", "103.00000000", "99.00000000", "99.00000000", "4.00000000"]
    assert row[7:11] == ["405.00000000", 3, "3.00000000", "306.00000000"]


@pytest.mark.parametrize("ends", [(4,), (1, 4), (2, 2, 3, 4), (1, 2, 3, 4)])
def test_by_the_minute_the_same_candles_are_made_however_the_trades_came(ends: tuple[int, ...]) -> None:
    minutes, now = Minutes(), at("2026-07-01T12:04:30")
    for end in ends:
        minutes.take(TRADES[max(0, end - 4) : end])
    for interval in ("1m", "1h"):
        assert candles(minutes.pieces(), interval, now, D(1)) == candles(PIECES, interval, now, D(1))


def test_a_day_is_the_sum_of_its_minutes_whatever_was_asked_for_before() -> None:
    minutes, trades = Minutes(), list[PublicTrade]()
    start = at("2026-07-01T00:00:00")
    for number in range(1, 200):
        time = start + number * 7 * 60_000_000
        trades.append(replace(a_trade(number, str(100 + number % 13), "1.5", "2026-07-01"), time=time))
        minutes.take(trades)
        for back in (30, 60, 90, 600, 1440):
            opened = (time - back * 60_000_000) // 60_000_000 * 60_000_000
            spans = [span for when, span in map(piece_of, trades) if when >= opened]
            assert minutes.since(opened, D(1)) == joined(spans, D(1))


def test_where_the_clock_goes_back_the_minutes_that_are_still_to_come_are_those_of_the_present() -> None:
    minutes = Minutes()
    minutes.take([*TRADES, a_trade(5, "102", "1", "2026-07-01T15:00:00")])
    assert minutes.since(at("2026-07-01T12:00:00"), D(1)).count == 5
    minutes.take([a_trade(6, "98", "1", "2026-07-01T12:02:00")])
    assert [opened for opened, _ in minutes.pieces()] == [at("2026-07-01T12:00:00"), at("2026-07-01T12:02:00")]
    assert (minutes.pieces()[-1][1].count, minutes.pieces()[-1][1].last) == (3, D(98))
    minutes.take([a_trade(7, "97", "1", "2026-07-01T15:00:00")])
    since = minutes.since(at("2026-07-01T12:00:00"), D(1))
    assert (since.count, since.low, since.last) == (7, D(97), D(97))


@pytest.mark.parametrize("interval", ["1s", "1m", "1M"])
def test_where_the_clock_has_gone_back_before_all_that_was_traded_there_is_the_present_candle(interval: str) -> None:
    now = at("2026-05-01T11:00:00")
    [(opened, span)] = candles(PIECES, interval, now, D(1))
    assert opened == (at("2026-05-01") if interval == "1M" else now)
    assert (span.first, span.last, span.volume) == (D(100), D(100), D(0))


def test_as_many_months_are_made_as_are_asked_for() -> None:
    assert len(candles(PIECES, "1M", at("2028-03-31T12:00:00"), D(1), most=12)) >= 12


def test_what_is_summed_up_since_a_moment_is_all_of_its_minute() -> None:
    minutes = Minutes()
    minutes.take(TRADES)
    assert minutes.since(at("2026-07-01T12:00:59"), D(7)).count == 4
    assert minutes.since(at("2026-07-01T12:01:00"), D(7)).count == 1
    nothing = minutes.since(at("2026-07-01T12:04:00"), D(7))
    assert (nothing.count, nothing.first, nothing.last) == (0, D(7), D(7))


def test_without_a_trade_there_is_the_present_candle_at_the_price_that_holds() -> None:
    [(opened, span)] = candles((), "1h", at("2026-07-01T12:34:56"), D(50))
    assert (opened, span.first, span.last, span.volume) == (at("2026-07-01T12:00:00"), D(50), D(50), D(0))


def test_long_after_the_last_trade_only_so_many_are_made() -> None:
    found = candles(PIECES, "1s", at("2026-07-03T12:00:00"), D(1), most=10)
    assert len(found) == 10
    assert all(span.last == 101 for _, span in found)
    assert found[-1][0] == at("2026-07-03T12:00:00")


def test_statistics_of_a_span() -> None:
    told = statistics(
        "BTCUSDT", joined([span for _, span in PIECES], D(1)), at("2026-06-30T12:04:00"), at("2026-07-01T12:04:00")
    )
    assert (told["openPrice"], told["lastPrice"], told["priceChange"]) == (
        "100.00000000",
        "101.00000000",
        "1.00000000",
    )
    assert (told["priceChangePercent"], told["weightedAvgPrice"]) == ("1.000", "101.22222222")
    assert (told["firstId"], told["lastId"], told["count"]) == (1, 4, 4)
    nothing = statistics("BTCUSDT", joined((), D(7)), 0, 1)
    assert (nothing["lastPrice"], nothing["weightedAvgPrice"], nothing["firstId"]) == ("7.00000000", "7.00000000", -1)


def test_the_events_of_streams_say_the_same() -> None:
    opened, span = candles(PIECES, "1m", at("2026-07-01T12:00:59"), D(1))[0]
    event = kline_event("BTCUSDT", "1m", opened, span, at("2026-07-01T12:00:59"))
    candle = event["k"]
    assert isinstance(candle, dict)
    assert (candle["o"], candle["c"], candle["n"], candle["x"]) == ("100.00000000", "99.00000000", 3, False)
    closed = kline_event("BTCUSDT", "1m", opened, span, at("2026-07-01T12:01:00"))["k"]
    assert isinstance(closed, dict)
    assert closed["x"] is True
    mini = ticker_event("BTCUSDT", span, opened, at("2026-07-01T12:01:00"), None)
    assert (mini["e"], mini["c"], mini["v"]) == ("24hrMiniTicker", "99.00000000", "4.00000000")
    whole = ticker_event("BTCUSDT", span, opened, at("2026-07-01T12:01:00"), {"b": "1", "B": "2", "a": "3", "A": "4"})
    assert (whole["e"], whole["Q"], whole["p"], whole["b"]) == ("24hrTicker", "1.00000000", "-1.00000000", "1")


@pytest.mark.parametrize(
    ("interval", "moment", "opened", "ended"),
    [
        ("1d", "2026-07-01T15:59:59", "2026-06-30T16:00:00", "2026-07-01T16:00:00"),
        ("1d", "2026-07-01T16:00:00", "2026-07-01T16:00:00", "2026-07-02T16:00:00"),
        ("1w", "2026-07-05T16:00:00", "2026-07-05T16:00:00", "2026-07-12T16:00:00"),
        ("1M", "2026-06-30T16:00:00", "2026-06-30T16:00:00", "2026-07-31T16:00:00"),
        ("4h", "2026-07-01T01:00:00", "2026-07-01T00:00:00", "2026-07-01T04:00:00"),
    ],
)
def test_in_another_time_zone_candles_begin_by_its_clocks(interval: str, moment: str, opened: str, ended: str) -> None:
    began = opened_at(interval, at(moment), 8 * HOUR)
    assert began == at(opened)
    assert next_after(interval, began, 8 * HOUR) == at(ended)
