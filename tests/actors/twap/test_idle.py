"""What a busy market costs an execution that waits: nothing. Counted in messages, in virtual time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from actors.twap.actor import TWAPActor
from messages.execution import PauseExecution
from messages.market import QuoteSeen
from messages.order import PlaceChild
from tests.actors.twap.stage import Stage
from tests.factories import EXECUTION, D
from tests.probe import Probe

TICKS_A_SECOND = 100


class Counted:
    """A stage on a real MarketWatcher, and how many messages its TWAPActor has handled."""

    def __init__(self, simulation: Simulation, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.simulation = simulation
        self.handled: Counter[str] = Counter()
        receive = TWAPActor.on_receive

        def counting(actor: TWAPActor, message: Any) -> None:
            self.handled[type(message).__name__] += 1
            receive(actor, message)

        monkeypatch.setattr(TWAPActor, "on_receive", counting)
        self.market: Any = MarketWatcher.start(
            Probe(simulation, "daemon").ref, "market", venue=Probe(simulation, "venue").ref, settings=MarketSettings()
        )
        self.tick("1")
        simulation.run(0.0)
        self.stage = Stage(simulation, market=self.market, **settings)

    def tick(self, half: str) -> None:
        self.market.tell(
            QuoteSeen(
                symbol="BTCUSDT", bid=D(42_000) - D(half), bid_quantity=D(1), ask=D(42_000) + D(half), ask_quantity=D(1)
            )
        )

    def ticks(self, seconds: float, half: str = "1") -> Counter[str]:
        """Let the market tick for so long; say what the execution had to do meanwhile."""
        self.simulation.run(0.0)
        self.handled.clear()
        for _ in range(round(seconds * TICKS_A_SECOND)):
            self.simulation.run(1 / TICKS_A_SECOND)
            self.tick(half)
        self.simulation.run(0.0)
        return self.handled


def test_between_its_slots_an_execution_hears_of_no_tick(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Counted(simulation, monkeypatch)
    world.stage.fill(world.stage.exchange.expect(PlaceChild, within=0.0))
    assert not world.ticks(29.0)


def test_an_execution_whose_guard_is_waited_for_hears_only_of_the_tick_that_ends_the_wait(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Counted(simulation, monkeypatch)
    world.stage.fill(world.stage.exchange.expect(PlaceChild, within=0.0))
    simulation.run(29.0)
    world.tick("200")
    simulation.run(1.5)
    assert not world.ticks(20.0, "200")
    assert world.ticks(0.01) == {"Awaited": 1}
    world.stage.exchange.expect(PlaceChild, within=0.0)


def test_a_paused_execution_hears_nothing(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Counted(simulation, monkeypatch)
    world.stage.fill(world.stage.exchange.expect(PlaceChild, within=0.0))
    world.stage.actor.tell(PauseExecution(execution_id=EXECUTION, reply_to=world.stage.operator.ref))
    assert not world.ticks(60.0)
