"""The command line, and nothing but wiring: parse, build, start, wait, stop in reverse."""

from __future__ import annotations

import queue
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from logging import ERROR, INFO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Self

import orjson
import structlog
import typer
from pykka import ActorRef

from actors.daemon import Daemon, DaemonSettings
from actors.exchange.settings import ExchangeSettings
from actors.journal import Store
from actors.market_watcher import MarketSettings
from actors.order_watcher.actor import WatcherSettings
from actors.runtime import Pool
from actors.signal_gate.dedup import DedupSettings
from actors.signal_gate.settings import GateSettings
from actors.twap.settings import TwapSettings
from adapters import console, exits
from adapters.binance.settings import BinanceSettings
from adapters.binance.venue import BinanceVenue
from adapters.client import ADDRESS_FILE, TOKEN_FILE, Client, NotRunning
from adapters.config import DEFAULT_FILE, Config, describe, find_config, load_config, write_commented_toml
from adapters.console import as_json
from adapters.demo import Demo
from adapters.exits import Exit, plainly
from adapters.intake.http import HttpIntake, HttpSettings
from adapters.intake.jsonl import JsonLines
from adapters.intake.token import kept_token
from adapters.logging import setup_logging
from adapters.loop_thread import LoopThread
from adapters.paper.account import DEFAULT_BALANCES
from adapters.paper.audit import audit
from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.process import PaperProcess
from adapters.paper.server.process import ProcessSettings, run_paper_exchange
from adapters.paper.server.settings import ServerSettings
from adapters.projection import Projection
from adapters.scenarios import tour
from adapters.simulation import run_simulations
from adapters.storage.codec import export_line
from adapters.storage.sqlite import SqliteStore
from messages.control import DaemonEnded, DaemonNews, DaemonStands, DaemonUp, Follow, Readiness, ShutDown
from messages.ids import Environment
from messages.market import WatchMarket
from messages.money import plain, use_money_context
from messages.order import VenueCommand
from messages.refs import Tells
from messages.signal import SignalReceived

VERSION = "0.1.0"
ENVIRONMENTS: dict[str, Environment] = {"paper": "p", "testnet": "t", "demo": "d", "live": "l"}


# Configuration into settings ------------------------------------------------------------------------------------------


