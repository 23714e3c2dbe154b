"""A paper venue on a book set by hand."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from tests.adapters.paper.venue_stage import Venue


@pytest.fixture
def venue(simulation: Simulation) -> Venue:
    return Venue(simulation)
