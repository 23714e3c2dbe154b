"""One run of the campaign: a scenario played through a weather, and what the audit says of it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pykka

from actors.runtime import EPOCH, Simulation
from adapters.campaign.clocks import ClockLog
from adapters.campaign.troubles import UNBEARABLE, Troubles
from adapters.campaign.weather import Level, Trouble, Weather, burst, draw_weather, named
from adapters.intake.signals import verdict_object
from adapters.paper.audit import Limits, audit
from adapters.paper.exchange import PaperSettings
from adapters.paper.faults import FaultPlan
from adapters.paper.venue import HOT_SECONDS
from adapters.scenarios import Scenario, TimedSignal, drawn
from adapters.simulation import SELDOM_SECONDS, Answer, StartDaemon, World, parse_export, stamped
from messages.control import Readiness, ResumeTrading
from messages.execution import CommandAnswer, ResumeExecution
from messages.facts import (
    ChildAbsent,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ExecutionPaused,
    ExecutionResumed,
    TradingHalted,
)
from messages.ids import microseconds

TRANSIT_SECONDS = 12.0
"""A crash may hold up what is under way by 10 s, and a stalled actor by a little more."""

CANCELLED_LATE = 0.5
"""How probably a timer that is nearly due is cancelled too late: its message is in the mailbox then."""

SETTLE_SECONDS = 1800.0
OPERATOR_SECONDS = 5.0
PATIENCE_SECONDS = 10.0
REST_SECONDS = 60.0
REST_SHARE = 0.05
SHORT_HOT_SECONDS = 0.25
"""How often the market of a short scenario shows what somebody waits for."""
MENDED = (0, 69, 74)
"""Exit codes that trouble may cause: stopped, not ready in time, journal lost."""


class Hopeless(Exception):
    """The daemon has ended in a way that no trouble excuses: there is no point in going on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordeal:
    """What became of one run: nothing in `violations` if all held. Figures count what happened."""

    seed: int
    level: Level
    weather: tuple[str, ...]
    converges: bool
    violations: tuple[str, ...]
    figures: Counter[str]
    seconds: float
    journal: bytes = b""
    story: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was broken."""
        return not self.violations


def endure(
    seed: int,
    level: Level,
    start_daemon: StartDaemon,
    *,
    paper: PaperSettings | None = None,
    remembered: int = 0,
    weather: Weather | None = None,
    scenario: Scenario | None = None,
) -> Ordeal:
    """Play one seed, and judge it. `remembered` is how many messages its story tells; without any it has no journal.

    Whoever wants to know more of a seed that has failed plays it again: it takes the same course.
    """
    scenario = scenario or drawn(seed)
    with Simulation(seed) as sim:
        sim.remember(remembered)
        weather = weather or draw_weather(sim.stream("faults"), level, scenario)
        sim.cancel_late(0.0 if weather.steady else CANCELLED_LATE)
        course = Course(sim, scenario, weather, start_daemon, paper or PaperSettings())
        try:
            course.play()
        except Hopeless as error:
            course.broken.append(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, this seed has failed and the next shall run
            course.broken.append(f"{type(error).__name__}: {error}")
        course.judge_failures()
        told = bool(course.broken or remembered)
        ordeal = Ordeal(
            seed=seed,
            level=level,
            weather=weather.names,
            converges=weather.converges,
            violations=tuple(course.broken),
            figures=course.figures(),
            seconds=sim.now(),
            journal=course.world.export() if told else b"",
            story=sim.story() if told else "",
        )
        course.world.daemon_node.crash()
        sim.claim_failures()
        return ordeal


class Due(NamedTuple):
    """What will be done, `at` a moment of virtual time; numbers differ, so `do` is never compared."""

    at: float
    number: int
    do: Callable[[], None]


@dataclass(slots=True)
class _Ear:
    """Hears the answer to a command."""

    life: int
    answers: list[CommandAnswer] = field(default_factory=list)

    def tell(self, message: CommandAnswer, /) -> None:
        self.answers.append(message)


def _never() -> bool:
    return False


class Course:
    """Drives one world: senders, an operator, a service manager, and the weather."""

    def __init__(
        self, sim: Simulation, scenario: Scenario, weather: Weather, start_daemon: StartDaemon, paper: PaperSettings
    ) -> None:
        self.sim, self.weather, self.scenario = sim, weather, scenario
        self.chance = sim.stream("course")
        self.plan = FaultPlan(weather.faults, sim.stream("strikes"))
        narrow = scenario.short and paper.markets.market == "synthetic"
        self.world = World(
            sim,
            start_daemon,
            paper,
            latency=weather.latency,
            faults=self.plan,
            cold_seconds=SELDOM_SECONDS,
            hot_seconds=SHORT_HOT_SECONDS if scenario.short else HOT_SECONDS,
            symbols=named(scenario) if narrow else (),
        )
        self.clocks = ClockLog()
        self.broken: list[str] = []
        self.troubles = Troubles(self)
        self.lives = 0
        self.clear = False
        self._agenda: list[Due] = []
        self._numbers = 0
        self._running = False
        self._sent: list[tuple[int, Answer]] = []
        self._waiting: list[tuple[float, TimedSignal, Answer]] = []
        self._ears: list[_Ear] = []
        self._read = 0
        self._open: dict[str, None] = {}
        self._paused: dict[str, None] = {}

    # The course of things -------------------------------------------------------------------------

    def play(self) -> None:
        """Play it all, to its end or as far as safety can be asked, and judge it."""
        if self.weather.skew_seconds:
            self.troubles.set_skew(self.weather.skew_seconds)
        self._begin()
        began = self.sim.now()
        for signal in self.scenario.signals:
            self.at(began + signal.at, partial(self._send, signal))
        for happening in self.weather.happenings:
            if happening.trouble is Trouble.BURST:
                for signal in burst(self.chance, happening, self.scenario):
                    self.at(began + signal.at, partial(self._send, signal))
            else:
                self.at(began + happening.at, partial(self.troubles.begin, happening))
        faulty = began + self.weather.ends_at
        if not self.weather.converges:
            self._run(faulty + self.weather.safety_seconds)
            self._judge("safety", Limits(**self._tolerances()))
            return
        self._run(faulty)
        quiet = self._clear_up()
        last = max((due.at for due in self._agenda), default=0.0)
        allowed = SETTLE_SECONDS + self.clocks.daemon_steps
        if not self._run(max(faulty, last) + allowed, self._settled):
            self.broken.append(f"L1 not at rest after {allowed:.0f} s: {self._still_open()}")
        self._run(self.sim.now() + 3.0)
        self._stop()
        since = microseconds(EPOCH + timedelta(seconds=max(quiet, self._ready_since)))
        until = microseconds(EPOCH + timedelta(seconds=self.sim.now()))
        answered = microseconds(EPOCH + timedelta(seconds=began)) if self.weather.answers else since
        limits = Limits(**self._tolerances(), quiet_since=since, until=until, answered_since=answered)
        self._judge("converged", limits)
        self._rest()

    def at(self, moment: float, do: Callable[[], None]) -> Due:
        """Do something when virtual time has come so far."""
        self._numbers += 1
        due = Due(moment, self._numbers, do)
        heapq.heappush(self._agenda, due)
        return due

    def withdraw(self, dues: Collection[Due]) -> None:
        """Take from the agenda what is still to come of these."""
        self._agenda = [due for due in self._agenda if due not in dues]
        heapq.heapify(self._agenda)

    def _run(self, until: float, over: Callable[[], bool] | None = None) -> bool:
        """Let time pass and do what is due; True as soon as `over`, False at `until`."""
        while True:
            horizon = min(self._agenda[0].at, until) if self._agenda else until
            self.sim.run_until(self._happened(over), max(0.0, horizon - self.sim.now()))
            if self._down():
                self._went_down()
            elif over is not None and over():
                return True
            elif self._agenda and self._agenda[0].at <= min(until, self.sim.now()):
                heapq.heappop(self._agenda).do()
            elif self.sim.now() >= until:
                return False

    def _happened(self, over: Callable[[], bool] | None) -> Callable[[], object]:
        """Make what is asked after each message, until the next thing is done: whether it is down, or `over`."""
        if not self._running:
            return over or _never
        ends = self.world.news.ends
        return ends.__len__ if over is None else lambda: ends or over()

    # The daemon's life, as a service manager sees it ----------------------------------------------

    def up(self) -> bool:
        """Whether the daemon runs and answers."""
        return self._running and self.world.news.up is not None and not self._down()

    def _down(self) -> bool:
        return self._running and bool(self.world.news.ends)

    def _begin(self) -> None:
        self.lives += 1
        self._running = True
        self._ready_since = self.sim.now()
        self.world.launch()

    def _went_down(self) -> None:
        ended, self._running = self.world.news.ended, False
        if ended is not None:
            if ended.exit_code not in MENDED:
                raise Hopeless(f"the daemon ended with {ended.exit_code}: {ended.detail}")
            self.world.daemon_node.crash()
        self.world.store.reopen()
        self._send_again()
        wait = 1.0 if self.clear else self.chance.choice((0.0, self.chance.uniform(0.0, 20.0)))
        self.at(self.sim.now() + wait, self._begin)

    def _stop(self) -> None:
        """Stop it in order; the exit must be a good one."""
        if not self.up():
            self.broken.append("the daemon is not up in the end")
            return
        ended = self.world.stop()
        self._running = False
        if ended.exit_code:
            self.broken.append(f"the daemon ended with {ended.exit_code}: {ended.detail}")

    def _rest(self) -> None:
        """Start once more, where nothing is left to do: nothing must be done."""
        if self.broken or self.chance.random() > REST_SHARE:
            return
        facts, requests = self.world.store.last_seq(), len(self.world.exchange.truth()["received"])
        self.world.daemon_node.crash()
        self._agenda.clear()
        self._begin()
        self._run(self.sim.now() + REST_SECONDS)
        told = [type(one.fact).__name__ for one in self.world.store.read(facts)]
        asked = len(self.world.exchange.truth()["received"]) - requests
        if asked or any(kind not in {"EpochStarted", "AlertRaised", "AlertCleared"} for kind in told):
            self.broken.append(f"Q7 a restart at rest sent {asked} orders and journalled {told}")
        self._stop()

    # Senders and operator -------------------------------------------------------------------------

    def _send(self, signal: TimedSignal) -> None:
        """Hand a signal in; a sender that finds nobody, or nobody ready, comes again."""
        starting = self.world.news.readiness is Readiness.STARTING
        if not self.up() or (starting and self.chance.random() < 0.8):
            self.at(self.sim.now() + self.chance.uniform(0.5, 5.0), partial(self._send, signal))
            return
        try:
            answer = self.world.send(stamped(signal, self.sim))
        except pykka.ActorDeadError:  # It is about to end.
            self.at(self.sim.now() + 1.0, partial(self._send, signal))
            return
        self._sent.append((self.lives, answer))
        self._waiting.append((self.sim.now(), signal, answer))

    def _send_again(self) -> None:
        """Most senders that a life has left without an answer ask once more, a while after they first did."""
        for sent, signal, answer in self._waiting:
            if answer.verdict is None and self.chance.random() < 0.8:
                self.at(max(self.sim.now(), sent + PATIENCE_SECONDS), partial(self._send, signal))
        self._waiting.clear()

    def ear(self) -> _Ear:
        """Make somebody who hears the answer to a command."""
        ear = _Ear(self.lives)
        self._ears.append(ear)
        return ear

    def _clear_up(self) -> float:
        """End all trouble; return the moment from which on nothing of it shows any more."""
        self.clear = True
        self.plan.end()
        self.troubles.end()
        self._mend()
        return self.sim.now() + self.weather.longest_effect + TRANSIT_SECONDS

    def _mend(self) -> None:
        """What an operator does who looks in from time to time: lift halts, let paused executions go on."""
        with suppress(pykka.ActorDeadError):  # It is about to end.
            if self.up():
                self._lift_what_is_held()
        self.at(self.sim.now() + OPERATOR_SECONDS, self._mend)

    def _lift_what_is_held(self) -> None:
        news = self.world.news
        if news.readiness is Readiness.HALTED and news.up is not None:
            news.up.exchange.tell(ResumeTrading(detail="looked into"))
            self._ready_since = self.sim.now()
        self._follow()
        for execution_id in self._paused:
            if execution_id in news.open:
                self.world.command(ResumeExecution(execution_id=execution_id, reply_to=self.ear()))
                self._ready_since = self.sim.now()

    # What is still open ---------------------------------------------------------------------------

    def _follow(self) -> None:
        """Read what has become durable since the last look."""
        for committed in self.world.store.committed[self._read :]:
            match committed.fact:
                case ChildIntended(client_order_id=child):
                    self._open[child] = None
                case ChildClosed() | ChildRefused() | ChildNotSent() | ChildAbsent() as ended:
                    self._open.pop(ended.client_order_id, None)
                case ExecutionPaused(execution_id=execution_id):
                    self._paused[execution_id] = None
                case ExecutionResumed(execution_id=execution_id):
                    self._paused.pop(execution_id, None)
                case TradingHalted(reason="INVARIANT") as halted:
                    self.broken.append(f"halted: {halted.detail}")
                case _:
                    pass
        self._read = len(self.world.store.committed)

    def _settled(self) -> bool:
        news, store = self.world.news, self.world.store
        if news.open or news.readiness is not Readiness.READY or not self.up():
            return False
        if self._read != len(store.committed):
            self._follow()
        if self._open or any(due.do != self._mend for due in self._agenda):
            return False
        return not any(answer.verdict is None and life == self.lives for life, answer in self._sent)

    def _still_open(self) -> str:
        silent = [answer.name for life, answer in self._sent if answer.verdict is None and life == self.lives]
        news = self.world.news
        return (
            f"{news.readiness}, executions {sorted(news.open)}, children {sorted(self._open)}, "
            f"without verdict {silent}, {len(self._agenda)} due"
        )

    # Judging --------------------------------------------------------------------------------------

    def _tolerances(self) -> dict[str, Any]:
        settings = self.world.paper.limits
        steps = timedelta(seconds=self.clocks.daemon_steps)
        return {
            "transit": timedelta(seconds=TRANSIT_SECONDS),
            "clock_error": timedelta(seconds=1 + self.clocks.venue_steps),
            "wall_steps": steps,
            "venue_set": self.clocks.venue_steps > 0,
            "end_within": Limits().end_within + steps,
            "order_limits": () if self.clocks.touched else ((10, settings.orders_per_10_seconds),),
        }

    def _judge(self, mode: Any, limits: Limits) -> None:
        self._follow()
        lines, truth = parse_export(self.world.export()), self.world.exchange.truth()
        if self.clocks.touched:
            lines, truth = self.clocks.journal(lines), self.clocks.truth(truth)
        answered = [answer.verdict for life, answer in self._sent if answer.verdict or life == self.lives]
        found = audit(
            lines,
            truth,
            mode=mode,
            limits=limits,
            initial_balances=self.world.paper.balances,
            verdicts={
                str(number): [verdict_object(verdict)] if verdict else []
                for number, verdict in enumerate(answered)
                if verdict or mode == "converged"
            },
        )
        self.broken += [f"{one.rule} {one.subject}: {one.text}" for one in found.violations]
        if mode == "converged":
            silent = sum(not ear.answers for ear in self._ears if ear.life == self.lives)
            if silent:
                self.broken.append(f"{silent} commands without an answer")
        if any(len(ear.answers) > 1 for ear in self._ears):
            self.broken.append("a command with two answers")

    def judge_failures(self) -> None:
        """Count actors that failed without having been made to."""
        for failure in self.sim.claim_failures():
            if failure.message != UNBEARABLE:
                self.broken.append(f"{failure.actor} failed: {type(failure.error).__name__}: {failure.error}")

    def figures(self) -> Counter[str]:
        """Count what happened."""
        kinds = Counter(type(one.fact).__name__ for one in self.world.store.committed)
        figures: Counter[str] = Counter(
            {
                "facts": kinds.total(),
                "executions": kinds["SignalAccepted"],
                "children": kinds["ChildIntended"],
                "unknown outcomes": kinds["ChildUnknown"],
                "proven absent": kinds["ChildAbsent"],
                "trades": kinds["TradeBooked"],
                "starts": self.lives,
            }
        )
        figures["faults"] = self.plan.struck.total() + len(self.weather.happenings)
        for kind, count in self.plan.struck.items():
            figures[f"fault {kind.value}"] = count
        for happening in self.weather.happenings:
            figures[f"fault {happening.trouble.value}"] += 1
        return figures


def weather_of(seed: int, level: Level, scenario: Scenario) -> Weather:
    """Draw the weather that a seed has."""
    return draw_weather(Simulation(seed).stream("faults"), level, scenario)


def without(weather: Weather, name: str) -> Weather:
    """Leave one kind of fault or trouble out, to find what a failure needs."""
    return replace(
        weather,
        faults=tuple(fault for fault in weather.faults if fault.kind.value != name),
        happenings=tuple(one for one in weather.happenings if one.trouble.value != name),
    )