def settings_of(config: Config) -> DaemonSettings:
    """Hand each actor what the configuration says for it."""
    twap = config.twap.model_dump(exclude={"depth_bps"})
    return DaemonSettings(
        mode=config.mode,
        version=VERSION,
        market=MarketSettings(depth_bps=config.twap.depth_bps),
        exchange=ExchangeSettings(
            environment=ENVIRONMENTS[config.mode],
            symbols=config.gate.symbols,
            recv_window_ms=config.venue.recv_window_ms,
        ),
        watcher=WatcherSettings(
            poll_interval_seconds=float(config.watcher.poll_interval_seconds),
            timeout_seconds=float(config.watcher.timeout_seconds),
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
) -> ActorRef[Daemon]:
    """Start the root actor on the current runtime; without settings, with the defaults of paper mode."""
    return Daemon.start(observer, store=store, venue=venue, market=market, settings=settings or settings_of(Config()))


# A daemon in real time ------------------------------------------------------------------------------------------------


class House:
    """A daemon in real time and the exchange that it trades on; `tell` and `mail` carry what happens, in order."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.mail: queue.SimpleQueue[DaemonNews | int] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.store = SqliteStore(self.config.data_dir)
            stack.callback(self.store.close)
            self.paper = stack.enter_context(PaperProcess(paper_command(self.config)))
            self.pool = stack.enter_context(Pool(4, close_seconds=2.0))
            self.venue = stack.enter_context(BinanceVenue(self.pool, venue_settings(self.config, self.paper)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def tell(self, message: DaemonNews | int, /) -> None:
        """Take news of the daemon, or the number of a signal of the system."""
        self.mail.put(message)

    def start(self) -> None:
        """Start the daemon; what becomes of it comes as mail."""
        self.daemon = start_daemon(
            self, store=self.store, venue=self.venue, market=self.venue, settings=settings_of(self.config)
        )

    def wait_until_ready(self) -> DaemonUp:
        """Wait for the daemon to be up and ready. Raises `Exit` if it ends instead."""
        up: DaemonUp | None = None
        ready = False
        while up is None or not ready:
            match self.mail.get():
                case DaemonUp() as news:
                    up = news
                case DaemonStands(readiness=Readiness.READY | Readiness.HALTED):
                    ready = True
                case DaemonEnded(exit_code=code, detail=detail):
                    raise Exit(code, detail)
        return up

    def stop(self) -> DaemonEnded:
        """Shut down in order, and say how it ended."""
        self.daemon.tell(ShutDown("asked to stop"))
        while not isinstance(news := self.mail.get(), DaemonEnded):
            pass
        return news


def paper_command(config: Config) -> list[str]:
    """Write the command that runs the configured paper exchange as a process of its own."""
    return [
        *(sys.executable, str(Path(__file__).resolve()), "paper-exchange", "--watch-stdin", "--port", "0"),
        *("--data-dir", str(config.data_dir)),
        *("--market", config.paper.market, "--preset", config.paper.preset, "--seed", str(config.paper.seed)),
        *("--balances", orjson.dumps(config.paper.balances, default=plain).decode()),
    ]


def venue_settings(config: Config, paper: PaperProcess) -> BinanceSettings:
    """Say where the venue is and who we are there."""
    return BinanceSettings(
        rest_url=paper.rest,
        ws_api_url=paper.ws_api,
        stream_url=paper.streams,
        api_key=config.paper.api_key,
        api_secret=config.paper.api_secret,
        environment=ENVIRONMENTS[config.mode],
        recv_window_ms=config.venue.recv_window_ms,
    )


def market_choice(market: str, preset: str, seed: int) -> MarketChoice:
    """Say what the paper exchange's markets are made of."""
    return MarketChoice(market=market, seed=seed, preset=None if preset == "usual" else preset)


def paper_settings(config: Config, seed: int) -> PaperSettings:
    """Turn the configuration into the paper exchange's settings."""
    choice = market_choice(config.paper.market, config.paper.preset, seed)
    return PaperSettings(markets=choice, balances=config.paper.balances)


def serve(config: Config, *, stdin: bool) -> int:
    """Run the daemon until it is told to end, or must; return the exit code."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = config.http.bearer_token() or kept_token(config.data_dir / TOKEN_FILE)
    stop_logging = setup_logging(config.log.level, config.log.format, secrets=[token, *known_secrets(config)])
    try:
        with House(config) as house, LoopThread(house.pool, close_seconds=2.0) as loop:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _frame: house.tell(number))
            settings = HttpSettings(
                token=token,
                host=config.http.host,
                port=config.http.port,
                address_file=config.data_dir / ADDRESS_FILE,
            )
            return Service(house, HttpIntake(loop, settings), stdin=stdin).run()
    finally:
        stop_logging()


class Service:
    """What a running daemon shows to the outside, as its news come in."""

    def __init__(self, house: House, http: HttpIntake, *, stdin: bool) -> None:
        self._house, self._http, self._stdin = house, http, stdin
        self._log = structlog.get_logger("tidegate")

    def run(self) -> int:
        """Listen, start the daemon, and follow its news to the end; a second signal ends at once."""
        port = self._http.start()
        try:
            self._log.info("listening", url=f"http://{self._house.config.http.host}:{port}")
            self._house.start()
            return self._follow()
        finally:
            self._http.close()

    def _follow(self) -> int:
        asked = False
        while True:
            match self._house.mail.get():
                case DaemonUp() as up:
                    self._http.connect(up)
                    if self._stdin:
                        JsonLines(sys.stdin.buffer, sys.stdout.buffer).start(up.gate)
                case DaemonStands(readiness=readiness, detail=detail) as stands:
                    self._http.stands(stands)
                    self._log.info(readiness.value.lower(), mode=self._house.config.mode, detail=detail)
                case DaemonEnded(exit_code=code, detail=detail):
                    self._log.log(INFO if code == exits.OK else ERROR, "ended", exit_code=code, detail=detail)
                    return code
                case int() as number:
                    if asked:
                        return exits.ERROR
                    asked = True
                    self._house.daemon.tell(ShutDown(signal.Signals(number).name))


# The command line -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the command: the file, and settings that win over it."""

    file: Path | None
    sets: tuple[str, ...]

    def load(self, sets: Sequence[str] = ()) -> Config:
        """Read the configuration; what stands after the command wins over what stands before it."""
        return load_config(self.file or find_config(), [*self.sets, *sets])


app = typer.Typer(
    add_completion=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Turns trading signals into safely executed orders. Without a command: the daemon.",
)
journal_app = typer.Typer(help="Look into the journal; works beside a running daemon.")
app.add_typer(journal_app, name="journal")

Sets = Annotated[list[str] | None, typer.Option("--set", help="A setting, as section.key=value; may be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The execution's id.")]


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
    sets: Sets = None,
) -> None:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C."""
    with plainly():
        raise Exit(serve(context.obj.load(sets or ()), stdin=stdin))


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
                house.paper.truth(),
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
def send(
    context: typer.Context,
    symbol: str,
    side: str,
    quantity: str,
    quote: Annotated[bool, typer.Option("--quote", help="The quantity is in quote units.")] = False,
    price: Annotated[str | None, typer.Option(help="Reference price.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Accepted once per source and id.")] = None,
    source: Annotated[str | None, typer.Option(help="Whose id it is.")] = None,
    limit_price: Annotated[str | None, typer.Option("--limit-price", help="Worst price.")] = None,
    chunks: Annotated[int | None, typer.Option(help="Number of slices.")] = None,
    interval: Annotated[str | None, typer.Option(help="Seconds from slice to slice.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the report.")] = False,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Send a signal to the running daemon and print its verdict."""
    twap = {"num_chunks": chunks, "interval_seconds": interval}
    body = {
        "symbol": symbol,
        "side": side,
        "quote_quantity" if quote else "quantity": quantity,
        "price": price,
        "id": id_,
        "source": source,
        "limit_price": limit_price,
        "twap": {key: value for key, value in twap.items() if value is not None} or None,
    }
    given = {key: value for key, value in body.items() if value is not None}
    with plainly():
        raise Exit(console.send(client(context, sets), given, wait=wait, json=json))


