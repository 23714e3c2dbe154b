"""Faults planted in a clean run, each beside the rule that must catch it; it may break others, too."""

from __future__ import annotations

from collections.abc import Callable

from adapters.paper import audit_accounts as accounts
from adapters.paper import audit_conduct as conduct
from adapters.paper import audit_progress as progress
from adapters.paper import audit_reports as reports
from adapters.paper import audit_rules as rules
from adapters.paper import audit_signals as signals
from adapters.paper.audit_rules import Rule
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
    SignalDuplicate,
    StreamGap,
    TradingHalted,
)
from messages.ids import child_id
from messages.signal import Side
from tests.audit_run import NAME_B, A, B, Run, at, ms, name_a
from tests.factories import D, a_signal, an_accepted, an_acknowledged, an_intent

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
    signal = a_signal(id=None, side=Side.SELL)
    near = an_accepted(
        execution_id="cccccccccc234",
        key="fingerprint:2",
        signal=signal,
        side=Side.SELL,
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
def more_is_asked_than_the_weight_allows(run: Run) -> None:
    run.exceeded.append({"time": ms(30), "code": -1003})


@breaks(signals.rates)
def an_order_within_a_retry_after(run: Run) -> None:
    run.line("RateLimited").update(at="2026-07-01T12:00:50Z", until="2026-07-01T12:01:30Z")


@breaks(signals.rates)
def an_order_within_a_retry_after_that_the_journal_does_not_tell_of(run: Run) -> None:
    run.drop("RateLimited")
    run.request(name_a(1)).update(code=-1003, retryAfter=20_000)
    run.request(name_a(1, 1))["time"] = ms(40)


@breaks(signals.no_identical_refusals)
def a_refused_order_is_repeated_for_ever(run: Run) -> None:
    for attempt in (2, 3):
        run.received.append({**run.request(name_a(1)), "clientOrderId": name_a(1, attempt)})
        intent = an_intent(client_order_id=name_a(1, attempt), slice=1, attempt=attempt)
        refused = ChildRefused(
            execution_id=A, client_order_id=name_a(1, attempt), symbol="BTCUSDT", code=-1013, message="LOT_SIZE"
        )
        run.add(30.1, intent, refused, place=run.index("ChildRefused") + 1)


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
def an_execution_ends_long_after_its_last_slot(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=B)["at"] = at(300).isoformat()


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


@breaks(progress.trades_known)
def a_trade_is_booked_late(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(2))["at"] = at(77).isoformat()


@breaks(progress.trades_known)
def a_trade_is_not_asked_for_when_the_stream_is_back(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(2))["at"] = at(97).isoformat()
    run.add(64, StreamGap(since=at(59), until=at(64), detail=""), place=run.index("TradingHalted"))


@breaks(progress.trades_known)
def a_trade_is_not_asked_for_by_the_next_start(run: Run) -> None:
    for line in run.lines("TradeBooked", client_order_id=name_a(2)):
        line["at"] = at(98).isoformat()


@breaks(progress.cancels_answered)
def a_cancel_is_never_answered(run: Run) -> None:
    run.drop("ChildClosed", client_order_id=name_a(3))
