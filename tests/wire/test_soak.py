"""The soak's short form: real processes and sockets, twenty seconds of real time, every fault of the long one.

It mostly waits: seven seconds of processor, of which the other tests take the rest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import Soak, run

pytestmark = [pytest.mark.wire, pytest.mark.process]

SHORT = Soak(executions=48, slices=9, interval=2.5, cut_every=5.0, patience=60.0)
"""As much of each fault as in the long one. Each strikes its seventh occasion for certain."""


@pytest.mark.timeout(180)
def test_whatever_goes_wrong_on_the_wire_journal_and_exchange_agree(tmp_path: Path) -> None:
    result = run(SHORT, tmp_path)
    assert result.ok, result.text()
    assert result.seconds >= SHORT.slices * SHORT.interval - SHORT.interval
    assert result.reasons.keys() <= {"COMPLETED", "LIQUIDITY"}, result.text()  # Doubt may outlast the slots.
    assert result.reasons["COMPLETED"] > SHORT.executions / 2, result.text()
    assert len(result.cuts) >= 3
    assert not result.unnoticed, f"cuts that nobody noticed: {result.unnoticed}"
    assert result.kinds["StreamGap"] >= 2
    assert len(result.struck) == len(SHORT.plan())
    assert all(result.struck.values()), f"a fault that never struck proves nothing: {result.struck}"
    assert result.kinds["ChildUnknown"], "the daemon was never in doubt"
