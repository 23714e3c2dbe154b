"""The dashboard as an operator has it: in a browser, against a daemon that trades. Real time throughout."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Daemon, Tab, until
from tests.browser.shown import THOROUGH
from tests.slowness import at_most, slowness, stretched

pytestmark = pytest.mark.timeout(600)

OpenTab = Callable[..., Tab]
IDS = itertools.count()
COLOURS = {"runOnly": ["color-contrast"]}


def a_sliced_signal(chunks: int = 6, interval: str = "0.7", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"browser-{next(IDS)}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "quantity": "0.6",
        "twap": {"num_chunks": chunks, "interval_seconds": interval},
        **changes,
    }


def row_of(tab: Tab, execution_id: str) -> Any:
    return tab.page.locator(f"#running-table tr[data-key='{execution_id}']")


def filled(tab: Tab, execution_id: str) -> int:
    return int(row_of(tab, execution_id).get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def confirm(tab: Tab, button: Any) -> None:
    button.click()
    tab.page.locator("#confirm-yes").click()
    tab.page.locator("#confirm").wait_for(state="hidden")


def cancel_all(daemon: Daemon, verdicts: list[dict[str, Any]]) -> None:
    for verdict in verdicts:
        daemon.ask("POST", f"/v1/executions/{verdict['execution_id']}/cancel")


def test_an_execution_appears_moves_is_paused_resumed_and_finishes(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    (verdict,) = daemon.send(a_sliced_signal())
    of = verdict["execution_id"]
    row = row_of(tab, of)
    expect(row).to_be_visible()
    until(lambda: filled(tab, of) >= 16, 8)
    confirm(tab, row.get_by_role("button", name="Pause"))
    expect(row.locator(".pill")).to_have_text("paused")
    time.sleep(0.3)
    before = filled(tab, of)
    time.sleep(1.0)
    assert filled(tab, of) == before < 100
    confirm(tab, row.get_by_role("button", name="Resume"))
    expect(row).to_be_hidden(timeout=60_000)
    tab.page.locator("#closed summary").click()
    expect(tab.page.locator(f"#closed-table tr[data-key='{of}'] .pill")).to_have_text("completed")
    expect(tab.page.locator("#report-figures")).to_contain_text("COMPLETED")
    expect(tab.page.locator("#children-table tbody tr").first).to_contain_text("filled")
    assert tab.complaints == []


@pytest.mark.acceptance
def test_the_guard_that_holds_an_execution_up_is_named_with_its_figures(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    verdicts = daemon.send(a_sliced_signal(interval="5", limit_price="50000"))
    row = row_of(tab, verdicts[0]["execution_id"])
    expect(row.locator(".waits")).to_contain_text("limit price: ask")
    expect(row.locator(".waits")).to_contain_text("above 50000")
    expect(tab.page.locator("#one-waiting")).to_contain_text("Waiting: limit price: ask")
    cancel_all(daemon, verdicts)
    expect(row).to_be_hidden()


@pytest.mark.acceptance
def test_reload_and_restart_of_the_daemon_lose_no_fact(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    verdicts = daemon.send(a_sliced_signal(chunks=20, interval="0.5"))
    until(lambda: len(tab.seqs()) > 5, 8)
    seen = max(tab.seqs())
    tab.page.reload()
    until(lambda: bool(tab.seqs()) and max(tab.seqs()) > seen, 8)
    seen = max(tab.seqs())
    assert tab.seqs() == list(range(seen, seen - len(tab.seqs()), -1)) or tab.gaps() == "0"
    daemon.stop()
    expect(tab.page.locator("#lost")).to_contain_text("No connection", timeout=60_000)
    daemon.start()
    tab.page.locator("html[data-link=live]").wait_for(timeout=60_000)
    epochs = tab.page.locator("#journal-tail li", has_text="EpochStarted")
    until(lambda: any(int(one.get_attribute("data-seq") or 0) > seen for one in epochs.all()), 15)
    until(lambda: max(tab.seqs()) > seen + 5, 10)
    seqs = tab.seqs()
    assert seqs == list(range(seqs[0], seqs[0] - len(seqs), -1)), "the numbers of the facts have a gap"
    assert tab.gaps() == "0"
    expect(tab.page.locator("#lost")).to_be_hidden()
    cancel_all(daemon, verdicts)


@pytest.mark.acceptance
def test_fifty_executions_at_once_leave_the_page_quick(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.page.evaluate(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(task) => { window.longest = Math.max(window.longest, task.duration) })).observe({type: 'longtask'})"
    )
    verdicts = daemon.send(*[a_sliced_signal(chunks=20, interval="6", quantity="0.4") for _ in range(50)])
    assert [verdict["status"] for verdict in verdicts] == ["accepted"] * 50
    rows = tab.page.locator("#running-table tbody tr")
    expect(rows).to_have_count(50)
    bars = tab.page.get_by_role("progressbar")
    moving = "bars => bars.filter((bar) => Number(bar.getAttribute('aria-valuenow')) > 0).length"
    until(lambda: bars.evaluate_all(moving) >= 20, 15)  # The exchange takes 50 orders in 10 s.
    with at_most(1.5):
        rows.nth(49).get_by_role("button", name="Cancel").click()
        tab.page.locator("#confirm").wait_for()
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("window.longest") < 1000 * stretched(1.0, slowness(0.1))
    assert tab.gaps() == "0"
    assert tab.complaints == []
    cancel_all(daemon, verdicts)
    expect(tab.page.locator("#running-none")).to_be_visible(timeout=60_000)


@pytest.mark.acceptance
def test_halting_takes_a_yes_and_shows_unmistakably(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    halt = tab.page.get_by_role("button", name="Halt")
    halt.click()
    tab.page.get_by_role("button", name="Leave it").click()
    expect(tab.page.locator("#readiness")).to_have_text("ready")
    confirm(tab, halt)
    expect(tab.page.locator("#readiness")).to_have_text("halted")
    expect(tab.page.locator("#alerts-list")).to_contain_text("halt")
    assert tab.page.title().startswith("⛔")
    confirm(tab, tab.page.get_by_role("button", name="Resume trading"))
    expect(tab.page.locator("#readiness")).to_have_text("ready")


@pytest.mark.acceptance
def test_without_the_token_one_looks_and_cannot_act(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab(unlocked=False)
    expect(tab.page.locator("#mode")).to_have_text("PAPER")
    expect(tab.page.get_by_role("button", name="Halt")).to_be_hidden()
    tab.page.get_by_role("button", name="Unlock").click()
    tab.page.get_by_label("Token").fill("not-the-token")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#token-error")).to_have_text("That is not this daemon's token.")
    tab.page.get_by_label("Token").fill(daemon.token)
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("button", name="Halt")).to_be_visible()
    assert daemon.token not in tab.page.url
    tab.page.get_by_role("button", name="Lock").click()
    expect(tab.page.get_by_role("button", name="Halt")).to_be_hidden()
    assert [one for one in tab.complaints if "401" not in one] == []


@pytest.mark.acceptance
def test_a_token_in_the_address_is_taken_out_of_it(daemon: Daemon, open_tab: OpenTab) -> None:
    tab = open_tab()
    assert daemon.token not in tab.page.url
    expect(tab.page.get_by_role("button", name="Halt")).to_be_visible()


@pytest.mark.acceptance
def test_everything_can_be_done_with_the_keyboard(daemon: Daemon, open_tab: OpenTab) -> None:
    verdicts = daemon.send(a_sliced_signal(chunks=30, interval="1"))
    tab = open_tab()
    row = row_of(tab, verdicts[0]["execution_id"])
    expect(row).to_be_visible()
    tab.page.keyboard.press("Tab")
    expect(tab.page.locator(".skip")).to_be_focused()
    tab.page.keyboard.press("Enter")
    for _ in range(2):
        tab.page.keyboard.press("Tab")
    expect(row.get_by_role("button", name="Pause")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#confirm-no")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#confirm")).to_be_hidden()
    time.sleep(1.2)  # The table is drawn anew meanwhile; what has the focus keeps it.
    expect(row.get_by_role("button", name="Pause")).to_be_focused()
    cancel_all(daemon, verdicts)


def serious_faults(tab: Tab, **options: Any) -> list[tuple[str, list[str]]]:
    few_rows = {"exclude": [["#journal-tail li:nth-child(n+8)"], ["#signals-table tr:nth-child(n+6)"]]}
    found = Axe().run(tab.page, few_rows, {"resultTypes": ["violations"], **options}).response["violations"]
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]


@pytest.mark.acceptance
def test_axe_finds_no_serious_fault_wide_and_narrow_in_light_and_dark(daemon: Daemon, open_tab: OpenTab) -> None:
    verdicts = daemon.send(a_sliced_signal(chunks=30), a_sliced_signal(quantity="0.00000001"))
    tab = open_tab(color_scheme="light")
    tab.page.locator("#children-table tbody tr").first.wait_for()
    ways: tuple[tuple[int, str, dict[str, Any], bool], ...] = (
        (1280, "light", {}, True),
        (1280, "dark", COLOURS, THOROUGH),
        (390, "dark", {} if THOROUGH else COLOURS, True),
        (390, "light", COLOURS, THOROUGH),
    )
    for width, scheme, rules, judged in ways:
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.emulate_media(color_scheme=scheme)
        assert not judged or serious_faults(tab, **rules) == [], f"{width} wide, {scheme}"
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width}"
    tab.page.get_by_role("button", name="Halt").click()
    tab.page.locator("#confirm").wait_for()
    assert serious_faults(tab, **COLOURS) == []
    assert tab.complaints == []
    cancel_all(daemon, verdicts[:1])


@pytest.mark.acceptance
def test_the_theme_can_be_chosen_and_is_remembered(open_tab: OpenTab) -> None:
    tab = open_tab(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    for name in ("Theme: auto", "Theme: light"):
        tab.page.get_by_role("button", name=name).click()
    assert tab.page.evaluate(ground) != light
    tab.page.reload()
    expect(tab.page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert tab.page.evaluate(ground) != light
