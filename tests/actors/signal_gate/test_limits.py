from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.signal_gate import load as loads
from actors.signal_gate.dedup import DedupSettings
from actors.signal_gate.limits import GateSettings, Limits, Market, Refusal, Sized
from actors.signal_gate.load import Load
from actors.twap.settings import TwapSettings
from messages.facts import ExecutionAmended, SignalAccepted
from messages.market import Quote
from messages.signal import ChildKind, Reason, Side, Signal, TwapOptions
from tests.factories import NOW, a_closed, a_quote, a_report, a_signal, a_trade_booked, an_accepted, rules

D = Decimal
DEVIATION = D("0.01")
NO_BOUNDS = GateSettings(
    symbols=("BTCUSDT", "ETHUSDT"),
    opposite_signals="both",
    max_notional=None,
    max_open_notional_per_symbol=None,
    max_daily_notional=None,
    max_executions=None,
    max_executions_per_symbol=None,
)


def limits(**changes: Any) -> Limits:
    return Limits(replace(NO_BOUNDS, **changes), TwapSettings())


def market(quote: Quote | None = None, age: float = 0.0, **changes: Any) -> Market:
    return Market(rules(**changes), a_quote() if quote is None else quote, age)


def reason(refusal: object) -> Reason | None:
    return refusal.reason if isinstance(refusal, Refusal) else None


def twap(**options: Any) -> dict[str, Any]:
    return {"twap": TwapOptions(**options)}


# A signal by itself -------------------------------------------------------------------------------

