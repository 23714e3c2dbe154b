from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.runtime import EPOCH, Pool, Simulation
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.faults import Fault, FaultKind, FaultPlan
from adapters.paper.limits import LimitSettings
from adapters.paper.liquidity.scripted import ScriptedMarket
from adapters.paper.rules import built_in
from adapters.paper.venue import LatencySettings, PaperVenue, VenueLink
from messages.ids import from_milliseconds, microseconds, milliseconds
from messages.market import MarketGap, QuoteSeen, WatchMarket
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    CancelFailed,
    LimitsSeen,
    NotSent,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderNotFound,
    OrderReport,
    OrderStatus,
    OutcomeUnknown,
    ProbeStream,
    QueryAllOrders,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    Refused,
    ReportLimits,
    RulesFound,
    SendCancel,
    SendOrder,
    StreamOpened,
    StreamProbed,
    TimeFound,
    TradesFound,
)
from messages.signal import Side
from tests.probe import Probe

AT_ONCE = LatencySettings(order_in_ms=0, ack_out_ms=0, user_stream_ms=0, market_data_ms=0)
START = microseconds(EPOCH)


@dataclass
class Venue:
    """A venue on a book set by hand, and a client at the other end of the link."""

    simulation: Simulation
    latency: LatencySettings = AT_ONCE
    faults: FaultPlan = field(default_factory=FaultPlan)
    settings: PaperSettings = field(default_factory=PaperSettings)

    def __post_init__(self) -> None:
        specs = built_in()
        self.markets = {symbol: ScriptedMarket(spec.step) for symbol, spec in specs.items()}
        self.market = self.markets["BTCUSDT"]
        self.market.set_levels([("100.00", "1"), ("99.00", "2")], [("101.00", "1"), ("102.00", "2")])
        now = microseconds(self.simulation.wall_time())
        self.exchange = PaperExchange(self.settings, now=now, markets=self.markets)
        with self.simulation.node("exchange"):
            self.ref: pykka.ActorRef[Any] = PaperVenue.start(
                self.exchange,
                latency=self.latency,
                chance=self.simulation.stream("latency"),
                faults=self.faults,
            )
        self.link = VenueLink(self.simulation, self.ref, latency=self.latency, chance=self.simulation.stream("latency"))
        self.replies, self.stream, self.quotes = (
            Probe(self.simulation, name) for name in ("replies", "stream", "quotes")
        )

    def order(self, **changes: Any) -> SendOrder:
        fields: dict[str, Any] = {
            "client_order_id": "a",
            "symbol": "BTCUSDT",
            "side": Side.BUY,
            "order_type": "LIMIT",
            "time_in_force": "IOC",
            "quantity": Decimal(1),
            "limit_price": Decimal("101.00"),
            "request_timestamp": milliseconds(self.simulation.wall_time()),
            "recv_window": 2000,
            "reply_to": self.replies.ref,
        }
        return SendOrder(**{**fields, **changes})

    def resting(self, **changes: Any) -> SendOrder:
        fields: dict[str, Any] = {"time_in_force": "GTC", "limit_price": Decimal("100.50")}
        return self.order(**{**fields, **changes})

    def send(self, **changes: Any) -> None:
        self.link.tell(self.order(**changes))

    def rest(self, **changes: Any) -> None:
        self.link.tell(self.resting(**changes))

    def open_stream(self) -> None:
        self.link.tell(OpenUserStream(listener=self.stream.ref))
        self.stream.expect(StreamOpened)

    def watch(self, *, hot: bool, symbol: str = "BTCUSDT") -> None:
        self.link.tell(WatchMarket(symbol=symbol, hot=hot, listener=self.quotes.ref))


@pytest.fixture
def venue(simulation: Simulation) -> Venue:
    return Venue(simulation)


def levels(*pairs: tuple[int, int]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in pairs]


# Orders -------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_is_acknowledged_with_its_trades(venue: Venue) -> None:
    venue.send(quantity=Decimal(2), limit_price=Decimal("102.00"))
    reply = venue.replies.expect(Acknowledged)
    assert reply.order.status is OrderStatus.FILLED
    assert (reply.order.executed_quantity, reply.order.executed_quote) == (Decimal(2), Decimal(203))
    assert [(trade.price, trade.quantity) for trade in reply.trades] == levels((101, 1), (102, 1))
    assert reply.trades[0].commission == Decimal("0.001")
    assert reply.trades[0].time == reply.order.time == milliseconds(EPOCH)
    venue.replies.expect_none(within=60)


