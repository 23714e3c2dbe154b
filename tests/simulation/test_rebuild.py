"""A journal that is lost, and what the exchange still tells of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.config import Config
from adapters.paper.audit import audit
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.wording import order_params
from adapters.simulation import parse_export
from adapters.storage.memory import MemoryStore
from messages.control import Readiness, ResumeTrading
from messages.ids import child_id, microseconds, milliseconds, parse_child_id
from messages.order import SendOrder
from messages.signal import Reason, Side, Status
from run import settings_of, start_daemon
from tests.simulation.whole import D, Stage, own_trades

FIVE = {"num_chunks": 5, "interval_seconds": 30}
A_WEEK_MS = 7 * 86_400_000


def lose_journal(stage: Stage, name: str = "another") -> None:
    """End the daemon, and its journal with it."""
    stage.world.crash()
    stage.world.store = MemoryStore(journal_id=name)


def start_rebuilding(stage: Stage) -> None:
    """Start with `--rebuild-from-exchange`."""
    settings = settings_of(Config())
    since = milliseconds(stage.sim.wall_time()) - A_WEEK_MS
    watcher = replace(settings.watcher, rebuild_since=since)
    stage.world.start_daemon = partial(start_daemon, settings=replace(settings, watcher=watcher))
    stage.start()


def start_as_usual(stage: Stage) -> None:
    stage.world.start_daemon = partial(start_daemon, settings=settings_of(Config()))
    stage.start()


def rest(stage: Stage, execution: str, slice_: int) -> str:
    """Put an own order into the book, far from the touch."""
    name = child_id("p", execution, slice_, 0)
    order = SendOrder(
        client_order_id=name,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="GTC",
        quantity=D("0.1"),
        limit_price=D(40_000),
        request_timestamp=milliseconds(stage.sim.wall_time()),
        recv_window=2000,
        reply_to=stage.world.news,  # type: ignore[arg-type] # nobody is told
    )
    stage.world.exchange.place(order_params(order), microseconds(stage.sim.wall_time()))
    return name


def in_the_middle(simulation: Simulation, *faults: Fault) -> tuple[Stage, str, str]:
    """An execution with two of five slices filled and one resting, and no journal any more."""
    stage = Stage(simulation, *faults).start()
    execution = stage.accepted("0.5", id="x", twap=FIVE)
    stage.until("ChildClosed", 2)
    resting = rest(stage, execution, 4)
    lose_journal(stage)
    return stage, execution, resting


def booked(stage: Stage) -> dict[tuple[str, int, int], Any]:
    return {(t["symbol"], t["order_id"], t["trade_id"]): t["quantity"] for t in stage.lines("TradeBooked")}


def made(stage: Stage) -> dict[tuple[str, int, int], Any]:
    trades = own_trades(stage.world.exchange.truth())
    return {(t["symbol"], t["orderId"], t["id"]): str(D(t["qty"]).normalize()) for t in trades}


@pytest.mark.seeds(default=10)
def test_every_own_order_is_found_and_booked_and_what_is_open_is_cancelled(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage, execution, resting = in_the_middle(simulation)
        before = stage.requests()
        start_rebuilding(stage)
        stage.until("JournalRebuilt", seconds=60.0)
        (rebuilt,) = stage.lines("JournalRebuilt")
        assert (rebuilt["orders"], rebuilt["executions"], rebuilt["cancelled"]) == (3, 1, 1)
        assert booked(stage) == made(stage), "every trade once, and none beside"
        assert {line["execution_id"] for line in stage.lines("ChildIntended")} == {execution}
        assert all(line["adopted"] for line in stage.lines("ChildIntended"))
        states = {order["clientOrderId"]: order["status"] for order in stage.orders()}
        assert states[resting] == "CANCELED"
        assert stage.count("ChildClosed") == 3
        assert stage.count("ForeignOrderSeen") == 0
        stage.run(120.0)
        assert stage.requests() == before, "nothing goes on by itself"
        assert {line["kind"] for line in stage.lines("AlertRaised")} >= {"halt", "rebuilt"}


def test_nothing_is_let_in_before_a_person_has_looked_and_afterwards_no_id_is_used_again(
    simulation: Simulation,
) -> None:
    stage, old, _ = in_the_middle(simulation)
    start_rebuilding(stage)
    assert stage.world.news.readiness is Readiness.HALTED
    stage.until("JournalRebuilt", seconds=60.0)
    refused = stage.buy("0.5", id="x", twap=FIVE).verdict
    assert refused is not None
    assert refused.reason is Reason.HALTED
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading(detail="looked at"))
    stage.run(1.0)
    again = stage.buy("0.5", id="x", twap=FIVE).verdict
    assert again is not None
    assert again.status is Status.ACCEPTED, "nobody knows any more that it came before: so a person must"
    assert again.execution_id not in {None, old}
    stage.report(again.execution_id or "")
    ids = stage.requests()
    assert len(ids) == len(set(ids))
    assert {name.execution_id for name in map(parse_child_id, ids) if name is not None} == {old, again.execution_id}
    assert booked(stage) == made(stage)
    stage.run(10.0)
    assert stage.count("BalanceMismatch") == 0


def test_a_restart_afterwards_changes_nothing(simulation: Simulation) -> None:
    stage, _, _ = in_the_middle(simulation)
    start_rebuilding(stage)
    stage.until("JournalRebuilt", seconds=60.0)
    stage.run(30.0)
    stage.world.crash()
    before = len(stage.kinds())
    start_as_usual(stage)
    stage.run(30.0)
    assert stage.kinds()[before:] == ["EpochStarted"]


@pytest.mark.seeds(default=25)
def test_a_crash_in_the_middle_of_it_is_gone_on_with(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage, _, resting = in_the_middle(simulation)
        start_rebuilding(stage)
        stage.until_handled(simulation.stream("test").randint(1, 60))
        stage.world.crash()
        start_rebuilding(stage)
        stage.until("JournalRebuilt", seconds=60.0)
        assert booked(stage) == made(stage)
        children = [line["client_order_id"] for line in stage.lines("ChildIntended")]
        assert len(children) == len(set(children)) == 3
        states = {order["clientOrderId"]: order["status"] for order in stage.orders()}
        assert states[resting] == "CANCELED"


def test_queries_that_fail_are_asked_again(simulation: Simulation) -> None:
    sick = Fault(kind=FaultKind.FAILED_QUERY, nth=tuple(range(20, 30)))
    stage, _, _ = in_the_middle(simulation, sick)
    start_rebuilding(stage)
    stage.until("JournalRebuilt", seconds=60.0)
    assert booked(stage) == made(stage)


def test_the_audit_agrees_with_what_a_rebuilt_journal_says_of_trades_and_balances(simulation: Simulation) -> None:
    stage, _, _ = in_the_middle(simulation)
    start_rebuilding(stage)
    stage.until("JournalRebuilt", seconds=60.0)
    stage.run(30.0)
    found = audit(
        parse_export(stage.world.export()),
        stage.world.exchange.truth(),
        initial_balances=stage.world.paper.balances,
    )
    broken = {violation.rule for violation in found.violations}
    # What says that an order was journalled before it was sent, and why, is gone with the journal.
    assert broken.isdisjoint({"S4", "S7", "S8", "S9", "S10", "Q1", "Q2", "Q3", "Q4"}), found.text()


def test_where_nothing_is_found_it_says_so(simulation: Simulation) -> None:
    stage = Stage(simulation)
    start_rebuilding(stage)
    stage.until("JournalRebuilt", seconds=10.0)
    (rebuilt,) = stage.lines("JournalRebuilt")
    assert (rebuilt["orders"], rebuilt["executions"], rebuilt["cancelled"]) == (0, 0, 0)
