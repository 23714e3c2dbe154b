from __future__ import annotations

from typing import Any

import orjson
import pytest

from adapters.storage.codec import export_line
from adapters.terminal import (
    amounts,
    bps,
    demo_table,
    executions_table,
    figure,
    moment,
    price,
    rendered,
    report_view,
    seconds,
    signal_of,
    since,
    slice_of,
    status_line,
    verdict_line,
)
from messages.control import Committed
from messages.execution import ChildOutcome, Markout
from tests.factories import EXECUTION, NOW, D, a_child_report, a_closed, a_report


def report_json(**changes: Any) -> dict[str, Any]:
    """A report as the daemon serves it."""
    line = export_line(Committed(1, NOW, a_closed(report=a_report(**changes))))
    report: dict[str, Any] = orjson.loads(line)["report"]
    return report


def rows_of(text: str) -> list[list[str]]:
    """The words of each line, split where two blanks or more stand."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.50000", "0.5"), ("1E-5", "0.00001"), (None, "–"), (0.1, "–"), ("NaN", "–"), ("x", "–"), (7, "7")],
)
def test_an_amount_keeps_its_digits(value: object, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("42001.3333333333333333", "42001.33333"), ("0.000012345", "0.000012345"), (None, "–")],
)
def test_a_price_is_shown_to_ten_digits(value: object, text: str) -> None:
    assert price(value) == text


def test_basis_points_have_a_sign() -> None:
    assert [bps("0.238"), bps("-1.5"), bps(None)] == ["+0.24", "-1.50", "–"]


@pytest.mark.parametrize("value", [{"BTC": "0.0005", "USDT": "1.20"}, [["BTC", "0.0005"], ["USDT", "1.20"]]])
def test_fees_are_told_by_asset(value: object) -> None:
    assert amounts(value) == "0.0005 BTC, 1.2 USDT"


@pytest.mark.parametrize("value", [None, {}, [], "none", [["BTC", "0"]], ["BTC"]])
def test_no_fees_are_a_dash(value: object) -> None:
    assert amounts(value) == "–"


def test_times_are_told_to_the_second() -> None:
    assert moment("2026-07-01T12:03:22.5Z") == "2026-07-01 12:03:22 UTC"
    assert moment(None) == "–"
    assert since("2026-07-01T12:03:22.5Z", "2026-07-01T13:00:00Z") == "12:03:22"
    assert since("2026-06-30T12:03:22.5Z", "2026-07-01T13:00:00Z") == "2026-06-30 12:03:22"
    assert seconds("120.04") == "120.0 s"
    assert seconds(None) == "–"


def test_a_report_tells_outcome_costs_and_children() -> None:
    failed = a_child_report(
        client_order_id="tgp-abcdefghij234-1-0",
        slice=1,
        outcome=ChildOutcome.FAILED,
        executed_quantity=D(0),
        average_price=None,
        fees=(),
        polls=3,
        failure_reason="EXPIRED",
    )

    text = rendered(report_view(report_json(orders=(a_child_report(), failed)), EXECUTION))

    rows = rows_of(text)
    assert ["execution", EXECUTION, "BUY BTCUSDT"] in rows
    assert ["outcome", "COMPLETED"] in rows
    assert ["filled", "0.5 of 0.5 (100 %) for 21000.5"] in rows
    assert ["average price", "42001"] in rows
    assert ["arrival price", "42000"] in rows
    assert ["slippage vs arrival", "+0.24 bps"] in rows
    assert ["interval TWAP", "42000"] in rows
    assert ["slippage vs interval TWAP", "+0.24 bps"] in rows
    assert ["fees", "0.0005 BTC"] in rows
    assert ["fees in bps", "+10.00 bps"] in rows
    assert ["slices", "5 of 5"] in rows
    assert ["took", "120.0 s"] in rows
    child = "tgp-abcdefghij234-0-0"
    assert [child, "1", "FILLED", "0.1", "0.1", "42001", "0.0001 BTC", "0"] in rows
    assert ["tgp-abcdefghij234-1-0", "2", "FAILED", "0.1", "0", "–", "–", "3", "EXPIRED"] in rows
    assert max(map(len, text.splitlines())) <= 100


def test_slices_are_counted_from_one_and_a_later_attempt_is_told() -> None:
    assert slice_of({"slice": 0, "attempt": 0}) == "1"
    assert slice_of({"slice": 8, "attempt": 1}) == "9, attempt 2"


def test_a_report_without_fills_has_dashes_and_no_children() -> None:
    report = report_json(
        total_filled=D(0),
        filled_quote=D(0),
        average_price=None,
        arrival_slippage_bps=None,
        stop_reason="SPREAD_TOO_WIDE: 0.61%",
        orders=(),
    )

    rows = rows_of(rendered(report_view(report)))

    assert ["outcome", "SPREAD_TOO_WIDE: 0.61%"] in rows
    assert ["filled", "0 of 0.5 (0 %) for 0"] in rows
    assert ["average price", "–"] in rows
    assert ["slippage vs arrival", "– bps"] in rows
    assert ["late", "– / – / – ms (half, 99 %, most)"] in rows
    assert ["off the plan", "–, at most –"] in rows
    assert ["no child orders"] in rows


def test_a_report_takes_its_cost_apart() -> None:
    report = report_json(
        drift_bps=D("-1.234"),
        spread_bps=D("0.5"),
        walk_bps=D("0.972"),
        total_shortfall_bps=D("10.238"),
        tracking_error_percent=D("1.5"),
        max_lag_percent=D(20),
        lateness_p50_ms=D("0.12"),
        lateness_p99_ms=D(3),
        lateness_max_ms=D(4),
        guard_waits=2,
        participation=D("0.05"),
    )

    rows = rows_of(rendered(report_view(report)))

    assert ["slippage vs arrival", "+0.24 bps = drift -1.23, spread +0.50, walk +0.97"] in rows
    assert ["total shortfall", "+10.24 bps"] in rows
    assert ["off the plan", "1.50 %, at most 20.00 %"] in rows
    assert ["late", "0.1 / 3.0 / 4.0 ms (half, 99 %, most)"] in rows
    assert ["waited for guards", "0.0 s, 2 times"] in rows
    assert "swept up at the end" not in rendered(report_view(report))
    assert ["share of the market", "5 %"] in rows


def test_a_report_says_which_guards_were_waited_for_and_what_was_swept_up() -> None:
    report = report_json(
        guard_wait_seconds=D("12.5"),
        guard_waits=3,
        guard_waits_by=(("SPREAD_TOO_WIDE", 2, D(12)), ("LIQUIDITY", 1, D("0.5"))),
        swept=D("0.1"),
        fees_quote=D("42.5"),
    )

    rows = rows_of(rendered(report_view(report)))

    assert ["waited for guards", "12.5 s, 3 times: SPREAD_TOO_WIDE 12.0 s (2), LIQUIDITY 0.5 s (1)"] in rows
    assert ["swept up at the end", "0.1"] in rows
    assert ["fees in quote", "42.5"] in rows


def test_a_report_says_what_the_market_did_after_the_trades_and_of_how_much_that_is_known() -> None:
    marks = tuple(
        Markout(seconds=D(seconds), share=D(share), realised_spread_bps=D("-0.4"), impact_bps=D("1.25"))
        for seconds, share in ((1, "0.8"), (60, "0.4"))
    )

    rows = rows_of(rendered(report_view(report_json(markouts=marks, reversion_bps=D("0.3")))))

    assert ["realised spread", "-0.40 after 1 s, -0.40 after 60 s (bps)"] in rows
    assert ["impact", "+1.25 after 1 s, +1.25 after 60 s (bps)"] in rows
    assert ["reversion", "+0.30 bps"] in rows
    assert ["both known of", "80 %, 40 % of the fills"] in rows
    assert "realised" not in rendered(report_view(report_json()))


RUNNING = {
    "execution_id": EXECUTION,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "state": "running",
    "quantity": "0.5",
    "total_filled": "0.2",
    "average_price": "42001.5",
    "arrival_slippage_bps": None,
    "total_fees": {"BTC": "0.0002"},
    "accepted_at": "2026-07-01T12:03:22.5Z",
    "report": None,
}


@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 100])
def test_where_there_is_no_room_for_a_table_columns_are_left_out_and_nothing_is_cut_or_folded(width: int) -> None:
    text = rendered(executions_table([RUNNING]), width)
    (row,) = [line for line in text.splitlines() if EXECUTION in line]
    assert all(one in row for one in (EXECUTION, "BUY BTCUSDT", "running"))
    assert (" 0.2" in row) == (width >= 50)
    assert "…" not in text
    assert len(text.splitlines()) == 4
    assert ("0.0002 BTC" in row) == (width >= 80)
    children = rendered(report_view(report_json(orders=(a_child_report(),))), width).splitlines()
    (child,) = [line for line in children if line.startswith(" tgp-")]
    assert "…" not in child


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ({"status": "accepted", "execution_id": "x"}, "accepted, execution x"),
        ({"status": "rejected", "reason": "STALE", "detail": "90 s old"}, "rejected, STALE: 90 s old"),
        (
            {"status": "duplicate", "reason": "DUPLICATE", "detail": "by id", "duplicate_of": "x", "first_seen": "now"},
            "duplicate of x, first seen now: by id",
        ),
        ({"status": "conflict", "reason": "CONFLICT", "duplicate_of": "x"}, "conflict with x"),
    ],
)
def test_a_verdict_is_one_line(verdict: dict[str, str], said: str) -> None:
    assert verdict_line(verdict) == said


def test_the_status_says_once_why_it_is_not_ready() -> None:
    stands: dict[str, object] = {
        "readiness": "HALTED",
        "reason": "HALTED",
        "detail": "MANUAL: x",
        "halted": "MANUAL: x",
        "mode": "paper",
    }
    assert status_line(stands).plain == "tidegate HALTED: MANUAL: x  mode paper"
    stands = {"readiness": "READY", "detail": None, "halted": None, "mode": "paper", "epoch": 1, "running": 0, "seq": 7}
    assert status_line(stands).plain == "tidegate READY  mode paper  epoch 1  running 0  seq 7"


def test_a_report_names_its_signal_where_it_is_known() -> None:
    assert signal_of({"source": "desk", "signal_id": "tv-1", "tag": "dip"}) == "desk / tv-1, tag dip"
    assert signal_of({"source": "default", "signal_id": None}) == "default"
    assert ["signal", "desk / tv-1"] in rows_of(rendered(report_view(report_json(), EXECUTION, "desk / tv-1")))
    assert "signal" not in [row[0] for row in rows_of(rendered(report_view(report_json()))) if row]


def test_executions_are_listed_with_their_own_figures_or_their_report_s() -> None:
    ended = {
        **RUNNING,
        "execution_id": "bbbbbbbbbb234",
        "stop_reason": "COMPLETED",
        "report": report_json(),
    }

    text = rendered(executions_table([RUNNING, ended], "executions"), 120)

    rows = rows_of(text)
    assert rows[0] == ["executions"]
    first, second = [row for row in rows if "BUY BTCUSDT" in row]
    assert first[:4] == [EXECUTION, "07-01 12:03", "BUY BTCUSDT", "running"]
    assert first[4:] == ["0.5", "0.2", "40 %", "42001.5", "–", "0.0002 BTC"]
    assert second[:4] == ["bbbbbbbbbb234", "07-01 12:03", "BUY BTCUSDT", "COMPLETED"]
    assert second[4:] == ["0.5", "0.5", "100 %", "42001", "+0.24", "0.0005 BTC"]


def test_no_executions_are_said_in_words() -> None:
    assert rendered(executions_table([])) == "no executions"


def test_the_demo_ends_with_verdicts_fills_and_costs() -> None:
    text = rendered(
        demo_table(
            [
                ("large buy", {"status": "accepted"}, report_json()),
                ("repeat", {"status": "duplicate", "reason": "DUPLICATE"}, None),
                ("too late", {"status": "rejected", "reason": "STALE"}, None),
            ]
        )
    )

    rows = rows_of(text)
    assert ["signal", "verdict", "reason", "filled", "average", "slippage bps", "fees"] in rows
    assert ["large buy", "accepted", "COMPLETED", "0.5", "42001", "+0.24", "0.0005 BTC"] in rows
    assert ["repeat", "duplicate", "DUPLICATE", "–", "–", "–", "–"] in rows
    assert ["too late", "rejected", "STALE", "–", "–", "–", "–"] in rows


def test_colours_are_for_terminals_only() -> None:
    table = demo_table([("repeat", {"status": "conflict"}, None)])

    assert "\x1b[" not in rendered(table)
    assert "\x1b[31m" in rendered(table, colours=True)
