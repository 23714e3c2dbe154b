"""Which orders there are: what is open, what is remembered, what is forgotten, and the sums over reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actors.order_watcher.register import DAY_MS, Register
from messages.facts import (
    ChildAbsent,
    ChildUnknown,
    ExecutionCorrected,
    Fact,
    TradesSummed,
)
from messages.ids import child_id
from tests.factories import (
    CHILD,
    EXECUTION,
    NOW,
    D,
    a_child_closed,
    a_child_report,
    a_closed,
    a_reappeared,
    a_report,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)
from tests.order_tools import an_order

SECOND, OTHER = child_id("p", EXECUTION, 1, 0), "other23456abc"
UNKNOWN = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout")
ABSENT = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="seen nowhere")
REAPPEARED = a_reappeared()


def register(*facts: Fact, remembered: int = 100) -> Register:
    result = Register(remembered)
    for fact in facts:
        result.fold(fact)
    return result


def corrected(filled: str) -> ExecutionCorrected:
    return ExecutionCorrected(
        execution_id=EXECUTION, client_order_id=CHILD, total_filled=D(filled), filled_quote=D(1), detail=""
    )


def open_ids(of: Register) -> list[str]:
    return [ledger.intent.client_order_id for ledger in of.open_of("BTCUSDT")]


def test_an_order_is_open_until_it_ends_and_known_by_its_number_from_its_acknowledgement_on() -> None:
    of = register(an_intent(), an_intent(client_order_id=SECOND, slice=1))
    assert (open_ids(of), of.open_count, of.of_order("BTCUSDT", 1001)) == ([CHILD, SECOND], 2, None)
    of.fold(an_acknowledged())
    assert of.of_order("BTCUSDT", 1001) is of.open(CHILD) is of.get(CHILD)
    of.fold(a_trade_booked())
    of.fold(a_child_closed())
    of.fold(a_trade_booked(trade_id=8))  # It comes to light late, and opens nothing.
    assert (open_ids(of), of.open_count, of.open(CHILD)) == ([SECOND], 1, None)
    assert of.of_order("BTCUSDT", 1001) is of.get(CHILD) is not None


def test_an_order_that_shows_up_again_is_open_again_and_absent_no_more() -> None:
    of = register(an_intent(), UNKNOWN, ABSENT)
    moment = an_intent().request_timestamp
    assert (open_ids(of), of.absent(moment)) == ([], [an_intent()])
    of.fold(REAPPEARED)
    assert (open_ids(of), of.absent(moment)) == ([CHILD], [])
    of.fold(a_child_closed(executed_quantity=D(0)))
    assert (open_ids(of), of.absent(moment)) == ([], [])


def test_an_order_that_is_open_again_is_not_forgotten_with_those_that_ended() -> None:
    of = register(an_intent(), UNKNOWN, ABSENT, REAPPEARED, remembered=1)
    for number in (1, 2):
        name = child_id("p", EXECUTION, number, 0)
        of.fold(an_intent(client_order_id=name, slice=number))
        of.fold(an_acknowledged(client_order_id=name, order_id=1001 + number))
        of.fold(a_child_closed(client_order_id=name))
    assert of.of_order("BTCUSDT", 1001) is of.open(CHILD) is not None


def test_what_is_believed_absent_is_looked_out_for_a_day_however_many_end_meanwhile() -> None:
    of = register(an_intent(), UNKNOWN, ABSENT, remembered=1)
    moment = an_intent().request_timestamp
    of.fold(an_intent(client_order_id=SECOND, slice=1))
    of.fold(an_acknowledged(client_order_id=SECOND, order_id=1002))
    of.fold(a_child_closed(client_order_id=SECOND))
    assert of.get(CHILD) is not None
    assert of.absent(moment + DAY_MS - 1) == [an_intent()]
    assert of.absent(moment + DAY_MS) == []
    for late in (DAY_MS, DAY_MS + 1):
        third = child_id("p", EXECUTION, 2, late)
        of.fold(an_intent(client_order_id=third, slice=2, request_timestamp=moment + late))
        of.fold(replace(UNKNOWN, client_order_id=third))
        of.fold(replace(ABSENT, client_order_id=third))
        assert (of.get(CHILD) is not None) is (late == DAY_MS)


def test_what_ended_long_ago_is_forgotten_by_its_name_and_by_its_number() -> None:
    of = register(an_intent(), an_acknowledged(), a_trade_booked(), a_child_closed(), remembered=1)
    assert of.knows_order("BTCUSDT", 1001)
    of.fold(an_intent(client_order_id=SECOND, slice=1))
    of.fold(an_acknowledged(client_order_id=SECOND, order_id=1002))
    of.fold(a_child_closed(client_order_id=SECOND))
    assert (of.get(CHILD), of.of_order("BTCUSDT", 1001), of.knows_order("BTCUSDT", 1001)) == (None, None, False)
    assert of.knows_order("BTCUSDT", 1002)
    of.fold(a_trade_booked(trade_id=8))  # Of the forgotten one: it changes nothing.
    assert of.get(CHILD) is None


def test_of_foreign_orders_and_of_reports_so_many_are_remembered_too() -> None:
    of = register(remembered=1)
    for number in (1, 2):
        foreign = of.foreign(an_order(order_id=number))
        assert foreign is not None
        of.fold(foreign)
        assert of.foreign(an_order(order_id=number)) is None
    assert (of.knows_order("BTCUSDT", 1), of.knows_order("BTCUSDT", 2)) == (False, True)
    for name in (EXECUTION, OTHER):
        of.fold(a_closed(execution_id=name, report=a_report(total_filled=D(1), quantity=D("0.5"))))
    assert (of.overfilled(EXECUTION), of.overfilled(OTHER)) == (False, True)


@pytest.mark.parametrize(
    ("facts", "overfilled"),
    [
        ((), False),
        ((a_closed(),), False),
        ((a_closed(), corrected("0.5")), False),
        ((a_closed(), corrected("0.50001")), True),
        ((corrected("9"),), False),  # Its report is archived: what was asked is not known any more.
    ],
)
def test_an_execution_is_overfilled_above_what_was_asked(facts: tuple[Fact, ...], overfilled: bool) -> None:
    assert register(*facts).overfilled(EXECUTION) is overfilled


def test_a_report_that_was_written_while_a_trade_was_booked_is_corrected_by_the_difference() -> None:
    of = register(an_intent(), an_acknowledged(), a_trade_booked(quantity=D("0.04")), a_trade_booked(trade_id=8))
    line = a_child_report(executed_quantity=D("0.04"), executed_quote=D("1680.04"))
    stranger = a_child_report(client_order_id=SECOND)
    told = a_closed(report=a_report(total_filled=D("0.2"), filled_quote=D(8_400), orders=(line, stranger)))
    correction = of.missed_by(told)
    assert correction is not None
    assert (correction.client_order_id, correction.total_filled) == (CHILD, D("0.3"))
    assert correction.filled_quote == D(8_400) + D("4200.1")
    assert of.missed_by(a_closed(report=a_report(orders=(a_child_report(executed_quantity=D("0.14")),)))) is None


def test_of_each_symbol_the_oldest_execution_without_an_end_is_known() -> None:
    later = NOW + timedelta(hours=1)
    of = register(
        an_accepted(execution_id=OTHER, accepted_at=later),
        an_accepted(),
        an_accepted(execution_id="third23456abc", symbol="ETHUSDT", accepted_at=later),
    )
    assert of.accepted() == {"BTCUSDT": NOW, "ETHUSDT": later}
    of.fold(a_closed())
    assert of.accepted() == {"BTCUSDT": later, "ETHUSDT": later}


def test_the_highest_trade_of_each_symbol_is_known_whoever_tells_of_it() -> None:
    of = register(a_trade_booked(trade_id=7), a_trade_booked(trade_id=5))
    assert (of.last_trades, of.last_trade("ETHUSDT")) == ({"BTCUSDT": 7}, None)
    of.fold(TradesSummed(bought=(), fees=(), last_trades=(("BTCUSDT", 6), ("ETHUSDT", 3))))
    assert of.last_trades == {"BTCUSDT": 7, "ETHUSDT": 3}
    of.fold(TradesSummed(bought=(), fees=(), last_trades=(("BTCUSDT", 9),)))
    assert of.last_trade("BTCUSDT") == 9
