from __future__ import annotations

import gzip
import json
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.liquidity.base import Moved, Print
from adapters.paper.liquidity.replay import BadRecording, Frame, ReplayMarket, merge, read_frames
from adapters.paper.markets import BadMarket, MarketChoice
from messages.signal import Side
from tests.adapters.paper.worlds import NOW

MS = 1000
STEP = Decimal("0.00001")
T0 = 1_700_000_000_000
"""The recorder's clock at the beginning, in ms."""


def line(ms: int, body: dict[str, Any]) -> str:
    return f"{(T0 + ms) * 1_000_000 + 123} {json.dumps(body)}\n"


def ticker(ms: int, u: int, bid: str, ask: str, *, size: str = "1.00", symbol: str = "BTCUSDT") -> str:
    data = {"u": u, "s": symbol, "b": bid, "B": size, "a": ask, "A": size}
    return line(ms, {"stream": f"{symbol.lower()}@bookTicker", "data": data})


def trade(ms: int, price: str, quantity: str, *, buyer_is_maker: bool) -> str:
    data = {"e": "trade", "s": "BTCUSDT", "t": ms, "p": price, "q": quantity, "m": buyer_is_maker}
    return line(ms, {"stream": "btcusdt@trade", "data": data})


def depth(ms: int, first: int, last: int, *, bids: list[list[str]], asks: list[list[str]]) -> str:
    data = {"e": "depthUpdate", "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return line(ms, {"stream": "btcusdt@depth@100ms", "data": data})


def snapshot(ms: int, u: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    return line(ms, {"lastUpdateId": u, "bids": bids, "asks": asks})


BIDS = [["100.00", "1"], ["99.00", "2"], ["98.00", "3"]]
ASKS = [["101.00", "1"], ["102.00", "2"], ["103.00", "3"]]

TINY = [
    depth(0, 5, 9, bids=[["97.00", "9"]], asks=[]),
    ticker(10, 10, "100.00", "101.00"),
    snapshot(20, 10, BIDS, ASKS),
    depth(100, 8, 10, bids=[["1.00", "1"]], asks=[]),
    depth(120, 11, 12, bids=[["99.00", "2.5"], ["98.00", "0"]], asks=[["104.00", "4"]]),
    trade(150, "100.00", "0.4", buyer_is_maker=True),
    ticker(200, 20, "99.50", "100.50", size="0.70"),
    trade(250, "100.50", "0.2", buyer_is_maker=False),
    depth(300, 13, 25, bids=[["100.00", "0"], ["99.50", "0.7"]], asks=[["101.00", "1"], ["100.50", "0.5"]]),
]


def recording(path: Path, lines: list[str] = TINY) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(lines).encode()))
    else:
        path.write_text("".join(lines))
    return path


def replay(tmp_path: Path, lines: list[str] = TINY, *, refill_rate: float = 0.0) -> ReplayMarket:
    path = recording(tmp_path / "tiny.jsonl", lines)
    return ReplayMarket(merge([path], "BTCUSDT"), step=STEP, origin=NOW, refill_rate=refill_rate)


def at(ms: int) -> int:
    """A moment of the recording on the exchange's clock: the book is whole at its 20th millisecond."""
    return NOW + (ms - 20) * MS


def book(market: ReplayMarket, side: Side) -> list[tuple[str, str]]:
    return [(f"{price:.2f}", f"{quantity:.2f}") for price, quantity in market.levels(side)]


def test_the_replay_begins_with_the_first_whole_book(tmp_path: Path) -> None:
    market = replay(tmp_path)
    assert book(market, Side.BUY) == [("100.00", "1.00"), ("99.00", "2.00"), ("98.00", "3.00")]
    assert book(market, Side.SELL)[0] == ("101.00", "1.00")
    assert not market.halted()


def test_diffs_older_than_the_snapshot_are_dropped_and_newer_ones_set_levels(tmp_path: Path) -> None:
    market = replay(tmp_path)
    market.skip(at(130))
    assert book(market, Side.BUY) == [("100.00", "1.00"), ("99.00", "2.50")]
    assert book(market, Side.SELL)[-1] == ("104.00", "4.00")


