"""Each state of the dashboard, wide and narrow, light and dark: what it must say, and that everybody can use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from messages.facts import ExecutionCancelRequested, ExecutionPaused, ExecutionResumed, TradingHalted
from tests.adapters.web.world import TOKEN
from tests.browser.conftest import until
from tests.browser.shown import PHONE, THOROUGH, WIDE, Shown
from tests.browser.states import IDS, STATES, finished, halted, running

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


USUAL = ("nothing yet", "running", "guard waiting", "halted", "quarantined", "finished", "live, in trouble")
"""The states that are looked at in every run; all of them in `make soak`."""


@pytest.mark.parametrize("name", STATES if THOROUGH else USUAL)
def test_a_state_says_what_is_the_matter_to_everybody(show: Callable[..., Shown], name: str) -> None:
    play, words = STATES[name]
    shown = show(play)
    shown.page.locator("html[data-link=live]").wait_for()
    for said in words:
        expect(shown.page.locator("body")).to_contain_text(said)
    if shown.page.locator("#running-table tbody tr").count():
        expect(shown.page.locator("#schedule-chart canvas")).to_be_visible()
    shown.judge(name)
    assert shown.tab.complaints == []


def test_what_may_be_of_another_day_says_its_day(show: Callable[..., Shown]) -> None:
    shown = show(finished)
    page, day = shown.page, f"{shown.stage.world.now:%Y-%m-%d}"
    expect(page.locator("#signals-table tbody tr").first.locator("td").first).to_contain_text(day)
    page.locator("details summary").first.click()
    expect(page.locator("#closed-table tbody tr").first.locator("td").last).to_contain_text(day)
    page.locator("#closed-table tbody tr").first.get_by_role("button").first.click()
    expect(page.locator("#one")).to_contain_text(f"Ended{day}")


def test_a_lost_connection_is_said_at_once_and_what_is_shown_loses_its_colours(show: Callable[..., Shown]) -> None:
    shown = show(running)
    expect(shown.page.locator("#running-table tbody tr")).to_have_count(3)
    shown.stage.world.intake.close()
    expect(shown.page.get_by_role("alert")).to_contain_text("No connection to the daemon, last heard", timeout=60_000)
    expect(shown.page).to_have_title("⚠ no connection · Tidegate")
    expect(shown.page.locator("main")).to_have_css("filter", "grayscale(1)")
    shown.page.mouse.wheel(0, 2000)
    expect(shown.page.get_by_role("alert")).to_be_in_viewport()
    shown.judge("disconnected")


def test_a_view_that_cannot_be_drawn_is_said_and_the_page_goes_on_looking(show: Callable[..., Shown]) -> None:
    shown = show(running)
    page = shown.page
    expect(page.locator("html")).to_have_attribute("data-link", "live")
    page.route("**/ui/state", lambda route: route.fulfill(json={**shown.stage.world.view(), "vitals": None}))
    expect(page.get_by_role("alert")).to_contain_text("This page cannot draw what the daemon says")
    expect(page.locator("html")).to_have_attribute("data-link", "lost")
    page.unroute("**/ui/state")
    expect(page.locator("html")).to_have_attribute("data-link", "live")
    expect(page.locator("#lost")).to_be_hidden()


def test_a_child_at_work_is_no_alarm_and_moves_nothing_on_the_page(show: Callable[..., Shown]) -> None:
    shown = show(STATES["resting child"][0])
    said = shown.page.get_by_text("a child order rests at 64770.82")
    expect(said).to_have_count(1)
    expect(said).to_have_attribute("data-calm", "")
    expect(shown.page.locator("#one-waiting")).to_be_hidden()


def test_a_phone_shows_few_child_orders_until_asked_for_all(show: Callable[..., Shown]) -> None:
    shown = show(STATES["finished"][0])
    rows = shown.page.locator("#children-table tbody tr")
    expect(rows).to_have_count(10)
    shown.look(PHONE, "light")
    expect(rows).to_have_count(3)
    shown.page.get_by_role("button", name="Show all 12 child orders").click()
    expect(rows).to_have_count(12)


def test_on_a_phone_trading_can_be_halted_from_wherever_one_has_scrolled_to(show: Callable[..., Shown]) -> None:
    shown = show(running)
    shown.look(PHONE, "dark")
    expect(shown.page.locator("#running-table tbody tr")).to_have_count(3)
    shown.page.mouse.wheel(0, 1500)
    expect(shown.page.locator("#mode")).not_to_be_in_viewport()
    shown.picture("scrolled phone dark", whole=False)
    shown.page.get_by_role("button", name="Halt").click()
    expect(shown.page.get_by_role("dialog", name="Halt all trading?")).to_be_visible()


COUNT_PIXELS = """(canvas, [red, green, blue]) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += data[i] === red && data[i + 1] === green && data[i + 2] === blue;
  return count;
}"""


def test_the_marks_of_fills_have_the_colours_of_the_theme(show: Callable[..., Shown]) -> None:
    """What is painted on a canvas is painted anew when light turns dark: no pixel of the light theme is left."""
    shown = show(STATES["finished"][0])
    chart = shown.page.locator("#price-chart canvas").first
    expect(chart).to_be_visible()
    canvases = shown.page.locator("#price-chart canvas")

    def pixels(rgb: list[int]) -> int:
        return sum(canvases.nth(number).evaluate(COUNT_PIXELS, rgb) for number in range(canvases.count()))

    light, dark = [0x1D, 0x4E, 0xD8], [0x7A, 0xA8, 0xFF]
    until(lambda: pixels(light) > 0, 2)
    shown.look(WIDE, "dark")
    until(lambda: pixels(dark) > 0, 2)
    assert pixels(light) == 0


def test_what_is_running_can_be_worked_with_the_keyboard_alone(show: Callable[..., Shown]) -> None:
    """Every control of a full page is reached with Tab, in the order it is read, and shows that it is."""
    shown = show(halted)
    expect(shown.page.locator("#running-table tbody tr")).to_have_count(3)
    reached: list[str] = []
    for _ in range(40):
        shown.page.keyboard.press("Tab")
        reached.append(shown.page.evaluate("document.activeElement.textContent.trim().slice(0, 24)"))
        width = shown.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2 or reached[-1] == "", reached
        if reached[-1] == "Cancel" and reached.count("Cancel") == 3:
            break
    assert [name for name in reached if name in {"Resume trading", "Pause", "Cancel"}] == [
        "Resume trading",
        *["Pause", "Cancel"] * 3,
    ]


PICTURES = "canvases => canvases.map((canvas) => canvas.toDataURL())"


def test_a_chart_that_gets_narrower_still_shows_all_of_its_time(show: Callable[..., Shown]) -> None:
    """A finished execution has no further price that would have it drawn anew: turned, it is as when opened so."""
    shown = show(STATES["finished"][0])
    canvases = shown.page.locator("#price-chart canvas")
    expect(canvases.first).to_be_visible()
    shown.look(PHONE, "light")
    shown.page.wait_for_timeout(500)
    turned = canvases.evaluate_all(PICTURES)
    shown.page.reload()
    expect(canvases.first).to_be_visible()
    until(lambda: canvases.evaluate_all(PICTURES) == turned, 2)


def test_what_was_filled_is_drawn_to_its_end(show: Callable[..., Shown]) -> None:
    """Also the last fill, after which there is nothing more but the execution's end."""
    shown = show(STATES["finished"][0])
    view = shown.stage.world.view("/ui/executions/" + IDS[0])
    drawn = shown.page.evaluate(
        "async (view) => (await import('/ui/static/charts.js')).stairs(view, 0).data.map((points) => points.at(-1))",
        view,
    )
    assert [round(amount, 8) for amount in drawn[1:]] == [2.4, 2.4]


