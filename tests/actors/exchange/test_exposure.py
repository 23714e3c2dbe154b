from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.exchange.exposure import Exposures
from messages.facts import (
    ChildAbsent,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionQuarantined,
    ExecutionStarted,
    Fact,
    StreamGap,
)
from messages.ids import child_id
from messages.order import Decline, PlaceChild
from messages.signal import Side
from tests.factories import (
    CHILD,
    EXECUTION,
    NOW,
    D,
    a_child_closed,
    a_child_report,
    a_closed,
    a_plan,
    a_planned,
    a_reappeared,
    a_report,
    a_trade_booked,
    an_accepted,
    an_intent,
)
from tests.order_tools import a_place


def exposures(*facts: Fact, **settings: Any) -> Exposures:
    result = Exposures(**settings)
    for fact in (an_accepted(), a_planned(), ExecutionStarted(execution_id=EXECUTION, incarnation=1), *facts):
        result.fold(fact)
    return result


def admits(of: Exposures, **changes: Any) -> Decline | None:
    place = a_place(**{"slice": 1, **changes})
    return of.admits(place, child_id("p", place.execution_id, place.slice, place.attempt))


NOT_SENT = ChildNotSent(
    execution_id=EXECUTION, client_order_id=CHILD, reason="TOO_LATE", detail="", source="exchange_actor"
)
REFUSED = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no")
ABSENT = ChildAbsent(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", proof="test")
REAPPEARED = a_reappeared()


def test_an_execution_that_was_never_accepted_gets_nothing() -> None:
    assert admits(Exposures()) is Decline.UNKNOWN_EXECUTION


def test_a_child_may_take_all_that_is_left_and_no_step_more() -> None:
    of = exposures(an_intent())
    assert admits(of, quantity=D("0.4")) is None
    assert admits(of, quantity=D("0.40001")) is Decline.OVER_QUANTITY


def test_the_plan_may_ask_for_less_than_was_accepted_but_not_for_more() -> None:
    assert admits(exposures(a_planned(plan=a_plan(quantity=D("0.3")))), quantity=D("0.31")) is Decline.OVER_QUANTITY
    assert admits(exposures(a_planned(plan=a_plan(quantity=D(9)))), quantity=D("0.51")) is Decline.OVER_QUANTITY


def test_an_open_child_counts_in_full_however_much_of_it_is_filled() -> None:
    of = exposures(an_intent(quantity=D("0.5")), a_trade_booked(quantity=D("0.2")))
    assert of[EXECUTION].committed == D("0.5")


def test_a_closed_child_counts_what_it_executed() -> None:
    of = exposures(an_intent(), a_child_closed(executed_quantity=D("0.04")))
    assert of[EXECUTION].committed == D("0.04")
    assert admits(of, quantity=D("0.46")) is None
    assert admits(of, quantity=D("0.47")) is Decline.OVER_QUANTITY


@pytest.mark.parametrize("end", [NOT_SENT, REFUSED, ABSENT])
def test_a_child_that_was_never_there_counts_nothing_and_its_id_stays_used(end: Fact) -> None:
    of = exposures(an_intent(), end)
    assert of[EXECUTION].committed == 0
    assert admits(of, quantity=D("0.5")) is None
    assert admits(of, slice=0) is Decline.SEEN


@pytest.mark.parametrize("end", [NOT_SENT, REFUSED, ABSENT])
def test_a_child_that_shows_up_after_all_counts_again(end: Fact) -> None:
    of = exposures(an_intent(), end, REAPPEARED)
    assert of[EXECUTION].committed == D("0.1")
    assert [intent.client_order_id for intent in of.open_children()] == [CHILD]
    of.fold(a_child_closed(executed_quantity=D("0.03")))
    assert of[EXECUTION].committed == D("0.03")


def test_a_trade_after_the_end_counts_on_top() -> None:
    of = exposures(an_intent(), a_child_closed(), a_trade_booked(trade_id=8, quantity=D("0.01")))
    assert of[EXECUTION].committed == D("0.11")


def test_an_older_incarnation_gets_nothing() -> None:
    of = exposures(ExecutionStarted(execution_id=EXECUTION, incarnation=3))
    assert admits(of, incarnation=2) is Decline.OLD_INCARNATION
    assert admits(of, incarnation=3) is None


@pytest.mark.parametrize("fact", [ExecutionCancelRequested, ExecutionQuarantined])
def test_a_cancelled_or_quarantined_execution_gets_nothing(fact: Any) -> None:
    of = exposures(fact(execution_id=EXECUTION, detail=""))
    assert admits(of) is Decline.CANCELLED


def test_an_amended_quantity_bounds_from_then_on() -> None:
    of = exposures(an_intent(), ExecutionAmended(execution_id=EXECUTION, quantity=D("0.15")))
    assert admits(of, quantity=D("0.05")) is None
    assert admits(of, quantity=D("0.06")) is Decline.OVER_QUANTITY


def test_an_amended_limit_leaves_the_quantity() -> None:
    of = exposures(ExecutionAmended(execution_id=EXECUTION, limit_price=D(1)))
    assert of[EXECUTION].quantity == D("0.5")


def test_a_closed_execution_leaves_memory_and_stays_closed() -> None:
    of = exposures(an_intent(), a_child_closed(), a_closed())
    assert len(of) == 0
    assert of.get(EXECUTION) is None
    assert admits(of) is Decline.CLOSED


def test_a_closed_execution_stays_while_a_child_is_open() -> None:
    of = exposures(an_intent(), a_closed())
    assert admits(of) is Decline.CLOSED
    of.fold(a_child_closed())
    assert len(of) == 0


def test_only_so_many_closed_executions_are_remembered() -> None:
    of = Exposures(remembered=2)
    for number in range(3):
        name = f"execution{number}abc"
        of.fold(an_accepted(execution_id=name))
        of.fold(a_closed(execution_id=name))
    assert admits(of, execution_id="execution0abc") is Decline.UNKNOWN_EXECUTION
    assert admits(of, execution_id="execution1abc") is Decline.CLOSED
    assert admits(of, execution_id="execution2abc") is Decline.CLOSED


def test_a_child_of_a_closed_execution_that_shows_up_is_open_until_it_ends() -> None:
    of = exposures(an_intent(), REFUSED, a_closed(), REAPPEARED)
    assert [intent.client_order_id for intent in of.open_children()] == [CHILD]
    assert admits(of) is Decline.CLOSED
    of.fold(a_child_closed())
    assert list(of.open_children()) == []
    assert len(of) == 0


def test_every_child_of_an_execution_that_is_over_stays_known_also_while_one_of_them_is_back() -> None:
    back, other = child_id("p", EXECUTION, 1, 0), child_id("p", EXECUTION, 2, 0)
    of = exposures(
        an_intent(),
        a_child_closed(),
        an_intent(client_order_id=back, slice=1),
        replace(REFUSED, client_order_id=back),
        a_closed(),
    )
    assert exposures(an_intent()).has_seen(EXECUTION, CHILD)
    seen = [of.has_seen(EXECUTION, child) for child in (CHILD, back, other)]
    of.fold(replace(REAPPEARED, client_order_id=back))
    seen_while_open = [of.has_seen(EXECUTION, child) for child in (CHILD, back, other)]
    of.fold(a_child_closed(client_order_id=back))
    seen_after = [of.has_seen(EXECUTION, child) for child in (CHILD, back, other)]
    assert seen == seen_while_open == seen_after == [True, True, False]
    assert of.knows(EXECUTION)
    assert not of.has_seen("another23456", CHILD)


def test_a_child_that_only_the_report_names_is_known_too() -> None:
    """Its intent is archived: a start reads the acceptance and the report alone."""
    of = exposures(a_closed(report=a_report(orders=(a_child_report(client_order_id=CHILD),))))
    assert of.has_seen(EXECUTION, CHILD)
    assert not of.has_seen(EXECUTION, child_id("p", EXECUTION, 1, 0))


@pytest.mark.parametrize(("late", "overfilled"), [("0.4", False), ("0.40001", True)])
def test_overfilled_is_what_executed_more_than_was_asked_whatever_is_open(late: str, overfilled: bool) -> None:
    another = an_intent(client_order_id=child_id("p", EXECUTION, 1, 0), slice=1, quantity=D("0.4"))
    of = exposures(an_intent(), a_child_closed(), another, a_trade_booked(trade_id=8, quantity=D(late)))
    assert of[EXECUTION].overfilled is overfilled


def test_an_amended_end_bounds_from_then_on_and_stays_where_something_else_is_amended() -> None:
    later = NOW + timedelta(hours=1)
    of = exposures(
        a_planned(plan=a_plan(end_at=NOW)),
        ExecutionAmended(execution_id=EXECUTION, end_at=later),
        ExecutionAmended(execution_id=EXECUTION, quantity=D("0.4")),
    )
    assert of[EXECUTION].end_at == later


def test_facts_of_executions_and_children_that_are_forgotten_change_nothing() -> None:
    of = Exposures()
    of.fold(REAPPEARED)
    of.fold(a_child_closed())
    of.fold(REFUSED)
    of.fold(StreamGap(since=NOW, until=NOW, detail=""))
    assert len(of) == 0


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (StreamGap(execution_id=EXECUTION, since=NOW, until=NOW, detail=""), None),
        (ExecutionCancelRequested(execution_id=EXECUTION), Decline.CANCELLED),
        (ExecutionStarted(execution_id=EXECUTION, incarnation=2), Decline.OLD_INCARNATION),
        (ExecutionAmended(execution_id=EXECUTION, quantity=D("0.09")), Decline.OVER_QUANTITY),
        (a_closed(), Decline.CLOSED),
    ],
)
def test_an_intent_is_looked_at_again_after_its_commit(fact: Fact, expected: Decline | None) -> None:
    of = exposures(an_intent(), fact)
    assert of[EXECUTION].still_admits(an_intent()) is expected


STEP = D("0.01")


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["open", "closed", "refused", "back"])), max_size=30))
def test_executed_open_and_unknown_never_exceed_what_was_asked(script: list[tuple[int, str]]) -> None:
    of = exposures()
    at_venue: dict[str, D] = {}
    for number, (steps, fate) in enumerate(script):
        quantity = STEP * steps
        place: PlaceChild = a_place(slice=number, quantity=quantity)
        name = child_id("p", EXECUTION, number, 0)
        if of.admits(place, name) is not None:
            continue
        intent: ChildIntended = an_intent(client_order_id=name, slice=number, quantity=quantity, side=Side.BUY)
        of.fold(intent)
        at_venue[name] = quantity
        if fate == "closed":
            at_venue[name] = STEP * (steps // 2)
            of.fold(a_child_closed(client_order_id=name, executed_quantity=at_venue[name]))
        elif fate == "refused":
            at_venue[name] = D(0)
            of.fold(ChildRefused(execution_id=EXECUTION, client_order_id=name, symbol="BTCUSDT", code=-1, message=""))
        assert sum(at_venue.values()) <= D("0.5")
        assert of[EXECUTION].committed == sum(at_venue.values())
