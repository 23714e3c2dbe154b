"""Each kind of alert on a real journal: raised once and cleared once, wherever the process dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from actors.alerts import A_DAY, AN_HOUR
from actors.journal import Journal
from actors.notifier import Notifier
from actors.runtime import EPOCH, Simulation
from adapters.storage.memory import MemoryStore
from messages.control import Append, TroubleOver, TroubleSeen
from messages.execution import ChildOutcome
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    BalanceMismatch,
    ChildUnknown,
    ExecutionQuarantined,
    Fact,
    ForeignOrderSeen,
    JournalRebuilt,
    PartFailed,
    RateLimited,
    SignalConflict,
    StartRefused,
    TradingHalted,
    TradingResumed,
)
from messages.signal import Side
from tests.alert_kinds import KINDS
from tests.factories import CHILD, EXECUTION, D, a_child_closed, a_closed, a_signal, an_acknowledged

Sign = TroubleSeen | TroubleOver


@dataclass(frozen=True)
class Case:
    """What begins an alert and what ends it: a fact, a sign, or so many seconds."""

    begins: Fact | Sign
    ends: Fact | Sign | float


def trouble(kind: str, after: float = 0.0) -> Case:
    return Case(
        TroubleSeen(kind=kind, subject="x", level="warning", text="it is bad", after_seconds=after),
        TroubleOver(kind=kind, subject="x", text="it is good"),
    )


CASES: dict[str, Case] = {
    "conflict": Case(
        SignalConflict(signal=a_signal(), label="x", differing=("side",)),
        AN_HOUR.total_seconds(),
    ),
    "partial_fill": Case(a_child_closed(outcome=ChildOutcome.PARTIAL), AN_HOUR.total_seconds()),
    "exchange_cancelled": Case(
        a_child_closed(outcome=ChildOutcome.FAILED, status="EXPIRED", failure_reason="EXPIRED EXCHANGE_CANCELED"),
        AN_HOUR.total_seconds(),
    ),
    "early_stop": Case(a_closed(reason="SPREAD_TOO_WIDE"), A_DAY.total_seconds()),
    "part_failed": Case(PartFailed(part="signal_gate", detail="ValueError", in_a_row=1), A_DAY.total_seconds()),
    "start_refused": Case(StartRefused(part="signal_gate", detail="six in a row"), A_DAY.total_seconds()),
    "quarantine": Case(ExecutionQuarantined(execution_id=EXECUTION, detail="x"), A_DAY.total_seconds()),
    "unreported": Case(ExecutionQuarantined(execution_id=EXECUTION, detail="x", unreported=True), a_closed()),
    "unknown_outcome": Case(
        ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout"),
        an_acknowledged(),
    ),
    "reappeared": Case(
        AttemptReappeared(
            client_order_id=CHILD, symbol="BTCUSDT", order_id=7, status="FILLED", executed_quantity=D("0.1")
        ),
        A_DAY.total_seconds(),
    ),
    "halt": Case(TradingHalted(reason="MANUAL", detail=""), TradingResumed()),
    "rate_limited": Case(RateLimited(until=EPOCH + timedelta(seconds=60), banned=False, detail=""), 60.0),
    "foreign_order": Case(
        ForeignOrderSeen(
            client_order_id="web", symbol="BTCUSDT", order_id=9, side=Side.BUY, quantity=D(1), status="NEW", ours=False
        ),
        A_DAY.total_seconds(),
    ),
    "rebuilt": Case(JournalRebuilt(since=EPOCH, orders=1, executions=1, cancelled=0), A_DAY.total_seconds()),
    "balance_mismatch": Case(BalanceMismatch(asset="BTC", expected=D(1), found=D(2)), A_DAY.total_seconds()),
    "stream_down": trouble("stream_down", after=10.0),
    "order_vanished": trouble("order_vanished"),
    "lost_message": trouble("lost_message"),
    "venue_alarm": trouble("venue_alarm"),
    "clock_skew": trouble("clock_skew"),
    "limits_near": trouble("limits_near"),
}


class Nobody:
    def tell(self, _: object, /) -> None:
        """Take no notice."""


class Ears:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def tell(self, message: Any, /) -> None:
        self.heard.append(message)


class Process:
    """A journal and a notifier on a node that can be killed; the store outlives it."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.store, self.sink = simulation, MemoryStore(), Ears()
        self.node = simulation.node("daemon")
        self.start()

    def start(self) -> None:
        with self.node:
            self.journal = Journal.start(Nobody(), "journal", store=self.store)
            self.notifier = Notifier.start(Nobody(), "notifier", journal=self.journal, sink=self.sink)

    def crash(self) -> None:
        self.node.crash()
        self.store.reopen()
        self.start()

    def happens(self, what: Fact | Sign | float) -> None:
        match what:
            case float():
                self.simulation.run(what)
            case TroubleSeen() | TroubleOver():
                self.notifier.tell(what)
            case _:
                self.journal.tell(Append((what,), self.simulation.wall_time(), Nobody()))

    def handle(self, messages: int) -> None:
        goal = self.node.handled + messages
        self.simulation.run_until(lambda: self.node.handled >= goal, 1.0)

    def said(self, kind: str) -> list[type[Fact]]:
        facts = [committed.fact for committed in self.store.read()]
        return [type(fact) for fact in facts if isinstance(fact, AlertRaised | AlertCleared) and fact.kind == kind]


def test_every_kind_has_its_case() -> None:
    assert KINDS - {"journal"} == set(CASES), "and the journal's own is tried where it fails"


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.seeds(default=6)
def test_an_alert_is_raised_once_and_cleared_once_over_crashes(kind: str, seed: int) -> None:
    case = CASES[kind]
    with Simulation(seed) as simulation:
        chance = simulation.stream("crashes")
        process = Process(simulation)

        def survives(holds: Callable[[], bool], again: Fact | Sign | float) -> None:
            """Die twice at moments of the seed; a sign of trouble is given again by whoever still sees it."""
            for _ in range(2):
                process.handle(chance.randrange(1, 9))
                process.crash()
                if isinstance(again, TroubleSeen | TroubleOver):
                    process.happens(again)
            simulation.run(20.0)
            assert holds()

        simulation.run(0.1)
        process.happens(case.begins)
        process.handle(2 if isinstance(case.begins, TroubleSeen) else 4)
        survives(lambda: process.said(kind) == [AlertRaised], case.begins)
        process.happens(case.ends)
        simulation.run(0.1)
        survives(lambda: process.said(kind) == [AlertRaised, AlertCleared], case.ends)
        told = [type(heard) for heard in process.sink.heard if heard.kind == kind]
        assert told in ([AlertRaised, AlertCleared], [AlertRaised], [AlertCleared], [])  # Once each at most.
