from __future__ import annotations

import orjson

from adapters.paper.exchange import PaperExchange
from adapters.paper.server.desk import Desk
from adapters.paper.server.settings import ServerSettings
from adapters.paper.server.streams import Board, Listener

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


def test_between_the_news_of_two_symbols_others_have_their_turn() -> None:
    desk = Desk(PaperExchange(now=0), ServerSettings(), lambda _events: None)
    board, told = Board(desk), list[str]()
    listener = Listener(lambda name, payload: told.append(f"{orjson.loads(payload).get('s', '')} {name}"))
    for symbol in SYMBOLS:
        board.subscribe(f"{symbol.lower()}@depth@100ms", listener, 0.0)
        board.subscribe(f"{symbol.lower()}@depth5@100ms", listener, 0.0)
        desk.exchange.steering[symbol].steer().set_levels([("1000", "1")], [("1001", "1")])
    told.clear()
    turns = board.turns(10.0)
    for symbol in SYMBOLS:
        next(turns)
        assert told == [f"{symbol} {symbol.lower()}@depth@100ms", f" {symbol.lower()}@depth5@100ms"]
        told.clear()
    assert list(turns) == []


def test_a_list_of_statistics_comes_at_the_pace_of_its_name() -> None:
    desk = Desk(PaperExchange(now=0), ServerSettings(), lambda _events: None)
    board, told = Board(desk), list[str]()
    listener = Listener(lambda name, _payload: told.append(name))
    names = ("!miniTicker@arr", "!miniTicker@arr@1000ms", "!miniTicker@arr@3000ms", "!miniTicker@arr@100ms")
    for name in names:
        board.subscribe(name, listener, 0.0)
    for at, there in ((0.9, []), (1.0, names[:2]), (2.9, names[:2]), (3.0, names[:3])):
        list(board.turns(at))
        assert set(told) == set(there)


def test_what_is_not_due_is_not_told() -> None:
    desk = Desk(PaperExchange(now=0), ServerSettings(), lambda _events: None)
    board, told = Board(desk), list[str]()
    board.subscribe("btcusdt@depth5@100ms", Listener(lambda name, _payload: told.append(name)), 0.0)
    told.clear()
    for at, count in ((0.05, 0), (0.1, 1), (0.15, 1), (0.2, 2)):
        assert len(list(board.turns(at))) == 1
        assert len(told) == count


def test_the_books_of_several_symbols_are_told_one_after_the_other_each_at_its_pace() -> None:
    desk = Desk(PaperExchange(now=0), ServerSettings(), lambda _events: None)
    board, told = Board(desk), list[str]()
    symbols = [symbol.lower() for symbol in desk.exchange.engine.books]
    assert len(symbols) == 4
    for symbol in symbols:
        board.subscribe(f"{symbol}@depth5@100ms", Listener(lambda name, _payload: told.append(name)), 0.0)
    told.clear()
    for tick in range(4, 12):
        list(board.turns(tick * 0.025))
    assert told == [f"{symbol}@depth5@100ms" for symbol in (*symbols, *symbols)]
