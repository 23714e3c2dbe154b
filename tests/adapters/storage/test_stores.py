"""What every store promises, on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from actors.journal import Store
from adapters.storage.codec import export_line
from adapters.storage.memory import MemoryStore
from adapters.storage.sqlite import SqliteStore
from messages.control import TAIL, ClaimBroken, Committed, StoreFailed
from messages.facts import EpochStarted, Fact, NonceUsed
from tests.factories import EXECUTION, NOW, a_closed, a_trade_booked, an_accepted, an_intent

OTHER = "zyxwvutsrq765"


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = SqliteStore(tmp_path / "data") if request.param == "sqlite" else MemoryStore()
    yield store
    store.close()


def put(store: Store, *facts: Fact, after: timedelta = timedelta()) -> list[Committed]:
    records = [Committed(seq, NOW + after, fact) for seq, fact in enumerate(facts, store.last_seq() + 1)]
    store.append(records)
    return records


def nonce(name: str, seconds: float) -> NonceUsed:
    return NonceUsed(sender="s", nonce=name, until=NOW + timedelta(seconds=seconds))


def epoch(number: int) -> EpochStarted:
    return EpochStarted(epoch=number, journal_id="j", mode="paper", version="1")


def test_a_new_store_is_empty_and_has_an_id(store: Store) -> None:
    assert store.last_seq() == 0
    assert list(store.read()) == []
    assert store.journal_id


def test_what_was_appended_is_read_in_order(store: Store) -> None:
    first = put(store, an_accepted(), an_intent())
    second = put(store, a_trade_booked(), epoch(1), after=timedelta(microseconds=1))
    assert list(store.read()) == first + second
    assert store.last_seq() == 4


def test_reading_starts_after_a_number(store: Store) -> None:
    records = put(store, *(epoch(number) for number in range(1, 6)))
    assert list(store.read(after=3)) == records[3:]
    assert list(store.read(after=5)) == []


def test_reading_picks_kinds_and_executions(store: Store) -> None:
    accepted, intent, other, _ = put(
        store, an_accepted(), an_intent(), an_intent(execution_id=OTHER, client_order_id="other"), epoch(1)
    )
    assert list(store.read(kinds=["ChildIntended"])) == [intent, other]
    assert list(store.read(kinds=[])) == []
    assert list(store.read(execution_id=EXECUTION)) == [accepted, intent]
    assert list(store.read(kinds=["ChildIntended", "EpochStarted"], execution_id=OTHER)) == [other]
    assert list(store.read(after=1, execution_id=EXECUTION)) == [intent]
    assert list(store.read(execution_id="nobody")) == []


def test_facts_of_no_execution_can_be_asked_for(store: Store) -> None:
    _, wanted = put(store, an_intent(), epoch(1))
    assert list(store.read(execution_id="")) == [wanted]


def test_long_journals_are_read_whole(store: Store) -> None:
    records = put(store, *(epoch(number) for number in range(2500)))
    assert list(store.read()) == records
    assert [record.seq for record in store.read(after=499, kinds=["EpochStarted"])] == list(range(500, 2501))


def test_a_reader_meets_what_is_appended_meanwhile(store: Store) -> None:
    put(store, *(epoch(number) for number in range(1500)))
    reader = store.read(after=0)
    read = [next(reader)]
    put(store, epoch(1500))
    read += reader
    assert [record.seq for record in read] == list(range(1, 1502))


def test_a_key_is_claimed_once(store: Store) -> None:
    put(store, an_intent())
    with pytest.raises(ClaimBroken, match=r"fact 2 claims .*, which fact 1 holds"):
        put(store, an_intent())


def test_a_key_is_claimed_once_within_one_append(store: Store) -> None:
    with pytest.raises(ClaimBroken, match=r"fact 3 claims .*, which fact 2 holds"):
        put(store, epoch(1), a_trade_booked(), a_trade_booked())
    assert store.last_seq() == 0


def test_a_broken_claim_stores_nothing_of_its_append_and_does_no_harm(store: Store) -> None:
    put(store, an_intent())
    with pytest.raises(ClaimBroken):
        put(store, epoch(1), a_trade_booked(), an_intent())
    assert [type(record.fact).__name__ for record in store.read()] == ["ChildIntended"]
    put(store, a_trade_booked())
    assert store.last_seq() == 2


def test_a_claim_ends_at_its_moment_and_not_before(store: Store) -> None:
    put(store, nonce("a", 10))
    with pytest.raises(ClaimBroken):
        put(store, nonce("a", 30), after=timedelta(seconds=10, microseconds=-1))
    put(store, nonce("a", 30), after=timedelta(seconds=10))
    with pytest.raises(ClaimBroken):
        put(store, nonce("a", 40), after=timedelta(seconds=11))


def test_the_key_of_an_execution_without_children_is_free_again(store: Store) -> None:
    put(store, an_accepted(), a_closed(children=0))
    put(store, an_accepted(execution_id=OTHER))
    assert store.last_seq() == 3


def test_the_key_of_an_execution_with_children_stays_taken(store: Store) -> None:
    put(store, an_accepted(), a_closed(children=1))
    with pytest.raises(ClaimBroken):
        put(store, an_accepted(execution_id=OTHER))


def test_a_key_is_given_back_and_taken_within_one_append(store: Store) -> None:
    put(store, an_accepted(), a_closed(children=0), an_accepted(execution_id=OTHER))
    with pytest.raises(ClaimBroken):
        put(store, an_accepted(execution_id="thirdthirdthi"))


def test_a_key_that_is_taken_before_another_is_given_back_within_one_append_stays_taken(store: Store) -> None:
    put(store, nonce("a", 60), an_accepted(), a_closed(children=0))
    with pytest.raises(ClaimBroken, match=r"fact 4 claims .*, which fact 1 holds"):
        put(store, nonce("a", 90))


def test_a_release_is_undone_with_the_append_that_failed(store: Store) -> None:
    put(store, an_accepted(), an_intent())
    with pytest.raises(ClaimBroken):
        put(store, a_closed(children=0), an_intent())
    with pytest.raises(ClaimBroken):
        put(store, an_accepted(execution_id=OTHER))


def test_numbers_must_continue_the_sequence(store: Store) -> None:
    with pytest.raises(ClaimBroken, match="does not follow"):
        store.append([Committed(2, NOW, epoch(1))])


def test_what_is_appended_a_second_time_is_refused_and_kept_once(store: Store) -> None:
    records = [Committed(1, NOW, epoch(1)), Committed(2, NOW, an_intent())]
    store.append(records)
    with pytest.raises(ClaimBroken, match="fact 1 does not follow on 2"):
        store.append(records)
    assert list(store.read()) == records
    put(store, epoch(2))
    assert store.last_seq() == 3


def test_a_fact_that_cannot_be_written_poisons_the_store(store: Store) -> None:
    put(store, epoch(1))
    with pytest.raises(StoreFailed, match="finite"):
        put(store, epoch(2), an_intent(quantity=Decimal("NaN")))
    with pytest.raises(StoreFailed, match="before"):
        put(store, epoch(2))
    with pytest.raises(StoreFailed, match="before"):
        store.archive([])
    assert store.last_seq() == 1


def test_both_stores_export_the_same_bytes(tmp_path: Path) -> None:
    file, memory = SqliteStore(tmp_path / "data"), MemoryStore()
    facts = (an_accepted(), an_intent(quantity=Decimal("0.10")), a_trade_booked(), a_closed(), epoch(1))
    for store in (file, memory):
        put(store, *facts, after=timedelta(microseconds=123))
    exported = [[export_line(record) for record in store.read()] for store in (file, memory)]
    file.close()
    assert exported[0] == exported[1]


# The archive --------------------------------------------------------------------------------------


def filled(store: Store) -> list[Committed]:
    """Facts of two executions, and so many behind them that they may be archived."""
    old = put(store, an_accepted(), an_intent(), a_trade_booked(), an_intent(execution_id=OTHER, client_order_id="o"))
    return old + put(store, *(epoch(number) for number in range(TAIL)))


def test_what_is_archived_is_read_in_its_place_by_whoever_wants_all_and_by_nobody_else(store: Store) -> None:
    records = filled(store)
    store.archive([1, 3])
    assert list(store.read()) == records
    assert [record.seq for record in store.read(archived=False)] == [2, *range(4, len(records) + 1)]
    assert list(store.read(execution_id=EXECUTION)) == records[:3]
    assert list(store.read(execution_id=EXECUTION, archived=False)) == records[1:2]
    assert list(store.read(after=1, kinds=["ChildIntended", "TradeBooked"])) == records[1:4]
    assert store.last_seq() == len(records)


def test_a_reader_misses_nothing_that_is_archived_while_it_reads(store: Store) -> None:
    put(store, *(epoch(number) for number in range(2 * TAIL + 500)))
    reader = store.read()
    read = [next(reader)]
    store.archive(range(1, TAIL + 501))
    read += reader
    assert [record.seq for record in read] == list(range(1, 2 * TAIL + 501))


def test_archived_facts_hold_their_claims(store: Store) -> None:
    filled(store)
    store.archive([1, 2, 3])
    for fact in (an_intent(), a_trade_booked(), an_accepted()):
        with pytest.raises(ClaimBroken):
            put(store, fact)


def test_the_last_facts_stay_at_hand(store: Store) -> None:
    records = filled(store)
    with pytest.raises(ValueError, match="stay at hand"):
        store.archive([len(records) - TAIL + 1])
    store.archive([len(records) - TAIL])


def test_archiving_nothing_is_nothing(store: Store) -> None:
    records = filled(store)
    store.archive([])
    assert list(store.read(archived=False)) == records
