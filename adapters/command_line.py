"""The commands that need no actor: those that ask a running daemon, and those that look into files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters import console, exits
from adapters.client import Client, NotRunning
from adapters.completion import Shell
from adapters.completion import script as completion_script
from adapters.console import as_json
from adapters.exits import Exit, plainly
from adapters.importing import importing
from adapters.paper_command import paper_exchange

# What a command needs it imports by itself; see run.py.
if TYPE_CHECKING:
    from adapters.config import Config


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the command: the file, and settings that win over it."""

    file: Path | None
    sets: tuple[str, ...]

    def load(self, sets: Sequence[str] = ()) -> Config:
        """Read the configuration; what stands after the command wins over what stands before it."""
        with importing():
            from adapters.config import find_config, load_config

        return load_config(self.file or find_config(), [*self.sets, *sets])

    def data_dir(self, sets: Sequence[str] | None) -> Path:
        """Say where the daemon keeps its data; for commands that need to know no more."""
        with importing():
            from adapters.config import find_config, find_data_dir

        return find_data_dir(self.file or find_config(), [*self.sets, *(sets or ())])


app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Turns trading signals into safely executed orders. Without a command: the daemon.",
)
journal_app = typer.Typer(help="Look into the journal; works beside a running daemon.")
app.add_typer(journal_app, name="journal")
app.command("paper-exchange")(paper_exchange)

