"""A runtime in real time: actors take turns on a few worker threads, timers fire from one more."""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import pykka

from actors.runtime._actor import current_runtime, wait_hook
from actors.runtime._base import Runtime, Timer
from actors.runtime._collector import CalmCollector
from messages.money import use_money_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from actors.runtime._actor import Actor, Future
    from actors.runtime._mailbox import Mailbox

logger = logging.getLogger("tidegate.runtime")

Line = queue.SimpleQueue["Mailbox | None"]


class Pool(Runtime):
    """Runs actors on worker threads: many actors, few threads, one actor never on two at once."""

    def __init__(
        self,
        workers: int = 4,
        *,
        throughput: int = 32,
        slow_turn_seconds: float = 0.05,
        close_seconds: float = 10.0,
        thread_setup: Callable[[], None] | None = None,
    ) -> None:
        """Make a pool; its threads start with `with pool:`.

        `throughput` is the most messages of one turn, before another actor has the worker.
        A longer turn than `slow_turn_seconds` is logged. `close_seconds` bounds the stopping of
        actors and threads. `thread_setup` is called at the start of every worker thread.
        """
        super().__init__()
        self._workers, self._throughput = workers, throughput
        self._slow_turn_seconds, self._close_seconds = slow_turn_seconds, close_seconds
        self._thread_setup = thread_setup
        self._ready: Line = queue.SimpleQueue()
        self._pinned: list[Line] = []
        self._threads: dict[threading.Thread, None] = {}
        self._timer_set = threading.Condition()
        self._closed = False
        self._collector = CalmCollector()

    def __enter__(self) -> Self:
        self._collector.__enter__()
        for _ in range(self._workers):
            self._hire()
        self._start("timers", self._fire_timers)
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = self.now() + self._close_seconds
        self._stop_actors(deadline)
        with self._timer_set:
            self._closed = True
            self._timer_set.notify()
        for _ in range(self._workers):
            self._ready.put(None)
        for line in self._pinned:
            line.put(None)
        self._join(deadline)
        self._collector.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)

    def now(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def wall_time(self) -> datetime:
        """Return the machine's time of day in UTC."""
        return datetime.now(UTC)

    def _place(self, actor: Actor) -> Callable[[Mailbox], object]:
        if not actor.pinned:
            return self._ready.put
        line: Line = queue.SimpleQueue()
        self._pinned.append(line)
        self._start(actor.label, lambda: self._work(line, logging.INFO))
        return line.put

    def _set_timer(self, due: float, timer: Timer) -> Timer:
        with self._timer_set:
            super()._set_timer(due, timer)
            if self._timers[0][2] is timer:
                self._timer_set.notify()
        return timer

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def main() -> None:
            try:
                work()
            finally:
                self._threads.pop(thread, None)

        # Daemon threads: a handler that hangs must not keep the process from ending.
        thread = threading.Thread(target=main, name=name, daemon=True)
        self._threads[thread] = None
        thread.start()

    def _hire(self) -> None:
        self._start("worker", self._work_for_all)

    def _work_for_all(self) -> None:
        wait_hook.set(self._wait_on_worker)
        self._work(self._ready, logging.WARNING)

    def _work(self, line: Line, slow_level: int) -> None:
        current_runtime.set(self)
        use_money_context()
        if self._thread_setup is not None:
            self._thread_setup()
        clock, throughput, slow = time.monotonic, self._throughput, self._slow_turn_seconds
        while (mailbox := line.get()) is not None:
            actor, began = mailbox.actor, clock()
            try:
                mailbox.run(throughput)
            except BaseException:  # The mailbox has noted it as this actor's failure.
                logger.critical("a handler raised what no handler should", exc_info=True)
            took = clock() - began
            if took > slow and actor is not None:
                name = f"{actor.label} ({actor.actor_urn})"
                logger.log(slow_level, "slow turn: %s took %.0f ms", name, took * 1e3)

    def _wait_on_worker(self, future: Future, timeout: float | None) -> None:
        """Wait on a worker, with another hired in its place meanwhile."""
        self._hire()
        try:
            with future._condition:  # noqa: SLF001 - a wait that does not raise
                future._condition.wait_for(lambda: future.done, timeout)  # noqa: SLF001 - the same
        finally:
            self._ready.put(None)

    def _fire_timers(self) -> None:
        current_runtime.set(self)
        use_money_context()
        while (timer := self._next_timer()) is not None:
            try:
                timer.fire(self)
            except Exception as error:  # A receiver that is no actor may raise anything.
                logger.exception("a timer's receiver failed")
                self.note_failure("timers", timer.message, error)

    def _next_timer(self) -> Timer | None:
        """Wait for the next timer to be due and return it; None when the pool closes."""
        with self._timer_set:
            while not self._closed:
                left = self._timers[0][0] - self.now() if self._timers else threading.TIMEOUT_MAX
                if left <= 0:
                    return heapq.heappop(self._timers)[2]
                self._timer_set.wait(min(left, threading.TIMEOUT_MAX))
        return None

    def _stop_actors(self, deadline: float) -> None:
        """Stop the actors, last started first, also those started meanwhile, until the deadline."""
        while actors := self._actors():
            for actor in reversed(actors):
                left = deadline - self.now()
                if left <= 0:
                    actor.actor_ref.stop(block=False)
                elif not self._stops(actor, left):
                    logger.error("%s did not stop in time:\n%s", actor.label, self.dump())
            if self.now() >= deadline:
                return

    def _stops(self, actor: Actor, timeout: float) -> bool:
        future = actor.actor_ref.stop(block=False)
        try:
            future.get(timeout=timeout)
        except pykka.Timeout:
            return False
        return True

    def _join(self, deadline: float) -> None:
        for thread in list(self._threads):
            thread.join(max(deadline - self.now(), 0.5))
            if thread.is_alive():
                logger.error("thread %s did not end in time", thread.name)
        self._refuse_late_mail()

    def _refuse_late_mail(self) -> None:
        """Run the mailboxes of stopped actors that nobody works on any more, so that asks are answered.

        A worker that was late may still be taking some of them: what it takes is not waited for.
        """
        for _ in range(self._ready.qsize()):
            try:
                mailbox = self._ready.get_nowait()
            except queue.Empty:
                return
            if mailbox is None:
                self._ready.put(None)  # For a worker that hangs, should it ever come back.
            else:
                mailbox.run(self._throughput)
