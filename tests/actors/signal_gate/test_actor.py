from __future__ import annotations

import queue
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pykka
import pytest

from actors.runtime import EPOCH, Pool, Simulation
from actors.signal_gate.actor import SignalGate
from actors.signal_gate.dedup import DedupSettings
from messages.control import ExecutionGivenUp, Ping, Pong, Readiness, ReadinessChanged, RecoverExecutions
from messages.execution import CancelExecution, CommandAnswer, PauseExecution
from messages.facts import (
    ExecutionAmended,
    ExecutionQuarantined,
    NonceUsed,
    SignalAccepted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    signal_key,
)
from messages.ids import execution_id
from messages.market import BalancesChanged, QuoteLost, RulesChanged
from messages.signal import NonceAnswer, Reason, Side, SignalReceived, Status, UseNonce, Verdict
from tests.actors.signal_gate.house import READY, ROOMY, House, fresh
from tests.factories import EXECUTION, a_closed, a_signal, a_trade_booked, an_accepted, rules
from tests.journal_stub import JOURNAL_ID
from tests.probe import Probe

D = Decimal


@pytest.fixture
def house(simulation: Simulation) -> House:
    return House(simulation)


# Accepting ----------------------------------------------------------------------------------------


def test_an_accepted_signal_is_journalled_with_the_quote_at_arrival_answered_and_started(house: House) -> None:
    house.runtime.run(0.25)
    verdict = house.verdict(fresh())
    fact = house.journal.last(SignalAccepted)
    assert verdict == Verdict(
        status=Status.ACCEPTED, execution_id=fact.execution_id, id="signal-1", label="BTCUSDT_BUY_42000_00:00"
    )
    assert (fact.bid, fact.ask, fact.quote_age_seconds) == (D(41_999), D(42_001), D("0.25"))
    assert fact.accepted_at == EPOCH + timedelta(seconds=0.25)
    assert fact.key == signal_key("test", "signal-1")
    assert fact.execution_id == execution_id(JOURNAL_ID, fact.key, fact.accepted_at)
    started, name, given = house.workers.expect(tuple)
    assert (started, name) == ("started", fact.execution_id)
    assert given["accepted"] is fact
    assert given["rules"] == rules()
    assert set(given) == {"accepted", "rules", "journal", "exchange", "market", "settings"}


@pytest.mark.parametrize(("side", "depth"), [(Side.BUY, D(7)), (Side.SELL, D(3))])
def test_the_depth_of_the_side_that_will_be_taken_is_kept(house: House, side: Side, depth: Decimal) -> None:
    house.quote(depth_bid=D(3), depth_ask=D(7))
    house.verdict(fresh(side=side))
    assert house.journal.last(SignalAccepted).depth == depth


def test_the_reference_price_is_the_signals_or_else_the_mid(house: House) -> None:
    house.verdict(fresh(price=D(41_000)))
    assert house.journal.last(SignalAccepted).reference_price == 41_000
    house.verdict(fresh(id="other", price=None))
    assert house.journal.last(SignalAccepted).reference_price == 42_000


def test_no_verdict_before_the_commit_though_the_execution_s_actor_stands_by(house: House) -> None:
    house.journal.held = True
    house.send(fresh())
    house.workers.expect(tuple)
    house.sender.expect_none(within=60)
    house.journal.release()
    house.sender.expect(Verdict)
    house.workers.expect_none(within=60)


def test_two_signals_in_one_microsecond_get_two_execution_ids_and_two_moments(house: House) -> None:
    one, two = house.verdict(fresh(id=None)), house.verdict(fresh(id=None, price=D(50_000)))
    first, second = house.journal.of(SignalAccepted)
    assert second.accepted_at - first.accepted_at == timedelta(microseconds=1)
    assert one.execution_id != two.execution_id


