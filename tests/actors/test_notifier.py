from __future__ import annotations

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.alerts import KINDS, RULES, Alerts
from actors.notifier import LEVELS, Notifier
from actors.runtime import EPOCH, Simulation
from messages.control import ActorReady, JournalFailed, Ping, Pong, TroubleOver, TroubleSeen
from messages.execution import ChildOutcome
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    BalanceMismatch,
    ChildAbsent,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionCancelRequested,
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
from tests.factories import (
    CHILD,
    EXECUTION,
    a_child_closed,
    a_closed,
    a_signal,
    an_acknowledged,
    an_intent,
)
from tests.journal_stub import JournalStub
from tests.probe import Probe

UNKNOWN = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout")
HALTED = TradingHalted(reason="OPERATOR", detail="lunch")
PARTIAL = a_child_closed(outcome=ChildOutcome.PARTIAL, status="EXPIRED", executed_quantity=Decimal("0.04"))


def limited(until: datetime, *, banned: bool = False) -> RateLimited:
    return RateLimited(until=until, banned=banned, detail="")


RAISED: list[tuple[Fact, str, str, str, str]] = [
    (
        SignalConflict(signal=a_signal(), label="x", differing=("quantity", "side")),
        "conflict",
        "warning",
        "test/signal-1",
        "signal signal-1 came again with other content: quantity, side",
    ),
    (PARTIAL, "partial_fill", "warning", CHILD, "child order filled in part: 0.04 BTCUSDT, then EXPIRED"),
    (
        a_child_closed(
            outcome=ChildOutcome.FAILED, executed_quantity=Decimal(0), failure_reason="EXPIRED EXCHANGE_CANCELED"
        ),
        "exchange_cancelled",
        "error",
        "BTCUSDT",
        "the exchange itself ended an order of BTCUSDT: maintenance, or a halt of the symbol",
    ),
    (
        a_closed(reason="SPREAD_TOO_WIDE", detail="0.61%"),
        "early_stop",
        "warning",
        EXECUTION,
        "execution stopped early with 0.5 of 0.5 BTCUSDT: SPREAD_TOO_WIDE: 0.61%",
    ),
    (
        a_closed(reason="END_OF_TIME"),
        "early_stop",
        "warning",
        EXECUTION,
        "execution stopped early with 0.5 of 0.5 BTCUSDT: END_OF_TIME",
    ),
    (
        ExecutionQuarantined(execution_id=EXECUTION, detail="ValueError"),
        "quarantine",
        "error",
        EXECUTION,
        "execution left alone after repeated failures: ValueError",
    ),
    (
        PartFailed(part="signal_gate", detail="signal_gate failed: ValueError", in_a_row=2),
        "part_failed",
        "error",
        "signal_gate",
        "the process ended and has to be started again (2 in a row): signal_gate failed: ValueError",
    ),
    (StartRefused(part="signal_gate", detail="six in a row"), "start_refused", "critical", "daemon", "six in a row"),
    (
        ExecutionQuarantined(execution_id=EXECUTION, detail="ValueError", unreported=True),
        "unreported",
        "error",
        EXECUTION,
        "quarantined execution cannot be closed with a report either: ValueError",
    ),
    (UNKNOWN, "unknown_outcome", "error", CHILD, "nobody knows whether the child order was executed: timeout"),
    (
        AttemptReappeared(
            execution_id=EXECUTION,
            client_order_id=CHILD,
            symbol="BTCUSDT",
            order_id=1,
            status="FILLED",
            executed_quantity=Decimal("0.10"),
        ),
        "reappeared",
        "critical",
        CHILD,
        "an order believed to be over is FILLED, 0.1 executed",
    ),
    (
        JournalRebuilt(since=EPOCH, orders=12, executions=3, cancelled=2),
        "rebuilt",
        "warning",
        "journal",
        (
            "the journal was rebuilt from the exchange: 12 own orders of 3 executions since 2026-01-01 00:00 UTC "
            "are booked, 2 were open and are cancelled"
        ),
    ),
    (HALTED, "halt", "critical", "trading", "no new orders: OPERATOR: lunch"),
    (TradingHalted(reason="OPERATOR", detail=""), "halt", "critical", "trading", "no new orders: OPERATOR"),
    (
        limited(EPOCH + timedelta(seconds=90)),
        "rate_limited",
        "warning",
        "venue",
        "the venue wants silence until 00:01:30 UTC",
    ),
    (
        limited(EPOCH + timedelta(seconds=90), banned=True),
        "rate_limited",
        "warning",
        "venue",
        "the venue banned us until 00:01:30 UTC",
    ),
    (
        ForeignOrderSeen(
            client_order_id="web_1",
            symbol="BTCUSDT",
            order_id=77,
            side=Side.SELL,
            quantity=Decimal(2),
            status="NEW",
            ours=False,
        ),
        "foreign_order",
        "warning",
        "BTCUSDT/77",
        "an order that this journal does not know: SELL 2 BTCUSDT",
    ),
    (
        BalanceMismatch(asset="BTC", expected=Decimal("1.5"), found=Decimal("1.25")),
        "balance_mismatch",
        "error",
        "BTC -0.25",
        "BTC: 1.25 found, 1.5 expected",
    ),
]


