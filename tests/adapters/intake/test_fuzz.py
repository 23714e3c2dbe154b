"""Whatever comes in, through whichever intake: no exception, nothing accepted that is not valid, memory flat.

`make soak` sends 100,000 bodies through each (`TIDEGATE_FUZZ=100000`); the suite sends a few.
"""

from __future__ import annotations

import gc
import io
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest
from websockets.sync.client import connect

from actors.runtime import Simulation
from actors.signal_gate.shape import check_shape
from adapters.intake.jsonl import JsonLines
from adapters.intake.signals import Body, decode_body
from adapters.intake.template_tables import READY_TABLES
from adapters.intake.templates import templates_of
from messages.signal import Reason, Side, Signal, SignalReceived, Status, Verdict
from tests.actors.signal_gate.house import House
from tests.adapters.intake.world import TOKEN, World
from tests.factories import D
from tests.fuzz_bodies import bodies

COUNT = int(os.environ.get("TIDEGATE_FUZZ", "250"))
SEED = int(os.environ.get("TIDEGATE_FUZZ_SEED", "1"))
BLOCKS_A_BODY = 2
"""Memory blocks that may be left over for each body, on average: a leak leaves dozens."""
pytestmark = pytest.mark.timeout(60 + COUNT // 50)

_SYMBOL = re.compile(r"[A-Z0-9]{2,40}")
_BEFORE_THE_GATE = {
    Reason.MALFORMED,
    Reason.UNKNOWN_FIELD,
    Reason.NOT_FINITE,
    Reason.NOT_SPOT,
    Reason.UNKNOWN_SYMBOL,
}
FIELDS = {"type", "number", "index", "line", "id", "status", "reason", "detail"}


def must_be_valid(signal: Signal) -> None:
    """Judge a signal that an intake let through, without any of the code that did."""
    assert _SYMBOL.fullmatch(signal.symbol)
    assert signal.side in (Side.BUY, Side.SELL)
    amounts = (signal.quantity, signal.quote_quantity, signal.price, signal.limit_price, signal.ttl_seconds)
    for amount in amounts:
        assert amount is None or (type(amount) is D and amount.is_finite() and D("1e-20") <= amount < D("1e21"))
    for text in (signal.id, signal.source, signal.account, signal.tag):
        assert text is None or (0 < len(text) <= 128 and text.isascii() and text.isprintable())
    assert signal.timestamp is None or signal.timestamp.utcoffset() is not None


def must_refuse(verdict: Verdict) -> None:
    assert verdict.status is Status.REJECTED
    assert verdict.reason in _BEFORE_THE_GATE
    assert 0 < len(verdict.detail or "") < 400


class Judge:
    """A gate that looks at what gets to it and says that it knows it already."""

    def __init__(self) -> None:
        self.received = 0
        self.wrong: list[BaseException] = []

    def tell(self, message: Any, /) -> None:
        self(message)

    def __call__(self, message: Any) -> None:
        assert isinstance(message, SignalReceived)
        self.received += 1
        try:
            must_be_valid(message.signal)
        except AssertionError as error:
            self.wrong.append(error)
        message.reply_to.tell(Verdict(status=Status.DUPLICATE, reason=Reason.DUPLICATE))


@pytest.fixture
def flat_memory() -> Iterator[Callable[[], None]]:
    """Give a mark to set once everything is warm; at the end no more is held than then."""
    marks: list[int] = []

    def mark() -> None:
        gc.collect()
        marks.append(sys.getallocatedblocks())

    yield mark
    mark()
    grown = marks[-1] - marks[0]
    assert grown < 20_000 + BLOCKS_A_BODY * COUNT / 10, f"{grown} blocks more after {COUNT} bodies"


def test_every_way_to_read_a_body_answers_every_body(flat_memory: Callable[[], None]) -> None:
    readers = [decode_body, *(template.decode for template in templates_of(READY_TABLES).values())]
    let_in = 0
    for number, body in enumerate(bodies(SEED, COUNT)):
        if number == COUNT // 2:
            flat_memory()
        for read in readers:
            found = read(body)
            for item in found.items if isinstance(found, Body) else (found,):
                if isinstance(item, Signal):
                    let_in += 1
                    must_be_valid(item)
                else:
                    must_refuse(item)
    assert let_in > COUNT // 20, "most are refused, but not all"


def test_the_gate_answers_whatever_gets_to_it_and_accepts_only_what_is_sound(simulation: Simulation) -> None:
    house = House(simulation)
    accepted = 0
    for body in bodies(SEED + 1, min(COUNT, 20_000)):
        found = decode_body(body)
        for item in found.items if isinstance(found, Body) else ():
            if isinstance(item, Signal):
                house.quote()
                verdict = house.verdict(item)
                if verdict.status is Status.ACCEPTED:
                    accepted += 1
                    assert check_shape(item, D(10**9)) is None
                    assert (item.quantity is None) != (item.quote_quantity is None)
                    assert item.symbol == "BTCUSDT"
    assert accepted


@pytest.mark.parametrize("path", ["/v1/signals", f"/hook/{TOKEN}", f"/hook/{TOKEN}?template=tradingview"])
def test_http_answers_every_body(world: World, path: str, flat_memory: Callable[[], None]) -> None:
    judge = Judge()
    world.gate.tell = judge.tell  # type: ignore[method-assign]
    connection = HTTPConnection("127.0.0.1", world.port, timeout=10)
    for number, body in enumerate(bodies(SEED + 2, COUNT)):
        if number == COUNT // 2:
            flat_memory()
        connection.request("POST", path, body, {"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        answer = orjson.loads(response.read())
        assert response.status in {200, 413, 422}, (body, answer)
        for one in answer if isinstance(answer, list) else [answer]:
            assert one["status"] == "duplicate" or one["reason"] in _BEFORE_THE_GATE, (body, one)
    connection.close()
    assert judge.wrong == []
    assert judge.received > COUNT // 50


def test_the_websocket_answers_every_message(world: World, flat_memory: Callable[[], None]) -> None:
    judge = Judge()
    world.gate.tell = judge.tell  # type: ignore[method-assign]
    url = f"ws://127.0.0.1:{world.port}/v1/ws"
    with connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"}, proxy=None) as socket:
        for number, body in enumerate(bodies(SEED + 3, COUNT), 1):
            if number == COUNT // 2:
                flat_memory()
            socket.send(body[: 60 * 1024])
            found = decode_body(body[: 60 * 1024])
            for _ in found.items if isinstance(found, Body) else (found,):
                answer = orjson.loads(socket.recv(timeout=10))
                assert answer["number"] == number
                assert set(answer) <= FIELDS
    assert judge.wrong == []
    assert judge.received > COUNT // 50


class Tape(io.RawIOBase):
    """A stream of bodies, one a line, and where their answers go: each is looked at as it comes, none is kept."""

    def __init__(self, mark: Callable[[], None]) -> None:
        self._bodies = enumerate(bodies(SEED + 4, COUNT), 1)
        self._mark = mark
        self._left = b""
        self._owed: deque[tuple[int, Body | Verdict]] = deque()
        self.wrong: list[str] = []
        self.answered = 0

    def readline(self, limit: int | None = -1, /) -> bytes:
        if not self._left:
            number, body = next(self._bodies, (0, b""))
            if not number:
                return b""
            if number == COUNT // 2:
                self._mark()
            line = body.replace(b"\n", b" ").replace(b"\r", b" ")
            if line.strip():
                self._owed.append((number, decode_body(line.strip())))
            self._left = line + b"\n"
        assert limit is not None
        line, self._left = self._left[:limit], self._left[limit:]
        return line

    def write(self, data: Any, /) -> int:
        answer = orjson.loads(bytes(data))
        number, found = self._owed.popleft()
        many = isinstance(found, Body) and found.many
        ones = answer if isinstance(answer, list) else [answer]
        expected = len(found.items) if isinstance(found, Body) else 1
        right = isinstance(answer, list) == many and len(ones) == expected
        if not (right and all(one["line"] == number for one in ones)):
            self.wrong.append(f"line {number}: {answer}")
        self.answered += 1
        return len(data)

    @property
    def owes(self) -> int:
        return len(self._owed)


def test_json_lines_answer_every_line_in_order_and_keep_none(flat_memory: Callable[[], None]) -> None:
    judge, tape = Judge(), Tape(flat_memory)
    intake = JsonLines(tape, tape)  # type: ignore[arg-type] # What it uses of a stream is there.
    intake.start(judge)
    assert intake.finished.wait(60 + COUNT // 50)
    assert tape.wrong == []
    assert tape.owes == 0
    assert tape.answered > COUNT // 2
    assert judge.wrong == []
    assert judge.received > COUNT // 50
