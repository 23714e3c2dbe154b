from __future__ import annotations

from dataclasses import replace

from adapters.paper.records import AccountPosition, Execution
from adapters.paper.server.replies import MICROSECOND
from adapters.paper.server.user_events import event_shape, execution_report
from tests.adapters.paper.worlds import NOW, World


def executions() -> list[Execution]:
    world = World()
    world.place(quantity="0.4")
    return world.executions()


def test_a_report_carries_order_and_trade() -> None:
    _, trade = executions()
    shape = execution_report(trade, NOW + 5000)
    assert (shape["e"], shape["E"], shape["x"], shape["X"]) == ("executionReport", NOW // 1000 + 5, "TRADE", "FILLED")
    assert (shape["l"], shape["L"], shape["Y"], shape["t"], shape["M"]) == (
        "0.40000000",
        "101.00000000",
        "40.40000000",
        1,
        True,
    )
    assert shape["W"] == NOW // 1000


def test_a_report_without_a_trade_says_so() -> None:
    new, _ = executions()
    shape = execution_report(new, NOW)
    assert (shape["t"], shape["l"], shape["N"], shape["n"]) == (-1, "0.00000000", None, "0")


def test_an_order_that_never_was_on_the_book_has_no_time_of_that() -> None:
    new, _ = executions()
    assert "W" not in execution_report(replace(new, order=replace(new.order, working_time=None)), NOW)


def test_times_come_in_the_unit_that_was_asked_for() -> None:
    new, _ = executions()
    assert execution_report(new, NOW + 7, MICROSECOND)["E"] == NOW + 7


def test_balances_that_changed_are_told() -> None:
    world = World()
    world.place(quantity="0.4")
    position = next(event for event in world.exchange.drain() if isinstance(event, AccountPosition))
    shape = event_shape(position, NOW)
    assert (shape["e"], shape["u"]) == ("outboundAccountPosition", NOW // 1000)
    assert {"a": "USDT", "f": "999959.60000000", "l": "0.00000000"} in shape["B"]  # type: ignore[operator]  # a list