class House:
    """A Notifier on a journal that may hold something already."""

    def __init__(self, simulation: Simulation, *old: Fact) -> None:
        self.simulation = simulation
        self.journal = JournalStub.begun(*old)
        self.parent = Probe(simulation, "parent")
        self.sink = Probe(simulation, "sink")
        self.ref: pykka.ActorRef[Notifier] = Notifier.start(
            self.parent.ref, "notifier", journal=self.journal.actor_ref, sink=self.sink.ref
        )
        self.parent.expect(ActorReady("notifier"))
        simulation.run(0.0)

    def happens(self, *facts: Fact) -> None:
        self.journal.commit(*facts)
        self.simulation.run(0.0)

    def said(self) -> list[tuple[bool, str, str]]:
        """Every alert in the journal: whether raised, kind, subject."""
        return [
            (isinstance(fact, AlertRaised), fact.kind, fact.subject)
            for fact in self.journal.facts
            if isinstance(fact, AlertRaised | AlertCleared)
        ]

    def standing(self) -> list[tuple[str, str]]:
        actor = self.ref._actor_weakref()
        assert actor is not None
        return actor.raised


@pytest.mark.parametrize(("fact", "kind", "level", "subject", "text"), RAISED)
def test_a_fact_raises_its_alert_once(
    simulation: Simulation, *, fact: Fact, kind: str, level: Any, subject: str, text: str
) -> None:
    house = House(simulation)
    house.happens(fact, fact)
    assert house.journal.of(AlertRaised) == [
        AlertRaised(execution_id=fact.execution_id, kind=kind, subject=subject, level=level, text=text)
    ]
    assert house.standing() == [(kind, subject)]


def test_every_rule_that_raises_is_tried_above() -> None:
    tried = {(type(fact), kind) for fact, kind, *_ in RAISED}
    assert tried == {(rule.of, rule.kind) for rule in RULES if rule.level is not None}


