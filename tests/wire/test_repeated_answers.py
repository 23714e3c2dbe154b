"""A connection that says an answer twice must not have it taken for the answer to the next question."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.binance.venue import BinanceVenue
from messages.ids import child_id
from messages.order import (
    Acknowledged,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OrderReply,
    OutcomeUnknown,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    Refused,
    SendOrder,
)
from messages.signal import Side
from tests.adapters.binance.worlds import ASKS, BIDS, OverTheWire, served, settings_of
from tests.chaos_proxy import Plan, ProxyThread, Trouble, proxied

pytestmark = pytest.mark.wire

ORDER, OPEN = b"GET /api/v3/order?", b"GET /api/v3/openOrders?"


class Ear:
    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[QueryAnswer | OrderReply] = queue.SimpleQueue()

    def tell(self, message: QueryAnswer | OrderReply, /) -> None:
        self.heard.put(message)

    def next(self) -> QueryAnswer | OrderReply:
        return self.heard.get(timeout=5)


@contextmanager
def behind_a_proxy(*plans: Plan) -> Iterator[tuple[OverTheWire, ProxyThread, Ear]]:
    with Pool(1) as pool, served() as (server, loop), proxied(int(server.url.rpartition(":")[2]), *plans) as proxy:
        settings = settings_of(server, rest_url=f"http://127.0.0.1:{proxy.proxy.port}", query_seconds=2.0)
        with BinanceVenue(pool, settings) as venue:
            world = OverTheWire(pool, server, loop, venue)
            world.set_book(BIDS, ASKS)
            yield world, proxy, Ear()


def rest_at_the_exchange(world: OverTheWire, name: str, symbol: str = "BTCUSDT") -> None:
    params = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "90"}
    more = {"newClientOrderId": name, "recvWindow": "5000", "timestamp": str(world.venue_ms())}
    desk: Any = world.server.exchange
    world.call(lambda: desk.place({**params, **more}, world.venue_ms() * 1000))


@pytest.mark.parametrize("trouble", [Trouble.TWICE, Trouble.TWICE_LATER])
def test_the_second_copy_of_an_answer_is_not_taken_for_another_orders(trouble: Trouble) -> None:
    with behind_a_proxy(Plan(trouble=trouble, mark=ORDER)) as (world, _, ear):
        rest_at_the_exchange(world, "there")
        world.tell(QueryOrder(symbol="BTCUSDT", client_order_id="there", reply_to=ear))
        assert isinstance(ear.next(), OrderFound | QueryFailed)
        time.sleep(0.3)  # The copy arrives on a connection that nobody uses.
        for _ in range(3):
            world.tell(QueryOrder(symbol="BTCUSDT", client_order_id="elsewhere", reply_to=ear))
            assert isinstance(ear.next(), OrderNotFound)


@pytest.mark.parametrize("trouble", [Trouble.TWICE, Trouble.TWICE_LATER])
def test_the_second_copy_of_an_empty_list_hides_no_order(trouble: Trouble) -> None:
    with behind_a_proxy(Plan(trouble=trouble, mark=OPEN)) as (world, _, ear):
        world.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=ear))
        ear.next()
        time.sleep(0.3)
        rest_at_the_exchange(world, "there")
        world.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=ear))
        answer = ear.next()
        assert isinstance(answer, OpenOrdersFound)
        assert [order.client_order_id for order in answer.orders] == ["there"]


def an_order(world: OverTheWire, name: str, quantity: str, ear: Ear) -> SendOrder:
    return SendOrder(
        client_order_id=name,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=Decimal(quantity),
        limit_price=Decimal("101.00"),
        request_timestamp=world.venue_ms(),
        recv_window=5000,
        reply_to=ear,
    )


@pytest.mark.parametrize("trouble", [Trouble.TWICE, Trouble.TWICE_LATER])
def test_the_second_copy_of_a_refusal_refuses_no_other_order(trouble: Trouble) -> None:
    with behind_a_proxy(Plan(trouble=trouble, mark=b"POST /api/v3/order ")) as (world, _, ear):
        world.stop_orders_socket()
        time.sleep(0.3)
        world.tell(an_order(world, child_id("p", "abcdefghij234", 0, 0), "0.00000001", ear))
        assert isinstance(ear.next(), Refused | OutcomeUnknown)
        time.sleep(0.3)
        world.tell(an_order(world, child_id("p", "abcdefghij234", 1, 0), "0.5", ear))
        assert isinstance(ear.next(), Acknowledged)