def test_the_touch_is_the_book_tickers_and_levels_before_it_are_gone(tmp_path: Path) -> None:
    market = replay(tmp_path)
    market.skip(at(200))
    assert book(market, Side.BUY) == [("99.50", "0.70"), ("99.00", "2.50")]
    assert book(market, Side.SELL)[:2] == [("100.50", "0.70"), ("101.00", "1.00")]


def test_a_depth_event_newer_than_the_ticker_tells_the_touch(tmp_path: Path) -> None:
    market = replay(tmp_path)
    market.skip(at(300))
    assert book(market, Side.SELL)[0] == ("100.50", "0.50")
    assert market.ended


def test_trades_and_new_books_are_told_in_the_recorders_order(tmp_path: Path) -> None:
    market = replay(tmp_path)
    events = list(market.follow(at(260)))
    assert [type(event) for event in events] == [Moved, Print, Moved, Print]
    assert events[1] == Print(at(150), Side.SELL, Decimal("100.00"), Decimal("0.4"))
    assert list(market.follow(at(260))) == []


def test_after_its_end_the_last_book_stands_still(tmp_path: Path) -> None:
    market = replay(tmp_path)
    market.skip(at(10_000))
    last = book(market, Side.BUY)
    assert list(market.settle()) == []
    market.skip(at(99_000))
    assert book(market, Side.BUY) == last


def test_an_order_meets_the_first_book_recorded_at_or_after_its_arrival(tmp_path: Path) -> None:
    path = recording(tmp_path / "tiny.jsonl")
    exchange = PaperExchange(PaperSettings(markets=MarketChoice(market=f"replay:{path}")), now=NOW)
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    placed = exchange.place(params, at(160))  # The next book is that of 200 ms: 0.7 at 100.50, then 101.00.
    assert [(trade.price, trade.quantity) for trade in placed.trades] == [
        (Decimal("100.50"), Decimal("0.70")),
        (Decimal("101.00"), Decimal("0.30")),
    ]
    _, asks = exchange.look("BTCUSDT", at(200))
    assert asks[0] == (Decimal("101.00"), Decimal("0.70"))


def test_own_orders_wait_behind_all_that_is_displayed_and_move_up_by_trades_alone(tmp_path: Path) -> None:
    lines = [*TINY[:5], *(trade(ms, "100.00", "0.4", buyer_is_maker=True) for ms in (150, 160, 170, 180))]
    path = recording(tmp_path / "tiny.jsonl", lines)
    exchange = PaperExchange(PaperSettings(markets=MarketChoice(market=f"replay:{path}")), now=NOW)
    exchange.place(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.5", "price": "100.00"}, at(105)
    )
    exchange.advance(at(175))
    assert [trade.quantity for trade in exchange.engine.trades] == [Decimal("0.2")]
    exchange.advance(at(185))
    assert [trade.quantity for trade in exchange.engine.trades] == [Decimal("0.2"), Decimal("0.3")]
    assert [trade.time for trade in exchange.engine.trades] == [at(170), at(180)]


def test_what_was_taken_comes_back_with_its_rate(tmp_path: Path) -> None:
    market = replay(tmp_path, refill_rate=1000.0)
    market.take(Side.BUY, Decimal("100.00"), Decimal(1))
    assert book(market, Side.BUY)[0] == ("99.00", "2.00")
    market.skip(at(90))
    assert book(market, Side.BUY)[0] == ("100.00", "1.00")


def test_after_a_gap_only_the_touch_is_known_until_the_next_snapshot(tmp_path: Path) -> None:
    lines = [
        *TINY[:5],
        depth(140, 20, 22, bids=[["90.00", "1"]], asks=[]),
        depth(150, 23, 24, bids=[["91.00", "1"]], asks=[]),
        snapshot(160, 22, BIDS, ASKS),
        snapshot(170, 5, [["1.00", "1"]], [["2.00", "1"]]),
    ]
    market = replay(tmp_path, lines)
    market.skip(at(155))
    assert book(market, Side.BUY) == [("100.00", "1.00")]
    market.skip(at(180))
    assert [price for price, _ in book(market, Side.BUY)] == ["100.00", "99.00", "98.00", "91.00"]