@app.command()
def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Say how the daemon stands and what it works on."""
    with plainly(), suppress(KeyboardInterrupt):
        raise Exit(console.status(client(context, sets), watch=watch, json=json))


@app.command()
def executions(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """List the executions."""
    with plainly():
        raise Exit(console.executions(client(context, sets), json=json))


@app.command()
def report(context: typer.Context, execution: Id, sets: Sets = None, json: Json = False) -> None:
    """Show an execution's report; from the journal if no daemon runs."""
    with plainly():
        config = context.obj.load(sets or ())
        try:
            view = Client.of(config.data_dir).execution(execution)
        except NotRunning:
            view = view_from_journal(config, execution)
        raise Exit(console.report(view, json=json))


@app.command()
def pause(context: typer.Context, execution: Id, sets: Sets = None, json: Json = False) -> None:
    """Send no new child of an execution until it is resumed."""
    with plainly():
        raise Exit(console.command(client(context, sets), execution, "pause", {}, json=json))


@app.command()
def resume(context: typer.Context, execution: Id, sets: Sets = None, json: Json = False) -> None:
    """Let a paused execution go on."""
    with plainly():
        raise Exit(console.command(client(context, sets), execution, "resume", {}, json=json))


@app.command()
def cancel(context: typer.Context, execution: Id, sets: Sets = None, json: Json = False) -> None:
    """Stop an execution; what is filled stays filled."""
    with plainly():
        raise Exit(console.command(client(context, sets), execution, "cancel", {}, json=json))


