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
    "retry_on_timeout": 12,
    "any_error_is_a_refusal": 251,
    "unknown_is_absent": 12,
    "no_horizon": 168,
    "heeds_no_control": 8,
    "forgets_a_late_fill": 47,
    "terminal_overwritten": 49,
    "books_trades_twice": 2,
    "no_reservation": 2,
    "cancel_frees_quantity": 2,
    "resends_after_crash": 51,
    "sends_before_it_journals": 31,
    "sends_twice": 8,
    "late_acceptance_resets": 4,
    "forgets_its_forerunner": 448,
    "disowns_the_amended": 970,
    "ignores_retry_after": 34,
    "overlooks_retry_after": 34,
    "ignores_a_halt": 19,
    "verdict_before_commit": 35,
    "dedup_forgets_on_restart": 16,
    "burst_after_a_stall": 8,
    "guard_error_means_fine": 45,
    "no_recovery": 2,
    "reuses_an_id": 2,
}
"""Where each was found last (0 if not listed): only so that the search is short."""


CLUMSY = ("TypeError", "AttributeError", "NameError")
"""What a daemon dies of on which a bug was planted that is none."""


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
    clumsy = [text for text in ordeal.violations if any(error in text for error in CLUMSY)]
    assert not clumsy, "the planted bug does not fit the code any more"
    assert endure(ordeal.seed, Level.HEAVY, DAEMON).ok, "the seed fails without the bug, too"
