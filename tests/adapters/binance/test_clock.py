from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from actors.runtime import Runtime
from adapters.binance.clock import Clock
from adapters.binance.outcomes import RequestNotSent, RequestUnknown
from messages.ids import milliseconds

START = datetime(2026, 7, 1, tzinfo=UTC)
ZERO = milliseconds(START)


class Time:
    """A runtime's clocks, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def wall_time(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 100.0)


def a_clock(time: Time, ask: Callable[[], Awaitable[int]], **changes: Any) -> Clock:
    values: dict[str, Any] = {"samples": 3, "bias_ms": -50, "refresh_seconds": 60.0}
    return Clock(ask, cast("Runtime", time), **{**values, **changes})


def trips(time: Time, *legs: tuple[float, float], ahead_ms: int = 5_000) -> Callable[[], Awaitable[int]]:
    """Answer with the server's time after the first leg; then the answer takes the second leg."""
    left = list(legs)

    async def ask() -> int:
        out, back = left.pop(0)
        time.seconds += out
        told = ZERO + round((time.seconds - 100.0) * 1000) + ahead_ms
        time.seconds += back
        return told

    return ask


def test_the_quickest_sample_counts_and_is_biased_to_the_early_side() -> None:
    time = Time()
    clock = a_clock(time, trips(time, (0.4, 0.0), (0.01, 0.01), (0.0, 0.3)))
    asyncio.run(clock.measure())
    assert clock.offset_milliseconds() == 5_000 - 50
    time.seconds += 10.0
    assert clock.milliseconds() == ZERO + round((time.seconds - 100.0) * 1000) + 4_950


def test_one_good_sample_is_enough_and_none_is_an_error() -> None:
    time = Time()
    answers: list[int | Exception] = [ZERO, RequestUnknown("x"), RequestUnknown("y")]

    async def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = a_clock(time, ask)
    asyncio.run(clock.measure())
    assert clock.known
    answers[:] = [RequestUnknown("z")]
    with pytest.raises(RequestUnknown):
        asyncio.run(clock.measure())
    assert clock.known


@pytest.mark.parametrize(
    ("moved", "refused", "believed"), [(0, False, False), (-3_000, False, False), (2_500, False, True), (0, True, True)]
)
def test_a_slow_reading_moves_a_clock_only_if_it_contradicts_it_or_a_timestamp_was_refused(
    moved: int, *, refused: bool, believed: bool
) -> None:
    """Of four seconds there and back nobody knows how they are parted: that reading may be off by two."""
    time = Time()
    clock = a_clock(time, trips(time, *[(0.01, 0.01)] * 3))
    asyncio.run(clock.measure())
    before = clock.offset_milliseconds()
    clock._ask = trips(time, *[(3.9, 0.1)] * 3, ahead_ms=5_000 + moved)
    if refused:
        clock.hurry()
    asyncio.run(clock.measure())
    assert clock.offset_milliseconds() - before == (1_900 + moved if believed else 0)


def test_what_needs_a_clock_that_cannot_be_read_is_not_sent() -> None:
    async def ask() -> int:
        raise RequestUnknown("no")

    clock = a_clock(Time(), ask)
    with pytest.raises(RequestNotSent, match="clock"):
        asyncio.run(clock.need())
    assert not clock.known


def test_those_who_ask_at_once_share_a_measurement() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return ZERO

    async def run() -> None:
        clock = a_clock(Time(), ask)
        await asyncio.gather(clock.need(), clock.need(), clock.measure())
        await clock.need()

    asyncio.run(run())
    assert asked == 3


def test_it_is_measured_again_after_its_time_and_when_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.binance.clock.LEAST_SECONDS", 0.01)
    measured = 0

    async def ask() -> int:
        nonlocal measured
        measured += 1
        if measured == 2:
            raise RequestUnknown("once")
        return ZERO

    async def run() -> None:
        clock = a_clock(Time(), ask, samples=1, refresh_seconds=0.02)
        keeping = asyncio.create_task(clock.keep())
        async with asyncio.timeout(20):
            while measured < 3:  # noqa: ASYNC110 - the clock tells nobody
                await asyncio.sleep(0.01)
        keeping.cancel()
        slow = a_clock(Time(), ask, samples=1, refresh_seconds=60.0)
        keeping = asyncio.create_task(slow.keep())
        async with asyncio.timeout(20):
            before = measured
            while measured == before:  # noqa: ASYNC110 - as it begins
                await asyncio.sleep(0.01)
            before = measured
            slow.hurry()
            while measured == before:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert measured == before + 1
        keeping.cancel()

    asyncio.run(run())
