"""Each comparison that the audit makes: a fault that it alone is about, and its words for it; and what is no fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from messages.facts import ExecutionCorrected
from messages.signal import Side
from tests.adapters.paper.test_audit import judge
from tests.audit_faults import resolve_late
from tests.audit_run import NAME_B, A, Run, at, clean_run, ms, name_a
from tests.factories import D, a_child_closed, a_signal, an_accepted, an_acknowledged

Plant = Callable[[Run], object]
CLAUSES: list[tuple[str, str, Plant]] = []


def said(rule: str, words: str) -> Callable[[Plant], Plant]:
    """Note what is said of a fault: the rule, and a part of `subject: text`."""

    def note(plant: Plant) -> Plant:
        CLAUSES.append((rule, words, plant))
        return plant

    return note


# Quantities and names -----------------------------------------------------------------------------


@said("S2", f"{name_a(3)}: intends 0.1 with 0.43 executed")
def an_open_child_has_traded_more_than_it_was(run: Run) -> None:
    run.line("TradeBooked", client_order_id=name_a(2))["quantity"] = "0.3"
    run.drop("ChildClosed", client_order_id=name_a(2))


@said("S2", f"{name_a(3)}: intends 0.1 with 0.43 executed")
def a_child_closes_with_more_than_its_trades(run: Run) -> None:
    run.drop("TradeBooked", client_order_id=name_a(2))
    run.line("ChildClosed", client_order_id=name_a(2))["executed_quantity"] = "0.3"


@said("S5", f"{name_a(1, 1)}: arrived at the exchange while {name_a(0)} was open")
def an_order_is_open_still_and_was_touched_long_ago(run: Run) -> None:
    run.order(name_a(0))["status"] = "PARTIALLY_FILLED"


@said("S3", f"{name_a(2)}: was intended with side BUY but arrived with SELL")
def an_order_arrives_on_the_other_side(run: Run) -> None:
    run.request(name_a(2))["side"] = "SELL"


@said("S3", f"{name_a(2)}: was intended with symbol BTCUSDT but arrived with ETHUSDT")
def an_order_arrives_for_another_symbol(run: Run) -> None:
    run.request(name_a(2))["symbol"] = "ETHUSDT"


@said("S3", f"{name_a(2)}: was intended with price ")
def an_order_arrives_with_another_limit(run: Run) -> None:
    run.request(name_a(2))["price"] = "43000"


@said("S4", f"{name_a(1, 1)}: was intended before {name_a(1)} was proven ended")
def an_order_that_ended_without_a_fill_is_followed_in_its_slice(run: Run) -> None:
    place = run.index("ChildRefused")
    run.journal.pop(place)
    closed = a_child_closed(client_order_id=name_a(1), status="EXPIRED", executed_quantity=D(0), executed_quote=D(0))
    run.add(30.01, an_acknowledged(client_order_id=name_a(1)), closed, place=place)


@said("S4", f"{name_a(1, 1)}: was intended before {name_a(1)} was proven ended")
def the_proof_comes_after_the_next_attempt(run: Run) -> None:
    refused = run.journal.pop(run.index("ChildRefused"))
    run.journal.insert(run.index("ChildIntended", client_order_id=name_a(1, 1)) + 1, refused)
    run.renumber()


# Accounts -----------------------------------------------------------------------------------------


def book_otherwise(field: str, value: object) -> Plant:
    def plant(run: Run) -> None:
        run.line("TradeBooked", client_order_id=name_a(0))[field] = value

    plant.__name__ = f"a_trade_is_booked_with_another_{field}"
    return plant


for field, value in (("maker", True), ("side", "SELL"), ("quantity", "0.05"), ("commission", "0.1")):
    said("S10", f"was booked with {field} {value}")(book_otherwise(field, value))


@said("S10", f"{name_a(0)}: closed with quote 1, its trades make 4200.1")
def a_child_is_closed_with_another_quote(run: Run) -> None:
    run.line("ChildClosed", client_order_id=name_a(0))["executed_quote"] = "1"


@said("S10", f"{name_a(0)}: closed with 0.1, the exchange executed 0.09")
def a_child_is_closed_with_more_than_was_executed(run: Run) -> None:
    run.order(name_a(0))["executedQty"] = "0.09"


@said("Q1", f"{name_a(0)}: quote 4200.1 in the journal, 1 at the exchange")
def the_exchange_took_another_amount(run: Run) -> None:
    run.order(name_a(0))["cummulativeQuoteQty"] = "1"


@said("Q1", f"{name_a(0)}: fees ")
def the_exchange_took_another_fee(run: Run) -> None:
    run.trades[0]["commission"] = "0.5"


@said("Q1", f"{name_a(1)}: ChildRefused in the journal, NEW at the exchange")
def an_order_that_was_refused_is_open(run: Run) -> None:
    run.orders.append({**run.order(name_a(3)), "clientOrderId": name_a(1), "orderId": 3000, "status": "NEW"})


# When and how -------------------------------------------------------------------------------------


@said("S11", f"{name_a(2)}: arrived in an epoch after its own")
def an_order_is_sent_again_and_too_late_by_the_next_epoch(run: Run) -> None:
    run.received.append({**run.request(name_a(2)), "time": ms(88), "effect": "refused", "code": -1021})


@said("S13", f"{NAME_B}: cites a deviation of 0, its quote's is 0.011905")
def a_sale_goes_though_the_market_has_fallen(run: Run) -> None:
    run.line("ChildIntended", client_order_id=NAME_B).update(bid="41500", ask="41500", spread="0", deviation="0")


@said("S13", f"{name_a(2)}: may trade at 42001, worse than 42000")
def a_market_buy_takes_an_ask_beyond_the_worst_price(run: Run) -> None:
    run.line("ExecutionPlanned", execution_id=A)["plan"]["limit_price"] = "42000"
    run.line("ChildIntended", client_order_id=name_a(2))["limit_price"] = None


@said("L4", f"{name_a(3)}: still open 100.0 s after its cancel")
def a_cancel_is_answered_late(run: Run) -> None:
    run.line("ChildClosed", client_order_id=name_a(3))["at"] = at(210).isoformat()


@said("Q4", f"{A}: reports filled_quote 1,")
def a_report_has_another_amount(run: Run) -> None:
    run.line("ExecutionClosed", execution_id=A)["report"]["filled_quote"] = "1"


@said("Q4", f"{A}: filled 0.5 for 21000.5, its report was not corrected to that")
def a_report_is_corrected_to_another_quantity(run: Run) -> None:
    run.journal.append(run.journal.pop(run.index("TradeBooked", client_order_id=name_a(5))))
    correction = ExecutionCorrected(
        execution_id=A, client_order_id=name_a(5), total_filled=D("0.51"), filled_quote=D("21000.5"), detail=""
    )
    run.add(161, correction)


@pytest.mark.parametrize(("rule", "words", "plant"), CLAUSES, ids=[plant.__name__ for *_, plant in CLAUSES])
def test_a_clause_says_what_is_wrong(rule: str, words: str, plant: Plant) -> None:
    run = clean_run()
    plant(run)
    found = [f"{one.subject}: {one.text}" for one in judge(run).violations if one.rule == rule]
    assert any(words in text for text in found), found


# What is no fault ---------------------------------------------------------------------------------


def broken(run: Run, **options: Any) -> set[str]:
    return set(judge(run, **options).broken())


def test_an_id_may_come_again_when_its_key_is_free_and_a_price_on_another_account() -> None:
    run = clean_run()
    run.add(604_801, an_accepted(execution_id="cccccccccc234", key="other"))
    assert "S6" not in broken(run, verdicts={})
    run = clean_run()
    other = a_signal(id=None, side=Side.SELL, account="another")
    run.add(500, an_accepted(execution_id="cccccccccc234", key="fingerprint:2", signal=other, side=Side.SELL))
    assert "S6" not in broken(run, verdicts={})


def test_after_a_retry_after_orders_go_again() -> None:
    run = clean_run()
    run.request(name_a(1)).update(code=-1003, retryAfter=100)
    assert "S7" not in broken(run)


@pytest.mark.parametrize("why", ["it may rest", "it is of another symbol"])
def test_a_later_order_is_no_control_if(why: str) -> None:
    run = clean_run()
    resolve_late(run, 31 + 22)
    assert "L2" in broken(run)
    if why == "it may rest":
        run.line("ChildIntended", client_order_id=NAME_B).update(order_type="LIMIT", time_in_force="GTC")
    else:
        for order in run.orders:
            order["symbol"] = "BTCUSDT" if order["clientOrderId"] == NAME_B else "ETHUSDT"
    assert "L2" not in broken(run)


def test_orders_only_is_no_silence() -> None:
    run = clean_run()
    resolve_late(run, 31 + 22)
    run.line("RateLimited").update(at=at(20).isoformat(), until=at(40).isoformat(), orders_only=True)
    assert "L2" in broken(run)
