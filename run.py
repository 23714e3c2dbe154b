"""The command line, and nothing but wiring: parse, build, start, wait, stop in reverse."""

from __future__ import annotations

import queue
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from logging import ERROR, INFO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated, Self

import orjson
import structlog
import typer
from pykka import ActorRef

from actors.daemon import Daemon, DaemonSettings
from actors.exchange.settings import ExchangeSettings
from actors.journal import Store
from actors.market_watcher import MarketSettings
from actors.order_watcher.actor import WatcherSettings
from actors.retention import RetentionSettings
from actors.runtime import Pool
from actors.signal_gate.dedup import DedupSettings
from actors.signal_gate.settings import GateSettings
from actors.twap.settings import TwapSettings
from adapters import completion, console, exits
from adapters.alert_setup import alert_sender, alert_sinks, route_settings
from adapters.alerts import AppriseMissing, BadSink
from adapters.binance.rest import import_client
from adapters.binance.venue import BinanceVenue
from adapters.campaign.many import Task, run_campaign
from adapters.campaign.weather import Level
from adapters.command_line import Json, Options, Sets, app
from adapters.config import Config, ConfigError
from adapters.console import as_json
from adapters.demo import Demo
from adapters.exchanges import ENVIRONMENTS, exchange_of, paper_settings, quiet_until_of
from adapters.exits import Exit, plainly
from adapters.fact_log import FactLog
from adapters.intake.followed import FollowedFile
from adapters.intake.http import HttpIntake
from adapters.intake.jsonl import JsonLines, apart
from adapters.intake.settings import http_settings, secrets_of
from adapters.logging import change_level, setup_logging
from adapters.loop_thread import LoopThread
from adapters.lost_journal import find_own_orders, is_new, refuse_if_lost, refuse_to_rebuild_what_is_in_use, since
from adapters.paper.audit import audit
from adapters.paper.process import truth_of
from adapters.patience import telling
from adapters.reload import compare
from adapters.scenarios import tour
from adapters.service_manager import ServiceManager
from adapters.simulation import chosen, run_simulations
from adapters.storage.codec import export_line
from adapters.storage.directory import make_directory
from adapters.storage.log_keeper import log_keeper_of
from adapters.storage.sqlite import SqliteStore
from adapters.vitals import TimedStore, Vitals
from adapters.web.site import Sources
from messages.control import (
    DaemonEnded,
    DaemonNews,
    DaemonStands,
    DaemonUp,
    EveryoneAnswered,
    Follow,
    Readiness,
    ShutDown,
)
from messages.execution import WaitsFor
from messages.facts import AlertCleared, AlertRaised, RateLimited
from messages.market import WatchMarket
from messages.money import use_money_context
from messages.order import VenueCommand
from messages.refs import Tells
from messages.signal import SignalReceived

VERSION = "0.1.0"

SILENT_START_SECONDS = 15.0
"""The daemon speaks up earlier than that while it starts: one that does not hangs somewhere."""


# Configuration into settings ------------------------------------------------------------------------------------------


def settings_of(config: Config, *, rebuild_since: int | None = None) -> DaemonSettings:
    """Hand each actor what the configuration says for it; for `rebuild_since` see `WatcherSettings`."""
    twap = config.twap.model_dump(exclude={"depth_bps"})
    return DaemonSettings(
        mode=config.mode,
        version=VERSION,
        retention=RetentionSettings(
            after_days=float(config.archive_after_days),
            cache_ttl_seconds=float(config.dedup.cache_ttl_seconds),
            cooldown_seconds=float(config.gate.cooldown_seconds),
        ),
        market=MarketSettings(
            depth_bps=config.twap.depth_bps,
            estimated=config.gate.symbols if config.twap.child == "auto" else (),
            rest_seconds=float(config.twap.interval_seconds * config.twap.slot_deadline),
        ),
        exchange=ExchangeSettings(
            environment=ENVIRONMENTS[config.mode],
            symbols=config.gate.symbols,
            recv_window_ms=config.venue.recv_window_ms,
        ),
        watcher=WatcherSettings(
            poll_interval_seconds=float(config.watcher.poll_interval_seconds),
            timeout_seconds=float(config.watcher.timeout_seconds),
            engine_wait_seconds=float(config.watcher.engine_wait_seconds),
            margin_seconds=float(config.watcher.margin_seconds),
            absent_after_seconds=float(config.watcher.absent_after_seconds),
            rebuild_since=rebuild_since,
        ),
        gate=GateSettings(
            accounts=(config.account,),
            dedup=DedupSettings(**config.dedup.model_dump()),
            **config.gate.model_dump(),
            **config.limits.model_dump(),
        ),
        twap=TwapSettings(**twap),
    )


