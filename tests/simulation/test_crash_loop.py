"""A critical actor that fails at every start: it is neither tried for ever, nor traded on in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.daemon import Daemon
from actors.exchange.actor import ExchangeActor
from actors.failures import APART_SECONDS, TO_HALT, TO_REFUSE
from actors.journal import Journal
from actors.order_watcher.actor import OrderWatcher
from actors.runtime import Simulation
from actors.signal_gate.actor import SignalGate
from adapters.unsaid import Unsaid
from messages.control import InvariantBroken, Readiness, ResumeTrading, ShutDown
from messages.facts import SignalAccepted
from messages.order import PlaceChild
from run import start_daemon
from tests.simulation.test_alert_episodes import said
from tests.simulation.test_halts import actor_ref
from tests.simulation.whole import D, Ear, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def poison(kind: type[Any], patch: pytest.MonkeyPatch, heeds: Callable[[Any], bool], error: Exception) -> None:
    """Let an actor fail of certain messages, whenever they come."""
    healthy = kind.on_receive

    def poisoned(self: Any, message: Any) -> Any:
        if heeds(getattr(message, "fact", message)):
            raise error
        return healthy(self, message)

    patch.setattr(kind, "on_receive", poisoned)


def start_again(stage: Stage, most: int = 20) -> list[int]:
    """Do as a service manager: start whatever ends with an error, but 76; return the codes. A life is five minutes."""
    codes: list[int] = []
    while len(codes) < most:
        stage.world.crash()
        stage.world.launch()
        stage.sim.run_until(lambda: stage.world.news.ended is not None, 300.0)
        stage.sim.claim_failures()
        if stage.world.news.ended is None:
            break
        codes.append(stage.world.news.ended.exit_code)
        if codes[-1] == 76:
            break
    return codes


@pytest.mark.parametrize("error", [RuntimeError("of a test"), InvariantBroken("of a test")], ids=["bug", "invariant"])
@pytest.mark.parametrize("kind", [SignalGate, ExchangeActor, OrderWatcher])
def test_a_fact_on_which_an_actor_fails_at_every_start_ends_in_a_refusal_and_sends_nothing(
    simulation: Simulation, kind: type[Any], error: Exception
) -> None:
    told: list[Any] = []

    class Sink:
        def tell(self, alert: Any, /) -> None:
            told.append(alert)

    stage = Stage(simulation)
    stage.world.start_daemon = partial(start_daemon, alerts=Sink())
    stage.start()
    poisoned = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    stage.run(1.0)
    sent = len(stage.requests())
    with pytest.MonkeyPatch.context() as patch:
        poison(kind, patch, lambda fact: getattr(fact, "execution_id", "") == poisoned, error)
        codes = start_again(stage)
    each = 70 if isinstance(error, InvariantBroken) else 1
    assert codes == [each] * TO_REFUSE + [76]
    assert len(stage.requests()) == sent
    assert [line["in_a_row"] for line in stage.lines("PartFailed")] == [*range(1, TO_REFUSE + 1)]
    assert said(stage, "start_refused") == ["AlertRaised"]
    assert [alert.kind for alert in told].count("start_refused") == 1
    assert said(stage, "part_failed") == ([] if each == 70 else ["AlertRaised"]), "a halt tells of a broken promise"
    reason = "INVARIANT" if each == 70 else "CRASH_LOOP"
    assert [line["reason"] for line in stage.lines("TradingHalted")] == [reason]
    # A person has mended it, and starts it.
    stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED
    stage.run(30.0)
    assert said(stage, "start_refused") == ["AlertRaised"]
    assert len(stage.requests()) == sent
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading())
    stage.report(poisoned)
    stage.check_safety()


def places_of(*executions: str) -> Callable[[Any], bool]:
    return lambda message: isinstance(message, PlaceChild) and message.execution_id in executions


def test_an_execution_of_which_another_fails_twice_is_quarantined_and_the_others_go_on(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    poisoned = stage.accepted("0.5", id="poisoned", twap=FIVE)
    other = stage.accepted("0.5", id="other", price="43000", twap=FIVE)
    stage.until("ChildClosed", 2)
    with pytest.MonkeyPatch.context() as patch:
        poison(ExchangeActor, patch, places_of(poisoned), KeyError("x"))
        simulation.run_until(lambda: stage.world.news.ended is not None, 60.0)
        simulation.claim_failures()
        assert start_again(stage) == [1]
        assert stage.world.news.readiness is Readiness.READY
        assert stage.report(other).total_filled == D("0.5")
        assert stage.report(poisoned).stop_reason.startswith("QUARANTINED: exchange_actor failed of it, 2 starts in")
    assert [line["execution_id"] for line in stage.lines("ExecutionQuarantined")] == [poisoned]
    stage.check()


def test_what_fails_only_while_it_trades_is_halted_after_the_third_time_and_goes_on_watching(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation).start()
    resting = stage.accepted("0.4", id="resting", twap={"num_chunks": 1, "child": "passive", "interval_seconds": 600})
    stage.until("ChildAcknowledged")
    slowly = {"num_chunks": 5, "interval_seconds": 30}
    first = stage.accepted("0.5", id="first", price="43000", twap=slowly)
    second = stage.accepted("0.5", id="second", price="44000", twap=slowly)
    stage.until("ChildClosed", 2)
    with pytest.MonkeyPatch.context() as patch:
        poison(ExchangeActor, patch, places_of(first, second), KeyError("x"))
        simulation.run_until(lambda: stage.world.news.ended is not None, 60.0)
        simulation.claim_failures()
        codes = start_again(stage)
        assert codes == [1] * (TO_HALT - 1)
        assert stage.world.news.readiness is Readiness.HALTED
        stage.run(120.0)
        assert stage.world.news.ended is None
    assert said(stage, "halt") == ["AlertRaised"]
    assert not [order for order in stage.orders() if order["status"] in {"NEW", "PARTIALLY_FILLED"}]
    stage.check_safety()
    # A person has mended it.
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(ResumeTrading())
    for execution in (first, second, resting):
        stage.report(execution)
    stage.check()


@pytest.mark.parametrize("kind", [Journal, Daemon])
def test_what_the_journal_cannot_count_is_counted_by_the_next_start(
    simulation: Simulation, kind: type[Any], tmp_path: Path
) -> None:
    """The journal's own actor fails, or the root: the process notes that beside the journal, as a house does."""

    def daemon(*places: Any, **fields: Any) -> Any:
        left = Unsaid(tmp_path)
        return start_daemon(*places, **fields, broken_before=left.broken, died_before=left.failed)

    stage = Stage(simulation)
    stage.world.start_daemon = daemon
    for life in range(TO_HALT):
        stage.start()
        Unsaid(tmp_path).forget()
        assert stage.world.news.readiness is Readiness.READY
        stage.accepted("0.5", id=f"{life}", price=f"{43000 + 1000 * life}", twap=FIVE)
        actor_ref(kind).tell("what is this?")
        assert simulation.run_until(lambda: stage.world.news.ended is not None, 10.0)
        simulation.claim_failures()
        assert stage.world.news.ended is not None
        assert stage.world.news.ended.exit_code == 1
        Unsaid(tmp_path).keep(stage.world.news.ended)
        stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED
    assert [line["in_a_row"] for line in stage.lines("PartFailed")] == [*range(1, TO_HALT + 1)]


