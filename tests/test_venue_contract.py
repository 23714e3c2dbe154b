"""The venues keep to the one contract: the paper exchange in this process, and over the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.runtime import Simulation
from tests.adapters.binance.worlds import InProcess, wired
from tests.venue_contract import *  # noqa: F403 - the tests
from tests.venue_contract import World


@pytest.fixture(
    params=[
        pytest.param("in process"),
        pytest.param("over the wire", marks=pytest.mark.wire),
        pytest.param("over REST alone", marks=pytest.mark.wire),
    ]
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Give the same world once for each venue."""
    if request.param == "in process":
        with Simulation(5) as simulation:
            yield InProcess(simulation)
        return
    with wired() as world:
        if request.param == "over REST alone":
            world.stop_orders_socket()
        yield world
