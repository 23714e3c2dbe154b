"""`WS /v1/ws`: signals in; verdicts and the progress of their executions come back on the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from adapters.intake.bridge import committed_facts
from adapters.intake.fields import MAX_BODY
from adapters.intake.signals import decode_body, verdict_object
from adapters.storage.codec import export_line
from messages.control import JournalCommand
from messages.facts import ExecutionClosed
from messages.refs import Tells
from messages.signal import Signal, Verdict

MAX_WAITING: Final = 256
"""Messages of one connection that may wait for their verdicts; then no more are read."""
MAX_FOLLOWED: Final = 500
"""Executions whose progress one connection may follow at a time; of later ones it gets the verdict only."""
HEARTBEAT_SECONDS: Final = 20.0
STALLED_SECONDS: Final = 30.0
"""A reader that takes nothing for so long is let go."""
PROGRESS_BOUND: Final = 256

Judge = Callable[[Signal | Verdict], asyncio.Future[Verdict]]


class SignalSocket:
    """One connection. Every message is a signal or an array of them, as for `POST /v1/signals`.

    Back come, each as a JSON object with a `type`: one `Verdict` a signal, with the `number` of its
    message (from 1), its `index` in an array and its `id`; then each fact of the execution that it
    caused or repeats, from the first on, until that is closed.
    """

    def __init__(self, judge: Judge, journal: Callable[[], Tells[JournalCommand] | None]) -> None:
        self._judge, self._journal = judge, journal
        self._socket = web.WebSocketResponse(
            max_msg_size=MAX_BODY, heartbeat=HEARTBEAT_SECONDS, compress=False, timeout=1.0
        )
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._followed: set[str] = set()
        self._waiting = asyncio.Semaphore(MAX_WAITING)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk until either side ends it."""
        await self._socket.prepare(request)
        self._transport = request.transport
        try:
            await self._read()
        except asyncio.CancelledError:
            with suppress(ConnectionError, TimeoutError):
                await self._socket.close(code=1001, message=b"the daemon is stopping")
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._socket

    async def _read(self) -> None:
        number = 0
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            number += 1
            data = message.data
            body = decode_body(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data))
            await self._waiting.acquire()
            if isinstance(body, Verdict):
                self._run(self._answer(number, [self._judge(body)], many=False))
            else:
                # The gate is told at once, in the order of the messages; only the waiting is done apart.
                self._run(self._answer(number, [self._judge(item) for item in body.items], many=body.many))

    async def _answer(self, number: int, verdicts: list[asyncio.Future[Verdict]], *, many: bool) -> None:
        try:
            for index, future in enumerate(verdicts):
                verdict = await future
                said = {"type": "Verdict", "number": number, **({"index": index} if many else {})}
                if verdict.id is not None:
                    said["id"] = verdict.id
                await self._send(orjson.dumps({**said, **verdict_object(verdict)}))
                self._follow(verdict.execution_id or verdict.duplicate_of)
        finally:
            self._waiting.release()

    def _follow(self, execution_id: str | None) -> None:
        journal = self._journal()
        if execution_id is None or journal is None or execution_id in self._followed:
            return
        if len(self._followed) < MAX_FOLLOWED:
            self._followed.add(execution_id)
            self._run(self._tell_progress(journal, execution_id))

    async def _tell_progress(self, journal: Tells[JournalCommand], execution_id: str) -> None:
        facts = committed_facts(journal, 0, bound=PROGRESS_BOUND, execution_id=execution_id)
        try:
            async for batch in facts:
                for committed in batch:
                    await self._send(export_line(committed))
                    if isinstance(committed.fact, ExecutionClosed):
                        return
        finally:
            self._followed.discard(execution_id)
            await facts.aclose()

    async def _send(self, text: bytes) -> None:
        async with asyncio.timeout(STALLED_SECONDS):
            await self._socket.send_str(text.decode())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._unless_gone(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unless_gone(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except ConnectionError:
            pass  # The other side has gone; the reader ends by itself.
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()  # What is written for it is not kept any longer.
