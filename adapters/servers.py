"""The end of an HTTP server, also before clients that take nothing any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

LEAVE_SECONDS: Final = 0.25
"""What was written gets so long to leave; nearly always it has left before."""


async def stop_server(runner: web.BaseRunner) -> None:
    """Stop a server; whoever has not taken by then what was written for him is dropped.

    aiohttp closes connections, and one whose client takes nothing would stay open, beyond the end of its loop.
    """
    lines = [] if runner.server is None else list(runner.server._connections.values())  # noqa: SLF001 - closing ones, too
    await runner.cleanup()
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            while any(line.get_write_buffer_size() for line in lines):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    for line in lines:
        line.abort()
    await asyncio.sleep(0)  # A turn in which they go.