def test_a_market_order_is_sent_without_price_and_time_in_force(venue: Venue) -> None:
    venue.send(order_type="MARKET", limit_price=None, time_in_force=None)
    assert venue.replies.expect(Acknowledged).order.order_type == "MARKET"


def test_an_order_that_is_refused_says_why(venue: Venue) -> None:
    venue.send(quantity=Decimal("0.000001"))
    assert venue.replies.expect(Refused) == Refused(client_order_id="a", code=-1013, message="Filter failure: LOT_SIZE")


def test_a_refusal_for_a_limit_says_until_when(simulation: Simulation) -> None:
    venue = Venue(simulation, settings=PaperSettings(limits=LimitSettings(orders_per_10_seconds=1)))
    venue.link.tell(ReportLimits(listener=venue.stream.ref))
    venue.send()
    venue.replies.expect(Acknowledged)
    assert venue.stream.expect(LimitsSeen).order_counts[0] == (10, 0, 1)  # Its first fill gave it back.
    venue.rest(client_order_id="b")
    venue.replies.expect(Acknowledged)
    venue.stream.expect(LimitsSeen)
    venue.send(client_order_id="c")
    refused = venue.replies.expect(Refused)
    assert (refused.code, refused.until) == (-1015, EPOCH + timedelta(seconds=10))
    seen = venue.stream.expect(LimitsSeen)
    assert (seen.retry_at, seen.banned, seen.weight_limit) == (refused.until, False, 6000)
    assert seen.order_counts[0] == (10, 1, 1)


def test_an_order_that_was_too_long_under_way_is_refused(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=replace(AT_ONCE, order_in_ms=3000, sigma=0.0))
    venue.send()
    refused = venue.replies.expect(Refused, within=5)
    assert refused.code == -1021


# Cancels ------------------------------------------------------------------------------------------


def cancel(venue: Venue, **changes: Any) -> SendCancel:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "client_order_id": "a",
        "order_id": None,
        "cancel_id": "a_c0",
        "reply_to": venue.replies.ref,
    }
    return SendCancel(**{**fields, **changes})


@pytest.mark.parametrize("order_id", [None, 1])
def test_a_cancel_says_finally_what_was_filled_before(venue: Venue, order_id: int | None) -> None:
    venue.open_stream()
    venue.rest()
    venue.replies.expect(Acknowledged)
    venue.market.trade(Side.SELL, "100.00", "0.25")
    venue.simulation.run(1)
    venue.link.tell(cancel(venue, order_id=order_id))
    reply = venue.replies.expect(CancelAcknowledged)
    assert (reply.order.status, reply.order.executed_quantity) == (OrderStatus.CANCELED, Decimal("0.25"))
    reports = [event for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert [(one.execution_type, one.order.client_order_id) for one in reports] == [
        ("NEW", "a"),
        ("TRADE", "a"),
        ("CANCELED", "a"),
    ]


def test_a_cancel_without_effect_carries_the_code(venue: Venue) -> None:
    venue.link.tell(cancel(venue))
    failed = venue.replies.expect(CancelFailed)
    assert (failed.code, failed.detail, failed.client_order_id) == (-2011, "Unknown order sent.", "a")


# Queries ------------------------------------------------------------------------------------------


def test_each_query_gets_its_answer(venue: Venue) -> None:
    to = venue.replies.ref
    venue.rest(client_order_id="r")
    venue.send(client_order_id="a")
    venue.replies.expect(Acknowledged)
    venue.replies.expect(Acknowledged)

    def ask(query: Any) -> Any:
        venue.link.tell(query)
        return venue.replies.expect(object)

    found = ask(QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=to))
    assert isinstance(found, OrderFound)
    assert found.order.executed_quantity == 1
    missing = ask(QueryOrder(symbol="BTCUSDT", client_order_id="z", reply_to=to))
    assert missing == OrderNotFound(symbol="BTCUSDT", client_order_id="z")
    opened = ask(QueryOpenOrders(symbol="BTCUSDT", reply_to=to))
    assert isinstance(opened, OpenOrdersFound)
    assert [order.client_order_id for order in opened.orders] == ["r"]
    everything = ask(QueryAllOrders(symbol="BTCUSDT", since=0, reply_to=to))
    assert isinstance(everything, AllOrdersFound)
    assert len(everything.orders) == 2
    traded = ask(QueryTrades(symbol="BTCUSDT", reply_to=to, from_id=1))
    assert isinstance(traded, TradesFound)
    assert (len(traded.trades), traded.from_id, traded.complete) == (1, 1, True)
    assert ask(QueryTrades(symbol="BTCUSDT", reply_to=to, order_id=1)).trades == ()
    balances = ask(QueryBalances(reply_to=to))
    assert isinstance(balances, BalancesFound)
    assert ("BNB", Decimal(20), Decimal(0)) in balances.balances
    rules = ask(QueryRules(symbols=("BTCUSDT", "NOSUCH"), reply_to=to))
    assert isinstance(rules, RulesFound)
    assert [one.symbol for one in rules.rules] == ["BTCUSDT"]
    assert ask(QueryRules(symbols=("NOSUCH",), reply_to=to)).rules == ()
    venue.replies.expect_none(within=60)


