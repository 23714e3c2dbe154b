"""Run the paper exchange by itself: `python -m adapters.paper.server --port 8000`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from adapters.paper.limits import LimitSettings
from adapters.paper.markets import BadMarket, MarketChoice
from adapters.paper.server.faults import BadPlan, Plan, read_plan
from adapters.paper.server.process import ProcessSettings, run_paper_exchange
from adapters.paper.server.settings import NotLoopback, ServerSettings


def read(arguments: list[str]) -> ProcessSettings:
    """Read the command line."""
    usual = LimitSettings()
    parser = argparse.ArgumentParser(prog="paper-exchange", description="An exchange on paper that speaks as Binance.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--market", default="synthetic", help="synthetic, scripted or replay:FILE[,FILE...]")
    parser.add_argument("--seed", default="0", help="what the synthetic market is drawn from")
    parser.add_argument("--preset", help="temper of the synthetic market: btc, alt, thin or stress")
    parser.add_argument("--data-dir", type=Path, help="where the account is kept; without it, in memory")
    parser.add_argument("--weight-per-minute", type=int, default=usual.weight_per_minute)
    parser.add_argument("--orders-per-10-seconds", type=int, default=usual.orders_per_10_seconds)
    parser.add_argument("--orders-per-day", type=int, default=usual.orders_per_day)
    parser.add_argument("--faults", type=Path, help="a fault plan, as POST /paper/faults takes it")
    parser.add_argument("--watch-stdin", action="store_true", help="end when the standard input does")
    parser.add_argument("--parent", type=int, help="end when this process is the parent no more")
    options = parser.parse_args(arguments)
    return ProcessSettings(
        server=ServerSettings(host=options.host, port=options.port),
        markets=MarketChoice(market=options.market, seed=options.seed, preset=options.preset),
        limits=LimitSettings(
            weight_per_minute=options.weight_per_minute,
            orders_per_10_seconds=options.orders_per_10_seconds,
            orders_per_day=options.orders_per_day,
        ),
        faults=Plan() if options.faults is None else read_plan(options.faults.read_bytes()),
        data_dir=options.data_dir,
        watch_stdin=options.watch_stdin,
        parent=options.parent,
    )


def announce(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Serve; 2 for a command line that makes no sense, 69 if the port cannot be had."""
    try:
        run_paper_exchange(read(sys.argv[1:]), announce)
    except (NotLoopback, BadMarket, BadPlan) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"the paper exchange cannot be served: {error}\n")
        return 69
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