def test_what_goes_well_raises_nothing(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(a_child_closed(), a_closed(), an_intent(), TradingResumed())
    assert house.said() == []


def test_whoever_cancelled_an_execution_is_not_told_that_it_stopped(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(ExecutionCancelRequested(execution_id=EXECUTION), a_closed(reason="CANCELLED"))
    assert house.said() == []


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (an_acknowledged(), "it is NEW"),
        (a_child_closed(), "it ended FILLED"),
        (ChildAbsent(client_order_id=CHILD, symbol="BTCUSDT", proof="three negatives"), "absent: three negatives"),
        (ChildRefused(client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no"), "refused: no"),
        (ChildNotSent(client_order_id=CHILD, reason="NOT_SENT", detail="", source="venue"), "never sent: NOT_SENT"),
    ],
)
def test_an_unknown_outcome_is_over_when_it_is_proven(simulation: Simulation, end: Fact, text: str) -> None:
    house = House(simulation)
    house.happens(UNKNOWN, end)
    assert house.journal.of(AlertCleared) == [
        AlertCleared(execution_id=EXECUTION, kind="unknown_outcome", subject=CHILD, text=text)
    ]
    assert house.standing() == []


def test_the_end_of_another_child_ends_nothing(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(UNKNOWN, a_child_closed(client_order_id="other"))
    assert house.standing() == [("unknown_outcome", CHILD)]


def test_a_halt_is_one_episode_until_trading_resumes(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(HALTED, HALTED, TradingResumed(detail="back"), TradingResumed(), HALTED, TradingResumed())
    assert house.said() == [(True, "halt", "trading"), (False, "halt", "trading")] * 2
    assert [cleared.text for cleared in house.journal.of(AlertCleared)] == ["back", "new orders may go out again"]


def test_a_rate_limit_is_over_when_the_last_of_its_moments_has_passed(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(limited(EPOCH + timedelta(seconds=10)), limited(EPOCH + timedelta(seconds=5)))
    simulation.run(8.0)
    house.happens(limited(EPOCH + timedelta(seconds=30)))
    simulation.run(21.0)
    assert house.said() == [(True, "rate_limited", "venue")]
    simulation.run(2.0)
    assert house.said() == [(True, "rate_limited", "venue"), (False, "rate_limited", "venue")]
    house.happens(limited(EPOCH + timedelta(seconds=90)))
    assert house.standing() == [("rate_limited", "venue")]


def test_a_clock_that_steps_back_delays_the_end_of_a_rate_limit(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(limited(EPOCH + timedelta(seconds=10)))
    simulation.step_clock(-5.0)
    simulation.run(12.0)
    assert house.standing() == [("rate_limited", "venue")]
    simulation.run(4.0)
    assert house.standing() == []


def test_a_restart_repeats_nothing_and_still_ends_what_it_raised(simulation: Simulation) -> None:
    first = House(simulation)
    first.happens(UNKNOWN, HALTED, TradingResumed(), PARTIAL, limited(EPOCH + timedelta(seconds=10)))
    simulation.run(1.0)
    said = first.said()
    second = House(simulation, *first.journal.facts)
    assert second.said() == said
    assert second.standing() == [("partial_fill", CHILD), ("rate_limited", "venue")]
    simulation.run(20.0)
    assert second.said() == [*said, (False, "rate_limited", "venue")]


def test_what_a_crash_left_unsaid_is_said_at_the_next_start(simulation: Simulation) -> None:
    raised = AlertRaised(kind="unknown_outcome", subject=CHILD, level="error", text="")
    house = House(simulation, UNKNOWN, a_child_closed(), raised, HALTED)
    assert house.said() == [
        (True, "unknown_outcome", CHILD),
        (False, "unknown_outcome", CHILD),
        (True, "halt", "trading"),
    ]
    assert house.standing() == [("halt", "trading")]


def test_a_graver_halt_has_an_alert_of_its_own_and_both_end_when_trading_is_resumed(simulation: Simulation) -> None:
    house = House(simulation, HALTED)
    house.happens(TradingHalted(reason="INVARIANT", detail="filled above what was asked"))
    assert house.standing() == [("halt", "trading"), ("halt", "trading: a broken promise")]
    house.happens(TradingResumed())
    assert house.standing() == []


def test_what_began_and_ended_while_nobody_looked_is_not_raised(simulation: Simulation) -> None:
    house = House(simulation, UNKNOWN, a_child_closed(), limited(EPOCH - timedelta(seconds=1)))
    assert house.said() == []


def test_an_alert_is_logged_once_it_is_durable(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate.alerts")
    house = House(simulation)
    house.journal.held = True
    house.happens(HALTED)
    assert caplog.records == []
    house.journal.release()
    house.happens(TradingResumed())
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.CRITICAL, "halt (trading): no new orders: OPERATOR: lunch"),
        (logging.INFO, "halt (trading) is over: new orders may go out again"),
    ]


def test_old_alerts_are_not_logged_again(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate.alerts")
    House(simulation, HALTED, AlertRaised(kind="halt", subject="trading", level="critical", text=""))
    assert caplog.records == []


def test_it_answers_pings_and_leaves_no_timer_behind(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(limited(EPOCH + timedelta(seconds=10)))
    house.ref.tell(Ping(house.parent.ref))
    house.parent.expect(Pong("notifier"))
    house.ref.stop()
    simulation.run(20.0)
    assert simulation.dead_letters == []
    other = House(simulation)
    other.ref.stop()


def test_every_level_has_its_place_in_the_log() -> None:
    assert {rule.level for rule in RULES if rule.level is not None} <= set(LEVELS)


def test_every_fact_of_a_rule_is_followed_once() -> None:
    assert set(KINDS) == {rule.of for rule in RULES}
    assert len(KINDS) == len(set(KINDS))


def test_an_alert_that_no_rule_knows_any_more_is_left_standing() -> None:
    alerts = Alerts(rules=())
    alerts.fold(AlertRaised(kind="of old", subject="x", level="info", text=""), EPOCH)
    alerts.fold(HALTED, EPOCH)
    assert alerts.due() == []
    assert alerts.raised == [("of old", "x")]


DOWN = TroubleSeen(kind="stream_down", subject="user_stream", level="warning", text="cut", after_seconds=10.0)
UP = TroubleOver(kind="stream_down", subject="user_stream", text="back")


def test_a_trouble_is_an_alert_only_if_it_lasts(simulation: Simulation) -> None:
    house = House(simulation)
    house.ref.tell(DOWN)
    simulation.run(9.0)
    house.ref.tell(UP)
    simulation.run(20.0)
    assert house.said() == []
    house.ref.tell(DOWN)
    simulation.run(5.0)
    house.ref.tell(DOWN)
    simulation.run(5.5)
    assert house.said() == [(True, "stream_down", "user_stream")]
    house.ref.tell(DOWN)
    house.ref.tell(UP)
    house.ref.tell(UP)
    simulation.run(20.0)
    assert house.said() == [(True, "stream_down", "user_stream"), (False, "stream_down", "user_stream")]


def test_the_end_of_a_trouble_that_an_earlier_life_raised_is_said(simulation: Simulation) -> None:
    old = AlertRaised(kind="stream_down", subject="user_stream", level="warning", text="cut")
    house = House(simulation, old)
    house.ref.tell(UP)
    simulation.run(0.0)
    assert house.said()[1:] == [(False, "stream_down", "user_stream")]


def test_a_trouble_told_before_the_journal_was_read_waits_for_it(simulation: Simulation) -> None:
    old = AlertRaised(kind="stream_down", subject="user_stream", level="warning", text="cut")
    journal = JournalStub.begun(old)
    ref: pykka.ActorRef[Notifier] = Notifier.start(Probe(simulation, "parent").ref, "n", journal=journal.actor_ref)
    ref.tell(UP)
    simulation.run(0.0)
    assert len(journal.of(AlertCleared)) == 1


def test_the_sink_is_told_of_each_alert_once_it_is_durable(simulation: Simulation) -> None:
    house = House(simulation)
    house.journal.held = True
    house.happens(HALTED)
    house.sink.expect_none()
    house.journal.release()
    raised = house.sink.expect(AlertRaised)
    house.happens(TradingResumed())
    assert (raised.kind, house.sink.expect(AlertCleared).kind) == ("halt", "halt")


def test_that_the_journal_failed_is_told_at_once(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    house = House(simulation)
    house.journal.held = True
    house.ref.tell(JournalFailed("disk full", invariant=False))
    assert house.sink.expect(AlertRaised) == AlertRaised(
        kind="journal", subject="journal", level="critical", text="disk full, at 2026-01-01 00:00:00 UTC"
    )
    assert caplog.records[-1].getMessage() == "journal (journal): disk full, at 2026-01-01 00:00:00 UTC"


def test_what_happened_and_does_not_go_on_is_over_after_its_time(simulation: Simulation) -> None:
    house = House(simulation)
    house.happens(PARTIAL)
    simulation.run(3599.0)
    assert house.standing() == [("partial_fill", CHILD)]
    simulation.run(2.0)
    assert house.said() == [(True, "partial_fill", CHILD), (False, "partial_fill", CHILD)]


def test_however_many_alerts_wait_for_their_end_one_timer_does_and_none_is_looked_at_before(
    simulation: Simulation,
) -> None:
    house = House(simulation)
    before = len(simulation._timers)
    for number in range(50):
        house.happens(SignalConflict(signal=a_signal(id=f"signal-{number}"), label="x", differing=("side",)))
        simulation.run(1.0)
    assert len(house.standing()) == 50
    assert len(simulation._timers) == before + 1
    alerts = Alerts()
    for number in range(50):
        alerts.fold(SignalConflict(signal=a_signal(id=f"s{number}"), label="x", differing=("side",)), EPOCH)
    looked: list[object] = []
    alerts._reach = lambda *seen: looked.append(seen)  # type: ignore[method-assign]
    assert alerts.expire(EPOCH + timedelta(seconds=3599)) == EPOCH + timedelta(seconds=3600)
    assert looked == []
