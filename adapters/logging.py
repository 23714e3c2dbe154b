"""What the daemon says of itself: for people on a terminal, as JSON lines for everything else."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from adapters.redaction import MASK, is_secret_name, redact
from messages.money import plain

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

QUEUE_LENGTH = 10_000
"""Records that may wait for a stream that does not take them; what comes on top is counted and dropped."""

_FIRST = ("at", "level", "logger", "event")


def setup_logging(
    level: Level = "info",
    format: Format = "auto",  # noqa: A002 - the setting's name
    stream: TextIO | None = None,
    *,
    secrets: Iterable[str] = (),
    queue_length: int = QUEUE_LENGTH,
) -> Callable[[], None]:
    """Send all records, structlog's and the standard library's, redacted and in one form, to a stream.

    Records are rendered where they are made and written by a thread of their own, so that an actor never waits
    for a stream. If the stream does not take them, the newest are dropped; how many is said when it does again.

    Args:
        level: least important level that is written.
        format: `console` for people, `json` for one object a line, `auto` for whichever suits the stream.
        stream: where to write, by default standard error.
        secrets: values that must never be written, wherever they turn up.
        queue_length: how many rendered records may wait.

    Returns:
        What ends it: waits up to two seconds for the queue to empty and puts back the handlers there were.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    as_console = format == "console" or (format == "auto" and terminal)
    # The longest first, in case one secret is part of another.
    known = tuple(sorted((secret for secret in secrets if secret), key=len, reverse=True))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if as_console else "iso", utc=not as_console, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    console = structlog.dev.ConsoleRenderer(
        colors=terminal,
        timestamp_key="at",
        # The richer form would show local variables, and with them keys and tokens.
        exception_formatter=structlog.dev.plain_traceback,
    )
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _Redactor(known),
        console if as_console else _as_json,
    ]

    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    writer = _Writer(stream, queue_length)
    handler = _Handler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=last,
        ),
    )
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    root.handlers[:] = [handler]
    root.setLevel(level.upper())

    def stop() -> None:
        if handler in root.handlers:
            root.handlers[:] = before[1]
            root.setLevel(before[0])
            structlog.reset_defaults()
            writer.stop(timeout=2.0)

    return stop


def change_level(level: Level) -> None:
    """Write records from another level on, while logging goes on as it was set up."""
    logging.getLogger().setLevel(level.upper())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))


class _Redactor:
    """The last look at a record before it is rendered."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if is_secret_name(key) and value is not None:
                event[key] = MASK
            else:
                event[key] = redact(_known_form(value), known=self._known)
        return event


def _known_form(value: object) -> object:
    """Turn values that are neither text, number nor container into such, so that nothing in them stays hidden."""
    match value:
        case int() if not isinstance(value, bool) and value.bit_length() > 63:
            return str(value)
        case None | bool() | int() | float() | str() | bytes():
            return value
        case Decimal():
            return plain(value) if value.is_finite() else str(value)
        case dict():
            return {str(key): _known_form(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_known_form(inner) for inner in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: _known_form(getattr(value, field.name)) for field in fields(value)}
        case _:
            return str(value)


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    ordered = {key: event[key] for key in _FIRST if key in event}
    ordered |= event
    return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _Handler(logging.Handler):
    """Renders a record where it is made and hands the text on."""

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.put(self.format(record))
        except Exception:  # noqa: BLE001 - logging's rule: a record that cannot be rendered never stops its maker
            self.handleError(record)


class _Writer:
    """Writes lines in a thread of its own, from a queue that refuses rather than waits."""

    def __init__(self, stream: TextIO, length: int) -> None:
        self._stream = stream
        self._queue: queue.Queue[str | None] = queue.Queue(length)
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line, or count it as dropped."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            with self._lock:
                self._dropped += 1

    def stop(self, timeout: float) -> None:
        """Write what is queued, but wait no longer than `timeout` seconds for a stream that takes nothing."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=timeout / 2)
        self._thread.join(timeout / 2)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)
            if self._queue.empty():
                self._say_what_was_dropped()
        self._say_what_was_dropped()

    def _say_what_was_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._write(orjson.dumps({"level": "warning", "event": "log records dropped", "count": dropped}).decode())

    def _write(self, line: str) -> None:
        # Whoever read the stream may be gone; the daemon goes on without being heard.
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()
