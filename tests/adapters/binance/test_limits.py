from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors.runtime import Simulation
from adapters.binance.limits import Limits
from adapters.binance.outcomes import ROWS, Answer, Row
from adapters.binance.shapes import RateLimit
from messages.order import LimitsSeen, VenueAlarm
from tests.probe import Probe


def limits_of(simulation: Simulation, probe: Probe) -> Limits:
    limits = Limits(simulation)
    limits.report_to(probe.ref)
    return limits


def test_what_is_known_is_told_to_who_asks_later(simulation: Simulation, a_probe: Any) -> None:
    limits = Limits(simulation)
    limits.learn_headers({"X-MBX-USED-WEIGHT-1M": "12"})
    probe = a_probe("late")
    limits.report_to(probe.ref)
    probe.expect(LimitsSeen(used_weight=12))


def test_headers_count_only_with_a_limit_that_is_known(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    headers = {"X-MBX-ORDER-COUNT-10S": "3", "X-MBX-ORDER-COUNT-1D": "9", "X-MBX-ORDER-COUNT-XX": "1", "X-Other": "5"}
    limits.learn_headers(headers)
    probe.expect_none()
    limits.learn_limits([RateLimit("ORDERS", "SECOND", 10, 50), RateLimit("ORDERS", "DAY", 1, 1000)])
    limits.learn_limits([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000), RateLimit("RAW_REQUESTS", "MINUTE", 5, 9)])
    probe.expect_none()
    limits.learn_headers({**headers, "x-mbx-used-weight-1m": "7", "X-MBX-USED-WEIGHT": "lots"})
    counts = ((10, 3, 50), (86_400, 9, 1000))
    probe.expect(LimitsSeen(used_weight=7, weight_limit=6000, order_counts=counts))


def test_headers_that_are_no_figures_of_ours_are_passed_over(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    limits.learn_limits([RateLimit("ORDERS", "SECOND", 10, 50)])
    odd = {"X-MBX-USED-WEIGHT-1M": "lots", "X-MBX-ORDER-COUNT-10S": "-1", "X-MBX-ORDER-COUNT-": "1"}
    odd |= {"X-MBX-ORDER-COUNT-5X": "1", "X-MBX-ORDER-COUNT-aS": "1", "X-MBX-ORDER-COUNT-1xS": "1"}
    limits.learn_headers({**odd, "X-MBX-USED-WEIGHT": "5"})
    probe.expect_none()


def test_of_the_venues_limits_those_of_weight_by_the_minute_and_of_orders_count_with_what_is_used(
    simulation: Simulation, probe: Probe
) -> None:
    limits = limits_of(simulation, probe)
    limits.learn_limits(
        [
            RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000, 70),
            RateLimit("REQUEST_WEIGHT", "HOUR", 1, 99, 98),
            RateLimit("RAW_REQUESTS", "MINUTE", 1, 97, 96),
            RateLimit("ORDERS", "SECOND", 10, 50, 4),
            RateLimit("ORDERS", "MOON", 1, 95, 94),
            RateLimit("ORDERS", "DAY", 1, 1000),
        ]
    )
    probe.expect(LimitsSeen(used_weight=70, weight_limit=6000, order_counts=((10, 4, 50),)))
    limits.learn_headers({"X-MBX-ORDER-COUNT-1D": "9"})
    probe.expect(LimitsSeen(weight_limit=6000, order_counts=((86_400, 9, 1000),)))


def test_a_hold_is_told_once_also_where_figures_came_after_it(simulation: Simulation, a_probe: Any) -> None:
    limits, until = Limits(simulation), simulation.wall_time() + timedelta(seconds=7)
    limits.learn_answer(Answer(status=429, until=until))
    limits.learn_headers({"X-MBX-USED-WEIGHT-1M": "12"})
    first, second = a_probe("first"), a_probe("second")
    limits.report_to(first.ref)
    assert first.expect(LimitsSeen).retry_at == until
    first.expect(LimitsSeen(used_weight=12))
    limits.learn_answer(Answer(status=429, until=until + timedelta(seconds=7)))
    assert first.expect(LimitsSeen).retry_at == until + timedelta(seconds=7)
    limits.report_to(second.ref)
    second.expect(LimitsSeen(used_weight=12))
    second.expect_none(within=0.0)


def test_a_hold_of_an_earlier_life_goes_on(simulation: Simulation) -> None:
    until = simulation.wall_time() + timedelta(seconds=20)
    limits = Limits(simulation, until)
    assert (limits.held_until(), limits.hold_seconds()) == (until, 20.0)
    simulation.run(21.0)
    assert (limits.held_until(), limits.hold_seconds()) == (None, 0.0)


def test_an_alarm_for_a_status_is_told_by_it_whatever_code_the_venue_gave(simulation: Simulation, probe: Probe) -> None:
    answer = Answer(status=401, code=-9000)
    limits_of(simulation, probe).learn_answer(answer)
    probe.expect(VenueAlarm(code=401, detail=str(answer)))


