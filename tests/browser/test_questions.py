"""What the page asks of whoever looks at it: whether something is really meant, and for the token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from messages.facts import signal_key
from tests.adapters.web.world import TOKEN
from tests.browser.conftest import until
from tests.browser.shown import THOROUGH, Shown
from tests.browser.states import IDS, halted, paused, running
from tests.factories import a_closed

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

DIALOGS = {
    "Cancel BUY": (running, "Cancel this execution?", "Cancel the execution"),
    "Resume trading": (halted, "Resume trading?", "Resume"),
    "Pause BUY": (running, "Pause this execution?", "Pause"),
    "Resume BUY": (paused, "Resume this execution?", "Resume"),
    "Halt": (running, "Halt all trading?", "Halt"),
}
USUAL = 2
"""So many are asked in every run, all in `make soak`; pause, resume and halt are pressed in test_dashboard.py, too."""


@pytest.mark.parametrize("button", list(DIALOGS)[: None if THOROUGH else USUAL])
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
    expect(shown.page.locator("#mode")).to_have_text("…")  # It may be another daemon by now, and a live one.
    expect(shown.page.locator("#signs")).to_be_empty()
    expect(shown.page).to_have_title("locked · Tidegate")


def test_a_refusal_that_comes_after_the_unlocking_locks_nothing(show: Callable[..., Shown]) -> None:
    """What the page had asked before it had the token is answered, for once, later than what it asked with it."""
    shown = show(running, unlocked=False, read_without_token=False)
    page, late = shown.page, []

    def hold(route: Any) -> None:
        if "authorization" in route.request.headers:
            route.continue_()
        else:
            late.append(route)

    dialog = page.get_by_role("dialog", name="Unlock")
    expect(dialog).to_be_visible()
    page.route("**/ui/state", hold)
    until(lambda: page.wait_for_timeout(50) or bool(late), 5)
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    page.wait_for_timeout(300)
    for route in late:
        route.fulfill(status=401, json={"status": "rejected", "reason": "UNAUTHORISED"})
    expect(page.locator("#running-table tbody tr")).to_have_count(3)
    expect(page.locator("html")).to_have_attribute("data-may-act", "true")
    expect(dialog).to_be_hidden()
    expect(page.locator("#lost")).to_be_hidden()


def test_whoever_does_not_want_to_unlock_now_is_not_asked_again(show: Callable[..., Shown]) -> None:
    shown = show(running, unlocked=False, read_without_token=False)
    dialog = shown.page.get_by_role("dialog", name="Unlock")
    expect(dialog).to_be_visible()
    shown.page.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()
    with shown.page.expect_response("**/ui/state", timeout=60_000):
        pass  # It looks again whether it is let in by now.
    shown.page.wait_for_timeout(200)
    expect(dialog).to_be_hidden()
    shown.page.get_by_role("button", name="Unlock").click()
    expect(dialog).to_be_visible()


def test_an_act_that_was_still_under_way_when_its_question_was_left_does_not_answer_the_next_one(
    show: Callable[..., Shown],
) -> None:
    shown = show(running)
    page, halts, asked = shown.page, [], []

    def hold(route: Any) -> None:
        halts.append(route)

    def note(route: Any) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        route.fulfill(json={})

    page.route("**/v1/halt", hold)
    page.route("**/v1/executions/**", note)
    page.get_by_role("button", name="Halt").click()
    page.locator("#confirm-yes").click()
    until(lambda: page.wait_for_timeout(20) or bool(halts), 5)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Cancel BUY").first.click()
    dialog = page.get_by_role("dialog", name="Cancel this execution?")
    expect(page.locator("#confirm-yes")).to_be_enabled(timeout=8_000)  # Before the halt gives up waiting.
    halts[0].fulfill(json={"status": "halted"})
    page.wait_for_timeout(300)
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Pause BUY").first.click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#confirm")).to_be_hidden()
    assert asked == ["pause"]


def test_a_question_about_what_has_ended_meanwhile_leaves_the_focus_where_it_was_asked(
    show: Callable[..., Shown],
) -> None:
    shown = show(running)
    page = shown.page
    page.get_by_role("button", name=f"Cancel BUY BTCUSDT {IDS[0]}").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Cancel this execution?")).to_be_visible()
    shown.stage.world.commit(a_closed(execution_id=IDS[0], key=signal_key("desk", "breakout-17")))
    expect(page.locator("#running-table tbody tr")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#running")).to_be_focused()
