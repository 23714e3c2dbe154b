"""Binance's own client library, which checks each reply against its models, lives a whole life against the server."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.wire.exchange_world import KEY, SECRET, World

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Its models take seconds to import: only for these tests, and not while their server waits for a request."""
    importlib.import_module("binance_sdk_spot.spot")


def a_client(world: World) -> Any:
    """A client with nothing changed but addresses and patience."""
    from binance_sdk_spot.spot import (
        ConfigurationRestAPI,
        ConfigurationWebSocketAPI,
        ConfigurationWebSocketStreams,
        Spot,
    )

    ws = world.server.url.replace("http", "ws")
    return Spot(
        config_rest_api=ConfigurationRestAPI(
            api_key=KEY, api_secret=SECRET, base_path=world.server.url, timeout=3000, retries=0
        ),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=KEY, api_secret=SECRET, stream_url=f"{ws}/ws-api/v3", timeout=1000, reconnect_delay=50
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=ws, reconnect_delay=50),
    )


async def asked(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make a blocking REST call beside the loop that the server runs on."""
    return (await asyncio.to_thread(call, *args, **kwargs)).data()


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[Any]:
    """A client that is on the WebSocket API."""
    client = a_client(world)
    connection = await client.websocket_api.create_connection()
    try:
        yield connection
    finally:
        await connection.close_connection()


class Listener:
    """Collects what a stream tells."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, event: Any) -> None:
        self.events.put_nowait(getattr(event, "actual_instance", event))

    async def next(self, **wanted: object) -> Any:
        """The next event that has these fields."""
        async with asyncio.timeout(5):
            while True:
                event = await self.events.get()
                if all(getattr(event, name, None) == value for name, value in wanted.items()):
                    return event


async def test_its_models_take_every_reply_of_rest(world: World) -> None:
    rest = a_client(world).rest_api
    assert (await asked(rest.time)).server_time > 0
    info = await asked(rest.exchange_info)
    assert [symbol.symbol for symbol in info.symbols] == ["BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT"]
    assert len((await asked(rest.exchange_info, symbols=["BTCUSDT", "ETHUSDT"])).symbols) == 2
    assert (await asked(rest.depth, symbol="BTCUSDT")).bids[0] == ["50000.00000000", "1.00000000"]
    assert (await asked(rest.avg_price, symbol="BTCUSDT")).mins == 5
    assert (await asked(rest.ticker_price, symbol="BTCUSDT")) is not None
    assert (await asked(rest.ticker_book_ticker, symbol="BTCUSDT")) is not None
    account = await asked(rest.get_account)
    assert {row.asset: row.free for row in account.balances}["BTC"] == "10.00000000"
    assert (await asked(rest.account_commission, symbol="BTCUSDT")).standard_commission.taker == "0.00100000"
    assert (await asked(rest.reference_price, symbol="BTCUSDT")) is not None
    assert (await asked(rest.execution_rules, symbol="BTCUSDT")).symbol_rules[0].symbol == "BTCUSDT"
    assert [row.count for row in await asked(rest.rate_limit_order)] == [0, 0]


async def test_its_models_take_stop_orders_prevented_orders_and_the_price_range(world: World) -> None:
    rest = a_client(world).rest_api
    stop = await asked(
        rest.new_order,
        symbol="BTCUSDT",
        side="SELL",
        type="STOP_LOSS_LIMIT",
        time_in_force="GTC",
        quantity=0.01,
        price=49400.0,
        stop_price=49500.0,
        new_order_resp_type="FULL",
    )
    assert (stop.status, stop.working_time) == ("NEW", -1)
    (waiting,) = await asked(rest.get_open_orders, symbol="BTCUSDT")
    assert (waiting.type, waiting.stop_price, waiting.is_working) == ("STOP_LOSS_LIMIT", "49500.00000000", False)
    prices = {"symbol": "BTCUSDT", "type": "LIMIT", "time_in_force": "GTC", "price": 50000.5}
    await asked(rest.new_order, side="SELL", quantity=0.03, **prices)
    taker = await asked(
        rest.new_order, side="BUY", quantity=0.02, self_trade_prevention_mode="DECREMENT", strategy_id=7, **prices
    )
    prevented = await asked(rest.get_order, symbol="BTCUSDT", order_id=taker.order_id)
    assert (prevented.status, prevented.prevented_quantity) == ("EXPIRED_IN_MATCH", "0.02000000")
    assert (prevented.strategy_id, prevented.prevented_match_id > 0) == (7, True)
    await world.control("market", symbol="BTCUSDT", price_range={"bidLimitMultUp": "1.0001"})
    (rule,) = (await asked(rest.execution_rules, symbol="BTCUSDT")).symbol_rules[0].rules
    assert (rule.rule_type, rule.bid_limit_mult_up) == ("PRICE_RANGE", "1.00010000")


async def test_it_places_fills_in_part_cancels_and_finds_its_orders_again(world: World) -> None:
    rest = a_client(world).rest_api
    order = await asked(
        rest.new_order,
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity=1.5,
        price=50001.0,
        new_client_order_id="sdk-1",
    )
    assert (order.status, order.executed_qty) == ("PARTIALLY_FILLED", "1.00000000")
    assert order.fills[0].commission_asset == "BTC"
    assert [row.client_order_id for row in await asked(rest.get_open_orders, symbol="BTCUSDT")] == ["sdk-1"]
    amended = await asked(rest.order_amend_keep_priority, symbol="BTCUSDT", new_qty=1.2, orig_client_order_id="sdk-1")
    assert amended.amended_order.qty == "1.20000000"
    cancelled = await asked(rest.delete_order, symbol="BTCUSDT", order_id=order.order_id)
    assert (cancelled.status, cancelled.executed_qty) == ("CANCELED", "1.00000000")
    assert (await asked(rest.get_order, symbol="BTCUSDT", order_id=order.order_id)).status == "CANCELED"
    assert [row.order_id for row in await asked(rest.all_orders, symbol="BTCUSDT")] == [order.order_id]
    assert [row.qty for row in await asked(rest.my_trades, symbol="BTCUSDT")] == ["1.00000000"]
    with pytest.raises(Exception, match="Unknown order sent"):
        await asked(rest.delete_order, symbol="BTCUSDT", order_id=order.order_id)
    with pytest.raises(Exception, match="PRICE_FILTER"):
        await asked(
            rest.new_order,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=0.01,
            price=49000.001,
        )


async def test_it_trades_and_listens_over_the_websocket_api(world: World) -> None:
    async with connected(world) as connection:
        heard = Listener()
        stream = (await connection.user_data_stream_subscribe_signature()).stream
        stream.on("message", heard)
        placed = (
            await connection.order_place(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                time_in_force="GTC",
                quantity=1.5,
                price=50001.0,
                new_client_order_id="ws-1",
            )
        ).data()
        assert placed.result.status == "PARTIALLY_FILLED"
        fill = await heard.next(x="TRADE")
        assert (fill.c, fill.X, fill.l) == ("ws-1", "PARTIALLY_FILLED", "1.00000000")
        status = (await connection.order_status(symbol="BTCUSDT", order_id=placed.result.order_id)).data()
        assert status.result.executed_qty == "1.00000000"
        cancelled = (await connection.order_cancel(symbol="BTCUSDT", orig_client_order_id="ws-1")).data()
        assert cancelled.result.status == "CANCELED"
        assert (await heard.next(x="CANCELED")).C == "ws-1"
        assert (await heard.next(u=cancelled.result.transact_time)).B[0].a == "USDT"
        balances = (await connection.account_status()).data().result.balances
        assert {row.asset: row.free for row in balances}["BTC"] == "10.99900000"
        assert (await connection.session_subscriptions()).data().result[0].subscription_id == 0
        await stream.unsubscribe()


async def test_after_its_connection_is_closed_it_connects_and_is_told_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with connected(world) as connection:
        for _ in range(2):
            heard = Listener()
            stream = (await connection.user_data_stream_subscribe_signature()).stream
            stream.on("message", heard)
            await connection.order_place(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01)
            assert (await heard.next(x="TRADE")).X == "FILLED"
            closed = asyncio.Event()
            connection.on_connection("close", closed.set)
            await world.control("streams", action="close", which="user")
            await asyncio.wait_for(closed.wait(), 5)
            await connection.create_connection()
    assert len((await world.truth())["trades"]) == 2


async def test_its_market_streams_tell_the_market(world: World) -> None:
    connection = await a_client(world).websocket_streams.create_connection()
    try:
        ticker, depth = Listener(), Listener()
        (await connection.book_ticker(symbol="btcusdt")).on("message", ticker)
        (await connection.diff_book_depth(symbol="btcusdt", update_speed="100ms")).on("message", depth)
        await world.book(bids=[["49999.00", "1"]])
        assert (await ticker.next(b="49999.00000000")).s == "BTCUSDT"
        assert ["49999.00000000", "1.00000000"] in (await depth.next(e="depthUpdate")).b
    finally:
        await connection.close_connection()