MISSHAPEN: list[tuple[dict[str, Any], Reason, str]] = [
    ({"quantity": D("NaN")}, Reason.NOT_FINITE, "quantity"),
    ({"quantity": D("sNaN")}, Reason.NOT_FINITE, "quantity"),
    ({"quantity": D("Infinity")}, Reason.NOT_FINITE, "quantity"),
    ({"price": D("-Infinity")}, Reason.NOT_FINITE, "price"),
    ({"quantity": D("1E+400")}, Reason.NOT_FINITE, "quantity"),
    ({"quantity": D("1E-400")}, Reason.MALFORMED, "quantity"),
    ({"quantity": D("1E+21")}, Reason.NOT_FINITE, "quantity"),
    ({"quantity": D("1E-21")}, Reason.MALFORMED, "quantity"),
    ({"quantity": D("1." + "1" * 36)}, Reason.MALFORMED, "quantity"),
    ({"quantity": D("1" * 17 + "." + "1" * 20)}, Reason.MALFORMED, "quantity"),
    ({"quantity": D(0)}, Reason.MALFORMED, "quantity"),
    ({"quantity": D("-0")}, Reason.MALFORMED, "quantity"),
    ({"quantity": D(-1)}, Reason.MALFORMED, "quantity"),
    ({"quantity": 1}, Reason.MALFORMED, "quantity"),
    ({"quantity": 0.5}, Reason.MALFORMED, "quantity"),
    ({"quantity": True}, Reason.MALFORMED, "quantity"),
    ({"quantity": None}, Reason.MALFORMED, "quantity"),
    ({"quote_quantity": D(1)}, Reason.MALFORMED, "quote_quantity"),
    ({"price": D(0)}, Reason.MALFORMED, "price"),
    ({"limit_price": D(-1)}, Reason.MALFORMED, "limit_price"),
    ({"ttl_seconds": D(0)}, Reason.MALFORMED, "ttl_seconds"),
    ({"symbol": ""}, Reason.MALFORMED, "symbol"),
    ({"symbol": None}, Reason.MALFORMED, "symbol"),
    ({"symbol": 5}, Reason.MALFORMED, "symbol"),
    ({"symbol": "BTCUSDT\n"}, Reason.MALFORMED, "symbol"),
    ({"id": ""}, Reason.MALFORMED, "id"),
    ({"id": "x" * 129}, Reason.MALFORMED, "id"),
    ({"id": "a\x1fb"}, Reason.MALFORMED, "id"),
    ({"source": None}, Reason.MALFORMED, "source"),
    ({"account": "ü"}, Reason.MALFORMED, "account"),
    ({"tag": 7}, Reason.MALFORMED, "tag"),
    ({"side": "BUY "}, Reason.MALFORMED, "side"),
    ({"timestamp": NOW.replace(tzinfo=None)}, Reason.MALFORMED, "timestamp"),
    ({"timestamp": "now"}, Reason.MALFORMED, "timestamp"),
    ({"timestamp": NOW.replace(year=1)}, Reason.MALFORMED, "timestamp"),
    ({"timestamp": NOW.replace(year=1999)}, Reason.MALFORMED, "timestamp"),
    ({"twap": {}}, Reason.MALFORMED, "twap"),
    (twap(num_chunks=0), Reason.MALFORMED, "num_chunks"),
    (twap(num_chunks=10_001), Reason.MALFORMED, "num_chunks"),
    (twap(num_chunks=True), Reason.MALFORMED, "num_chunks"),
    (twap(num_chunks=D(3)), Reason.MALFORMED, "num_chunks"),
    (twap(interval_seconds=D(0)), Reason.MALFORMED, "interval_seconds"),
    (twap(duration_seconds=D(-1)), Reason.MALFORMED, "duration_seconds"),
    (twap(duration_seconds=D("NaN")), Reason.NOT_FINITE, "duration_seconds"),
    (twap(cap_bps=D(-1)), Reason.MALFORMED, "cap_bps"),
    (twap(cap_bps=D("sNaN")), Reason.NOT_FINITE, "cap_bps"),
    (twap(cap_bps=D("0E-1000")), Reason.MALFORMED, "cap_bps"),
    (twap(num_chunks=2, start_at=NOW.replace(year=2201)), Reason.MALFORMED, "start_at"),
    (twap(cap_bps=D(1_001)), Reason.MALFORMED, "cap_bps"),
    (twap(cap_bps=D("0.5"), child="limit"), Reason.MALFORMED, "child"),
    (twap(child="limit"), Reason.MALFORMED, "child"),
    (twap(catch_up="all"), Reason.MALFORMED, "catch_up"),
    (twap(schedule="vwap"), Reason.MALFORMED, "schedule"),
    (twap(schedule="ow", rho=D(0)), Reason.MALFORMED, "rho"),
    (twap(remainder="keep"), Reason.MALFORMED, "remainder"),
    (twap(timing="yes"), Reason.MALFORMED, "twap.timing must be true or false"),
    (twap(jitter=D("0.51")), Reason.MALFORMED, "at most 0.5"),
    (twap(max_participation=D("1.1")), Reason.MALFORMED, "at most 1"),
    (twap(max_participation=D(0)), Reason.MALFORMED, "max_participation must be above 0"),
    (twap(max_participation=D("NaN")), Reason.NOT_FINITE, "max_participation"),
    (twap(max_participation=0.5), Reason.MALFORMED, "max_participation must be a decimal"),
    (twap(start_at=NOW.replace(tzinfo=None)), Reason.MALFORMED, "start_at"),
    (twap(start_at=NOW, end_at=NOW), Reason.MALFORMED, "end_at"),
    (twap(num_chunks=5, interval_seconds=D(10), duration_seconds=D(60)), Reason.MALFORMED, "duration_seconds"),
    (twap(duration_seconds=D(604_801)), Reason.MALFORMED, "604801"),
    (twap(interval_seconds=D(604_801)), Reason.MALFORMED, "604801"),
    (twap(num_chunks=10_000, interval_seconds=D(61)), Reason.MALFORMED, "610000"),
    (twap(start_at=NOW, end_at=NOW + timedelta(days=8)), Reason.MALFORMED, "691200"),
]


