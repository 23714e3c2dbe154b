from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from adapters import vitals as vitals_file
from adapters.vitals import PRICE_HISTORY, TimedStore, Vitals, quantiles
from messages.control import Committed, StoreFailed
from messages.execution import WaitsFor
from messages.market import MarketGap, QuoteSeen, WatchMarket
from messages.order import (
    BalancesSeen,
    LimitsSeen,
    OpenUserStream,
    QueryBalances,
    QueryTime,
    ReportLimits,
    StreamCut,
    StreamOpened,
    TimeFound,
)
from tests.factories import NOW, D, an_accepted


class Heard:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def tell(self, message: Any, /) -> None:
        self.messages.append(message)


class Mortal(Heard):
    alive = True

    def is_alive(self) -> bool:
        return self.alive


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_quote_seen(bid: int = 100, ask: int = 102, symbol: str = "BTCUSDT") -> QuoteSeen:
    return QuoteSeen(symbol=symbol, bid=D(bid), bid_quantity=D(1), ask=D(ask), ask_quantity=D(1))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vitals(clock: Clock) -> Vitals:
    return Vitals(clock, clock)


def test_a_tapped_listener_hears_everything_as_it_was(vitals: Vitals) -> None:
    venue, listener = Heard(), Heard()
    vitals.tap(venue).tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener))
    seen, gap = a_quote_seen(), MarketGap(symbols=("BTCUSDT",))
    venue.messages[0].listener.tell(seen)
    venue.messages[0].listener.tell(gap)
    assert listener.messages == [seen, gap]


def test_orders_and_queries_pass_untouched(vitals: Vitals) -> None:
    venue = Heard()
    query = QueryBalances(reply_to=Heard())
    vitals.tap(venue).tell(query)
    assert venue.messages == [query]


def test_the_same_listener_of_a_symbol_stands_behind_the_same_tap(vitals: Vitals) -> None:
    venue, listener = Heard(), Heard()
    tapped = vitals.tap(venue)
    for hot in (False, True):
        tapped.tell(WatchMarket(symbol="BTCUSDT", hot=hot, listener=listener))
    assert venue.messages[0].listener is venue.messages[1].listener


def test_a_tap_lives_as_long_as_its_listener(vitals: Vitals) -> None:
    venue, listener = Heard(), Mortal()
    vitals.tap(venue).tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=listener))
    assert venue.messages[0].listener.is_alive()
    listener.alive = False
    assert not venue.messages[0].listener.is_alive()


def test_a_listener_that_knows_no_death_counts_as_alive(vitals: Vitals) -> None:
    venue = Heard()
    vitals.tap(venue).tell(WatchMarket(symbol="BTCUSDT", hot=True, listener=Heard()))
    assert venue.messages[0].listener.is_alive()


def test_nothing_is_known_before_anything_was_heard(vitals: Vitals) -> None:
    view: Any = vitals.view()
    assert view["market"] == {"age": None, "gaps": 0, "symbols": {}}
    assert view["stream"] == {"open": None, "age": None, "cuts": 0}
    assert view["clock"]["offset_ms"] is None
    assert view["limits"]["used_weight"] is None
    assert vitals.touch("BTCUSDT") is None
    assert vitals.prices("BTCUSDT") == []


def test_the_markets_age_is_that_of_the_freshest_quote(vitals: Vitals, clock: Clock) -> None:
    vitals.see_market(a_quote_seen(symbol="ETHUSDT"))
    clock.now += 7
    vitals.see_market(a_quote_seen())
    clock.now += 2
    view: Any = vitals.view()
    assert view["market"]["age"] == 2
    assert view["market"]["symbols"]["ETHUSDT"] == {"bid": "100", "ask": "102", "age": 9}


def test_a_second_keeps_its_last_price(vitals: Vitals, clock: Clock) -> None:
    vitals.see_market(a_quote_seen(100, 102))
    clock.now += 0.5
    vitals.see_market(a_quote_seen(200, 202))
    clock.now += 1
    vitals.see_market(a_quote_seen(300, 302))
    assert vitals.prices("BTCUSDT") == [(1000, D(201)), (1001, D(301))]


def test_a_clock_set_back_adds_no_second_twice(vitals: Vitals, clock: Clock) -> None:
    vitals.see_market(a_quote_seen(100, 102))
    clock.now -= 5
    vitals.see_market(a_quote_seen(200, 202))
    assert vitals.prices("BTCUSDT") == [(1000, D(201))]


def test_the_price_history_is_bounded(vitals: Vitals, clock: Clock) -> None:
    for _ in range(PRICE_HISTORY + 10):
        vitals.see_market(a_quote_seen())
        clock.now += 1
    assert len(vitals.prices("BTCUSDT")) == PRICE_HISTORY


def test_market_gaps_and_stream_cuts_are_counted(vitals: Vitals, clock: Clock) -> None:
    vitals.see_market(MarketGap(symbols=("BTCUSDT",)))
    venue, watcher = Heard(), Heard()
    vitals.tap(venue).tell(OpenUserStream(listener=watcher))
    stream = venue.messages[0].listener
    stream.tell(StreamOpened())
    clock.now += 3
    stream.tell(BalancesSeen(balances=()))
    clock.now += 1
    view: Any = vitals.view()
    assert view["stream"] == {"open": True, "age": 1, "cuts": 0}
    stream.tell(StreamCut(since=0.0, detail="cut"))
    view = vitals.view()
    assert (view["stream"]["open"], view["stream"]["cuts"], view["market"]["gaps"]) == (False, 1, 1)
    assert len(watcher.messages) == 3


