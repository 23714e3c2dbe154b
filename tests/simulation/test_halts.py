"""Halts that come by themselves, on the whole daemon: said once, kept over a restart."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.daemon import Daemon
from actors.exchange.actor import ExchangeActor
from actors.order_watcher.actor import OrderWatcher
from actors.runtime import Actor, Simulation
from actors.signal_gate.actor import SignalGate
from adapters.paper.faults import Fault, FaultKind
from adapters.unsaid import Unsaid
from messages.control import Committed, HaltTrading, InvariantBroken, Readiness, ShutDown
from messages.facts import ChildAbsent
from messages.order import ProbeStream
from messages.signal import Reason
from run import start_daemon
from tests.simulation.whole import D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}


def actor_ref(kind: type[Actor]) -> pykka.ActorRef[Any]:
    return pykka.ActorRegistry.get_by_class(kind)[0]


def halted(stage: Stage, reason: str) -> None:
    """It is halted, said once, and stays so over a restart until a person lifts it."""
    assert [line["reason"] for line in stage.lines("TradingHalted")] == [reason]
    assert [line["kind"] for line in stage.lines("AlertRaised")].count("halt") == 1
    sent = len(stage.requests())
    stage.run(40.0)
    verdict = stage.buy("0.3", price="43000").verdict
    assert verdict is not None
    assert verdict.reason is Reason.HALTED
    assert len(stage.requests()) == sent


@pytest.mark.parametrize(("code", "reason"), [(-2015, "KEY_REVOKED"), (-2014, "KEY_REVOKED"), (-1022, "BAD_SIGNATURE")])
def test_a_refusal_of_ourselves_halts_and_the_halt_survives_a_restart(
    simulation: Simulation, code: int, reason: str
) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.REFUSE, nth=(2,), code=code, message="no")).start()
    stage.accepted("0.5", twap=FIVE)
    stage.until("TradingHalted")
    stage.run(1.0)
    halted(stage, reason)
    stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED
    halted(stage, reason)


def test_a_broken_promise_halts_before_the_process_ends_and_the_next_start_is_halted(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed")
    child = stage.lines("ChildClosed")[0]
    lie = ChildAbsent(
        execution_id=child["execution_id"], client_order_id=child["client_order_id"], symbol="BTCUSDT", proof="none"
    )
    actor_ref(OrderWatcher).tell(Committed(10_000, simulation.wall_time(), lie))
    stage.run(1.0)
    assert stage.world.news.ended is not None
    assert stage.world.news.ended.exit_code == 70
    (failure,) = simulation.claim_failures()
    assert isinstance(failure.error, InvariantBroken)
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED
    halted(stage, "INVARIANT")


def test_the_door_itself_may_break_a_promise(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: ExchangeActor, message: ProbeStream) -> None:
        raise InvariantBroken(f"of a test: {message}")

    monkeypatch.setattr(ExchangeActor, "_probe", broken)
    stage = Stage(simulation).start()
    for probe in range(2):
        actor_ref(ExchangeActor).tell(ProbeStream(probe=probe))
        stage.run(3.0)
        assert stage.world.news.ended is not None
        assert stage.world.news.ended.exit_code == 70
        assert len(simulation.claim_failures()) == 1
        stage.start()
    halted(stage, "INVARIANT")


@pytest.mark.parametrize("end", [SignalGate, Daemon, ShutDown])
def test_a_promise_that_is_broken_while_the_process_ends_for_a_lesser_reason_halts_all_the_same(
    end: type[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: ExchangeActor, message: ProbeStream) -> None:
        raise InvariantBroken(f"of a test: {message}")

    monkeypatch.setattr(ExchangeActor, "_probe", broken)
    came = 0
    for handled in range(16):
        with Simulation(handled) as simulation:
            stage = Stage(simulation, check_codec=False).start()
            exchange, unsaid = actor_ref(ExchangeActor), Unsaid(tmp_path)
            if end is ShutDown:
                stage.world.daemon.tell(ShutDown("asked to"))
            else:
                actor_ref(end).tell("what is this?")
            stage.handle(handled)
            with suppress(pykka.ActorDeadError):
                exchange.tell(ProbeStream(probe=1))
            stage.run(3.0)
            if any(isinstance(failure.error, InvariantBroken) for failure in simulation.claim_failures()):
                came += 1
                ended = stage.world.news.ended
                assert ended is not None
                assert ended.exit_code == 70, f"after {handled} messages"
                unsaid.keep(ended)
                stage.world.start_daemon = partial(start_daemon, broken_before=Unsaid(tmp_path).broken)
                stage.start()
                halted(stage, "INVARIANT")
            unsaid.forget()
    assert came


def test_timestamps_that_are_refused_are_tried_again_with_the_venues_new_time(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.run(5.0)
    stage.world.exchange.set_skew(-3_000_000)  # From now on, what we send is of the future.
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert [(child.slice, child.attempt) for child in report.orders][:2] == [(0, 0), (0, 1)]
    assert report.orders[0].failure_reason is not None
    assert report.orders[0].failure_reason.startswith("-1021")
    assert report.total_filled == D("0.5")
    assert stage.count("TradingHalted") == 0


def test_a_halt_by_hand_outlasts_a_ban_also_over_a_restart(simulation: Simulation) -> None:
    """It came while the venue had banned us, which ends by itself; what a person asked for does not."""
    stage = Stage(simulation).start()
    assert stage.world.news.up is not None
    exchange = stage.world.news.up.exchange
    exchange.tell(HaltTrading(reason="BANNED", detail="418"))
    exchange.tell(HaltTrading(reason="MANUAL", detail="a look"))
    stage.run(1.0)
    stage.world.crash()
    stage.world.store.reopen()
    stage.start()
    stage.run(120.0)
    assert stage.count("TradingResumed") == 0
    assert [line["reason"] for line in stage.lines("TradingHalted")] == ["BANNED", "MANUAL"]
