"""A signal that buys for an amount of quote never spends more, whatever the market does meanwhile."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from messages.execution import AmendExecution
from tests.simulation.whole import D, Stage

AMOUNT = D(21_000)


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    return Stage(simulation).start()


def spent(stage: Stage) -> tuple[D, D]:
    trades = stage.lines("TradeBooked")
    return sum((D(t["price"]) * D(t["quantity"]) for t in trades), D(0)), sum((D(t["quantity"]) for t in trades), D(0))


def buy(stage: Stage, **twap: str | int) -> str:
    answer = stage.world.send({"symbol": "BTCUSDT", "side": "buy", "quote_quantity": str(AMOUNT), "twap": twap})
    assert stage.sim.run_until(lambda: answer.verdict is not None, 10.0)
    assert answer.verdict is not None
    assert answer.verdict.execution_id is not None, answer.verdict
    return answer.verdict.execution_id


@pytest.mark.parametrize("child", ["market", "ioc"])
def test_a_book_that_empties_makes_no_buy_dearer_than_its_amount(stage: Stage, child: str) -> None:
    stage.levels([("41999.99", "9")], [("42000.01", "0.05"), ("42400", "0.05"), ("44000", "9")])
    stage.run(2.0)
    stage.report(buy(stage, num_chunks=3, interval_seconds=5, child=child, cap_bps=1_000))
    quote, base = spent(stage)
    assert base > 0
    assert quote <= AMOUNT
    assert all(D(trade["price"]) < 44_000 for trade in stage.lines("TradeBooked"))
    stage.check()


def test_a_market_at_the_edge_of_the_deviation_bound_makes_no_buy_dearer_than_its_amount(stage: Stage) -> None:
    execution = buy(stage, num_chunks=2, interval_seconds=5, cap_bps=100)
    stage.levels([("42400.00", "9")], [("42419.00", "0.01"), ("42500", "9")])
    stage.report(execution)
    quote, base = spent(stage)
    assert base > 0
    assert quote <= AMOUNT
    stage.check()


def test_it_fills_in_full_where_the_market_stands_still(stage: Stage) -> None:
    report = stage.report(buy(stage, num_chunks=3, interval_seconds=5, child="market"))
    assert report.stop_reason == "COMPLETED"
    assert spent(stage)[0] <= AMOUNT < spent(stage)[0] * D("1.011")
    stage.check()


def test_a_worst_price_at_which_it_could_cost_more_is_refused_later_too(stage: Stage) -> None:
    execution = buy(stage, num_chunks=3, interval_seconds=30)
    stage.until("ChildClosed")
    stage.run(1.0)
    answer = stage.command(AmendExecution, execution, limit_price=D(43_000))
    assert (answer.done, answer.detail) == (False, "at 43000 it could cost more than the 21000 that it was to buy for")
    assert stage.command(AmendExecution, execution, limit_price=D(43_000), quantity=D("0.45")).done
    answer = stage.command(AmendExecution, execution, limit_price=D(50_000))
    assert not answer.done
    stage.report(execution)
    assert spent(stage)[0] <= AMOUNT
    stage.check()
