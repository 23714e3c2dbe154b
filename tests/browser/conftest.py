"""A daemon in its own process and a headless Chromium to look at it with."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.runtime import Pool
from adapters.loop_thread import LoopThread
from tests.adapters.web.world import TOKEN, World
from tests.browser.shown import Shown
from tests.browser.states import Stage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make venv, dev lock)")

playwright.expect.set_options(timeout=30_000)  # It says only when to give up: a busy machine holds up everything.
ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium here: apt-get install chromium"))


class Daemon:
    """`run.py` on its paper exchange, on a port of its own that it keeps over restarts."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.port = data_dir, 0

    def start(self) -> None:
        sets = (
            f"data_dir={self.data_dir}",
            f"http.port={self.port}",
            "log.level=warning",
            'paper.balances={"USDT": "100000000", "BTC": "1000", "BNB": "20"}',
        )
        command = [sys.executable, "run.py", *(word for one in sets for word in ("--set", one))]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until((self.data_dir / "http.json").exists, 30)
        self.port = orjson.loads((self.data_dir / "http.json").read_bytes())["port"]
        until(self._ready, 30)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text().strip()

    def send(self, *signals: dict[str, Any]) -> list[dict[str, Any]]:
        status, body = self.ask("POST", "/v1/signals", orjson.dumps(signals))
        assert status in {200, 202}, body
        verdicts: list[dict[str, Any]] = orjson.loads(body)
        return verdicts

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            return response.status, response.read()

    def _ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


PATIENCE = 6
"""How many times longer than asked for a wait goes on before it is given up: a busy machine holds up everything."""


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + PATIENCE * seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("dashboard"))
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """One page, what it complained of, and the journal's numbers that it showed."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"
        )

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def seqs(self) -> list[int]:
        """The numbers of the facts in the journal's tail, newest first."""
        found: list[int] = self.page.locator("#journal-tail li[data-seq]").evaluate_all(
            "items => items.map((item) => Number(item.dataset.seq))"
        )
        return found

    def gaps(self) -> str | None:
        gaps: str | None = self.page.locator("#journal").get_attribute("data-gaps")
        return gaps


@pytest.fixture
def open_tab(daemon: Daemon, chromium: Any) -> Iterator[Callable[..., Tab]]:
    """Opens the dashboard, with the token unless told otherwise."""
    contexts: list[Any] = []

    def open_tab(*, unlocked: bool = True, width: int = 1280, height: int = 900, **options: Any) -> Tab:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.page.goto(daemon.url + (f"#token={daemon.token}" if unlocked else ""))
        tab.page.locator("html[data-link=live]").wait_for()
        return tab

    yield open_tab
    for context in contexts:
        context.close()


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