def test_any_actor_can_send_a_signal_also_a_plain_pykka_one_on_the_real_pool() -> None:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()

    class Strategy(pykka.ThreadingActor):
        def __init__(self, gate: pykka.ActorRef[SignalGate]) -> None:
            super().__init__()
            self.gate = gate

        def on_receive(self, message: Any) -> None:
            if isinstance(message, Verdict):
                verdicts.put(message)
            else:
                self.gate.tell(SignalReceived(message, reply_to=self.actor_ref))

    with Pool(2) as pool:
        house = House(pool)
        strategy = Strategy.start(house.gate)
        strategy.tell(fresh())
        strategy.tell(fresh())
        assert verdicts.get(timeout=5).status is Status.ACCEPTED
        assert verdicts.get(timeout=5).status is Status.DUPLICATE
        strategy.stop()


def test_a_duplicate_says_how_the_execution_stands(simulation: Simulation) -> None:
    house = House(simulation)
    of = house.verdict(fresh()).execution_id or ""

    def stands() -> str:
        return (house.verdict(fresh()).detail or "").partition("; its execution ")[2]

    assert stands() == "is under way, 0 of 0.5 filled"
    house.journal.commit(a_trade_booked(execution_id=of))
    assert stands() == "is under way, 0.1 of 0.5 filled"
    house.journal.commit(ExecutionQuarantined(execution_id=of, detail="failed"))
    assert stands() == "is quarantined, 0.1 of 0.5 filled"
    house.journal.commit(a_closed(execution_id=of, reason="SPREAD_TOO_WIDE"))
    assert stands() == "is closed: SPREAD_TOO_WIDE"
    house.actor()._closed.clear()
    assert stands() == "is closed"


# Duplicates and conflicts -------------------------------------------------------------------------


def test_a_repeat_is_a_duplicate_that_names_the_execution_and_when_it_was_first_seen(house: House) -> None:
    first = house.verdict(fresh())
    again = house.verdict(fresh())
    accepted = house.journal.last(SignalAccepted)
    assert again.status is Status.DUPLICATE
    assert again.reason is Reason.DUPLICATE
    assert again.duplicate_of == first.execution_id
    assert again.first_seen == accepted.accepted_at
    assert again.execution_id is None
    assert house.journal.last(SignalDuplicate).by == "id"
    assert len(house.journal.of(SignalAccepted)) == 1


def test_42150_then_42149_without_an_id_is_a_duplicate(house: House) -> None:
    house.verdict(fresh(id=None, price=D("42150.0")))
    assert house.verdict(fresh(id=None, price=D("42149.0"))).status is Status.DUPLICATE
    assert house.journal.last(SignalDuplicate).by == "fingerprint"


def test_the_label_is_as_people_read_it(simulation: Simulation) -> None:
    house = House(simulation)
    at = EPOCH + timedelta(hours=17, minutes=3, seconds=22)
    simulation.run((at - EPOCH).total_seconds())
    house.quote(42_150, 42_151)
    verdict = house.verdict(fresh(id=None, price=D("42150.75"), timestamp=at))
    assert verdict.label == "BTCUSDT_BUY_42151_17:00"


def test_an_id_with_other_content_is_a_conflict(house: House) -> None:
    first = house.verdict(fresh())
    verdict = house.verdict(fresh(quantity=D("0.6")))
    assert (verdict.status, verdict.reason) == (Status.CONFLICT, Reason.CONFLICT)
    assert verdict.duplicate_of == first.execution_id
    assert "quantity" in (verdict.detail or "")
    assert house.journal.last(SignalConflict).differing == ("quantity",)


def test_a_twin_that_comes_while_the_first_is_being_committed_waits_for_it(house: House) -> None:
    house.journal.held = True
    for _ in range(4):
        house.send(fresh())
    house.sender.expect_none(within=1)
    house.journal.release()
    verdicts = [house.sender.expect(Verdict).status for _ in range(4)]
    assert verdicts.count(Status.ACCEPTED) == 1
    assert verdicts.count(Status.DUPLICATE) == 3
    assert verdicts[0] is Status.ACCEPTED


def test_the_first_repeat_is_journalled_at_once_and_further_ones_together_later(house: House) -> None:
    house.verdict(fresh())
    house.verdict(fresh())
    assert [fact.count for fact in house.journal.of(SignalDuplicate)] == [1]
    house.journal.held = True
    for _ in range(5):
        assert house.verdict(fresh(tag="late")).status is Status.DUPLICATE
    house.journal.release()
    house.runtime.run(11)
    facts = house.journal.of(SignalDuplicate)
    assert [fact.count for fact in facts] == [1, 5]
    assert facts[-1].signal.tag == "late"
    house.runtime.run(60)
    house.quote()
    house.verdict(fresh())
    assert [fact.count for fact in house.journal.of(SignalDuplicate)] == [1, 5, 1]


