"""A killed daemon and its restart: at every message of an execution, and at random ones of many.

Nothing is doubled and nothing lost, and all comes to the end to which it would have come undisturbed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from actors.runtime import Simulation
from adapters.paper.venue import LatencySettings
from adapters.scenarios import drawn
from adapters.simulation import NotConverged, parse_export, stamped
from tests.simulation.whole import D, Stage, by_hand

BODY = {
    "id": "x",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.5",
    "twap": {"num_chunks": 3, "interval_seconds": 4},
}
LONG = 300.0
EVERY_MESSAGE = bool(os.environ.get("TIDEGATE_STEPS"))
DOWN_SECONDS = (0.0, 4.0, 15.0)


def restarted(stage: Stage, after: float) -> None:
    """Start again on the same store, so long after the crash."""
    stage.world.store.reopen()
    stage.run(after)
    stage.start()


def crashed_again(stage: Stage, crashes: int) -> bool:
    """Whether the daemon has been killed once more."""
    return stage.world.daemon_node.crashes > crashes


def everything_known(stage: Stage) -> bool:
    """Whether the fate of every child is known."""
    kinds = stage.kinds()
    ends = sum(kinds.count(kind) for kind in ("ChildClosed", "ChildRefused", "ChildNotSent", "ChildAbsent"))
    return kinds.count("ChildIntended") == ends


def ends_whole(stage: Stage) -> None:
    """What is known to the end has filled all, and each sender's repeat is told so."""
    assert stage.sim.run_until(lambda: not stage.world.news.open, LONG)
    verdict = stage.buy(**BODY).verdict  # type: ignore[arg-type]
    assert verdict is not None
    assert verdict.status == "duplicate"
    lines = parse_export(stage.world.export())
    (closed,) = [line for line in lines if line["type"] == "ExecutionClosed"]
    assert D(closed["report"]["total_filled"]) == D("0.5")
    by_hand(lines, stage.world.exchange.truth(), ())


def crashed_at(simulation: Simulation, message: int, *, again_at: int | None = None) -> Stage | None:
    """One execution whose daemon is killed right after its n-th message, and maybe once more after the start.

    None if it had ended before.
    """
    stage = Stage(simulation, latency=LatencySettings(), check_codec=False).start()
    node = stage.world.daemon_node
    node.crash_at(node.handled + message)
    stage.world.send(BODY)
    simulation.run_until(lambda: node.crashes == 1 or stage.count("ExecutionClosed") == 1, 60.0)
    if not node.crashes:
        return None
    if again_at is not None:
        node.crash_at(node.handled + again_at)
        with suppress(NotConverged):  # It may not even come up.
            restarted(stage, DOWN_SECONDS[again_at % 3])
        simulation.run_until(lambda: node.crashes == 2 or stage.count("ExecutionClosed") == 1, 60.0)
        node.calm()
    if again_at is None or node.crashes == 2:
        restarted(stage, DOWN_SECONDS[message % 3])
    stage.world.send(BODY, "again")  # The sender that got no answer asks again.
    stage.run(1.0)
    simulation.run_until(lambda: not stage.world.news.open, LONG)
    return stage


def judge(stage: Stage) -> None:
    """Check what must hold, and that nothing is unknown and all was filled."""
    assert everything_known(stage), "something is still unknown"
    ends_whole(stage)
    assert stage.world.stop().exit_code == 0
    stage.check_safety()


@pytest.mark.timeout(600)
def test_a_crash_at_any_message_of_an_execution_ends_where_an_undisturbed_run_would() -> None:
    """Every third message; in `make soak` each, and each step to the world (test_every_step.py)."""
    for message in count(1, 1 if EVERY_MESSAGE else 3):
        with Simulation(message) as simulation:
            stage = crashed_at(simulation, message)
            if stage is None:
                break
            judge(stage)
    assert message > 150, "the execution was too short to be worth a crash"


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=60)
def test_a_crash_while_it_recovers_from_a_crash(seed: int) -> None:
    with Simulation(seed) as simulation:
        chance = simulation.stream("test")
        stage = crashed_at(simulation, chance.randint(1, 200), again_at=chance.randint(1, 120))
        if stage is not None:
            judge(stage)


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=40)
def test_crashes_at_random_messages_of_drawn_signals_break_no_promise(seed: int) -> None:
    with Simulation(seed) as simulation:
        stage = Stage(simulation, latency=LatencySettings(), check_codec=False).start()
        chance, began, node = simulation.stream("test"), simulation.now(), stage.world.daemon_node
        for timed in drawn(seed).signals:
            stage.run(max(0.0, began + timed.at - simulation.now()))
            crashes = node.crashes
            if chance.random() < 0.5:
                node.crash_at(node.handled + chance.randint(1, 80))
            stage.world.send(stamped(timed, simulation))
            simulation.run_until(partial(crashed_again, stage, crashes), chance.uniform(0.0, 10.0))
            node.calm()
            if node.crashes > crashes:
                restarted(stage, chance.uniform(0.0, 20.0))
        assert simulation.run_until(lambda: not stage.world.news.open, LONG), "something is still open"
        assert everything_known(stage)
        assert stage.world.stop().exit_code == 0
        stage.check_safety()