def test_a_query_that_fails_says_so_and_until_when(simulation: Simulation) -> None:
    venue = Venue(simulation, settings=PaperSettings(limits=LimitSettings(weight_per_minute=3)))
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    failed = venue.replies.expect(QueryFailed)
    assert (failed.query, failed.until) == (query, EPOCH + timedelta(minutes=1))
    assert "-1003" in failed.detail
    venue.link.tell(QueryOpenOrders(symbol="NOSUCH", reply_to=venue.replies.ref))
    venue.replies.expect(QueryFailed)


def test_all_orders_come_in_one_answer_however_many_pages_they_fill(venue: Venue) -> None:
    for number in range(1001):
        venue.exchange.place(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "IOC",
                "quantity": "0.1",
                "price": "90.00",
                "newClientOrderId": f"n{number}",
            },
            START + number * 10_000_000,
        )
    venue.exchange.drain()
    venue.simulation.run(10_010)
    venue.link.tell(QueryAllOrders(symbol="BTCUSDT", since=0, reply_to=venue.replies.ref))
    orders = venue.replies.expect(AllOrdersFound).orders
    assert [order.client_order_id for order in orders] == [f"n{number}" for number in range(1001)]


def test_the_clock_is_told_as_an_offset_to_the_askers(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=LatencySettings())
    venue.exchange.set_skew(1_270_000)
    with simulation.node("daemon"):
        venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == pytest.approx(1270, abs=1)
    simulation.node("daemon").step_clock(-5.0)
    with simulation.node("daemon"):
        venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == pytest.approx(6270, abs=1)
    venue.ref.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == 1270


def test_the_exchanges_clock_does_not_step_with_the_machines(simulation: Simulation) -> None:
    venue = Venue(simulation)
    simulation.step_clock(3600)
    venue.link.tell(QueryTime(reply_to=venue.replies.ref))
    assert venue.replies.expect(TimeFound).offset_milliseconds == -3_600_000


# The user stream ----------------------------------------------------------------------------------


