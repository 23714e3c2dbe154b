"""The garbage collector kept from stopping everybody to look at ten thousand executions again and again."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

FULL_PASS_SECONDS = 3600.0


class CalmCollector:
    """While it is entered, what has survived a full pass of the collector is not looked at again for an hour.

    A pass takes a microsecond for every two objects and holds up all threads: 200 ms for 10,000
    executions. Actors and their messages make no cycles, so nothing is missed of them; what others
    make and let go of goes with the pass of the hour, if not with an earlier one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._full_pass_at = 0.0

    def __enter__(self) -> Self:
        self._full_pass_at = self._clock() + FULL_PASS_SECONDS
        gc.freeze()
        gc.callbacks.append(self._on_pass)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self._on_pass)
        gc.unfreeze()

    def _on_pass(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] < 2:
            return
        if phase == "stop":
            gc.freeze()
        elif self._clock() >= self._full_pass_at:
            self._full_pass_at = self._clock() + FULL_PASS_SECONDS
            gc.unfreeze()
