"""The mailbox of a runtime that has one thread: nobody else can take it in hand, so a plain flag says whether it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from actors.runtime._actor import Ref
from actors.runtime._mailbox import PYKKAS_OWN, Mailbox, NodeCrashed

if TYPE_CHECKING:
    from actors.runtime._actor import Actor

A = TypeVar("A", bound="Actor")


class SoloMailbox(Mailbox):
    """A mailbox whose turn is one message, and that is handed to its runtime by setting a flag."""

    __slots__ = ("idle",)

    def __init__(self) -> None:
        super().__init__()
        self.idle = False
        del self.turn  # Whoever tried it here would be wrong.

    def put(self, message: object, /) -> None:
        """Append a message, in an envelope if it asks, and see to it that a turn will come."""
        self.queue.append(message)
        if self.idle:
            self.idle = False
            self.submit(self)

    def run(self, budget: int) -> None:
        """Run a turn of one message, whatever the budget: as the other mailbox does, without a loop for more."""
        actor, queue = self.actor, self.queue
        if actor is None or not self.started or not queue or type(queue[0]) in PYKKAS_OWN:
            super().run(min(budget, 1))
            return
        self.current = message = queue.popleft()
        try:
            actor.on_receive(message)
        except Exception:  # noqa: BLE001
            self._fail(actor)
        except NodeCrashed:
            self._vanish()
            return
        except BaseException:
            self._fall(actor)
            raise
        if actor.actor_stopped._flag:  # noqa: SLF001 - as `Ref.tell`
            self._end()
            return
        self.current = None
        if queue:
            self.submit(self)
        else:
            self.idle = True

    def _let_go(self) -> None:
        if self.queue:
            self.submit(self)
        else:
            self.idle = True


class SoloRef(Ref[A]):
    """A reference to an actor with such a mailbox."""

    actor_inbox: SoloMailbox

    def tell(self, message: Any) -> None:
        """Send without waiting; `pykka.ActorDeadError` if the actor has stopped."""
        mailbox = self.actor_inbox
        if self.actor_stopped._flag:  # noqa: SLF001 - as `Ref.tell`
            if mailbox.vanished:
                return
            raise pykka.ActorDeadError(f"{self} not found")
        mailbox.queue.append(message)  # As `put`, without its call.
        if mailbox.idle:
            mailbox.idle = False
            mailbox.submit(mailbox)