def test_one_repeat_alone_is_journalled_once(house: House) -> None:
    house.verdict(fresh())
    house.verdict(fresh())
    house.runtime.run(60)
    assert [fact.count for fact in house.journal.of(SignalDuplicate)] == [1]


def test_repeats_that_are_not_journalled_yet_are_when_the_daemon_drains(house: House) -> None:
    for _ in range(4):
        house.verdict(fresh())
    house.push(ReadinessChanged(Readiness.DRAINING))
    house.runtime.run(0.1)
    assert [fact.count for fact in house.journal.of(SignalDuplicate)] == [1, 2]


def test_a_repeat_that_has_grown_stale_meanwhile_or_can_no_longer_be_paid_is_still_a_duplicate(house: House) -> None:
    house.verdict(fresh(timestamp=EPOCH))
    house.push(BalancesChanged(free=()), QuoteLost(symbol="BTCUSDT"))
    house.runtime.run(3_600)
    assert house.verdict(fresh(timestamp=EPOCH)).status is Status.DUPLICATE


def test_a_near_price_without_a_quote_is_a_duplicate_but_nonsense_near_it_has_its_own_reason(house: House) -> None:
    house.verdict(fresh())
    assert house.verdict(fresh(id=None, quantity=D("0.000001"))).reason is Reason.BELOW_MINIMUM
    house.push(QuoteLost(symbol="BTCUSDT"))
    assert house.verdict(fresh(id=None)).status is Status.DUPLICATE


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "XRPUSDT"}, Reason.SYMBOL_NOT_ALLOWED),
        ({"symbol": "ETHUSDT"}, Reason.UNKNOWN_SYMBOL),
        ({"quantity": D("0.00001")}, Reason.BELOW_MINIMUM),
        ({"quantity": D(100_000)}, Reason.ABOVE_LIMIT),
        ({"quantity": D(1_000)}, Reason.INSUFFICIENT_BALANCE),
        ({"timestamp": EPOCH - timedelta(hours=1)}, Reason.STALE),
        ({"timestamp": EPOCH + timedelta(hours=1)}, Reason.FROM_THE_FUTURE),
    ],
)
def test_a_refusal_is_journalled_before_it_is_said_and_uses_up_no_id(
    house: House, changes: dict[str, Any], reason: Reason
) -> None:
    house.journal.held = True
    house.send(fresh(**changes))
    house.sender.expect_none()
    house.journal.release()
    verdict = house.sender.expect(Verdict)
    assert (verdict.status, verdict.reason) == (Status.REJECTED, reason)
    assert house.journal.last(SignalRejected).reason == reason.value
    house.quote()
    assert house.verdict(fresh()).status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": D("NaN")}, Reason.NOT_FINITE),
        ({"quantity": D(-1)}, Reason.MALFORMED),
        ({"id": 5}, Reason.MALFORMED),
    ],
)
def test_nonsense_is_answered_at_once_and_not_journalled(house: House, changes: dict[str, Any], reason: Reason) -> None:
    house.journal.held = True
    verdict = house.verdict(fresh(**changes))
    assert (verdict.status, verdict.reason) == (Status.REJECTED, reason)
    house.journal.release()
    assert house.journal.facts == []


def test_too_many_executions_are_answered_at_once_and_not_journalled(simulation: Simulation) -> None:
    house = House(simulation, settings=replace(ROOMY, max_executions=1))
    house.verdict(fresh())
    assert house.verdict(fresh(id="other")).reason is Reason.TOO_MANY
    assert house.journal.of(SignalRejected) == []


def test_no_price_when_the_quote_is_lost_old_or_was_never_there(simulation: Simulation) -> None:
    house = House(simulation)
    house.push(QuoteLost(symbol="BTCUSDT"))
    assert house.verdict(fresh()).reason is Reason.NO_PRICE
    house.quote()
    simulation.run(6)
    assert house.verdict(fresh()).reason is Reason.NO_PRICE
    house.quote()
    assert house.verdict(fresh()).status is Status.ACCEPTED


