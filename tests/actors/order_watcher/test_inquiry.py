from __future__ import annotations

import pytest

from actors.order_watcher.inquiry import (
    GAP_SECONDS,
    LIST_WEIGHT,
    MOST_SINGLE,
    ORDER_WEIGHT,
    SEARCH_WEIGHT_PER_SECOND,
    Inquiry,
    search_gaps,
)


def test_of_few_unknown_orders_each_is_asked_for_in_every_round() -> None:
    inquiry = Inquiry()
    for _ in range(3):
        assert sorted(inquiry.turn_of(["a", "b", "c"])) == ["a", "b", "c"]


def test_of_many_each_is_asked_for_in_its_turn() -> None:
    inquiry, names = Inquiry(), [str(number) for number in range(12)]
    asked = [name for _ in range(3) for name in inquiry.turn_of(names)]
    assert len(asked) == 3 * MOST_SINGLE
    assert set(asked) == set(names)


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


@pytest.mark.parametrize("counts", [[1] * 30, [20] * 10, [3] * 500])
def test_however_many_there_are_they_keep_to_their_part_of_the_weight(counts: list[int]) -> None:
    gap, list_gap = search_gaps(counts)
    singles = ORDER_WEIGHT * sum(min(count, MOST_SINGLE) for count in counts)
    used = singles / gap + LIST_WEIGHT * len(counts) / list_gap
    assert used <= SEARCH_WEIGHT_PER_SECOND + 1e-9
