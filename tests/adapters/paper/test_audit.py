from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from adapters.paper import audit_accounts as accounts
from adapters.paper import audit_conduct as conduct
from adapters.paper import audit_progress as progress
from adapters.paper import audit_reports as reports
from adapters.paper import audit_rules as rules
from adapters.paper import audit_signals as signals
from adapters.paper.account import DEFAULT_BALANCES
from adapters.paper.audit import RULES, Audit, Limits, Unreadable, audit
from adapters.paper.audit_evidence import read_evidence
from adapters.paper.audit_rules import Rule
from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange
from messages.facts import (
    AlertCleared,
    AlertRaised,
    AttemptReappeared,
    ChildAbsent,
    ChildCancelRequested,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    ExecutionAmended,
    ExecutionCancelRequested,
    ExecutionCorrected,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    RateLimited,
    SignalDuplicate,
    StreamGap,
    TradingHalted,
)
from messages.ids import child_id, microseconds
from tests.audit_run import NAME_B, START, A, B, Run, at, clean_run, ms, name_a
from tests.factories import D, a_signal, a_trade_booked, an_accepted, an_acknowledged, an_intent

LIMITS = Limits(order_limits=((10, 50), (60, 100)), quiet_since=microseconds(at(0)), until=microseconds(at(400)))
VERDICTS: dict[str, list[dict[str, Any]]] = {
    "first": [{"status": "accepted", "execution_id": A}],
    "repeat": [{"status": "duplicate"}],
}


def judge(run: Run, verdicts: dict[str, list[dict[str, Any]]] | None = None, **options: Any) -> Audit:
    options.setdefault("limits", LIMITS)
    return audit(
        run.journal,
        run.truth,
        initial_balances=START,
        verdicts=VERDICTS if verdicts is None else verdicts,
        **options,
    )


# Faults: each breaks one rule, maybe others too ---------------------------------------------------

FAULTS: list[tuple[Rule, Callable[[Run], object]]] = []


def breaks(rule: Rule) -> Callable[[Callable[[Run], object]], Callable[[Run], object]]:
    """Note a fault as one that this rule must catch."""

    def note(plant: Callable[[Run], object]) -> Callable[[Run], object]:
        FAULTS.append((rule, plant))
        return plant

    return note


@breaks(rules.over_fill)
def the_exchange_fills_more_than_asked(run: Run) -> None:
    run.order(name_a(5))["executedQty"] = "0.10001"


@breaks(rules.over_fill)
def the_journal_books_more_than_asked(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(5))["quantity"] = "0.10001"


@breaks(rules.over_fill)
def an_order_comes_from_nowhere_for_an_execution_of_ours(run: Run) -> None:
    run.line("SignalAccepted", execution_id=A)["quantity"] = "0.49"
    run.line("ExecutionPlanned", execution_id=A)["plan"]["quantity"] = "0.49"


@breaks(rules.over_fill)
def an_amount_of_quote_is_overspent(run: Run) -> None:
    run.line("SignalAccepted", execution_id=A)["signal"].update(quantity=None, quote_quantity="20000")


@breaks(rules.exposure)
def a_timed_out_child_counts_as_unfilled(run: Run) -> None:
    unknown = ChildUnknown(execution_id=A, client_order_id=name_a(2), symbol="BTCUSDT", detail="")
    place = run.index("ChildAcknowledged", client_order_id=name_a(2))
    for kind in ("ChildAcknowledged", "TradeBooked", "ChildClosed"):
        run.drop(kind, client_order_id=name_a(2))
    run.add(61, unknown, place=place)
    run.line("ChildIntended", client_order_id=name_a(4))["quantity"] = "0.27"


@breaks(rules.exposure)
def a_child_is_sent_for_more_than_the_rest(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(5))["quantity"] = "0.11"


@breaks(rules.exposure)
def a_child_ignores_an_amendment(run: Run) -> None:
    amended = ExecutionAmended(execution_id=A, quantity=D("0.35"))
    run.add(86, amended, place=run.index("ChildIntended", client_order_id=name_a(3)))


@breaks(rules.exposure)
def a_child_absent_that_reappeared_is_forgotten(run: Run) -> None:
    gone = run.index("ChildRefused")
    back = AttemptReappeared(
        execution_id=A,
        client_order_id=name_a(1),
        symbol="BTCUSDT",
        order_id=1010,
        status="NEW",
        executed_quantity=D(0),
    )
    run.add(30.5, back, place=gone + 1)


@breaks(rules.exposure_at_venue)
def the_exchange_gets_an_order_above_the_rest(run: Run) -> None:
    run.order(name_a(5))["origQty"] = "0.2"


@breaks(rules.exposure_at_venue)
def an_order_arrives_while_another_holds_the_rest(run: Run) -> None:
    run.order(name_a(2)).update(origQty="0.37", updateTime=ms(95))


@breaks(rules.write_ahead)
def an_order_was_never_journalled(run: Run) -> None:
    run.drop("ChildIntended", client_order_id=name_a(4))


@breaks(rules.write_ahead)
def an_order_arrives_before_its_intent(run: Run) -> None:
    run.request(name_a(2))["time"] = ms(59.9)


@breaks(rules.write_ahead)
def an_order_arrives_with_another_quantity(run: Run) -> None:
    run.request(name_a(2))["quantity"] = "0.18"


@breaks(rules.write_ahead)
def an_order_arrives_without_its_limit(run: Run) -> None:
    run.request(name_a(2)).update(type="MARKET", price="0.00000000")


