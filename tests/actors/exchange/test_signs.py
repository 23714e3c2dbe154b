from __future__ import annotations

import pytest

from actors.exchange.signs import Signs
from messages.control import TroubleOver, TroubleSeen
from messages.order import LimitsSeen


def kinds(*signs: TroubleSeen | TroubleOver | None) -> list[type | None]:
    return [None if sign is None else type(sign) for sign in signs]


def weight(used: int) -> LimitsSeen:
    return LimitsSeen(used_weight=used, weight_limit=100)


def test_a_clock_far_off_is_said_once_and_its_return_once() -> None:
    signs = Signs()
    said = [signs.of_clock(offset) for offset in (10, 400, 1000, 2000, -1500, 700, 499, 0)]
    assert kinds(*said) == [TroubleOver, None, TroubleSeen, None, None, None, TroubleOver, None]


@pytest.mark.parametrize(
    ("offset", "text"),
    [(1200, "our clock is 1200 ms behind the venue's"), (-1200, "our clock is 1200 ms ahead of the venue's")],
)
def test_it_is_said_which_way_the_clock_is_off(offset: int, text: str) -> None:
    sign = Signs().of_clock(offset)
    assert isinstance(sign, TroubleSeen)
    assert (sign.kind, sign.text) == ("clock_skew", text)


def test_a_clock_in_between_from_the_start_says_nothing() -> None:
    assert Signs().of_clock(700) is None


def test_limits_are_near_from_four_fifths_and_clear_below_three() -> None:
    signs = Signs()
    said = [signs.of_limits(weight(used)) for used in (10, 79, 80, 95, 60, 59, 10)]
    assert kinds(*said) == [TroubleOver, None, TroubleSeen, None, None, TroubleOver, None]


def test_the_fullest_limit_counts_and_is_named() -> None:
    sign = Signs().of_limits(LimitsSeen(used_weight=1, weight_limit=100, order_counts=((86_400, 90, 100),)))
    assert isinstance(sign, TroubleSeen)
    assert sign.text == "used 90 of 100 orders in 86400 s"


def test_a_window_of_seconds_is_no_matter_of_alerts() -> None:
    assert Signs().of_limits(LimitsSeen(order_counts=((10, 50, 50),))) is None


def test_a_word_without_figures_says_nothing() -> None:
    assert Signs().of_limits(LimitsSeen(retry_at=None, used_weight=5)) is None
