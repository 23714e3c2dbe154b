"""A journal that has lost its end, as a restored backup has, or a disk that lied about a sync.

The exchange knows what the journal does not. As long as the signal itself is in it, nothing is filled twice.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.runtime import Simulation
from tests.simulation.whole import D, Stage, own_trades

THREE = {"num_chunks": 3, "interval_seconds": 4}
NO_PLAN = 3
"""The journal's first facts: the start, the balances, and the signal."""

TAILS = [(at, kept) for at in (8, 10, 13) for kept in range(NO_PLAN + 1, at)]


def restored(simulation: Simulation, at: int, kept: int, after: float) -> tuple[Stage, str]:
    """Let a daemon work until its journal has so many facts, and a while longer; start again with the first of them.

    By then what was on its way has arrived: no backup is restored, and no machine up again, within 15 s.
    """
    stage = Stage(simulation, check_codec=False).start()
    of = stage.accepted("0.5", id="x", twap=THREE)
    store = stage.world.store
    assert simulation.run_until(lambda: store.last_seq() >= at, 60.0)
    stage.run(after)
    stage.world.crash()
    store.lose_tail(store.last_seq() - kept)
    stage.run(15.0)
    stage.start()
    return stage, of


def everything_counted(stage: Stage) -> Decimal:
    """Check that the journal has the exchange's trades, and return how much they are."""
    made = {(trade["orderId"], trade["id"], D(trade["qty"])) for trade in own_trades(stage.world.exchange.truth())}
    booked = [(line["order_id"], line["trade_id"], D(line["quantity"])) for line in stage.lines("TradeBooked")]
    assert sorted(booked) == sorted(made)
    assert all(order["status"] not in {"NEW", "PARTIALLY_FILLED"} for order in stage.orders())
    return sum((quantity for *_, quantity in made), D(0))


@pytest.mark.parametrize("after", [0.0, 5.0, 90.0])
@pytest.mark.parametrize(("at", "kept"), TAILS)
def test_whatever_end_of_the_journal_is_lost_what_the_exchange_did_is_counted(at: int, kept: int, after: float) -> None:
    with Simulation(100 * at + kept) as simulation:
        stage, of = restored(simulation, at, kept, after)
        report = stage.report(of)
        stage.run(10.0)
        assert everything_counted(stage) == report.total_filled <= D("0.5")
        assert stage.world.stop().exit_code == 0


@pytest.mark.parametrize("after", [0.0, 5.0, 90.0])
def test_an_execution_whose_plan_is_lost_though_it_has_traded_is_quarantined_and_counted(after: float) -> None:
    with Simulation(1) as simulation:
        stage, _ = restored(simulation, 8, NO_PLAN, after)
        stage.until("ExecutionQuarantined")
        stage.run(60.0)
        sent = len(stage.requests())
        assert everything_counted(stage) <= D("0.5")
        stage.run(60.0)
        assert len(stage.requests()) == sent
        assert "quarantine" in {line["kind"] for line in stage.lines("AlertRaised")}
        assert stage.world.stop().exit_code == 0
        simulation.claim_failures()
