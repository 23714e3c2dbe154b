"""OrderWatcher and orders of unknown outcome, before a venue that answers as a test wants it to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from actors.order_watcher.actor import OrderWatcher, WatcherSettings
from actors.runtime import Simulation
from messages.control import ActorReady, HaltTrading
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildUnknown,
    Fact,
    ForeignOrderSeen,
)
from messages.ids import cancel_id
from messages.order import (
    LATE_REPLY,
    AdoptChild,
    AllOrdersFound,
    BalancesFound,
    CancelChild,
    CancelFailed,
    OpenOrdersFound,
    OrderFound,
    OrderNotFound,
    OrderSnapshot,
    OutcomeUnknown,
    ProbeStream,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    Relay,
    StreamCut,
    StreamOpened,
    StreamProbed,
    Trade,
    TradesFound,
    VenueTime,
)
from tests.actors.order_watcher.stage import FULL, OTHER_CHILD, SENT_AT, World, open_orders, report
from tests.factories import CHILD, EXECUTION, D, an_intent
from tests.journal_stub import JournalStub
from tests.order_tools import a_trade, an_order
from tests.probe import Probe

UNKNOWN = OutcomeUnknown(client_order_id=CHILD, detail="504")


@dataclass
class Venue:
    """ExchangeActor and the venue behind it in one: answers at once what it was told to answer."""

    journal: JournalStub
    watcher: Any = None
    orders: list[OrderSnapshot] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    sick: Any = None
    shown_alone: OrderSnapshot | None = None  # By its own query, and by no list.
    code: int | None = None
    silent: bool = False
    proves_stream: bool = True
    cancel_code: int | None = -2011
    asked: list[Query] = field(default_factory=list)
    told: list[object] = field(default_factory=list)

    def tell(self, message: object, /) -> None:
        match message:
            case Relay(query=query):
                self.asked.append(query)
                if not self.silent:
                    query.reply_to.tell(self.answer(query))
            case ProbeStream(probe=probe):
                if self.proves_stream:
                    self.watcher.tell(StreamProbed(probe=probe))
            case CancelChild():
                self.told.append(message)
                number = sum(isinstance(one, CancelChild) for one in self.told) - 1
                self.cancel(message, cancel_id(message.client_order_id, number))
            case _:
                self.told.append(message)

    def cancel(self, cancel: CancelChild, name: str) -> None:
        self.journal.commit(
            ChildCancelRequested(
                execution_id=cancel.execution_id,
                client_order_id=cancel.client_order_id,
                cancel_id=name,
                symbol=cancel.symbol,
                order_id=cancel.order_id,
                reason=cancel.reason,
            )
        )
        failed = CancelFailed(
            client_order_id=cancel.client_order_id, code=self.cancel_code, detail="no", cancel_id=name
        )
        self.watcher.tell(failed)

    def answer(self, query: Query) -> QueryAnswer:
        if self.sick is not None and isinstance(query, self.sick):
            return QueryFailed(query=query, detail="503", code=self.code)
        match query:
            case QueryOrder(client_order_id=name, symbol=symbol):
                for order in (*self.orders, *([self.shown_alone] if self.shown_alone else ())):
                    if order.client_order_id == name:
                        return OrderFound(client_order_id=name, order=order)
                return OrderNotFound(symbol=symbol, client_order_id=name)
            case QueryOpenOrders(symbol=symbol):
                still = tuple(order for order in self.orders if not order.status.final)
                return OpenOrdersFound(symbol=symbol, orders=still)
            case QueryAllOrders(symbol=symbol, since=since):
                return AllOrdersFound(symbol=symbol, since=since, orders=tuple(self.orders))
            case QueryTrades(symbol=symbol, from_id=first, since=since, order_id=of):
                found = tuple(t for t in self.trades if t.trade_id >= (first or 0))
                return TradesFound(
                    symbol=symbol,
                    trades=found[:2],
                    from_id=first,
                    since=since,
                    order_id=of,
                    complete=len(found) <= 2,
                )
            case _:
                assert isinstance(query, QueryBalances)
                return BalancesFound(balances=())

    def kinds(self) -> list[type[object]]:
        return [type(query) for query in self.asked]

    def cancels(self) -> list[str]:
        return [message.reason for message in self.told if isinstance(message, CancelChild)]


@dataclass
class Scene:
    """A watcher before such a venue, ready and with one order of unknown outcome."""

    world: World
    venue: Venue

    def resolved(self, within: float) -> float:
        """Wait for the absence, and return how long it took since the start."""
        simulation, journal = self.world.simulation, self.world.journal
        assert simulation.run_until(lambda: bool(journal.of(ChildAbsent)), within), self.world.kinds()
        return simulation.now()


def begun(simulation: Simulation, *old: Fact, stream: bool = True, **settings: Any) -> Scene:
    journal = JournalStub.begun(*old)
    venue, parent = Venue(journal), Probe(simulation, "parent")
    watcher = OrderWatcher.start(
        parent.ref, "watcher", journal=journal.actor_ref, exchange=venue, settings=WatcherSettings(**settings)
    )
    venue.watcher = watcher
    world = World(simulation, journal, parent, parent, watcher)
    if stream:
        world.tell(VenueTime(zero=float(SENT_AT)), StreamOpened())
        world.parent.expect(ActorReady("watcher"))
        venue.asked.clear()
    return Scene(world, venue)


@pytest.fixture
def scene(simulation: Simulation) -> Scene:
    scene = begun(simulation)
    scene.world.intend()
    scene.world.tell(UNKNOWN)
    return scene


def test_with_a_stream_that_proves_itself_an_absence_is_proven_within_twenty_seconds(scene: Scene) -> None:
    assert 19.9 <= scene.resolved(within=22.0) <= 22.0
    assert scene.venue.cancels() == ["fence"]
    assert scene.world.kinds() == [ChildUnknown, ChildCancelRequested, ChildAbsent]


def test_a_search_that_is_over_does_not_mind_a_timer_that_was_cancelled_too_late(simulation: Simulation) -> None:
    simulation.cancel_late(1.0, 60.0)
    scene = begun(simulation)
    scene.world.intend()
    scene.world.tell(UNKNOWN, StreamOpened(), report(an_order("FILLED", "0.1")))
    scene.world.wait(60.0)
    assert scene.world.kinds()[:2] == [ChildUnknown, ChildAcknowledged]
    assert ChildAbsent not in scene.world.kinds()


def test_without_a_control_it_takes_a_minute_more(scene: Scene) -> None:
    scene.venue.proves_stream = False
    assert 62.0 <= scene.resolved(within=67.0) <= 67.0


def test_a_stream_that_was_cut_in_between_is_no_control(scene: Scene) -> None:
    scene.world.wait(5.0)
    scene.world.tell(StreamCut(since=5.0, detail="1006"), StreamOpened())
    assert scene.resolved(within=67.0) >= 62.0


def test_an_event_on_the_stream_is_as_good_as_a_probe(scene: Scene) -> None:
    scene.venue.proves_stream = False
    scene.world.wait(21.0)
    later = an_order("NEW", client_order_id="web_1", order_id=5, update_time=SENT_AT + 20_000)
    scene.world.intend(client_order_id=OTHER_CHILD, slice=1)
    scene.world.tell(report(replace(later, client_order_id=OTHER_CHILD)))
    scene.resolved(within=0.1)


def test_a_late_reply_did_not_come_over_the_stream_and_says_nothing_of_it(scene: Scene) -> None:
    scene.venue.proves_stream = False
    scene.world.wait(21.0)
    later = an_order("NEW", client_order_id=OTHER_CHILD, order_id=5, update_time=SENT_AT + 20_000)
    scene.world.intend(client_order_id=OTHER_CHILD, slice=1)
    scene.world.tell(replace(report(later), execution_type=LATE_REPLY))
    assert scene.world.kinds()[-1] is ChildAcknowledged
    assert scene.resolved(within=67.0) >= 62.0


def test_a_later_order_of_ours_that_is_shown_on_each_path_is_a_control(scene: Scene) -> None:
    scene.venue.proves_stream = False
    later = an_order("FILLED", "0.1", client_order_id=OTHER_CHILD, order_id=5, time=SENT_AT + 10_000)
    scene.world.wait(10.0)
    scene.world.intend(client_order_id=OTHER_CHILD, slice=1)
    scene.venue.orders.append(later)
    scene.venue.trades.append(a_trade(3, order_id=5, time=SENT_AT + 10_000))
    assert scene.resolved(within=22.0) < 22.0
    assert "a later order of ours" in scene.world.journal.last(ChildAbsent).proof


def test_an_answer_to_a_cancel_of_before_the_horizon_is_no_fence(simulation: Simulation) -> None:
    scene = begun(simulation, timeout_seconds=5.0)
    scene.world.intend(time_in_force="GTC")
    scene.world.wait(16.0)
    assert scene.venue.cancels() == ["timeout"]
    assert scene.world.journal.of(ChildAbsent) == []
    scene.venue.orders.append(an_order("NEW"))
    scene.world.wait(3.0)
    assert ChildAcknowledged in scene.world.kinds()
    scene.world.wait(60.0)
    assert scene.world.journal.of(ChildAbsent) == []
    assert scene.venue.cancels().count("timeout") >= 2


def test_a_fence_that_brings_no_answer_is_repeated(scene: Scene) -> None:
    scene.venue.cancel_code = None
    scene.world.wait(30.0)
    assert len(scene.venue.cancels()) >= 3
    assert scene.world.journal.of(ChildAbsent) == []
    scene.venue.cancel_code = -2011
    scene.resolved(within=6.0)


@pytest.mark.parametrize("query", [QueryOrder, QueryOpenOrders, QueryAllOrders, QueryTrades])
def test_one_path_that_fails_leaves_it_unknown(scene: Scene, query: type[Query]) -> None:
    scene.venue.sick = query
    scene.world.wait(300.0)
    assert scene.world.kinds()[0] is ChildUnknown
    assert scene.world.journal.of(ChildAbsent) == []
    scene.venue.sick = None
    scene.resolved(within=36.0)


SICK = {"query": QueryTrades, "lists": QueryOrder}


@pytest.mark.parametrize("seconds", [25.0, 70.0, 200.0, 1300.0])
@pytest.mark.parametrize("path", ["query", "lists"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "no stream"])
def test_as_long_as_one_path_answers_an_order_that_it_shows_is_known_within_two_seconds(
    simulation: Simulation, seconds: float, path: str, stream: bool
) -> None:
    """However old it is: what cannot be proven away is searched for as before."""
    scene = begun(simulation)
    scene.venue.sick = SICK[path]
    scene.world.intend()
    scene.world.tell(UNKNOWN)
    if not stream:
        scene.world.tell(StreamCut(since=0.0, detail="of a test"))
    scene.world.wait(seconds)
    order = an_order("FILLED", "0.1")
    if path == "query":
        scene.venue.shown_alone = order
    else:
        scene.venue.orders.append(order)
    scene.world.wait(2.0)
    assert ChildAcknowledged in scene.world.kinds()
    assert scene.world.journal.of(ChildAbsent) == []


@pytest.mark.parametrize("seconds", [25.0, 200.0, 700.0])
def test_also_where_no_cancel_is_answered_an_order_that_is_shown_is_known_within_two_seconds(
    scene: Scene, seconds: float
) -> None:
    scene.venue.cancel_code = None
    scene.world.wait(seconds)
    scene.venue.shown_alone = an_order("FILLED", "0.1")
    scene.world.wait(2.0)
    assert ChildAcknowledged in scene.world.kinds()


def test_while_nothing_answers_it_is_asked_less_and_less_and_within_two_seconds_of_an_answer_as_before(
    simulation: Simulation,
) -> None:
    scene = begun(simulation)
    scene.venue.sick = Query  # All of them.
    scene.world.intend()
    scene.world.tell(UNKNOWN)
    scene.world.wait(700.0)
    scene.venue.asked.clear()
    scene.world.wait(290.0)
    assert 5 <= scene.venue.kinds().count(QueryOrder) <= 12
    scene.venue.asked.clear()
    scene.venue.sick = QueryTrades
    assert scene.world.simulation.run_until(lambda: QueryOrder in scene.venue.kinds(), 31.0)
    scene.venue.asked.clear()
    scene.world.wait(60.0)
    assert scene.venue.kinds().count(QueryOrder) >= 30


def test_questions_that_are_not_answered_are_put_again_and_not_piled_up(scene: Scene) -> None:
    scene.venue.silent = True
    scene.world.wait(20.0)
    assert scene.venue.kinds().count(QueryOrder) <= 3
    scene.venue.silent = False
    scene.resolved(within=20.0)


def test_a_trade_that_may_be_its_own_leaves_it_unknown_until_somebody_owns_it(scene: Scene) -> None:
    scene.world.wait(16.0)
    scene.venue.trades.append(a_trade(3, order_id=77, time=SENT_AT + 100))
    scene.world.wait(120.0)
    assert scene.world.journal.of(ChildAbsent) == []
    scene.venue.orders.append(an_order("FILLED", "0.1", order_id=77, client_order_id="web_7"))
    scene.resolved(within=10.0)
    assert scene.world.journal.last(ForeignOrderSeen).order_id == 77


def test_trades_that_come_in_several_answers_are_read_to_the_end(scene: Scene) -> None:
    scene.world.intend(client_order_id=OTHER_CHILD, slice=1)
    other = an_order("FILLED", "0.05", order_id=5, client_order_id=OTHER_CHILD, quantity=D("0.1"))
    scene.world.tell(report(replace(other, status=an_order("PARTIALLY_FILLED").status)))
    scene.venue.orders.append(other)
    scene.venue.trades += [a_trade(number, "0.01", order_id=5, time=SENT_AT + number) for number in range(1, 6)]
    assert scene.resolved(within=22.0) < 22.0


def test_without_the_venues_clock_everything_can_be_found_but_nothing_proven_away(simulation: Simulation) -> None:
    scene = begun(simulation, stream=False)
    scene.world.tell(StreamOpened())
    scene.world.intend()
    scene.world.tell(UNKNOWN)
    scene.world.wait(200.0)
    assert scene.venue.cancels() == []
    scene.venue.orders.append(an_order("NEW"))
    scene.world.wait(2.1)
    assert scene.world.kinds() == [ChildUnknown, ChildAcknowledged]


def test_of_many_unknown_orders_the_lists_are_asked_for_once(simulation: Simulation) -> None:
    scene = begun(simulation)
    for number in range(20):
        name = CHILD.replace("-0-0", f"-{number % 10}-{number // 10}")
        scene.world.intend(client_order_id=name, slice=number)
        scene.world.tell(replace(UNKNOWN, client_order_id=name))
    scene.world.wait(22.0)
    assert len(scene.world.journal.of(ChildAbsent)) == 20
    assert scene.venue.kinds().count(QueryAllOrders) <= 25


# After the proof ----------------------------------------------------------------------------------


def test_an_absent_order_that_appears_in_a_list_is_cancelled_and_counted(scene: Scene) -> None:
    scene.resolved(within=22.0)
    scene.venue.orders.append(an_order("PARTIALLY_FILLED", "0.04"))
    scene.venue.trades.append(a_trade(3, "0.04"))
    scene.world.wait(40.0)
    assert len(scene.world.journal.of(AttemptReappeared)) == 1
    assert "reappeared" in scene.venue.cancels()
    scene.venue.orders[0] = an_order("CANCELED", "0.04")
    scene.world.wait(10.0)
    assert scene.world.journal.last(ChildClosed).executed_quantity == D("0.04")


def test_an_absent_order_is_looked_out_for_a_day_also_after_a_restart(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    scene = begun(simulation, an_intent(request_timestamp=SENT_AT), unknown, absent, remembered=0)
    scene.world.wait(3600.0)
    assert 5 <= scene.venue.kinds().count(QueryAllOrders) <= 20
    scene.world.wait(86_400.0)
    scene.venue.asked.clear()
    scene.world.wait(86_400.0)
    assert scene.venue.asked == []


def test_an_absent_order_is_looked_for_when_the_stream_is_back(scene: Scene) -> None:
    scene.resolved(within=22.0)
    scene.world.wait(86_000.0)
    scene.venue.asked.clear()
    scene.world.tell(StreamCut(since=0.0, detail=""), StreamOpened())
    scene.world.wait(0.1)
    assert QueryAllOrders in scene.venue.kinds()


# Starts -------------------------------------------------------------------------------------------


def test_a_start_reads_each_symbol_and_asks_again_what_failed(simulation: Simulation) -> None:
    scene = begun(simulation, an_intent(request_timestamp=SENT_AT), stream=False, symbols=("ETHUSDT",))
    scene.venue.sick = QueryOpenOrders
    scene.world.tell(VenueTime(zero=float(SENT_AT)), StreamOpened())
    scene.world.wait(2.5)
    scene.world.parent.expect_none(within=0.0)
    reads = [query for query in scene.venue.asked if isinstance(query, QueryOpenOrders)]
    assert {query.symbol for query in reads} == {"ETHUSDT", "BTCUSDT"}
    scene.venue.sick = None
    scene.world.parent.expect(ActorReady("watcher"), within=1.1)


def test_balances_that_cannot_be_had_are_asked_for_again(simulation: Simulation) -> None:
    scene = begun(simulation, stream=False)
    scene.venue.sick = QueryBalances
    scene.world.tell(StreamOpened())
    scene.world.wait(3.5)
    assert scene.venue.kinds() == [QueryBalances] * 4
    scene.venue.sick = None
    scene.world.parent.expect(ActorReady("watcher"), within=1.1)


def test_balances_are_compared_when_what_was_open_at_the_start_is_over(simulation: Simulation) -> None:
    scene = begun(simulation, an_intent(request_timestamp=SENT_AT))
    assert QueryBalances not in scene.venue.kinds()
    scene.world.tell(FULL)
    scene.world.wait(2.1)
    assert scene.venue.kinds().count(QueryBalances) == 1


def test_an_own_order_that_stays_open_is_handed_over_again_and_again(simulation: Simulation) -> None:
    scene = begun(simulation)
    stranger = an_order("NEW", client_order_id=OTHER_CHILD, order_id=9)
    scene.venue.orders.append(stranger)
    scene.world.tell(open_orders(stranger))
    scene.world.wait(11.0)
    assert scene.venue.told == [AdoptChild(order=stranger)] * 3
    scene.venue.orders.clear()
    scene.world.wait(60.0)
    assert len(scene.venue.told) == 3
    assert len(scene.world.journal.of(ForeignOrderSeen)) == 1


def test_an_adopted_order_is_watched_from_its_intent_on(simulation: Simulation) -> None:
    scene = begun(simulation)
    scene.venue.orders.append(an_order("FILLED", "0.1"))
    scene.venue.trades.append(a_trade(3))
    scene.world.intend(adopted=True)
    scene.world.wait(2.0)
    assert scene.world.journal.last(ChildClosed).executed_quantity == D("0.1")


# Halts --------------------------------------------------------------------------------------------


def test_a_revoked_key_that_a_query_or_a_cancel_meets_halts_trading(scene: Scene) -> None:
    scene.venue.sick, scene.venue.code = QueryOrder, -2015
    scene.world.wait(0.3)
    assert scene.venue.told == [HaltTrading(reason="KEY_REVOKED", detail="-2015: 503")]
    scene.world.tell(CancelFailed(client_order_id=CHILD, code=-1022, detail="signature"))
    assert scene.venue.told[-1] == HaltTrading(reason="BAD_SIGNATURE", detail="-1022: signature")
