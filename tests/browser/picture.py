"""Makes the README's picture: a daemon that works four executions, one of them held up by a guard, and its dashboard.

.venv/bin/python -m tests.browser.picture docs/images/dashboard.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, Daemon, until

SIGNALS: tuple[dict[str, Any], ...] = (
    {"symbol": "ETHUSDT", "side": "buy", "quantity": "30", "twap": {"num_chunks": 10, "interval_seconds": "6"}},
    {"symbol": "BNBUSDT", "side": "sell", "quantity": "12", "twap": {"num_chunks": 6, "interval_seconds": "11"}},
    {
        "symbol": "DOGEUSDT",
        "side": "buy",
        "quantity": "300000",
        "twap": {"num_chunks": 10, "interval_seconds": "8", "max_participation": "0.1"},
    },
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "2.4", "twap": {"num_chunks": 12, "interval_seconds": "4"}},
)
SLICES_SEEN = 9


def main(file: Path) -> None:
    """Start a daemon, give it work, and take the picture once the last execution has done most of its own."""
    with TemporaryDirectory() as directory, sync_playwright() as started:
        daemon = Daemon(Path(directory))
        daemon.start()
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1360, "height": 1160}, color_scheme="light")
            page.goto(f"{daemon.url}#token={daemon.token}")
            daemon.send(
                *({"id": f"breakout-{14 + number}", "source": "desk", **one} for number, one in enumerate(SIGNALS))
            )
            until(lambda: page.locator("#children-table tbody tr").count() >= SLICES_SEEN, 60)
            page.get_by_text("participation:").first.wait_for()
            page.get_by_text("a child order is working").wait_for(state="detached")
            page.screenshot(path=file)
            browser.close()
        finally:
            daemon.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