@breaks(rules.write_ahead)
def an_order_takes_effect_that_is_said_never_to_have_left(run: Run) -> None:
    run.request(name_a(1)).update(effect="accepted", code=None)
    place = run.index("ChildRefused")
    run.journal.pop(place)
    kept = ChildNotSent(execution_id=A, client_order_id=name_a(1), reason="HALTED", detail="", source="venue")
    run.add(30.01, kept, place=place)


@breaks(rules.write_ahead)
def an_order_of_somebody_else_arrives(run: Run) -> None:
    run.received.append({**run.request(name_a(2)), "clientOrderId": "web_1"})


@breaks(rules.write_ahead)
def an_order_stands_at_the_exchange_that_nobody_received(run: Run) -> None:
    run.received.remove(run.request(name_a(4)))


@breaks(rules.write_ahead)
def an_order_of_a_lost_journal_stands_at_the_exchange(run: Run) -> None:
    run.orders.append({**run.order(name_a(0)), "clientOrderId": child_id("p", A, 30, 0)})


@breaks(rules.unique_ids)
def a_request_is_sent_again_and_takes_effect_again(run: Run) -> None:
    run.received.append({**run.request(name_a(2)), "time": ms(61)})


@breaks(rules.unique_ids)
def the_exchange_holds_two_orders_of_one_name(run: Run) -> None:
    run.orders.append({**run.order(name_a(2)), "orderId": 2000})


@breaks(rules.unique_ids)
def a_child_is_intended_twice(run: Run) -> None:
    place = run.index("ChildIntended", client_order_id=name_a(2))
    run.journal.insert(place, dict(run.journal[place]))
    run.renumber()


@breaks(rules.unique_ids)
def a_child_is_named_after_another_slice(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2))["slice"] = 3


@breaks(rules.unique_ids)
def a_cancel_id_is_used_twice(run: Run) -> None:
    place = run.index("ChildCancelRequested")
    run.journal.insert(place, dict(run.journal[place]))
    run.renumber()


@breaks(rules.one_attempt_executes)
def two_attempts_of_one_slice_are_executed(run: Run) -> None:
    run.request(name_a(1)).update(effect="accepted", code=None)
    run.orders.append({**run.order(name_a(0)), "clientOrderId": name_a(1), "orderId": 2001, "executedQty": "0.01"})


@breaks(rules.one_attempt_executes)
def the_attempt_rises_without_a_proof(run: Run) -> None:
    run.drop("ChildRefused")


@breaks(rules.one_open_child)
def a_child_is_intended_while_one_is_open(run: Run) -> None:
    closed = run.line("ChildClosed", client_order_id=name_a(1, 1))
    run.journal.remove(closed)
    run.journal.insert(run.index("ChildIntended", client_order_id=name_a(2)) + 1, closed)
    run.renumber()


@breaks(rules.one_open_child)
def two_orders_are_open_at_once_at_the_exchange(run: Run) -> None:
    run.order(name_a(3))["updateTime"] = ms(125)


@breaks(signals.one_execution_per_signal)
def a_key_is_accepted_twice(run: Run) -> None:
    run.line("SignalAccepted", execution_id=B)["key"] = run.line("SignalAccepted")["key"]


@breaks(signals.one_execution_per_signal)
def an_execution_is_accepted_twice(run: Run) -> None:
    again = an_accepted(key="other", signal=a_signal(id="other"))
    run.add(1, again, place=run.index("SignalDuplicate"))


@breaks(signals.one_execution_per_signal)
def an_id_comes_again_under_another_key(run: Run) -> None:
    again = an_accepted(execution_id="cccccccccc234", key="other")
    run.add(152, again)


@breaks(signals.one_execution_per_signal)
def a_near_price_is_not_taken_for_a_repeat(run: Run) -> None:
    signal = a_signal(id=None, side="SELL")
    near = an_accepted(
        execution_id="cccccccccc234",
        key="fingerprint:2",
        signal=signal,
        side="SELL",
        reference_price=D(41_999),
    )
    run.add(500, near)


@breaks(signals.one_execution_per_signal)
def a_duplicate_names_no_execution(run: Run) -> None:
    run.add(1, SignalDuplicate(execution_id="nobody", signal=a_signal(), label="", by="id"))


@breaks(signals.one_execution_per_signal)
def a_refused_signal_is_worked(run: Run) -> None:
    run.drop("SignalAccepted", execution_id=B)


@breaks(signals.one_execution_per_signal)
def an_execution_closes_twice(run: Run) -> None:
    run.journal.append(dict(run.line("ExecutionClosed", execution_id=A)))
    run.renumber()


@breaks(signals.rates)
def more_orders_than_allowed_in_a_window(run: Run) -> None:
    run.received += [{**run.request(name_a(2)), "clientOrderId": f"x{n}"} for n in range(60)]


@breaks(signals.rates)
def an_order_within_a_retry_after(run: Run) -> None:
    run.line("RateLimited").update(at="2026-07-01T12:00:50Z", until="2026-07-01T12:01:30Z")


@breaks(signals.no_identical_refusals)
def a_refused_order_is_repeated_for_ever(run: Run) -> None:
    for attempt in (2, 3):
        run.received.append({**run.request(name_a(1)), "clientOrderId": name_a(1, attempt)})
        intent = an_intent(client_order_id=name_a(1, attempt), slice=1, attempt=attempt)
        refused = ChildRefused(
            execution_id=A, client_order_id=name_a(1, attempt), symbol="BTCUSDT", code=-1013, message="LOT_SIZE"
        )
        run.add(30.1, intent, refused, place=run.index("ChildRefused") + 1)


def test_refusals_that_nobody_heard_may_be_met_again() -> None:
    run = clean_run()
    a_refused_order_is_repeated_for_ever(run)
    run.drop("ChildRefused", client_order_id=name_a(1, 3))

    assert not list(signals.no_identical_refusals(read_evidence(run.journal, run.truth), LIMITS))


