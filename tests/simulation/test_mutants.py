"""The campaign and its audit find planted bugs: each of them, and on a seed that is clean without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from adapters.campaign.course import endure
from adapters.campaign.weather import Level
from tests.simulation.mutants import MUTANTS, Mutant, caught
from tests.simulation.whole import DAEMON

HINTS = {
    "any_error_is_a_refusal": 22,
    "unknown_is_absent": 1,
    "no_horizon": 81,
    "forgets_a_late_fill": 13,
    "terminal_overwritten": 263,
    "no_reservation": 1,
    "cancel_frees_quantity": 1,
    "resends_after_crash": 18,
    "sends_before_it_journals": 181,
    "ignores_retry_after": 21,
    "ignores_a_halt": 21,
    "verdict_before_commit": 34,
    "dedup_forgets_on_restart": 2,
    "burst_after_a_stall": 3,
    "guard_error_means_fine": 14,
    "no_recovery": 4,
}
"""Where each was found last (0 if not listed): only so that the search is short."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A broken daemon complains a lot."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("one", MUTANTS, ids=lambda one: one.name)
def test_the_campaign_catches_a_daemon_that(one: Mutant) -> None:
    found = caught(one, hint=HINTS.get(one.name, 0))
    assert found is not None, f"nobody noticed a daemon that {one.does}"
    _, ordeal = found
    assert endure(ordeal.seed, Level.HEAVY, DAEMON).ok, "the seed fails without the bug, too"
