from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from adapters.execution_views import ExecutionView
from adapters.web.progress import SILENT, progress, scheduled_by
from messages.execution import Hindrance, WaitsFor
from messages.facts import (
    ChildAbsent,
    ChildNotSent,
    ChildUnknown,
    ExecutionCancelRequested,
    ExecutionPaused,
    ExecutionQuarantined,
    Fact,
    SlotSkipped,
)
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

OF: dict[str, Any] = {"execution_id": EXECUTION}


def a_view(*facts: Fact, **accepted: Any) -> ExecutionView:
    view = ExecutionView.of(an_accepted(**accepted))
    for fact in facts:
        view.apply(fact, NOW)
    return view


def seconds(count: float) -> Any:
    return NOW + timedelta(seconds=count)


def waiting(view: ExecutionView, at: float = 1, wait: WaitsFor | None = None, *, halted: bool = False) -> object:
    return progress(view, seconds(at), wait, halted=halted)["waiting"]


def test_a_child_that_was_kept_back_is_over_though_a_doubt_comes_behind() -> None:
    kept_back = ChildNotSent(**OF, client_order_id=CHILD, reason="TOO_LATE", detail="", source="exchange_actor")
    unknown = ChildUnknown(**OF, client_order_id=CHILD, symbol="BTCUSDT", detail="no word of it")
    child = a_view(an_intent(), kept_back, unknown).children[CHILD]
    assert (child.state, child.over) == ("NOT_SENT", True)


DONE = (an_intent(), an_acknowledged(), a_trade_booked(quantity=D("0.1")), a_child_closed())


@pytest.mark.parametrize(
    ("at", "quantity"), [(-1, "0"), (0, "0.1"), (29.9, "0.1"), (30, "0.2"), (120, "0.5"), (900, "0.5")]
)
def test_the_schedule_is_the_sum_of_the_slices_due(at: float, quantity: str) -> None:
    assert scheduled_by(a_plan(), seconds(at)) == D(quantity)


def test_before_the_plan_there_is_nothing_to_compare_with() -> None:
    figures = progress(a_view(), NOW, None)
    assert figures["scheduled"] is None
    assert figures["behind"] is None
    assert figures["waiting"] == "not planned yet"


def test_behind_is_what_is_due_and_not_filled() -> None:
    figures = progress(a_view(a_planned(), *DONE), seconds(61), None)
    assert (figures["scheduled"], figures["behind"]) == ("0.3", "0.2")


def test_ahead_is_a_negative_arrears() -> None:
    trade = a_trade_booked(quantity=D("0.25"))
    assert progress(a_view(a_planned(), an_intent(), trade), seconds(1), None)["behind"] == "-0.15"


def test_the_next_child_is_due_at_the_next_slot() -> None:
    assert progress(a_view(a_planned(), *DONE), seconds(31), None)["next_child_at"] == "2026-07-01T12:01:00.000000Z"


def test_extra_slots_follow_the_planned_ones() -> None:
    assert progress(a_view(a_planned()), seconds(121), None)["next_child_at"] == "2026-07-01T12:02:30.000000Z"
    assert progress(a_view(a_planned()), seconds(181), None)["next_child_at"] is None


