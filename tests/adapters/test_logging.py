from __future__ import annotations

import io
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import structlog

from adapters.logging import Format, Level, setup_logging
from adapters.redaction import MASK


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Blocked(io.StringIO):
    """A stream that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.free = threading.Event()

    def write(self, text: str, /) -> int:
        self.reached.set()
        self.free.wait(10)
        return super().write(text)


class _Broken(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError


@dataclass
class _Log:
    stream: io.StringIO
    stop: Callable[[], None]

    def text(self) -> str:
        self.stop()
        return self.stream.getvalue()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


Begin = Callable[..., _Log]


@pytest.fixture
def begin() -> Iterator[Begin]:
    logs: list[_Log] = []

    def start(
        stream: io.StringIO | None = None,
        level: Level = "info",
        format: Format = "auto",  # noqa: A002 - the setting's name
        known: tuple[str, ...] = (),
        queue_length: int = 1_000,
    ) -> _Log:
        stream = stream or io.StringIO()
        log = _Log(stream, setup_logging(level, format, stream, secrets=known, queue_length=queue_length))
        logs.append(log)
        return log

    yield start
    for log in logs:
        log.stop()


def test_a_record_is_one_json_line_with_its_fields(begin: Begin) -> None:
    log = begin()

    structlog.get_logger("gate").info("signal accepted", symbol="BTCUSDT", quantity=Decimal("0.50"), slices=5)

    [record] = log.records()
    assert list(record)[:4] == ["at", "level", "logger", "event"]
    assert record.pop("at").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "gate",
        "event": "signal accepted",
        "symbol": "BTCUSDT",
        "quantity": "0.5",
        "slices": 5,
    }


def test_records_of_the_standard_library_take_the_same_way(begin: Begin) -> None:
    log = begin()

    logging.getLogger("pykka").warning("actor %s is late", "gate", extra={"late_ms": 70})

    [record] = log.records()
    assert record["logger"] == "pykka"
    assert record["level"] == "warning"
    assert record["event"] == "actor gate is late"
    assert record["late_ms"] == 70


def test_bound_context_is_in_every_record(begin: Begin) -> None:
    log = begin()

    with structlog.contextvars.bound_contextvars(execution_id="abc"):
        structlog.get_logger().info("one")
        logging.getLogger("x").info("two")

    assert [record["execution_id"] for record in log.records()] == ["abc", "abc"]


def test_a_terminal_gets_lines_for_people_in_colour(begin: Begin) -> None:
    log = begin(_Terminal())

    structlog.get_logger("gate").info("signal accepted", symbol="BTCUSDT")

    text = log.text()
    assert "signal accepted" in text
    assert "\x1b[" in text


def test_lines_for_people_carry_no_colour_codes_into_a_file(begin: Begin) -> None:
    log = begin(format="console")

    structlog.get_logger("gate").info("signal accepted", symbol="BTCUSDT")

    assert "symbol=BTCUSDT" in log.text()
    assert "\x1b[" not in log.text()


def test_json_can_be_asked_for_on_a_terminal(begin: Begin) -> None:
    log = begin(_Terminal(), format="json")

    structlog.get_logger().info("hello")

    assert [record["event"] for record in log.records()] == ["hello"]


def test_what_is_below_the_level_is_left_out(begin: Begin) -> None:
    log = begin(level="warning")

    structlog.get_logger().info("quiet")
    logging.getLogger("aiohttp").info("quiet too")
    structlog.get_logger().warning("loud")

    assert [record["event"] for record in log.records()] == ["loud"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_written(begin: Begin, format: Format) -> None:  # noqa: A002 - the setting's name
    @dataclass(frozen=True)
    class Credentials:
        name: str
        api_secret: str

    log = begin(format=format, known=("hush-known", "hush"))
    logger = structlog.get_logger()

    logger.info("request", url="https://x/api/v3/order?signature=hush-1", token="hush-2")
    logger.info("headers", headers={"X-MBX-APIKEY": "hush-3", "Accept": "json"})
    logger.info("who", credentials=Credentials("main", "hush-4"))
    logger.info("the word is hush-known")
    logging.getLogger("aiohttp.access").info('"POST /hook/%s HTTP/1.1" 202', "hush-5")
    try:
        raise ValueError("signature=hush-6")
    except ValueError:
        logger.exception("failed")

    text = log.text()
    assert "hush" not in text
    assert text.count(MASK) >= 7
    assert "ValueError" in text
    assert "main" in text


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(begin: Begin, format: Format) -> None:  # noqa: A002 - the setting's name
    log = begin(_Terminal(), format=format)
    key = secrets.token_hex()

    try:
        raise RuntimeError(len(key))
    except RuntimeError:
        structlog.get_logger().exception("failed")

    assert "RuntimeError" in log.text()
    assert key not in log.text()


def test_values_that_json_does_not_know_are_written_as_text(begin: Begin) -> None:
    log = begin()

    structlog.get_logger().info(
        "odd", number=Decimal("NaN"), big=2**70, kinds={"a"}, what=object, nested=[(1, None)], yes=True
    )

    [record] = log.records()
    assert record["number"] == "NaN"
    assert record["big"] == str(2**70)
    assert record["kinds"] == ["a"]
    assert record["what"] == "<class 'object'>"
    assert record["nested"] == [[1, None]]
    assert record["yes"] is True


def test_a_record_that_cannot_be_rendered_does_not_stop_its_maker(
    begin: Begin,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("not to be shown")

    log = begin()

    structlog.get_logger().info("bad", value=Hostile())
    structlog.get_logger().info("good")

    assert [record["event"] for record in log.records()] == ["good"]
    assert "Logging error" in capsys.readouterr().err


def test_a_stream_that_takes_nothing_does_not_block_the_caller(begin: Begin) -> None:
    stream = _Blocked()
    log = begin(stream, queue_length=10)
    logger = structlog.get_logger()

    logger.info("first")
    assert stream.reached.wait(5)
    for number in range(100):  # would hang here if a record waited for the stream
        logger.info("more", number=number)
    stream.free.set()

    records = log.records()
    assert [record["number"] for record in records if record["event"] == "more"] == list(range(10))
    assert records[-1]["event"] == "log records dropped"
    assert records[-1]["count"] == 90


def test_a_stream_that_is_gone_ends_nothing(begin: Begin) -> None:
    log = begin(_Broken())

    structlog.get_logger().info("unheard")

    assert log.text() == ""


def test_stopping_puts_back_what_was_there_and_may_be_done_twice(begin: Begin) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    log = begin(level="debug")
    assert root.handlers != before[1]

    log.stop()
    log.stop()

    assert (root.level, root.handlers) == before


def test_standard_error_is_the_stream_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    stop = setup_logging()

    structlog.get_logger().info("hello")
    stop()

    assert json.loads(capsys.readouterr().err)["event"] == "hello"
