"""The paper exchange as a process of its own: one line when it is up, and an end with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import orjson

from actors.runtime import CalmCollector
from adapters.loops import new_loop
from adapters.paper.account import DEFAULT_BALANCES, Fees
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.markets import MarketChoice
from adapters.paper.server.app import PaperServer
from adapters.paper.server.faults import Plan
from adapters.paper.server.grouping import GroupedFile
from adapters.paper.server.settings import ServerSettings
from adapters.paper.store import AccountFile
from messages.money import use_money_context

ACCOUNT_FILE = "paper-exchange.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What a process serves, and whose end is its own.

    `data_dir` None keeps the account in memory. With `watch_stdin` it ends when its standard input
    does, which whoever started it holds: however that one ends, the exchange does as well.
    """

    server: ServerSettings = field(default_factory=ServerSettings)
    markets: MarketChoice = field(default_factory=MarketChoice)
    limits: LimitSettings = field(default_factory=LimitSettings)
    faults: Plan = field(default_factory=Plan)
    fees: Fees = field(default_factory=Fees)
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(DEFAULT_BALANCES))
    data_dir: Path | None = None
    watch_stdin: bool = False


def run_paper_exchange(settings: ProcessSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT or the end of whoever started it.

    `announce` gets one line of JSON once the port is open: `{"port", "rest", "ws_api", "streams", "pid"}`.
    Raises `OSError` if the port is taken, `BadMarket` for a market that does not exist, and what
    `AccountFile` raises for a file that it cannot use.
    """
    use_money_context()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(settings, announce))


async def _serve(settings: ProcessSettings, announce: Callable[[str], None]) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    file = open_file(settings)
    server = PaperServer(open_exchange(settings, file), settings.server, flush=None if file is None else file.flush)
    server.desk.faults.set(settings.faults)
    try:
        # Orders are kept for ever: looking through all of them again and again would hold up the loop.
        with CalmCollector(), nullcontext() if file is None else file.log_keeper():
            await server.start()
            announce(orjson.dumps(addresses(server)).decode())
            if settings.watch_stdin:
                _watch_stdin(loop, over)
            await over.wait()
    finally:
        await server.stop()


def open_file(settings: ProcessSettings) -> GroupedFile | None:
    """Open the account's file, made new if there is none; None if the account is to be kept in memory."""
    if settings.data_dir is None:
        return None
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return GroupedFile(settings.data_dir / ACCOUNT_FILE)


def open_exchange(settings: ProcessSettings, file: AccountFile | None) -> PaperExchange:
    """Go on with the account of an earlier life, or begin a new one."""
    paper = PaperSettings(
        markets=settings.markets, limits=settings.limits, fees=settings.fees, balances=settings.balances
    )
    return PaperExchange(paper, now=time.time_ns() // 1000, file=file)


def addresses(server: PaperServer) -> dict[str, object]:
    """Say where a client finds what."""
    ws = server.url.replace("http", "ws", 1)
    return {
        "port": server.port,
        "rest": f"{server.url}/api",
        "ws_api": f"{ws}/ws-api/v3",
        "streams": ws,
        "pid": os.getpid(),
    }


def _watch_stdin(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """End with the standard input; one that cannot be waited for, as a file, is at its end already."""
    number = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(number, 65_536):
            loop.remove_reader(number)
            over.set()

    try:
        loop.add_reader(number, readable)
    except OSError:
        over.set()
