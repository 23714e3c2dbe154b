"""Bad signals on the whole daemon: each gets its reason code, and the daemon is as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import Simulation
from adapters.intake.signals import decode_signal
from messages.control import Readiness
from messages.signal import Signal, Status, Verdict
from tests.simulation.whole import D, Ear, Stage

GOOD: dict[str, Any] = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}

BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"quantity": None}, "MALFORMED"),
    ({"quote_quantity": "100"}, "MALFORMED"),
    ({"side": "hold"}, "MALFORMED"),
    ({"side": 1}, "MALFORMED"),
    ({"quantity": "abc"}, "MALFORMED"),
    ({"quantity": {}}, "MALFORMED"),
    ({"quantity": True}, "MALFORMED"),
    ({"quantity": "-1"}, "MALFORMED"),
    ({"quantity": "0"}, "MALFORMED"),
    ({"quantity": "0." + "0" * 30 + "1"}, "MALFORMED"),
    ({"id": ""}, "MALFORMED"),
    ({"id": "x" * 129}, "MALFORMED"),
    ({"id": "naïve"}, "MALFORMED"),
    ({"source": "a\nb"}, "MALFORMED"),
    ({"account": "somebody-elses"}, "MALFORMED"),
    ({"twap": []}, "MALFORMED"),
    ({"twap": {"num_chunks": 0}}, "MALFORMED"),
    ({"twap": {"num_chunks": 10_001}}, "MALFORMED"),
    ({"twap": {"interval_seconds": "-1"}}, "MALFORMED"),
    ({"twap": {"interval_seconds": "604801"}}, "MALFORMED"),
    ({"twap": {"cap_bps": "1001"}}, "MALFORMED"),
    ({"twap": {"child": "iceberg"}}, "MALFORMED"),
    ({"twap": {"num_chunks": 2, "interval_seconds": 10, "duration_seconds": 30}}, "MALFORMED"),
    ({"timestamp": "yesterday"}, "MALFORMED"),
    ({"timestamp": "2026-01-01T00:00:00"}, "MALFORMED"),
    ({"timestamp": 1}, "MALFORMED"),
    ({"leverage": 10}, "UNKNOWN_FIELD"),
    ({"Quantity": "1"}, "UNKNOWN_FIELD"),
    ({"twap": {"chunks": 3}}, "UNKNOWN_FIELD"),
    ({"quantity": "NaN"}, "NOT_FINITE"),
    ({"quantity": "-Infinity"}, "NOT_FINITE"),
    ({"quantity": "1e400"}, "NOT_FINITE"),
    ({"price": "inf"}, "NOT_FINITE"),
    ({"quantity": "1e30"}, "NOT_FINITE"),
    ({"symbol": "NOSUCHUSDT"}, "SYMBOL_NOT_ALLOWED"),
    ({"symbol": "$BTC"}, "UNKNOWN_SYMBOL"),
    ({"quantity": "0.00001"}, "BELOW_MINIMUM"),
    ({"quantity": "0.000001"}, "BELOW_MINIMUM"),
    ({"quantity": None, "quote_quantity": "1"}, "BELOW_MINIMUM"),
    ({"quantity": "100"}, "ABOVE_LIMIT"),
    ({"side": "sell", "quantity": "11"}, "INSUFFICIENT_BALANCE"),
    ({"timestamp": "2025-12-31T23:00:00Z"}, "STALE"),
    ({"timestamp": "2026-01-01T00:10:00Z"}, "FROM_THE_FUTURE"),
    ({"timestamp": "2025-12-31T23:59:50Z", "ttl_seconds": 5}, "STALE"),
    ({"twap": {"end_at": "2025-12-31T23:00:00Z"}}, "STALE"),
)


def a_body(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not None}


@pytest.mark.parametrize(("changes", "reason"), BAD, ids=[f"{reason}-{changes}"[:60] for changes, reason in BAD])
def test_a_bad_signal_gets_its_reason_and_the_daemon_goes_on(
    simulation: Simulation, changes: dict[str, Any], reason: str
) -> None:
    stage = Stage(simulation).start()
    answer = stage.world.send(a_body(changes))
    stage.run(1.0)
    verdict = answer.verdict
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("rejected", reason)
    assert verdict.detail
    assert not set(stage.kinds()) & {"SignalAccepted", "ExecutionPlanned", "ChildIntended"}
    assert stage.world.news.readiness is Readiness.READY
    assert stage.report(stage.accepted("0.01")).total_filled == D("0.01")
    stage.check()


@pytest.mark.parametrize("changes", [changes for changes, reason in BAD if reason in {"BELOW_MINIMUM", "STALE"}])
def test_a_rejected_signal_does_not_use_up_its_id(simulation: Simulation, changes: dict[str, Any]) -> None:
    stage = Stage(simulation).start()
    stage.world.send(a_body({"id": "x", **changes}))
    stage.run(1.0)
    stage.accepted("0.01", id="x")


def test_a_symbol_that_does_not_trade_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation)
    stage.world.exchange.set_status("BTCUSDT", stage.world.exchange.settings.symbols["BTCUSDT"].status.__class__.HALT)
    stage.start()
    verdict = stage.buy("0.01").verdict
    assert verdict is not None
    assert verdict.reason == "SYMBOL_NOT_TRADING"


def test_a_symbol_without_a_price_is_refused(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.levels([], [])
    stage.run(10.0)
    verdict = stage.buy("0.01").verdict
    assert verdict is not None
    assert verdict.reason == "NO_PRICE"


# Whatever comes -----------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(["buy", "sell", "BTCUSDT", "ETHUSDT", "0.01", "1", "-1", "0", "NaN", "1e9", "main", "market", "x"]),
    st.text(max_size=12),
)
NUMBERS = st.one_of(st.integers(-(10**20), 10**20), st.floats(), st.decimals(allow_nan=True, places=5).map(str))
VALUES = st.one_of(st.none(), st.booleans(), TEXTS, NUMBERS, st.lists(NUMBERS, max_size=2))
FIELDS = (
    "symbol",
    "side",
    "quantity",
    "quote_quantity",
    "price",
    "id",
    "source",
    "account",
    "timestamp",
    "ttl_seconds",
)
OPTIONS = ("num_chunks", "duration_seconds", "interval_seconds", "start_at", "end_at", "child", "cap_bps", "catch_up")
BODIES = st.builds(
    lambda kept, fields, options: {**kept, **fields, **({"twap": options} if options else {})},
    st.sampled_from([GOOD, {}, {"symbol": "BTCUSDT", "side": "sell"}]),
    st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=5)), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=3),
)


@settings(max_examples=60, derandomize=True)
@given(bodies=st.lists(BODIES, min_size=1, max_size=6))
def test_whatever_is_handed_in_each_gets_one_verdict_and_nothing_dies(bodies: list[dict[str, Any]]) -> None:
    with Simulation(7) as simulation:
        stage = Stage(simulation, check_codec=True).start()
        for body in bodies:
            stage.world.send(_writable(body))
        stage.run(5.0)
        assert all(answer.verdict is not None for answer in stage.world.answers)
        assert stage.world.news.readiness is Readiness.READY
        verdict = stage.buy("0.02", price="50000", id="the last").verdict
        assert verdict is not None
        assert verdict.status is Status.ACCEPTED
        stage.check_safety()


def _writable(value: Any) -> Any:
    """Turn what JSON cannot say into text, as a careless sender would."""
    if isinstance(value, dict):
        return {_writable(key): _writable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_writable(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@pytest.mark.parametrize(
    "signal",
    [
        {"quantity": D("NaN")},
        {"quantity": D("-1")},
        {"quantity": D("sNaN")},
        {"quantity": 0.5},
        {"symbol": 5},
        {"side": "buy"},
        {"timestamp": 12},
        {"twap": None},
        {"id": "\n"},
        {"price": D("Infinity")},
        {"ttl_seconds": timedelta(seconds=5)},
    ],
)
def test_a_signal_of_a_careless_actor_does_not_bring_the_gate_down(
    simulation: Simulation, signal: dict[str, Any]
) -> None:
    stage = Stage(simulation).start()
    good = decode_signal(b'{"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}')
    assert isinstance(good, Signal)
    for name, value in signal.items():
        object.__setattr__(good, name, value)
    verdicts: list[Verdict] = []
    stage.world.hand_in(good, Ear(verdicts))
    stage.run(1.0)
    assert [verdict.status for verdict in verdicts] == ["rejected"]
    stage.accepted("0.01")
