"""What every venue keeps to: the same tests for the one in this process and for the one over the wire.

A test module brings the fixture `world`, a `World`, and takes these tests in by
`from tests.venue_contract import *`. Each test begins with the same book of BTCUSDT: bids of 1 at
100 and 2 at 99, asks of 1 at 101 and 2 at 102, and with nothing traded.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from actors.runtime import Runtime
from messages.ids import cancel_id, child_id
from messages.market import QuoteSeen, WatchMarket
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesFound,
    BalancesSeen,
    CancelAcknowledged,
    CancelFailed,
    LimitsSeen,
    OpenOrdersFound,
    OpenUserStream,
    OrderFound,
    OrderNotFound,
    OrderReport,
    OrderStatus,
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
    Trade,
    TradesFound,
    VenueCommand,
)
from messages.signal import Side
from tests.probe import Probe

T = TypeVar("T")
D = Decimal

Levels = Iterable[tuple[str, str]]


class World(ABC):
    """A venue with a market that is set by hand, and the account's 10 BTC and 1,000,000 USDT.

    `within` is how long an answer may take, in seconds of the runtime.
    """

    runtime: Runtime
    within: float = 2.0

    def __init__(self) -> None:
        self._children = (child_id("p", "abcdefghij234", number, 0) for number in itertools.count())
        self.replies = Probe(self.runtime, "replies")
        self.stream = Probe(self.runtime, "stream")
        self.quotes = Probe(self.runtime, "quotes")

    @abstractmethod
    def tell(self, message: VenueCommand | WatchMarket) -> None:
        """Tell the venue."""

    @abstractmethod
    def set_book(self, bids: Levels, asks: Levels) -> None:
        """Put a book of BTCUSDT in place."""

    @abstractmethod
    def trade(self, taker: Side, price: str, quantity: str) -> None:
        """Let somebody else take."""

    @abstractmethod
    def amend(self, params: dict[str, str]) -> None:
        """Make an order smaller, by the exchange's own parameters, as somebody else who has the account."""

    @abstractmethod
    def venue_ms(self) -> int:
        """Say the venue's time, ms since 1970."""

    def order(self, **changes: Any) -> SendOrder:
        """An order to buy 0.5 BTC at 101 at once."""
        order = SendOrder(
            client_order_id=next(self._children),
            symbol="BTCUSDT",
            side=Side.BUY,
            order_type="LIMIT",
            time_in_force="IOC",
            quantity=D("0.5"),
            limit_price=D(101),
            request_timestamp=self.venue_ms(),
            recv_window=5_000,
            reply_to=self.replies.ref,
        )
        return replace(order, **changes)

    def place(self, **changes: Any) -> Acknowledged:
        """Place an order that is taken."""
        self.tell(self.order(**changes))
        return self.reply(Acknowledged)

    def rest(self, **changes: Any) -> Acknowledged:
        """Place an order to buy 0.5 BTC at 100.50 that rests."""
        return self.place(**{"time_in_force": "GTC", "limit_price": D("100.50"), **changes})

    def cancel(self, order: Acknowledged, **changes: Any) -> SendCancel:
        """Cancel an order by its number."""
        name = order.client_order_id
        cancel = SendCancel(
            symbol="BTCUSDT",
            client_order_id=name,
            order_id=order.order.order_id,
            cancel_id=cancel_id(name, 0),
            reply_to=self.replies.ref,
        )
        return replace(cancel, **changes)

    def reply(self, kind: type[T]) -> T:
        """Expect the next answer, and no other behind it."""
        answer = self.replies.expect(kind, within=self.within)
        self.replies.expect_none(within=0.01)
        return answer

    def listen(self) -> None:
        """Open the user stream."""
        self.tell(OpenUserStream(listener=self.stream.ref))
        self.stream.expect(StreamOpened, within=self.within)

    def event(self, kind: type[T]) -> T:
        """Expect the next event of the user stream."""
        return self.stream.expect(kind, within=self.within)

    def quote(self, bid: str | None = None) -> QuoteSeen:
        """Expect the next quote, or the next one with this bid."""
        if bid is None:
            return self.quotes.expect(QuoteSeen, within=self.within)
        found = self.quotes.fish_for(lambda seen: seen.bid == D(bid), within=self.within)
        assert isinstance(found, QuoteSeen)
        return found