Sets = Annotated[list[str] | None, typer.Option("--set", help="A setting, as section.key=value; may be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Why = Annotated[str, typer.Option(help="Why, for the journal and whoever reads it.")]
Id = Annotated[str, typer.Argument(help="The execution's id.")]


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
    account: Annotated[str | None, typer.Option(help="Which account it is for.")] = None,
    tag: Annotated[str | None, typer.Option(help="A word of yours, shown with it.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="When it was made: ISO 8601, or ms since 1970.")] = None,
    ttl_seconds: Annotated[str | None, typer.Option("--ttl", help="Too old after so many seconds.")] = None,
    limit_price: Annotated[str | None, typer.Option("--limit-price", help="Worst price.")] = None,
    num_chunks: Annotated[int | None, typer.Option("--chunks", help="Number of slices.")] = None,
    duration_seconds: Annotated[
        str | None, typer.Option("--duration", help="Seconds to spread the slices over.")
    ] = None,
    interval_seconds: Annotated[str | None, typer.Option("--interval", help="Seconds from slice to slice.")] = None,
    start_at: Annotated[str | None, typer.Option("--start-at", help="No child before this moment.")] = None,
    end_at: Annotated[str | None, typer.Option("--end-at", help="No child after this moment.")] = None,
    child: Annotated[str | None, typer.Option(help="market, ioc, passive or auto.")] = None,
    cap_bps: Annotated[
        str | None, typer.Option("--cap-bps", help="How far beyond the touch a child may reach.")
    ] = None,
    catch_up: Annotated[str | None, typer.Option("--catch-up", help="What is missed: none, spread or cap.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Share by which sizes and times differ.")] = None,
    remainder: Annotated[str | None, typer.Option(help="What is left in the end: report or sweep.")] = None,
    max_participation: Annotated[
        str | None, typer.Option("--max-participation", help="Share of what the market trades.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="equal or ow.")] = None,
    rho: Annotated[str | None, typer.Option(help="How fast the book heals, per second, for ow.")] = None,
    timing: Annotated[
        bool | None, typer.Option("--timing/--no-timing", help="Wait for the queues at the touch.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the report.")] = False,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Send a signal to the running daemon and print its verdict."""
    twap = {
        "num_chunks": num_chunks,
        "duration_seconds": duration_seconds,
        "interval_seconds": interval_seconds,
        "start_at": start_at,
        "end_at": end_at,
        "child": child,
        "cap_bps": cap_bps,
        "catch_up": catch_up,
        "jitter": jitter,
        "remainder": remainder,
        "max_participation": max_participation,
        "schedule": schedule,
        "rho": rho,
        "timing": timing,
    }
    body = {
        "symbol": symbol,
        "side": side,
        "quote_quantity" if quote else "quantity": quantity,
        "price": price,
        "id": id_,
        "source": source,
        "account": account,
        "tag": tag,
        "timestamp": timestamp,
        "ttl_seconds": ttl_seconds,
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
        if watch:
            from adapters.watch import watch as watch_daemon

            watch_daemon(lambda: client(context, sets), json=json)
        raise Exit(console.status(client(context, sets), json=json))


@app.command()
def executions(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """List the executions."""
    with plainly():
        raise Exit(console.executions(client(context, sets), json=json))


@app.command()
def report(
    context: typer.Context,
    execution: Id,
    html: Annotated[Path | None, typer.Option(help="Write it here, as one page with a chart.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Show an execution's report; from the journal if no daemon runs."""
    with plainly():
        data_dir = context.obj.data_dir(sets)
        try:
            view = Client.of(data_dir).execution(execution)
        except NotRunning:
            view = view_from_journal(data_dir, execution)
        raise Exit(console.report(view, json=json, html=html))


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
def halt(context: typer.Context, detail: Why = "", sets: Sets = None, json: Json = False) -> None:
    """Send no new order until `unhalt`; cancels go on."""
    with plainly():
        raise Exit(console.halting(client(context, sets).halt(detail), json=json))


@app.command()
def unhalt(context: typer.Context, detail: Why = "", sets: Sets = None, json: Json = False) -> None:
    """Lift a halt."""
    with plainly():
        raise Exit(console.halting(client(context, sets).unhalt(detail), json=json))


@app.command()
def doctor(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Look at everything the daemon depends on: clock, key, filters, streams, disk, journal."""
    from actors.runtime import Pool
    from adapters.binance.keys import check_key
    from adapters.binance.venue import BinanceVenue
    from adapters.doctor import examine_disk, examine_exchange, examine_journal, examine_key
    from adapters.exchanges import exchange_of
    from adapters.logging import setup_logging

    with plainly(), ExitStack() as after:
        after.callback(setup_logging("error"))
        config = context.obj.load(sets or ())
        findings = [*examine_disk(config.data_dir), examine_journal(config.data_dir, config.mode)]
        settings = after.enter_context(exchange_of(config))
        if config.mode in {"paper", "live"}:  # The others' exchanges do not tell what a key may do.
            allow_dangerous = config.venue.allow_dangerous_key
            findings.append(examine_key(check_key(settings), allow_dangerous=allow_dangerous))
        pool = after.enter_context(Pool(2, close_seconds=2.0))
        venue = after.enter_context(BinanceVenue(pool, settings))
        findings += sorted(examine_exchange(pool, venue, config.gate.symbols), key=lambda finding: finding.what)
        raise Exit(console.findings(findings, json=json))


@journal_app.command("export")
def journal_export(context: typer.Context, sets: Sets = None) -> None:
    """Write every fact as a JSON line to standard output."""
    from adapters.storage.codec import export_line
    from adapters.storage.sqlite import SqliteStore

    with plainly(), closing(SqliteStore(context.obj.data_dir(sets), read_only=True)) as store:
        for committed in store.read():
            sys.stdout.buffer.write(export_line(committed))
        sys.stdout.buffer.flush()


@journal_app.command("verify")
def journal_verify(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Check the journal's file, every fact and every claim."""
    from adapters.storage.sqlite import SqliteStore

    with plainly(), closing(SqliteStore(context.obj.data_dir(sets), read_only=True)) as store:
        console.facts_in(store.verify(), store.path, "{facts} facts, all in order: {file}", json=json)


@journal_app.command("backup")
def journal_backup(context: typer.Context, file: Path, sets: Sets = None, json: Json = False) -> None:
    """Copy the journal into a new file, beside a running daemon too, and check the copy."""
    from adapters.storage.backup import back_up

    with plainly():
        console.facts_in(back_up(context.obj.data_dir(sets), file), file, json=json)


@journal_app.command("restore")
def journal_restore(context: typer.Context, file: Path, sets: Sets = None, json: Json = False) -> None:
    """Put a backup into a data directory that has no journal; see docs/operations.md before."""
    from adapters.storage.backup import restore

    with plainly():
        data_dir = context.obj.data_dir(sets)
        console.facts_in(restore(file, data_dir), data_dir, json=json)


@app.command()
def init(
    path: Annotated[Path | None, typer.Option(help="Where (tidegate.toml); an existing file is left alone.")] = None,
    json: Json = False,
) -> None:
    """Write a configuration file that explains every setting and changes none."""
    from adapters.config import DEFAULT_FILE, write_commented_toml

    path = path or Path(DEFAULT_FILE)
    with plainly():
        write_commented_toml(path)
        if json:
            as_json({"path": str(path)})
        else:
            print(f"{path} is written; every setting is in it as a comment")


@app.command("config")
def show_config(context: typer.Context, sets: Sets = None, json: Json = False) -> None:
    """Print the configuration in effect, each value with its origin; secrets are masked."""
    from adapters.config import describe

    with plainly():
        settings = describe(context.obj.load(sets or ()))
        if json:
            as_json({one.key: {"value": one.value, "origin": one.origin} for one in settings})
        else:
            width = max(len(f"{one.key} = {one.value}") for one in settings if len(one.value) < 40)
            for one in settings:
                print(f"{f'{one.key} = {one.value}':{width}}  # {one.origin}")


@app.command()
def check_config(
    context: typer.Context,
    sample: Annotated[Path | None, typer.Option(help="Read this file as a hook would read a body.")] = None,
    template: Annotated[str | None, typer.Option(help="The template to read it by; none: the signal's form.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Check the configuration without starting anything; 78 names every wrong key.

    With a sample, print what a hook would make of it: each signal, or why it is refused (exit 1), as JSON.
    """
    with plainly():
        from adapters.alert_setup import alert_sinks

        config = context.obj.load(sets or ())
        alert_sinks(config)
        if sample is None and json:
            as_json({"mode": config.mode, "data_dir": str(config.data_dir), "account": config.account})
        elif sample is None:
            print(f"the configuration is good: mode {config.mode}, data in {config.data_dir}")
        else:
            raise Exit(console.try_sample(sample.read_bytes(), template, config.templates))


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")], json: Json = False) -> None:
    """Print what makes a shell complete `tidegate`: `eval "$(run.py completion bash)"`."""
    with plainly():
        text = completion_script(shell, (sys.executable, str(Path(sys.argv[0]).resolve())))
        if json:
            as_json({"shell": shell.value, "script": text})
        else:
            print(text, end="")


def client(context: typer.Context, sets: Sequence[str] | None) -> Client:
    """Find the running daemon of the configured data directory."""
    return Client.of(context.obj.data_dir(sets))


def view_from_journal(data_dir: Path, execution: str) -> dict[str, Any]:
    """Fold one execution's view from the journal."""
    from adapters.projection import Projection
    from adapters.storage.sqlite import SqliteStore

    projection = Projection()
    with closing(SqliteStore(data_dir, read_only=True)) as store:
        for committed in store.read(execution_id=execution):
            projection.apply(committed)
    view = projection.execution(execution)
    if view is None:
        raise Exit(exits.ERROR, f"the journal in {data_dir} knows no execution {execution}")
    return view
