"""A loop in a thread of its own, for servers that a test talks to from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self, TypeVar

T = TypeVar("T")


class LoopInThread:
    """Runs coroutines for other threads, and ends with none of its tasks left over.

    aiohttp forgets a handler whose client has gone, and lets it run on; a connection that it has just accepted it
    does not know yet. On a loop that is simply stopped they would be found again by the garbage collector, in the
    middle of some other test: "Task was destroyed but it is pending!", or "unclosed transport".
    """

    def __init__(self, make: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.loop = make()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.do(self._cancel_all())
        finally:
            self.loop.call_soon_threadsafe(self._stop)
            self._thread.join(5)
            self.loop.close()

    def do(self, what: Coroutine[Any, Any, T], seconds: float = 5) -> T:
        """Run something on the loop."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(seconds)

    def call(self, what: Callable[[], T]) -> T:
        """Call something on the loop."""

        async def run() -> T:
            return what()

        return self.do(run())

    async def _cancel_all(self) -> None:
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await self.loop.shutdown_asyncgens()

    def _stop(self) -> None:
        """Stop once the connections that are left are gone; asyncio's own loops alone tell of them."""
        left: Mapping[int, asyncio.WriteTransport] = getattr(self.loop, "_transports", {})
        for transport in tuple(left.values()):
            transport.abort()
        self.loop.call_soon(self.loop.stop)
