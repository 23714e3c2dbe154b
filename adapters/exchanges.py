"""Which exchange a configuration means: a paper one of our own process, a testnet, a demo, or the real one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import structlog

from adapters import exits
from adapters.binance.keys import UNREACHABLE, allowance, check_key, parted
from adapters.binance.settings import BinanceSettings
from adapters.config import Config
from adapters.exits import Exit
from adapters.paper.account import Fees
from adapters.paper.exchange import PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.markets import market_choice, recorded_symbols
from adapters.paper.process import PaperProcess
from messages.control import Committed
from messages.facts import ChildRefused, RateLimited
from messages.ids import Environment
from messages.money import plain

ENVIRONMENTS: dict[str, Environment] = {"paper": "p", "testnet": "t", "demo": "d", "live": "l"}
QUIET_SECONDS = 2.0
"""A touch of which the stream says nothing for so long is asked for: in a quiet market there is nothing to say."""
PAPER_KEY_VARIABLE, PAPER_SECRET_VARIABLE = "TIDEGATE_PAPER_KEY", "TIDEGATE_PAPER_SECRET"
"""How the paper exchange is told the key that the daemon will use."""
PROGRAM = Path(__file__).resolve().parents[1] / "run.py"


def paper_command(config: Config) -> list[str]:
    """Write the command that runs the configured paper exchange as a process of its own."""
    return [
        *(sys.executable, str(PROGRAM), "paper-exchange", "--watch-stdin", "--port", "0"),
        *("--data-dir", str(config.data_dir)),
        *("--market", config.paper.market, "--preset", config.paper.preset, "--seed", str(config.paper.seed)),
        *("--orders-per-10-seconds", str(config.paper.orders_per_10_seconds)),
        *("--balances", orjson.dumps(config.paper.balances, default=plain).decode()),
        *("--latency", config.paper.latency),
        *(["--bnb-discount"] if config.paper.bnb_discount else []),
    ]


@contextmanager
def exchange_of(config: Config, quiet_until: datetime | None = None) -> Iterator[BinanceSettings]:
    """Say where the exchange is and who we are there; in paper mode it runs for as long as this is entered.

    Before `quiet_until` it is asked nothing, not even what the key may do.
    """
    environment, recv_window = ENVIRONMENTS[config.mode], config.venue.recv_window_ms
    if config.mode == "paper":
        kind, _, files = config.paper.market.partition(":")
        if kind == "replay":  # Said here, where the user reads it, before another process stumbles over it.
            recorded_symbols([Path(name) for name in files.split(",") if name])
        keys = {PAPER_KEY_VARIABLE: config.paper.api_key, PAPER_SECRET_VARIABLE: config.paper.api_secret}
        with PaperProcess(paper_command(config), keys) as paper:
            yield BinanceSettings(
                rest_url=paper.rest,
                ws_api_url=paper.ws_api,
                stream_url=paper.streams,
                api_key=config.paper.api_key,
                api_secret=config.paper.api_secret,
                environment=environment,
                recv_window_ms=recv_window,
                quiet_seconds=QUIET_SECONDS,
                quiet_until=quiet_until,
            )
        return
    venue = config.venue
    settings = BinanceSettings(
        rest_url=venue.rest_url or "",
        ws_api_url=venue.ws_api_url or "",
        stream_url=venue.stream_url or "",
        api_key=venue.api_key.get_secret_value() if venue.api_key else "",
        api_secret=venue.api_secret.get_secret_value() if venue.api_secret else None,
        private_key=venue.private_key_file.read_text(encoding="ascii") if venue.private_key_file else None,
        private_key_pass=venue.private_key_passphrase.get_secret_value() if venue.private_key_passphrase else None,
        environment=environment,
        recv_window_ms=recv_window,
        quiet_seconds=QUIET_SECONDS,
        quiet_until=quiet_until,
    )
    if config.mode == "live":
        _refuse_key(settings, allow_dangerous=venue.allow_dangerous_key)
    yield settings


def _refuse_key(settings: BinanceSettings, *, allow_dangerous: bool) -> None:
    """Raise `Exit` if the key is none to trade with; one that is allowed for nevertheless is told of."""
    refused, allowed = parted(check_key(settings), allow_dangerous=allow_dangerous)
    if refused:
        said = "; ".join(problem.detail for problem in refused)
        if all(problem.name == UNREACHABLE for problem in refused):  # Which says nothing of the key: try again later.
            raise Exit(exits.UNAVAILABLE, f"the exchange cannot be reached: {said}")
        raise Exit(exits.KEY_REFUSED, f"this key is refused: {said}")
    if allowed:
        structlog.get_logger("tidegate").warning(allowance(allowed))


def quiet_until_of(facts: Iterable[Committed], now: datetime) -> datetime | None:
    """Say until when the venue wants to hear nothing, by what the journal remembers of it at `now`; None if it may."""
    told = [(c.fact, c.at) for c in facts if isinstance(c.fact, RateLimited | ChildRefused)]
    left = [fact.left(at, now) for fact, at in told if not fact.orders_only]
    longest = max(left, default=timedelta())
    return now + longest if longest > timedelta() else None


def paper_settings(config: Config, seed: int) -> PaperSettings:
    """Turn the configuration into the paper exchange's settings."""
    choice = market_choice(config.paper.market, config.paper.preset, seed)
    limits = LimitSettings(orders_per_10_seconds=config.paper.orders_per_10_seconds)
    fees = Fees(pay_in_bnb=config.paper.bnb_discount)
    return PaperSettings(markets=choice, balances=config.paper.balances, limits=limits, fees=fees)
