from __future__ import annotations

import pytest

from actors.exchange.refresh import Refresh, is_of_symbol


def test_an_answer_is_asked_for_again_after_the_interval() -> None:
    refresh = Refresh(60.0, 15.0)
    refresh.asked(0.0)
    assert (refresh.due, refresh.known) == (15.0, False)
    refresh.answered(1.0)
    assert (refresh.due, refresh.known) == (61.0, True)


def test_failures_are_retried_ever_more_slowly_up_to_half_a_minute() -> None:
    refresh, waits = Refresh(60.0, 15.0), []
    for _ in range(9):
        refresh.failed(0.0)
        waits.append(refresh.due)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    refresh.answered(0.0)
    refresh.failed(0.0)
    assert refresh.due == 0.5


def test_a_retry_waits_for_what_the_venue_says() -> None:
    refresh = Refresh(60.0, 15.0)
    refresh.failed(10.0, not_before=99.0)
    assert refresh.due == 99.0


def test_a_wish_brings_the_next_question_forward_but_not_a_second_one() -> None:
    refresh = Refresh(60.0, 15.0)
    refresh.answered(0.0)
    assert refresh.hurry(2.0, 10.0)
    assert refresh.due == 12.0
    assert not refresh.hurry(5.0, 10.0)
    refresh.asked(12.0)
    assert not refresh.hurry(0.0, 13.0)


@pytest.mark.parametrize(
    ("code", "message", "of_symbol"),
    [
        (-2010, "Market is closed.", True),
        (-2010, "This symbol is not permitted for this account.", True),
        (-2010, "This symbol is restricted for this account.", True),
        (-2010, "Trading is not enabled.", True),
        (-1220, "Symbol status mismatch.", True),
        (-2010, "Account has insufficient balance for requested action.", False),
        (-1013, "Market is closed.", False),
    ],
)
def test_a_refusal_for_the_state_of_a_symbol_is_told_from_others(code: int, message: str, *, of_symbol: bool) -> None:
    assert is_of_symbol(code, message) is of_symbol
