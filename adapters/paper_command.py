"""The command that runs the paper exchange on its own."""

from __future__ import annotations

import errno
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import orjson
import typer

from adapters import exits
from adapters.exits import Exit, plainly
from adapters.importing import importing
from adapters.paper.limits import LimitSettings

_USUAL = LimitSettings()


def paper_exchange(
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Loopback port; 0 takes a free one.")] = 0,
    market: Annotated[
        str, typer.Option(help="synthetic, replay:FILE[,FILE...], ow:q=...,rho=...,lam=... or scripted.")
    ] = "synthetic",
    preset: Annotated[str, typer.Option(help="btc, alt, thin or stress for all symbols, or what is usual.")] = "usual",
    seed: Annotated[int, typer.Option(help="What the synthetic market is drawn from.")] = 1,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Keep the account there.")] = None,
    balances: Annotated[str | None, typer.Option(help="A new account's balances, as JSON.")] = None,
    latency: Annotated[
        str, typer.Option(help="Milliseconds each way, as 20, or drawn from between two, as 5-80; 0: none.")
    ] = "0",
    bnb_discount: Annotated[
        bool, typer.Option("--bnb-discount", help="Take commissions in BNB, a quarter less, while there is enough.")
    ] = False,
    orders_per_10_seconds: Annotated[
        int, typer.Option("--orders-per-10-seconds", min=1, help="Unfilled orders taken within ten seconds.")
    ] = _USUAL.orders_per_10_seconds,
    orders_per_day: Annotated[int, typer.Option(min=1, help="The same within a day.")] = _USUAL.orders_per_day,
    weight_per_minute: Annotated[int, typer.Option(min=1, help="Request weight a minute.")] = _USUAL.weight_per_minute,
    raw_requests_per_5_minutes: Annotated[
        int, typer.Option("--raw-requests-per-5-minutes", min=1, help="Requests in five minutes, whatever they weigh.")
    ] = _USUAL.raw_requests_per_5_minutes,
    connections_per_5_minutes: Annotated[
        int,
        typer.Option("--connections-per-5-minutes", min=1, help="Attempts to connect to either WebSocket in these."),
    ] = _USUAL.connections_per_5_minutes,
    stream_messages_per_second: Annotated[
        int, typer.Option(min=0, help="What a client may send on a market stream, pings and pongs too; 0: no bound.")
    ] = 5,
    connection_seconds: Annotated[float, typer.Option(min=0.01, help="How long a WebSocket may last.")] = 86_400.0,
    ping_seconds: Annotated[float, typer.Option(min=0.01, help="How often a WebSocket is pinged.")] = 20.0,
    pong_seconds: Annotated[float, typer.Option(min=0.01, help="How long its pong may take.")] = 60.0,
    tick_seconds: Annotated[
        float, typer.Option(min=0.001, help="Pace of the markets while somebody watches or an order rests.")
    ] = 0.025,
    key: Annotated[str | None, typer.Option(envvar="TIDEGATE_PAPER_KEY", help="The API key that it knows.")] = None,
    secret: Annotated[
        str | None, typer.Option(envvar="TIDEGATE_PAPER_SECRET", help="The secret of that key (HMAC).")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A fault plan, as POST /paper/faults takes it.")
    ] = None,
    fault_seed: Annotated[int | None, typer.Option(help="What its chances are drawn from, instead of its own.")] = None,
    watch_stdin: Annotated[bool, typer.Option("--watch-stdin", help="End with the standard input.")] = False,
) -> None:
    """Run the paper exchange on its own: Binance's REST, WebSocket API and streams on one loopback port."""
    with importing():
        from msgspec import structs

        from adapters.paper.account import DEFAULT_BALANCES, Fees
        from adapters.paper.latency import read_latency
        from adapters.paper.markets import market_choice
        from adapters.paper.server.faults import Plan, read_plan
        from adapters.paper.server.keys import PAPER_KEY, ApiKey
        from adapters.paper.server.process import ProcessSettings, run_paper_exchange
        from adapters.paper.server.settings import ServerSettings

    with plainly():
        held = None if balances is None else read_balances(balances)
        known = ApiKey(key=key or PAPER_KEY.key, secret=secret or PAPER_KEY.secret)
        plan = Plan() if faults is None else read_plan(faults.read_bytes())
        settings = ProcessSettings(
            server=ServerSettings(
                host=host,
                port=port,
                keys=(known,),
                connection_seconds=connection_seconds,
                ping_seconds=ping_seconds,
                pong_seconds=pong_seconds,
                tick_seconds=tick_seconds,
                stream_messages_per_second=stream_messages_per_second or None,
                latency=read_latency(latency),
                latency_seed=seed,
            ),
            markets=market_choice(market, preset, seed),
            limits=LimitSettings(
                weight_per_minute=weight_per_minute,
                orders_per_10_seconds=orders_per_10_seconds,
                orders_per_day=orders_per_day,
                raw_requests_per_5_minutes=raw_requests_per_5_minutes,
                connections_per_5_minutes=connections_per_5_minutes,
            ),
            faults=plan if fault_seed is None else structs.replace(plan, seed=fault_seed),
            fees=Fees(pay_in_bnb=bnb_discount),
            balances=DEFAULT_BALANCES if held is None else held,
            data_dir=data_dir,
            watch_stdin=watch_stdin,
        )
        try:
            if data_dir is not None:
                data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Exit(exits.UNUSABLE, f"the directory {data_dir} cannot be used: {error.strerror}") from None
        try:
            run_paper_exchange(settings, lambda line: print(line, flush=True))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            advice = "End what listens there, or choose another port (--port; 0 takes a free one)."
            raise Exit(exits.PORT_IN_USE, f"port {port} is already in use. {advice}") from None


def read_balances(text: str) -> dict[str, Decimal]:
    """Read what a new account holds, as `{"BTC": "10"}`; `Exit` if that is not it."""
    try:
        held = {str(asset): Decimal(str(amount)) for asset, amount in dict(orjson.loads(text)).items()}
    except (ValueError, TypeError, InvalidOperation):
        held = {}
    if not held or not all(asset and amount.is_finite() and amount >= 0 for asset, amount in held.items()):
        raise Exit(exits.USAGE, f'balances {text!r}: should be JSON such as {{"BTC": "10", "USDT": "100000"}}')
    return held
