from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from adapters import execution_views
from adapters.projection import Projection
from messages.control import Committed
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    ChildAbsent,
    ChildCancelRequested,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    EpochStarted,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionCorrected,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    Fact,
    RateLimited,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    SlotSkipped,
    TradingHalted,
    TradingResumed,
)
from messages.signal import Side
from tests.factories import (
    CHILD,
    EXECUTION,
    NOW,
    D,
    a_child_closed,
    a_closed,
    a_planned,
    a_report,
    a_signal,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)

OF: dict[str, Any] = {"execution_id": EXECUTION}
OF_CHILD: dict[str, Any] = {**OF, "client_order_id": CHILD}


def folded(*facts: Fact, projection: Projection | None = None) -> Projection:
    projection = projection or Projection()
    for fact in facts:
        projection.apply(Committed(projection.seq + 1, NOW, fact))
    return projection


def view(*facts: Fact) -> dict[str, Any]:
    shown = folded(an_accepted(), *facts).execution(EXECUTION)
    assert shown is not None
    orjson.dumps(shown)
    return shown


def child(*facts: Fact) -> dict[str, Any]:
    [shown] = view(an_intent(), *facts)["children"]
    assert isinstance(shown, dict)
    return shown


# Executions ---------------------------------------------------------------------------------------


def test_an_accepted_execution_has_its_signal_and_no_figures_yet() -> None:
    shown = view()
    assert (shown["state"], shown["label"], shown["signal_id"]) == ("ACCEPTED", "BTCUSDT_BUY_42000_12:00", "signal-1")
    assert (shown["quantity"], shown["total_filled"], shown["progress"]) == ("0.5", "0", "0")
    assert shown["average_price"] is None
    assert shown["arrival_slippage_bps"] is None
    assert shown["report"] is None
    assert shown["accepted_at"] == "2026-07-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ([a_planned()], "RUNNING"),
        ([a_planned(), ExecutionPaused(**OF)], "PAUSED"),
        ([a_planned(), ExecutionPaused(**OF), ExecutionResumed(**OF)], "RUNNING"),
        ([a_planned(), ExecutionCancelRequested(**OF)], "CANCELLING"),
        ([ExecutionQuarantined(**OF, detail="too often")], "QUARANTINED"),
        ([a_planned(), a_closed()], "CLOSED"),
    ],
)
def test_the_state_is_that_of_the_last_fact(facts: list[Fact], state: str) -> None:
    assert view(*facts)["state"] == state


def test_trades_add_up_to_progress_average_fees_and_slippage() -> None:
    shown = view(
        a_planned(),
        an_intent(),
        a_trade_booked(trade_id=1, quantity=D("0.1"), price=D(42_042)),
        a_trade_booked(trade_id=2, quantity=D("0.1"), price=D(42_000), commission=D("0.02"), commission_asset="BNB"),
    )
    assert (shown["total_filled"], shown["progress"], shown["average_price"]) == ("0.2", "0.4", "42021")
    assert shown["total_fees"] == [["BTC", "0.0001"], ["BNB", "0.02"]]
    assert shown["arrival_slippage_bps"] == "5"


def test_a_sell_below_arrival_is_a_cost_too() -> None:
    sold = folded(an_accepted(side=Side.SELL), a_trade_booked(price=D(41_958))).executions()[0]
    assert sold["arrival_slippage_bps"] == "10"


def test_a_closed_execution_has_its_report_as_it_was_journalled() -> None:
    shown = view(an_intent(), a_closed(reason="COMPLETED", detail="all done"))
    assert (shown["stop_reason"], shown["detail"], shown["closed_at"]) == (
        "COMPLETED",
        "all done",
        "2026-07-01T12:00:00.000000Z",
    )
    report = shown["report"]
    assert (report["total_filled"], report["average_price"]) == ("0.5", "42001")
    assert report["total_fees"] == [["BTC", "0.0005"]]
    assert report["orders"][0]["outcome"] == "FILLED"
    assert shown["arrival_slippage_bps"] == "0.238"
    assert shown["children_sent"] == 5