def total(trades: Iterable[Trade]) -> Decimal:
    return sum((trade.quantity for trade in trades), D(0))


# Placing ------------------------------------------------------------------------------------------


def test_an_immediate_order_is_acknowledged_with_all_its_trades(world: World) -> None:
    reply = world.place(quantity=D("1.5"), limit_price=D(102))
    assert reply.order.status is OrderStatus.FILLED
    assert reply.order.executed_quantity == total(reply.trades) == D("1.5")
    assert reply.order.executed_quote == D(101) + D("0.5") * 102
    assert [(trade.price, trade.quantity, trade.maker) for trade in reply.trades] == [
        (D(101), D(1), False),
        (D(102), D("0.5"), False),
    ]
    assert [trade.commission for trade in reply.trades] == [D("0.001"), D("0.0005")]
    assert {trade.commission_asset for trade in reply.trades} == {"BTC"}
    assert {trade.order_id for trade in reply.trades} == {reply.order.order_id}
    assert len({trade.trade_id for trade in reply.trades}) == 2


def test_what_an_immediate_order_cannot_get_expires(world: World) -> None:
    reply = world.place(quantity=D(3))
    assert reply.order.status is OrderStatus.EXPIRED
    assert reply.order.executed_quantity == total(reply.trades) == 1


def test_reply_and_query_say_why_the_exchange_ended_an_order(world: World) -> None:
    reply = world.place(quantity=D(3))
    assert reply.order.expiry == "UNFILLED_IOC_QUANTITY_EXPIRED"
    name = reply.client_order_id
    world.tell(QueryOrder(symbol="BTCUSDT", client_order_id=name, reply_to=world.replies.ref))
    assert world.reply(OrderFound).order.expiry == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert world.rest().order.expiry is None


def test_a_fill_or_kill_that_cannot_be_filled_trades_nothing(world: World) -> None:
    reply = world.place(quantity=D(3), time_in_force="FOK")
    assert reply.order.status is OrderStatus.EXPIRED
    assert reply.trades == ()


def test_a_market_order_takes_through_the_book(world: World) -> None:
    reply = world.place(side=Side.SELL, order_type="MARKET", time_in_force=None, limit_price=None, quantity=D("1.5"))
    assert reply.order.status is OrderStatus.FILLED
    assert reply.order.executed_quote == 100 + D("0.5") * 99
    assert reply.order.price == 0
    assert {trade.commission_asset for trade in reply.trades} == {"USDT"}


def test_a_limit_order_rests_until_somebody_takes_it(world: World) -> None:
    world.listen()
    reply = world.rest()
    assert reply.order.status is OrderStatus.NEW
    assert reply.trades == ()
    assert world.event(OrderReport).execution_type == "NEW"
    world.event(BalancesSeen)
    world.trade(Side.SELL, "100.50", "0.2")
    report = world.event(OrderReport)
    assert report.order.status is OrderStatus.PARTIALLY_FILLED
    assert report.trade is not None
    assert (report.trade.maker, report.trade.price, report.trade.quantity) == (True, D("100.5"), D("0.2"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": D(10_000_000)}, -1013),
        ({"limit_price": D("101.001")}, -1013),
        ({"quantity": D("0.00001")}, -1013),
        ({"symbol": "NOSUCH"}, -1121),
        ({"side": Side.SELL, "quantity": D(11), "limit_price": D(100)}, -2010),
        ({"order_type": "LIMIT_MAKER", "time_in_force": None}, -2010),
    ],
    ids=["too much", "off the tick", "below the minimum", "unknown symbol", "no balance", "would take"],
)
def test_an_order_that_is_refused_says_why(world: World, change: dict[str, Any], code: int) -> None:
    order = world.order(**change)
    world.tell(order)
    refused = world.reply(Refused)
    assert (refused.client_order_id, refused.code) == (order.client_order_id, code)
    assert refused.message
    world.tell(QueryAllOrders(symbol="BTCUSDT", since=0, reply_to=world.replies.ref))
    assert world.reply(AllOrdersFound).orders == ()