@pytest.mark.parametrize(
    "fact",
    [
        ExecutionCancelRequested(**OF),
        ExecutionPaused(**OF),
        ExecutionQuarantined(**OF, detail="x"),
        a_closed(),
        a_trade_booked(quantity=D("0.5")),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_no_child_follows_when_nothing_is_left_to_do_or_nothing_is_sent(fact: Fact) -> None:
    assert progress(a_view(a_planned(), fact), seconds(1), None)["next_child_at"] is None


def test_the_interval_twap_is_that_of_the_last_child_which_knows_it() -> None:
    view = a_view(a_planned(), an_intent(mid_integral=D(420_000), mid_seconds=D(10)), a_trade_booked(price=D(42_042)))
    figures = progress(view, seconds(1), None)
    assert figures["interval_twap_price"] == "42000"
    assert figures["interval_twap_bps"] == "10"


def test_without_a_child_there_is_no_interval_twap() -> None:
    figures = progress(a_view(a_planned()), seconds(1), None)
    assert figures["interval_twap_price"] is None
    assert figures["interval_twap_bps"] is None


def test_a_closed_execution_has_the_twap_of_its_report() -> None:
    closed = a_closed()
    figures = progress(a_view(a_planned(), closed), seconds(1), None)
    assert figures["interval_twap_price"] == str(closed.report.interval_twap_price)
    assert figures["waiting"] is None


@pytest.mark.parametrize(
    ("fact", "word"),
    [
        (ExecutionPaused(**OF), "paused"),
        (ExecutionPaused(**OF, detail="lunch"), "paused: lunch"),
        (ExecutionCancelRequested(**OF), "cancelling"),
        (ExecutionQuarantined(**OF, detail="x"), "quarantined: x"),
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


def test_a_due_child_of_which_nobody_says_anything_is_told_so_after_a_moment() -> None:
    assert waiting(a_view(a_planned()), 1) is None
    assert waiting(a_view(a_planned()), 3) == SILENT


def test_an_unknown_outcome_is_waited_for_until_it_is_proven() -> None:
    unknown = ChildUnknown(**OF, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout")
    view = a_view(a_planned(), an_intent(), unknown)
    figures = progress(view, seconds(31), None)
    assert figures["waiting"] == "the outcome of a child order is being proven"
    assert (figures["open_children"], figures["unknown_children"]) == (1, 1)
    view.apply(ChildAbsent(**OF, client_order_id=CHILD, symbol="BTCUSDT", proof="p"), NOW)
    assert progress(view, seconds(31), None)["open_children"] == 0


def test_in_a_halt_no_child_follows() -> None:
    assert progress(a_view(a_planned()), seconds(1), None, halted=True)["next_child_at"] is None


def test_a_halt_is_what_is_waited_for() -> None:
    assert waiting(a_view(a_planned()), halted=True) == "trading is halted"


def held_by(hindrance: Hindrance, detail: str = "") -> WaitsFor:
    return WaitsFor(execution_id=EXECUTION, by="market", hindrance=hindrance, detail=detail)


WIDE = held_by("spread", "0.95%")


def test_nothing_is_waited_for_between_slots_and_before_the_first() -> None:
    assert waiting(a_view(a_planned(), *DONE), 29, WIDE) is None
    assert waiting(a_view(a_planned()), -1, WIDE) is None


def test_a_slot_that_was_skipped_waits_no_more() -> None:
    skipped = SlotSkipped(**OF, slice=0, quantity=D("0.1"), reason="SPREAD_TOO_WIDE", detail="")
    assert waiting(a_view(a_planned(), skipped), 1, WIDE) is None
    assert waiting(a_view(a_planned(), skipped), 31, WIDE) == "spread: 0.95%, 0.5% allowed"


WORDS: dict[Hindrance, tuple[str, str]] = {
    "spread": ("0.95%", "spread: 0.95%, 0.5% allowed"),
    "usual spread": ("0.05%, usually 0.01%", "usual spread, at most 3 times that: 0.05%, usually 0.01%"),
    "deviation": ("1.19%", "deviation: 1.19% from arrival, 1% allowed"),
    "age": ("quote 7.2 s old", "age: quote 7.2 s old when last judged"),
    "limit price": ("ask 42001 above 42000", "limit price: ask 42001 above 42000"),
    "depth": ("0.5 near the touch, 1.2 needed", "depth: 0.5 near the touch, 1.2 needed"),
    "participation": ("the market has yet to trade 0.4", "participation: the market has yet to trade 0.4"),
    "timing": ("", "timing: the queues at the touch do not press yet"),
    "fresh quote": ("", "a quote that is new"),
    "symbol status": ("BTCUSDT is BREAK", "symbol status: BTCUSDT is BREAK"),
    "balance": ("4200 USDT needed, 7 free", "balance: 4200 USDT needed, 7 free"),
    "request budget": ("the venue's limits are used up", "request budget: the venue's limits are used up"),
    "rate limit": ("the venue asks to wait", "rate limit: the venue asks to wait"),
    "clock": ("the venue's time is asked for again", "clock: the venue's time is asked for again"),
    "halt": ("trading is halted", "halt: trading is halted"),
    "start or stop": ("the daemon is stopping", "start or stop: the daemon is stopping"),
    "other": ("0.1 s too late", "other: 0.1 s too late"),
}


def test_every_hindrance_has_its_words_here() -> None:
    known = [name for literal in get_args(Hindrance) for name in get_args(literal)]
    assert sorted(WORDS) == sorted(known)


@pytest.mark.parametrize("hindrance", WORDS)
def test_what_holds_a_due_child_up_is_named_with_its_figures_and_what_is_allowed(hindrance: Hindrance) -> None:
    detail, words = WORDS[hindrance]
    view = a_view(a_planned(plan=a_plan(max_spread_multiple=D(3))))
    assert waiting(view, wait=held_by(hindrance, detail)) == words