@pytest.mark.parametrize(("changes", "expected", "figure"), MISSHAPEN)
def test_a_signal_that_makes_no_sense_by_itself_is_refused_with_the_field_at_fault(
    changes: dict[str, Any], expected: Reason, figure: str
) -> None:
    refusal = limits().check_shape(a_signal(**changes))
    assert refusal is not None
    assert refusal.reason is expected
    assert figure in refusal.detail


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quantity": None, "quote_quantity": D(100)},
        {"id": None, "tag": None, "timestamp": None, "price": None},
        {"quantity": D("1E-20")},
        {"quantity": D("1E+20")},
        {"quantity": D("1" * 16 + "." + "1" * 20)},
        {"id": "x" * 128},
        {"timestamp": NOW.replace(year=2000)},
        {"timestamp": NOW.replace(year=2200)},
        twap(num_chunks=5, interval_seconds=D(10), duration_seconds=D(50)),
        twap(cap_bps=D(0), child="market", catch_up="none", remainder="report"),
        twap(start_at=NOW, end_at=NOW + timedelta(minutes=1), num_chunks=1),
        twap(schedule="ow", rho=D("0.1")),
        twap(cap_bps=D(1_000), jitter=D("0.5"), max_participation=D(1)),
        twap(cap_bps=D("0E-20"), jitter=D(0)),
        twap(num_chunks=5, duration_seconds=D(60)),
        twap(interval_seconds=D(10), duration_seconds=D(65)),
        twap(interval_seconds=D(604_800)),
        twap(start_at=NOW),
        twap(end_at=NOW),
    ],
)
def test_a_sound_signal_passes(changes: dict[str, Any]) -> None:
    assert limits().check_shape(a_signal(**changes)) is None


def test_only_the_accounts_of_the_settings_may_be_named_if_there_are_any() -> None:
    assert limits().check_shape(a_signal(account="other")) is None
    ours = limits(accounts=("main", "second"))
    assert ours.check_shape(a_signal(account="second")) is None
    assert ours.check_shape(a_signal(account="other")) == Refusal(Reason.MALFORMED, "account other is not known here")
    assert ours.check_shape(a_signal(account="other", id="")) == limits().check_shape(a_signal(id=""))


# What a signal asks -------------------------------------------------------------------------------

ASKED: list[tuple[dict[str, Any], Market, Reason | None, str]] = [
    ({}, market(), None, ""),
    ({"symbol": "btcusdt"}, market(), Reason.UNKNOWN_SYMBOL, "btcusdt"),
    ({"symbol": "BTCUSDT.P"}, market(), Reason.UNKNOWN_SYMBOL, "BTCUSDT.P"),
    ({"symbol": "XRPUSDT"}, market(), Reason.SYMBOL_NOT_ALLOWED, "XRPUSDT"),
    ({"symbol": "ETHUSDT"}, Market(None, None), Reason.UNKNOWN_SYMBOL, "ETHUSDT"),
    ({}, market(spot=False), Reason.NOT_SPOT, "BTCUSDT"),
    ({}, market(trading=False, status="BREAK"), Reason.SYMBOL_NOT_TRADING, "BREAK"),
    ({"timestamp": NOW - timedelta(seconds=60)}, market(), None, ""),
    ({"timestamp": NOW - timedelta(seconds=60, milliseconds=1)}, market(), Reason.STALE, "60 s"),
    ({"timestamp": NOW - timedelta(seconds=9), "ttl_seconds": D(8)}, market(), Reason.STALE, "9 s"),
    ({"timestamp": NOW - timedelta(seconds=90), "ttl_seconds": D(100)}, market(), None, ""),
    ({"timestamp": NOW - timedelta(days=8), "ttl_seconds": D("1E+20")}, market(), Reason.STALE, "604800"),
    ({"timestamp": NOW + timedelta(seconds=5)}, market(), None, ""),
    ({"timestamp": NOW + timedelta(seconds=5, milliseconds=1)}, market(), Reason.FROM_THE_FUTURE, "is 5 s ahead"),
    (twap(end_at=NOW), market(), Reason.STALE, "end_at"),
    (twap(end_at=NOW + timedelta(milliseconds=1)), market(), None, ""),
    (twap(start_at=NOW + timedelta(days=7)), market(), None, ""),
    (twap(start_at=NOW + timedelta(days=8)), market(), Reason.MALFORMED, "ahead"),
    (twap(start_at=NOW - timedelta(days=8)), market(), None, ""),
    ({}, Market(rules(), None), Reason.NO_PRICE, "no quote"),
    ({}, Market(rules(), None, 0.0), Reason.NO_PRICE, "no quote"),
    ({}, market(age=5.0), None, ""),
    ({}, market(age=5.1), Reason.NO_PRICE, "5.1 s"),
    ({}, market(a_quote(42_001, 42_000)), Reason.NO_PRICE, "BTCUSDT"),
    ({}, market(a_quote(0, 42_000)), Reason.NO_PRICE, "BTCUSDT"),
    ({}, market(a_quote(42_000, 42_000)), None, ""),
    ({"quantity": D(100)}, market(a_quote("0.5", "0.51")), None, ""),
    ({"quantity": D("0.000001")}, market(), Reason.BELOW_MINIMUM, "0 BTC"),
    ({"quantity": D("0.000001")}, market(min_quantity=D(0), min_notional=D(0)), Reason.BELOW_MINIMUM, "0 BTC"),
    ({"quantity": D("0.00099")}, market(min_quantity=D("0.001")), Reason.BELOW_MINIMUM, "0.001 BTC"),
    ({"quantity": D("0.001")}, market(min_quantity=D("0.001")), None, ""),
    ({"quantity": D("0.001")}, market(a_quote(42_000, 42_001), min_notional=D(40)), None, ""),
    (
        {"quantity": D("0.001")},
        market(a_quote("41999.99", 42_001), min_notional=D(40)),
        Reason.BELOW_MINIMUM,
        "42 USDT",
    ),
    ({"quantity": D("0.00012")}, market(), Reason.BELOW_MINIMUM, "5.04 USDT"),
    ({"quantity": D("0.00013")}, market(), None, ""),
    (
        {"quantity": D("0.0005"), **twap(child="market")},
        market(market_min_quantity=D("0.001")),
        Reason.BELOW_MINIMUM,
        "0.001",
    ),
]