def test_a_correction_after_the_close_changes_what_was_filled_and_is_said() -> None:
    late = a_trade_booked(trade_id=9, quantity=D("0.01"), price=D(42_000))
    corrected = ExecutionCorrected(
        **OF_CHILD, total_filled=D("0.11"), filled_quote=D("4620.1"), detail="a trade came late"
    )
    shown = view(an_intent(), a_trade_booked(), a_closed(report=a_report(total_filled=D("0.1"))), late, corrected)
    assert (shown["total_filled"], shown["detail"]) == ("0.11", "corrected: a trade came late")


def test_an_amendment_changes_only_what_it_names() -> None:
    shown = view(a_planned(), ExecutionAmended(**OF, quantity=D("0.3")))
    assert (shown["quantity"], shown["limit_price"], shown["end_at"]) == ("0.3", None, None)
    shown = view(ExecutionAmended(**OF, limit_price=D(43_000), end_at=NOW))
    assert (shown["quantity"], shown["limit_price"]) == ("0.5", "43000")
    assert shown["end_at"] == "2026-07-01T12:00:00.000000Z"


def test_starts_and_skipped_slots_are_told() -> None:
    skip = SlotSkipped(**OF, slice=0, quantity=D("0.1"), reason="SPREAD_TOO_WIDE", detail="0.61%")
    shown = view(ExecutionStarted(**OF, incarnation=2), skip, replace(skip, slice=1, detail=""))
    assert (shown["incarnation"], shown["slots_skipped"], shown["last_skip"]) == (2, 2, "SPREAD_TOO_WIDE")
    assert view(skip)["last_skip"] == "SPREAD_TOO_WIDE: 0.61%"


def test_a_plan_of_nothing_has_no_progress_to_divide_by() -> None:
    nothing = replace(a_planned().plan, quantity=D(0), slices=())
    assert view(a_planned(plan=nothing))["progress"] == "0"


# Children -----------------------------------------------------------------------------------------


def test_a_child_goes_from_intent_to_its_end_with_every_way_it_was_heard_of() -> None:
    shown = child(an_acknowledged(), a_trade_booked(), a_child_closed(polls=2))
    assert (shown["state"], shown["order_id"], shown["polls"]) == ("FILLED", 1001, 2)
    assert (shown["executed_quantity"], shown["average_price"]) == ("0.1", "42001")
    assert shown["sources"] == ["reply", "stream"]
    assert shown["fees"] == [["BTC", "0.0001"]]


@pytest.mark.parametrize(
    ("facts", "state", "failure"),
    [
        ([], "INTENDED", None),
        ([an_acknowledged()], "NEW", None),
        ([ChildNotSent(**OF_CHILD, reason="TOO_LATE", detail="x", source="exchange_actor")], "NOT_SENT", "TOO_LATE: x"),
        ([ChildRefused(**OF_CHILD, symbol="BTCUSDT", code=-2010, message="m")], "REFUSED", "-2010: m"),
        ([ChildUnknown(**OF_CHILD, symbol="BTCUSDT", detail="timeout")], "UNKNOWN", "timeout"),
        ([ChildAbsent(**OF_CHILD, symbol="BTCUSDT", proof="three negatives")], "ABSENT", "three negatives"),
        ([ChildUnknown(**OF_CHILD, symbol="BTCUSDT", detail="timeout"), an_acknowledged()], "NEW", None),
        ([a_child_closed(), an_acknowledged(source="poll")], "FILLED", None),
        (
            [ChildCancelRequested(**OF_CHILD, cancel_id="c", symbol="BTCUSDT", order_id=1, reason="TIMEOUT")],
            "CANCELLING",
            None,
        ),
        (
            [AttemptReappeared(**OF_CHILD, symbol="BTCUSDT", order_id=1, status="FILLED", executed_quantity=D("0.1"))],
            "REAPPEARED",
            None,
        ),
    ],
)
def test_a_child_says_how_it_stands_and_why(facts: list[Fact], state: str, failure: str | None) -> None:
    shown = child(*facts)
    assert (shown["state"], shown["failure_reason"]) == (state, failure)


def test_facts_of_unknown_children_and_executions_are_only_counted() -> None:
    projection = folded(
        an_accepted(), an_acknowledged(), a_trade_booked(execution_id="other22222222"), a_child_closed()
    )
    assert projection.seq == 4
    assert projection.execution("other22222222") is None
    assert projection.counts["TradeBooked"] == 1


