"""The adapter against the paper exchange's server: replies that are lost or late, and streams that die.

Real sockets on loopback, in real time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from adapters.paper.server.connection import Stall
from adapters.paper.server.control import StreamsOrder
from adapters.paper.server.faults import Fault, Plan, WireFault
from adapters.paper.server.market_socket import MarketSocket
from messages.market import QuoteSeen, WatchMarket
from messages.order import (
    CancelAcknowledged,
    CancelFailed,
    NotSent,
    OrderReport,
    OrderStatus,
    OutcomeUnknown,
    SendCancel,
    StreamCut,
    StreamOpened,
)
from messages.signal import Side
from tests.adapters.binance.stub import until
from tests.adapters.binance.worlds import OverTheWire, wired
from tests.slowness import at_most

pytestmark = pytest.mark.wire


@pytest.fixture
def world() -> Iterator[OverTheWire]:
    with wired(order_seconds=0.5, cancel_seconds=0.5) as world:
        yield world


def connected(world: OverTheWire) -> None:
    until(lambda: hasattr(world.venue, "_ws") and world.venue._ws.connected)


def plan(world: OverTheWire, *faults: Fault) -> None:
    world.call(lambda: world.server.desk.faults.set(Plan(faults=faults)))


def test_a_server_that_is_not_there_is_the_row_of_what_was_not_sent() -> None:
    with wired(rest_url="http://127.0.0.1:9", ws_api_url="ws://127.0.0.1:9/ws-api/v3") as world:
        world.tell(world.order())
        world.reply(NotSent)


def test_a_good_answer_is_the_row_of_what_was_taken(world: OverTheWire) -> None:
    world.place()


def test_an_order_that_was_done_but_not_answered_is_reported_by_the_stream(world: OverTheWire) -> None:
    world.listen()
    connected(world)
    plan(world, Fault(kind=WireFault.LOST_REPLY, on=("place",), nth=(1,)))
    order = world.order()
    world.tell(order)
    world.reply(OutcomeUnknown)
    report = world.stream.fish_for(
        lambda event: isinstance(event, OrderReport) and event.trade is not None, within=world.within
    )
    assert report.order.client_order_id == order.client_order_id


def test_a_late_answer_is_told_though_nobody_waits_for_it(world: OverTheWire) -> None:
    world.listen()
    connected(world)
    plan(
        world,
        Fault(kind=WireFault.LATE_REPLY, on=("place",), nth=(1,), milliseconds=700),
        Fault(kind=WireFault.LOST_EVENT, probability=1.0),
    )
    world.tell(world.order())
    world.reply(OutcomeUnknown)
    late = world.stream.fish_for(
        lambda event: isinstance(event, OrderReport) and event.execution_type == "LATE_REPLY", within=world.within
    )
    assert late.trade is not None
    assert late.order.status is OrderStatus.FILLED


def test_a_cancel_whose_answer_is_lost_is_asked_once_more_over_rest(world: OverTheWire) -> None:
    connected(world)
    resting = world.rest()
    plan(world, Fault(kind=WireFault.LOST_REPLY, on=("cancel",), via="ws", nth=(1,)))
    world.tell(world.cancel(resting))
    assert world.reply(CancelFailed).code == -2011  # The first one had done it.


def test_a_cancel_that_never_arrived_is_done_over_rest(world: OverTheWire) -> None:
    connected(world)
    resting = world.rest()
    plan(world, Fault(kind=WireFault.DROPPED_REQUEST, on=("cancel",), via="ws", nth=(1,)))
    cancel = world.cancel(resting)
    world.tell(cancel)
    reply = world.reply(CancelAcknowledged)
    assert isinstance(cancel, SendCancel)
    assert reply.cancel_id == cancel.cancel_id


@pytest.mark.parametrize(
    "death",
    [
        StreamsOrder(action="forget", which="user"),
        StreamsOrder(action="terminate", which="user"),
        StreamsOrder(action="cut", which="user"),
        StreamsOrder(action="close", which="user"),
        StreamsOrder(action="stall", which="user", what=Stall.EVERYTHING),
    ],
    ids=lambda order: f"{order.action}",
)
def test_a_stream_that_dies_while_an_order_rests_is_noticed_and_back_within_three_seconds(
    death: StreamsOrder,
) -> None:
    with wired() as world:  # Default settings.
        world.listen()
        world.rest()
        world.event(OrderReport)
        world.call(lambda: world.server.misbehave(death))
        with at_most(2.8):
            cut = world.stream.fish_for(lambda event: isinstance(event, StreamCut), within=30.0)
            assert cut.since <= world.runtime.now()
            world.stream.fish_for(lambda event: isinstance(event, StreamOpened), within=30.0)


def test_a_stream_that_keeps_its_events_to_itself_is_noticed_by_the_report_that_is_missing() -> None:
    with wired() as world:
        world.listen()
        world.call(lambda: world.server.misbehave(StreamsOrder(action="stall", which="user", what=Stall.EVENTS)))
        world.place()
        world.stream.fish_for(lambda event: isinstance(event, StreamCut), within=3.0)
        world.stream.fish_for(lambda event: isinstance(event, StreamOpened), within=3.0)


def test_an_hour_of_skew_does_not_stop_orders_once_the_clock_is_read() -> None:
    with wired() as world:
        world.call(lambda: world.server.exchange.set_skew(3600 * 1_000_000))
        world.venue._loop.call(world.venue._clock.hurry)
        until(lambda: world.venue._clock.known and world.venue._clock.offset_milliseconds() > 3_500_000, within=5.0)
        reply = world.place(request_timestamp=world.venue_ms() + 3_600_000 - 100, side=Side.SELL, limit_price=100)
        assert reply.order.status is OrderStatus.FILLED


def test_what_is_watched_may_change_all_the_time_and_the_market_stream_is_never_cut_off(world: OverTheWire) -> None:
    def watch(*, trades: bool) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT"):
            world.tell(WatchMarket(symbol=symbol, hot=True, listener=world.quotes.ref, trades=trades))

    watch(trades=False)
    world.quotes.expect(QuoteSeen, within=5.0)
    sockets: dict[MarketSocket, int] = {}
    began = time.monotonic()
    while (ran := time.monotonic() - began) < 2.0:  # Real time: the bound is of messages in a second.
        watch(trades=int(ran * 20) % 2 == 0)
        for socket in world.call(lambda: list(world.server._sockets)):
            sockets[socket] = max(sockets.get(socket, 0), len(socket._incoming))
        time.sleep(0.02)
    (most,) = sockets.values()
    assert 2 <= most <= 5
    assert world.call(lambda: [socket._closing for socket in world.server._sockets]) == [None]
