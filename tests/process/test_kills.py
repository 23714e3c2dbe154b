"""The short form of `make soak`'s 200 rounds: a daemon killed at random moments, on an exchange that lives on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills import run

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def test_a_daemon_killed_five_times_at_random_moments_ends_what_it_began_and_agrees_with_the_exchange(
    tmp_path: Path,
) -> None:
    result = run(5, tmp_path, seed=1)
    assert result.ok, result.text()
    assert result.moments["while it traded"]
    assert result.moments["while it started"]
    assert result.kinds["EpochStarted"] > 3