@pytest.mark.parametrize(("changes", "where", "expected", "figure"), ASKED)
def test_a_signal_is_judged_on_its_symbol_its_age_its_market_and_its_size(
    changes: dict[str, Any], where: Market, expected: Reason | None, figure: str
) -> None:
    answer = limits().size(a_signal(**changes), NOW, where)
    assert reason(answer) is expected
    if isinstance(answer, Refusal):
        assert figure in answer.detail


@pytest.mark.parametrize(
    ("usual", "asked", "expected"),
    [("market", None, Reason.BELOW_MINIMUM), ("market", "ioc", None), ("ioc", "market", Reason.BELOW_MINIMUM)],
)
def test_the_least_is_that_of_the_kind_of_child_that_is_asked_for_or_else_of_the_usual_one(
    usual: ChildKind, asked: ChildKind | None, expected: Reason | None
) -> None:
    signal = a_signal(quantity=D("0.0005"), twap=TwapOptions(child=asked))
    answer = Limits(NO_BOUNDS, TwapSettings(child=usual)).size(signal, NOW, market(market_min_quantity=D("0.001")))
    assert reason(answer) is expected


def sized(signal: Signal, where: Market | None = None) -> Sized:
    answer = limits().size(signal, NOW, where or market())
    assert isinstance(answer, Sized)
    return answer


def test_a_quantity_is_rounded_down_to_the_step() -> None:
    assert sized(a_signal(quantity=D("0.123459999"))).quantity == D("0.12345")


def test_a_quote_quantity_never_buys_for_more_than_it_even_at_the_worst_price() -> None:
    bought = sized(a_signal(quantity=None, quote_quantity=D(1_000))).quantity
    worst = D(42_001) * (1 + DEVIATION)
    assert bought * worst <= 1_000 < (bought + D("0.00001")) * worst


def test_a_quote_quantity_sells_its_worth_at_the_mid() -> None:
    sold = sized(a_signal(side=Side.SELL, quantity=None, quote_quantity=D(1_000))).quantity
    assert sold == D("0.02380")


def test_the_value_of_one_signal_is_bounded() -> None:
    bounded = limits(max_notional=D(21_000))
    assert isinstance(bounded.size(a_signal(quantity=D("0.5")), NOW, market()), Sized)
    refusal = bounded.size(a_signal(quantity=D("0.50001")), NOW, market())
    detail = "value of the signal would be 21000.42 USDT, above 21000 USDT (limits.max_notional)"
    assert refusal == Refusal(Reason.ABOVE_LIMIT, detail)


