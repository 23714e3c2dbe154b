"""Every step in which a simulated daemon touches the world, counted, and something done at one of them.

A step is an append to the store, a request to the venue, its answer, or an event of the user stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from actors.runtime import Simulation
from actors.runtime._nodes import Life
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.venue import LatencySettings
from adapters.simulation import NotConverged
from adapters.storage.memory import MemoryStore
from messages.control import Committed, StoreFailed
from messages.execution import CancelExecution
from messages.order import (
    CancelFailed,
    OpenUserStream,
    OrderReport,
    OutcomeUnknown,
    ProbeStream,
    QueryAllOrders,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    SendCancel,
    SendOrder,
)
from messages.refs import Tells
from tests.simulation.whole import Ear, Stage, a_daemon

Asked = QueryOrder | QueryOpenOrders | QueryAllOrders | QueryTrades | QueryBalances
UNANSWERED_SECONDS = 1.0
LASTING_SECONDS = 30.0
BODY = {
    "id": "x",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.5",
    "twap": {"num_chunks": 5, "interval_seconds": 10},
}
CANCEL_AT = 35.0
"""Seconds from the start to the wish to cancel: the unknown outcome is proven by then, and one slice is left."""


class Kind(StrEnum):
    """What a step is."""

    APPEND = "append"
    ORDER = "order"
    CANCEL = "cancel"
    QUERY = "query"
    ANSWER = "answer"
    EVENT = "event"


class Do(StrEnum):
    """What is done at a step."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    FAIL = "fail"
    FAIL_STORED = "fail, though it was done"
    DELAY = "delay by 3 s"
    LONG_DELAY = "delay by 12 s"
    DUPLICATE = "duplicate"


DELAYS = {Do.DELAY: 3.0, Do.LONG_DELAY: 12.0}


@dataclass
class Steps:
    """Counts the steps of a run; at step `at` (from 1) it tells to `do` something, and with `lasting` at each later
    one of the same kind for half a minute."""

    sim: Simulation
    at: int = 0
    do: Do = Do.CRASH_AFTER
    lasting: bool = False
    taken: list[Kind] = field(default_factory=list)
    _kind: Kind | None = None
    _until: float = 0.0

    def take(self, kind: Kind) -> Do | None:
        """Count a step, and say what is to be done at it."""
        self.taken.append(kind)
        if len(self.taken) == self.at:
            self._kind, self._until = kind, self.sim.now() + LASTING_SECONDS
            return self.do
        if self.lasting and kind is self._kind and self.sim.now() < self._until:
            return self.do
        return None


class SteppedStore(MemoryStore):
    """A store whose appends are steps."""

    def __init__(self, steps: Steps, crash: Callable[[], None], journal_id: str) -> None:
        super().__init__(journal_id, check_codec=False)
        self._steps, self._crash = steps, crash

    def append(self, records: Sequence[Committed]) -> None:
        do = self._steps.take(Kind.APPEND)
        if do is Do.CRASH_BEFORE:
            self._crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            self.fail_next(StoreFailed("the disk is full"), stored=do is Do.FAIL_STORED)
        super().append(records)
        if do is Do.CRASH_AFTER:
            self._crash()


class _Back:
    """Where an answer, or the events, come back to."""

    def __init__(self, tap: Tap, to: Tells[Any], asked: SendOrder | SendCancel | Asked | None) -> None:
        self._tap, self._to, self._asked = tap, to, asked

    def tell(self, message: object, /) -> None:
        if self._asked is None and not isinstance(message, OrderReport):
            self._tap.pass_on(self._to, message)
            return
        kind = Kind.EVENT if self._asked is None else Kind.ANSWER
        do = self._tap.steps.take(kind)
        if do is Do.CRASH_BEFORE:
            self._tap.crash()
            return
        if do in {Do.FAIL, Do.FAIL_STORED}:
            if self._asked is not None:
                self._tap.later(UNANSWERED_SECONDS, self._to, failure(self._asked))
            return
        if do in DELAYS:
            self._tap.later(DELAYS[do], self._to, message)
            return
        self._tap.pass_on(self._to, message)
        if do is Do.DUPLICATE:
            self._tap.pass_on(self._to, message)
        elif do is Do.CRASH_AFTER:
            self._tap.crash()


def failure(asked: SendOrder | SendCancel | Asked) -> object:
    """Say what the adapter says when no answer came."""
    match asked:
        case SendOrder():
            return OutcomeUnknown(client_order_id=asked.client_order_id, detail="no answer in time")
        case SendCancel():
            return CancelFailed(
                client_order_id=asked.client_order_id, code=None, detail="no answer", cancel_id=asked.cancel_id
            )
        case _:
            return QueryFailed(query=asked, detail="no answer in time")


