from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors import journal, journal_routes
from actors.follower import Follower
from actors.journal import CommitTimes, Journal
from actors.retention import RetentionSettings
from actors.runtime import EPOCH, Pool, Simulation
from adapters.storage.memory import MemoryStore
from adapters.storage.sqlite import SqliteStore
from messages.control import (
    TAIL,
    ActorReady,
    Append,
    CaughtUp,
    ClaimBroken,
    Committed,
    Follow,
    JournalFailed,
    Ping,
    Pong,
    StoreFailed,
    Unfollow,
)
from messages.facts import (
    ChildIntended,
    ChildNotSent,
    EpochStarted,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionResumed,
    ExecutionStarted,
    Fact,
    TradeBooked,
    TradingHalted,
)
from messages.ids import child_id
from tests.factories import (
    EXECUTION,
    NOW,
    a_closed,
    a_planned,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)
from tests.probe import Probe

OTHER = "zyxwvutsrq765"
ID = "journal-in-memory"

Probes = Callable[[str], Probe]


def epoch(number: int) -> EpochStarted:
    return EpochStarted(epoch=number, journal_id=ID, mode="paper", version="1")


def paused(number: int, execution: str = EXECUTION) -> ExecutionPaused:
    return ExecutionPaused(execution_id=execution, detail=str(number))


