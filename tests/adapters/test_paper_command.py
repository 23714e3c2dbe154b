"""The command line of `run.py paper-exchange`: what it hands to the server, and what it refuses."""

from __future__ import annotations

import inspect
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from adapters.paper.latency import Latency
from adapters.paper.limits import LimitSettings
from adapters.paper.server import process
from adapters.paper.server.process import ProcessSettings
from adapters.paper.server.settings import ServerSettings
from tests.command_line import invoke

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Give the command, in this process."""
    for name in ("TIDEGATE_PAPER_KEY", "TIDEGATE_PAPER_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Result:
        return invoke(monkeypatch, ["paper-exchange", *arguments])

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ProcessSettings]:
    """Give what would have been served."""
    found: list[ProcessSettings] = []
    monkeypatch.setattr(process, "run_paper_exchange", lambda settings, _announce: found.append(settings))
    return found


def test_without_options_it_is_served_with_the_manners_that_the_server_has_by_itself(
    call: Call, served: list[ProcessSettings]
) -> None:
    assert call().exit_code == 0
    (settings,) = served
    server = replace(ServerSettings(), latency_seed=1)  # The seed is the market's.
    assert settings == replace(ProcessSettings(), server=server, markets=settings.markets)


def test_every_manner_of_the_server_can_be_set(call: Call, served: list[ProcessSettings], tmp_path: Path) -> None:
    told = {
        "--host": "::1",
        "--connection-seconds": "600",
        "--ping-seconds": "2",
        "--pong-seconds": "3",
        "--tick-seconds": "0.5",
        "--stream-messages-per-second": "50",
        "--orders-per-10-seconds": "9",
        "--weight-per-minute": "100",
        "--orders-per-day": "99",
        "--raw-requests-per-5-minutes": "7",
        "--connections-per-5-minutes": "5",
        "--seed": "7",
        "--preset": "thin",
        "--data-dir": str(tmp_path / "data"),
    }
    assert call(*(word for pair in told.items() for word in pair), "--watch-stdin").exit_code == 0
    (settings,) = served
    assert settings.server == replace(
        ServerSettings(),
        host="::1",
        connection_seconds=600.0,
        ping_seconds=2.0,
        pong_seconds=3.0,
        tick_seconds=0.5,
        stream_messages_per_second=50,
        latency_seed=7,
    )
    assert settings.limits == LimitSettings(
        weight_per_minute=100,
        orders_per_10_seconds=9,
        orders_per_day=99,
        raw_requests_per_5_minutes=7,
        connections_per_5_minutes=5,
    )
    assert (settings.markets.seed, settings.markets.preset) == (7, "thin")
    assert (settings.data_dir, settings.watch_stdin) == (tmp_path / "data", True)


def test_commissions_may_be_paid_in_bnb(call: Call, served: list[ProcessSettings]) -> None:
    assert call("--bnb-discount").exit_code == 0
    assert served[0].fees.pay_in_bnb


def test_the_exchange_may_be_far_away_by_draws_of_the_seed(call: Call, served: list[ProcessSettings]) -> None:
    assert call("--latency", "5-80", "--seed", "9").exit_code == 0
    assert (served[0].server.latency, served[0].server.latency_seed) == (Latency(5.0, 80.0), 9)


def test_no_bound_on_stream_messages_is_a_0(call: Call, served: list[ProcessSettings]) -> None:
    assert call("--stream-messages-per-second", "0").exit_code == 0
    assert served[0].server.stream_messages_per_second is None


def test_each_setting_of_the_server_and_each_limit_has_an_option() -> None:
    from adapters.paper_command import paper_exchange

    of_another_kind = {"keys", "latency_seed", "most_waiting", "ban_after", "first_ban_seconds", "maker_relief"}
    settings = {*inspect.signature(ServerSettings).parameters, *inspect.signature(LimitSettings).parameters}
    assert settings - of_another_kind <= set(inspect.signature(paper_exchange).parameters)


def test_a_fault_plan_can_be_there_from_the_start_and_be_drawn_from_another_seed(
    call: Call, served: list[ProcessSettings], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"seed": 3, "faults": [{"kind": "lost_reply", "on": ["place"], "nth": [1]}]}')
    assert call("--faults", str(plan)).exit_code == 0
    assert call("--faults", str(plan), "--fault-seed", "8").exit_code == 0
    assert [settings.faults.seed for settings in served] == [3, 8]
    assert [fault.kind for settings in served for fault in settings.faults.faults] == ["lost_reply"] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "10.0.0.1"), "10.0.0.1: the paper exchange listens on loopback addresses only"),
        (("--market", "flea"), "market 'flea': there are synthetic"),
        (("--preset", "calm"), "preset 'calm': there are btc"),
        (("--latency", "fast"), "latency 'fast': should be milliseconds"),
        (("--ping-seconds", "0"), "--ping-seconds"),
        (("--tick-seconds", "soon"), "--tick-seconds"),
        (("--tick-seconds", "nan"), "--tick-seconds"),
        (("--connection-seconds", "inf"), "connection_seconds must be"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(call: Call, arguments: tuple[str, ...], said: str) -> None:
    refused = call(*arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_fault_plan_that_makes_no_sense_is_said_to(call: Call, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"kind": "rain"}]}')
    refused = call("--faults", str(plan))
    assert (refused.exit_code, "rain" in refused.stderr) == (2, True)


@pytest.mark.wire
def test_it_announces_where_it_is_and_ends_well(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_soon(settings: ProcessSettings, announce: Callable[[str], None]) -> None:
        def announced(line: str) -> None:
            announce(line)
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

        run(settings, announced)

    run = process.run_paper_exchange
    monkeypatch.setattr(process, "run_paper_exchange", end_soon)
    done = call()
    assert done.exit_code == 0
    assert json.loads(done.stdout)["port"] > 0
