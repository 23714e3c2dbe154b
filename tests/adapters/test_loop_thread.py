"""One message for each coroutine, whatever becomes of it, and an end that is bounded; on both kinds of loop.

The loop is a real thread, so these tests run on a pool and wait in real time, for moments.
"""

from __future__ import annotations

import asyncio
import decimal
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from actors.runtime import Pool
from adapters.loop_thread import LoopThread
from tests.probe import Probe
from tests.slowness import at_most


@dataclass(frozen=True, slots=True)
class Answer:
    value: object


@dataclass(frozen=True, slots=True)
class Failed:
    error: BaseException


pytestmark = pytest.mark.usefixtures("kind_of_loop")


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


@pytest.fixture
def listener(pool: Pool) -> Probe:
    return Probe(pool)


@pytest.fixture
def loop(pool: Pool) -> Iterator[LoopThread]:
    with LoopThread(pool) as loop:
        yield loop


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


async def fail() -> None:
    raise ValueError("no")


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_result_comes_as_one_answer(loop: LoopThread, listener: Probe) -> None:
    loop.run(double(21), listener.ref, Answer, Failed)
    listener.expect(Answer(42))
    listener.expect_none(within=0.02)


def test_an_exception_comes_as_one_failure(loop: LoopThread, listener: Probe) -> None:
    loop.run(fail(), listener.ref, Answer, Failed)
    assert isinstance(listener.expect(Failed).error, ValueError)
    listener.expect_none(within=0.02)


def test_an_answer_that_cannot_be_made_is_a_failure(loop: LoopThread, listener: Probe) -> None:
    def parse(value: int) -> Answer:
        raise KeyError(value)

    loop.run(double(1), listener.ref, parse, Failed)
    assert isinstance(listener.expect(Failed).error, KeyError)


def test_a_failure_that_cannot_be_made_is_noted(loop: LoopThread, pool: Pool, listener: Probe) -> None:
    def explain(error: BaseException) -> Failed:
        raise TypeError("cannot say") from error

    loop.run(fail(), listener.ref, Answer, explain)
    loop.run(double(1), listener.ref, Answer, Failed)
    listener.expect(Answer(2))
    assert [str(failure.error) for failure in pool.claim_failures()] == ["cannot say"]


def test_work_can_be_cancelled_from_another_thread(loop: LoopThread, listener: Probe) -> None:
    work = loop.run(forever(), listener.ref, Answer, Failed)
    work.cancel()
    assert isinstance(listener.expect(Failed).error, asyncio.CancelledError)
    work.cancel()
    listener.expect_none(within=0.02)


def test_many_at_once_from_many_threads_each_get_theirs(loop: LoopThread, listener: Probe) -> None:
    def send(start: int) -> None:
        for value in range(start, start + 50):
            loop.run(double(value), listener.ref, Answer, Failed)

    threads = [threading.Thread(target=send, args=(start,)) for start in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = {listener.expect(Answer).value for _ in range(150)}
    assert values == {2 * value for value in range(150)}


def test_an_outcome_that_nobody_hears_is_a_dead_letter(loop: LoopThread, pool: Pool, listener: Probe) -> None:
    letters: queue.SimpleQueue[object] = queue.SimpleQueue()
    pool.on_dead_letter = letters.put
    listener.ref.stop()
    loop.run(double(1), listener.ref, Answer, Failed)
    assert letters.get(timeout=1) == Answer(2)


def test_closing_pays_for_what_runs_and_for_what_has_not_begun(pool: Pool, listener: Probe) -> None:
    held = threading.Event()

    async def hold_up() -> None:
        held.wait(1)

    with LoopThread(pool) as loop:
        loop.run(forever(), listener.ref, Answer, Failed)
        loop.run(hold_up(), listener.ref, Answer, Failed)
        loop.run(forever(), listener.ref, Answer, Failed)
        threading.Timer(0.05, held.set).start()
    outcomes = [listener.expect(object) for _ in range(3)]
    assert outcomes.count(Answer(None)) == 1
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert [type(outcome.error) for outcome in failed] == [asyncio.CancelledError] * 2
    listener.expect_none(within=0.02)


def test_work_after_the_close_fails_at_once(pool: Pool, listener: Probe) -> None:
    with LoopThread(pool) as loop:
        pass
    work = loop.run(double(1), listener.ref, Answer, Failed)
    assert isinstance(listener.expect(Failed).error, asyncio.CancelledError)
    work.cancel()
    listener.expect_none(within=0.02)


def test_a_cancelled_coroutine_may_tidy_up_before_the_loop_closes(pool: Pool, listener: Probe) -> None:
    tidied = []

    async def close_session() -> None:
        await asyncio.sleep(0)
        tidied.append("session")

    async def session() -> None:
        try:
            await forever()
        finally:
            await close_session()

    with LoopThread(pool) as loop:
        loop.run(session(), listener.ref, Answer, Failed)
        time.sleep(0.02)
    assert tidied == ["session"]
    assert isinstance(listener.expect(Failed).error, asyncio.CancelledError)


def test_a_coroutine_that_misses_its_cancel_is_cancelled_again(
    pool: Pool, listener: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await forever()
        await forever()

    with at_most(1.0), LoopThread(pool, close_seconds=1.0) as loop:
        loop.run(deaf(), listener.ref, Answer, Failed)
        time.sleep(0.02)
    assert isinstance(listener.expect(Failed).error, asyncio.CancelledError)
    assert caplog.text == ""


def test_a_coroutine_that_blocks_the_loop_delays_the_close_by_a_bounded_time(
    pool: Pool, listener: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    async def block() -> None:
        release.wait(10)

    with at_most(1.0), LoopThread(pool, close_seconds=0.05) as loop:
        loop.run(block(), listener.ref, Answer, Failed)
    assert isinstance(listener.expect(Failed).error, asyncio.CancelledError)
    assert "did not end in time" in caplog.text
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "asyncio"]
    release.set()
    thread.join(5)
    listener.expect_none(within=0.02)


def test_a_coroutine_that_raises_an_exit_is_a_failure_and_the_loop_goes_on(
    loop: LoopThread, listener: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    loop.run(leave(), listener.ref, Answer, Failed)
    assert isinstance(listener.expect(Failed).error, SystemExit)
    loop.run(double(1), listener.ref, Answer, Failed)
    listener.expect(Answer(2))
    assert "what none should" in caplog.text


def test_coroutines_compute_money_in_the_money_context(loop: LoopThread, listener: Probe) -> None:
    async def mix() -> bool:
        await asyncio.sleep(0)
        return decimal.Decimal(1) < 0.5

    loop.run(mix(), listener.ref, Answer, Failed)
    assert isinstance(listener.expect(Failed).error, decimal.FloatOperation)