def test_signals_are_bounded_while_the_journal_does_not_keep_up(simulation: Simulation) -> None:
    house = House(simulation, settings=replace(ROOMY, max_waiting=2))
    house.journal.held = True
    house.send(fresh(id="a"))
    house.send(fresh(id="b"))
    simulation.run(0.1)
    verdict = house.verdict(fresh(id="c"))
    assert (verdict.reason, verdict.detail) == (Reason.NOT_READY, "2 verdicts wait for the journal")
    house.journal.release()
    assert house.sender.expect(Verdict).status is Status.ACCEPTED
    assert house.sender.expect(Verdict).status is Status.ACCEPTED


def test_a_journal_that_does_not_answer_in_time_makes_the_gate_say_not_ready(simulation: Simulation) -> None:
    house = House(simulation)
    house.journal.held = True
    house.send(fresh(id="a"))
    simulation.run(1.9)
    house.quote()
    house.send(fresh(id="b"))
    house.sender.expect_none(within=0.2)
    assert house.verdict(fresh(id="c")).reason is Reason.NOT_READY
    assert house.verdict(fresh(id="a")).reason is Reason.NOT_READY
    house.journal.release()
    assert {house.sender.expect(Verdict).id for _ in range(2)} == {"a", "b"}
    assert house.verdict(fresh(id="a")).status is Status.DUPLICATE


def test_a_sender_above_its_rate_is_too_many_and_the_others_are_not(simulation: Simulation) -> None:
    settings = replace(ROOMY, max_signals_per_second_per_sender=D(2), signal_burst_seconds=D(1))
    house = House(simulation, settings=settings)
    statuses = [house.verdict(fresh(id=str(number))).status for number in range(3)]
    assert statuses == [Status.ACCEPTED, Status.ACCEPTED, Status.REJECTED]
    verdict = house.verdict(fresh(id="0"))
    assert (verdict.reason, verdict.detail) == (Reason.TOO_MANY, "test sends more than 2 signals a second")
    assert house.verdict(fresh(id="0", source="another")).status is Status.ACCEPTED
    before = len(house.journal.facts)
    house.verdict(fresh(id="3"))
    assert len(house.journal.facts) == before
    simulation.run(0.5)
    assert house.verdict(fresh(id="3")).status is Status.ACCEPTED


def test_all_senders_together_are_bounded_too(simulation: Simulation) -> None:
    house = House(simulation, settings=replace(ROOMY, max_signals_per_second=D(1), signal_burst_seconds=D(2)))
    statuses = [house.verdict(fresh(source=name)).status for name in "abc"]
    assert statuses == [Status.ACCEPTED, Status.ACCEPTED, Status.REJECTED]
    assert house.verdict(fresh(source=5)).reason is Reason.TOO_MANY


def test_a_nonce_is_used_up_once_durably_and_over_a_restart(simulation: Simulation) -> None:
    house = House(simulation)
    until = EPOCH + timedelta(seconds=60)

    def asked(at: House, nonce: str) -> str:
        at.push(UseNonce(sender="desk", nonce=nonce, until=until, reply_to=at.sender.ref))
        return at.sender.expect(NonceAnswer).state

    house.journal.held = True
    house.push(UseNonce(sender="desk", nonce="n1", until=until, reply_to=house.sender.ref))
    house.push(UseNonce(sender="desk", nonce="n1", until=until, reply_to=house.sender.ref))
    assert house.sender.expect(NonceAnswer).state == "used"
    house.sender.expect_none(within=1)
    house.journal.release()
    assert house.sender.expect(NonceAnswer) == NonceAnswer(sender="desk", nonce="n1", state="fresh")
    assert house.journal.last(NonceUsed) == NonceUsed(sender="desk", nonce="n1", until=until)

    after = House(simulation, *house.journal.facts)
    assert asked(after, "n1") == "used"
    assert asked(after, "n2") == "fresh"
    after.push(ReadinessChanged(Readiness.HALTED))
    assert asked(after, "n3") == "not_ready"
    assert len(after.journal.of(NonceUsed)) == 2