# What is under way --------------------------------------------------------------------------------


def running(*accepted: SignalAccepted) -> Load:
    load = Load(DEVIATION)
    for fact in accepted:
        load.accept(fact)
    return load


def check(load: Load, signal: Signal | None = None, now: Any = NOW, **changes: Any) -> Reason | None:
    signal = signal or a_signal()
    return reason(limits(**changes).check_load(signal, sized(signal), now, load))


def test_nothing_under_way_stands_in_no_way() -> None:
    assert check(Load(DEVIATION), max_executions=1, max_executions_per_symbol=1, opposite_signals="refuse") is None


def test_an_opposite_execution_of_the_account_and_symbol_is_in_the_way_if_so_configured() -> None:
    load = running(an_accepted(side=Side.SELL))
    assert check(load, opposite_signals="refuse") is Reason.OPPOSITE_RUNNING
    assert check(load, opposite_signals="both") is None
    assert check(load, a_signal(account="other"), opposite_signals="refuse") is None
    load.close(a_closed(), NOW)
    assert check(load, opposite_signals="refuse") is None


def test_a_cooldown_runs_from_the_close_of_the_last_execution_of_the_same_side() -> None:
    load = running(an_accepted())
    assert check(load, cooldown_seconds=D(60)) is None
    load.close(a_closed(), NOW)
    assert check(load, now=NOW + timedelta(seconds=59), cooldown_seconds=D(60)) is Reason.COOLDOWN
    assert check(load, now=NOW + timedelta(seconds=60), cooldown_seconds=D(60)) is None
    assert check(load, a_signal(side=Side.SELL), cooldown_seconds=D(60)) is None
    assert check(load, cooldown_seconds=D(0)) is None


def test_executions_at_a_time_are_counted_overall_and_by_symbol() -> None:
    load = running(an_accepted(), an_accepted(execution_id="other22222222", symbol="ETHUSDT"))
    assert len(load) == 2
    assert check(load, max_executions=2) is Reason.TOO_MANY
    assert check(load, max_executions=3) is None
    assert check(load, max_executions_per_symbol=1) is Reason.TOO_MANY
    assert check(load, max_executions_per_symbol=2) is None


def test_the_open_value_of_a_symbol_is_bounded_until_executions_close() -> None:
    load = running(an_accepted())
    assert check(load, max_open_notional_per_symbol=D(41_999)) is Reason.ABOVE_LIMIT
    assert check(load, max_open_notional_per_symbol=D(42_000)) is None
    load.close(a_closed(), NOW)
    assert check(load, max_open_notional_per_symbol=D(21_000)) is None


def test_the_value_of_a_day_counts_what_was_let_in_and_of_closed_executions_what_they_filled() -> None:
    load = running(an_accepted())
    assert check(load, max_daily_notional=D(41_999)) is Reason.ABOVE_LIMIT
    load.close(a_closed(report=a_report(filled_quote=D(1_000))), NOW)
    assert load.of_day(NOW) == 1_000
    assert check(load, max_daily_notional=D(21_999)) is Reason.ABOVE_LIMIT
    assert check(load, max_daily_notional=D(22_000)) is None


def test_a_new_day_begins_at_midnight_in_utc_and_yesterdays_executions_do_not_count_into_it() -> None:
    load = running(an_accepted())
    midnight = NOW.replace(hour=0) + timedelta(days=1)
    assert load.of_day(midnight - timedelta(milliseconds=1)) == 21_000
    assert load.of_day(midnight) == 0
    load.close(a_closed(report=a_report(filled_quote=D(1_000))), midnight)
    assert load.of_day(midnight) == 0
    load.accept(an_accepted(execution_id="late222222222"))
    assert load.of_day(midnight) == 0


def pay(signal: Signal, free: dict[str, Decimal], load: Load | None = None) -> Reason | None:
    known = {"BTCUSDT": rules()}
    return reason(limits().check_balance(signal, sized(signal), free, load or Load(DEVIATION), known))


