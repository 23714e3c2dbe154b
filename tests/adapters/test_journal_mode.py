from __future__ import annotations

from pathlib import Path

import pytest

from adapters.exits import CONFIG, Exit
from adapters.journal_mode import mode_of, refuse_another_mode
from adapters.storage.memory import MemoryStore
from messages.control import Committed
from messages.facts import EpochStarted
from tests.factories import NOW, an_accepted


def a_journal(*modes: str) -> MemoryStore:
    store = MemoryStore()
    for number, mode in enumerate(modes, 1):
        store.append([Committed(number, NOW, EpochStarted(epoch=number, journal_id="j", mode=mode, version="1"))])
    return store


@pytest.mark.parametrize(("begun", "asked"), [("paper", "live"), ("paper", "testnet"), ("live", "paper")])
def test_what_was_accepted_in_one_mode_is_not_worked_on_in_another(begun: str, asked: str) -> None:
    store = a_journal(begun)
    store.append([Committed(2, NOW, an_accepted())])
    with pytest.raises(Exit, match=f'of mode "{begun}", but the mode is "{asked}"') as end:
        refuse_another_mode(store, asked, Path("data"))
    assert end.value.code == CONFIG
    assert "data directory of its own" in end.value.text


def test_a_journal_goes_on_in_its_mode_and_an_empty_one_in_any() -> None:
    refuse_another_mode(a_journal("live", "live"), "live", Path("data"))
    refuse_another_mode(a_journal(), "live", Path("data"))
    assert mode_of(a_journal()) is None
