from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.signal_gate.rates import REMEMBERED_SENDERS, Rates

D = Decimal


def let_through(rates: Rates, sender: str, now: float, tries: int) -> int:
    return sum(rates.exceeded(sender, now) is None for _ in range(tries))


def test_without_a_bound_everything_goes() -> None:
    assert let_through(Rates(None, None, D(1)), "a", 0.0, 10_000) == 10_000


def test_a_burst_goes_at_once_and_then_only_the_rate() -> None:
    rates = Rates(None, D(10), D(3))
    assert let_through(rates, "a", 0.0, 100) == 30
    assert let_through(rates, "a", 1.0, 100) == 10
    assert let_through(rates, "a", 100.0, 100) == 30


def test_a_rate_below_one_still_lets_one_through() -> None:
    rates = Rates(None, D("0.1"), D(1))
    assert let_through(rates, "a", 0.0, 5) == 1
    assert let_through(rates, "a", 9.0, 5) == 0
    assert let_through(rates, "a", 10.5, 5) == 1


def test_senders_do_not_take_from_each_other_and_what_is_refused_takes_nothing_from_all() -> None:
    rates = Rates(D(10), D(6), D(1))
    assert let_through(rates, "flood", 0.0, 1_000) == 6
    assert let_through(rates, "quiet", 0.0, 10) == 4
    assert rates.exceeded("third", 0.0) == "more than 10 signals a second come in"


def test_a_clock_that_steps_back_gives_nothing() -> None:
    rates = Rates(None, D(1), D(2))
    assert let_through(rates, "a", 10.0, 5) == 2
    assert let_through(rates, "a", 5.0, 5) == 0


def test_ever_new_senders_do_not_pile_up() -> None:
    rates = Rates(D(1), D(1), D(1))
    for number in range(2 * REMEMBERED_SENDERS):
        rates.exceeded(str(number), 0.0)
    assert len(rates._senders) == REMEMBERED_SENDERS


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2)), max_size=200))
def test_in_no_stretch_of_time_more_goes_through_than_the_burst_and_the_rate(steps: list[tuple[str, float]]) -> None:
    rates, now, passed = Rates(D(5), D(3), D(2)), 0.0, list[tuple[str, float]]()
    for sender, pause in steps:
        now += pause
        if rates.exceeded(sender, now) is None:
            passed.append((sender, now))
    for senders, rate in (("ab", 5), ("a", 3), ("b", 3)):
        times = [at for sender, at in passed if sender in senders]
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= 2 * rate + rate * (times[last] - start) + 1e-6
