"""The same actors on Pykka's plain ThreadingActor: an inbox that blocks, and a thread, for each of them."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from unittest import mock

import pykka
from pykka._envelope import Envelope

from actors.runtime import Actor, Pool
from actors.runtime._actor import Ref, current_runtime
from messages.money import use_money_context

CLOSE_SECONDS = 10.0


class PlainInbox(queue.Queue[object]):
    """`ThreadingActor`'s queue, with what the project's references and failure notes ask of a mailbox."""

    vanished = False
    serial = 0
    message: object = None

    def get(self, block: bool = True, timeout: float | None = None) -> Envelope[Any]:  # noqa: FBT001, FBT002 - a queue's
        """Take the next message, and remember it for whoever asks what the actor is at."""
        message = super().get(block, timeout)
        envelope = message if isinstance(message, Envelope) else Envelope(message)
        self.message = envelope.message
        return envelope


class PlainThreads(Pool):
    """A runtime on which every actor runs Pykka's own loop, in a thread of its own; timers are the pool's.

    Actors are changed for the whole process while it is open.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self._changes = mock.patch.multiple(
            Actor, _create_actor_inbox=staticmethod(PlainInbox), _start_actor_loop=_start_thread
        )
        self._telling = mock.patch.object(Ref, "tell", _tell)

    def __enter__(self) -> Self:
        self._changes.__enter__()
        self._telling.__enter__()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = self.now() + CLOSE_SECONDS
        while (refs := pykka.ActorRegistry.get_all()) and self.now() < deadline:
            stopping = [ref.stop(block=False) for ref in reversed(refs)]
            for future in stopping:
                with suppress(pykka.Timeout):
                    future.get(timeout=max(0.0, deadline - self.now()))
        self._telling.__exit__(None, None, None)
        self._changes.__exit__(None, None, None)
        super().__exit__(kind, error, trace)


def _tell(ref: Ref[Any], message: object) -> None:
    """Put a message into the inbox, as Pykka's own `tell` does; the project's hands a mailbox to its runtime."""
    if ref.actor_stopped.is_set():
        raise pykka.ActorDeadError(f"{ref} not found")
    ref.actor_inbox.put(message)


def _start_thread(actor: Actor) -> None:
    """Do what `ThreadingActor._start_actor_loop` does, and let the thread know its runtime."""

    def main() -> None:
        current_runtime.set(actor.runtime)
        use_money_context()
        actor._actor_loop()  # noqa: SLF001 - Pykka's own loop, as it is

    threading.Thread(target=main, name=type(actor).__name__, daemon=True).start()