def test_a_second_order_under_the_id_of_an_open_one_is_refused(world: World) -> None:
    first = world.rest()
    world.tell(world.order(client_order_id=first.client_order_id))
    refused = world.reply(Refused)
    assert (refused.code, refused.message) == (-2010, "Duplicate order sent.")


# Cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_number", [True, False], ids=["by number", "by name"])
def test_a_cancel_ends_an_order_and_says_what_it_had_traded(world: World, by_number: bool) -> None:
    resting = world.place(time_in_force="GTC", quantity=D("1.5"))
    assert resting.order.status is OrderStatus.PARTIALLY_FILLED
    cancel = world.cancel(resting) if by_number else world.cancel(resting, order_id=None)
    world.tell(cancel)
    reply = world.reply(CancelAcknowledged)
    assert reply.client_order_id == reply.order.client_order_id == resting.client_order_id
    assert reply.order.order_id == resting.order.order_id
    assert reply.order.status is OrderStatus.CANCELED
    assert reply.order.executed_quantity == 1


def test_a_cancel_of_what_is_not_open_fails_with_its_code(world: World) -> None:
    filled = world.place()
    for cancel in (world.cancel(filled), world.cancel(filled, order_id=None), world.cancel(filled, order_id=12345)):
        world.tell(cancel)
        failed = world.reply(CancelFailed)
        assert (failed.client_order_id, failed.code) == (filled.client_order_id, -2011)


# Asking -------------------------------------------------------------------------------------------


def test_an_unknown_order_is_not_found(world: World) -> None:
    name = child_id("p", "abcdefghij234", 999, 0)
    world.tell(QueryOrder(symbol="BTCUSDT", client_order_id=name, reply_to=world.replies.ref))
    assert world.reply(OrderNotFound) == OrderNotFound(symbol="BTCUSDT", client_order_id=name)


def test_open_orders_are_those_that_rest(world: World) -> None:
    resting, filled = world.rest(), world.place()
    world.tell(QueryOpenOrders(symbol="BTCUSDT", reply_to=world.replies.ref))
    assert [order.client_order_id for order in world.reply(OpenOrdersFound).orders] == [resting.client_order_id]
    for placed in (resting, filled):
        query = QueryOrder(symbol="BTCUSDT", client_order_id=placed.client_order_id, reply_to=world.replies.ref)
        world.tell(query)
        found = world.reply(OrderFound)
        assert replace(found.order, update_time=0) == replace(placed.order, update_time=0)
    world.tell(world.cancel(resting))
    world.reply(CancelAcknowledged)
    world.tell(QueryOrder(symbol="BTCUSDT", client_order_id=resting.client_order_id, reply_to=world.replies.ref))
    found = world.reply(OrderFound)
    assert found.order.client_order_id == resting.client_order_id
    assert found.order.status is OrderStatus.CANCELED


def test_an_order_that_somebody_has_renamed_is_found_and_cancelled_by_its_number(world: World) -> None:
    resting = world.rest()
    name, number = resting.client_order_id, resting.order.order_id
    amended = {"symbol": "BTCUSDT", "orderId": str(number), "newQty": "0.2", "newClientOrderId": "web_1"}
    world.amend({**amended, "timestamp": str(world.venue_ms())})
    world.tell(QueryOrder(symbol="BTCUSDT", client_order_id=name, order_id=number, reply_to=world.replies.ref))
    found = world.reply(OrderFound)
    assert found.client_order_id == name
    assert (found.order.order_id, found.order.quantity, found.order.status) == (number, D("0.2"), OrderStatus.NEW)
    world.tell(world.cancel(resting))
    cancelled = world.reply(CancelAcknowledged)
    assert (cancelled.client_order_id, cancelled.order.status) == (name, OrderStatus.CANCELED)


