"""A whole daemon in virtual time against the paper exchange: one run, from signals to the audit."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, assert_never

import orjson
import pykka

from actors.runtime import Simulation
from adapters import exits
from adapters.console import as_json, show
from adapters.intake.signals import decode_signal, verdict_object
from adapters.paper.audit import Audit, Mode, audit
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.faults import FaultPlan
from adapters.paper.liquidity.base import Liquidity
from adapters.paper.venue import COLD_SECONDS, HOT_SECONDS, LatencySettings, PaperVenue, VenueLink
from adapters.scenarios import Scenario, TimedSignal, drawn, scenario_of, tour
from adapters.storage.codec import export_line
from adapters.storage.memory import MemoryStore
from adapters.terminal import report_view
from adapters.views import view_of
from messages.control import (
    CaughtUp,
    Committed,
    DaemonEnded,
    DaemonNews,
    DaemonStands,
    DaemonUp,
    EveryoneAnswered,
    FactNews,
    Follow,
    JournalCommand,
    Readiness,
    ShutDown,
)
from messages.execution import ExecutionCommand
from messages.facts import ExecutionClosed, ExecutionQuarantined, SignalAccepted
from messages.frozen import replace
from messages.ids import microseconds
from messages.market import WatchMarket
from messages.order import VenueCommand
from messages.refs import Tells
from messages.signal import Signal, SignalReceived, Verdict

START_SECONDS = 60.0
STOP_SECONDS = 60.0
MOST_TOLD = 100
SELDOM_SECONDS = 4.5
"""How often runs show symbols that nobody waits for: a quote is good for 5 s, and looking was half the work."""


MakeMarkets = Callable[[int], Mapping[str, Liquidity]]
"""Makes the markets of a run, by symbol, that begin at a moment (microseconds since 1970)."""


class NotConverged(Exception):
    """A run did not come to its end in the time allowed; the text says what was still open."""


class StartDaemon(Protocol):
    """Starts a daemon on what it is given; only run.py, which knows all actors, has one."""

    def __call__(
        self,
        observer: Tells[DaemonNews],
        *,
        store: MemoryStore,
        venue: Tells[VenueCommand],
        market: Tells[WatchMarket],
        symbols: Sequence[str] = (),
    ) -> pykka.ActorRef[Any]:
        """Start the root actor and return its ref. With `symbols` it trades no others."""


@dataclass(slots=True)
class Answer:
    """A signal that was handed in, and the verdict once there is one."""

    name: str
    body: dict[str, Any]
    verdict: Verdict | None = None

    def tell(self, message: Verdict, /) -> None:
        """Take the verdict; a second one is the gate's fault and must not pass unseen."""
        if self.verdict is not None:
            raise AssertionError(f"{self.name} got a second verdict: {message}")
        self.verdict = message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. `journal` is the export, a JSON line a fact; times in virtual seconds."""

    seed: int
    scenario: str
    answers: tuple[Answer, ...]
    closed: tuple[ExecutionClosed, ...]
    journal: bytes
    truth: Mapping[str, object]
    audit: Audit
    seconds: float

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The journal's export, parsed."""
        return parse_export(self.journal)


def parse_export(journal: bytes) -> list[dict[str, Any]]:
    """Read a journal export."""
    return [orjson.loads(line) for line in journal.splitlines()]


class _News:
    """Hears what the root actor says, and what the journal makes durable."""

    def __init__(self) -> None:
        self.up: DaemonUp | None = None
        self.readiness = Readiness.STARTING
        self.ended: DaemonEnded | None = None
        self.ends: list[str] = []
        """What has ended this life of the daemon, by itself or by a crash; nothing while it runs."""
        self.open: dict[str, SignalAccepted] = {}
        self.closed: dict[str, ExecutionClosed] = {}

    def tell(self, message: DaemonNews | FactNews, /) -> None:
        match message:
            case DaemonUp():
                self.up = message
                message.journal.tell(
                    Follow(follower=self, kinds=(SignalAccepted, ExecutionClosed, ExecutionQuarantined))
                )
            case DaemonStands(readiness=readiness):
                self.readiness = readiness
            case DaemonEnded():
                self.ended = message
                self.ends.append(message.detail)
            case Committed(fact=SignalAccepted() as accepted):
                self.open[accepted.execution_id] = accepted
            case Committed(fact=ExecutionClosed() as closed):
                self.open.pop(closed.execution_id, None)
                self.closed[closed.execution_id] = closed
            case Committed(fact=fact):
                self.open.pop(fact.execution_id, None)
            case CaughtUp() | EveryoneAnswered():
                pass
            case _:
                assert_never(message)