class House:
    """A journal on a memory store, with a parent and a writer."""

    def __init__(
        self,
        a_probe: Probes,
        *old: Fact,
        store: MemoryStore | None = None,
        retention: RetentionSettings | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        if old:
            self.store.append([Committed(seq, NOW, fact) for seq, fact in enumerate(old, 1)])
            self.store.appends = 0
        self.parent = a_probe("parent")
        self.writer = a_probe("writer")
        self.ref: pykka.ActorRef[Journal] = Journal.start(
            self.parent.ref, "journal", store=self.store, retention=retention
        )
        self.parent.expect(ActorReady("journal"))

    def append(self, *facts: Fact, writer: Probe | None = None) -> None:
        self.ref.tell(Append(facts, NOW, (writer or self.writer).ref))

    def follow(self, follower: Probe, *kinds: type[Fact], execution: str | None = None, after: int = 0) -> None:
        follow = Follow(follower=follower.ref, kinds=kinds or None, execution_id=execution, after=after)
        self.ref.tell(follow)


@pytest.fixture
def house(simulation: Simulation, a_probe: Probes) -> House:
    return House(a_probe)


def news(probe: Probe) -> list[Any]:
    """What the probe was told, facts by their numbers."""
    return [message.seq if isinstance(message, Committed) else message for message in probe.messages()]


def read_of(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Of which executions the store is read from now on, in order."""
    asked: list[str | None] = []
    read = store.read

    def noted(
        after: int = 0, kinds: Any = None, execution_id: str | None = None, *, archived: bool = True
    ) -> Iterator[Committed]:
        asked.append(execution_id)
        return read(after, kinds, execution_id, archived=archived)

    monkeypatch.setattr(store, "read", noted)
    return asked


# Appending ----------------------------------------------------------------------------------------


def test_a_fact_comes_back_to_its_writer_as_the_same_object_and_durable(house: House) -> None:
    fact = an_intent()
    house.append(fact)
    committed = house.writer.expect(Committed)
    assert (committed.seq, committed.at) == (1, NOW)
    assert committed.fact is fact
    assert [record.fact for record in house.store.read()] == [fact]


def test_everything_queued_before_the_flush_is_one_transaction(house: House, a_probe: Probes) -> None:
    for number in range(10):
        house.append(epoch(number), epoch(100 + number))
    assert [message.seq for message in house.writer.messages()] == list(range(1, 21))
    assert house.store.appends < 10
    facts = [record.fact for record in house.store.read()]
    assert facts == [fact for number in range(10) for fact in (epoch(number), epoch(100 + number))]


def test_a_plan_is_committed_with_the_intent_that_follows_it(house: House, simulation: Simulation) -> None:
    house.append(a_planned())
    simulation.run(journal.LINGER_SECONDS / 2)
    assert house.store.last_seq() == 0
    house.append(an_intent())
    assert [message.seq for message in house.writer.messages()] == [1, 2]
    assert house.store.appends == 1
    house.writer.expect_none()


def test_an_acceptance_its_plan_and_its_first_intent_are_one_commit_and_only_after_it_are_they_told(
    house: House, a_probe: Probes, simulation: Simulation
) -> None:
    exchange, execution = a_probe("exchange"), a_probe("execution")
    house.append(an_accepted())
    house.follow(execution, execution=EXECUTION)
    assert news(execution) == [CaughtUp(0, ID)]
    house.append(a_planned(), writer=execution)
    simulation.run(journal.LINGER_SECONDS / 2)
    assert [probe.messages() for probe in (house.writer, exchange, execution)] == [[], [], []]
    assert house.store.last_seq() == 0
    house.append(an_intent(), writer=exchange)
    assert news(house.writer) == [1]
    assert news(exchange) == [3]
    assert news(execution) == [1, 2, 3]
    assert house.store.appends == 1


def test_an_acceptance_that_nothing_follows_is_durable_after_a_moment(house: House, simulation: Simulation) -> None:
    house.append(an_accepted())
    house.writer.expect_none(within=journal.LINGER_SECONDS * 0.9)
    simulation.run(journal.LINGER_SECONDS * 0.2)
    assert news(house.writer) == [1]


def test_patience_counts_anew_for_what_comes_after_a_commit(house: House, simulation: Simulation) -> None:
    house.append(a_planned())
    simulation.run(journal.LINGER_SECONDS * 0.8)
    house.append(an_intent())
    assert news(house.writer) == [1, 2]
    house.append(an_accepted(execution_id=OTHER, key="k2"))
    simulation.run(journal.LINGER_SECONDS * 0.9)
    assert house.store.appends == 1, "it was committed when the patience for what was before it was over"
    simulation.run(journal.LINGER_SECONDS * 0.2)
    assert house.store.appends == 2


def test_patience_that_is_over_while_a_commit_is_asked_for_makes_one_commit_and_no_second(
    house: House, simulation: Simulation
) -> None:
    house.append(an_intent())
    house.ref.tell(journal._Lingered())
    house.append(a_planned())
    simulation.run(0.0)
    assert news(house.writer) == [1, 2]
    assert house.store.appends == 1


def test_an_acceptance_behind_what_somebody_waits_for_is_committed_with_it(house: House) -> None:
    house.append(epoch(1))
    house.append(an_accepted())
    house.append(paused(1))
    assert news(house.writer) == [1, 2, 3]
    assert house.store.appends == 1


def test_an_acknowledgement_is_committed_with_the_trade_that_follows_it(house: House) -> None:
    house.append(an_acknowledged())
    house.append(a_trade_booked())
    assert [message.seq for message in house.writer.messages()] == [1, 2]
    assert house.store.appends == 1


def test_a_patient_fact_that_nothing_follows_is_committed_after_a_moment(house: House, simulation: Simulation) -> None:
    for number in range(3):
        house.append(a_planned(), an_acknowledged(client_order_id=f"tgp-{EXECUTION}-{number}-0"))
        house.writer.expect_none(within=journal.LINGER_SECONDS / 2)
        simulation.run(journal.LINGER_SECONDS)
        assert house.store.last_seq() == 2 * number + 2
        assert len(house.writer.messages()) == 2


def test_a_patient_fact_beside_one_that_somebody_waits_for_is_committed_at_once(house: House) -> None:
    house.append(an_acknowledged(), a_trade_booked())
    assert len(house.writer.messages()) == 2


def test_who_follows_an_execution_is_told_what_was_appended_before_it_asked(house: House, a_probe: Probes) -> None:
    house.append(a_planned())
    follower = a_probe("follower")
    house.follow(follower, execution=EXECUTION)
    assert news(follower) == [1, CaughtUp(1, ID)]
    assert news(house.writer) == [1]


def test_executions_let_in_together_begin_at_once_and_are_durable_by_one_commit(
    house: House, a_probe: Probes, simulation: Simulation
) -> None:
    executions = [f"{number:013}" for number in range(5)]
    followers = [a_probe(execution) for execution in executions]
    for execution, follower in zip(executions, followers, strict=True):
        house.append(an_accepted(execution_id=execution, key=execution))
        house.follow(follower, execution=execution)
    simulation.run(1.0)
    for number, follower in enumerate(followers, 1):
        assert news(follower) == [CaughtUp(0, ID), number]
    assert house.store.appends == 1


@pytest.mark.parametrize("failure", [StoreFailed("the disk is full"), ClaimBroken("the signal's key is held")])
def test_of_an_execution_whose_acceptance_could_not_be_stored_nothing_else_is(
    house: House, a_probe: Probes, failure: StoreFailed
) -> None:
    execution, exchange = a_probe("execution"), a_probe("exchange")
    house.store.fail_next(failure)
    house.append(an_accepted())
    house.follow(execution, execution=EXECUTION)
    execution.expect(CaughtUp)
    house.append(a_planned(), writer=execution)
    house.append(an_intent(), writer=exchange)
    house.parent.expect(JournalFailed)
    house.append(an_intent(client_order_id=child_id("p", EXECUTION, 1, 0)), writer=exchange)
    for probe in (execution, exchange, house.writer):
        probe.expect_none(within=3600)
    assert house.store.last_seq() == 0


def test_who_takes_up_an_execution_again_is_told_all_that_its_forerunner_has_said(
    house: House, a_probe: Probes
) -> None:
    forerunner, successor = a_probe("forerunner"), a_probe("successor")
    house.append(an_accepted())
    house.follow(forerunner, execution=EXECUTION)
    house.append(a_planned(), writer=forerunner)
    house.follow(successor, execution=EXECUTION)
    assert news(successor) == [1, 2, CaughtUp(2, ID)]
    house.append(an_intent())
    assert news(successor) == [3]


def test_whoever_waits_for_a_fact_of_its_own_is_told_before_those_who_only_listen(
    house: House, a_probe: Probes, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, exchange, listener = a_probe("execution"), a_probe("exchange"), a_probe("listener")
    house.follow(listener)
    house.follow(execution, execution=EXECUTION)
    house.follow(exchange, ExecutionStarted, ChildIntended)
    simulation.run(1)
    for probe in (execution, exchange, listener):
        probe.messages()
    told: list[tuple[str, int]] = []
    names = {execution.ref: "execution", exchange.ref: "exchange", listener.ref: "listener"}

    def noted(whom: Any, news: Any) -> bool:
        told.append((names[whom], news.seq))
        return True

    monkeypatch.setattr(journal, "_tell", noted)
    house.append(a_planned(), ExecutionStarted(execution_id=EXECUTION, incarnation=1), writer=execution)
    house.append(an_intent(), writer=exchange)
    simulation.run(1)
    assert told == [
        ("exchange", 2),
        ("exchange", 3),
        ("execution", 1),
        ("execution", 2),
        ("execution", 3),
        ("listener", 1),
        ("listener", 2),
        ("listener", 3),
    ]


def test_who_no_longer_follows_when_the_commit_comes_is_told_nothing(house: House, a_probe: Probes) -> None:
    follower, held = a_probe("follower"), a_probe("held")
    house.append(an_accepted())
    house.follow(follower, execution=EXECUTION)
    house.append(a_planned(execution_id=OTHER))
    house.follow(held, execution=OTHER)
    house.ref.tell(Unfollow(follower.ref))
    house.ref.tell(Unfollow(held.ref))
    house.writer.expect(Committed)
    assert news(follower) == [CaughtUp(0, ID)]
    held.expect_none(within=60)


def test_who_follows_an_execution_hurries_nobody_else(house: House, a_probe: Probes) -> None:
    house.append(a_planned())
    follower = a_probe("follower")
    house.follow(follower, execution=OTHER)
    follower.expect(CaughtUp(0, ID))
    assert house.store.last_seq() == 0


def test_a_patient_fact_is_durable_after_a_stop(house: House, simulation: Simulation) -> None:
    house.append(a_planned())
    house.ref.stop()
    assert house.store.last_seq() == 1
    simulation.run(1)
    assert simulation.dead_letters == []


def test_an_append_of_nothing_is_nothing(house: House) -> None:
    house.append()
    house.writer.expect_none()
    assert house.store.last_seq() == 0


def test_numbers_go_on_where_the_store_ends(simulation: Simulation, a_probe: Probes) -> None:
    house = House(a_probe, epoch(1), epoch(2))
    house.append(epoch(3))
    assert house.writer.expect(Committed).seq == 3


def test_a_writer_that_is_gone_does_not_matter(house: House, a_probe: Probes, simulation: Simulation) -> None:
    ended = a_probe("ended")
    ended.ref.stop()
    house.append(epoch(1), writer=ended)
    house.append(epoch(2))
    house.writer.expect(Committed(2, NOW, epoch(2)))
    assert simulation.dead_letters == []


def test_what_was_asked_for_before_a_stop_is_durable(house: House, simulation: Simulation) -> None:
    house.append(epoch(1))
    house.ref.stop()
    assert house.store.last_seq() == 1


def test_it_answers_pings_and_keeps_the_time_of_its_commits(house: House, simulation: Simulation) -> None:
    house.append(epoch(1))
    house.ref.tell(Ping(house.parent.ref))
    house.parent.expect(Pong("journal"))
    simulation.run(1)
    actor = house.ref._actor_weakref()
    assert actor is not None
    assert (actor.times.count, actor.times.quantile(0.5)) == (1, 0.0)


def test_commit_times_are_bounded_and_tell_their_quantiles() -> None:
    times = CommitTimes()
    assert times.quantile(0.99) is None
    for number in range(2000):
        times.add(float(number))
    assert times.count == 2000
    assert times.quantile(0.0) == 2000 - 1024
    assert times.quantile(1.0) == 1999
    assert times.quantile(0.5) == 1999 - 511


# Following ----------------------------------------------------------------------------------------


def test_a_follower_is_told_the_old_then_that_it_has_caught_up_then_the_new(
    simulation: Simulation, a_probe: Probes
) -> None:
    house, follower = House(a_probe, epoch(1), an_intent(), epoch(3)), a_probe("follower")
    house.follow(follower, EpochStarted)
    assert news(follower) == [1, 3, CaughtUp(3, ID)]
    house.append(epoch(4), a_trade_booked(), epoch(6))
    assert news(follower) == [4, 6]


def test_a_follower_of_an_empty_journal_has_caught_up_at_once(house: House, a_probe: Probes) -> None:
    follower = a_probe("follower")
    house.follow(follower)
    follower.expect(CaughtUp(0, ID))


def test_a_follower_of_an_execution_is_told_of_that_one_only(house: House, a_probe: Probes) -> None:
    mine, one_kind, others, everything = map(a_probe, ("mine", "one kind", "other's", "everything"))
    house.append(paused(1), paused(2, OTHER))
    house.writer.messages()
    house.follow(mine, execution=EXECUTION)
    house.follow(one_kind, TradeBooked, execution=EXECUTION)
    house.follow(others, execution=OTHER)
    house.follow(everything)
    for probe in (mine, one_kind, others, everything):
        probe.fish_for(lambda message: isinstance(message, CaughtUp))
    house.append(paused(3), a_trade_booked(), paused(5, OTHER), epoch(6))
    assert [news(probe) for probe in (mine, one_kind, others, everything)] == [[3, 4], [4], [5], [3, 4, 5, 6]]


def test_a_follower_can_start_in_the_middle(simulation: Simulation, a_probe: Probes) -> None:
    house, follower = House(a_probe, *(epoch(number) for number in range(5))), a_probe("follower")
    house.follow(follower, after=3)
    assert news(follower) == [4, 5, CaughtUp(5, ID)]


def test_the_first_follower_of_a_new_execution_is_told_its_facts_without_reading_the_store(
    house: House, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = a_probe("first"), a_probe("second")
    asked = read_of(house.store, monkeypatch)
    house.append(an_accepted(), paused(2, OTHER), paused(3))
    house.writer.messages()
    house.follow(first, execution=EXECUTION)
    first.fish_for(lambda message: isinstance(message, CaughtUp))
    assert asked == []
    house.append(paused(4))
    assert news(first) == [4]
    house.follow(second, execution=EXECUTION)
    assert news(second) == [1, 3, 4, CaughtUp(4, ID)]
    assert asked == [EXECUTION]


def test_what_is_at_hand_of_a_new_execution_is_chosen_as_the_store_would(house: House, a_probe: Probes) -> None:
    later, one_kind = a_probe("later"), a_probe("one kind")
    house.append(
        an_accepted(), paused(2), a_trade_booked(), an_accepted(execution_id=OTHER, key="k2"), paused(5, OTHER)
    )
    house.writer.messages()
    house.follow(later, execution=EXECUTION, after=1)
    house.follow(one_kind, ExecutionPaused, execution=OTHER)
    assert news(later) == [2, 3, CaughtUp(5, ID)]
    assert news(one_kind) == [5, CaughtUp(5, ID)]


def test_only_the_latest_executions_are_kept_at_hand(
    house: House, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_routes, "REMEMBERED_NEWBORN", 1)
    asked = read_of(house.store, monkeypatch)
    house.append(an_accepted(), an_accepted(execution_id=OTHER, key="k2"), epoch(1))
    house.writer.messages()
    for execution in (EXECUTION, OTHER):
        follower = a_probe(execution)
        house.follow(follower, execution=execution)
        assert len(news(follower)) == 2
    assert asked == [EXECUTION]


def test_a_writer_that_follows_is_told_of_its_own_fact_once(house: House) -> None:
    house.follow(house.writer, EpochStarted)
    house.writer.expect(CaughtUp(0, ID))
    house.append(epoch(1), an_intent())
    assert news(house.writer) == [1, 2]


def test_a_second_follow_replaces_the_first(house: House, a_probe: Probes) -> None:
    follower = a_probe("follower")
    for kind in (EpochStarted, ChildIntended, TradeBooked):
        house.follow(follower, kind)
    house.follow(follower, execution=OTHER)
    house.follow(follower, TradeBooked)
    assert news(follower) == [CaughtUp(0, ID)] * 5
    house.append(epoch(1), an_intent(), a_trade_booked(), paused(4, OTHER))
    assert news(follower) == [3]


def test_who_follows_no_more_is_told_nothing_more(house: House, a_probe: Probes) -> None:
    follower = a_probe("follower")
    house.ref.tell(Unfollow(follower.ref))
    house.follow(follower)
    house.ref.tell(Unfollow(follower.ref))
    follower.expect(CaughtUp)
    house.append(epoch(1))
    follower.expect_none()


def test_facts_under_way_come_after_catching_up_and_once(house: House, a_probe: Probes) -> None:
    follower = a_probe("follower")
    house.append(epoch(1))
    house.follow(follower)
    house.append(epoch(2))
    told = news(follower)
    assert [item for item in told if item in (1, 2)] == [1, 2]
    (caught_up,) = [item for item in told if isinstance(item, CaughtUp)]
    assert told.index(caught_up) == caught_up.seq


class Sluggish(Follower):
    """Follows everything from the start, and writes while it is still being told of the old."""

    def __init__(self, house: House, log: list[Any]) -> None:
        super().__init__()
        self.use_journal(house.ref)
        self.log = log

    def on_receive(self, message: Any) -> None:
        match message:
            case "follow":
                self.follow()
            case Fact():
                self.append(message)
            case _:
                self.log.append(message.seq if isinstance(message, Committed) else message)
                self.on_news(message)

    def on_durable(self, fact: Fact) -> None:
        self.log.append("durable")


@pytest.mark.seeds
def test_long_replays_let_others_append_and_nothing_is_lost_or_told_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REPLAY_SLICE", 3)
    with Simulation(seed) as simulation:
        house = House(lambda name: Probe(simulation, name), *(epoch(number) for number in range(20)))
        follower, log = Probe(simulation), list[Any]()
        sluggish = Sluggish.start(house, log)
        house.follow(follower, EpochStarted, after=2)
        sluggish.tell("follow")
        for number in range(10):
            house.append(epoch(100 + number), an_intent(client_order_id=str(number)))
            sluggish.tell(paused(number))
        told = news(follower)
        own = [record.seq for record in house.store.read(kinds=["ExecutionPaused"])]
    assert [record.seq for record in house.store.read(kinds=["EpochStarted"], after=2)] == [
        item for item in told if not isinstance(item, CaughtUp)
    ]
    assert [item for item in log if isinstance(item, int)] == list(range(1, 51))
    assert len(own) == log.count("durable") == 10
    assert all(log[log.index(seq) + 1] == "durable" for seq in own)
    assert sum(isinstance(item, CaughtUp) for item in log) == 1


def test_a_follower_gone_while_it_is_told_the_old_is_forgotten(
    simulation: Simulation, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REPLAY_SLICE", 3)
    house, follower = House(a_probe, *(epoch(number) for number in range(20))), a_probe("follower")
    house.follow(follower)
    follower.expect(Committed)
    follower.ref.stop()
    house.append(epoch(21))
    house.writer.expect(Committed)
    assert routes(house) == ({}, {}, {})


@pytest.mark.parametrize("old", [(), (epoch(1),)], ids=["nothing old", "something old"])
def test_a_follower_gone_before_it_is_told_anything_is_forgotten(
    simulation: Simulation, a_probe: Probes, old: tuple[Fact, ...]
) -> None:
    house, follower = House(a_probe, *old), a_probe("follower")
    follower.ref.stop()
    house.follow(follower)
    house.append(epoch(2))
    house.writer.expect(Committed)
    assert routes(house) == ({}, {}, {})


def test_however_many_are_told_the_old_an_append_waits_for_one_slice(
    simulation: Simulation, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REPLAY_SLICE", 3)
    house = House(a_probe, *(epoch(number) for number in range(60)))
    followers = [a_probe(f"follower {number}") for number in range(10)]
    actor = house.ref._actor_weakref()
    assert actor is not None
    order: list[object] = []
    go_on = actor._go_on

    def noted(replay: Any) -> None:
        order.append(replay.follow.follower)
        go_on(replay)

    monkeypatch.setattr(actor, "_go_on", noted)
    for follower in followers:
        house.follow(follower)
    simulation.run_until(lambda: len(order) >= 25, 1.0)
    before = len(order)
    house.append(epoch(61))
    simulation.run_until(lambda: house.store.last_seq() == 61, 1.0)
    assert len(order) - before <= 2, "one that was asked for already, and one that came in between"
    simulation.run(1.0)
    assert order[10:20] == order[20:30], "each has its turn"
    assert all(len(news(follower)) == 62 for follower in followers)


def test_a_replay_that_was_replaced_stops(
    simulation: Simulation, a_probe: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REPLAY_SLICE", 3)
    house, follower = House(a_probe, *(epoch(number) for number in range(20))), a_probe("follower")
    house.follow(follower)
    house.follow(follower, after=19)
    told = news(follower)
    assert told[-2:] == [20, CaughtUp(20, ID)]
    assert told.count(CaughtUp(20, ID)) == 1


def routes(house: House) -> tuple[object, object, object]:
    actor = house.ref._actor_weakref()
    assert actor is not None
    by_kind = {kind: found for kind, found in actor._routes._by_kind.items() if found}
    return actor._routes._follows, actor._routes._by_execution, by_kind


def test_a_dead_follower_is_no_error_and_is_forgotten(house: House, a_probe: Probes, simulation: Simulation) -> None:
    one, all_of_it = a_probe("one"), a_probe("all")
    house.follow(one, execution=EXECUTION)
    house.follow(all_of_it)
    for probe in (one, all_of_it):
        probe.expect(CaughtUp)
        probe.ref.stop()
    house.append(paused(1), paused(2))
    assert [message.seq for message in house.writer.messages()] == [1, 2]
    assert simulation.dead_letters == []
    assert routes(house) == ({}, {}, {})


def test_dead_followers_of_closed_executions_are_forgotten_although_nothing_happens_there(
    house: House, a_probe: Probes
) -> None:
    living, watching = a_probe("living"), a_probe("watching")
    house.follow(living, execution=EXECUTION)
    house.follow(watching, execution=EXECUTION)
    for number in range(5):
        ended = a_probe(f"ended {number}")
        house.follow(ended, execution=str(number))
        ended.expect(CaughtUp)
        house.append(a_closed(execution_id=str(number)), a_closed())
        house.writer.expect(Committed)
        ended.ref.stop()
    living.ref.stop()
    for number in range(10):
        house.append(epoch(number))
        house.writer.messages()
    followed, by_execution, _ = routes(house)
    assert followed == {watching.ref: Follow(follower=watching.ref, execution_id=EXECUTION)}
    assert by_execution == {EXECUTION: {watching.ref: None}}
    house.append(paused(1))
    assert watching.messages()[-1].fact == paused(1)


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


# Archiving ----------------------------------------------------------------------------------------


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