def test_all_orders_are_listed_from_a_moment_on_oldest_first(world: World) -> None:
    first, second = world.rest(), world.place()
    world.tell(world.cancel(first))
    world.reply(CancelAcknowledged)
    world.tell(QueryAllOrders(symbol="BTCUSDT", since=first.order.time, reply_to=world.replies.ref))
    found = world.reply(AllOrdersFound)
    assert found.since == first.order.time
    assert [order.client_order_id for order in found.orders] == [first.client_order_id, second.client_order_id]
    world.tell(QueryAllOrders(symbol="BTCUSDT", since=world.venue_ms() + 60_000, reply_to=world.replies.ref))
    assert world.reply(AllOrdersFound).orders == ()


def test_trades_are_found_by_order_by_number_and_by_time(world: World) -> None:
    first, second = world.place(quantity=D("0.2")), world.place(quantity=D("0.3"))
    (one,), (two,) = first.trades, second.trades

    def trades(**asked: int) -> tuple[Trade, ...]:
        world.tell(QueryTrades(symbol="BTCUSDT", reply_to=world.replies.ref, **asked))
        found = world.reply(TradesFound)
        assert found.complete
        assert (found.from_id, found.since, found.order_id) == tuple(
            asked.get(name) for name in ("from_id", "since", "order_id")
        )
        return found.trades

    assert trades(since=first.order.time - 1000) == (one, two)
    assert trades(from_id=two.trade_id) == (two,)
    assert trades(from_id=two.trade_id + 1) == ()
    assert trades(order_id=first.order.order_id) == (one,)


def test_balances_move_by_what_was_traded(world: World) -> None:
    def balances() -> dict[str, tuple[Decimal, Decimal]]:
        world.tell(QueryBalances(reply_to=world.replies.ref))
        return {asset: (free, locked) for asset, free, locked in world.reply(BalancesFound).balances}

    before = balances()
    assert before["BTC"] == (D(10), D(0))
    world.place()
    world.rest()
    after = balances()
    assert after["BTC"][0] == D("10.5") - D("0.0005")
    assert after["USDT"] == (D(1_000_000) - D("50.5") - D("50.25"), D("50.25"))


def test_rules_of_unknown_symbols_are_missing(world: World) -> None:
    world.tell(QueryRules(symbols=("BTCUSDT", "NOSUCH", "ETHUSDT"), reply_to=world.replies.ref))
    rules = world.reply(RulesFound).rules
    assert [one.symbol for one in rules] == ["BTCUSDT", "ETHUSDT"]
    assert (rules[0].base, rules[0].quote, rules[0].trading, rules[0].spot) == ("BTC", "USDT", True, True)
    assert rules[0].tick == D("0.01")
    assert rules[0].step == D("0.00001")
    assert rules[0].min_notional == 5
    world.tell(QueryOpenOrders(symbol="NOSUCH", reply_to=world.replies.ref))
    world.reply(QueryFailed)


def test_the_time_is_told_as_an_offset(world: World) -> None:
    world.tell(QueryTime(reply_to=world.replies.ref))
    assert abs(world.reply(TimeFound).offset_milliseconds) < 200


def test_use_of_limits_is_reported(world: World) -> None:
    limits = Probe(world.runtime, "limits")
    world.tell(ReportLimits(listener=limits.ref))
    world.tell(QueryBalances(reply_to=world.replies.ref))
    world.reply(BalancesFound)
    seen = limits.fish_for(lambda message: message.used_weight, within=world.within)
    assert isinstance(seen, LimitsSeen)
    assert seen.retry_at is None


# Streams ------------------------------------------------------------------------------------------


