"""Every step in which a simulated daemon touches the world, counted, and something done at one of them.

A step is an append to the store, whatever the venue is told, its answer, or what comes on a stream: of the account, of
the market, of the use of limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from messages.control import Committed, Readiness, ResumeTrading, StoreFailed
from messages.execution import CancelExecution
from messages.market import WatchMarket
from messages.order import (
    CancelFailed,
    OpenUserStream,
    OutcomeUnknown,
    ProbeStream,
    Query,
    QueryAllOrders,
    QueryBalances,
    QueryFailed,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    ReportLimits,
    SendCancel,
    SendOrder,
    VenueCommand,
)
from messages.refs import Tells
from tests.simulation.whole import Ear, Stage, a_daemon

Asked = SendOrder | SendCancel | Query
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
    READ = "reading of the journal"
    ORDER = "order"
    CANCEL = "cancel"
    QUERY_ORDER = "query of an order"
    QUERY_OPEN_ORDERS = "query of open orders"
    QUERY_ALL_ORDERS = "query of all orders"
    QUERY_TRADES = "query of trades"
    QUERY_BALANCES = "query of balances"
    QUERY_RULES = "query of rules"
    QUERY_TIME = "query of the time"
    PROBE = "probe of the user stream"
    OPEN = "opening of the user stream"
    WATCH = "opening of a market stream"
    LIMITS = "opening of what is told of limits"
    ANSWER = "answer"
    EVENT = "event of the user stream"
    MARKET = "event of a market stream"
    USE = "word on the use of limits"


KINDS: dict[type, Kind] = {
    SendOrder: Kind.ORDER,
    SendCancel: Kind.CANCEL,
    QueryOrder: Kind.QUERY_ORDER,
    QueryOpenOrders: Kind.QUERY_OPEN_ORDERS,
    QueryAllOrders: Kind.QUERY_ALL_ORDERS,
    QueryTrades: Kind.QUERY_TRADES,
    QueryBalances: Kind.QUERY_BALANCES,
    QueryRules: Kind.QUERY_RULES,
    QueryTime: Kind.QUERY_TIME,
    ProbeStream: Kind.PROBE,
    OpenUserStream: Kind.OPEN,
    WatchMarket: Kind.WATCH,
    ReportLimits: Kind.LIMITS,
}
"""What each command to the venue is a step of."""


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

EXCLUDED: dict[tuple[Do, Kind], str] = {
    (Do.DUPLICATE, Kind.ORDER): "TLS forbids it: the exchange would execute the second copy under the same id",
    (Do.DUPLICATE, Kind.READ): "what is read twice is the same",
}
"""What is not done, and why: there the step is left alone."""


@dataclass
class Steps:
    """Counts the steps of a run; at step `at` (from 1) it tells to `do` something, and with `lasting` at each later
    one of the same kind for half a minute."""

    sim: Simulation
    at: int = 0
    do: Do = Do.CRASH_AFTER
    lasting: bool = False
    taken: list[Kind] = field(default_factory=list)
    lives: list[Any] = field(default_factory=list)
    """What was heard of each daemon that was started."""
    _kind: Kind | None = None
    _until: float = 0.0

    def take(self, kind: Kind) -> Do | None:
        """Count a step, and say what is to be done at it."""
        self.taken.append(kind)
        if len(self.taken) == self.at:
            self._kind, self._until = kind, self.sim.now() + LASTING_SECONDS
            return self._allowed(kind)
        if self.lasting and kind is self._kind and self.sim.now() < self._until:
            return self._allowed(kind)
        return None

    def ends(self) -> set[int]:
        """The exit codes of the daemons that came to an end."""
        return {life.ended.exit_code for life in self.lives if life.ended is not None}

    def _allowed(self, kind: Kind) -> Do | None:
        return None if (self.do, kind) in EXCLUDED else self.do


class SteppedStore(MemoryStore):
    """A store whose appends and reads are steps. (Nothing is archived in the first quarter of an hour.)"""

    def __init__(self, steps: Steps, crash: Callable[[], None], journal_id: str) -> None:
        super().__init__(journal_id, check_codec=False)
        self._steps, self._crash = steps, crash

    def append(self, records: Sequence[Committed]) -> None:
        do = self._steps.take(Kind.APPEND)
        if do is Do.CRASH_BEFORE:
            self._crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            self.fail_next(StoreFailed("the disk is full"), stored=do is Do.FAIL_STORED)
        self.append_seconds = DELAYS.get(do, 0.0) if do is not None else 0.0
        super().append(records)
        if do is Do.DUPLICATE:
            super().append(records)
        elif do is Do.CRASH_AFTER:
            self._crash()

    def read(self, *what: Any, **which: Any) -> Iterator[Committed]:
        """Read; what a test reads, outside of the daemon, is no step."""
        do = None if self._steps.sim.here is None else self._steps.take(Kind.READ)
        if do is Do.CRASH_BEFORE:
            self._crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            raise StoreFailed("the disk cannot be read")
        elif do in DELAYS and self.wait is not None:
            self.wait(DELAYS[do])
        yield from super().read(*what, **which)
        if do is Do.CRASH_AFTER:
            self._crash()


class _Back:
    """Where an answer, or what comes on a stream, comes back to."""

    def __init__(self, tap: Tap, to: Tells[Any], kind: Kind, asked: Asked | None = None) -> None:
        self._tap, self._to, self._kind, self._asked = tap, to, kind, asked

    def is_alive(self) -> bool:
        """Whether anybody listens still."""
        return not self._tap.over

    def tell(self, message: object, /) -> None:
        do = self._tap.steps.take(self._kind)
        if do is Do.CRASH_BEFORE:
            self._tap.crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            if self._asked is not None:
                self._tap.later(UNANSWERED_SECONDS, self._asked.reply_to, failure(self._asked))
        elif do in DELAYS:
            self._tap.later(DELAYS[do], self._to, message)
        else:
            self._tap.pass_on(self._to, message)
            if do is Do.DUPLICATE:
                self._tap.pass_on(self._to, message)
            elif do is Do.CRASH_AFTER:
                self._tap.crash()


def failure(asked: Asked) -> object:
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
        self._backs: dict[int, _Back] = {}

    @property
    def over(self) -> bool:
        """Whether the daemon that this stands before has ended."""
        return self._life.over

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        """Take what the daemon tells the venue."""
        do, back = self.steps.take(KINDS[type(message)]), self._with_a_way_back(message)
        if do is Do.CRASH_BEFORE:
            self.crash()
        elif do in {Do.FAIL, Do.FAIL_STORED}:
            self._fail(message)
        elif do in DELAYS:
            self._stage.sim.tell_after(DELAYS[do], self._link, back)
        else:
            self._link.tell(back)
            if do is Do.DUPLICATE:
                self._link.tell(back)
            elif do is Do.CRASH_AFTER:
                self.crash()

    def _fail(self, message: VenueCommand | WatchMarket) -> None:
        """Do what the adapter does: it says that no answer came, and opens streams again by itself."""
        match message:
            case OpenUserStream() | WatchMarket() | ReportLimits():
                self.later(UNANSWERED_SECONDS, self, message)
            case ProbeStream():
                pass
            case _:
                self.later(UNANSWERED_SECONDS, message.reply_to, failure(message))

    def _with_a_way_back(self, message: VenueCommand | WatchMarket) -> VenueCommand | WatchMarket:
        match message:
            case OpenUserStream():
                return replace(message, listener=self._listener(message.listener, Kind.EVENT))
            case WatchMarket():
                return replace(message, listener=self._listener(message.listener, Kind.MARKET))
            case ReportLimits():
                return replace(message, listener=self._listener(message.listener, Kind.USE))
            case ProbeStream():
                return message
            case _:
                back: Any = _Back(self, message.reply_to, Kind.ANSWER, message)
                return replace(message, reply_to=back)

    def _listener(self, to: Tells[Any], kind: Kind) -> _Back:
        """Be the same to the venue for the same listener."""
        return self._backs.setdefault(id(to), _Back(self, to, kind))

    def pass_on(self, to: Tells[Any], message: object) -> None:
        """Tell it to the daemon, if it still lives."""
        if not self.over:
            self._stage.sim.send(to, message)

    def later(self, seconds: float, to: Tells[Any], message: object) -> None:
        """Tell it to the daemon later."""
        self._stage.sim.tell_after(seconds, _Late(self, to), message)

    def crash(self) -> None:
        """Kill the daemon, if it still lives."""
        if not self.over:
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

    def start_tapped(observer: Any, *, venue: Any, market: Any, **more: Any) -> Any:
        steps.lives.append(observer)
        return start(observer, venue=Tap(steps, venue, stage), market=Tap(steps, market, stage), **more)

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
    """Start the daemon, again and again if need be, and lift the halt that stands after a broken promise."""
    world, before = stage.world, stage.world.news.up is not None or stage.world.daemon_node.crashes > 0
    for _ in range(60):
        if before:
            world.crash()
            stage.run(1.0)
        before, lives = True, world.daemon_node.crashes
        with suppress(NotConverged):
            stage.start()
            if world.daemon_node.crashes == lives:  # The message by which it said so may have been its last.
                if world.news.readiness is Readiness.HALTED and world.news.up is not None:
                    world.news.up.exchange.tell(ResumeTrading(detail="looked into"))
                return
    raise AssertionError("it never came up again")
