"""The price range rule ends an order that would go beyond it: the next slot tries, never the same at once."""

from __future__ import annotations

from dataclasses import replace

from actors.runtime import Simulation
from adapters.paper.rules import PriceRange
from tests.simulation.whole import D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def bound(stage: Stage, up: str | None) -> None:
    book = stage.world.exchange.engine.books["BTCUSDT"]
    book.spec = replace(book.spec, price_range=None if up is None else PriceRange(bid_up=D(up)))


def test_what_the_rule_ends_is_made_up_for_by_later_slots(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 1)
    bound(stage, "0.99")
    stage.run(20.0)
    assert [order["status"] for order in stage.orders()] == ["FILLED", "EXPIRED", "EXPIRED"]
    reasons = [line["failure_reason"] for line in stage.lines("ChildClosed")][1:]
    assert all("EXECUTION_RULE_PRICE_RANGE_EXCEEDED" in reason for reason in reasons), reasons
    bound(stage, None)
    report = stage.report(execution, 120.0)
    slots = [line["slice"] for line in stage.lines("ChildIntended")]
    assert len(set(slots)) == len(slots), "not one was tried again in its slot"
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    stage.check()


def test_an_execution_that_the_rule_never_lets_through_ends_and_says_so(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 1)
    bound(stage, "0.99")
    report = stage.report(execution, 300.0)
    assert report.total_filled == D("0.1")
    assert len(stage.requests()) <= 5 + 2, "one a slot, and the extra ones"
    stage.run(1.0)
    assert "early_stop" in {line["kind"] for line in stage.lines("AlertRaised")}
    stage.check()