class Tap:
    """Stands between the daemon and the way to the venue."""

    def __init__(self, steps: Steps, link: Tells[Any], stage: Stage) -> None:
        self.steps, self._link, self._stage = steps, link, stage
        self._life: Life = stage.world.daemon_node.life

    def tell(self, message: Any, /) -> None:
        """Take what the daemon tells the venue."""
        match message:
            case SendOrder():
                kind = Kind.ORDER
            case SendCancel():
                kind = Kind.CANCEL
            case QueryOrder() | QueryOpenOrders() | QueryAllOrders() | QueryTrades() | QueryBalances():
                kind = Kind.QUERY
            case OpenUserStream():
                self._link.tell(replace(message, listener=_Back(self, message.listener, None)))
                return
            case ProbeStream() | _:
                self._link.tell(message)
                return
        do = self.steps.take(kind)
        back = replace(message, reply_to=_Back(self, message.reply_to, message))
        if do is Do.CRASH_BEFORE:
            self.crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            self.later(UNANSWERED_SECONDS, message.reply_to, failure(message))
        elif do in DELAYS:
            self._stage.sim.tell_after(DELAYS[do], self._link, back)
        else:
            self._link.tell(back)
            if do is Do.DUPLICATE and kind is not Kind.ORDER:  # What repeats an order on its way is out of scope.
                self._link.tell(back)
            elif do is Do.CRASH_AFTER:
                self.crash()

    def pass_on(self, to: Tells[Any], message: object) -> None:
        """Tell it to the daemon, if it still lives."""
        if not self._life.over:
            self._stage.sim.send(to, message)

    def later(self, seconds: float, to: Tells[Any], message: object) -> None:
        """Tell it to the daemon later."""
        self._stage.sim.tell_after(seconds, _Late(self, to), message)

    def crash(self) -> None:
        """Kill the daemon, if it still lives."""
        if not self._life.over:
            self._stage.world.daemon_node.crash()


class _Late:
    def __init__(self, tap: Tap, to: Tells[Any]) -> None:
        self._tap, self._to = tap, to

    def tell(self, message: object, /) -> None:
        self._tap.pass_on(self._to, message)


def a_stage(sim: Simulation, steps: Steps) -> Stage:
    """Make the world of the five slices, the second of which is lost on its way; the daemon is not started."""
    lost = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))
    stage = Stage(sim, lost, latency=LatencySettings(sigma=0.3), check_codec=False)
    world, start = stage.world, a_daemon()
    world.store = SteppedStore(steps, world.daemon_node.crash, world.store.journal_id)

    def start_tapped(observer: Any, *, venue: Any, **more: Any) -> Any:
        return start(observer, venue=Tap(steps, venue, stage), **more)

    world.start_daemon = start_tapped
    return stage


def play(sim: Simulation, steps: Steps, *, crash_at: int | None = None) -> Stage:
    """Work the five slices and cancel them near their end, whatever happens meanwhile; starting again is allowed."""
    stage = a_stage(sim, steps)
    world, node = stage.world, stage.world.daemon_node
    if crash_at is not None:
        node.crash_at(crash_at)
    _up(stage)
    world.send(BODY)
    began, cancelled, lives = sim.now(), False, node.crashes
    while stage.count("ExecutionClosed") == 0:
        due = 2.0 if stage.count("SignalAccepted") == 0 else max(0.1, began + CANCEL_AT - sim.now())
        sim.run_until(partial(_down_or_closed, stage, lives), due)
        if _down(stage, lives):
            _up(stage)
            lives = node.crashes
        if stage.count("SignalAccepted") == 0:
            world.send(BODY, "again")  # The sender that got no answer asks again.
        elif not cancelled and sim.now() >= began + CANCEL_AT - 0.001 and world.news.up is not None:
            cancelled = True
        if cancelled and stage.count("ExecutionCancelRequested") == 0 and world.news.up is not None:
            of = stage.lines("SignalAccepted")[0]["execution_id"]
            with suppress(NotConverged):
                world.command(CancelExecution(execution_id=of, reply_to=Ear([])))
            sim.run(0.5)
        assert sim.now() < began + 600.0, f"it came to no end: {stage.kinds()}"
    sim.run_until(partial(_down, stage, lives), LASTING_SECONDS)
    node.calm()
    if _down(stage, lives):
        _up(stage)
    return stage


def _down_or_closed(stage: Stage, crashes: int) -> bool:
    return _down(stage, crashes) or stage.count("ExecutionClosed") > 0


def _down(stage: Stage, crashes: int) -> bool:
    return stage.world.daemon_node.crashes > crashes or stage.world.news.ended is not None


def _up(stage: Stage) -> None:
    """Start the daemon, again and again if need be."""
    world, before = stage.world, stage.world.news.up is not None or stage.world.daemon_node.crashes > 0
    for _ in range(60):
        if before:
            world.crash()
            stage.run(1.0)
        before, lives = True, world.daemon_node.crashes
        with suppress(NotConverged):
            stage.start()
            if world.daemon_node.crashes == lives:  # The message by which it said so may have been its last.
                return
    raise AssertionError("it never came up again")