@dataclass
class World:
    """One daemon and one exchange, on nodes of their own, in a simulation that is entered."""

    sim: Simulation
    start_daemon: StartDaemon
    paper: PaperSettings = field(default_factory=PaperSettings)
    latency: LatencySettings = field(default_factory=LatencySettings)
    faults: FaultPlan | None = None
    check_codec: bool = False
    markets: MakeMarkets | None = None
    cold_seconds: float = COLD_SECONDS
    """How often the market shows symbols that nobody waits for."""
    hot_seconds: float = HOT_SECONDS
    """How often the market shows symbols that somebody waits for."""
    symbols: Collection[str] = ()
    """What is traded, by the exchange and by the daemon; all that they know if none is named."""

    def __post_init__(self) -> None:
        self.store = MemoryStore(journal_id=f"simulation-{self.sim.seed}", check_codec=self.check_codec)
        self.daemon_node, self.exchange_node = self.sim.node("daemon"), self.sim.node("exchange")
        now = microseconds(self.sim.wall_time())
        self._began = now, self.sim.now()
        if self.symbols:
            known = self.paper.symbols.items()
            self.paper = replace(self.paper, symbols={name: spec for name, spec in known if name in self.symbols})
        self.exchange = PaperExchange(self.paper, now=now, markets=self.markets and self.markets(now))
        with self.exchange_node:
            self.venue = PaperVenue.start(
                self.exchange,
                latency=self.latency,
                chance=self.sim.stream("latency"),
                faults=self.faults,
                cold_seconds=self.cold_seconds,
                hot_seconds=self.hot_seconds,
            )
        self.answers: list[Answer] = []
        self.news = _News()
        self.daemon_node.on_crash(self._crashed)

    def launch(self) -> None:
        """Start the daemon; it becomes ready when the simulation runs on."""
        self.news = _News()
        self.store.wait = self.sim.block
        with self.daemon_node:
            link = VenueLink(self.sim, self.venue, latency=self.latency, chance=self.sim.stream("way"))
            self.daemon = self.start_daemon(
                self.news, store=self.store, venue=link, market=link, symbols=tuple(self.symbols)
            )

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        self.launch()
        news = self.news
        self.sim.run_until(lambda: news.readiness is not Readiness.STARTING or news.ended is not None, START_SECONDS)
        if news.readiness is Readiness.STARTING or news.up is None or news.ended is not None:
            raise NotConverged(f"the daemon did not become ready: {news.ended}")

    def crash(self) -> None:
        """End the daemon's process as `kill -9` does; what was not committed is lost."""
        self.daemon_node.crash()
        self.store.reopen()

    def _crashed(self) -> None:
        """Note it, and draw whether what was being committed is durable."""
        self.news.ends.append("crash")
        self.store.crash(kept=self.sim.stream("disk").random() < 0.5)

    def send(self, body: dict[str, Any], name: str | None = None) -> Answer:
        """Hand a signal in as an outside sender would; its answer comes when the simulation runs on."""
        answer = Answer(name or str(body.get("id") or f"#{len(self.answers) + 1}"), body)
        self.answers.append(answer)
        decoded = decode_signal(orjson.dumps(body))
        if isinstance(decoded, Verdict):
            answer.tell(decoded)
        else:
            self.hand_in(decoded, answer)
        return answer

    def hand_in(self, signal: Signal, reply_to: Tells[Verdict]) -> None:
        """Tell the gate of a signal."""
        self._up().gate.tell(SignalReceived(signal, reply_to=reply_to))

    def command(self, command: ExecutionCommand) -> None:
        """Tell the gate of a command on an execution."""
        self._up().gate.tell(command)

    @property
    def journal(self) -> Tells[JournalCommand]:
        """The daemon's journal."""
        return self._up().journal

    def exchange_now(self) -> int:
        """The moment at which something is done to the exchange, in its caller's microseconds since 1970."""
        wall, began = self._began
        return wall + round((self.sim.now() - began) * 1_000_000)

    def settled(self) -> bool:
        """Whether every signal has its verdict and every accepted one its report."""
        return not self.news.open and all(answer.verdict is not None for answer in self.answers)

    def settle(self, seconds: float) -> None:
        """Run until nothing is open any more. Raises `NotConverged` if that takes too long."""
        if not self.sim.run_until(self.settled, seconds):
            silent = [answer.name for answer in self.answers if answer.verdict is None]
            raise NotConverged(f"after {seconds:.0f} s open: {sorted(self.news.open)}, without verdict: {silent}")

    def stop(self) -> DaemonEnded:
        """Shut the daemon down in order."""
        news = self.news
        self.daemon.tell(ShutDown("end of the run"))
        if not self.sim.run_until(lambda: news.ended is not None, STOP_SECONDS) or news.ended is None:
            raise NotConverged("the daemon did not end when told to")
        return news.ended

    def export(self) -> bytes:
        """Export the journal: a JSON line a fact."""
        return b"".join(export_line(committed) for committed in self.store.read())

    def audit(self, mode: Mode = "converged") -> Audit:
        """Compare the journal with what the exchange knows."""
        return self.compare(self.export(), self.exchange.truth(), mode)

    def compare(self, journal: bytes, truth: Mapping[str, object], mode: Mode = "converged") -> Audit:
        """Compare an export with the exchange's truth, where both are at hand already."""
        return audit(
            parse_export(journal),
            truth,
            mode=mode,
            initial_balances=self.paper.balances,
            verdicts={
                answer.name: [verdict_object(answer.verdict)] if answer.verdict else [] for answer in self.answers
            },
        )

    def _up(self) -> DaemonUp:
        if self.news.up is None:
            raise NotConverged("the daemon is not up")
        return self.news.up


