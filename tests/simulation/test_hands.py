"""What somebody does at the exchange, by hand, to an order of ours that rests: it is cancelled, or made smaller."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.venue import Stir
from tests.simulation.whole import D, Stage

BODY: dict[str, Any] = {
    "id": "x",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.4",
    "twap": {"num_chunks": 2, "interval_seconds": 10, "child": "passive"},
}
BY_HAND = "web_0123456789abcdef"
DEAF = Fault(kind=FaultKind.LOST_EVENT, probability=1.0)


def resting(simulation: Simulation, *faults: Fault) -> Stage:
    """A daemon whose first child, of 0.2 BTC, rests until second 8."""
    stage = Stage(simulation, *faults).start()
    stage.world.send(BODY)
    stage.until("ChildAcknowledged")
    stage.run(1.0)
    return stage


def by_hand(stage: Stage, what: str, **params: str) -> None:
    """Do something to the order that rests, over the exchange's own page."""
    exchange, now = stage.world.exchange, stage.world.exchange_now()
    (order,) = exchange.engine.open.values()
    common = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "timestamp": str(now // 1000)}
    getattr(exchange, what)({**common, **params}, now)
    stage.world.venue.tell(Stir())
    stage.run(0.1)


def filled(stage: Stage) -> list[tuple[str, str]]:
    """How each child ended, and what it executed."""
    return [(line["outcome"], line["executed_quantity"]) for line in stage.lines("ChildClosed")]


def ends_whole(stage: Stage) -> None:
    assert stage.sim.run_until(lambda: not stage.world.news.open, 600.0)
    (closed,) = stage.lines("ExecutionClosed")
    assert D(closed["report"]["total_filled"]) == D("0.4")
    assert stage.lines("TradingHalted") == stage.lines("ForeignOrderSeen") == []
    traded = {(trade["order_id"], trade["trade_id"]) for trade in stage.lines("TradeBooked")}
    assert traded == {(trade.order_id, trade.trade_id) for trade in stage.world.exchange.engine.trades}


@pytest.mark.parametrize("faults", [(), (DEAF,)], ids=["told", "untold"])
def test_one_that_is_cancelled_has_ended_and_the_rest_follows(
    simulation: Simulation, faults: tuple[Fault, ...]
) -> None:
    stage = resting(simulation, *faults)
    by_hand(stage, "cancel", newClientOrderId=BY_HAND)
    ends_whole(stage)
    assert filled(stage)[0] == ("FAILED", "0")


@pytest.mark.parametrize("faults", [(), (DEAF,)], ids=["told", "untold"])
@pytest.mark.parametrize("renamed", [True, False])
def test_one_that_is_made_smaller_is_filled_as_far_as_it_goes_and_the_rest_follows(
    simulation: Simulation, faults: tuple[Fault, ...], *, renamed: bool
) -> None:
    stage = resting(simulation, *faults)
    (name,) = stage.requests()
    by_hand(stage, "amend", newQty="0.05", newClientOrderId=BY_HAND if renamed else name)
    stage.touch("41999.90", "41999.95")
    stage.run(3.0)
    assert filled(stage)[0] == ("PARTIAL", "0.05")
    ends_whole(stage)


@pytest.mark.parametrize("faults", [(), (DEAF,)], ids=["told", "untold"])
@pytest.mark.parametrize("renamed", [True, False])
def test_one_that_is_made_smaller_is_cancelled_at_its_deadline(
    simulation: Simulation, faults: tuple[Fault, ...], *, renamed: bool
) -> None:
    stage = resting(simulation, *faults)
    (name,) = stage.requests()
    by_hand(stage, "amend", newQty="0.05", newClientOrderId=BY_HAND if renamed else name)
    stage.run(8.0)
    assert filled(stage)[0] == ("TIMEOUT", "0")
    assert stage.world.exchange.engine.open == {}
    ends_whole(stage)


def test_one_that_is_made_smaller_while_the_daemon_is_down_is_found(simulation: Simulation) -> None:
    stage = resting(simulation)
    stage.world.crash()
    by_hand(stage, "amend", newQty="0.05", newClientOrderId=BY_HAND)
    stage.touch("41999.90", "41999.95")
    stage.run(2.0)
    stage.world.start()
    stage.run(3.0)
    assert filled(stage)[0] == ("PARTIAL", "0.05")
    ends_whole(stage)
