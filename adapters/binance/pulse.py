"""The pulse of the adapter's loop: if its thread hangs, no outcome, no cancel and no event comes through any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.runtime import Runtime, Timer
from adapters.loop_thread import LoopThread

MISSED = 4
"""So many beats without an answer, and the loop hangs; a process that was stopped for a while misses one."""


@dataclass(frozen=True, slots=True)
class _Beat:
    """Time to see whether the loop still turns."""


class Pulse:
    """Asks the loop every `seconds` whether it still turns, from a timer of the runtime; `on_hung` hears if not.

    Nobody else would notice: what the loop owes is simply not told, and its own deadlines hang with it.
    """

    def __init__(self, runtime: Runtime, loop: LoopThread, seconds: float, on_hung: Callable[[str], object]) -> None:
        self._runtime, self._loop, self._seconds, self._on_hung = runtime, loop, seconds, on_hung
        self._missed = 0
        self._timer: Timer | None = None
        self._over = False

    def begin(self) -> None:
        """Ask from now on."""
        self.tell(_Beat())

    def end(self) -> None:
        """Ask no more."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def tell(self, _beat: _Beat, /) -> None:
        """Look whether it has answered, and ask again."""
        if self._over:
            return
        if self._missed >= MISSED:
            self._on_hung(f"the loop of the venue's adapter has not turned for {self._missed * self._seconds:g} s")
            return
        self._missed += 1
        self._loop.call(self._answered)
        self._timer = self._runtime.tell_after(self._seconds, self, _Beat())

    def _answered(self) -> None:
        self._missed = 0