@breaks(conduct.monotone)
def a_closed_child_is_acknowledged(run: Run) -> None:
    late = an_acknowledged(client_order_id=name_a(0))
    run.add(5, late, place=run.index("ChildIntended", client_order_id=name_a(1)))


@breaks(conduct.monotone)
def an_acknowledged_child_becomes_absent(run: Run) -> None:
    place = run.index("ChildClosed", client_order_id=name_a(5))
    run.journal.pop(place)
    absent = ChildAbsent(execution_id=A, client_order_id=name_a(5), symbol="BTCUSDT", proof="not found")
    run.add(150, absent, place=place)


@breaks(conduct.monotone)
def a_trade_comes_after_the_end_without_a_word(run: Run) -> None:
    place = run.index("TradeBooked", client_order_id=name_a(5))
    run.journal[place], run.journal[place + 1] = run.journal[place + 1], run.journal[place]
    run.renumber()


def ask_to_cancel_a2(run: Run, seconds: float) -> None:
    name = name_a(2)
    cancel = ChildCancelRequested(
        execution_id=A,
        client_order_id=name,
        cancel_id=f"{name}_c0",
        symbol="BTCUSDT",
        order_id=1004,
        reason="fence",
    )
    run.add(seconds, cancel, place=run.index("TradingHalted"))


@breaks(conduct.monotone)
def a_child_is_cancelled_long_after_its_end(run: Run) -> None:
    ask_to_cancel_a2(run, 65)


@breaks(conduct.monotone)
def an_executed_quantity_shrinks(run: Run) -> None:
    back = AttemptReappeared(
        execution_id=A,
        client_order_id=name_a(0),
        symbol="BTCUSDT",
        order_id=1001,
        status="FILLED",
        executed_quantity=D("0.05"),
    )
    run.add(160, back)


@breaks(conduct.monotone)
def a_correction_takes_fills_away(run: Run) -> None:
    correction = ExecutionCorrected(
        execution_id=A,
        client_order_id=name_a(0),
        total_filled=D("0.4"),
        filled_quote=D(16_800),
        detail="",
    )
    run.add(160, correction)


@breaks(conduct.without_gap)
def a_line_is_missing(run: Run) -> None:
    run.journal.remove(run.line("AlertCleared"))


@breaks(conduct.without_gap)
def a_line_stands_twice(run: Run) -> None:
    run.journal.append(dict(run.journal[-1]))


@breaks(accounts.trades_once)
def a_trade_is_booked_twice(run: Run) -> None:
    run.journal.append(dict(run.line("TradeBooked", client_order_id=name_a(0))))
    run.renumber()


@breaks(accounts.trades_once)
def a_trade_is_invented(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(0))["trade_id"] = 99


@breaks(accounts.trades_once)
def a_trade_is_booked_at_another_price(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(0))["price"] = "42000"


@breaks(accounts.trades_once)
def a_commission_is_booked_in_another_asset(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(0))["commission_asset"] = "BNB"


@breaks(accounts.trades_once)
def a_trade_is_booked_for_another_child(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(4))["client_order_id"] = name_a(5)


@breaks(accounts.closed_complete)
def a_child_is_closed_before_all_its_trades(run: Run) -> None:
    run.drop("TradeBooked", client_order_id=name_a(0), trade_id=10011)


@breaks(accounts.closed_complete)
def a_child_is_closed_with_a_fill_less(run: Run) -> None:
    run.drop("TradeBooked", client_order_id=name_a(0), trade_id=10011)
    run.line("ChildClosed", client_order_id=name_a(0)).update(executed_quantity="0.06", executed_quote="2520.06")


@breaks(accounts.closed_complete)
def a_child_is_closed_with_less_fees(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(4))["commission"] = "0.00001"


@breaks(accounts.closed_complete)
def a_child_is_closed_as_an_order_that_does_not_exist(run: Run) -> None:
    run.line("ChildClosed", client_order_id=name_a(3))["order_id"] = 5


@breaks(conduct.quiet_when_halted)
def a_child_is_intended_in_a_halt(run: Run) -> None:
    halt = TradingHalted(reason="HALTED", detail="")
    run.add(29, halt, place=run.index("ChildIntended", client_order_id=name_a(1)))


@breaks(conduct.quiet_when_halted)
def an_order_arrives_in_a_halt(run: Run) -> None:
    run.request(name_a(2))["time"] = ms(75)


@breaks(conduct.quiet_when_halted)
def an_order_arrives_in_a_halt_that_never_ends(run: Run) -> None:
    run.add(140, TradingHalted(reason="HALTED", detail=""))


@breaks(conduct.quiet_until_ready)
def a_child_is_intended_before_its_execution_is_taken_up(run: Run) -> None:
    run.drop("ExecutionStarted", incarnation=2)


@breaks(conduct.quiet_until_ready)
def an_order_is_sent_by_the_epoch_after(run: Run) -> None:
    run.request(name_a(2))["time"] = ms(88)


@breaks(conduct.within_its_time)
def a_child_is_intended_after_the_end(run: Run) -> None:
    closed = run.journal.pop(run.index("ExecutionClosed", execution_id=A))
    run.journal.insert(run.index("ChildIntended", client_order_id=name_a(5)), closed)
    run.renumber()


@breaks(conduct.within_its_time)
def a_child_is_intended_after_a_cancel(run: Run) -> None:
    cancel = ExecutionCancelRequested(execution_id=A)
    run.add(100, cancel, place=run.index("ChildCancelRequested"))


@breaks(conduct.within_its_time)
def a_child_is_intended_in_a_pause(run: Run) -> None:
    run.add(70, ExecutionPaused(execution_id=A), place=run.index("TradingHalted"))


