from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from adapters.alert_routes import HELD, REMEMBERED, AlertRoutes, RouteSettings
from messages.facts import AlertCleared, AlertRaised

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
MORNING = datetime(2026, 7, 2, 6, 0, tzinfo=UTC)
BY_NIGHT = (time(22), time(6))


def routes(**settings: Any) -> AlertRoutes:
    return AlertRoutes(RouteSettings(**{"sinks": ("phone", "mail"), **settings}))


def raised(kind: str = "early_stop", level: Any = "warning", subject: str = "x") -> AlertRaised:
    return AlertRaised(kind=kind, subject=subject, level=level, text="what happened")


def cleared(kind: str = "early_stop", subject: str = "x") -> AlertCleared:
    return AlertCleared(kind=kind, subject=subject, text="over it is")


def test_an_alert_goes_to_all_sinks_with_its_level_in_words() -> None:
    (sent,) = routes().take(raised(), NOON)
    assert sent.sinks == ("phone", "mail")
    assert (sent.level, sent.title, sent.body) == ("warning", "warning: early stop", "x: what happened")


def test_its_end_follows_it() -> None:
    table = routes()
    table.take(raised(), NOON)
    (sent,) = table.take(cleared(), NOON)
    assert (sent.sinks, sent.level, sent.title) == (("phone", "mail"), "info", "over: early stop")


def test_the_end_of_what_an_earlier_life_sent_is_sent() -> None:
    assert len(routes().take(cleared(), NOON)) == 1


def test_what_is_below_the_level_is_not_sent_and_neither_is_its_end() -> None:
    table = routes(level="error")
    assert table.take(raised(level="warning"), NOON) == []
    assert table.take(cleared(), NOON) == []
    assert len(table.take(raised(level="error"), NOON)) == 1


def test_a_kind_may_go_to_some_sinks_or_to_none() -> None:
    table = routes(routes={"halt": ("phone",), "partial_fill": ()})
    assert table.take(raised("halt"), NOON)[0].sinks == ("phone",)
    assert table.take(raised("partial_fill"), NOON) == []
    assert table.take(cleared("partial_fill"), NOON) == []
    assert table.take(raised("conflict"), NOON)[0].sinks == ("phone", "mail")


def test_in_quiet_hours_only_the_critical_is_sent_and_the_rest_at_their_end() -> None:
    table = routes(quiet=BY_NIGHT)
    assert table.take(raised(level="error"), NIGHT) == []
    assert len(table.take(raised("halt", "critical"), NIGHT)) == 1
    assert table.release(NIGHT) == []
    (late,) = table.release(MORNING)
    assert late.title == "error: early stop"
    assert table.release(MORNING) == []
    assert len(table.take(cleared(), MORNING)) == 1


def test_what_was_over_before_anybody_was_up_is_not_sent_at_all() -> None:
    table = routes(quiet=BY_NIGHT)
    table.take(raised(), NIGHT)
    assert table.take(cleared(), NIGHT) == []
    assert table.release(MORNING) == []


@pytest.mark.parametrize(
    ("quiet", "at", "held"),
    [
        (BY_NIGHT, time(21, 59), False),
        (BY_NIGHT, time(22), True),
        (BY_NIGHT, time(5, 59), True),
        (BY_NIGHT, time(6), False),
        ((time(12), time(13)), time(12, 30), True),
        ((time(12), time(13)), time(13), False),
    ],
)
def test_quiet_hours_begin_and_end_to_the_minute_over_midnight_too(quiet: Any, at: time, *, held: bool) -> None:
    assert (routes(quiet=quiet).take(raised(), datetime.combine(NOON, at, UTC)) == []) is held


def test_what_is_held_and_remembered_is_bounded() -> None:
    table = routes(quiet=BY_NIGHT)
    for number in range(HELD + 5):
        table.take(raised(subject=str(number)), NIGHT)
    late = table.release(MORNING)
    assert len(late) == HELD
    assert late[0].body.startswith("5:")
    for number in range(REMEMBERED + 5):
        table.take(raised(subject=str(number), level="info"), NOON)
    assert len(table._sent) == REMEMBERED