def test_the_user_stream_opens_and_tells_everything_in_order(venue: Venue) -> None:
    venue.open_stream()
    venue.send(quantity=Decimal(2))
    told = venue.stream.fish_for(lambda event: isinstance(event, BalancesSeen))
    assert {asset for asset, _, _ in told.balances} == {"USDT", "BTC"}
    venue.rest(client_order_id="b")
    venue.simulation.run(0.05)
    venue.market.trade(Side.SELL, "100.00", "1")
    venue.simulation.run(1)
    reports = [event for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert [(one.execution_type, one.order.status) for one in reports] == [
        ("NEW", OrderStatus.NEW),
        ("TRADE", OrderStatus.FILLED),
    ]
    assert reports[1].trade is not None
    assert reports[1].trade.maker


def test_an_expiry_carries_its_reason(venue: Venue) -> None:
    venue.open_stream()
    venue.send(quantity=Decimal(2))
    last = venue.stream.fish_for(lambda event: isinstance(event, OrderReport) and event.execution_type == "EXPIRED")
    assert last.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert last.trade is None


def test_stream_events_keep_their_order_under_any_latency(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=LatencySettings(sigma=2.0))
    venue.open_stream()
    for number in range(20):
        venue.send(client_order_id=f"o{number}", quantity=Decimal("0.1"), recv_window=60000)
    simulation.run(60)
    ids = [event.report_id for event in venue.stream.messages() if isinstance(event, OrderReport)]
    assert ids == sorted(ids)
    assert len(ids) >= 40


@pytest.mark.seeds(default=1)
def test_the_reply_and_the_events_may_come_in_either_order(seed: int) -> None:
    first = set()
    with Simulation(seed) as simulation:
        venue = Venue(simulation, latency=LatencySettings())
        both = Probe(simulation, "both")
        venue.link.tell(OpenUserStream(listener=both.ref))
        both.expect(StreamOpened)
        for number in range(20):
            venue.send(client_order_id=f"o{number}", quantity=Decimal("0.05"), reply_to=both.ref, recv_window=60000)
            simulation.run(5)
            kinds = [type(message) for message in both.messages() if not isinstance(message, BalancesSeen)]
            first.add(kinds[0])
    assert first == {Acknowledged, OrderReport}


def test_a_new_listener_takes_the_place_of_the_old_one(venue: Venue) -> None:
    venue.open_stream()
    newer = Probe(venue.simulation, "newer")
    venue.link.tell(OpenUserStream(listener=newer.ref))
    newer.expect(StreamOpened)
    venue.send()
    newer.expect(OrderReport)
    assert venue.stream.messages() == []


def test_what_a_dead_client_had_asked_for_takes_nothing_from_the_one_that_lives(venue: Venue) -> None:
    venue.open_stream()
    venue.watch(hot=False)
    limits = Probe(venue.simulation, "limits")
    venue.link.tell(ReportLimits(listener=limits.ref))
    dead = Probe(venue.simulation, "dead")
    dead.ref.stop()
    for late in (
        OpenUserStream(listener=dead.ref),
        ReportLimits(listener=dead.ref),
        WatchMarket(symbol="BTCUSDT", hot=True, listener=dead.ref),
    ):
        venue.link.tell(late)
    venue.quotes.messages()
    venue.send()
    venue.stream.expect(OrderReport)
    limits.expect(LimitsSeen)
    venue.market.set_levels([("100.00", "3")], [("101.00", "3")])
    venue.quotes.expect(QuoteSeen, within=2.0)


# Market data --------------------------------------------------------------------------------------


def test_the_first_quote_comes_at_once_with_the_book(venue: Venue) -> None:
    venue.watch(hot=False)
    quote = venue.quotes.expect(QuoteSeen, within=0)
    assert [(quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity)] == levels((100, 1), (101, 1))
    assert list(quote.bids) == levels((100, 1), (99, 2))
    venue.quotes.expect_none(within=30)


@pytest.mark.parametrize(("hot", "wait"), [(True, 0.1), (False, 1.0)])
def test_a_change_is_told_at_the_next_look(venue: Venue, hot: bool, wait: float) -> None:
    venue.watch(hot=hot)
    venue.quotes.expect(QuoteSeen)
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.quotes.expect_none(within=wait * 0.95)
    assert venue.quotes.expect(QuoteSeen, within=wait * 0.1).bid_quantity == 3


def test_watching_again_changes_the_pace_without_a_second_stream(venue: Venue) -> None:
    venue.watch(hot=True)
    venue.watch(hot=False)
    venue.watch(hot=True)
    venue.watch(hot=False)
    venue.simulation.run(0.5)
    assert len(venue.quotes.messages()) == 4
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.simulation.run(5)
    assert len(venue.quotes.messages()) == 1


def test_own_orders_are_part_of_the_book_that_is_told(venue: Venue) -> None:
    venue.rest()
    venue.watch(hot=False)
    assert venue.quotes.expect(QuoteSeen).bid == Decimal("100.50")


def test_no_quote_is_told_while_a_side_is_empty(venue: Venue) -> None:
    venue.market.set_levels([], [("101.00", "1")])
    venue.watch(hot=True)
    venue.quotes.expect_none(within=5)
    venue.market.set_touch("100.00", "3", "101.00", "1")
    venue.quotes.expect(QuoteSeen)


def test_a_symbol_that_does_not_exist_stays_silent(venue: Venue) -> None:
    venue.watch(hot=True, symbol="NOSUCH")
    venue.quotes.expect_none(within=60)


def test_nothing_runs_while_nobody_watches_and_nothing_rests(venue: Venue) -> None:
    venue.send()
    venue.simulation.run()  # Would never end if a timer went on.
    venue.rest(client_order_id="b")
    venue.simulation.run(1)
    assert venue.simulation._timers
    venue.link.tell(cancel(venue, client_order_id="b"))
    venue.simulation.run()


def test_a_listener_that_has_stopped_is_told_nothing_more(venue: Venue) -> None:
    venue.watch(hot=True)
    venue.open_stream()
    venue.quotes.expect(QuoteSeen)
    venue.quotes.ref.stop()
    venue.stream.ref.stop()
    venue.send()
    venue.replies.expect(Acknowledged)
    venue.simulation.run()
    assert venue.ref.is_alive()
    assert venue.simulation.dead_letters


def test_quotes_follow_a_synthetic_market(simulation: Simulation) -> None:
    exchange = PaperExchange(now=microseconds(simulation.wall_time()))
    ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, latency=AT_ONCE, chance=simulation.stream("latency"))
    quotes = Probe(simulation, "quotes")
    ref.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=quotes.ref))
    simulation.run(10)
    seen = quotes.messages()
    assert 95 <= len(seen) <= 101
    assert all(quote.bid < quote.ask for quote in seen)
    assert len({quote.bid for quote in seen}) > 50
    assert all(10 <= len(quote.asks) <= 50 for quote in seen)


