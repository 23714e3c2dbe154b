"""What every runtime offers to actors: time, timers, and a place for what went wrong."""

from __future__ import annotations

import heapq
import itertools
import logging
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pykka

from actors.runtime._actor import Actor, current_runtime, wait_hook
from actors.runtime._mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from datetime import datetime
    from types import TracebackType

    from actors.runtime._actor import WaitHook
    from actors.runtime._nodes import Life
    from messages.refs import Tells

M = TypeVar("M")

logger = logging.getLogger("tidegate.runtime")


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of an actor by an exception that nobody had asked for."""

    actor: str
    """The actor's label."""
    message: object
    """What it was handling; None while it was starting."""
    error: BaseException

    @property
    def traceback(self) -> str:
        """Where it happened, for people: written down when one of them asks, since many failures are expected."""
        return "".join(traceback.format_exception(self.error))

    def __str__(self) -> str:
        doing = "starting" if self.message is None else f"handling {self.message!r}"
        return f"{self.actor}, {doing}:\n{self.traceback}"


class Timer:
    """A message that will be told when it is due, unless cancelled before."""

    __slots__ = ("message", "origin", "ref")

    def __init__(self, ref: Tells[M], message: M, origin: Life | None = None) -> None:
        self.ref: Tells[Any] | None = ref
        self.message: object = message
        self.origin = origin

    @property
    def pending(self) -> bool:
        """True until it has fired or was cancelled."""
        return self.ref is not None

    def cancel(self) -> None:
        """Never fire. A message that is in the mailbox already will still be handled."""
        self.ref = self.message = None

    def fire(self, runtime: Runtime) -> None:
        """Tell the message now; a dead receiver makes it a dead letter. Only a runtime does this."""
        ref, message = self.ref, self.message
        self.ref = self.message = None
        if ref is not None:
            try:  # As `send`.
                ref.tell(message)
            except pykka.ActorDeadError:
                runtime.dead_letter(message)

    def aim(self) -> Life | None:
        """Return the life of the node that the receiver is on, if it is on one."""
        mailbox = getattr(self.ref, "actor_inbox", None)
        return mailbox.life if isinstance(mailbox, Mailbox) else None


class Runtime(ABC):
    """Where actors run, what time it is, and what became of messages and actors that were lost."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        """Told actors that died of an exception, oldest first, until claimed."""
        self.critical_letters: tuple[type, ...] = ()
        """Types of messages whose loss is an error, not a remark."""
        self.on_dead_letter: Callable[[object], None] | None = None
        """Called with every dead letter, in the thread that found it."""
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_ids = itertools.count()
        self._serials = itertools.count(1)
        self._tokens: list[tuple[Token[Runtime], Token[WaitHook | None]]] = []

    def __enter__(self) -> Self:
        self._tokens.append((current_runtime.set(self), wait_hook.set(self._wait_hook())))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        runtime, hook = self._tokens.pop()
        current_runtime.reset(runtime)
        wait_hook.reset(hook)

    def _wait_hook(self) -> WaitHook | None:
        """Return what waits for a future in the thread that entered this runtime; None to block."""
        return None

    @abstractmethod
    def now(self) -> float:
        """Return seconds on a clock that never steps; its zero means nothing."""

    @abstractmethod
    def wall_time(self) -> datetime:
        """Return the time of day, aware and in UTC, which may step."""

    def admit(self, actor: Actor) -> Callable[[Mailbox], object]:
        """Take in a new actor, and return where its mailbox is to be submitted."""
        actor.actor_inbox.serial = next(self._serials)
        return self._place(actor)

    @abstractmethod
    def _place(self, actor: Actor) -> Callable[[Mailbox], object]: ...

    def send(self, ref: Tells[M], message: M) -> None:
        """Tell, but to a receiver that may be dead: then the message becomes a dead letter."""
        try:
            ref.tell(message)
        except pykka.ActorDeadError:
            self.dead_letter(message)

    def tell_after(self, delay: float, ref: Tells[M], message: M) -> Timer:
        """Tell `message` after `delay` seconds."""
        return self.tell_at(self.now() + delay, ref, message)

    def tell_at(self, due: float, ref: Tells[M], message: M) -> Timer:
        """Tell `message` when `now()` reaches `due`, at once if that is past."""
        return self._set_timer(due, Timer(ref, message))

    def _set_timer(self, due: float, timer: Timer) -> Timer:
        heapq.heappush(self._timers, (due, next(self._timer_ids), timer))
        return timer

    def dead_letter(self, message: object) -> None:
        """Take note of a message that nobody will ever handle."""
        if isinstance(message, self.critical_letters):
            logger.error("critical dead letter: %r", message)
        else:
            logger.debug("dead letter: %r", message)
        if self.on_dead_letter is not None:
            self.on_dead_letter(message)

    def note_failure(self, actor: str, message: object, error: BaseException) -> None:
        """Take note of an actor's death."""
        self.failures.append(Failure(actor, message, error))

    def claim_failures(self) -> list[Failure]:
        """Return the failures so far and forget them: whoever claims them has expected them."""
        claimed = self.failures[:]
        del self.failures[: len(claimed)]
        return claimed

    def mailboxes(self) -> list[tuple[str, int]]:
        """Return the label of every living actor and the number of messages waiting for it."""
        return [(actor.label, len(actor.actor_inbox.queue)) for actor in self._actors()]

    def dump(self) -> str:
        """Describe for people who is at work on what, how much waits for whom, and who is idle."""
        lines = [f"{self.now():.6f} s, {self.wall_time().isoformat()}, {len(self._timers)} timers"]
        idle: Counter[str] = Counter()
        for actor in self._actors():
            current, waiting = actor.actor_inbox.message, len(actor.actor_inbox.queue)
            if current is None and not waiting:
                idle[type(actor).__name__] += 1
                continue
            doing = "waiting" if current is None else f"handling {type(current).__name__}"
            lines.append(f"{waiting:6} in mail  {actor.label} ({actor.actor_urn}) {doing}")
        lines += [f"{count:6} idle     {kind}" for kind, count in sorted(idle.items())]
        return "\n".join(lines)

    def _actors(self) -> list[Actor]:
        """Return the living actors of this runtime in the order in which they were started."""
        actors = []
        for ref in pykka.ActorRegistry.get_all():
            mailbox = ref.actor_inbox
            actor = mailbox.actor if isinstance(mailbox, Mailbox) else None
            if actor is not None and actor.runtime is self:
                actors.append(actor)
        return actors
