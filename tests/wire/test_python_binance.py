"""python-binance, a client that knows nothing of this project, lives a whole life against the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException

from tests.wire.exchange_world import KEY, SECRET, World

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


@asynccontextmanager
async def a_client(world: World) -> AsyncIterator[Any]:
    """A client of the library's own making, with nothing changed but addresses."""

    class Client(AsyncClient):  # type: ignore[misc]  # the library is not typed
        API_URL = f"{world.server.url}/api"
        MARGIN_API_URL = f"{world.server.url}/sapi"
        WS_API_URL = f"ws://127.0.0.1:{world.server.port}/ws-api/v3"

    client = await Client.create(KEY, SECRET)
    client.ws_api.TIMEOUT = 0.2  # Its reader is waited for when it is closed.
    try:
        yield client
    finally:
        await client.close_connection()


def sockets(world: World, client: Any) -> Any:
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = f"ws://127.0.0.1:{world.server.port}/"
    return manager


def impatient(socket: Any) -> Any:
    """Have a socket's reader, which is waited for when it is closed, look up often."""
    socket.TIMEOUT = 0.1
    return socket


async def received(socket: Any, **wanted: str) -> dict[str, Any]:
    """The next message that has these fields."""
    async with asyncio.timeout(5):
        while True:
            message = await socket.recv()
            if message is not None and all(message.get(name) == value for name, value in wanted.items()):
                found: dict[str, Any] = message
                return found


async def test_it_connects_and_reads_what_it_wants_to_know(world: World) -> None:
    async with a_client(world) as client:
        assert abs(client.timestamp_offset) < 2000
        info = await client.get_exchange_info()
        assert {symbol["symbol"] for symbol in info["symbols"]} >= {"BTCUSDT", "ETHUSDT"}
        assert (await client.get_symbol_info("BTCUSDT"))["baseAsset"] == "BTC"
        raw = await client._get("exchangeInfo", data={"symbols": '["BTCUSDT","BNBUSDT"]'})
        assert len(raw["symbols"]) == 2
        book = await client.get_order_book(symbol="BTCUSDT", limit=5)
        assert book["bids"][0] == ["50000.00000000", "1.00000000"]
        assert (await client.get_orderbook_ticker(symbol="BTCUSDT"))["askPrice"] == "50001.00000000"
        assert (await client.get_symbol_ticker(symbol="BTCUSDT"))["price"] == "50000.50000000"
        assert (await client.get_avg_price(symbol="BTCUSDT"))["mins"] == 5
        assert (await client.get_asset_balance("BTC"))["free"] == "10.00000000"
        assert (await client.v3_get_account_commission(symbol="BTCUSDT"))["symbol"] == "BTCUSDT"
        assert (await client.get_account_api_permissions())["enableWithdrawals"] is False
        assert (await client.get_trade_fee(symbol="BTCUSDT"))[0]["takerCommission"] == "0.001"


async def test_it_places_fills_in_part_cancels_and_finds_its_orders_again(world: World) -> None:
    async with a_client(world) as client, sockets(world, client).user_socket() as user:
        await client.create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        order = await client.order_limit_buy(
            symbol="BTCUSDT", quantity="1.5", price="50001.00", newClientOrderId="life-1"
        )
        assert (order["status"], order["executedQty"]) == ("PARTIALLY_FILLED", "1.00000000")
        fill = await received(user, e="executionReport", x="TRADE")
        assert (fill["c"], fill["X"], fill["t"]) == ("life-1", "PARTIALLY_FILLED", order["fills"][0]["tradeId"])
        assert [row["orderId"] for row in await client.get_open_orders(symbol="BTCUSDT")] == [order["orderId"]]
        cancelled = await client.cancel_order(symbol="BTCUSDT", origClientOrderId="life-1")
        assert (cancelled["status"], cancelled["executedQty"]) == ("CANCELED", "1.00000000")
        report = await received(user, e="executionReport", x="CANCELED")
        assert (report["C"], report["z"]) == ("life-1", "1.00000000")
        await received(user, e="outboundAccountPosition")
        found = await client.get_order(symbol="BTCUSDT", orderId=order["orderId"])
        assert found["status"] == "CANCELED"
        assert len(await client.get_all_orders(symbol="BTCUSDT")) == 1
        assert (await client.get_my_trades(symbol="BTCUSDT"))[0]["qty"] == "1.00000000"
        with pytest.raises(BinanceAPIException) as refused:
            await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
        assert refused.value.code == -2011
        with pytest.raises(BinanceAPIException) as refused:
            await client.create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.000001")
        assert (refused.value.code, refused.value.message) == (-1013, "Filter failure: LOT_SIZE")
        assert [row["interval"] for row in await client.get_current_order_count()] == ["SECOND", "DAY"]