def start_daemon(
    observer: Tells[DaemonNews],
    *,
    store: Store,
    venue: Tells[VenueCommand],
    market: Tells[WatchMarket],
    settings: DaemonSettings | None = None,
    alerts: Tells[AlertRaised | AlertCleared] | None = None,
    lookout: Tells[WaitsFor] | None = None,
) -> ActorRef[Daemon]:
    """Start the root actor on the current runtime; without settings, with the defaults of paper mode."""
    settings = settings or settings_of(Config())
    return Daemon.start(
        observer, store=store, venue=venue, market=market, settings=settings, alerts=alerts, lookout=lookout
    )


# A daemon in real time ------------------------------------------------------------------------------------------------


class House:
    """A daemon in real time and the exchange that it trades on; `tell` and `mail` carry what happens, in order."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.mail: queue.SimpleQueue[DaemonNews | int] = queue.SimpleQueue()
        self.rebuild_since: int | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            with telling(f"the journal in {self.config.data_dir} to be opened"):
                self.store = SqliteStore(self.config.data_dir)
            stack.callback(self.store.close)
            stack.enter_context(log_keeper_of(self.store))
            self.alerts = stack.enter_context(alert_sender(self.config))
            self.timed_store, self.vitals = TimedStore(self.store), Vitals()
            importing = Thread(target=import_client, name="import", daemon=True)
            importing.start()  # It takes a while, in which another process starts, too.
            with telling("the paper exchange to start" if self.config.mode == "paper" else "the key to be checked"):
                told = self.store.read(kinds=(RateLimited.__name__,), archived=False)
                quiet_until = quiet_until_of(told, datetime.now(UTC))
                self.exchange = stack.enter_context(exchange_of(self.config, quiet_until))
            importing.join()
            self.pool = stack.enter_context(Pool(4, close_seconds=2.0))
            self.venue = stack.enter_context(BinanceVenue(self.pool, self.exchange))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def tell(self, message: DaemonNews | int, /) -> None:
        """Take news of the daemon, or the number of a signal of the system."""
        self.mail.put(message)

    def look_for_a_lost_journal(self, *, rebuild: bool) -> None:
        """See to it that a new journal does not hide that there was another one. Raises `Exit`."""
        config, days = self.config, float(self.config.dedup.retention_days)
        if rebuild:
            self.rebuild_since = since(self.pool, days)
        elif is_new(self.store):
            with telling("the exchange to say whether it has orders of an earlier journal"):
                found = find_own_orders(self.pool, self.venue, config.gate.symbols, since(self.pool, days))
            refuse_if_lost(found, config.data_dir, days)

    def start(self) -> None:
        """Start the daemon; what becomes of it comes as mail."""
        venue = self.vitals.tap(self.venue)
        self.daemon = start_daemon(
            self,
            store=self.timed_store,
            venue=venue,
            market=venue,
            settings=settings_of(self.config, rebuild_since=self.rebuild_since),
            alerts=self.alerts,
            lookout=self.vitals,
        )

    def sources(self) -> Sources:
        """Say where the dashboard gets its figures."""
        return Sources(
            account=self.config.account,
            vitals=self.vitals,
            mailboxes=self.pool.mailboxes,
            commits=self.timed_store.view,
        )

    def wait_until_ready(self) -> DaemonUp:
        """Wait for the daemon to be up and ready. Raises `Exit` if it ends instead."""
        up: DaemonUp | None = None
        ready = False
        while up is None or not ready:
            match self.news(starting=True):
                case DaemonUp() as news:
                    up = news
                case DaemonStands(readiness=Readiness.READY | Readiness.HALTED):
                    ready = True
                case DaemonEnded(exit_code=code, detail=detail):
                    raise Exit(code, detail)
        return up

    def news(self, *, starting: bool) -> DaemonNews | int:
        """Wait for the next mail; while the daemon starts, say who is at what if there is none for long."""
        while starting:
            try:
                return self.mail.get(timeout=SILENT_START_SECONDS)
            except queue.Empty:
                structlog.get_logger("tidegate").warning("the start says nothing", dump=self.pool.dump())
        return self.mail.get()

    def stop(self) -> DaemonEnded:
        """Shut down in order, and say how it ended."""
        self.pool.send(self.daemon, ShutDown("asked to stop"))
        while not isinstance(news := self.mail.get(), DaemonEnded):
            pass
        return news


def serve(
    config: Config,
    *,
    stdin: bool,
    follow: Path | None = None,
    reread: Callable[[], Config] | None = None,
    rebuild: bool = False,
) -> int:
    """Run the daemon until it is told to end, or must; return the exit code. `reread` is for SIGHUP."""
    make_directory(config.data_dir)
    if rebuild:
        refuse_to_rebuild_what_is_in_use(config.data_dir)
    try:
        settings = http_settings(config)
    except (OSError, ValueError) as error:
        raise Exit(exits.CONFIG, f"a token cannot be read: {error}") from error
    secrets = [*secrets_of(settings), *known_secrets(config)]
    stop_logging = setup_logging(config.log.level, config.log.format, secrets=secrets)
    try:
        with House(config) as house, LoopThread(house.pool, close_seconds=2.0) as loop:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, lambda number, _frame: house.tell(number))
            house.look_for_a_lost_journal(rebuild=rebuild)
            http = HttpIntake(loop, settings, sources=house.sources())
            return Service(house, http, stdin=stdin, follow=follow, reread=reread).run()
    finally:
        stop_logging()


class Service:
    """What a running daemon shows to the outside, as its news come in."""

    def __init__(
        self,
        house: House,
        http: HttpIntake,
        *,
        stdin: bool,
        follow: Path | None,
        reread: Callable[[], Config] | None,
    ) -> None:
        self._house, self._http, self._stdin, self._followed = house, http, stdin, follow
        self._reread, self._manager, self._facts = reread, ServiceManager(), FactLog()
        self._log = structlog.get_logger("tidegate")

    def run(self) -> int:
        """Listen, start the daemon, and follow its news to the end; a second signal ends at once."""
        port = self._http.start()
        try:
            self._log.info("listening", url=f"http://{self._house.config.http.host}:{port}")
            self._house.start()
            with self._facts:
                return self._follow()
        finally:
            self._http.close()

    def _follow(self) -> int:
        asked, starting = False, True
        while True:
            match self._house.news(starting=starting):
                case DaemonUp() as up:
                    self._http.connect(up)
                    up.journal.tell(Follow(follower=self._facts, archived=False))
                    if self._stdin:
                        JsonLines(apart(sys.stdin.buffer, "rb"), apart(sys.stdout.buffer, "wb")).start(up.gate)
                    if self._followed is not None:
                        file = FollowedFile(self._followed)
                        JsonLines(file, apart(sys.stdout.buffer, "wb"), decode=file.decode).start(up.gate)
                case DaemonStands(readiness=readiness, detail=detail) as stands:
                    starting = readiness is Readiness.STARTING
                    self._http.stands(stands)
                    self._tell_manager(stands)
                    self._log.info(readiness.value.lower(), mode=self._house.config.mode, detail=detail)
                case EveryoneAnswered():
                    self._manager.alive()
                case DaemonEnded(exit_code=code, detail=detail):
                    self._manager.stopping(detail)
                    self._log.log(INFO if code == exits.OK else ERROR, "ended", exit_code=code, detail=detail)
                    return code
                case signal.SIGHUP:
                    self._reload()
                case signal.SIGUSR1:
                    self._log.warning("actors and mailboxes", dump=self._house.pool.dump())
                case int() as number:
                    if asked:
                        return exits.ERROR
                    asked = True
                    self._house.pool.send(self._house.daemon, ShutDown(signal.Signals(number).name))

    def _tell_manager(self, stands: DaemonStands) -> None:
        status = (
            f"{stands.readiness.value.lower()}: {stands.detail}" if stands.detail else stands.readiness.value.lower()
        )
        match stands.readiness:
            case Readiness.READY | Readiness.HALTED:
                self._manager.ready(status)
            case Readiness.DRAINING | Readiness.FAILED:
                self._manager.stopping(status)
            case Readiness.STARTING:
                self._manager.status(status)

    def _reload(self) -> None:
        """Read the configuration again, take what no order depends on, and say what needs a restart."""
        self._manager.reloading()
        house = self._house
        try:
            fresh = self._reread() if self._reread is not None else house.config
            found = compare(house.config, fresh)
            house.alerts.change(route_settings(fresh), alert_sinks(fresh))
        except (ConfigError, AppriseMissing, BadSink) as error:
            self._log.error("the configuration is left as it was", error=str(error))
        else:
            change_level(fresh.log.level)
            house.config = house.config.model_copy(update={"log": fresh.log, "alerts": fresh.alerts})
            self._log.warning("reloaded", applied=found.applied, needs_restart=found.refused)
        self._manager.ready("reloaded")


# The command line -----------------------------------------------------------------------------------------------------


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The TOML file (tidegate.toml).")] = None,
    sets: Sets = None,
) -> None:
    """Turn trading signals into safely executed orders."""
    context.obj = Options(config, tuple(sets or ()))
    if context.invoked_subcommand is None:
        daemon(context)


@app.command()
def daemon(
    context: typer.Context,
    stdin: Annotated[bool, typer.Option("--stdin", help="Take signals as JSON lines, answer verdicts.")] = False,
    follow: Annotated[Path | None, typer.Option("--follow", help="Take JSON lines from a file that grows.")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild-from-exchange", help="The journal is lost: book what the exchange still knows.")
    ] = False,
    sets: Sets = None,
) -> None:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C."""
    with plainly():
        options = context.obj
        reread = partial(options.load, sets or ())
        raise Exit(serve(reread(), stdin=stdin, follow=follow, reread=reread, rebuild=rebuild))


