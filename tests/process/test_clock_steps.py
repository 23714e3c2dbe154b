"""The wall clock of a real daemon set forth and back while it trades (libfaketime); the exchange's own goes on."""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.paper.process import PaperProcess, truth_of
from tests.kills import KEYS, paper_exchange, settings
from tests.process.programs import Running, kinds

SECOND, HOUR, DAY = 1, 3_600, 86_400
LIBFAKETIME = "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
STEPS = (5 * SECOND, -3 * SECOND, HOUR, -2 * HOUR, DAY, -2 * DAY, 0)
"""How far the daemon's clock is ahead of the truth, one after the other; in the end it is right again."""

INTERVAL, CHUNKS, EXECUTIONS, BETWEEN_STEPS = 1.5, 5, 3, 0.9
LIBRARY = next(
    (
        file
        for place, name in (("/usr/lib", "*/faketime/libfaketimeMT.so.1"), (sysconfig.get_path("platlib"), LIBFAKETIME))
        for file in sorted(Path(place).glob(name))
    ),
    None,
)
"""Debian's package, or PyPI's."""

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(LIBRARY is None, reason="no libfaketime: pip install libfaketime"),
]


class StepClock:
    """What the wall clock of a process is off by: a file that it reads at each look. Monotonic time is left alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Have the clock be so many seconds ahead of the truth from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.replace(self._file)  # At once: half a file would be a time of its own.

    @property
    def environment(self) -> Mapping[str, str]:
        """What the process is to be started with.

        Without the last one the library mends waits that no glibc of today has broken, and whoever waits for
        Python's lock then asks for it without a pause: two busy threads take a hundred times as long.
        """
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


def test_a_wall_clock_that_jumps_while_it_trades_doubles_and_hurries_nothing(tmp_path: Path) -> None:
    clock = StepClock(tmp_path / "clock")
    with PaperProcess(paper_exchange(tmp_path)) as paper:
        with Running(tmp_path, *settings(paper), variables={**KEYS, **clock.environment}) as daemon:
            of = [str(daemon.client.send(a_signal(number))[1]["execution_id"]) for number in range(EXECUTIONS)]
            for ahead in STEPS:
                clock.set(ahead)
                time.sleep(BETWEEN_STEPS)
                assert daemon.client.send(a_signal(0))[1]["status"] == "duplicate"
                assert daemon.client.status()["status"] == "ready"
            views: list[Any] = [daemon.client.wait(execution, 30, every=0.1) for execution in of]
            assert daemon.terminate() == 0
        truth: Any = truth_of(paper.rest)
    journal = daemon.journal()
    assert spans_of(journal) >= DAY, "the clock was never set"
    for report in (view["report"] for view in views):
        assert (report["stop_reason"], report["total_filled"]) == ("COMPLETED", "0.08")
    assert not {"ChildRefused", "ChildUnknown", "TradingHalted"} & set(kinds(journal))
    sent_once_in_time(journal, truth)
    no_burst(journal, truth)
    everything_is_booked(journal, truth)


def a_signal(number: int) -> dict[str, Any]:
    """The same at each call: its repeat is a duplicate, whatever the clock says."""
    price = str(42_000 + 500 * number)
    twap = {"num_chunks": CHUNKS, "interval_seconds": str(INTERVAL)}
    return {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.08", "price": price, "twap": twap}


def spans_of(journal: list[dict[str, Any]]) -> float:
    """How many seconds apart the journal's moments are at most."""
    moments = [datetime.fromisoformat(line["at"]) for line in journal]
    return (max(moments) - min(moments)).total_seconds()


def sent_once_in_time(journal: list[dict[str, Any]], truth: Any) -> None:
    """Each intent went out once, with a timestamp by the exchange's clock; a slow machine may have been too late."""
    intents = {line["client_order_id"]: line for line in journal if line["type"] == "ChildIntended"}
    late = {
        line["client_order_id"] for line in journal if line["type"] == "ChildNotSent" and line["reason"] == "TOO_LATE"
    }
    received = {entry["clientOrderId"]: entry["time"] for entry in truth["received"]}
    assert len(received) == len(truth["received"])
    assert set(received) == set(intents) - late
    for name, arrived in received.items():
        assert 0 <= arrived - intents[name]["request_timestamp"] + 1_000 < 3_000, "the exchange would refuse it"


def no_burst(journal: list[dict[str, Any]], truth: Any) -> None:
    """By the exchange's clock no order is there before its slot, and slots that have passed are not made up for.

    On a busy machine one may be late by nearly an interval and the next in time, so two may come at once; three not.
    """
    intents = [line for line in journal if line["type"] == "ChildIntended"]
    begun = {line["execution_id"]: line["at"] for line in journal if line["type"] == "SignalAccepted"}
    for execution, accepted in begun.items():
        start = datetime.fromisoformat(accepted).timestamp()  # All were accepted before the first step.
        slots = {line["client_order_id"]: line["slice"] for line in intents if line["execution_id"] == execution}
        received = [entry for entry in truth["received"] if entry["clientOrderId"] in slots]
        sent = [(slots[entry["clientOrderId"]], entry["time"] / 1000 - start) for entry in received]
        assert len(sent) > CHUNKS / 2
        for slot, at in sent:
            assert at >= slot * INTERVAL - 0.002, f"slot {slot} came too early: {sent}"
        for (_, first), (_, third) in zip(sent, sent[2:], strict=False):
            assert third - first > INTERVAL / 2, f"three orders at once: {sent}"


def everything_is_booked(journal: list[dict[str, Any]], truth: Any) -> None:
    """The journal's trades are the exchange's, each once."""
    booked = [(line["trade_id"], Decimal(line["quantity"])) for line in journal if line["type"] == "TradeBooked"]
    made = [(trade["id"], Decimal(trade["qty"])) for trade in truth["trades"]]
    assert sorted(booked) == sorted(made)
