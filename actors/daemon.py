"""The root of all actors: starts them bottom-up, proves that they are up, and stops them in reverse."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import assert_never

from pykka import ActorRef

from actors import letters
from actors.exchange.actor import ExchangeActor, ExchangeSettings
from actors.failures import Failures, never_up
from actors.follower import Follower
from actors.halts import CRASH_LOOP, INVARIANT, graver
from actors.journal import Journal, Store
from actors.letters import execution_of
from actors.market_watcher import MarketSettings, MarketWatcher
from actors.notifier import Notifier
from actors.order_watcher.actor import OrderWatcher, WatcherSettings
from actors.retention import RetentionSettings
from actors.runtime import Runtime, Timer, stop_soon
from actors.signal_gate.actor import SignalGate
from actors.signal_gate.limits import GateSettings
from actors.supervision import ChildFailed, ChildStopped, Parent
from actors.twap.settings import TwapSettings
from messages.control import (
    ActorReady,
    CancelEverything,
    CaughtUp,
    ClaimBroken,
    Committed,
    DaemonEnded,
    DaemonNews,
    DaemonStands,
    DaemonUp,
    EveryoneAnswered,
    ExecutionGivenUp,
    FactNews,
    InvariantBroken,
    JournalFailed,
    Ping,
    Pong,
    Readiness,
    ReadinessChanged,
    RecoverExecutions,
    ReportSettled,
    Settled,
    ShutDown,
    TroubleOver,
    TroubleSeen,
    WeightUsedUp,
)
from messages.execution import WaitsFor
from messages.facts import (
    AlertCleared,
    AlertRaised,
    EpochStarted,
    ExecutionQuarantined,
    Fact,
    PartFailed,
    RateLimited,
    StartRefused,
    TradingHalted,
    TradingResumed,
)
from messages.frozen import replace
from messages.market import ConnectMarket, WatchMarket
from messages.order import ConnectExchange, VenueCommand
from messages.refs import Tells

QUIET_START_SECONDS = 5.0
"""A start that takes longer says what it waits for, and again after as long."""

EXIT_OK, EXIT_ERROR, EXIT_UNAVAILABLE, EXIT_INVARIANT, EXIT_JOURNAL, EXIT_GAVE_UP = 0, 1, 69, 70, 74, 76


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """What the root needs to know, and what it hands on to each actor; durations in seconds."""

    mode: str = "paper"
    version: str = "0"
    start_seconds: float = 30.0
    drain_seconds: float = 20.0
    farewell_seconds: float = 2.0
    ping_seconds: float = 5.0
    silence_seconds: float = 20.0
    retention: RetentionSettings | None = None
    market: MarketSettings
    exchange: ExchangeSettings
    watcher: WatcherSettings
    gate: GateSettings
    twap: TwapSettings


@dataclass(frozen=True, slots=True)
class _Tick:
    """Time to ping everyone and to see who kept silent."""


@dataclass(frozen=True, slots=True)
class _StartTooSlow:
    """The time allowed for the start is over."""


@dataclass(frozen=True, slots=True)
class _StillStarting:
    """Time to say what the start waits for."""


@dataclass(frozen=True, slots=True)
class _DrainOver:
    """What is under way has had its time to settle."""


@dataclass(frozen=True, slots=True)
class _Farewell:
    """The last words and cancels have had their time."""


DaemonMessage = (
    FactNews
    | ActorReady
    | WeightUsedUp
    | Pong
    | Settled
    | ShutDown
    | JournalFailed
    | ExecutionGivenUp
    | ChildStopped
    | ChildFailed
    | _Tick
    | _StartTooSlow
    | _StillStarting
    | _DrainOver
    | _Farewell
)

JOURNAL, MARKET, EXCHANGE, WATCHER, GATE, NOTIFIER = (
    "journal",
    "market_watcher",
    "exchange_actor",
    "order_watcher",
    "signal_gate",
    "notifier",
)


class Daemon(Follower, Parent):
    """Starts everything, says how things stand, and ends the process when it must.

    `alerts` is told each alert once it is durable, `lookout` what due children wait for.
    `failed_before` says how the journal failed in an earlier life, if nobody has said since that it works again,
    `broken_before` which promise was broken in one that could not journal it, and `died_before` which part failed, in
    each of those since the others were last up.
    `observer` is told `DaemonUp`, `DaemonStands`, `EveryoneAnswered` and, last of all, `DaemonEnded`; once more
    if a promise is broken even behind that. A critical actor
    that fails or does not answer ends the daemon: recovery at the next start is the only restart.
    """

    max_restarts = 0

    def __init__(
        self,
        observer: Tells[DaemonNews],
        *,
        store: Store,
        venue: Tells[VenueCommand],
        market: Tells[WatchMarket],
        settings: DaemonSettings,
        alerts: Tells[AlertRaised | AlertCleared] | None = None,
        lookout: Tells[WaitsFor] | None = None,
        failed_before: str | None = None,
        broken_before: str | None = None,
        died_before: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._failed_before = failed_before
        self._lookout = lookout
        self._alerts = alerts
        self._observer, self._store, self._settings = observer, store, settings
        self._venue, self._market = venue, market
        self._readiness, self._halt = Readiness.STARTING, ""
        self._halt_reason: str | None = None
        self._limited_until: float | None = None
        self._weight_until: float | None = None
        self._word_timer: Timer | None = None
        self._broken_before, self._died_before = broken_before, died_before
        self._said = self._counted = False
        self._about = ""
        self._ends_when_said = False
        self._farewell: Timer | None = None
        self._drain_timer: Timer | None = None
        self._drain_until = 0.0
        self._failed = Failures()
        self._held_back = False  # The executions: what they ask for may be what the others fail of.
        self._epoch = 0
        self._quarantined: list[str] = []
        self._not_ready = {JOURNAL, MARKET, EXCHANGE, WATCHER, GATE, NOTIFIER}
        self._heard: dict[str, float] = {}
        self._owed: dict[str, int] = {}
        self._unheard: dict[str, None] = {}
        self._start_timer: Timer | None = None
        self._start_due = 0.0
        self._stopping: list[Hashable] = []
        self._ending: tuple[int, str] | None = None
        self._over = False

    # Starting -------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Begin; a root that cannot has ended the process."""
        try:
            super().on_start()
        except Exception as error:
            self._say_failed(error)
            raise

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the others along, and say that this is the end: nobody else can."""
        super().on_failure(exception_type, exception_value, traceback)
        self._say_failed(exception_value)

    def _say_failed(self, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            self._leave_dead_letters()
            detail = f"the root of all actors failed: {type(error).__name__}: {error}"
            self._observer.tell(DaemonEnded(exit_code=EXIT_ERROR, detail=detail, said=False))

    def begin(self) -> None:
        """Start the journal, and fold what the root itself must know from it; unless that is what fails."""
        refused = never_up(self._died_before)
        if refused is not None:
            if self._alerts is not None:  # No journal is there to have it first.
                self._alerts.tell(AlertRaised(kind="start_refused", subject="daemon", level="critical", text=refused))
            self._end(EXIT_GAVE_UP, refused)
            return
        self.use_journal(self.spawn(JOURNAL, Journal, store=self._store, retention=self._settings.retention))
        own = (EpochStarted, ExecutionQuarantined, PartFailed, StartRefused)
        self.follow(*own, TradingHalted, TradingResumed, RateLimited)
        self._allow_start()
        self._word_timer = self.runtime.tell_after(QUIET_START_SECONDS, self.actor_ref, _StillStarting())

    def on_receive(self, message: DaemonMessage) -> None:
        """Take one message; one that comes behind the end is as good as a dead letter."""
        if self._over:
            _heed_last(message, self.runtime, self._observer)
            return
        match message:
            case Pong(name, reading):
                self._on_pong(name, reading=reading)
            case Committed() | CaughtUp():
                self.on_news(message)
            case ActorReady(name):
                self._on_ready(name)
            case ChildStopped() | ChildFailed():
                super().on_receive(message)
            case _Tick():
                self._ping_everyone()
            case WeightUsedUp(until):
                self._weight_until = until
            case Settled(name):
                self._settled(name)
            case _DrainOver():
                self._stop_in_reverse()
            case ShutDown(reason, exit_code):
                self._drain(reason, exit_code)
            case JournalFailed():
                self._journal_failed(message)
            case ExecutionGivenUp():
                self._quarantine(message)
            case _StartTooSlow() | _StillStarting():
                self._look_at_the_start(message)
            case _Farewell():
                self._end_as_said()
            case _:
                assert_never(message)

    def _quarantine(self, given_up: ExecutionGivenUp) -> None:
        """Have journalled that an execution is left alone; the start after a failure finds out for itself."""
        of, detail, unreported = given_up.execution_id, given_up.detail, given_up.unreported
        if self._readiness is not Readiness.FAILED:
            self.append(ExecutionQuarantined(execution_id=of, detail=detail, unreported=unreported))

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold epochs, quarantines and halts."""
        match fact:
            case EpochStarted(epoch=epoch):
                self._epoch = epoch
            case ExecutionQuarantined(execution_id=execution_id):
                self._quarantined.append(execution_id)
            case PartFailed() | StartRefused():
                self._failed.fold(fact, at)
            case TradingHalted(reason=reason, detail=detail):
                self._halt, self._halt_reason = f"{reason}: {detail}" if detail else reason, reason
            case TradingResumed():
                self._halt, self._halt_reason = "", None
            case RateLimited(orders_only=False):
                self._limited_until = self.runtime.now() + fact.left(at, self.runtime.wall_time()).total_seconds()
            case _:
                pass

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Raise the epoch: from here on this process is the one that writes. Or refuse to start at all."""
        self._allow_start()  # The others begin to read.
        if self._died_before:
            self.append(self._failed.next("an earlier life", self._died_before[-1], self.runtime.wall_time()))
        refused = self._failed.refuses(self.runtime.wall_time())
        if refused is not None:
            self._refuse_to_start(refused)
            return
        epoch = EpochStarted(
            epoch=self._epoch + 1,
            journal_id=caught_up.journal_id,
            mode=self._settings.mode,
            version=self._settings.version,
        )
        poisoned = self._failed.poisoned(self.runtime.wall_time())
        if poisoned is not None and poisoned.execution_id not in self._quarantined:
            self.append(poisoned)
        self.append(epoch, *self._halts_at_start())
        self._held_back = self._halt_reason == CRASH_LOOP or self._failed.halts(self.runtime.wall_time()) is not None

    def _halts_at_start(self) -> Iterator[TradingHalted]:
        """Say what an earlier life could not, before anybody else is there to send something."""
        loop = self._failed.halts(self.runtime.wall_time())
        if self._broken_before is not None and graver(INVARIANT, self._halt_reason):
            yield TradingHalted(reason=INVARIANT, detail=self._broken_before)
        elif loop is not None and graver(CRASH_LOOP, self._halt_reason):
            yield TradingHalted(reason=CRASH_LOOP, detail=loop)

    def _refuse_to_start(self, refused: StartRefused) -> None:
        """Start nobody but who tells of it: whatever makes the others fail is still there."""
        self._ending = EXIT_GAVE_UP, refused.detail
        self.append(refused)
        self._say_farewell(refused.detail)

    def on_durable(self, fact: Fact) -> None:
        """Start the others once the epoch is durable; end once that is said which the next start must know."""
        match fact:
            case EpochStarted():
                self._start_the_others()
            case StartRefused():
                self._start_notifier()
            case TradingHalted(reason=reason):
                self._said = reason == INVARIANT
            case PartFailed():
                self._counted = self._readiness in (Readiness.FAILED, Readiness.DRAINING)
                if self._ends_when_said:
                    self._end_as_said()
            case _:
                pass

    def on_news_of(self, fact: Fact) -> None:
        """Open or shut the gate when trading is halted or resumed."""
        if self.caught_up and self._readiness in (Readiness.READY, Readiness.HALTED):
            self._stand(self._readiness_when_up())
            if self._held_back and not self._halt:
                self._recover_executions()

    def _start_the_others(self) -> None:
        settings, journal = self._settings, self.children[JOURNAL]
        notifier = self._start_notifier()
        self._heed_dead_letters(notifier)
        lookout = self._lookout
        market = self.spawn(MARKET, MarketWatcher, venue=self._market, settings=settings.market, lookout=lookout)
        exchange = self.spawn(
            EXCHANGE,
            ExchangeActor,
            journal=journal,
            venue=self._venue,
            settings=settings.exchange,
            troubles=notifier,
            lookout=lookout,
        )
        watching = replace(settings.watcher, symbols=settings.exchange.symbols)
        watcher = self.spawn(
            WATCHER, OrderWatcher, journal=journal, exchange=exchange, settings=watching, troubles=notifier
        )
        gate = self.spawn(
            GATE,
            SignalGate,
            journal=journal,
            exchange=exchange,
            market=market,
            settings=settings.gate,
            twap=settings.twap,
        )
        exchange.tell(ConnectExchange(watcher=watcher, gate=gate))
        market.tell(ConnectMarket(gate=gate, symbols=settings.gate.symbols))
        self._observer.tell(DaemonUp(gate=gate, exchange=exchange, journal=journal))
        self._ping_everyone()

    def _start_notifier(self) -> ActorRef[Notifier]:
        journal = self.children[JOURNAL]
        return self.spawn(NOTIFIER, Notifier, journal=journal, sink=self._alerts, failed_before=self._failed_before)

    def _heed_dead_letters(self, troubles: Tells[TroubleSeen | TroubleOver]) -> None:
        """Let nobody wait for an answer that cannot come, nor an outcome be lost without a word; until this ends."""
        over = "this start has read everything anew"
        troubles.tell(TroubleOver(kind="lost_message", subject=letters.SUBJECT, text=over))
        self.runtime.critical_letters = letters.WORDS
        self.runtime.on_dead_letter = partial(letters.heed, runtime=self.runtime, troubles=troubles)

    def _leave_dead_letters(self) -> None:
        self.runtime.critical_letters = ()
        self.runtime.on_dead_letter = partial(_heed_last, runtime=self.runtime, observer=self._observer)

    def _on_ready(self, name: str) -> None:
        self._not_ready.discard(name)
        if self._not_ready or self._readiness is not Readiness.STARTING:
            return
        if self._start_timer is not None:
            self._start_timer.cancel()
        if self._word_timer is not None:
            self._word_timer.cancel()
        readiness = self._readiness_when_up()
        self._stand(readiness)
        if not self._held_back:
            self._recover_executions()

    def _recover_executions(self) -> None:
        self._held_back = False
        self.children[GATE].tell(RecoverExecutions(tuple(self._quarantined)))

    def _readiness_when_up(self) -> Readiness:
        return Readiness.HALTED if self._halt else Readiness.READY

    def _stand(self, readiness: Readiness, detail: str = "") -> None:
        self._readiness = readiness
        detail = detail or self._halt
        for name in (EXCHANGE, GATE):
            if name in self.children:
                self.runtime.send(self.children[name], ReadinessChanged(readiness, detail))
        self._observer.tell(DaemonStands(readiness=readiness, detail=detail))

    # Heartbeats -----------------------------------------------------------------------------------

    def _ping_everyone(self) -> None:
        now, seconds, silence = self.runtime.now(), self._settings.ping_seconds, self._settings.silence_seconds
        self._unheard = {str(name): None for name in self.children}
        ping = Ping(self.actor_ref)
        for name, ref in self.children.items():
            heard, owed = self._heard.setdefault(str(name), now), self._owed.get(str(name), 0)
            # Not by a clock alone: while the whole process is stopped nobody is asked, nor answers.
            if now - heard > silence and owed * seconds >= silence:
                self._fail(str(name), EXIT_ERROR, f"{name} has not answered for {now - heard:.0f} s")
                return
            self._owed[str(name)] = owed + 1
            self.runtime.send(ref, ping)
        self.runtime.tell_after(seconds, self.actor_ref, _Tick())

    def _on_pong(self, name: str, *, reading: bool) -> None:
        self._heard[name] = self.runtime.now()
        self._owed[name] = 0
        if reading and self._readiness is Readiness.STARTING and self._start_timer is not None:
            self._allow_start()  # A long journal takes its time: patience begins when it is read.
        if self._unheard.pop(name, self) is None and not self._unheard:
            self._observer.tell(EveryoneAnswered())

    # Stopping -------------------------------------------------------------------------------------

    def _drain(self, reason: str, exit_code: int) -> None:
        if self._readiness is Readiness.FAILED:
            return  # The last cancels are under way, and the end comes with its own code.
        if self._readiness is Readiness.DRAINING or WATCHER not in self.children:
            self._end(exit_code, reason)
            return
        self._ending = exit_code, reason
        self._stand(Readiness.DRAINING, reason)
        if exit_code == EXIT_ERROR:  # What is no actor has failed: the adapter to the venue.
            self.append(self._failed.next("venue", reason, self.runtime.wall_time()))
        self._drain_until = self.runtime.now() + self._settings.drain_seconds
        self._drain_timer = self.runtime.tell_at(self._drain_until, self.actor_ref, _DrainOver())
        self.runtime.send(self.children[WATCHER], ReportSettled(self._drain_until, self.actor_ref))

    def _settled(self, name: str) -> None:
        """Once the orders are at rest have all senders answered, who may command until then; and then stop."""
        if name == WATCHER and GATE in self.children:
            self.runtime.send(self.children[GATE], ReportSettled(self._drain_until, self.actor_ref))
        else:
            self._stop_in_reverse()

    def _stop_in_reverse(self) -> None:
        """Stop all, once; unless something failed meanwhile, which ends it otherwise."""
        if self._readiness is not Readiness.DRAINING or self._stopping:
            return
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self._leave_dead_letters()
        self._stopping = list(self.children)
        self._stop_next()

    def _stop_next(self) -> None:
        if self._stopping:
            stop_soon(self.children[self._stopping[-1]])
        else:
            self._end_as_said()

    def child_stopped(self, name: Hashable) -> None:
        """Stop the next one, or take an unasked end for what it is: a failure."""
        if self._stopping and self._stopping[-1] == name:
            self._stopping.pop()
            self._stop_next()
        elif self._ending is None:
            self._fail(str(name), EXIT_ERROR, f"{name} stopped without being asked to")

    def child_ended(self, ended: ChildFailed | ChildStopped) -> None:
        """Take note of what it was about."""
        self._about = execution_of(ended.about) if isinstance(ended, ChildFailed) else ""
        super().child_ended(ended)

    def give_up(self, name: Hashable, cause: BaseException) -> None:
        """End the process: a critical actor has failed. After a broken promise, the next one starts halted."""
        code = EXIT_INVARIANT if isinstance(cause, InvariantBroken | ClaimBroken) else EXIT_ERROR
        self._fail(str(name), code, f"{name} failed: {type(cause).__name__}: {cause}")

    def _fail(self, name: str, code: int, detail: str) -> None:
        """End once the journal has what the next start must know, or when that has had its time."""
        if self._readiness is Readiness.FAILED:  # The end is under way already, and for a reason that came first.
            if code == EXIT_INVARIANT and name != JOURNAL and self._ending is not None and self._ending[0] != code:
                self._ending = code, detail  # This one is graver.
                self._say_last(name, code, detail)
            return
        self._ending = code, detail
        self._stopping.clear()
        self._ends_when_said = True
        self._said = not graver(INVARIANT, self._halt_reason)
        if name == JOURNAL or JOURNAL not in self.children:
            self._end(code, detail)
            return
        self._say_last(name, code, detail)
        self._say_farewell(detail)

    def _say_last(self, part: str, code: int, detail: str) -> None:
        """Have journalled what failed, and the halt that a broken promise asks for."""
        broken = code == EXIT_INVARIANT
        failed = self._failed.next(part, detail, self.runtime.wall_time(), of=self._about, told=broken)
        self._said = not graver(INVARIANT, self._halt_reason)
        halt = (TradingHalted(reason=INVARIANT, detail=detail),) if broken and not self._said else ()
        self.append(*halt, failed)

    def _waits_for_venue(self) -> bool:
        """Whether the venue might not be asked until a moment that is less than a start ago."""
        if self._readiness is not Readiness.STARTING:
            return False
        moments = (self._limited_until, self._weight_until)
        return any(until is not None and self.runtime.now() - until < self._settings.start_seconds for until in moments)

    def _allow_start(self) -> None:
        """Give the start its time, from now on."""
        if self._start_timer is not None:
            self._start_timer.cancel()
        self._start_due = self.runtime.now() + self._settings.start_seconds
        self._start_timer = self.runtime.tell_at(self._start_due, self.actor_ref, _StartTooSlow())

    def _look_at_the_start(self, timer: _StartTooSlow | _StillStarting) -> None:
        """Break the silence of a start that takes long, again and again; end one that takes too long."""
        if self._readiness is not Readiness.STARTING:
            return
        if isinstance(timer, _StillStarting):
            self._observer.tell(DaemonStands(readiness=Readiness.STARTING, detail=f"waiting for {self._waits_for()}"))
            self._word_timer = self.runtime.tell_after(QUIET_START_SECONDS, self.actor_ref, _StillStarting())
        elif self.runtime.now() < self._start_due:
            pass  # It was given more time when this was in the mailbox already.
        elif self._waits_for_venue():
            self._allow_start()
        else:
            self._end(EXIT_UNAVAILABLE, f"not ready in time: still waiting for {self._waits_for()}")

    def _waits_for(self) -> str:
        if GATE not in self.children:
            return "the journal to be read"
        waiting = ", ".join(sorted(self._not_ready))
        for until, why in (
            (self._limited_until, "the venue wants to hear nothing"),
            (self._weight_until, "the weight of requests is used up"),
        ):
            if until is not None and (left := until - self.runtime.now()) > 0:
                return f"{waiting} ({why} for another {left:.0f} s)"
        return waiting

    def _journal_failed(self, failure: JournalFailed) -> None:
        detail = f"the journal failed: {failure.detail}"
        ending = self._readiness is Readiness.FAILED  # For a reason that came first, whose last words are lost.
        self._pending.clear()
        self._ends_when_said = False  # The last cancels have their time.
        if failure.invariant:
            self._ending = EXIT_INVARIANT, detail
            self._say_last(JOURNAL, EXIT_INVARIANT, detail)
        elif not ending:
            self._ending = EXIT_JOURNAL, detail  # Also if it failed while the daemon was stopping.
        if EXCHANGE in self.children:
            self.runtime.send(self.children[EXCHANGE], CancelEverything(detail))
        if NOTIFIER in self.children:
            self.runtime.send(self.children[NOTIFIER], failure)
        if not ending:
            self._say_farewell(detail)

    def _say_farewell(self, detail: str) -> None:
        """Let nothing more out, and end after a while if nothing ends it sooner."""
        self._stand(Readiness.FAILED, detail)
        self._farewell = self.runtime.tell_after(self._settings.farewell_seconds, self.actor_ref, _Farewell())

    def _end_as_said(self) -> None:
        self._end(*(self._ending or (EXIT_OK, "")))

    def _end(self, exit_code: int, detail: str) -> None:
        if self._over:
            return
        self._over = True
        self._leave_dead_letters()
        if self._farewell is not None:
            self._farewell.cancel()
        said = {EXIT_INVARIANT: self._said, EXIT_ERROR: self._counted}.get(exit_code, True)
        self._observer.tell(DaemonEnded(exit_code=exit_code, detail=detail, said=said))
        self.stop()


def _heed_last(letter: object, runtime: Runtime, observer: Tells[DaemonNews]) -> None:
    """Answer a command that nobody comes to any more; tell of a promise whose break the root cannot. For any thread."""
    letters.answer(letter, runtime)
    match letter:
        case ChildFailed(name=name, cause=InvariantBroken() | ClaimBroken() as cause):
            detail = f"{name} failed: {type(cause).__name__}: {cause}"
        case JournalFailed(detail=why, invariant=True):
            detail = f"the journal failed: {why}"
        case _:
            return
    observer.tell(DaemonEnded(exit_code=EXIT_INVARIANT, detail=detail, said=False))
