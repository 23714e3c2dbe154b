from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import orjson
import pytest

from adapters.campaign.weather import SHORT_LAG_MS, Happening, Level, Trouble, Weather, burst, draw_weather
from adapters.intake.signals import decode_signal
from adapters.paper.faults import Fault, FaultKind
from adapters.scenarios import Scenario, drawn
from messages.signal import Verdict

LAGS = {FaultKind.QUERY_LAG, FaultKind.LIST_LAG, FaultKind.STALE_ANSWER}


def weathers(level: Level, count: int = 400, *, short: bool = True) -> list[Weather]:
    return [
        draw_weather(random.Random(f"{level}{seed}"), level, replace(drawn(seed), short=short)) for seed in range(count)
    ]


def test_without_faults_the_weather_is_fair_and_all_must_converge() -> None:
    assert set(weathers(Level.NONE, 3)) == {Weather()}


def test_a_light_weather_has_every_kind_of_fault_each_rarely() -> None:
    for weather in weathers(Level.LIGHT):
        assert {fault.kind for fault in weather.faults} >= set(FaultKind) - LAGS
        assert all(fault.probability <= 0.01 for fault in weather.faults)
    troubles = sum(len(weather.happenings) for weather in weathers(Level.LIGHT))
    assert 1.0 < troubles / 400 < 2.5


@pytest.mark.parametrize(("short", "share", "rate"), [(True, 0.2, 0.5), (False, 0.25, 0.25)])
def test_a_heavy_weather_has_some_of_the_kinds_each_of_them_often(short: bool, share: float, rate: float) -> None:
    drawn_weathers = weathers(Level.HEAVY, short=short)
    seen: Counter[str] = Counter(name for weather in drawn_weathers for name in weather.names)
    assert set(seen) == {kind.value for kind in FaultKind} | {trouble.value for trouble in Trouble}
    assert all(0.6 * share < seen[trouble.value] / 400 < 1.4 * share for trouble in Trouble)
    assert max(fault.probability for weather in drawn_weathers for fault in weather.faults) == rate


def test_what_goes_wrong_in_a_short_scenario_is_over_soon() -> None:
    for seed in range(50):
        last = max(signal.at for signal in drawn(seed).signals)
        for short, least, most, burst_size in ((True, 2.0, 10.0, 6), (False, 5.0, 30.0, 30)):
            scenario = replace(drawn(seed), short=short)
            weather = draw_weather(random.Random(seed), Level.HEAVY, scenario)
            assert least <= weather.ends_at - last <= most
            assert all(one.size <= burst_size for one in weather.happenings if one.trouble is Trouble.BURST)


def test_few_scenarios_are_long_and_none_of_the_short_ones_leaves_a_large_order_to_the_daemon() -> None:
    scenarios = [drawn(seed) for seed in range(2000)]
    assert 15 < sum(not scenario.short for scenario in scenarios) < 75
    sizes = {short: [count(scenario) for scenario in scenarios if scenario.short is short] for short in (True, False)}
    assert max(sizes[True]) < max(sizes[False])
    unplanned = [
        float(signal.body["quantity"] if "quantity" in signal.body else float(signal.body["quote_quantity"]) / 3000)
        for scenario in scenarios
        if scenario.short
        for signal in scenario.signals
        if signal.body["symbol"] == "ETHUSDT" and "num_chunks" not in signal.body.get("twap", {})
    ]
    assert len(unplanned) > 50
    assert max(unplanned) <= 0.31  # A conflict's quantity is 0.31, an order's four times 0.05; one ETH is 3000 USDT.


def count(scenario: Scenario) -> int:
    """How many orders a scenario has, of which each may come more than once."""
    return len({(signal.body.get("id"), signal.body["symbol"], signal.body["side"]) for signal in scenario.signals})


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


def test_in_some_weathers_questions_are_answered_at_once_and_truly_whatever_else_goes_wrong() -> None:
    assert Weather().answers
    assert sum(weather.answers for weather in weathers(Level.HEAVY, 2000)) > 20
    orders = (Fault(kind=FaultKind.LOST_REPLY), Fault(kind=FaultKind.LOST_EVENT), Fault(kind=FaultKind.REFUSE))
    assert Weather(faults=orders, happenings=(Happening(at=1.0, trouble=Trouble.HALT),)).answers
    for kind in (*LAGS, FaultKind.FAILED_QUERY):
        assert not Weather(faults=(Fault(kind=kind),)).answers
    assert not Weather(faults=(Fault(kind=FaultKind.REFUSE, code=-1003),)).answers
    assert not Weather(happenings=(Happening(at=1.0, trouble=Trouble.CRASH),)).answers
    assert not Weather(steady=True).answers


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