def test_the_stream_tells_an_order_from_its_beginning_to_its_end(world: World) -> None:
    world.listen()
    reply = world.place(quantity=D(4), limit_price=D(102))
    reports = [world.event(OrderReport) for _ in range(4)]
    assert [report.execution_type for report in reports] == ["NEW", "TRADE", "TRADE", "EXPIRED"]
    assert tuple(report.trade for report in reports if report.trade is not None) == reply.trades
    assert {report.order.client_order_id for report in reports} == {reply.client_order_id}
    assert reports[-1].order.executed_quantity == reply.order.executed_quantity == 3
    assert reports[-1].order.status is OrderStatus.EXPIRED
    assert reports[-1].reason == "UNFILLED_IOC_QUANTITY_EXPIRED"
    numbers = [report.report_id for report in reports]
    assert numbers == sorted(set(numbers))
    changed = {asset: free for asset, free, _ in world.event(BalancesSeen).balances}
    assert changed["BTC"] == D(13) - D("0.003")


def test_the_stream_tells_the_end_of_a_cancelled_order_under_its_own_id(world: World) -> None:
    world.listen()
    resting = world.rest()
    world.tell(world.cancel(resting))
    world.reply(CancelAcknowledged)
    found = world.stream.fish_for(
        lambda event: isinstance(event, OrderReport) and event.execution_type == "CANCELED", within=world.within
    )
    assert found.order.client_order_id == resting.client_order_id
    assert found.order.status is OrderStatus.CANCELED
    assert found.trade is None


def test_a_probe_comes_back_behind_the_events_of_before(world: World) -> None:
    world.listen()
    world.place()
    world.tell(ProbeStream(probe=3))
    told = []
    while not isinstance(event := world.stream.expect(object, within=world.within), StreamProbed):
        told.append(event)
    assert event == StreamProbed(probe=3)
    assert [report.execution_type for report in told if isinstance(report, OrderReport)] == ["NEW", "TRADE"]


def test_watching_a_market_begins_with_the_present_touch(world: World) -> None:
    for hot in (False, True):
        world.tell(WatchMarket(symbol="BTCUSDT", hot=hot, listener=world.quotes.ref))
        seen = world.quote()
        assert (seen.bid, seen.bid_quantity, seen.ask, seen.ask_quantity) == (D(100), D(1), D(101), D(1))


def test_every_change_of_a_hot_market_is_told_with_its_book(world: World) -> None:
    world.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=world.quotes.ref))
    world.quote()
    world.set_book([("100.20", "3"), ("99", "1")], [("101.20", "4")])
    assert world.quote("100.20").ask_quantity == 4
    world.set_book([("100.40", "3"), ("99", "1")], [("101.20", "4")])
    seen = world.quotes.fish_for(
        lambda quote: quote.bid == D("100.40") and quote.bids and quote.bids[0][0] == D("100.40"), within=world.within
    )
    assert seen.bids == ((D("100.40"), D(3)), (D(99), D(1)))
    assert seen.asks == ((D("101.20"), D(4)),)


def test_a_symbol_that_turns_hot_is_told_at_once_again(world: World) -> None:
    world.tell(WatchMarket(symbol="BTCUSDT", hot=False, listener=world.quotes.ref))
    world.quote()
    world.set_book([("100.20", "3")], [("101.20", "4")])
    world.tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=world.quotes.ref))
    world.quote("100.20")


# All at once --------------------------------------------------------------------------------------


def test_each_of_many_requests_at_once_gets_exactly_one_answer(world: World) -> None:
    world.set_book([("100", "100")], [("101", "100")])
    orders = [world.order(quantity=D("0.1") if number % 3 else D(10_000_000)) for number in range(45)]
    queries = [QueryOpenOrders(symbol="BTCUSDT", reply_to=world.replies.ref) for _ in range(5)]
    for order in orders:
        world.tell(order)
    for query in queries:
        world.tell(query)
    answers = [world.replies.expect(object, within=world.within) for _ in range(50)]
    world.replies.expect_none(within=0.1)
    named = [answer for answer in answers if isinstance(answer, Acknowledged | Refused)]
    assert sorted(answer.client_order_id for answer in named) == sorted(order.client_order_id for order in orders)
    assert sum(isinstance(answer, Acknowledged) for answer in named) == 30
    assert sum(isinstance(answer, OpenOrdersFound) for answer in answers) == 5


__all__ = [name for name in globals() if name.startswith("test_")]  # Written out, one may be forgotten, and never run.
