"""The Journal when its store fails, when it crashes, and on a real file."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actors.journal import Journal
from actors.runtime import Pool, Simulation
from adapters.storage.memory import MemoryStore
from adapters.storage.sqlite import SqliteStore
from messages.control import Append, CaughtUp, ClaimBroken, Committed, Follow, JournalFailed, Ping, StoreFailed
from messages.facts import ExecutionQuarantined, ExecutionResumed, TradingHalted
from tests.actors.journal.stage import OTHER, House, Probes, epoch, news, paused
from tests.factories import EXECUTION, NOW, a_planned, an_accepted, an_intent
from tests.probe import Probe

# Failing ------------------------------------------------------------------------------------------


def test_after_a_failed_commit_nothing_is_told_and_nothing_is_appended(house: House, a_probe: Probes) -> None:
    follower = a_probe("follower")
    house.follow(follower)
    follower.expect(CaughtUp)
    house.store.fail_next(StoreFailed("the disk is full"))
    house.append(epoch(1))
    house.parent.expect(JournalFailed("the disk is full", invariant=False))
    house.store.reopen()
    house.append(epoch(2))
    house.follow(a_probe("late"))
    house.ref.tell(Ping(house.parent.ref))
    house.parent.expect_none()
    follower.expect_none()
    house.writer.expect_none()
    house.ref.stop()
    assert house.store.last_seq() == 0


def test_a_broken_claim_is_a_broken_invariant(house: House) -> None:
    house.append(an_intent())
    house.writer.expect(Committed)
    house.append(epoch(2), an_intent())
    failed = house.parent.expect(JournalFailed)
    assert failed.invariant
    assert "holds" in failed.detail
    assert house.store.last_seq() == 1


def test_after_a_broken_claim_the_parent_alone_may_append_its_last_words(house: House) -> None:
    house.append(an_intent())
    house.writer.expect(Committed)
    house.append(epoch(2), an_intent())
    house.parent.expect(JournalFailed)
    house.append(epoch(3))
    halted = TradingHalted(reason="INVARIANT", detail="a key was claimed twice")
    house.ref.tell(Append((halted,), NOW, house.parent.ref))
    assert house.parent.expect(Committed) == Committed(2, NOW, halted)
    house.store.fail_next()
    for _ in range(2):
        house.ref.tell(Append((halted,), NOW, house.parent.ref))
    house.parent.expect_none()
    assert [type(one.fact).__name__ for one in house.store.read()] == ["ChildIntended", "TradingHalted"]


def test_the_last_words_are_of_no_execution_whose_acceptance_was_not_stored(house: House) -> None:
    house.store.fail_next(ClaimBroken("the signal's key is held"))
    house.append(an_accepted())
    house.parent.expect(JournalFailed)
    given_up = ExecutionQuarantined(execution_id=EXECUTION, detail="its actor failed three times meanwhile")
    house.ref.tell(Append((given_up,), NOW, house.parent.ref))
    house.parent.expect_none()
    assert house.store.last_seq() == 0


def test_a_failure_among_the_last_words_finds_nobody(house: House, simulation: Simulation) -> None:
    house.store.fail_next(ClaimBroken("again"))
    house.append(epoch(1))
    house.parent.ref.stop()
    house.ref.stop()
    assert JournalFailed("again", invariant=True) in simulation.dead_letters
    assert simulation.claim_failures() == []


class Unreadable(MemoryStore):
    def read(self, *_: Any, **__: Any) -> Iterator[Committed]:
        yield Committed(1, NOW, epoch(1))
        raise StoreFailed("page 7 is damaged")


def test_a_journal_that_cannot_be_read_says_so_once_however_many_wait_for_it(
    simulation: Simulation, a_probe: Probes
) -> None:
    house = House(a_probe, store=Unreadable())
    for execution in (EXECUTION, OTHER):
        house.append(a_planned(execution_id=execution))
        house.follow(a_probe(execution), execution=execution)
    house.parent.expect(JournalFailed)
    house.parent.expect_none(within=1.0)


def test_a_journal_that_cannot_be_read_fails(simulation: Simulation, a_probe: Probes) -> None:
    house, follower = House(a_probe, epoch(1), store=Unreadable()), a_probe("follower")
    house.follow(follower)
    house.parent.expect(JournalFailed("page 7 is damaged", invariant=False))
    house.append(epoch(2))
    assert news(follower) == [1]


def test_a_fact_that_cannot_be_written_fails_the_journal(house: House) -> None:
    house.append(an_intent(quantity=Decimal("NaN")))
    assert "finite" in house.parent.expect(JournalFailed).detail


# A crash, and the real thing ----------------------------------------------------------------------


@pytest.mark.seeds
def test_a_crash_keeps_a_prefix_and_the_writer_was_told_of_no_more(seed: int) -> None:
    store = MemoryStore()
    with Simulation(seed) as simulation:
        node = simulation.node("daemon")
        with node:
            house = House(lambda name: Probe(simulation, name), store=store)
        told = house.writer
        for number in range(30):
            house.append(epoch(number))
        simulation.crash_at(node, node.handled + 1 + 3 * seed % 50)
        simulation.run(1)
        known = [message.seq for message in told.messages()]
        assert [record.fact for record in store.read()] == [epoch(number) for number in range(store.last_seq())]
        assert known == list(range(1, len(known) + 1))
        assert len(known) <= store.last_seq()
        with node:
            again = House(lambda name: Probe(simulation, name), store=store)
        again.append(epoch(99))
        assert again.writer.expect(Committed).seq == store.last_seq()


def test_on_a_pool_with_a_file_every_fact_of_many_writers_is_durable_and_told_in_order(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data")
    with Pool(2) as pool:
        parent, follower = Probe(pool, "parent"), Probe(pool, "follower")
        writers = [Probe(pool, f"writer {number}") for number in range(4)]
        ref = Journal.start(parent.ref, "journal", store=store)
        ref.tell(Follow(follower=follower.ref, kinds=(ExecutionResumed,)))
        follower.expect(CaughtUp, within=10)
        for number in range(100):
            for writer in writers:
                ref.tell(Append((ExecutionResumed(detail=str(number)), paused(number)), NOW, writer.ref))
        for writer in writers:
            seqs = [writer.expect(Committed, within=10).seq for _ in range(200)]
            assert all(first < second for first, second in pairwise(seqs))
        told = [follower.expect(Committed, within=10) for _ in range(400)]
    assert told == list(store.read(kinds=["ExecutionResumed"]))
    assert store.verify() == 800
    store.close()
