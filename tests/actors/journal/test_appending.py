"""The Journal and its writers: what is committed when, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from actors import journal
from actors.journal import CommitTimes
from actors.runtime import Simulation
from messages.control import CaughtUp, ClaimBroken, Committed, JournalFailed, Ping, Pong, StoreFailed, Unfollow
from messages.facts import ChildIntended, ExecutionStarted
from messages.ids import child_id
from tests.actors.journal.stage import ID, OTHER, House, Probes, epoch, news, paused
from tests.factories import EXECUTION, NOW, a_planned, a_trade_booked, an_accepted, an_acknowledged, an_intent


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
