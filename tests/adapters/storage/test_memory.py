from __future__ import annotations

from dataclasses import dataclass

import pytest

from adapters.storage import memory
from adapters.storage.memory import MemoryStore
from messages.control import ClaimBroken, Committed, StoreFailed
from messages.facts import EpochStarted, Fact
from tests.factories import EXECUTION, NOW, an_intent


def put(store: MemoryStore, *facts: Fact) -> None:
    store.append([Committed(seq, NOW, fact) for seq, fact in enumerate(facts, store.last_seq() + 1)])


def epoch(number: int) -> EpochStarted:
    return EpochStarted(epoch=number, journal_id="j", mode="paper", version="1")


def test_the_next_append_fails_when_asked_to_and_stores_nothing() -> None:
    store = MemoryStore()
    store.fail_next()
    with pytest.raises(StoreFailed, match="asked for"):
        put(store, epoch(1))
    assert store.last_seq() == 0


def test_an_append_may_fail_and_be_durable() -> None:
    store = MemoryStore()
    store.fail_next(OSError("late"), stored=True)
    with pytest.raises(OSError, match="late"):
        put(store, epoch(1))
    assert store.last_seq() == 1


def test_the_nth_append_from_now_fails() -> None:
    store = MemoryStore()
    put(store, epoch(1))
    store.fail_at(2)
    put(store, epoch(2))
    with pytest.raises(StoreFailed):
        put(store, epoch(3))
    assert store.last_seq() == 2


def test_a_failure_poisons_it_until_it_is_opened_anew() -> None:
    store = MemoryStore()
    store.fail_next()
    for _ in range(2):
        with pytest.raises(StoreFailed):
            put(store, epoch(1))
    store.reopen()
    put(store, epoch(1))
    assert store.appends == 2


class Interrupted(BaseException):
    """The process ends while it waits for the disk."""


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_under_way_in_a_crash_is_durable_or_lost_as_a_whole(*, kept: bool) -> None:
    store = MemoryStore()
    put(store, epoch(1))

    def wait(seconds: float) -> None:
        assert (seconds, store.last_seq()) == (3.0, 1)
        raise Interrupted

    store.append_seconds, store.wait = 3.0, wait
    with pytest.raises(Interrupted):
        put(store, epoch(2), an_intent())
    store.crash(kept=kept)
    assert store.last_seq() == (3 if kept else 1)
    store.crash(kept=True)
    store.calm()
    put(store, epoch(3))
    assert store.last_seq() == (4 if kept else 2)


def test_a_lost_tail_takes_its_claims_along() -> None:
    store = MemoryStore()
    put(store, epoch(1), an_intent())
    store.lose_tail(1)
    assert [record.fact for record in store.read()] == [epoch(1)]
    assert list(store.read(execution_id=EXECUTION)) == []
    put(store, an_intent())
    with pytest.raises(ClaimBroken):
        put(store, an_intent())
    store.lose_tail(99)
    assert store.last_seq() == 0


def test_what_is_kept_went_through_the_codec_unless_that_is_switched_off() -> None:
    fact = an_intent()
    checked, unchecked = MemoryStore(), MemoryStore("other", check_codec=False)
    for store in (checked, unchecked):
        put(store, fact)
    assert next(checked.read()).fact is not fact
    assert next(unchecked.read()).fact is fact
    assert (checked.journal_id, unchecked.journal_id) == ("journal-in-memory", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful(Fact):
    """A fact whose JSON does not bring it back."""


def test_a_fact_that_the_codec_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "decode", lambda *_: epoch(2))
    with pytest.raises(AssertionError, match="becomes"):
        put(MemoryStore(), Forgetful())