@app.command()
def amend(
    context: typer.Context,
    execution: Id,
    quantity: Annotated[str | None, typer.Option(help="New total quantity.")] = None,
    limit_price: Annotated[str | None, typer.Option("--limit-price", help="New worst price.")] = None,
    end_at: Annotated[str | None, typer.Option("--end-at", help="New end, ISO 8601.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Change what is left of an execution."""
    body = {"quantity": quantity, "limit_price": limit_price, "end_at": end_at}
    given = {key: value for key, value in body.items() if value is not None}
    with plainly():
        raise Exit(console.command(client(context, sets), execution, "amend", given, json=json))


@app.command()
def halt(context: typer.Context, detail: str = "", sets: Sets = None) -> None:
    """Send no new order until `unhalt`; cancels go on."""
    with plainly():
        as_json(client(context, sets).halt(detail))


@app.command()
def unhalt(context: typer.Context, detail: str = "", sets: Sets = None) -> None:
    """Lift a halt."""
    with plainly():
        as_json(client(context, sets).unhalt(detail))


@app.command()
def simulate(
    context: typer.Context,
    seeds: Annotated[str | None, typer.Option(help="Seeds A:B (without B), each a scenario of its own.")] = None,
    seed: Annotated[int, typer.Option(help="One seed.")] = 1,
    signals: Annotated[
        list[str] | None, typer.Option("--signal", help='A signal as JSON with "at" in seconds; may be repeated.')
    ] = None,
    scenario: Annotated[str, typer.Option(help="tour or drawn.")] = "tour",
    market: Annotated[str | None, typer.Option(help="synthetic or replay:FILE[,FILE...].")] = None,
    journal: Annotated[Path | None, typer.Option(help="Write the journal's export here.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Run the whole daemon in virtual time, and audit each run. 70 if journal and exchange disagree."""
    with plainly(), ExitStack() as after:
        after.callback(setup_logging("error"))
        config = context.obj.load([*(sets or ()), *([f"paper.market={market}"] if market else [])])
        chosen = range(*(int(end) for end in seeds.split(":"))) if seeds else range(seed, seed + 1)
        raise Exit(
            run_simulations(
                chosen,
                partial(start_daemon, settings=settings_of(config)),
                scenario="drawn" if seeds and not signals else scenario,
                signals=signals or (),
                paper=partial(paper_settings, config),
                journal=journal,
                json=json,
            )
        )


@app.command("paper-exchange")
def paper_exchange(
    port: Annotated[int, typer.Option(help="Loopback port; 0 takes a free one.")] = 0,
    market: Annotated[str, typer.Option(help="synthetic or replay:FILE[,FILE...].")] = "synthetic",
    preset: Annotated[str, typer.Option(help="btc, alt, thin or stress for all symbols, or what is usual.")] = "usual",
    seed: Annotated[int, typer.Option(help="What the synthetic market is drawn from.")] = 1,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Keep the account there.")] = None,
    balances: Annotated[str | None, typer.Option(help="A new account's balances, as JSON.")] = None,
    watch_stdin: Annotated[bool, typer.Option("--watch-stdin", help="End with the standard input.")] = False,
) -> None:
    """Run the paper exchange on its own: Binance's REST, WebSocket API and streams on one loopback port."""
    with plainly():
        held = {asset: Decimal(amount) for asset, amount in orjson.loads(balances).items()} if balances else None
        settings = ProcessSettings(
            server=ServerSettings(port=port),
            markets=market_choice(market, preset, seed),
            balances=DEFAULT_BALANCES if held is None else held,
            data_dir=data_dir,
            watch_stdin=watch_stdin,
        )
        run_paper_exchange(settings, lambda line: print(line, flush=True))


@journal_app.command("export")
def journal_export(context: typer.Context, sets: Sets = None) -> None:
    """Write every fact as a JSON line to standard output."""
    with plainly(), closing(SqliteStore(context.obj.load(sets or ()).data_dir, read_only=True)) as store:
        for committed in store.read():
            sys.stdout.buffer.write(export_line(committed))
        sys.stdout.buffer.flush()


@journal_app.command("verify")
def journal_verify(context: typer.Context, sets: Sets = None) -> None:
    """Check the journal's file, every fact and every claim."""
    with plainly(), closing(SqliteStore(context.obj.load(sets or ()).data_dir, read_only=True)) as store:
        print(f"{store.verify()} facts, all in order: {store.path}")


@app.command()
def init(path: Path = Path(DEFAULT_FILE)) -> None:
    """Write a configuration file that explains every setting and changes none."""
    with plainly():
        write_commented_toml(path)
        print(f"{path} is written; every setting is in it as a comment")


@app.command("config")
def show_config(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Print the configuration in effect, each value with its origin; secrets are masked."""
    with plainly():
        settings = describe(context.obj.load(sets or ()))
        if json:
            as_json({one.key: {"value": one.value, "origin": one.origin} for one in settings})
        else:
            width = max(len(f"{one.key} = {one.value}") for one in settings if len(one.value) < 40)
            for one in settings:
                print(f"{f'{one.key} = {one.value}':{width}}  # {one.origin}")


@app.command()
def check_config(context: typer.Context, sets: Sets = None) -> None:
    """Check the configuration without starting anything; 78 names every wrong key."""
    with plainly():
        config = context.obj.load(sets or ())
        print(f"the configuration is good: mode {config.mode}, data in {config.data_dir}")


def client(context: typer.Context, sets: Sequence[str] | None) -> Client:
    """Find the running daemon of the configured data directory."""
    config = context.obj.load(sets or ())
    return Client.of(config.data_dir)


def view_from_journal(config: Config, execution: str) -> dict[str, Any]:
    """Fold one execution's view from the journal."""
    projection = Projection()
    with closing(SqliteStore(config.data_dir, read_only=True)) as store:
        for committed in store.read(execution_id=execution):
            projection.apply(committed)
    view = projection.execution(execution)
    if view is None:
        raise Exit(exits.ERROR, f"the journal in {config.data_dir} knows no execution {execution}")
    return view


def known_secrets(config: Config) -> list[str]:
    """List the values that must never be written anywhere."""
    venue = config.venue
    return [secret.get_secret_value() for secret in (venue.api_key, venue.api_secret) if secret is not None]


def main() -> None:
    """Run the command line."""
    use_money_context()
    sys.setswitchinterval(0.001)
    app()


if __name__ == "__main__":
    main()
