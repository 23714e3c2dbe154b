"""An asyncio loop in a thread of its own: coroutines go in, exactly one message each comes out."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from actors.runtime import Runtime
from adapters.loops import new_loop
from messages.money import use_money_context
from messages.refs import Tells

T = TypeVar("T")
M = TypeVar("M")

logger = logging.getLogger("tidegate.loop")


class Work(Generic[T, M]):
    """A coroutine handed to a `LoopThread`, and the one message that it owes."""

    def __init__(
        self,
        home: LoopThread,
        reply_to: Tells[M],
        answer: Callable[[T], M],
        failure: Callable[[BaseException], M],
    ) -> None:
        self._home, self._reply_to = home, reply_to
        self._answer, self._failure = answer, failure
        self._owed = threading.Lock()
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread; its message will be the failure of that."""
        self._home.call(self._cancel)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> None:
        """Run `coroutine`, on the loop. Only the `LoopThread` calls this."""
        self._task = asyncio.get_running_loop().create_task(coroutine)
        self._task.add_done_callback(self._done)

    def fail(self, error: BaseException) -> None:
        """Pay the message with a failure, unless it is paid already."""
        if self._owed.acquire(blocking=False):
            self._pay(lambda: self._failure(error))

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.fail(asyncio.CancelledError("cancelled"))
        elif (error := task.exception()) is not None:
            self.fail(error)
        elif self._owed.acquire(blocking=False):
            self._pay(lambda: self._answer_or_failure(task.result()))

    def _answer_or_failure(self, result: T) -> M:
        try:
            return self._answer(result)
        except Exception as error:  # noqa: BLE001 - an answer that makes no sense is a failure
            return self._failure(error)

    def _pay(self, message: Callable[[], M]) -> None:
        self._home.forget(self)
        try:
            self._home.runtime.send(self._reply_to, message())
        except Exception as error:
            logger.exception("no message could be made of an outcome")
            self._home.runtime.note_failure("LoopThread", None, error)


class LoopThread:
    """Owns an asyncio loop, its thread, and whatever lives on it, such as client sessions.

    Used as `with LoopThread(runtime) as loop:`; leaving it cancels what still runs, sees to it
    that each owed message is paid, and takes `close_seconds` at the most.
    """

    def __init__(self, runtime: Runtime, *, close_seconds: float = 10.0) -> None:
        self.runtime = runtime
        self._close_seconds = close_seconds
        self._context = Context()
        self._thread = threading.Thread(target=self._main, name="asyncio", daemon=True)
        self._works: dict[Work[Any, Any], None] = {}
        self._gate = threading.Lock()
        self._open = self._finished = False

    def __enter__(self) -> Self:
        self._context.run(use_money_context)
        self._loop = new_loop()
        self._open = True
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._gate:
            self._open = False
            self._loop.call_soon_threadsafe(self._finish)
        self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            logger.error("the loop's thread did not end in time")
        for work in list(self._works):
            work.fail(asyncio.CancelledError("the loop was closed"))

    def run(
        self,
        coroutine: Coroutine[Any, Any, T],
        reply_to: Tells[M],
        answer: Callable[[T], M],
        failure: Callable[[BaseException], M],
    ) -> Work[T, M]:
        """Run `coroutine` on the loop and tell `reply_to` one message, whatever happens.

        That is `answer(result)`, or `failure(error)` of what it raised; the error is a
        `asyncio.CancelledError` when the work was cancelled, or the loop is closed (then the
        coroutine may not have begun). Callable from any thread. The two makers run on the loop.
        """
        work = Work(self, reply_to, answer, failure)
        with self._gate:
            if self._open:
                self._works[work] = None
                self._loop.call_soon_threadsafe(work.begin, coroutine, context=self._context.copy())
                return work
        coroutine.close()
        work.fail(asyncio.CancelledError("the loop is closed"))
        return work

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` on the loop soon; does nothing once the loop is closed."""
        with self._gate:
            if self._open:
                self._loop.call_soon_threadsafe(function, context=self._context.copy())

    def forget(self, work: Work[Any, Any]) -> None:
        """Take note that a message is paid. Only its `Work` calls this."""
        self._works.pop(work, None)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._finished:
            try:
                self._loop.run_forever()
            except BaseException:  # SystemExit and its like: asyncio lets them out, others need the loop.
                logger.critical("a coroutine raised what none should", exc_info=True)
        self._loop.close()

    def _finish(self) -> None:
        self._closing = self._loop.create_task(self._cancel_all())
        self._closing.add_done_callback(self._end)

    def _end(self, _: object) -> None:
        self._finished = True
        self._loop.stop()

    async def _cancel_all(self) -> None:
        """Cancel again until nothing is left: a coroutine may start others to tidy up, or have missed its cancel."""
        me = asyncio.current_task()
        while tasks := [task for task in asyncio.all_tasks() if task is not me]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=self._close_seconds / 4)
        await self._loop.shutdown_asyncgens()
