from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.execution_views import ExecutionView
from adapters.lateness import Lateness
from adapters.web.progress import UNSEEN, Market, progress, scheduled_by
from messages.facts import (
    ChildAbsent,
    ChildUnknown,
    ExecutionCancelRequested,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    Fact,
    SlotSkipped,
)
from messages.signal import Side
from tests.factories import (
    CHILD,
    EXECUTION,
    NOW,
    D,
    a_child_closed,
    a_closed,
    a_plan,
    a_planned,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)

GOOD = Market(D(41_999), D(42_001), 0.1)
OF: dict[str, Any] = {"execution_id": EXECUTION}


def a_view(*facts: Fact, **accepted: Any) -> ExecutionView:
    view = ExecutionView.of(an_accepted(**accepted))
    for fact in facts:
        view.apply(fact, NOW)
    return view


def seconds(count: float) -> Any:
    return NOW + timedelta(seconds=count)


def waiting(view: ExecutionView, at: float = 1, market: Market | None = GOOD, *, halted: bool = False) -> object:
    return progress(view, seconds(at), market, halted=halted)["waiting"]


DONE = (an_intent(), an_acknowledged(), a_trade_booked(quantity=D("0.1")), a_child_closed())


@pytest.mark.parametrize(
    ("at", "quantity"), [(-1, "0"), (0, "0.1"), (29.9, "0.1"), (30, "0.2"), (120, "0.5"), (900, "0.5")]
)
def test_the_schedule_is_the_sum_of_the_slices_due(at: float, quantity: str) -> None:
    assert scheduled_by(a_plan(), seconds(at)) == D(quantity)


def test_before_the_plan_there_is_nothing_to_compare_with() -> None:
    figures = progress(a_view(), NOW, GOOD)
    assert figures["scheduled"] is None
    assert figures["behind"] is None
    assert figures["waiting"] == "not planned yet"


def test_behind_is_what_is_due_and_not_filled() -> None:
    figures = progress(a_view(a_planned(), *DONE), seconds(61), GOOD)
    assert (figures["scheduled"], figures["behind"]) == ("0.3", "0.2")


def test_ahead_is_a_negative_arrears() -> None:
    trade = a_trade_booked(quantity=D("0.25"))
    assert progress(a_view(a_planned(), an_intent(), trade), seconds(1), GOOD)["behind"] == "-0.15"


def test_the_next_child_is_due_at_the_next_slot() -> None:
    assert progress(a_view(a_planned(), *DONE), seconds(31), GOOD)["next_child_at"] == "2026-07-01T12:01:00.000000Z"


def test_extra_slots_follow_the_planned_ones() -> None:
    assert progress(a_view(a_planned()), seconds(121), GOOD)["next_child_at"] == "2026-07-01T12:02:30.000000Z"
    assert progress(a_view(a_planned()), seconds(181), GOOD)["next_child_at"] is None


@pytest.mark.parametrize(
    "fact",
    [ExecutionCancelRequested(**OF), a_closed(), a_trade_booked(quantity=D("0.5"))],
    ids=lambda fact: type(fact).__name__,
)
def test_no_child_follows_when_nothing_is_left_to_do(fact: Fact) -> None:
    assert progress(a_view(a_planned(), fact), seconds(1), GOOD)["next_child_at"] is None


def test_the_interval_twap_is_that_of_the_last_child_which_knows_it() -> None:
    view = a_view(a_planned(), an_intent(mid_integral=D(420_000), mid_seconds=D(10)), a_trade_booked(price=D(42_042)))
    figures = progress(view, seconds(1), GOOD)
    assert figures["interval_twap_price"] == "42000"
    assert figures["interval_twap_bps"] == "10"


def test_without_a_child_there_is_no_interval_twap() -> None:
    figures = progress(a_view(a_planned()), seconds(1), GOOD)
    assert figures["interval_twap_price"] is None
    assert figures["interval_twap_bps"] is None


def test_a_closed_execution_has_the_twap_of_its_report() -> None:
    closed = a_closed()
    figures = progress(a_view(a_planned(), closed), seconds(1), GOOD)
    assert figures["interval_twap_price"] == str(closed.report.interval_twap_price)
    assert figures["waiting"] is None


