"""Children that rest in the book, with the whole daemon: crashes at any message, stops, halts, late fills."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.paper.account import Fees, Rates
from adapters.paper.exchange import PaperSettings
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.markets import MarketChoice
from adapters.paper.venue import LatencySettings
from adapters.scenarios import Scenario, TimedSignal
from adapters.simulation import parse_export, simulate
from messages.control import HaltTrading, ResumeTrading, StoreFailed
from messages.execution import ExecutionReport
from tests.simulation.test_crashes import DOWN_SECONDS, EVERY_MESSAGE, everything_known, restarted
from tests.simulation.test_physics import SIGNED
from tests.simulation.whole import D, Stage, a_daemon, by_hand, check_outcome

BODY: dict[str, Any] = {
    "id": "x",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.4",
    "twap": {"num_chunks": 2, "interval_seconds": 10, "child": "passive"},
}


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    """A daemon that works two slices, each of which rests until second 8 of its slot."""
    stage = Stage(simulation).start()
    stage.world.send(BODY)
    stage.until("ChildAcknowledged")
    return stage


def open_orders(stage: Stage) -> list[str]:
    orders: Any = stage.world.exchange.truth()["orders"]
    return [order["clientOrderId"] for order in orders if order["status"] in {"NEW", "PARTIALLY_FILLED"}]


def rested(stage: Stage) -> None:
    assert len(open_orders(stage)) == 1


def cancels(stage: Stage) -> list[tuple[float, str]]:
    lines = stage.lines("ChildCancelRequested")
    return [(line["at"], line["reason"]) for line in lines]


def ends_whole(stage: Stage) -> None:
    assert stage.sim.run_until(lambda: not stage.world.news.open, 300.0)
    lines = parse_export(stage.world.export())
    (closed,) = [line for line in lines if line["type"] == "ExecutionClosed"]
    assert D(closed["report"]["total_filled"]) == D("0.4")
    by_hand(lines, stage.world.exchange.truth(), ())
    assert stage.world.stop().exit_code == 0
    stage.check_safety()


def test_a_journal_that_fails_has_what_rests_cancelled_before_the_process_ends(stage: Stage) -> None:
    rested(stage)
    (resting,) = open_orders(stage)
    stage.world.store.fail_next(StoreFailed("no space left on device"))
    stage.world.send({**BODY, "id": "y", "side": "sell"})
    news = stage.world.news
    assert stage.sim.run_until(lambda: news.ended is not None, 5.0)
    assert news.ended is not None
    assert news.ended.exit_code == 74
    assert open_orders(stage) == []
    orders: Any = stage.world.exchange.truth()["orders"]
    assert [(one["clientOrderId"], one["status"]) for one in orders] == [(resting, "CANCELED")]


def test_what_does_not_fill_at_the_touch_is_bought_across_the_spread_in_each_slot(stage: Stage) -> None:
    ends_whole(stage)
    kinds = [(line["order_type"], line["slice"]) for line in parse_export(stage.world.export()) if "order_type" in line]
    assert kinds == [("LIMIT_MAKER", 0), ("LIMIT", 0), ("LIMIT_MAKER", 1), ("LIMIT", 1)]


def test_what_the_market_comes_through_is_made(stage: Stage) -> None:
    rested(stage)
    stage.touch("41999.90", "41999.95")
    stage.run(1.0)
    (closed,) = stage.lines("ChildClosed")
    assert (closed["outcome"], closed["executed_quantity"]) == ("FILLED", "0.2")
    assert open_orders(stage) == []
    ends_whole(stage)


def test_a_stop_takes_back_what_rests_and_the_next_start_goes_on(stage: Stage) -> None:
    rested(stage)
    asked = stage.sim.now()
    assert stage.world.stop().exit_code == 0
    assert stage.sim.now() - asked < 3.0
    assert open_orders(stage) == []
    assert everything_known(stage)
    stage.world.daemon_node.crash()
    restarted(stage, 1.0)
    ends_whole(stage)


def test_a_halt_takes_back_what_rests_and_after_it_the_rest_is_made_up_for(stage: Stage) -> None:
    rested(stage)
    assert stage.world.news.up is not None
    exchange = stage.world.news.up.exchange
    exchange.tell(HaltTrading(reason="operator", detail="a test"))
    stage.run(1.0)
    assert open_orders(stage) == []
    exchange.tell(ResumeTrading(detail="over"))
    ends_whole(stage)


@pytest.mark.parametrize("down", [2.0, 20.0])
def test_a_child_that_rests_through_a_crash_is_found_and_its_deadline_still_holds(stage: Stage, down: float) -> None:
    stage.run(3.0)
    stage.world.crash()
    rested(stage)
    restarted(stage, down)
    if down < 5.0:
        stage.run(1.0)
        rested(stage)
    began = stage.sim.now()
    assert stage.sim.run_until(lambda: stage.count("ChildCancelRequested") > 0, 10.0)
    assert stage.sim.now() - began < max(2.5, 8.0 - 3.0 - down)
    ends_whole(stage)


def test_a_cancel_of_which_nothing_is_heard_is_repeated_until_the_end_is_proven(simulation: Simulation) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_CANCEL, nth=(1, 2))).start()
    stage.world.send({**BODY, "twap": {**BODY["twap"], "interval_seconds": 200}})
    stage.until("ChildCancelRequested", 3)
    stage.run(1.0)
    assert open_orders(stage) == []
    assert stage.count("ChildClosed") == 2, "what was left must have crossed"
    ends_whole(stage)


def test_a_fill_that_the_cancel_comes_too_late_for_counts(simulation: Simulation) -> None:
    """The market comes through while the cancel is on its way: the engine says that nothing is open."""
    stage = Stage(simulation).start()
    stage.world.send(BODY)
    stage.until("ChildCancelRequested")
    stage.touch("41999.90", "41999.95")
    stage.run(1.0)
    (closed,) = stage.lines("ChildClosed")
    assert D(closed["executed_quantity"]) == D("0.2")
    ends_whole(stage)


def crashed_at(simulation: Simulation, message: int, *, comes: bool) -> Stage | None:
    """One execution whose daemon is killed right after its n-th message; None if it had ended before."""
    stage = Stage(simulation, latency=LatencySettings(), check_codec=False).start()
    node = stage.world.daemon_node
    node.crash_at(node.handled + message)
    stage.world.send({**BODY, "twap": {**BODY["twap"], "interval_seconds": 2}})
    if comes:
        simulation.run_until(lambda: node.crashes == 1 or stage.count("ChildAcknowledged") == 1, 5.0)
        stage.levels([("41999.90", "1000")], [("41999.95", "0.05"), ("42000.01", "1000")])
    simulation.run_until(lambda: node.crashes == 1 or stage.count("ExecutionClosed") == 1, 60.0)
    if not node.crashes:
        return None
    restarted(stage, DOWN_SECONDS[message % 3])
    stage.world.send({**BODY, "twap": {**BODY["twap"], "interval_seconds": 2}}, "again")
    stage.run(1.0)
    simulation.run_until(lambda: not stage.world.news.open, 300.0)
    return stage


@pytest.mark.timeout(600)
@pytest.mark.parametrize("comes", [False, True], ids=["nobody comes", "the market comes through"])
def test_a_crash_at_any_message_while_children_rest_ends_where_an_undisturbed_run_would(*, comes: bool) -> None:
    """Every fourth message, the even ones or the odd ones; each with `TIDEGATE_STEPS=all` (`make soak`)."""
    for message in count(1) if EVERY_MESSAGE else count(1 + comes, 4):
        with Simulation(message) as simulation:
            stage = crashed_at(simulation, message, comes=comes)
            if stage is None:
                break
            assert everything_known(stage), "something is still unknown"
            ends_whole(stage)
    assert message > 150, "the execution was too short to be worth a crash"


# What it costs, in a mirror -----------------------------------------------------------------------

MIDDLE = D(42_000)
COURSE = (
    ("41999.99", "5", "42000.01", "5"),
    ("41998.90", "5", "41999.95", "0.03"),  # The asks come through the first post, for a part of it.
    ("41999.40", "5", "42000.30", "5"),
    ("42000.70", "5", "42001.10", "5"),
)
"""Bid and ask with what stands there, one after the other, each for some seconds."""


def played(side: str, kind: str) -> ExecutionReport:
    """Work 0.4 BTC on that course, or sell them on its mirror image about 42,000."""
    with Simulation(1) as simulation:
        stage = Stage(simulation, check_codec=False).start()
        for step, (bid, bids, ask, asks) in enumerate(COURSE):
            near = ((bid, bids), (ask, asks))
            if side == "sell":
                near = ((str(2 * MIDDLE - D(ask)), asks), (str(2 * MIDDLE - D(bid)), bids))
            stage.levels([near[0], ("41990", "100")], [near[1], ("42010", "100")])
            if not step:
                stage.run(3.0)
                stage.world.send({**BODY, "side": side, "twap": {**BODY["twap"], "child": kind, "timing": True}})
            stage.run(4.0)
        assert simulation.run_until(lambda: not stage.world.news.open, 300.0)
        stage.check()
        (closed,) = stage.world.news.closed.values()
        return closed.report


@pytest.mark.parametrize("kind", ["passive", "auto", "ioc"])
def test_selling_is_buying_in_a_mirror_and_the_parts_of_a_cost_add_up(kind: str) -> None:
    buy, sell = played("buy", kind), played("sell", kind)
    assert buy.maker_filled == sell.maker_filled
    assert (D(0) < buy.maker_filled < D("0.2")) is (kind == "passive")
    for name in SIGNED:
        one, other = getattr(buy, name), getattr(sell, name)
        assert (one is None) is (other is None), name
        if name in {"fees_bps", "total_shortfall_bps"}:
            continue  # A fee is a share of the price, which a mirror about the arrival price does not keep.
        assert one is None or abs(one - other) < D("1e-9"), name
    for report in (buy, sell):
        parts = (report.drift_bps, report.spread_bps, report.walk_bps)
        assert report.arrival_slippage_bps is not None
        assert abs(sum(part for part in parts if part is not None) - report.arrival_slippage_bps) < D("1e-9")
    assert buy.timing_bps == sell.timing_bps
    made = [order for order in buy.orders if order.maker_quantity]
    assert all(order.spread_bps is not None and order.spread_bps < 0 for order in made)


# The choice of kind auto --------------------------------------------------------------------------


@pytest.mark.parametrize(("maker_fee", "rests"), [("0.001", False), ("0.0002", True)])
def test_auto_rests_where_makers_pay_enough_less_and_takes_where_they_do_not(maker_fee: str, *, rests: bool) -> None:
    """A synthetic BTCUSDT, looked at for four minutes before; the account's fees come with the venue's rules."""
    paper = PaperSettings(
        markets=MarketChoice(seed=3, preset="btc"), fees=Fees(default=Rates(maker=D(maker_fee), taker=D("0.001")))
    )
    twap = {"child": "auto", "interval_seconds": "10", "num_chunks": 4}
    signal = TimedSignal(240.0, {"id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.4"})
    daemon = a_daemon(gate={"symbols": ["BTCUSDT"]}, twap=twap)
    outcome = simulate(Scenario("auto", (signal,)), 3, daemon, paper=paper)
    check_outcome(outcome)
    (closed,) = outcome.closed
    report = closed.report
    assert report.total_filled == D("0.4")
    figures = [(one.adverse_bps, one.gain_bps) for one in report.orders if one.gain_bps is not None]
    assert figures, "the market was seen for long enough"
    assert all(adverse is not None and adverse > 0 for adverse, _ in figures)
    assert all((gain > 0) is rests for _, gain in figures)
    assert (report.children_rested > 0) is rests
    assert report.fees_bps is not None
    assert (report.fees_bps < 9) is rests