@breaks(conduct.within_its_time)
def a_child_is_intended_in_quarantine_in_spite_of_a_resume(run: Run) -> None:
    place = run.index("TradingHalted")
    run.add(70, ExecutionQuarantined(execution_id=A, detail=""), place=place)
    run.add(71, ExecutionResumed(execution_id=A), place=place + 1)


@breaks(conduct.within_its_time)
def a_child_is_intended_after_the_end_of_time(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"]["end_at"] = "2026-07-01T12:02:00Z"


@breaks(conduct.within_its_time)
def a_child_is_intended_after_an_amended_end(run: Run) -> None:
    amended = ExecutionAmended(execution_id=A, end_at=at(100))
    run.add(20, amended, place=run.index("ChildIntended", client_order_id=name_a(1)))


@breaks(conduct.within_its_slot)
def a_child_is_intended_before_its_slot(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(4))["at"] = "2026-07-01T12:01:59.9Z"


@breaks(conduct.within_its_slot)
def a_child_is_intended_before_its_slots_delay(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"].update(jitter="0.2", delays=["0", "0", "2"])


@breaks(conduct.within_its_slot)
def a_request_names_a_time_before_its_slot(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(4))["request_timestamp"] = ms(118)


@breaks(conduct.within_its_slot)
def a_child_is_for_a_slot_that_is_not_planned(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"]["extra_slots"] = 0


@breaks(conduct.within_its_slot)
def a_child_is_intended_without_a_plan(run: Run) -> None:
    run.drop("ExecutionPlanned", execution_id=B)


@breaks(rules.participation)
def a_child_is_more_than_its_share_of_what_the_market_trades(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"]["max_participation"] = "0.1"
    for number, traded in enumerate(("1", "2", "3", "3.9", "5"), 1):
        run.line("ChildIntended", client_order_id=name_a(number))["market_volume"] = traded


@breaks(conduct.catch_up)
def a_stall_is_made_up_for_in_one_burst(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2))["quantity"] = "0.20001"


@breaks(conduct.no_burst)
def missed_slots_are_served_one_after_the_other_at_once(run: Run) -> None:
    later = run.line("ChildIntended", client_order_id=name_a(3))
    run.line("ChildIntended", client_order_id=name_a(2))["at"] = later["at"]


@breaks(conduct.guards_held)
def a_child_goes_on_an_old_quote(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2))["quote_age_seconds"] = "5.1"


@breaks(conduct.guards_held)
def a_child_goes_on_a_wide_spread(run: Run) -> None:
    intent = run.line("ChildIntended", client_order_id=name_a(2))
    intent.update(bid="41874", ask="42126", spread="0.006")


@breaks(conduct.guards_held)
def a_child_goes_far_from_arrival(run: Run) -> None:
    intent = run.line("ChildIntended", client_order_id=name_a(2))
    intent.update(bid="42500", ask="42500", spread="0", deviation="0.0119")


@breaks(conduct.guards_held)
def a_deviation_is_understated(run: Run) -> None:
    intent = run.line("ChildIntended", client_order_id=name_a(2))
    intent.update(bid="42500", ask="42500", spread="0", deviation="0.001")


@breaks(conduct.guards_held)
def a_spread_is_understated(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2)).update(bid="41874", ask="42126")


@breaks(conduct.guards_held)
def a_quote_is_crossed(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2)).update(bid="42001", ask="41999")


@breaks(conduct.guards_held)
def a_quote_is_from_the_future(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(2))["quote_age_seconds"] = "-0.1"


