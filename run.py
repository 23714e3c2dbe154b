"""The command line, and nothing but wiring: parse, build, start, wait, stop in reverse."""

from __future__ import annotations

import gc
import os
import signal
import sys

if __name__ in {"__main__", "__mp_main__"} and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    # Ctrl-C while the rest is imported, or in a process of a campaign: nothing to clean up, and nothing to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # exits.INTERRUPTED
if __name__ == "__main__":
    gc.disable()  # As adapters/importing.py does; `main` lets it look again.

from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from adapters import completion, exits
from adapters.campaign.weather import Level
from adapters.command_line import Json, Options, Sets, app
from adapters.exits import Exit, plainly
from adapters.importing import importing
from adapters.redaction import is_secret_name
from messages.money import use_money_context

# What a command needs it imports by itself: a shell that completes a word need not wait for a daemon's libraries.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pykka import ActorRef

    from actors.daemon import Daemon, DaemonSettings
    from actors.journal import Store
    from adapters.config import Config
    from adapters.house import House
    from messages.control import DaemonNews
    from messages.execution import WaitsFor
    from messages.facts import AlertCleared, AlertRaised
    from messages.market import WatchMarket
    from messages.order import VenueCommand
    from messages.refs import Tells

VERSION = "0.1.0"


# Configuration into settings ------------------------------------------------------------------------------------------


def settings_of(config: Config, *, rebuild_since: int | None = None) -> DaemonSettings:
    """Hand each actor what the configuration says for it; for `rebuild_since` see `WatcherSettings`."""
    from actors.daemon import DaemonSettings
    from actors.exchange.settings import ExchangeSettings
    from actors.market_watcher import MarketSettings
    from actors.order_watcher.actor import WatcherSettings
    from actors.retention import RetentionSettings
    from actors.signal_gate.dedup import DedupSettings
    from actors.signal_gate.settings import GateSettings
    from actors.twap.settings import TwapSettings
    from adapters.exchanges import ENVIRONMENTS

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


@lru_cache(maxsize=64)
def _trading_only(settings: DaemonSettings, symbols: tuple[str, ...]) -> DaemonSettings:
    """Leave out of the settings what is not among the symbols; a simulated daemon is started again and again."""
    kept = tuple(symbol for symbol in settings.gate.symbols if symbol in symbols)
    gate, exchange = replace(settings.gate, symbols=kept), replace(settings.exchange, symbols=kept)
    return replace(settings, gate=gate, exchange=exchange)


def start_daemon(
    observer: Tells[DaemonNews],
    *,
    store: Store,
    venue: Tells[VenueCommand],
    market: Tells[WatchMarket],
    settings: DaemonSettings | None = None,
    alerts: Tells[AlertRaised | AlertCleared] | None = None,
    lookout: Tells[WaitsFor] | None = None,
    failed_before: str | None = None,
    broken_before: str | None = None,
    died_before: Sequence[str] = (),
    symbols: Sequence[str] = (),
) -> ActorRef[Daemon]:
    """Start the root actor on the current runtime; without settings, with the defaults of paper mode.

    With `symbols`, those that the settings name besides are not traded.
    """
    from actors.daemon import Daemon

    if settings is None:
        from adapters.config import Config

        settings = settings_of(Config())
    if symbols:
        settings = _trading_only(settings, tuple(symbols))
    return Daemon.start(
        observer,
        store=store,
        venue=venue,
        market=market,
        settings=settings,
        alerts=alerts,
        lookout=lookout,
        failed_before=failed_before,
        broken_before=broken_before,
        died_before=died_before,
    )


def begin(house: House) -> ActorRef[Daemon]:
    """Start the root actor in a house."""
    venue = house.vitals.tap(house.venue)
    return start_daemon(
        house,
        store=house.timed_store,
        venue=venue,
        market=venue,
        settings=settings_of(house.config, rebuild_since=house.rebuild_since),
        alerts=house.note,
        lookout=house.vitals,
        failed_before=house.note.left,
        broken_before=house.unsaid.broken,
        died_before=house.unsaid.failed,
    )


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
    with importing():
        from adapters.service import serve

    with plainly():
        options = context.obj
        reread = partial(options.load, sets or ())
        raise Exit(serve(reread(), begin, stdin=stdin, follow=follow, reread=reread, rebuild=rebuild))


