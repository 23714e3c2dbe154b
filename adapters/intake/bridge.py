"""Between actors and an asyncio loop: answers become futures, the journal an asynchronous stream."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import pykka

from adapters.loop_thread import LoopThread
from messages.control import CaughtUp, Committed, FactNews, Follow, JournalCommand, Unfollow
from messages.refs import Tells

M = TypeVar("M")
T = TypeVar("T")


class _LetterBox:
    """Brings answers from any thread into a loop; however many come at once, it is woken up once.

    What waits no longer than so many seconds stands in line with all that waits as long, behind one timer:
    a timer each would cost more than the rest of an answer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._letters: deque[Callable[[], None]] = deque()
        self._waked = False
        self._lines: dict[float, deque[tuple[float, Callable[[], bool], Callable[[], None]]]] = {}

    def put(self, deliver: Callable[[], None]) -> None:
        """Have something called on the loop; once that is closed nobody waits for it."""
        self._letters.append(deliver)
        if not self._waked:
            self._waked = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._empty)

    def call_unless(self, done: Callable[[], bool], give_up: Callable[[], None], seconds: float) -> None:
        """Call `give_up` in so many seconds, unless it is `done` by then. Only in the loop's thread."""
        line = self._lines.setdefault(seconds, deque())
        deadline = self._loop.time() + seconds
        line.append((deadline, done, give_up))
        if len(line) == 1:
            self._loop.call_at(deadline, self._look, line)

    def _look(self, line: deque[tuple[float, Callable[[], bool], Callable[[], None]]]) -> None:
        """See to the first in line: those that are done leave, and those whose time is over."""
        while line:
            deadline, done, give_up = line[0]
            if not done():
                if deadline > self._loop.time():
                    self._loop.call_at(deadline, self._look, line)
                    return
                give_up()
            line.popleft()

    def _empty(self) -> None:
        self._waked = False  # First of all: what is put in from here on wakes the loop again.
        for _ in range(len(self._letters)):
            self._letters.popleft()()


_LETTER_BOXES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _LetterBox]] = WeakKeyDictionary()


class Answer(Generic[M]):
    """Whom an actor answers, and a future of the loop that resolves to the first answer.

    With `seconds`, it resolves to `instead` if none has come by then.
    """

    def __init__(self, seconds: float | None = None, instead: M | None = None) -> None:
        loop = asyncio.get_running_loop()
        box = _LETTER_BOXES.get(loop)
        if box is None:
            box = _LETTER_BOXES[loop] = _LetterBox(loop)
        self._box = box
        self.future: asyncio.Future[M] = loop.create_future()
        if seconds is not None and instead is not None:
            box.call_unless(self.future.done, partial(self.resolve, instead), seconds)

    def tell(self, message: M, /) -> None:
        """Take the answer, in any thread."""
        self._box.put(lambda: self.resolve(message))

    def resolve(self, message: M) -> None:
        """Take the answer, in the loop's thread; a second one is none."""
        if not self.future.done():
            self.future.set_result(message)


class _Feed:
    """A follower of the journal that keeps at most `bound` facts for the loop to fetch.

    When there are more it is a follower no longer, so that what it kept has no gap, and nobody reads on for it.
    """

    def __init__(self, bound: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._bound = bound
        self._facts: deque[Committed] = deque()
        self._waked = False
        self._news = asyncio.Event()
        self.full = False

    def tell(self, news: FactNews, /) -> None:
        """Take one fact, in the journal's thread; a wake-up is under way at most once. Raises `ActorDeadError`."""
        if isinstance(news, CaughtUp):
            return
        self.full = self.full or len(self._facts) >= self._bound
        if not self.full:
            self._facts.append(news)
        if not self._waked:
            self._waked = True
            with suppress(RuntimeError):  # The loop is closed: nobody reads any more.
                self._loop.call_soon_threadsafe(self._wake)
        if self.full:
            raise pykka.ActorDeadError("this reader is too slow, and comes back when it has read what there is")

    async def batch(self, seconds: float) -> list[Committed]:
        """Return what has come, or nothing after so many seconds, or at once when it is full."""
        if not self._facts and not self.full:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):  # `wait_for` loses a cancellation that comes with the news.
                    await self._news.wait()
        self._news.clear()
        return [self._facts.popleft() for _ in range(len(self._facts))]

    def _wake(self) -> None:
        self._waked = False
        self._news.set()


async def committed_facts(
    journal: Tells[JournalCommand],
    after: int,
    *,
    bound: int,
    idle_seconds: float = 15.0,
    execution_id: str | None = None,
    archived: bool = True,
) -> AsyncGenerator[list[Committed], None]:
    """Follow the journal from the fact after `after` on, without gap or repeat, for as long as it lives.

    Without `archived` it begins with what a start needs and leaves out the rest of the past.
    Yields batches in order; an empty one when nothing came for `idle_seconds`. At most `bound` facts
    wait: a reader that is slower is served from the store again where it left off. With `execution_id`
    only that execution's.
    """
    while True:
        feed = _Feed(bound)
        journal.tell(Follow(follower=feed, execution_id=execution_id, after=after, archived=archived))
        try:
            while True:
                full, batch = feed.full, await feed.batch(idle_seconds)
                if batch:
                    after = batch[-1].seq
                elif full:
                    break
                yield batch
        finally:
            with suppress(pykka.ActorDeadError):
                journal.tell(Unfollow(feed))


class _Past:
    """A follower of one execution that is told once what there is of it."""

    def __init__(self) -> None:
        self._facts: list[Committed] = []
        self.answer: Answer[list[Committed]] = Answer()

    def tell(self, news: FactNews, /) -> None:
        """Take a fact, in the journal's thread, or that this was all."""
        if isinstance(news, CaughtUp):
            self.answer.tell(self._facts)
        else:
            self._facts.append(news)


async def facts_of(journal: Tells[JournalCommand], execution_id: str) -> list[Committed]:
    """Fetch all facts of an execution, archived ones too. Raises `pykka.ActorDeadError`."""
    past = _Past()
    journal.tell(Follow(follower=past, execution_id=execution_id))
    try:
        return await past.answer.future
    finally:
        with suppress(pykka.ActorDeadError):
            journal.tell(Unfollow(past))


class _Outcome(Generic[T]):
    """Where a thread waits for the end of a coroutine: its result in a list, or what it raised."""

    def __init__(self) -> None:
        self._outcomes: queue.SimpleQueue[list[T] | BaseException] = queue.SimpleQueue()

    def tell(self, outcome: list[T] | BaseException, /) -> None:
        self._outcomes.put(outcome)

    def get(self, seconds: float) -> list[T] | BaseException:
        return self._outcomes.get(timeout=seconds)


def run_and_wait(loop: LoopThread, coroutine: Coroutine[Any, Any, T], seconds: float = 10.0) -> T:
    """Run a coroutine on the loop and wait in this thread, which is not the loop's, for its result.

    Raises what it raises, and `TimeoutError` after so many seconds.
    """
    waiting: _Outcome[T] = _Outcome()
    loop.run(coroutine, waiting, lambda result: [result], lambda error: error)
    try:
        outcome = waiting.get(seconds)
    except queue.Empty:
        raise TimeoutError(f"no result within {seconds:g} s") from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome[0]
