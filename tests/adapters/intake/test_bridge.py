"""Answers of actors as futures of a loop, and what those become that never come."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.intake.bridge import Answer


def test_an_answer_that_does_not_come_in_time_is_replaced_each_in_its_own_time() -> None:
    async def told() -> list[str]:
        order: list[str] = []
        answers = {name: Answer(seconds, name) for name, seconds in (("c", 0.06), ("a", 0.02), ("b", 0.02))}
        for answer in answers.values():
            answer.future.add_done_callback(lambda done: order.append(done.result()))
        await asyncio.gather(*(answer.future for answer in answers.values()))
        return order

    assert asyncio.run(told()) == ["a", "b", "c"]


def test_an_answer_in_time_stays_and_holds_up_nobody_behind_it() -> None:
    async def told() -> tuple[str, str]:
        first, second = Answer(0.02, "too late"), Answer(0.02, "too late")
        first.tell("in time")
        await asyncio.sleep(0.05)
        second.tell("after all")
        return await first.future, await second.future

    assert asyncio.run(told()) == ("in time", "too late")


def test_one_timer_serves_all_that_wait_as_long() -> None:
    async def timers() -> int:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._scheduled)
        waiting = [Answer(5.0, "none") for _ in range(1_000)]
        after = len(loop._scheduled)
        for answer in waiting:
            answer.resolve("there")
        return after - before

    assert asyncio.run(timers()) == 1
