from __future__ import annotations

import pytest

from actors.order_watcher.outcomes import EFFECTS, REFUSED_RANGES, Effect, effect_of

UNKNOWN = (-1000, -1001, -1006, -1007, -1008, -1016)


@pytest.mark.parametrize("code", UNKNOWN)
def test_an_answer_that_does_not_say_whether_it_was_executed_is_unknown(code: int) -> None:
    assert effect_of(code, "try again") is Effect.UNKNOWN


@pytest.mark.parametrize("code", [500, 502, 503, 504, 599, -1, -9999])
def test_server_errors_and_codes_that_nobody_has_listed_are_unknown(code: int) -> None:
    assert effect_of(code, "") is Effect.UNKNOWN


@pytest.mark.parametrize(
    "code", [-1002, -1003, -1013, -1014, -1015, -1020, -1021, -1022, -2010, -2014, -2015, 401, 403, 418, 429]
)
def test_what_is_certain_is_refused(code: int) -> None:
    assert effect_of(code, "no") is Effect.REFUSED


@pytest.mark.parametrize("code", [-1100, -1102, -1106, -1111, -1117, -1121, -1130, -1199])
def test_wrong_parameters_are_refused(code: int) -> None:
    assert effect_of(code, "") is Effect.REFUSED


def test_the_table_says_unknown_of_nothing_else() -> None:
    assert {code for code, effect in EFFECTS.items() if effect is Effect.UNKNOWN} == set(UNKNOWN)
    assert REFUSED_RANGES == ((-1199, -1100),)


def test_a_duplicate_says_that_an_earlier_order_of_this_name_is_open() -> None:
    assert effect_of(-2010, "Duplicate order sent.") is Effect.EARLIER_IS_OPEN
    assert effect_of(-2010, "Account has insufficient balance for requested action.") is Effect.REFUSED
