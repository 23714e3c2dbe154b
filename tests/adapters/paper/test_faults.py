from __future__ import annotations

import random

import pytest

from adapters.paper.faults import Fault, FaultKind, FaultPlan


def strikes(plan: FaultPlan, kind: FaultKind, occasions: int) -> list[int]:
    return [number for number in range(1, occasions + 1) if plan.strike(kind)]


def test_an_empty_plan_never_strikes() -> None:
    assert strikes(FaultPlan(), FaultKind.LOST_REPLY, 100) == []


def test_a_scripted_fault_strikes_exactly_the_times_it_names() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.LOST_REPLY, nth=(2, 5))])
    assert strikes(plan, FaultKind.LOST_REPLY, 10) == [2, 5]


def test_occasions_of_another_kind_do_not_count() -> None:
    plan = FaultPlan([Fault(kind=FaultKind.LOST_REPLY, nth=(1,))])
    assert strikes(plan, FaultKind.REFUSE, 5) == []
    assert strikes(plan, FaultKind.LOST_REPLY, 5) == [1]


def test_of_several_faults_the_first_that_strikes_is_told_and_all_count() -> None:
    first = Fault(kind=FaultKind.REFUSE, nth=(1, 2), code=-1)
    second = Fault(kind=FaultKind.REFUSE, nth=(2, 3), code=-2)
    plan = FaultPlan([first, second])
    assert [plan.strike(FaultKind.REFUSE) for _ in range(4)] == [first, first, second, None]


def test_a_seeded_fault_strikes_about_as_often_as_it_says_and_the_same_times_again() -> None:
    def run() -> list[int]:
        plan = FaultPlan([Fault(kind=FaultKind.LOST_EVENT, probability=0.25)], random.Random(4))
        return strikes(plan, FaultKind.LOST_EVENT, 1000)

    assert run() == run()
    assert 200 < len(run()) < 300


def test_probability_needs_a_source_of_chance() -> None:
    with pytest.raises(ValueError, match="chance"):
        FaultPlan([Fault(kind=FaultKind.LOST_EVENT, probability=0.1)])