def test_a_gate_that_is_not_ready_says_so_at_once(simulation: Simulation) -> None:
    house = House(simulation, ready=False)
    verdict = house.verdict(fresh())
    assert (verdict.reason, verdict.detail) == (Reason.NOT_READY, "the daemon is STARTING")
    house.push(READY, RulesChanged(rules=rules()))
    house.quote()
    assert house.verdict(fresh()).detail == "the balances are not known yet"
    house.push_all()
    assert house.verdict(fresh()).status is Status.ACCEPTED
    house.push(ReadinessChanged(Readiness.HALTED, "MANUAL: by hand"))
    verdict = house.verdict(fresh())
    assert (verdict.reason, verdict.detail) == (Reason.HALTED, "MANUAL: by hand")
    house.push(ReadinessChanged(Readiness.DRAINING))
    assert house.verdict(fresh()).reason is Reason.NOT_READY
    assert len(house.journal.facts) == 1


def test_verdicts_are_counted_by_status_and_reason(house: House) -> None:
    house.verdict(fresh())
    house.verdict(fresh())
    house.verdict(fresh(quantity=D(-1)))
    assert house.actor().counts == {"accepted": 1, "duplicate": 1, "rejected:MALFORMED": 1}


def test_a_sender_that_has_gone_does_no_harm(house: House) -> None:
    gone = Probe(house.runtime)
    gone.ref.stop()
    house.gate.tell(SignalReceived(fresh(), reply_to=gone.ref))
    assert house.verdict(fresh()).status is Status.DUPLICATE


# Restart ------------------------------------------------------------------------------------------


def test_after_a_restart_the_same_signal_is_still_a_duplicate(simulation: Simulation) -> None:
    first = House(simulation)
    verdict = first.verdict(fresh())
    second = House(simulation, *first.journal.facts)
    assert second.verdict(fresh()).duplicate_of == verdict.execution_id
    assert second.verdict(fresh(quantity=D(1))).status is Status.CONFLICT


def test_recovery_starts_what_is_open_and_neither_closed_nor_quarantined(simulation: Simulation) -> None:
    accepted = [an_accepted(execution_id=f"execution{n}", key=f"k{n}", signal=a_signal(id=str(n))) for n in range(4)]
    house = House(
        simulation,
        *accepted,
        a_closed(execution_id="execution1"),
        ExecutionQuarantined(execution_id="execution2", detail="x"),
    )
    house.workers.expect_none()
    house.push(RecoverExecutions(("execution2",)))
    started = {house.workers.expect(tuple)[1] for _ in range(2)}
    assert started == {"execution0", "execution3"}
    house.push(RecoverExecutions())
    house.workers.expect_none()


def test_an_execution_whose_rules_are_not_known_yet_starts_when_they_are(simulation: Simulation) -> None:
    house = House(simulation, an_accepted(), ready=False)
    house.push(RecoverExecutions())
    house.workers.expect_none()
    house.push(RulesChanged(rules=rules(symbol="ETHUSDT")))
    house.workers.expect_none()
    house.push(RulesChanged(rules=rules()))
    assert house.workers.expect(tuple)[1] == EXECUTION


def test_recovery_does_not_start_once_more_what_is_still_being_committed(house: House) -> None:
    house.journal.held = True
    house.send(fresh())
    house.push(RecoverExecutions())
    house.workers.expect(tuple)
    house.journal.release()
    house.workers.expect_none()


def test_limits_hold_over_a_restart(simulation: Simulation) -> None:
    house = House(
        simulation,
        an_accepted(),
        a_trade_booked(),
        ExecutionAmended(execution_id=EXECUTION, quantity=D("0.4")),
        settings=replace(ROOMY, max_executions=1),
    )
    assert house.verdict(fresh(id="new")).reason is Reason.TOO_MANY
    house.journal.commit(a_closed())
    assert house.verdict(fresh(id="new")).status is Status.ACCEPTED


