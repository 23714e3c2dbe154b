"""A Journal with nothing in it."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from tests.actors.journal.stage import House, Probes


@pytest.fixture
def house(simulation: Simulation, a_probe: Probes) -> House:
    return House(a_probe)
