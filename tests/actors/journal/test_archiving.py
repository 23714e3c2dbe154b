"""The Journal's housekeeping: what no start needs is moved away, and in nobody's way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors.retention import RetentionSettings
from actors.runtime import EPOCH, Simulation
from adapters.storage.memory import MemoryStore
from messages.control import TAIL, Committed, Follow, StoreFailed
from messages.facts import ChildNotSent, Fact
from messages.ids import child_id
from tests.actors.journal.stage import House, Probes, news, paused
from tests.factories import EXECUTION, a_closed, an_accepted, an_intent

A_WEEK = RetentionSettings(after_days=7)
OLD = EPOCH - timedelta(days=30)


def a_past(executions: int = 5) -> MemoryStore:
    """A store with closed executions of a month ago, and so much behind them that they may go."""
    store = MemoryStore()
    facts: list[Fact] = []
    for number in range(executions):
        of = f"closedlongag{number}"
        child = child_id("p", of, 0, 0)
        facts += [
            an_accepted(execution_id=of, key=of, key_until=OLD),
            an_intent(execution_id=of, client_order_id=child),
            ChildNotSent(execution_id=of, client_order_id=child, reason="X", detail="", source="exchange_actor"),
            a_closed(execution_id=of, key=of),
        ]
    facts.append(an_accepted())
    store.append([Committed(seq, OLD, fact) for seq, fact in enumerate(facts, 1)])
    behind = range(len(facts) + 1, len(facts) + TAIL + 5)
    store.append([Committed(seq, EPOCH, paused(seq)) for seq in behind])
    return store


def at_hand(store: MemoryStore) -> list[int]:
    return [one.seq for one in store.read(archived=False)]


def test_what_no_start_needs_is_archived_some_time_after_the_start(simulation: Simulation, a_probe: Probes) -> None:
    store = a_past()
    before = list(store.read())
    House(a_probe, store=store, retention=A_WEEK)
    simulation.run(890.0)
    assert len(at_hand(store)) == len(before)
    simulation.run(20.0)
    assert at_hand(store)[0] == 21, "the open one is the first"
    assert list(store.read()) == before


def test_without_settings_nothing_is_archived(simulation: Simulation, a_probe: Probes) -> None:
    store = a_past()
    House(a_probe, store=store)
    simulation.run(90_000.0)
    assert at_hand(store)[0] == 1


def test_who_starts_is_told_what_is_at_hand_and_who_looks_back_is_told_all(
    simulation: Simulation, a_probe: Probes
) -> None:
    store = a_past()
    house = House(a_probe, store=store, retention=A_WEEK)
    simulation.run(910.0)
    starting, looking = a_probe("starting"), a_probe("looking")
    house.ref.tell(Follow(follower=starting.ref, archived=False))
    house.ref.tell(Follow(follower=looking.ref))
    assert [one for one in news(starting) if isinstance(one, int)] == at_hand(store)
    assert [one for one in news(looking) if isinstance(one, int)] == [one.seq for one in store.read()]


def test_appends_go_first_and_an_execution_that_comes_up_again_meanwhile_is_left_alone(
    simulation: Simulation, a_probe: Probes
) -> None:
    store = a_past(120)
    house = House(a_probe, store=store, retention=A_WEEK)
    simulation.run(900.2)
    again = "closedlongag119"
    for number in range(40):
        house.append(paused(number, again))
        simulation.run(0.2)
    assert len(at_hand(store)) == len(store.committed), "while appends come one after the other, it waits"
    simulation.run(30.0)
    assert {one.fact.execution_id for one in store.read(archived=False)} == {again, EXECUTION}


def test_a_journal_that_never_rests_is_tidied_all_the_same(simulation: Simulation, a_probe: Probes) -> None:
    store = a_past()
    house = House(a_probe, store=store, retention=A_WEEK)
    simulation.run(900.0)
    for number in range(3_600):
        house.append(paused(number))
        simulation.run(0.2)
    assert at_hand(store)[0] == 21


def test_an_archive_that_fails_leaves_the_journal_at_work(
    simulation: Simulation, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_past()
    house = House(a_probe, store=store, retention=A_WEEK)

    def full(seqs: Any) -> None:
        raise StoreFailed("full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "archive", full)
        simulation.run(910.0)
    house.append(paused(1))
    house.writer.expect(Committed)
    simulation.run(3_600.0)
    assert at_hand(store)[0] == 21, "it is tried again an hour later"