# Signals, alerts, the daemon ----------------------------------------------------------------------


def test_signals_stand_beside_their_verdicts() -> None:
    signal = a_signal()
    projection = folded(
        an_accepted(),
        SignalDuplicate(**OF, signal=signal, label="l", by="id", count=3),
        SignalConflict(**OF, signal=signal, label="l", differing=("quantity", "side")),
        SignalRejected(signal=signal, label="l", reason="STALE", detail="old"),
    )
    accepted, duplicate, conflict, rejected = projection.signals()
    assert (accepted["status"], accepted["execution_id"]) == ("accepted", EXECUTION)
    assert (duplicate["duplicate_of"], duplicate["count"], duplicate["detail"]) == (EXECUTION, 3, "by id")
    assert (conflict["status"], conflict["detail"]) == ("conflict", "differs in quantity, side")
    assert (rejected["reason"], rejected["detail"], rejected["quantity"]) == ("STALE", "old", "0.5")


def test_alerts_stand_until_they_are_cleared_and_come_anew() -> None:
    raised = AlertRaised(kind="CONFLICT", subject="x", level="warning", text="t")
    cleared = AlertCleared(kind="CONFLICT", subject="x", text="over")
    [alert] = folded(raised, cleared, AlertCleared(kind="other", subject="y", text="")).alerts()
    assert (alert["level"], alert["text"], alert["execution_id"]) == ("warning", "t", None)
    assert alert["cleared_at"] is not None
    assert folded(raised, cleared, raised).alerts()[0]["cleared_at"] is None


def test_halts_and_starts_of_the_daemon_are_told() -> None:
    start = EpochStarted(epoch=3, journal_id="j", mode="paper", version="1")
    projection = folded(start, TradingHalted(reason="MANUAL", detail="by hand"))
    assert (projection.epoch, projection.mode, projection.halted) == (3, "paper", "MANUAL: by hand")
    assert folded(TradingHalted(reason="MANUAL", detail="")).halted == "MANUAL"
    assert folded(TradingResumed(), projection=projection).halted is None
    assert folded(RateLimited(until=NOW, banned=False, detail="")).counts == {"RateLimited": 1}


# Memory and repeats -------------------------------------------------------------------------------


def test_the_oldest_closed_executions_leave_and_running_ones_stay() -> None:
    projection = Projection(max_closed=2)
    for number in range(5):
        folded(an_accepted(execution_id=f"execution{number}"), projection=projection)
    for number in (0, 1, 2):
        folded(a_closed(execution_id=f"execution{number}"), projection=projection)
    assert "execution0" not in projection
    assert [shown["execution_id"] for shown in projection.executions()] == [f"execution{n}" for n in (1, 2, 3, 4)]
    assert [shown["execution_id"] for shown in projection.executions(newest=1)] == ["execution4"]
    assert projection.running == 2


def test_a_second_close_does_not_count_twice() -> None:
    assert folded(an_accepted(), a_closed(), a_closed()).running == 0


def test_signals_and_alerts_are_bounded() -> None:
    projection = Projection(max_signals=2, max_alerts=2)
    for number in range(3):
        folded(
            SignalRejected(signal=a_signal(), label=str(number), reason="STALE", detail=""),
            AlertRaised(kind="k", subject=str(number), level="info", text=""),
            projection=projection,
        )
    assert [signal["label"] for signal in projection.signals()] == ["1", "2"]
    assert [alert["subject"] for alert in projection.alerts()] == ["1", "2"]


def test_a_closed_execution_with_many_children_shows_them_in_its_report_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_views, "MAX_CHILDREN_OF_CLOSED", 1)
    facts = [an_intent(), an_intent(client_order_id="other")]
    assert len(view(*facts)["children"]) == 2
    assert view(*facts, a_closed())["children"] == []


def test_a_fact_that_comes_again_changes_nothing() -> None:
    projection = folded(an_accepted(), a_trade_booked())
    projection.apply(Committed(2, NOW, a_trade_booked()))
    assert projection.executions()[0]["total_filled"] == "0.1"