def test_a_buy_needs_quote_at_the_worst_price() -> None:
    worst = D("0.5") * 42_001 * (1 + DEVIATION)
    assert pay(a_signal(), {"USDT": worst}) is None
    assert pay(a_signal(), {"USDT": worst - D("0.01")}) is Reason.INSUFFICIENT_BALANCE
    assert pay(a_signal(limit_price=D(42_000)), {"USDT": D(21_000)}) is None


def test_a_sell_needs_base() -> None:
    sell = a_signal(side=Side.SELL)
    assert pay(sell, {"BTC": D("0.5"), "USDT": D(0)}) is None
    assert pay(sell, {"BTC": D("0.49999")}) is Reason.INSUFFICIENT_BALANCE
    assert pay(sell, {}) is Reason.INSUFFICIENT_BALANCE


@pytest.mark.parametrize(
    ("free", "figure"),
    [({}, "0"), ({"BTC": D("0.123456789")}, "0.12345679"), ({"BTC": D("1.236")}, "1.24"), ({"BTC": D(1)}, "1")],
)
def test_a_refusal_for_the_balance_tells_what_is_needed_and_what_is_free(free: dict[str, Decimal], figure: str) -> None:
    signal = a_signal(side=Side.SELL, quantity=D(2))
    refusal = limits().check_balance(signal, sized(signal), free, Load(DEVIATION), {})
    assert refusal == Refusal(Reason.INSUFFICIENT_BALANCE, f"needs 2 BTC, {figure} BTC are free")


def test_what_running_executions_may_still_spend_is_not_free() -> None:
    load = running(an_accepted())
    one = D("0.5") * 42_001 * (1 + DEVIATION)
    assert pay(a_signal(), {"USDT": 2 * one}, load) is None
    assert pay(a_signal(), {"USDT": 2 * one - 1}, load) is Reason.INSUFFICIENT_BALANCE
    load.book(a_trade_booked(quantity=D("0.4")))
    assert load.held("USDT", {"BTCUSDT": rules()}) == one / 5
    load.close(a_closed(), NOW)
    assert load.held("USDT", {"BTCUSDT": rules()}) == 0
    assert load.held("USDT", {}) == 0


def test_an_amended_execution_holds_what_it_may_still_trade() -> None:
    load = running(an_accepted(side=Side.SELL))
    known = {"BTCUSDT": rules()}
    load.book(a_trade_booked(quantity=D("0.1")))
    load.amend(ExecutionAmended(execution_id=an_accepted().execution_id, quantity=D("0.3")))
    assert load.held("BTC", known) == D("0.2")
    load.amend(ExecutionAmended(execution_id=an_accepted().execution_id, limit_price=D(1)))
    assert load.held("BTC", known) == D("0.2")
    load.amend(ExecutionAmended(execution_id=an_accepted().execution_id, quantity=D("0.05")))
    assert load.held("BTC", known) == 0


def test_facts_of_executions_that_are_not_under_way_change_nothing() -> None:
    load = Load(DEVIATION)
    load.book(a_trade_booked())
    load.amend(ExecutionAmended(execution_id="x", quantity=D(1)))
    load.close(a_closed(), NOW)
    assert len(load) == 0
    assert load.of_day(NOW) == 0


def test_ends_of_ever_new_accounts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "REMEMBERED_ENDS", 100)
    load = Load(DEVIATION)
    for number in range(100 + 1):
        load.accept(an_accepted(execution_id=str(number), signal=a_signal(account=str(number))))
        load.close(a_closed(execution_id=str(number)), NOW)
    assert load.ended("0", "BTCUSDT", Side.BUY) is None
    assert load.ended("1", "BTCUSDT", Side.BUY) == NOW


def test_the_retention_of_ids_bounds_how_old_a_signal_may_be_whatever_it_says_itself() -> None:
    short = limits(dedup=DedupSettings(retention_days=D("0.001")))
    old = a_signal(timestamp=NOW - timedelta(seconds=87), ttl_seconds=D(1_000))
    assert reason(short.size(old, NOW, market())) is Reason.STALE