def test_the_clock_offset_is_noted_from_the_answer_to_anybody(vitals: Vitals, clock: Clock) -> None:
    venue, asker = Heard(), Heard()
    vitals.tap(venue).tell(QueryTime(reply_to=asker))
    venue.messages[0].reply_to.tell(TimeFound(offset_milliseconds=-40))
    clock.now += 9
    view: Any = vitals.view()
    assert view["clock"] == {"offset_ms": -40, "age": 9}
    assert asker.messages == [TimeFound(offset_milliseconds=-40)]


def test_of_the_clock_offset_what_is_there_on_purpose_is_not_shown(vitals: Vitals) -> None:
    vitals.see_answer(TimeFound(offset_milliseconds=-48, bias_milliseconds=-50))
    view: Any = vitals.view()
    assert view["clock"]["offset_ms"] == 2


def test_limits_keep_what_a_later_word_does_not_mention(vitals: Vitals) -> None:
    venue, budget = Heard(), Heard()
    vitals.tap(venue).tell(ReportLimits(listener=budget))
    told = venue.messages[0].listener
    told.tell(LimitsSeen(used_weight=30, weight_limit=6000, order_counts=((10, 2, 50),)))
    told.tell(LimitsSeen(used_weight=40, retry_at=NOW + timedelta(seconds=5), banned=True))
    view: Any = vitals.view()
    assert view["limits"] == {
        "used_weight": 40,
        "weight_limit": 6000,
        "order_counts": [[10, 2, 50]],
        "retry_at": "2026-07-01T12:00:05.000000Z",
        "banned": True,
    }
    assert len(budget.messages) == 2


class Store:
    journal_id = "of-a-test"
    closed = False
    broken = False

    def __init__(self) -> None:
        self.records: list[Committed] = []
        self.aside: list[int] = []

    def append(self, records: Sequence[Committed]) -> None:
        if self.broken:
            raise StoreFailed("full")
        self.records += records

    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]:
        assert (kinds, execution_id) == (["SignalAccepted"], "x")
        return iter([one for one in self.records[after:] if archived or one.seq not in self.aside])

    def archive(self, seqs: Sequence[int]) -> None:
        self.aside += seqs

    def last_seq(self) -> int:
        return len(self.records)

    def close(self) -> None:
        self.closed = True


def test_a_timed_store_does_what_the_store_does_and_counts() -> None:
    store = Store()
    timed = TimedStore(store)
    records = [Committed(seq, NOW, an_accepted()) for seq in (1, 2)]
    timed.append(records)
    assert (timed.journal_id, timed.last_seq()) == ("of-a-test", 2)
    assert list(timed.read(1, ["SignalAccepted"], "x")) == records[1:]
    timed.archive([1])
    assert list(timed.read(0, ["SignalAccepted"], "x", archived=False)) == records[1:]
    view: Any = timed.view()
    assert (view["commits"], view["facts"]) == (1, 2)
    assert 0 <= view["p50"] <= view["p99"] <= view["max"]
    timed.close()
    assert store.closed


def test_a_commit_that_fails_is_raised_and_is_no_commit() -> None:
    store = Store()
    store.broken = True
    timed = TimedStore(store)
    with pytest.raises(StoreFailed):
        timed.append([])
    assert timed.view() == {"commits": 0, "facts": 0, "p50": None, "p99": None, "max": None}


def test_quantiles_are_figures_that_occurred() -> None:
    assert quantiles([float(n) for n in range(1, 201)]) == {"p50": 101.0, "p99": 199.0, "max": 200.0}
    assert quantiles([3.0]) == {"p50": 3.0, "p99": 3.0, "max": 3.0}


# What due children wait for -----------------------------------------------------------------------


def test_what_a_child_waits_for_in_the_market_comes_before_what_the_exchange_said() -> None:
    vitals = Vitals()
    market = WaitsFor(execution_id="a", by="market", hindrance="depth", detail="x")
    door = WaitsFor(execution_id="a", by="exchange", hindrance="balance", detail="y")
    assert vitals.waits_for("a") is None
    for said in (market, door):
        vitals.tell(said)
    assert vitals.waits_for("a") is market
    assert vitals.waits_for("b") is None
    vitals.tell(WaitsFor(execution_id="a", by="market", hindrance=None))
    assert vitals.waits_for("a") is door
    vitals.tell(WaitsFor(execution_id="a", by="exchange", hindrance=None))
    assert vitals.waits_for("a") is None


def test_of_those_who_take_nothing_back_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals_file, "REMEMBERED_WAITS", 2)
    vitals = Vitals()
    for name in ("a", "b", "a", "c"):
        vitals.tell(WaitsFor(execution_id=name, by="market", hindrance="depth"))
    assert [vitals.waits_for(name) is not None for name in "abc"] == [True, False, True]
