"""A listening intake with stand-ins around it, for the tests of everything that HTTP brings."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pykka

from adapters.client import ADDRESS_FILE, TOKEN_FILE, Client
from adapters.intake.http import HttpIntake, HttpSettings
from adapters.loop_thread import LoopThread
from messages.control import Append, DaemonUp, HaltTrading, ResumeTrading
from messages.execution import ExecutionCommand
from messages.facts import Fact
from messages.signal import SignalReceived, Status, UseNonce, Verdict
from tests.factories import EXECUTION, NOW
from tests.journal_stub import JournalStub

TOKEN = "a-token-of-a-test"
SIGNAL = {"id": "1", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"}
ACCEPTED = Verdict(status=Status.ACCEPTED, execution_id=EXECUTION)

Told = SignalReceived | UseNonce | ExecutionCommand | HaltTrading | ResumeTrading


class Stub:
    """Stands in for gate and exchange: keeps what it is told and does what the test says."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.react: Callable[[Any], object] = lambda _: None

    def tell(self, message: Told, /) -> None:
        self.told.append(message)
        self.react(message)


class Nobody:
    def tell(self, _: object, /) -> None:
        """Take no notice of a commit."""


class World:
    """A listening intake with stubs for the actors and a journal that is real but for its store."""

    def __init__(self, loop: LoopThread, data_dir: Path, *, connected: bool = True, **settings: Any) -> None:
        self.gate, self.exchange = Stub(), Stub()
        self.journal: pykka.ActorRef[JournalStub] = JournalStub.start()
        self.data_dir = data_dir
        (data_dir / TOKEN_FILE).write_text(TOKEN)
        self.intake = HttpIntake(
            loop,
            HttpSettings(**{"token": TOKEN, "port": 0, "address_file": data_dir / ADDRESS_FILE, **settings}),
        )
        self.port = self.intake.start()
        if connected:
            self.intake.connect(DaemonUp(gate=self.gate, exchange=self.exchange, journal=self.journal))

    @property
    def client(self) -> Client:
        return Client.of(self.data_dir)

    def commit(self, *facts: Fact) -> None:
        self.journal.tell(Append(facts, NOW, Nobody()))

    def shown(self, *facts: Fact) -> None:
        """Commit, and wait until the views show it."""
        before = self.client.status()["seq"]
        self.commit(*facts)
        until(lambda: self.client.status()["seq"] == int(str(before)) + len(facts))

    def answer(self, verdict: Verdict) -> None:
        self.gate.react = lambda message: message.reply_to.tell(verdict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, orjson.loads(text)


def until(holds: Callable[[], bool]) -> None:
    """Real sockets and threads: look again until it holds."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
