"""The dashboard of a stage in one tab, looked at wide and narrow, in light and in dark.

With `TIDEGATE_PICTURES=DIRECTORY` each state's pictures are left there, to be looked at. axe judges the fullest states
at every run, and each of them in `make soak`: it takes its time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.states import Stage

if TYPE_CHECKING:
    from tests.browser.conftest import Tab

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
    from axe_playwright_python.sync_playwright import Axe  # Where there is none, there is no browser either.

    few_rows = {"exclude": [["#journal-tail li:nth-child(n+8)"]]}
    found = Axe().run(page, few_rows, {"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]
