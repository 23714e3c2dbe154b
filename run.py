"""The command line, and nothing but wiring: parse, build, start, wait, stop in reverse."""

from __future__ import annotations

import queue
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
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
from adapters.config import (
    Config,
    ConfigError,
    commented_toml,
    describe,
    find_config,
    load_config,
    write_commented_toml,
)

from messages.control import DaemonNews
from messages.ids import Environment
from messages.market import WatchMarket
from messages.order import VenueCommand
from messages.refs import Tells

VERSION = "0.1.0"
EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_INVARIANT, EXIT_JOURNAL, EXIT_LOCKED, EXIT_CONFIG = 2, 69, 70, 74, 75, 78
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
