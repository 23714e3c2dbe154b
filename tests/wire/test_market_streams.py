"""Market streams over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from adapters.paper.records import Event, PublicTrade
from adapters.paper.server.app import PaperServer
from adapters.paper.server.streams import Board
from tests.wire.exchange_world import Socket, World, a_world, an_order, milliseconds

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


async def test_a_changed_touch_is_told_at_once_and_an_unchanged_one_is_not(world: World) -> None:
    stream = await world.connect("/ws/btcusdt@bookTicker")
    first = await stream.next()
    assert first.keys() == {"u", "s", "b", "B", "a", "A"}
    with pytest.raises(TimeoutError):
        await stream.next(0.1)
    await world.book(bids=[["50000.50", "2"]])
    second = await stream.next()
    assert (second["b"], second["B"], second["u"] > first["u"]) == ("50000.50000000", "2.00000000", True)


async def test_who_subscribes_only_after_connecting_wakes_the_market_up(world: World) -> None:
    stream = await world.connect("/ws")
    await stream.ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth5@100ms"], "id": 1})
    assert await stream.next() == {"result": None, "id": 1}
    books = [await stream.next(2) for _ in range(3)]
    assert all(book.keys() == {"lastUpdateId", "bids", "asks"} for book in books)


async def test_every_kind_of_stream_has_its_shape(world: World) -> None:
    names = [
        *("trade", "aggTrade", "avgPrice", "depth@100ms", "depth5@100ms"),
        *("kline_1m", "kline_1M", "miniTicker", "ticker"),
    ]
    stream = await world.connect("/stream?streams=" + "/".join(f"btcusdt@{name}" for name in names))
    await world.place(quantity="0.02")
    found: dict[str, Any] = {}
    async with asyncio.timeout(3):
        while len(found) < len(names):
            frame = await stream.next(3)
            found.setdefault(frame["stream"].partition("@")[2], frame["data"])
    assert (found["trade"]["e"], found["trade"]["q"], found["trade"]["m"]) == ("trade", "0.02000000", False)
    assert (found["aggTrade"]["f"], found["aggTrade"]["l"]) == (found["trade"]["t"], found["trade"]["t"])
    assert found["avgPrice"]["w"].startswith("5000")
    assert found["kline_1m"]["k"]["t"] % 60_000 == 0
    assert found["kline_1M"]["k"]["i"] == "1M"
    assert (found["miniTicker"]["e"], found["ticker"]["e"]) == ("24hrMiniTicker", "24hrTicker")
    assert 0 < found["ticker"]["C"] - found["ticker"]["O"] <= 86_400_000
    assert found["depth@100ms"].keys() == {"e", "E", "s", "U", "u", "b", "a"}
    assert found["depth5@100ms"].keys() == {"lastUpdateId", "bids", "asks"}


async def test_statistics_of_a_window_and_of_all_symbols_have_streams_and_candles_a_time_zone(world: World) -> None:
    names = ["btcusdt@ticker_1h", "!miniTicker@arr", "!ticker_4h@arr", "btcusdt@kline_1d@+08:00", "btcusdt@kline_1d"]
    stream = await world.connect("/stream?streams=" + "/".join(names))
    await world.place(quantity="0.02")
    found: dict[str, Any] = {}
    async with asyncio.timeout(3):
        while len(found) < len(names):
            frame = await stream.next(3)
            found.setdefault(frame["stream"], frame["data"])
    hour = found["btcusdt@ticker_1h"]
    assert hour.keys() == {*"eEspPohlcwvqOCFLn"}
    assert (hour["e"], hour["s"], hour["c"], hour["v"]) == ("1hTicker", "BTCUSDT", "50001.00000000", "0.02000000")
    assert hour["O"] % 60_000 == 0
    assert 3_600_000 <= hour["C"] - hour["O"] < 3_660_000
    minis, windows = found["!miniTicker@arr"], found["!ticker_4h@arr"]
    assert {row["s"] for row in minis} == {"BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT"}
    assert {row["e"] for row in minis + windows} == {"24hrMiniTicker", "4hTicker"}
    ours, utc = found["btcusdt@kline_1d@+08:00"]["k"], found["btcusdt@kline_1d"]["k"]
    assert (ours["t"] % 86_400_000, utc["t"] % 86_400_000) == (16 * 3_600_000, 0)
    assert ours["T"] - ours["t"] == 86_399_999


async def test_of_all_symbols_only_those_that_have_changed_are_told(world: World) -> None:
    stream = await world.connect("/ws/!miniTicker@arr")
    assert len(await stream.next(3)) == 4
    await world.place(quantity="0.02")
    assert [row["s"] for row in await stream.next(3)] == ["BTCUSDT"]
    await stream.ws.send_json({"method": "UNSUBSCRIBE", "params": ["!miniTicker@arr"], "id": 1})
    assert await stream.next() == {"result": None, "id": 1}
    assert not any(book.followed for book in world.exchange.engine.books.values())


async def keep_book(world: World, stream: Socket, events: int) -> tuple[dict[str, str], dict[str, str], int]:
    """Keep a local book by the published instructions: buffer, snapshot, join, apply."""
    buffered = [await stream.next()]
    snapshot = (await world.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)).json
    assert snapshot["lastUpdateId"] >= buffered[0]["U"] - 1
    sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    book_id = snapshot["lastUpdateId"]
    applied = 0
    while applied < events:
        event = buffered.pop(0) if buffered else await stream.next()
        if event["u"] <= book_id:
            continue
        assert event["U"] <= book_id + 1
        for side, levels in sides.items():
            for price, quantity in event[side]:
                if Decimal(quantity):
                    levels[price] = quantity
                else:
                    levels.pop(price, None)
        book_id = event["u"]
        applied += 1
    return sides["b"], sides["a"], book_id


async def test_a_local_book_joins_snapshot_and_differences_without_a_gap() -> None:
    async with a_world(market="synthetic", seed=5) as world:
        stream = await world.connect("/ws/btcusdt@depth@100ms")
        bids, asks, _ = await keep_book(world, stream, 5)
        await world.control("market", symbol="BTCUSDT", freeze=True)
        async with asyncio.timeout(10):
            while True:  # What was still under way when the market froze.
                try:
                    event = await stream.next(1.0)
                except TimeoutError:
                    break
                for side, levels in (("b", bids), ("a", asks)):
                    for price, quantity in event[side]:
                        levels[price] = quantity
        snapshot = (await world.get("/api/v3/depth", symbol="BTCUSDT", limit=5000)).json
        for side, levels in (("bids", bids), ("asks", asks)):
            assert {price: quantity for price, quantity in levels.items() if Decimal(quantity)} == dict(snapshot[side])


async def test_own_orders_are_seen_in_the_book_by_everyone(world: World) -> None:
    stream = await world.connect("/ws/btcusdt@bookTicker")
    await stream.next()
    await world.place(price="50000.50", timeInForce="GTC", quantity="0.25")
    assert (await stream.next())["B"] == "0.25000000"


async def test_streams_are_taken_up_and_left_by_message() -> None:
    async with a_world(stream_messages_per_second=None) as world:  # Six messages at once are one too many.
        stream = await world.connect("/ws")
        assert await stream.ask("SUBSCRIBE", None) is not None
        await stream.ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "nope@trade"], "id": 7})
        assert await stream.next() == {"result": None, "id": 7}
        assert (await stream.next())["s"] == "BTCUSDT"
        await stream.ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 8})
        assert await stream.next() == {"result": ["btcusdt@bookTicker", "nope@trade"], "id": 8}
        await stream.ws.send_json({"method": "SET_PROPERTY", "params": ["combined", True], "id": 9})
        assert await stream.next() == {"result": None, "id": 9}
        await world.book(bids=[["50000.10", "2"]])
        assert (await stream.next())["stream"] == "btcusdt@bookTicker"
        await stream.ws.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 10})
        assert await stream.next() == {"result": True, "id": 10}
        await stream.ws.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker", "other@trade"], "id": 11})
        assert await stream.next() == {"result": None, "id": 11}
        await world.book(bids=[["50000.20", "2"]])
        with pytest.raises(TimeoutError):
            await stream.next(0.1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", 3),
        ("[]", 2),
        ('{"id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": "x", "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2),
        ('{"method": "EXPLODE", "id": 1}', 2),
        ('{"method": "GET_PROPERTY", "params": ["colour"], "id": 1}', 0),
        ('{"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}', 1),
    ],
)
async def test_bad_control_messages_are_named(world: World, message: str, code: int) -> None:
    stream = await world.connect("/ws")
    await stream.ws.send_str(message)
    assert (await stream.next())["error"]["code"] == code


async def test_a_connection_takes_so_many_streams_and_messages_and_no_more() -> None:
    async with a_world(stream_messages_per_second=3) as world:
        stream = await world.connect("/ws")
        await stream.ws.send_json({"method": "SUBSCRIBE", "params": [f"a{n}@trade" for n in range(1025)], "id": 1})
        assert (await stream.next())["error"]["code"] == 2
        for _ in range(3):
            await stream.ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        for _ in range(2):
            await stream.next()
        with pytest.raises(ConnectionError):
            await stream.next()
        assert stream.ws.close_code == 1008


async def test_the_reference_price_is_told_each_second_and_is_null_where_there_is_none(world: World) -> None:
    stream = await world.connect("/stream?streams=btcusdt@referencePrice/ethusdt@referencePrice")
    told = {}
    for _ in range(2):
        frame = await stream.next(3)
        told[frame["stream"]] = frame["data"]
    price = told["btcusdt@referencePrice"]
    assert price.keys() == {"e", "s", "r", "t"}
    assert (price["e"], price["s"], price["r"]) == ("referencePrice", "BTCUSDT", "50000.50000000")
    assert abs(price["t"] - milliseconds()) < 5000
    assert told["ethusdt@referencePrice"]["r"] is None
    asked = (await world.get("/api/v3/referencePrice", symbol="BTCUSDT")).json
    assert asked["referencePrice"] == price["r"]
    finer = await world.connect("/ws/btcusdt@referencePrice?timeUnit=MICROSECOND")
    assert (await finer.next(3))["t"] > 10**15


async def test_five_messages_a_second_are_taken_and_pings_and_pongs_count_as_well(world: World) -> None:
    stream = await world.connect("/ws")
    for _ in range(2):
        await stream.ws.ping()
        await stream.ws.pong()
    await stream.ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert (await stream.next())["id"] == 1
    await stream.ws.ping()
    with pytest.raises(ConnectionError):
        await stream.next()
    assert stream.ws.close_code == 1008
    api = await world.connect()
    replies = [await api.ask("ping") for _ in range(20)]
    assert {reply["status"] for reply in replies} == {200}, "it is a rule of the market streams alone"


async def test_who_sends_five_messages_in_each_second_may_stay(world: World) -> None:
    stream = await world.connect("/ws")
    (socket,) = world.server._sockets
    clock = [100.0]
    socket._loop = cast("asyncio.AbstractEventLoop", SimpleNamespace(time=lambda: clock[0]))
    for _ in range(4):
        for _ in range(5):
            await stream.ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            assert (await stream.next())["id"] == 1
        clock[0] += 1.0
    assert not stream.ws.closed


async def test_trades_of_others_are_told_while_somebody_follows_them() -> None:
    async with a_world(market="synthetic", seed=5) as world:
        one = await world.connect("/ws/btcusdt@trade?timeUnit=MICROSECOND")
        two = await world.connect("/ws/btcusdt@trade")
        trade, same = await one.next(5), await two.next(5)
        assert trade["T"] > 10**15 > same["T"]
        numbers = [trade["t"]] + [(await one.next(5))["t"] for _ in range(5)]
        assert numbers == sorted(set(numbers))
        book = world.exchange.engine.books["BTCUSDT"]
        await one.ws.close()
        await asyncio.sleep(0.05)
        assert book.followed
        await two.ws.close()
        await asyncio.sleep(0.05)
        assert not book.followed


async def test_the_market_stands_still_while_nobody_looks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    advance = world.exchange.advance

    def counted(now: int, symbols: Any = ()) -> None:
        ticks.append(now)
        advance(now, symbols)

    monkeypatch.setattr(world.exchange, "advance", counted)
    await asyncio.sleep(0.15)
    assert ticks == []
    stream = await world.connect("/ws/btcusdt@bookTicker")
    await asyncio.sleep(0.15)
    assert len(ticks) > 3
    await stream.ws.close()
    await asyncio.sleep(0.1)
    ticks.clear()
    await asyncio.sleep(0.15)
    assert ticks == []
    placed = await world.signed("POST", "/api/v3/order", **an_order(price="49000", timeInForce="GTC"))
    assert placed.status == 200
    await asyncio.sleep(0.15)
    assert len(ticks) > 3


async def test_what_is_told_of_an_order_does_not_wait_for_another_book(monkeypatch: pytest.MonkeyPatch) -> None:
    course: list[str] = []
    turns, tell, send = Board.turns, PaperServer._tell, web.WebSocketResponse.send_frame
    events: list[tuple[PaperServer, Event]] = []

    def noted_tell(server: PaperServer, event: Event) -> None:
        course.append("told")
        tell(server, event)

    def noted_turns(board: Board, at: float) -> Iterator[None]:
        for _ in turns(board, at):
            course.append("a book")
            if events:  # As what an order does whose turn of the loop is the next.
                asyncio.get_running_loop().call_soon(noted_tell, *events[0])
            yield

    async def noted_send(socket: web.WebSocketResponse, message: bytes, *how: Any) -> None:
        await send(socket, message, *how)
        if message.startswith(b'{"subscriptionId"'):
            course.append("sent")

    monkeypatch.setattr(Board, "turns", noted_turns)
    monkeypatch.setattr(PaperServer, "_tell", lambda server, event: events.append((server, event)))
    monkeypatch.setattr(web.WebSocketResponse, "send_frame", noted_send)
    async with a_world() as world:
        names = "/".join(f"{symbol}@depth@100ms" for symbol in ("btcusdt", "ethusdt", "bnbusdt", "dogeusdt"))
        await world.connect(f"/stream?streams={names}")
        user = await world.user_stream()
        await world.place(price="40000.00")
        await user.reports(20)
    first = course.index("told")
    assert course[first : first + 30] == ["told", "sent", "a book"] * 10


async def test_candles_reach_further_back_than_the_trades_that_are_told_singly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy symbol has a thousand trades a minute; who works with candles wants many minutes of them."""
    await world.connect("/ws/btcusdt@trade")
    began, book = world.server.desk.now(), world.exchange.engine.books["BTCUSDT"]
    for minute in range(5):
        now = began + minute * 60_000_000
        monkeypatch.setattr(world.server.desk, "now", lambda now=now: now)
        for number in range(minute * 1000 + 1, minute * 1000 + 1001):
            trade = PublicTrade(
                symbol="BTCUSDT",
                trade_id=number,
                price=Decimal(50_000 + minute),
                quantity=Decimal(1),
                buyer_is_maker=False,
                time=now,
            )
            book.recent.append(trade)
            book.last_trade_id = number
        await world.get("/api/v3/ticker/price", symbol="BTCUSDT")
    rows = (await world.get("/api/v3/klines", symbol="BTCUSDT", interval="1m")).json
    assert [row[4][:5] for row in rows] == ["50000", "50001", "50002", "50003", "50004"]
    assert {row[8] for row in rows} == {1000}
    assert (await world.get("/api/v3/ticker/24hr", symbol="BTCUSDT")).json["count"] == 5000
    assert len((await world.get("/api/v3/trades", symbol="BTCUSDT", limit=1000)).json) == 1000


async def test_who_asks_for_candles_in_place_of_a_stream_finds_them_when_he_asks_again() -> None:
    async with a_world(market="synthetic", seed=5) as world:
        book = world.exchange.engine.books["BTCUSDT"]
        asked: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1s"}
        [first] = (await world.get("/api/v3/klines", **asked)).json
        assert first[8] == 0
        rows: list[list[Any]] = []
        for _ in range(50):
            rows = (await world.get("/api/v3/klines", **asked)).json
            if len(rows) > 2:
                break
            await asyncio.sleep(0.1)
        assert len(rows) > 2
        assert sum(row[8] for row in rows) > 0
        assert not world.exchange.engine.books["ETHUSDT"].followed
        board, now = world.server._board, world.server.desk.now()
        world.server.desk.now = lambda: now + 10 * 60_000_000 + 1_000_000  # type: ignore[method-assign]
        for _ in range(500):
            if not board:
                break
            await asyncio.sleep(0.01)
        assert (bool(board), book.followed) == (False, False)