@breaks(conduct.guards_held)
def a_child_may_trade_beyond_the_worst_price(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"]["limit_price"] = "42050"


@breaks(conduct.guards_held)
def a_market_child_may_trade_beyond_an_amended_worst_price(run: Run) -> None:
    amended = ExecutionAmended(execution_id=B, limit_price=D(42_000))
    run.add(2, amended, place=run.index("ChildIntended", client_order_id=NAME_B))


@breaks(conduct.epochs_rise)
def an_epoch_comes_twice(run: Run) -> None:
    run.line("EpochStarted", epoch=2)["epoch"] = 1


@breaks(conduct.epochs_rise)
def an_epoch_is_another_journal_s(run: Run) -> None:
    run.line("EpochStarted", epoch=2)["journal_id"] = "k"


@breaks(conduct.epochs_rise)
def an_incarnation_comes_twice(run: Run) -> None:
    run.line("ExecutionStarted", incarnation=2)["incarnation"] = 1


@breaks(conduct.newest_incarnation)
def an_old_incarnation_intends(run: Run) -> None:
    run.line("ChildIntended", client_order_id=name_a(4))["incarnation"] = 1


@breaks(accounts.books_agree)
def the_exchange_ended_an_order_otherwise(run: Run) -> None:
    run.order(name_a(3))["status"] = "EXPIRED"


@breaks(accounts.books_agree)
def an_order_believed_absent_was_executed(run: Run) -> None:
    run.drop("ChildAcknowledged", client_order_id=NAME_B)
    run.drop("TradeBooked", client_order_id=NAME_B)
    place = run.index("ChildClosed", client_order_id=NAME_B)
    run.journal.pop(place)
    absent = ChildAbsent(execution_id=B, client_order_id=NAME_B, symbol="BTCUSDT", proof="not found")
    run.add(2.5, absent, place=place)


@breaks(accounts.books_agree)
def an_end_is_missed(run: Run) -> None:
    run.drop("ChildClosed", client_order_id=name_a(3))


@breaks(accounts.books_agree)
def a_fill_is_missed(run: Run) -> None:
    run.drop("TradeBooked", client_order_id=name_a(4))


@breaks(accounts.books_agree)
def an_acknowledged_order_is_not_at_the_exchange(run: Run) -> None:
    run.orders.remove(run.order(name_a(3)))


@breaks(accounts.every_trade_booked)
def a_trade_is_forgotten(run: Run) -> None:
    run.drop("TradeBooked", client_order_id=name_a(4))


@breaks(accounts.balances_explained)
def money_is_missing(run: Run) -> None:
    run.balances["USDT"] -= D("0.00000001")


@breaks(accounts.balances_explained)
def an_asset_appears_from_nowhere(run: Run) -> None:
    run.balances["ETH"] = D(1)


@breaks(accounts.nothing_unknown)
def an_outcome_stays_unknown(run: Run) -> None:
    for kind in ("ChildAcknowledged", "TradeBooked", "ChildClosed"):
        run.drop(kind, client_order_id=NAME_B)


@breaks(accounts.nothing_unknown)
def an_intent_is_forgotten(run: Run) -> None:
    run.drop("ChildRefused")


@breaks(accounts.no_orphan_open)
def an_order_stays_open_after_its_execution(run: Run) -> None:
    run.order(name_a(3))["status"] = "NEW"


@breaks(accounts.no_orphan_open)
def an_order_of_ours_is_open_that_nobody_knows(run: Run) -> None:
    stray = child_id("p", "zzzzzzzzzz234", 0, 0)
    run.orders.append({**run.order(name_a(3)), "clientOrderId": stray, "status": "NEW"})


@breaks(accounts.nothing_reserved)
def an_execution_closes_over_an_open_child(run: Run) -> None:
    closing = run.journal.pop(run.index("ChildClosed", client_order_id=name_a(5)))
    run.journal.append(closing)
    run.renumber()


@breaks(accounts.nothing_reserved)
def a_child_of_a_closed_execution_is_open_again(run: Run) -> None:
    back = AttemptReappeared(
        execution_id=A,
        client_order_id=name_a(3),
        symbol="BTCUSDT",
        order_id=1005,
        status="NEW",
        executed_quantity=D(0),
    )
    run.add(160, back)


@breaks(reports.report_true)
def a_report_forgets_fills(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["total_filled"] = "0.4"


@breaks(reports.report_true)
def a_report_forgets_fees(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["total_fees"] = []


@breaks(reports.report_true)
def a_report_reads_the_average_from_another_field(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["average_price"] = "0"


@breaks(reports.report_true)
def a_report_has_no_average(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["average_price"] = None


@breaks(reports.report_true)
def a_report_counts_too_many_children(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["children_sent"] = 8


@breaks(reports.report_true)
def an_end_counts_no_children(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["children"] = 0


@breaks(reports.report_true)
def a_report_leaves_a_child_out(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["orders"].pop(0)


@breaks(reports.report_true)
def a_report_has_a_child_wrong(run: Run) -> None:
    report = run.line("ExecutionClosed", execution_id=A)["report"]
    report["orders"][0]["executed_quantity"] = "0.06"


@breaks(reports.report_true)
def a_late_trade_corrects_no_report(run: Run) -> None:
    run.journal.append(run.journal.pop(run.index("TradeBooked", client_order_id=name_a(5))))
    run.renumber()


@breaks(conduct.alerts_pair)
def an_alert_is_raised_twice(run: Run) -> None:
    raised = AlertRaised(kind="halted", subject="trading", level="critical", text="")
    run.add(71, raised, place=run.index("AlertRaised"))


@breaks(conduct.alerts_pair)
def an_alert_is_cleared_that_never_was(run: Run) -> None:
    run.add(151, AlertCleared(kind="disk", subject="journal", text=""))


@breaks(progress.executions_end)
def an_execution_never_ends(run: Run) -> None:
    run.drop("ExecutionClosed", execution_id=B)


@breaks(progress.executions_end)
def an_accepted_signal_is_never_planned(run: Run) -> None:
    run.journal = [line for line in run.journal if line.get("execution_id") != B or line["type"] == "SignalAccepted"]


@breaks(progress.unknowns_resolved)
def an_unknown_is_never_proven(run: Run) -> None:
    for kind in ("ChildAcknowledged", "TradeBooked", "ChildClosed"):
        run.drop(kind, client_order_id=NAME_B)


@breaks(progress.unknowns_resolved)
def an_unknown_is_proven_late(run: Run) -> None:
    line = run.line("ChildAcknowledged", client_order_id=NAME_B)
    line["at"] = "2026-07-01T12:01:30Z"


def resolve_late(run: Run, seconds: float) -> None:
    """The outcome of B, sent at 2 s, is known only then; its window is over at 4 s."""
    for kind in ("ChildAcknowledged", "TradeBooked", "ChildClosed"):
        run.line(kind, client_order_id=NAME_B)["at"] = at(seconds).isoformat()


@breaks(progress.unknowns_resolved)
def an_unknown_is_proven_late_though_the_stream_was_there_all_the_time(run: Run) -> None:
    run.drop("EpochStarted", epoch=2)
    resolve_late(run, 25.5)


@breaks(progress.unknowns_resolved)
def an_unknown_is_proven_late_though_a_later_order_was_shown(run: Run) -> None:
    run.drop("EpochStarted", epoch=2)
    run.add(60, StreamGap(since=at(1), until=at(60), detail=""))
    resolve_late(run, 31 + 22)


@breaks(progress.unknowns_resolved)
def an_unknown_is_fenced_off_and_then_forgotten(run: Run) -> None:
    unknown = run.line("ChildUnknown", client_order_id=NAME_B)
    fence = ChildCancelRequested(
        execution_id=unknown["execution_id"],
        client_order_id=NAME_B,
        cancel_id="fence",
        symbol="BTCUSDT",
        order_id=None,
        reason="fence",
    )
    for kind in ("ChildAcknowledged", "TradeBooked", "ChildClosed"):
        run.drop(kind, client_order_id=NAME_B)
    run.add(20, fence, place=run.index("ChildUnknown", client_order_id=NAME_B) + 1)


@breaks(progress.cancels_answered)
def a_cancel_is_never_answered(run: Run) -> None:
    run.drop("ChildClosed", client_order_id=name_a(3))


@pytest.mark.parametrize("gap", [(1, 3), (3, 60)], ids=["before it", "after it"])
def test_a_stream_with_a_gap_is_no_control(gap: tuple[float, float]) -> None:
    run = clean_run()
    run.drop("EpochStarted", epoch=2)
    resolve_late(run, 31 + 19)  # Of the later order's time it is known soon enough.
    assert [violation.rule for violation in judge(run).violations if violation.rule == "L2"] == ["L2"]
    run.add(60, StreamGap(since=at(gap[0]), until=at(gap[1]), detail=""))
    assert "L2" not in judge(run).broken()


def test_a_silence_that_the_exchange_asked_for_is_waited_for_and_a_clock_that_was_set_is_no_control() -> None:
    run = clean_run()
    resolve_late(run, 31 + 22)
    assert "L2" in judge(run).broken()
    assert "L2" not in judge(run, limits=replace(LIMITS, venue_set=True)).broken()
    run.add(20, RateLimited(until=at(40), banned=False, detail=""))
    assert "L2" not in judge(run).broken()
    resolve_late(run, 40 + 22)
    assert "L2" in judge(run).broken()


def named(fault: tuple[Rule, Callable[[Run], object]]) -> str:
    return fault[1].__name__


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_planted_fault_is_caught_by_its_rule(fault: tuple[Rule, Callable[[Run], object]]) -> None:
    rule, plant = fault
    run = clean_run()
    plant(run)
    name = next(name for name, function in RULES if function is rule)

    verdict = judge(run)

    evidence = read_evidence(run.journal, run.truth, initial_balances=START)
    assert list(rule(evidence, LIMITS))
    assert name in verdict.broken()
    assert not verdict.ok


def test_every_rule_has_a_fault_that_it_catches() -> None:
    caught = {rule for rule, _ in FAULTS} | {signals.one_verdict}

    assert caught == {rule for _, rule in RULES}


def test_a_clean_run_breaks_no_rule() -> None:
    verdict = judge(clean_run())

    assert verdict.text().splitlines()[1:] == []
    assert verdict.ok


def test_no_rule_sees_a_violation_where_there_is_nothing_at_all() -> None:
    nothing: dict[str, Any] = {"received": [], "orders": [], "trades": [], "balances": {}}

    assert audit([], nothing).ok


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([], "got 0 verdicts"),
        ([{"status": "duplicate"}, {"status": "accepted", "execution_id": A}], "got 2 verdicts"),
        ([{"status": "accepted", "execution_id": "nobody"}], "the journal knows nothing of it"),
    ],
)
def test_each_signal_has_exactly_one_verdict_that_the_journal_bears_out(
    answers: list[dict[str, Any]], text: str
) -> None:
    verdict = judge(clean_run(), {"first": answers})

    assert verdict.broken() == ("S6",)
    assert text in verdict.violations[0].text


def test_safety_asks_for_no_rest() -> None:
    run = clean_run()
    run.drop("ExecutionClosed", execution_id=A)
    run.drop("ChildClosed", client_order_id=name_a(5))
    run.order(name_a(5))["status"] = "PARTIALLY_FILLED"

    assert judge(run, mode="safety").ok
    assert not judge(run).ok


def test_others_may_trade_on_the_account_where_that_is_said() -> None:
    run = clean_run()
    run.received.append({**run.request(name_a(2)), "clientOrderId": "web_1"})
    run.orders.append({**run.order(name_a(2)), "clientOrderId": "web_1", "orderId": 9})
    run.trades.append(
        {
            "symbol": "BNBUSDT",
            "id": 1,
            "orderId": 8,
            "price": "600",
            "qty": "2",
            "commission": "0.002",
            "commissionAsset": "BNB",
            "isBuyer": False,
            "isMaker": True,
            "time": ms(3),
        }
    )
    run.balances["BNB"] -= D("2.002")
    run.balances["USDT"] += D(1200)

    assert judge(run, limits=replace(LIMITS, foreign_orders=True)).ok


def test_a_late_trade_with_its_word_and_its_correction_is_no_fault() -> None:
    run = clean_run()
    run.order(name_a(3))["origQty"] = "0.1"
    run.line("SignalAccepted", execution_id=A)["quantity"] = "0.6"
    run.line("ExecutionPlanned", execution_id=A)["plan"]["quantity"] = "0.6"
    reappeared = AttemptReappeared(
        execution_id=A,
        client_order_id=name_a(3),
        symbol="BTCUSDT",
        order_id=1005,
        status="CANCELED",
        executed_quantity=D("0.02"),
    )
    run.add(160, reappeared)
    run.trade(name_a(3), 10050, 110, D("0.02"))
    run.order(name_a(3))["status"] = "CANCELED"
    correction = ExecutionCorrected(
        execution_id=A,
        client_order_id=name_a(3),
        total_filled=D("0.52"),
        filled_quote=D("21840.52"),
        detail="",
    )
    run.add(161, correction)

    # what was closed before the late trade was right with what was known then
    assert set(judge(run).broken()) <= {"S10"}


def test_after_a_cancel_the_exchange_may_show_the_cancel_s_id() -> None:
    run = clean_run()
    run.order(name_a(3))["clientOrderId"] = f"{name_a(3)}_c0"

    assert judge(run).ok


@pytest.mark.parametrize("seconds", [60.5, 61.9])
def test_a_cancel_and_an_end_may_cross_while_a_message_is_on_its_way(seconds: float) -> None:
    run = clean_run()
    ask_to_cancel_a2(run, seconds)

    assert judge(run).ok


def test_a_child_that_never_left_may_be_followed_by_another_attempt() -> None:
    run = clean_run()
    place = run.index("ChildRefused")
    run.journal.pop(place)
    kept = ChildNotSent(execution_id=A, client_order_id=name_a(1), reason="HALTED", detail="", source="exchange_actor")
    run.add(30.01, kept, place=place)
    run.received.remove(run.request(name_a(1)))
    run.line("ExecutionClosed", execution_id=A)["report"]["children_sent"] = 6

    assert judge(run).ok


def test_a_resting_child_may_be_followed_by_one_that_takes() -> None:
    run = clean_run()
    for slice_, order_type in ((4, "LIMIT_MAKER"), (5, "LIMIT")):
        run.line("ChildIntended", client_order_id=name_a(slice_))["order_type"] = order_type
        run.request(name_a(slice_))["type"] = order_type
        run.order(name_a(slice_))["type"] = order_type
    text = orjson.dumps([run.journal, run.received, run.orders]).decode()
    text = text.replace(name_a(5), name_a(4, 1))
    run.journal, run.received, run.orders = orjson.loads(text)
    run.line("ChildIntended", client_order_id=name_a(4, 1)).update(slice=4, attempt=1)

    assert judge(run).ok


def test_a_key_is_free_again_after_an_execution_without_a_child() -> None:
    run = Run()
    run.add(0, an_accepted())
    closed = clean_run().line("ExecutionClosed", execution_id=A)
    empty = {"total_filled": "0", "filled_quote": "0", "total_fees": [], "orders": []}
    report = {**closed["report"], **empty, "children_sent": 0, "average_price": None}
    run.journal.append({**closed, "children": 0, "report": report})
    run.renumber()
    run.add(300, an_accepted(execution_id="cccccccccc234"))

    assert judge(run, {}, limits=Limits()).ok


def test_a_repeat_by_price_is_free_again_after_the_cache_s_time() -> None:
    signal = a_signal(id=None, side="SELL")
    run = clean_run()
    later = an_accepted(execution_id="cccccccccc234", key="fingerprint:2", signal=signal, side="SELL")
    run.add(604, later)

    assert judge(run, limits=Limits()).ok


def test_a_paused_or_halted_execution_may_take_its_time() -> None:
    for waiting in (ExecutionPaused(execution_id=B), TradingHalted(reason="HALTED", detail="")):
        run = clean_run()
        run.drop("ExecutionClosed", execution_id=B)
        run.add(152, waiting)

        assert judge(run).ok


def test_a_resumed_execution_may_send_again() -> None:
    run = clean_run()
    place = run.index("TradingHalted")
    run.add(70, ExecutionPaused(execution_id=A), place=place)
    run.add(71, ExecutionResumed(execution_id=A), place=place + 1)

    assert judge(run).ok


def test_an_old_incarnation_s_child_may_be_under_way_when_the_new_one_begins() -> None:
    run = clean_run()
    place = run.index("ChildIntended", client_order_id=name_a(4))
    run.add(119.9, ExecutionStarted(execution_id=A, incarnation=3), place=place)
    run.line("ChildIntended", client_order_id=name_a(5))["incarnation"] = 3

    assert judge(run).ok


def test_a_sweep_may_go_in_the_last_slots_interval_before_the_end_but_not_above_the_cap() -> None:
    run = clean_run()
    plan = run.line("ExecutionPlanned", execution_id=A)["plan"]
    swept = run.line("ChildIntended", client_order_id=name_a(5))
    plan.update(remainder="sweep", extra_slots=0, end_at=swept["at"])
    swept["at"] = run.line("ChildIntended", client_order_id=name_a(4))["at"]

    evidence = read_evidence(run.journal, run.truth)

    assert name_a(5) not in {subject for subject, _ in conduct.no_burst(evidence, LIMITS)}
    assert name_a(5) not in {subject for subject, _ in conduct.within_its_slot(evidence, LIMITS)}
    assert name_a(5) not in {subject for subject, _ in conduct.catch_up(evidence, LIMITS)}
    swept["quantity"] = "100"
    assert name_a(5) in {subject for subject, _ in conduct.catch_up(read_evidence(run.journal, run.truth), LIMITS)}


def test_without_an_end_a_sweep_has_its_time_like_any_slot() -> None:
    run = clean_run()
    run.line("ExecutionPlanned", execution_id=A)["plan"].update(remainder="sweep", extra_slots=0)
    run.line("ChildIntended", client_order_id=name_a(5))["at"] = "2026-07-01T12:01:59.9Z"

    found = conduct.within_its_slot(read_evidence(run.journal, run.truth), LIMITS)

    assert name_a(5) in {subject for subject, _ in found}


def test_a_request_in_the_very_millisecond_in_which_a_wait_ends_is_in_time() -> None:
    """Arrivals are known in whole_milliseconds only."""
    run = clean_run()
    run.received[:] = run.received[-1:]
    arrived = run.received[-1]["time"] * 1000
    assert not list(signals.rates(read_evidence(limited(run, arrived + 700), run.truth), LIMITS))
    assert list(signals.rates(read_evidence(limited(run, arrived + 1700), run.truth), LIMITS))


def test_a_request_in_the_very_millisecond_in_which_a_halt_ends_is_out_of_it() -> None:
    run = clean_run()
    arrived = datetime.fromtimestamp(run.received[-1]["time"] / 1000, tz=UTC)
    last = run.journal[-1]["seq"]
    halt = {"seq": last + 1, "at": "2026-07-01T11:00:00Z", "type": "TradingHalted", "reason": "OPERATOR"}
    over = {"seq": last + 2, "at": (arrived + timedelta(microseconds=700)).isoformat(), "type": "TradingResumed"}
    late = run.received[-1]["clientOrderId"]

    found = conduct.quiet_when_halted(read_evidence([*run.journal, halt, over], run.truth), LIMITS)

    assert late not in {subject for subject, _ in found}


def limited(run: Run, until: int) -> list[dict[str, Any]]:
    """The journal with a Retry-After of long ago until a moment, in microseconds since 1970."""
    ends = datetime.fromtimestamp(until / 1_000_000, tz=UTC).isoformat()
    wait = {"seq": 0, "at": "2026-07-01T11:00:00Z", "type": "RateLimited", "until": ends}
    return [wait]


def test_a_wall_clock_that_was_set_may_bring_slots_and_ends_forward_by_as_much() -> None:
    run = clean_run()
    plan = run.line("ExecutionPlanned", execution_id=A)["plan"]
    plan["start_at"] = "2026-07-01T12:00:05Z"

    early = judge(run)
    allowed = judge(run, limits=replace(LIMITS, wall_steps=at(60) - at(0)))

    assert "S12" in early.broken()
    assert allowed.ok, allowed.text()


def test_an_exchange_whose_clock_is_ahead_is_compared_on_ours() -> None:
    run = clean_run()
    for request in run.received:
        request["time"] += 5000
    for line in run.lines("ChildIntended"):
        line["request_timestamp"] += 5000

    assert judge(run, limits=replace(LIMITS, clock_ahead=at(5) - at(0))).ok


def test_the_verdict_is_said_for_people_and_for_programs() -> None:
    run = clean_run()
    run.balances["USDT"] -= D("0.01")

    verdict = judge(run)

    assert verdict.text() == (
        "audit (converged): 1 violation: 51 facts, 2 executions, 2 repeats, 1 rejected, 8 children, "
        "8 requests, 7 orders, 7 trades, 21420.51 quote traded\n"
        "  Q1   USDT: the account holds 979419.07999, the trades explain 979419.08999"
    )
    assert orjson.loads(verdict.to_json())["violations"] == [
        {
            "rule": "Q1",
            "subject": "USDT",
            "text": "the account holds 979419.07999, the trades explain 979419.08999",
        }
    ]
    assert orjson.loads(judge(clean_run()).to_json())["ok"] is True


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.line("TradeBooked").update(price=42000.5),
        lambda run: run.line("TradeBooked").update(price="NaN"),
        lambda run: run.line("TradeBooked").update(price="dear"),
        lambda run: run.line("TradeBooked").pop("price"),
        lambda run: run.line("TradeBooked").update(order_id="1001"),
        lambda run: run.line("TradeBooked").update(at="yesterday"),
        lambda run: run.line("TradeBooked").update(at="2026-07-01T12:00:00"),
        lambda run: run.line("TradeBooked").update(type=None),
        lambda run: run.line("ExecutionPlanned").update(plan="none"),
        lambda run: run.line("ExecutionPlanned")["plan"].update(slices="0.1"),
        lambda run: run.line("ExecutionClosed")["report"].update(total_fees=["BTC"]),
        lambda run: run.orders.append("order"),
        lambda run: run.trades[0].update(symbol="LTCEUR"),
        lambda run: run.trades[0].pop("isMaker") or run.trades[0].pop("qty"),
    ],
)
def test_what_cannot_be_read_is_said_and_not_judged(spoil: Callable[[Run], object]) -> None:
    run = clean_run()
    spoil(run)

    with pytest.raises(Unreadable):
        judge(run)


def test_balances_are_read_in_every_shape_that_they_are_written_in() -> None:
    run = clean_run()
    as_list = [{"asset": asset, "free": str(amount), "locked": "0"} for asset, amount in run.balances.items()]
    flat = {asset: str(amount) for asset, amount in run.balances.items()}

    for balances in (as_list, flat):
        assert audit(run.journal, {**run.truth, "balances": balances}, initial_balances=START).ok
    with pytest.raises(Unreadable):
        audit(run.journal, {**run.truth, "balances": "none"}, initial_balances=START)


def test_a_trade_that_nobody_ordered_is_invented() -> None:
    run = clean_run()
    run.add(160, a_trade_booked(client_order_id="web_1", order_id=77, trade_id=5))

    assert "S10" in judge(run).broken()


def test_the_truth_of_the_paper_exchange_is_read_as_it_is_told() -> None:
    now = microseconds(at(0))
    exchange = PaperExchange(now=now)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    exchange.place({**order, "newClientOrderId": name_a(0)}, now)
    with pytest.raises(ExchangeError):
        exchange.place({**order, "newClientOrderId": name_a(1), "quantity": "nonsense"}, now)
    truth = orjson.loads(orjson.dumps(exchange.truth()))

    evidence = read_evidence([], truth)
    verdict = audit([], truth, initial_balances=DEFAULT_BALANCES)

    (bought,) = evidence.orders[name_a(0)]
    assert (bought.executed, bought.status, bought.open) == (D("0.01"), "FILLED", False)
    assert sum(trade.quantity for trade in evidence.fills_of(bought)) == D("0.01")
    assert [(request.effect, request.quantity) for request in evidence.requests] == [
        (True, D("0.01")),
        (False, None),
    ]
    assert {violation.subject for violation in verdict.violations} == {name_a(0), name_a(1)}
    assert verdict.broken() == ("S3",)
