"""Drawings: round figures, places, and text that cannot break out."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from adapters.svg import Panel, drawing, padded, round_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1]),
        (64_990.0, 65_030.0, [64_990, 65_000, 65_010, 65_020, 65_030]),
        (5.0, 5.0, [5]),
    ],
)
def test_axes_are_marked_at_round_figures(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_a_range_has_a_margin_and_is_never_empty() -> None:
    assert padded([1.0, 2.0], 0.1) == pytest.approx((0.9, 2.1))
    low, high = padded([5.0])
    assert low < 5 < high
    assert padded([0.0]) == (-1.0, 1.0)


def a_panel() -> Panel:
    return Panel((0.0, 10.0), (0.0, 100.0), left=50, top=20, width=200, height=100)


def test_points_are_drawn_where_their_values_are() -> None:
    panel = a_panel()
    assert panel.at(0, 0) == (50, 120)
    assert panel.at(10, 100) == (250, 20)
    assert Panel((1.0, 1.0), (2.0, 2.0), 0, 0, 10, 10).at(1, 2) == (0, 10)


def test_steps_keep_each_value_until_the_next() -> None:
    panel = a_panel()
    panel.steps([(0, 0), (5, 50)], 10, "red")
    assert 'points="50.0,120.0 150.0,120.0 150.0,70.0 250.0,70.0"' in panel.parts[0]


def test_a_drawing_is_well_formed_and_asks_for_nothing() -> None:
    panel = a_panel()
    panel.axes(lambda value: f"{value:g} s", lambda value: f"{value:g}", "<title> & more")
    panel.line([(0, 0), (1, 1)], "red", "band")
    panel.level(50, "blue")
    panel.dot(1, 1, "red", note='"<b>"')
    panel.bar(2, 1, 0, -5, "green", note="x")
    panel.whisker(2, 1, 3)
    panel.legend([("one", "red"), ("two", "blue")], right=200)
    for alone in (True, False):
        text = drawing([panel], 300, 150, "a <label>", style=alone)
        root = ET.fromstring(text)  # noqa: S314 - our own
        assert root.attrib["aria-label"] == "a <label>"
        assert ("<style>" in text) is alone
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "<b>" not in text
