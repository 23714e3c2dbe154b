"""Each state of the dashboard, wide and narrow, light and dark: what it must say, and that everybody can use it.

With `TIDEGATE_PICTURES=DIRECTORY` each state's pictures are left there, to be looked at. axe judges the fullest states
at every run, and each of them in `make soak`: it takes its time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from actors.runtime import Pool
from adapters.loop_thread import LoopThread
from tests.adapters.web.world import TOKEN, World
from tests.browser.conftest import Tab, until
from tests.browser.states import STATES, Stage, halted, paused, running

pytestmark = pytest.mark.timeout(600)

PICTURES = os.environ.get("TIDEGATE_PICTURES")
THOROUGH = bool(PICTURES or os.environ.get("TIDEGATE_CHAOS"))
FULLEST = {"live, in trouble", "disconnected"}
"""What axe judges at every run: a bar full of marks, a page without colours; a busy table and a dialog are
judged on a real daemon, in test_dashboard.py."""
WIDE, PHONE = (1280, 900), (390, 844)
COLOURS = {"runOnly": ["color-contrast"]}
WAYS: tuple[tuple[tuple[int, int], str, dict[str, Any] | None], ...] = (
    (WIDE, "light", {}),
    (WIDE, "dark", None),
    (PHONE, "light", None),
    (PHONE, "dark", COLOURS),
)
"""How a state is looked at, and by which of axe's rules, all or some; None: for its picture alone."""


class Shown:
    """The dashboard of a stage in one tab."""

    def __init__(self, stage: Stage, tab: Tab) -> None:
        self.stage, self.tab, self.page = stage, tab, tab.page

    def look(self, size: tuple[int, int], scheme: str) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=scheme)

    def picture(self, name: str, *, whole: bool = True) -> None:
        if PICTURES:
            file = Path(PICTURES) / f"{name.replace(' ', '-').replace(',', '')}.png"
            self.page.screenshot(path=file, full_page=whole, animations="disabled")

    def judge(self, name: str, *, whole: bool = True) -> None:
        """Look at it in every way: nothing sticks out, and axe finds no serious fault."""
        axe = THOROUGH or name in FULLEST
        for size, scheme, rules in WAYS if PICTURES else WAYS[::3] if axe else WAYS[-1:]:
            self.look(size, scheme)
            self.picture(f"{name} {'wide' if size is WIDE else 'phone'} {scheme}", whole=whole)
            assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {size[0]}"
            if axe and rules is not None:
                assert faults(self.page, rules) == [], f"{size[0]} wide, {scheme}"


def faults(page: Any, rules: dict[str, Any]) -> list[tuple[str, list[str]]]:
    few_rows = {"exclude": [["#journal-tail li:nth-child(n+8)"]]}
    found = Axe().run(page, few_rows, {"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]


@pytest.fixture
def show(chromium: Any) -> Iterator[Callable[..., Shown]]:
    """Play a state and open the dashboard on it, with the token unless told otherwise."""
    opened: list[tuple[World, Any]] = []
    with Pool(2) as pool, LoopThread(pool) as loop:

        def show(play: Callable[[Stage], None], *, unlocked: bool = True, **settings: Any) -> Shown:
            world = World(loop, **settings)
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            context.set_default_timeout(30_000)
            opened.append((world, context))
            stage = Stage(world)
            play(stage)
            tab = Tab(context.new_page())
            tab.page.goto(f"http://127.0.0.1:{world.port}/" + (f"#token={TOKEN}" if unlocked else ""))
            return Shown(stage, tab)

        yield show
        for world, context in opened:
            context.close()
            world.intake.close()


@pytest.mark.parametrize("name", STATES)
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


DIALOGS = {
    "Pause BUY": (running, "Pause this execution?", "Pause"),
    "Cancel BUY": (running, "Cancel this execution?", "Cancel the execution"),
    "Resume BUY": (paused, "Resume this execution?", "Resume"),
    "Halt": (running, "Halt all trading?", "Halt"),
    "Resume trading": (halted, "Resume trading?", "Resume"),
}


@pytest.mark.parametrize("button", DIALOGS)
def test_a_question_names_what_it_is_about_and_leaves_it_unless_told_yes(
    show: Callable[..., Shown], button: str
) -> None:
    play, title, yes = DIALOGS[button]
    shown = show(play)
    page = shown.page
    opener = page.get_by_role("button", name=button).last
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog).to_be_visible()
    if "BUY" in button:
        expect(dialog).to_contain_text("BUY")
        expect(dialog).to_contain_text(page.locator("tr[aria-current=true] .mono").first.inner_text())
    expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
    expect(dialog.get_by_role("button", name=yes)).to_be_visible()
    shown.judge(f"asks {button}", whole=False)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    assert shown.tab.complaints == []


def test_an_act_that_is_not_answered_says_so_and_may_be_tried_again(show: Callable[..., Shown]) -> None:
    shown = show(running, answer_seconds=0.2)
    shown.page.get_by_role("button", name="Halt").click()
    shown.page.locator("#confirm-yes").click()  # Nobody is there to do it.
    expect(shown.page.get_by_role("alert")).to_have_text("NOT_READY: no answer in time; it may still be done")
    expect(shown.page.locator("#confirm-yes")).to_be_enabled()
    shown.judge("asks in vain", whole=False)
    assert [one for one in shown.tab.complaints if "503" not in one] == []


def test_without_the_token_nothing_can_be_pressed_that_acts(show: Callable[..., Shown]) -> None:
    shown = show(running, unlocked=False)
    expect(shown.page.locator("#running-table tbody tr")).to_have_count(3)
    names = shown.page.get_by_role("button").all_inner_texts()
    assert {"Theme: auto", "Unlock"} <= set(names)
    assert not set(names) & {"Pause", "Resume", "Cancel", "Halt", "Resume trading", "Lock"}
    shown.judge("read-only")
    assert shown.tab.complaints == []


def test_a_wrong_token_is_refused_in_the_dialog(show: Callable[..., Shown]) -> None:
    shown = show(running, unlocked=False)
    unlock = shown.page.get_by_role("button", name="Unlock")
    unlock.click()
    shown.page.get_by_label("Token").fill("not-the-token")
    shown.page.keyboard.press("Enter")
    expect(shown.page.locator("#token-error")).to_have_text("That is not this daemon's token.")
    expect(shown.page.get_by_label("Token")).to_be_focused()
    shown.judge("wrong token", whole=False)
    shown.page.keyboard.press("Escape")
    expect(unlock).to_be_focused()


def test_a_daemon_that_shows_nothing_without_its_token_asks_for_it_and_shows_nothing(
    show: Callable[..., Shown],
) -> None:
    shown = show(running, unlocked=False, read_without_token=False)
    expect(shown.page.get_by_role("dialog", name="Unlock")).to_be_visible()
    expect(shown.page.locator("#lost")).to_have_text("This daemon shows nothing without its token.")
    expect(shown.page.locator("#readiness")).to_have_text("locked")
    expect(shown.page.get_by_role("main")).to_be_hidden()  # It does not know that nothing is being worked.
    shown.judge("locked", whole=False)
    shown.page.get_by_label("Token").fill(TOKEN)
    shown.page.keyboard.press("Enter")
    expect(shown.page.locator("#running-table tbody tr")).to_have_count(3)
    expect(shown.page.locator("#lost")).to_be_hidden()
    shown.page.get_by_role("button", name="Lock").click()
    expect(shown.page.get_by_role("main")).to_be_hidden()


@pytest.mark.skipif(not THOROUGH, reason="in make soak: needs a quiet machine; test_dashboard.py ends a real daemon")
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