@app.command()
def demo(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Show it all in under a minute: six signals, what becomes of them, and the audit."""
    screen = console.wide_enough(stderr=json)
    with plainly(), TemporaryDirectory(prefix="tidegate-demo-") as directory, ExitStack() as after:
        after.callback(setup_logging("error"))
        config = context.obj.load([*(sets or ()), f"data_dir={directory}/data"])
        play = Demo(tour(), screen)
        with House(config) as house:
            house.start()
            up = house.wait_until_ready()
            up.journal.tell(Follow(follower=play))
            over = play.play(lambda wish, reply_to: up.gate.tell(SignalReceived(wish, reply_to=reply_to)))
            house.stop()
            found = audit(
                [orjson.loads(export_line(committed)) for committed in house.store.read()],
                truth_of(house.exchange.rest_url),
                initial_balances=config.paper.balances,
                verdicts=play.verdicts(),
            )
        if json:
            as_json({"signals": play.to_json(), "audit": orjson.loads(found.to_json()), "finished": over})
        else:
            screen.print(play.table())
            screen.print(found.text())
        raise Exit(exits.OK if found.ok and over else exits.INVARIANT)


@app.command()
def simulate(
    context: typer.Context,
    seeds: Annotated[str | None, typer.Option(help="Seeds A:B (without B), each a scenario of its own.")] = None,
    seed: Annotated[int, typer.Option(help="One seed.")] = 1,
    signals: Annotated[
        list[str] | None, typer.Option("--signal", help='A signal as JSON with "at" in seconds; may be repeated.')
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="tour or drawn (many seeds, and all with faults).")] = None,
    faults: Annotated[Level, typer.Option(help="How much goes wrong.")] = Level.NONE,
    trace: Annotated[bool, typer.Option("--trace", help="Tell all of a seed: facts, messages, what it takes.")] = False,
    jobs: Annotated[int | None, typer.Option(help="Processes for a campaign; as many as cores if not given.")] = None,
    market: Annotated[str | None, typer.Option(help="synthetic or replay:FILE[,FILE...].")] = None,
    journal: Annotated[Path | None, typer.Option(help="Write the journal's export here.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Run the whole daemon in virtual time, and audit each run. 70 if journal and exchange disagree."""
    with plainly(), ExitStack() as after:
        after.callback(setup_logging("error"))
        config = context.obj.load([*(sets or ()), *([f"paper.market={market}"] if market else [])])
        start, paper = partial(start_daemon, settings=settings_of(config)), partial(paper_settings, config)
        chosen_seeds = seed_range(seeds) if seeds else range(seed, seed + 1)
        name = scenario or ("tour" if faults is Level.NONE and not seeds else "drawn")
        if trace or faults is not Level.NONE:
            task = Task(faults, start, paper, partial(chosen, scenario=name, signals=tuple(signals or ())))
            raise Exit(run_campaign(chosen_seeds, task, trace=trace, json=json, jobs=jobs))
        raise Exit(
            run_simulations(
                chosen_seeds,
                start,
                scenario=name,
                signals=signals or (),
                paper=paper,
                journal=journal,
                json=json,
            )
        )


def seed_range(text: str) -> range:
    """Read A:B, without B. Raises `Exit`."""
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise Exit(exits.USAGE, f"--seeds takes A:B with A below B, not {text}")
    return range(int(first), int(end))


def known_secrets(config: Config) -> list[str]:
    """List the values that must never be written anywhere."""
    venue = config.venue
    return [secret.get_secret_value() for secret in (venue.api_key, venue.api_secret) if secret is not None]


def main() -> None:
    """Run the command line."""
    use_money_context()
    sys.setswitchinterval(0.001)
    app(prog_name=completion.NAME if completion.asked_to_complete() else None)


if __name__ == "__main__":
    main()
