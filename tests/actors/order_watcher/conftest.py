"""OrderWatchers to begin with: one that knows no order, of one just sent, of one in the book."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from messages.order import Acknowledged
from tests.actors.order_watcher.stage import World, ready, started
from tests.factories import CHILD
from tests.order_tools import an_order


@pytest.fixture
def world(simulation: Simulation) -> World:
    """One that is ready, and knows of no order."""
    return ready(started(simulation))


@pytest.fixture
def sent(world: World) -> World:
    """One that knows of one IOC order, just sent."""
    world.intend()
    return world


@pytest.fixture
def resting(world: World) -> World:
    """One that knows of one GTC order, which is in the book."""
    world.intend(time_in_force="GTC")
    world.tell(Acknowledged(client_order_id=CHILD, order=an_order("NEW")))
    return world
