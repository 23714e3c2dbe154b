"""An ExchangeActor that is ready, and one whose journal waits."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from tests.actors.exchange.stage import EXECUTION_FACTS, World, connected


@pytest.fixture
def world(simulation: Simulation) -> World:
    """One that is ready, with the execution accepted and planned."""
    return connected(simulation, *EXECUTION_FACTS)


@pytest.fixture
def held(world: World) -> World:
    """One whose journal commits nothing until released."""
    world.journal.held = True
    return world
