"""A MarketWatcher that has seen nothing yet."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from tests.actors.market_watcher.stage import House


@pytest.fixture
def house(simulation: Simulation) -> House:
    return House(simulation)