def test_a_gap_among_diffs_that_wait_for_a_snapshot_is_seen_too(tmp_path: Path) -> None:
    lines = [
        ticker(0, 10, "100.00", "101.00"),
        depth(1, 20, 22, bids=[["90.00", "1"]], asks=[]),
        depth(2, 23, 24, bids=[["91.00", "1"]], asks=[]),
        snapshot(3, 10, BIDS, ASKS),
        snapshot(4, 24, BIDS, ASKS),
    ]
    market = replay(tmp_path, lines)
    assert len(book(market, Side.BUY)) == 3


def test_several_recordings_of_several_symbols_are_replayed_as_one(tmp_path: Path) -> None:
    first = recording(tmp_path / "one.jsonl.gz", TINY[:4])
    rest = recording(tmp_path / "two.jsonl", TINY[4:])
    doge = [
        ticker(5, 1, "0.11999", "0.12001", size="1000", symbol="DOGEUSDT"),
        snapshot(6, 1, [["0.11999", "1000"]], [["0.12001", "1000"]]),
    ]
    other = recording(tmp_path / "doge.jsonl", doge)
    choice = MarketChoice(market=f"replay:{other},{rest},{first}")
    exchange = PaperExchange(PaperSettings(markets=choice), now=NOW)
    bids, _ = exchange.look("DOGEUSDT", NOW)
    assert bids == ((Decimal("0.11999"), Decimal(1000)),)
    exchange.look("BTCUSDT", at(400))
    assert exchange.look("BTCUSDT", at(400))[1][0] == (Decimal("100.50"), Decimal("0.5"))
    assert exchange.look("ETHUSDT", at(400))[0]  # Not recorded, hence synthetic.


def test_streams_that_are_not_needed_are_passed_over(tmp_path: Path) -> None:
    other = line(30, {"stream": "btcusdt@kline_1m", "data": {"e": "kline"}})
    market = replay(tmp_path, [*TINY[:3], other, *TINY[3:]])
    assert len(list(market.follow(at(260)))) == 4


def test_an_unreadable_line_is_named_with_its_number(tmp_path: Path) -> None:
    for bad in ("nonsense\n", "12 {}\n", "x {}\n", '12 ["a"]\n'):
        path = recording(tmp_path / "bad.jsonl", [TINY[0], bad])
        with pytest.raises(BadRecording, match="line 2"):
            list(read_frames(path))


def test_a_recording_without_a_whole_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="no whole book"):
        replay(tmp_path, [TINY[0], TINY[1]])
    empty = recording(tmp_path / "empty.jsonl", [])
    with pytest.raises(BadMarket, match="no stream frame"):
        PaperExchange(PaperSettings(markets=MarketChoice(market=f"replay:{empty}")), now=NOW)
    strange = recording(tmp_path / "strange.jsonl", [ticker(0, 1, "1", "2", symbol="XYZUSDT")])
    with pytest.raises(BadMarket, match="XYZUSDT has no rules"):
        PaperExchange(PaperSettings(markets=MarketChoice(market=f"replay:{strange}")), now=NOW)


REAL = Path(__file__).parents[4].parent / "shared/market-data/binance-spot-l2/btcusdt_20240808.jsonl.gz"


@pytest.mark.skipif(not REAL.exists(), reason="the real recording is not here")
def test_the_real_recording_is_never_crossed_and_fills_twelve_bitcoin() -> None:
    exchange = PaperExchange(PaperSettings(markets=MarketChoice(market=f"replay:{REAL}")), now=NOW)
    bids, asks = exchange.look("BTCUSDT", NOW)
    for tenth in range(300):
        bids, asks = exchange.look("BTCUSDT", NOW + tenth * 100 * MS)
        assert bids[0][0] < asks[0][0]
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "12"}
    placed = exchange.place(params, NOW + 30_000 * MS)
    paid = placed.order.executed_quote / placed.order.executed
    assert placed.order.executed == 12
    assert 0 < paid - asks[0][0] < asks[0][0] * Decimal("0.0005")


def test_frames_carry_their_symbol_and_kind(tmp_path: Path) -> None:
    frames = list(islice(read_frames(recording(tmp_path / "a.jsonl")), 3))
    assert [(frame.symbol, frame.kind) for frame in frames] == [
        ("BTCUSDT", "depth"),
        ("BTCUSDT", "bookTicker"),
        ("BTCUSDT", "snapshot"),
    ]
    assert isinstance(frames[0], Frame)
    assert frames[0].at == T0 * 1000
