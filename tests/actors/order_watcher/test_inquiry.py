from __future__ import annotations

import pytest

from actors.order_watcher.inquiry import (
    ANSWER_SECONDS,
    FIRST_GAPS_SECONDS,
    GAP_SECONDS,
    LIST_WEIGHT,
    MOST_SINGLE,
    ORDER_WEIGHT,
    SEARCH_WEIGHT_PER_SECOND,
    Inquiry,
    search_gaps,
)
from actors.order_watcher.proof import Moment, Path, Proof
from actors.order_watcher.settings import WatcherSettings
from actors.runtime import Timer
from tests.factories import an_intent
from tests.order_tools import Nobody

NUMBERS = WatcherSettings()
T = 1_000_000_000
SEARCH, COUNTING = 4.0, 1.5
"""The seconds between rounds that the tests of `gap` give."""


def test_of_few_unknown_orders_each_is_asked_for_in_every_round() -> None:
    inquiry = Inquiry()
    for _ in range(3):
        assert sorted(inquiry.turn_of(["a", "b", "c"])) == ["a", "b", "c"]


def test_of_many_each_is_asked_for_in_its_turn() -> None:
    inquiry, names = Inquiry(), "abcdefghijkl"
    assert ["".join(inquiry.turn_of(names)) for _ in range(4)] == ["abcde", "fghij", "klabc", "defgh"]
    assert inquiry.turn_of("") == []


def test_the_list_is_asked_for_from_the_second_round_on_and_not_before_its_gap_is_over() -> None:
    inquiry = Inquiry()
    assert not inquiry.wants_list(0.0, 2.0)
    inquiry.round = 1
    assert inquiry.wants_list(1.0, 2.0)
    assert not inquiry.wants_list(2.9, 2.0)
    assert inquiry.wants_list(3.0, 2.0)


@pytest.mark.parametrize("counts", [[1], [5], [20], [1, 1, 1]])
def test_a_few_searches_are_as_quick_as_what_is_shown_must_be_found(counts: list[int]) -> None:
    assert search_gaps(counts) == (GAP_SECONDS, GAP_SECONDS)


def test_single_orders_have_two_thirds_of_the_weight_and_lists_what_is_left() -> None:
    assert search_gaps([5] * 10) == (5.0, 10.0)


@pytest.mark.parametrize("counts", [[1] * 30, [20] * 10, [3] * 500])
def test_however_many_there_are_they_keep_to_their_part_of_the_weight(counts: list[int]) -> None:
    gap, list_gap = search_gaps(counts)
    singles = ORDER_WEIGHT * sum(min(count, MOST_SINGLE) for count in counts)
    used = singles / gap + LIST_WEIGHT * len(counts) / list_gap
    assert used <= SEARCH_WEIGHT_PER_SECOND + 1e-9


def a_proof(*, fenced: bool = False, counted: bool = False) -> Proof:
    """The search for an order that was due at the venue 20 s before `LATER`; its horizon was 3 s before it."""
    proof = Proof(an_intent(request_timestamp=T, recv_window=2000), NUMBERS)
    if fenced:
        proof.fence_named("fence")
        assert proof.not_open("fence", Moment(80.0, T))
    for now in (81.0, 82.5, 84.0) if counted else ():
        for path in Path:
            proof.no_sign(path, Moment(now, T))
    assert proof.counted is counted
    return proof


EARLY = Moment(100.0, T + 16_900)
LATER = Moment(100.0, T + 20_000)


def gap(number: int, *proofs: Proof, moment: Moment | None = LATER) -> float:
    inquiry = Inquiry()
    inquiry.round = number
    return inquiry.gap(proofs, moment, 100.0, COUNTING, SEARCH)


def test_the_first_rounds_come_quickly_and_the_others_as_the_weight_allows() -> None:
    assert [gap(number, a_proof()) for number in range(5)] == [*FIRST_GAPS_SECONDS, SEARCH, SEARCH]
    assert max(FIRST_GAPS_SECONDS) < GAP_SECONDS


@pytest.mark.parametrize(
    ("proofs", "seconds"),
    [
        ((), SEARCH),
        ((a_proof(),), SEARCH),
        ((a_proof(fenced=True),), COUNTING),
        ((a_proof(), a_proof(fenced=True)), COUNTING),
        ((a_proof(fenced=True, counted=True),), SEARCH),
    ],
)
def test_rounds_are_as_close_as_a_count_needs_them_while_one_is_under_way(
    proofs: tuple[Proof, ...], seconds: float
) -> None:
    assert gap(3, *proofs) == seconds


def test_a_round_comes_when_a_horizon_does_if_the_venues_time_is_known() -> None:
    assert gap(3, a_proof(), moment=EARLY) == pytest.approx(0.1)
    assert gap(3, a_proof(fenced=True), moment=None) == SEARCH


@pytest.mark.parametrize(
    ("deaf", "seconds"), [(0.0, SEARCH), (180.0, SEARCH), (180.1, 10.0), (600.0, 10.0), (600.1, 30.0)]
)
def test_a_venue_that_answers_nothing_is_asked_less_and_less_until_it_answers(deaf: float, seconds: float) -> None:
    inquiry = Inquiry()
    inquiry.round = 3
    assert not inquiry.answered("q", 0.0, 0.0, failed=True)
    assert not inquiry.answered("q", deaf, deaf, failed=True)
    assert inquiry.gap((), LATER, deaf, COUNTING, SEARCH) == seconds
    assert inquiry.answered("q", deaf, deaf, failed=False) is (seconds != SEARCH)
    assert inquiry.gap((), LATER, deaf, COUNTING, SEARCH) == SEARCH


@pytest.mark.parametrize(
    ("now", "not_before", "asked_again"),
    [
        (9.9, None, False),
        (ANSWER_SECONDS, None, True),
        (5.0, 0.0, False),
        (5.0, 0.1, True),
    ],
)
def test_a_question_is_put_again_once_its_answer_is_overdue_or_would_not_do(
    now: float, not_before: float | None, asked_again: bool
) -> None:
    inquiry = Inquiry()
    assert inquiry.may_ask("q", 0.0)
    assert inquiry.may_ask("q", now, not_before) is asked_again
    assert inquiry.may_ask("another", now)


def test_only_the_answer_to_the_last_question_ends_the_wait_for_one() -> None:
    inquiry = Inquiry()
    inquiry.may_ask("q", 0.0)
    inquiry.may_ask("q", 20.0)
    inquiry.answered("q", 0.0, 21.0, failed=False)
    assert not inquiry.may_ask("q", 21.0)
    inquiry.answered("q", 20.0, 22.0, failed=False)
    assert inquiry.may_ask("q", 22.0)


def test_a_round_comes_by_the_moment_for_which_its_timer_is_set() -> None:
    inquiry = Inquiry()
    assert not inquiry.comes_by(10.0)
    inquiry.timer, inquiry.due = Timer(Nobody(), "round"), 10.0
    assert [inquiry.comes_by(moment) for moment in (9.9, 10.0)] == [False, True]
    inquiry.timer.cancel()
    assert not inquiry.comes_by(10.0)
