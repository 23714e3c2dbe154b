from __future__ import annotations

import decimal
import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.money import ceil_to, floor_to, in_bps, plain, use_money_context

D = Decimal
AMOUNTS = st.decimals(min_value=D(-(10**12)), max_value=D(10**12), allow_nan=False, allow_infinity=False, places=8)
STEPS = st.sampled_from([D(1), D("0.1"), D("0.00001"), D("0.00000001"), D(5), D("0.25")])


@pytest.fixture(autouse=True)
def money() -> None:
    use_money_context()


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E-7", "0.0000001"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("0.00", "0"),
        ("-0.0", "0"),
        ("-12.340", "-12.34"),
        ("9007199254740993.00000001", "9007199254740993.00000001"),
    ],
)
def test_an_amount_is_written_without_exponent_or_trailing_zeros(amount: str, text: str) -> None:
    assert plain(D(amount)) == text


@given(AMOUNTS)
def test_what_is_written_is_the_same_amount(amount: Decimal) -> None:
    assert D(plain(amount)) == amount


@given(AMOUNTS, STEPS)
def test_rounding_goes_to_the_multiple_below_or_above_and_no_further(amount: Decimal, step: Decimal) -> None:
    low, high = floor_to(amount, step), ceil_to(amount, step)
    assert low <= amount <= high
    assert low % step == 0
    assert high % step == 0
    assert amount - low < step
    assert high - amount < step


def test_a_step_of_zero_is_no_step() -> None:
    assert floor_to(D("1.23"), D(0)) == ceil_to(D("1.23"), D(0)) == D("1.23")


def test_basis_points_are_ten_thousandths_of_the_base() -> None:
    assert in_bps(D("4.2"), D(42_000)) == 1


def test_a_float_or_a_nan_in_money_raises_also_in_threads_started_later() -> None:
    caught: list[type[BaseException]] = []

    def mix() -> None:
        for wrong in (lambda: D("0.1") < 0.2, lambda: D(0.1), lambda: D("NaN") + 1, lambda: D(1) / 0):
            try:
                wrong()
            except decimal.DecimalException as error:
                caught.append(type(error))

    thread = threading.Thread(target=mix)
    thread.start()
    thread.join()
    mix()
    assert len(caught) in {6, 8}  # a quiet NaN may pass quietly; floats and divisions never do
    assert caught.count(decimal.FloatOperation) == 4
