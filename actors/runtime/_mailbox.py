"""A mailbox: an actor's inbox, and at the same time the unit of work that a runtime schedules."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pykka._envelope import Envelope

    from actors.runtime._actor import Actor
    from actors.runtime._base import Runtime
    from actors.runtime._nodes import Life

PYKKAS_OWN = frozenset({_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})
"""Messages by which Pykka stops an actor and serves proxies."""


class TurnOver(Exception):
    """Raised by `Mailbox.get` when the queue is empty or the turn's budget is spent.

    Pykka's receive loop fetches outside its `try`, so this leaves the loop without being taken
    for a failure of the actor: the loop itself runs as Pykka wrote it.
    """


class NodeCrashed(BaseException):
    """Raised through the handler that was running when its own node crashed."""


class Mailbox:
    """The queue of one actor, with a flag that says whether a runtime has it in hand.

    The lock `turn` is such a flag: it is tried, never waited for. Whoever gets it hands the
    mailbox to the runtime; it is let go when the turn is over, and then the queue is looked at
    once more. So no message is left lying, and no two workers run the same actor.
    """

    __slots__ = (
        "actor",
        "budget",
        "current",
        "life",
        "queue",
        "runtime",
        "serial",
        "started",
        "submit",
        "turn",
    )

    runtime: Runtime
    submit: Callable[[Mailbox], object]

    def __init__(self) -> None:
        self.queue: deque[Envelope[Any]] = deque()
        self.turn = threading.Lock()
        self.turn.acquire()  # The first turn lets go of it: nothing runs before `open`.
        self.actor: Actor | None = None
        self.life: Life | None = None
        self.started = False
        self.current: Envelope[Any] | None = None
        self.budget = 0
        self.serial = 0

    @property
    def vanished(self) -> bool:
        """True once the node that this actor lived on has crashed."""
        return self.life is not None and self.life.over

    @property
    def message(self) -> object:
        """What the actor is handling now; None between turns and while it starts."""
        return None if self.current is None else self.current.message

    def open(self, actor: Actor, runtime: Runtime) -> None:
        """Give the actor to its runtime, which will run its first turn."""
        self.runtime, self.submit = runtime, runtime.admit(actor)
        self.actor = actor
        self.submit(self)

    def put(self, envelope: Envelope[Any], /) -> None:
        """Append a message, and see to it that a turn will come."""
        self.queue.append(envelope)
        if self.turn.acquire(blocking=False):
            self.submit(self)

    def get(self) -> Envelope[Any]:
        """Return the next message of this turn; raise `TurnOver` when there is none."""
        if self.budget <= 0 or not self.queue:
            raise TurnOver
        self.budget -= 1
        self.current = envelope = self.queue.popleft()
        return envelope

    def empty(self) -> bool:
        """True if no message waits."""
        return not self.queue

    def run(self, budget: int) -> None:
        """Run one turn of at most `budget` messages; the start of an actor counts as one.

        What was merely told is nearly all there is, and what is done here for it is what Pykka's loop does, at
        half the cost. From the first message on that somebody asks, or that is Pykka's own, that loop goes on.
        """
        actor, queue = self.actor, self.queue
        if actor is None:
            self._end()
            return
        stopped = actor.actor_stopped
        try:
            if not self.started:
                self.started = True
                budget -= 1
                actor._actor_loop_setup()  # noqa: SLF001 - Pykka's own loop, as it is
            while queue and budget > 0 and not stopped._flag:  # noqa: SLF001 - as `Ref.tell`
                envelope = queue[0]
                if envelope.reply_to is not None or type(envelope.message) in PYKKAS_OWN:
                    self.budget = budget
                    actor._actor_loop_running()  # noqa: SLF001
                    break
                budget -= 1
                self.current = envelope
                queue.popleft()
                try:
                    actor.on_receive(envelope.message)
                except Exception:  # noqa: BLE001
                    self._fail(actor)
        except TurnOver:
            pass
        except NodeCrashed:
            self._refuse_current("the actor's node crashed")
            return  # Dropped meanwhile, and never to be scheduled again.
        except BaseException:
            actor._handle_failure(*sys.exc_info())  # noqa: SLF001
            self._refuse_current("the actor ended while it was at the message")
            self._end()
            raise
        if stopped._flag:  # noqa: SLF001
            self._end()
            return
        self.current = None
        self.turn.release()
        if queue and self.turn.acquire(blocking=False):
            self.submit(self)

    @staticmethod
    def _fail(actor: Actor) -> None:
        """End an actor for what its handler raised, as Pykka's loop does."""
        actor._handle_failure(*sys.exc_info())  # noqa: SLF001
        try:
            actor.on_failure(*sys.exc_info())
        except Exception:  # noqa: BLE001
            actor._handle_failure(*sys.exc_info())  # noqa: SLF001

    def drop(self) -> None:
        """Forget the actor and its mail without a word to anybody, as a killed process does."""
        actor, self.actor = self.actor, None
        if actor is not None:
            actor.actor_stopped.set()
        while self.queue:
            envelope = self.queue.popleft()
            if envelope.reply_to is not None:
                _refuse(envelope, "the actor's node crashed")

    def _end(self) -> None:
        """Let go of the stopped actor; mail that still comes will be scheduled, and refused."""
        self.actor = self.current = None
        self._bury()
        self.turn.release()
        if self.queue and self.turn.acquire(blocking=False):
            self.submit(self)

    def _refuse_current(self, why: str) -> None:
        envelope, self.current = self.current, None
        if envelope is not None and envelope.reply_to is not None:
            _refuse(envelope, why)

    def _bury(self) -> None:
        """Answer what the stopped actor will not: asks are refused, the rest are dead letters."""
        while self.queue:
            envelope = self.queue.popleft()
            stop = isinstance(envelope.message, _ActorStop)
            if envelope.reply_to is None:
                if not stop:
                    self.runtime.dead_letter(envelope.message)
            elif stop:
                envelope.reply_to.set(None)
            else:
                _refuse(envelope, "the actor stopped before it came to the message")


def _refuse(envelope: Envelope[Any], why: str) -> None:
    assert envelope.reply_to is not None
    error = pykka.ActorDeadError(why)
    envelope.reply_to.set_exception((pykka.ActorDeadError, error, None))
