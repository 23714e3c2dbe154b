"""A daemon that is killed again and again, against an exchange that lives on: real processes, in real time.

Run `python -m tests.kills --rounds 200`. Each round starts `run.py`, hands in signals and kills it with SIGKILL at a
random moment, a fourth of the rounds while it still starts; meanwhile the exchange holds orders up, loses answers and
cuts streams. In the end everything must come to its end, and the journal must be what `run.py paper-exchange` says is
so. Exit 70 if not.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from adapters import exits
from adapters.client import NotRunning
from adapters.paper.account import DEFAULT_BALANCES
from adapters.paper.audit import Audit, audit
from adapters.paper.process import PaperProcess, truth_of
from messages.money import use_money_context
from tests.process.programs import RUN, Running
from tests.soak import control

ENGINE_WAIT, MARGIN = 1.0, 0.5
SYMBOLS = {"BTCUSDT": "0.03", "ETHUSDT": "0.6"}
FAULTS: list[dict[str, object]] = [
    {"kind": "lost_reply", "on": ["place", "cancel"], "probability": 0.05},
    {"kind": "dropped_request", "on": ["place"], "probability": 0.05},
    {"kind": "duplicate_event", "probability": 0.1, "milliseconds": 40},
    {"kind": "late_event", "probability": 0.1, "milliseconds": 300},
    {
        "kind": "late_request",
        "on": ["place"],
        "probability": 0.1,
        "point": "engine",
        "milliseconds": 900 * ENGINE_WAIT,
    },
]

MANY_CONNECTIONS = ("--connections-per-5-minutes", "100000")
"""Each start of a daemon makes some; who is killed every few seconds would be refused at last."""

KEYS = {"TIDEGATE__VENUE__API_KEY": "paper-key", "TIDEGATE__VENUE__API_SECRET": "paper-secret"}
"""What a daemon has in its environment: keys come on no command line."""

UNBOUNDED = tuple(
    f"limits.max_{name}"
    for name in (
        "notional",
        "open_notional_per_symbol",
        "daily_notional",
        "executions",
        "executions_per_symbol",
        "signals_per_second",
        "signals_per_second_per_sender",
    )
)


@dataclass(slots=True)
class Result:
    """What came of it."""

    found: Audit
    accepted: set[str]
    closed: set[str]
    kinds: Counter[str]
    moments: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether journal and exchange agree, and every execution of which a sender was told has ended."""
        return self.found.ok and self.accepted <= self.closed

    def text(self) -> str:
        """Say it for people."""
        names = ("EpochStarted", "SignalAccepted", "ChildIntended", "TradeBooked", "ChildUnknown", "ChildAbsent")
        lines = [
            f"{self.seconds:.0f} s; " + ", ".join(f"{self.kinds[name]} {name}" for name in names),
            "killed: " + ", ".join(f"{moment} {count}" for moment, count in self.moments.most_common()),
        ]
        if lost := self.accepted - self.closed:
            lines.append(f"accepted and never ended: {sorted(lost)}")
        return "\n".join([*lines, self.found.text()])


def paper_exchange(directory: Path) -> list[str]:
    """Say how an exchange is started that outlives the daemon."""
    exchange = [sys.executable, RUN, "paper-exchange", "--watch-stdin", "--port", "0"]
    return [*exchange, "--data-dir", str(directory / "exchange"), "--orders-per-10-seconds", "5000", *MANY_CONNECTIONS]


def settings(paper: PaperProcess) -> list[str]:
    """Say where the exchange is, on the command line of a daemon."""
    given = {
        "mode": "testnet",
        "venue.rest_url": paper.rest.removesuffix("/api"),
        "venue.ws_api_url": paper.ws_api,
        "venue.stream_url": paper.streams,
        "watcher.engine_wait_seconds": ENGINE_WAIT,
        "watcher.margin_seconds": MARGIN,
        "watcher.absent_after_seconds": 10,
        "gate.symbols": orjson.dumps(list(SYMBOLS)).decode(),
        "gate.opposite_signals": "both",
        "twap.max_spread": "0.05",
        "twap.max_price_deviation": "0.2",
        **dict.fromkeys(UNBOUNDED, "none"),
    }
    return [word for name, value in given.items() for word in ("--set", f"{name}={value}")]


def run(rounds: int, directory: Path, *, seed: int = 1, shown: bool = False) -> Result:
    """Do it all in `directory`."""
    chance, began = random.Random(seed), time.monotonic()
    accepted: dict[str, list[dict[str, Any]]] = {}
    moments: Counter[str] = Counter()
    with PaperProcess(paper_exchange(directory)) as paper:
        control(paper.rest, "faults", {"faults": FAULTS, "seed": seed})
        daemon = Running(directory, *settings(paper), variables=KEYS)
        with daemon:
            for number in range(rounds):
                early = number > 0 and chance.random() < 0.25
                if number:
                    daemon.begin() if early else daemon.start()
                if early:
                    time.sleep(chance.uniform(0.3, 2.0))
                    moments["while it started"] += 1
                else:
                    _hand_in(daemon, chance, number, accepted)
                    time.sleep(chance.uniform(0.0, 1.5))
                    moments["while it traded"] += 1
                if chance.random() < 0.2:
                    control(paper.rest, "streams", {"action": "cut"})
                daemon.kill()
                if shown and number % 20 == 19:
                    _say(f"{time.monotonic() - began:4.0f} s: killed {number + 1} times")
            control(paper.rest, "faults", {"faults": []})
            daemon.start()
            daemon.wait_until(lambda: not _open(daemon), 90)
            code = daemon.terminate()
            assert code == 0, f"it ended with {code}"
        truth = truth_of(paper.rest)
    journal = daemon.journal()
    found = audit(journal, truth, initial_balances=DEFAULT_BALANCES, verdicts=accepted)
    return Result(
        found=found,
        accepted={str(verdict[0]["execution_id"]) for verdict in accepted.values()},
        closed={str(line["execution_id"]) for line in journal if line["type"] == "ExecutionClosed"},
        kinds=Counter(str(line["type"]) for line in journal),
        moments=moments,
        seconds=time.monotonic() - began,
    )


def _open(daemon: Running) -> list[str]:
    views: Sequence[Any] = daemon.client.executions()
    return [str(view["execution_id"]) for view in views if view["closed_at"] is None]


def _hand_in(daemon: Running, chance: random.Random, number: int, accepted: dict[str, list[dict[str, Any]]]) -> None:
    """Hand in up to two signals; what a sender was told before the end is kept."""
    for which in range(chance.randint(1, 2)):
        symbol = chance.choice(list(SYMBOLS))
        signal = {
            "id": f"kill-{number}-{which}",
            "symbol": symbol,
            "side": chance.choice(["buy", "sell"]),
            "quantity": SYMBOLS[symbol],
            "twap": {"num_chunks": 3, "interval_seconds": "0.5"},
        }
        try:
            _, verdict = daemon.client.send(signal)
        except (NotRunning, OSError):
            continue
        if verdict["status"] == "accepted":
            accepted[f"{signal['id']}"] = [verdict]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="kills", description="a daemon that is killed again and again")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="put journal and account here")
    given = parser.parse_args(arguments)
    use_money_context()
    with TemporaryDirectory(prefix="tidegate-kills-") as directory:
        result = run(given.rounds, given.keep or Path(directory), seed=given.seed, shown=True)
    _say(result.text())
    return exits.OK if result.ok else exits.INVARIANT


if __name__ == "__main__":
    sys.exit(main())
