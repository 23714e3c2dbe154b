from __future__ import annotations

from actors.exchange.refresh import Refresh


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
