from __future__ import annotations

from typing import Any

import pytest

from actors.order_watcher.attempt import STEPS, TIMEOUT_CANCEL, Attempt, Life
from messages.control import InvariantBroken
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    Fact,
)
from tests.factories import CHILD, D, a_child_closed, a_trade_booked, an_acknowledged, an_intent

FACTS: dict[type[Fact], Fact] = {
    ChildAcknowledged: an_acknowledged(),
    ChildRefused: ChildRefused(client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message=""),
    ChildNotSent: ChildNotSent(client_order_id=CHILD, reason="", detail="", source="venue"),
    ChildUnknown: ChildUnknown(client_order_id=CHILD, symbol="BTCUSDT", detail=""),
    ChildAbsent: ChildAbsent(client_order_id=CHILD, symbol="BTCUSDT", proof=""),
    ChildClosed: a_child_closed(),
    AttemptReappeared: AttemptReappeared(
        client_order_id=CHILD, symbol="BTCUSDT", order_id=1001, status="NEW", executed_quantity=D(0)
    ),
}
PATHS: dict[Life, tuple[type[Fact], ...]] = {
    Life.INTENDED: (),
    Life.UNKNOWN: (ChildUnknown,),
    Life.ACKED: (ChildAcknowledged,),
    Life.REFUSED: (ChildRefused,),
    Life.NOT_SENT: (ChildNotSent,),
    Life.ABSENT: (ChildUnknown, ChildAbsent),
    Life.CLOSED: (ChildAcknowledged, ChildClosed),
}
ALLOWED = {
    (Life.INTENDED, ChildAcknowledged): Life.ACKED,
    (Life.INTENDED, ChildRefused): Life.REFUSED,
    (Life.INTENDED, ChildNotSent): Life.NOT_SENT,
    (Life.INTENDED, ChildUnknown): Life.UNKNOWN,
    (Life.UNKNOWN, ChildAcknowledged): Life.ACKED,
    (Life.UNKNOWN, ChildRefused): Life.REFUSED,
    (Life.UNKNOWN, ChildNotSent): Life.NOT_SENT,
    (Life.UNKNOWN, ChildAbsent): Life.ABSENT,
    (Life.ACKED, ChildClosed): Life.CLOSED,
    (Life.REFUSED, AttemptReappeared): Life.ACKED,
    (Life.NOT_SENT, AttemptReappeared): Life.ACKED,
    (Life.ABSENT, AttemptReappeared): Life.ACKED,
}


def an_attempt(life: Life = Life.INTENDED, **intent: Any) -> Attempt:
    attempt = Attempt(an_intent(**intent))
    for kind in PATHS[life]:
        attempt.fold(FACTS[kind])
    assert attempt.life is life
    return attempt


@pytest.mark.parametrize("life", list(Life))
@pytest.mark.parametrize("kind", list(STEPS))
def test_only_what_the_table_allows_may_follow(life: Life, kind: type[Fact]) -> None:
    attempt, expected = an_attempt(life), ALLOWED.get((life, kind))
    assert attempt.allows(kind) is (expected is not None)
    if (life, kind) == (Life.NOT_SENT, ChildUnknown):  # There are two writers: it may come behind.
        attempt.fold(FACTS[kind])
        assert attempt.life is life
    elif expected is None:
        with pytest.raises(InvariantBroken, match=kind.__name__):
            attempt.fold(FACTS[kind])
        assert attempt.life is life
    else:
        attempt.fold(FACTS[kind])
        assert attempt.life is expected


def test_an_unknown_order_is_open_and_a_refused_one_is_gone() -> None:
    assert [life for life in Life if life.open] == [Life.INTENDED, Life.UNKNOWN, Life.ACKED]
    assert [life for life in Life if life.gone] == [Life.REFUSED, Life.NOT_SENT, Life.ABSENT]


def test_the_venues_number_is_known_once_the_order_was_seen() -> None:
    assert an_attempt().order_id is None
    assert an_attempt(Life.ACKED).order_id == 1001
    attempt = an_attempt(Life.REFUSED)
    attempt.fold(FACTS[AttemptReappeared])
    assert attempt.order_id == 1001


@pytest.mark.parametrize(
    ("order", "rests"),
    [
        ({"order_type": "LIMIT", "time_in_force": "GTC"}, True),
        ({"order_type": "LIMIT_MAKER", "time_in_force": None}, True),
        ({"order_type": "LIMIT", "time_in_force": "IOC"}, False),
        ({"order_type": "LIMIT", "time_in_force": "FOK"}, False),
        ({"order_type": "MARKET", "time_in_force": None}, False),
    ],
)
def test_only_orders_that_stay_in_the_book_rest(order: dict[str, Any], rests: bool) -> None:
    assert an_attempt(**order).rests is rests


def test_only_a_cancel_for_time_makes_a_time_out() -> None:
    attempt = an_attempt()
    request = ChildCancelRequested(
        client_order_id=CHILD, cancel_id="c", symbol="BTCUSDT", order_id=None, reason="operator"
    )
    attempt.fold(request)
    attempt.fold(a_trade_booked())
    assert (attempt.cancels, attempt.cancelled_for_time) == (1, False)
    attempt.fold(
        ChildCancelRequested(
            client_order_id=CHILD, cancel_id="c", symbol="BTCUSDT", order_id=None, reason=TIMEOUT_CANCEL
        )
    )
    attempt.fold(request)
    assert (attempt.cancels, attempt.cancelled_for_time) == (3, True)
