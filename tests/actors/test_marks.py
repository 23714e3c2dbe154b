"""The mid at moments to come: the first that is seen then."""

from __future__ import annotations

import random
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from actors.marks import LATE_SECONDS, Marks
from messages.market import MarkMids, MidsMarked

D = Decimal
BTC, ETH = "BTCUSDT", "ETHUSDT"
NOBODY = cast("Any", SimpleNamespace())


def ask(*moments: float, number: int = 1, execution: str = "one", symbol: str = BTC) -> MarkMids:
    return MarkMids(execution_id=execution, number=number, symbol=symbol, moments=moments, reply_to=NOBODY)


def seen(marks: Marks, mid: int, now: float, standing: int | None = 100, symbol: str = BTC) -> list[MidsMarked]:
    if not marks.awaits(symbol):
        return []
    stood = None if standing is None else D(standing)
    return [answer for _, answer in marks.see(symbol, D(mid), stood, now)]


def test_a_moments_mid_is_the_first_that_is_seen_at_or_after_it() -> None:
    marks = Marks()
    marks.ask(ask(1.0, 5.0))
    assert seen(marks, 101, 0.9) == []
    assert seen(marks, 102, 1.0) == []
    assert seen(marks, 103, 1.1) == []
    assert seen(marks, 104, 5.9) == [MidsMarked(number=1, mids=(D(102), D(104)))]
    assert (len(marks), marks.awaits(BTC)) == (0, False)


def test_what_is_seen_too_late_is_known_only_if_nothing_has_changed() -> None:
    marks = Marks()
    marks.ask(ask(1.0, 5.0, 60.0))
    assert seen(marks, 200, 1.0 + LATE_SECONDS + 0.1, standing=101) == []
    assert seen(marks, 200, 30.0, standing=200) == []
    assert seen(marks, 300, 70.0, standing=None) == [MidsMarked(number=1, mids=(None, D(200), None))]


def test_each_question_is_of_its_own_symbol_and_answered_once() -> None:
    marks = Marks()
    marks.ask(ask(1.0))
    marks.ask(ask(1.0, number=2, symbol=ETH))
    marks.ask(ask(1.0, number=3, execution="other"))
    assert [answer.number for answer in seen(marks, 101, 1.0)] == [1, 3]
    assert marks.awaits(ETH)
    assert seen(marks, 7, 1.5, symbol=ETH) == [MidsMarked(number=2, mids=(D(7),))]
    assert len(marks) == 0


def test_who_takes_its_questions_back_is_told_what_is_known_by_then() -> None:
    marks = Marks()
    marks.ask(ask(1.0, 5.0, 60.0))
    marks.ask(ask(4.0, 8.0, 63.0, number=2))
    marks.ask(ask(6.0, execution="other"))
    seen(marks, 101, 1.5)
    assert [answer for _, answer in marks.take_back("one")] == [
        MidsMarked(number=1, mids=(D(101), None, None)),
        MidsMarked(number=2, mids=(None, None, None)),
    ]
    assert marks.take_back("one") == []
    assert seen(marks, 106, 6.0) == [MidsMarked(number=1, mids=(D(106),))]
    assert seen(marks, 107, 70.0) == []
    assert (len(marks), marks.awaits(BTC)) == (0, False)


def test_whatever_comes_each_question_is_answered_once_with_the_mids_of_its_moments() -> None:
    for seed in range(50):
        chance, marks = random.Random(seed), Marks()
        moments = {number: tuple(sorted(chance.uniform(0, 50) for _ in range(3))) for number in range(20)}
        for number, three in moments.items():
            marks.ask(ask(*three, number=number, execution=f"{number % 3}"))
        answers: dict[int, MidsMarked] = {}
        quotes = sorted(chance.uniform(0, 60) for _ in range(200))
        for index, now in enumerate(quotes):
            for answer in seen(marks, index, now, standing=index - 1 if index else None):
                assert answer.number not in answers
                answers[answer.number] = answer
        for number, three in moments.items():
            if three[-1] > quotes[-1]:
                continue
            for moment, mid in zip(three, answers[number].mids, strict=True):
                first = next(index for index, now in enumerate(quotes) if now >= moment)
                late = quotes[first] - moment > LATE_SECONDS
                assert mid == (None if late else first)