# Faults -------------------------------------------------------------------------------------------


def with_fault(simulation: Simulation, **fault: Any) -> Venue:
    plan = FaultPlan([Fault(**fault)], simulation.stream("faults"))
    return Venue(simulation, faults=plan)


def effects(venue: Venue) -> list[object]:
    received: Any = venue.exchange.truth()["received"]
    return [entry["effect"] for entry in received]


def test_a_lost_reply_executes_and_leaves_the_outcome_unknown(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.LOST_REPLY, nth=(1,))
    venue.open_stream()
    venue.send()
    venue.replies.expect_none(within=0.99)
    assert venue.replies.expect(OutcomeUnknown).client_order_id == "a"
    assert effects(venue) == ["accepted"]
    assert [type(event) for event in venue.stream.messages()] == [OrderReport, OrderReport, BalancesSeen]
    venue.send(client_order_id="b")
    venue.replies.expect(Acknowledged)


def test_a_lost_refusal_leaves_the_outcome_unknown_too(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.LOST_REPLY, nth=(1,))
    venue.send(quantity=Decimal("0.000001"))
    venue.replies.expect(OutcomeUnknown, within=2)
    venue.replies.expect_none(within=10)
    assert effects(venue) == ["refused"]


def test_a_dropped_request_has_no_effect_and_leaves_the_outcome_unknown(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.DROPPED_REQUEST, nth=(1,))
    venue.send()
    venue.replies.expect(OutcomeUnknown, within=2)
    assert effects(venue) == ["dropped"]
    assert venue.exchange.engine.orders == {}


def test_a_refusal_by_plan_says_what_the_plan_says(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.REFUSE, nth=(1,), code=-1008, message="Server is busy.")
    venue.send()
    assert venue.replies.expect(Refused) == Refused(client_order_id="a", code=-1008, message="Server is busy.")
    assert effects(venue) == ["refused"]


def test_an_event_may_be_lost_doubled_or_late(simulation: Simulation) -> None:
    def told(kind: FaultKind) -> list[str]:
        venue = with_fault(simulation, kind=kind, nth=(1,), milliseconds=5000)
        venue.open_stream()
        venue.send()
        simulation.run(10)
        return [
            event.execution_type if isinstance(event, OrderReport) else "balances" for event in venue.stream.messages()
        ]

    assert told(FaultKind.LOST_EVENT) == ["TRADE", "balances"]
    assert told(FaultKind.DUPLICATE_EVENT) == ["NEW", "NEW", "TRADE", "balances"]
    assert told(FaultKind.LATE_EVENT) == ["TRADE", "balances", "NEW"]


def test_an_order_may_stay_hidden_from_queries_while_it_is_young(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=3000)
    venue.send()
    venue.replies.expect(Acknowledged)
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    venue.replies.expect(OrderNotFound)
    simulation.run(3)
    venue.link.tell(query)
    venue.replies.expect(OrderFound)