def test_a_key_freed_by_a_close_without_a_child_can_be_used_again(simulation: Simulation) -> None:
    house = House(simulation)
    first = house.verdict(fresh())
    accepted = house.journal.last(SignalAccepted)
    house.journal.commit(a_closed(execution_id=accepted.execution_id, key=accepted.key, children=0))
    second = house.verdict(fresh())
    assert second.status is Status.ACCEPTED
    assert second.execution_id != first.execution_id


# Children -----------------------------------------------------------------------------------------


def child_of(house: House, execution: str) -> Any:
    return house.actor().children[execution]


def test_an_execution_that_fails_is_started_again_twice_and_given_up_after_its_third_failure(house: House) -> None:
    of = house.verdict(fresh()).execution_id or ""
    house.workers.expect(tuple)
    for _ in range(2):
        child_of(house, of).tell("fail")
        assert house.workers.expect(tuple)[:2] == ("started", of)
    child_of(house, of).tell("fail")
    house.parent.expect(ExecutionGivenUp(of, "ArithmeticError: of a worker"))
    house.workers.expect_none()
    house.parent.expect_failures(3)
    answer = command(house, of)
    assert (answer.done, answer.detail) == (False, "quarantined")


def test_an_execution_that_cannot_even_be_made_is_given_up_and_the_gate_lives_on(house: House) -> None:
    house.worker.broken = True
    of = house.verdict(fresh()).execution_id or ""
    house.parent.expect(ExecutionGivenUp(of, "ValueError: cannot be made"))
    house.worker.broken = False
    assert house.verdict(fresh(id="other")).status is Status.ACCEPTED
    house.workers.expect(tuple)


def command(house: House, execution: str) -> CommandAnswer:
    house.push(CancelExecution(execution_id=execution, reply_to=house.sender.ref))
    return house.sender.expect(CommandAnswer)


def test_commands_are_handed_to_the_execution_or_answered_why_not(house: House) -> None:
    of = house.verdict(fresh()).execution_id or ""
    house.workers.expect(tuple)
    pause = PauseExecution(execution_id=of, reply_to=house.sender.ref)
    house.push(pause)
    assert house.workers.expect(tuple) == (of, pause)
    child_of(house, of).tell("stop")
    house.workers.expect(tuple)
    house.runtime.run(0.1)
    accepted = house.journal.last(SignalAccepted)
    house.journal.commit(a_closed(execution_id=of, key=accepted.key))
    assert command(house, of) == CommandAnswer(execution_id=of, done=False, detail="closed")
    assert command(house, "nonsense").detail == "no such execution"


def test_a_command_to_an_execution_that_has_just_died_is_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = house.verdict(fresh()).execution_id or ""
    house.workers.expect(tuple)
    monkeypatch.setattr(house.actor(), "child_ended", lambda _: None)
    child_of(house, of).stop()
    assert command(house, of) == CommandAnswer(execution_id=of, done=False, detail="not started yet")


def test_closed_executions_are_remembered_only_so_long(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.signal_gate.actor.REMEMBERED_CLOSED", 2)
    house = House(simulation, *(a_closed(execution_id=f"execution{number}") for number in range(3)))
    assert command(house, "execution0").detail == "no such execution"
    assert command(house, "execution2").detail == "closed"


def test_a_ping_is_answered(house: House) -> None:
    house.push(Ping(house.sender.ref))
    house.sender.expect(Pong("signal_gate"))


def test_with_always_the_fingerprint_counts_for_signals_with_ids_too(simulation: Simulation) -> None:
    house = House(simulation, settings=replace(ROOMY, dedup=DedupSettings(fingerprint="always")))
    house.verdict(fresh())
    assert house.verdict(fresh(id="other")).status is Status.DUPLICATE


def test_new_rules_are_passed_on_to_the_executions_of_their_symbol(simulation: Simulation) -> None:
    house = House(simulation)
    of = house.verdict(fresh()).execution_id
    simulation.run(0.0)
    house.workers.messages()
    changed = RulesChanged(rules=rules(step=D("0.001")))
    house.push(changed, RulesChanged(rules=rules(symbol="ETHUSDT", base="ETH")))
    simulation.run(0.0)
    assert house.workers.messages() == [(of, changed)]
