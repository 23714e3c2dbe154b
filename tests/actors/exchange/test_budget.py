from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.exchange.budget import SLACK_SECONDS, Budget, BudgetLimits, Priority, weight_of
from messages.order import (
    LimitsSeen,
    OpenUserStream,
    QueryAllOrders,
    QueryBalances,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    ReportLimits,
    SendCancel,
    VenueCommand,
    order_of,
)
from tests.factories import CHILD, an_intent
from tests.order_tools import Nobody

ME = Nobody()


@pytest.mark.parametrize(
    ("command", "weight"),
    [
        (QueryTrades(symbol="X", reply_to=ME, order_id=1), 5),
        (QueryTrades(symbol="X", reply_to=ME, from_id=1), 20),
        (QueryAllOrders(symbol="X", since=0, reply_to=ME), 20),
        (QueryBalances(reply_to=ME), 20),
        (QueryRules(symbols=("X",), reply_to=ME), 20),
        (QueryOpenOrders(symbol="X", reply_to=ME), 6),
        (QueryOrder(symbol="X", client_order_id=CHILD, reply_to=ME), 4),
        (QueryTime(reply_to=ME), 1),
        (order_of(an_intent(), ME), 0),
        (SendCancel(symbol="X", client_order_id=CHILD, order_id=1, cancel_id="c", reply_to=ME), 0),
        (OpenUserStream(listener=ME), 0),
        (ReportLimits(listener=ME), 0),
    ],
)
def test_each_command_has_its_weight(command: VenueCommand, weight: int) -> None:
    assert weight_of(command) == weight


def a_budget(weight: int = 100, orders: tuple[tuple[int, int], ...] = ((10, 3),)) -> Budget:
    return Budget(BudgetLimits(weight=weight, orders=orders))


def test_a_fresh_budget_lets_everything_through() -> None:
    assert a_budget().retry_at(0, Priority.PLACE, 0.0, orders=1) is None


def test_each_priority_has_a_reserve_that_lower_ones_do_not_touch() -> None:
    budget = a_budget()
    budget.spend(70, 5.0)
    later = 5.0 + 60 + SLACK_SECONDS
    assert [budget.retry_at(1, priority, 6.0) for priority in Priority] == [later, None, None, None]
    budget.spend(10, 5.0)
    assert [budget.retry_at(1, priority, 6.0) for priority in Priority] == [later, later, None, None]
    budget.spend(10, 5.0)
    assert [budget.retry_at(1, priority, 6.0) for priority in Priority] == [later, later, later, None]
    budget.spend(10, 5.0)
    assert [budget.retry_at(1, priority, 6.0) for priority in Priority] == [later] * 4
    assert budget.retry_at(1, Priority.PLACE, later) is None


def test_orders_are_counted_in_a_sliding_window() -> None:
    budget = a_budget()
    for moment in (0.0, 1.0, 2.0):
        assert budget.retry_at(0, Priority.PLACE, moment, orders=1) is None
        budget.spend(0, moment, orders=1)
    assert budget.retry_at(0, Priority.PLACE, 3.0, orders=1) == 0.0 + 10 + SLACK_SECONDS
    assert budget.retry_at(0, Priority.PLACE, 11.0, orders=1) is None
    assert budget.retry_at(1, Priority.POLL, 3.0) is None


def test_the_venues_own_figures_win() -> None:
    budget = a_budget()
    budget.spend(90, 0.0, orders=3)
    budget.learn(LimitsSeen(used_weight=10, weight_limit=200, order_counts=((10, 1, 5),)), 1.0)
    assert budget.retry_at(1, Priority.PLACE, 1.0, orders=4) is None
    assert budget.retry_at(1, Priority.PLACE, 1.0, orders=5) == 1.0 + 10 + SLACK_SECONDS
    assert budget.retry_at(131, Priority.PLACE, 1.0) == 1.0 + 60 + SLACK_SECONDS


