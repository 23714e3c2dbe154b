"""Two executions of one account whose orders meet: the exchange prevents the match, and what it prevents is no fill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.runtime import Simulation
from messages.order import OrderStatus
from tests.simulation.whole import D, Stage

RESTING = {"num_chunks": 2, "interval_seconds": 30, "child": "passive"}
TAKING = {"num_chunks": 1}


@pytest.mark.parametrize("mode", ["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"])
def test_what_is_prevented_is_no_fill_and_both_executions_end_whole(simulation: Simulation, mode: str) -> None:
    stage = Stage(simulation, gate={"opposite_signals": "both"})
    book = stage.world.exchange.engine.books["BTCUSDT"]
    book.spec = replace(book.spec, stp_default=mode)
    stage.start()
    buying = stage.accepted("0.4", twap=RESTING)
    stage.until("ChildAcknowledged")
    stage.levels([("41999.98", "100")], [("42000.01", "100")])  # At the touch there is nobody but us.
    selling = stage.accepted("0.2", side="sell", price="41500", twap=TAKING)
    sold, bought = stage.report(selling, 300.0), stage.report(buying, 300.0)
    prevented = [order for order in stage.orders() if order["status"] == OrderStatus.EXPIRED_IN_MATCH.value]
    assert len(prevented) >= 1
    assert bought.total_filled == D("0.4")
    assert sold.total_filled <= D("0.2")
    stage.check()