def simulate(
    scenario: Scenario,
    seed: int,
    start_daemon: StartDaemon,
    *,
    paper: PaperSettings | None = None,
    latency: LatencySettings | None = None,
    check_codec: bool = False,
    markets: MakeMarkets | None = None,
    cold_seconds: float = SELDOM_SECONDS,
    symbols: Collection[str] = (),
) -> Outcome:
    """Run a scenario to its end and audit it. `markets` come before those of `paper`.

    Symbols that nobody waits for are shown every `cold_seconds`, at a real venue each second. With `symbols` no others
    are traded.

    Raises `NotConverged` if it has no end in its time.
    """
    with Simulation(seed) as sim:
        world = World(
            sim,
            start_daemon,
            paper=paper or PaperSettings(),
            latency=latency or LatencySettings(),
            check_codec=check_codec,
            cold_seconds=cold_seconds,
            symbols=symbols,
            markets=markets,
        )
        world.start()
        began = sim.now()
        for timed in scenario.signals:
            sim.run(max(0.0, began + timed.at - sim.now()))
            world.send(stamped(timed, sim))
        world.settle(scenario.limit_seconds)
        seconds = sim.now() - began
        world.stop()
        journal, truth = world.export(), world.exchange.truth()
        return Outcome(
            seed=seed,
            scenario=scenario.name,
            answers=tuple(world.answers),
            closed=tuple(world.news.closed.values()),
            journal=journal,
            truth=truth,
            audit=world.compare(journal, truth),
            seconds=seconds,
        )


