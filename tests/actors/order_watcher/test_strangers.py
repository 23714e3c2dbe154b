"""OrderWatcher and orders that the journal does not know, or takes for over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.halts import INVARIANT
from actors.runtime import Simulation
from messages.control import HaltTrading
from messages.execution import ChildOutcome
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildClosed,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionCorrected,
    Fact,
    ForeignOrderSeen,
    TradeBooked,
)
from messages.order import Acknowledged, CancelAcknowledged, Refused
from tests.actors.order_watcher.stage import (
    A_CANCEL,
    FULL,
    FULL_OF_THREE,
    OTHER_CHILD,
    World,
    cancels,
    found,
    open_orders,
    report,
    started,
)
from tests.factories import (
    CHILD,
    EXECUTION,
    D,
    a_child_closed,
    a_child_report,
    a_closed,
    a_report,
    a_trade_booked,
    an_acknowledged,
    an_intent,
)
from tests.order_tools import a_trade, an_order

# Strangers ----------------------------------------------------------------------------------------


def test_an_order_of_somebody_else_is_told_once(world: World) -> None:
    stranger = an_order("NEW", client_order_id="web_1", order_id=5)
    world.tell(report(stranger), report(stranger), open_orders(stranger))
    assert world.journal.facts == [
        ForeignOrderSeen(
            client_order_id="web_1",
            symbol="BTCUSDT",
            order_id=5,
            side=stranger.side,
            quantity=D("0.1"),
            status="NEW",
            ours=False,
        )
    ]


def test_what_is_told_of_a_child_before_its_intent_waits_for_it(world: World) -> None:
    world.tell(report(an_order("PARTIALLY_FILLED", "0.02"), a_trade(7, "0.02")), FULL_OF_THREE)
    world.wait(0.5)
    assert world.journal.facts == []
    world.intend()
    assert world.kinds() == [ChildAcknowledged, TradeBooked, TradeBooked, TradeBooked, ChildClosed]
    world.wait(5.0)
    assert world.journal.of(ForeignOrderSeen) == []


def test_an_own_order_that_the_journal_never_tells_of_is_told_as_ours(world: World) -> None:
    world.tell(report(an_order("NEW")), Refused(client_order_id=CHILD, code=-2010, message=""))
    world.wait(1.1)
    (foreign,) = world.journal.of(ForeignOrderSeen)
    assert (foreign.client_order_id, foreign.ours) == (CHILD, True)


def test_a_second_order_under_the_same_name_is_not_mixed_with_the_first(sent: World) -> None:
    sent.tell(report(an_order("NEW")), report(an_order("FILLED", "0.1", order_id=2002), a_trade(order_id=2002)))
    assert sent.kinds() == [ChildAcknowledged, ForeignOrderSeen]


# What comes to light late -------------------------------------------------------------------------

GONE = [
    ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message=""),
    ChildNotSent(execution_id=EXECUTION, client_order_id=CHILD, reason="", detail="", source="venue"),
]


@pytest.mark.parametrize("gone", GONE)
def test_an_order_believed_gone_that_is_open_is_cancelled_and_counted(simulation: Simulation, gone: Fact) -> None:
    world = started(simulation, an_intent(), gone)
    world.tell(report(an_order("PARTIALLY_FILLED", "0.04"), a_trade(7, "0.04")))
    assert [type(fact) for fact in world.journal.facts[2:]] == [AttemptReappeared, TradeBooked]
    assert cancels(world) == [replace(A_CANCEL, reason="reappeared")]
    world.tell(CancelAcknowledged(client_order_id=CHILD, order=an_order("CANCELED", "0.04")))
    assert world.journal.last(ChildClosed).outcome is ChildOutcome.PARTIAL


def test_an_absent_order_that_was_executed_corrects_the_report(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    world = started(simulation, an_intent(), unknown, absent, a_closed())
    trades = (a_trade(7, "0.04"), a_trade(8, "0.06", price=D(42_000)))
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=trades))
    kinds = [type(fact) for fact in world.journal.facts[4:]]
    assert kinds == [
        AttemptReappeared,
        TradeBooked,
        ExecutionCorrected,
        TradeBooked,
        ExecutionCorrected,
        ChildClosed,
    ]
    corrected = world.journal.last(ExecutionCorrected)
    assert corrected.total_filled == D("0.6")
    assert corrected.filled_quote == D("21000.5") + D("0.04") * 42_001 + D("0.06") * 42_000
    assert cancels(world) == []


def test_a_trade_of_a_closed_execution_is_booked_and_corrects_its_report(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed(), a_closed())
    world.tell(found(a_trade(7), a_trade(9, "0.01")))
    assert [type(fact) for fact in world.journal.facts[5:]] == [TradeBooked, ExecutionCorrected]
    assert world.journal.last(ExecutionCorrected).total_filled == D("0.51")


def test_a_trade_that_is_booked_while_the_report_is_written_corrects_it(simulation: Simulation) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    world = started(simulation, an_intent(), unknown, absent)
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=(a_trade(7, "0.1"),)))
    without = a_child_report(client_order_id=CHILD, executed_quantity=D(0), executed_quote=D(0))
    report_ = a_report(total_filled=D("0.2"), filled_quote=D(8_400), orders=(without,))
    world.journal.commit(a_closed(report=report_))
    simulation.run(0.0)
    (corrected,) = world.journal.of(ExecutionCorrected)
    assert (corrected.total_filled, corrected.client_order_id) == (D("0.3"), CHILD)
    assert corrected.filled_quote == 8_400 + D("0.1") * a_trade(7, "0.1").price


def test_a_trade_that_came_while_the_report_was_written_and_fills_too_much_halts_trading(
    simulation: Simulation,
) -> None:
    unknown = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="")
    absent = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="")
    world = started(simulation, an_intent(), unknown, absent)
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("FILLED", "0.1"), trades=(a_trade(7, "0.1"),)))
    without = a_child_report(client_order_id=CHILD, executed_quantity=D(0), executed_quote=D(0))
    world.journal.commit(a_closed(report=a_report(quantity=D("0.5"), total_filled=D("0.5"), orders=(without,))))
    simulation.run(0.0)
    detail = f"{EXECUTION} is filled above what was asked"
    assert HaltTrading(reason=INVARIANT, detail=detail) in world.exchange.messages()


def test_a_report_that_has_all_trades_is_not_corrected(simulation: Simulation) -> None:
    world = started(simulation, an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed())
    booked = a_child_report(client_order_id=CHILD, executed_quantity=a_trade_booked().quantity)
    world.journal.commit(a_closed(report=a_report(orders=(booked,))))
    simulation.run(0.0)
    assert world.journal.of(ExecutionCorrected) == []


def test_only_so_many_ended_orders_are_remembered(simulation: Simulation) -> None:
    world = started(simulation, remembered=1)
    world.intend()
    world.tell(FULL)
    world.intend(slice=1, client_order_id=OTHER_CHILD)
    world.tell(Refused(client_order_id=OTHER_CHILD, code=-2010, message=""))
    world.tell(found(a_trade(9, "0.01")))
    assert len(world.journal.of(TradeBooked)) == 1