def test_what_fails_before_the_journal_can_count_it_is_counted_beside_it_and_refused_too(
    simulation: Simulation, tmp_path: Path
) -> None:
    def daemon(*places: Any, **fields: Any) -> Any:
        return start_daemon(*places, **fields, died_before=Unsaid(tmp_path).failed, alerts=Ear(alerts))

    def broken(*_: Any) -> None:
        raise ValueError("of a test")

    stage = Stage(simulation)
    stage.world.start_daemon = daemon
    codes: list[tuple[int, bool]] = []
    alerts: list[Any] = []
    for _ in range(2 * (TO_REFUSE + 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "_follow", broken)
            stage.world.launch()
            assert simulation.run_until(lambda: stage.world.news.ended is not None, 10.0)
        assert stage.world.news.ended is not None
        codes.append((stage.world.news.ended.exit_code, "ValueError: of a test" in stage.world.news.ended.detail))
        Unsaid(tmp_path).keep(stage.world.news.ended)
        simulation.claim_failures()
        stage.world.crash()
    assert codes == [*[(1, True)] * TO_REFUSE, (76, True)] * 2, "a start after that is a person's, and counts anew"
    assert [alert.kind for alert in alerts] == ["start_refused"] * 2
    assert stage.kinds() == []
    stage.start()
    assert stage.world.news.readiness is Readiness.READY


def test_an_adapter_that_breaks_again_and_again_is_counted_like_an_actor(simulation: Simulation) -> None:
    stage = Stage(simulation)
    for _ in range(TO_HALT):
        stage.start()
        assert stage.world.news.readiness is Readiness.READY
        stage.world.daemon.tell(ShutDown("a part of the venue's adapter failed", exit_code=1))
        assert simulation.run_until(lambda: stage.world.news.ended is not None, 60.0)
        assert stage.world.news.ended is not None
        assert (stage.world.news.ended.exit_code, stage.world.news.ended.said) == (1, True)
        stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED


def test_failures_that_are_far_apart_halt_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    for life in range(TO_HALT + 1):
        with pytest.MonkeyPatch.context() as patch:
            poison(SignalGate, patch, lambda fact: isinstance(fact, SignalAccepted), ValueError("of a test"))
            stage.world.send(
                {"id": f"{life}", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "42000"}
            )
            simulation.run_until(lambda: stage.world.news.ended is not None, 60.0)
        simulation.claim_failures()
        stage.run(APART_SECONDS + 1)
        stage.world.crash()
        stage.start()
        assert stage.world.news.readiness is Readiness.READY
    assert [line["in_a_row"] for line in stage.lines("PartFailed")] == [1] * (TO_HALT + 1)
