from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from adapters.intake.fields import MAX_BODY
from adapters.intake.followed import FollowedFile
from adapters.intake.jsonl import JsonLines
from adapters.intake.signals import Body
from messages.signal import Reason, Signal, SignalReceived, Status, Verdict

GOOD = b'{"symbol": "BTCUSDT", "side": "buy", "quantity": "1"}'
DATED = b'{"symbol": "BTCUSDT", "side": "buy", "quantity": "1", "timestamp": "2026-07-01T12:00:00Z"}'
LIMIT = MAX_BODY + 2


class Tail:
    """Reads lines of a file; what happens to the file meanwhile happens while the reader waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Callable[[], object]] = []
        self.file = FollowedFile(path, pause=self._pause)

    def _pause(self, _: float) -> None:
        if self.events:
            self.events.pop(0)()
        else:
            self.file.stop()

    def lines(self, *events: Callable[[], object]) -> list[bytes]:
        self.events = list(events)
        found = []
        while line := self.file.readline(LIMIT):
            found.append(line)
        return found

    def append(self, text: bytes) -> Callable[[], object]:
        def write() -> None:
            with self.path.open("ab") as file:
                file.write(text)

        return write

    def move_away(self) -> None:
        self.path.rename(self.path.with_suffix(".1"))


@pytest.fixture
def tail(tmp_path: Path) -> Tail:
    return Tail(tmp_path / "signals.jsonl")


def test_what_is_there_is_read_and_then_what_is_written(tail: Tail) -> None:
    tail.path.write_bytes(b"a\nb\n")
    assert tail.lines(tail.append(b"c\n"), tail.append(b"d\ne\n")) == [b"a\n", b"b\n", b"c\n", b"d\n", b"e\n"]


def test_a_line_is_read_when_it_is_whole(tail: Tail) -> None:
    tail.path.write_bytes(b"a")
    assert tail.lines(tail.append(b"b"), tail.append(b"c\nd")) == [b"abc\n"]


def test_a_file_that_is_not_there_yet_is_waited_for(tail: Tail) -> None:
    assert tail.lines(lambda: None, tail.append(b"a\n")) == [b"a\n"]


def test_a_file_that_is_moved_away_is_read_to_its_end_and_then_the_new_one(tail: Tail) -> None:
    tail.path.write_bytes(b"a\n")

    def late() -> None:
        with tail.path.with_suffix(".1").open("ab") as file:
            file.write(b"late\n")

    assert tail.lines(tail.move_away, late, tail.append(b"new\n")) == [b"a\n", b"late\n", b"new\n"]


def test_what_was_cut_off_by_a_rotation_is_a_line_of_its_own(tail: Tail) -> None:
    tail.path.write_bytes(b"a\nhal")

    def rotate() -> None:
        tail.move_away()
        tail.path.write_bytes(b"new\n")

    assert tail.lines(rotate) == [b"a\n", b"hal\n", b"new\n"]


def test_a_file_that_is_cut_is_read_from_its_start(tail: Tail) -> None:
    tail.path.write_bytes(b"long line\n")
    assert tail.lines(lambda: os.truncate(tail.path, 0), tail.append(b"b\n")) == [b"long line\n", b"b\n"]


def test_a_line_that_is_too_long_comes_in_parts(tail: Tail) -> None:
    tail.path.write_bytes(b"x" * LIMIT + b"rest\n")
    assert tail.lines() == [b"x" * LIMIT, b"rest\n"]


def test_what_stood_there_at_the_start_must_say_when_it_was_made(tail: Tail) -> None:
    tail.path.write_bytes(GOOD + b"\n" + DATED + b"\n" + b"nonsense\n")
    decoded: list[Signal | Verdict] = []
    tail.events = [tail.append(GOOD + b"\n"), tail.move_away, tail.append(GOOD + b"\n")]
    while line := tail.file.readline(LIMIT):
        decoded += items(tail.file.decode(line))
    assert [type(one) for one in decoded] == [Verdict, Signal, Verdict, Signal, Signal]
    first = decoded[0]
    assert isinstance(first, Verdict)
    assert first.reason is Reason.MALFORMED
    assert "has no timestamp" in (first.detail or "")


def test_so_must_each_of_an_array(tail: Tail) -> None:
    tail.path.write_bytes(b"[" + GOOD + b"," + DATED + b"]\n")
    found = tail.file.decode(tail.file.readline(LIMIT))
    assert [type(one) for one in items(found)] == [Verdict, Signal]
    tail.lines()


def items(found: Body | Verdict) -> tuple[Signal | Verdict, ...]:
    return found.items if isinstance(found, Body) else (found,)


def test_verdicts_on_a_followed_file_come_back_as_lines(tail: Tail) -> None:
    tail.path.write_bytes(GOOD + b"\n" + b"x" * (LIMIT + 5) + b"\n")
    sink = io.BytesIO()
    intake = JsonLines(tail.file, sink, decode=tail.file.decode)
    tail.events = [tail.append(GOOD + b"\n")]
    intake.start(Gate())
    assert intake.finished.wait(5)
    verdicts = [orjson.loads(line) for line in sink.getvalue().splitlines()]
    assert [verdict["line"] for verdict in verdicts] == [1, 2, 3]
    assert [verdict["status"] for verdict in verdicts] == ["rejected", "rejected", "accepted"]


class Gate:
    def tell(self, message: SignalReceived, /) -> None:
        message.reply_to.tell(Verdict(status=Status.ACCEPTED, execution_id="abc"))


def test_in_a_file_that_comes_later_every_line_is_new(tail: Tail) -> None:
    tail.events = [tail.append(GOOD + b"\n")]
    [found] = items(tail.file.decode(tail.file.readline(LIMIT)))
    assert isinstance(found, Signal)
    tail.lines()