def test_what_was_sent_just_before_a_figure_is_added_to_it() -> None:
    budget = a_budget()
    budget.spend(0, 0.9, orders=2)
    budget.learn(LimitsSeen(order_counts=((10, 1, 3),)), 1.0)
    assert budget.retry_at(0, Priority.PLACE, 1.0, orders=1) is not None


def test_of_what_was_sent_before_a_figure_only_the_last_is_added_to_it() -> None:
    budget = a_budget(weight=1000, orders=())
    budget.spend(300, 0.0)
    budget.spend(200, 9.9)
    budget.learn(LimitsSeen(used_weight=400), 10.0)
    assert budget.retry_at(100, Priority.PLACE, 10.0) is None
    assert budget.retry_at(101, Priority.PLACE, 10.0) == 10.0 + 60 + SLACK_SECONDS


def test_what_needs_more_than_one_to_leave_the_window_waits_for_the_last_of_them() -> None:
    budget = a_budget()
    for moment in (0.0, 1.0, 2.0):
        budget.spend(0, moment, orders=1)
    leaves = [moment + 10 + SLACK_SECONDS for moment in (0.0, 1.0, 2.0)]
    assert [budget.retry_at(0, Priority.PLACE, 3.0, orders=orders) for orders in (1, 2, 3)] == leaves


def test_a_figure_is_trusted_no_longer_than_its_window() -> None:
    budget = a_budget()
    budget.learn(LimitsSeen(used_weight=100, order_counts=((10, 3, 3),)), 0.0)
    assert budget.retry_at(0, Priority.PLACE, 1.0, orders=1) == 60 + SLACK_SECONDS
    assert budget.retry_at(1, Priority.PLACE, 60 + SLACK_SECONDS, orders=1) is None


def test_a_limit_without_a_use_and_a_window_that_is_new_are_learnt() -> None:
    budget = a_budget()
    budget.learn(LimitsSeen(weight_limit=10, order_counts=((1, 1, 1),)), 0.0)
    budget.spend(7, 0.0)
    assert budget.retry_at(1, Priority.PLACE, 0.5) == 60 + SLACK_SECONDS
    assert budget.retry_at(0, Priority.PLACE, 0.5, orders=1) == 1 + SLACK_SECONDS


def test_retry_after_forbids_everything() -> None:
    budget = a_budget()
    budget.forbid(50.0)
    budget.forbid(40.0)
    assert [budget.retry_at(0, priority, 10.0) for priority in Priority] == [50.0] * 4
    assert budget.forbidden_until(10.0) == 50.0
    assert budget.forbidden_until(50.0) is None
    assert budget.retry_at(0, Priority.PLACE, 50.0) is None


def test_too_many_orders_forbid_orders_and_nothing_else() -> None:
    budget = a_budget()
    budget.forbid(50.0, orders_only=True)
    budget.forbid(40.0, orders_only=True)
    assert budget.retry_at(0, Priority.PLACE, 10.0, orders=1) == 50.0
    assert [budget.retry_at(1, priority, 10.0) for priority in Priority] == [None] * 4
    assert budget.forbidden_until(10.0) is None
    assert budget.retry_at(0, Priority.PLACE, 50.0, orders=1) is None


@given(st.lists(st.floats(0, 3), max_size=80))
def test_no_window_of_the_venue_ever_holds_more_orders_than_its_limit(pauses: list[float]) -> None:
    budget, now, sent = a_budget(), 0.0, []
    for pause in pauses:
        now += pause
        if budget.retry_at(0, Priority.PLACE, now, orders=1) is None:
            budget.spend(0, now, orders=1)
            sent.append(now)
    for start in sent:
        assert sum(start <= moment < start + 10 for moment in sent) <= 3


def test_what_is_told_to_wait_fits_when_it_was_told() -> None:
    budget, now = a_budget(), 0.0
    for _ in range(50):
        retry_at = budget.retry_at(7, Priority.PLACE, now, orders=1)
        if retry_at is None:
            budget.spend(7, now, orders=1)
        else:
            assert retry_at > now
            now = retry_at
            assert budget.retry_at(7, Priority.PLACE, now, orders=1) is None