@app.command()
def demo(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Show it all in under a minute: six signals, what becomes of them, and the audit."""
    import orjson

    from adapters import console
    from adapters.demo import Demo
    from adapters.house import House
    from adapters.logging import setup_logging
    from adapters.paper.audit import audit
    from adapters.paper.process import truth_of
    from adapters.scenarios import tour
    from adapters.storage.codec import export_line
    from messages.control import Follow
    from messages.signal import SignalReceived

    screen = console.wide_enough(stderr=json)
    with plainly(), TemporaryDirectory(prefix="tidegate-demo-") as directory, ExitStack() as after:
        after.callback(setup_logging("error"))
        config = context.obj.load([*(sets or ()), f"data_dir={directory}/data"])
        play = Demo(tour(), screen)
        with House(config, begin) as house:
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
            console.as_json({"signals": play.to_json(), "audit": orjson.loads(found.to_json()), "finished": over})
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
    from adapters.campaign.many import Task, run_campaign
    from adapters.exchanges import paper_settings
    from adapters.logging import setup_logging
    from adapters.simulation import chosen, run_simulations

    with plainly(), ExitStack() as after:
        after.callback(setup_logging("error"))
        chosen_seeds = seed_range(seeds) if seeds else range(seed, seed + 1)
        if journal is not None and len(chosen_seeds) > 1:
            raise Exit(exits.USAGE, "--journal takes the export of one seed: give --seed N instead of --seeds")
        if trace and len(chosen_seeds) > 1:
            raise Exit(exits.USAGE, "--trace tells all of one seed: give --seed N instead of --seeds")
        config = context.obj.load([*(sets or ()), *([f"paper.market={market}"] if market else [])])
        start, paper = partial(start_daemon, settings=settings_of(config)), partial(paper_settings, config)
        name = scenario or ("tour" if faults is Level.NONE and not seeds else "drawn")
        if seeds and not signals and faults is Level.NONE:
            scenario = name  # A single seed would be another by default.
        words = simulate_words(context.obj, sets or (), market, scenario, signals or ())
        if trace or faults is not Level.NONE:
            task = Task(faults, start, paper, partial(chosen, scenario=name, signals=tuple(signals or ())), words)
            raise Exit(run_campaign(chosen_seeds, task, trace=trace, json=json, jobs=jobs, journal=journal))
        raise Exit(
            run_simulations(
                chosen_seeds,
                start,
                scenario=name,
                signals=signals or (),
                paper=paper,
                journal=journal,
                json=json,
                words=words,
            )
        )


def simulate_words(
    options: Options, sets: Sequence[str], market: str | None, scenario: str | None, signals: Sequence[str]
) -> tuple[str, ...]:
    """Write the command `simulate` with what shapes each of its runs, as it was given; secrets shape none."""
    shown = [one for one in (*options.sets, *sets) if not is_secret_name(one.partition("=")[0])]
    return (
        *(("--config", str(options.file)) if options.file else ()),
        "simulate",
        *(word for one in shown for word in ("--set", one)),
        *(("--market", market) if market else ()),
        *(("--scenario", scenario) if scenario else ()),
        *(word for one in signals for word in ("--signal", one)),
    )


def seed_range(text: str) -> range:
    """Read A:B, without B. Raises `Exit`."""
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise Exit(exits.USAGE, f"--seeds takes A:B with A below B, not {text}")
    return range(int(first), int(end))


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    use_money_context()
    sys.setswitchinterval(0.001)
    gc.freeze()
    gc.enable()
    try:
        app(prog_name=completion.NAME if completion.asked_to_complete() else None)
    finally:
        gc.freeze()  # What is left at the end goes with the process: nobody need look through it once more.


if __name__ == "__main__":
    main()
