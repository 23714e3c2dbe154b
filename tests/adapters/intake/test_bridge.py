"""Answers of actors as futures of a loop, what those become that never come, and the end of those who follow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from adapters.intake.bridge import Answer, committed_facts
from messages.control import Committed, FactNews, Follow, JournalCommand
from messages.refs import Tells
from tests.factories import NOW, a_trade_booked


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


class _Told:
    """A journal that says nothing by itself."""

    follower: Tells[FactNews] | None = None

    def tell(self, command: JournalCommand, /) -> None:
        if isinstance(command, Follow):
            self.follower = command.follower


@pytest.mark.parametrize("turns", range(8))
def test_a_reader_that_is_ended_just_as_a_fact_arrives_ends(turns: int) -> None:
    """However many turns of the loop lie between the fact and the end."""

    async def ended() -> bool:
        journal = _Told()

        async def read() -> None:
            async for _ in committed_facts(journal, 0, bound=10):
                pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        assert journal.follower is not None
        journal.follower.tell(Committed(1, NOW, a_trade_booked()))
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader], timeout=0.5)
        over = reader.done()
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        return over

    assert asyncio.run(ended())
