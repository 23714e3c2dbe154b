"""What `run.py status --watch` draws, and that it outlives a restart of the daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from adapters.client import Client, NotRunning, Refused
from adapters.terminal import rendered
from adapters.watch import duration, watch, watched

RUNNING = {
    "execution_id": "abcdefghijklm",
    "side": "BUY",
    "symbol": "BTCUSDT",
    "quantity": "2.0",
    "total_filled": "0.5",
    "scheduled": "1",
    "behind": "0.5",
    "average_price": "42000.5",
    "arrival_slippage_bps": "1.25",
    "interval_twap_bps": "-0.5",
    "next_child_at": "2026-11-28T12:00:04.500000Z",
    "waiting": "spread 0.61 % above 0.50 %",
    "state": "RUNNING",
}
CLOSED = {
    "execution_id": "nopqrstuvwxyz",
    "side": "SELL",
    "symbol": "ETHUSDT",
    "quantity": "3",
    "total_filled": "3",
    "stop_reason": "COMPLETED",
    "average_price": "3000",
    "arrival_slippage_bps": "0",
    "total_fees": [["USDT", "9"]],
}
ALERT = {
    "kind": "stream_down",
    "level": "warning",
    "text": "it is away",
    "raised_at": "2026-11-28T11:59:00Z",
    "cleared_at": None,
}


def a_state(**changes: Any) -> dict[str, Any]:
    """What `/ui/state` tells."""
    state = {
        "now": "2026-11-28T12:00:00Z",
        "seq": 7,
        "mode": "paper",
        "account": "main",
        "started_at": "2026-11-28T11:00:00Z",
        "readiness": "READY",
        "halted": None,
        "vitals": {
            "market": {"age": 0.4},
            "stream": {"open": True},
            "clock": {"offset_ms": -50},
            "limits": {"used_weight": 60, "weight_limit": 6000, "order_counts": [[10, 5, 50]]},
        },
        "running": [RUNNING],
        "closed": [CLOSED],
        "alerts": [ALERT, {**ALERT, "kind": "conflict", "cleared_at": "2026-11-28T11:59:30Z"}],
    }
    return state | changes


def drawn(width: int = 110, **changes: Any) -> str:
    return rendered(watched(a_state(**changes)), width)


def test_the_first_line_says_how_it_stands_and_what_it_is_tied_to() -> None:
    first, second = drawn().splitlines()[:2]
    assert " PAPER  READY  account main  up 1 h 00 min  market 0.4 s  stream up  clock -50 ms  budget 10 %" in first
    assert second == ""


@pytest.mark.parametrize("width", [80, 110])
def test_an_execution_stands_against_its_schedule_with_its_costs_and_what_it_waits_for(width: int) -> None:
    text = drawn(width)
    assert "BUY 2 BTCUSDT" in text
    assert "━━━───────── 25 %" in text
    assert "0.5 behind" in text
    assert " 42000.5 " in text
    assert "+1.25 -0.50 in 4.5 s" in " ".join(text.split())
    assert "abcdefghijklm waits: spread 0.61 % above 0.50 %" in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 60])
def test_in_a_narrow_terminal_columns_are_left_out_and_none_is_cut(width: int) -> None:
    text = drawn(width)
    assert "…" not in text
    for one in ("abcdefghijklm ", "nopqrstuvwxyz", "━━━───────── 25 %", "COMPLETED"):
        assert one in text, one
    assert ("in 4.5 s" in text) == (width >= 60)
    assert max(map(len, text.splitlines())) <= width


def test_an_alert_of_another_day_has_its_date() -> None:
    assert "since 2026-11-26 11:59:00" in drawn(alerts=[{**ALERT, "raised_at": "2026-11-26T11:59:00Z"}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"behind": "-0.5"}, "0.5 ahead"), ({"behind": "0"}, "on schedule"), ({"scheduled": None}, "no schedule yet")],
)
def test_the_pace_is_told_in_words(changes: dict[str, Any], said: str) -> None:
    assert said in drawn(running=[{**RUNNING, **changes}])


def test_what_ended_and_what_is_the_matter_follow() -> None:
    text = drawn()
    assert "nopqrstuvwxyz  SELL 3 ETHUSDT  COMPLETED   100 %" in text
    assert "warning stream_down: it is away since 11:59:00" in text
    assert "conflict" not in text, "an alert that is over"


def test_a_halt_and_real_money_are_unmistakable() -> None:
    text = drawn(halted="MANUAL: a look at it", mode="live", running=[], closed=[])
    assert "LIVE · REAL MONEY" in text
    assert "trading is halted: MANUAL: a look at it" in text
    assert "nothing is being worked" in text


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0.0 s"), (4.26, "4.3 s"), (200, "3 min 20 s"), (18600, "5 h 10 min")]
)
def test_durations_are_told_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


class Daemons:
    """A daemon that answers, is away, answers again, and is then interrupted."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._answers = iter([*answers, KeyboardInterrupt()])

    def present(self) -> dict[str, Any]:
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def watched_to_the_end(*answers: dict[str, Any] | Exception, json: bool) -> None:
    daemons: Any = Daemons(*answers)
    find: Callable[[], Client] = lambda: daemons  # noqa: E731 - with its type
    with pytest.raises(KeyboardInterrupt):
        watch(find, json=json, every=0.0)


def test_as_json_each_look_is_a_line_and_a_restart_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    watched_to_the_end(a_state(seq=1), NotRunning("nobody there"), a_state(seq=2), json=True)
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["seq"], line.get("lost")) for line in lines] == [(1, None), (1, "nobody there"), (2, None)]


def test_without_a_terminal_each_look_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    watched_to_the_end(a_state(), NotRunning("nobody there"), json=False)
    said = capsys.readouterr().out
    assert said.count("BUY 2 BTCUSDT") == 2
    assert "no connection, what is shown may be over; trying again" in " ".join(said.split())


@pytest.mark.parametrize("error", [NotRunning("nobody"), Refused(401, {"reason": "UNAUTHORISED"})])
def test_a_daemon_that_is_not_there_at_first_is_told(error: Exception) -> None:
    daemons: Any = Daemons(error)
    with pytest.raises(type(error)):
        watch(lambda: daemons, json=True)


def test_a_refusal_ends_it() -> None:
    daemons: Any = Daemons(a_state(), Refused(401, {"reason": "UNAUTHORISED"}))
    with pytest.raises(Refused):
        watch(lambda: daemons, json=True, every=0.0)
