"""A runtime in virtual time: one thread, one message a step, every choice drawn from a seed."""

from __future__ import annotations

import decimal
import heapq
import math
import random
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, TypeVar

import pykka

from actors.runtime._base import Failure, Runtime, Timer
from actors.runtime._mailbox import Mailbox, NodeCrashed, bare
from actors.runtime._nodes import Node
from messages.money import use_money_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from actors.runtime._actor import Actor, Future, WaitHook
    from actors.runtime._nodes import Life
    from messages.refs import Tells

M = TypeVar("M")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall time at which every simulation begins."""

REMEMBERED_MESSAGES = 200
LONGEST_TRANSIT_DELAY = 10.0


START = "(start)"
"""Stands in the memory of messages for the first turn of an actor, which has none."""


class BlockedTurn(RuntimeError):
    """An actor waited for something inside its turn, which in a simulation never comes."""


class Deadlock(RuntimeError):
    """A wait that can never end: no actor has mail and no timer is set."""


class UnclaimedFailures(AssertionError):
    """Actors died, or critical letters were lost, and the test did not say that it expected so."""

    def __init__(self, seed: int, failures: list[Failure], letters: list[object]) -> None:
        self.seed, self.failures, self.letters = seed, failures, letters
        lines = [f"seed {seed}: {len(failures)} failed actors, {len(letters)} critical letters"]
        lines += [str(failure) for failure in failures]
        lines += [f"lost: {letter!r}" for letter in letters]
        super().__init__("\n".join(lines))


def _never() -> bool:
    return False


class _Stall(Timer):
    """A mailbox that was put off: its actor is slow, or the collector runs."""

    __slots__ = ("mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(self, None, mailbox.life)
        self.mailbox = mailbox

    def tell(self, message: object, /) -> None:
        """Take the word that the wait is over, which nobody but the runtime tells."""
        self.mailbox.submit(self.mailbox)

    def aim(self) -> Life | None:
        return self.mailbox.life


class _LateTimer(Timer):
    """A timer whose message may be in the mailbox already when it is cancelled, as on a pool that is busy."""

    __slots__ = ("due", "simulation")

    def __init__(self, ref: Tells[M], message: M, simulation: Simulation, due: float) -> None:
        # As `Timer`, without its call: in a campaign each timer is one of these.
        self.ref, self.message, self.origin = ref, message, simulation.here
        self.simulation, self.due = simulation, due

    def cancel(self) -> None:
        if self.ref is not None:
            self.simulation.tell_late(self.due, self.ref, self.message, self.origin)
        super().cancel()


class Simulation(Runtime):
    """Runs actors in the caller's thread and in virtual time; the same seed, the same course.

    A step is one message of one actor, picked at random among those that have mail. Time moves
    only when none has, and then straight to the next timer. Leaving it raises
    `UnclaimedFailures` if an actor died, or a critical letter was lost, that nobody claimed.
    """

    def __init__(self, seed: int = 0, *, stall_probability: float = 0.0, stall_seconds: float = 1.0) -> None:
        """Stalls put a picked actor off with this probability, for up to so many seconds."""
        super().__init__()
        self.seed = seed
        self.dead_letters: list[object] = []
        """Messages that nobody handled, oldest first."""
        self._lost: list[object] = []
        self.here: Life | None = None
        """The life of the node on whose behalf things happen now; None outside of all nodes."""
        self._streams: dict[str, random.Random] = {}
        self._nodes: dict[str, Node] = {}
        self._ready: list[Mailbox] = []
        self._recent: deque[tuple[float, Actor | None, object]] = deque(maxlen=REMEMBERED_MESSAGES)
        self._remembers = True
        self._pick = self.stream("scheduler").random
        self._stall_probability, self._stall_seconds = stall_probability, stall_seconds
        self._late_probability, self._late_seconds = 0.0, 0.0
        self._now = self._clock_offset = 0.0
        self._shown = 0.0, EPOCH
        self._stepping = self._closing = False
        self._decimal_contexts: list[decimal.Context] = []

    def __enter__(self) -> Self:
        self._decimal_contexts.append(decimal.getcontext())
        use_money_context()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._close(gently=error is None)
        finally:
            super().__exit__(kind, error, trace)
            decimal.setcontext(self._decimal_contexts.pop())
        unclaimed = self._unclaimed()
        if (error is not None or unclaimed is not None) and not isinstance(error, KeyboardInterrupt):
            sys.stderr.write(self.story())
        if error is None and unclaimed is not None:
            raise unclaimed

    def now(self) -> float:
        """Return virtual seconds since the simulation began."""
        return self._now

    def wall_time(self) -> datetime:
        """Return 2026-01-01 plus virtual time, as the clock of the present node shows it."""
        seconds = self._now + self._clock_offset
        if self.here is not None:
            seconds += self.here.node.clock_offset
        if seconds != self._shown[0]:
            self._shown = seconds, EPOCH + timedelta(seconds=seconds)
        return self._shown[1]

    def stall(self, probability: float, seconds: float = 1.0) -> None:
        """From now on, put a picked actor off with this probability, for up to so many seconds."""
        self._stall_probability, self._stall_seconds = probability, seconds

    def cancel_late(self, probability: float, seconds: float = 0.2) -> None:
        """From now on, timers that are due within so many seconds fire though cancelled, with this probability."""
        self._late_probability, self._late_seconds = probability, seconds

    def tell_late(self, due: float, ref: Tells[M], message: M, origin: Life | None) -> None:
        """Draw whether what is being cancelled counts as told already; then it will come."""
        soon = due - self._now <= self._late_seconds and not self._closing
        if soon and self.stream("late cancels").random() < self._late_probability:
            self._set_timer(due, Timer(ref, message, origin))

    def remember(self, messages: int) -> None:
        """Let `story` tell so many messages from now on; 200 if it is never called."""
        self._recent, self._remembers = deque(self._recent, maxlen=messages), messages > 0

    def step_clock(self, seconds: float) -> None:
        """Step the wall clock of every node; `now()` does not notice."""
        self._clock_offset += seconds

    def stream(self, name: str) -> random.Random:
        """Return the random stream of that name.

        It depends on the seed and the name alone, so drawing more from one shifts no other.
        The runtime itself draws from "scheduler", "stalls", "late cancels" and "crash".
        """
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self.seed}/{name}")  # noqa: S311 - to be repeated, not to be secret
        return self._streams[name]

    def node(self, name: str) -> Node:
        """Return the node of that name, new if there is none yet."""
        if name not in self._nodes:
            self._nodes[name] = Node(self, name)
        return self._nodes[name]

    def crash_at(self, node: Node, handled: int) -> None:
        """Crash `node` right after its `handled`-th message, counted over all its lives."""
        node.crash_at(handled)

    def run(self, seconds: float | None = None) -> None:
        """Run for so many virtual seconds, or as long as there is anything to do."""
        self.run_until(_never, seconds)

    def run_until(self, happened: Callable[[], object], seconds: float | None = None) -> bool:
        """Run until something has happened; False if it had not after `seconds`, or ever."""
        if self._stepping:
            raise BlockedTurn("an actor cannot run the simulation that runs it")
        deadline = math.inf if seconds is None else self._now + seconds
        if self._drive(happened, deadline):
            return True
        if seconds is not None:
            self._now = max(self._now, deadline)
        return False

    def block(self, seconds: float) -> None:
        """Let the actor at work wait inside its turn for so long, as one does whose disk is slow; all others go on.

        Of two that wait the one that began later ends first. What is being closed waits for nothing.
        Raises `NodeCrashed` when its node crashes meanwhile.
        """
        if not self._stepping:
            raise BlockedTurn("only an actor that is at work can be blocked")
        if self._closing:
            return
        here, self.here, self._stepping = self.here, None, False
        until = self._now + seconds
        try:
            if self._drive(_never if here is None else lambda: here.over, until):
                raise NodeCrashed(here.node.name if here else "")
        finally:
            self.here, self._stepping = here, True
        self._now = max(self._now, until)

    def tell_at(self, due: float, ref: Tells[M], message: M) -> Timer:
        """Tell `message` when `now()` reaches `due`, at once if that is past."""
        if self.here is not None and self.here.over:
            raise NodeCrashed(self.here.node.name)
        timer = _LateTimer(ref, message, self, due) if self._late_probability else Timer(ref, message, self.here)
        heapq.heappush(self._timers, (due, next(self._timer_ids), timer))
        return timer

    def dead_letter(self, message: object) -> None:
        """Keep a message that nobody will ever handle; what is lost in closing does not count."""
        if not self._closing:
            self.dead_letters.append(message)
            if isinstance(message, self.critical_letters):  # What is critical later was not, when nobody waited for it.
                self._lost.append(message)
            super().dead_letter(message)

    def story(self) -> str:
        """Tell the seed, the time, the last messages and what was lost, for a failed test."""
        lines = [f"Simulation(seed={self.seed}) at {self._now:.6f} s; its last messages:"]
        for now, actor, message in self._recent:
            lines.append(f"{now:14.6f}  {actor.label if actor else '(stopped)'}  {bare(message)!r}")
        lines += [f"dead letter: {letter!r}" for letter in self.dead_letters]
        lines += [f"failed: {failure}" for failure in self.failures]
        return "\n".join(lines) + "\n"

    def bereave(self, life: Life) -> bool:
        """Take away all that a crashed node had; True if one of its own actors is at work."""
        for ref in pykka.ActorRegistry.get_all():
            mailbox = ref.actor_inbox
            if isinstance(mailbox, Mailbox) and mailbox.life is life:
                pykka.ActorRegistry.unregister(ref)
                mailbox.drop()
        for mailbox in self._ready:
            if mailbox.life is life:
                mailbox.drop()
        self._ready[:] = [mailbox for mailbox in self._ready if mailbox.life is not life]
        self._lose_timers(life)
        if self._stepping:
            return self.here is life
        if self.here is life:
            self.here = life.node.life
        return False

    def _lose_timers(self, life: Life) -> None:
        kept = []
        for due, number, timer in sorted(self._timers):
            if not timer.pending or timer.aim() is life:
                continue
            if timer.origin is not life:
                kept.append((due, number, timer))
                continue
            chance = self.stream("crash")  # To make a stream is dear, and most who crash had nothing under way.
            match chance.choice(("lost", "kept", "late")):
                case "kept":
                    kept.append((due, number, timer))
                case "late":
                    late = due + chance.uniform(0.0, LONGEST_TRANSIT_DELAY)
                    kept.append((late, number, timer))
        heapq.heapify(kept)
        self._timers[:] = kept

    def _place(self, actor: Actor) -> Callable[[Mailbox], object]:
        if self.here is not None and self.here.over:
            raise NodeCrashed(self.here.node.name)
        actor.actor_inbox.life = self.here
        return self._ready.append

    def _drive(self, happened: Callable[[], object], deadline: float) -> bool:
        """Run one message after the other until something has happened, and let time pass when there is none.

        False if nothing is left to do by `deadline`. All in one piece: nothing is done as often as this.
        """
        ready, pick, outer = self._ready, self._pick, self.here
        while not happened():
            if not ready or self._now > deadline:  # With mail it is past it only after a turn that was blocked.
                if self._fire_timer(deadline):
                    continue
                return False
            index = int(pick() * len(ready))
            mailbox = ready[index]
            last = ready.pop()
            if last is not mailbox:
                ready[index] = last
            if self._stall_probability and self._stall(mailbox):
                continue
            if self._remembers:
                queue = mailbox.queue
                self._recent.append((self._now, mailbox.actor, queue[0] if mailbox.started and queue else START))
            self.here = life = mailbox.life
            self._stepping = True
            try:
                mailbox.run(1)
            finally:
                self.here = outer
                self._stepping = False
            if life is not None and not life.over:
                node = life.node
                node.handled += 1
                if node.crash_points:
                    node.crash_if_due()
        return True

    def _fire_timer(self, deadline: float) -> bool:
        """Fire the first timer if it is due by `deadline`; False if there is none."""
        timers = self._timers
        while timers and timers[0][0] <= deadline:
            due, _, timer = heapq.heappop(timers)
            if timer.ref is not None:  # As `pending`, without its call.
                if due > self._now:  # noqa: PLR1730 - not by `max`, whose call is dear
                    self._now = due
                timer.fire(self)
                return True
        return False

    def _stall(self, mailbox: Mailbox) -> bool:
        chance = self.stream("stalls")
        if self._closing or chance.random() >= self._stall_probability:
            return False
        due = self._now + chance.uniform(0.0, self._stall_seconds)
        self._set_timer(due, _Stall(mailbox))
        return True

    def _wait_hook(self) -> WaitHook | None:
        return self._run_for

    def _run_for(self, future: Future, timeout: float | None) -> None:
        if self._stepping:
            raise BlockedTurn("an actor must not wait for a future: tell, and be told")
        if not self.run_until(lambda: future.done, timeout) and timeout is None:
            raise Deadlock("nothing is left to run, and the future has no answer")

    def _close(self, *, gently: bool) -> None:
        """Stop all actors, last started first; after an error drop them without their hooks."""
        self._closing = True
        for node in self._nodes.values():
            node.calm()
        while actors := self._actors():
            for actor in reversed(actors):
                if gently:
                    actor.actor_ref.stop()
                else:
                    pykka.ActorRegistry.unregister(actor.actor_ref)
                    actor.actor_inbox.drop()
        self._ready.clear()

    def _unclaimed(self) -> UnclaimedFailures | None:
        lost = [letter for letter in self._lost if any(letter is known for known in self.dead_letters)]
        if self.failures or lost:
            return UnclaimedFailures(self.seed, self.failures, lost)
        return None
