"""The page of a report: it shows what the report says, escapes it, and needs nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from adapters import console, exits
from adapters.report_page import report_page
from adapters.views import view_of
from tests.factories import EXECUTION, NOW, D, a_child_report, a_plan, a_report


def a_view(**changes: Any) -> dict[str, Any]:
    orders = tuple(
        a_child_report(
            slice=slot,
            sent_at=NOW + timedelta(seconds=30 * slot),
            filled_at=NOW + timedelta(seconds=30 * slot + 0.02),
            mid_at_send=D(42_000 + slot),
            average_price=D(42_001 + slot),
        )
        for slot in range(5)
    )
    report = a_report(**{"orders": orders, "end_price": D(42_004), **changes})
    plan = a_plan(limit_price=D(42_003))
    return {"execution_id": EXECUTION, "report": view_of(report), "plan": view_of(plan)}


class Reader(HTMLParser):
    """Checks that tags pair up, and keeps text and attributes."""

    VOID = frozenset({"meta", "circle", "rect", "line", "path", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def test_the_page_says_what_the_report_says() -> None:
    reader = Reader(report_page(a_view()))
    for said in ("BUY 0.5 BTCUSDT", "COMPLETED", "0.5 of 0.5 (100 %) for 21000.5", "0.0005 BTC", "42000"):
        assert any(said in text for text in reader.text), said
    assert reader.text.count("tgp-abcdefghij234-0-0") == 5


def test_the_page_asks_nobody_for_anything() -> None:
    page = report_page(a_view())
    assert Reader(page).links == []
    assert "default-src 'none'" in page
    assert re.findall(r"(?:https?:)?//[a-z]", page.replace("http://www.w3.org/2000/svg", "")) == []
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_chart_has_the_plan_each_fill_and_what_prices_are_measured_against() -> None:
    page = report_page(a_view())
    assert page.count("<circle") == 5
    assert "slice 4: 0.1 at 42004" in page
    for name in ("planned", "executed", "mid", "fills", "arrival", "interval TWAP", "limit"):
        assert f">{name}</text>" in page


def test_a_limit_far_away_does_not_flatten_the_prices() -> None:
    view = a_view()
    view["plan"]["limit_price"] = "50000"
    assert ">limit</text>" not in report_page(view)


def test_hostile_text_stays_text() -> None:
    view = a_view(stop_reason='REFUSED: <script>alert("x")</script>')
    view["report"]["orders"][0]["failure_reason"] = "<img src=x>"
    view["execution_id"] = "</title><script>"
    page = report_page(view)
    assert "<script" not in page
    assert "<img" not in page
    assert Reader(page).links == []


@pytest.mark.parametrize(
    "report",
    [
        {"orders": (), "total_filled": D(0), "average_price": None, "end_price": None},
        {"ended_at": NOW},
        {"arrival_price": D(0), "interval_twap_price": None, "orders": (), "end_price": None},
    ],
)
def test_little_to_show_is_shown_too(report: dict[str, Any]) -> None:
    Reader(report_page(a_view(**report)))


def test_figures_that_are_none_are_left_out() -> None:
    view = a_view()
    order = view["report"]["orders"][0]
    order["filled_at"], order["mid_at_send"] = "yesterday", "much"
    view["report"]["end_price"] = True
    view["plan"] = None
    page = report_page(view)
    assert page.count("<circle") == 4
    view["report"]["started_at"] = "?"
    assert "<svg" not in report_page(view)


def test_the_report_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.html"
    assert console.report(a_view(), json=False, html=path) == exits.OK
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(path) in capsys.readouterr().out
    assert console.report(a_view(), json=True, html=path) == exits.OK
    assert '"execution_id"' in capsys.readouterr().out
    unfinished = {**a_view(), "report": None}
    path.unlink()
    with pytest.raises(exits.Exit, match="has no report yet: it is ") as end:
        console.report(unfinished, json=True, html=path)
    assert end.value.code == exits.ERROR
    assert not path.exists()


def test_a_report_of_long_ago_has_no_times_of_its_children() -> None:
    """Journals of before this was measured have reports without these fields."""
    bare = replace(a_child_report(), sent_at=None, filled_at=None, mid_at_send=None)
    page = report_page(a_view(orders=(bare,)))
    assert "<circle" not in page
