"""OrderWatcher begins and ends: what it reads, when it is ready, when it is settled."""

from __future__ import annotations

from actors.order_watcher.actor import OrderWatcher, WatcherSettings
from actors.runtime import Simulation
from messages.control import ActorReady, CaughtUp, Ping, Pong, ReportSettled, Settled, TroubleOver
from messages.execution import ChildOutcome
from messages.facts import BalancesNoted, ChildAcknowledged, ChildClosed, ChildUnknown, TradeBooked
from messages.order import BalancesFound, OrderFound, QueryBalances, Relay, RulesFound, StreamOpened
from tests.actors.order_watcher.stage import A_CANCEL, FOREVER, FULL, SENT_AT, World, cancels, found, report, started
from tests.factories import CHILD, EXECUTION, D, a_child_closed, a_trade_booked, an_acknowledged, an_intent, rules
from tests.journal_stub import JournalStub
from tests.order_tools import a_trade, an_order
from tests.probe import Probe


def test_it_is_ready_when_the_journal_is_folded_and_the_stream_is_open(simulation: Simulation) -> None:
    parent, journal = Probe(simulation, "parent"), Probe(simulation, "journal")
    watcher = OrderWatcher.start(
        parent.ref, "watcher", journal=journal.ref, exchange=parent.ref, settings=WatcherSettings()
    )
    watcher.tell(StreamOpened())
    parent.expect_none(within=10.0)
    watcher.tell(CaughtUp(0, "journal"))
    parent.expect(Relay(query=QueryBalances(reply_to=watcher), urgent=True))
    watcher.tell(BalancesFound(balances=()))
    parent.expect(ActorReady("watcher"))


def test_an_intent_without_an_outcome_is_unknown_after_a_start(simulation: Simulation) -> None:
    world = started(simulation, an_intent(request_timestamp=SENT_AT))
    assert world.kinds() == [ChildUnknown]
    assert world.asked() == [world.q_order()]
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("FILLED", "0.1")))
    world.wait(0.6)
    assert world.asked() == [world.q_trades(order_id=1001)]
    world.tell(found(a_trade(), order_id=1001))
    assert world.kinds() == [ChildUnknown, ChildAcknowledged, TradeBooked, ChildClosed]
    assert world.journal.last(TradeBooked).source == "recovery"


def test_an_acknowledged_order_is_asked_for_with_its_trades_after_a_start(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged())
    assert world.asked() == [world.q_order(order_id=1001), world.q_trades(order_id=1001)]
    assert world.kinds() == [ChildAcknowledged]
    world.tell(OrderFound(client_order_id=CHILD, order=an_order("EXPIRED")))
    assert world.journal.last(ChildClosed).outcome is ChildOutcome.FAILED


def test_an_unknown_order_is_not_called_unknown_again_after_a_start(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    world = started(simulation, an_intent(), unknown)
    assert world.kinds() == [ChildUnknown]
    assert world.asked() == [world.q_order()]


def test_a_start_at_rest_changes_nothing(simulation: Simulation) -> None:
    bought = (("BTC", D("0.0999")), ("USDT", D(10_000) - D("4200.1")))
    before = BalancesNoted(balances=(("USDT", D(10_000)),))
    world = started(simulation, before, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed())
    world.tell(RulesFound(rules=(rules(),)), StreamOpened())
    assert world.asked() == [QueryBalances(reply_to=world.watcher)]
    world.tell(BalancesFound(balances=tuple((asset, held, D(0)) for asset, held in bought)))
    world.parent.expect(ActorReady("watcher"))
    world.exchange.expect_none(within=FOREVER)
    assert len(world.journal.facts) == 5


def test_a_resting_order_whose_time_was_over_before_the_start_is_cancelled_at_once(simulation: Simulation) -> None:
    intent = an_intent(time_in_force="GTC", request_timestamp=SENT_AT - 60_000)
    world = started(simulation, intent, an_acknowledged())
    assert cancels(world) == [A_CANCEL]


def test_what_the_stream_tells_during_a_start_is_taken_after_it(simulation: Simulation) -> None:
    parent, journal = Probe(simulation, "parent"), JournalStub.begun(an_intent(), an_acknowledged())
    watcher = OrderWatcher.start(
        parent.ref, "watcher", journal=journal.actor_ref, exchange=parent.ref, settings=WatcherSettings()
    )
    watcher.tell(report(an_order("FILLED", "0.1"), a_trade()))
    simulation.run(1.0)
    assert [type(fact) for fact in journal.facts[2:]] == [TradeBooked, ChildClosed]


def test_an_order_that_vanished_in_an_earlier_life_is_there_again_when_its_trades_alone_show_its_end(
    simulation: Simulation,
) -> None:
    journal, others, troubles = JournalStub.begun(an_intent(), an_acknowledged()), Probe(simulation), Probe(simulation)
    watcher = OrderWatcher.start(
        others.ref,
        "watcher",
        journal=journal.actor_ref,
        exchange=others.ref,
        settings=WatcherSettings(),
        troubles=troubles.ref,
    )
    watcher.tell(found(a_trade(), order_id=1001))
    over = troubles.expect(TroubleOver)
    assert (over.kind, over.subject) == ("order_vanished", CHILD)
    assert journal.last(ChildClosed).outcome is ChildOutcome.FILLED


def test_settled_is_told_when_the_last_order_is_over(sent: World) -> None:
    asker = Probe(sent.simulation, "asker")
    sent.tell(ReportSettled(20.0, asker.ref))
    asker.expect_none(within=1.0)
    sent.tell(FULL)
    asker.expect(Settled("watcher", 0))
    asker.expect_none(within=FOREVER)


def test_settled_is_told_at_once_when_no_order_is_open_and_at_the_deadline_if_one_is(world: World) -> None:
    asker = Probe(world.simulation, "asker")
    world.tell(ReportSettled(20.0, asker.ref))
    asker.expect(Settled("watcher", 0))
    world.intend()
    world.tell(ReportSettled(20.0, asker.ref))
    asker.expect(Settled("watcher", 1), within=20.1)
    assert world.simulation.now() == 20.0


def test_a_ping_is_answered(world: World) -> None:
    asker = Probe(world.simulation, "asker")
    world.tell(Ping(asker.ref))
    asker.expect(Pong("watcher"))
