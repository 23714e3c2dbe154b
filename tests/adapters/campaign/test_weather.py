from __future__ import annotations

import random
from collections import Counter

import orjson
import pytest

from adapters.campaign.weather import SHORT_LAG_MS, Happening, Level, Trouble, Weather, burst, draw_weather
from adapters.intake.signals import decode_signal
from adapters.paper.faults import FaultKind
from adapters.scenarios import drawn
from messages.signal import Verdict

LAGS = {FaultKind.QUERY_LAG, FaultKind.LIST_LAG, FaultKind.STALE_ANSWER}


def weathers(level: Level, count: int = 400) -> list[Weather]:
    return [draw_weather(random.Random(f"{level}{seed}"), level, drawn(seed)) for seed in range(count)]


def test_without_faults_the_weather_is_fair_and_all_must_converge() -> None:
    assert set(weathers(Level.NONE, 3)) == {Weather()}


def test_a_light_weather_has_every_kind_of_fault_each_rarely() -> None:
    for weather in weathers(Level.LIGHT):
        assert {fault.kind for fault in weather.faults} >= set(FaultKind) - LAGS
        assert all(fault.probability <= 0.01 for fault in weather.faults)
    troubles = sum(len(weather.happenings) for weather in weathers(Level.LIGHT))
    assert 1.0 < troubles / 400 < 2.5


def test_a_heavy_weather_has_a_quarter_of_the_kinds_each_a_quarter_of_the_time() -> None:
    seen: Counter[str] = Counter(name for weather in weathers(Level.HEAVY) for name in weather.names)
    assert set(seen) == {kind.value for kind in FaultKind} | {trouble.value for trouble in Trouble}
    assert all(60 < seen[trouble.value] < 140 for trouble in Trouble)
    strengths = {fault.probability for weather in weathers(Level.HEAVY) for fault in weather.faults}
    assert max(strengths) == 0.25


def test_most_weathers_end_and_some_never_do() -> None:
    ending = sum(weather.converges for weather in weathers(Level.HEAVY))
    assert 0.6 < ending / 400 < 0.8


def test_queries_never_lag_long_where_the_stream_may_lose_events_without_a_word() -> None:
    long = 0
    for weather in weathers(Level.HEAVY):
        lags = [fault.milliseconds for fault in weather.faults if fault.kind in LAGS]
        kinds = {fault.kind for fault in weather.faults}
        if kinds & {FaultKind.LOST_EVENT, FaultKind.LATE_EVENT}:
            assert all(lag <= SHORT_LAG_MS for lag in lags)
        long += any(lag > SHORT_LAG_MS for lag in lags)
    assert long > 20


def test_where_clocks_are_off_no_moment_is_named_and_no_actor_is_stalled() -> None:
    off = [weather for weather in weathers(Level.HEAVY) if weather.steady]
    assert len(off) > 100
    for weather in off:
        assert all(not fault.milliseconds for fault in weather.faults if fault.kind is FaultKind.REFUSE)


def test_the_same_seed_draws_the_same() -> None:
    assert weathers(Level.HEAVY, 20) == weathers(Level.HEAVY, 20)


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_has_repeats_new_signals_and_garbage(seed: int) -> None:
    happening = Happening(at=3.0, trouble=Trouble.BURST, size=60.0)
    signals = list(burst(random.Random(seed), happening, drawn(seed)))
    assert len(signals) == 60
    assert all(3.0 <= signal.at <= 3.5 for signal in signals)
    bodies = [signal.body for signal in signals]
    assert any(body in [one.body for one in drawn(seed).signals] for body in bodies)
    assert any(str(body.get("id", "")).startswith("burst-") for body in bodies)
    assert any(isinstance(decode_signal(orjson.dumps(body)), Verdict) for body in bodies)
