"""The user-data stream: what it tells, how it notices that it is dead, and how it comes back.

Real sockets on loopback, so these tests wait in real time, for moments.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.binance.links import SessionFailed
from adapters.binance.queries import Queries
from adapters.binance.signing import signer_of
from adapters.binance.user_stream import UserStream, _UserSession
from messages.ids import child_id
from messages.order import (
    Acknowledged,
    BalancesSeen,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderReport,
    ProbeStream,
    QueryOpenOrders,
    QueryOrder,
    StreamCut,
    StreamOpened,
    StreamProbed,
)
from tests.adapters.binance.conftest import MakeVenue, settings_for
from tests.adapters.binance.stub import Say, Stub, a_placed, a_queried, a_report, now_ms, until
from tests.adapters.binance.test_request_table import a_connection
from tests.adapters.binance.test_venue_orders import CHILD, an_order, connected
from tests.probe import Probe
from tests.slowness import at_most

SUBSCRIBE = "userDataStream.subscribe.signature"
PROBE = "session.subscriptions"


def opened(make_venue: MakeVenue, stream: Probe, **settings: Any) -> Any:
    venue = make_venue(**settings)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    connected(venue)
    return venue


def resting(params: dict[str, Any]) -> dict[str, Any]:
    return a_placed(params, status="NEW", executedQty="0", cummulativeQuoteQty="0", fills=[])


def test_nobody_is_subscribed_until_somebody_listens(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    venue = make_venue()
    connected(venue)
    assert not stub.asked_for(SUBSCRIBE)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened)
    (asked,) = stub.asked_for(SUBSCRIBE)
    assert asked.signature_ok
    assert "recvWindow" in asked.params


def test_reports_and_balances_are_told_in_their_order(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    opened(make_venue, stream)
    stub.push_user(a_report())
    stub.push_user({"e": "outboundAccountPosition", "B": [{"a": "BTC", "f": "1", "l": "0"}]})
    stub.push_user({"e": "balanceUpdate", "a": "BTC", "d": "1"})
    stub.push_user(a_report(t=502, I=78))
    report = stream.expect(OrderReport)
    assert report.trade is not None
    assert report.trade.trade_id == 501
    stream.expect(BalancesSeen)
    assert stream.expect(OrderReport).report_id == 78


def balances(moment: int, *rows: tuple[str, str]) -> dict[str, Any]:
    return {"e": "outboundAccountPosition", "u": moment, "B": [{"a": a, "f": free, "l": "0"} for a, free in rows]}


def test_balances_that_come_behind_newer_ones_of_an_overlapping_connection_change_nothing(
    stub: Stub, make_venue: MakeVenue, stream: Probe
) -> None:
    opened(make_venue, stream)
    now = now_ms()
    stub.push_user(balances(now + 2, ("BTC", "3"), ("USDT", "30")))
    stub.push_user(balances(now, ("BTC", "2"), ("BNB", "1")))
    stub.push_user(balances(now, ("BTC", "2")))
    stub.push_user(balances(now + 2, ("BTC", "4")))
    stub.push_user(balances(now - 3_600_000, ("BTC", "5")))  # The exchange's clock was set: that is not late.
    told = [[(asset, str(free)) for asset, free, _ in stream.expect(BalancesSeen).balances] for _ in range(4)]
    assert told == [[("BTC", "3"), ("USDT", "30")], [("BNB", "1")], [("BTC", "4")], [("BTC", "5")]]


def test_a_second_listener_takes_the_place_of_the_first(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    venue = opened(make_venue, stream)
    second = Probe(venue._runtime, "second")
    venue.tell(OpenUserStream(listener=second.ref))
    second.expect(StreamOpened)
    stub.push_user(a_report())
    second.expect(OrderReport)
    stream.expect_none(within=0.05)


def test_a_dropped_connection_is_a_cut_and_then_an_opening(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    venue = opened(make_venue, stream)
    for _ in range(3):
        before = venue._runtime.now()
        stub.cut(stub.user_sockets)
        cut = stream.expect(StreamCut)
        assert before - 5 < cut.since <= venue._runtime.now()
        stream.expect(StreamOpened)
    stub.push_user(a_report())
    stream.expect(OrderReport)


def test_a_subscription_that_is_refused_is_tried_again(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    answers = [Say(status=400, code=-1022, message="no"), Say(body="nonsense"), Say(drop=True), Say(silent=True)]

    def answer(_: object) -> Say:
        return answers.pop(0) if answers else Say(body={"subscriptionId": 0})

    stub.handlers[SUBSCRIBE] = answer
    venue = make_venue(connect_seconds=0.1)
    venue.tell(OpenUserStream(listener=stream.ref))
    stream.expect(StreamOpened, within=3.0)
    assert not answers


def test_a_connection_that_is_subscribed_already_will_do(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    stub.handlers[SUBSCRIBE] = lambda _: Say(status=400, code=-2035, message="already")
    opened(make_venue, stream)


@pytest.mark.parametrize(
    "dead",
    [Say(body=[]), Say(body=[{"subscriptionId": 7}]), Say(silent=True), Say(status=400, code=-1000), Say(body="?")],
    ids=["no subscription", "another one", "no answer", "an error", "nonsense"],
)
def test_a_probe_that_finds_the_subscription_dead_is_a_cut(
    stub: Stub, make_venue: MakeVenue, stream: Probe, dead: Say
) -> None:
    opened(make_venue, stream, probe_seconds=0.1)
    stub.wait_for(PROBE)
    answers = [dead]
    stub.handlers[PROBE] = lambda _: answers.pop() if answers else [{"subscriptionId": 0}]
    stream.expect(StreamCut)
    stream.expect(StreamOpened)
    until(lambda: len(stub.user_sockets) == 1)


def test_a_stream_that_is_found_dead_again_and_again_is_made_anew_ever_more_seldom(
    stub: Stub, make_venue: MakeVenue, stream: Probe
) -> None:
    stub.handlers[PROBE] = lambda _: []
    opened(make_venue, stream, probe_seconds=0.02, retry_first_seconds=0.2, retry_most_seconds=30.0)
    time.sleep(1.5)  # Real time: with a new one at each probe they would be fifty; Binance allows one a second.
    assert 3 <= len(stub.asked_for(SUBSCRIBE)) <= 6


def test_a_wish_for_a_proof_is_answered_behind_the_events_or_not_at_all(
    stub: Stub, make_venue: MakeVenue, stream: Probe
) -> None:
    venue = opened(make_venue, stream)
    stub.push_user(a_report())
    venue.tell(ProbeStream(probe=7))
    stream.expect(OrderReport)
    stream.expect(StreamProbed(probe=7))
    answers: list[object] = [[]]
    stub.handlers[PROBE] = lambda _: answers.pop() if answers else [{"subscriptionId": 0}]
    venue.tell(ProbeStream(probe=8))
    stream.expect(StreamCut)
    venue.tell(ProbeStream(probe=9))  # Nobody can prove anything of a stream that is cut.
    stream.expect(StreamOpened)
    stream.expect_none(within=0.05)


def test_an_idle_stream_is_probed_seldom_and_one_with_open_orders_often(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["order.place"] = resting
    venue = opened(make_venue, stream, probe_open_seconds=0.05, report_seconds=5.0)
    time.sleep(0.2)
    assert not stub.asked_for(PROBE)
    venue.tell(an_order(listener.ref, time_in_force="GTC"))
    listener.expect(Acknowledged)
    stub.wait_for(PROBE, 2)
    stub.push_user(a_report(x="EXPIRED", X="EXPIRED", t=-1))
    stream.expect(OrderReport)
    time.sleep(0.1)
    count = len(stub.asked_for(PROBE))
    time.sleep(0.2)
    assert len(stub.asked_for(PROBE)) == count


def test_an_order_found_open_makes_probes_frequent_after_a_restart(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["GET /api/v3/openOrders"] = lambda _: [a_queried()]
    venue = opened(make_venue, stream, probe_open_seconds=0.05)
    venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
    assert listener.expect(OpenOrdersFound).orders[0].client_order_id == CHILD
    stub.wait_for(PROBE, 2)


def test_a_silently_dead_stream_is_noticed_within_three_seconds_by_default_settings(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["order.place"] = resting
    venue = opened(
        make_venue, stream, probe_open_seconds=1.0, probe_answer_seconds=1.0, report_seconds=10.0
    )  # The real defaults, so this waits for seconds.
    venue.tell(an_order(listener.ref, time_in_force="GTC"))
    listener.expect(Acknowledged)
    stub.handlers[PROBE] = lambda _: Say(silent=True)
    with at_most(2.5):
        stream.expect(StreamCut, within=30.0)
        stream.expect(StreamOpened, within=30.0)


def test_a_taken_order_that_is_not_reported_is_a_cut_though_probes_are_answered(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = opened(make_venue, stream, report_seconds=0.1)
    sent_at = venue._runtime.now()
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)
    cut = stream.expect(StreamCut)
    assert cut.since <= sent_at + 0.1
    stream.expect(StreamOpened)


def after_opening(stub: Stub, **changes: Any) -> list[dict[str, Any]]:
    """Answer for an order that has changed since the stream was opened."""
    return [a_queried(updateTime=now_ms() + 1000, **changes)]


def test_what_only_a_query_tells_of_an_order_is_a_cut_though_probes_are_answered(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["GET /api/v3/openOrders"] = lambda _: after_opening(stub)
    venue = opened(make_venue, stream, report_seconds=0.1)
    stub.push_user(a_report(x="NEW", X="NEW", z="0.00000000", t=-1))
    stream.expect(OrderReport)
    venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
    stream.expect(StreamCut, within=3.0)
    stream.expect(StreamOpened)


def test_what_a_query_tells_before_the_stream_does_is_waited_for(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["GET /api/v3/openOrders"] = lambda _: after_opening(stub)
    venue = opened(make_venue, stream, report_seconds=-0.8)  # The change is dated a second ahead.
    venue.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=listener.ref))
    listener.expect(OpenOrdersFound)
    stub.push_user(a_report(x="NEW", X="NEW", z="0.00000000", t=-1))
    stub.push_user(a_report())
    stream.expect(OrderReport)
    stream.expect(OrderReport)
    stream.expect_none(within=0.4)


def test_a_fill_that_only_a_query_tells_of_is_a_cut_though_an_earlier_report_came_meanwhile(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["order.place"] = resting
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(
        updateTime=now_ms() + 1000, status="FILLED", executedQty="0.02"
    )
    venue = opened(make_venue, stream, report_seconds=0.3)
    venue.tell(an_order(listener.ref, time_in_force="GTC"))
    listener.expect(Acknowledged)
    venue.tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
    listener.expect(OrderFound)
    stub.push_user(a_report(x="NEW", X="NEW", z="0.00000000", t=-1))  # The fill itself gets lost.
    stream.expect(OrderReport)
    stream.expect(StreamCut)
    stream.expect(StreamOpened)


def a_stream(stub: Stub, pool: Pool) -> UserStream:
    """One without connections."""
    settings = settings_for(stub)
    queries = Queries(settings, signer=signer_of("paper-secret", None), runtime=pool)
    queries.clock._zero = float(now_ms())
    return UserStream(
        settings,
        runtime=pool,
        signer=signer_of("paper-secret", None),
        clock=queries.clock,
        limits=queries.limits,
        orders_open=lambda: False,
        on_report=lambda _: None,
    )


@pytest.mark.parametrize("goodbye", [True, False])
def test_a_connection_that_was_replaced_and_ends_without_a_goodbye_may_have_had_more_to_say(
    stub: Stub, pool: Pool, stream: Probe, *, goodbye: bool
) -> None:
    told = a_stream(stub, pool)

    async def main() -> None:
        told.listen(stream.ref)
        sessions = []
        for _ in range(2):
            session = _UserSession(told, told._api(a_connection(goodbye=goodbye)))
            opening = asyncio.create_task(session.open())
            await asyncio.sleep(0)
            session.take(b'{"id":1,"status":200,"result":{"subscriptionId":0}}')
            await opening
            sessions.append(session)
        sessions[0].end("closed with 1000")
        if goodbye:
            sessions[1].end(None)

    asyncio.run(main())
    stream.expect(StreamOpened)
    if goodbye:
        stream.expect_none(within=0.05)
    else:
        stream.expect(StreamCut)
        stream.expect(StreamOpened)


def test_a_subscription_that_ends_as_it_begins_is_not_taken_for_one(stub: Stub, pool: Pool) -> None:
    stream = a_stream(stub, pool)

    async def main() -> None:
        session = _UserSession(stream, stream._api(a_connection()))
        opening = asyncio.create_task(session.open())
        await asyncio.sleep(0)
        session.take(b'{"id":1,"status":200,"result":{"subscriptionId":0}}')
        session.take(b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}')
        with pytest.raises(SessionFailed, match="was ended"):
            await opening

    asyncio.run(main())


def test_what_happened_before_the_stream_was_opened_is_not_expected_of_it(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["GET /api/v3/order"] = lambda _: a_queried(updateTime=now_ms() - 5000)
    venue = opened(make_venue, stream, report_seconds=0.05)
    venue.tell(QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=listener.ref))
    listener.expect(OrderFound)
    stream.expect_none(within=0.2)


def test_a_report_before_or_after_the_reply_keeps_the_stream(
    stub: Stub, make_venue: MakeVenue, stream: Probe, listener: Probe
) -> None:
    stub.handlers["order.place"] = a_placed
    venue = opened(make_venue, stream, report_seconds=0.15)
    stub.push_user(a_report())
    stream.expect(OrderReport)
    venue.tell(an_order(listener.ref))
    listener.expect(Acknowledged)
    second = child_id("p", "abcdefghij234", 1, 0)
    stub.handlers["order.place"] = lambda params: a_placed(params, orderId=29)
    venue.tell(an_order(listener.ref, client_order_id=second))
    listener.expect(Acknowledged)
    stub.push_user(a_report(c=second, i=29))
    stream.expect(OrderReport)
    stream.expect_none(within=0.3)


@pytest.mark.parametrize(
    ("event", "subscription", "is_cut"),
    [({"e": "serverShutdown", "E": 1}, None, False), ({"e": "eventStreamTerminated", "E": 1}, 0, True)],
)
def test_a_stream_that_is_told_to_end_is_replaced_by_a_new_connection(
    stub: Stub, make_venue: MakeVenue, stream: Probe, event: dict[str, Any], subscription: int | None, is_cut: bool
) -> None:
    opened(make_venue, stream)
    stub.push_user(event, subscription)
    if is_cut:
        stream.expect(StreamCut)
        stream.expect(StreamOpened)
    stub.wait_for(SUBSCRIBE, 2)
    until(lambda: len(stub.user_sockets) == 1)
    stub.push_user(a_report())
    stream.expect(OrderReport)


def test_a_planned_swap_overlaps_and_loses_nothing(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    opened(make_venue, stream, swap_seconds=0.15)
    for number in range(40):
        stub.push_user(a_report(t=600 + number, I=600 + number))
        time.sleep(0.01)
    told = stream.messages()
    reports = [message for message in told if isinstance(message, OrderReport)]
    assert sorted({report.report_id for report in reports}) == list(range(600, 640))
    assert len(stub.asked_for(SUBSCRIBE)) >= 3
    assert not [message for message in told if isinstance(message, StreamCut)]


def test_an_unreadable_report_is_a_gap(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    opened(make_venue, stream)
    stub.push_user({"e": "executionReport", "s": "BTCUSDT"})
    stream.expect(StreamCut)
    stream.expect(StreamOpened)


def test_an_event_that_nobody_knows_is_said_once_and_hides_none_that_follows(
    stub: Stub, make_venue: MakeVenue, stream: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tidegate.binance")
    opened(make_venue, stream)
    for kind in ("brandNew", "brandNew", "balanceUpdate", "brandNew"):
        stub.push_user({"e": kind, "E": 1, "a": {"b": [1]}})
    stub.push_user(a_report())
    assert stream.expect(OrderReport).order.client_order_id == CHILD
    said = [record.getMessage() for record in caplog.records if "brandNew" in record.getMessage()]
    assert len(said) == 1
    assert "balanceUpdate" not in caplog.text


@pytest.mark.parametrize("frame", ["nonsense", '{"subscriptionId": {}, "event": 7}', "[]"])
def test_an_unreadable_frame_may_have_been_an_event_and_is_a_gap(
    stub: Stub, make_venue: MakeVenue, stream: Probe, frame: str
) -> None:
    opened(make_venue, stream)
    stub.call(stub._send(stub.user_sockets, frame))
    stream.expect(StreamCut)
    stream.expect(StreamOpened)


def test_an_event_on_which_our_own_code_fails_is_a_gap(
    stub: Stub, make_venue: MakeVenue, stream: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    venue = opened(make_venue, stream)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    venue._stream._on_report = fail
    stub.push_user(a_report())
    stream.expect(StreamCut)
    stream.expect(StreamOpened)
    assert "ZeroDivisionError" in caplog.text


def test_a_probe_on_which_our_own_code_fails_is_a_cut(stub: Stub, make_venue: MakeVenue, stream: Probe) -> None:
    venue = opened(make_venue, stream, probe_seconds=0.05)

    async def fail(_: float) -> bool:
        raise ZeroDivisionError

    venue._stream._relied.still_subscribed = fail
    stream.expect(StreamCut)
    stream.expect(StreamOpened)


def test_a_handshake_that_is_refused_for_a_limit_is_not_tried_again_before_its_time(
    stub: Stub, make_venue: MakeVenue, stream: Probe
) -> None:
    stub.refuse_handshakes = Say(status=429, headers={"Retry-After": "30"})
    venue = make_venue()
    venue.tell(OpenUserStream(listener=stream.ref))
    until(lambda: stub.handshakes)
    time.sleep(0.3)
    assert len(stub.handshakes) <= 2  # One for orders, one for the stream.
