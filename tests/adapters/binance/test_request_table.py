from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State

from adapters.binance import ws_api
from adapters.binance.outcomes import Answer, RequestNotSent, RequestUnknown
from adapters.binance.ws_api import ApiSession, RequestTable, Trace, _Request

GOOD = Answer(status=200)


def entered(table: RequestTable, number: int = 1, on_late: Callable[[Answer], None] | None = None) -> _Request:
    request = _Request(asyncio.get_running_loop().create_future(), Trace(), on_late)
    table.enter(number, request)
    return request


def run(test: Callable[[RequestTable], None]) -> None:
    async def main() -> None:
        test(RequestTable())

    asyncio.run(main())


def test_a_request_counts_as_sent_from_the_moment_it_is_marked() -> None:
    def test(table: RequestTable) -> None:
        request = entered(table)
        before = request.trace.sent
        assert table.mark_sent(1)
        assert (before, request.trace.sent) == (False, True)
        assert not table.mark_sent(2)

    run(test)


def test_when_the_socket_goes_what_was_sent_is_unknown_and_what_waited_is_not_sent() -> None:
    def test(table: RequestTable) -> None:
        sent, waiting = entered(table, 1), entered(table, 2)
        table.mark_sent(1)
        table.fail_all("gone")
        assert isinstance(sent.future.exception(), RequestUnknown)
        assert isinstance(waiting.future.exception(), RequestNotSent)
        assert not table.owed
        table.fail_all("again")

    run(test)


def test_giving_up_means_what_the_request_has_come_to() -> None:
    def test(table: RequestTable) -> None:
        entered(table, 1)
        entered(table, 2)
        table.mark_sent(2)
        assert isinstance(table.give_up(1), RequestNotSent)
        assert isinstance(table.give_up(2), RequestUnknown)
        assert not table.answer(2, GOOD)  # Nobody wants it late.
        table.withdraw(2)

    run(test)


def test_a_late_answer_is_told_once() -> None:
    def test(table: RequestTable) -> None:
        late: list[Answer] = []
        entered(table, 1, late.append)
        table.mark_sent(1)
        table.withdraw(1)
        assert table.owed
        assert table.answer(1, GOOD)
        assert not table.answer(1, GOOD)
        assert late == [GOOD]
        assert not table.owed

    run(test)


class _Open:
    """A connection that takes everything."""

    state = State.OPEN

    def __init__(self, *, goodbye: bool) -> None:
        self.protocol = SimpleNamespace(close_rcvd=1000 if goodbye else None)

    async def send(self, text: str) -> None:
        pass


def a_connection(*, goodbye: bool = True) -> Any:
    """One that is open, to nobody; in the end the other side has said goodbye."""
    return _Open(goodbye=goodbye)


def in_the_same_moment(then: Callable[[ApiSession], object], late: list[Answer]) -> Answer:
    """Let a request's time be over, and something else happen, before the one who asked can look."""

    async def main() -> Answer:
        unused: Any = None
        session = ApiSession(a_connection(), limits=unused, clock=unused)
        asking = session.request("order.place", {}, seconds=0.02, trace=Trace(), on_late=late.append)
        task = asyncio.create_task(asking)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.021, then, session)
        time.sleep(0.05)  # noqa: ASYNC251 - so that both are due at once
        return await task

    return asyncio.run(main())


def test_an_answer_in_the_moment_in_which_it_is_given_up_is_the_answer() -> None:
    late: list[Answer] = []
    assert in_the_same_moment(lambda session: session._table.answer(1, GOOD), late) is GOOD
    assert late == []


def test_a_socket_that_drops_in_the_moment_in_which_a_request_is_given_up_leaves_it_unknown() -> None:
    late: list[Answer] = []
    with pytest.raises(RequestUnknown):
        in_the_same_moment(lambda session: session.end("gone"), late)
    assert late == []


def test_an_answer_to_one_who_has_just_gone_is_late() -> None:
    late: list[Answer] = []

    async def main() -> None:
        unused: Any = None
        session = ApiSession(a_connection(), limits=unused, clock=unused)
        task = asyncio.create_task(session.request("m", {}, seconds=5, trace=Trace(), on_late=late.append))
        await asyncio.sleep(0)
        task.cancel()
        assert session._table.answer(1, GOOD)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert late == [GOOD]


@pytest.mark.parametrize("number", [None, "1", 7])
def test_an_answer_to_nobody_is_said_to_be_one(number: object) -> None:
    def test(table: RequestTable) -> None:
        entered(table, 1)
        assert not table.answer(number, GOOD)

    run(test)


def test_late_answers_are_remembered_for_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_api, "REMEMBERED_LATE", 2)

    def test(table: RequestTable) -> None:
        late: list[Answer] = []
        for number in (1, 2, 3):
            entered(table, number, late.append)
            table.mark_sent(number)
            table.give_up(number)
        assert [table.answer(number, GOOD) for number in (1, 2, 3)] == [False, True, True]

    run(test)
