from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.ids import (
    ChildName,
    base36,
    cancel_id,
    child_id,
    execution_id,
    from_milliseconds,
    microseconds,
    milliseconds,
    parse_child_id,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EXECUTION = "abcdefghij234"


def test_an_execution_id_is_derived_from_journal_key_and_moment_and_from_nothing_else() -> None:
    assert execution_id("j", "k", AT) == execution_id("j", "k", AT)
    others = {
        execution_id("j2", "k", AT),
        execution_id("j", "k2", AT),
        execution_id("j", "k", AT + timedelta(microseconds=1)),
    }
    assert execution_id("j", "k", AT) not in others
    assert len(others) == 3


def test_an_execution_id_is_13_characters_of_lower_case_base32() -> None:
    text = execution_id("j", "k", AT)
    assert len(text) == 13
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_child_id_reads_as_the_design_writes_it() -> None:
    assert child_id("p", EXECUTION, 37, 0) == f"tgp-{EXECUTION}-11-0"
    assert cancel_id(child_id("l", EXECUTION, 0, 2), 35) == f"tgl-{EXECUTION}-0-2_cz"


@given(
    st.sampled_from(("p", "t", "d", "l")),
    st.integers(0, 36**5 - 1),
    st.integers(0, 36**3 - 1),
    st.none() | st.integers(0, 36**3 - 1),
)
def test_what_is_written_is_read_again_and_fits_the_exchange(
    env: str, slice_: int, attempt: int, cancel: int | None
) -> None:
    text = child_id(env, EXECUTION, slice_, attempt)  # type: ignore[arg-type]  # drawn from the four letters
    if cancel is not None:
        text = cancel_id(text, cancel)
    assert len(text) <= 36
    assert parse_child_id(text) == ChildName(env, EXECUTION, slice_, attempt, cancel)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web_1234",
        f"tgx-{EXECUTION}-0-0",
        f"TGP-{EXECUTION}-0-0",
        f"tgp-{EXECUTION}-00-0",
        f"tgp-{EXECUTION}-0",
        f"tgp-{EXECUTION}-0-0-0",
        f"tgp-{EXECUTION[:-1]}-0-0",
        f"tgp-{EXECUTION[:-1]}1-0-0",
        f" tgp-{EXECUTION}-0-0",
        f"tgp-{EXECUTION}-0-0\n",
        f"tgp-{EXECUTION}-0-0_c",
        f"tgp-{EXECUTION}-0-0_x1",
    ],
)
def test_nothing_else_is_taken_for_one_of_ours(text: str) -> None:
    assert parse_child_id(text) is None


def test_a_negative_number_has_no_name() -> None:
    with pytest.raises(ValueError, match="-1"):
        base36(-1)


def test_moments_and_counts_turn_into_each_other_exactly() -> None:
    assert microseconds(AT) == 1_767_323_045_678_901
    assert milliseconds(AT) == 1_767_323_045_678
    assert milliseconds(from_milliseconds(1_767_323_045_678)) == 1_767_323_045_678
