from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from typing import Any

import orjson
import pykka
import pytest

from adapters.intake.fields import MAX_BODY
from adapters.intake.jsonl import JsonLines
from messages.signal import Reason, SignalReceived, Status, Verdict

GOOD = b'{"id": "%d", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5"}'


class Gate:
    """Keeps signals, and accepts them when told so."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once, self.received = at_once, list[SignalReceived]()

    def tell(self, message: SignalReceived, /) -> None:
        self.received.append(message)
        if self.at_once:
            self.accept(message)

    def accept(self, message: SignalReceived) -> None:
        verdict = Verdict(status=Status.ACCEPTED, execution_id="abc", id=message.signal.id)
        message.reply_to.tell(verdict)


def verdicts_on(lines: bytes, gate: Any = None) -> list[dict[str, Any]]:
    sink = io.BytesIO()
    intake = JsonLines(io.BytesIO(lines), sink)
    intake.start(gate or Gate())
    assert intake.finished.wait(5)
    return [orjson.loads(line) for line in sink.getvalue().splitlines()]


def test_each_line_gets_its_verdict_with_its_number_and_the_signals_id() -> None:
    verdicts = verdicts_on(GOOD % 7 + b"\n" + GOOD % 8 + b"\n")
    assert verdicts == [
        {"line": 1, "id": "7", "status": "accepted", "execution_id": "abc"},
        {"line": 2, "id": "8", "status": "accepted", "execution_id": "abc"},
    ]


def test_an_array_gets_an_array_of_verdicts_in_its_order_when_the_last_is_there() -> None:
    gate, sink = Gate(at_once=False), io.BytesIO()
    line = b"[" + GOOD % 1 + b', {"x": 1}, ' + GOOD % 3 + b"]\n"
    intake = JsonLines(io.BytesIO(line + GOOD % 4 + b"\n[]\n"), sink)
    intake.start(gate)
    wait_until(lambda: len(gate.received) == 3)
    for received in reversed(gate.received):
        gate.accept(received)
    assert intake.finished.wait(5)
    said = [orjson.loads(one) for one in sink.getvalue().splitlines()]
    assert len(said) == 3
    assert [] in said
    assert {"line": 2, "id": "4", "status": "accepted", "execution_id": "abc"} in said
    [many] = [one for one in said if isinstance(one, list) and one]
    assert [(one["line"], one.get("id"), one["status"]) for one in many] == [
        (1, "1", "accepted"),
        (1, None, "rejected"),
        (1, "3", "accepted"),
    ]


def test_a_last_line_without_an_end_and_empty_lines_and_windows_ends_are_fine() -> None:
    verdicts = verdicts_on(b"\n  \n" + GOOD % 1 + b"\r\n" + GOOD % 2)
    assert [verdict["line"] for verdict in verdicts] == [3, 4]


def test_no_input_is_a_clean_end() -> None:
    assert verdicts_on(b"") == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"nonsense", "MALFORMED"), (b'{"x": 1}', "UNKNOWN_FIELD"), (b'"' + b"x" * MAX_BODY * 3 + b'"', "MALFORMED")],
)
def test_a_bad_line_gets_its_reason_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    verdicts = verdicts_on(line + b"\n" + GOOD % 1 + b"\n")
    assert [(verdict["line"], verdict.get("reason")) for verdict in verdicts] == [(1, reason), (2, None)]


def test_a_line_that_is_too_long_and_the_last_is_answered() -> None:
    assert [verdict["line"] for verdict in verdicts_on(b"[" * 3 * MAX_BODY)] == [1]


def test_verdicts_come_in_the_order_of_the_decisions() -> None:
    gate, sink = Gate(at_once=False), io.BytesIO()
    intake = JsonLines(io.BytesIO(GOOD % 1 + b"\n" + GOOD % 2 + b"\n"), sink)
    intake.start(gate)
    wait_until(lambda: len(gate.received) == 2)
    assert not intake.finished.is_set()
    gate.accept(gate.received[1])
    gate.accept(gate.received[0])
    gate.accept(gate.received[0])
    assert intake.finished.wait(5)
    assert [orjson.loads(line)["line"] for line in sink.getvalue().splitlines()] == [2, 1]


def test_lines_are_not_read_without_bound_while_verdicts_wait() -> None:
    gate = Gate(at_once=False)
    intake = JsonLines(io.BytesIO((GOOD % 1 + b"\n") * 5), io.BytesIO(), max_waiting=2)
    intake.start(gate)
    wait_until(lambda: len(gate.received) == 2)
    for number in range(5):
        wait_until(lambda: len(gate.received) > number)  # noqa: B023 - called at once
        assert len(gate.received) <= number + 2
        gate.accept(gate.received[number])
    assert intake.finished.wait(5)


def test_a_gate_that_has_stopped_is_not_ready() -> None:
    class Stopped:
        def tell(self, message: SignalReceived, /) -> None:
            raise pykka.ActorDeadError

    [verdict] = verdicts_on(GOOD % 1, Stopped())
    assert verdict["reason"] == Reason.NOT_READY.value
    assert verdict["id"] == "1"


def test_a_reader_of_verdicts_that_has_gone_does_no_harm() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gate = Gate()
    with os.fdopen(writing, "wb", buffering=0) as sink:
        intake = JsonLines(io.BytesIO((GOOD % 1 + b"\n") * 2), sink)
        intake.start(gate)
        assert intake.finished.wait(5)
    assert len(gate.received) == 2


def test_an_input_that_breaks_off_is_an_end() -> None:
    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    intake = JsonLines(Broken(), io.BytesIO())
    intake.start(Gate())
    assert intake.finished.wait(5)


def wait_until(happened: Callable[[], bool]) -> None:
    """Real threads: look again until it has happened."""
    until = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.001)
