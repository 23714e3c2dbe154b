"""Parents that hear of their children's end, and start those again that failed.

Supervised actors are told, never asked: an asked actor hands its exception to the asker and
lives on, so its parent would not hear of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import pykka

from actors.runtime import Actor, stop_soon
from messages.frozen import dataclass
from messages.refs import Tells


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A child died of an exception, at the message `about`; None if it was at none."""

    name: Hashable
    cause: BaseException
    about: object = None


@dataclass(frozen=True, slots=True)
class ChildStopped:
    """A child ended because it, or somebody else, wanted it to."""

    name: Hashable


ChildEnded = ChildFailed | ChildStopped


class _WithHooks(Actor):
    """Gives `Parent` and `Child` hooks of one name, so that a class may be both."""

    def on_start(self) -> None:
        self.begin()

    def on_stop(self) -> None:
        self.end()

    def begin(self) -> None:
        """Set up, in the actor's own turn and before its first message."""

    def end(self) -> None:
        """Clean up after a stop (cancel timers); not called after a failure."""


class Child(_WithHooks):
    """An actor whose parent is told exactly once when it has ended, whatever ended it."""

    def __init__(self, parent: Tells[ChildEnded], name: Hashable, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.parent = parent
        self.child_name = name
        self.name = str(name)

    def on_start(self) -> None:
        """Begin; Pykka calls no hook when that fails, so the parent is told from here."""
        try:
            super().on_start()
        except Exception as error:
            self._tell_parent(ChildFailed(self.child_name, error))
            raise

    def on_stop(self) -> None:
        """End, and tell the parent, even if ending failed."""
        try:
            super().on_stop()
        finally:
            self._tell_parent(ChildStopped(self.child_name))

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tell the parent why."""
        super().on_failure(exception_type, exception_value, traceback)
        if exception_value is not None:
            self._tell_parent(ChildFailed(self.child_name, exception_value, self.actor_inbox.message))

    def _tell_parent(self, ended: ChildEnded) -> None:
        try:
            self.parent.tell(ended)
        except pykka.ActorDeadError:  # Parents stop first; a failure is noted by the runtime as well.
            if isinstance(ended, ChildFailed):
                self.runtime.dead_letter(ended)


C = TypeVar("C", bound=Child)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How to start a child again."""

    kind: type[Child]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


class Parent(_WithHooks):
    """Starts children, starts failed ones again, and takes all of them along when it ends.

    A child that fails is started again as it was first, at most `max_restarts` times within
    `window` seconds (which may be infinite); then `give_up` decides. A new start is a new ref,
    so a child is found through `children`, or addressed by what it works on.
    """

    max_restarts: int = 3
    window: float = 60.0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.children: dict[Hashable, pykka.ActorRef[Any]] = {}
        """The living children by name, in the order in which they were first started."""
        self._recipes: dict[Hashable, _Recipe] = {}
        self._failures: dict[Hashable, deque[float]] = {}
        self._dismissed: dict[Hashable, None] = {}

    def spawn(self, name: Hashable, kind: type[C], *args: object, **kwargs: object) -> pykka.ActorRef[C]:
        """Start `kind(self.actor_ref, name, *args, **kwargs)`, and again whenever it fails.

        Raises ValueError if a child of that name lives, or has not ended yet.
        """
        if name in self._recipes:
            raise ValueError(f"a child named {name!r} exists already")
        self._recipes[name] = _Recipe(kind, args, kwargs)
        ref = kind.start(self.actor_ref, name, *args, **kwargs)
        self.children[name] = ref
        return ref

    def dismiss(self, name: Hashable) -> None:
        """Ask a child to stop, and don't start it again even if it fails on the way."""
        if name in self.children:
            self._dismissed[name] = None
            stop_soon(self.children[name])

    def on_receive(self, message: Any) -> Any:
        """Take note of a child's end; hand everything else on."""
        match message:
            case ChildFailed() | ChildStopped():
                self.child_ended(message)
                return None
            case _:
                return super().on_receive(message)

    def child_ended(self, ended: ChildEnded) -> None:
        """Start a failed child again or give it up; forget one that has stopped."""
        match ended:
            case ChildFailed(name, cause) if name not in self._dismissed:
                self._recover(name, cause)
            case ChildFailed(name) | ChildStopped(name):
                self._forget(name)
                self.child_stopped(name)

    def child_stopped(self, name: Hashable) -> None:
        """React to the wanted end of a child, which is forgotten already."""

    def give_up(self, name: Hashable, cause: BaseException) -> None:
        """Decide what to do about a child that failed too often, which is forgotten already.

        By default the parent fails of the same cause, and so hands it to its own parent.
        """
        raise cause

    def on_start(self) -> None:
        """Begin; if that fails, no hook is called later, so the children go here."""
        try:
            super().on_start()
        except Exception:
            self._stop_children()
            raise

    def on_stop(self) -> None:
        """Take the children along, the last started first."""
        self._stop_children()
        super().on_stop()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the children along, the last started first."""
        self._stop_children()
        super().on_failure(exception_type, exception_value, traceback)

    def _recover(self, name: Hashable, cause: BaseException) -> None:
        now = self.runtime.now()
        failures = self._failures.setdefault(name, deque())
        failures.append(now)
        while failures[0] < now - self.window:
            failures.popleft()
        if len(failures) > self.max_restarts:
            self._forget(name)
            self.give_up(name, cause)
        else:
            recipe = self._recipes[name]
            self.children[name] = recipe.kind.start(self.actor_ref, name, *recipe.args, **recipe.kwargs)

    def _forget(self, name: Hashable) -> None:
        self.children.pop(name, None)
        self._recipes.pop(name, None)
        self._failures.pop(name, None)
        self._dismissed.pop(name, None)

    def _stop_children(self) -> None:
        for ref in reversed(self.children.values()):
            stop_soon(ref)