def test_a_limit_holds_back_all_until_its_time(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    now = simulation.wall_time()
    answer = limits.learn_answer(Answer(status=429, code=-1003, until=limits.retry_after({"Retry-After": "7"})))
    assert answer.until == now + timedelta(seconds=7)
    assert probe.expect(LimitsSeen).retry_at == answer.until
    assert limits.held_until() == limits.held_until(order=True) == answer.until
    assert limits.hold_seconds() == 7.0
    simulation.run(7.0)
    assert limits.held_until() is None
    assert limits.hold_seconds() == 0.0


def test_a_limit_without_a_time_holds_back_for_a_minute(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    assert limits.retry_after({"Retry-After": "soon"}) is None
    limits.learn_answer(Answer(status=403))
    assert limits.hold_seconds() == 60.0
    assert not probe.expect(LimitsSeen).banned


def test_a_shorter_hold_does_not_end_a_longer_one(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    now = simulation.wall_time()
    limits.learn_answer(Answer(status=418, until=now + timedelta(seconds=100)))
    assert probe.expect(LimitsSeen).banned
    limits.learn_answer(Answer(status=429, until=now + timedelta(seconds=5)))
    assert limits.hold_seconds() == 100.0


def test_too_many_orders_hold_back_orders_alone(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    answer = limits.learn_answer(Answer(status=429, code=-1015))
    assert answer.until == simulation.wall_time() + timedelta(seconds=10)
    assert limits.held_until() is None
    assert limits.held_until(order=True) == answer.until


def test_other_answers_hold_nothing_back(simulation: Simulation, probe: Probe) -> None:
    limits = limits_of(simulation, probe)
    for answer in (Answer(status=200), Answer(status=400, code=-2010), Answer(status=503)):
        assert limits.learn_answer(answer) is answer
    assert limits.held_until(order=True) is None
    probe.expect_none()


def test_too_many_orders_hold_back_orders_alone_and_whoever_decides_on_them_is_told(
    simulation: Simulation, probe: Probe
) -> None:
    limits = limits_of(simulation, probe)
    answer = limits.learn_answer(Answer(status=429, code=-1015, until=limits.retry_after({"Retry-After": "7"})))
    assert answer.until == simulation.wall_time() + timedelta(seconds=7)
    seen = probe.expect(LimitsSeen)
    assert (seen.retry_at, seen.orders_only, seen.banned) == (answer.until, True, False)
    assert limits.held_until() is None
    assert limits.held_until(order=True) == answer.until
    simulation.run(7.0)
    assert limits.held_until(order=True) is None


@pytest.mark.parametrize(("all_seconds", "only"), [(None, True), (6, True), (7, False), (8, False)])
def test_orders_alone_are_held_back_where_all_the_rest_is_held_for_less(
    simulation: Simulation, all_seconds: int | None, *, only: bool
) -> None:
    limits, now = Limits(simulation), simulation.wall_time()
    limits.learn_answer(Answer(status=429, code=-1015, until=now + timedelta(seconds=7)))
    if all_seconds is not None:
        limits.learn_answer(Answer(status=429, code=-1003, until=now + timedelta(seconds=all_seconds)))
    assert limits.only_orders is only


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_hold_lasts_as_long_as_was_asked_for_though_our_clock_is_set(
    simulation: Simulation, probe: Probe, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    limits = limits_of(simulation, probe)
    limits.learn_answer(Answer(status=418, until=limits.retry_after({"Retry-After": "60"})))
    before = simulation.wall_time
    monkeypatch.setattr(simulation, "wall_time", lambda: before() + timedelta(seconds=step))
    simulation.run(59.0)
    assert limits.hold_seconds() == 1.0
    assert limits.held_until() == simulation.wall_time() + timedelta(seconds=1)
    simulation.run(1.0)
    assert limits.held_until() is None


@pytest.mark.parametrize("row", [row for row in ROWS if row.care.alarms], ids=lambda row: row.signal)
def test_what_no_waiting_mends_is_told_whoever_asked(simulation: Simulation, a_probe: Any, row: Row) -> None:
    limits, code = Limits(simulation), None if row.code is None else row.code[1]
    status = 400 if row.status is None else row.status[0]
    limits.learn_answer(Answer(status=status, code=code, message="no"))
    limits.learn_headers({"X-MBX-USED-WEIGHT-1M": "12"})
    listener = a_probe("late")
    limits.report_to(listener.ref)
    alarm = listener.fish_for(lambda word: isinstance(word, VenueAlarm), within=0.0)
    assert alarm.code == (status if code is None else code)
    listener.expect(LimitsSeen(used_weight=12))
    limits.report_to(listener.ref)
    listener.expect(LimitsSeen(used_weight=12))
    listener.expect_none(within=0.0)
