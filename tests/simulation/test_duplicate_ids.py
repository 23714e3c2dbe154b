"""The exchange says that an order of this id is open already: that one is found, and nothing is sent in its place."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.paper.wording import order_params
from messages.ids import child_id, microseconds, milliseconds
from messages.order import SendOrder
from messages.signal import Side
from tests.simulation.whole import D, Stage, own_trades

RESTING = {"num_chunks": 2, "interval_seconds": 30, "child": "passive"}


@pytest.mark.parametrize("filled", ["0", "0.03", "0.2"])
def test_an_open_order_of_the_childs_own_id_is_taken_for_it_and_counted(simulation: Simulation, filled: str) -> None:
    """As if the child had been sent before: the second slice's order is there when it goes out."""
    stage = Stage(simulation).start()
    of = stage.accepted("0.4", twap=RESTING)
    stage.until("ChildClosed", 2)  # The first slice has rested, and what was left has crossed.
    name = child_id("p", of, 1, 0)
    stage.run(29.9 - simulation.now())
    nobody: Any = stage.world.news
    earlier = SendOrder(
        client_order_id=name,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT_MAKER",
        time_in_force=None,
        quantity=D("0.2"),
        limit_price=D("41999.99"),
        request_timestamp=milliseconds(simulation.wall_time()),
        recv_window=2000,
        reply_to=nobody,
    )
    stage.world.exchange.place(order_params(earlier), microseconds(simulation.wall_time()))
    stage.world.exchange.drain()  # No event tells of it.
    stage.until("ChildIntended", 3)
    stage.run(0.1)
    assert stage.requests().count(name) == 2, "ours was refused: -2010, Duplicate order sent."
    if D(filled):
        stage.levels([("41999.98", "100")], [("41999.99", filled), ("42000.01", "100")])
        stage.run(1.0)
        stage.touch("41999.99", "42000.01")
    report = stage.report(of, 300.0)
    assert (report.total_filled, report.stop_reason) == (D("0.4"), "COMPLETED")
    assert stage.count("ChildAbsent") == 0
    assert stage.count("TradingHalted") == 0
    assert [order["clientOrderId"] for order in stage.orders()].count(name) == 1
    booked = {(line["order_id"], line["trade_id"]) for line in stage.lines("TradeBooked")}
    assert booked == {(trade["orderId"], trade["id"]) for trade in own_trades(stage.world.exchange.truth())}
    assert all(order["status"] not in {"NEW", "PARTIALLY_FILLED"} for order in stage.orders())