def stamped(timed: TimedSignal, sim: Simulation) -> dict[str, Any]:
    """Give a signal whose age is told the timestamp that it would have by now."""
    if timed.age is None:
        return timed.body
    milliseconds = microseconds(sim.wall_time()) // 1000 - round(timed.age * 1000)
    return {**timed.body, "timestamp": milliseconds}


def run_simulations(
    seeds: Sequence[int],
    start_daemon: StartDaemon,
    *,
    scenario: str,
    signals: Sequence[str],
    paper: Callable[[int], PaperSettings],
    journal: Path | None,
    json: bool,
    words: Sequence[str] = ("simulate",),
) -> int:
    """Do what `run.py simulate` does: run each seed, print reports and the audit; return the exit code.

    Where there is a `journal` to write there is one seed. `words` are the command and those of its options that
    shape each run, as they were given.
    """
    outcomes: list[Outcome] = []
    for seed in seeds:
        outcome = simulate(chosen(seed, scenario, signals), seed, start_daemon, paper=paper(seed))
        outcomes.append(outcome)
        if journal is not None:
            journal.write_bytes(outcome.journal)
        if not json and (len(seeds) == 1 or not outcome.audit.ok):
            _print_outcome(outcome)
            if not outcome.audit.ok:
                print(f"  {_replay(outcome, words)}")
    totals = summary(outcomes)
    if json:
        failures = [{"seed": one.seed, "replay": _replay(one, words)} for one in outcomes if not one.audit.ok]
        told = [_as_object(outcome) for outcome in outcomes] if len(seeds) <= MOST_TOLD else []
        as_json({**totals, "failures": failures, "outcomes": told})
    elif len(seeds) > 1:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in totals.items()))
    return exits.INVARIANT if totals["violations"] else exits.OK


def chosen(seed: int, scenario: str, signals: Sequence[str]) -> Scenario:
    """Return the scenario of a name for a seed, or what `signals` (JSON objects) make; `Exit` if they are none."""
    if signals:
        try:
            return scenario_of([orjson.loads(text) for text in signals])
        except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
            raise exits.Exit(exits.USAGE, f"--signal takes a JSON object: {error}") from error
    if scenario == "drawn":
        return drawn(seed)
    if scenario == "tour":
        return tour()
    raise exits.Exit(exits.USAGE, f"scenario {scenario!r}: there are tour and drawn")


def _replay(outcome: Outcome, words: Sequence[str]) -> str:
    return f"python run.py {shlex.join(words)} --seed {outcome.seed}"


def _print_outcome(outcome: Outcome) -> None:
    print(f"seed {outcome.seed}, {outcome.scenario}: {outcome.seconds:.1f} virtual seconds")
    for answer in outcome.answers:
        verdict = answer.verdict
        said = "no verdict" if verdict is None else f"{verdict.status} {verdict.reason or ''} {verdict.detail or ''}"
        print(f"  {answer.name}: {said.strip()}")
    for closed in outcome.closed:
        show(report_view(view_of(closed.report), closed.execution_id))
    print(outcome.audit.text())


def _as_object(outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": outcome.seed,
        "scenario": outcome.scenario,
        "seconds": outcome.seconds,
        "verdicts": [
            {"signal": answer.name, **(verdict_object(answer.verdict) if answer.verdict else {})}
            for answer in outcome.answers
        ],
        "reports": [{"execution_id": closed.execution_id, **view_of(closed.report)} for closed in outcome.closed],
        "audit": orjson.loads(outcome.audit.to_json()),
    }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Add up what several runs came to, for the command line."""
    filled = sum((closed.report.filled_quote for o in outcomes for closed in o.closed), Decimal(0))
    return {
        "runs": len(outcomes),
        "signals": sum(len(o.answers) for o in outcomes),
        "executions": sum(len(o.closed) for o in outcomes),
        "filled_quote": str(filled),
        "violations": sum(len(o.audit.violations) for o in outcomes),
        "failed_seeds": [o.seed for o in outcomes if not o.audit.ok],
    }
