"""A real daemon whose journal is gone, on an exchange that remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.client import NotRunning
from adapters.config import Config
from adapters.exchanges import paper_command
from adapters.paper.process import PaperProcess, truth_of
from tests.process.programs import Running, kinds

pytestmark = [pytest.mark.process, pytest.mark.acceptance, pytest.mark.timeout(170)]

SLICED = {
    "id": "a",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.1",
    "twap": {"num_chunks": 5, "interval_seconds": "0.8"},
}


def halted(daemon: Running) -> bool:
    try:
        return daemon.client.status()["readiness"] == "HALTED"
    except NotRunning:
        assert daemon.alive.poll() is None, daemon.said()
        return False


def lose_journal(daemon: Running) -> None:
    for file in daemon.data.glob("journal.sqlite*"):
        file.unlink()


def test_a_lost_journal_is_noticed_and_rebuilt_from_the_exchange_with_nothing_doubled(tmp_path: Path) -> None:
    with Running(tmp_path) as daemon:
        old = str(daemon.client.send(SLICED)[1]["execution_id"])

        def filled() -> float:
            view: Any = daemon.client.execution(old)
            return float(view["total_filled"])

        daemon.wait_until(lambda: filled() >= 0.04)
        daemon.kill()
        lose_journal(daemon)

        refused = daemon.run("daemon", "--set", "http.port=0")
        assert refused.code == 65, refused.err
        assert "orders of ours of the last 7 days" in refused.err
        assert "--rebuild-from-exchange" in refused.err
        assert f"tgp-{old}-0-0" in refused.err

        daemon._arguments = ("--rebuild-from-exchange",)
        daemon.begin()
        daemon.wait_until(lambda: halted(daemon))
        daemon.wait_until(lambda: "JournalRebuilt" in daemon.said())
        assert daemon.client.send({**SLICED, "id": "b"})[1]["reason"] == "HALTED"
        assert daemon.run("unhalt").code == 0
        daemon.wait_until(daemon._ready)
        new = str(daemon.client.send({**SLICED, "id": "b", "price": "50000"})[1]["execution_id"])
        report: Any = daemon.client.wait(new, 15, every=0.05)["report"]
        assert report["total_filled"] == "0.1"
        assert daemon.terminate() == 0

    config = Config.model_validate({"data_dir": daemon.data})
    with PaperProcess(paper_command(config)) as paper:
        truth = truth_of(paper.rest)
    journal = daemon.journal()
    trades = {(line["order_id"], line["trade_id"]) for line in journal if line["type"] == "TradeBooked"}
    assert trades == {(trade["orderId"], trade["id"]) for trade in truth["trades"]}
    assert len(trades) == kinds(journal).count("TradeBooked")
    sent = [entry["clientOrderId"] for entry in truth["received"]]
    assert len(sent) == len(set(sent)), "no id was used twice"
    assert daemon.run("journal", "verify").code == 0
