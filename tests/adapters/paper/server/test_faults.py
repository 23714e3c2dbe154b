from __future__ import annotations

import pytest

from adapters.paper.server.faults import (
    EVENT_FAULTS,
    EVENT_KINDS,
    NOTHING,
    REQUEST_KINDS,
    BadPlan,
    Fault,
    Plan,
    Point,
    Trouble,
    WireFault,
    WireFaults,
    read_plan,
    refusal_of,
)
from adapters.paper.server.operations import OPERATIONS


def strikes(faults: WireFaults, kind: str, count: int, via: str = "rest") -> list[int]:
    """The occasions (from 1) at which anything struck."""
    return [number for number in range(1, count + 1) if faults.strike(kind, via)]


def test_a_fault_strikes_at_the_occasions_named() -> None:
    faults = WireFaults([Fault(kind=WireFault.LOST_REPLY, nth=(2, 4))])
    assert strikes(faults, "place", 6) == [2, 4]


def test_a_fault_counts_only_what_it_is_about() -> None:
    faults = WireFaults([Fault(kind=WireFault.LOST_REPLY, on=("cancel",), via="ws", nth=(1,))])
    assert strikes(faults, "place", 3, "ws") == []
    assert strikes(faults, "cancel", 3, "rest") == []
    assert strikes(faults, "cancel", 3, "ws") == [1]


def test_chance_follows_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        return strikes(WireFaults([Fault(kind=WireFault.REFUSE, probability=0.3)], seed), "place", 200)

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < len(drawn(1)) < 90


def test_a_fault_stops_after_as_many_times_as_it_may() -> None:
    faults = WireFaults([Fault(kind=WireFault.REFUSE, probability=1.0, times=2)])
    assert strikes(faults, "place", 5) == [1, 2]


def test_of_one_kind_only_the_first_fault_strikes_but_kinds_go_together() -> None:
    faults = WireFaults(
        [
            Fault(kind=WireFault.LATE_REQUEST, nth=(1,), milliseconds=5, point=Point.ENGINE),
            Fault(kind=WireFault.LATE_REQUEST, nth=(1,), milliseconds=9),
            Fault(kind=WireFault.LOST_REPLY, nth=(1,)),
        ]
    )
    struck = faults.strike("place", "ws")
    assert struck.delay(Point.ENGINE) == 0.005
    assert struck.delay(Point.RECEIVED) == 0.0
    assert WireFault.LOST_REPLY in struck
    assert WireFault.REFUSE not in struck
    assert [entry["strikes"] for entry in faults.state()] == [1, 0, 1]


def test_events_are_struck_by_faults_of_events_only() -> None:
    faults = WireFaults(
        [Fault(kind=WireFault.LOST_EVENT, on=("TRADE",), nth=(1,)), Fault(kind=WireFault.REFUSE, nth=(1,))]
    )
    assert not faults.strike_event("NEW")
    assert WireFault.LOST_EVENT in faults.strike_event("TRADE")
    assert WireFault.REFUSE in faults.strike("place", "rest")


def test_a_plan_replaces_the_one_before_unless_it_is_to_be_added() -> None:
    faults = WireFaults([Fault(kind=WireFault.REFUSE, nth=(1,))])
    faults.set(Plan(faults=(Fault(kind=WireFault.LOST_REPLY, nth=(1,)),), add=True))
    assert len(faults.state()) == 2
    faults.set(Plan())
    assert faults.state() == []
    assert faults.strike("place", "rest") is NOTHING
    assert faults.strike_event("NEW") is NOTHING


def test_a_server_in_trouble_says_what_it_is_told_to() -> None:
    trouble = Trouble(Fault(kind=WireFault.ERROR_REPLY, status=504, code=-1007))
    assert (trouble.status, trouble.code) == (504, -1007)
    assert "execution status unknown" in trouble.message
    usual = Trouble(Fault(kind=WireFault.ERROR_REPLY))
    assert (usual.status, usual.code) == (503, -1000)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind=WireFault.REFUSE), (-1013, "Filter failure: LOT_SIZE", 400)),
        (Fault(kind=WireFault.REFUSE, code=-9999), (-9999, "Refused.", 400)),
        (Fault(kind=WireFault.REFUSE, code=-1003, message="m", status=418), (-1003, "m", 418)),
    ],
)
def test_a_refusal_has_code_text_and_status(fault: Fault, expected: tuple[int, str, int]) -> None:
    assert refusal_of(fault) == expected


def test_the_kinds_that_a_plan_may_name_are_those_that_there_are() -> None:
    assert set(REQUEST_KINDS) == {operation.kind for operation in OPERATIONS} | {"session"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('{"kind": "lost_reply", "on": ["plase"]}', "lost_reply cannot be on 'plase'; there are place, test, cancel,"),
        ('{"kind": "lost_event", "on": ["place"]}', "there are NEW, TRADE, CANCELED,"),
        ('{"kind": "query_lag", "on": ["place"]}', "there are query, all_orders, trades"),
        ('{"kind": "revoked", "via": "rest"}', "revoked is of the WebSocket API alone"),
        ('{"kind": "refuse", "via": "telex"}', "telex"),
        ('{"kind": "refuse", "nth": [0]}', ">= 1"),
        ('{"kind": "refuse", "probability": 2}', "<= 1"),
        ('{"kind": "late_reply", "milliseconds": -5}', ">= 0"),
    ],
)
def test_a_plan_whose_fault_could_never_strike_is_refused_with_what_there_is(fault: str, said: str) -> None:
    with pytest.raises(BadPlan) as refused:
        read_plan(f'{{"faults": [{fault}]}}')
    assert said in str(refused.value)


def test_a_fault_without_kinds_counts_what_it_can_strike_and_nothing_else() -> None:
    faults = WireFaults([Fault(kind=WireFault.QUERY_LAG, nth=(1,)), Fault(kind=WireFault.DISCONNECT, nth=(1,))])
    assert strikes(faults, "place", 3) == []
    assert faults.state()[1]["occasions"] == 0, "a REST connection is not cut by it"
    assert [strikes(faults, "query", 1), strikes(faults, "place", 1, "ws")] == [[1], [1]]
    for kind in EVENT_FAULTS:
        assert all(WireFaults([Fault(kind=kind, nth=(1,))]).strike_event(name) for name in EVENT_KINDS)
