"""The project's actor class: a Pykka actor whose turns run wherever its runtime runs them."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import pykka
from pykka.messages import _ActorStop

from actors.runtime._mailbox import Mailbox, NodeCrashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from actors.runtime._base import Runtime

A = TypeVar("A", bound="Actor")

WaitHook: TypeAlias = "Callable[[Future, float | None], None]"
"""Waits until a future is done, for so many seconds at the most."""

_family = random.Random().getrandbits(72)  # noqa: S311 - names of actors, which decide nothing

_URN = f"urn:uuid:{_family >> 40:08x}-{_family >> 24 & 0xFFFF:04x}-4{_family >> 12 & 0xFFF:03x}-8{_family & 0xFFF:03x}-"
"""What the names of a process's actors begin with: those of a drawn UUID (RFC 4122, section 4.4), then they count."""

_numbers = itertools.count(1)

current_runtime: ContextVar[Runtime] = ContextVar("current_runtime")
wait_hook: ContextVar[WaitHook | None] = ContextVar("wait_hook", default=None)


class NoRuntime(RuntimeError):
    """An actor was made outside of `with runtime:`, so nothing would ever run it."""


class Future(pykka.ThreadingFuture[Any]):
    """The answer to an `ask`; waiting for it drives a simulation, and keeps a pool staffed."""

    @property
    def done(self) -> bool:
        """True once it has a value or an exception."""
        return self._result is not None

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer.

        Raises the asked actor's own exception, `pykka.ActorDeadError` if it stopped first,
        `pykka.Timeout` after `timeout` seconds of the runtime's time, and in a simulation
        `BlockedTurn` when called by an actor and `Deadlock` when no answer can ever come.
        """
        if not self.done and self._get_hook is None and (wait := wait_hook.get()):
            wait(self, timeout)
            if not self.done:
                raise pykka.Timeout(f"{timeout} seconds")
        return super().get(timeout=timeout)


class Stopped(threading.Event):
    """An event without a lock and a queue of its own: thousands of actors have one, and hardly anybody waits."""

    _cond = threading.Condition()

    def __init__(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, for so many seconds at the most; return whether it is."""
        with self._cond:
            return self._cond.wait_for(self.is_set, timeout)


class Ref(pykka.ActorRef[A]):
    """A Pykka reference that lets messages to a crashed node vanish, as messages to it do."""

    actor_inbox: Mailbox
    actor_stopped: Stopped

    def tell(self, message: Any) -> None:
        """Send without waiting; `pykka.ActorDeadError` if the actor has stopped."""
        if self.actor_stopped._flag:  # noqa: SLF001 - Without the call of `is_set`: nothing happens as often as this.
            if self.actor_inbox.vanished:
                return
            raise pykka.ActorDeadError(f"{self} not found")
        mailbox = self.actor_inbox
        mailbox.queue.append(message)  # As `put`, and without its call for the same reason.
        if mailbox.turn.acquire(False):
            mailbox.submit(mailbox)


def stop_soon(ref: pykka.ActorRef[Any]) -> None:
    """Ask an actor to stop after what it has in its mailbox, as `stop(block=False)` does, but with nobody to tell."""
    with suppress(pykka.ActorDeadError):
        ref.tell(_ActorStop())


class Actor(pykka.Actor):
    """A Pykka actor that belongs to the runtime in whose `with` block, or turn, it is started.

    Handlers, hooks included, never block: no `ask`, no sleep, no file. An actor that must
    (the journal) says `pinned = True` and gets a thread of its own in a `Pool`.
    """

    pinned: ClassVar[bool] = False
    runtime: Runtime
    name: str = ""
    actor_inbox: Mailbox
    actor_stopped: Stopped

    def __init__(self, *args: object, **kwargs: object) -> None:
        # What Pykka's own __init__ does, but for the name: that one asks the system for chance, and
        # so lets go of the interpreter in the middle of a turn, for each execution that is started.
        runtime = current_runtime.get(None)
        if runtime is None:
            raise NoRuntime(f"start {type(self).__name__} inside `with Pool()` or `with Simulation()`")
        self.runtime = runtime
        self.actor_urn = f"{_URN}{next(_numbers):012x}"
        self.actor_inbox = self._create_actor_inbox()
        self.actor_stopped = Stopped()
        self._actor_ref = Ref(self)

    @property
    def label(self) -> str:
        """Class, number in order of starting, and name if it has one: `TWAPActor#12 k3f...`."""
        return f"{type(self).__name__}#{self.actor_inbox.serial} {self.name}".rstrip()

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> Future:
        return Future()

    def _start_actor_loop(self) -> None:
        try:
            self.actor_inbox.open(self, self.runtime)
        except BaseException:
            pykka.ActorRegistry.unregister(self.actor_ref)
            raise

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception_value is not None:  # First of all: who sees the actor stopped can know why.
            self.runtime.note_failure(self.label, self.actor_inbox.message, exception_value)
        super()._handle_failure(exception_type, exception_value, traceback)

    def _stop(self) -> None:
        # Pykka's loop comes here for a stop message, and also when a handler raised something
        # like KeyboardInterrupt, after which it would stop every actor of the process. Only the
        # first is wanted: the rest goes up to whoever runs the turn.
        stopping = isinstance(self.actor_inbox.message, _ActorStop)
        error = sys.exception()
        if error is not None and (isinstance(error, NodeCrashed) or not stopping):
            raise error
        super()._stop()
