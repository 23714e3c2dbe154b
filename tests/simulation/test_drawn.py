"""The whole daemon on many seeds: drawn signals on a drawn market, with latencies and partial fills."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.scenarios import drawn
from adapters.simulation import World, parse_export, simulate
from messages.signal import Status
from tests.simulation.whole import DAEMON, by_hand, check_outcome, of_kind

PRESETS = ("btc", "alt", "thin", "stress")


def paper(seed: int) -> PaperSettings:
    """Another market each seed: every preset, and what is usual for each symbol."""
    preset = (None, *PRESETS)[seed % 5]
    return PaperSettings(markets=MarketChoice(seed=seed, preset=preset))


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=60)
def test_journal_and_exchange_agree_on_every_seed(seed: int) -> None:
    outcome = simulate(drawn(seed), seed, DAEMON, paper=paper(seed), check_codec=seed % 10 == 0)
    check_outcome(outcome)
    accepted = [a for a in outcome.answers if a.verdict is not None and a.verdict.status is Status.ACCEPTED]
    assert len(outcome.closed) == len(accepted) == len(of_kind(outcome.lines, "SignalAccepted"))
    assert all(answer.verdict is not None for answer in outcome.answers)


@pytest.mark.timeout(600)
@pytest.mark.seeds(default=20)
def test_actors_that_stall_change_nothing_that_is_promised(seed: int) -> None:
    with Simulation(seed, stall_probability=0.03, stall_seconds=1.0) as simulation:
        world = World(simulation, DAEMON, paper=paper(seed))
        world.start()
        began = simulation.now()
        for timed in drawn(seed).signals:
            simulation.run(max(0.0, began + timed.at - simulation.now()))
            world.send(timed.body)
        world.settle(3600.0)
        assert world.stop().exit_code == 0
        audit = world.audit()
        assert audit.ok, audit.text()
        by_hand(parse_export(world.export()), world.exchange.truth(), world.answers)