async def test_its_stop_orders_wait_are_cancelled_and_go_at_their_price(world: World) -> None:
    async with a_client(world) as client, sockets(world, client).user_socket() as user:
        limits = {"timeInForce": "GTC", "quantity": "0.01", "price": "49400.00"}
        stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "stopPrice": "49500.00", **limits}
        first = await client.create_order(**stop, newClientOrderId="stop-1")
        (waiting,) = await client.get_open_orders(symbol="BTCUSDT")
        assert (waiting["clientOrderId"], waiting["stopPrice"]) == ("stop-1", "49500.00000000")
        assert waiting["isWorking"] is False
        assert (await client.cancel_order(symbol="BTCUSDT", orderId=first["orderId"]))["status"] == "CANCELED"
        await client.create_order(**stop, newClientOrderId="stop-2", strategyId=3)
        await world.control("market", symbol="BTCUSDT", trade=["SELL", "49500.00", "0.1"])
        filled = await received(user, e="executionReport", X="FILLED")
        assert (filled["c"], filled["j"]) == ("stop-2", 3)
        with pytest.raises(BinanceAPIException) as refused:
            await client.create_oco_order(**{**stop, "type": None, "quantity": "0.01"})
        assert (refused.value.code, refused.value.message) == (-2010, "OCO orders are not supported for this symbol")


async def test_it_trades_over_the_websocket_api(world: World) -> None:
    async with a_client(world) as client:
        await client.ws_ping()
        assert (await client.ws_get_order_book(symbol="BTCUSDT"))["lastUpdateId"] > 0
        order = await client.ws_create_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price="49000"
        )
        assert order["status"] == "NEW"
        assert (await client.ws_get_order(symbol="BTCUSDT", orderId=order["orderId"]))["price"] == "49000.00000000"
        assert len(await client.ws_get_open_orders(symbol="BTCUSDT")) == 1
        cancelled = await client.ws_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
        assert cancelled["status"] == "CANCELED"
        assert (await client.ws_get_account())["accountType"] == "SPOT"
        with pytest.raises(BinanceAPIException) as refused:
            await client.ws_get_order(symbol="BTCUSDT", orderId=99)
        assert refused.value.code == -2013


async def test_its_market_streams_tell_the_market(world: World) -> None:
    async with a_client(world) as client:
        manager = sockets(world, client)
        async with impatient(manager.symbol_book_ticker_socket("BTCUSDT")) as ticker:
            assert (await received(ticker, s="BTCUSDT"))["b"] == "50000.00000000"
        async with impatient(manager.multiplex_socket(["btcusdt@bookTicker", "btcusdt@depth5"])) as both:
            names = {(await received(both))["stream"] for _ in range(2)}
            assert names == {"btcusdt@bookTicker", "btcusdt@depth5"}
        async with impatient(manager.miniticker_socket()) as minis:
            assert {row["s"] for row in await asyncio.wait_for(minis.recv(), 5)} >= {"BTCUSDT", "ETHUSDT"}
        async with impatient(manager.depth_socket("BTCUSDT", interval=100)) as depth:
            await world.book(bids=[["49999.00", "1"]])
            change = await received(depth, e="depthUpdate")
            assert ["49999.00000000", "1.00000000"] in change["b"]


async def test_after_a_cut_it_comes_back_and_is_told_again(world: World) -> None:
    async with a_client(world) as client, sockets(world, client).user_socket() as user:
        await client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
        await received(user, e="executionReport", X="FILLED")
        await world.control("streams", action="close", which="user")
        await received(user, e="error")
        async with asyncio.timeout(5):
            while True:  # It says nothing of being back, and does not subscribe again by itself.
                try:
                    await client.ws_ping()
                    break
                except Exception:  # noqa: BLE001 - whatever it says while it is away
                    await asyncio.sleep(0.1)
        await user.connect()
        await client.order_market_sell(symbol="BTCUSDT", quantity="0.01")
        assert (await received(user, e="executionReport", X="FILLED"))["S"] == "SELL"
        assert len(await client.get_my_trades(symbol="BTCUSDT")) == 2
