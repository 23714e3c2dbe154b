"""The soak's short form: real processes and sockets, in real time, with every fault of the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import Soak, run

pytestmark = [pytest.mark.wire, pytest.mark.process]

SHORT = Soak(
    executions=24,
    slices=5,
    interval=1.5,
    cut_every=3.0,
    lost_replies=0.06,
    trouble=0.08,
    query_trouble=0.02,
    doubled_events=0.1,
    late_events=0.1,
    held_up=0.05,
    patience=40.0,
)


def test_whatever_goes_wrong_on_the_wire_journal_and_exchange_agree(tmp_path: Path) -> None:
    result = run(SHORT, tmp_path)
    assert result.ok, result.text()
    assert result.reasons.keys() <= {"COMPLETED", "LIQUIDITY"}, result.text()  # Doubt may outlast the slots.
    assert result.reasons["COMPLETED"] > SHORT.executions / 2, result.text()
    assert result.cuts >= 2
    assert all(result.struck.values()), "a fault that never struck proves nothing"
    assert result.kinds["ChildUnknown"], "the daemon never was in doubt"
