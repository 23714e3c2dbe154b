from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from adapters.fact_log import FactLog
from messages.control import CaughtUp, Committed
from messages.facts import AlertRaised, Fact, SignalRejected
from tests.factories import (
    CHILD,
    EXECUTION,
    NOW,
    a_closed,
    a_signal,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)


@pytest.fixture
def records() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as captured:
        yield captured


def told(*facts: Fact, old: tuple[Fact, ...] = (), bound: int = 100) -> None:
    with FactLog(bound) as log:
        seq = 0
        for seq, fact in enumerate(old, 1):
            log.tell(Committed(seq, NOW, fact))
        log.tell(CaughtUp(seq, "journal"))
        for number, fact in enumerate(facts, seq + 1):
            log.tell(Committed(number, NOW, fact))


def test_every_record_names_signal_execution_and_child(records: list[Any]) -> None:
    told(an_accepted(), an_intent(), a_trade_booked())
    assert [record["event"] for record in records] == ["SignalAccepted", "ChildIntended", "TradeBooked"]
    assert {(record["signal_id"], record["execution_id"]) for record in records} == {("signal-1", EXECUTION)}
    assert [record.get("client_order_id") for record in records] == [None, CHILD, CHILD]


def test_what_was_there_before_is_not_told_again_but_known(records: list[Any]) -> None:
    told(an_intent(), old=(an_accepted(),))
    (record,) = records
    assert (record["event"], record["signal_id"], record["seq"]) == ("ChildIntended", "signal-1", 2)


def test_a_closed_execution_is_forgotten(records: list[Any]) -> None:
    told(a_trade_booked(), old=(an_accepted(), a_closed()))
    assert "signal_id" not in records[0]


def test_routine_is_for_debugging_and_alerts_are_the_notifiers(records: list[Any]) -> None:
    told(an_acknowledged(), a_trade_booked(), AlertRaised(kind="halt", subject="x", level="critical", text="t"))
    assert [(record["event"], record["log_level"]) for record in records] == [
        ("ChildAcknowledged", "debug"),
        ("TradeBooked", "info"),
    ]


def test_a_refused_signal_is_told_with_its_reason_and_amounts_are_plain(records: list[Any]) -> None:
    told(SignalRejected(signal=a_signal(id="7"), label="L", reason="STALE", detail="old"), a_trade_booked())
    assert (records[0]["signal_id"], records[0]["reason"], records[0]["label"]) == ("7", "STALE", "L")
    assert isinstance(records[1]["price"], str)


def test_news_beyond_the_bound_is_left_out_and_nobody_waits() -> None:
    log = FactLog(bound=2)
    for seq in range(5):
        log.tell(Committed(seq, NOW, a_trade_booked()))
    assert log.left_out == 3
