"""Market data: the touch, the book near it, and gaps. Real sockets on loopback, moments of waiting."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from messages.market import MarketGap, QuoteSeen, WatchMarket
from tests.adapters.binance.conftest import MakeVenue
from tests.adapters.binance.stub import Params, Say, Stub, a_ticker, until
from tests.probe import Probe

D = Decimal
TICKER = "GET /api/v3/ticker/bookTicker"
DEPTH = "GET /api/v3/depth"


def a_touch(bid: int, ask: int, number: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"u": number, "s": symbol, "b": str(bid), "B": "1.5", "a": str(ask), "A": "2.5"}


def a_change(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    return {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}


def tickers(params: Params) -> object:
    if "symbol" in params:
        if params["symbol"].startswith("NO"):
            return Say(status=400, code=-1121, message="Invalid symbol.")
        return a_ticker(symbol=params["symbol"])
    if "NO" in params["symbols"]:
        return Say(status=400, code=-1121, message="Invalid symbol.")
    return [a_ticker(symbol=symbol) for symbol in params["symbols"].strip("[]").replace('"', "").split(",")]


@pytest.fixture(autouse=True)
def _quotes(stub: Stub) -> None:
    stub.handlers[TICKER] = tickers
    stub.handlers[DEPTH] = lambda _: {
        "lastUpdateId": 100,
        "bids": [["41999", "1"], ["41998", "2"]],
        "asks": [["42001", "3"], ["42002", "4"]],
    }


def watching(stub: Stub, venue: Any, listener: Probe, symbol: str = "BTCUSDT", *, hot: bool = True) -> QuoteSeen:
    venue.tell(WatchMarket(symbol=symbol, hot=hot, listener=listener.ref))
    seen = listener.expect(QuoteSeen)
    until(lambda: stub.market_sockets and venue._market._relied is not None)
    time.sleep(0.03)
    listener.messages()
    return seen


def test_watching_begins_with_the_present_touch(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    seen = watching(stub, make_venue(), listener)
    assert (seen.bid, seen.bid_quantity, seen.ask, seen.ask_quantity) == (D(41_999), D(1), D(42_001), D(2))


def test_a_touch_that_cannot_be_asked_for_is_asked_for_again(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    answers = [Say(drop=True), Say(body="nonsense")]
    stub.handlers[TICKER] = lambda params: answers.pop(0) if answers else tickers(params)
    make_venue().tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref))
    assert listener.expect(QuoteSeen, within=3.0).bid == 41_999
    assert not answers


def test_each_change_of_the_touch_is_told_while_hot(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    for number in range(5):
        stub.push_market("btcusdt@bookTicker", a_touch(42_000 + number, 42_010, 10 + number))
        assert listener.expect(QuoteSeen).bid == 42_000 + number
        time.sleep(0.012)


def test_a_burst_is_one_quote_at_once_and_then_the_latest(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(hot_seconds=0.3)
    watching(stub, venue, listener)
    time.sleep(0.5)  # Asked for and streamed, it was seen twice, and is told so.
    listener.messages()
    time.sleep(0.3)
    for number in range(20):
        stub.push_market("btcusdt@bookTicker", a_touch(42_000 + number, 42_100, 10 + number))
    assert listener.expect(QuoteSeen).bid == 42_000
    assert listener.expect(QuoteSeen).bid == 42_019
    listener.expect_none(within=0.05)


def test_cold_symbols_are_told_seldom(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(cold_seconds=0.4)
    watching(stub, venue, listener, hot=False)
    time.sleep(0.6)
    listener.messages()
    time.sleep(0.4)
    for number in range(10):
        stub.push_market("btcusdt@bookTicker", a_touch(42_000 + number, 42_100, 10 + number))
        time.sleep(0.02)
    assert len(listener.messages()) == 1
    assert listener.expect(QuoteSeen).bid == 42_009


def test_turning_hot_tells_the_present_touch_at_once(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(cold_seconds=5.0)
    watching(stub, venue, listener, hot=False)
    stub.push_market("btcusdt@bookTicker", a_touch(42_000, 42_100, 10))
    time.sleep(0.03)
    venue.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref))
    assert listener.fish_for(lambda seen: seen.bid == 42_000)


def test_an_old_touch_is_not_passed_off_as_the_present_one(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    stub.push_market("btcusdt@bookTicker", a_touch(40_000, 40_001, 10))
    listener.expect(QuoteSeen)
    for slot in venue._market._slots.values():
        slot.seen_at -= 10.0
    venue.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref))
    assert listener.expect(QuoteSeen).bid == 41_999


def test_a_touch_that_is_older_than_the_known_one_is_left_out(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    watching(stub, make_venue(), listener)
    stub.push_market("btcusdt@bookTicker", a_touch(42_000, 42_100, 10))
    stub.push_market("btcusdt@bookTicker", a_touch(41_000, 41_100, 9))
    assert listener.expect(QuoteSeen).bid == 42_000
    listener.expect_none(within=0.05)


def test_symbols_that_come_later_are_subscribed_to(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    assert "btcusdt@bookTicker/btcusdt@depth@100ms" in stub.market_urls[0]
    venue.tell(WatchMarket(symbol="ETHUSDT", hot=True, listener=listener.ref))
    assert listener.expect(QuoteSeen).symbol == "ETHUSDT"
    until(lambda: stub.controls)
    assert stub.controls[0]["method"] == "SUBSCRIBE"
    assert stub.controls[0]["params"] == ["ethusdt@bookTicker", "ethusdt@depth@100ms"]
    stub.push_market("ethusdt@bookTicker", a_touch(3_000, 3_001, 5, "ETHUSDT"))
    assert listener.expect(QuoteSeen).bid == 3_000


def a_trade(number: int, quantity: str) -> dict[str, Any]:
    return {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": number, "p": "42000", "q": quantity, "m": True}


def test_trades_are_streamed_only_while_they_are_counted(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    assert watching(stub, venue, listener).traded is None
    stub.push_market("btcusdt@bookTicker", a_touch(42_000, 42_010, 10))
    assert listener.expect(QuoteSeen).traded is None
    venue.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref, trades=True))
    until(lambda: stub.controls)
    assert (stub.controls[0]["method"], stub.controls[0]["params"]) == ("SUBSCRIBE", ["btcusdt@aggTrade"])
    assert listener.expect(QuoteSeen).traded == 0
    venue.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref))
    until(lambda: len(stub.controls) > 1)
    assert (stub.controls[1]["method"], stub.controls[1]["params"]) == ("UNSUBSCRIBE", ["btcusdt@aggTrade"])


def test_each_trade_is_counted_once_and_told_with_the_touch(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(hot_seconds=0.0)
    watching(stub, venue, listener)
    venue.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener.ref, trades=True))
    listener.expect(QuoteSeen)
    for number, quantity in ((7, "0.5"), (8, "0.25"), (8, "0.25"), (7, "0.5"), (9, "1")):
        stub.push_market("btcusdt@aggTrade", a_trade(number, quantity))
    assert listener.fish_for(lambda seen: seen.traded == D("1.75")).bid == 41_999
    stub.push_market("btcusdt@aggTrade", a_trade(10, "NaN"))
    listener.expect_none(within=0.05)


def test_an_unknown_symbol_is_silent_and_does_not_silence_others(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue()
    for symbol in ("NOSUCH", "BTCUSDT"):
        venue.tell(WatchMarket(symbol=symbol, hot=True, listener=listener.ref))
    assert listener.expect(QuoteSeen).symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("btcusdt@bookTicker", a_touch(43_000, 43_100, 1, "ETHUSDT")),
        ("btcusdt@depth@100ms", {**a_change(1, 2, [["1", "1"]], [["2", "1"]]), "s": "ETHUSDT"}),
    ],
)
def test_what_a_stream_tells_of_another_symbol_than_its_own_is_not_believed(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: str, data: dict[str, Any]
) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    watching(stub, venue, listener, "ETHUSDT")
    stub.push_market(stream, data)
    stub.push_market("ethusdt@bookTicker", a_touch(3_000, 3_001, 2, "ETHUSDT"))
    quotes = [listener.fish_for(lambda message: isinstance(message, QuoteSeen) and message.symbol == "ETHUSDT")]
    assert [(quote.bid, quote.ask) for quote in quotes] == [(3_000, 3_001)]
    listener.expect_none(within=0.1)


def test_a_cut_is_a_gap_of_all_symbols_and_then_there_are_quotes_again(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    watching(stub, venue, listener, "ETHUSDT")
    stub.cut(stub.market_sockets)
    gap = listener.fish_for(lambda message: isinstance(message, MarketGap))
    assert gap.symbols == ("BTCUSDT", "ETHUSDT")
    assert {listener.expect(QuoteSeen).symbol, listener.expect(QuoteSeen).symbol} == {"BTCUSDT", "ETHUSDT"}
    until(lambda: len(stub.market_urls) == 2)
    assert "ethusdt@bookTicker" in stub.market_urls[1]
    stub.push_market("btcusdt@bookTicker", a_touch(43_000, 43_100, 1))
    assert listener.fish_for(lambda message: isinstance(message, QuoteSeen) and message.bid == 43_000)


def test_a_server_that_is_about_to_stop_is_left_without_a_gap(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    watching(stub, make_venue(), listener)
    stub.push_market("!serverShutdown", {"e": "serverShutdown", "E": 1})
    until(lambda: len(stub.market_urls) == 2 and len(stub.market_sockets) == 1)
    stub.push_market("btcusdt@bookTicker", a_touch(43_000, 43_100, 1_000))
    assert listener.fish_for(lambda message: message.bid == 43_000)


def test_nonsense_on_the_stream_is_left_out(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    watching(stub, make_venue(), listener)
    stub.push_text(stub.market_sockets, "no json")
    stub.push_text(stub.market_sockets, '{"result":null,"id":1}')
    stub.push_market("btcusdt@bookTicker", {"u": 1, "s": "BTCUSDT", "b": "NaN", "B": "1", "a": "1", "A": "1"})
    stub.push_market("btcusdt@bookTicker", a_touch(43_000, 43_100, 1_000))
    assert listener.expect(QuoteSeen).bid == 43_000


# The book -----------------------------------------------------------------------------------------


def synced(stub: Stub, venue: Any) -> None:
    stub.push_market("btcusdt@depth@100ms", a_change(100, 101, [["41997", "5"]], []))
    until(lambda: (book := venue._market.book("BTCUSDT")) is not None and book.synced)


def test_quotes_carry_the_book_once_it_is_whole(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    synced(stub, venue)
    seen = listener.fish_for(lambda message: message.bids)
    assert seen.bids == ((D(41_999), D(1)), (D(41_998), D(2)), (D(41_997), D(5)))
    assert seen.asks == ((D(42_001), D(3)), (D(42_002), D(4)))
    stub.push_market("btcusdt@depth@100ms", a_change(102, 102, [["41999", "9"]], []))
    assert listener.fish_for(lambda message: message.bids[0][1] == 9)


def test_a_hole_in_the_changes_brings_a_new_snapshot(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    synced(stub, venue)
    stub.handlers[DEPTH] = lambda _: {"lastUpdateId": 500, "bids": [["41990", "1"]], "asks": [["42001", "3"]]}
    stub.push_market("btcusdt@depth@100ms", a_change(400, 401, [], []))
    assert listener.fish_for(lambda message: message.bids and message.bids[0][0] == 41_990, within=2.0)
    assert len(stub.asked_for(DEPTH)) == 2


def test_a_snapshot_that_fails_or_is_too_old_is_asked_for_again(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    answers = [Say(status=503), Say(body={"lastUpdateId": 5, "bids": [], "asks": []})]
    good = stub.handlers[DEPTH]
    stub.handlers[DEPTH] = lambda params: answers.pop(0) if answers else good(params)
    venue = make_venue()
    watching(stub, venue, listener)
    synced(stub, venue)
    assert len(stub.asked_for(DEPTH)) == 3


def test_a_silent_book_that_contradicts_the_touch_is_not_told(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    synced(stub, venue)
    listener.messages()
    book = venue._market.book("BTCUSDT")
    assert book is not None
    book._known_at -= 10.0
    stub.push_market("btcusdt@bookTicker", a_touch(43_000, 43_100, 1_000))
    assert listener.fish_for(lambda message: message.bid == 43_000).bids == ()


def test_a_book_that_crosses_itself_is_made_anew(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    synced(stub, venue)
    stub.push_market("btcusdt@depth@100ms", a_change(102, 102, [["42005", "9"]], []))
    stub.wait_for(DEPTH, 2)


def test_a_book_that_never_becomes_whole_does_not_use_up_the_weight(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    stub.handlers[DEPTH] = lambda _: {"lastUpdateId": 5, "bids": [], "asks": []}  # Ever too old.
    stub.push_market("btcusdt@depth@100ms", a_change(100, 101, [], []))
    time.sleep(2.5)  # Real time: two snapshots a second would be all of the weight, for one symbol alone.
    assert 2 <= len(stub.asked_for(DEPTH)) <= 3


def test_a_book_with_a_hole_in_every_change_does_not_use_up_the_weight(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue()
    watching(stub, venue, listener)
    last = [101]
    good = stub.handlers[DEPTH]({})
    stub.handlers[DEPTH] = lambda _: {**good, "lastUpdateId": last[0]}  # type: ignore[dict-item]
    for number in range(120, 1_320, 10):
        last[0] = number
        stub.push_market("btcusdt@depth@100ms", a_change(number, number + 1, [["41997", "5"]], []))
        time.sleep(0.02)
    assert 2 <= len(stub.asked_for(DEPTH)) <= 4


def test_a_quiet_touch_is_asked_for_when_that_is_wished(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(quiet_seconds=0.1)
    watching(stub, venue, listener)
    stub.handlers[TICKER] = lambda params: a_ticker(symbol=params["symbol"], bidPrice="41000")
    assert listener.fish_for(lambda message: message.bid == 41_000)
