"""Nodes: parts of a simulated world that crash as processes do, while the others live on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from actors.runtime._mailbox import NodeCrashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime._simulation import Simulation


class Life:
    """One run of a node's process, from its first actor to its crash."""

    __slots__ = ("node", "over")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.over = False


class Node:
    """A place for actors that live and die together; made by `Simulation.node`.

    Actors started inside `with node:` belong to it, and so do those that they start.
    """

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.name = name
        self.handled = 0
        """Messages handled by its actors so far, over all its lives; a start counts as one."""
        self.crashes = 0
        self.clock_offset = 0.0
        """Seconds that its wall clock is ahead of the simulation's."""
        self.life = Life(self)
        self._simulation = simulation
        self._outer: list[Life | None] = []
        self._callbacks: list[Callable[[], None]] = []
        self.crash_points: set[int] = set()
        """Numbers of messages after which it crashes."""

    def __enter__(self) -> Self:
        self._outer.append(self._simulation.here)
        self._simulation.here = self.life
        return self

    def __exit__(self, *_: object) -> None:
        self._simulation.here = self._outer.pop()

    def on_crash(self, callback: Callable[[], None]) -> None:
        """Call `callback` at every crash, as a disk does that loses what was not synced."""
        self._callbacks.append(callback)

    def step_clock(self, seconds: float) -> None:
        """Step the wall clock of this node alone; `now()` does not notice."""
        self.clock_offset += seconds

    def crash(self) -> None:
        """End this node's process at once, as `kill -9` does: no hook runs, no mail is read.

        Timers set by or aimed at its actors are gone. What they had under way to other nodes
        (timers aimed there) is lost, kept or late, as the stream "crash" has it. The node can
        be used again at once. When an actor of this node calls it, it does not return.
        """
        ended, self.life = self.life, Life(self)
        ended.over = True
        self.crashes += 1
        inside = self._simulation.bereave(ended)
        for callback in self._callbacks:
            callback()
        if inside:
            raise NodeCrashed(self.name)

    def crash_at(self, handled: int) -> None:
        """Crash right after the message that makes `self.handled` equal to `handled`."""
        self.crash_points.add(handled)

    def crash_if_due(self) -> None:
        """Crash if the message just handled was one of the crash points. Only the simulation does this."""
        if self.handled in self.crash_points:
            self.crash_points.remove(self.handled)
            self.crash()

    def calm(self) -> None:
        """Forget all crash points that are still to come."""
        self.crash_points.clear()
