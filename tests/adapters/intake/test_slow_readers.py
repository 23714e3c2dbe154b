"""Readers of events that take nothing: what is held for one has a bound, and ends with it."""

from __future__ import annotations

import asyncio
import gc
import http.client
import re
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pykka
import pytest
from aiohttp import web

from actors.runtime import Pool
from adapters.intake import routes
from adapters.intake.bridge import committed_facts
from adapters.intake.http import HttpIntake, HttpSettings
from adapters.loop_thread import LoopThread
from messages.control import Committed, DaemonUp, FactNews, Follow, JournalCommand, Unfollow
from messages.refs import Tells
from tests.adapters.intake.world import until
from tests.factories import NOW, a_trade_booked

BOUND = 50
TOKEN = "a-token-of-a-test"


class Traced(Committed):
    """A fact of which one can tell whether anybody still has it."""


class Ledger:
    """A journal that keeps nothing: what is alive of its facts, somebody else holds."""

    def __init__(self) -> None:
        self.follows: list[Follow] = []
        self.left: list[Tells[FactNews]] = []
        self.seq = 0
        self._alive: weakref.WeakSet[Traced] = weakref.WeakSet()

    def tell(self, command: JournalCommand, /) -> None:
        match command:
            case Follow():
                self.follows.append(command)
            case Unfollow(follower):
                self.left.append(follower)
            case _:
                pass

    def say(self, count: int, whom: Tells[FactNews]) -> None:
        """Tell so many more facts."""
        for _ in range(count):
            self.seq += 1
            fact = Traced(self.seq, NOW, a_trade_booked(trade_id=self.seq))
            self._alive.add(fact)
            with suppress(pykka.ActorDeadError):
                whom.tell(fact)

    @property
    def alive(self) -> int:
        gc.collect()
        return len(self._alive)


class Nobody:
    def tell(self, _: object, /) -> None:
        """Take no notice."""


@contextmanager
def listening(journal: Ledger) -> Iterator[int]:
    """A server on a journal; gives its port."""
    with Pool(1) as pool, LoopThread(pool) as loop:
        intake = HttpIntake(loop, HttpSettings(token=TOKEN, port=0))
        port = intake.start()
        intake.connect(DaemonUp(gate=Nobody(), exchange=Nobody(), journal=journal))
        yield port
        intake.close()


@pytest.mark.asyncio
async def test_what_waits_for_a_reader_is_bounded_however_many_facts_come_and_has_no_gap() -> None:
    ledger = Ledger()
    facts = committed_facts(ledger, 0, bound=BOUND)
    first = asyncio.ensure_future(anext(facts))
    await asyncio.sleep(0)
    (follow,) = ledger.follows
    for _ in range(100):
        ledger.say(BOUND, follow.follower)
        assert ledger.alive <= BOUND
    assert [fact.seq for fact in await first] == list(range(1, BOUND + 1))
    second = asyncio.ensure_future(anext(facts))
    await asyncio.sleep(0.01)
    assert ledger.left == [follow.follower]
    assert [again.after for again in ledger.follows] == [0, BOUND], "it is served from the store where it left off"
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second


def test_a_tab_that_takes_nothing_holds_no_more_with_every_fact_and_nothing_once_it_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []

    async def write(_: web.StreamResponse, data: bytes) -> None:
        """Stand still, as a write does whose reader takes nothing."""
        written.append(data.count(b"event: "))
        await asyncio.Event().wait()

    monkeypatch.setattr(routes, "STREAM_BOUND", BOUND)
    monkeypatch.setattr(routes, "STALLED_SECONDS", 1.0)
    monkeypatch.setattr(web.StreamResponse, "write", write)
    ledger = Ledger()
    with listening(ledger) as port:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as tab:
            tab.request("GET", "/ui/events", headers={"Last-Event-ID": "0"})
            until(lambda: len(ledger.follows) == 2)  # The views', and the tab's.
            tabs = [ledger.follows[-1].follower]
            ledger.say(1, tabs[0])
            until(lambda: bool(written))
            held = []
            for _ in range(20):
                ledger.say(BOUND, tabs[0])
                held.append(ledger.alive)
            assert max(held) <= 2 * BOUND  # What waits, and what is being written.
            assert held[-1] == held[0], "it grows with every fact"
            until(lambda: tabs[0] in ledger.left)
            tabs.clear()
            ledger.follows.clear()
            ledger.left.clear()
            until(lambda: ledger.alive == 0)
        assert written == [1]


def test_what_is_written_at_once_for_a_reader_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write may be kept whole by the connection for as long as the reader takes nothing."""
    written: list[int] = []
    write = web.StreamResponse.write

    async def counted(response: web.StreamResponse, data: bytes) -> None:
        written.append(data.count(b"event: "))
        await write(response, data)

    monkeypatch.setattr(routes, "STREAM_BOUND", BOUND)
    monkeypatch.setattr(web.StreamResponse, "write", counted)
    ledger = Ledger()
    with listening(ledger) as port, closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as tab:
        tab.request("GET", "/ui/events", headers={"Last-Event-ID": "0"})
        until(lambda: len(ledger.follows) == 2)
        ledger.say(3 * BOUND, ledger.follows[-1].follower)
        until(lambda: sum(written) >= BOUND)
    assert max(written) <= BOUND


def test_thirty_two_tabs_that_take_nothing_fit_into_the_memory_that_the_unit_allows() -> None:
    """Two bounds of facts each, as objects, and one of them as text: with room for the daemon itself."""
    unit = (Path(__file__).parents[3] / "deploy/tidegate.service").read_text()
    allowed = int(re.findall(r"^MemoryMax=(\d+)G$", unit, re.MULTILINE)[0]) * 1024**3
    fact_bytes, text_bytes = 4096, 2048
    most = HttpSettings(token=TOKEN).max_streams * routes.STREAM_BOUND * (2 * fact_bytes + 2 * text_bytes)
    assert most < allowed / 2
