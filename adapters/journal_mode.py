"""A journal belongs to one mode: what was accepted on paper is never worked on with real money, nor the reverse."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from adapters import exits
from adapters.exits import Exit
from messages.control import Committed
from messages.facts import EpochStarted


class _Readable(Protocol):
    def read(
        self, after: int = 0, kinds: Collection[str] | None = None, *, archived: bool = True
    ) -> Iterator[Committed]: ...


def mode_of(store: _Readable) -> str | None:
    """Return the mode of a journal's last start, which is never archived; None if there was none yet."""
    mode = None
    for committed in store.read(kinds=(EpochStarted.__name__,), archived=False):
        if isinstance(committed.fact, EpochStarted):
            mode = committed.fact.mode
    return mode


def of_another_mode(store: _Readable, mode: str) -> str | None:
    """Say what is wrong if a journal was begun in another mode than `mode`."""
    begun = mode_of(store)
    return None if begun in {None, mode} else f'the journal is of mode "{begun}", but the mode is "{mode}"'


def refuse_another_mode(store: _Readable, mode: str, data_dir: Path) -> None:
    """End with what to do if the journal in `data_dir` is of another mode. Raises `Exit`."""
    wrong = of_another_mode(store, mode)
    if wrong is not None:
        raise Exit(
            exits.CONFIG,
            f"{data_dir}: {wrong}, and what it has open would be traded there. Nothing was sent. Give each mode a data "
            f"directory of its own (data_dir, or --set data_dir=...)",
        )