def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown_at_once(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.GARBLED_REPLY, nth=(1,))
    venue.send()
    venue.replies.expect(OutcomeUnknown, within=0.1)
    assert effects(venue) == ["accepted"]


def test_an_order_may_be_executed_and_answered_with_an_error(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.ERROR_AFTER, nth=(1,), code=-1007, message="Timeout")
    venue.send()
    assert venue.replies.expect(Refused).code == -1007
    assert effects(venue) == ["accepted"]


def test_an_order_that_finds_no_connection_never_arrives(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.NOT_SENT, nth=(1,))
    venue.send()
    venue.replies.expect(NotSent)
    assert effects(venue) == []


@pytest.mark.parametrize(("code", "banned"), [(-1015, False), (418, True)])
def test_a_refusal_by_plan_may_say_until_when_and_tells_it_to_whom_limits_are_told(
    simulation: Simulation, code: int, *, banned: bool
) -> None:
    venue = with_fault(simulation, kind=FaultKind.REFUSE, nth=(1,), code=code, milliseconds=7000)
    venue.link.tell(ReportLimits(listener=venue.replies.ref))
    venue.send()
    seen, refused = venue.replies.expect(LimitsSeen), venue.replies.expect(Refused)
    assert seen.retry_at == refused.until == EPOCH + timedelta(seconds=7)
    assert seen.banned is banned


def test_a_stalled_stream_holds_everything_up_and_loses_nothing(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.STREAM_STALL, nth=(1,), milliseconds=5000)
    venue.open_stream()
    venue.send()
    venue.link.tell(ProbeStream(probe=1))
    venue.stream.expect_none(within=4.9)
    simulation.run(1)
    told = [type(event) for event in venue.stream.messages()]
    assert told == [OrderReport, OrderReport, BalancesSeen, StreamProbed]


def test_a_stale_answer_shows_a_young_order_as_it_came_in(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.STALE_ANSWER, probability=1.0, milliseconds=3000)
    venue.send()
    venue.replies.expect(Acknowledged)
    query = QueryOrder(symbol="BTCUSDT", client_order_id="a", reply_to=venue.replies.ref)
    venue.link.tell(query)
    young = venue.replies.expect(OrderFound).order
    assert young.status is OrderStatus.NEW
    assert not young.executed_quantity
    assert not young.executed_quote
    simulation.run(3)
    venue.link.tell(query)
    assert venue.replies.expect(OrderFound).order.status is OrderStatus.FILLED


def test_the_clock_may_not_be_told(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.FAILED_TIME, nth=(1,))
    query = QueryTime(reply_to=venue.replies.ref)
    venue.link.tell(query)
    assert venue.replies.expect(QueryFailed).query == query
    venue.link.tell(query)
    venue.replies.expect(TimeFound)


def test_a_cut_of_the_market_is_told_and_then_nothing_is_for_its_time(simulation: Simulation) -> None:
    venue = with_fault(simulation, kind=FaultKind.MARKET_CUT, nth=(3,), milliseconds=2000)
    venue.watch(hot=True)
    simulation.run(0.25)
    venue.quotes.messages()
    venue.market.set_touch("100.00", "7", "101.00", "1")
    told = []
    for _ in range(40):
        simulation.run(0.1)
        told += [(round(simulation.now(), 1), type(event)) for event in venue.quotes.messages()]
    assert MarketGap in [kind for _, kind in told] or told[0][0] >= 2.2
    assert [kind for at, kind in told if at < 2.1 and kind is QuoteSeen] == []
    assert QuoteSeen in [kind for _, kind in told]


def test_a_plan_that_is_over_strikes_no_more() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.LOST_EVENT, probability=1.0)], random.Random(1))
    assert plan.strike(FaultKind.LOST_EVENT)
    plan.end()
    assert plan.strike(FaultKind.LOST_EVENT) is None
    assert plan.struck == {FaultKind.LOST_EVENT: 1}


# Latency, crashes, real time ----------------------------------------------------------------------


def test_latencies_are_lognormal_about_their_median() -> None:
    settings, chance = LatencySettings(), random.Random(3)
    drawn = sorted(settings.draw(5.0, chance) for _ in range(4001))
    assert drawn[2000] == pytest.approx(0.005, rel=0.1)
    assert drawn[3960] == pytest.approx(0.060, rel=0.3)
    assert settings.draw(0.0, chance) == 0.0


