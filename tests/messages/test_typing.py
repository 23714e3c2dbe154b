"""A wrong send is found before anything runs: mypy says so of the lines that are marked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]

SENDS = """
from __future__ import annotations
from decimal import Decimal
from typing import assert_never
from messages.control import JournalCommand, Ping, Pong
from messages.facts import Fact
from messages.market import Await, Unawait
from messages.order import ChildDeclined, Decline, OrderReply, NotSent, Refused, SendOrder
from messages.refs import Tells
from messages.signal import Side, Signal, SignalReceived, Verdict, Status

def right(market: Tells[Await | Unawait], watcher: Tells[OrderReply], sender: Tells[Verdict]) -> None:
    market.tell(Unawait(key=("x", 1)))
    watcher.tell(NotSent(client_order_id="c", detail=""))
    sender.tell(Verdict(status=Status.ACCEPTED))

def wrong(market: Tells[Await | Unawait], watcher: Tells[OrderReply], journal: Tells[JournalCommand]) -> None:
    market.tell(Pong("m"))  # WRONG
    watcher.tell(Unawait(key=("x", 1)))  # WRONG
    journal.tell(Fact())  # WRONG
    SignalReceived(Signal(symbol="B", side=Side.BUY), reply_to=watcher)  # WRONG
    Signal(symbol="B", side="buy")  # WRONG
    Signal(symbol="B", side=Side.BUY, quantity=0.5)  # WRONG

def handle(message: Ping | Pong) -> None:
    match message:
        case Ping():
            pass
        case _:
            assert_never(message)  # WRONG
"""


@pytest.mark.timeout(600)
def test_mypy_finds_each_wrong_send_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "sends.py"
    file.write_text(SENDS)
    config = str(ROOT / "setup.cfg")
    said, complaints, _ = api.run(
        [str(file), "--strict", "--config-file", config, "--no-incremental", "--follow-imports=silent"]
    )
    found = {int(number) for number in re.findall(r"sends\.py:(\d+): error", said)}
    marked = {number for number, line in enumerate(SENDS.splitlines(), 1) if "# WRONG" in line}
    assert (found, complaints) == (marked, ""), said
