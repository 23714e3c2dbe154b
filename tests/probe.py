"""Message assertions for actor tests, the same in real and in virtual time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

import pykka

from actors.runtime import Actor, Failure, Runtime, Simulation

T = TypeVar("T")

_NOTHING = object()

PATIENCE = 10
"""How many times longer than asked for a probe waits in real time: a busy machine may hold up anything for seconds."""


class _ProbeActor(Actor):
    def __init__(self, name: str, received: queue.SimpleQueue[Any]) -> None:
        super().__init__()
        self.name, self._received = name, received

    def on_receive(self, message: Any) -> None:
        self._received.put(message)


class Probe:
    """Stands in for an actor: keeps what it is told, so that a test can expect it in order.

    Give others `probe.ref`. All times are seconds of the runtime, so in a simulation an hour of
    silence is proved at no cost. In real time a wait for something, of a second or more, says only
    when to give up, and is longer; what must be quick is tested with `tests.slowness.at_most`.
    """

    def __init__(self, runtime: Runtime, name: str = "probe") -> None:
        self._runtime = runtime
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ref: pykka.ActorRef[Any] = _ProbeActor.start(name, self._received)

    @overload
    def expect(self, expected: type[T], *, within: float = 1.0) -> T: ...

    @overload
    def expect(self, expected: T, *, within: float = 1.0) -> T: ...

    def expect(self, expected: Any, *, within: float = 1.0) -> Any:
        """Return the next message, which must equal `expected`, or be of that type."""
        message = self._next(self._patient(within))
        wanted = expected.__name__ if isinstance(expected, type) else repr(expected)
        assert message is not _NOTHING, f"expected {wanted} within {within} s, got nothing"
        if isinstance(expected, type):
            assert isinstance(message, expected), f"expected {wanted}, got {message!r}"
        else:
            assert message == expected, f"expected {wanted}, got {message!r}"
        return message

    def expect_none(self, *, within: float = 0.1) -> None:
        """Assert that nothing comes for so long; virtual time moves on by exactly that."""
        message = self._next(within)
        assert message is _NOTHING, f"expected nothing for {within} s, got {message!r}"

    def fish_for(self, predicate: Callable[[Any], object], *, within: float = 1.0) -> Any:
        """Return the first message that `predicate` holds for, dropping those before it."""
        until = self._runtime.now() + self._patient(within)
        dropped = []
        while (message := self._next(max(0.0, until - self._runtime.now()))) is not _NOTHING:
            if predicate(message):
                return message
            dropped.append(message)
        raise AssertionError(f"no such message within {within} s, only {dropped!r}")

    def expect_stopped(self, ref: pykka.ActorRef[Any], *, within: float = 1.0) -> None:
        """Assert that an actor has stopped, failed or crashed after so long at the latest."""
        if isinstance(self._runtime, Simulation):
            stopped = self._runtime.run_until(ref.actor_stopped.is_set, within)
        else:
            stopped = ref.actor_stopped.wait(self._patient(within))
        assert stopped, f"{ref} lives on after {within} s"

    def expect_failures(self, count: int = 1, *, within: float = 1.0) -> list[Failure]:
        """Claim the failures of the runtime, which must become exactly so many, and return them."""
        until = self._runtime.now() + self._patient(within)
        while len(self._runtime.failures) < count and self._runtime.now() < until:
            if isinstance(self._runtime, Simulation):
                self._runtime.run_until(lambda: len(self._runtime.failures) >= count, within)
            else:
                time.sleep(0.001)
        failures = self._runtime.claim_failures()
        assert len(failures) == count, f"expected {count} failures, got {[str(failure) for failure in failures]}"
        return failures

    def messages(self) -> list[Any]:
        """Return what has come and is not yet looked at; in a simulation the mail is read first."""
        if isinstance(self._runtime, Simulation):
            self._runtime.run(0.0)
        drained = []
        while (message := self._poll()) is not _NOTHING:
            drained.append(message)
        return drained

    def _patient(self, within: float) -> float:
        return within if isinstance(self._runtime, Simulation) or within < 1.0 else PATIENCE * within

    def _next(self, within: float) -> Any:
        if isinstance(self._runtime, Simulation):
            self._runtime.run_until(lambda: not self._received.empty(), within)
            return self._poll()
        try:
            return self._received.get(timeout=within)
        except queue.Empty:
            return _NOTHING

    def _poll(self) -> Any:
        try:
            return self._received.get_nowait()
        except queue.Empty:
            return _NOTHING