def test_subscriptions_do_not_overtake_each_other(simulation: Simulation) -> None:
    venue = Venue(simulation, latency=replace(AT_ONCE, order_in_ms=50, sigma=1.5))
    for hot in itertools.islice(itertools.cycle([True, False]), 20):
        venue.watch(hot=hot)
    simulation.run(60)
    venue.quotes.messages()
    venue.market.set_touch("100.00", "7", "101.00", "1")
    venue.quotes.expect(QuoteSeen, within=1.0)
    venue.market.set_touch("100.00", "8", "101.00", "1")
    venue.quotes.expect_none(within=0.9)  # The last word was cold.


@pytest.mark.seeds(default=12)
def test_what_is_under_way_when_the_client_crashes_may_arrive_or_not_and_the_exchange_lives_on(seed: int) -> None:
    with Simulation(seed) as simulation:
        venue = Venue(simulation, latency=LatencySettings())
        daemon = simulation.node("daemon")
        with daemon:
            for number in range(5):
                venue.send(client_order_id=f"o{number}", quantity=Decimal("0.05"), recv_window=60_000)
        daemon.crash()
        simulation.run(30)
        assert 0 <= len(effects(venue)) <= 5
        assert venue.ref.is_alive()
        venue.send(client_order_id="after", quantity=Decimal("0.05"))
        venue.replies.fish_for(lambda reply: reply.client_order_id == "after", within=5)


def test_a_crash_loses_some_of_what_is_under_way_on_some_seed() -> None:
    arrived = set()
    for seed in range(6):
        with Simulation(seed) as simulation:
            venue = Venue(simulation, latency=LatencySettings())
            with simulation.node("daemon"):
                venue.send()
            simulation.node("daemon").crash()
            simulation.run(60)
            arrived.add(len(effects(venue)))
    assert arrived == {0, 1}


def _run(seed: int) -> list[object]:
    with Simulation(seed) as simulation:
        exchange = PaperExchange(now=microseconds(simulation.wall_time()))
        ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, chance=simulation.stream("latency"))
        probe = Probe(simulation)
        link = VenueLink(simulation, ref, latency=LatencySettings(), chance=simulation.stream("latency"))
        link.tell(OpenUserStream(listener=probe.ref))
        link.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=probe.ref))
        simulation.run(2)
        link.tell(
            SendOrder(
                client_order_id="a",
                symbol="BTCUSDT",
                side=Side.SELL,
                order_type="LIMIT",
                time_in_force="GTC",
                quantity=Decimal(3),
                limit_price=Decimal("65010.00"),
                request_timestamp=milliseconds(simulation.wall_time()),
                recv_window=2000,
                reply_to=probe.ref,
            )
        )
        simulation.run(20)
        return probe.messages()


def test_the_same_seed_gives_the_same_messages_at_the_same_moments() -> None:
    assert _run(1) == _run(1)
    assert _run(1) != _run(2)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2) as pool:
        yield pool


def test_it_serves_in_real_time_too(pool: Pool) -> None:
    exchange = PaperExchange(now=microseconds(pool.wall_time()))
    ref: pykka.ActorRef[Any] = PaperVenue.start(exchange, latency=AT_ONCE, chance=random.Random(1))
    probe = Probe(pool)
    link = VenueLink(pool, ref, latency=LatencySettings(), chance=random.Random(2))
    link.tell(WatchMarket(symbol="ETHUSDT", hot=False, listener=probe.ref))
    quote = probe.expect(QuoteSeen, within=5)
    link.tell(
        SendOrder(
            client_order_id="a",
            symbol="ETHUSDT",
            side=Side.BUY,
            order_type="LIMIT",
            time_in_force="IOC",
            quantity=Decimal("0.1"),
            limit_price=quote.ask + 10,
            request_timestamp=milliseconds(pool.wall_time()),
            recv_window=2000,
            reply_to=probe.ref,
        )
    )
    reply = probe.fish_for(lambda message: isinstance(message, Acknowledged), within=5)
    assert reply.order.status is OrderStatus.FILLED
    assert abs(from_milliseconds(reply.order.time) - pool.wall_time()) < timedelta(seconds=5)
