"""How a command ends: exit codes, and what a user is told in one line instead of a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.redaction import redact_text

OK = 0
ERROR = 1
USAGE = 2
DAMAGED = 65
UNAVAILABLE = 69
INVARIANT = 70
PORT_IN_USE = 71
UNUSABLE = 73
JOURNAL = 74
LOCKED = 75
GAVE_UP = 76
KEY_REFUSED = 77
CONFIG = 78
INTERRUPTED = 130
"""By Ctrl-C, as shells say it."""


class Exit(Exception):
    """Ends the command with a code, and a line if there is something to say."""

    def __init__(self, code: int, text: str = "") -> None:
        self.code, self.text = code, text
        super().__init__(text)


def table() -> tuple[tuple[type[Exception], int, str], ...]:
    """Return what errors mean: error, exit code, what to do; the first match counts.

    Who raises them is imported only when there is one: most of them belong to parts that a command does without.
    """
    from adapters.alerts import AppriseMissing, BadSink
    from adapters.binance.signing import BadKey
    from adapters.client import ClientError, NotRunning, Refused
    from adapters.config import ConfigError
    from adapters.intake.http import PortInUse
    from adapters.paper.latency import BadLatency
    from adapters.paper.liquidity.replay import BadRecording
    from adapters.paper.markets import BadMarket
    from adapters.paper.process import ExchangeNotUp
    from adapters.paper.server.faults import BadPlan
    from adapters.paper.server.settings import BadSeconds, NotLoopback
    from adapters.storage.backup import CopyUnusable
    from adapters.storage.directory import DirectoryLocked, DirectoryUnusable, NoJournal
    from adapters.storage.sqlite import JournalDamaged
    from messages.control import StoreFailed

    return (
        (ConfigError, CONFIG, "Mend the configuration; `run.py check-config` tries it without starting anything."),
        (AppriseMissing, CONFIG, ""),
        (BadSink, CONFIG, ""),
        (
            DirectoryLocked,
            LOCKED,
            "Stop that daemon first, or give this one a directory of its own (--set data_dir=...).",
        ),
        (NoJournal, UNUSABLE, "A daemon makes one when it starts; say where that runs (--set data_dir=...)."),
        (DirectoryUnusable, UNUSABLE, _UNUSABLE),
        (CopyUnusable, UNUSABLE, "Nothing was changed. Name another file."),
        (
            JournalDamaged,
            DAMAGED,
            (
                "Nothing was changed. Keep the file: move it away, then restore a backup (run.py journal restore "
                "FILE), or, if there is none, run.py daemon --rebuild-from-exchange."
            ),
        ),
        (StoreFailed, JOURNAL, "Check the disk (space, health); nothing was sent that is not journalled."),
        (
            PortInUse,
            PORT_IN_USE,
            "End what listens there, or choose another port (--set http.port=...; 0 takes a free one).",
        ),
        (NotRunning, UNAVAILABLE, ""),
        (Refused, ERROR, ""),
        (ClientError, UNAVAILABLE, ""),
        (BadMarket, USAGE, ""),
        (BadPlan, USAGE, ""),
        (BadLatency, USAGE, ""),
        (NotLoopback, USAGE, ""),
        (BadSeconds, USAGE, ""),
        (BadKey, KEY_REFUSED, "Check venue.api_secret, or venue.private_key_file and its passphrase."),
        (ExchangeNotUp, UNAVAILABLE, ""),
        (BadRecording, USAGE, ""),
        (TimeoutError, ERROR, ""),
        (FileExistsError, ERROR, "It is left as it is; move it away first."),
        (OSError, ERROR, ""),
    )


_UNUSABLE = (
    "Run this as the user whose it is, make it writable for this one, or choose another directory (--set data_dir=...)."
)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn the errors of `table` into one line on standard error and an exit code."""
    try:
        yield
    except Exit as end:
        if end.text:
            complain(end.text)
        raise SystemExit(end.code) from None
    except BrokenPipeError:  # Whoever read our output has gone; what is still buffered must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(ERROR) from None
    except Exception as error:
        found = next(((code, advice) for kind, code, advice in table() if isinstance(error, kind)), None)
        if found is None:
            raise
        code, advice = found
        said = _said(error)
        complain(f"{said}\n{advice}" if advice and "\n" in said else f"{said}. {advice}" if advice else said)
        raise SystemExit(code) from None


def _said(error: Exception) -> str:
    """Say what is wrong, of a file without the system's number for it."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename) or repr('')}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)


def complain(text: str) -> None:
    """Write to standard error what went wrong, without secrets."""
    sys.stderr.write(f"tidegate: {redact_text(text).strip()}\n")
