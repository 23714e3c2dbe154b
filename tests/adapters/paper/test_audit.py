from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from adapters.paper import audit_conduct as conduct
from adapters.paper import audit_signals as signals
from adapters.paper.account import DEFAULT_BALANCES
from adapters.paper.audit import RULES, Audit, Limits, Unreadable, audit
from adapters.paper.audit_evidence import read_evidence
from adapters.paper.audit_rules import Rule
from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange
from messages.facts import (
    AttemptReappeared,
    ChildNotSent,
    ExecutionAmended,
    ExecutionCorrected,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionStarted,
    RateLimited,
    StreamGap,
    TradingHalted,
)
from messages.ids import microseconds
from messages.signal import Side
from tests.audit_faults import FAULTS, a_refused_order_is_repeated_for_ever, ask_to_cancel_a2, resolve_late
from tests.audit_run import START, A, B, Run, at, clean_run, ms, name_a
from tests.factories import D, a_signal, a_trade_booked, an_accepted

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


def test_refusals_that_nobody_heard_may_be_met_again() -> None:
    run = clean_run()
    a_refused_order_is_repeated_for_ever(run)
    run.drop("ChildRefused", client_order_id=name_a(1, 3))

    assert not list(signals.no_identical_refusals(read_evidence(run.journal, run.truth), LIMITS))


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


def test_a_trade_may_be_known_only_when_the_stream_is_back_or_somebody_runs_again() -> None:
    run = clean_run()
    for line in run.lines("TradeBooked", client_order_id=name_a(2)):
        line["at"] = at(90).isoformat()
    assert "L3" not in judge(run).broken(), "a start at 85"
    run.drop("EpochStarted", epoch=2)
    assert "L3" in judge(run).broken()
    run.add(85, StreamGap(since=at(59), until=at(85), detail=""))
    assert "L3" not in judge(run).broken()
    run.line("StreamGap")["since"] = at(61).isoformat()
    assert "L3" in judge(run).broken(), "the stream was there when it was made"


def test_where_questions_are_answered_a_trade_is_known_soon_though_other_things_go_wrong() -> None:
    run = clean_run()
    run.line("TradeBooked", client_order_id=name_a(2))["at"] = at(77).isoformat()
    late = replace(LIMITS, quiet_since=microseconds(at(300)))
    assert "L3" not in judge(run, limits=late).broken()
    assert "L3" in judge(run, limits=replace(late, answered_since=microseconds(at(0)))).broken()


def test_a_retry_after_that_nobody_heard_of_may_be_overstepped() -> None:
    run = clean_run()
    run.request(name_a(1)).update(code=-1003, retryAfter=20_000)
    run.request(name_a(1, 1))["time"] = ms(40)
    assert "S7" in judge(run).broken()
    run.drop("ChildRefused")
    assert "S7" not in judge(run).broken()


def test_what_a_person_does_gives_an_execution_its_time_anew() -> None:
    run = clean_run()
    run.line("ExecutionClosed", execution_id=B)["at"] = at(300).isoformat()
    assert "L1" in judge(run).broken()
    run.add(180, ExecutionPaused(execution_id=B))
    assert "L1" not in judge(run).broken()


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
    signal = a_signal(id=None, side=Side.SELL)
    run = clean_run()
    later = an_accepted(execution_id="cccccccccc234", key="fingerprint:2", signal=signal, side=Side.SELL)
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


@pytest.mark.parametrize("left", [True, False])
def test_a_wish_of_an_actor_that_had_failed_may_come_after_the_end_if_it_is_kept_back(*, left: bool) -> None:
    run = clean_run()
    worst = ExecutionAmended(execution_id=A, limit_price=D("41000"), quantity=None, end_at=None)
    run.add(149, worst, place=run.index("ExecutionClosed", execution_id=A))
    run.intend(name_a(6), 151.01, D("0.1"))
    run.received.remove(run.request(name_a(6)))
    kept = ChildNotSent(
        execution_id=A,
        client_order_id=name_a(6),
        reason="OLD_INCARNATION",
        detail="",
        source="venue" if left else "exchange_actor",
    )
    run.add(151.02, kept)

    text = judge(run).text()
    assert ("was intended after its execution had closed" in text) is left
    assert ("worse than 41000" in text) is left


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
