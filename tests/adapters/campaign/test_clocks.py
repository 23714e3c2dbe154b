from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors.runtime import EPOCH
from adapters.campaign.clocks import ClockLog


def fact(seq: int, at: str, kind: str = "AlertRaised", **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "at": f"2026-01-01T00:00:{at}+00:00", "type": kind, **fields}


def test_a_log_of_untouched_clocks_says_so() -> None:
    log = ClockLog()
    assert not log.touched
    assert log.daemon_steps == log.venue_steps == 0.0


def test_facts_are_read_in_true_time_whatever_the_daemons_clock_showed() -> None:
    log = ClockLog()
    log.set_daemon(2, 10.0, 30.0)
    lines = log.journal(
        [fact(1, "05"), fact(2, "10"), fact(3, "41"), fact(4, "42", key_until="2026-01-01T00:00:50+00:00")]
    )
    assert [line["at"][17:19] for line in lines] == ["05", "10", "11", "12"]
    assert lines[3]["key_until"].startswith("2026-01-01T00:00:20")
    assert log.daemon_steps == 30.0


@pytest.mark.parametrize("step", [-600.0, -0.4, 0.4, 600.0])
def test_a_fact_that_was_told_just_before_the_clock_was_set_and_kept_for_others_is_read_by_the_old_clock(
    step: float,
) -> None:
    log = ClockLog()
    log.set_daemon(1, 600.002, step)

    def shown(seconds: float) -> str:
        return (EPOCH + timedelta(seconds=seconds)).isoformat()

    kept, said = shown(600.001), shown(600.003 + step)
    later = shown(1200.0015 + step)
    lines = log.journal(
        {**fact(seq, "00"), "at": at} for seq, at in ((1, shown(599.0)), (2, kept), (3, said), (4, later))
    )
    assert [line["at"] for line in lines] == [shown(at) for at in (599.0, 600.001, 600.003, 1200.0015)]


def test_a_plan_is_read_in_true_time() -> None:
    log = ClockLog()
    log.set_daemon(0, 0.0, -10.0)
    plan = {"start_at": "2026-01-01T00:00:00+00:00", "end_at": None, "slices": ["1"]}
    (line,) = log.journal([fact(1, "00", "ExecutionPlanned", plan=plan)])
    assert line["plan"]["start_at"] == "2026-01-01T00:00:10+00:00"
    assert line["plan"]["end_at"] is None
    assert plan["start_at"] == "2026-01-01T00:00:00+00:00", "what was exported stays as it is"


def test_requests_and_timestamps_are_read_without_the_exchanges_skew() -> None:
    log = ClockLog()
    log.set_venue(0, 0, 0.0, 2.0)
    log.set_venue(5, 1, 100.0, -1.0)
    intents = [fact(seq, "00", "ChildIntended", request_timestamp=10_000) for seq in (4, 6)]
    assert [line["request_timestamp"] for line in log.journal(intents)] == [8_000, 11_000]
    received = [
        {"clientOrderId": "a", "time": 10_000, "effect": "accepted"},
        {"clientOrderId": "b", "time": 10_000, "effect": "refused"},
    ]
    orders = [
        {"clientOrderId": "a", "symbol": "X", "orderId": 1, "time": 10_000, "updateTime": 10_000},
        {"clientOrderId": "adopted", "symbol": "X", "orderId": 2, "time": 7, "updateTime": 9},
    ]
    trades = [{"symbol": "X", "orderId": 1, "time": 10_000}, {"symbol": "X", "orderId": 9, "time": 12_000}]
    truth = log.truth({"received": received, "orders": orders, "trades": trades})
    assert [entry["time"] for entry in truth["received"]] == [8_000, 11_000]
    assert (truth["orders"][0]["time"], truth["orders"][0]["updateTime"]) == (8_000, 8_000)
    assert [trade["time"] for trade in truth["trades"]] == [8_000, 12_000]
    assert truth["orders"][1]["updateTime"] >= truth["orders"][1]["time"]
    assert log.touched
    assert log.venue_steps == 3.0
