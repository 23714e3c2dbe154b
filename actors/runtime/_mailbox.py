"""A mailbox: an actor's inbox, and at the same time the unit of work that a runtime schedules."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pykka
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime._actor import Actor
    from actors.runtime._base import Runtime
    from actors.runtime._nodes import Life

PYKKAS_OWN = frozenset({Envelope, _ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})
"""What its own loop must handle: questions, and the messages by which it stops an actor and serves proxies."""


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

    Messages that were told lie in the queue as they are, what is asked in an envelope with its future.
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
        self.queue: deque[object] = deque()
        self.turn = threading.Lock()
        self.turn.acquire()  # The first turn lets go of it: nothing runs before `open`.
        self.actor: Actor | None = None
        self.life: Life | None = None
        self.started = False
        self.current: object = None
        self.budget = 0
        self.serial = 0

    @property
    def vanished(self) -> bool:
        """True once the node that this actor lived on has crashed."""
        return self.life is not None and self.life.over

    @property
    def message(self) -> object:
        """What the actor is handling now; None between turns and while it starts."""
        return bare(self.current)

    def open(self, actor: Actor, runtime: Runtime) -> None:
        """Give the actor to its runtime, which will run its first turn."""
        self.runtime, self.submit = runtime, runtime.admit(actor)
        self.actor = actor
        self.submit(self)

    def put(self, message: object, /) -> None:
        """Append a message, in an envelope if it asks, and see to it that a turn will come."""
        self.queue.append(message)
        if self.turn.acquire(False):  # Not by name: that is half as dear again, and nothing happens as often.
            self.submit(self)

    def get(self) -> Envelope[Any]:
        """Return the next message of this turn; raise `TurnOver` when there is none."""
        if self.budget <= 0 or not self.queue:
            raise TurnOver
        self.budget -= 1
        message = self.queue.popleft()
        self.current = envelope = message if isinstance(message, Envelope) else Envelope(message)
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
                actor._actor_loop_setup()
            while budget > 0 and queue and not stopped._flag:
                message = queue.popleft()
                if type(message) in PYKKAS_OWN:
                    queue.appendleft(message)
                    self.budget = budget
                    actor._actor_loop_running()
                    break
                budget -= 1
                self.current = message
                try:
                    actor.on_receive(message)
                except Exception:  # noqa: BLE001 - as Pykka's loop
                    self._fail(actor)
        except TurnOver:
            pass
        except NodeCrashed:
            self._refuse_current("the actor's node crashed")
            return  # Dropped meanwhile, and never to be scheduled again.
        except BaseException:
            actor._handle_failure(*sys.exc_info())
            self._refuse_current("the actor ended while it was at the message")
            self._end()
            raise
        if stopped._flag:
            self._end()
            return
        self.current = None
        self.turn.release()
        if queue and self.turn.acquire(False):
            self.submit(self)

    @staticmethod
    def _fail(actor: Actor) -> None:
        """End an actor for what its handler raised, as Pykka's loop does."""
        actor._handle_failure(*sys.exc_info())
        try:
            actor.on_failure(*sys.exc_info())
        except Exception:  # noqa: BLE001 - the same
            actor._handle_failure(*sys.exc_info())

    def drop(self) -> None:
        """Forget the actor and its mail without a word to anybody, as a killed process does."""
        actor, self.actor = self.actor, None
        if actor is not None:
            actor.actor_stopped.set()
        while self.queue:
            _refuse(self.queue.popleft(), "the actor's node crashed")

    def _end(self) -> None:
        """Let go of the stopped actor; mail that still comes will be scheduled, and refused."""
        self.actor = self.current = None
        self._bury()
        self.turn.release()
        if self.queue and self.turn.acquire(blocking=False):
            self.submit(self)

    def _refuse_current(self, why: str) -> None:
        current, self.current = self.current, None
        _refuse(current, why)

    def _bury(self) -> None:
        """Answer what the stopped actor will not: asks are refused, the rest are dead letters."""
        while self.queue:
            message = self.queue.popleft()
            future = asked(message)
            if not isinstance(bare(message), _ActorStop):
                if future is None:
                    self.runtime.dead_letter(bare(message))
                else:
                    _refuse(message, "the actor stopped before it came to the message")
            elif future is not None:
                future.set(None)


def bare(message: object) -> object:
    """Take a message out of its envelope, if it is in one."""
    return message.message if isinstance(message, Envelope) else message


def asked(message: object) -> pykka.Future[Any] | None:
    """Return the future that waits for the answer to what lies in a queue; None if it was merely told."""
    return message.reply_to if isinstance(message, Envelope) else None


def _refuse(message: object, why: str) -> None:
    """Tell whoever asked, if anybody did, that there will be no answer."""
    future = asked(message)
    if future is not None:
        error = pykka.ActorDeadError(why)
        future.set_exception((pykka.ActorDeadError, error, None))
