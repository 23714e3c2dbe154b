"""Event loops: uvloop's where it is installed, which are quicker, and asyncio's own everywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

_make: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # It is not there on Windows or PyPy, or somebody has taken it away.
    import uvloop

    _make = uvloop.new_event_loop


def new_loop() -> asyncio.AbstractEventLoop:
    """Make a loop, which whoever asked closes.

    Every connection is to be closed or aborted before its loop is. uvloop closes those that are left and
    warns of each; where warnings are errors, as in tests, it then waits for them for ever. Timers of
    uvloop count whole milliseconds, and may be up to two early.
    """
    return _make()
