"""A word about what takes long: a wait that says nothing looks like a hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

LONG_SECONDS = 5.0


@contextmanager
def telling(what: str, seconds: float = LONG_SECONDS) -> Iterator[None]:
    """Log what is being waited for once it has taken so long, and again after as long, until it is over."""
    over = threading.Event()

    def tell() -> None:
        waited = 0.0
        while not over.wait(seconds):
            waited += seconds
            structlog.get_logger("tidegate").warning("this takes long", waiting_for=what, seconds=waited)

    thread = threading.Thread(target=tell, name="patience", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)
