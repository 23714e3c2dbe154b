"""Orders and cancels: which path they take, what comes back, and that it is one message each.

Real sockets on loopback, so these tests wait in real time, for moments.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.binance.venue import BinanceVenue
from adapters.binance.ws_api import ApiSession
from messages.ids import cancel_id, child_id
from messages.market import WatchMarket
from messages.order import (
    Acknowledged,
    CancelAcknowledged,
    CancelFailed,
    LateRefusal,
    LimitsSeen,
    NotSent,
    OpenUserStream,
    OrderReport,
    OrderStatus,
    OutcomeUnknown,
    QueryBalances,
    QueryFailed,
    Refused,
    ReportLimits,
    SendCancel,
    SendOrder,
    StreamOpened,
    VenueAlarm,
)
from messages.signal import Side
from tests.adapters.binance.conftest import MakeVenue, settings_for
from tests.adapters.binance.stub import Params, Say, Stub, a_cancelled, a_placed, now_ms, until
from tests.probe import Probe
from tests.slowness import at_most

CHILD = child_id("p", "abcdefghij234", 0, 0)


def an_order(reply_to: Any, **changes: Any) -> SendOrder:
    order = SendOrder(
        client_order_id=CHILD,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=Decimal("0.02"),
        limit_price=Decimal(50_000),
        request_timestamp=now_ms(),
        recv_window=5_000,
        reply_to=reply_to,
    )
    return replace(order, **changes)


def a_cancel(reply_to: Any, **changes: Any) -> SendCancel:
    cancel = SendCancel(
        symbol="BTCUSDT",
        client_order_id=CHILD,
        order_id=None,
        cancel_id=cancel_id(CHILD, 0),
        reply_to=reply_to,
    )
    return replace(cancel, **changes)


def connected(venue: BinanceVenue) -> None:
    until(lambda: hasattr(venue, "_ws") and venue._ws.connected)


def test_an_order_goes_over_the_websocket_api_with_its_own_timestamp_and_window(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = make_venue()
    connected(venue)
    order = an_order(listener.ref)
    venue.tell(order)
    reply = listener.expect(Acknowledged)
    asked = stub.asked_for("order.place")
    assert len(asked) == 1
    assert asked[0].signature_ok
    params: dict[str, Any] = dict(asked[0].params)
    assert params["timestamp"] == order.request_timestamp
    assert params["recvWindow"] == 5_000
    assert params["quantity"] == "0.02"
    assert params["price"] == "50000"
    assert params["newOrderRespType"] == "FULL"
    assert reply.order.status is OrderStatus.FILLED
    assert [trade.trade_id for trade in reply.trades] == [501, 502]
    assert reply.trades[0].commission == Decimal("0.00001")
    listener.expect_none(within=0.05)


def test_without_a_socket_an_order_goes_over_rest(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.refuse_handshakes = Say(status=503)
    stub.handlers["POST /api/v3/order"] = a_placed
    order = an_order(listener.ref)
    make_venue().tell(order)
    listener.expect(Acknowledged)
    (asked,) = stub.asked_for("POST /api/v3/order")
    assert asked.signature_ok
    assert asked.params["timestamp"] == str(order.request_timestamp)
    assert asked.params["recvWindow"] == "5000"
    assert asked.headers["X-MBX-APIKEY"] == "paper-key"


def test_an_order_whose_socket_drops_is_unknown_at_once_and_never_sent_again(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = lambda _: Say(drop=True)
    stub.handlers["POST /api/v3/order"] = a_placed
    venue = make_venue(order_seconds=10.0)
    connected(venue)
    with at_most(1.0):
        venue.tell(an_order(listener.ref))
        assert listener.expect(OutcomeUnknown).client_order_id == CHILD
    listener.expect_none(within=0.1)
    assert len(stub.asked_for("order.place")) == 1
    assert not stub.asked_for("POST /api/v3/order")


def test_an_order_that_nobody_answers_is_unknown_after_its_deadline(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = lambda _: Say(silent=True)
    venue = make_venue(order_seconds=0.1)
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    assert not stub.asked_for("POST /api/v3/order")


def test_a_late_reply_is_told_to_the_stream_trade_by_trade(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    stub.handlers["order.place"] = lambda params: Say(body=a_placed(params), after=0.2)
    venue = make_venue(order_seconds=0.1)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    reports = [stream.expect(OrderReport), stream.expect(OrderReport)]
    assert [report.trade.trade_id for report in reports if report.trade] == [501, 502]
    assert all(report.order.client_order_id == CHILD for report in reports)
    assert all(report.order.status is OrderStatus.FILLED for report in reports)
    listener.expect_none(within=0.05)


def test_a_socket_on_which_an_answer_did_not_come_is_replaced_but_still_heard(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    stub.handlers["order.place"] = lambda params: Say(body=a_placed(params), after=0.4)
    venue = make_venue(order_seconds=0.1)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    count = len(stub.handshakes)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    until(lambda: len(stub.handshakes) == count + 1)
    stream.expect(OrderReport)
    until(lambda: len(stub.api_sockets) == count)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    assert len(stub.handshakes) == count + 1  # Not one for each.


def test_a_late_refusal_is_told_too(stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe) -> None:
    stub.handlers["order.place"] = lambda _: Say(status=400, code=-2010, message="no", after=0.15)
    venue = make_venue(order_seconds=0.05)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    stream.expect(LateRefusal(client_order_id=CHILD, code=-2010, message="no"))
    stub.handlers["order.place"] = lambda _: Say(status=503, code=-1007, message="no", after=0.15)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    stream.expect_none(within=0.2)  # That one says nothing.
    stub.handlers["order.place"] = a_placed
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)


def test_neither_rest_nor_socket_means_not_sent(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue(rest_url="http://127.0.0.1:9", ws_api_url="ws://127.0.0.1:9/ws-api/v3")
    venue.tell(an_order(listener.ref))
    listener.expect(NotSent)
    venue.tell(a_cancel(listener.ref))
    assert listener.expect(CancelFailed).code is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Say(drop=True), OutcomeUnknown),
        (Say(status=503, text="<html>busy</html>"), OutcomeUnknown),
        (Say(status=503, code=-1007, message="Timeout"), OutcomeUnknown),
        (Say(text="<html>hello</html>"), OutcomeUnknown),
        (Say(body={"orderId": "x"}), OutcomeUnknown),
        (Say(status=302, headers={"Location": "/elsewhere"}, text=""), OutcomeUnknown),
        (Say(status=400, code=-2010, message="Account has insufficient balance"), Refused),
        (Say(status=403, text="<html>WAF</html>"), Refused),
        (Say(silent=True), OutcomeUnknown),
    ],
)
def test_an_order_over_rest_ends_as_its_answer_says(
    stub: Stub, make_venue: MakeVenue, listener: Probe, told: Say, expected: type
) -> None:
    stub.refuse_handshakes = Say(status=503)
    stub.handlers["POST /api/v3/order"] = lambda _: told
    make_venue(order_seconds=0.5).tell(an_order(listener.ref))
    listener.expect(expected)
    assert len(stub.asked_for("POST /api/v3/order")) == 1
    assert not stub.asked_for("POST /elsewhere")
    assert not stub.asked_for("GET /elsewhere")


def test_a_reply_about_another_order_is_not_believed(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.place"] = lambda params: a_placed(params, clientOrderId="another")
    venue = make_venue()
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)


def test_an_order_whose_window_has_passed_is_not_sent(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    venue = make_venue()
    connected(venue)
    until(lambda: len(stub.asked_for("GET /api/v3/time")) >= 2)
    time.sleep(0.05)
    venue.tell(an_order(listener.ref, request_timestamp=now_ms() - 60_000))
    listener.expect(NotSent)
    assert not stub.asked_for("order.place")


def test_an_order_whose_window_passes_while_it_waits_for_the_socket_does_not_go_over_rest_instead(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["POST /api/v3/order"] = a_placed
    venue = make_venue(order_seconds=0.4)
    connected(venue)
    until(lambda: len(stub.asked_for("GET /api/v3/time")) >= 2)
    session = venue._ws._keeper.current
    assert session is not None
    venue._loop.call(lambda: _take_turn(session))
    venue.tell(an_order(listener.ref, request_timestamp=now_ms(), recv_window=200))
    assert isinstance(listener.expect(object), NotSent)
    assert not stub.asked_for("POST /api/v3/order")


def _take_turn(session: ApiSession) -> None:
    """Let nothing be sent on a connection: somebody else has its turn and does not give it back."""
    with pytest.raises(StopIteration):  # It is free, and so taken at once.
        session._turn.acquire().send(None)


def test_a_market_order_carries_neither_price_nor_time_in_force(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = make_venue()
    connected(venue)
    venue.tell(an_order(listener.ref, order_type="MARKET", time_in_force=None, limit_price=None))
    listener.expect(Acknowledged)
    params = stub.asked_for("order.place")[0].params
    assert "price" not in params
    assert "timeInForce" not in params


def test_a_null_id_error_and_nonsense_do_not_stop_the_reading(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = make_venue()
    connected(venue)
    for text in (
        '{"id":null,"status":401,"error":{"code":-2015,"msg":"revoked"}}',
        "not json",
        '{"id":99,"status":400}',
    ):
        stub.push_text(stub.api_sockets, text)
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)


def test_a_server_that_is_about_to_stop_is_left_for_a_new_connection(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = make_venue()
    connected(venue)
    stub.push_text(stub.api_sockets, '{"event":{"e":"serverShutdown","E":1}}')
    until(lambda: len(stub.handshakes) == 2)
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)


def test_a_connection_that_is_replaced_stays_until_its_requests_are_answered(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = lambda params: Say(body=a_placed(params), after=0.2)
    venue = make_venue()
    connected(venue)
    venue.tell(an_order(listener.ref))
    stub.wait_for("order.place")
    stub.push_text(stub.api_sockets, '{"event":{"e":"serverShutdown","E":1}}')
    until(lambda: len(stub.handshakes) == 2)
    listener.expect(Acknowledged)
    until(lambda: len(stub.api_sockets) == 1)


def test_a_dropped_socket_is_made_again_and_again(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.place"] = a_placed
    venue = make_venue()
    for _ in range(3):
        until(lambda: stub.api_sockets)
        connected(venue)
        stub.cut(stub.api_sockets)
        until(lambda: not stub.api_sockets and not venue._ws.connected)
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)


def test_late_answers_that_cannot_be_read_are_left_out(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    stub.handlers["order.place"] = lambda _: Say(body={"orderId": "x"}, after=0.15)
    stub.handlers["order.cancel"] = lambda _: Say(body={"orderId": "x"}, after=0.15)
    stub.handlers["DELETE /api/v3/order"] = lambda _: Say(status=400, code=-2011, message="Unknown order sent.")
    venue = make_venue(order_seconds=0.05, cancel_seconds=0.05)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    venue.tell(an_order(listener.ref))
    listener.expect(OutcomeUnknown)
    connected(venue)
    venue.tell(a_cancel(listener.ref))
    listener.expect(CancelFailed)
    stub.handlers["order.cancel"] = lambda _: Say(status=400, code=-2011, message="Unknown order sent.", after=0.15)
    venue.tell(a_cancel(listener.ref))
    listener.expect(CancelFailed)
    stream.expect_none(within=0.3)


def test_a_part_that_ends_by_itself_is_a_failure_that_is_seen(stub: Stub, make_venue: MakeVenue, pool: Pool) -> None:
    async def ends() -> None:
        raise ValueError("no")

    venue = make_venue()
    heard: list[str] = []
    venue._on_broken = heard.append
    connected(venue)

    def start() -> None:
        task = asyncio.get_running_loop().create_task(ends())
        task.add_done_callback(venue._note_end)

    venue._loop.call(start)
    until(lambda: pool.failures)
    (failure,) = pool.claim_failures()
    assert isinstance(failure.error, ValueError)
    until(lambda: heard)
    assert heard == ["a part of the venue's adapter failed: ValueError: no"]


def test_a_connection_that_lasted_is_made_again_at_once(stub: Stub, make_venue: MakeVenue) -> None:
    venue = make_venue(settled_seconds=0.0, retry_first_seconds=30.0, retry_most_seconds=30.0)
    for number in range(1, 4):
        until(lambda number=number: len(stub.handshakes) == number)  # type: ignore[misc]
        connected(venue)
        stub.cut(stub.api_sockets)
    until(lambda: len(stub.handshakes) == 4)


# Cancels ------------------------------------------------------------------------------------------


def test_a_cancel_says_what_had_been_filled(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.cancel"] = a_cancelled
    venue = make_venue()
    connected(venue)
    venue.tell(a_cancel(listener.ref))
    reply = listener.expect(CancelAcknowledged)
    assert reply.order.client_order_id == CHILD
    assert reply.order.executed_quantity == Decimal("0.01")
    assert reply.order.status is OrderStatus.CANCELED
    (asked,) = stub.asked_for("order.cancel")
    assert asked.signature_ok
    assert asked.params["origClientOrderId"] == CHILD


def test_a_known_order_is_cancelled_by_its_number(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.cancel"] = lambda params: a_cancelled(params, origClientOrderId=CHILD)
    venue = make_venue()
    connected(venue)
    venue.tell(a_cancel(listener.ref, order_id=28))
    listener.expect(CancelAcknowledged)
    assert stub.asked_for("order.cancel")[0].params["orderId"] == 28
    assert "origClientOrderId" not in stub.asked_for("order.cancel")[0].params


def test_a_cancel_of_which_nothing_is_known_is_repeated_over_rest(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.cancel"] = lambda _: Say(drop=True)
    stub.handlers["DELETE /api/v3/order"] = lambda _: Say(status=400, code=-2011, message="Unknown order sent.")
    venue = make_venue()
    connected(venue)
    venue.tell(a_cancel(listener.ref))
    assert listener.expect(CancelFailed).code == -2011
    assert len(stub.asked_for("DELETE /api/v3/order")) == 1
    listener.expect_none(within=0.05)


def test_a_cancel_over_rest_is_sent_once_though_its_connection_drops(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.refuse_handshakes = Say(status=503)
    stub.handlers["DELETE /api/v3/order"] = lambda _: Say(drop=True)
    venue = make_venue()
    until(lambda: len(stub.asked_for("GET /api/v3/time")) >= 2)  # A kept-alive connection is there.
    venue.tell(a_cancel(listener.ref))
    assert listener.expect(CancelFailed).code is None
    assert len(stub.asked_for("DELETE /api/v3/order")) == 1


def test_a_late_cancel_reply_is_told_to_the_stream(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    stub.handlers["order.cancel"] = lambda params: Say(body=a_cancelled(params), after=0.2)
    stub.handlers["DELETE /api/v3/order"] = lambda _: Say(status=400, code=-2011, message="Unknown order sent.")
    venue = make_venue(cancel_seconds=0.1)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    venue.tell(a_cancel(listener.ref))
    listener.expect(CancelFailed)
    assert stream.expect(OrderReport).order.status is OrderStatus.CANCELED


# Limits -------------------------------------------------------------------------------------------


def test_inside_a_retry_after_nothing_is_sent(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    until_ms = now_ms() + 60_000
    stub.handlers["order.place"] = lambda _: Say(
        status=429, code=-1003, message="Too much request weight used", data={"retryAfter": until_ms}
    )
    venue = make_venue()
    venue.tell(ReportLimits(listener=stream.ref))
    connected(venue)
    venue.tell(an_order(listener.ref))
    refused = listener.expect(Refused)
    assert refused.code == -1003
    assert refused.until is not None
    assert abs(refused.until.timestamp() * 1000 - until_ms) < 1000
    seen = stream.fish_for(lambda message: message.retry_at is not None)
    assert isinstance(seen, LimitsSeen)
    assert not seen.banned
    count = len(stub.asked)
    venue.tell(an_order(listener.ref))
    assert listener.expect(Refused).until == refused.until
    venue.tell(a_cancel(listener.ref))
    assert listener.expect(CancelFailed).until == refused.until
    query = QueryBalances(reply_to=listener.ref)
    venue.tell(query)
    assert listener.expect(QueryFailed).until == refused.until
    assert len(stub.asked) == count


@pytest.mark.parametrize("ahead_ms", [-20_000, 45_000])
def test_until_when_is_said_on_the_venues_clock_and_kept_on_ours(
    stub: Stub, make_venue: MakeVenue, listener: Probe, ahead_ms: int
) -> None:
    stub.handlers["GET /api/v3/time"] = lambda _: {"serverTime": now_ms() + ahead_ms}
    stub.handlers["order.place"] = lambda _: Say(
        status=429, code=-1003, message="Too much", data={"retryAfter": now_ms() + ahead_ms + 30_000}
    )
    venue = make_venue()
    connected(venue)
    until(lambda: venue._clock.known)
    venue.tell(an_order(listener.ref, request_timestamp=now_ms() + ahead_ms))
    refused = listener.expect(Refused)
    assert refused.until is not None
    assert abs(refused.until.timestamp() * 1000 - now_ms() - 30_000) < 5_000


@pytest.mark.parametrize(("status", "alarm"), [(403, True), (418, False), (429, False)])
def test_a_refused_handshake_holds_back_requests_too(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe, status: int, alarm: bool
) -> None:
    stub.refuse_handshakes = Say(status=status, headers={"Retry-After": "30"})
    venue = make_venue()
    venue.tell(ReportLimits(listener=stream.ref))
    if alarm:
        stream.fish_for(lambda word: isinstance(word, VenueAlarm) and word.code == status)
    else:
        stream.fish_for(lambda word: isinstance(word, LimitsSeen) and word.retry_at is not None)
    venue.tell(an_order(listener.ref))
    assert listener.expect(Refused).until is not None
    assert {one.what for one in stub.asked} <= {"GET /api/v3/time"}, "which may have been on its way"


def test_in_a_ban_not_even_the_clock_is_asked_for(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.place"] = lambda _: Say(
        status=418, code=-1003, message="banned", data={"retryAfter": now_ms() + 60_000}
    )
    venue = make_venue(time_refresh_seconds=0.02)
    connected(venue)
    until(lambda: len(stub.asked_for("GET /api/v3/time")) > 10)
    venue.tell(an_order(listener.ref))
    assert listener.expect(Refused).until is not None
    time.sleep(0.05)  # Real time: what was on its way has arrived.
    count = len(stub.asked)
    time.sleep(0.3)  # Real time: fifteen times as long as the clock usually waits.
    assert len(stub.asked) == count


def test_a_ban_of_an_earlier_life_holds_from_the_first_moment(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    venue = make_venue(quiet_until=datetime.now(UTC) + timedelta(seconds=60))
    venue.tell(an_order(listener.ref))
    assert isinstance(listener.fish_for(lambda _: True), Refused | NotSent)
    query = QueryBalances(reply_to=listener.ref)
    venue.tell(query)
    assert listener.expect(QueryFailed).until is not None
    time.sleep(0.2)  # Real time: in which the clock and both sockets would have been heard of.
    assert stub.asked == []
    assert stub.handshakes == []


def test_a_ban_is_said_to_be_one(stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe) -> None:
    stub.refuse_handshakes = Say(status=503)
    stub.handlers["POST /api/v3/order"] = lambda _: Say(
        status=418, code=-1003, message="banned", headers={"Retry-After": "120"}
    )
    venue = make_venue()
    venue.tell(ReportLimits(listener=stream.ref))
    venue.tell(an_order(listener.ref))
    listener.expect(Refused)
    assert stream.fish_for(lambda message: message.retry_at is not None).banned


def test_too_many_orders_hold_back_orders_alone(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    stub.handlers["order.place"] = lambda _: Say(status=429, code=-1015, message="Too many new orders")
    stub.handlers["order.cancel"] = a_cancelled
    venue = make_venue()
    connected(venue)
    venue.tell(an_order(listener.ref))
    until = listener.expect(Refused).until
    venue.tell(an_order(listener.ref))
    held = listener.expect(Refused)
    assert (held.code, held.until) == (-1015, until), "what is held back here is refused for the same reason"
    assert until is not None
    assert len(stub.asked_for("order.place")) == 1
    venue.tell(a_cancel(listener.ref))
    listener.expect(CancelAcknowledged)


def test_counts_of_orders_and_weight_are_told_as_the_venue_tells_them(
    stub: Stub, make_venue: MakeVenue, listener: Probe, stream: Probe
) -> None:
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 7},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 160_000, "count": 70},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 321},
    ]
    stub.handlers["order.place"] = lambda params: Say(body=a_placed(params), rate_limits=limits)
    stub.handlers["GET /api/v3/account"] = lambda _: Say(
        body={"balances": []}, headers={"X-MBX-USED-WEIGHT-1M": "341", "X-MBX-ORDER-COUNT-10S": "6"}
    )
    venue = make_venue()
    venue.tell(ReportLimits(listener=stream.ref))
    connected(venue)
    venue.tell(an_order(listener.ref))
    expected = LimitsSeen(used_weight=321, weight_limit=6000, order_counts=((10, 7, 50), (86_400, 70, 160_000)))
    stream.fish_for(lambda message: message == expected)
    venue.tell(QueryBalances(reply_to=listener.ref))
    expected = LimitsSeen(used_weight=341, weight_limit=6000, order_counts=((10, 6, 50),))
    stream.fish_for(lambda message: message == expected)


# The end ------------------------------------------------------------------------------------------


def test_closing_answers_everything_that_is_owed_within_two_seconds(
    stub: Stub, make_venue: MakeVenue, listener: Probe
) -> None:
    stub.handlers["order.place"] = lambda _: Say(silent=True)
    stub.handlers["order.cancel"] = lambda _: Say(silent=True)
    stub.handlers["GET /api/v3/account"] = lambda _: Say(silent=True)
    venue = make_venue()
    connected(venue)
    venue.tell(an_order(listener.ref))
    venue.tell(a_cancel(listener.ref))
    venue.tell(QueryBalances(reply_to=listener.ref))
    stub.wait_for("GET /api/v3/account")
    stub.wait_for("order.place")
    stub.wait_for("order.cancel")
    with at_most(2.5):
        venue.close()
    kinds = {type(message) for message in (listener.expect(object), listener.expect(object), listener.expect(object))}
    assert kinds == {OutcomeUnknown, CancelFailed, QueryFailed}
    venue.tell(an_order(listener.ref))
    listener.expect(NotSent)
    listener.expect_none(within=0.05)


def test_each_of_many_orders_at_once_gets_its_own_answer(stub: Stub, make_venue: MakeVenue, listener: Probe) -> None:
    def sometimes(params: Params) -> object:
        number = int(params["newClientOrderId"].rsplit("-", 1)[1], 36)
        return [a_placed(params), Say(status=400, code=-2010, message="no"), Say(status=504, code=-1007)][number % 3]

    stub.handlers["order.place"] = sometimes
    venue = make_venue()
    connected(venue)
    names = [child_id("p", "abcdefghij234", 0, number) for number in range(90)]
    for name in names:
        venue.tell(an_order(listener.ref, client_order_id=name))
    replies = [listener.expect(object) for _ in names]
    assert sorted(reply.client_order_id for reply in replies) == sorted(names)  # type: ignore[attr-defined]
    assert sum(isinstance(reply, Acknowledged) for reply in replies) == 30
    assert sum(isinstance(reply, Refused) for reply in replies) == 30
    assert sum(isinstance(reply, OutcomeUnknown) for reply in replies) == 30
    listener.expect_none(within=0.05)


def test_an_orderly_end_is_nothing_to_warn_of(
    stub: Stub, pool: Pool, listener: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    with BinanceVenue(pool, settings_for(stub)) as venue:
        venue.tell(OpenUserStream(listener=listener.ref))
        venue.tell(WatchMarket(symbol="BTCUSDT", listener=listener.ref, hot=True))
        listener.fish_for(lambda message: isinstance(message, StreamOpened))
        until(lambda: venue._market._relied is not None)
        connected(venue)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
