"""The Journal and its followers: each is told the old, then the new, once and in order."""

from __future__ import annotations

from typing import Any

import pytest

from actors import journal, journal_routes
from actors.follower import Follower
from actors.runtime import Simulation
from messages.control import CaughtUp, Committed, Follow, Unfollow
from messages.facts import ChildIntended, EpochStarted, ExecutionPaused, Fact, TradeBooked
from tests.actors.journal.stage import ID, OTHER, House, Probes, epoch, news, paused, read_of
from tests.factories import EXECUTION, a_closed, a_trade_booked, an_accepted, an_intent
from tests.probe import Probe


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