@pytest.mark.parametrize(
    ("fact", "word"),
    [
        (ExecutionPaused(**OF), "paused"),
        (ExecutionCancelRequested(**OF), "cancelling"),
        (ExecutionQuarantined(**OF, detail="x"), "quarantined"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_that_sends_nothing_is_what_is_waited_for(fact: Fact, word: str) -> None:
    assert waiting(a_view(a_planned(), fact)) == word


def test_an_open_child_is_waited_for() -> None:
    assert waiting(a_view(a_planned(), an_intent()), 31) == "a child order is working"
    assert waiting(a_view(a_planned(), an_intent(), an_acknowledged(status="FILLED")), 31) == "a child order is working"


def test_a_child_that_rests_in_the_book_says_where() -> None:
    resting = replace(an_intent(), order_type="LIMIT_MAKER", limit_price=D("41999.50"), time_in_force=None)
    assert waiting(a_view(a_planned(), resting), 31) == "a child order rests at 41999.5"


def test_a_due_child_that_does_not_come_though_the_market_is_good_has_a_cause_that_is_not_seen_here() -> None:
    assert waiting(a_view(a_planned()), 1) is None
    assert waiting(a_view(a_planned()), 3) == UNSEEN


def test_an_unknown_outcome_is_waited_for_until_it_is_proven() -> None:
    unknown = ChildUnknown(**OF, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout")
    view = a_view(a_planned(), an_intent(), unknown)
    figures = progress(view, seconds(31), GOOD)
    assert figures["waiting"] == "the outcome of a child order is being proven"
    assert (figures["open_children"], figures["unknown_children"]) == (1, 1)
    view.apply(ChildAbsent(**OF, client_order_id=CHILD, symbol="BTCUSDT", proof="p"), NOW)
    assert progress(view, seconds(31), GOOD)["open_children"] == 0


def test_a_halt_is_what_is_waited_for() -> None:
    assert waiting(a_view(a_planned()), halted=True) == "trading is halted"


def test_nothing_is_waited_for_between_slots_and_before_the_first() -> None:
    wide = Market(D(41_000), D(43_000), 0.1)
    assert waiting(a_view(a_planned(), *DONE), 29, wide) is None
    assert waiting(a_view(a_planned()), -1, wide) is None


def test_a_slot_that_was_skipped_waits_no_more() -> None:
    skipped = SlotSkipped(**OF, slice=0, quantity=D("0.1"), reason="SPREAD_TOO_WIDE", detail="")
    assert waiting(a_view(a_planned(), skipped), 1, None) is None
    assert waiting(a_view(a_planned(), skipped), 31, None) == "no quote"


@pytest.mark.parametrize(
    ("market", "said"),
    [
        (None, "no quote"),
        (Market(D(41_999), D(42_001), 7.2), "the quote is 7 s old"),
        (Market(D(41_800), D(42_200), 0.1), "spread 0.95 % above 0.50 %"),
        (Market(D(42_500), D(42_502), 0.1), "price 1.19 % from arrival, 1.00 % allowed"),
        (Market(D(41_000), D(41_002), 0.1), None),
        (GOOD, None),
    ],
)
def test_the_failing_guard_is_named_with_its_figures(market: Market | None, said: str | None) -> None:
    assert waiting(a_view(a_planned()), market=market) == said


def test_a_seller_minds_a_fall_and_its_limit() -> None:
    view = a_view(a_planned(), side=Side.SELL)
    assert waiting(view, market=Market(D(41_000), D(41_002), 0.1)) == "price 2.38 % from arrival, 1.00 % allowed"
    view.limit_price = D("42000.5")
    assert waiting(view) == "bid 41999 beyond the limit 42000.5"


def test_a_buyer_minds_the_ask_beyond_its_limit() -> None:
    view = a_view(a_planned())
    view.limit_price = D(42_000)
    assert waiting(view) == "ask 42001 beyond the limit 42000"
    view.limit_price = D(42_001)
    assert waiting(view) is None


def test_deviation_may_count_on_both_sides_and_spread_not_at_all() -> None:
    both = a_view(a_planned(plan=a_plan(both_sides=True)))
    assert waiting(both, market=Market(D(41_000), D(41_002), 0.1)) == "price 2.38 % from arrival, 1.00 % allowed"
    unchecked = a_view(a_planned(plan=a_plan(check_spread=False)))
    assert waiting(unchecked, market=Market(D(41_800), D(42_200), 0.1)) is None


# Lateness -----------------------------------------------------------------------------------------


def lateness(view: ExecutionView, at: float, **intent: Any) -> Any:
    late = Lateness()
    late.note(view, an_intent(**intent), seconds(at))
    return late.view()


def test_lateness_counts_from_the_slots_time_less_the_waiting_for_guards() -> None:
    assert lateness(a_view(a_planned()), 33, slice=1, waited_seconds=D(2))["p50"] == 1.0


def test_a_child_is_never_early() -> None:
    assert lateness(a_view(a_planned()), 30, slice=1, waited_seconds=D(2))["p50"] == 0.0


def test_time_before_a_resume_or_a_start_is_nobodys_lateness() -> None:
    view = a_view(a_planned())
    view.apply(ExecutionStarted(**OF, incarnation=2), seconds(40))
    assert lateness(view, 41, slice=1)["p50"] == 1.0
    view.apply(ExecutionResumed(**OF), seconds(50))
    assert lateness(view, 52, slice=1)["p50"] == 2.0


def test_later_attempts_and_unplanned_executions_do_not_count() -> None:
    assert lateness(a_view(a_planned()), 33, attempt=1)["children"] == 0
    assert lateness(a_view(a_planned(), *DONE), 33)["children"] == 0
    assert lateness(a_view(), 33)["children"] == 0
