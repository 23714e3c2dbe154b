"""An execution on a recorded market: the real recording where it lies beside the repository, and a small own one."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import orjson
import pytest

from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.scenarios import scenario_of
from adapters.simulation import Outcome, simulate
from messages.execution import ExecutionReport
from tests.simulation.whole import DAEMON, D, check_outcome

RECORDING = (
    Path(__file__).parents[2].parent / "shared" / "market-data" / "binance-spot-l2" / "btcusdt_20240808.jsonl.gz"
)
BEGAN_NS = 1_700_000_000_000_000_000


def run_on(file: Path, quantity: str, chunks: int, interval: int) -> Outcome:
    """Buy on a recording in virtual time."""
    signal = {
        "id": "replayed",
        "symbol": "BTCUSDT",
        "side": "buy",
        "quantity": quantity,
        "twap": {"num_chunks": chunks, "interval_seconds": interval},
    }
    paper = PaperSettings(markets=MarketChoice(market=f"replay:{file}", seed=7))
    return simulate(scenario_of([signal]), 7, DAEMON, paper=paper)


def report_of(outcome: Outcome) -> ExecutionReport:
    (closed,) = outcome.closed
    return closed.report


@pytest.mark.timeout(600)
@pytest.mark.skipif(not RECORDING.exists(), reason="the recording is not part of the repository")
def test_twelve_bitcoin_on_a_real_recording_to_the_step_and_twice_the_same() -> None:
    outcome = run_on(RECORDING, "12", 6, 10)
    check_outcome(outcome)
    report = report_of(outcome)
    sys.stdout.write(
        f"average price {report.average_price:.2f}, slippage {report.arrival_slippage_bps:+.2f} bps against arrival, "
        f"{report.interval_twap_bps:+.2f} bps against the interval TWAP, fees {dict(report.total_fees)}\n"
    )
    assert report.total_filled == D(12)
    assert sum((D(t["quantity"]) for t in outcome.lines if t["type"] == "TradeBooked"), D(0)) == D(12)
    assert (report.stop_reason, report.chunks_executed, report.total_chunks) == ("COMPLETED", 6, 6)
    assert D(50) <= report.execution_time_seconds < D(51)
    assert report.average_price is not None
    assert abs(report.average_price / report.arrival_price - 1) < D("0.002")
    assert run_on(RECORDING, "12", 6, 10).journal == outcome.journal


# A recording of our own ---------------------------------------------------------------------------


def a_recording(path: Path, *, seconds: int = 120, thin: str = "0.30") -> Path:
    """Write a market that rises by a cent every 100 ms; `thin` stands at the touch, a lot a dollar behind it."""
    update = 100
    lines = []
    for tick in range(seconds * 10):
        at = BEGAN_NS + tick * 100_000_000
        bid, ask = 60_000 + tick / 100, 60_000.01 + tick / 100
        if tick == 0:
            snapshot = {
                "lastUpdateId": update,
                "bids": [[f"{bid:.2f}", thin], [f"{bid - 1:.2f}", "50"]],
                "asks": [[f"{ask:.2f}", thin], [f"{ask + 20:.2f}", "50"]],
            }
            lines.append(b"%d %s" % (at, orjson.dumps(snapshot)))
        update += 1
        ticker = {"u": update, "s": "BTCUSDT", "b": f"{bid:.2f}", "B": thin, "a": f"{ask:.2f}", "A": thin}
        lines.append(b"%d %s" % (at + 1, orjson.dumps({"stream": "btcusdt@bookTicker", "data": ticker})))
        if tick % 7 == 0:
            trade = {"t": tick, "p": f"{ask:.2f}", "q": "0.01", "m": False, "T": at // 1_000_000}
            lines.append(b"%d %s" % (at + 2, orjson.dumps({"stream": "btcusdt@trade", "data": trade})))
    # The first frame names the symbol: the ticker comes before the snapshot.
    lines[0], lines[1] = lines[1].replace(str(BEGAN_NS + 1).encode(), str(BEGAN_NS - 1).encode()), lines[0]
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["market.jsonl", "market.jsonl.gz"])
def test_a_small_recording_is_filled_to_the_step_and_twice_the_same(tmp_path: Path, name: str) -> None:
    file = a_recording(tmp_path / name)
    outcome = run_on(file, "1.2", 6, 5)
    check_outcome(outcome)
    report = report_of(outcome)
    assert (report.total_filled, report.stop_reason) == (D("1.2"), "COMPLETED")
    assert report.arrival_slippage_bps is not None
    assert report.arrival_slippage_bps > 0, "the market rose while we bought"
    assert report.total_fees == (("BTC", D("0.0012")),)
    assert run_on(file, "1.2", 6, 5).journal == outcome.journal


def test_what_is_taken_from_a_recorded_book_is_gone_and_the_next_level_costs_more(tmp_path: Path) -> None:
    file = a_recording(tmp_path / "market.jsonl")
    outcome = run_on(file, "3", 5, 5)
    check_outcome(outcome)
    report = report_of(outcome)
    assert report.total_filled == D(3)
    prices = [D(line["price"]) for line in outcome.lines if line["type"] == "TradeBooked"]
    assert max(prices) - min(prices) > D(19), "half of each child had to go to the next level"
