"""Many executions at once over the wire, in real time, while the wire goes wrong all the time.

Run `python -m tests.soak`. The paper exchange is a process of its own, the daemon is the one of `run.py`, in this
process; between them streams are cut, replies are lost, the server is in trouble and events come twice and late. In
the end the journal must be what the exchange says is so. Stops by itself; exit 70 if anything is amiss.
"""

from __future__ import annotations

import argparse
import logging
import queue
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import orjson

from adapters import exits
from adapters.config import Config
from adapters.house import House
from adapters.intake.signals import verdict_object
from adapters.logging import setup_logging
from adapters.paper.audit import Audit, Limits, audit
from adapters.paper.process import truth_of
from adapters.storage.codec import export_line
from messages.control import Committed, DaemonUp, FactNews, Follow
from messages.facts import ExecutionClosed, StreamGap
from messages.money import use_money_context
from messages.signal import Side, Signal, SignalReceived, TwapOptions, Verdict
from run import begin

SLICES: Mapping[str, Decimal] = {
    "BTCUSDT": Decimal("0.001"),
    "ETHUSDT": Decimal("0.02"),
    "BNBUSDT": Decimal("0.1"),
    "DOGEUSDT": Decimal(500),
}
"""What a slice is: about 60 USDT."""

BALANCES = {"BTC": 100, "ETH": 2_000, "BNB": 2_000, "DOGE": 10_000_000, "USDT": 10_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """How much, how long and how bad. Times are seconds; each probability is of one request or event.

    `engine_wait` and `margin` are what the daemon believes of the exchange, and the longest that the
    exchange holds an order up is a little less than `engine_wait`. `patience` is how long after the
    last slot everything must have come to its end.
    """

    executions: int = 200
    slices: int = 20
    interval: float = 6.0
    cut_every: float = 20.0
    lost_replies: float = 0.02
    trouble: float = 0.01
    query_trouble: float = 0.01
    doubled_events: float = 0.05
    late_events: float = 0.05
    held_up: float = 0.005
    engine_wait: float = 1.0
    margin: float = 0.5
    orders_per_10_seconds: int = 5_000
    patience: float = 150.0
    seed: int = 1

    def config(self, directory: Path) -> Config:
        """Write the daemon's configuration."""
        return Config.model_validate(
            {
                "data_dir": directory,
                "twap": {"max_spread": "0.05", "max_price_deviation": "0.2"},  # The market is not what is tried here.
                "watcher": {"engine_wait_seconds": str(self.engine_wait), "margin_seconds": str(self.margin)},
                "paper": {
                    "seed": self.seed,
                    "balances": BALANCES,
                    "orders_per_10_seconds": self.orders_per_10_seconds,
                },
            }
        )

    def faults(self) -> dict[str, object]:
        """Write the fault plan; each fault strikes for certain once, however few occasions there are."""
        return {"faults": [{**fault, "nth": [7]} for fault in self.plan()], "seed": self.seed}

    def plan(self) -> list[dict[str, object]]:
        """List what goes wrong by chance."""
        queries = ["query", "open_orders", "all_orders", "trades"]
        half = self.trouble / 2
        return [
            {"kind": "lost_reply", "on": ["place", "cancel"], "probability": self.lost_replies},
            {"kind": "error_instead", "on": ["place", "cancel"], "probability": half, "status": 503},
            {"kind": "error_reply", "on": ["place", "cancel"], "probability": half, "status": 504, "code": -1007},
            {"kind": "error_instead", "on": queries, "probability": self.query_trouble, "status": 502, "body": "html"},
            {"kind": "duplicate_event", "probability": self.doubled_events, "milliseconds": 40},
            {"kind": "late_event", "probability": self.late_events, "milliseconds": 400},
            {
                "kind": "late_request",
                "on": ["place"],
                "probability": self.held_up,
                "point": "engine",
                "milliseconds": 900 * self.engine_wait,
            },
        ]

    def signals(self) -> list[Signal]:
        """Write the signals: symbols and sides in turn."""
        symbols = list(SLICES)
        twap = TwapOptions(num_chunks=self.slices, interval_seconds=Decimal(str(self.interval)))
        return [
            Signal(
                symbol=(symbol := symbols[number % len(symbols)]),
                side=Side.BUY if number // len(symbols) % 2 else Side.SELL,
                quantity=SLICES[symbol] * self.slices,
                id=f"soak-{number}",
                source="soak",
                twap=twap,
            )
            for number in range(self.executions)
        ]


Span = tuple[datetime, datetime]


@dataclass(slots=True)
class Result:
    """What came of it: the audit's word, executions that never ended, and figures."""

    found: Audit
    unfinished: int
    struck: dict[str, int]
    cuts: list[Span]
    unnoticed: list[Span]
    """Cuts at whose moment, by the journal, the user stream was whole. One may come while it is not yet whole again."""
    seconds: float
    kinds: Counter[str]
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether all ended, and journal and exchange agree."""
        return self.found.ok and not self.unfinished

    def text(self) -> str:
        """Say it for people."""
        names = ("ChildIntended", "TradeBooked", "ChildUnknown", "ChildAbsent", "StreamGap", "RateLimited")
        lines = [
            f"{self.seconds:.0f} s, {len(self.cuts)} times all streams cut; "
            + ", ".join(f"{self.kinds[name]} {name}" for name in names),
            "struck: " + ", ".join(f"{name} {count}" for name, count in self.struck.items()),
            "ended: " + ", ".join(f"{reason} {count}" for reason, count in self.reasons.most_common()),
        ]
        if self.unfinished:
            lines.append(f"{self.unfinished} executions did not come to their end")
        return "\n".join([*lines, self.found.text()])


class _News:
    """Hears verdicts, the ends of executions and those of gaps in the user stream, from any thread."""

    def __init__(self) -> None:
        self._mail: queue.SimpleQueue[Verdict | FactNews] = queue.SimpleQueue()
        self.verdicts: list[Verdict] = []
        self.closed: dict[str, ExecutionClosed] = {}
        self.whole_since = datetime.min.replace(tzinfo=UTC)

    def tell(self, message: Verdict | FactNews, /) -> None:
        self._mail.put(message)

    def listen(self, seconds: float) -> None:
        """Take the next piece of news, if there is one soon."""
        try:
            message = self._mail.get(timeout=seconds)
        except queue.Empty:
            return
        match message:
            case Verdict():
                self.verdicts.append(message)
            case Committed(fact=ExecutionClosed() as closed):
                self.closed[closed.execution_id] = closed
            case Committed(fact=StreamGap() as gap):
                self.whole_since = gap.until
            case _:
                pass


def control(rest_url: str, what: str, body: object = None) -> Any:
    """Ask the paper exchange's control face, or tell it something."""
    data = None if body is None else orjson.dumps(body)
    request = Request(f"{rest_url.removesuffix('/api')}/paper/{what}", data)  # noqa: S310 - loopback
    with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
        return orjson.loads(answer.read())


def run(soak: Soak, directory: Path, *, shown: bool = False) -> Result:
    """Do it all, with the journal in `directory`; `shown` prints how far it has come."""
    config = soak.config(directory / "data")
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with House(config, begin) as house:
        house.start()
        up = house.wait_until_ready()
        rest = house.exchange.rest_url
        control(rest, "faults", soak.faults())
        began, news = time.monotonic(), _News()
        cuts = _trade(soak, up, rest, began, news, shown=shown)
        struck = _struck(rest)
        control(rest, "faults", {"faults": []})
        seconds = time.monotonic() - began
        house.stop()
        journal = [orjson.loads(export_line(committed)) for committed in house.store.read()]
        found = audit(
            journal,
            truth_of(rest),
            limits=Limits(order_limits=((10, soak.orders_per_10_seconds),)),
            initial_balances=config.paper.balances,
            verdicts={f"#{number}": [verdict_object(verdict)] for number, verdict in enumerate(news.verdicts)},
        )
    return Result(
        found=found,
        unfinished=soak.executions - len(news.closed),
        struck=struck,
        cuts=cuts,
        unnoticed=[
            cut for cut in cuts if not any(since <= cut[1] and cut[0] <= until for since, until in _gaps(journal))
        ],
        seconds=seconds,
        kinds=Counter(str(line["type"]) for line in journal),
        reasons=Counter(closed.report.stop_reason.partition(":")[0] for closed in news.closed.values()),
    )


def _gaps(journal: Sequence[dict[str, Any]]) -> list[Span]:
    """When the user stream was not whole; what had been sent before a cut may be read a moment after it."""
    gaps = [line for line in journal if line["type"] == "StreamGap"]
    return [
        (datetime.fromisoformat(gap["since"]) - timedelta(seconds=1), datetime.fromisoformat(gap["until"]))
        for gap in gaps
    ]


def _trade(soak: Soak, up: DaemonUp, rest: str, began: float, news: _News, *, shown: bool) -> list[Span]:
    """Hand everything in, cut streams, and wait until all have ended and the user stream is back; return the cuts."""
    up.journal.tell(Follow(follower=news, kinds=(ExecutionClosed, StreamGap)))
    for signal in soak.signals():
        up.gate.tell(SignalReceived(signal, reply_to=news))
    deadline = began + (soak.slices + 2) * soak.interval + soak.patience
    cuts, told = list[Span](), 0.0
    while len(news.closed) < soak.executions and (now := time.monotonic()) < deadline:
        news.listen(0.1)
        if now >= began + (len(cuts) + 1) * soak.cut_every and now < began + soak.slices * soak.interval:
            before = datetime.now(UTC)
            control(rest, "streams", {"action": "cut"})
            cuts.append((before, datetime.now(UTC)))
        if shown and now >= told + 10:
            told = now
            _say(f"{now - began:4.0f} s: {len(news.closed)} of {soak.executions} executions ended")
    while cuts and news.whole_since < cuts[-1][0] and time.monotonic() < deadline:
        news.listen(0.1)  # A stream that is cut again and again is opened again after ever longer pauses.
    return cuts


def _struck(rest: str) -> dict[str, int]:
    """Say how often each fault of the plan has struck."""
    plan = control(rest, "faults")["faults"]
    return {f"{fault['kind']} {'/'.join(fault['on'])}".rstrip(): fault["strikes"] for fault in plan}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print what came of it."""
    usual = Soak()
    parser = argparse.ArgumentParser(prog="soak", description="many executions over a wire that goes wrong")
    parser.add_argument("--executions", type=int, default=usual.executions)
    parser.add_argument("--slices", type=int, default=usual.slices)
    parser.add_argument("--interval", type=float, default=usual.interval, help="seconds from slice to slice")
    parser.add_argument("--cut-every", type=float, default=usual.cut_every, help="seconds between cuts of all streams")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--keep", type=Path, help="put the journal and the account here")
    given = vars(parser.parse_args(arguments))
    keep = given.pop("keep")
    use_money_context()
    sys.setswitchinterval(0.001)
    stop_logging = setup_logging("error")
    logging.getLogger("tidegate.alerts").setLevel(logging.CRITICAL)  # Doubt is what is made here, again and again.
    try:
        with TemporaryDirectory(prefix="tidegate-soak-") as directory:
            result = run(Soak(**given), keep or Path(directory), shown=True)
    finally:
        stop_logging()
    _say(result.text())
    return exits.OK if result.ok else exits.INVARIANT


if __name__ == "__main__":
    sys.exit(main())
