"""A listening daemon without actors but a journal: what the dashboard is tried on."""

from __future__ import annotations

import http.client
import time
from typing import Any

import orjson
import pykka

from adapters.intake.http import HttpIntake, HttpSettings
from adapters.loop_thread import LoopThread
from adapters.vitals import Vitals
from adapters.web.site import Sources
from messages.control import Append, DaemonUp
from messages.facts import Fact
from tests.factories import NOW
from tests.journal_stub import JournalStub

TOKEN = "a-token-of-a-test"


class Nobody:
    def tell(self, _: object, /) -> None:
        """Take no notice."""


class World:
    """A listening daemon without actors but a journal."""

    def __init__(self, loop: LoopThread, **settings: Any) -> None:
        self.now = NOW
        self.vitals = Vitals(self.seconds, self.seconds)
        self.mail = [("SignalGate#1", 3), ("Journal#2", 7)]
        sources = Sources(
            account="main",
            vitals=self.vitals,
            mailboxes=lambda: self.mail,
            commits=lambda: {"commits": 4, "p50": 0.001, "p99": 0.002, "max": 0.003},
            now=lambda: self.now,
        )
        self.journal: pykka.ActorRef[JournalStub] = JournalStub.start()
        self.intake = HttpIntake(loop, HttpSettings(**{"token": TOKEN, "port": 0, **settings}), sources=sources)
        self.port = self.intake.start()
        self.intake.connect(DaemonUp(gate=Nobody(), exchange=Nobody(), journal=self.journal))

    def seconds(self) -> float:
        """Seconds since 1970 on the world's clock."""
        return self.now.timestamp()

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, dict(response.headers), body

    def view(self, path: str = "/ui/state", **headers: str) -> Any:
        return orjson.loads(self.ask(path, **headers)[2])

    def commit(self, *facts: Fact) -> None:
        before = self._seq()
        self.journal.tell(Append(facts, self.now, Nobody()))
        deadline = time.monotonic() + 5
        while self._seq() < before + len(facts):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def _seq(self) -> int:
        seq: int = self.view(Authorization=f"Bearer {TOKEN}")["seq"]
        return seq