def test_amounts_of_an_axis_are_not_rounded(show: Callable[..., Shown]) -> None:
    shown = show(STATES["nothing yet"][0])
    written = shown.page.evaluate(
        "async (numbers) => numbers.map((await import('/ui/static/format.js')).written)",
        [0, 0.0025, 0.1 + 0.2, 1e-7, 150_000, 2.5],
    )
    assert written == ["0", "0.0025", "0.3", "0.0000001", "150,000", "2.5"]


def test_a_button_that_has_gone_leaves_the_focus_to_the_one_that_came_instead(show: Callable[..., Shown]) -> None:
    shown = show(running)
    page, commit = shown.page, shown.stage.world.commit

    def held(name: str) -> Any:
        button = page.get_by_role("button", name=f"{name} BUY BTCUSDT {IDS[0]}")
        expect(button).to_be_visible()
        return button

    held("Pause").focus()
    commit(ExecutionPaused(execution_id=IDS[0]))
    expect(held("Resume")).to_be_focused()
    commit(ExecutionResumed(execution_id=IDS[0]))
    expect(held("Pause")).to_be_focused()
    held("Cancel").focus()
    commit(ExecutionCancelRequested(execution_id=IDS[0]))
    expect(page.locator("#running")).to_be_focused()
    page.get_by_role("button", name="Halt").focus()
    commit(TradingHalted(reason="MANUAL", detail="from the dashboard"))
    expect(page.get_by_role("button", name="Resume trading")).to_be_focused()
    page.get_by_role("button", name="Lock").click()
    expect(page.get_by_role("button", name="Unlock")).to_be_focused()


def test_the_axis_of_prices_runs_with_time_also_where_no_price_is_known(show: Callable[..., Shown]) -> None:
    shown = show(STATES["nothing yet"][0])
    spread = shown.page.evaluate(
        "async (points) => { const { evenly } = await import('/ui/static/charts.js');"
        "return [1, 2, 10].map((step) => evenly(points, step)).concat([evenly([], 1)]) }",
        [[20, 1.0], [23, 2.0], [24, 5.0]],
    )
    assert spread == [
        [{"time": 20, "value": 1}, {"time": 21}, {"time": 22}, {"time": 23, "value": 2}, {"time": 24, "value": 5}],
        [{"time": 20, "value": 1}, {"time": 22, "value": 2}, {"time": 24, "value": 5}],
        [{"time": 20, "value": 5}],
        [],
    ]


def test_more_windows_than_a_browser_has_connections_are_all_shown_every_fact(show: Callable[..., Shown]) -> None:
    """A browser opens six connections to one place; if streams took them all, no window could even halt trading."""
    shown = show(running)
    pages = [shown.page, *(shown.page.context.new_page() for _ in range(6))]
    for page in pages[1:]:
        page.goto(f"http://127.0.0.1:{shown.stage.world.port}/#token={TOKEN}")
    for page in pages:
        expect(page.locator("html")).to_have_attribute("data-link", "live")
    shown.stage.world.commit(ExecutionPaused(execution_id=IDS[0]))
    newest = shown.stage.world.view()["seq"]
    for page in pages:
        expect(page.locator("#journal-tail li").first).to_have_attribute("data-seq", str(newest))
        expect(page.locator("#journal")).to_have_attribute("data-gaps", "0")
        expect(page.locator("html")).to_have_attribute("data-link", "live")
